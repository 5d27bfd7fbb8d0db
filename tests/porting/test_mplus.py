"""Mplus inputs become programs that give the numbers of lavaan and lme4 (Mplus itself is not here).

The numbers are in tests/reference/porting/mplus.json, with the R script that wrote them.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import ModelSyntaxError
from mlsem.porting.mplus import translate
from mlsem.results.result import FitResult
from tests.porting.names import EXAMPLES

INPUTS = Path(__file__).with_name("inputs")
NUMBERS = json.loads(
    (Path(__file__).parents[1] / "reference" / "porting" / "mplus.json").read_text("utf-8")
)
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.errors.MlsemWarning")


@cache
def frame(name: str) -> pd.DataFrame:
    """The data of an input, without a header in their file."""
    demo = pd.read_csv(EXAMPLES / "demo_twolevel.csv")
    if name == "waves":
        waves, n = demo.loc[:399, ["y1", "y2", "y3", "y4", "x1"]].copy(), np.arange(1, 401)
        for column, step in (("y2", 7), ("y4", 3), ("y3", 15)):
            waves.loc[n % step == 0, column] = -999
        return waves
    if name == "groups":
        return demo.loc[:799, ["y1", "y2", "y3", "y4"]].assign(g=demo["cluster"] % 2)
    return demo if name == "demo" else pd.read_csv(EXAMPLES / f"{name}.csv")


def run(code: str, folder: Path) -> dict[str, Any]:
    """The program's variables; it stands beside its data."""
    for name in ("demo", "article", "mediation", "waves", "groups"):
        if f'"{name}.dat"' in code:
            frame(name).to_csv(folder / f"{name}.dat", sep=" ", header=False, index=False)
    names: dict[str, Any] = {}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "program.py", "exec"), names)
    return names


def _sorted(key: str) -> str:
    """Covariances have two names."""
    left, operator, right = key.partition("~~")
    if not operator:
        return key
    right, dot, rest = right.partition(".")
    return "~~".join(sorted((left, right))) + dot + rest


def by_name(fit: FitResult) -> tuple[dict[str, float], dict[str, float]]:
    """Estimates and standard errors under names such as "y~~y.l2" and "f=~y2.g2"."""
    table = fit.parameter_estimates()
    groups = list(dict.fromkeys(table["group"]))
    names = []
    for row in table.to_dict("records"):
        left, right, level = row["lhs"], row["rhs"], ".l2" if row["level"] == 2 else ""
        if row["op"] == "~~":
            left, right = sorted((left, right))
        group = ".g2" if groups.index(row["group"]) == 1 else ""
        operator, right = ("~", "1") if row["op"] == "~1" else (row["op"], right)
        defined = row["op"] == ":="
        names.append(left if defined else f"{left}{operator}{right}{level}{group}")
    return dict(zip(names, table["est"], strict=True)), dict(zip(names, table["se"], strict=True))


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_a_translated_input_gives_the_numbers_of_r(name: str, tmp_path: Path) -> None:
    ported = translate((INPUTS / f"{name}.inp").read_text("utf-8"))
    fit = run(ported.code, tmp_path)["fit"]
    theirs = NUMBERS[name]
    assert ported.untranslated == 0, ported.notes
    assert fit.converged
    assert fit.loglik == pytest.approx(theirs["loglik"], rel=1e-6)
    ours, errors = by_name(fit)
    for key, value in theirs["est"].items():
        key = _sorted(key)
        assert ours[key] == pytest.approx(value, rel=1e-4, abs=1e-4), key
    for key, value in (theirs.get("se") or {}).items():
        key = _sorted(key)
        assert errors[key] == pytest.approx(value, rel=2e-3, abs=1e-4), key
    if "chisq" in theirs and theirs["df"]:
        assert fit.fit_measures("df")["df"] == theirs["df"]
        assert fit.fit_measures("chisq")["chisq"] == pytest.approx(
            theirs["chisq"], rel=1e-3, abs=1e-3
        )


# --- statements -----------------------------------------------------------------------------------

COLUMNS = "VARIABLE: NAMES = y1-y6 x1-x3 w id;"


def model_of(statements: str, before: str = COLUMNS) -> list[str]:
    """Lines of the model text."""
    code = translate(f"{before} MODEL: {statements}").code
    return code.partition('model = """\n')[2].partition('"""')[0].splitlines()


