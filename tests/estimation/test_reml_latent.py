"""REML of models with latent variables and paths: where the means are linear, and what is found."""

import numpy as np
import pandas as pd
import pytest
from dense_reml import DenseReml, check_derivatives, restricted
from dense_slopes import close
from kinds import KINDS, UNBALANCED, Kind, draw_params, point_inside, pose
from scipy.linalg import block_diag
from slope_kinds import SLOPES, slope_data

import mlsem
from mlsem.core.implied.means import fixed_effects, mean_paths
from mlsem.core.optimise.factored import explained_effects, random_effect_factors
from mlsem.errors import EstimationWarning, SpecificationError

SATURATED = "\n".join(f" y{i} ~~ y{k}" for i in (1, 2, 3) for k in range(i, 4))
FACTORS = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
LINEAR = {
    "factors at both levels": Kind(FACTORS),
    "factor within": Kind(f"level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n{SATURATED}"),
    "factor between": Kind(f"level: 1\n{SATURATED}\nlevel: 2\n fb =~ y1 + y2 + y3"),
    "covariates of the indicators": Kind(
        "level: 1\n fw =~ y1 + y2 + y3\n y1 ~ x1\n y3 ~ x1 + x2\n"
        "level: 2\n fb =~ y1 + y2 + y3\n y1 + y3 ~ w1"
    ),
    "one effect on two indicators": Kind(f"{FACTORS}\n y1 + y3 ~ b*w1"),
    "regression of latent variables": Kind(
        "level: 1\n f =~ y1 + y2\n g =~ y3 + y4\n g ~ f\n"
        "level: 2\n fb =~ y1 + y2 + y3 + y4\n z1 ~ fb + w1"
    ),
    "second order": Kind(
        "level: 1\n f =~ y1 + y2\n g =~ y3 + y4\n h =~ a*f + a*g\n"
        "level: 2\n fb =~ y1 + y2 + y3 + y4\n y2 ~ w1"
    ),
    "parts within have no mean": Kind(
        "level: 1\n y2 ~ y1\n y3 ~ y2 + y1\nlevel: 2\n y3 ~~ y1 + y2\n y1 ~~ y2\n y3 ~ w1"
    ),
    "fixed loadings carry a covariate": Kind(
        "level: 1\n fw =~ 1*y1 + 1*y2 + 0.5*y3\n fw ~ x1\nlevel: 2\n y1 + y2 + y3 ~ w1"
    ),
    "labels across levels": Kind(
        "level: 1\n f =~ y1 + a*y2 + b*y3\nlevel: 2\n f =~ y1 + a*y2 + b*y3\n y1 ~~ 0*y1"
    ),
    "level-2 indicators": Kind("level: 1\n y1 ~ x1\nlevel: 2\n f =~ z1 + z2 + z3\n y1 ~ f + w1"),
    "random slope beside factors": Kind(
        'level: 1\n fw =~ y1 + y2 + y3\n y4 ~ fw + rv("s")*x1\n'
        "level: 2\n fb =~ y1 + y2 + y3\n s ~ fb + w1\n y4 ~~ s"
    ),
    "slope of an indicator": SLOPES["slope of an indicator"],
    "fixed means": Kind("level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ 0.5*1\n z1 ~ w1 + 2*1\n z1 ~~ y1"),
}
REFUSED = {
    "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1\nlevel: 2\n y1 ~~ y2": "'fw=~y2', 'fw=~y3' are paths "
    "from 'fw', whose mean",
    f"{FACTORS}\n fb ~ w1": "'fb=~y2.l2', 'fb=~y3.l2' are paths from 'fb'",
    f"{FACTORS}\n fb ~ 1*1": "'fb=~y2.l2', 'fb=~y3.l2' are paths from 'fb'",
    f"{FACTORS}\n z1 ~ y1": "'z1~y1.l2' is a path from 'y1', whose mean",
    "level: 1\n y1 ~ y2\nlevel: 2\n y1 ~ y2": "'y1~y2.l2' is a path from 'y2'",
    'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~ s': "'y1~s.l2' is a path from 's'",
    "level: 1\n f =~ y1 + a*y2 + y3\n y1 ~ a*x1\nlevel: 2\n y1 ~~ y1": "a label stands for a mean",
}


def data():
    return slope_data(5, UNBALANCED)


# --- which models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS | SLOPES | LINEAR)
def test_paths_that_means_take(name):
    """Those whose change moves a mean at a point without coincidences."""
    problem = pose((KINDS | SLOPES | LINEAR)[name], data()).fit._estimates.problem
    pattern = problem.objective.pattern
    params = draw_params(problem.table, np.random.default_rng(3))
    for level in (pattern.within, pattern.between):
        if not level.names:
            continue
        moments = level.moments(params)
        slopes = level.jacobian(moments, np.eye(len(params))).mean
        moving = set(np.flatnonzero(np.abs(slopes).max(axis=(1, 2)) > 1e-12))
        paths = set(level.directed.params)
        assert set(mean_paths(level).params) == (moving & paths)


