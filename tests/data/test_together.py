"""Frames of one design are read together as each is on its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.moments.aggregate import read_moments
from mlsem.data.moments.together import read_together
from mlsem.data.table.stack import alike

MODELS = (
    "level: 1; y ~ x1 + w1:x1; level: 2; y ~ w1",
    'level: 1; y ~ rv("s")*x1; level: 2; y ~ w1; s ~ w1',
    "level: 1; y ~ x1; level: 2; y ~ x1 + v:w1",
)
ARRAYS = ("shift", "rows", "sizes", "weights", "means", "within", "labels")


def frames(count: int = 6, *, sizes=(3, 5, 4, 6, 3, 5, 4, 7), shuffled: bool = False):
    rng = np.random.default_rng(1)
    ids = np.repeat(np.arange(10, 10 + len(sizes)), sizes)
    if shuffled:
        ids = rng.permutation(ids)
    for _ in range(count):
        w1, v, u = rng.normal(size=(3, len(sizes)))[:, ids - 10]
        x1, e = rng.normal(size=(2, len(ids)))
        y = 50.0 + x1 + w1 + u + e
        yield pd.DataFrame({"id": ids, "w1": 3.0 + w1, "v": v, "x1": x1, "y": y})


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("design", [{}, {"shuffled": True}, {"sizes": (4,) * 8}])
def test_as_each_on_its_own(model, design):
    every = list(frames(**design))
    stack, places = alike(every, "id")
    table = mlsem.check(model)
    found = read_together(table, stack)
    assert places == list(range(6))
    for frame, ours in zip(every, found, strict=True):
        alone = read_moments(table, frame, cluster="id")
        for name in ARRAYS:
            values, expected = getattr(ours.moments, name), getattr(alone.moments, name)
            assert values.dtype == expected.dtype
            np.testing.assert_array_equal(values, expected)
        assert ours.moments.columns == alone.moments.columns
        assert ours.notes == alone.notes
        assert ours.robust.labels.tolist() == alone.robust.labels.tolist()
        for name, each in alone.maps.items():
            np.testing.assert_array_equal(ours.maps[name].coefs, each.coefs)
            assert ours.maps[name].constant == each.constant


def missing(frame):
    frame.loc[3, "y"] = np.nan


def infinite(frame):
    frame.loc[3, "x1"] = np.inf


def constant(frame):
    frame["x1"] = 1.0


def coded(frame):
    frame.loc[:4, "x1"] = -99.0


def combined(frame):
    frame["y"] = frame["x1"] + frame["w1"]


def varying(frame):
    frame.loc[3, "w1"] += 1e-3


def far(frame):
    frame["x1"] += 1e6


def within(frame):
    frame["x1"] -= frame.groupby("id")["x1"].transform("mean")


def text(frame):
    frame["x1"] = frame["x1"].astype(str)


def fewer(frame):
    return frame.drop(index=3)


def other_clusters(frame):
    return frame.assign(id=frame["id"].where(frame.index != 3, 12))


def another_column(frame):
    return frame.assign(z=1.0)


@pytest.mark.parametrize(
    "change",
    [missing, infinite, constant, coded, combined, varying, far, within],
)
@pytest.mark.parametrize("place", [0, 2])
def test_an_odd_frame_is_left_alone(change, place):
    every = list(frames())
    change(every[place])
    stack, places = alike(every, "id")
    found = read_together(mlsem.check(MODELS[0]), stack)
    assert places == list(range(6))
    assert [k for k, each in enumerate(found) if each is None] == [place]


@pytest.mark.parametrize("change", [fewer, other_clusters, another_column])
def test_a_frame_of_another_design_is_left_alone(change):
    every = list(frames())
    every[2] = change(every[2])
    stack, places = alike(every, "id")
    assert places == [0, 1, 3, 4, 5]
    assert None not in read_together(mlsem.check(MODELS[0]), stack)


def test_nothing_is_refused():
    every = list(frames())
    text(every[2])
    assert alike(every, "nobody") is None
    assert alike([None, *every], "id") is None
    stack, _ = alike(every, "id")
    assert read_together(mlsem.check(MODELS[0]), stack) == [None] * 6
    assert read_together(mlsem.check("y ~ w1"), stack) == [None] * 6
