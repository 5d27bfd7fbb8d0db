"""Measures of fit as blocks of a summary's header, in lavaan's layout."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

from mlsem.inference.fit.models import FitModels
from mlsem.inference.fit.run import Measures, fit_measures
from mlsem.report.cells import format_pvalue
from mlsem.report.document import HeaderBlock

FEW = 100  # clusters below which the score test comes first
HEADS = ("Standard", "Scaled")


def measure_blocks(models: FitModels) -> tuple[HeaderBlock, ...]:
    """Of a fit.

    Raises
    ------
    InferenceError
        There are no measures of fit; says why.
    """
    measures, estimates = fit_measures(models), models.estimates
    if "chisq" not in measures:
        why = f"With {estimates.table.differing} there is no saturated model that the model could "
        return _likelihood(
            measures, why + "be tested against, and so no test of fit and no indices."
        )
    clusters = len(estimates.cluster_labels) if estimates.clustered else None
    few = clusters is not None and clusters < FEW
    score, ratio = _score(measures, clusters if few else None), _likelihood_ratio(measures, models)
    tests = (*score, ratio) if few else (ratio, *score)
    comparisons = _comparisons(measures) if "cfi" in measures else ()
    return (
        *tests,
        *comparisons,
        *_likelihood(measures),
        *_approximation(measures),
        _residuals(measures),
    )


def _score(measures: Measures, clusters: int | None) -> tuple[HeaderBlock, ...]:
    """With the reason, where it comes first for there are only so many clusters."""
    if isnan(measures["chisq.score"]):
        return ()
    rows = (
        ("Test statistic", _number(measures["chisq.score"])),
        ("Degrees of freedom", str(int(measures["df.score"]))),
        *_unless_missing("P-value (Chi-square)", measures, "pvalue.score"),
        *_unless_missing("Scaling factor", measures, "chisq.score.scaling.factor"),
    )
    words = ""
    if clusters is not None:
        words = (
            f"With {clusters} clusters, read this test first: with few clusters likelihood-ratio "
            "tests, scaled ones above all, reject right models too often; the score test keeps "
            "nearer to its level (docs/studies/fit_tests.md)."
        )
    return (HeaderBlock("Model Test User Model (score test):", rows, words=words),)


def _likelihood_ratio(measures: Measures, models: FitModels) -> HeaderBlock:
    title = "Model Test User Model (likelihood ratio):"
    block = _chi_square(title, measures, "")
    if not models.estimates.table.groups:
        return block
    factor = measures.get("chisq.scaling.factor", 1.0)
    parts = [
        (f"  {group.label}", *map(_number, [part, part / factor][: len(_heads(measures)) or 1]))
        for group, part in models.contributions()
    ]
    return replace(block, rows=(*block.rows, ("Test statistic for each group:", ""), *parts))


def _chi_square(title: str, measures: Measures, prefix: str) -> HeaderBlock:
    name = f"{prefix}chisq"
    rows = [
        _row("Test statistic", measures, name),
        ("Degrees of freedom", *[str(int(measures[f"{prefix}df"]))] * len(_heads(measures) or "1")),
    ]
    if measures[f"{prefix}df"] > 0:
        rows.append(_row("P-value (Chi-square)", measures, f"{prefix}pvalue"))
        if _heads(measures):
            factor = measures[f"{name}.scaling.factor"]
            rows.append(("Scaling factor (Yuan-Bentler)", "", _number(factor)))
    return HeaderBlock(title, tuple(rows), _heads(measures))


def _comparisons(measures: Measures) -> tuple[HeaderBlock, ...]:
    robust = ()
    if _heads(measures):
        rows = (
            ("Robust Comparative Fit Index (CFI)", "", _number(measures["cfi.robust"])),
            ("Robust Tucker-Lewis Index (TLI)", "", _number(measures["tli.robust"])),
        )
        robust = (HeaderBlock("", rows),)
    indices = (
        _row("Comparative Fit Index (CFI)", measures, "cfi"),
        _row("Tucker-Lewis Index (TLI)", measures, "tli"),
    )
    return (
        _chi_square("Model Test Baseline Model:", measures, "baseline."),
        HeaderBlock("User Model versus Baseline Model:", indices, _heads(measures)),
        *robust,
    )


def _likelihood(measures: Measures, words: str = "") -> tuple[HeaderBlock, ...]:
    rows: list[tuple[str, ...]] = [("Loglikelihood user model (H0)", _number(measures["logl"]))]
    if "scaling.factor.h0" in measures:
        rows.append(("Scaling factor (MLR)", "", _number(measures["scaling.factor.h0"])))
    if "unrestricted.logl" in measures:
        unrestricted = _number(measures["unrestricted.logl"])
        rows.append(("Loglikelihood unrestricted model (H1)", unrestricted))
    if "scaling.factor.h1" in measures:
        rows.append(("Scaling factor (MLR)", "", _number(measures["scaling.factor.h1"])))
    criteria = (
        ("Akaike (AIC)", _number(measures["aic"])),
        ("Bayesian (BIC)", _number(measures["bic"])),
        ("Sample-size adjusted Bayesian (SABIC)", _number(measures["bic2"])),
    )
    title = "Loglikelihood and Information Criteria:"
    return HeaderBlock(title, tuple(rows)), HeaderBlock("", criteria, words=words)


def _approximation(measures: Measures) -> tuple[HeaderBlock, ...]:
    title = "Root Mean Square Error of Approximation:"
    own = HeaderBlock(title, _rmsea(measures, "RMSEA", ""), _heads(measures))
    if not _heads(measures):
        return (own,)
    robust = _rmsea(measures, "Robust RMSEA", ".robust")
    return (own, HeaderBlock("", robust)) if robust else (own,)


def _rmsea(measures: Measures, name: str, suffix: str) -> tuple[tuple[str, ...], ...]:
    """The usual and the scaled one, or the robust one in the place of the scaled."""
    labels = {
        "rmsea": name,
        "rmsea.ci.lower": "90 Percent confidence interval - lower",
        "rmsea.ci.upper": "90 Percent confidence interval - upper",
        "rmsea.pvalue": "P-value H_0: RMSEA <= 0.050",
        "rmsea.notclose.pvalue": "P-value H_0: RMSEA >= 0.080",
    }
    known = (suffix,) if suffix else ("", ".scaled")
    shown = [key for key in labels if not all(isnan(measures.get(key + s, nan)) for s in known)]
    if suffix:
        return tuple((labels[key], "", _written(key, measures[key + suffix])) for key in shown)
    return tuple(_row(labels[key], measures, key) for key in shown)


def _residuals(measures: Measures) -> HeaderBlock:
    if "srmr_level3" in measures:
        rows = tuple(
            (f"SRMR (level {level})", _number(measures[f"srmr_level{level}"]))
            for level in (1, 2, 3)
        )
    elif "srmr_within" in measures:
        rows = (
            ("SRMR (within covariance matrix)", _number(measures["srmr_within"])),
            ("SRMR (between covariance matrix)", _number(measures["srmr_between"])),
        )
    else:
        rows = (("SRMR", _number(measures["srmr"])),)
    return HeaderBlock("Standardized Root Mean Square Residual:", rows)


def _heads(measures: Measures) -> tuple[str, ...]:
    return HEADS if "chisq.scaled" in measures else ()


def _row(label: str, measures: Measures, name: str) -> tuple[str, ...]:
    """The usual and the scaled value, if there is one."""
    cells = [_written(name, measures[name])]
    if _heads(measures):
        cells.append(_written(name, measures[f"{name}.scaled"]))
    return (label, *cells)


def _unless_missing(label: str, measures: Measures, name: str) -> tuple[tuple[str, str], ...]:
    value = measures[name]
    return () if isnan(value) else ((label, _written(name, value)),)


def _written(name: str, value: float) -> str:
    return format_pvalue(value) if "pvalue" in name else _number(value)


def _number(value: float) -> str:
    return "" if isnan(value) else f"{value:.3f}"
