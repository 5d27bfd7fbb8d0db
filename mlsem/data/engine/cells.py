"""The second pass: monomials about the columns' means, their products, and the sums of both in each
cell. Engines sum columns, so all that is summed is a column first.

    z_f = (f − origin) / scale,   m_key = Π z_f,   S_a = Σ m_a,   Q_ab = Σ m_a m_b,
    W_ab = Q_ab − S_a S_b / n.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.sample.moments import no_within
from mlsem.data.engine.query import CLUSTER, GROUP, Query, collected
from mlsem.data.engine.survey import Survey, codes_of, seen_of

if TYPE_CHECKING:
    import narwhals as nw
    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.moments.monomials import Asked


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Of the cells, in any order.

    Attributes
    ----------
    ids : DataFrame
        The columns `CLUSTER` and `GROUP`, as far as there are such.
    observed : (K, F) bool
    rows : (K,) int
    means, within : (K, M), (K, M, M)
    lowest, highest : (K, F)
    origin : (F,) or (K, F)
    """

    ids: pd.DataFrame
    observed: NDArray[np.bool_]
    rows: NDArray[np.int64]
    means: Array
    within: Array
    lowest: Array
    highest: Array
    origin: Array


def sums_of(
    query: Query, asked: Asked, found: Survey, *, by_pattern: bool, own_origins: bool = False
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
    """
    import narwhals as nw

    frame, keys = query.frame, [kind for kind in (GROUP, CLUSTER) if kind in query.ids]
    if not keys:  # all rows are one cell
        frame, keys = frame.with_columns(nw.lit(0).alias(CLUSTER)), [CLUSTER]
    codes = codes_of(query.columns) if by_pattern else {}
    frame = frame.with_columns(**codes) if codes else frame
    singles = [key[0] for key in asked.keys if len(key) == 1]
    column = {name: query.columns[asked.names.index(name)] for name in asked.names}
    centre = np.nan_to_num(found.mean)
    about: dict[str, Any] = {
        name: nw.lit(float(centre[asked.names.index(name)])) for name in singles
    }
    added: list[Any] = []
    if own_origins:
        frame = _with_cluster_means(frame, keys, [column[name] for name in singles])
        about = {name: nw.col(f"o_{column[name]}") for name in singles}
        added = [nw.col(f"o_{column[name]}").min().alias(f"o_{column[name]}") for name in singles]
    scale = found.scale
    frame = frame.with_columns(
        *(
            (
                (nw.col(column[name]) - about[name]) * float(1 / scale[asked.names.index(name)])
            ).alias(f"z_{column[name]}")
            for name in singles
        )
    )
    monomials = [reduce(mul, (nw.col(f"z_{column[f]}") for f in key)) for key in asked.keys]
    frame = frame.with_columns(*(each.alias(f"m{k}") for k, each in enumerate(monomials)))
    pairs = [(a, b) for a in range(len(monomials)) for b in range(a, len(monomials))]
    frame = frame.with_columns(
        *((nw.col(f"m{a}") * nw.col(f"m{b}")).alias(f"q{a}_{b}") for a, b in pairs)
    )
    summed = [f"m{k}" for k in range(len(monomials))] + [f"q{a}_{b}" for a, b in pairs]
    ends = [column[name] for name in asked.level2]
    table = collected(
        frame.select(*keys, *codes, *summed, *ends, *(f"o_{column[n]}" for n in singles if added))
        .group_by(*keys, *codes)
        .agg(
            nw.len().alias("rows"),
            *(nw.col(each).sum() for each in summed),
            *(nw.col(each).min().alias(f"{each}_low") for each in ends),
            *(nw.col(each).max().alias(f"{each}_high") for each in ends),
            *added,
        )
    )
    return _sums(table, asked, column, found, keys, by_pattern, pairs, singles, own_origins)


def _with_cluster_means(
    frame: nw.LazyFrame[Any], keys: list[str], columns: list[str]
) -> nw.LazyFrame[Any]:
    """With the mean of each column in each cluster."""
    import narwhals as nw

    means = frame.group_by(*keys).agg(*(nw.col(each).mean().alias(f"o_{each}") for each in columns))
    return frame.join(means, on=keys, how="left")


def _sums(
    table: Any,
    asked: Asked,
    column: dict[str, str],
    found: Survey,
    keys: list[str],
    by_pattern: bool,
    pairs: list[tuple[int, int]],
    singles: list[str],
    own_origins: bool,
) -> Sums:
    count, monomials = len(table), len(asked.keys)
    rows = table["rows"].to_numpy().astype(np.int64)
    observed = (
        seen_of(table, len(asked.names))
        if by_pattern
        else np.ones((count, len(asked.names)), dtype=bool)
    )
    means = np.empty((count, monomials))
    for k in range(monomials):
        means[:, k] = _numbers(table[f"m{k}"], 0.0) / rows
    if (rows == 1).all():
        within = no_within(count, monomials)
    else:
        within = np.empty((count, monomials, monomials))
        for a, b in pairs:
            cross = _numbers(table[f"q{a}_{b}"], 0.0) - rows * means[:, a] * means[:, b]
            within[:, a, b] = within[:, b, a] = np.where(rows == 1, 0.0, cross)
    lowest = np.full((count, len(asked.names)), np.nan)
    highest = lowest.copy()
    for name in asked.level2:
        place = asked.names.index(name)
        lowest[:, place] = _numbers(table[f"{column[name]}_low"])
        highest[:, place] = _numbers(table[f"{column[name]}_high"])
    origin = np.nan_to_num(found.mean)
    if own_origins:
        origin = np.tile(origin, (count, 1))
        for name in singles:
            place = asked.names.index(name)
            own = _numbers(table[f"o_{column[name]}"])
            origin[:, place] = np.where(np.isnan(own), origin[:, place], own)
    return Sums(table[keys], observed, rows, means, within, lowest, highest, origin)


def _numbers(series: pd.Series, missing: float = np.nan) -> Array:
    """As double; `missing` where there is none, as the sum of no value."""
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isnan(values), missing, values) if missing == 0.0 else values
