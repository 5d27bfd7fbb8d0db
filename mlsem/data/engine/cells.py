"""The second pass: monomials about the columns' means, their products, and the sums of both in each
cell. Engines sum columns, so all that is summed is a column first.

    z_f = (f − origin) / scale,   m_key = Π z_f,   S_a = Σ m_a,   Q_ab = Σ m_a m_b,
    W_ab = Q_ab − S_a S_b / n.

Rows that weigh differently within their cluster count w_i n / Σ w of it, in S and Q.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations_with_replacement
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.sample.moments import no_within
from mlsem.data.engine.query import CLUSTER, GROUP, INNER, Query, aggregated
from mlsem.data.engine.survey import Survey, codes_of, numbers_of, seen_of
from mlsem.data.engine.weights import seen_in, sums_of_weights, with_weights

if TYPE_CHECKING:
    import narwhals as nw
    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.moments.monomials import Asked
    from mlsem.data.table.weights import Seen


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Of the cells, in any order.

    Attributes
    ----------
    ids : DataFrame
        The columns `CLUSTER` and `GROUP`, as far as the query has them.
    observed : (K, F) bool
    rows : (K,) int
    means, within : (K, M), (K, M, M)
    lowest, highest : (K, F)
    origin : (F,) or (K, F)
    seen : Seen or None
        Of weights.
    """

    ids: pd.DataFrame
    observed: NDArray[np.bool_]
    rows: NDArray[np.int64]
    means: Array
    within: Array
    lowest: Array
    highest: Array
    origin: Array
    seen: Seen | None = None

    def taken(self, cells: NDArray[Any]) -> Sums:
        """Some of the cells, or all in another order."""
        if cells.dtype == bool and cells.all():
            return self
        none = self.within.strides == (0, 0, 0)  # of one row each
        found = {
            name: getattr(self, name)[cells]
            for name in ("observed", "rows", "means", "lowest", "highest")
        }
        return replace(
            self,
            ids=self.ids[cells] if cells.dtype == bool else self.ids.iloc[cells],
            within=no_within(*found["means"].shape) if none else self.within[cells],
            origin=self.origin if self.origin.ndim == 1 else self.origin[cells],
            seen=None if self.seen is None else self.seen.taken(cells),
            **found,
        )


def sums_of(
    query: Query,
    asked: Asked,
    found: Survey,
    *,
    by_pattern: bool,
    own_origins: bool = False,
    by_weight: bool = False,
) -> Sums:
    """Let the engine group the rows and sum.

    Parameters
    ----------
    query : Query
    asked : Asked
        Its names are the query's.
    found : Survey
        Of the query.
    by_pattern : bool
        Whether rows in which different columns are missing are different cells; otherwise none
        has missing values.
    own_origins : bool
        About the means of each cluster instead of those of all rows.
    by_weight : bool
        Whether rows count by their weight.
    """
    sought = _Sought(query, asked, found, by_pattern, own_origins, by_weight)
    frame = _with_monomials(_with_cells(sought), sought)
    cells = (*sought.whole, *sought.codes)
    frame, weights = with_weights(frame, query)
    kept = (*cells, *sought.summed, *sought.ends, *sought.origins, *weights)
    return _sums(aggregated(frame.select(*kept), cells, _sought_of(sought)), sought)


