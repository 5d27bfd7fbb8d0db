"""What a summary of a mixed model says: facts and numbers of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.report.document import HeaderBlock
from mlsem.results.mixed.parts import parts_of
from mlsem.results.mixed.summary import FixedEffects, MixedSummary
from mlsem.results.mixed.varcorr import variances
from mlsem.results.summary import DF_NAMES, Facts
from mlsem.results.tables import random_slopes

if TYPE_CHECKING:
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.results.mixed.result import MixedResult
    from mlsem.results.r_squared import RSquared


@dataclass(frozen=True, slots=True)
class Wanted:
    """What beside the usual a summary is asked for.

    Attributes
    ----------
    limits : bool
        Of confidence, at `level`, of the kind `ci`.
    """

    level: float
    limits: bool
    ci: Any
    measures: bool
    standardized: bool
    rsquare: bool
    correlation: bool


@quiet
def summarise(fit: MixedResult, facts: Facts, wanted: Wanted) -> MixedSummary:
    """See `MixedResult.summary`.

    Raises
    ------
    InferenceError
        What was asked for does not exist.
    """
    estimates = fit._estimates
    parts = parts_of(estimates)
    count, names = len(parts.fixed), fit.table.names
    tests = fit._wald(wanted.level)
    beside, limits = [], ()
    if wanted.limits:
        frame = fit.conf_int(wanted.level, wanted.ci)
        lower, upper = (frame[side].to_numpy() for side in ("lower", "upper"))
        beside += [("ci.lower", lower[:count]), ("ci.upper", upper[:count])]
        limits = tuple(
            (names[k], float(fit.estimates[k]), float(lower[k]), float(upper[k]))
            for k in range(count, len(names))
        )
    if wanted.standardized:
        beside += _standardized(fit, count, wanted.level)
    fixed = FixedEffects(
        names=parts.fixed,
        est=tests.est[:count],
        se=tests.se[:count],
        df=fit.covariance.df[:count],
        stat=tests.stat[:count],
        pvalue=tests.pvalue[:count],
        beside=tuple(beside),
        correlation=correlations(fit.covariance, count) if wanted.correlation else None,
    )
    blocks: tuple[HeaderBlock, ...] = ()
    if wanted.measures:
        from mlsem.results.measures import measure_blocks

        blocks += measure_blocks(fit._models)
    if wanted.rsquare:
        blocks += (_shares(fit.r_squared(wanted.level)),)
    kind = "REML" if facts.restricted else "maximum likelihood"
    ended = "" if facts.converged else " that did NOT converge"
    title = f"Linear mixed model by {kind}{ended}"
    return MixedSummary(
        title, _facts(fit, facts), variances(parts), limits, fixed, blocks, facts.notes
    )


def _facts(fit: MixedResult, facts: Facts) -> tuple[tuple[str, str], ...]:
    pairs = [("Formula", fit.model), ("Rows", str(facts.n_obs))]
    if facts.n_rows != facts.n_obs:
        pairs[-1] = ("Rows (used of all)", f"{facts.n_obs} of {facts.n_rows}")
    pairs.append((f"Groups [{facts.cluster}]", str(facts.n_clusters)))
    pairs += facts.sampling
    by = fit._residual_columns
    pairs += [("Residual variances by", ", ".join(by))] if by else []
    if facts.restricted:
        criterion = -2.0 * facts.loglik if facts.converged else np.nan
        pairs.append(("REML criterion", number(criterion)))
    else:
        pairs.append(("Log-likelihood", number(facts.loglik)))
    of = " (restricted)" if facts.restricted else ""
    pairs += [(f"AIC{of}", number(facts.aic)), (f"BIC{of}", number(facts.bic))]
    pairs.append(("Standard errors", facts.se.title))
    if facts.form:
        pairs.append((facts.se.form_word, facts.form))
    if facts.df_method is not None:
        pairs.append(("t tests of fixed effects", DF_NAMES[facts.df_method]))
    elif np.isfinite(fit.covariance.df).any():
        pairs.append(("t tests", facts.se.df_words))
    if facts.n_robust is not None:
        pairs.append((f"Robust clusters [{facts.robust}]", str(facts.n_robust)))
    return tuple(pairs)


def number(value: float) -> str:
    """With three decimals, where it is one."""
    return "not available" if isnan(value) else f"{value:.3f}"


def correlations(covariance: Covariance, count: int) -> Any:
    """Of the first estimates."""
    matrix = covariance.matrix[:count, :count]
    se = np.sqrt(np.where(np.diagonal(matrix) > 0.0, np.diagonal(matrix), np.nan))
    return matrix / se / se[:, None]


def _standardized(fit: MixedResult, count: int, level: float) -> list[tuple[str, Any]]:
    """Of the fixed effects, those of random slopes among them, whose means are no paths."""
    columns = fit._extended(fit._columns(level), level, True, False)
    place = {row.free: k for k, row in enumerate(fit.table.rows) if 0 <= row.free < count}
    slopes = {slope.name: slope.carrier for slope in fit.table.slopes}
    for k, name in random_slopes(fit.table).items():
        effect = slopes[name]
        if effect in fit.table.names[:count]:
            place[fit.table.names.index(effect)] = k
    return [
        (head, np.array([columns[field][place[k]] for k in range(count)], dtype=float))
        for head, field in (("Std.lv", "std_lv"), ("Std.all", "std_all"))
    ]


def _shares(found: RSquared) -> HeaderBlock:
    rows = []
    if found.mixed is not None:
        rows += [("Marginal", f"{found.mixed.marginal:.3f}")]
        rows += [("Conditional", f"{found.mixed.conditional:.3f}")]
    rows += [
        (f"{name}, level {level}", number(value))
        for name, level, value in zip(found.variables, found.levels, found.values, strict=True)
    ]
    return HeaderBlock("R-squared", tuple(rows))
