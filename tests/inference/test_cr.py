"""CR0 to CR3 and their degrees of freedom: what may not change them, or in a known way only;
constraints and defined parameters."""

import numpy as np
import pandas as pd
import pytest
from cr_checks import WITH_DF, assert_same, df_of, of_kinds
from dense_scores import dense_scores
from kinds import KINDS, Kind, make_data, pose
from scipy.linalg import null_space

import mlsem

# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")

LATENT = KINDS["latent at both levels"].text
PRODUCT = "level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ w1"
SEVERAL = "level: 1\n y1 + y2 ~ x1 + x2\n y2 ~ y1\nlevel: 2\n y1 ~ w1 + w2\n y2 ~ w1"
MODELS = {"latent": LATENT, "product": PRODUCT, "several": SEVERAL}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


@pytest.fixture(scope="module")
def data():
    sizes = np.random.default_rng(1).integers(1, 12, size=50)
    return make_data(21, tuple(sizes))


def fit(model, data, **options):
    return mlsem.fit(model, data, cluster="id", **options)


def without(result, *names):
    return result.params.index.drop(list(names))


# --- what may not change an answer ----------------------------------------------------------------


@every_model
def test_order_of_rows_and_labels(data, model):
    plain = fit(model, data)
    assert_same(fit(model, data.sample(frac=1, random_state=1)), plain)
    shuffled = np.random.default_rng(2).permutation(data["id"].nunique())[data["id"]]
    assert_same(fit(model, data.assign(id=[f"s{k}" for k in shuffled])), plain)


@pytest.mark.parametrize("shift", [20.0, 1e6])
def test_shifted_covariates(data, shift):
    tol = 1e-8 if shift < 100 else 1e-6
    plain = fit(SEVERAL, data)
    moved = fit(SEVERAL, data.assign(x1=data["x1"] + shift, w2=data["w2"] - shift))
    assert_same(moved, plain, tol, without(plain, "y1~1.l2", "y2~1.l2"))

    plain = fit(PRODUCT, data)
    moved = fit(PRODUCT, data.assign(x1=data["x1"] + shift))
    assert_same(moved, plain, tol, without(plain, "y1~w1.l2", "y1~1.l2"))
    moved = fit(PRODUCT, data.assign(w1=data["w1"] + shift))
    assert_same(moved, plain, tol, without(plain, "y1~x1", "y1~1.l2"))


@pytest.mark.parametrize("factor", [1e5, 1e-5])
def test_units(data, factor):
    """Of an outcome, of one of several outcomes, of a covariate, of an indicator: degrees of
    freedom have none."""
    cases = [
        (PRODUCT, "y1", lambda name: 2 if "~~" in name else 1),
        (SEVERAL, "x1", lambda name: -1 if "~x1" in name else 0),
        (LATENT, "y3", lambda name: ("y3" in name) * (2 if "~~" in name else 1)),
        (SEVERAL, "y2", _power_of_y2),
    ]
    for model, column, power in cases:
        plain = fit(model, data)
        scaled = fit(model, data.assign(**{column: factor * data[column]}))
        unit = factor ** np.array([power(name) for name in plain.params.index], dtype=float)
        for found, wanted in of_kinds(scaled, plain):
            np.testing.assert_allclose(found.bse / unit, wanted.bse, rtol=1e-7)
            np.testing.assert_allclose(df_of(found), df_of(wanted), rtol=1e-7)


def _power_of_y2(name):
    """`y2 ~~ y2` goes with the square; `y2 ~ …` and `y1 ~~ y2` with the unit."""
    return 2 if name.startswith("y2~~y2") else 1 if "y2" in name else 0


