"""A log-likelihood that is a sum of terms: the parts of one data set, and two groups that share a
parameter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from dense import information
from dense_scores import dense_scores
from differences import jacobian
from draw_checks import assert_only_outcomes_change
from kinds import KINDS, UNBALANCED, Posed, at_point, make_data, point_inside, pose
from slope_kinds import SLOPES, slope_data

import mlsem
from mlsem.core.arrow import arrow_of
from mlsem.core.clusters.sum import SumClusters
from mlsem.core.clusters.unions import unions
from mlsem.core.optimise.maximise import maximise
from mlsem.core.optimise.sum import Sum, Term, summed_objective
from mlsem.core.records import RobustClusters
from mlsem.core.sample.moments import merge
from mlsem.core.sample.resampling import resampled
from mlsem.estimation import standard_errors
from mlsem.estimation.refit import refit
from mlsem.inference.covariance.equations import EstimatingEquations
from mlsem.inference.covariance.matrix import robust_covariance
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.inference.covariance.working import WorkingClusters, working_term

# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")

ARTICLE = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"
LATENT = KINDS["latent at both levels"].text
SLOPE = 'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~ w1\n s ~ w1\n y1 ~~ s'
KINDS_OF_SE = ("standard", "MLR", "CR0", "CR1S", "CR2", "CR3")
EVERY_SE = (*((kind, None) for kind in KINDS_OF_SE), ("standard", "expected"), ("MLR", "expected"))


# --- one data set in parts ------------------------------------------------------------------------


def in_parts(fit, parts, robust=None):
    """The estimates of the fit, found once more with a term for each part of the clusters."""
    estimates = fit._estimates
    problem = estimates.problem
    size = len(estimates.params)
    each = [problem.with_moments(resampled(problem.moments, part), problem.guess) for part in parts]
    order = np.concatenate(parts)
    objective = Sum(tuple(Term(one.inner, np.arange(size)) for one in each))
    robust = problem.robust if robust is None else robust
    codes = np.unique(robust.codes[order], return_inverse=True)
    whole = replace(
        problem,
        inner=objective,
        clusters=SumClusters(tuple(one.clusters for one in each)),
        robust=RobustClusters(robust.name, codes[1], robust.labels[codes[0]]),
    )
    return replace(estimates, problem=whole, optimum=maximum(objective, estimates)), order


def maximum(objective, estimates):
    """Of a sum, from the starting values of a fit."""
    problem = estimates.problem
    start = objective.evaluate(problem.coordinates.to_internal(problem.guess))
    unit = np.eye(len(start.params))
    first = objective.conditioned(start, unit)
    optimum = maximise(objective, start, unit, first, tol=1e-9, max_iter=100)
    assert optimum.converged
    return optimum


CASES = {
    "article": (lambda: mlsem.load_example("article"), ARTICLE),
    "random slope": (lambda: slope_data(3, (5, 9, 4, 7) * 8), SLOPE),
    "latent": (lambda: make_data(4, (5, 9, 4, 7) * 8), LATENT),
    "far covariate": (
        lambda: make_data(4, (5, 9, 4, 7) * 8).assign(x1=lambda d: d["x1"] + 1e4),
        KINDS["several observed"].text,
    ),
}


@pytest.fixture(scope="module", params=CASES)
def halves(request):
    """A fit, the same in two parts, and the order of the clusters in these."""
    data, text = CASES[request.param]
    fit = mlsem.fit(text, data(), "id", tol=1e-9)
    count = fit._estimates.problem.moments.n_clusters
    half = count // 2
    return fit, *in_parts(fit, (np.arange(half), np.arange(half, count)))


def test_estimates_of_two_parts_are_those_of_all(halves):
    fit, found, _ = halves
    np.testing.assert_allclose((found.params - fit.params) / fit.bse, 0.0, atol=1e-13)
    assert found.loglik == pytest.approx(fit.loglik, rel=1e-13)


def test_derivatives_of_two_parts_are_those_of_all(halves):
    fit, found, order = halves
    own = fit._estimates
    whole = replace(own, optimum=at_point(own.optimum, own.optimum.point))
    basis = np.diag(fit.bse.to_numpy())
    there, here = whole.along(basis), found.along(basis)
    for kind in ("expected", "observed"):
        wanted = whole.information(there, kind)
        np.testing.assert_allclose(found.information(here, kind), wanted, atol=2e-11)
    np.testing.assert_allclose(found.scores(here), whole.scores(there)[order], atol=1e-11)


@pytest.mark.parametrize(("kind", "information"), EVERY_SE)
def test_standard_errors_of_two_parts_are_those_of_all(halves, kind, information):
    fit, found, _ = halves
    wanted = covariance_of(fit._estimates.with_se(kind, information=information))[0]
    ours = covariance_of(found.with_se(kind, information=information))[0]
    unit = np.sqrt(np.outer(np.diag(wanted.matrix), np.diag(wanted.matrix)))
    np.testing.assert_allclose(ours.matrix / unit, wanted.matrix / unit, atol=1e-10)
    if kind in ("CR0", "CR2", "CR3"):
        np.testing.assert_allclose(ours.df, wanted.df, rtol=1e-9)


def test_draws_of_two_parts_are_of_the_model_of_all(halves):
    fit, found, order = halves
    whole, both = fit._estimates.sampler(), found.sampler()
    expected = np.concatenate([term.expected for term in both.terms])
    np.testing.assert_allclose(expected, whole.expected[order], rtol=1e-9, atol=1e-9)
    generator = np.random.default_rng(1)
    own = [term.draw(generator) for term in both.terms]
    drawn = both.draw(np.random.default_rng(1))
    for term, moments, wanted in zip(both.terms, drawn.groups, own, strict=True):
        np.testing.assert_array_equal(moments.means, wanted.means)
        np.testing.assert_array_equal(moments.within, wanted.within)
        assert_only_outcomes_change(term)


def test_a_draw_of_two_parts_refitted(halves):
    """As the parametric bootstrap does: the same as of the draws in one."""
    fit, found, _ = halves
    own = fit._estimates
    drawn = found.sampler().draw(np.random.default_rng(2))
    posed = [own.problem.with_moments(moments, own.params) for moments in drawn.groups]
    ours = maximum(Sum(tuple(Term(one.inner, np.arange(len(own.params))) for one in posed)), own)
    together = merge(*drawn.groups, match=False)
    wanted = refit(own, together, own.settings.limited(100), own.params)
    assert wanted is not None
    there = own.problem.coordinates.to_user(ours.params)
    np.testing.assert_allclose((there - wanted.params) / fit.bse, 0.0, atol=1e-7)


def test_implied_moments_of_two_parts_are_those_of_all(halves):
    fit, found, _ = halves
    wanted = fit._estimates.implied
    for ours, theirs in zip(found.implied, (*wanted, *wanted), strict=True):
        np.testing.assert_allclose(ours.sigma, theirs.sigma, atol=1e-9)


@pytest.mark.parametrize("text", [ARTICLE, 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1'])
def test_robust_clusters_that_have_clusters_in_several_terms(text):
    """In the score form and in that of a linear mixed model."""
    data = mlsem.load_example("article")
    data = data[data.groupby("id").cumcount() < 4 + data["id"] % 5]
    data["district"] = data["id"] % 13
    fit = mlsem.fit(text, data, "id", se_cluster="district", tol=1e-9)
    count = fit._estimates.problem.moments.n_clusters
    third = np.arange(0, count, 3)
    found, _ = in_parts(fit, (third, np.setdiff1d(np.arange(count), third)))
    for kind in ("MLR", "CR2", "CR3"):
        wanted = covariance_of(fit._estimates.with_se(kind))[0]
        ours = covariance_of(found.with_se(kind))[0]
        unit = np.sqrt(np.outer(np.diag(wanted.matrix), np.diag(wanted.matrix)))
        np.testing.assert_allclose(ours.matrix / unit, wanted.matrix / unit, atol=1e-9)


# --- two groups that share a parameter ------------------------------------------------------------


@dataclass(frozen=True)
class Groups:
    """Models of other data each, of which one parameter (a name in each) is shared."""

    models: tuple[Posed, ...]
    shared: tuple[str, ...]

    @property
    def places(self):
        """The shared parameter is the first."""
        found, first = [], 1
        for model, name in zip(self.models, self.shared, strict=True):
            names = model.fit.table.names
            own = np.arange(first, first + len(names) - 1)
            found.append(np.insert(own, names.index(name), 0))
            first += len(own)
        return found

    @property
    def size(self):
        return 1 + sum(len(each) - 1 for each in self.places)

    @property
    def objective(self):
        terms = zip(self.models, self.places, strict=True)
        return summed_objective(
            [Term(model.objective, places) for model, places in terms], self.size
        )

    @property
    def clusters(self):
        return SumClusters(tuple(model.fit._estimates.problem.clusters for model in self.models))

    def estimates(self, optimum):
        """The fit, with the data of the first group for what is said of data."""
        first, size = self.models[0].fit._estimates, self.clusters.n_clusters
        names = tuple(f"p{k}" for k in range(self.size))
        pattern = first.problem.pattern
        problem = replace(
            first.problem,
            table=replace(first.problem.table, rows=(), names=names),
            inner=self.objective,
            coordinates=replace(first.problem.coordinates, user=pattern, internal=pattern),
            clusters=self.clusters,
            robust=RobustClusters(first.problem.robust.name, np.arange(size), np.arange(size)),
        )
        return replace(first, problem=problem, optimum=optimum)

    @property
    def order(self):
        """From mlsem's clusters to those of the dense matrices, by sorted id in each group."""
        found, first = [], 0
        for model in self.models:
            labels = model.fit._estimates.problem.moments.labels
            found.append(first + np.argsort(labels))
            first += len(labels)
        return np.concatenate(found)

    @property
    def ranks(self):
        """The place of each of mlsem's clusters among those of the dense matrices."""
        return np.argsort(self.order)

    def logliks(self, params):
        """Of every cluster, by dense matrices."""
        terms = zip(self.models, self.places, strict=True)
        return np.concatenate([model.dense.logliks(params[places]) for model, places in terms])

    def derivatives(self, params):
        """V_j, ∂μ_j and ∂V_j of every cluster, by dense matrices."""
        found = []
        for model, places in zip(self.models, self.places, strict=True):
            pick = np.eye(self.size)[:, places]
            for cov, means, covs in model.dense.derivatives(params[places]):
                found.append((cov, pick @ means, np.tensordot(pick, covs, 1)))
        return found

    @property
    def guess(self):
        """Default starting values; of the shared parameter, those of the last group."""
        found = np.zeros(self.size)
        for model, places in zip(self.models, self.places, strict=True):
            found[places] = model.fit._estimates.problem.guess
        return found

    def inside(self, seed):
        """A point inside the parameter space."""
        for draw in range(seed, seed + 50):
            found = self.guess
            for model, places in zip(self.models, self.places, strict=True):
                found[places] = point_inside(model, draw)
            if all(m.dense.inside(found[p]) for m, p in zip(self.models, self.places, strict=True)):
                return found
        raise AssertionError("no point inside the parameter space")


