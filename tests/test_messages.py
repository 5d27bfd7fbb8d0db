"""Messages to those who come from elsewhere; what a message says to write is written, and works."""

from __future__ import annotations

import pathlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import DataError, MlsemError, ModelSyntaxError, OptionValueError
from mlsem.syntax.parse import parse

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.errors.MlsemWarning")
TWO_LEVELS = "level: 1\ny ~ x\nlevel: 2\ny ~ w"


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(80, 3)), columns=["y", "x", "z"])
    cluster = np.repeat(np.arange(16), 5)
    data["y"] += rng.normal(size=16)[cluster]
    return data.assign(id=cluster, w=rng.normal(size=16)[cluster], school=cluster // 4)


def said(model, data, **options) -> str:
    with pytest.raises(MlsemError) as caught:
        mlsem.fit(model, data, **options)
    return str(getattr(caught.value, "message", caught.value))


def followed(code: str, data: pd.DataFrame) -> pd.DataFrame:
    names = {"data": data, "pandas": pd}
    exec(code, names)
    return names["data"]


# --- Mplus --------------------------------------------------------------------------------------

# a statement of Mplus → (what is under the caret, how it is written here)
MPLUS = {
    "f BY y1 y2 y3;": ("BY", "f =~ y1 + y2 + y3"),
    "f by y1-y4;": ("by", "f =~ y1 + y2 + y3 + y4"),
    "f BY y1* y2@1 y3*0.5;": ("BY", "f =~ NA*y1 + 1*y2 + NA*start(0.5)*y3"),
    "y1 y2 ON x1\n x2;": ("ON", "y1 + y2 ~ x1 + x2"),
    "y ON x (b);": ("ON", "y ~ b*x"),
    "y ON x*0.3;": ("ON", "y ~ start(0.3)*x"),
    "y1 WITH y2@0;": ("WITH", "y1 ~~ 0*y2"),
    "y1 y2 PWITH x1 x2;": ("PWITH", "y1 ~~ x1; y2 ~~ x2"),
    "s | y ON x;": ("ON", 'y ~ rv("s")*x'),
    "[y];": ("[y]", "y ~ 1"),
    "[y@0 x*2];": ("[y@0 x*2]", "y ~ 0*1; x ~ start(2)*1"),
    "f@1;": ("f@1", "f ~~ 1*f"),
    "f =~ y1@1 + y2": ("y1@1", "1*y1"),
}


@pytest.mark.parametrize("text", MPLUS)
def test_mplus_is_written_here_with_the_users_names(text):
    place, here = MPLUS[text]
    for whole in (text, f"y ~ x\n{text}"):
        with pytest.raises(ModelSyntaxError) as caught:
            parse(whole)
        error = caught.value
        assert "is Mplus: here " in error.message
        assert f"is written '{here}'" in error.message
        assert error.span is not None
        assert whole[error.span.start : error.span.end] == place
    parse(here if "~" in here else f"f =~ {here}")


INPUT = """TITLE: growth of pupils
DATA: FILE IS pupils.dat;
VARIABLE: NAMES ARE y x w id;
  CLUSTER = id;  ! schools
  WITHIN = x; BETWEEN = w;
ANALYSIS: TYPE = TWOLEVEL RANDOM; ESTIMATOR = MLR;
MODEL:
%WITHIN%
  s | y ON x;
%BETWEEN%
  y s ON w (a
  );
  y WITH s;
OUTPUT: STDYX;
"""


def test_a_whole_input_is_translated_and_the_translation_is_a_model():
    message = said(INPUT.replace("(a\n  )", ""), None)
    assert message.startswith("'TITLE:' is Mplus: leave it out")
    whole = message.partition("The whole model is:\n")[2]
    assert whole.split("\n") == [
        "  level: 1",
        '  y ~ rv("s")*x',
        "  level: 2",
        "  y + s ~ w",
        "  y ~~ s",
    ]
    assert mlsem.fit(whole, rows(), cluster="id").n_clusters == 16
    assert "The whole model" not in said(INPUT, None)  # a label after two names: two labels?


def test_constraints_of_an_input_are_translated():
    text = "MODEL: m ON x (a); y ON m (b) x;\nMODEL CONSTRAINT: NEW(ab); ab = a*b; a > 0;"
    whole = said(text, None).partition("The whole model is:\n")[2]
    assert [line.strip() for line in whole.split("\n")] == [
        "m ~ a*x",
        "y ~ b*m + x",
        "ab := a*b",
        "a > 0",
    ]
    assert parse(whole).definitions[0].name == "ab"


# text → what the message says
OTHER_MPLUS = {
    "%WITHIN%\ny ON x;\n%BETWEEN%\ny ON w;": "begins with 'level: 1'",
    "%BETWEEN%": "begins with 'level: 2'",
    "%OVERALL%\ny ON x;": "latent classes are not fitted",
    "%c#1%\n[y];": "latent classes are not fitted",
    "MODEL:\ny ~ x": "the model begins with its first formula",
    "y ~ x\nOUTPUT: STDYX;": "results are asked of the fit",
    "TYPE = TWOLEVEL;": "two levels are the headers 'level: 1' and 'level: 2'",
    "CLUSTER = school;": 'fit(model, data, cluster="school")',
    "CLUSTER IS school;": 'fit(model, data, cluster="school")',
    "ESTIMATOR = MLR;": 'fit(model, data, estimator="MLR")',
    "WITHIN = x z;": "the level at which the model names a variable says it",
    "USEVARIABLES ARE y x;": "the model names the columns that it uses",
    "f1 XWITH f2;": "products with latent variables",
    "MODEL INDIRECT: y IND x;": "'ab := a*b'",
    "y ON": "here it is '~'",
}


@pytest.mark.parametrize("text", OTHER_MPLUS)
def test_other_parts_of_mplus(text):
    assert OTHER_MPLUS[text] in said(text, None)
    assert "Mplus" in said(text, None)


@pytest.mark.parametrize("text", ["on ~ x", "y ~ by + with_1", "model ~ type", "y ~ within"])
def test_words_of_mplus_are_names_too(text):
    assert parse(text).blocks[0].formulas


# --- lme4, pyfixest, statsmodels ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "y ~ x + (1|id)",
        "y ~ x + (1 + x || id)",
        "y ~ x +\n  (x | id)",
        "y ~ x | id",
        "y ~ x || id",
        "y ~ 1 + (1 | school/id)",
        "y ~ x + (1|id) + (1|school)",
    ],
)
def test_a_mixed_model_points_to_cluster_and_lmm(text):
    message = said(text, rows())
    assert re.search(r'cluster="(id|school)"', message)
    formula = re.search(r'mlsem\.lmm\("([^"]+)", data\)', message)
    assert formula is not None
    assert mlsem.lmm(formula[1], rows(), on_failure="warn").n_obs == 80


