"""How `lmm` reads formulas: R's algebra, lme4's random parts, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.designs import design
from mlsem.errors import DataError, MlsemWarning, SpecificationError


def clusters():
    """40 clusters of 12, with a factor, slopes and a product that vary between them."""
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"id": np.repeat(np.arange(1, 41), 12)})
    n, place = len(data), data["id"].to_numpy() - 1
    data["x1"], data["x2"] = rng.normal(size=n) + 2, rng.normal(size=n)
    data["w1"] = rng.normal(size=40)[place]
    data["f"], data["sex"] = rng.choice(["a", "b", "c"], n), rng.choice(["female", "male"], n)
    data["t"] = rng.integers(1, 5, n)
    u = rng.normal(size=(40, 4))[place] * [0.8, 0.5, 0.4, 0.3]
    effects = 1 + 0.5 * data["x1"] + 0.3 * data["w1"] + 0.2 * (data["f"] == "c") + u[:, 0]
    effects += (data["f"] == "b") * (0.4 + u[:, 3]) + u[:, 1] * data["x1"] + u[:, 2] * data["x2"]
    data["y"] = effects + 0.3 * data["x1"] * data["x2"] * u[:, 3] + rng.normal(size=n)
    return data


DATA = clusters()

# --- logLik of lme4 1.1-31 (the better of bobyqa and Nelder-Mead), REML and ML -------------------

LME4 = {
    "y ~ x1 + (f || id)": (-809.174177, -806.693701),
    "y ~ sex + x1 + (sex + x1 || id)": (-788.634164, -785.091620),
    "y ~ x1*x2 + (x1*x2 | id)": (-783.774876, -778.055640),
    "y ~ x1 + (x1+x2+x1:x2 | id)": (-780.762721, -778.416143),
    "y ~ f*x1 + (f:x1 || id)": (-782.392129, -775.811447),
    "y ~ x1 + f + (0 + f | id)": (-809.765669, -805.253035),
    "y ~ x1 + (x1*x2 || id)": (-783.959173, -781.748687),
    "y ~ f + f:x1 + (1 | id)": (-813.021325, -806.091586),
    "y ~ (x1+x2)^2 + (1 | id)": (-817.260951, -811.091594),
    "y ~ scale(x1) + (scale(x1) | id)": (-787.115379, -784.760574),
    "y ~ factor(t) + (1 | id)": (-847.341028, -843.865445),
    "y ~ 0 + f + (1 | id)": (-845.616077, -842.913607),
    "y ~ x1 + (1|id) - 1": (-825.531938, -823.571390),
    "y ~ f + f:sex + (0 + sex || id)": (-846.643083, -841.959723),
    "y ~ sex*x1 + (sex*x1 || id)": (-789.559068, -784.784563),
    "y ~ f*sex + (f || id)": (-843.877187, -839.382276),
}


@pytest.mark.parametrize("formula", LME4)
def test_log_likelihoods_of_lme4(formula):
    for reml, wanted in zip((True, False), LME4[formula], strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MlsemWarning)  # some are on the boundary
            fit = mlsem.lmm(formula, DATA, REML=reml)
        assert fit.converged
        assert fit.loglik == pytest.approx(wanted, abs=1e-6)


def test_dummies_of_all_levels_take_the_intercept_in():
    with pytest.warns(MlsemWarning, match="singular"):
        fit = mlsem.lmm("y ~ x1 + (f || id)", DATA)
    assert {"id.fa", "id.fb", "id.fc", "id.fb.fa"} <= set(fit.params.index)
    assert "id.(Intercept)" not in fit.params
    assert "random part of '(Intercept)'" in fit.notes[0]
    names = mlsem.lmm("y ~ f + (0 + x1 || id)", DATA).params.index
    assert "id.(Intercept)" not in names


# --- the columns of R's model.matrix -------------------------------------------------------------

COLUMNS = {
    "1 + f:x1": "(Intercept) fa:x1 fb:x1 fc:x1",
    "1 + x1 + f:x1": "(Intercept) x1 fb:x1 fc:x1",
    "0 + x1 + f": "x1 fa fb fc",
    "0 + f + f:sex": "fa fb fc fa:sexmale fb:sexmale fc:sexmale",
    "1 + factor(t)": "(Intercept) factor(t)2 factor(t)3 factor(t)4",
    "1 + as.factor(t):x1": "(Intercept) as.factor(t)1:x1 as.factor(t)2:x1 as.factor(t)3:x1 "
    "as.factor(t)4:x1",
    "1 + C(t)": "(Intercept) C(t)2 C(t)3 C(t)4",
}


@pytest.mark.parametrize("text", COLUMNS)
def test_columns_of_r(text):
    found = design("y", text, DATA, DATA)
    assert " ".join(name for _, block in found.terms for name in block) == COLUMNS[text]


def values_of(call, data=DATA):
    (_, block), *_ = design("y", f"0 + {call}", data, data).terms
    return np.column_stack(list(block.values()))


def test_functions_of_r():
    x = DATA["x1"].to_numpy()
    wanted = {
        "scale(x1)": (x - x.mean()) / x.std(ddof=1),
        "scale(x1, scale=False)": x - x.mean(),
        "scale(x1, center=False)": x / np.sqrt(x @ x / (len(x) - 1)),
        "sin(x1)": np.sin(x),
        "log1p(abs(x1))": np.log1p(np.abs(x)),
        "log(x1 + 9, 2)": np.log2(x + 9),
        "as.numeric(x1 > 2)": x > 2,
    }
    for call, values in wanted.items():
        np.testing.assert_allclose(values_of(call)[:, 0], values, rtol=1e-12)


def test_splines_of_r():
    """Bernstein's polynomials without the first where there is no inner knot."""
    data = pd.DataFrame({"x": np.linspace(0.0, 1.0, 11), "y": 1.0})
    x = data["x"].to_numpy()
    wanted = np.column_stack([3 * x * (1 - x) ** 2, 3 * x**2 * (1 - x), x**3])
    np.testing.assert_allclose(values_of("bs(x)", data), wanted, atol=1e-12)
    np.testing.assert_allclose(values_of("bs(x, df=3)", data), wanted, atol=1e-12)
    assert values_of("bs(x, df=5)", data).shape == (11, 5)


