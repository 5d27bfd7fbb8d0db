"""A linear mixed model and its data as `components` sees them.

Rows are those of `core.slopes.carriers`: d of each cluster that the random effects move, and others
that they do not. Where rows fall into classes of their own residual variance they are those of
cells (`core.patterns.packed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.means import is_mixed
from mlsem.core.implied.pattern import LevelPattern, ModelPattern
from mlsem.core.linalg import flatten, inverse_root
from mlsem.core.patterns.objective import PatternClusters
from mlsem.core.patterns.packed import packed
from mlsem.core.records import Array, Index, frozen
from mlsem.core.restricted.components import ONE, Components
from mlsem.core.slopes.carriers import SlopeMoments, pooled_products


@dataclass(frozen=True, slots=True, eq=False)
class MixedRows:
    """The rows of a mixed model of one outcome, none of which is weighted.

    Attributes
    ----------
    rows : (J, D)
        h_j, on which level 2 acts.
    coordinates : (J, d, D)
    loadings : (J, d, q)
        T_j.
    classes : (d, J)
        Of the coordinates' rows; (1, 1) where there is one class.
    rest : (G, D, D)
        Cross-products of the other rows of each class.
    n_rows : float
    n_others : (G,)
        How many others there are; fewer than none where rows of zeros outnumber those of a class.
    """

    rows: Shaped[Array, "J D"]
    coordinates: Shaped[Array, "J d D"]
    loadings: Shaped[Array, "J d q"]
    classes: Shaped[Index, "i j"]
    rest: Shaped[Array, "G D D"]
    n_rows: float
    n_others: Shaped[Array, "G"]

    def columns(
        self, within: Shaped[Array, "n D"], between: Shaped[Array, "n q D"]
    ) -> Shaped[Array, "J d n"]:
        """n vectors that are maps of H and, by way of the random effects, of h."""
        above = (self.rows @ flatten(between).reshape(-1, self.rows.shape[1]).T).reshape(
            len(self.rows), *between.shape[:2]
        )
        return self.coordinates @ within.T + self.loadings @ above.swapaxes(1, 2)


def rows_of_one_class(data: SlopeMoments) -> MixedRows:
    """Where all residuals have one variance."""
    return MixedRows(
        rows=data.rows,
        coordinates=data.coordinates,
        loadings=data.loadings,
        classes=ONE,
        rest=data.rest[None],
        n_rows=data.n_rows,
        n_others=np.array([data.n_others]),
    )


def rows_of_classes(clusters: PatternClusters) -> MixedRows:
    """Where rows fall into classes."""
    data = clusters.data
    each = packed(data, clusters.cells, np.arange(data.n_clusters))
    taken = np.bincount(each.classes.ravel(), minlength=len(data.counts))
    return MixedRows(
        rows=data.rows,
        coordinates=each.coordinates,
        loadings=each.loadings,
        classes=np.ascontiguousarray(each.classes.T),
        rest=data.rest,
        n_rows=float(data.counts.sum()),
        n_others=data.counts - taken,
    )


def components(
    pattern: ModelPattern,
    data: SlopeMoments | PatternClusters,
    fixed: Shaped[Array, "npar p"],
    params: Shaped[Array, "npar"],
) -> Components | None:
    """Arrange a model and its data; None if it is no linear mixed model of one outcome, or has
    paths among its random effects.

    Parameters
    ----------
    data : SlopeMoments or PatternClusters
        The latter where rows fall into classes.
    fixed : (npar, p)
        Directions of the fixed effects, each a parameter.
    params : (npar,)
        The residuals are taken at its fixed effects: any will do that are not absurd.
    """
    levels = within, between = pattern.levels
    if not is_mixed(pattern) or any(level.directed.support().any() for level in levels):
        return None
    means, spread = fixed.argmax(axis=0), np.flatnonzero(~fixed.any(axis=1))
    p, (inner, above) = len(means), [_mean_maps(level, means, params) for level in levels]
    own = inner[:, 0]  # the outcomes of classes are one
    own[-1] += within.responses[0]
    seen = rows_of_classes(data) if isinstance(data, PatternClusters) else rows_of_one_class(data)
    columns, others = seen.columns(own, above), own @ seen.rest @ own.T
    turn = np.eye(p + 1)
    weights = np.ones(len(columns))
    root = inverse_root((pooled_products(columns, weights) + others.sum(axis=0))[:p, :p])
    if root is None:
        return None
    turn[:p, :p] = root
    residual = np.diagonal(_cells(within, spread), axis1=1, axis2=2)
    return Components(
        origin=frozen(params.copy()),
        means=means,
        spread=spread,
        residual=np.ascontiguousarray(residual),
        effects=_cells(between, spread),
        turn=frozen(root),
        rows=frozen(_clusters_last(np.concatenate((seen.loadings, columns @ turn), axis=2))),
        classes=seen.classes,
        others=frozen(turn.T @ others @ turn),
        n_rows=seen.n_rows,
        n_others=seen.n_others,
    )


def _clusters_last(stack: Shaped[Array, "J a b"]) -> Shaped[Array, "a b J"]:
    return np.ascontiguousarray(stack.transpose(1, 2, 0))


def _mean_maps(
    level: LevelPattern, means: Shaped[Index, "p"], params: Shaped[Array, "npar"]
) -> Shaped[Array, "p+1 o D"]:
    """The columns of the design as maps of h, then less the mean at β_0."""
    cells = level.exogenous
    found = np.zeros((len(means) + 1, len(level.observed), level.covariates.shape[1]))
    place = np.zeros(len(params), dtype=np.intp)
    place[means] = np.arange(len(means))
    row = level.observed.argsort()
    np.add.at(found, (place[cells.params], row[cells.rows]), level.covariates[cells.cols])
    found[-1] = -cells.at(params)[level.observed] @ level.covariates
    return found


def _cells(level: LevelPattern, spread: Shaped[Index, "K"]) -> Shaped[Array, "1+K o o"]:
    """Σ as a linear function of φ: its constants, then the cells of each parameter."""
    symmetric, size = level.symmetric, len(level.names)
    found = np.zeros((len(spread) + 1, size, size))
    place = np.searchsorted(spread, symmetric.params) + 1
    found[0] = symmetric.constants
    found[place, symmetric.rows, symmetric.cols] = 1.0
    found[place, symmetric.cols, symmetric.rows] = 1.0
    return found[:, level.observed[:, None], level.observed]
