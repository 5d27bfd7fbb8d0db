"""Many data sets at once are each of them alone: likelihood, derivatives and searches."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from kinds import KINDS, UNBALANCED, make_data, point_inside, pose

from mlsem.core.implied.point import taken
from mlsem.core.optimise.maximise import climb
from mlsem.core.optimise.together import climb_together
from mlsem.core.sample.shapes import stacked

NAMES = (
    "latent at both levels",
    "level-2 outcome of a latent predictor",
    "indicators of both levels",
    "within-only feedback",
    "labels across levels",
    "single level latent with means",
)
COUNT = 5


def resampled(data, seed):
    """Shape moments of the same sizes with other weights of clusters and rows."""
    factor = np.random.default_rng(seed).uniform(0.7, 1.4, len(data.sizes))
    changes = {
        "clusters": data.clusters * factor,
        "cross": data.cross * factor[:, None, None],
        "within": data.within * factor.mean(),
    }
    return replace(data, **changes)


@pytest.fixture(scope="module")
def cases():
    data, made = make_data(8, UNBALANCED), {}

    def get(name):
        if name not in made:
            model = pose(KINDS[name], data)
            inner = model.fit._estimates.problem.objective
            samples = [resampled(inner.data, seed) for seed in range(COUNT)]
            singles = [replace(inner, data=each) for each in samples]
            params = np.array([point_inside(model, seed) for seed in range(COUNT)])
            made[name] = replace(inner, data=stacked(samples)), singles, params
        return made[name]

    return get


def assert_same(many, single, where=""):
    if is_dataclass(single):
        for each in fields(single):
            names = each.name, where
            assert_same(getattr(many, each.name), getattr(single, each.name), ".".join(names))
    elif isinstance(single, tuple):
        for first, second in zip(many, single, strict=True):
            assert_same(first, second, where)
    else:
        scale = max(1.0, np.abs(single).max(initial=0.0))
        assert np.shape(many) == np.shape(single), where
        np.testing.assert_allclose(many, single, rtol=0, atol=1e-11 * scale, err_msg=where)


@pytest.mark.parametrize("name", NAMES)
def test_leading_axes_are_a_loop(cases, name):
    objective, singles, params = cases(name)
    basis = np.random.default_rng(3).normal(size=(params.shape[1], 4))
    point = objective.evaluate(params)
    at = objective.derivatives(point, basis)
    found = objective.expected(point, at), objective.observed(point, at)
    bases = np.tile(basis, (COUNT, 1, 1))
    assert_same(objective.derivatives(point, bases).gradient, at.gradient)
    for k, single in enumerate(singles):
        there = single.evaluate(params[k])
        assert_same(taken(point, k), there)
        along = single.derivatives(there, basis)
        assert_same(at.gradient[k], along.gradient)
        assert_same(taken(at.along, k), along.along)
        wanted = single.expected(there, along), single.observed(there, along)
        assert_same(tuple(each[k] for each in found), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_outside_is_nan_for_one_and_nothing_for_the_others(cases, name):
    objective, singles, params = cases(name)
    outside = params.copy()
    outside[1] *= -3.0
    assert singles[1].evaluate(outside[1]) is None
    found = objective.evaluate(outside).loglik
    assert np.isnan(found[1])
    wanted = [singles[k].evaluate(params[k]).loglik for k in range(COUNT) if k != 1]
    np.testing.assert_allclose(np.delete(found, 1), wanted, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_search_together_is_that_of_each(cases, name):
    """From hard starts, some of them outside: what is reached is what `climb` reaches."""
    objective, singles, params = cases(name)
    params = params.copy()
    params[2] *= -3.0
    free = np.eye(params.shape[1])
    reached = list(
        climb_together(objective, objective.evaluate(params), free, tol=1e-8, max_iter=100)
    )
    numbers = np.concatenate([each.numbers for each in reached]).tolist()
    assert len(set(numbers)) == len(numbers) >= 2
    assert 2 not in numbers
    for each in reached:
        for k, number in enumerate(each.numbers):
            single, found = singles[number], each.optimum(k)
            start = single.evaluate(params[number])
            at_start = single.conditioned(start, free)
            wanted = climb(single, start, free, at_start, tol=1e-8, max_iter=100)
            assert type(found) is type(wanted)
            assert found.n_iterations == wanted.n_iterations
            np.testing.assert_allclose(found.params, wanted.params, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(found.loglik, wanted.loglik, rtol=1e-12)


def test_none_and_one(cases):
    objective, _, params = cases(NAMES[0])
    free = np.eye(params.shape[1])

    def numbers(of, starts):
        reached = climb_together(of, of.evaluate(starts), free, tol=1e-6, max_iter=100)
        return [number for each in reached for number in each.numbers.tolist()]

    easy = numbers(objective, params)[:1]
    assert numbers(objective.of(np.array(easy)), params[easy]) == [0]
    assert numbers(objective.of(np.arange(0)), params[:0]) == []
