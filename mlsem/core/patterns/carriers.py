"""Cells of clusters and patterns → the coordinates in which the random effects move them.

In the coordinates of `core.sample.coordinates` a cell is d rows H_r of (1, columns), of which the
first is √n_c (1, means), and n_c - d others, that the random effects do not move. With x_r the
carriers' values in a row and k_a the outcome that effect a acts on, a row's loadings are
Z_r[k_a, a] = x_r[κ_a], κ_a the carrier of the effect. A model without random slopes has the
constant alone, one row for each cell, and x = √n_c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.pattern import Carriers, Pattern
from mlsem.core.linalg import flatten
from mlsem.core.patterns.convert import all_there
from mlsem.core.records import Array, CellMoments, Index, frozen
from mlsem.core.sample.coordinates import deviation_coordinates, distinct_carriers

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """How the q random effects enter the outcomes.

    Attributes
    ----------
    responses : (q,)
        k_a.
    carriers : (q,)
        κ_a, a position among the m carriers.
    n_carriers : int
        m.
    everywhere : bool
        Whether each acts on all outcomes: a carrier then has one effect, and stands in for k_a.
    """

    responses: Shaped[Index, "q"]
    carriers: Shaped[Index, "q"]
    n_carriers: int
    everywhere: bool

    def of(self, carrier: int) -> Shaped[Index, "a"]:
        """The effects of a carrier."""
        return np.flatnonzero(self.carriers == carrier)

    def at(
        self, own: Shaped[Index, "a"], vectors: Shaped[Array, "*s p"], axis: int = -1
    ) -> Shaped[Array, "*t"]:
        """Kᵀ v: what effects gather of the outcomes, along one axis."""
        if self.everywhere:
            total = vectors.sum(axis=axis, keepdims=True)
            return total if len(own) == 1 else np.repeat(total, len(own), axis=axis)
        return chosen(vectors, self.responses[own], axis)

    def add(
        self, own: Shaped[Index, "a"], total: Shaped[Array, "*s p"], values: Shaped[Array, "*s a"]
    ) -> None:
        """Add K u, what effects do to the outcomes."""
        if self.everywhere:
            total += values.sum(axis=-1, keepdims=True)
        else:
            total[..., self.responses[own]] += values

    def add_products(
        self,
        own: Shaped[Index, "a"],
        other: Shaped[Index, "b"],
        total: Shaped[Array, "*s p p"],
        values: Shaped[Array, "*s a b"],
    ) -> None:
        """Add K M K'ᵀ of two sets of effects."""
        if self.everywhere:
            total += values.sum(axis=(-2, -1), keepdims=True)
        else:
            left, right = self.responses[own], self.responses[other]
            total[..., left[:, None], right] += values


def chosen(
    stack: Shaped[Array, "*s"], places: Shaped[Index, "a"], axis: int = -1
) -> Shaped[Array, "*t"]:
    """Some entries along an axis; all of them cost nothing."""
    every: Index = np.arange(stack.shape[axis], dtype=np.intp)
    return stack if np.array_equal(places, every) else stack.take(places, axis)