PAIRS = {
    "a loading": (("latent within", "latent within"), ("fw=~y2", "fw=~y2")),
    "a slope of two engines": (("observed", "one slope"), ("y1~x1", "y1~w1.l2")),
    "a variance of one level and of two": (
        ("single level with means", "2-1-1"),
        ("y2~~y2", "y2~~y2"),
    ),
}


@pytest.fixture(scope="module", params=PAIRS)
def groups(request):
    kinds, shared = PAIRS[request.param]
    sizes = ((4, 7, 1, 5, 6) * 4, (5, 3, 6, 2) * 5)
    return Groups(
        tuple(
            pose({**KINDS, **SLOPES}[kind], slope_data(7 + k, size))
            for k, (kind, size) in enumerate(zip(kinds, sizes, strict=True))
        ),
        shared,
    )


def close(found, wanted, tol):
    """To `tol` of the largest entry."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tol * max(1.0, np.abs(wanted).max()))


def test_two_groups_against_dense_matrices(groups):
    params, unit = groups.inside(1), np.eye(groups.size)
    objective = groups.objective
    point = objective.evaluate(params)
    at = objective.derivatives(point, unit)

    def gradient(params):
        return objective.derivatives(objective.evaluate(params), unit).gradient

    slopes = jacobian(groups.logliks, params)
    assert point.loglik == pytest.approx(groups.logliks(params).sum(), rel=1e-12)
    close(at.gradient, slopes.sum(axis=0), 1e-9)
    close(objective.observed(point, at), -jacobian(gradient, params), 1e-8)
    informations = informations_of(groups.derivatives(params))
    close(objective.expected(point, at), informations.sum(axis=0), 1e-9)
    close(groups.clusters.scores(point, at.along)[groups.order], slopes, 1e-9)
    parts = groups.clusters.parts(point, at.along)
    close(parts.information(groups.order), informations, 1e-9)
    directions = np.random.default_rng(8).normal(size=(2, groups.size))
    wanted = np.einsum("ca,jab,cb->jc", directions, informations, directions)
    close(parts.variances(groups.order, directions), wanted, 1e-9)


def fitted(groups):
    objective, unit = groups.objective, np.eye(groups.size)
    start = objective.evaluate(groups.guess)
    found = maximise(
        objective, start, unit, objective.conditioned(start, unit), tol=1e-9, max_iter=200
    )
    assert found.converged
    return found


def test_the_fit_of_two_groups(groups):
    """A maximum of the dense likelihood, and its robust covariances by the dense formulas."""
    objective, clusters, unit = groups.objective, groups.clusters, np.eye(groups.size)
    found = fitted(groups)
    at = objective.derivatives(found.point, unit)
    observed = objective.observed(found.point, at)
    slopes = jacobian(groups.logliks, found.params)
    step = np.linalg.solve(observed, slopes.sum(axis=0))
    np.testing.assert_allclose(step, 0.0, atol=1e-7)
    derivatives = groups.derivatives(found.params)
    dense = dense_scores(slopes, derivatives, informations_of(derivatives), observed=observed)
    united = unions(clusters.parts(found.point, at.along), groups.ranks, apart=False)
    every, columns = np.arange(clusters.n_clusters), np.arange(groups.size)
    arrow = arrow_of(observed)
    equations = EstimatingEquations(
        params=found.params,
        basis=unit,
        information=arrow,
        scores=(clusters.scores(found.point, at.along)[groups.order],),
        clusters=WorkingClusters(
            terms=(working_term(united, every, arrow.layout, 0, columns),),
            total=arrow_of(clusters.parts(found.point, at.along).information(every).sum(axis=0)),
            mixed=None,
            labels=np.arange(clusters.n_clusters),
            n_rows=0,
        ),
    )
    for kind in ("CR0", "CR2", "CR3"):
        ours = robust_covariance(equations, standard_errors.KINDS[kind], "observed")
        wanted = dense.cov(kind)
        scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
        np.testing.assert_allclose(ours.matrix / scale, wanted / scale, atol=1e-7)
        np.testing.assert_allclose(ours.df, [dense.df(kind, each) for each in unit], rtol=1e-6)


def test_estimates_of_two_groups(groups):
    """Every covariance that results show, through `Estimates`, by the dense formulas."""
    found = fitted(groups)
    estimates, objective = groups.estimates(found), groups.objective
    at = objective.derivatives(found.point, np.eye(groups.size))
    bread, effects = objective.observed(found.point, at), objective.fixed_effects()
    derivatives = groups.derivatives(found.params)
    informations = informations_of(derivatives)
    slopes = jacobian(groups.logliks, found.params)
    compare(estimates, "standard", np.linalg.inv(bread), information="observed")
    expected = np.linalg.inv(informations.sum(axis=0))
    compare(estimates, "standard", expected, information="expected")
    plain = dense_scores(slopes, derivatives, informations, observed=bread)
    compare(estimates, "MLR", plain.cov("CR0"), information="observed")
    if effects is not None:  # of a mixed model: those of fixed effects given the variances
        bread = np.where(effects.means == effects.means[:, None], bread, 0.0)
    dense = dense_scores(slopes, derivatives, informations, observed=bread)
    for kind in ("CR0", "CR3") if effects is not None else ("CR0", "CR2", "CR3"):
        ours = compare(estimates, kind, dense.cov(kind))
        if effects is None:
            df = [dense.df(kind, each) for each in np.eye(groups.size)]
            np.testing.assert_allclose(ours.df, df, rtol=1e-6)


def compare(estimates, kind, wanted, **options):
    """The covariance of a kind, which is the one wanted."""
    ours = covariance_of(estimates.with_se(kind, **options))[0]
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    np.testing.assert_allclose(ours.matrix / scale, wanted / scale, atol=1e-7)
    return ours


def informations_of(derivatives):
    return np.array([information(*each) for each in derivatives])


def test_one_term_is_the_plain_objective():
    model = pose(KINDS["observed"], make_data(1, UNBALANCED))
    size = len(model.fit.table.names)
    places = np.arange(size)
    assert summed_objective([Term(model.objective, places)], size) is model.objective
    turned = summed_objective([Term(model.objective, places[::-1])], size)
    params = point_inside(model, 1)
    assert turned.evaluate(params[::-1]).loglik == model.loglik(params)
    with pytest.raises(ValueError, match="once"):
        summed_objective([Term(model.objective, places // 2)], size)
    with pytest.raises(ValueError, match="not all"):
        summed_objective([Term(model.objective, places)], size + 1)
