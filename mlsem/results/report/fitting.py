"""How well the model fits: tests and indices, and what may be said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan

from mlsem.errors import InferenceError
from mlsem.report.cells import p_words
from mlsem.report.page.records import (
    Column,
    Facts,
    Paragraph,
    Part,
    Section,
    Subsection,
    Table,
    Verdict,
    Verdicts,
)
from mlsem.results.measures import FEW
from mlsem.results.report.context import Context, tried

Measures = Mapping[str, float]
ALPHA = 0.05
TESTS = (  # name; χ², df, p and scaling factor among the measures
    ("Score test", "chisq.score", "df.score", "pvalue.score", "chisq.score.scaling.factor"),
    ("Likelihood ratio", "chisq", "df", "pvalue", ""),
    (
        "Likelihood ratio, scaled (Yuan-Bentler)",
        "chisq.scaled",
        "df.scaled",
        "pvalue.scaled",
        "chisq.scaling.factor",
    ),
    ("Baseline model, likelihood ratio", "baseline.chisq", "baseline.df", "baseline.pvalue", ""),
)
INDICES = (
    ("CFI", "cfi", "cfi.robust"),
    ("TLI", "tli", "tli.robust"),
    ("RMSEA", "rmsea", "rmsea.robust"),
    ("RMSEA, lower limit (90 %)", "rmsea.ci.lower", "rmsea.ci.lower.robust"),
    ("RMSEA, upper limit (90 %)", "rmsea.ci.upper", "rmsea.ci.upper.robust"),
    ("SRMR", "srmr", ""),
    ("SRMR within clusters", "srmr_within", ""),
    ("SRMR between clusters", "srmr_between", ""),
)
CUSTOM = (
    "Customary values (CFI at least .95, RMSEA at most .06, SRMR at most .08; Hu & Bentler, 1999) "
    "come from simulations of factor models of one level. They are no tests, and a model that "
    "meets them may still be wrong."
)
CHANCE = "That is no proof that the model is right: other models may fit as well."


def fit_section(context: Context) -> Section:
    parts: list[Part | Subsection] = []
    parts += tried("Tests of fit and indices", lambda: _parts(context))
    parts.append(Subsection("Log-likelihood and information criteria", (_likelihood(context),)))
    return Section("fit", "Fit", tuple(parts))


def _likelihood(context: Context) -> Part:
    fit = context.fit
    of = "Restricted log-likelihood" if context.restricted else "Log-likelihood"
    values = ((of, fit.loglik), ("AIC", fit.aic), ("BIC", fit.bic))
    rows = [(name, "not available" if isnan(value) else f"{value:.3f}") for name, value in values]
    rows += [("Free parameters", str(fit.n_params)), ("Rows", f"{fit.n_obs:,}")]
    if context.restricted:
        said = "compare by it models with the same fixed effects only"
        rows.append(("REML", said))
    return Facts(tuple(rows))


def _parts(context: Context) -> Iterator[Part]:
    if context.restricted:
        raise InferenceError(
            "restricted maximum likelihood has no test against a saturated model. Compare nested "
            "models by mlsem.lr_test."
        )
    measures: Measures = context.fit.fit_measures().to_dict()
    if "chisq" not in measures:
        yield Paragraph(
            f"With {context.fit.table.differing} there is no saturated model that the model could "
            "be tested against, and so no test of fit and no indices. Compare nested models by "
            "mlsem.lr_test."
        )
        return
    yield Verdicts(tuple(_verdicts(context, measures)))
    if measures["df"] > 0:
        yield tests_table(measures)
        yield indices_table(measures)
        if context.two_level:
            yield from _of_levels(context)


def tests_table(measures: Measures) -> Table:
    columns = (Column("Test", "name"), Column("χ²"), Column("df", "count"), Column("p", "p"))
    rows = tuple(
        (name, *(measures.get(key) for key in keys))
        for name, *keys in TESTS
        if not isnan(measures.get(keys[0], float("nan")))
    )
    return Table("Tests of fit", (*columns, Column("Scaling factor")), rows)


def indices_table(measures: Measures) -> Table:
    rows = tuple(
        (name, measures[key], measures.get(robust))
        for name, key, robust in INDICES
        if key in measures and not (key == "srmr" and "srmr_within" in measures)
    )
    columns = (Column("Index", "name"), Column("Value"), Column("Robust"))
    if all(robust is None for _, _, robust in rows):
        rows, columns = tuple(row[:2] for row in rows), columns[:2]
    return Table("Indices of fit", columns, rows)


def _of_levels(context: Context) -> Iterator[Part]:
    """Fit at each level, the other one saturated."""
    names = ("chisq", "df", "pvalue", "cfi", "rmsea")
    rows = []
    for level in (1, 2):
        found = context.fit.fit_measures(level=level)
        srmr = found.get("srmr_within" if level == 1 else "srmr_between")
        rows.append((context.level_title(level).capitalize(), *(found.get(n) for n in names), srmr))
    columns = (Column("Level", "name"), Column("χ²"), Column("df", "count"), Column("p", "p"))
    columns += (Column("CFI"), Column("RMSEA"), Column("SRMR"))
    note = (
        "Each level by itself, the other one saturated (Ryu & West, 2009), by likelihood ratios "
        "that are not scaled. Indices of the whole model are ruled by level 1, which has most of "
        "the data."
    )
    yield Table("Fit of each level", columns, tuple(rows), note)


# --- in words -------------------------------------------------------------------------------------


def _verdicts(context: Context, measures: Measures) -> Iterator[Verdict]:
    if measures["df"] == 0:
        yield Verdict(
            "note",
            "The model is saturated.",
            "It has as many parameters as there are moments, and reproduces them whatever they "
            "are: nothing about it can be tested.",
        )
        return
    yield _of_test(context, measures)
    values = [f"CFI {measures['cfi']:.3f}"] if _known(measures, "cfi") else []
    values += [f"RMSEA {_rmsea(measures)}"] if _known(measures, "rmsea") else []
    values += [
        f"{name} {measures[key]:.3f}"
        for name, key in (
            ("SRMR within", "srmr_within"),
            ("SRMR between", "srmr_between"),
            *([] if "srmr_within" in measures else [("SRMR", "srmr")]),
        )
        if key in measures and not isnan(measures[key])
    ]
    yield Verdict("note", f"{', '.join(values)}.", CUSTOM)


def _known(measures: Measures, name: str) -> bool:
    """Whether there is such a measure; some that have the unit of weights are NaN with these."""
    return not isnan(measures.get(name, float("nan")))


def _rmsea(measures: Measures) -> str:
    robust = ".robust" if _known(measures, "rmsea.robust") else ""
    value, lower, upper = (
        measures[f"rmsea{part}{robust}"] for part in ("", ".ci.lower", ".ci.upper")
    )
    return f"{value:.3f} (90 % interval {lower:.3f} to {upper:.3f})"


def _of_test(context: Context, measures: Measures) -> Verdict:
    """What the test says that is to be read first."""
    clusters = context.fit.n_clusters
    few = clusters is not None and clusters < FEW
    order = ("chisq.score", "chisq.scaled", "chisq") if few else ("chisq.scaled", "chisq")
    key = next(each for each in order if not isnan(measures.get(each, float("nan"))))
    name, _, df, p, _ = next(test for test in TESTS if test[1] == key)
    pvalue = measures[p]
    said = f"{name}: χ²({measures[df]:.0f}) = {measures[key]:.2f}, {p_words(pvalue)}."
    if few and key == "chisq.score":
        said += (
            f" With {clusters} clusters it is the test to be read first: likelihood-ratio tests "
            "reject right models too often there."
        )
    if pvalue < ALPHA:
        words = (
            f"{said} Data as far from the model would be rare if it were right. With many rows "
            "small departures show, too: see the residuals and modification indices below for "
            "which they are, and whether they matter."
        )
        return Verdict("caution", "The test of fit speaks against the model.", words)
    return Verdict("good", "The test of fit finds nothing against the model.", f"{said} {CHANCE}")