@pytest.mark.parametrize(
    ("statements", "lines"),
    [
        ("f BY y1-y3;", ["f =~ y1 + y2 + y3"]),
        ("f by y1* y2@1 y3*0.5;", ["f =~ NA*y1 + 1*y2 + NA*start(0.5)*y3"]),
        ("F BY y1 y2; f BY y3 (a);", ["F =~ y1 + y2 + a*y3"]),
        ("f BY y1-y3 (1);", ["f =~ y1 + eq1*y2 + eq1*y3"]),
        ("f BY y1\ny2\ny3 (a);", ["f =~ y1 + y2 + a*y3"]),
        ("y1 y2 ON x1 x2 (a b c d);", ["y1 ~ a*x1 + b*x2", "y2 ~ c*x1 + d*x2"]),
        ("y1-y2 ON X1 (p1-p2);", ["y1 ~ p1*x1", "y2 ~ p2*x1"]),
        ("y1 ON x1-w;", ["y1 ~ x1 + x2 + x3 + w"]),
        ("y1 PON x1;", ["y1 ~ x1"]),
        ("y1 y2 PWITH x1 x2@0;", ["y1 ~~ x1", "y2 ~~ 0*x2"]),
        ("y1-y3 WITH y1-y3;", ["y1 ~~ y2", "y1 ~~ y3", "y2 ~~ y3"]),
        ("y1 WITH y2; y2 WITH y1@0;", ["y1 ~~ 0*y2"]),
        ("[y1 y2@-1.5] (m); [y3] (n);", ["y1 ~ m*1", "y2 ~ -1.5*1", "y3 ~ n*1"]),
        ("y1-y2@0; y1;", ["y1 ~~ y1", "y2 ~~ 0*y2"]),
        ("y1*2 (v);", ["y1 ~~ start(2)*v*y1"]),
        (
            "i s q | y1@0 y2@1 y3@2;",
            [
                "i =~ 1*y1 + 1*y2 + 1*y3", "i ~ 1", "s =~ 0*y1 + 1*y2 + 2*y3", "s ~ 1",
                "q =~ 0*y1 + 1*y2 + 4*y3", "q ~ 1", "y1 ~ 0*1", "y2 ~ 0*1", "y3 ~ 0*1",
            ],
        ),
        (
            "y1 ON x1 (P); y2 ON x1 (p); MODEL CONSTRAINT: 0 = p - 1;",
            ["y1 ~ P*x1", "y2 ~ P*x1", "P - 1 == 0"],
        ),
        (
            "y1 ON x1; MODEL CONSTRAINT: NEW(d); d = 2*a**2 - EXP(b); a = b; 0 = a - 1; a > 0;",
            ["y1 ~ x1", "d := 2 * a^2 - exp(b)", "a == b", "a - 1 == 0", "a > 0"],
        ),
    ],
)  # fmt: skip
def test_statements_of_the_model(statements: str, lines: list[str]) -> None:
    assert model_of(statements) == lines


GROUPED = f"{COLUMNS[:-1]} g; GROUPING = g (1 = a 2 = b 3 = c);"


@pytest.mark.parametrize(
    ("statements", "lines"),
    [
        (
            "f BY y1-y2; MODEL b: [f@0]; f@1;",
            ["f =~ y1 + y2", "f ~ c(0, 0, NA)*1", "f ~~ c(NA, 1, NA)*f"],
        ),
        ("y1 ON x1 (p); MODEL c: y1 ON x1 (q);", ["y1 ~ c(p, p, q)*x1"]),
        (
            "f BY y1-y2; MODEL B: f BY y2;",
            ["f =~ y1 + c(NA, NA, NA)*c(same_f_y2, NA, same_f_y2)*y2"],
        ),
    ],
)  # fmt: skip
def test_statements_of_a_group(statements: str, lines: list[str]) -> None:
    assert model_of(statements, GROUPED) == lines


def test_a_loading_that_one_of_three_groups_does_not_share(tmp_path: Path) -> None:
    data = frame("demo").assign(g=np.arange(2500) % 3 + 1)
    data.to_csv(tmp_path / "three.dat", sep=" ", header=False, index=False)
    text = (
        "DATA: FILE = three.dat; VARIABLE: NAMES = y1-y6 x1-x3 w1 w2 cluster g;"
        "GROUPING = g (1=a 2=b 3=c); MODEL: f BY y1-y3; MODEL b: f BY y3;"
    )
    table = run(translate(text).code, tmp_path)["fit"].parameter_estimates()
    loadings = table[table["op"] == "=~"].pivot(index="group", columns="rhs", values="est")
    assert loadings["y2"].nunique() == 1
    a, b, c = loadings["y3"]
    assert a == c != b


