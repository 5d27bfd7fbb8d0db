"""Whether two fits are to the same data."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.blocks import blocks
from mlsem.core.patterns.convert import all_there, as_clusters
from mlsem.core.records import Array, CellMoments
from mlsem.core.sample.moments import pooled
from mlsem.errors import InferenceError, in_group, listed
from mlsem.model.table import ParameterTable

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates, GroupEstimates

SAME = 1e-8  # relative difference of sample moments
ROWS_OF_BOTH = "Keep the rows that are complete for both, and fit both to these."
COVARIATES_OF_BOTH = (
    "A row that lacks a fixed covariate is left out: name the same ones in both, with '0*' before "
    "one that has no effect."
)
MISSING_OF_BOTH = (
    "One leaves rows with missing values out, the other uses them: fit both with the same missing=."
)


def require_same_data(simple: Estimates, full: Estimates) -> None:
    """Refuse fits to other outcomes or rows.

    Compared are the outcomes' names, the number of rows, the outcomes' means and cross-products,
    and between two-level models the clusters' labels, sizes and means, in whatever order; of
    several groups those of each. Of models of one and of several groups it is the numbers of rows
    and clusters, and in the end the log-likelihood of the one in the other.
    """
    labels, others = ([group.label for group in fit.groups] for fit in (simple, full))
    several = [bool(fit.table.groups) for fit in (simple, full)]
    if several[0] and not several[1]:
        raise InferenceError(
            "the full model has one group and the simple one several: the full model must tell "
            "apart the groups that the simple one does. Put the simple model first."
        )
    if several[1] and not several[0]:
        _require_same_counts(simple, full)
        return
    if several[0] and set(labels) != set(others):
        raise InferenceError(
            f"the models are of other groups, {listed(map(str, labels))} and "
            f"{listed(map(str, others))}: fit both to the same rows and groups."
        )
    for one, other in grouped_pairs(simple, full):
        with in_group(one.label) if several[0] else nullcontext():
            _require_same_rows(one.estimates, other.estimates)


def grouped_pairs(
    simple: Estimates, full: Estimates
) -> list[tuple[GroupEstimates, GroupEstimates]]:
    """Each group of the full model, with that of the same label of the simple one, or with its
    only one."""
    own = {group.label: group for group in simple.groups}
    return [(own.get(group.label, simple.groups[0]), group) for group in full.groups]


def _require_same_counts(simple: Estimates, full: Estimates) -> None:
    """Of one group and of several."""
    outcomes, others = set(_outcomes(simple.table)), set(_outcomes(full.table))
    if outcomes != others:
        _refuse_outcomes(simple, full)
    counts = [
        sum(int(_telling(group.estimates).sum()) for group in fit.groups) for fit in (simple, full)
    ]
    if counts[0] != counts[1]:
        raise InferenceError(
            f"the models were fitted to {counts[0]} and {counts[1]} rows. {ROWS_OF_BOTH}"
        )


def _refuse_outcomes(simple: Estimates, full: Estimates) -> None:
    raise InferenceError(
        f"the models are of other outcomes, {listed(_outcomes(simple.table))} and "
        f"{listed(_outcomes(full.table))}: their log-likelihoods cannot be compared."
    )


def _require_same_rows(simple: Estimates, full: Estimates) -> None:
    """Of one group."""
    _require_same_parts(simple, full)
    outcomes = _outcomes(simple.table)
    if set(outcomes) != set(_outcomes(full.table)):
        _refuse_outcomes(simple, full)
    rows, others = (int(_telling(fit).sum()) for fit in (simple, full))
    if rows != others:
        lacking = [fit.record.missingness is not None for fit in (simple, full)]
        advice = ROWS_OF_BOTH if not any(lacking) else COVARIATES_OF_BOTH
        raise InferenceError(
            f"the models were fitted to {rows} and {others} rows. "
            + (advice if all(lacking) or not any(lacking) else MISSING_OF_BOTH)
        )
    difference = _totals_differ(simple, full, outcomes)
    if not difference and simple.table.two_level and full.table.two_level:
        difference = _clusters_differ(simple, full, outcomes)
    if not difference and simple.table.three_level and full.table.three_level:
        difference = _units_differ(simple, full)
    if difference:
        raise InferenceError(
            f"the models were fitted to different data: {difference}. Fit both to the same "
            "rows in the same clusters."
        )


def _require_same_parts(simple: Estimates, full: Estimates) -> None:
    """Refuse models that have other covariates with parts at both levels, or other covariates
    beside them: the log-likelihood is that of these parts, given the others."""
    first, second = simple.table.levels, full.table.levels
    if not (simple.table.has_parts or full.table.has_parts) or len(first) != len(second):
        return
    for number, (one, other) in enumerate(zip(first, second, strict=True), start=1):
        if set(one.parts) != set(other.parts):
            name = sorted(set(one.parts) ^ set(other.parts))[0]
            raise InferenceError(
                f"the moments of {name!r}, a covariate with a part at both levels, are fixed at "
                f"level {number} in one model and not in the other: their log-likelihoods cannot "
                "be compared. Name it at the same levels in both (with '0*' before it where it "
                "has no effect) and fit both with the same fixed_x."
            )
        if set(one.covariates) != set(other.covariates):
            name = sorted(set(one.covariates) ^ set(other.covariates))[0]
            part = listed(dict.fromkeys(p for level in first for p in level.parts))
            raise InferenceError(
                f"the log-likelihoods are those of {part}, too, given the other covariates, and "
                f"only one model has {name!r} at level {number}. Name it in both, with '0*' before "
                "it where it has no effect."
            )


def _totals_differ(simple: Estimates, full: Estimates, outcomes: tuple[str, ...]) -> str:
    """Which outcomes have other moments, in words; empty if none has."""
    both = [_total(fit, outcomes) for fit in (simple, full)]
    if _alike(*both):
        return ""
    alone = [[_total(fit, (name,)) for fit in (simple, full)] for name in outcomes]
    names = [name for name, pair in zip(outcomes, alone, strict=True) if not _alike(*pair)]
    if not names:
        return f"the covariances of {listed(outcomes)} are not the same"
    return f"the values of {listed(names)} are not the same"


def _units_differ(simple: Estimates, full: Estimates) -> str:
    """How clusters of three levels differ, in words: in number or in size; empty if they do not."""
    first, second = (fit.record.moments for fit in (simple, full))
    for name in ("rows", "top_rows"):
        one, other = (np.sort(getattr(each, name)) for each in (first, second))
        if not np.array_equal(one, other):
            return f"{len(one)} and {len(other)} clusters are not of the same sizes"
    return ""


def _clusters_differ(simple: Estimates, full: Estimates, outcomes: tuple[str, ...]) -> str:
    """How the clusters differ, in words; empty if they do not. Their order is free."""
    columns = [fit.record.cluster for fit in (simple, full)]
    named = f"clusters of {columns[0]!r}"
    if columns[0] != columns[1]:
        named += f" and {columns[1]!r}"
    first, second = (fit.problem.moments for fit in (simple, full))
    if len(first.labels) != len(second.labels):
        return f"there are {len(first.labels)} and {len(second.labels)} {named}"
    places = {label: k for k, label in enumerate(second.labels.tolist())}
    order = [places.get(label, -1) for label in first.labels.tolist()]
    if -1 in order:
        label = first.labels.tolist()[order.index(-1)]
        return f"the {named} have other ids, such as {label!r}, which the full model's lack"
    if not np.array_equal(_telling(simple), _telling(full)[order]):
        return f"the {named} have other numbers of rows"
    counted = ((first.sizes, second.sizes), (first.weights, second.weights))
    weighted = first.is_weighted or second.is_weighted
    if weighted and not all(_alike(own, other[order]) for own, other in counted):
        return f"the {named} have other weights, or they are scaled otherwise"
    (means, counts), (others, there) = (_means(fit, outcomes) for fit in (simple, full))
    if not _alike(means, others[order]) or not _alike(counts, there[order]):
        return f"the same rows are in other {named}"
    return ""


def _telling(fit: Estimates) -> Shaped[NDArray[np.int64], "J"]:
    """Of each cluster rows that say something: others may be there for their covariates."""
    moments = fit.record.moments
    if not isinstance(moments, CellMoments) or not moments.incomplete:
        return moments.rows
    _, there = _of_cells(moments, *_maps(fit, fit.table.levels[0].modelled))
    found = np.zeros(moments.n_clusters, dtype=np.int64)
    np.add.at(found, moments.cluster_of, moments.cell_rows * there.any(axis=1))
    return found


def _outcomes(table: ParameterTable) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for level in table.levels for name in level.modelled))


def _maps(
    fit: Estimates, outcomes: tuple[str, ...]
) -> tuple[Shaped[Array, "m"], Shaped[Array, "m C"]]:
    maps = [fit.record.maps[name] for name in outcomes]
    return np.array([each.constant for each in maps]), np.array([each.coefs for each in maps])


def _means(
    fit: Estimates, outcomes: tuple[str, ...]
) -> tuple[Shaped[Array, "J m"], Shaped[Array, "J m"]]:
    """Of each cluster means of what is observed, and over how many rows."""
    moments, (constants, coefs) = fit.record.moments, _maps(fit, outcomes)
    if isinstance(moments, CellMoments):
        values, there = _of_cells(moments, constants, coefs)
        weights = moments.cell_sizes[:, None] * there
        counts, sums = np.zeros((2, moments.n_clusters, len(outcomes)))
        np.add.at(counts, moments.cluster_of, weights)
        np.add.at(sums, moments.cluster_of, weights * values)
        return sums / np.maximum(counts, 1.0), counts
    means = constants + moments.means @ coefs.T
    return means, np.broadcast_to(moments.sizes[:, None], means.shape)


def _of_cells(
    cells: CellMoments, constants: Shaped[Array, "m"], coefs: Shaped[Array, "m C"]
) -> tuple[Shaped[Array, "K m"], Shaped[NDArray[np.bool_], "K m"]]:
    """Means of each cell, and which are observed."""
    level2 = cells.level2_patterns[cells.level2_pattern_of]
    known = np.concatenate((cells.patterns[cells.pattern_of], level2[cells.cluster_of]), axis=1)
    means = np.concatenate((cells.means, cells.level2[cells.cluster_of]), axis=1)
    return constants + means @ coefs.T, all_there(coefs, known)


def _total(fit: Estimates, outcomes: tuple[str, ...]) -> Shaped[Array, "t"]:
    """Means and cross-products over all rows; with missing values over those that have both, and
    how many these are."""
    moments, (constants, coefs) = fit.record.moments, _maps(fit, outcomes)
    if moments.incomplete:
        return _total_of_cells(moments, constants, coefs)
    whole = pooled(as_clusters(moments) if isinstance(moments, CellMoments) else moments)
    inner = coefs[:, : whole.varying]
    cross = inner @ whole.within[0] @ inner.T
    return np.concatenate((constants + coefs @ whole.means[0], cross.ravel()))


def _total_of_cells(
    cells: CellMoments, constants: Shaped[Array, "m"], coefs: Shaped[Array, "m C"]
) -> Shaped[Array, "t"]:
    values, there = _of_cells(cells, constants, coefs)
    weights = there * cells.cell_sizes[:, None]
    mean = (weights * values).sum(axis=0) / np.maximum(weights.sum(axis=0), 1.0)
    away, counts = there * (values - mean), weights.T @ there
    cross = (weights * away).T @ away
    inner = coefs[:, : cells.varying]
    for part in blocks(cells.n_cells, inner.size + len(inner) ** 2):
        both = there[part, :, None] & there[part, None, :]
        cross += np.where(both, inner @ cells.within[part] @ inner.T, 0.0).sum(axis=0)
    return np.concatenate((mean, cross.ravel(), counts.ravel()))


def _alike(first: Shaped[Array, "*a"], second: Shaped[Array, "*b"]) -> bool:
    scale = np.maximum(np.abs(first), np.abs(second)).max(initial=0.0)
    return first.shape == second.shape and bool((np.abs(first - second) <= SAME * scale).all())
