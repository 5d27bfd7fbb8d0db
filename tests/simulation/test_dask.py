"""Studies on a Dask cluster: the serial run's numbers, and errors where it is of no use."""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import InterfaceError, OptionValueError, WorkerError
from mlsem.parallel import dask as dask_workers
from mlsem.parallel.dask import on_cluster
from mlsem.simulation.article import data as article
from mlsem.simulation.study.run import study
from mlsem.simulation.study.sources import InOrder

distributed = pytest.importorskip("distributed")

DATA = "level: 1\n y ~ 0.5*x1\n y ~~ 1*y\nlevel: 2\n y ~ 0.3*w1\n y ~~ 1*y"
MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"
DESIGN = (DATA, {"n_clusters": 20, "cluster_size": 4})
ML = {"model": MODEL, "cluster": "id"}
MODELS = {"ML": ML, "CR2": ML | {"se": "CR2"}}


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def serial():
    return study(DESIGN, MODELS, 36, seed=1, progress=False)


def dask_study(generator, replications, models=MODELS, **options):
    return study(generator, models, replications, seed=1, backend="dask", progress=False, **options)


def test_no_client_is_connected(tmp_path, serial):
    file = tmp_path / "study.jsonl"
    with pytest.raises(OptionValueError, match="no Dask client is connected"):
        dask_study(DESIGN, 36, file=file)
    study(DESIGN, MODELS, 36, seed=1, file=file, progress=False)
    assert dask_study(DESIGN, 36, file=file).estimates.equals(serial.estimates)  # all is done


def test_distributed_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InterfaceError, match=r'needs distributed: pip install "mlsem\[dask\]"'):
        dask_study(DESIGN, 36)


def test_the_cluster_changes_nothing(client, serial):
    assert dask_study(DESIGN, 36).estimates.equals(serial.estimates)


def test_the_cluster_does_the_work(client):
    def process(data):
        return SimpleNamespace(params={"process": os.getpid()}, bse={"process": 1.0})

    found = dask_study(DESIGN, 36, {"one": process}).methods[0].est
    assert set(found.ravel()) <= set(client.run(os.getpid).values())


def test_draws_and_large_functions(client):
    data = mlsem.simulate(DATA, n_clusters=60, cluster_size=4, seed=1)
    fit = mlsem.fit(MODEL, data, cluster="id", se="CR2")
    here, there = (fit.bootstrap("pairs", 20, 1, backend=where) for where in (None, "dask"))
    np.testing.assert_array_equal(there.draws, here.draws)
    much = np.ones(2_000_000)  # 16 MB, of which Dask would warn
    assert list(on_cluster(partial(_added, much), [[1], [2]])) == [[2.0], [3.0]]


def _added(much, batch):
    return [much[0] + each for each in batch]


def test_a_function_that_cannot_be_sent(client):
    lock = threading.Lock()

    def locked(data):
        with lock:
            return mlsem.fit(MODEL, data, cluster="id")

    with pytest.raises(WorkerError, match=r"cannot be sent to the Dask cluster .*_thread\.lock"):
        dask_study(DESIGN, 36, {"locked": locked})


def test_functions_and_streams(client):
    def drawn(rng):
        w1, u = np.repeat(rng.normal(size=(2, 20)), 4, axis=1)
        x1, e = rng.normal(size=(2, 80))
        ids = np.repeat(np.arange(20), 4)
        return pd.DataFrame({"id": ids, "x1": x1, "w1": w1, "y": 0.5 * x1 + 0.3 * w1 + u + e})

    def in_order(stream):
        return article.article_data(stream, 15, 4)

    for generator in (drawn, InOrder(in_order, 7)):
        found = dask_study(generator, 8, {"ML": ML})
        expected = study(generator, {"ML": ML}, 8, seed=1, progress=False)
        assert found.estimates.equals(expected.estimates)


def test_an_interrupted_study_goes_on(client, serial, tmp_path):
    file = tmp_path / "study.jsonl"
    dask_study(DESIGN, 20, file=file)
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + 20
    file.write_bytes(b"".join(lines[:3] + lines[5:20]) + lines[20][:40])  # some lost, one cut off
    assert dask_study(DESIGN, 36, file=file).estimates.equals(serial.estimates)
    numbers = [json.loads(line)["replication"] for line in file.read_text().splitlines()[1:]]
    assert sorted(numbers) == list(range(36))


def test_an_error_leaves_what_was_done(client, tmp_path):
    file = tmp_path / "study.jsonl"

    def stops(number):
        if number == 30:
            raise ZeroDivisionError("at 30")
        return article.article_data(number + 1, 15, 4)

    with pytest.raises(ZeroDivisionError, match="at 30"):
        dask_study(stops, 36, {"ML": ML}, file=file)
    assert len(file.read_text().splitlines()) == 1 + 30


def test_the_function_is_sent_once(client):
    """However many batches there are; these are small."""
    sent = []

    class Counted:
        def __call__(self, batch): ...

        def __reduce__(self):
            sent.append(self)
            return partial, (sorted,)

    batches = [[k] for k in range(40)]
    assert list(on_cluster(Counted(), batches)) == batches
    assert len(sent) <= 2  # by pickle, and by cloudpickle if that fails


def test_the_cluster_cannot_read_the_study(client):
    class Elsewhere:
        def __reduce__(self):
            return __import__, ("a_module_of_mine",)

        def __call__(self, data):
            return SimpleNamespace(params={"b": 1.0}, bse={"b": 1.0})

    with pytest.raises(WorkerError, match=r"No module named 'a_module_of_mine'.*: install mlsem"):
        dask_study(DESIGN, 36, {"one": Elsewhere()})


def test_a_cluster_without_workers(monkeypatch):
    monkeypatch.setattr(dask_workers, "PATIENCE", 0.2)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        distributed.Client(cluster),
        pytest.raises(OptionValueError, match=r"no worker within 0\.2 seconds"),
    ):
        dask_study(DESIGN, 36)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (distributed.KilledWorker("task", None, 3), "died at the same batch again and again"),
        (distributed.CancelledError(), "the Dask cluster was lost"),
        (
            distributed.comm.CommClosedError(),
            "the Dask cluster was lost",
        ),
    ],
)
def test_a_cluster_that_is_lost(error, message):
    with pytest.raises(WorkerError, match=message), dask_workers._losses_named():
        raise error
