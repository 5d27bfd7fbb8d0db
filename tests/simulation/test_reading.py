"""Methods of a study share what they read of a data set."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import mlsem
import mlsem.api.call
import mlsem.api.steps
from mlsem.api.reading import Reading
from mlsem.simulation.study import run
from mlsem.simulation.study.methods import analyse, read_methods

MODEL = "level: 1; y ~ x1 + w1:x1; level: 2; y ~ w1"
OURS = {"model": MODEL, "cluster": "id"}
MODELS = {
    "ML": OURS,
    "REML": OURS | {"estimator": "REML"},
    "CR2": OURS | {"se": "CR2"},
    "centred": OURS | {"center": {"x1": "cluster"}},
    "single": {"model": "y ~ x1", "cluster": "id"},
}


def test_outcomes_are_those_of_each_method_alone():
    data = mlsem.load_example("article")
    together = analyse(read_methods(MODELS), Reading(data))
    for name, entry in MODELS.items():
        (alone,) = analyse(read_methods({name: entry}), Reading(data)).values()
        assert together[name].parameters == alone.parameters
        assert alone.parameters


def test_data_are_read_once_for_a_model(monkeypatch):
    calls = []
    for module, name in ((mlsem.api.call, "rows_of"), (mlsem.api.steps, "pose")):
        own = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, own=own, name=name: calls.append(name) or own(*given)
        )
    analyse(read_methods(MODELS), Reading(mlsem.load_example("article")))
    assert (
        calls.count("rows_of") == calls.count("pose") == 3
    )  # also of what is centred, of one level


FILLED = np.zeros((80, 3))


def odd(rng):
    """Data sets of which some are not like the others."""
    kind = int(rng.integers(5))
    ids = np.repeat(np.arange(20), 4)
    w1, u = rng.normal(size=(2, 20))[:, ids]
    x1, e = rng.normal(size=(2, 80))
    data = pd.DataFrame({"id": ids, "w1": w1, "x1": x1, "y": 0.5 * x1 + w1 + u + e})
    if kind == 0:
        data.loc[3, "y"] = np.nan
    elif kind == 1:
        data = data.iloc[:70]
    elif kind == 2:
        data["w1"] = 1.0
    return data


def refilled(rng):
    """Data sets in the same memory."""
    ids = np.repeat(np.arange(20), 4)
    FILLED[:, 0], FILLED[:, 1] = rng.normal(size=20)[ids], rng.normal(size=80)
    FILLED[:, 2] = FILLED[:, :2].sum(axis=1) + rng.normal(size=20)[ids] + rng.normal(size=80)
    frame = pd.DataFrame(FILLED, columns=["w1", "x1", "y"], copy=False)
    return frame.assign(id=ids)


def shifted(data):
    """A method that changes the data of those after it."""
    data["x1"] = data["x1"] ** 3
    return SimpleNamespace(params={"a": 1.0}, bse={"a": 1.0})


@pytest.mark.parametrize("generator", [odd, refilled])
def test_a_batch_is_its_replications_one_by_one(generator, monkeypatch):
    models = {k: MODELS[k] for k in ("ML", "CR2", "single")} | {"function": shifted}
    models |= {"after": {"model": "level: 1; y ~ x1; level: 2; y ~ 1", "cluster": "id"}}
    together = mlsem.study(generator, models, 8, seed=3)
    monkeypatch.setattr(run, "HELD", 0)
    alone = mlsem.study(generator, models, 8, seed=3)
    for ours, each in zip(together.methods, alone.methods, strict=True):
        assert ours.failures == each.failures
        for name in ("est", "se", "df"):
            values, expected = getattr(ours, name), getattr(each, name)
            np.testing.assert_array_equal(values, expected)
    failed = sum(map(bool, together.methods[0].failures))
    assert (0 < failed < 8) == (generator is odd)
