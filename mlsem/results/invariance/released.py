"""Which equality of a step hurts most, and what becomes of the parameters of interest without it.

Each equality is given up alone, in one group; nothing is fitted (`inference.invariance.released`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from scipy.special import chdtrc

from mlsem.arguments import chosen
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.errors import InferenceError
from mlsem.inference.invariance.released import Released, Single, Tie, ties
from mlsem.model.table import ParameterTable
from mlsem.results.invariance.steps import StepChange
from mlsem.results.result import FitResult


@dataclass(frozen=True, slots=True, eq=False)
class Equality:
    """One of a step, given up in one group.

    Attributes
    ----------
    parameter : str
        Its name, as in the step's `params`.
    level : int
    group : hashable
        Where it is free of the others.
    est : float
        What it is in all groups.
    single : Single
    """

    parameter: str
    level: int
    group: Any
    est: float
    single: Single


@quiet
def equalities(change: StepChange) -> list[Equality]:
    """Those of a step; of two groups each once. The data do not determine those left out."""
    released = change.released
    if released is None:
        raise InferenceError(f"{change.step}: {change.problems[0]}")
    found: list[Equality] = []
    for tie in ties(released.simple, released.full):
        found += _of_tie(tie, released)
    return found


def _of_tie(tie: Tie, released: Released) -> Iterator[Equality]:
    members = tie.members[1:] if len(tie.members) == 2 else tie.members
    for group, key in members:
        single = released.alone(group, key)
        if single is not None:
            yield Equality(
                parameter=tie.name,
                level=key[3],
                group=released.simple.groups[group].label,
                est=tie.value,
                single=single,
            )


def of_interest(table: ParameterTable, wanted: str | Iterable[str] | None) -> list[int]:
    """Positions of the parameters of interest: by default regressions and means of latent
    variables, where there are none the variances and covariances of these.

    Raises
    ------
    OptionValueError
        There is no such parameter.
    """
    if wanted is not None:
        return chosen(table.names, wanted)
    latent = {(level, name) for level, each in enumerate(table.levels, 1) for name in each.latent}
    means, covariances = dict[int, None](), dict[int, None]()
    for row in table.rows:
        if row.free < 0:
            continue
        if row.op == "~" or (row.op == "~1" and (row.level, row.lhs) in latent):
            means[row.free] = None
        elif row.op == "~~" and {(row.level, row.lhs), (row.level, row.rhs)} <= latent:
            covariances[row.free] = None
    return list(means or covariances)


def worst_columns(
    change: StepChange, fit: FitResult, places: list[int], robust: bool
) -> dict[str, Any]:
    """Columns of `Invariance.worst`."""
    rows: list[dict[str, Any]] = []
    for each in equalities(change):
        single = each.single
        tested = single.robust if robust else single.index
        row = {
            "parameter": each.parameter,
            "level": each.level,
            "group": each.group,
            "est": each.est,
            "mi": single.index,
        }
        row |= {"mi_robust": single.robust} if robust else {}
        row |= {"pvalue": float(chdtrc(1, tested)), "epc": single.change}
        row |= _largest(fit, places, single.others)
        rows.append(row)
    rows.sort(key=lambda row: row["pvalue"])
    return _columns(rows)


def _largest(fit: FitResult, places: list[int], changes: Shaped[Array, "npar"]) -> dict[str, Any]:
    """The parameter of interest that would change most, in standard errors."""
    if not places:
        return {"interest": None, "change": np.nan, "change_se": np.nan}
    moved = changes[places]
    units = _in_errors(fit, places, moved)
    size = np.where(np.isnan(units), 0.0, np.abs(units))
    k = int(size.argmax() if size.any() else np.abs(moved).argmax())
    return {"interest": fit.table.names[places[k]], "change": moved[k], "change_se": units[k]}


def interest_columns(change: StepChange, fit: FitResult, places: list[int]) -> dict[str, Any]:
    """Columns of `Invariance.epc_interest`."""
    rows: list[dict[str, Any]] = []
    for each in equalities(change):
        moved = each.single.others[places]
        units = _in_errors(fit, places, moved)
        for k, place in enumerate(places):
            rows.append(
                {
                    "parameter": each.parameter,
                    "level": each.level,
                    "group": each.group,
                    "epc": each.single.change,
                    "interest": fit.table.names[place],
                    "est": float(fit.estimates[place]),
                    "change": moved[k],
                    "change_se": units[k],
                    "expected": float(fit.estimates[place]) + moved[k],
                }
            )
    return _columns(rows)


def _in_errors(fit: FitResult, places: list[int], moved: Shaped[Array, "m"]) -> Shaped[Array, "m"]:
    """Changes in standard errors."""
    errors = fit.covariance.se[places]
    return moved / np.where(errors > 0, errors, np.nan)


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(rows[0]) if rows else ["parameter", "level", "group", "pvalue"]
    return {name: [row[name] for row in rows] for name in names}
