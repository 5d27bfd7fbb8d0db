"""Methods of a study share what they read of a data set."""

from __future__ import annotations

import mlsem
import mlsem.api.fit
import mlsem.api.steps
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
    together = analyse(read_methods(MODELS), data)
    for name, entry in MODELS.items():
        (alone,) = analyse(read_methods({name: entry}), data).values()
        assert together[name].parameters == alone.parameters
        assert alone.parameters


def test_data_are_read_once_for_a_model(monkeypatch):
    calls = []
    for module, name in ((mlsem.api.fit, "rows_of"), (mlsem.api.steps, "pose")):
        own = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, own=own, name=name: calls.append(name) or own(*given)
        )
    analyse(read_methods(MODELS), mlsem.load_example("article"))
    assert (
        calls.count("rows_of") == calls.count("pose") == 3
    )  # also of what is centred, of one level
