"""`mlsem fit` and `mlsem demo`."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pandas as pd
import pytest

import mlsem
from mlsem.cli.main import FAILED, NOT_CONVERGED, OK, USAGE, main
from mlsem.data.table.examples import example_model, load_example

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = str(EXAMPLES / "article.lav")
DATA = str(EXAMPLES / "article.csv")
ARTICLE = ["fit", MODEL, DATA, "--cluster", "id"]
# lavaan 0.7-2, maximum likelihood.
LOGLIK = -818.608577062117
SLOPE = 0.576882927249589


def test_prints_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARTICLE, "--estimator", "MLR"]) == OK
    out, error = capsys.readouterr()
    assert "Number of clusters [id]" in out
    assert "w1:x1" in out
    assert "0.577" in out
    assert error == ""


def test_three_levels_have_two_columns_of_clusters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, data = tmp_path / "model.lav", tmp_path / "data.csv"
    model.write_text("level: 1\ny ~ x1\nlevel: 2\ny ~ w1\nlevel: 3\ny ~~ y\n")
    article = load_example("article")
    article.assign(school=article["id"] // 2).to_csv(data, index=False)
    assert main(["fit", str(model), str(data), "--cluster", "school,id"]) == OK
    out = capsys.readouterr().out
    assert "Number of clusters [school]" in out
    assert "Number of clusters [id]" in out


def test_digits_and_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARTICLE, "--digits", "5", "--level", "0.9"]) == OK
    out = capsys.readouterr().out
    assert "0.57688" in out
    assert "ci.lower" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARTICLE, "--json", "--level", "0.9"]) == OK
    content = json.loads(capsys.readouterr().out)
    assert content["loglik"] == pytest.approx(LOGLIK, rel=1e-8)
    assert (content["n_obs"], content["n_clusters"]) == (500, 50)
    assert content["converged"] is True
    assert content["n_parameters"] == 6
    assert content["confidence_level"] == 0.9
    assert content["warnings"] == []
    rows = {(row["lhs"], row["op"], row["rhs"], row["level"]): row for row in content["estimates"]}
    slope = rows["y", "~", "x1", 1]
    assert slope["est"] == pytest.approx(SLOPE, rel=1e-5)
    assert slope["df"] is None
    assert rows["y", "~1", "", 1]["pvalue"] is None


def test_random_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARTICLE, "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["starts"] is None
    assert main([*ARTICLE, "--json", "--starts", "3", "--seed", "5"]) == OK
    content = json.loads(capsys.readouterr().out)
    assert content["starts"]["logliks"] == pytest.approx([LOGLIK] * 3, rel=1e-8)
    assert (content["starts"]["seed"], content["starts"]["reached"]) == (5, 3)
    assert main([*ARTICLE, "--starts", "3", "--seed", "5"]) == OK
    assert "3 random starts (seed 5): 3 reached" in capsys.readouterr().out
    assert main([*ARTICLE, "--seed", "5"]) == USAGE
    assert "--seed 5 is of random starts" in capsys.readouterr().err


def test_estimates_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, separator in (("estimates.csv", ","), ("estimates.TSV", "\t")):
        path = tmp_path / name
        assert main([*ARTICLE, "--out", str(path), "--quiet"]) == OK
        table = pd.read_csv(path, sep=separator)
        assert table["est"].iloc[0] == pytest.approx(SLOPE, rel=1e-5)
    assert capsys.readouterr() == ("", "")


def test_profile_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = mlsem.fit(example_model("article"), load_example("article"), cluster="id")
    expected = fit.parameter_estimates(0.9, ci="profile")[["ci_lower", "ci_upper"]]
    path, profile = tmp_path / "estimates.csv", [*ARTICLE, "--ci", "profile"]
    assert main([*profile, "--level", "0.9", "--json", "--out", str(path)]) == OK
    content = json.loads(capsys.readouterr().out)
    assert content["confidence_intervals"] == "profile"
    rows = pd.DataFrame(content["estimates"]).astype({"ci_lower": float, "ci_upper": float})
    for found in (rows, pd.read_csv(path)):
        pd.testing.assert_frame_equal(found[["ci_lower", "ci_upper"]], expected)
    assert main(profile) == OK
    assert capsys.readouterr().out == str(fit.summary(ci="profile"))


def test_profile_intervals_need_a_maximum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARTICLE, "--ci", "profile", "--max-iter", "1"]) == FAILED
    assert "error: the fit did not converge" in capsys.readouterr().err


def test_kinds_of_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*ARTICLE, "--ci", "profil"])
    assert stopped.value.code == USAGE
    assert "invalid choice: 'profil'" in capsys.readouterr().err


def test_options_reach_the_fit(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--center", "x1=cluster,w1=grand", "--se", "MLR", "--missing", "error"]
    assert main([*ARTICLE, *options, "--max-iter", "200", "--json"]) == OK
    content = json.loads(capsys.readouterr().out)
    expected = mlsem.fit(
        example_model("article"),
        load_example("article"),
        cluster="id",
        se="MLR",
        center={"x1": "cluster", "w1": "grand"},
    )
    found = [row["se"] for row in content["estimates"]]
    assert found == pytest.approx(expected.parameter_estimates()["se"].tolist(), nan_ok=True)


def test_weights_reach_the_fit(capsys: pytest.CaptureFixture[str]) -> None:
    how = ["--weights", "level2=id", "--weight-scaling", "gk", "--json"]
    assert main([*ARTICLE, *how]) == OK
    content = json.loads(capsys.readouterr().out)
    asked = content["call"]["arguments"]
    assert (asked["weights"], asked["weight_scaling"]) == ({"level2": "id"}, "gk")
    data = load_example("article")
    wanted = mlsem.fit(example_model("article"), data, "id", weights={"level2": "id"})
    assert content["loglik"] == pytest.approx(wanted.loglik, rel=1e-12)
    assert content["aic"] is None
    assert main(["lmm", "y ~ x1 + (1 | id)", DATA, "--ml", "--weights", "level2=id"]) == OK
    assert "level 2 id" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*ARTICLE, "--weights", "total=,level2=id"])
    assert "LEVEL=COLUMN" in capsys.readouterr().err


def test_standardized_latent_variables(capsys: pytest.CaptureFixture[str]) -> None:
    model, data = str(EXAMPLES / "two_level_cfa.lav"), str(EXAMPLES / "demo_twolevel.csv")
    assert main(["fit", model, data, "--cluster", "cluster", "--std-lv", "--json"]) == OK
    rows = json.loads(capsys.readouterr().out)["estimates"]
    fixed = [row for row in rows if row["lhs"] == row["rhs"] == "fw"]
    assert fixed[0]["est"] == 1.0
    assert fixed[0]["se"] == 0.0


def test_covariates_can_be_modelled(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARTICLE, "--no-fixed-x", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["n_parameters"] > 6


def test_model_on_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = BytesIO(example_model("article").encode())
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(raw))
    assert main(["fit", "-", DATA, "--cluster", "id", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["loglik"] == pytest.approx(LOGLIK, rel=1e-8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", MODEL, "nowhere.csv", "--cluster", "id"], "nowhere.csv"),
        (["fit", MODEL, DATA, "--cluster", "idd"], "'id'"),
        (["fit", str(EXAMPLES / "mediation.lav"), DATA, "--cluster", "id"], "'m'"),
        (["fit", MODEL, DATA], "pass --cluster COLUMN."),
        ([*ARTICLE, "--se-cluster", "scool"], "--se-cluster names 'scool'"),
        ([*ARTICLE, "--out", "/nowhere/at/all/estimates.csv"], "/nowhere/at/all"),
    ],
)
def test_errors_have_no_traceback(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == FAILED
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert words in error


@pytest.mark.parametrize("option", [["--estimator", "WLSMV"], ["--se", "magic"]])
def test_values_that_an_option_cannot_take(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ARTICLE, *option]) == USAGE
    assert f"error: {' '.join(option)}" in capsys.readouterr().err


def test_the_text_of_a_model_is_quoted_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.lav"
    model.write_text("test=~ y + x1 + nobody\n")
    assert main(["fit", str(model), DATA]) == FAILED
    assert " | test=~ y + x1 + nobody\n" in capsys.readouterr().err


def test_semicolons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "semicolons.csv"
    load_example("article").to_csv(path, sep=";", decimal=",", index=False)
    assert main(["fit", MODEL, str(path), "--cluster", "id", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["loglik"] == pytest.approx(LOGLIK, rel=1e-8)


def test_another_separator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "blanks.csv"
    load_example("article").to_csv(path, sep=" ", index=False)
    assert main(["fit", MODEL, str(path), "--cluster", "id"]) == FAILED
    error = capsys.readouterr().err
    assert "The only column is 'id w1 x1 y': was the file read with the right sep" in error


def test_not_converged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARTICLE, "--max-iter", "1"]) == NOT_CONVERGED
    out, error = capsys.readouterr()
    assert "w1:x1" in out
    assert error.startswith("warning: ")
    assert main([*ARTICLE, "--max-iter", "1", "--json"]) == NOT_CONVERGED
    content = json.loads(capsys.readouterr().out)
    assert content["converged"] is False
    assert content["warnings"]


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARTICLE, "--max-iter", "1", "--quiet"]) == NOT_CONVERGED
    assert capsys.readouterr() == ("", "")


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == OK
    out = capsys.readouterr().out
    assert "y ~ x1 + w1:x1" in out
    heads, *rows = out[out.index("parameter  ") :].splitlines()
    assert heads.split("  ")[-3:] == ["model-based SE", "MLR SE", "ratio"]
    assert len(rows) == 6
    ratios = {row.split("  ")[0].strip(): float(row.split()[-1]) for row in rows}
    assert ratios["y ~ x1"] > 1.1


def test_auxiliary_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = load_example("article").assign(z1=lambda d: d["y"] ** 2, z2=lambda d: d["x1"] ** 2)
    data.loc[data["z1"] > 4.0, "y"] = None
    data.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "model").write_text("level: 1\n y ~ x1\nlevel: 2\n y ~ w1\n", "utf-8")
    call = ["fit", str(tmp_path / "model"), str(tmp_path / "data.csv"), "--cluster", "id"]
    call += ["--auxiliary", "z1, z2"]
    assert main([*call, "--missing", "fiml"]) == OK
    out = " ".join(capsys.readouterr().out.split())
    assert "'z1' (both levels), 'z2' (both levels)" in out
    assert main(call) == USAGE
    assert "--auxiliary goes with --missing fiml" in capsys.readouterr().err


def test_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = pd.read_csv(Path(__file__).parents[1] / "reference" / "data" / "demo.csv")
    demo = demo.assign(g=demo["cluster"] % 2 + 1)
    model, data = tmp_path / "model.lav", tmp_path / "data.csv"
    model.write_text("level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3", "utf-8")
    demo.to_csv(data, index=False)
    command = ["fit", str(model), str(data), "--cluster", "cluster", "--group", "g"]
    command += ["--group-label", "2,1", "--group-equal", "loadings,intercepts"]
    command += ["--group-partial", "fw=~y3"]
    assert main(command) == OK
    expected = mlsem.fit(
        model.read_text("utf-8"), demo, "cluster", group="g", group_label=[2, 1],
        group_equal=["loadings", "intercepts"], group_partial="fw=~y3",
    )  # fmt: skip
    text = capsys.readouterr().out
    assert text == expected.summary().to_text()
    assert "Group 1 [2]:" in text
    assert main([*command, "--json"]) == OK
    content = json.loads(capsys.readouterr().out)
    assert content["groups"] == [
        {"label": "2", "n_obs": 1000, "n_clusters": 100},
        {"label": "1", "n_obs": 1500, "n_clusters": 100},
    ]
    assert main(["check", str(model), str(data), "--group", "g"]) == OK
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].split()[:5] == ["lhs", "op", "rhs", "group", "level"]
    assert "group 2: 2" in shown
