"""Ten tasks of a first hour, from a file to a table in a paper, with what the start page says."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mlsem
from mlsem.cli.main import OK, main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "start.md").read_text("utf-8") + (ROOT / "README.md").read_text("utf-8")
MODEL = """
level: 1
  y ~ x1 + w1:x1
level: 2
  y ~ w1
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task begins with a file and an empty folder."""
    monkeypatch.chdir(tmp_path)
    mlsem.load_example("article").to_csv("pupils.csv", index=False)


@pytest.fixture(scope="module")
def fit() -> mlsem.FitResult:
    return mlsem.fit(MODEL, mlsem.load_example("article"), cluster="id", se="CR2")


def test_task_1_reads_a_file() -> None:
    data = pd.read_csv("pupils.csv")
    assert (len(data), data["id"].nunique()) == (500, 50)


def test_task_2_looks_at_the_model() -> None:
    data = pd.read_csv("pupils.csv")
    shown = str(mlsem.check(MODEL, data, cluster="id"))
    assert "product made from the data: w1:x1" in shown
    assert "split into a part at each level: y" in shown


def test_task_3_fits_and_reads_the_summary() -> None:
    data = pd.read_csv("pupils.csv")
    fit = mlsem.fit(MODEL, data, cluster="id", se="CR2")
    text = str(fit.summary())
    assert "Cluster-robust (CR2)" in text
    assert text.index("Level 1 [within]:") < text.index("w1:x1") < text.index("Level 2 [between]:")


def test_task_4_changes_the_standard_errors(fit: mlsem.FitResult) -> None:
    standard, robust = fit.with_se("standard").bse, fit.with_se("MLR").bse
    assert fit.with_se("standard").params.equals(fit.params)
    assert robust["y~x1"] / standard["y~x1"] > 1.5


def test_task_5_standardizes(fit: mlsem.FitResult) -> None:
    table = fit.parameter_estimates(standardized=True)
    assert {"est", "se", "df", "pvalue", "ci_lower", "ci_upper", "std_all"} <= {*table.columns}
    assert {*table["level"]} == {1, 2}
    explained: Any = fit.r_squared()
    assert "y" in str(explained)


def test_task_6_measures_the_fit_of_a_factor_model() -> None:
    data = mlsem.load_example("holes").dropna()
    model = "level: 1\n fw =~ q1 + q2 + q3\n fw ~ grade\nlevel: 2\n fb =~ q1 + q2 + q3"
    fit = mlsem.fit(model, data, cluster="school")
    found = fit.fit_measures(["chisq.score", "df", "cfi", "rmsea", "srmr_within", "srmr_between"])
    assert found["df"] == 2
    assert found["cfi"] > 0.9
    assert "RMSEA" in str(fit.summary(fit_measures=True))


def test_task_7_compares_models() -> None:
    data = pd.read_csv("pupils.csv")
    without = mlsem.lmm("y ~ w1*x1 + (1 | id)", data, REML=False)
    with_slope = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=False)
    test = mlsem.lr_test(without, with_slope)
    assert test.pvalue < 0.05


def test_task_8_looks_at_the_clusters() -> None:
    data = pd.read_csv("pupils.csv")
    with_slope = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=False)
    assert len(with_slope.random_effects()) == 50


def test_task_9_writes_a_table(fit: mlsem.FitResult) -> None:
    fit.tidy().to_csv("table.csv", index=False)
    assert len(pd.read_csv("table.csv")) == len(fit.tidy())
    both = mlsem.summary_table({"CR2": fit, "model": fit.with_se("standard")})
    both.to_latex(path="table.tex")
    text = Path("table.tex").read_text("utf-8")
    assert text.index("Level 1") < text.index("Level 2") < text.index(r"\bottomrule")


def test_task_10_draws_a_figure(fit: mlsem.FitResult) -> None:
    compared = fit.compare_se(seed=1)
    compared.plot().savefig("compare_se.svg")
    assert Path("compare_se.svg").read_text("utf-8").startswith("<?xml")


def test_the_command_gives_the_same_table(fit: mlsem.FitResult) -> None:
    Path("model.lav").write_text(MODEL, "utf-8")
    command = "mlsem fit model.lav pupils.csv --cluster id --se CR2 --standardized --out table.csv"
    assert command in PAGE
    assert main([*shlex.split(command)[1:], "--quiet"]) == OK
    found, expected = pd.read_csv("table.csv"), fit.parameter_estimates(standardized=True)
    pd.testing.assert_series_equal(found["std_all"], expected["std_all"])
    pd.testing.assert_series_equal(found["se"], expected["se"])


def test_the_start_page_says_all_that_is_used() -> None:
    """Every function, method and option in the tasks stands on the page."""
    used: set[str] = set()
    for function in ast.parse(Path(__file__).read_text("utf-8")).body:
        if not (isinstance(function, ast.FunctionDef) and function.name.startswith("test_task")):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used |= {node.attr} if node.value.id in ("mlsem", "fit", "compared", "both") else set()
            if isinstance(node, ast.Call):
                used |= {f"{each.arg}=" for each in node.keywords if each.arg is not None}
    used -= {"FitResult", "params"}
    assert len(used) > 15
    assert {word for word in used if word not in PAGE} == set()
