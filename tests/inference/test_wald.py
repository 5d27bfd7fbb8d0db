"""Joint Wald tests: against clubSandwich and dense matrices, and identities."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from cr_cases import CASES, ML, ROUNDED, WHOLE
from dense_cr import inverse_root
from dense_scores import dense_scores
from kinds import KINDS, UNBALANCED, fit_at, make_data, point_inside, pose
from scipy import stats
from wald_checks import MODEL, assert_same, numbers, quiet, rows

from mlsem.inference.covariance import statistics as tests

# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")

WITH_DF = ("CR0", "CR2", "CR3")
THEIR_TESTS = {"HTZ": "HTZ", "chi-sq": "chi2", "Naive-F": "F"}


@pytest.fixture(scope="module")
def data():
    return make_data(3, UNBALANCED * 2)


@pytest.fixture(scope="module")
def fit(data):
    return quiet(MODEL, data, se="CR2")


def each(cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def theirs(record):
    denominator = np.inf if record["df_denom"] is None else record["df_denom"]
    return [record["F"], record["df_num"], denominator, record["p"], record["delta"]]


# --- clubSandwich ---------------------------------------------------------------------------------

WALD = {name: case for name, case in ML.items() if "wald" in case.record}
SLOPES = {name: case for name, case in CASES.items() if name not in WALD}
SLOPES = {n: c for n, c in SLOPES.items() if "Wald_HTZ_all_slopes" in c.record["coef_test"]}


def assert_theirs(case, fit, tol):
    for each_wald in case.record["wald"].values():
        matrix = rows(fit, case.names, each_wald["C"])
        for kind in WITH_DF:
            switched = fit.with_se(kind)
            for name, record in each_wald[kind].items():
                found = switched.wald_test(matrix, test=THEIR_TESTS[name])
                np.testing.assert_allclose(numbers(found), theirs(record), rtol=tol)


@each(WALD)
def test_clubsandwich_at_its_estimates(case):
    assert_theirs(case, case.fit_at_theirs, ROUNDED.get(case.name, 1e-10))


@each(WALD)
def test_clubsandwich_end_to_end(case):
    """lme4's effects are off by up to 3e-8 standard errors, which a small F shows as 3e-6."""
    assert_theirs(case, case.fit, 1e-5)


@each(SLOPES)
def test_all_slopes(case):
    """Those of lmm.json: by REML at lme4's variance components, by ML from the data too."""
    wanted = theirs(case.record["coef_test"]["Wald_HTZ_all_slopes"])
    fits = [(case.fit_at_theirs, 1e-10), (case.fit, 1e-7)]
    for fit, tol in fits if case.name in ML else fits[:1]:
        slopes = rows(fit, case.names, np.eye(len(case.names))[1:])
        found = fit.wald_test(slopes, vcov="CR2")
        np.testing.assert_allclose(numbers(found), wanted, rtol=tol)


def test_which_cases_there_are():
    assert len(WALD) == 15
    assert len(SLOPES) == 8
    assert len(SLOPES.keys() & ML.keys()) == 4


# --- dense matrices -------------------------------------------------------------------------------


@each(WHOLE)
def test_random_contrasts_against_dense_matrices(case):
    """Linear mixed models, the effects alone: one, two and three contrasts."""
    fit, dense = case.fit_at_theirs, case.dense
    rng = np.random.default_rng(1)
    scale, beta = np.sqrt(np.diag(dense.bread)), np.array(case.record["fixef"])
    for q in range(1, min(3, len(beta)) + 1):
        C = rng.normal(size=(q, len(beta))) / scale
        for kind in WITH_DF:
            F, delta, _, df, p = dense.htz(kind, C, beta)
            if df > 0.1:
                found = fit.with_se(kind).wald_test(rows(fit, case.names, C))
                tol = ROUNDED.get(case.name, 1e-8)
                np.testing.assert_allclose(numbers(found), [F, q, df, p, delta], rtol=tol)