# --- defaults that differ -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ANALYSIS: TYPE = TWOLEVEL; ", ['estimator="MLR"']),
        ("ANALYSIS: TYPE = TWOLEVEL; ESTIMATOR = ML;", ['estimator="ML"']),
        ("", ['estimator="ML"', "meanstructure=True", 'information="observed"']),
        ("ANALYSIS: TYPE = COMPLEX;", ['cluster="id"', 'estimator="MLR"']),
        ("DATA: LISTWISE = ON; VARIABLE: MISSING = .;", ['missing="listwise"']),
        ("VARIABLE: MISSING = ALL (-9 98-99);", ['missing="fiml"', '["-9", "98", "99"]']),
        ("ANALYSIS: MODEL = NOCOVARIANCES;", ["auto_cov_lv_x=False", "auto_cov_y=False"]),
        ("VARIABLE: AUXILIARY = (M) x2 x3;", ['auxiliary=["x2", "x3"]']),
        ("ANALYSIS: BOOTSTRAP = 200;", ['fit.bootstrap("pairs", draws=200, seed=1)']),
    ],
)
def test_defaults_of_mplus_are_written_out(text: str, said: list[str]) -> None:
    code = translate(f"{COLUMNS} CLUSTER = id; {text} MODEL: y1 ON x1;").code
    assert [each for each in said if each not in code] == []


def test_variables_on_no_list_have_a_part_at_both_levels(tmp_path: Path) -> None:
    text = (
        "DATA: FILE = article.dat; VARIABLE: NAMES = id w1 x1 y; CLUSTER = id; BETWEEN = w1;"
        "ANALYSIS: TYPE = TWOLEVEL; MODEL: %WITHIN% y ON x1; %BETWEEN% y ON w1;"
    )
    ported = translate(text)
    assert "  x1 ~~ x1" in ported.code
    assert any(note.startswith("x1: on neither list") for note in ported.notes)
    assert run(ported.code, tmp_path)["fit"].converged


def test_variables_that_the_model_does_not_name_are_noted() -> None:
    ported = translate(f"{COLUMNS} USEVARIABLES = y1 x1 x2; MODEL: y1 ON x1;")
    assert ported.notes[0].startswith("x2: used, but not in MODEL")


def test_modelled_covariates() -> None:
    assert "fixed_x=False" in translate(f"{COLUMNS} MODEL: y1 ON x1; x1;").code


# --- what cannot be translated --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("VARIABLE: CATEGORICAL = y1; MODEL: f BY y1-y3;", "ordered variables are not fitted"),
        ("ANALYSIS: TYPE = MIXTURE; MODEL: %OVERALL% f BY y1-y3;", "latent classes"),
        ("ANALYSIS: TYPE = THREELEVEL; MODEL: y1 ON x1;", "TYPE = THREELEVEL"),
        ("ANALYSIS: ESTIMATOR = BAYES; MODEL: y1 ON x1;", "estimation is by ML"),
        ("VARIABLE: WEIGHT = y1 y2; MODEL: y1 ON x1;", "one column"),
        ("VARIABLE: REPWEIGHTS = y1-y4; MODEL: y1 ON x1;", "the method is not written"),
        ("ANALYSIS: REPSE = FAY (.5); MODEL: y1 ON x1;", "columns of the data here"),
        *(
            (f"VARIABLE: REPWEIGHTS = y1-y4; ANALYSIS: REPSE = {how}; MODEL: y1 ON x1;", said)
            for how, said in (
                ("FAY", "its factor is not written"),
                ("JACKKNIFE", "its multipliers are in a file"),
                ("BOOTSTRAP", "not weighed here"),
                ("MAGIC (", "not known"),
            )
        ),
        ("VARIABLE: WTSCALE = OTHER; MODEL: y1 ON x1;", "scaling of weights"),
        ("MODEL: f BY y1-y3; fx | f XWITH x1; y4 ON fx;", "products with latent variables"),
        ("DATA: TYPE = COVARIANCE; MODEL: y1 ON x1;", "models are fitted to rows"),
        ("DATA: FORMAT = 3F8.2; MODEL: y1 ON x1;", "read_fwf"),
        ("DEFINE: CUT x1 (3); MODEL: y1 ON x1;", "CUT x1 (3)"),
        ("VARIABLE: USEOBSERVATIONS = x1 FOO 3; MODEL: y1 ON x1;", "USEOBSERVATIONS"),
        ("MODEL: y1 ON x1 (a); MODEL CONSTRAINT: DO(1,3) a = 1;", "DO(1,3)"),
    ],
)
def test_what_is_not_translated_is_said_and_no_other_model_fitted(text: str, said: str) -> None:
    ported = translate(f"{COLUMNS} {text}")
    assert ported.untranslated >= 1
    assert said in " ".join(ported.code.replace("\n# ", " ").split())
    assert "# fit = mlsem.fit(" in ported.code
    assert not any(line.startswith(("fit", "print")) for line in ported.code.splitlines())