def test_two_sets_of_fixed_effects_have_no_lmm():
    message = said("y ~ x | id + year", rows())
    assert 'cluster="id"' in message
    assert "are not absorbed" in message
    assert "lmm" not in message


@pytest.mark.parametrize("call", ["C(f)", "factor(f)", "as.factor(f)", "i(f)"])
def test_categories_in_the_model(call):
    data = rows().assign(f=["a", "b"] * 40)
    for text in (f"y ~ {call}", f"y ~ {call}*x"):
        code = re.search(r"(data = data\.join\(.*\)), and", said(text, data))
        assert code is not None
        assert mlsem.fit("y ~ f_b", followed(code[1], data)).n_obs == 80


# --- columns ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "categorical", "missing"])
def test_a_column_of_text_is_coded_by_the_line_that_the_message_gives(kind):
    words = pd.Series(["low", "high", "mid", "very high"] * 20)
    if kind == "categorical":
        words = words.astype(pd.CategoricalDtype(["low", "mid", "high", "very high"]))
    if kind == "missing":
        words[3] = None
    data = rows().assign(f=words)
    message = said("y ~ f + x", data)
    found = re.search(r"(data = data\.join\(.*\)), and write (.*) in place of f", message)
    assert found is not None
    coded = followed(found[1], data)
    fit = mlsem.fit(f"y ~ {found[2]} + x", coded)
    assert fit.n_obs == 80 - (kind == "missing")
    assert fit.n_params == 5  # three contrasts, x, the variance
    reference = "low" if kind == "categorical" else "high"
    assert f"({reference!r} is the reference)" in message


@pytest.mark.parametrize(
    ("column", "model"),
    [
        ("my var", "y ~ my var + x"),
        ("my var", "y ~ my_var"),
        ("my var", "y ~ my.var"),
        ("my var", "y ~ `my var`"),
        ("2nd", "y ~ 2nd"),
        ("2nd", "y ~ X2nd"),
        ("income (EUR)", "y ~ income (EUR)"),
        ("income (EUR)", "y ~ income"),
        ("x-2", "y ~ x-2"),
        ("50%", "y ~ 50%"),
        ("a&b", "y ~ a&b"),
        ('say "x"', 'y ~ say "x"'),
        ("größe [cm]", "y ~ größe [cm]"),
    ],
)
def test_a_column_with_an_unfit_name_is_renamed(column, model):
    data = rows().rename(columns={"z": column})
    code = re.search(r"data = data\.rename\(columns=\{.*\}\)", said(model, data))
    assert code is not None
    renamed = followed(code[0], data)
    (new,) = set(renamed.columns) - set(data.columns)
    assert mlsem.fit(f"y ~ {new}", renamed).n_obs == 80


def test_renaming_takes_no_name_that_is_there():
    data = rows().assign(**{"my var": 1.0, "my_var": 2.0})
    assert '{"my var": "my_var_2"}' in said("y ~ my var", data)