def test_unit_variance_or_unit_loading(data):
    """Standardized loadings λ·sd(f) of a model written in two ways; degrees of freedom too."""
    marker = (
        "level: 1\n f =~ y1 + a2*y2 + a3*y3\n f ~~ v*f\n"
        "level: 2\n f =~ y1 + b2*y2 + b3*y3\n f ~~ u*f\n"
        "s1 := sqrt(v)\n s2 := a2*sqrt(v)\n s3 := a3*sqrt(v)\n"
        "t1 := sqrt(u)\n t2 := b2*sqrt(u)\n t3 := b3*sqrt(u)"
    )
    unit = "level: 1\n f =~ s1*y1 + s2*y2 + s3*y3\nlevel: 2\n f =~ t1*y1 + t2*y2 + t3*y3"
    first, second = fit(marker, data), fit(unit, data, std_lv=True)
    for ours, theirs in of_kinds(first, second):
        defined = ours.parameter_estimates().query("op == ':='").set_index("lhs")
        assert len(defined) == 6
        np.testing.assert_allclose(defined["est"], theirs.params[defined.index], rtol=1e-7)
        np.testing.assert_allclose(defined["se"], theirs.bse[defined.index], rtol=1e-6)
        np.testing.assert_allclose(defined["df"], df_of(theirs)[defined.index], rtol=1e-6)
    same = [name for name in second.params.index if name in first.params.index]
    assert len(same) == 9
    assert_same(first, second, 1e-6, same)


def test_slope_at_another_value(data):
    """A defined contrast has the standard error and degrees of freedom that it has where it is a
    coefficient: in the form of residuals, and in that of scores (with a second outcome)."""
    one = "level: 1\n y1 ~ b*x1 + c*w1:x1\nlevel: 2\n y1 ~ w1"
    two = "level: 1\n y1 ~ b*x1 + c*w1:x1\n y2 ~ x1\nlevel: 2\n y1 + y2 ~ w1"
    for text in (one, two):
        at = fit(f"{text}\nat := b + 1.5*c\n alone := c", data)
        moved = fit(text, data.assign(w1=data["w1"] - 1.5))
        for ours, theirs in of_kinds(at, moved):
            defined = ours.parameter_estimates().query("op == ':='").set_index("lhs")
            names, same = ["at", "alone"], ["b", "c"]
            np.testing.assert_allclose(defined["se"][names], theirs.bse[same], rtol=1e-8)
            np.testing.assert_allclose(defined["df"][names], df_of(theirs)[same], rtol=1e-8)


def test_no_between_variance(data):
    """Then a two-level model is a regression with `cluster=`."""
    two = fit("level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1\n y1 ~~ 0*y1", data)
    one = fit("y1 ~ x1 + x2 + w1", data, meanstructure=True)
    names = [name.removesuffix(".l2") for name in two.params.index]
    for found, wanted in of_kinds(two, one):
        np.testing.assert_allclose(found.bse, wanted.bse[names], rtol=1e-7)
        np.testing.assert_allclose(df_of(found), df_of(wanted)[names], rtol=1e-7)


@pytest.mark.parametrize("model", [PRODUCT, SEVERAL, "y1 ~ x1\n y2 ~ y1 + w1\n y1 + y2 ~ 1"])
def test_multiples_of_cr0(data, model):
    """p: the fixed effects of a linear mixed model of one outcome, elsewhere all parameters."""
    plain = fit(model, data, se="CR0")
    J, N = 50, len(data)
    p = 4 if model is PRODUCT else len(plain.params)
    multiples = {"CR1": J / (J - 1), "CR1p": J / (J - p), "CR1S": J * (N - 1) / ((J - 1) * (N - p))}
    for kind, multiple in multiples.items():
        found = plain.with_se(kind)
        np.testing.assert_allclose(found.vcov(), multiple * plain.vcov(), rtol=1e-12)
        np.testing.assert_allclose(df_of(found), df_of(plain), rtol=1e-12)


def test_z_tests_on_request(data):
    plain, normal = fit(PRODUCT, data, se="CR2"), fit(PRODUCT, data, se="CR2", test="z")
    np.testing.assert_array_equal(plain.bse, normal.bse)
    assert np.isinf(df_of(normal)).all()
    assert (plain.pvalues > normal.pvalues).all()


# --- constraints and definitions ------------------------------------------------------------------

FREE = "level: 1\n f =~ y1 + a*y2 + b*y3\n f ~ x1\nlevel: 2\n g =~ y1 + c*y2 + d*y3\n g ~ w1\n"
MIXED = "level: 1\n y1 ~ a*x1 + b*x2\nlevel: 2\n y1 ~ c*w1 + d*w2\n"