def test_output_without_a_counterpart_stops_nothing() -> None:
    ported = translate(f"{COLUMNS} MODEL: y1 ON x1; OUTPUT: TECH11 STDY; PLOT: TYPE = PLOT3;")
    assert ported.untranslated == 2
    assert "fit = mlsem.fit(" in ported.code
    assert 'print(fit.standardized("nox"))' in ported.code


@pytest.mark.parametrize("text", ["", "hello", "y ~ x", "TITLE: no model;", "M" * 300_000])
def test_what_is_no_input_is_refused(text: str) -> None:
    with pytest.raises(ModelSyntaxError, match=r"Mplus|characters"):
        translate(text)


@pytest.mark.parametrize(
    "text",
    [
        "TITLE: a\x1b[31m\x00\r\nb\n\"\"\" import os\nMODEL: y ON x;",
        "DATA: FILE = \"a\\'); import os #.dat\"; VARIABLE: NAMES = y x; MODEL: y ON x;",
        "VARIABLE: NAMES = y x; GROUPING = x (1 = a'b); MODEL: y ON x\"\"\";",
        "VARIABLE: NAMES = y x; DEFINE: y = __import__(x); z = x.__class__; MODEL: y ON x;",
        "VARIABLE: NAMES = y x; MODEL: y ON x; MODEL TEST: 0 = \"); import os #;",
        "VARIABLE: NAMES = y x; MODEL: y ON x; MODEL INDIRECT: y IND \") #;",
        "VARIABLE: NAMES = y x; MODEL: y ON x; SAVEDATA: FILE = '\"; SAVE = FSCORES;",
        "MODEL: " + "(" * 100_000,
        "MODEL: y ON " + "x-" * 50_000,
        "VARIABLE: NAMES = y1-y99999999; MODEL: [" + "[" * 9_000,
        "MODEL: y ON x; MODEL CONSTRAINT: a = " + "(" * 15_000 + "1;",
        "MODEL: y1 ON $& _% Größe 名;",
    ],
)  # fmt: skip
def test_hostile_inputs_make_programs_of_ours_alone(text: str) -> None:
    code = translate(text).code
    tree = ast.parse(code)
    modules = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert modules <= {"mlsem", "pandas", "numpy"}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names <= {"mlsem", "pd", "np", "data", "model", "fit", "boot", "print", "invariance"}
    assert code.replace("\n", "").isprintable()


def _weighted() -> pd.DataFrame:
    data = frame("article")
    rng = np.random.default_rng(4)
    own = pd.Series(rng.uniform(1, 5, data["id"].max() + 1))[data["id"]].to_numpy()
    return data.assign(w=rng.uniform(1, 9, len(data)), b=own, s=data["id"] % 3)