@dataclass(frozen=True, slots=True, eq=False)
class PatternMoments:
    """What the likelihood needs of data with missing values.

    Attributes
    ----------
    observed : (P, p) bool
        The outcomes of level 1 in each pattern.
    counts : (P,)
        Rows of a pattern, weighted.
    rest : (P, D, D)
        Cross-products of the other coordinates of a pattern's rows, weighted.
    coordinates : (R, D)
        H_r, pattern by pattern.
    carried : (R, m)
        x_r.
    starts : (P + 1,)
        Where the rows of each pattern begin.
    pattern_of, cluster_of : (R,)
    effects : Effects
    members : m sparse (J, R)
        Σ over a cluster's rows of x_r[s], for each carrier s.
    products : m × m sparse (J, P)
        Σ over a cluster's rows of a pattern of x_r[s] x_r[t].
    sizes : sparse (J, P)
        Rows of a cluster in each pattern.
    weights : (J,)
    rows : (J, D)
        h_j = (1, level-2 columns), zero for columns that vary within clusters.
    level2_observed : (Q, r) bool
    level2_of : (J,)
    """

    observed: Shaped[NDArray[np.bool_], "P p"]
    counts: Shaped[Array, "P"]
    rest: Shaped[Array, "P D D"]
    coordinates: Shaped[Array, "R D"]
    carried: Shaped[Array, "R m"]
    starts: Shaped[Index, "s"]
    pattern_of: Shaped[Index, "R"]
    cluster_of: Shaped[Index, "R"]
    effects: Effects
    members: tuple[csr_array, ...]
    products: tuple[tuple[csr_array, ...], ...]
    sizes: csr_array
    weights: Shaped[Array, "J"]
    rows: Shaped[Array, "J D"]
    level2_observed: Shaped[NDArray[np.bool_], "Q r"]
    level2_of: Shaped[Index, "J"]

    @property
    def n_clusters(self) -> int:
        return len(self.weights)

    @property
    def row_weights(self) -> Shaped[Array, "R"]:
        return self.weights[self.cluster_of]

    def rows_of(self, pattern: int) -> slice:
        """The coordinate rows of a pattern."""
        return slice(int(self.starts[pattern]), int(self.starts[pattern + 1]))


@dataclass(frozen=True, slots=True, eq=False)
class CellRows:
    """What of the cells the pooled sums do not keep, for scores and what clusters know.

    Attributes
    ----------
    pattern_of, cluster_of : (K,)
        Of each cell, clusters ascending; the pattern as in `PatternMoments`.
    sizes : (K,)
    coordinates : (K, d, D)
        H.
    rest : (K, V, V)
        Cross-products of the other coordinates; a broadcast zero where all cells are of one row.
    rows : (K, d)
        Where the cell's coordinates stand among those of `PatternMoments`.
    """

    pattern_of: Shaped[Index, "K"]
    cluster_of: Shaped[Index, "K"]
    sizes: Shaped[Array, "K"]
    coordinates: Shaped[Array, "K d D"]
    rest: Shaped[Array, "K V V"]
    rows: Shaped[Index, "K d"]


def pattern_moments(pattern: Pattern[Any], cells: CellMoments) -> tuple[PatternMoments, CellRows]:
    """Arrange the cells by the outcomes and carriers of the model."""
    carriers = pattern.random_effects
    within, between = pattern.levels
    inner = cells.varying_entries
    if carriers.everywhere:  # cells are those of classes
        observed, of_cell = np.eye(pattern.classes, dtype=np.bool_), cells.pattern_of
    else:
        observed, of_cell = _outcome_patterns(within.responses, cells)
    deviations = deviation_coordinates(distinct_carriers(carriers.maps[:, inner]), cells.within)
    stored = cells.mean_rows
    coordinates = np.zeros((cells.n_cells, 1 + deviations.shape[1], stored.shape[1]))
    coordinates[:, 0] = np.sqrt(cells.cell_sizes)[:, None] * stored
    coordinates[:, 1:, inner] = deviations
    own = cells.within
    if deviations.shape[1]:
        own = own - deviations.swapaxes(1, 2) @ deviations
    order = np.argsort(of_cell, kind="stable")
    depth = coordinates.shape[1]
    pattern_of = np.repeat(of_cell[order], depth)
    cluster_of = np.repeat(cells.cluster_of[order], depth)
    rows = coordinates[order].reshape(-1, stored.shape[1])
    maps, effects = _effects(carriers)
    carried = rows @ maps.T
    place = np.empty(cells.n_cells, dtype=np.intp)
    place[order] = np.arange(cells.n_cells)
    level2_observed, level2_of = _level2_patterns(between.responses[pattern.split :], cells)
    shape = cells.n_clusters, len(observed)
    data = PatternMoments(
        observed=frozen(observed),
        counts=frozen(np.bincount(of_cell, cells.cell_weights, len(observed))),
        rest=frozen(_pooled(own, of_cell, cells, stored.shape[1], len(observed))),
        coordinates=frozen(rows),
        carried=frozen(carried),
        starts=frozen(np.searchsorted(pattern_of, np.arange(len(observed) + 1))),
        pattern_of=frozen(pattern_of),
        cluster_of=frozen(cluster_of),
        effects=effects,
        members=tuple(
            _sparse(column, cluster_of, np.arange(len(rows)), (cells.n_clusters, len(rows)))
            for column in carried.T
        ),
        products=tuple(
            tuple(_sparse(one * other, cluster_of, pattern_of, shape) for other in carried.T)
            for one in carried.T
        ),
        sizes=_sparse(cells.cell_sizes, cells.cluster_of, of_cell, shape),
        weights=cells.weights,
        rows=frozen(cells.cluster_rows),
        level2_observed=frozen(level2_observed),
        level2_of=frozen(level2_of),
    )
    return data, CellRows(
        pattern_of=frozen(of_cell),
        cluster_of=cells.cluster_of,
        sizes=cells.cell_sizes,
        coordinates=frozen(coordinates),
        rest=own,
        rows=frozen(place[:, None] * depth + np.arange(depth)),
    )


