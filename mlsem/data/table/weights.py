"""Sampling weights: the columns that have them, checked, and scaled to a_ij and w_j.

A row stands for W_ij of the population, its cluster for w_j; c_ij = W_ij / w_j is what it stands
for of its cluster. The likelihood counts rows a_ij times within their cluster, clusters w_j times:

    scaling      a_ij                  w_j
    unscaled     c_ij                  w_j
    cluster      c_ij n_j / Σc         w_j
    ecluster     c_ij Σc / Σc²         w_j
    gk           1                     w_j Σc / n_j

(Pfeffermann et al., 1998; Asparouhov, 2006; Graubard & Korn, 1996; n_j and sums are over the rows
of the cluster that are used.) With weights of level 2 alone all c_ij are 1. In a model of one level
there is W_ij alone, which counts as it is: of rows within the clusters of robust errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import Array
from mlsem.data.table.columns import SHOWN, numeric, require_column, rows_named
from mlsem.data.table.grouping import Grouping, Weights
from mlsem.data.table.sampling import Sampling, Sums, WeightColumns, Weighted, WeightScaling
from mlsem.errors import DataError, DataWarning, OptionValueError, listed, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Index

WRONG = {
    "missing": "Give these rows their weight, or leave them out",
    "infinite": "Correct them",
    "negative": "Weights are positive: these may be codes of missing values",
}
SAME = 1e-9
"""Relative differences of a cluster's weight in its rows that are rounding."""
FEW, MANY = 2.0, 50.0
"""From which mean weight of clusters on totals are told from weights within clusters, and which
mean weight of rows within clusters is hardly one."""
UNITS = 1e-12, 1e100
"""What rows may count on average, that squares of scores are numbers and ℓ keeps its digits."""


