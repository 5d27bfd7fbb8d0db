"""Whether one fitted model is a special case of another, and what the other adds.

The free parameters of the simple model are looked for among those of the full one: by variable,
operator and level, a random slope by its outcome and carrier. Parameters of the full model that
are not found keep what the simple model has there: 0, or the value that it fixes. The point so
found is a proof where it has the simple model's log-likelihood; that is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.linalg import blocks
from mlsem.core.patterns.convert import all_there
from mlsem.core.records import Array, CellMoments, Index
from mlsem.core.sample.moments import pooled
from mlsem.errors import InferenceError, listed
from mlsem.model.expressions import compiled_pairs
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import ParameterTable, Row

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates

Key = tuple[str, str, str, int]
SAME = 1e-8  # relative difference of sample moments, and of log-likelihoods
ROWS_OF_BOTH = "Keep the rows that are complete for both, and fit both to these."
COVARIATES_OF_BOTH = (
    "A row that lacks a fixed covariate is left out: name the same ones in both, with '0*' before "
    "one that has no effect."
)
MISSING_OF_BOTH = (
    "One leaves rows with missing values out, the other uses them: fit both with the same missing=."
)
NEAR = 1e-6  # of log-likelihoods and constraints


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The simple model as a point of the full one.

    Attributes
    ----------
    params : (npar,)
        The full model's parameters.
    added : tuple of int
        Those that the simple model does not have.
    origins : (npar,)
        The parameter of the simple model that each of them is there; -1 where it has a value.
    """

    params: Shaped[Array, "npar"]
    added: tuple[int, ...]
    origins: Shaped[Index, "npar"]

    def carried(self, basis: Shaped[Array, "m n"]) -> Shaped[Array, "npar n"]:
        """Directions (npar, n) of the full model, by those of the simple one."""
        found = basis[self.origins]
        found[self.origins < 0] = 0.0
        return found


# --- the data -------------------------------------------------------------------------------------


def require_same_data(simple: Estimates, full: Estimates) -> None:
    """Refuse fits to other outcomes or rows.

    Compared are the outcomes' names, the number of rows, the outcomes' means and cross-products,
    and between two-level models the clusters' labels, sizes and means, in whatever order.
    """
    _require_same_parts(simple, full)
    outcomes = _outcomes(simple.table)
    if set(outcomes) != set(_outcomes(full.table)):
        raise InferenceError(
            f"the models are of other outcomes, {listed(outcomes)} and "
            f"{listed(_outcomes(full.table))}: their log-likelihoods cannot be compared."
        )
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
    (means, counts), (others, there) = (_means(fit, outcomes) for fit in (simple, full))
    if not _alike(means, others[order]) or not _alike(counts, there[order]):
        return f"the same rows are in other {named}"
    return ""


def _telling(fit: Estimates) -> Shaped[NDArray[np.int64], "J"]:
    """Of each cluster rows that say something: others may be there for their covariates."""
    moments = fit.record.moments
    if not isinstance(moments, CellMoments):
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
    if isinstance(moments, CellMoments):
        return _total_of_cells(moments, constants, coefs)
    whole = pooled(moments)
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


# --- the models -----------------------------------------------------------------------------------


def embed(simple: Estimates, full: Estimates) -> Embedding:
    """The simple model as a point of the full one.

    Raises
    ------
    InferenceError
        It could not be recognised as one; says why.
    """
    table = full.table
    places = dict(_rows(table, table))
    params = np.full(len(table.names), np.nan)
    origins = np.full(len(table.names), -1, dtype=np.intp)
    lost: list[str] = []
    for key, row in _rows(simple.table, table):
        found = _place(key, row, places)
        value = simple.params[row.free] if row.free >= 0 else row.fixed
        if found is None or found.free < 0:
            if row.free >= 0 and not (found is not None and found.fixed == value):
                lost.append(simple.table.names[row.free])
            continue
        before = params[found.free]
        if not np.isnan(before) and abs(before - value) > NEAR * (1.0 + abs(before)):
            _refuse(f"{table.names[found.free]} of the full model has several values there")
        params[found.free] = value
        if row.free >= 0:
            origins[found.free] = row.free
    if lost:
        _refuse(f"the full model has no free parameter for {listed(dict.fromkeys(lost))}")
    params = np.where(np.isnan(params), 0.0, params)
    _require_inside(full, params)
    _require_same_fit(simple, full, params)
    return Embedding(params, tuple(np.flatnonzero(origins < 0).tolist()), origins)