def _sparse(
    values: Shaped[Array, "k"],
    rows: Shaped[Index, "k"],
    columns: Shaped[Index, "k"],
    shape: tuple[int, int],
) -> csr_array:
    """Sums of the values at each place."""
    from scipy.sparse import csr_array  # comes with the first data that have missing values

    return csr_array((values, (rows, columns)), shape=shape)


def _outcome_patterns(
    responses: Shaped[Array, "p D"], cells: CellMoments
) -> tuple[Shaped[NDArray[np.bool_], "P p"], Shaped[Index, "K"]]:
    """Distinct sets of observed outcomes, and which of them each cell has. An outcome is observed
    where all stored columns are that it is made of."""
    first = all_there(responses[:, cells.varying_entries], cells.patterns)
    second = all_there(responses[:, 1 + cells.varying :], cells.level2_patterns)
    count = len(second)
    pairs, of_cell = np.unique(
        cells.pattern_of * count + cells.level2_pattern_of[cells.cluster_of], return_inverse=True
    )
    both = first[pairs // count] & second[pairs % count]
    observed, again = np.unique(both, axis=0, return_inverse=True)
    return observed, again.reshape(-1)[of_cell.reshape(-1)]


def _level2_patterns(
    responses: Shaped[Array, "r D"], cells: CellMoments
) -> tuple[Shaped[NDArray[np.bool_], "Q r"], Shaped[Index, "J"]]:
    there = all_there(responses[:, 1 + cells.varying :], cells.level2_patterns)
    observed, again = np.unique(there, axis=0, return_inverse=True)
    return observed, again.reshape(-1)[cells.level2_pattern_of]


def _effects(carriers: Carriers) -> tuple[Shaped[Array, "m D"], Effects]:
    """The distinct carriers as maps of h, and the effects that they have."""
    places: dict[bytes, int] = {}
    found: list[Array] = []
    numbers: list[int] = []
    for row in carriers.maps:
        key = row.tobytes()
        if key not in places:
            places[key] = len(found)
            found.append(row)
        numbers.append(places[key])
    maps = np.array(found).reshape(len(found), carriers.maps.shape[1])
    numbered = np.array(numbers, dtype=np.intp)
    return maps, Effects(carriers.responses, numbered, len(found), carriers.everywhere)


def _pooled(
    own: Shaped[Array, "K V V"],
    of_cell: Shaped[Index, "K"],
    cells: CellMoments,
    width: int,
    count: int,
) -> Shaped[Array, "P D D"]:
    """Σ over a pattern's cells of their other coordinates' cross-products."""
    total = np.zeros((count, width, width))
    if not own.strides[0] or not own.size:  # cells of one row have none
        return total
    several = np.flatnonzero(cells.cell_rows > 1)
    weights = cells.weights[cells.cluster_of[several]]
    members = _sparse(weights, of_cell[several], np.arange(len(several)), (count, len(several)))
    sums = np.asarray(members @ flatten(own[several]), dtype=np.float64)
    inner = cells.varying_entries
    total[:, inner, inner] = sums.reshape((count, *own.shape[1:]))
    return total