def test_weights_and_strata(tmp_path: Path) -> None:
    """Conditional weights and those of clusters, scaled as Mplus does; MLR is the default."""
    data = _weighted()
    data.to_csv(tmp_path / "weighted.dat", sep=" ", header=False, index=False)
    variable = "DATA: FILE = weighted.dat; VARIABLE: NAMES = id w1 x1 y w b s; CLUSTER = id;"
    two = f"""{variable} WITHIN = x1; BETWEEN = w1; WEIGHT = w; BWEIGHT = b; WTSCALE = ECLUSTER;
BWTSCALE = SAMPLE; ANALYSIS: TYPE = TWOLEVEL; MODEL: %WITHIN%
y ON x1; %BETWEEN%
y ON w1;"""
    ported = translate(two)
    fit, model = run(ported.code, tmp_path)["fit"], "level: 1; y ~ x1; level: 2; y ~ w1"
    weights = {"level1": "w", "level2": "b"}
    own = mlsem.fit(model, data, "id", weights=weights, weight_scaling="ecluster")
    assert ported.untranslated == 0
    assert fit.loglik == pytest.approx(own.loglik, rel=1e-12)
    np.testing.assert_allclose(fit.bse, own.bse, rtol=1e-9)

    one = f"{variable} WEIGHT = w; STRATIFICATION = s; ANALYSIS: TYPE = COMPLEX; MODEL: y ON x1 w1;"
    fit = run(translate(one).code, tmp_path)["fit"]
    own = mlsem.fit(
        "y ~ x1 + w1", data, "id", weights="w", strata="s", meanstructure=True, se="MLR"
    )
    np.testing.assert_allclose(fit.bse, own.bse, rtol=1e-4)


@pytest.mark.parametrize(
    ("how", "replicates"),
    [
        ("FAY (.3)", mlsem.Fay("r{}", k=0.3)),
        ("BRR", mlsem.BRR("r{}")),
        ("JACKKNIFE1", mlsem.JK1("r{}")),
        ("JACKKNIFE2", mlsem.JK2("r{}")),
    ],
)
def test_replicate_weights(tmp_path: Path, how: str, replicates: Any) -> None:
    data, rng = _weighted(), np.random.default_rng(3)
    for k in range(1, 13):
        drawn = rng.integers(0, 2, data["id"].max() + 1)
        data[f"r{k}"] = data["w"] * (0.5 + drawn[data["id"]])
    data.to_csv(tmp_path / "weighted.dat", sep=" ", header=False, index=False)
    ported = translate(
        f"""DATA: FILE = weighted.dat; VARIABLE: NAMES = id w1 x1 y w b s r1-r12; WEIGHT = w;
REPWEIGHTS = r1-r12; ANALYSIS: TYPE = COMPLEX; REPSE = {how}; MODEL: y ON x1 w1;"""
    )
    assert ported.untranslated == 0
    fit = run(ported.code, tmp_path)["fit"]
    own = mlsem.fit("y ~ x1 + w1", data, weights="w", replicates=replicates, meanstructure=True)
    assert fit.se_kind == "replicates"
    np.testing.assert_allclose(fit.bse, own.bse, rtol=1e-9)


def test_some_of_the_columns_of_a_pattern_are_named_one_by_one() -> None:
    ported = translate(
        """VARIABLE: NAMES = y x w r1-r4; WEIGHT = w; REPWEIGHTS = r2-r3;
ANALYSIS: TYPE = COMPLEX; REPSE = BRR; MODEL: y ON x;"""
    )
    assert 'replicates=mlsem.BRR(["r2", "r3"])' in ported.code


def test_imputations(tmp_path: Path) -> None:
    """The files of a list, pooled; what is of one data set is said."""
    data, rng = _weighted(), np.random.default_rng(5)
    sets = [data.assign(y=data["y"] + rng.normal(0, 0.3, len(data)).round(6)) for _ in range(3)]
    for k, each in enumerate(sets):
        each.to_csv(tmp_path / f"i{k}.dat", sep=" ", header=False, index=False)
    (tmp_path / "list.dat").write_text("i0.dat\ni1.dat\ni2.dat\n")
    ported = translate(
        """DATA: FILE = list.dat; TYPE = IMPUTATION; VARIABLE: NAMES = id w1 x1 y w b s;
DEFINE: x1 = x1*2; MODEL: y ON x1 w1; OUTPUT: CINTERVAL STDYX MODINDICES;"""
    )
    pooled = run(ported.code, tmp_path)["fit"]
    doubled = [each.assign(x1=each["x1"] * 2) for each in sets]
    own = mlsem.fit_many("y ~ x1 + w1", doubled, meanstructure=True, information="observed")
    np.testing.assert_allclose(pooled.bse, own.bse, rtol=1e-9)
    assert ported.untranslated == 1
    assert "modification_indices(minimum=10)) (it is of one data set" in ported.notes[-1]
