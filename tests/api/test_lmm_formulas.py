"""How `lmm` reads formulas: R's algebra, lme4's random parts, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.design.columns import design
from mlsem.data.design.r_evaluate import Scope
from mlsem.errors import DataError, MlsemWarning, SpecificationError
from mlsem.syntax.mixed import read_formula


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


# --- columns -------------------------------------------------------------------------------------


def columns_of(right, data=DATA):
    """The columns of the fixed effects, by name."""
    formula = read_formula(f"y ~ {right} + (1 | id)")
    scope = Scope(data, formula.text)
    variables = {
        name: scope.variable(name, each).taken(None)
        for name, each in ({"y": formula.outcome} | formula.fixed.variables).items()
    }
    return design(formula.fixed, variables)


def values_of(call, data=DATA):
    return np.column_stack(list(columns_of(f"0 + {call}", data).values()))


def test_functions_of_numpy():
    x = DATA["x1"].to_numpy()
    wanted = {
        "np.arctan(x1)": np.arctan(x),
        "np.maximum(x1, 2)": np.maximum(x, 2),
        "np.where(x1 > 2, 1, 0)": x > 2,
        "np.exp(np.sin(np.pi * x1))": np.exp(np.sin(np.pi * x)),
    }
    for call, values in wanted.items():
        np.testing.assert_allclose(values_of(call)[:, 0], values, rtol=1e-12)


def test_splines_are_polynomials_without_inner_knots():
    """Bernstein's, without the first."""
    data = pd.DataFrame({"x": np.linspace(0.0, 1.0, 11), "y": 1.0})
    x = data["x"].to_numpy()
    wanted = np.column_stack([3 * x * (1 - x) ** 2, 3 * x**2 * (1 - x), x**3])
    np.testing.assert_allclose(values_of("bs(x)", data), wanted, atol=1e-12)
    np.testing.assert_allclose(values_of("bs(x, df=3)", data), wanted, atol=1e-12)
    assert values_of("bs(x, df=5)", data).shape == (11, 5)


def test_polynomials_of_a_high_degree_stay_orthogonal():
    found = values_of("poly(x1, 20)")
    np.testing.assert_allclose(found.T @ found, np.eye(20), atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=0), 0.0, atol=1e-9)


def test_categories_keep_their_order():
    f = pd.Categorical(DATA["f"], categories=["c", "a", "unused", "b"])
    assert list(columns_of("f", DATA.assign(f=f))) == ["(Intercept)", "fa", "fb"]
    ordered = f.as_ordered()
    assert list(columns_of("f", DATA.assign(f=ordered))) == ["(Intercept)", "fa", "fb"]


def test_small_integers_do_not_overflow():
    data = DATA.assign(n=np.arange(480) % 100).astype({"n": "int8"})
    np.testing.assert_allclose(values_of("I(n**2)", data)[:, 0], (np.arange(480) % 100) ** 2.0)


