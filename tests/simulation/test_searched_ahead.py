"""Data sets of a study searched together: the same estimates, however cut into waves."""

from __future__ import annotations

import numpy as np
import pytest

import mlsem
from mlsem.api.reading import Reading
from mlsem.core import blocks
from mlsem.core.optimise.optimum import RestrictedMaximum
from mlsem.core.optimise.together import Reached
from mlsem.data.table.frame import make_frame
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.posed import Posed
from mlsem.estimation.settings import Settings
from mlsem.simulation.study.ahead import look_ahead
from mlsem.simulation.study.methods import read_methods

SETS = 9
FACTOR = "level: 1; f =~ y1 + y2 + y3; f ~ x; level: 2; g =~ y1 + y2 + y3; g ~ w"
SLOPE = 'level: 1; y1 ~ rv("s")*x + w:x; level: 2; y1 ~ w; y1 ~~ s'
MODELS = {
    "a regression": {"model": "level: 1; y1 ~ x + w:x; level: 2; y1 ~ w"},
    "factors": {"model": FACTOR},
    "a regression by REML": {"model": "level: 1; y1 ~ x; level: 2; y1 ~ w", "estimator": "REML"},
    "a random slope by REML": {"model": SLOPE, "estimator": "REML"},
}


def drawn(sizes, seed=3):
    """Data sets of these cluster sizes; covariates have means of their own in each."""
    rng, found = np.random.default_rng(seed), []
    ids = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(SETS):
        w, g = rng.normal(size=(2, len(sizes)))[:, ids]
        x, f = rng.normal(size=(2, len(ids)))
        columns = {"id": ids, "x": x, "w": w}
        for k in (1, 2, 3):
            u, v = rng.normal(size=(2, len(sizes)))[:, ids]
            noise = rng.normal(size=len(ids)) + 0.5 * u + 0.6 * v * x
            columns[f"y{k}"] = f + 0.3 * x + 0.5 * (1 + k) * (g + 0.4 * w) + noise
        found.append(make_frame(columns))
    return found


def searched(methods, frames):
    """What is known of each after it was looked at with the others: problems and optima."""
    readings = [Reading(frame) for frame in frames]
    look_ahead(methods, readings)
    found = []
    for reading in readings:
        known = reading.known.items()
        problems = [each for _, each in known if isinstance(each, Posed)]
        optima = [each for key, each in known if isinstance(key, tuple) and key[0] in problems]
        found.append((problems, optima))
    return found


def information(optimum):
    """What standard errors are made of."""
    return optimum.bread if isinstance(optimum, RestrictedMaximum) else optimum.observed


@pytest.mark.parametrize("sizes", [[6] * 40, [5, 6, 7, 9, 12] * 8], ids=["balanced", "unbalanced"])
@pytest.mark.parametrize("name", MODELS)
def test_maxima_found_ahead_are_those_of_each_alone(name, sizes):
    methods = read_methods({"ours": MODELS[name] | {"cluster": "id"}})
    frames = drawn(sizes)
    whole = searched(methods, frames)
    waves = searched(methods, frames[:1]) + searched(methods, frames[1:4])
    waves += searched(methods, frames[4:])
    assert sum(len(optima) for _, optima in whole) >= SETS // 2
    for (problems, optima), (_, again) in zip(whole, waves, strict=True):
        assert len(optima) == len(again)
        for optimum, other in zip(optima, again, strict=True):
            np.testing.assert_array_equal(optimum.params, other.params)
            np.testing.assert_array_equal(information(optimum), information(other))
            settings = Settings(estimator=MODELS[name].get("estimator", "ML"))
            alone = optimum_of(problems[0], settings)
            np.testing.assert_allclose(optimum.params, alone.params, rtol=1e-10, atol=1e-11)
            assert optimum.n_iterations == alone.n_iterations
            close = {"rtol": 1e-7, "atol": 1e-9}
            np.testing.assert_allclose(information(optimum), information(alone), **close)


