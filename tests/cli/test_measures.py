"""`mlsem fit` with what is asked after a fit: measures, standardized estimates, R², indices."""

from __future__ import annotations

import json
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mlsem
from mlsem.cli.main import FAILED, OK, USAGE, main

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL, DATA = EXAMPLES / "two_level_cfa.lav", EXAMPLES / "demo_twolevel.csv"
FIT = ["fit", str(MODEL), str(DATA), "--cluster", "cluster"]
COLUMNS = ["--standardized", "--rsquare"]


@pytest.fixture(scope="module")
def fit() -> mlsem.FitResult:
    return mlsem.fit(MODEL.read_text(), pd.read_csv(DATA), cluster="cluster")


def _finite(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As JSON has them: without NaN."""
    return [
        {
            name: None if isinstance(value, float) and not isfinite(value) else value
            for name, value in record.items()
        }
        for record in records
    ]


@pytest.mark.parametrize("option", ["fit_measures", "standardized", "rsquare"])
def test_the_summary_has_what_was_asked_for(
    option: str, fit: mlsem.FitResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FIT, f"--{option.replace('_', '-')}"]) == OK
    out = capsys.readouterr().out
    assert out == str(fit.summary(**{option: True}))
    assert out != str(fit.summary())


def test_indices_follow_the_summary(
    fit: mlsem.FitResult, capsys: pytest.CaptureFixture[str]
) -> None:
    indices = [*FIT, "--modification-indices"]
    assert main([*indices, "--minimum", "2", "--digits", "4"]) == OK
    out = capsys.readouterr().out
    summary = fit.summary().to_text(4)
    assert out.startswith(summary)
    _, title, _, head, *rows = out.removeprefix(summary).splitlines()
    expected = fit.modification_indices(minimum=2.0)
    assert title == "Modification Indices:"
    assert head.split() == list(expected)
    assert len(rows) == len(expected) > 0
    assert rows[0].split()[:4] == ["y3", "~", "w2", "2"]
    assert f"{expected['mi'].iloc[0]:.4f}" in rows[0]
    assert main([*indices, "--minimum", "1e6"]) == OK
    assert capsys.readouterr().out.endswith("\nModification Indices: none to list.\n")


def test_json_has_them_all(fit: mlsem.FitResult, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--fit-measures", "--modification-indices", *COLUMNS, "--level", "0.9"]
    assert main([*FIT, "--json", *asked]) == OK
    content = json.loads(capsys.readouterr().out)
    estimates = fit.parameter_estimates(0.9, standardized=True, rsquare=True)
    assert content["estimates"] == _finite(estimates.to_dict("records"))
    assert _finite([fit.fit_measures().to_dict()]) == [content["fit_measures"]]
    indices = fit.modification_indices().to_dict("records")
    assert content["modification_indices"] == _finite(indices)
    assert main([*FIT, "--json"]) == OK
    plain = json.loads(capsys.readouterr().out)
    assert "fit_measures" not in plain
    assert "modification_indices" not in plain
    assert "std_all" not in plain["estimates"][0]


def test_the_file_has_the_columns(
    fit: mlsem.FitResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "estimates.csv"
    assert main([*FIT, "--quiet", "--out", str(path), *COLUMNS]) == OK
    expected = fit.parameter_estimates(standardized=True, rsquare=True)
    written = pd.read_csv(path)
    assert list(written) == list(expected)
    assert written["std_all"].tolist() == pytest.approx(expected["std_all"].tolist(), nan_ok=True)
    assert written["op"].tolist().count("r2") == 8
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("value", ["nan", "-1"])
def test_a_minimum_is_a_number(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--modification-indices", "--minimum", value]) == USAGE
    assert f"error: --minimum {float(value):g}" in capsys.readouterr().err


def test_a_minimum_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, "--minimum", "3.84"]) == USAGE
    assert "--minimum 3.84 is of --modification-indices: add it" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--fit-measures", "--standardized", "--modification-indices"])
def test_what_does_not_exist_is_said(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FIT, option, "--max-iter", "1"]) == FAILED
    assert "error: the fit did not converge" in capsys.readouterr().err
