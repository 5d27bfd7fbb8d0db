"""R scripts for surveys: weights, plausible values, imputations."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

import mlsem
from mlsem.porting.numbered import pattern_of_regex

SURVEYS = Path(__file__).parents[1] / "reference" / "surveys"
IMPUTED = 'a <- read.csv("a.csv")\nb <- read.csv("b.csv")\n'
REPLICATES = 'f <- svrepdesign(weights = ~w, repweights = "rw[0-9]+", data = a'
GLM = "s <- svydesign(ids = ~s, weights = ~w, data = a)\nf <- svyglm("
SINGLE = json.loads((SURVEYS / "single_level.json").read_text("utf-8"))
MIXPV = json.loads((SURVEYS / "mixpv.json").read_text("utf-8"))
WEMIX = json.loads((SURVEYS / "wemix.json").read_text("utf-8"))


def _run(script: str) -> dict[str, Any]:
    """The program's variables; it stands beside the data."""
    ported, names = mlsem.port(script), dict[str, Any]()
    assert ported.untranslated == 0, ported.notes
    with contextlib.chdir(SURVEYS), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(ported.code, "program.py", "exec"), names)
    return names


@pytest.mark.filterwarnings("ignore:'pv1math' is one of 5 plausible values")
@pytest.mark.parametrize(("name", "random"), [("ri", "1"), ("rs", "ses")])
def test_mix_gives_the_numbers_of_wemix(name: str, random: str) -> None:
    names = _run(
        f"""d <- read.csv("lsa_pv.csv")
m <- mix(pv1math ~ ses + private + girl + ({random} | school), data = d,
         weights = c("w_stu", "w_sch"))
summary(m)"""
    )
    fit, theirs = names["m"], WEMIX[f"{name}.unscaled"]
    for term, value in theirs["coef"].items():
        assert fit.fixef()[term] == pytest.approx(value, abs=1e-5 * theirs["se"][term])
        assert fit.bse[term] == pytest.approx(theirs["se"][term], rel=1e-5)


def test_mixpv_is_fit_many_of_plausible_values() -> None:
    """MLMusingR's estimates; its columns alone, not others of their pattern."""
    names = _run(
        """d <- read.csv("lsa_pv.csv")
m <- mixPV(pv1math + pv2math + pv3math + pv4math + pv5math ~ ses + private + girl + (1 | school),
           data = d, weights = c("w_stu", "w_sch"), mc = TRUE)
coef(m)
summary(m)"""
    )
    pooled = names["m"]
    for row in MIXPV["ri"][:4]:
        assert pooled.params[row["term"]] == pytest.approx(row["estimate"], abs=1e-4)
        assert pooled.bse[row["term"]] == pytest.approx(row["std.error"], rel=1e-4)
    code = mlsem.port(
        IMPUTED + "m <- mixPV(PV1MATH + PV2MATH ~ x + (1 | s), data = a, "
        'weights = c("u", "v"), cWeights = TRUE)'
    ).code
    assert 'plausible={"math": ["PV1MATH", "PV2MATH"]}' in code
    assert 'weights={"level1": "u", "level2": "v"}' in code
    odd = IMPUTED + 'm <- mixPV(y + z ~ x + (1 | s), data = a, weights = c("u", "v"))'
    assert 'plausible={"outcome": ["y", "z"]}' in mlsem.port(odd).code