@pytest.mark.parametrize("name", LINEAR)
def test_fixed_effects_are_intercepts_and_effects_of_covariates(name):
    fit = pose(LINEAR[name], data()).fit
    fixed, others = fixed_effects(
        fit._estimates.problem.objective.pattern, np.eye(len(fit.table.names))
    )
    wanted = {
        row.free
        for row in fit.table.rows
        if row.op == "~1"
        or (row.op == "~" and row.rhs in fit.table.levels[row.level - 1].covariates)
    }
    assert set(np.flatnonzero(np.abs(fixed).sum(axis=1))) == wanted - {-1}
    assert not (np.abs(fixed).sum(axis=1) * np.abs(others).sum(axis=1)).any()


@pytest.mark.parametrize("model", REFUSED)
def test_refused(model):
    with pytest.raises(SpecificationError, match=REFUSED[model]):
        mlsem.fit(model, data(), cluster="id", estimator="REML")


# --- dense matrices -------------------------------------------------------------------------------


class Stacked:
    """ℓ_R = -½ [log|V| + log|Xᵀ V⁻¹ X| + yᵀ P y + (N - p) log 2π] of all rows at once."""

    def __init__(self, dense, means):
        self.dense, self.means = dense, means

    def read(self, params):
        """y less what the model fixes, X and V."""
        unit, zero = np.eye(len(params)), params.copy()
        zero[self.means] = 0.0
        y, offset, V = self._all(zero)
        columns = [self._all(zero + unit[k])[1] - offset for k in self.means]
        return y - offset, np.array(columns).reshape(len(columns), len(y)).T, V

    def _all(self, params):
        values, means, covs = zip(*self.dense.clusters(params), strict=True)
        return np.concatenate(values), np.concatenate(means), block_diag(*covs)

    def loglik(self, params):
        y, X, V = self.read(params)
        inverse = np.linalg.inv(V)
        information = X.T @ inverse @ X
        P = inverse - inverse @ X @ np.linalg.solve(information, X.T @ inverse)
        determinants = np.linalg.slogdet(V)[1] + np.linalg.slogdet(information)[1]
        N, p = X.shape
        return -0.5 * (determinants + y @ P @ y + (N - p) * np.log(2 * np.pi))

    def best(self, params):
        y, X, V = self.read(params)
        weighted = np.linalg.solve(V, X)
        found = params.copy()
        found[self.means] = np.linalg.solve(weighted.T @ X, weighted.T @ y)
        return found


@pytest.mark.parametrize("name", LINEAR)
def test_against_dense_matrices(name):
    model = pose(LINEAR[name], data())
    objective, fixed, others = restricted(model.fit._estimates.problem, mixed=False)
    means = np.flatnonzero(fixed.any(axis=1))
    dense = Stacked(model.dense, means)
    for seed in (1, 2):
        params = point_inside(model, seed)
        point = objective.evaluate(params)
        np.testing.assert_allclose(point.loglik, dense.loglik(params), rtol=1e-11)
        close(point.params, dense.best(params), 1e-9)
    check_derivatives(objective, params, others, dense.loglik, 1e-8)
    expected = DenseReml(model.dense, means).expected(params, others)
    close(objective.expected(point, objective.derivatives(point, others)), expected, 1e-8)


@pytest.mark.filterwarnings("ignore:.*clusters are few.*:mlsem.InferenceWarning")
def test_without_fixed_effects_it_is_the_likelihood():
    text = "level: 1\n y1 ~~ y1\nlevel: 2\n y1 ~ 0*1"
    restricted_fit, fit = (
        mlsem.fit(text, data(), cluster="id", estimator=estimator) for estimator in ("REML", "ML")
    )
    assert restricted_fit.loglik == pytest.approx(fit.loglik, abs=1e-9)
    for kind in ("CR2", "CR3"):
        np.testing.assert_allclose(
            restricted_fit.with_se(kind).bse, fit.with_se(kind).bse, rtol=1e-5
        )


# --- closed forms ---------------------------------------------------------------------------------


