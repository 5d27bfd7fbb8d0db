"""What a Wald test refuses: texts and matrices that are no constraints, tests that do not exist."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from cr_cases import ALONE, CASES
from kinds import UNBALANCED, make_data, with_estimates
from wald_checks import MODEL, assert_same, quiet, rows

import mlsem
from mlsem.estimation.standard_errors import BIAS_REDUCED
from mlsem.inference.covariance import statistics as tests

# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")


@pytest.fixture(scope="module")
def data():
    return make_data(3, UNBALANCED * 2)


@pytest.fixture(scope="module")
def fit(data):
    return quiet(MODEL, data, se="CR2")


def refused(error, message, fit, *args, **options):
    with pytest.raises(error, match=message):
        fit.wald_test(*args, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a > 0", "line 1, column 3: a Wald test is of equalities"),
        ("a == b\nc <= 1", "line 2, column 3: a Wald test is of equalities"),
        ("a != b", "column 3: .*'!=' is no constraint"),
        ("a = b", "'=' is no operator: .*'==' for a constraint"),
        ("a == b, c", "column 7: .*';', not ','"),
        ("y1~x1 == 0", r"'~' has no meaning in a constraint: .*backticks.*`y1~~y1`"),
        ("ind := a*b", "':=' belongs to the model"),
        ("a +", "nothing follows '\\+'"),
        ("a ==", "nothing follows '=='"),
        ("a == b == c", "a second operator"),
        ("== a", "nothing stands before '=='"),
        ("(a", "never closed"),
        ("`y1~x1", "quote is not closed"),
        ("a:b", "':' makes a product of variables"),
        ("sin(a)", "unknown function 'sin'"),
        ("-" * 200 + "a", "nests 201 operations"),
        ("a/0", "divides by zero"),
    ],
)
def test_what_is_no_constraint(fit, text, message):
    refused(mlsem.ModelSyntaxError, message, fit, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a == bb", r"line 1, column 6: 'bb' is no label .*\n.*\n +\^\^$"),
        ("a; ABC", "column 4: 'ABC'"),
        ("abb == 0", "Did you mean 'ab'"),
        ("`y1~w2` == 0", r"Did you mean `y1~w2\.l2`\?"),
        ("y1_w2 == 0", r"'y1_w2' is no label .* Did you mean `y1~w2\.l2`\?"),
        ("x1", r"'x1' is no label .* backticks, such as `y1~~y1`"),
        ("1 == 2", "no free parameter is in this constraint"),
        ("log(-abs(a)) == 0", "no finite value or slope"),
    ],
)
def test_what_cannot_be_evaluated(fit, text, message):
    refused(mlsem.SpecificationError, message, fit, text)


@pytest.mark.parametrize(
    ("constraints", "rhs", "message"),
    [
        ("", None, "no constraint to test"),
        (" # nothing\n", None, "no constraint to test"),
        ("a", 1.0, "write it after '=='"),
        (3, None, r"shape \(\)"),
        (np.ones((2, 3)), None, r"shape \(2, 3\)"),
        (np.ones((0, 7)), None, r"shape \(0, 7\)"),
        (np.full(7, np.nan), None, "missing or infinite"),
        (np.ones((2, 7)), [1, 2, 3], r"rhs has shape \(3,\)"),
        (np.ones(7), "one", "rhs 'str' cannot be read"),
        ([], None, "shape"),
        ({"a": 1}, None, "'dict' cannot be read"),
        (None, None, "missing or infinite|cannot be read"),
        (["a", 1], None, "'list' cannot be read"),
        (pd.DataFrame({"A": [1]}), None, "column 'A', which is no parameter. Did you mean 'a'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), None, "2 columns 'a'"),
        (pd.DataFrame({"a": []}), None, "no rows"),
        (pd.DataFrame({"a": ["b"]}), None, "cannot be read"),
    ],
)
def test_what_is_no_matrix(fit, constraints, rhs, message):
    refused(mlsem.OptionValueError, message, fit, constraints, rhs=rhs)


def test_what_is_no_option(fit):
    refused(mlsem.OptionValueError, "test='wald'.*'chi2', 'F', 'HTZ'", fit, "a", test="wald")
    refused(mlsem.OptionValueError, "'HC3' is not available", fit, "a", vcov="HC3")
    for kind in ("standard", "MLR"):
        message = f"needs a cluster-robust covariance, and vcov is '{kind}'.*\"CR2\""
        refused(mlsem.OptionValueError, message, fit, "a", vcov=kind, test="HTZ")


@pytest.mark.parametrize("kind", ["standard", "MLR", "CR2"])
@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("a == b; b == a", "b == a"),
        ("a == b; b == c; c == a", "c == a"),
        ("a == 1; a == 2", "a == 2"),
        ("a; b; 1e6*a - 1e-3*b == 0", "1e6*a - 1e-3*b == 0"),
        ("a; b; c; ab", "ab == 0"),
    ],
)
def test_dependent_constraints(fit, text, second, kind):
    message = f"^'{re.escape(second)}' follows from the constraints before it"
    refused(mlsem.InferenceError, message, fit, text, vcov=kind)


def test_more_constraints_than_parameters(fit):
    matrix = np.random.default_rng(1).normal(size=(9, len(fit.params)))
    refused(mlsem.InferenceError, "follows from the constraints", fit, matrix)


def test_constraints_that_the_model_settles(data):
    fit = quiet(MODEL + "a == 2*b", data)
    for text in ("a - 2*b == 0", "a/b == 2", "c; a == 2*b + 1"):
        refused(mlsem.InferenceError, "the model's own constraints settle", fit, text)
    bounded = quiet(MODEL + "c > 5", data, se="CR2")
    refused(mlsem.InferenceError, "constraints settle 'c == 0'", bounded, "c")
    for text in ("a - a == 0", "0*a == 1", "abs(a - a) == 0"):
        refused(mlsem.InferenceError, "does not change with any free parameter", fit, text)


def test_too_few_clusters():
    data = make_data(3, (9, 12, 7, 8))
    fit = quiet(MODEL, data, se="CR2")
    for kind in ("CR2", "MLR"):
        message = r"4 constraints are too many .* of 4 clusters \((covariance of rank|J - 1 = 3)"
        text = "a; b; `y1~~y1` == 1; `y1~1.l2` == 0"
        refused(mlsem.InferenceError, message, fit, text, vcov=kind, test="chi2")
    assert fit.wald_test("a; b; `y1~~y1` == 1; `y1~1.l2` == 0", vcov="standard").df == 4
    refused(mlsem.InferenceError, "J - 1 = 3", fit, np.eye(7)[:4], vcov="standard", test="F")


def test_singular_meat():
    """More contrasts than directions in which the clusters' scores lie."""
    scores = np.random.default_rng(1).normal(size=(2, 3))
    with pytest.raises(mlsem.InferenceError, match="covariance of rank 2"):
        tests.require_clusters(scores.T @ scores, 10)
    with pytest.raises(mlsem.InferenceError, match="covariance of rank 0"):
        tests.require_clusters(np.zeros((1, 1)), 10)


