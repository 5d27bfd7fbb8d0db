"""A step of invariance beside the one before it: tests of what it adds, changes in fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc

from mlsem.core.quiet import quiet
from mlsem.errors import InferenceError
from mlsem.inference.covariance.score import ScoreTest
from mlsem.inference.invariance.cutoffs import Changes
from mlsem.inference.invariance.released import Released
from mlsem.inference.ratio.run import scaling_trace
from mlsem.results.result import FitResult

INDICES = ("cfi", "rmsea", "srmr_within", "srmr_between", "srmr")


@dataclass(frozen=True, eq=False)
class StepChange:
    """From one step to the next.

    Attributes
    ----------
    step, before : str
    added : tuple of str
        What this step makes equal and the one before does not.
    df : int
        Parameters fewer.
    chisq, pvalue : float
        The likelihood-ratio test, scaled where standard errors are robust (Satorra & Bentler,
        2001); NaN where there is none.
    scaling : float or None
    score : ScoreTest or None
        The score test at the estimates of this step, scaled by its clusters.
    changes : mapping of str to float
        In indices of fit, of those that there are.
    released : Released or None
        The step without its equalities; None where a fit did not converge.
    problems : tuple of str
        Why a test is missing.
    """

    step: str
    before: str
    added: tuple[str, ...]
    df: int
    chisq: float
    pvalue: float
    scaling: float | None
    score: ScoreTest | None
    changes: Mapping[str, float]
    released: Released | None
    problems: tuple[str, ...]

    @property
    def known(self) -> Changes:
        """As rules see them."""
        found = self.changes
        levels = [found[name] for name in ("srmr_within", "srmr_between") if name in found]
        srmr = max(levels) if levels else found.get("srmr", np.nan)
        return Changes(found.get("cfi", np.nan), found.get("rmsea", np.nan), srmr)


@quiet
def step_change(
    names: tuple[str, str],
    fits: tuple[FitResult, FitResult],
    added: tuple[str, ...],
    measures: Mapping[str, Any],
    at: int,
) -> StepChange:
    """The step at that place in the table of measures, and the one before it."""
    full, simple = fits
    changes = {
        name: float(measures[name][at] - measures[name][at - 1])
        for name in INDICES
        if name in measures
    }
    df = full.n_params - simple.n_params
    before, step = names
    if not (simple.converged and full.converged):
        lost = step if not simple.converged else before
        why = (f"{lost} did not converge: there is no test.",)
        return StepChange(step, before, added, df, np.nan, np.nan, None, None, changes, None, why)
    if df == 0:
        why = ("it takes no parameter away, so that nothing is tested.",)
        return StepChange(step, before, added, df, np.nan, np.nan, None, None, changes, None, why)
    released = Released(simple._estimates, full._estimates)
    problems: list[str] = []
    score = _score(released, problems)
    statistic, scaling = _ratio(simple, full, df, problems)
    pvalue = float(chdtrc(df, statistic)) if statistic == statistic else np.nan
    return StepChange(
        step,
        before,
        added,
        df,
        statistic,
        pvalue,
        scaling,
        score,
        changes,
        released,
        tuple(problems),
    )


def _score(released: Released, problems: list[str]) -> ScoreTest | None:
    try:
        return released.test
    except InferenceError as error:
        problems.append(f"no score test: {error}")
        return None


def _ratio(
    simple: FitResult, full: FitResult, df: int, problems: list[str]
) -> tuple[float, float | None]:
    """2 (ℓ_full - ℓ_simple), over c = (p₁ c₁ - p₀ c₀) / df where errors are robust."""
    statistic = 2.0 * (full.loglik - simple.loglik)
    if statistic < -1e-4:
        problems.append(
            f"its log-likelihood is higher than that of the step before by {-0.5 * statistic:.4f}: "
            "that one is not at its maximum. Try starts=10."
        )
        return np.nan, None
    statistic = max(statistic, 0.0)
    if not (simple.covariance.kind.sandwich and full.covariance.kind.sandwich):
        return statistic, None
    factor = (scaling_trace(full._estimates) - scaling_trace(simple._estimates)) / df
    if not factor > 0:
        problems.append(
            f"the scaling factor of the χ² difference is {factor:.3f}: there is none (Satorra & "
            "Bentler, 2001)."
        )
        return np.nan, None
    return statistic / factor, factor
