"""Modification indices: score tests of the parameters that a model does not have, one at a time.

At the estimates, with g = ∂ℓ/∂(candidate) and A the expected information of the candidate (k) and
of the model's free directions (r),

    MI = g² / A_kk.r,     EPC = g / A_kk.r,     A_kk.r = A_kk - A_kr A_rr⁻¹ A_rk

(Sörbom, 1989; Saris, Satorra & Sörbom, 1987). The observed information would do as well where the
model is right, but has negative A_kk.r where it is not. The robust index is the generalised score
test (Boos, 1992; Satorra, 1989) by the efficient scores s_j of the clusters,

    MI_robust = (Σ_j s_j)² / Σ_j s_j² = MI / c₀,     c₀ = Σ_j s_j² / A_kk.r.

A candidate whose true value is δ has the noncentrality δ² A_kk.r, the robust test δ² A_kk.r / c₀
(Saris, Satorra & van der Veld, 2009). Of several groups those of each group's own parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from scipy.special import chdtrc, chdtri, chndtr

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.errors import InferenceError, OptionValueError
from mlsem.estimation.efficient import EfficientScores, efficient_scores, extended
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.scales import scales_at
from mlsem.estimation.units import Kind, scaled_variables, unit_of
from mlsem.estimation.weighted import require_clusters
from mlsem.model.candidates import candidates, extend
from mlsem.model.table import Row

ALPHA, HIGH_POWER = 0.05, 0.75
_SCALED: tuple[Kind, ...] = ("lv", "all", "nox")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for; see `FitResult.modification_indices`."""

    sort: bool
    minimum: float
    power: float | None
    robust: bool

    def __post_init__(self) -> None:
        for name in ("sort", "robust"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise OptionValueError(f"{name}={getattr(self, name)!r}: it takes True or False.")
        if not _is_number(self.minimum) or not self.minimum >= 0:
            raise OptionValueError(
                f"minimum={self.minimum!r}: it takes a number, the least index that is listed."
            )
        if self.power is not None and (not _is_number(self.power) or not self.power > 0):
            raise OptionValueError(
                f"power={self.power!r}: it takes a positive number, the size of a parameter that "
                "would matter, in the units of EPC; such as power=0.1."
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


@quiet
def modification_indices(estimates: Estimates, choice: Choice) -> dict[str, Any]:
    """Columns of `FitResult.modification_indices`."""
    require_scores(estimates)
    rows = candidates(estimates.table)
    found = scores_of(estimates, rows)
    kept = np.flatnonzero(found.determined)
    found, rows = found.chosen(kept), tuple(rows[k] for k in kept)
    information, total = np.diagonal(found.information), found.total
    squares = (found.scores**2).sum(axis=0)
    usual = total**2 / information
    tested = total**2 / squares if choice.robust else usual
    epc = total / information
    columns: dict[str, Any] = {"mi": usual}
    if choice.robust:
        columns |= {"mi_robust": tested}
    columns |= {"pvalue": chdtrc(1, tested), "epc": epc}
    for kind, units in _units(estimates, rows).items():
        columns[f"sepc_{kind}"] = epc * units
    if choice.power is not None:
        per_unit = information**2 / squares if choice.robust else information
        columns |= _power(tested, epc, choice.power, per_unit)
    listed = np.flatnonzero(tested >= choice.minimum)
    if choice.sort:
        listed = listed[np.argsort(-tested[listed], kind="stable")]
    fields = ("lhs", "op", "rhs", *(("group",) if estimates.table.groups else ()), "level")
    names: dict[str, Any] = {name: [getattr(rows[k], name) for k in listed] for name in fields}
    return names | {name: np.asarray(column)[listed] for name, column in columns.items()}


def _units(estimates: Estimates, rows: tuple[Row, ...]) -> dict[Kind, Shaped[Array, "m"]]:
    """Of each row, by the variances of its group."""
    groups = [group.estimates for group in estimates.groups]
    scales = [scales_at(own.problem, own.params) for own in groups]
    found: dict[Kind, Array] = {}
    for kind in _SCALED:
        scaled = [scaled_variables(own.table, kind) for own in groups]
        units = [unit_of(row, scales[row.group - 1], scaled[row.group - 1]) for row in rows]
        found[kind] = np.array(units, dtype=np.float64)
    return found


def _power(
    index: Shaped[Array, "m"],
    epc: Shaped[Array, "m"],
    delta: float,
    per_unit: Shaped[Array, "m"],
) -> dict[str, Any]:
    """Of tests at 0.05, and what index and power say together.

    Of a test that is significant with low power the parameter is misspecified ("m"), of one that
    is not with high power it is none ("nm"); with high power a significant one needs a look at EPC:
    "epc:m" where it is larger than `delta`, else "epc:nm". "i" is inconclusive.
    """
    critical = chdtri(1, ALPHA)
    ncp = delta**2 * per_unit
    power = 1.0 - chndtr(critical, 1.0, ncp)
    significant, high = index > critical, power >= HIGH_POWER
    looked = np.where(np.abs(epc) >= delta, "epc:m", "epc:nm")
    decision = np.where(significant, np.where(high, looked, "m"), np.where(high, "nm", "i"))
    columns = {"delta": np.full(len(ncp), delta), "ncp": ncp, "power": power}
    return columns | {"decision": decision.astype(object)}


def scores_of(estimates: Estimates, rows: tuple[Row, ...]) -> EfficientScores:
    """Of candidates, beside the model's free directions; the table of `directions` is
    `extend(estimates.table, rows)`."""
    table, count = estimates.table, len(rows)
    larger = extend(table, rows)
    values = np.array([row.fixed for row in rows], dtype=np.float64)
    at = extended(estimates, larger, np.concatenate((estimates.params, values)))
    own = np.pad(estimates.directions().basis, ((0, count), (0, 0)))
    return efficient_scores(at, own, np.eye(len(larger.names), count, -len(table.names)))


def require_scores(estimates: Estimates) -> None:
    """Refuse what was not fitted by maximum likelihood, or is no maximum."""
    if not estimates.converged:
        raise InferenceError(
            "the fit did not converge: scores at its estimates say nothing of other parameters."
        )
    if estimates.table.classes:
        raise InferenceError(
            "score tests and modification indices are not there for models with residual variances "
            "by group (residual=): fit the larger model, too, and compare the two by mlsem.lr_test."
        )
    if estimates.restricted:
        raise InferenceError(
            "the scores of a fit by REML do not sum to zero: fit by maximum likelihood "
            "(REML=False in lmm)."
        )
    require_clusters(estimates, "score tests and modification indices")
