"""CR0 to CR3 and their degrees of freedom by what they are defined as: every kind of model against
dense matrices, and identities that hold whatever the data."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from cr_checks import WITH_DF, assert_covariances, observed
from dense import fourth_cumulant, information
from dense_cr import DenseCR
from dense_scores import dense_scores
from kinds import KINDS, UNBALANCED, fit_at, make_data, point_inside, pose

import mlsem
from mlsem.core.clusters.cumulants import fourth_cumulants
from mlsem.core.implied.means import is_mixed
from mlsem.estimation.standard_errors import KINDS as KINDS_OF_SE
from mlsem.inference.covariance.adjust import adjusted
from mlsem.inference.covariance.equations import whitened
from mlsem.inference.covariance.of_estimates import working_equations

# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")

every_kind = pytest.mark.parametrize("name", KINDS)


def with_means(kind):
    """With one level the CR kinds see the intercepts, which the dense matrices have to know."""
    two_level = "level:" in kind.text
    return kind if two_level else replace(kind, options={**kind.options, "meanstructure": True})


class Case:
    """A kind of model at a random point, and its clusters by dense matrices."""

    def __init__(self, name, data):
        posed = pose(with_means(KINDS[name]), data)
        params = point_inside(posed, 7)
        self.posed, self.params, self.fit = posed, params, fit_at(posed.fit, params)
        self.derivatives = posed.dense.derivatives(params)
        self.informations = np.array([information(*each) for each in self.derivatives])
        self.scale = np.sqrt(np.diag(self.informations.sum(axis=0)))

    @property
    def dense(self):
        return dense_scores(self.posed.scores(self.params), self.derivatives, self.informations)

    @property
    def equations(self):
        """mlsem's, along the user's parameters."""
        estimates = self.fit._estimates
        return _expected(estimates, estimates.along(np.eye(len(self.params))))

    @property
    def means(self):
        """Fixed effects of a linear mixed model of one outcome; none in any other model."""
        if not is_mixed(self.fit._estimates.problem.inner.pattern):
            return np.zeros(0, dtype=int)
        rows = [row for row in self.fit.table.rows if row.op in ("~", "~1")]
        return np.unique([row.free for row in rows if row.free >= 0])

    @property
    def dense_cr(self):
        """Of the fixed effects."""
        clusters = self.posed.dense.clusters(self.params)
        return DenseCR(
            [means[self.means].T for _, means, _ in self.derivatives],
            [cov for cov, _, _ in self.derivatives],
            [values - mean for values, mean, _ in clusters],
        )


@pytest.fixture(scope="module")
def case():
    """Each kind once, on the same data."""
    data, made = make_data(5, UNBALANCED), {}

    def get(name):
        if name not in made:
            made[name] = Case(name, data)
        return made[name]

    return get


# --- every kind of model --------------------------------------------------------------------------


@every_kind
def test_expected_information_of_each_cluster(case, name):
    model = case(name)
    equations, unit = model.equations, np.outer(model.scale, model.scale)
    clusters = equations.clusters
    (term,) = clusters.terms
    found = term.information(term.kind)[np.argsort(clusters.labels)]
    np.testing.assert_allclose(found / unit, model.informations / unit, rtol=0, atol=1e-11)
    np.testing.assert_allclose(
        found.sum(axis=0) / unit, equations.information.dense / unit, rtol=0, atol=1e-13
    )


@every_kind
def test_fourth_cumulants(case, name):
    """Of scores along random directions, two of each cluster."""
    model = case(name)
    problem = model.posed.fit._estimates.problem
    point, at = model.posed.derivatives(model.params)
    order = np.argsort(problem.moments.labels)
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(len(order), 2, len(model.params))) / model.scale
    parts = problem.clusters.parts(point, at.along)
    found = fourth_cumulants(parts.white(order), directions)
    wanted = [
        [fourth_cumulant(*each, along) for along in pair]
        for each, pair in zip(model.derivatives, directions, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12 * np.max(wanted))


@every_kind
def test_covariances_and_degrees_of_freedom(case, name):
    """In the score form; of the fixed effects of a linear mixed model in that of the residuals."""
    model = case(name)
    dense, means, identity = model.dense, model.means, np.eye(len(model.params))
    for kind in WITH_DF:
        found = model.fit.with_se(kind, information="expected").covariance
        scores, df = dense.adjusted_scores(kind), [dense.df(kind, c) for c in identity]
        if kind == "CR2" and len(means):
            linear = model.dense_cr
            scores[:, means] = linear.scores(kind)
            for place, contrast in zip(means, np.eye(len(means)), strict=True):
                df[place] = linear.df(kind, contrast)
        assert_covariances(found.matrix, dense.sandwich(scores), 1e-9)
        np.testing.assert_allclose(found.df, df, rtol=1e-10)


@every_kind
def test_cr2_is_unbiased_if_the_model_is_true(case, name):
    """E Σuuᵀ = A, to first order: of the adjusted scores' covariance, less what the estimates take
    from them, the sum over clusters is the identity in units of the information. CR0's is not."""
    clusters = whitened(_apart(case(name)))
    identity = np.eye(clusters.basis.shape[1])

    def expected(kind):
        total = np.zeros_like(identity)
        for kinds in clusters.parts():
            found = adjusted(kinds, KINDS_OF_SE[kind].adjustment)
            each = found.spread - found.pull @ found.pull.swapaxes(1, 2)
            total += np.tensordot(kinds.counts, each, 1)
        return total

    np.testing.assert_allclose(expected("CR2"), identity, rtol=0, atol=1e-9)
    assert np.linalg.eigvalsh(expected("CR0"))[-1] < 1.0
    assert np.linalg.eigvalsh(expected("CR3"))[0] > 1.0


