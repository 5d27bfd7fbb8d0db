"""The stored columns of a model from monomials: an affine map in each cluster.

A factor that varies within clusters enters a product less c_j (its centre, and what is taken off
where its mean is far from 0). With the monomial's m = (x − o_j) / s and d_j = (c_j − o_j) / s,

    Π_f (x_f − c_fj) = Π_f s_f (m_f − d_fj) = Π_f s_f · Σ_S Π_{f ∉ S} (−d_fj) · m_S,

and a factor of level 2 is a constant of the cluster. So with the columns a_j + A_j m their means
are a_j + A_j m̄_j, and their cross-products A_j W_j A_jᵀ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mlsem.core.records import Array, CellMoments, ClusterMoments, frozen
from mlsem.core.sample.moments import combine, no_within
from mlsem.data.moments.bases import (
    SAME,
    Base,
    between_base,
    may_be_level2,
    never_varies,
    offset_of,
    same_within,
)
from mlsem.data.moments.cells import level2_columns
from mlsem.data.moments.chunks import near_mean
from mlsem.data.table.cells import pattern_codes
from mlsem.data.table.grouping import Grouping
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from mlsem.core.records import Index
    from mlsem.data.moments.monomials import MonomialMoments
    from mlsem.data.moments.products import Key, Plan
    from mlsem.model.table import ParameterTable

PerCluster: TypeAlias = "float | Array"
"""A number, or one for each cluster, (J,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """A data column over the rows in which it is observed; `means` are those of the clusters, (J,),
    NaN where it is missing, and `within` squares about them in each, (J,)."""

    mean: float
    means: Array
    within: Array
    rows: Array

    @property
    def sd(self) -> float:
        away = np.where(self.rows > 0, self.means - self.mean, 0.0)
        with np.errstate(over="ignore"):
            square = float(self.within.sum() + self.rows @ (away * away))
        return float(np.sqrt(square / self.rows.sum()))

    @staticmethod
    def together(parts: Sequence[Spread]) -> Spread:
        """Of the rows of several groups."""
        rows = np.array([part.rows.sum() for part in parts])
        near = parts[0].mean
        away = rows @ np.array([part.mean - near for part in parts]) / rows.sum()
        of_clusters = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("means", "within", "rows")
        )
        return Spread(near + float(away), *of_clusters)


def grouping_of(moments: MonomialMoments) -> Grouping:
    """Sizes and ids of the clusters."""
    sizes = np.bincount(moments.cluster_of, moments.rows, moments.n_clusters).astype(np.int64)
    return Grouping(None, sizes, moments.labels, True)


def kept(moments: MonomialMoments, keep: NDArray[np.bool_]) -> MonomialMoments:
    """Of some of the cells alone; clusters without one fall out."""
    if keep.all():
        return moments
    left, codes = np.unique(moments.cluster_of[keep], return_inverse=True)
    return replace(
        moments,
        labels=moments.labels[left],
        cluster_of=codes,
        origin=moments.origin if moments.origin.ndim == 1 else moments.origin[left],
        robust=None if moments.robust is None else moments.robust[left],
        **{
            name: getattr(moments, name)[keep]
            for name in ("observed", "rows", "means", "within", "lowest", "highest")
        },
    )


# --- levels and centres ---------------------------------------------------------------------------


def level_values(table: ParameterTable, moments: MonomialMoments, name: str) -> Array | None:
    """The value of each cluster where a data column belongs to level 2, NaN where it is missing;
    None where it does not.

    The model says so for its variables; for a factor that is in products only, the data do.
    """
    if not may_be_level2(table, name):
        return None
    low, high = ends_of(moments, name)
    return middle_of(low, high) if belongs_above(table, moments, name, low, high) else None


def ends_of(moments: MonomialMoments, name: str) -> tuple[Array, Array]:
    """The lowest and the highest value of a data column in each cluster, NaN where missing."""
    place = moments.place(name)
    starts = np.searchsorted(moments.cluster_of, np.arange(moments.n_clusters))
    low = np.fmin.reduceat(moments.lowest[:, place], starts)
    if np.isnan(low).all():
        raise DataError(
            f"the moments do not say that {name!r} is the same in all rows of a cluster, as it is "
            "at level 2 of this model. Make them for a model that names it at level 2 alone."
        )
    return low, np.fmax.reduceat(moments.highest[:, place], starts)


def middle_of(low: Array, high: Array) -> Array:
    """A cluster's value, by its ends that differ by rounding."""
    return np.where(low == high, low, low + (high - low) / 2)


def belongs_above(
    table: ParameterTable, moments: MonomialMoments, name: str, low: Array, high: Array
) -> bool:
    distance = np.where(np.isnan(low), 0.0, high - low)
    if not distance.any():
        return True
    values = middle_of(low, high)
    rows = np.bincount(
        moments.cluster_of,
        moments.rows * moments.observed[:, moments.place(name)],
        moments.n_clusters,
    )
    seen = rows > 0
    away = values[seen] - values[seen][0]
    mean = rows[seen] @ away / rows.sum()
    sd = float(np.sqrt(rows[seen] @ (away - mean) ** 2 / rows.sum()))
    if (name,) in moments.keys:
        sd = spread_of(moments, name).sd
    return same_within(table, name, distance, sd, grouping_of(moments))