def test_blanks_around_names_and_numbers_as_names():
    data = rows().rename(columns={"x": " x"})
    message = said("y ~ x", data)
    assert "The data have ' x', with blanks around it: data.columns" in message
    assert "no column whose name is text" in said("y ~ x", pd.DataFrame(np.eye(4)))
    assert "Did you mean 'x'?" in said("y ~ X", rows().assign(**{"X (cm)": 1.0}))


# --- cluster= -----------------------------------------------------------------------------------


def test_three_levels_are_answered_with_what_can_be_done():
    message = said(TWO_LEVELS, rows(), cluster=["school", "id"])
    found = re.search(r'cluster="(\w+)", se_cluster="(\w+)", se="(\w+)"', message)
    assert found is not None
    fit = mlsem.fit(TWO_LEVELS, rows(), cluster=found[1], se_cluster=found[2], se=found[3])
    assert fit.n_clusters == 16
    assert "recur" not in message


def test_ids_that_recur_are_made_one_id():
    data = rows().assign(room=lambda d: d.id % 4 + 10 * (d.id % 2))
    data["room"] = np.tile(np.repeat(np.arange(5), 4), 4)
    message = said("level: 1\ny ~ x\nlevel: 2\ny ~ 1", data, cluster=("school", "room"))
    code = re.search(
        r'(data\["\w+"\] = data\.groupby\(.*\)\.ngroup\(\)), and name "(\w+)"', message
    )
    assert code is not None
    made = followed(code[1], data)
    fit = mlsem.fit(
        "level: 1\ny ~ x\nlevel: 2\ny ~ 1", made, cluster=code[2], se_cluster="school", se="CR2"
    )
    assert fit.n_clusters == 20


def test_other_values_of_cluster():
    data = rows()
    assert "Pass cluster='id'" in said(TWO_LEVELS, data, cluster=["id"])
    assert 'Pass cluster="id"' in said(TWO_LEVELS, data, cluster=data["id"])
    assert 'data["id"] = …' in said(TWO_LEVELS, data, cluster=data["id"].to_numpy() + 1)
    assert 'data["id"] = …' in said(TWO_LEVELS, data, cluster=data["id"].tolist())
    assert "not 3." in said(TWO_LEVELS, data, cluster=3)
    several = said(TWO_LEVELS, data, cluster="id", se_cluster=["id", "school"])
    assert "several clusterings at once" in several


# --- what is no model, what are no data -----------------------------------------------------------


def test_a_path_as_model_is_read(tmp_path):
    for name in ("model.lav", "two levels.txt"):
        path = tmp_path / name
        path.write_text(TWO_LEVELS)
        for model in (str(path), path):
            message = said(model, rows(), cluster="id")
            code = re.search(r"pathlib\.Path\(.*\)\.read_text\(.*?\)", message)
            assert code is not None
            text = eval(code[0], {"pathlib": pathlib})
            assert mlsem.fit(text, rows(), cluster="id").n_obs == 80


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("C:\\models\\m.lav", "the path of a file"),
        ("~/models/m.txt", "expanduser()"),
        ("data.csv", "a file of data"),
        ("m.inp", "an Mplus input"),
        (TWO_LEVELS.split("\n"), '"\\n".join(model)'),
        (TWO_LEVELS.encode(), "model.decode()"),
        (None, "model is a NoneType; it takes the model as text"),
    ],
)
def test_what_is_no_model(model, message):
    assert message in said(model, rows())


@pytest.mark.parametrize("text", ["y.lav ~ x", "y ~ x.txt", "a/b.c ~ x"])
def test_names_with_dots_are_no_paths(text):
    try:
        parse(text)
    except ModelSyntaxError as error:
        message = error.message
    else:
        message = ""
    assert "path" not in message


def test_model_and_data_in_the_wrong_order():
    for model in (TWO_LEVELS, Path("model.lav"), "model.lav"):
        with pytest.raises(OptionValueError, match="first argument is the model, the second the"):
            mlsem.fit(rows(), model)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=r"'data\.csv' is not there"):
        mlsem.fit(TWO_LEVELS, "data.csv")


def test_check_takes_the_cluster_too():
    """Which says nothing of the table: robust errors do without a mean structure."""
    assert mlsem.check("y ~ x", rows(), cluster="id") == mlsem.check("y ~ x", rows())


class _Shy:
    def __repr__(self) -> str:
        raise RuntimeError("no words for this")


@pytest.mark.parametrize("keyword", ["cluster", "se_cluster"])
@pytest.mark.parametrize(
    "value",
    [10**5000, [10**5000], [_Shy()], [_Shy(), _Shy()], [_Shy()] * 80, _Shy(), ["\ud800"]],
    ids=["digits", "a list of digits", "one", "two", "a row each", "alone", "half a surrogate"],
)
def test_clusters_that_cannot_be_shown(keyword, value):
    with pytest.raises(OptionValueError, match=f"{keyword} must be the name of one column"):
        mlsem.fit("y ~ x", rows(), **{keyword: value})