@pytest.mark.parametrize(
    ("name", "design"),
    [
        ("svyglm_cluster", "svydesign(id = ~school, weights = ~w_stu, data = d)"),
        (
            "svyglm_strata",
            "svydesign(~school, strata = ~zone, weights = ~w_stu, data = d, nest = TRUE)",
        ),
        (
            "svyglm_fay_mse",
            'svrepdesign(data = d, weights = ~w_stu, repweights = "rw[0-9]+", type = "Fay", '
            "rho = 0.5, mse = TRUE)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:'pv1math' is one of 5 plausible values")
@pytest.mark.filterwarnings("ignore:.*replicate weights add up")
def test_svyglm_gives_the_numbers_of_survey(name: str, design: str) -> None:
    names = _run(
        f"""d <- read.csv("lsa_pv.csv")
des <- {design}
m <- svyglm(pv1math ~ ses + private + girl, des, family = gaussian())
summary(m)
confint(m)"""
    )
    terms = ["pv1math~1", "pv1math~ses", "pv1math~private", "pv1math~girl"]
    assert names["m"].params[terms].tolist() == pytest.approx(SINGLE[name]["est"], rel=1e-6)
    assert names["m"].bse[terms].tolist() == pytest.approx(SINGLE[name]["se"], rel=1e-6)


def test_designs_are_keywords() -> None:
    """Of rows alone errors have N/(N - 1); products are written out, replicates may be named."""
    code = mlsem.port(
        'd <- read.csv("d.csv")\n'
        "f <- svyglm(y ~ x * z + 1, svydesign(ids = ~1, weights = ~w, data = d))\n"
        "s <- svrepdesign(data = d, weights = ~w, repweights = ~r1 + r2, type = 'JK1')\n"
        "g <- svyglm(y ~ x:z, design = s)"
    ).code
    call = 'mlsem.fit("y ~ x + z + x:z", d, weights="w", se="CR1", meanstructure=True)'
    assert call in " ".join(code.split()).replace("( ", "(").replace(" )", ")")
    assert 's = {"weights": "w", "replicates": mlsem.JK1(["r1", "r2"])}' in code
    assert 'g = mlsem.fit("y ~ x:z", d, **s, meanstructure=True)' in code


def test_a_design_of_data_that_changed_is_not_used() -> None:
    ported = mlsem.port(
        'd <- read.csv("d.csv")\ns <- svydesign(ids = ~s, weights = ~w, data = d)\n'
        "d$y <- d$y * 2\nf <- svyglm(y ~ x, s)"
    )
    assert ported.untranslated == 1
    assert any("has changed" in note for note in ported.notes)


def test_imputations_are_a_list() -> None:
    code = mlsem.port(
        IMPUTED + 'f <- sem.mi("y ~ x", data = list(a, b), cluster = "id", estimator = "MLR")\n'
        "summary(f)\nvcov(f)"
    ).code
    call = 'mlsem.fit_many("y ~ x", [a, b], cluster="id", estimator="MLR", meanstructure=True)'
    assert f"f = {call}" in " ".join(code.split()).replace("( ", "(").replace(", )", ")")
    assert "print(f.summary())" in code


def test_sampling_weights_of_one_level() -> None:
    code = mlsem.port(
        'd <- read.csv("d.csv")\nf <- sem("y ~ x", data = d, sampling.weights = "w")'
    ).code
    assert 'f = mlsem.sem("y ~ x", d, weights="w")' in code


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ('f <- sem.mi("y ~ x", data = imps)', "write each of them by write.csv()"),
        ('f <- growth.mi("y ~ x", data = list(a, b))', "defaults of sem"),
        ("f <- mix(y ~ x + (1 | s), data = a, weights = w)", "does not say before what w is"),
        ('f <- mix(y ~ x + (1 | s), data = a, weights = c("w"))', "two names of columns"),
        ('f <- mix(y ~ x + (1 | s/t), data = a, weights = c("u", "v"))', "one grouping factor"),
        ('f <- mixPV(y ~ x + (1 | s), data = a, weights = c("u", "v"))', "pv1 + pv2 ~ x"),
        ("f <- svydesign(ids = ~s, probs = ~p, data = a)", "a column with 1/probs"),
        ("f <- svydesign(ids = ~s, fpc = ~n, data = a)", "finite populations"),
        ("f <- svydesign(ids = ~s, weights = 1 / a$p, data = a)", "no formula of columns"),
        (f'{REPLICATES}, type = "JKn")', "mlsem.JK1 and mlsem.JK2"),
        (f'{REPLICATES}, type = "BRR", scale = 0.1)', "that of the method"),
        (f'{REPLICATES}, type = "Fay")', "no rho"),
        (f"{REPLICATES}, combined.weights = FALSE)", "multiply the replicates"),
        ("f <- svrepdesign(weights = ~w, repweights = a[, 5:9], data = a)", "regular expression"),
        ('f <- svrepdesign(weights = ~w, repweights = "r(w|v)", data = a)', "regular expression"),
        (f"{GLM}y ~ x, s, family = quasibinomial())", "mlsem.glm has other families"),
        (f"{GLM}y ~ factor(x), s)", "of 0 and 1 for a factor"),
        (f"{GLM}log(y) ~ x, s)", "no column: make one of it"),
        (f"{GLM}y ~ x, s, subset = x > 1)", "choose the rows"),
        (f"{GLM}y ~ x, a)", "none of svydesign"),
        ("f <- svymean(~y, s)", 'mlsem.fit("y ~ 1"'),
        (
            'f <- sem("level: 1\\n y ~ x\\nlevel: 2\\n y ~ z", data = a, sampling.weights = "w")',
            "with two levels those of both",
        ),
    ],
)
def test_what_is_not_translated_is_said(statement: str, said: str) -> None:
    ported = mlsem.port(IMPUTED + statement)
    assert ported.untranslated == 1
    assert any(said in note for note in ported.notes), ported.notes
    assert "f = mlsem" not in ported.code
    assert "f = {" not in ported.code


@pytest.mark.parametrize(
    ("regex", "pattern"),
    [
        ("rw[0-9]+", "rw{}"),
        ("^W_FSTR[1-9]", "W_FSTR{}"),
        (r"w.rep\d+$", "w.rep{}"),
        ("rw[1-9]+_x", "rw{}_x"),
        ("rw", None),
        ("r[wv][0-9]+", None),
        ("(rw|w)[0-9]", None),
    ],
)
def test_regular_expressions_of_numbered_columns(regex: str, pattern: str | None) -> None:
    assert pattern_of_regex(regex) == pattern