def balanced(seed=0, clusters=40, n=4):
    """Three outcomes with one common factor at each level."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(clusters), n)
    loadings = np.array([1.0, 0.8, 0.6])
    between = rng.normal(size=(clusters, 1)) * loadings + 0.6 * rng.normal(size=(clusters, 3))
    within = rng.normal(size=(len(ids), 1)) * loadings + 0.7 * rng.normal(size=(len(ids), 3))
    columns = between[ids] + within + np.arange(3)
    return pd.DataFrame(columns, columns=["y1", "y2", "y3"]).assign(id=ids)


def mean_squares(frame, names):
    """MS between and within clusters, and n."""
    means = frame.groupby("id")[names].transform("mean")
    within = (frame[names] - means).to_numpy()
    between = (means - frame[names].mean()).to_numpy()
    clusters = frame["id"].nunique()
    rows = len(frame)
    return (
        between.T @ between / (clusters - 1),
        within.T @ within / (rows - clusters),
        rows / clusters,
    )


def implied(fit):
    """Σ_W, Σ_B and the standard errors of the intercepts of level 2."""
    point = fit._estimates.optimum.point
    names = [f"{name}~1.l2" for name in fit.table.split]
    return point.within.sigma, point.between.sigma, fit.bse[names].to_numpy()


@pytest.mark.parametrize(
    "model",
    [
        "level: 1\n y1 ~~ y1\nlevel: 2\n y1 ~~ y1",
        f"level: 1\n{SATURATED}\nlevel: 2\n{SATURATED}",
        FACTORS,
        f"level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n{SATURATED}",
    ],
)
def test_balanced_clusters_have_mean_squares(model):
    """Analysis of variance, for three outcomes and for factor models that are just identified."""
    frame = balanced()
    fit = mlsem.fit(model, frame, cluster="id", estimator="REML")
    between, within, n = mean_squares(frame, list(fit.table.split))
    sigma_within, sigma_between, se = implied(fit)
    np.testing.assert_allclose(sigma_within, within, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(sigma_between, (between - within) / n, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(se, np.sqrt(between.diagonal() / len(frame)), rtol=1e-6)
    assert not fit.singular


# --- fits -----------------------------------------------------------------------------------------


def many(seed=5):
    return slope_data(seed, tuple(np.random.default_rng(1).integers(3, 12, size=60)))


UNITS = {"x1": 10.0, "w1": -4.0}


def rescaled():
    """x1 and w1 in `UNITS`, with other origins."""
    return many().assign(x1=lambda d: 30 + 10 * d["x1"], w1=lambda d: 3 - 4 * d["w1"])


def both(text):
    return [mlsem.fit(text, d, cluster="id", estimator="REML") for d in (many(), rescaled())]


def test_units_and_origins_of_covariates():
    """Estimates follow; ℓ_R loses the logarithm of each fixed effect's unit."""
    here, there = both(LINEAR["covariates of the indicators"].text)
    units = {f"{y}~x1": UNITS["x1"] for y in ("y1", "y3")}
    units |= {f"{y}~w1.l2": UNITS["w1"] for y in ("y1", "y3")}
    loss = np.log(np.abs(list(units.values()))).sum()
    assert there.loglik == pytest.approx(here.loglik - loss, abs=1e-6)
    for effect, unit in units.items():
        assert there.params[effect] * unit == pytest.approx(here.params[effect], rel=1e-5)
        assert there.bse[effect] * abs(unit) == pytest.approx(here.bse[effect], rel=1e-5)
    alike = [name for name in here.params.index if "~1" not in name and name not in units]
    np.testing.assert_allclose(there.params[alike], here.params[alike], rtol=1e-5)
    np.testing.assert_allclose(there.bse[alike], here.bse[alike], rtol=1e-4)


def test_units_and_origins_with_a_random_slope():
    """s -> s / 10, and the intercept at x1 = 0 is another: u -> u - 3 s."""
    here, there = both(
        'level: 1\n y4 ~ rv("s")*x1\nlevel: 2\n fb =~ z1 + z2 + z3\n y4 + s ~ fb + w1\n y4 ~~ s'
    )
    x, w = UNITS.values()
    assert there.loglik == pytest.approx(here.loglik - np.log((x * w) ** 2), abs=1e-6)
    old, new = here.params, there.params
    for end in ("~w1.l2", "~fb.l2"):
        unit = w if "w1" in end else 1.0
        assert new["s" + end] * x * unit == pytest.approx(old["s" + end], rel=1e-5)
        moved = old["y4" + end] - 3 * old["s" + end]
        assert new["y4" + end] * unit == pytest.approx(moved, rel=1e-5)
    assert new["s~~s.l2"] * x**2 == pytest.approx(old["s~~s.l2"], rel=1e-5)
    alike = [name for name in old.index if name.startswith(("fb", "z")) or name == "y4~~y4"]
    np.testing.assert_allclose(new[alike], old[alike], rtol=1e-5)