def test_categories_keep_their_order():
    f = pd.Categorical(DATA["f"], categories=["c", "a", "unused", "b"])
    found = design("y", "1 + f", DATA.assign(f=f), {"f": pd.Series(f), "y": DATA["y"]})
    assert list(found.terms[1][1]) == ["fa", "fb"]


def test_small_integers_do_not_overflow():
    data = DATA.assign(n=np.arange(480) % 100).astype({"n": "int8"})
    np.testing.assert_allclose(values_of("I(n**2)", data)[:, 0], (np.arange(480) % 100) ** 2.0)


def test_groups_and_outcomes_in_backticks():
    data = DATA.rename(columns={"id": "school id", "y": "the y", "x1": "an x", "x2": "x-2 %"})
    fit = mlsem.lmm("`the y` ~ `an x` + (`an x` | `school id`)", data)
    assert "x-2 %" in mlsem.lmm("`the y` ~ `x-2 %` + (1 | `school id`)", data).params
    same = mlsem.lmm("y ~ x1 + (x1 | id)", DATA)
    assert fit.loglik == same.loglik
    assert {"an x", "school id.an x.(Intercept)"} <= set(fit.params.index)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("y ~ x1 + ((x1 | id))", "y ~ x1 + (x1 | id)"),
        ("y ~ x1 + (1 | id) - 1", "y ~ 0 + x1 + (1 | id)"),
        ("(y) ~ x1 + (x1 + 1 | id)", "y ~ x1 + (x1 | id)"),
        ("y ~ x1 + (x1 || id)", "y ~ x1 + (1 | id) + (0 + x1 | id)"),
        ("y ~ x1 + x2 - x2 + (1 | id)", "y ~ x1 + (1 | id)"),
        ("y ~ I(x1^2) + (x1 + x2)^2 + (1 | id)", "y ~ I(x1**2) + x1*x2 + (1 | id)"),
    ],
)
def test_the_same_formula(text, plain):
    found, wanted = mlsem.lmm(text, DATA), mlsem.lmm(plain, DATA)
    assert found.loglik == wanted.loglik
    assert list(found.params) == list(wanted.params)


# --- refusals ------------------------------------------------------------------------------------