def spread_of(moments: MonomialMoments, name: str) -> Spread:
    """A data column's mean and spread."""
    column, place = moments.place(name), key_place(moments, (name,))
    scale, origin = float(moments.scale[column]), moments.origins(column)
    codes, count = moments.cluster_of, moments.n_clusters
    sizes = (moments.rows * moments.observed[:, column]).astype(np.float64)
    rows = np.asarray(np.bincount(codes, sizes, count), dtype=np.float64)
    own = moments.means[:, place]
    with np.errstate(invalid="ignore", divide="ignore"):
        inner = np.bincount(codes, sizes * own, count) / rows
    square = moments.within[:, place, place] + sizes * (own - inner[codes]) ** 2
    square[sizes == 0] = 0.0
    means = origin + scale * inner
    seen = rows > 0
    near = float(means[seen][0])
    from_near = np.where(seen, (origin - near) + scale * inner, 0.0)
    mean = near + float(rows @ from_near / rows.sum())
    within = np.asarray(np.bincount(codes, square, count) * scale * scale, dtype=np.float64)
    return Spread(mean, means, within, rows)


def key_place(moments: MonomialMoments, key: Key) -> int:
    try:
        return moments.keys.index(key)
    except ValueError:
        shown = " · ".join(map(repr, key))
        raise DataError(
            f"the moments do not have {shown} as it varies within clusters, which the model needs. "
            "Make them for this model, or for a larger one that names it so."
        ) from None


def bases_of(
    table: ParameterTable,
    moments: MonomialMoments,
    centering: Mapping[str, str],
    names: Iterable[str],
    levels: Mapping[str, Array],
    grand: Mapping[str, float],
) -> dict[str, Base]:
    """Level, centring and shift of every data column of the model.

    Parameters
    ----------
    levels : mapping of str to (J,)
        Values of level-2 columns that are known already.
    grand : mapping of str to float
        Grand means that are not those of these rows alone.
    """
    factors = {factor for term in table.products for factor in term.factors}
    bases: dict[str, Base] = {}
    for name in names:
        how, factor = centering.get(name), name in factors
        level = levels[name] if name in levels else level_values(table, moments, name)
        if level is not None:
            bases[name] = between_base(name, level, how, factor, grand.get(name))
        else:
            bases[name] = _row_base(name, spread_of(moments, name), how, factor, grand.get(name))
    return bases


def _row_base(
    name: str, spread: Spread, how: str | None, factor: bool, grand: float | None
) -> Base:
    if how == "cluster":
        largest = float(np.sqrt(spread.within.max(initial=0.0)))
        if largest <= SAME * spread.sd:
            raise DataError(never_varies(name))
        return Base(None, spread.means, 0.0)
    centre = 0.0 if how is None else spread.mean if grand is None else grand
    left = spread.mean - centre
    offset = None
    if factor and (how is None or left != 0.0):
        offset = offset_of(name, left, spread.sd)
    return Base(None, centre, left, offset)


# --- columns --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A stored column: constant + Σ coefficient · monomial, in each cluster."""

    constant: PerCluster
    terms: dict[int, PerCluster]


def column_of(key: Key, near: float, bases: Mapping[str, Base], moments: MonomialMoments) -> Affine:
    """A planned column, less `near`, by the monomials."""
    if len(key) == 1:
        column = moments.place(key[0])
        constant = (moments.origins(column) - bases[key[0]].centre) - near
        return Affine(constant, {key_place(moments, key): float(moments.scale[column])})
    inner = tuple(factor for factor in key if bases[factor].level is None)
    lead: PerCluster = 1.0
    for base in map(bases.__getitem__, key):
        if base.level is not None:
            lead = lead * np.nan_to_num(base.level - (base.offset or 0.0))
    away: list[PerCluster] = []
    for factor in inner:
        column, base = moments.place(factor), bases[factor]
        left = (base.centre - moments.origins(column)) + (base.offset or 0.0)
        away.append(left / float(moments.scale[column]))
        lead = lead * float(moments.scale[column])
    return expanded(inner, away, lead, near, moments)


def expanded(
    key: Key, away: list[PerCluster], lead: PerCluster, near: float, moments: MonomialMoments
) -> Affine:
    """lead · Π_f (m_f − d_f) − near, with `away` the d_f of the factors of `key`."""
    constant: PerCluster = 0.0
    terms: dict[int, PerCluster] = {}
    for stays in product((True, False), repeat=len(key)):
        coef = lead
        for left, stay in zip(away, stays, strict=True):
            coef = coef if stay else coef * -np.nan_to_num(left)
        part = tuple(factor for factor, stay in zip(key, stays, strict=True) if stay)
        if not part:
            constant = constant + coef
        elif np.any(coef != 0.0):
            place = key_place(moments, part)
            terms[place] = terms[place] + coef if place in terms else coef
    return Affine(constant - near, terms)