@pytest.mark.parametrize("name", ["covariates of the indicators", "second order", "factor within"])
def test_standard_errors(name):
    """(Xᵀ V⁻¹ X)⁻¹ and the inverse of ½ tr P V_a P V_b; the robust ones exist."""
    fit = mlsem.fit(LINEAR[name].text, many(), cluster="id", estimator="REML")
    model = pose(LINEAR[name], many())
    objective, fixed, others = restricted(model.fit._estimates.problem, mixed=False)
    means = np.flatnonzero(fixed.any(axis=1))
    params = fit.params.to_numpy()
    _, X, V = Stacked(model.dense, means).read(params)
    wanted = np.zeros((len(params), len(params)))
    wanted[np.ix_(means, means)] = np.linalg.inv(X.T @ np.linalg.solve(V, X))
    expected = objective.derivatives(objective.evaluate(params), others)
    information = objective.expected(objective.evaluate(params), expected)
    wanted += others @ np.linalg.solve(information, others.T)
    np.testing.assert_allclose(fit.bse, np.sqrt(np.diagonal(wanted)), rtol=1e-5)
    for kind in ("CR0", "CR2", "CR3"):
        robust = fit.with_se(kind)
        assert (robust.bse / fit.bse).between(0.4, 2.5).all()
        assert (robust.covariance.df > 1).all()


# --- negative residual variances ------------------------------------------------------------------


def few_clusters(seed):
    """20 clusters, of which the indicators' own parts hardly differ."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(20), rng.integers(2, 11, size=20))
    loadings = np.array([1.0, 0.8, 0.9, 0.7])
    factor = 0.3**0.5 * rng.normal(size=20)
    between = factor[:, None] * loadings + 0.05**0.5 * rng.normal(size=(20, 4))
    within = rng.normal(size=len(ids))[:, None] * loadings
    columns = between[ids] + within + 0.7 * rng.normal(size=(len(ids), 4)) + np.arange(4)
    return pd.DataFrame(columns, columns=["y1", "y2", "y3", "y4"]).assign(id=ids)


FOUR = "level: 1\n fw =~ y1 + y2 + y3 + y4\nlevel: 2\n fb =~ y1 + y2 + y3 + y4"


@pytest.mark.filterwarnings("ignore:.*clusters are few.*:mlsem.InferenceWarning")
@pytest.mark.parametrize(
    "seed", [41, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (34, 85))]
)
def test_a_negative_residual_variance_stays(seed):
    """As by ML: what a factor leaves of a random effect is not its covariance matrix."""
    with pytest.warns(EstimationWarning, match=r'"pos.var", by ML, keeps'):
        fit = mlsem.fit(FOUR, few_clusters(seed), cluster="id", estimator="REML")
    with pytest.warns(EstimationWarning, match="negative variance"):
        by_ml = mlsem.fit(FOUR, few_clusters(seed), cluster="id")
    assert fit.converged
    assert not fit.singular
    residuals = fit.params.filter(regex=r"y\d~~y\d.l2")
    assert residuals.min() < 0
    assert residuals.idxmin() == by_ml.params[residuals.index].idxmin()
    assert (fit.bse > 0).all()


@pytest.mark.filterwarnings("ignore:.*clusters are few.*:mlsem.InferenceWarning")
def test_without_a_maximum_residual_variances_are_kept_positive():
    with pytest.warns(EstimationWarning, match="is singular"):
        fit = mlsem.fit(FOUR, few_clusters(3), cluster="id", estimator="REML")
    assert fit.converged
    assert fit.singular
    assert fit.params.filter(regex=r"y\d~~y\d.l2").min() >= 0


def test_which_matrices_are_kept():
    text = (
        'level: 1\n fw =~ y1 + y2 + y3\n y4 ~ rv("s")*x1\n y1 ~ rv("t")*x2\n'
        "level: 2\n fb =~ y1 + y2 + y3\n y4 ~~ s\n y1 ~~ t"
    )
    pattern = pose(Kind(text), data()).fit._estimates.problem.objective.pattern

    def sizes(*, explained):
        found = random_effect_factors(pattern, explained=explained)
        return sorted(block.rank for block in found.blocks)

    assert sizes(explained=True) == [1, 1, 2, 2]  # y2, y3; y1 with t, y4 with s
    assert sizes(explained=False) == [2]  # y4 with s
    assert explained_effects(pattern).sum() == 3


def test_loadings_do_not_change_means():
    frame = balanced(1)
    equal = FACTORS.replace("fw =~ y1 + y2", "fw =~ y1 + 1*y2")
    simple, full, other = (
        mlsem.fit(text, frame, cluster="id", estimator="REML")
        for text in (equal, FACTORS, f"{FACTORS}\n y1 ~ 0*1")
    )
    assert mlsem.lr_test(simple, full).added == ("fw=~y2",)
    with pytest.raises(mlsem.errors.InferenceError, match="differ in their means"):
        mlsem.lr_test(other, full)