@dataclass(frozen=True, slots=True, eq=False)
class _Sought:
    """What is asked of the engine; the arguments of `sums_of`."""

    query: Query
    asked: Asked
    found: Survey
    by_pattern: bool
    own_origins: bool
    by_weight: bool

    @property
    def codes(self) -> dict[str, Any]:
        return codes_of(self.query.columns) if self.by_pattern else {}

    @property
    def whole(self) -> tuple[str, ...]:
        """What says of which cluster a row is: its id, in its group; none where all are one."""
        return tuple(kind for kind in (GROUP, CLUSTER) if kind in self.query.ids)

    @property
    def single(self) -> list[int]:
        """Which data columns are monomials themselves, as positions among them."""
        return [self.asked.names.index(key[0]) for key in self.asked.keys if len(key) == 1]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Monomials whose product is summed."""
        return list(combinations_with_replacement(range(len(self.asked.keys)), 2))

    @property
    def summed(self) -> list[str]:
        return [f"m{k}" for k in range(len(self.asked.keys))] + [f"q{a}_{b}" for a, b in self.pairs]

    @property
    def ends(self) -> list[str]:
        """Columns whose lowest and highest values are asked for."""
        return [f"f{self.asked.names.index(name)}" for name in self.asked.level2]

    @property
    def origins(self) -> list[str]:
        return [f"o{place}" for place in self.single] if self.own_origins else []


def _with_cells(sought: _Sought) -> nw.LazyFrame[Any]:
    """With what says of which cell a row is, and the mean of each column in its cluster."""
    import narwhals as nw

    frame = sought.query.frame
    if sought.by_pattern:
        frame = frame.with_columns(**sought.codes)
    if not sought.own_origins:
        return frame
    means = [nw.col(f"f{place}").mean().alias(f"o{place}") for place in sought.single]
    return frame.join(frame.group_by(*sought.whole).agg(*means), on=[*sought.whole], how="left")


def _with_monomials(frame: nw.LazyFrame[Any], sought: _Sought) -> nw.LazyFrame[Any]:
    """With z, m and the products of m."""
    import narwhals as nw

    names, scale = sought.asked.names, sought.found.scale
    centre = np.nan_to_num(sought.found.mean)
    about = {
        place: nw.col(f"o{place}") if sought.own_origins else nw.lit(float(centre[place]))
        for place in sought.single
    }
    units = [
        ((nw.col(f"f{place}") - origin) * float(1.0 / scale[place])).alias(f"z{place}")
        for place, origin in about.items()
    ]
    monomials = [
        reduce(mul, (nw.col(f"z{names.index(factor)}") for factor in key)).alias(f"m{k}")
        for k, key in enumerate(sought.asked.keys)
    ]
    products = [(nw.col(f"m{a}") * nw.col(f"m{b}")).alias(f"q{a}_{b}") for a, b in sought.pairs]
    frame = frame.with_columns(*units).with_columns(*monomials).with_columns(*products)
    if not sought.by_weight:
        return frame
    return frame.with_columns(*(nw.col(each) * nw.col(INNER) for each in sought.summed))


def _sought_of(sought: _Sought) -> list[Any]:
    """What is computed of each cell."""
    import narwhals as nw

    return [
        nw.len().alias("rows"),
        *(nw.col(each).sum() for each in sought.summed),
        *(nw.col(each).min().alias(f"{each}_low") for each in sought.ends),
        *(nw.col(each).max().alias(f"{each}_high") for each in sought.ends),
        *(nw.col(each).min() for each in sought.origins),
        *sums_of_weights(sought.query),
    ]


def _sums(table: Any, sought: _Sought) -> Sums:
    """A table with a row for each cell, as arrays."""
    count, columns = len(table), len(sought.asked.names)
    rows = table["rows"].to_numpy().astype(np.int64)
    observed = np.ones((count, columns), dtype=bool)
    if sought.by_pattern:
        observed = seen_of(table, columns)
    ends = np.full((2, count, columns), np.nan)
    for name, column in zip(sought.asked.level2, sought.ends, strict=True):
        for side, end in enumerate(("low", "high")):
            ends[side, :, sought.asked.names.index(name)] = numbers_of(table[f"{column}_{end}"])
    origin = np.nan_to_num(sought.found.mean)
    if sought.own_origins:
        origin = np.tile(origin, (count, 1))
        for place in sought.single:
            own = numbers_of(table[f"o{place}"])
            origin[:, place] = np.where(np.isnan(own), origin[:, place], own)
    seen = seen_in(table, rows, sought.query) if sought.query.weights else None
    total = seen.total if seen is not None and sought.by_weight else rows
    means, within = _moments(table, rows, total, sought)
    ids = table[[*sought.whole]]
    return Sums(ids, observed, rows, means, within, ends[0], ends[1], origin, seen)


def _moments(
    table: Any, rows: NDArray[np.int64], total: NDArray[Any], sought: _Sought
) -> tuple[Array, Array]:
    """Means and cross-products about them; no value has the sum zero. `total` is what the rows of a
    cell weigh, which count as many as they are."""
    count, monomials = len(table), len(sought.asked.keys)
    means = np.empty((count, monomials))
    for k in range(monomials):
        means[:, k] = np.nan_to_num(numbers_of(table[f"m{k}"])) / total
    if (rows == 1).all():
        return means, no_within(count, monomials)
    within = np.empty((count, monomials, monomials))
    for a, b in sought.pairs:
        square = np.nan_to_num(numbers_of(table[f"q{a}_{b}"])) * (rows / total)
        cross = square - rows * means[:, a] * means[:, b]
        within[:, a, b] = within[:, b, a] = np.where(rows == 1, 0.0, cross)
    return means, within
