"""Alignment of the factors of a configural fit."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated as Shaped
from typing import Any, get_args

import numpy as np

from mlsem.arguments import require_level, require_seed, require_whole
from mlsem.core.alignment import Aligned, Configural, Identification, Unit, align
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.errors import InferenceError, OptionValueError, listed
from mlsem.estimation.estimates import Estimates
from mlsem.inference.alignment.errors import df_of, spread_of
from mlsem.inference.alignment.factor import FactorAlignment
from mlsem.inference.alignment.measurement import (
    Factor,
    Measured,
    factors_of,
    group_sizes,
    labels_of,
    measured,
)
from mlsem.inference.alignment.result import Alignment
from mlsem.inference.alignment.sets import explained, invariant_set
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.model.table import ParameterTable


@quiet
def align_factors(
    estimates: Estimates[Any],
    covariance: Covariance,
    factors: object = None,
    *,
    identification: Identification = "fixed",
    unit: Unit | None = None,
    reference: Hashable = None,
    epsilon: float = 0.01,
    starts: int = 5,
    seed: int = 1,
    level: float = 0.95,
) -> Alignment:
    """See `FitResult.align`."""
    require_level(level)
    require_whole("starts", starts, 0)
    require_seed(seed)
    _require_choice("identification", identification, get_args(Identification))
    if unit is None:
        unit = "reference" if identification == "fixed" else "product"
    _require_choice("unit", unit, get_args(Unit))
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not epsilon > 0:
        raise OptionValueError(f"epsilon={epsilon!r}: it takes a number above 0, such as 0.01.")
    if not estimates.converged:
        raise InferenceError("the fit did not converge: its loadings are not estimates.")
    labels = labels_of(estimates)
    if len(labels) < 2:
        raise InferenceError("the fit has one group: alignment compares the factors of several.")
    first = _reference(labels, reference)
    found = []
    for factor in factors_of(estimates, factors):
        _require_configural(estimates.table, factor)
        known = measured(estimates, factor, first)
        _require_linked(known)
        aligned = align(
            _configural(known, group_sizes(estimates)),
            identification=identification,
            unit=unit,
            reference=first,
            epsilon=float(epsilon),
            starts=starts,
            seed=seed,
        )
        found.append(_results(factor, known, aligned, covariance, group_sizes(estimates), level))
    return Alignment(
        column=_column(estimates),
        groups=labels,
        factors=tuple(found),
        reference=labels[first],
        identification=identification,
        unit=unit,
        epsilon=float(epsilon),
        level=level,
        se=covariance.kind.name,
        _covariance=covariance,
    )


def _require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OptionValueError(f"{name}={value!r}: it takes one of {listed(choices)}.")


def _reference(labels: tuple[Hashable, ...], wanted: Hashable) -> int:
    if wanted is None:
        return 0
    for g, label in enumerate(labels):
        if label == wanted or str(label) == str(wanted):
            return g
    raise OptionValueError(
        f"reference={wanted!r} is no group; there are {listed(map(repr, labels))}."
    )


def _column(estimates: Estimates[Any]) -> str:
    return str(getattr(estimates.record, "column", "group"))


def _configural(known: Measured, sizes: Shaped[Array, "G"]) -> Configural:
    return Configural(known.values[0], known.values[1] if len(known.values) == 2 else None, sizes)


def _require_configural(table: ParameterTable, factor: Factor) -> None:
    """Refuse loadings and intercepts that groups share: they do not differ, and have no error of a
    difference by which to say so."""
    groups: dict[int, set[int]] = {}
    for row in table.rows:
        loads = row.op == "=~" and row.lhs == factor.name and row.level == factor.level
        if row.free >= 0 and (loads or (row.op == "~1" and row.lhs in factor.items)):
            groups.setdefault(row.free, set()).add(row.group)
    shared = [table.names[place] for place, own in groups.items() if len(own) > 1]
    if shared:
        raise InferenceError(
            f"{listed(shared)}: equal in several groups. Alignment starts from the model in which "
            "all loadings and intercepts are free in each group: fit it without group_equal= and "
            "labels of these."
        )


def _require_linked(known: Measured) -> None:
    """Refuse groups without an item in common."""
    factor, there = known.factor, ~np.isnan(known.values).any(axis=0)
    if not (there.sum(axis=1) >= 1).all() or len(factor.items) < 2:
        raise InferenceError(f"{factor.name!r} has too few items to be aligned.")
    if not (there.sum(axis=0) >= 2).any():
        raise InferenceError(f"no item of {factor.name!r} is in two groups: nothing links them.")


def _results(
    factor: Factor,
    known: Measured,
    aligned: Aligned,
    covariance: Covariance,
    sizes: Shaped[Array, "G"],
    level: float,
) -> FactorAlignment:
    groups, items = aligned.loadings.shape
    kinds = len(known.values)
    count = 2 * groups + kinds * groups * items
    gradients = np.full((count, known.gradients.shape[1]), np.nan)
    if aligned.gradients is not None:
        gradients = aligned.gradients @ known.gradients
    values = [aligned.means, aligned.variances, aligned.loadings.ravel()]
    values += [] if aligned.intercepts is None else [aligned.intercepts.ravel()]
    est = np.concatenate(values)
    spread = spread_of(covariance, gradients)
    se = np.sqrt(np.where(np.isnan(est), np.nan, np.diagonal(spread)))
    tests = wald(est, se, df_of(covariance, gradients, se), level)
    members = np.zeros((kinds, groups, items), dtype=np.bool_)
    places = np.arange(2 * groups, count).reshape(kinds, groups, items)
    if not np.isnan(se[2 * groups :][~np.isnan(est[2 * groups :])]).any():
        for kind in range(kinds):
            for p in range(items):
                at = places[kind, :, p]
                members[kind, :, p] = invariant_set(est[at], spread[np.ix_(at, at)], sizes)
    scale = np.sqrt(aligned.variances)
    shares = [explained(known.values[0], scale, aligned.loadings)]
    shares += [explained(known.values[1], aligned.means, aligned.loadings)] if kinds == 2 else []
    return FactorAlignment(
        factor=factor.name,
        factor_level=factor.level,
        items=factor.items,
        sizes=sizes,
        aligned=aligned,
        tests=tests,
        members=members,
        shares=np.array(shares),
        gradients=gradients[:groups],
        spread=spread[:groups, :groups],
    )
