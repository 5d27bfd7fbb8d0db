"""The summary of a generalised linear model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.report.cells import format_df, format_number, format_pvalue
from mlsem.report.sheet import RoundedSheet, Sheet, SheetTable

if TYPE_CHECKING:
    from mlsem.inference.covariance.intervals import Wald
    from mlsem.results.generalized.result import GlmResult


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GlmSummary(RoundedSheet):
    """A summary of a generalised linear model: text when printed, HTML in a notebook.

    Attributes
    ----------
    title : str
    facts : tuple of (label, value)
    names : tuple of str
    tests : Wald
    limits : bool
        Whether confidence limits are shown.
    notes : tuple of str

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["high"] = (data["y"] > 0).astype(int)
    >>> print(mlsem.glm("high ~ w1", data, cluster="id").summary().title)
    Generalised linear model: binomial, link logit
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    tests: Wald
    limits: bool
    notes: tuple[str, ...]

    def _sheet(self, digits: int = 3) -> Sheet:
        tests = self.tests
        letter = "t" if np.isfinite(tests.df).any() else "z"
        heads = ["Estimate", "Std.Error", *(["df"] if letter == "t" else []), f"{letter} value"]
        heads += [f"P(>|{letter}|)", *(("ci.lower", "ci.upper") if self.limits else ())]
        rows = []
        for k, name in enumerate(self.names):
            cells = [format_number(float(each[k]), digits) for each in (tests.est, tests.se)]
            cells += [format_df(float(tests.df[k]))] if letter == "t" else []
            cells += [
                format_number(float(tests.stat[k]), digits),
                format_pvalue(float(tests.pvalue[k]), digits),
            ]
            if self.limits:
                ends = (tests.lower, tests.upper)
                cells += [format_number(float(each[k]), digits) for each in ends]
            rows.append((name, tuple(cells)))
        table = SheetTable("Coefficients", tuple(heads), tuple(rows))
        return Sheet(self.title, self.facts, (table,), "Notes", self.notes)


@quiet
def summarise(fit: GlmResult, level: float | None) -> GlmSummary:
    """See `GlmResult.summary`."""
    if level is not None:
        require_level(level)
    settings = fit.settings
    gee = settings.corr != "independence"
    kind = "Generalised estimating equations" if gee else "Generalised linear model"
    title = f"{kind}: {fit.family}, link {fit.link}"
    tests = fit._wald(0.95 if level is None else level)
    return GlmSummary(title, _facts(fit), fit.table.names, tests, level is not None, fit.notes)


def _facts(fit: GlmResult) -> tuple[tuple[str, str], ...]:
    estimates, settings = fit._estimates, fit.settings
    total = estimates.data.n_total
    rows = ("Rows", str(fit.n_obs))
    if total != fit.n_obs:
        rows = ("Rows (used of all)", f"{fit.n_obs} of {total}")
    pairs = [("Formula", fit.model), rows]
    if fit.n_clusters is not None:
        pairs.append((f"Clusters [{estimates.data.cluster}]", str(fit.n_clusters)))
    if settings.corr != "independence":
        found = estimates.solution.correlation
        pairs.append(("Working correlation", f"{found.name}, rho {found.rho:.3f}"))
    pairs.append(("Dispersion", f"{fit.dispersion:.3f}"))
    title = fit.covariance.kind.title
    other = {"KC": "Kauermann & Carroll's", "MD": "Mancl & DeRouen's"}.get(settings.se.upper())
    pairs.append(("Standard errors", title if other is None else f"{title}, {other}"))
    if settings.se_form == "residuals":
        pairs.append(("Adjusted", "residuals"))
    df = fit.covariance.df
    if np.isfinite(df).any():
        left = settings.df == "J-p" or not fit.covariance.kind.has_df
        pairs.append(
            (
                "t tests",
                "clusters less parameters" if left else "Satterthwaite's degrees of freedom",
            )
        )
    return tuple(pairs)
