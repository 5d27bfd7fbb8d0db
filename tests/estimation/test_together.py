"""Many data sets searched together end where each ends alone."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from kinds import KINDS, UNBALANCED, make_data

import mlsem
from mlsem.core.sample.resampling import drawn_clusters, resampled_unions
from mlsem.estimation import refit as refitting
from mlsem.estimation.refit import model_sampler, refit, refits
from mlsem.estimation.together import maxima_of

DRAWS = 12
NAMES = ("several observed", "latent at both levels", "products", "single level with means")


def fitted(name):
    kind = KINDS[name]
    how = {"cluster": kind.cluster, "center": kind.center, "se": "none", **kind.options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return getattr(mlsem, kind.fun)(kind.text, make_data(3, 4 * UNBALANCED), **how)._estimates


def drawn(estimates, kind):
    """Draws with other cluster sizes ("pairs"), or of the model; the last is a data set with
    which the search has trouble: one robust cluster, again and again."""
    problem, generator = estimates.problem, np.random.default_rng(5)
    if kind == "parametric":
        sampler = model_sampler(estimates)
        found = [(sampler.draw(generator), problem.robust) for _ in range(DRAWS)]
    else:
        found = [
            resampled_unions(
                problem.moments,
                problem.robust,
                drawn_clusters(problem.moments, problem.robust, generator),
            )
            for _ in range(DRAWS)
        ]
    same = np.zeros(problem.robust.n_clusters, dtype=np.intp)
    return [*found, resampled_unions(problem.moments, problem.robust, same)]


@pytest.mark.parametrize("kind", ["pairs", "parametric"])
@pytest.mark.parametrize("name", NAMES)
def test_refits_together_are_refits_alone(name, kind, monkeypatch):
    estimates = fitted(name)
    sets = drawn(estimates, kind)
    many = list(refits(estimates, sets, estimates.settings, estimates.params))
    counts = []

    def counted(problems, *args):
        found = maxima_of(problems, *args)
        counts.append((len(problems), len(found)))
        return found

    monkeypatch.setattr(refitting, "maxima_of", counted)
    list(refits(estimates, sets, estimates.settings, estimates.params))
    assert counts[0][1] >= DRAWS // 2  # else nothing was together
    monkeypatch.setattr(refitting, "maxima_of", lambda *_: {})
    for found, each in zip(many, sets, strict=True):
        alone = refit(estimates, each[0], estimates.settings, estimates.params, each[1])
        assert (found is None) == (alone is None)
        if found is None:
            continue
        assert found.converged == alone.converged
        if alone.converged:
            scale = 1e-10 * np.maximum(np.abs(alone.params), 1.0)
            assert (np.abs(found.params - alone.params) <= scale).all()
            assert found.loglik == pytest.approx(alone.loglik, rel=1e-12)


def test_what_is_not_plain_is_not_searched_together():
    estimates = fitted("several observed")
    problems = dict.fromkeys(range(6), estimates.problem)
    assert len(maxima_of(problems, estimates.settings, estimates.params)) == 6
    few = dict.fromkeys(range(3), estimates.problem)
    assert not maxima_of(few, estimates.settings, estimates.params)
    reml = replace(estimates.settings, estimator="REML")
    assert not maxima_of(problems, reml, estimates.params)


def test_waves_of_any_length_give_the_same(monkeypatch):
    estimates = fitted("several observed")
    sets = drawn(estimates, "pairs")
    whole = list(refits(estimates, sets, estimates.settings, estimates.params))
    monkeypatch.setattr("mlsem.core.blocks.CHUNK", 1)  # one after the other
    single = list(refits(estimates, iter(sets), estimates.settings, estimates.params))
    for one, other in zip(whole, single, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other.converged:
            np.testing.assert_allclose(one.params, other.params, rtol=1e-10, atol=1e-10)