def row_by_row(
    how: Sampling, cluster: str | None, se_cluster: str | None, centering: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """`cluster=` and `se_cluster=` of a model of one level: each row is read for itself where rows
    weigh differently, so that what its score varies by is known to CR2 and degrees of freedom.
    Cluster means, of which products may be made, need the clusters' rows together."""
    if how.weights is None or "cluster" in centering.values():
        return cluster, se_cluster
    return None, se_cluster or cluster


def check_levels(how: Sampling, *, two_level: bool) -> None:
    """Refuse keys that are not of the levels of the model."""
    columns = how.weights
    assert columns is not None
    alone = columns.named.keys() == {"total"}
    if not two_level and not alone:
        raise OptionValueError(
            f"weights={columns.given!r}: a model of one level has one weight of each row. Pass the "
            'column of the weights in the population, weights="W_STU".'
        )
    if not two_level and how.scaling is not None:
        raise OptionValueError(
            f'weight_scaling="{how.scaling}" says how rows count within their cluster, and a model '
            "of one level has the weights as they are. Leave it out."
        )
    if two_level and alone:
        raise OptionValueError(
            f"weights={columns.given!r}: with two levels the likelihood needs to know what a row "
            "stands for within its cluster, and what a cluster stands for. Name the clusters' "
            f'weights, too: weights={{"total": {columns.total!r}, "level2": "…"}}; or say that '
            f'these are within clusters: weights={{"level1": {columns.total!r}}}.'
        )


def weighted_rows(
    data: pd.DataFrame, how: Sampling | None, *, two_level: bool
) -> tuple[pd.DataFrame, Index | None]:
    """The rows of a frame that weigh anything, and where they stand in it; None where all do.

    Raises
    ------
    DataError
        A column is absent or not of numbers, or weights are negative, missing or infinite.
    OptionValueError
        They are not of the levels of the model.
    """
    if how is None or how.weights is None:
        return data, None
    check_levels(how, two_level=two_level)
    zero = np.zeros(len(data), dtype=bool)
    for name in how.weights.named.values():
        zero |= weight_column(data, name) == 0.0
    if not zero.any():
        return data, None
    if zero.all():
        raise DataError(f"all weights are zero ({listed(how.weights.named.values())}).")
    left = np.flatnonzero(~zero)
    return data.iloc[left], left


def weight_column(data: pd.DataFrame, name: str) -> Array:
    """The weights of a column, all of them finite and none negative."""
    series = require_column(data, name, "weights= names")
    with np.errstate(invalid="ignore"):
        values = numeric(data, series, name).astype(np.float64)
        wrong = (np.isnan(values), np.isinf(values), values < 0.0)
    for kind, where in zip(WRONG, wrong, strict=True):
        if where.any():
            raise wrong_weights(name, kind, rows_named(data, where))
    return values


def wrong_weights(name: str, kind: str, where: str) -> DataError:
    """The error of weights that are none; `where` are the rows."""
    return DataError(f"the weights {name!r} are {kind} in {where}. {WRONG[kind]}.")


def weights_of(
    data: pd.DataFrame, how: Sampling, grouping: Grouping, *, two_level: bool
) -> tuple[Weights, Weighted]:
    """What the rows used and their clusters count, and what was done.

    Raises
    ------
    DataError
        A weight of level 2 differs within a cluster, or most rows weigh less in the population
        than their cluster does.
    """
    columns = how.weights
    assert columns is not None
    if not two_level:
        return _of_one_level(weight_column(data, columns.total or ""), how, grouping)
    order = np.arange(len(data)) if grouping.order is None else grouping.order
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    inner, level2 = columns.total or columns.level1, np.ones(len(order))
    within = level2 if inner is None else weight_column(data, inner)[order]
    if columns.level2 is not None:
        level2 = weight_column(data, columns.level2)[order]
    seen = Seen(
        count=grouping.sizes.astype(np.float64),
        total=np.add.reduceat(within, starts),
        squares=np.add.reduceat(within**2, starts),
        low=np.minimum.reduceat(level2, starts),
        high=np.maximum.reduceat(level2, starts),
        below=int((within < level2 * (1.0 - SAME)).sum()),
    )
    clusters, sizes, done = settled(seen, how, grouping.labels)
    if not row_by_weight(how):
        return Weights(None, clusters, sizes), done
    rows = np.ones(len(data))
    rows[order] = within * np.repeat(sizes / seen.total, grouping.sizes)
    return Weights(rows, clusters, sizes), done


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What there is of weights in J clusters, wherever their rows are.

    Attributes
    ----------
    count : (J,)
        Rows.
    total, squares : (J,)
        Of the weights of rows, in the population or within clusters; of ones where there are none.
    low, high : (J,)
        The ends of the weights of level 2.
    below : int
        Rows whose weight is below that of level 2.
    """

    count: Array
    total: Array
    squares: Array
    low: Array
    high: Array
    below: int

    def taken(self, clusters: NDArray[Any]) -> Seen:
        """Of some of them, or all in another order."""
        names = ("count", "total", "squares", "low", "high")
        return replace(self, **{name: getattr(self, name)[clusters] for name in names})


def row_by_weight(how: Sampling) -> bool:
    """Whether rows of a cluster count differently."""
    columns = how.weights
    return columns is not None and bool(columns.total or columns.level1) and how.scaling != "gk"


def settled(seen: Seen, how: Sampling, labels: NDArray[Any]) -> tuple[Array, Array, Weighted]:
    """w_j and a_j of the clusters, (J,), and what was done.

    Raises
    ------
    DataError
        As `weights_of`.
    """
    columns, scaling = how.weights, how.scaling or "cluster"
    assert columns is not None
    clusters = _one_each(seen, columns.level2, labels)
    total, squares = seen.total, seen.squares
    if columns.total is not None:
        _check_totals(seen, columns)
        total, squares = total / clusters, squares / clusters**2
    elif columns.level1 is not None:
        _doubt_conditional(seen, columns, scaling)
    rows = Sums(int(seen.count.sum()), float(clusters @ total), float(clusters**2 @ squares))
    done = Weighted(how, rows, Sums.of(clusters))
    sizes = sizes_of(scaling, seen.count, total, squares)
    if scaling == "gk":
        clusters = clusters * total / seen.count
    return clusters, sizes, done


def sizes_of(scaling: WeightScaling, count: Array, total: Array, squares: Array) -> Array:
    """a_j by rows, Σc and Σc² of clusters, (…, J)."""
    if scaling == "unscaled":
        return total
    return total**2 / squares if scaling == "ecluster" else count


def scaled_to(
    scaling: WeightScaling, within: Array, clusters: Array, sizes: NDArray[np.int64]
) -> tuple[Array | None, Array, Array]:
    """a_ij (R, N) of c_ij in R replicates, cluster after cluster, or None for ones; w_j and a_j,
    (R, J). Rows that weigh nothing are not counted."""
    starts, there = np.cumsum(sizes) - sizes, within > 0.0
    count, total, squares = (
        np.add.reduceat(each, starts, axis=-1, dtype=np.float64)
        for each in (there, within, within**2)
    )
    wanted = sizes_of(scaling, count, total, squares)
    if scaling == "gk":
        rows = None if there.all() else there.astype(np.float64)
        return rows, clusters * total / count, count
    return within * np.repeat(wanted / total, sizes, axis=-1), clusters, wanted


def _of_one_level(weights: Array, how: Sampling, grouping: Grouping) -> tuple[Weights, Weighted]:
    """Each row counts W_i; of a row that is its own cluster it is the cluster that does."""
    used = weights if grouping.order is None else weights[grouping.order]
    done = Weighted(how, Sums.of(used), Sums())
    count = grouping.sizes.astype(np.float64)
    if not grouping.clustered:
        return Weights(None, used, count), done
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    return Weights(weights, np.ones(len(count)), np.add.reduceat(used, starts)), done


def _one_each(seen: Seen, name: str | None, labels: NDArray[Any]) -> Array:
    """The one weight that each cluster has in all of its rows."""
    differs = seen.high - seen.low > SAME * seen.high
    if differs.any():
        where = labels[differs].tolist()
        shown = ", ".join(map(repr, where[:SHOWN])) + (", …" if len(where) > SHOWN else "")
        raise DataError(
            f"the weights of level 2, {name!r}, differ within {len(where)} "
            f"cluster{'s' if len(where) > 1 else ''}: {shown}. A cluster has one weight; weights "
            'of rows are "total" (in the population) or "level1" (within their cluster).'
        )
    return seen.low


def _check_totals(seen: Seen, columns: WeightColumns) -> None:
    """Refuse weights in the population that are those within clusters: most are below what their
    cluster weighs, for which rows would stand for less than themselves."""
    count = int(seen.count.sum())
    if columns.level2 is not None and seen.below > 0.5 * count:
        raise DataError(
            f"the total weights {columns.total!r} are below those of level 2, {columns.level2!r}, "
            f"in {seen.below} of {count} rows. Are these conditional weights, of rows "
            f'within their cluster? Pass them as weights={{"level1": {columns.total!r}, "level2": '
            f"{columns.level2!r}}}."
        )


def _doubt_conditional(seen: Seen, columns: WeightColumns, scaling: WeightScaling) -> None:
    """Warn of weights within clusters that may be those in the population, where the scaling does
    not take a cluster's constant out: totals are nowhere below what their cluster weighs, and a row
    stands for very many of its cluster if they are taken for conditional ones."""
    name, instead, count = columns.level1, columns.level2 or "…", seen.count.sum()
    if columns.level2 is None:
        mean = seen.total.sum() / count
        if scaling != "unscaled" or mean < MANY:
            return
        said = f"say that a row stands for {mean:.3g} rows of its cluster, on average"
    else:
        above = seen.below == 0 and seen.count @ seen.low / count >= FEW
        if scaling not in ("unscaled", "gk") or not above:
            return
        said = f"are in no row below those of level 2, {columns.level2!r}"
    warn(
        f"the weights of level 1, {name!r}, {said}. Are these total weights, of rows in the "
        f'population? Pass them as weights={{"total": {name!r}, "level2": {instead!r}}}. If they '
        f'are of rows within their cluster, all is well; weight_scaling="cluster" makes no '
        f'difference between the two, "{scaling}" does.',
        DataWarning,
    )


def check_units(weights: Weights, how: Sampling) -> None:
    """Refuse weights that are of no practical unit."""
    assert how.weights is not None
    low, high = UNITS
    for counted in (weights.clusters, weights.clusters * weights.sizes):
        mean = counted.mean()
        if not low <= mean <= high:
            kind = "small" if mean < low else "large"
            raise DataError(
                f"the weights {listed(how.weights.named.values())} are so {kind} (on "
                f"average a cluster counts {mean:.1e}) that the log-likelihood would lose its "
                "digits. Multiply them by a constant, such as one that makes their mean 1."
            )


def with_weights(
    data: pd.DataFrame, how: Sampling | None, grouping: Grouping, *, two_level: bool
) -> tuple[Grouping, Weighted | None]:
    """The grouping of the rows used with what these count, and what was done; as it is without
    weights."""
    if how is None or how.weights is None:
        return grouping, None
    weights, done = weights_of(data, how, grouping, two_level=two_level)
    check_units(weights, how)
    return replace(grouping, weights=weights), done
