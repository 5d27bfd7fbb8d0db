"""What a summary of a mixed model of three levels says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.report.document import HeaderBlock
from mlsem.results.mixed.summarise import correlations, number
from mlsem.results.mixed.summary import FixedEffects, MixedSummary
from mlsem.results.result import PROFILED
from mlsem.results.summary import DF_NAMES

if TYPE_CHECKING:
    from mlsem.core.records import Array
    from mlsem.results.nested.result import NestedResult
    from mlsem.results.result import CiKind


@quiet
def summarise(
    fit: NestedResult, level: float | None, ci: CiKind, *, rsquare: bool, correlation: bool
) -> MixedSummary:
    """See `NestedResult.summary`."""
    if level is not None:
        require_level(level)
    own = fit._estimates
    count, names = len(own.data.fixed), fit.table.names
    tests = fit._wald(0.95 if level is None else level)
    beside: tuple[tuple[str, Array], ...] = ()
    limits: tuple[tuple[str, float, float, float], ...] = ()
    notes = fit.notes
    if level is not None or ci == "profile":
        frame = fit.conf_int(0.95 if level is None else level, ci)
        lower, upper = (frame[side].to_numpy() for side in ("lower", "upper"))
        beside = (("ci.lower", lower[:count]), ("ci.upper", upper[:count]))
        limits = tuple(
            (names[k], float(tests.est[k]), float(lower[k]), float(upper[k]))
            for k in range(count, len(names))
        )
    if ci == "profile":
        notes = (*notes, PROFILED)
    fixed = FixedEffects(
        names=own.data.fixed,
        est=tests.est[:count],
        se=tests.se[:count],
        df=fit.covariance.df[:count],
        stat=tests.stat[:count],
        pvalue=tests.pvalue[:count],
        beside=beside,
        correlation=correlations(fit.covariance, count) if correlation else None,
    )
    blocks: tuple[HeaderBlock, ...] = ()
    if rsquare:
        found = fit.r_squared()
        rows = (("Marginal", found.marginal), ("Conditional", found.conditional))
        blocks = (HeaderBlock("R-squared", tuple((name, f"{each:.3f}") for name, each in rows)),)
    kind = "REML" if own.restricted else "maximum likelihood"
    ended = "" if fit.converged else " that did NOT converge"
    title = f"Linear mixed model of three levels by {kind}{ended}"
    return MixedSummary(title, _facts(fit), fit.VarCorr(), limits, fixed, blocks, notes)


def _facts(fit: NestedResult) -> tuple[tuple[str, str], ...]:
    own, covariance = fit._estimates, fit.covariance
    pairs = [("Formula", fit.model), ("Rows", str(fit.n_obs))]
    if own.data.n_total != fit.n_obs:
        pairs[-1] = ("Rows (used of all)", f"{fit.n_obs} of {own.data.n_total}")
    pairs += [(f"Groups [{name}]", str(count)) for name, count in fit.n_groups.items()]
    if own.restricted:
        criterion = -2.0 * fit.loglik if fit.converged else np.nan
        pairs.append(("REML criterion", number(criterion)))
    else:
        pairs.append(("Log-likelihood", number(fit.loglik)))
    of = " (restricted)" if own.restricted else ""
    pairs += [(f"AIC{of}", number(fit.aic)), (f"BIC{of}", number(fit.bic))]
    pairs.append(("Standard errors", covariance.kind.title))
    if covariance.form:
        pairs.append(("Information", covariance.form))
    if fit.df_method is not None:
        pairs.append(("t tests of fixed effects", DF_NAMES[fit.df_method]))
    elif np.isfinite(covariance.df).any():
        pairs.append(("t tests", covariance.kind.df_words))
    if covariance.kind.sandwich:
        pairs.append((f"Robust clusters [{own.data.upper.name}]", str(fit.n_clusters)))
    return tuple(pairs)
