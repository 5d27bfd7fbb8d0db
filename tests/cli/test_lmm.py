"""`mlsem lmm`, formats of what is printed, and JSON from which a fit can be repeated."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mlsem
from mlsem.cli.main import FAILED, NOT_CONVERGED, OK, USAGE, main
from mlsem.data.frames.files import read_table

EXAMPLES = Path(__file__).parents[2] / "examples"
TRIAL = str(EXAMPLES / "trial.csv")
FORMULA = "after ~ before + arm + (1 | clinic)"
LMM = ["lmm", FORMULA, TRIAL]

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.MlsemWarning")


def test_prints_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    fit = mlsem.lmm(FORMULA, mlsem.load_example("trial"))
    assert main(LMM) == OK
    assert capsys.readouterr().out == fit.summary().to_text()
    assert main([*LMM, "--ml", "--se", "CR2", "--level", "0.9", "--digits", "4"]) == OK
    fit = mlsem.lmm(FORMULA, mlsem.load_example("trial"), REML=False, se="CR2")
    assert capsys.readouterr().out == fit.summary(0.9).to_text(4)


def test_options_reach_the_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "estimates.csv"
    assert main([*LMM, "--df", "kenward-roger", "--json", "--out", str(out)]) == OK
    content = json.loads(capsys.readouterr().out)
    fit = mlsem.lmm(FORMULA, mlsem.load_example("trial"), df="kenward-roger")
    assert content["df_method"] == "kenward-roger"
    found = pd.DataFrame(content["estimates"])
    expected = fit.parameter_estimates()
    assert found["df"].astype(float).tolist() == pytest.approx(expected["df"].tolist(), nan_ok=True)
    assert len(pd.read_csv(out)) == len(expected)
    assert main([*LMM, "--max-iter", "1", "--quiet"]) in (OK, NOT_CONVERGED)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["lmm", "after ~ before + (1 | clinc)", TRIAL], FAILED, "Did you mean 'clinic'?"),
        (["lmm", "after ~ ", TRIAL], FAILED, "^"),
        ([*LMM, "--ml", "--df", "kenward-roger"], USAGE, "--df kenward-roger goes with"),
        ([*LMM, "--missing", "fiml"], USAGE, "--missing"),
        ([*LMM, "--se", "HC3"], USAGE, "--se HC3"),
        ([*LMM, "--out", TRIAL], FAILED, "which is read"),
    ],
)
def test_errors(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert words in error


# --- JSON -----------------------------------------------------------------------------------------

CALLS: dict[str, list[str]] = {
    "plain": ["fit", "trial.lav", "trial.csv", "--cluster", "clinic"],
    "robust": [
        *("fit", "article.lav", "article.csv", "--cluster", "id", "--estimator", "MLR"),
        *("--center", "x1=cluster,w1=grand", "--test", "z", "--information", "expected"),
    ],
    "missing": [
        *("fit", "holes.lav", "holes.csv", "--cluster", "school", "--missing", "fiml.x"),
        *("--std-lv", "--se", "CR1"),
    ],
    "groups": [
        *("fit", "invariance.lav", "invariance.csv", "--cluster", "school", "--group", "country"),
        *("--group-label", "SK,AT", "--group-equal", "loadings", "--group-partial", "fw=~y4"),
    ],
    "starts": ["fit", "article.lav", "article.csv", "--cluster", "id", "--starts", "2"],
    "rows": ["fit", "growth_wide.lav", "growth_wide.csv", "--no-fixed-x"],
    "mixed": ["lmm", FORMULA, "trial.csv", "--ml", "--se", "CR2"],
    "mixed df": ["lmm", "after ~ poly(before, 2) + (1 | clinic)", "trial.csv", "--test", "z"],
}


@pytest.mark.parametrize("name", CALLS)
def test_json_alone_repeats_the_fit(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        str(EXAMPLES / part) if part.endswith((".csv", ".lav")) else part for part in CALLS[name]
    ]
    assert main([*command, "--json"]) == OK
    content = json.loads(capsys.readouterr().out)
    call, data = content["call"], content["data"]
    frame = read_table(data["file"])
    assert {*data["columns"]} <= {*frame.columns}
    function: Any = getattr(mlsem, call["function"])
    again = function(data=frame[data["columns"]], **call["arguments"])
    assert again.loglik == content["loglik"]
    expected = again.parameter_estimates().replace(math.inf, math.nan)
    for column in ("est", "se", "df", "pvalue"):
        found = pd.DataFrame(content["estimates"])[column].astype(float)
        pd.testing.assert_series_equal(found, expected[column], rtol=0.0, atol=0.0)
    full = function(data=frame, **call["arguments"], **call["defaults"])
    assert full.params.to_dict() == again.params.to_dict()
    assert (content["estimator"], content["se"]) == (again.settings.estimator, again.se_kind)
    assert data["n_dropped"] == data["n_rows"] - again.n_obs
    assert content["versions"]["mlsem"] == mlsem.__version__


def test_json_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLES / "mediation.lav"), "--format", "json"]) == OK
    content = json.loads(capsys.readouterr().out)
    table = mlsem.check(mlsem.example_model("mediation"))
    assert [row["rhs"] for row in content["rows"]] == [row.rhs for row in table.rows]
    assert content["parameters"] == [*table.names]
    assert content["defined"]["indirect_within"] == "a1*b1"
    assert content["rows"][0]["lower"] is None


def test_json_of_invariance(capsys: pytest.CaptureFixture[str]) -> None:
    model, data = str(EXAMPLES / "invariance.lav"), str(EXAMPLES / "invariance.csv")
    command = ["invariance", model, data, "--cluster", "school", "--group", "country"]
    command += ["--group-label", "AT,HU", "--steps", "configural,metric", "--worst"]
    assert main([*command, "--json"]) == OK
    content = json.loads(capsys.readouterr().out)
    frame = read_table(content["data"]["file"])
    again = mlsem.invariance(data=frame, **content["call"]["arguments"])
    assert content["differences"][0]["chisq"] == again.differences["chisq"].iloc[0]
    assert [row["step"] for row in content["measures"]] == ["configural", "metric"]
    assert content["verdict"] == [*again.verdict]
    assert content["worst"]["metric"][0]["parameter"] == again.worst("metric")["parameter"].iloc[0]


# --- formats, data, examples ----------------------------------------------------------------------


FORMS = {
    "html": ("<table>", "&lt;.001"),
    "markdown": ("| ---: |", r"\<.001"),
    "latex": (r"\begin{tabular}", r"\toprule"),
}


@pytest.mark.parametrize("form", FORMS)
def test_languages(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    sign, other = FORMS[form]
    model, data = str(EXAMPLES / "invariance.lav"), str(EXAMPLES / "invariance.csv")
    groups = [*("--cluster", "school"), *("--group", "country"), *("--group-label", "AT,HU")]
    steps = ["--steps", "configural,metric", "--worst", "--alignment"]
    indices = ["--modification-indices", "--fit-measures"]
    commands = {
        "lmm": LMM,
        "fit": ["fit", *(str(EXAMPLES / f"mediation.{end}") for end in ("lav", "csv"))],
        "check": ["check", str(EXAMPLES / "trial.lav"), TRIAL],
        "invariance": ["invariance", model, data, *groups, *steps],
    }
    commands["fit"] += ["--cluster", "id", *indices]
    for name, command in commands.items():
        assert main([*command, "--format", form]) == OK
        out = capsys.readouterr().out
        assert sign in out
        assert out.endswith("\n")
        assert name in ("check", "invariance") or other in out
        assert name != "fit" or "Modification Indices" in out
        assert name != "invariance" or "Equalities of metric" in out


def test_text_of_the_users_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = mlsem.load_example("trial").rename(columns={"before": "vor_her"})
    data["arm"] = "50% <b> & " + data["arm"]
    data.to_csv(tmp_path / "data.csv", index=False)
    command = ["lmm", "after ~ vor_her + arm + (1 | clinic)", str(tmp_path / "data.csv")]
    wanted = {
        "html": "arm50% &lt;b&gt; &amp; treatment",
        "latex": r"arm50\% $<$b$>$ \& treatment",
        "markdown": r"arm50% \<b\> \& treatment",
    }
    for form, words in wanted.items():
        assert main([*command, "--format", form]) == OK
        out = capsys.readouterr().out
        assert words in out
        assert form != "latex" or r"vor\_her" in out


def test_packed_data_and_spreadsheets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openpyxl")
    data = mlsem.load_example("trial")
    data.to_csv(tmp_path / "trial.csv.gz", index=False)
    data.to_excel(tmp_path / "trial.xlsx", index=False)
    printed = []
    for file in (TRIAL, str(tmp_path / "trial.csv.gz"), str(tmp_path / "trial.xlsx")):
        assert main(["lmm", FORMULA, file]) == OK
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] == printed[2]


def test_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples"]) == OK
    out = capsys.readouterr().out
    assert all(name in out for name in mlsem.examples().index)
    assert main(["examples", "trial"]) == OK
    assert capsys.readouterr().out == (EXAMPLES / "trial.csv").read_text("utf-8")
    assert main(["examples", "trial", "--model"]) == OK
    assert capsys.readouterr().out == mlsem.example_model("trial")
    assert main(["examples", "trail"]) == USAGE
    assert "Did you mean 'trial'?" in capsys.readouterr().err


def test_check_looks_for_the_clusters(capsys: pytest.CaptureFixture[str]) -> None:
    check = ["check", str(EXAMPLES / "trial.lav"), TRIAL, "--cluster"]
    assert main([*check, "clinic"]) == OK
    shown = str(mlsem.check(mlsem.example_model("trial"), mlsem.load_example("trial"), "clinic"))
    assert capsys.readouterr().out == f"{shown}\n"
    assert main([*check, "clinc"]) == FAILED
    assert "--cluster names 'clinc'" in capsys.readouterr().err


def test_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pattern of paths stands for the rows of all files."""
    data = mlsem.load_example("article")
    for number in range(3):
        data[data["id"] % 3 == number].to_csv(tmp_path / f"part{number}.csv", index=False)
    command = ["fit", str(EXAMPLES / "article.lav")]
    assert main([*command, str(tmp_path / "*.csv"), "--cluster", "id", "--format", "json"]) == 0
    several = json.loads(capsys.readouterr().out)
    assert (
        main([*command, str(EXAMPLES / "article.csv"), "--cluster", "id", "--format", "json"]) == 0
    )
    whole = json.loads(capsys.readouterr().out)
    for one, other in zip(several["estimates"], whole["estimates"], strict=True):
        assert one["est"] == pytest.approx(other["est"], rel=1e-9)


THREE = str(Path(__file__).parents[1] / "reference" / "trials" / "data" / "three.csv")


def test_three_levels(capsys, tmp_path) -> None:
    formula = "y ~ x + (1 | school/class)"
    out = str(tmp_path / "estimates.csv")
    assert main(["lmm", formula, THREE, "--out", out]) == 0
    assert "Groups [class:school]" in capsys.readouterr().out
    assert pd.read_csv(out)["level"].tolist() == [1, 1, 2, 3, 3]
    assert main(["lmm", formula, THREE, "--json", "--ml"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_groups"] == {"class:school": 36, "school": 15}
    assert found["estimator"] == "ML"
    assert main(["lmm", formula, THREE, "--report", "page.html"]) != 0
    assert "two levels" in capsys.readouterr().err