class DenseWald:
    """HTZ in the score form, from P (J, J) of all pairs of contrasts and joint cumulants."""

    def __init__(self, posed, params):
        self.params, self.derivatives = params, posed.dense.derivatives(params)
        informations = posed.dense.informations(params)
        self.scores = dense_scores(posed.scores(params), self.derivatives, informations)

    def pairs(self, kind, C):
        """P_st[j, k] = a_sjᵀ (δ_jk B_j − B_j A⁻¹ B_k) a_tk, and the carriers a."""
        a = [self.scores.carriers(kind, c) for c in C]
        pulled = [np.einsum("jab,jb->ja", self.scores.informations, each) for each in a]
        P = [
            [np.diag((x * y).sum(axis=1)) - own @ self.scores.inverse @ y.T for y in pulled]
            for x, own in zip(a, pulled, strict=True)
        ]
        return np.array(P), a

    def joint_cumulants(self, a):
        """Σ_stj κ(y_sj, y_sj, y_tj, y_tj) of y = ½(zᵀΩz − tr Ω) + mᵀz, z ~ N(0, I)."""
        total = 0.0
        for j, (cov, means, covs) in enumerate(self.derivatives):
            root = np.linalg.inv(np.linalg.cholesky(cov))
            quadratic = [root @ np.tensordot(x[j], covs, 1) @ root.T for x in a]
            linear = [root @ (x[j] @ means) for x in a]
            for A, m in zip(quadratic, linear, strict=True):
                for B, n in zip(quadratic, linear, strict=True):
                    AB, mixed = A @ B, m @ (A @ B + B @ A) @ n
                    total += 2.0 * np.trace(AB @ AB.T) + np.trace(AB @ AB)
                    total += 2.0 * (2.0 * mixed + m @ B @ B @ m + n @ A @ A @ n)
        return total

    def nu(self, kind, C):
        expected = np.einsum("stjj->st", self.pairs(kind, C)[0])
        P, a = self.pairs(kind, inverse_root(expected) @ C)
        total = np.einsum("ssjk,ttjk->", P, P) + np.einsum("stjk,tsjk->", P, P)
        return len(C) * (len(C) + 1) / (total + self.joint_cumulants(a))


SCORE_FORM = [
    ("several observed", WITH_DF),
    ("latent at both levels", WITH_DF),
    ("level-2 outcome", WITH_DF),
    ("labels across levels", WITH_DF),
    ("1-1-1", WITH_DF),
    ("single level latent with means", WITH_DF),
    ("observed", ("CR0", "CR3")),  # CR2 has the fixed effects in the residuals' form
    ("products", ("CR0", "CR3")),
]


@pytest.mark.parametrize(("name", "kinds"), SCORE_FORM, ids=[name for name, _ in SCORE_FORM])
def test_score_form_against_dense_matrices(name, kinds):
    """Effects, loadings and variances together, at a random point of the parameter space."""
    posed = pose(KINDS[name], make_data(5, UNBALANCED))
    params = point_inside(posed, 7)
    fit, dense = fit_at(posed.fit, params), DenseWald(posed, params)
    scale = np.sqrt(np.diag(dense.scores.inverse))
    rng = np.random.default_rng(2)
    for kind in kinds:
        switched = fit.with_se(kind, information="expected")  # no maximum there
        reference = switched.covariance.reference
        for q in (1, 2, 4):
            C = rng.normal(size=(q, len(params))) * (rng.random((q, len(params))) < 0.6) / scale
            how = reference.kind.adjustment
            nu = tests.wishart_df(reference.clusters, how, reference.clusters.contrasts(C))
            wanted = dense.nu(kind, C)
            assert nu == pytest.approx(wanted, rel=1e-8)
            if wanted <= q - 0.9:
                continue
            value = C @ params - 0.1
            Q = value @ np.linalg.solve(C @ dense.scores.cov(kind) @ C.T, value)
            delta, df = (wanted - q + 1) / wanted, wanted - q + 1
            p = stats.f.sf(delta * Q / q, q, df)
            found = switched.wald_test(C, rhs=0.1)
            np.testing.assert_allclose(numbers(found), [delta * Q / q, q, df, p, delta], rtol=1e-7)
            assert found.eta == pytest.approx(wanted, rel=1e-8)


# --- identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WITH_DF)
@pytest.mark.parametrize("name", ["observed", "latent at both levels", "level-2 outcome"])
def test_one_constraint_is_the_t_test_squared(name, kind):
    """Of every parameter, variances too, whose fourth cumulants count."""
    fit = quiet(KINDS[name].text, make_data(4, UNBALANCED * 3), se=kind)
    for k, parameter in enumerate(fit.params.index):
        found = fit.wald_test(f"`{parameter}` == 0")
        assert found.test == "HTZ"
        assert found.delta == 1.0
        assert found.statistic == pytest.approx(fit.tvalues.iloc[k] ** 2, rel=1e-10)
        assert found.df_denom == pytest.approx(fit.covariance.df[k], rel=1e-9)
        assert found.pvalue == pytest.approx(fit.pvalues.iloc[k], rel=1e-7)


@pytest.mark.parametrize("kind", ["standard", "MLR", "CR2"])
def test_defined_parameters_by_the_delta_method(data, kind):
    fit = quiet(MODEL, data, se=kind)
    row = fit.parameter_estimates().query("op == ':='").iloc[0]
    for text in ("ab", "ab == 0", "a*b", "0 == a*b"):
        found = fit.wald_test(text)
        assert found.statistic == pytest.approx(row["stat"] ** 2, rel=1e-10)
        assert found.pvalue == pytest.approx(row["pvalue"], rel=1e-8)


