"""Measures of fit, standardized values and R² in the summary."""

from __future__ import annotations

import re
import warnings

import pytest
from reference import frame

import mlsem
from mlsem.report.cells import format_pvalue

MODEL = "level: 1\n f =~ y1 + y2 + y3\n f ~ x1\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ w1"
REASON = "likelihood-ratio tests, scaled ones above all, reject right models too often"


def fitted(clusters=None, **options):
    data = frame("demo.csv")
    if clusters is not None:
        data = data[data["cluster"] <= clusters]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(MODEL, data, cluster="cluster", **options)


def flat(text):
    return " ".join(str(text).split())


def whole(fit, **options):
    return fit.summary(fit_measures=True, standardized=True, rsquare=True, **options)


def test_numbers_stand_under_their_names():
    fit = fitted(estimator="MLR")
    found, text = fit.fit_measures(), str(whole(fit))
    rows = {
        "Test statistic": ("chisq", "chisq.scaled"),
        "Comparative Fit Index (CFI)": ("cfi", "cfi.scaled"),
        "Robust Tucker-Lewis Index (TLI)": ("tli.robust",),
        "Loglikelihood unrestricted model (H1)": ("unrestricted.logl",),
        "Sample-size adjusted Bayesian (SABIC)": ("bic2",),
        "P-value H_0: RMSEA >= 0.080": ("rmsea.notclose.pvalue", "rmsea.notclose.pvalue.scaled"),
        "Robust RMSEA": ("rmsea.robust",),
        "SRMR (between covariance matrix)": ("srmr_between",),
    }
    for label, names in rows.items():
        values = re.search(rf"^  {re.escape(label)} +(.*)$", text, re.MULTILINE)
        assert values is not None, label
        written = format_pvalue if "pvalue" in names[0] else "{:.3f}".format
        assert values[1].split() == [written(found[name]) for name in names]
    assert len({len(line) for line in text.splitlines() if line.startswith("  Robust")}) == 1


def test_columns_and_sections():
    fit = fitted()
    text, rows = str(whole(fit)), fit.parameter_estimates(standardized=True, rsquare=True)
    first = rows.iloc[0]
    line = next(line for line in text.splitlines() if line.startswith("    y1 "))
    assert line.split() == ["y1", "1.000", f"{first['std_lv']:.3f}", f"{first['std_all']:.3f}"]
    assert text.count("R-Square:\n                   Estimate  Std.Err\n") == 2
    assert "Std.lv" not in str(fit.summary(rsquare=True))
    assert "Comparative" not in str(fit.summary(standardized=True))
    assert "ci.upper   Std.lv  Std.all" in str(whole(fit, level=0.9))
    assert "x1" not in [row.name for row in whole(fit).document.rows if not row.group]


def test_with_few_clusters_the_score_test_leads_and_says_why():
    few, many = fitted(60, estimator="MLR"), fitted(estimator="MLR")
    text = flat(whole(few))
    assert text.index("(score test)") < text.index(REASON) < text.index("(likelihood ratio)")
    assert "With 60 clusters" in text
    text = flat(whole(many))
    assert text.index("(likelihood ratio)") < text.index("(score test)")
    assert REASON not in text


def test_html_has_the_same():
    html = whole(fitted(60, estimator="MLR"))._repr_html_()
    assert "<th>Standard</th><th>Scaled</th>" in html
    assert REASON in html
    assert '<th scope="col">Std.all</th>' in html
    assert html.count("R-Square") == 2


def test_a_single_level():
    data = frame("hs1939.csv")
    fit = mlsem.fit("visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9", data)
    text = str(whole(fit))
    assert "Scaled" not in text
    assert "  SRMR  " in text
    assert REASON not in flat(text)


def test_models_without_tests_of_fit():
    data = frame("article.csv")
    slopes = mlsem.lmm("y ~ x1 + (x1 | id)", data, REML=False)
    text = flat(whole(slopes))
    assert "no saturated model" in text
    assert "RMSEA" not in text
    assert "Akaike (AIC)" in text
    with pytest.raises(mlsem.InferenceError, match="REML=False"):
        whole(mlsem.lmm("y ~ x1 + (x1 | id)", data))
    restricted = mlsem.lmm("y ~ x1 + (x1 | id)", data).summary(standardized=True, rsquare=True)
    assert "Std.all" in str(restricted)


def test_a_model_without_degrees_of_freedom():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        text = "level: 1\n y1 ~~ y2\nlevel: 2\n y1 ~~ y2"
        fit = mlsem.fit(text, frame("demo.csv"), cluster="cluster", estimator="MLR")
    text = str(fit.summary(fit_measures=True, rsquare=True))
    assert "Degrees of freedom" in text
    assert "nan" not in text.lower()
    assert "R-Square" not in text