def _apart(model):
    """Equations with the fixed effects of a linear mixed model first, so that CR2 is that of
    residuals."""
    reference = model.fit.with_se("CR2", information="expected").covariance.reference
    working = reference.clusters.working
    assert (working.mixed is not None) == bool(len(model.means))
    rest = np.setdiff1d(np.arange(len(model.params)), model.means)
    order = np.eye(len(model.params))[:, np.concatenate((model.means, rest))]
    directions = replace(model.fit._estimates.along(order), fixed=len(model.means))
    return _expected(model.fit._estimates, directions)


def _expected(estimates, directions):
    """At a random point the observed information need not be positive definite."""
    return working_equations(estimates, directions, "expected")


COARSE = ["several observed", "latent at both levels", "level-2 outcome", "single level clusters"]


@pytest.mark.parametrize("name", COARSE)
def test_unions_of_clusters(name):
    """Scores, informations and fourth cumulants of robust clusters are sums over the model's."""
    data = make_data(6, UNBALANCED)
    model = Case(name, data)
    groups = np.random.default_rng(4).permutation(np.repeat(np.arange(6), 3)[: len(UNBALANCED)])
    data["school"] = groups[data["id"]] + 10
    kind = with_means(KINDS[name])
    kind = replace(kind, options={**kind.options, "se_cluster": "school"})
    coarse = fit_at(pose(kind, data).fit, model.params)
    scores = pd.DataFrame(model.posed.scores(model.params)).groupby(groups).sum().to_numpy()
    dense = dense_scores(scores, model.derivatives, model.informations, groups)
    assert len(dense.informations) == 6
    for se in WITH_DF:
        found = coarse.with_se(se, information="expected").covariance
        assert_covariances(found.matrix, dense.cov(se), 1e-9)
        wanted = [dense.df(se, c) for c in np.eye(len(model.params))]
        np.testing.assert_allclose(found.df, wanted, rtol=1e-10)