@pytest.mark.parametrize("test", ["chi2", "F", "HTZ"])
def test_any_basis_of_a_hypothesis_is_the_same_test(fit, test):
    rng = np.random.default_rng(4)
    C = rng.normal(size=(3, len(fit.params)))
    right = rng.normal(size=3)
    wanted = fit.wald_test(C, test=test, rhs=right)
    for turn in (
        np.diag([1e-6, 1.0, 1e6]),
        rng.normal(size=(3, 3)),
        np.eye(3)[[2, 0, 1]],
        np.diag([1.0, -1.0, 1e3]) @ rng.normal(size=(3, 3)),
    ):
        assert_same(fit.wald_test(turn @ C, test=test, rhs=turn @ right), wanted, 1e-8)


@pytest.mark.parametrize("test", ["chi2", "F", "HTZ"])
def test_units_of_the_data_do_not_matter(fit, data, test):
    moved = data.assign(y1=1e3 * data.y1, x1=data.x1 / 50, w1=data.w1 * 1e-4 + 7)
    text = "a == 0; b; c == 0; `y1~w2.l2` == 0"
    again = quiet(MODEL, moved, se="CR2")
    assert_same(again.wald_test(text, test=test), fit.wald_test(text, test=test), 1e-6)


def test_text_matrix_and_frame_say_the_same(fit):
    matrix = rows(fit, ["a", "b", "y1~w2.l2"], [[1, -1, 0], [0, 0, 2]])
    wanted = fit.wald_test("a == b; 2*`y1~w2.l2` == 0.5")
    frame = pd.DataFrame({"y1~w2.l2": [0, 2], "b": [-1, 0], "a": [1, 0]})
    ways = [
        (["a == b", '2*"y1~w2.l2" == 0.5'], None),
        ("b - a == 0 # a comment\n\n  'y1 ~ w2.l2' == 1/4", None),
        (("a - b; `y1~w2.l2` - 0.25",), None),
        (matrix, [0, 0.5]),
        (matrix.tolist(), np.array([0, 0.5])),
        (frame, [0, 0.5]),
    ]
    for constraints, rhs in ways:
        assert_same(fit.wald_test(constraints, rhs=rhs), wanted, 1e-10)
    one = fit.wald_test("a == b + 0.3")
    for row in (matrix[0], pd.Series({"b": -1.0, "a": 1.0})):
        assert_same(fit.wald_test(row, rhs=0.3), one, 1e-10)


def test_labels_of_fixed_parameters_are_their_values(data):
    fit = quiet(MODEL.replace("ab := a*b", "b == 0.25"), data)
    fixed = quiet(MODEL.replace("b*x2", "label('b')*x2 + 0.25*x2"), data)
    assert_same(fixed.wald_test("a == b"), fit.wald_test("a == 0.25"), 1e-7)


def test_a_constraint_of_the_model_is_no_free_direction(data):
    """Under `a == b` both have one standard error; `a` alone is tested with it."""
    fit = quiet(MODEL + "a == b", data, se="CR2")
    assert_same(fit.wald_test("a"), fit.wald_test("a + b == 0"), 1e-10)
    shared = quiet(MODEL.replace("b*x2", "a*x2").replace("ab := a*b", ""), data, se="CR2")
    text = "a == 0; c == 0"
    assert_same(fit.wald_test(text), shared.wald_test(text), 1e-6)


def test_kinds_of_covariance(fit):
    text = "a == 0; c == b"
    for kind in ("standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR3"):
        found, switched = fit.wald_test(text, vcov=kind), fit.with_se(kind)
        assert_same(found, switched.wald_test(text))
        assert (found.vcov, found.test) == (kind, "HTZ" if kind.startswith("CR") else "chi2")
        matrix = switched.vcov().to_numpy()
        C = rows(fit, ["a", "b", "c"], [[1, 0, 0], [0, -1, 1]])
        g = C @ fit.params.to_numpy()
        Q = g @ np.linalg.solve(C @ matrix @ C.T, g)
        chi2, F = (fit.wald_test(text, vcov=kind, test=test) for test in ("chi2", "F"))
        assert chi2.statistic == pytest.approx(Q, rel=1e-10)
        assert chi2.pvalue == pytest.approx(stats.chi2.sf(Q, 2), rel=1e-10)
        assert F.statistic == pytest.approx(Q / 2, rel=1e-10)
        assert F.pvalue == pytest.approx(stats.f.sf(Q / 2, 2, fit.n_clusters - 1), rel=1e-10)
    # the multiple of CR1 and its kin says nothing about degrees of freedom
    etas = [fit.wald_test(text, vcov=kind).eta for kind in ("CR0", "CR1", "CR1p", "CR1S")]
    assert all(x == pytest.approx(y, rel=1e-12) for x, y in pairwise(etas))


