"""Which measures of fit a weighted fit has: those that do not change with the weights' unit.

T and its scaling factor c have that unit both, so that T/c is without it (Asparouhov & Muthén,
2005), as are scaled indices, and CFI and TLI by T - c df, which divide one such difference by
another. RMSEA by T - c df, GFI and all that take T for a chi-square are not. Log-likelihoods and
scaling factors are kept, of which scaled statistics are made.
"""

from __future__ import annotations

from math import nan

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
RESIDUAL = ("srmr", "rmr", "crmr")


def without_unit(measures: dict[str, float]) -> dict[str, float]:
    """The measures, NaN those that change with the weights' unit."""
    return {
        name: value if name in DEFINED or name.startswith(RESIDUAL) else nan
        for name, value in measures.items()
    }