def test_fourth_cumulants_of_simulated_scores():
    """100,000 clusters of one design: sample fourth cumulants are off by some 3 %."""
    model = "level: 1\n y1 + y2 ~ x1\nlevel: 2\n y1 ~~ y2"
    x, count, rng = np.array([-1.0, 0.2, 0.3, 1.5]), 100_000, np.random.default_rng(12)
    within, between = np.array([[1.0, 0.4], [0.4, 0.8]]), np.array([[0.6, 0.2], [0.2, 0.5]])
    y = rng.normal(size=(count, 4, 2)) @ np.linalg.cholesky(within).T
    y += 0.5 * x[:, None] + (rng.normal(size=(count, 1, 2)) @ np.linalg.cholesky(between).T)
    columns = {"y1": y[..., 0].ravel(), "y2": y[..., 1].ravel(), "x1": np.tile(x, count)}
    data = pd.DataFrame({"id": np.repeat(np.arange(count), 4), **columns})
    fit = mlsem.fit(model, data, cluster="id", se="none")
    true = dict.fromkeys(("y1~x1", "y2~x1"), 0.5) | dict.fromkeys(("y1~1.l2", "y2~1.l2"), 0.0)
    true |= {"y1~~y1": 1.0, "y2~~y2": 0.8, "y1~~y2": 0.4}
    true |= {"y1~~y1.l2": 0.6, "y2~~y2.l2": 0.5, "y1~~y2.l2": 0.2}
    params = np.array([true[name] for name in fit.params.index])
    scores = fit_at(fit, params).scores().to_numpy()

    first = data.iloc[: 4 * 12].copy()
    dense = pose(replace(KINDS["observed"], text=model), first).dense
    derivatives = dense.derivatives(params)[0]
    directions = rng.normal(size=(6, len(params))) / np.sqrt(np.diag(information(*derivatives)))
    for direction in directions:
        z = scores @ direction
        variance = direction @ information(*derivatives) @ direction
        assert z.var() == pytest.approx(variance, rel=0.02)
        found = np.mean((z - z.mean()) ** 4) - 3.0 * z.var() ** 2
        assert found == pytest.approx(fourth_cumulant(*derivatives, direction), rel=0.1)


# --- exactly, with the covariances of the outcomes fixed ------------------------------------------

SIZES = (2, 5, 1, 4, 3, 5, 2)
# With fixed covariances the estimates are linear in the outcomes, and the covariance matrix is a
# quadratic form in them: so its mean and variance can be had without simulation.
ONE = ("level: 1\n y1 ~ x1\n y1 ~~ 1.3*y1\nlevel: 2\n y1 ~ w1\n y1 ~~ 0.7*y1", ["y1"])
TWO = (
    "level: 1\n y1 + y2 ~ x1\n y1 ~~ 1.3*y1 + 0.5*y2\n y2 ~~ 0.9*y2\n"
    "level: 2\n y1 ~ w1\n y1 ~~ 0.7*y1 + -0.2*y2\n y2 ~~ 0.3*y2",
    ["y1", "y2"],
)
SINGLE = (
    "y1 + y2 ~ x1\n y2 ~ w1\n y1 ~~ 1.3*y1 + 0.5*y2\n y2 ~~ 0.9*y2\n y1 ~ 1\n y2 ~ 1",
    ["y1", "y2"],
)
FIXED = pytest.mark.parametrize(
    ("text", "outcomes"), [ONE, TWO, SINGLE], ids=["one outcome", "two outcomes", "single level"]
)


def draws_of(text, outcomes, data):
    """Data with outcomes that are an orthonormal basis of all that the model's covariance makes:
    quadratic forms in the outcomes have the sum over these as their mean."""
    posed = pose(replace(KINDS["observed"], text=text, options={"meanstructure": True}), data)
    clusters = posed.dense.clusters(posed.fit._estimates.optimum.params)
    total = sum(len(mean) for _, mean, _ in clusters)
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(total, total)))[0]
    factor, start = np.zeros((total, total)), 0
    rows = np.concatenate(posed.dense.rows_of)
    for _, mean, cov in clusters:
        part = slice(start, start + len(mean))
        factor[part, part] = np.linalg.cholesky(cov)
        start = part.stop
    values = (factor @ turn).T.reshape(total, len(data), len(outcomes))
    return [
        data.assign(**{y: pd.Series(v[:, k], index=rows) for k, y in enumerate(outcomes)})
        for v in values
    ]


@FIXED
def test_cr2_is_unbiased_exactly(text, outcomes):
    data = make_data(2, SIZES)
    draws = draws_of(text, outcomes, data)
    fits = [mlsem.fit(text, each, cluster="id", se="CR2") for each in draws]
    wanted = fits[0].with_se("standard").covariance.matrix
    for kind, unbiased in (("CR2", True), ("CR0", False)):
        found = sum(fit.with_se(kind).covariance.matrix for fit in fits)
        if unbiased:
            assert_covariances(found, wanted, 1e-9)
        else:
            assert (np.diag(found) < 0.95 * np.diag(wanted)).all()


