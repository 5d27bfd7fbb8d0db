"""What is known of rows by cluster and pattern of missing values, before a centre is settled.

A *monomial* is a product of data columns, each less an origin and divided by a scale. Whatever
engine groups rows, it sums monomials and their products by cell; the columns that a model needs
follow from them cluster by cluster, for in a cluster a variable of level 2 is a constant, and so is
the mean that `center=` takes off.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlsem.data.moments.bases import data_names, may_be_level2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Array, Index
    from mlsem.data.moments.products import Key
    from mlsem.data.table.weights import Seen
    from mlsem.model.table import ParameterTable

DIGITS_LOST = 1e6
"""Squared distance of a cluster's mean from the origin, in variances within clusters, up to which
cross-products within clusters keep ten digits when they are formed about the origin."""


class Asked(NamedTuple):
    """What a model asks of the data.

    Attributes
    ----------
    names : tuple of str
        The F data columns.
    keys : tuple of Key
        The M monomials, single columns first, with all that are made of some of their factors.
    level2 : tuple of str
        Data columns whose lowest and highest value in each cell are asked for: those that the
        model has at level 2 alone (in no monomial), and those of which the data say it (factors
        of products of level 1, auxiliary variables; in monomials too).
    """

    names: tuple[str, ...]
    keys: tuple[Key, ...]
    level2: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Extremes:
    """The ends of each data column over all rows that are in the moments, (F, 2) and (F,).

    Attributes
    ----------
    low, high : (F, 2)
        The lowest (highest) value and the next one that differs; NaN where it is not known.
    low_rows, high_rows : (F,) int
        Rows that have the lowest (highest) value; counted where it is among
        `mlsem.data.table.sentinels.CODES`, zero for any other.
    """

    low: Array
    high: Array
    low_rows: NDArray[np.int64]
    high_rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MonomialMoments:
    """Counts, means and centred cross-products of monomials in K cells of J clusters.

    A cell is the rows of one cluster in which the same data columns are observed; without missing
    values each cluster is a cell. With every monomial all that are made of some of its factors are
    stored, so that it can be had about any other origin.

    Attributes
    ----------
    names : tuple of str
        The F data columns of the model.
    origin : (F,) or (J, F)
        A factor f enters as (f − origin) / scale; in each cluster with an origin of its own where
        means of clusters lie far apart (`needs_cluster_origins`).
    scale : (F,)
    keys : tuple of Key
        The M monomials that may vary within clusters, single columns first.
    labels : (J,)
        Cluster ids as the user gave them.
    cluster_of : (K,)
        Of each cell, ascending; each cluster has a cell.
    observed : (K, F) bool
        Which data columns are observed in the rows of the cell.
    rows : (K,) int
        How many rows the cell has.
    means : (K, M)
        Of the monomials; zero where a factor is missing.
    within : (K, M, M)
        Cross-products about the cell's own means; zero where a factor is missing.
    lowest, highest : (K, F)
        Of the data columns that may belong to level 2, as they are in the data; NaN where a
        column is missing, and for the others.
    robust : (J,) array, optional
        Ids of the coarser clusters of robust standard errors.
    clustered : bool
        Whether a cluster column was named. Otherwise all rows are one cluster.
    left_seen, left_rows : (P, F) bool, (P,) int, optional
        Of rows with missing values that were left out as they were read: patterns of what is
        observed, and their rows.
    extremes : Extremes, optional
    weights : Seen, optional
        Of the clusters, where rows have sampling weights; no value is missing then. Rows that weigh
        differently within their cluster count w_i n / Σ w in means and cross-products.
    n_zero : int
        Rows that weigh nothing, which are left out.
    """

    names: tuple[str, ...]
    origin: Array
    scale: Array
    keys: tuple[Key, ...]
    labels: NDArray[Any]
    cluster_of: Index
    observed: NDArray[np.bool_]
    rows: NDArray[np.int64]
    means: Array
    within: Array
    lowest: Array
    highest: Array
    robust: NDArray[Any] | None = None
    clustered: bool = True
    left_seen: NDArray[np.bool_] | None = None
    left_rows: NDArray[np.int64] | None = None
    extremes: Extremes | None = None
    weights: Seen | None = None
    n_zero: int = 0

    @property
    def n_rows(self) -> int:
        return int(self.rows.sum())

    @property
    def n_clusters(self) -> int:
        return len(self.labels)

    @property
    def n_left_out(self) -> int:
        """Rows that were left out as they were read."""
        return 0 if self.left_rows is None else int(self.left_rows.sum())

    def place(self, name: str) -> int:
        return self.names.index(name)

    def origins(self, place: int) -> float | Array:
        """The origin of a data column, of each cluster (J,) if these have their own."""
        return float(self.origin[place]) if self.origin.ndim == 1 else self.origin[:, place]


@dataclass(frozen=True, slots=True, eq=False)
class GroupedMonomials:
    """The moments of several groups.

    Attributes
    ----------
    column : str
        The grouping column.
    labels : tuple
        The value of each group, in order.
    groups : tuple of MonomialMoments
        Of each group, of what the group's own table asks.
    without : int
        Rows in which the group is missing.
    others : int
        Rows of other groups.
    appearing : tuple
        The labels in the order of their first rows.
    """

    column: str
    labels: tuple[Hashable, ...]
    groups: tuple[MonomialMoments, ...]
    without: int = 0
    others: int = 0
    appearing: tuple[Hashable, ...] = ()

    @property
    def n_rows(self) -> int:
        return sum(group.n_rows for group in self.groups)

    @property
    def n_clusters(self) -> int:
        return sum(group.n_clusters for group in self.groups)


def asked_of(table: ParameterTable, auxiliary: tuple[str, ...] = ()) -> Asked:
    """What a model of one group asks of the data; `auxiliary` names columns beside it whose levels
    the data are to say.

    A product of factors at both levels needs no monomial of its own: in a cluster it is a multiple
    of the product of its factors of level 1.
    """
    names = tuple(dict.fromkeys((*data_names(table), *auxiliary)))
    level2 = tuple(
        name
        for name in names
        if may_be_level2(table, name) or (table.two_level and name in auxiliary)
    )
    settled = {name for name in level2 if name in table.observed and name not in auxiliary}
    products = [
        tuple(sorted(factor for factor in term.factors if factor not in settled))
        for term in table.products
        if term.level == 1
    ]
    needed = {factor for key in products for factor in key} | {*auxiliary}
    keys: list[Key] = [(name,) for name in names if name not in level2 or name in needed]
    parts = {
        part for key in products for n in range(2, len(key) + 1) for part in combinations(key, n)
    }
    return Asked(names, (*keys, *sorted(parts, key=lambda part: (len(part), part))), level2)


def together(asked: Sequence[Asked]) -> Asked:
    """What several models ask, all at once."""
    if len(asked) == 1:
        return asked[0]
    names, keys, level2 = (
        tuple(dict.fromkeys(item for each in asked for item in getattr(each, what)))
        for what in Asked._fields
    )
    return Asked(names, tuple(sorted(keys, key=len)), level2)


def needs_cluster_origins(moments: MonomialMoments) -> bool:
    """Whether a second pass with an origin in each cluster, its mean, keeps digits that moments
    formed about one origin have lost.

    Of x with variance σ² within clusters the cross-products about the mean of cluster j are a
    difference of numbers that are 1 + (x̄_j − origin)² / σ² times as large; so many digits of them
    are lost, of a product's the product of the factors' numbers. Columns that belong to level 2 do
    not count.
    """
    if moments.origin.ndim == 2:
        return False
    sizes = moments.rows.astype(np.float64)
    loss: dict[str, float] = {}
    singles = (name for key in moments.keys if len(key) == 1 for name in key)
    for place, name in enumerate(singles):
        column = moments.place(name)
        seen = moments.observed[:, column]
        if not seen.any() or _of_level2(moments, column):
            continue
        inside = float(moments.within[seen, place, place].sum() / sizes[seen].sum())
        far = float((moments.means[seen, place] ** 2).max())
        with np.errstate(divide="ignore", over="ignore"):
            loss[name] = 1.0 + float(np.divide(far, max(inside, 0.0))) if far else 1.0
    return any(np.prod([loss.get(name, 1.0) for name in key]) > DIGITS_LOST for key in moments.keys)


def _of_level2(moments: MonomialMoments, column: int) -> bool:
    """Whether a data column is the same in all rows of each cell."""
    return bool((moments.lowest[:, column] == moments.highest[:, column]).any()) and not bool(
        (moments.lowest[:, column] < moments.highest[:, column]).any()
    )