def _refuse(why: str) -> None:
    raise InferenceError(
        f"the simple model could not be recognised as a special case of the full one: {why}. Put "
        "the simple model first; write both with the same variables, factors and scaling."
    )


def _rows(table: ParameterTable, full: ParameterTable) -> list[tuple[Key, Row]]:
    """The rows by name, random slopes under their names in the full model; a row that only
    carries a slope is the slope's mean where the full model has the slope."""
    theirs = {(slope.outcome, slope.carrier): slope.name for slope in full.slopes}
    own = {(slope.outcome, slope.carrier): slope.name for slope in table.slopes}
    renamed = {name: theirs[path] for path, name in own.items() if path in theirs}
    found: list[tuple[Key, Row]] = []
    for row in table.rows:
        if row.exo:
            continue
        lhs, rhs = renamed.get(row.lhs, row.lhs), renamed.get(row.rhs, row.rhs)
        key = _key(lhs, row.op, rhs, row.level)
        path = row.op == "~" and row.block.is_lowest
        if path and (row.lhs, row.rhs) in theirs:
            if (row.lhs, row.rhs) in own:
                continue
            key = _key(theirs[row.lhs, row.rhs], "~1", "", row.level + 1)
        elif path and ":" in row.rhs and row.free >= 0:
            key = _moderated(row, theirs, full) or key
        found.append((key, row))
    return found


def _key(lhs: str, op: str, rhs: str, level: int) -> Key:
    if op == "~~":
        lhs, rhs = sorted((lhs, rhs))
    return lhs, op, rhs, level


def _moderated(row: Row, slopes: dict[tuple[str, str], str], full: ParameterTable) -> Key | None:
    """`y ~ w:x` as the regression of the slope of x on w, where the full model has that."""
    lowest, *above = full.blocks
    if any(each.lhs == row.lhs and each.rhs == row.rhs for each in lowest.rows):
        return None
    written = {(each.lhs, each.rhs) for b in above for each in b.rows if each.op == "~"}
    factors = row.rhs.split(":")
    for k, moderator in enumerate(factors):
        name = slopes.get((row.lhs, ":".join(factors[:k] + factors[k + 1 :])))
        if name is not None and (name, moderator) in written:
            return _key(name, "~", moderator, row.level + 1)
    return None


def _place(key: Key, row: Row, places: dict[Key, Row]) -> Row | None:
    """The row of the full model; of a mean, that of level 2 where it has moved there."""
    found = places.get(key)
    if row.free >= 0 and row.block.is_lowest and row.of_mean:
        above = places.get((*key[:3], row.level + 1))
        if (found is None or found.free < 0) and above is not None and above.free >= 0:
            return above
    return found


def _require_inside(full: Estimates, params: Shaped[Array, "npar"]) -> None:
    table = full.table
    lower, upper = parameter_bounds(table)
    if (params < lower - NEAR).any() or (params > upper + NEAR).any():
        _refuse("it lies outside the bounds of the full model")
    for each, compiled in compiled_pairs(table):
        value = float(np.real(compiled.value(params)))
        if abs(value) > NEAR if each.equality else value < -NEAR:
            _refuse(f"it does not meet the constraint {each.source} of the full model")


def _require_same_fit(simple: Estimates, full: Estimates, params: Shaped[Array, "npar"]) -> None:
    own = simple.problem.loglik_at(simple.params)
    there = full.problem.loglik_at(params)
    if own is None or there is None:
        _refuse("its estimates are outside the parameter space of the full model")
    assert own is not None
    assert there is not None
    if full.table.meanstructure and not simple.table.meanstructure:
        _refuse("it has no means; fit it with meanstructure=True")
    gap = abs(own - there)
    if gap > NEAR + SAME * abs(own):
        _refuse(
            "with the simple model's estimates the full model has another log-likelihood "
            f"({there:.4f}, not {own:.4f})"
        )