@FIXED
def test_degrees_of_freedom_are_twice_squared_mean_over_variance(text, outcomes):
    """Of the variance estimate zᵀMz, z ~ N(0, I): (tr M)² / tr M², M by polarisation."""
    data = make_data(2, (2, 2, 1, 2))
    draws = draws_of(text, outcomes, data)

    def variances(frame):
        fit = mlsem.fit(text, frame, cluster="id", se="none")
        return np.concatenate([np.diag(fit.with_se(kind).covariance.matrix) for kind in WITH_DF])

    own = np.array([variances(each) for each in draws])
    form = np.zeros((own.shape[1], len(draws), len(draws)))
    for k, values in enumerate(own):
        form[:, k, k] = values
    for k, m in combinations(range(len(draws)), 2):
        both = draws[k].assign(**{y: draws[k][y] + draws[m][y] for y in outcomes})
        form[:, k, m] = form[:, m, k] = 0.5 * (variances(both) - own[k] - own[m])
    wanted = np.einsum("akk->a", form) ** 2 / np.einsum("akm,akm->a", form, form)
    fit = mlsem.fit(text, data, cluster="id", se="none")
    found = np.concatenate([fit.with_se(kind).covariance.df for kind in WITH_DF])
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


@FIXED
def test_cr3_is_the_jackknife_exactly(text, outcomes):
    """Σ of squared moves of the estimates as each cluster is left out in turn."""
    data = make_data(2, SIZES)
    whole = mlsem.fit(text, data, cluster="id", se="CR3")
    moves = [
        mlsem.fit(text, data[data["id"] != left], cluster="id", se="none").estimates
        - whole.estimates
        for left in data["id"].unique()
    ]
    assert_covariances(whole.covariance.matrix, np.array(moves).T @ np.array(moves), 1e-9)


@pytest.mark.parametrize("name", ["observed", "several observed", "latent at both levels", "2-1-1"])
def test_cr3_is_the_jackknife_in_one_step(name):
    """θ_(j) - θ = -H⁻¹ A (A - B_j)⁻¹ s_j: a step from the estimates, j left out."""
    data = make_data(4, UNBALANCED * 4)
    fit = mlsem.fit(KINDS[name].text, data, cluster="id", se="CR3")
    assert fit.converged
    informations = pose(KINDS[name], data).dense.informations(fit.estimates)
    total, bread = fit.information("expected").to_numpy(), np.linalg.inv(observed(fit))
    scores = fit.scores().sort_index().to_numpy()
    moves = (
        np.array(
            [-np.linalg.solve(total - B, s) for B, s in zip(informations, scores, strict=True)]
        )
        @ (bread @ total).T
    )
    assert_covariances(fit.covariance.matrix, moves.T @ moves, 1e-8)


# --- the bread ------------------------------------------------------------------------------------

OF_SCORES = [  # kinds that converge on these data and are no mixed models of one outcome
    "several observed", "saturated", "latent within", "latent at both levels", "level-2 outcome",
    "level-2 indicators", "split covariate", "1-1-1", "2-1-1", "within-only endogenous",
    "single level", "single level latent", "feedback",
]  # fmt: skip


@pytest.fixture(scope="module")
def maximum():
    """Each kind's fit to the same data, once."""
    data, made = make_data(4, UNBALANCED * 4), {}

    def get(name):
        if name not in made:
            kind = KINDS[name]
            options = with_means(kind).options
            made[name] = getattr(mlsem, kind.fun)(kind.text, data, kind.cluster, **options)
            assert made[name].converged
        return made[name]

    return get


@pytest.mark.parametrize("name", OF_SCORES)
def test_cr0_is_mlr(maximum, name):
    """The observed information is the bread of both."""
    fit = maximum(name)
    found, wanted = (fit.with_se(kind).covariance for kind in ("CR0", "MLR"))
    assert found.form == wanted.form == "observed"
    assert_covariances(found.matrix, wanted.matrix, 1e-10)


@pytest.mark.parametrize("name", ["several observed", "latent at both levels", "1-1-1", "feedback"])
def test_the_bread_is_observed_and_the_leverage_expected(maximum, name):
    fit, data = maximum(name), make_data(4, UNBALANCED * 4)
    kind = with_means(KINDS[name])
    dense = pose(kind, data).dense
    derivatives = dense.derivatives(fit.estimates)
    H = fit.information("observed").to_numpy()
    scores = fit.scores().sort_index().to_numpy()
    model = dense_scores(scores, derivatives, dense.informations(fit.estimates), observed=H)
    for se in ("CR2", "CR3"):
        found = fit.with_se(se).covariance
        assert_covariances(found.matrix, model.cov(se), 1e-8)
        np.testing.assert_allclose(
            found.df[:6], [model.df(se, c) for c in np.eye(len(H))[:6]], rtol=1e-7
        )


