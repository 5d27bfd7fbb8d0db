"""What stands below the parameters of several fits: measures, and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, isnan
from typing import TYPE_CHECKING

from mlsem.errors import InferenceError, OptionValueError, listed, nearest
from mlsem.report.cells import format_pvalue
from mlsem.report.export.grid import GridRow
from mlsem.results.pooled.common import Pooled
from mlsem.results.summary import DF_NAMES
from mlsem.results.summary_table.records import Asked, Column, method_of

if TYPE_CHECKING:
    from mlsem.results.generalized.result import GlmResult
    from mlsem.results.result import FitResult
    from mlsem.results.summary_table.records import AnyFit

MEASURES = {
    "n_obs": "Observations",
    "n_clusters": "Clusters",
    "n_params": "Parameters",
    "loglik": "Log-likelihood",
    "aic": "AIC",
    "bic": "BIC",
    "chisq": "χ²",
    "df": "df",
    "pvalue": "p (χ²)",
    "cfi": "CFI",
    "tli": "TLI",
    "rmsea": "RMSEA",
    "srmr": "SRMR",
    "srmr_within": "SRMR (within)",
    "srmr_between": "SRMR (between)",
}
OWN = ("n_obs", "n_clusters", "n_params", "loglik", "aic", "bic")  # of every fit
UNDER = {
    "se": "standard errors in parentheses",
    "ci": "{:g} % confidence intervals in brackets",
    "t": "t or z statistics",
    "p": "p values",
    "df": "degrees of freedom",
}
STARS = "* p < .05, ** p < .01, *** p < .001."
RESTRICTED = (
    "Log-likelihood, AIC and BIC of REML are restricted ones: they compare with those of other "
    "REML fits with the same fixed effects, and with no others."
)


def measure_rows(fits: Sequence[AnyFit], asked: Asked) -> Iterator[GridRow]:
    known = _beyond(fits) if set(asked.measures) - {*OWN} else [{} for _ in fits]
    for name in asked.measures:
        if name not in OWN and not any(name in measures for measures in known):
            choices = list(dict.fromkeys([*OWN, *(each for own in known for each in own)]))
            raise OptionValueError(
                f"fit_measures={name!r}: no fit has such a measure." + nearest(name, choices)
                or f" There are {listed(choices, 40)}."
            )
        values = [
            getattr(fit, name, None) if name in OWN else measures.get(name)
            for fit, measures in zip(fits, known, strict=True)
        ]
        cells = [_measure(name, value, asked.digits) for value in values]
        if any(cells):
            yield GridRow((MEASURES.get(name, name), *cells), "measure")


def _beyond(fits: Sequence[AnyFit]) -> list[Mapping[str, float]]:
    """The measures of fit of those fits that have them: of REML and some models there are none.

    Raises
    ------
    InferenceError
        No fit has any; says why the first has not.
    """
    found: list[Mapping[str, float]] = []
    reasons: list[InferenceError] = []
    for fit in fits:
        try:
            measures: dict[str, float] = method_of(fit, "fit_measures")().to_dict()
            found.append(measures)
        except InferenceError as error:
            found.append({})
            reasons.append(error)
    if len(reasons) == len(fits):
        raise reasons[0]
    return found


def _measure(name: str, value: float | None, digits: int) -> str:
    if value is None or isnan(value):
        return ""
    if name.startswith("n_") or (name.endswith("df") and float(value).is_integer()):
        return f"{value:.0f}"
    if "pvalue" in name:
        return format_pvalue(value, digits)
    return f"{value:.{digits}f}"


def notes_of(columns: Sequence[Column], names: Sequence[str], asked: Asked) -> Iterator[str]:
    if asked.standardized is not None:
        yield f"Standardized estimates ({asked.standardized})."
    under = [UNDER[each].format(100 * asked.level) for each in asked.statistics]
    if under:
        text = "; ".join(under)
        yield f"Below the estimates: {text}."
    for column, name in zip(columns, names, strict=True):
        yield f"{name}: {_about(column)}"
    slopes = dict.fromkeys(path for column in columns for path in column.slopes)
    if slopes:
        with_slopes = [n for c, n in zip(columns, names, strict=True) if c.slopes]
        yield f"{', '.join(slopes)}: the mean of a random slope in {', '.join(with_slopes)}."
    compared = len(columns) > 1 and {"loglik", "aic", "bic"} & {*asked.measures}
    if compared and any(column.fit.settings.estimator == "REML" for column in columns):
        yield RESTRICTED
    if asked.stars:
        yield STARS


def _about(column: Column) -> str:
    """The estimator, the standard errors and where degrees of freedom come from."""
    fit = column.fit
    pooled = isinstance(fit, Pooled)
    estimator = fit.settings.estimator
    estimator = "ML" if estimator == "MLR" else estimator
    kind = fit.covariance.kind
    title = "model-based" if kind.model_based else f"{kind.title[0].lower()}{kind.title[1:]}"
    of = "" if kind.replicated else " information"
    form = f", {fit.covariance.form}{of}" if fit.covariance.form else ""
    errors = f"standard errors {title}{form}"
    df = [
        line["df"]
        for key, line in column.cells.items()
        if key[2] != "~~" and line["se"] > 0.0 and isfinite(line["df"])
    ]
    if df:
        method = "pooled degrees of freedom" if pooled else _df_method(fit)
        least, most = f"{min(df):.1f}", f"{max(df):.1f}"
        spread = least if least == most else f"{least} to {most}"
        tests = f"t tests with {method} ({spread})"
    else:
        tests = "z tests"
    state = "" if fit._estimates.converged else " NOT converged: these are no estimates."
    several = f"{len(fit.used)} fits pooled by Rubin's rules; " if pooled else ""
    return f"{several}{estimator}; {errors}; {tests}.{state}"


def _df_method(fit: FitResult | GlmResult) -> str:
    return DF_NAMES.get(fit.df_method or "", fit.covariance.kind.df_words)
