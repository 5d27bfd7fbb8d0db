"""Many data frames of one design, read at once: those of a simulation study.

Columns of all frames are (R, N), and their sums by cluster those of R times the clusters; to the
last digit they are those of `aggregate`. A frame that is odd (missing values, a column that is near
constant or near a combination of others, codes that may stand for missing values) is left to
`aggregate`, which knows what to say of it: here nothing is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import Array, frozen
from mlsem.data.moments.aggregate import CHUNK_ROWS, DataRecord, read_moments, take_shift
from mlsem.data.moments.bases import FAR, data_names, may_be_level2
from mlsem.data.moments.chunks import summarise
from mlsem.data.moments.dependence import has_intercept
from mlsem.data.moments.products import Plan, column_maps, plan_columns
from mlsem.data.table.sentinels import CODES
from mlsem.data.table.stack import Stack
from mlsem.errors import MlsemError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.model.table import ParameterTable

PLAIN = 1e-6
"""Share of a variance from which on no check of a column has anything to say."""


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A data column of all frames: its `values` (R, N) cluster by cluster, those of the clusters
    (R, J) where it is of level 2, and its mean in each frame, (R,)."""

    values: Array
    level: Array | None
    mean: Array

    @property
    def of_clusters(self) -> Array:
        assert self.level is not None
        return self.level


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Of all frames: `shift` (R, C), `means` (R, J, C) and `within` (R, J, V, V)."""

    shift: Array
    means: Array
    within: Array


def read_together(table: ParameterTable, stack: Stack) -> list[DataRecord | None]:
    """The record of each frame, as `read_moments` of a two-level model makes it; None where the
    frame is to be read on its own."""
    found: list[DataRecord | None] = [None] * len(stack.frames)
    raw = _columns(table, stack)
    if raw is None:
        return found
    with np.errstate(all="ignore"):
        columns, plain = _screened(table, raw, stack)
        level2 = frozenset(name for name, each in columns.items() if each.level is not None)
        plan = plan_columns(table, level2, {})
        sizes = stack.grouping.sizes
        moments = _summed(plan, columns, sizes)
        plain &= _is_varied(moments, sizes)
    first = _first(table, stack, plain)
    if first is None or first.moments.columns != plan.names:
        return found
    for place in np.flatnonzero(plain):
        own = {
            "shift": moments.shift[place],
            "means": moments.means[place],
            "within": moments.within[place],
        }
        maps = column_maps(plan, own["shift"], {})
        found[place] = replace(first, moments=replace(first.moments, **own), maps=maps)
    return found


def _columns(table: ParameterTable, stack: Stack) -> dict[str, Array] | None:
    """The data columns of the model, if they are what is read here."""
    wanted, grouping = data_names(table), stack.grouping
    if not table.two_level or stack.cluster in wanted or not has_intercept(table):
        return None
    if grouping.singletons or grouping.n_rows > CHUNK_ROWS:
        return None
    found: dict[str, Array] = {}
    for name in wanted:
        values = stack.values(name) if name in stack.frames[0].columns else None
        if values is None:
            return None
        found[name] = values
    return found


def _screened(
    table: ParameterTable, raw: Mapping[str, Array], stack: Stack
) -> tuple[dict[str, _Column], NDArray[np.bool_]]:
    """The columns, and the frames in which all are ordinary."""
    plain = np.logical_and.reduce([_is_ordinary(each) for each in raw.values()])
    factors = {factor for term in table.products for factor in term.factors}
    columns: dict[str, _Column] = {}
    for name, values in raw.items():
        column = _Column(stack.ordered(values), None, values.sum(axis=1) / values.shape[1])
        if may_be_level2(table, name):
            column, fits = _at_level2(column, stack.grouping.sizes, plain)
            plain &= fits & (column.level is not None or name not in table.observed)
        own = column.values if column.level is None else column.level
        if name in factors:  # of others the products need the mean taken off
            plain &= np.abs(column.mean) < 0.5 * FAR * own.std(axis=1)
        columns[name] = column
    return columns, plain


def _is_ordinary(values: Array) -> NDArray[np.bool_]:
    """Frames in which a column (R, N) is finite, and no extreme value a code."""
    low, high = values.min(axis=1), values.max(axis=1)
    coded = np.isin((low, high), list(CODES)).any(axis=0)
    return np.isfinite(low) & np.isfinite(high) & ~coded


def _at_level2(
    column: _Column, sizes: NDArray[np.int64], plain: NDArray[np.bool_]
) -> tuple[_Column, NDArray[np.bool_]]:
    """A column that may be of level 2, and the frames in which it plainly is what it is in one."""
    values = column.values
    level = values.take(np.cumsum(sizes) - sizes, axis=1)
    away = np.abs(values - level.repeat(sizes, axis=1)).max(axis=1)
    if not (away[plain] == 0.0).any():
        return column, away > PLAIN * values.std(axis=1)
    mean = level[:, 0] + (level - level[:, :1]).mean(axis=1)
    return _Column(values, level, mean), away == 0.0


def _summed(plan: Plan, columns: Mapping[str, _Column], sizes: NDArray[np.int64]) -> _Moments:
    """The moments of all frames, as `aggregate` sums those of one."""
    inner, outer = plan.keys[: plan.varying], plan.keys[plan.varying :]
    frames, rows = next(iter(columns.values())).values.shape
    block = np.empty((len(inner), frames, rows))
    near = np.array([prod(columns[factor].mean for factor in key) for key in inner])
    for row, key, centre in zip(block, inner, near, strict=True):
        np.subtract(prod(columns[factor].values for factor in key), centre[:, None], out=row)
    count = frames * len(sizes)
    means, within = np.empty((count, len(plan.keys))), np.empty((count, *(len(inner),) * 2))
    flat = block.reshape(len(inner), frames * rows)
    summarise(flat, np.tile(sizes, frames), means[:, : plan.varying], within)
    means = means.reshape(frames, len(sizes), len(plan.keys))
    for place, key in enumerate(outer, plan.varying):
        means[:, :, place] = prod(columns[factor].of_clusters for factor in key)
    shift = [take_shift(own, about, sizes) for own, about in zip(means, near.T, strict=True)]
    within = within.reshape(frames, len(sizes), *within.shape[1:])
    return _Moments(frozen(np.array(shift)), frozen(means), frozen(within))


def _is_varied(moments: _Moments, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Frames whose columns vary at each level, and are no combinations of one another."""
    means, varying = moments.means, moments.within.shape[-1]
    inside = moments.within.sum(axis=1)
    between = np.einsum("j,rja,rjb->rab", sizes, means, means)
    total = between.copy()
    total[:, :varying, :varying] += inside
    away = means - means.mean(axis=1, keepdims=True)
    spread = np.einsum("raa->ra", total)
    apart = (np.sqrt(spread / sizes.sum()) > PLAIN * np.abs(moments.shift)).all(axis=1)
    for part in (inside, between):
        own = np.einsum("raa->ra", part)[:, :varying]
        apart &= (own > PLAIN * spread[:, :varying]).all(axis=1)
    for products in (total, inside, away.swapaxes(1, 2) @ away):
        apart &= _is_independent(products)
    return apart


def _is_independent(products: Array) -> NDArray[np.bool_]:
    """Whether no column is near a combination of others, by cross-products (R, k, k)."""
    scale = np.sqrt(np.einsum("raa->ra", products))
    related = products / scale[:, :, None] / scale[:, None]
    known = np.isfinite(related).all(axis=(1, 2))
    related[~known] = 0.0
    return known & (np.linalg.eigvalsh(related)[:, 0] > PLAIN)


def _first(table: ParameterTable, stack: Stack, plain: NDArray[np.bool_]) -> DataRecord | None:
    """The record of the first frame that is plain, which but for moments is that of the others."""
    if not plain.any():
        return None
    try:
        frame = stack.frames[plain.argmax()]
        return read_moments(table, frame, cluster=stack.cluster, missing="error")
    except MlsemError:
        return None
