"""Which measures of fit a weighted fit has: those that do not change with the weights' unit.

T and its scaling factor c have that unit both, so that T/c is without it (Asparouhov & Muthén,
2005), as are scaled indices, and CFI and TLI by T - c df, which divide one such difference by
another. RMSEA by T - c df, GFI and all that take T for a chi-square are not. Log-likelihoods and
scaling factors are kept, of which scaled statistics are made.
"""

from __future__ import annotations

from math import nan

from mlsem.estimation.estimates import Estimates
from mlsem.estimation.weighted import scores_of_rows

SCALED = ("chisq", "df", "pvalue", "baseline.chisq", "baseline.df", "baseline.pvalue", "rmsea")
COMPARATIVE = ("cfi", "tli", "nnfi", "rni")
NORMED = ("nfi", "rfi", "pnfi", "ifi")
DEFINED = frozenset(
    (
        *("npar", "df", "ntotal", "chisq.score", "df.score", "pvalue.score", "baseline.df"),
        *("logl", "unrestricted.logl", "scaling.factor.h0", "scaling.factor.h1"),
        *("chisq.scaling.factor", "chisq.score.scaling.factor", "baseline.chisq.scaling.factor"),
        *(f"{name}.scaled" for name in (*SCALED, *COMPARATIVE, *NORMED)),
        *(f"{name}.robust" for name in COMPARATIVE),
    )
)
BY_SCORES = frozenset(
    name for name in DEFINED if "scaling" in name or name.endswith((".scaled", ".robust", ".score"))
)
RESIDUAL = ("srmr", "rmr", "crmr")


def defined(measures: dict[str, float], estimates: Estimates) -> dict[str, float]:
    """The measures, NaN of a weighted fit those that change with the weights' unit, and those by
    scores where replicates alone know what was drawn together."""
    if not estimates.weighted:
        return measures
    there = DEFINED - BY_SCORES if scores_of_rows(estimates) else DEFINED
    return {
        name: value if name in there or name.startswith(RESIDUAL) else nan
        for name, value in measures.items()
    }
