"""Checks of options, counts and moments: too few rows, constant and misplaced columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlsem.core.records import CellMoments
from mlsem.data.moments.available import available, rows_with
from mlsem.data.moments.bases import CONSTANT, SAME
from mlsem.errors import DataError, OptionValueError, nearest
from mlsem.model.blocks import LOWEST

if TYPE_CHECKING:
    from mlsem.core.records import Array, ClusterMoments
    from mlsem.data.table.grouping import Grouping
    from mlsem.model.table import ParameterTable


class Counts(NamedTuple):
    """What there is to estimate from: rows, clusters, and values missing in these rows."""

    rows: int
    clusters: int
    missing: int


MISSING = ("listwise", "error", "fiml")
OWN_MEAN = 1e-10
"""1 − R² of an outcome's cluster means on a predictor up to which these are the same."""


def check_clusters(table: ParameterTable, grouping: Grouping, cluster: str | None) -> None:
    """Refuse one cluster, and with two levels clusters of one row each."""
    rows, clusters = grouping.n_rows, len(grouping.sizes)
    if cluster is not None and clusters < 2:
        raise DataError(
            f"all {rows} rows are in one cluster of {cluster!r} ({grouping.labels.tolist()[0]!r}); "
            "at least two clusters are needed. Is this the right column?"
        )
    if table.multilevel and grouping.singletons:
        raise DataError(
            f"every cluster of {cluster!r} has one row, so that the two levels cannot be told "
            "apart. Name the column that many rows share, or write the model without levels."
        )


def check_counts(table: ParameterTable, there: Counts, cluster: str | None) -> tuple[str, ...]:
    """Enough rows and clusters for the model; returns notes on clusters that are few."""
    free = len(table.names) - sum(each.equality for each in table.constraints)
    check_values(table, there, free)
    rows, clusters, _ = there
    notes: tuple[str, ...] = ()
    if rows < free:
        notes += (
            f"the model has {free} free parameters and only {rows} rows: estimates and standard "
            "errors are fragile.",
        )
    if table.two_level:
        upper = len(free_above(table))
        if clusters < upper:
            notes += (
                f"level 2 has {upper} free parameters but there are only {clusters} clusters of "
                f"{cluster!r}: estimates and standard errors at level 2 are fragile.",
            )
    elif cluster is not None and not table.multilevel:
        notes += (
            f"the model has one level: the clusters of {cluster!r} count in robust standard errors "
            "only. For a part within and a part between clusters write 'level: 1' and 'level: 2', "
            "each on a line of its own with formulas below it.",
        )
    return notes


def check_values(table: ParameterTable, there: Counts, free: int) -> None:
    """Refuse more parameters than values."""
    rows, missing, variables = there.rows, there.missing, len(table.observed)
    if rows * variables - missing < free:
        gone = f", in which {missing} values are missing" if missing else ""
        raise DataError(
            f"the model has {free} free parameters but only {rows} rows of {variables} variables "
            f"are left{gone}. Free fewer parameters, or find out where rows were lost."
        )


def free_above(table: ParameterTable) -> set[int]:
    """The free parameters of level 2."""
    return {row.free for row in table.rows if row.level > LOWEST and row.free >= 0}


def check_columns(table: ParameterTable, moments: ClusterMoments | CellMoments) -> None:
    """Columns of the model that are constant, or never vary within a cluster at level 1."""
    rows, varying, seen, once = moments.n_rows, moments.varying, "", np.zeros(0, dtype=bool)
    if isinstance(moments, CellMoments):
        found = available(moments)
        _check_seen(table, moments, found[0])
        total, within, between, outer = _available_spreads(moments, *found)
        seen, once = " in which it is observed", found[0].max(axis=0) <= 1.0
    else:
        total, within, between, outer = _spreads(moments)
    index = {name: place for place, name in enumerate(moments.columns)}
    for name in table.observed:
        place = index[name]
        sd = total[place] if place < varying else outer[place - varying]
        if not np.isfinite(sd):
            raise DataError(
                f"the values of {name!r} are too large to square; measure it in a larger unit."
            )
        if sd <= CONSTANT * abs(moments.shift[place]):
            raise DataError(
                f"{name!r} is constant in the {rows} rows used{seen}. Leave it out of the model."
            )
        if place < varying and table.multilevel and within[place] <= SAME * sd:
            if once[place : place + 1].any():
                raise DataError(
                    f"{name!r} is observed in one row of each cluster at most, so that nothing is "
                    "known of how it differs within clusters. Name it at level 2 only."
                )
            where = "both levels" if name in table.split else "level 1"
            if name in {slope.carrier for slope in table.slopes}:
                if table.semidefinite:
                    continue  # clusters whose variance depends on it, as in partially nested trials
                raise DataError(
                    f"the slope of {name!r} cannot be random: {name!r} does not vary within any "
                    "cluster. Name it at level 2, without rv(); a variance that depends on it is "
                    f"for mlsem.lmm: (0 + {name} | …)."
                )
            raise DataError(
                f"{name!r} is named at {where} but does not vary within any cluster. Name it at "
                "level 2 only."
            )
        centred = place < varying and name in table.split and between[place] <= SAME * sd
        if centred and not table.semidefinite:  # a mixed model's variance may be zero
            raise DataError(
                f"{name!r} is named at both levels, but its mean is the same in every cluster (is "
                "it centred within clusters?), so that it has no part at level 2. Name it at level "
                "1 only; at level 2 belong its cluster means before centring "
                "(mlsem.cluster_means)."
            )