def test_too_few_degrees_of_freedom():
    fit = CASES["six_clusters"].fit_at_theirs.with_se("CR2")
    text = "`y~x`; `y~~y` == 1; `y~w.l2`; `y~~y.l2` == 1"
    message = "HTZ does not exist for these 4 constraints: .* 1.74 degrees .* more than 3 are"
    refused(mlsem.InferenceError, message, fit, text)
    assert fit.wald_test(text, test="chi2").df == 4


def test_leverage_one():
    """One cluster is treated: nothing tells how far its effect is off."""
    case = CASES[ALONE]
    fit = case.fit_at_theirs.with_se("CR2")
    treated = case.names[1]
    message = f"'{treated}': no cluster-robust variance, because a single cluster.*leverage 1"
    for test in ("chi2", "F", "HTZ"):
        refused(mlsem.InferenceError, message, fit, f"`{treated}` == 0", test=test)
    assert fit.wald_test(f"`{treated}`", vcov="standard").df == 1
    x1 = next(name for name in case.names if name.endswith("~x1"))
    assert fit.wald_test(f"`{x1}`").df_denom > 1
    clusters = fit.covariance.reference.clusters
    with pytest.raises(mlsem.InferenceError, match="a single cluster determines part of it"):
        tests.wishart_df(clusters, BIAS_REDUCED, clusters.contrasts(rows(fit, [treated], [[1.0]])))


def test_no_covariance(fit, data):
    refused(mlsem.InferenceError, 'se="none"', fit, "a", vcov="none")
    unfinished = fit._estimates.optimum.stopped("max_iter")
    stopped = with_estimates(fit, optimum=unfinished).with_se("CR2")
    refused(mlsem.InferenceError, "did not converge", stopped, "a")
    lost = fit.covariance.matrix.copy()
    lost[0, 0] = np.nan
    partly = replace(fit, covariance=replace(fit.covariance, matrix=lost))
    refused(mlsem.InferenceError, "^'a': no CR2 variance", partly, "a; c")
    assert_same(partly.wald_test("b; c"), fit.wald_test("b; c"))
    few = quiet(MODEL, make_data(3, (9, 12, 7, 8)), se="CR1p")
    refused(mlsem.InferenceError, "no CR1p variance", few, "a")