def outcomes(methods, frames):
    """What methods say of each that was looked at with the others; None where nothing was said."""
    readings = [Reading(frame) for frame in frames]
    look_ahead(methods, readings)
    return [[reading.known.get(method.outcome) for method in methods] for reading in readings]


@pytest.mark.parametrize("sizes", [[6] * 40, [5, 6, 7, 9, 12] * 8], ids=["balanced", "unbalanced"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:far fewer effective clusters")
def test_errors_found_ahead_are_those_of_each_alone(name, sizes):
    model = MODELS[name] | {"cluster": "id"}
    kinds = ["standard"] if "estimator" in model else ["standard", "MLR", "CR1", "CR2", "CR3"]
    methods = read_methods({se: model | {"se": se} for se in kinds})
    frames = drawn(sizes)
    whole = outcomes(methods, frames)
    waves = outcomes(methods, frames[:1]) + outcomes(methods, frames[1:])
    found = [k for k, each in enumerate(whole) if None not in each]
    assert len(found) >= SETS // 2
    for each, again in zip(whole, waves, strict=True):
        assert [one and one.parameters for one in each] == [one and one.parameters for one in again]
    for k in found[:2]:
        for method, outcome in zip(methods, whole[k], strict=True):
            fit = mlsem.fit(method.text, frames[k], **method.options)
            alone = np.column_stack((fit.params, fit.bse, fit.covariance.df))
            ours = np.array(list(outcome.parameters.values()))
            np.testing.assert_allclose(ours, alone, rtol=1e-8, atol=1e-10)
            assert list(outcome.parameters) == list(fit.params.index)


@pytest.mark.parametrize("room", [4, 3])
def test_as_many_are_answered_at_once_as_memory_has_room_for(room, monkeypatch):
    methods = read_methods({"CR2": MODELS["a regression"] | {"cluster": "id", "se": "CR2"}})
    frames = drawn([6] * 40)
    whole = outcomes(methods, frames)
    n_params = len(whole[0][0].parameters)
    monkeypatch.setattr(blocks, "CHUNK", room * 40 * n_params**2)
    for (outcome,), (again,) in zip(whole, outcomes(methods, frames), strict=True):
        assert again is None if room < 4 else again.parameters == outcome.parameters


def test_methods_that_need_more_than_errors_are_not_answered_ahead():
    text = "level: 1; y1 ~ b*x; level: 2; y1 ~ w"
    ours = {"model": text, "cluster": "id"}
    methods = read_methods(
        {
            "answered": ours,
            "defined": ours | {"model": f"{text}; twice := 2*b"},
            "df": ours | {"estimator": "REML", "df": "satterthwaite"},
            "REML, CR2": ours | {"estimator": "REML", "se": "CR2"},
            "no errors": ours | {"se": "none"},
            "as another": ours | {"names": {"b": "same", "y1~w.l2": "same"}},
        }
    )
    for found in outcomes(methods, drawn([6] * 40)[:4]):
        assert [outcome is not None for outcome in found] == [True] + [False] * 5


@pytest.mark.parametrize("name", ["a regression", "a random slope by REML"])
def test_a_data_set_that_breaks_down_takes_no_other_with_it(name, monkeypatch):
    methods = read_methods({"ours": MODELS[name] | {"cluster": "id"}})
    frames = drawn([6] * 40)[:4]
    whole = searched(methods, frames)
    assert all(optima for _, optima in whole)
    (third,) = whole[2][1]

    def breaking(reached, k):
        """As where a matrix is singular at the third one's maximum."""
        found = own(reached, k)
        if np.allclose(found.params, third.params, rtol=1e-6):
            raise np.linalg.LinAlgError("Singular matrix")
        return found

    own = Reached.optimum
    monkeypatch.setattr(Reached, "optimum", breaking)
    again = searched(methods, frames)
    assert [len(optima) for _, optima in again] == [1, 1, 0, 1]
    for k in (0, 1, 3):
        np.testing.assert_array_equal(again[k][1][0].params, whole[k][1][0].params)
