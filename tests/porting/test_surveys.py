"""R scripts for surveys: weights, plausible values, imputations."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

import mlsem

SURVEYS = Path(__file__).parents[1] / "reference" / "surveys"
IMPUTED = 'a <- read.csv("a.csv")\nb <- read.csv("b.csv")\n'
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
        ("f <- svydesign(ids = ~s, weights = ~w, data = a)", "svyglm of a continuous"),
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
    assert "f =" not in ported.code
