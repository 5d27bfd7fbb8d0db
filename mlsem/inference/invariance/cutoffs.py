"""What published rules make of changes in indices of fit from one step to the next.

They are from simulations of single-level models, most of two groups; at two levels CFI and RMSEA
are dominated by what is within clusters (Ryu & West, 2009). A rule that is not met says that a
change is not large, not that parameters are equal.

    Chen (2007)                 ΔCFI ≤ -.010 with ΔRMSEA ≥ .015 or ΔSRMR ≥ .030 (loadings), .010
                                 (others), of more than 300 rows; of fewer -.005 with .010, or .025
                                 and .005
    Cheung & Rensvold (2002)    ΔCFI < -.010
    Rutkowski & Svetina (2014)  of 10 groups or more: ΔCFI < -.020 or ΔRMSEA > .030 (loadings),
                                 -.010 or .010 (intercepts)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

SMALL_SAMPLE = 300
MANY_GROUPS = 10
SLACK = 1e-9  # of a difference of two indices


@dataclass(frozen=True, slots=True)
class Changes:
    """From the step before; NaN where there is none.

    Attributes
    ----------
    srmr : float
        At two levels the larger of both.
    """

    cfi: float
    rmsea: float
    srmr: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its cut-offs.

    Attributes
    ----------
    source : str
    words : str
        The cut-offs as they are shown.
    cfi, rmsea, srmr : float or None
    together : bool
        Whether CFI counts with one of the others only; else each counts alone.
    """

    source: str
    words: str
    cfi: float
    rmsea: float | None = None
    srmr: float | None = None
    together: bool = False

    def exceeded(self, changes: Changes) -> bool | None:
        """None where an index that decides is missing."""
        worse = _beyond(-changes.cfi, -self.cfi)
        rmsea, srmr = _beyond(changes.rmsea, self.rmsea), _beyond(changes.srmr, self.srmr)
        others = [each for each in (rmsea, srmr) if each is not None]
        if self.together:
            if worse is None or not others:
                return None
            return worse and any(others)
        known = [each for each in (worse, *others) if each is not None]
        return any(known) if known else None


def _beyond(change: float, limit: float | None) -> bool | None:
    return None if limit is None or isnan(change) else change >= limit - SLACK


def rules(kind: str, rows: int, groups: int) -> tuple[Rule, ...]:
    """Those for a step that adds equal loadings ("loadings"), intercepts or other parameters."""
    loadings = kind == "loadings"
    if rows > SMALL_SAMPLE:
        cfi, rmsea, srmr = -0.010, 0.015, 0.030 if loadings else 0.010
    else:
        cfi, rmsea, srmr = -0.005, 0.010, 0.025 if loadings else 0.005
    found = [
        Rule(
            "Chen (2007)",
            f"ΔCFI {cfi:.3f} with ΔRMSEA {rmsea:.3f} or ΔSRMR {srmr:.3f}",
            cfi,
            rmsea,
            srmr,
            together=True,
        ),
        Rule("Cheung & Rensvold (2002)", "ΔCFI -0.010", -0.010),
    ]
    if groups >= MANY_GROUPS and kind in ("loadings", "intercepts"):
        cfi, rmsea = (-0.020, 0.030) if loadings else (-0.010, 0.010)
        words = f"ΔCFI {cfi:.3f} or ΔRMSEA {rmsea:.3f}"
        found.append(Rule("Rutkowski & Svetina (2014)", words, cfi, rmsea))
    return tuple(found)