def _check_seen(table: ParameterTable, moments: CellMoments, counts: Array) -> None:
    """Variables that need several clusters, and are observed in one; `counts` (J, V) are the rows
    that have each column."""
    at_level2 = frozenset(name for level in table.levels[1:] for name in level.modelled)
    if not at_level2:
        return
    varying = (counts > 0).sum(axis=0)
    outer = moments.level2_patterns[moments.level2_pattern_of].sum(axis=0)
    for name, clusters in zip(moments.columns, (*varying, *outer), strict=True):
        if name in at_level2 and clusters < 2:
            raise DataError(
                f"{name!r} is observed in one cluster alone, so that nothing is known of how it "
                "differs between clusters. Leave it out at level 2."
            )


def _spreads(moments: ClusterMoments) -> tuple[Array, Array, Array, Array]:
    """Standard deviations: total, within and of the cluster means of varying columns, over
    clusters of the others."""
    rows, varying = moments.n_rows, moments.varying
    inside = np.einsum("jvv->v", moments.within)
    inner, outer = moments.means[:, :varying], moments.means[:, varying:]
    with np.errstate(over="ignore", invalid="ignore"):
        between = moments.rows @ (inner * inner)
        return (
            np.sqrt((inside + between) / rows),
            np.sqrt(inside / rows),
            np.sqrt(between / rows),
            outer.std(axis=0),
        )


def _available_spreads(
    moments: CellMoments, counts: Array, means: Array, inside: Array
) -> tuple[Array, Array, Array, Array]:
    """The same, each over the rows and clusters that have the column (`available`)."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows, within = counts.sum(axis=0), inside.sum(axis=0)
        between = (counts * means * means).sum(axis=0)
        known = moments.level2_patterns[moments.level2_pattern_of]
        outer = (moments.level2**2).sum(axis=0) / known.sum(axis=0)  # zero mean, zero where missing
        return (
            np.sqrt((within + between) / rows),
            np.sqrt(within / rows),
            np.sqrt(between / rows),
            np.sqrt(outer),
        )


def check_own_means(
    table: ParameterTable, moments: ClusterMoments | CellMoments
) -> tuple[str, ...]:
    """Refuse the cluster means of an outcome among its own predictors at level 2.

    Given these the outcome has no variance between clusters but what is negative, V̄_j = 0, and
    the likelihood no maximum. A mixed model keeps that variance at zero: a note there.
    """
    index = {name: place for place, name in enumerate(moments.columns)}
    split, notes = frozenset(table.split), []
    for row in (row for block in table.blocks[1:] for row in block.rows):
        if row.op != "~" or row.lhs not in split or row.rhs not in index:
            continue
        if index[row.rhs] < moments.varying:
            continue
        if isinstance(moments, CellMoments):
            pair = rows_with(moments, (row.lhs, row.rhs)).means
        else:
            pair = moments.means[:, [index[row.lhs], index[row.rhs]]]
        if len(pair) < 3:
            continue
        away = pair - pair.mean(axis=0)
        squares = away.T @ away
        left = squares[0, 0] - squares[0, 1] ** 2 / squares[1, 1]
        if left > OWN_MEAN * squares[0, 0]:
            continue
        told = (
            f"{row.rhs!r} is the cluster mean of {row.lhs!r} (or a linear function of it) and "
            f"predicts {row.lhs!r} at level 2: it leaves nothing of {row.lhs!r} to differ between "
            "clusters."
        )
        if not table.semidefinite:
            raise DataError(
                f"{told} Leave it out. A contextual effect is that of the cluster means of "
                "another variable."
            )
        notes.append(told)
    return tuple(notes)


def check_missing_option(missing: object) -> None:
    """Refuse an unknown `missing=`."""
    if missing not in MISSING:
        raise OptionValueError(
            f'missing must be "listwise", "error" or "fiml", not {missing!r}.'
            + nearest(str(missing), MISSING)
        )


def check_options(
    table: ParameterTable, wanted: Mapping[str, str], cluster: object, missing: object
) -> None:
    """Refuse an unknown `missing=`, and what `cluster=` cannot be with this model."""
    check_missing_option(missing)
    if cluster is None:
        if table.two_level:
            raise DataError(
                'a model with two levels needs the column of cluster ids: pass cluster="...".'
            )
        return
    if cluster in wanted:
        raise DataError(
            f"{cluster!r} is the cluster column and a variable of the model. Take it out of the "
            "model; differences between clusters are what level 2 is about."
        )