def dense_constrained(found, text, data, rows):
    """By dense matrices, along directions that constraints with these gradients leave."""
    params = found.estimates
    free = pose(Kind(text), data)
    assert tuple(free.fit.params.index) == tuple(found.params.index)
    basis = null_space(rows(found.params))
    derivatives = free.dense.derivatives(params)
    informations = free.dense.informations(params)
    observed = found.information("observed").to_numpy()
    return dense_scores(
        free.scores(params), derivatives, informations, basis=basis, observed=observed
    )


def gradient(params, **slopes):
    row = pd.Series(0.0, params.index)
    for name, slope in slopes.items():
        row[name] = slope
    return row.to_numpy()


CONSTRAINTS = {
    "equal loadings": ("a == b", lambda p: [gradient(p, a=1, b=-1)]),
    "across levels": (
        "a == c\n b == d",
        lambda p: [gradient(p, a=1, c=-1), gradient(p, b=1, d=-1)],
    ),
    "nonlinear": ("a == b^2", lambda p: [gradient(p, a=1, b=-2 * p["b"])]),
}


@pytest.mark.parametrize(("constraint", "rows"), CONSTRAINTS.values(), ids=CONSTRAINTS.keys())
def test_constraints(data, constraint, rows):
    """Adjusted along the directions that they leave."""
    plain = fit(FREE + constraint, data)
    dense = dense_constrained(plain, FREE, data, rows)
    for kind in WITH_DF:
        found = plain.with_se(kind)
        np.testing.assert_allclose(found.bse, np.sqrt(np.diag(dense.cov(kind))), rtol=1e-7)
        wanted = [dense.df(kind, c) for c in np.eye(len(found.params))]
        np.testing.assert_allclose(df_of(found), wanted, rtol=1e-7)


def test_equality_is_a_shared_label(data):
    equal = fit(FREE + "a == b\n c == d", data)
    shared = fit(FREE.replace("b*y3", "a*y3").replace("d*y3", "c*y3"), data)
    assert_same(equal, shared, 1e-7, shared.params.index)
    for (found,) in of_kinds(equal):
        for values in (found.bse, df_of(found)):
            np.testing.assert_allclose(values[["a", "c"]], values[["b", "d"]], rtol=1e-9)
    across = fit(FREE + "a == c\n b == d", data)
    shared = fit(FREE.replace("c*y2", "a*y2").replace("d*y3", "b*y3"), data)
    assert_same(across, shared, 1e-7, shared.params.index)


def test_active_bound_is_a_fixed_parameter(data):
    text = "level: 1\n y1 ~ {}*x1 + x2\nlevel: 2\n y1 ~ w1\n{}"
    bounded = fit(text.format("p", "p < -0.3"), data)
    fixed = fit(text.format("-0.3", ""), data)
    assert_same(bounded, fixed, 1e-6)
    for (found,) in of_kinds(bounded):
        assert found.bse["p"] < 1e-6
        table = found.parameter_estimates().set_index("label")
        assert table.loc["p", ["df", "pvalue"]].isna().all()


@pytest.mark.parametrize("model", [FREE, MIXED], ids=["latent", "mixed"])
def test_definitions_are_contrasts(data, model):
    plain = fit(model + "less := a - b\n mixed := a*c + exp(d)", data)
    p = plain.params
    slopes = np.array([gradient(p, a=1, b=-1), gradient(p, a=p["c"], c=p["a"], d=np.exp(p["d"]))])
    for (found,) in of_kinds(plain):
        table = found.parameter_estimates().query("op == ':='")
        se, df = found.covariance.of_functions(slopes)
        np.testing.assert_allclose(table["se"], se, rtol=1e-12)
        np.testing.assert_allclose(table["df"], df, rtol=1e-12)
        wanted = np.sqrt(np.diag(slopes @ found.covariance.matrix @ slopes.T))
        np.testing.assert_allclose(se, wanted, rtol=1e-10)