def test_z_tests_of_the_parameters(fit):
    """Of a fit with z tests chi-square is the default; HTZ is had on request."""
    z = fit.with_se("CR2", test="z")
    assert_same(z.wald_test("a; c"), fit.wald_test("a; c", test="chi2"))
    assert_same(z.wald_test("a; c", test="HTZ"), fit.wald_test("a; c"))


def test_coarser_clusters(data):
    data = data.assign(school=data["id"] // 3)
    fit = quiet(MODEL, data, se="CR2", se_cluster="school")
    schools = data["school"].nunique()
    found = fit.wald_test("a; c", test="F")
    assert found.df_denom == schools - 1
    assert fit.wald_test("a").df_denom == pytest.approx(
        fit.covariance.df[fit.params.index.get_loc("a")], rel=1e-9
    )


def test_blocks_of_kinds_add_up(fit, monkeypatch):
    wanted = fit.wald_test("a; c; `y1~~y1` == 1")
    monkeypatch.setattr("mlsem.core.blocks.CHUNK", 1)
    assert_same(fit.wald_test("a; c; `y1~~y1` == 1"), wanted, 1e-12)


def test_p_values_are_uniform_under_the_hypothesis():
    """30 clusters: HTZ keeps its level, chi-square does not."""
    rng = np.random.default_rng(11)
    data = make_data(1, (4, 12, 7, 3, 9, 6, 5, 8, 3, 11, 4, 6, 10, 5, 7) * 2)
    found = []
    for _ in range(200):
        common = rng.normal(size=30)
        drawn = data.assign(y1=common[data["id"]] + rng.normal(size=len(data)))
        fit = quiet(MODEL, drawn, se="CR2")
        matrix = rows(fit, ["a", "b", "c", "y1~w2.l2"], np.eye(4))
        found.append([fit.wald_test(matrix, test=test).pvalue for test in ("HTZ", "chi2")])
    htz, chi2 = np.transpose(found)
    assert stats.kstest(htz, "uniform").pvalue > 0.05
    assert 0.02 < (htz < 0.05).mean() < 0.09
    assert (chi2 < 0.05).mean() > 0.12


# --- the record -----------------------------------------------------------------------------------


def test_what_a_test_shows(fit):
    found = fit.wald_test("a == b; exp(c) == 1 + ab; `y1~w2.l2`")
    assert found.constraints == ("a == b", "exp(c) == 1 + ab", "`y1~w2.l2` == 0")
    assert found.names == ("a - b", "exp(c) - (1 + ab)", "`y1~w2.l2`")
    a, b, c, w2 = fit.params[["a", "b", "c", "y1~w2.l2"]]
    np.testing.assert_allclose(found.estimate, [a - b, np.exp(c) - 1 - a * b, w2], rtol=1e-12)
    assert found.delta == pytest.approx((found.eta - 2) / found.eta)
    assert found.df_denom == pytest.approx(found.eta - 2)
    text = str(found)
    for constraint in found.constraints:
        assert constraint in text
    assert f"F(3, {found.df_denom:.2f}) = {found.statistic:.3f}" in text
    assert "HTZ" in repr(found)
    assert "CR2" in repr(found)
    frame = found.frame
    assert len(frame) == 1
    assert frame["pvalue"].item() == found.pvalue
    assert frame["constraints"].item() == "a == b; exp(c) == 1 + ab; `y1~w2.l2` == 0"
    chi2 = fit.wald_test("a", test="chi2")
    assert str(chi2).splitlines()[-1].startswith("chi2(1) = ")
    assert chi2.frame[["delta", "eta"]].isna().all(axis=None)
    assert chi2.df_denom == np.inf
    with pytest.raises(AttributeError):
        found.pvalue = 1.0
    with pytest.raises(ValueError, match="read-only"):
        found.estimate[0] = 1.0


def test_rows_of_a_matrix_in_words(fit):
    matrix = rows(fit, ["a", "b", "y1~w2.l2"], [[-1, 2, 0], [0, 0, 1]])
    found = fit.wald_test(matrix, rhs=[0, -1])
    assert found.constraints == ("-a + 2*b == 0", "`y1~w2.l2` == -1")
    assert found.names == ("-a + 2*b", "`y1~w2.l2` - (-1)")
    assert_same(fit.wald_test(list(found.constraints)), found)