def test_names_of_columns_come_before_those_of_functions_and_constants():
    data = DATA.assign(pi=DATA["x2"], scale=DATA["x1"], T=DATA["x2"])
    np.testing.assert_array_equal(values_of("I(pi)", data)[:, 0], data["x2"])
    np.testing.assert_array_equal(values_of("I(T)", data)[:, 0], data["x2"])
    assert abs(values_of("scale(scale)", data).mean()) < 1e-12


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
    "y ~ . + (1|id)": ("all other columns: name them", "."),
    "y ~ 2*x1 + (1|id)": ("the number 2 is no term.*I\\(2\\*x1\\)", "2"),
    "y ~ 1:x1 + (1|id)": ("the number 1 is no term", "1"),
    "y ~ 1e3 + (1|id)": ("the number 1000 is no term", "1e3"),
    "y ~ TRUE + (1|id)": ("TRUE is no term", "TRUE"),
    "y ~ (sex=='male') + (1|id)": ('in a call: I\\(sex == "male"\\)', "sex=='male'"),
    "y ~ x1 > 2 + (1|id)": ("in a call: I\\(x1 > 2\\)", "x1 >"),
    "y ~ x1 & x2 + (1|id)": ("in a call: I\\(x1 & x2\\)", "x1 &"),
    "y ~ (!x1) + (1|id)": ("in a call: I\\(!x1\\)", "!x1"),
    "y ~ I(0 < x1 < 1) + (1|id)": ("write both, I\\(0 < x1 & x1 < 1\\)", "0 < x1 < 1"),
    "y ~ I(x1 == x2 == 1) + (1|id)": ("write both, I\\(x1 == x2 & x2 == 1\\)", "x1 == x2 == 1"),
    "y ~ I(x1<-1) + (1|id)": ("assigns in R: put a blank", "<-"),
    "y ~ I(x1 // 2) + (1|id)": ("written %/% in R", "//"),
    "y ~ I(x1 % 2) + (1|id)": ("written %% in R", "%"),
    "y ~ I(x1 and x2) + (1|id)": ("R writes & for and", "and"),
    "y + x1 ~ x2 + (1|id)": ("one column or one call: write I\\(y \\+ x1\\)", "y + x1"),
    "y ~ x1 x2 + (1|id)": ("'x2' cannot follow after 'x1'", "x2"),
    "y ~ I(x1 x2) + (1|id)": ("'x2' cannot follow after 'x1'", "x2"),
    "y ~ d$x1 + (1|id)": ("without their data frame", "$"),
    "y ~ f['a'] + (1|id)": ("cannot be picked", "["),
    "y ~ 'x1' + (1|id)": ("named without quotes", "'x1'"),
    "y ~ 'x1 + (1|id)": ("the ' is not closed", "'"),
    "y ~ 2nd + (1|id)": ("begins with a digit stands in backticks", "2"),
    "y ~ x1 ; x2 + (1|id)": ("';' has no meaning", ";"),
    "y ~ x1 + (x1 | id": ("a parenthesis is not closed", "id"),
    "y ~ x1 | id": ("in parentheses of its own", "x1 | id"),
    "y ~ x1 - (1 | id)": ("in parentheses of its own", "(1 | id)"),
    "y ~ (x1 + (1 | id)) + x2": ("in parentheses of its own", "(x1 + (1 | id))"),
    "y ~ diag(x1 | id)": ("glmmTMB.*written \\(x1 \\|\\| id\\)", "diag(x1 | id)"),
    "y ~ x1 + ar1(0 + t | id)": ("glmmTMB.*correlations in time", "ar1(0 + t | id)"),
    "y ~ x1 + (1 | factor(id))": ("by its name, not 'factor\\(id\\)'", "factor(id)"),
    "y ~ x1 + (1 | 1)": ("what follows", "1"),
    "y ~ (x1 + x2)^x1 + (1|id)": ("a power is a whole number", "(x1 + x2)^x1"),
    "y ~ (x1 + x2)^1.5 + (1|id)": ("a power is a whole number", "(x1 + x2)^1.5"),
    "y ~ x1^2 + x2 + (1|id)": ("a power is written I\\(x1\\^2\\)", "x1^2"),
    "y ~ (x1 - x1):x2 + (1|id)": ("a side of this has no term", "(x1 - x1):x2"),
    "y ~ x1 + y + (1|id)": ("the outcome y is among the effects", "y"),
    "y ~ arctan(x1) + (1|id)": ("written np.arctan", "arctan(x1)"),
    "y ~ np.scale(x1) + (1|id)": ("R's is written scale", None),
    "y ~ np.mean(x1) + (1|id)": ("written mean\\(\\)", None),
    "y ~ scael(x1) + (1|id)": ("Did you mean 'scale'", "scael(x1)"),
    "y ~ s(x1) + (1|id)": ("smooth of mgcv; splines are ns", "s(x1)"),
    "cbind(y, x1) ~ x2 + (1|id)": ("one outcome", "cbind(y, x1)"),
    "y ~ C(f, Sum) + (1|id)": ("a coding is one of contr.treatment, contr.sum", "C(f, Sum)"),
    "y ~ scale(x1, centre=TRUE) + (1|id)": ("takes 'x', 'center', 'scale'", None),
    "y ~ log() + (1|id)": ("takes 'x', 'base'", "log()"),
    "y ~ exp(x1, x2) + (1|id)": ("it takes 1 value", None),
    "y ~ mean(x1) + (1|id)": ("it gives no column", "mean(x1)"),
    "y ~ I(1:3) + (1|id)": ("3 values for 480 rows", None),
    "y ~ I(x1 + 1:3) + (1|id)": ("differ in length", None),
    "y ~ I(1:1e9) + (1|id)": ("no sequence of up to 10000", "1:1e9"),
    "y ~ log(f) + (1|id)": ("numbers are needed, not text", "log(f)"),
    "y ~ I(f > 'a') + (1|id)": ("compared with == and !=", "f > 'a'"),
    "y ~ as.numeric(f) + (1|id)": ("is no number; the places of levels", "as.numeric(f)"),
    "y ~ as.integer(f == 'a', 2) + (1|id)": ("it takes 'x'", None),
    "y ~ bs(x1, df=2) + (1|id)": ("df is a whole number from 3", "bs(x1, df=2)"),
    "y ~ poly(t, 4) + (1|id)": ("different values.*from 1 to 3, not 4", "poly(t, 4)"),
    "y ~ cut(x1, 3) + (1|id)": ("breaks are two or more numbers", None),
    "y ~ relevel(f, ref='z') + (1|id)": ("'z' is not among its levels", None),
    "y ~ I(" + "(" * 200 + "x1" + ")" * 200 + ") + (1|id)": ("too many calls", None),
    "y ~ I(" + "+".join(["x1"] * 2000) + ") + (1|id)": ("more than 200 operators", None),
    "y ~ (" + "*".join(f"v{k}" for k in range(12)) + ") + (1|id)": ("more than 2000 terms", None),
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