def columns_of(
    plan: Plan, bases: Mapping[str, Base], moments: MonomialMoments
) -> ClusterMoments | CellMoments:
    """Moments of the planned columns; by cells where values are missing.

    `moments` has the cells that are used; a column of level 2 counts as observed in all of a
    cluster where its base says so.
    """
    keys = plan.keys[: plan.varying]
    near = np.array([near_mean(key, bases) for key in keys])
    columns = [column_of(k, float(c), bases, moments) for k, c in zip(keys, near, strict=True)]
    seen = _seen(keys, bases, moments)
    kinds, kind_of = pattern_codes(~seen.T, len(seen))
    codes, cells = _cells(moments, kind_of, len(kinds))
    means = means_of(columns, moments)
    within = within_of(columns, moments)
    if not seen.all():
        means[~seen] = 0.0
        if within.strides != (0, 0, 0):
            within[~(seen[:, :, None] & seen[:, None, :])] = 0.0
    rows, owner = moments.rows, moments.cluster_of
    if len(cells) < len(rows):
        _, means, within = combine(rows, means, within, codes, len(cells))
        rows = np.bincount(codes, rows, len(cells)).astype(np.int64)
        owner, seen, kind_of = owner[cells], seen[cells], kind_of[cells]
    weights = rows @ seen
    drift = rows @ means / weights
    np.subtract(means, drift, out=means, where=seen)
    sizes = grouping_of(moments).sizes
    shift, level2, known = level2_columns(plan, bases, len(sizes))
    whole = {
        "columns": plan.names,
        "varying": plan.varying,
        "shift": frozen(np.concatenate((near + drift, shift))),
        "rows": frozen(sizes),
        "sizes": frozen(sizes.astype(np.float64)),
        "weights": frozen(np.ones(len(sizes))),
        "labels": frozen(moments.labels.view()),
    }
    if len(owner) == len(sizes) and seen.all() and known.all():
        both = np.concatenate((means, level2), axis=1)
        return ClusterMoments(**whole, means=frozen(both), within=frozen(within))
    kinds2, kind2_of = pattern_codes(~known.T, len(known))
    return CellMoments(
        **whole,
        patterns=frozen(~kinds),
        pattern_of=frozen(kind_of),
        cluster_of=frozen(owner.copy()),
        cell_rows=frozen(rows.copy()),
        cell_sizes=frozen(rows.astype(np.float64)),
        means=frozen(means),
        within=frozen(within),
        level2=frozen(level2),
        level2_patterns=frozen(~kinds2),
        level2_pattern_of=frozen(kind2_of),
    )


def _seen(
    keys: tuple[Key, ...], bases: Mapping[str, Base], moments: MonomialMoments
) -> NDArray[np.bool_]:
    """Which columns are observed in each cell, (K, V)."""
    seen = np.ones((len(moments.rows), len(keys)), dtype=bool)
    for place, key in enumerate(keys):
        for factor in key:
            level = bases[factor].level
            if level is None:
                seen[:, place] &= moments.observed[:, moments.place(factor)]
            else:
                seen[:, place] &= ~np.isnan(level)[moments.cluster_of]
    return seen


def _cells(moments: MonomialMoments, kind_of: Index, kinds: int) -> tuple[Index, Index]:
    """The cell of each part, by cluster and then pattern, and one part of each cell."""
    if len(moments.rows) == moments.n_clusters:
        return moments.cluster_of, moments.cluster_of
    both = moments.cluster_of * kinds + kind_of
    _, first, codes = np.unique(both, return_index=True, return_inverse=True)
    return codes, first


def means_of(columns: list[Affine], moments: MonomialMoments) -> Array:
    owner = moments.cluster_of
    means = np.empty((len(owner), len(columns)))
    for place, column in enumerate(columns):
        total = _of_cells(column.constant, owner) + np.zeros(len(owner))
        for source, coef in column.terms.items():
            total += _of_cells(coef, owner) * moments.means[:, source]
        means[:, place] = total
    return means


def within_of(columns: list[Affine], moments: MonomialMoments) -> Array:
    owner, count = moments.cluster_of, len(moments.rows)
    if (moments.rows == 1).all():
        return no_within(count, len(columns))
    within = np.empty((count, len(columns), len(columns)))
    for a, left in enumerate(columns):
        for b, right in enumerate(columns[: a + 1]):
            total = np.zeros(count)
            for s, own in left.terms.items():
                for t, other in right.terms.items():
                    total += _of_cells(own * other, owner) * moments.within[:, s, t]
            within[:, a, b] = within[:, b, a] = total
    return within


def _of_cells(value: PerCluster, owner: Index) -> PerCluster:
    return value[owner] if isinstance(value, np.ndarray) else value