REFUSED = {
    "y ~ x1 %in% f + (1|id)": ("an interaction is written x1:f", "x1 %in% f"),
    "y ~ I(x1 %% 2) + (1|id)": ("no sign of a formula", "I(x1 %% 2)"),
    "y ~ . + (1|id)": ("all other columns: name them", "."),
    "y ~ 2*x1 + (1|id)": ("the number 2 is no term.*I\\(2\\*x1\\)", "2*x1"),
    "y ~ 1:x1 + (1|id)": ("the number 1 is no term", "1:x1"),
    "y ~ (sex=='male') + (1|id)": ("a comparison stands in a call", "(sex=='male')"),
    "y + x1 ~ x2 + (1|id)": ("one column or one call: write I\\(y \\+ x1\\)", "y + x1"),
    "y ~ x1 x2 + (1|id)": ("'x2' cannot follow after 'x1'", None),
    "y ~ d$x1 + (1|id)": ("without their data frame", "d$x1"),
    "y ~ f['a'] + (1|id)": ("cannot be picked", "f['a']"),
    "y ~ 'x1' + (1|id)": ("named without quotes", "'x1'"),
    "y ~ x1 + (x1 | id": ("in parentheses of its own", "(x1 | id"),
    "y ~ x1 | id": ("in parentheses of its own", "x1 | id"),
    "y ~ x1 - (1 | id)": ("in parentheses of its own", "(1 | id)"),
    "y ~ (x1 + (1 | id)) + x2": ("in parentheses of its own", "(x1 + (1 | id))"),
    "y ~ (x1 + x2)^x1 + (1|id)": ("a power is a number", "(x1 + x2)^x1"),
    "y ~ x1^2 + x2 + (1|id)": ("a power is written I\\(x1\\*\\*2\\)", "x1^2"),
    "y ~ f/x1 + (1|id)": ("written f \\+ f:x1", "f/x1"),
    "y ~ f:sex + f + (1|id)": ("write main effects before their interactions", None),
    "y ~ f:sex + (1|id)": ("without 'sex'.*0 \\+ f:g", None),
    "y ~ I((x1 + x2)*w1) + I(x1 + x2*w1) + (1|id)": ("two terms of", None),
    "y ~ arctan(x1) + (1|id)": ("write np.arctan", None),
    "y ~ I(x1 x2) + (1|id)": ("cannot be read.*as in Python", None),
    "y ~ bs(x1, df=2) + (1|id)": ("needs df from 3", None),
}


@pytest.mark.parametrize("formula", REFUSED)
def test_refused(formula):
    message, place = REFUSED[formula]
    with pytest.raises(SpecificationError, match=message) as caught:
        mlsem.lmm(formula, DATA)
    if place is not None:
        span = caught.value.span
        assert formula[span.start : span.end] == place


@pytest.mark.parametrize(
    ("formula", "columns", "message"),
    [
        ("y ~ z + (1|id)", {"z": DATA["x1"].astype(str)}, r"text with 480 .*to_numeric"),
        ("y ~ z + (1|id)", {"z": [f"p{i}" for i in range(480)]}, "text with 480.*Join levels"),
        ("z ~ x1 + (1|id)", {"z": DATA["y"].astype(str)}, "outcome 'z' is text.*to_numeric"),
        ("z ~ x1 + (1|id)", {"z": DATA["y"] + 1j}, "complex"),
        ("y ~ z + (1|id)", {"z": DATA["x1"].replace(DATA["x1"][3], np.inf)}, "infinite.*row 3"),
        ("w1 ~ x1 + (1|id)", {}, "the outcome 'w1' does not vary within any cluster of 'id'"),
        ("y ~ x1 + (x1|z)", {"z": range(480)}, "every cluster of 'z' has one row"),
        ("y ~ Residual + (1|id)", {"Residual": DATA["x1"]}, "named 'Residual'.*Rename"),
        ("y ~ `(Intercept)` + (1|id)", {"(Intercept)": DATA["x1"]}, "Rename"),
        ("y ~ `id.x1` + (x1|id)", {"id.x1": DATA["x2"]}, "two parameters would be named"),
        ("y ~ sex + sexmale + (1|id)", {"sexmale": DATA["x2"]}, "two columns .*'sexmale'"),
    ],
)
def test_refused_data(formula, columns, message):
    with pytest.raises(DataError, match=message):
        mlsem.lmm(formula, DATA.assign(**columns))