def test_the_expected_bread_on_request(maximum):
    fit = maximum("1-1-1")
    chosen = fit.with_se("CR2", information="expected")
    again = mlsem.fit(
        KINDS["1-1-1"].text, make_data(4, UNBALANCED * 4), "id", se="CR2", information="expected"
    )
    assert chosen.covariance.form == "expected"
    np.testing.assert_allclose(chosen.bse, again.bse, rtol=1e-9)
    assert chosen.with_se("CR3").covariance.form == "expected"
    assert np.abs(chosen.bse / fit.with_se("CR2").bse - 1).max() > 0.01


# --- mediators ------------------------------------------------------------------------------------


def product_of_a_mediator(rng, clusters=40, size=8):
    """m mediates at both levels; w is far from 0, and w:m has no effect."""
    ids = np.repeat(np.arange(clusters), size)
    w, um, uy = rng.normal(size=(3, clusters))[:, ids]
    x, em, ey = rng.normal(size=(3, len(ids)))
    w = 3.0 + w
    m = 0.5 * x + 0.3 * w + 0.7 * um + em
    y = 0.4 * m + 0.3 * x + 0.2 * w + 0.7 * uy + ey
    return pd.DataFrame({"id": ids, "w": w, "x": x, "m": m, "y": y})


def mediator_with_a_between_part(rng, clusters=20, size=6):
    """Which the model leaves out."""
    ids = np.repeat(np.arange(clusters), size)
    w, um, uy = rng.normal(size=(3, clusters))[:, ids]
    x, em, ey = rng.normal(size=(3, len(ids)))
    m = 0.5 * x + um + em
    y = 0.4 * m + 0.3 * x + 0.2 * w + 0.7 * uy + ey
    return pd.DataFrame({"id": ids, "w": w, "x": x, "m": m, "y": y})


MEDIATORS = [
    (
        product_of_a_mediator,
        "level: 1\n m ~ x\n y ~ m + b*w:m + x\nlevel: 2\n m ~~ y\n y ~ w\n m ~ w",
        0.0,
        (0.30, 0.40),
    ),
    (
        mediator_with_a_between_part,
        "level: 1\n m ~ x\n y ~ b*m + x\nlevel: 2\n y ~ w",
        0.4,
        (0.55, 0.75),
    ),
]


@pytest.mark.parametrize(("draw", "text", "true", "expected"), MEDIATORS)
def test_effects_of_mediators_whose_moments_the_model_does_not_imply(draw, text, true, expected):
    """With the expected information as bread the errors are a third and two thirds of the
    deviation over data sets; 150 data sets, so that 95 % means 90 to 99 %."""
    found = []
    for seed in range(150):
        fit = mlsem.fit(text, draw(np.random.default_rng([3, seed])), "id", se="CR2")
        lower, upper = fit.conf_int().loc["b"]
        other = fit.with_se("CR2", information="expected").bse["b"]
        found.append((fit.params["b"], fit.bse["b"], other, lower <= true <= upper))
    estimate, se, other, hit = np.array(found).T
    deviation = np.std(estimate, ddof=1)
    assert se.mean() == pytest.approx(deviation, rel=0.15)
    assert expected[0] < other.mean() / deviation < expected[1]
    assert hit.mean() > 0.9


def test_a_product_of_an_outcome_in_one_level():
    """Model-based errors with the observed information, by default: the expected one says half."""
    estimates, errors = [], []
    for seed in range(100):
        rng = np.random.default_rng([5, seed])
        x, em, ey = rng.normal(size=(3, 200))
        w = 3.0 + rng.normal(size=200)
        m = 0.5 * x + em
        data = pd.DataFrame({"x": x, "w": w, "m": m, "y": 0.4 * m + 0.2 * w + 0.3 * x + ey})
        fit = mlsem.fit("m ~ a*x\n y ~ b*m + w + b3*m:w + c*x", data)
        expected = fit.with_se("standard", information="expected")
        estimates.append(fit.params["b3"])
        errors.append((fit.bse["b3"], expected.bse["b3"]))
    observed, expected = np.mean(errors, axis=0)
    assert observed == pytest.approx(np.std(estimates, ddof=1), rel=0.2)
    assert expected < 0.6 * observed
    assert fit.covariance.form == "observed"
    assert "m:w" in " ".join(fit.notes)
