"""Studies and draws are the same wherever their batches are done."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.parallel import kept
from mlsem.parallel.executors import on_executor
from mlsem.parallel.window import AHEAD

TRUTH = (
    "level: 1; y ~ 0.5*x; y ~~ 1*y; level: 2; y ~~ 0.3*y",
    {"n_clusters": 12, "cluster_size": 5},
)
MODELS = {"MLR": {"model": "level: 1; y ~ x; level: 2; y ~~ y", "cluster": "id", "se": "MLR"}}


def found(**how: Any) -> pd.DataFrame:
    return mlsem.study(TRUTH, MODELS, replications=12, seed=7, **how).estimates


@pytest.fixture(scope="module")
def fit() -> mlsem.FitResult:
    data = mlsem.simulate(TRUTH[0], n_clusters=30, cluster_size=5, seed=1)
    return mlsem.fit(MODELS["MLR"]["model"], data, "id")


def drawn(fit: mlsem.FitResult, **how: Any) -> list[np.ndarray]:
    band = fit.compare_se(["standard", "MLR"], draws=20, seed=3, **how).band
    assert band is not None
    return [fit.bootstrap("pairs", draws=8, seed=3, **how).draws, band.ratios]


@pytest.fixture(scope="module")
def alone(fit: mlsem.FitResult) -> Callable[..., None]:
    """Makes sure that all of it is as here, one after another."""
    study, draws = found(), drawn(fit)

    def check(**how: Any) -> None:
        pd.testing.assert_frame_equal(found(**how), study)
        for there, here in zip(drawn(fit, **how), draws, strict=True):
            np.testing.assert_array_equal(there, here)

    return check


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_executors(kind: type[Executor], alone: Callable[..., None]) -> None:
    with kind(max_workers=2) as executor:  # type: ignore[call-arg]
        alone(backend=executor)


def test_backends_that_there_are_not_are_refused(fit: mlsem.FitResult) -> None:
    for work in (found, partial(fit.bootstrap, "wild"), partial(fit.compare_se, draws=0)):
        with pytest.raises(mlsem.OptionValueError, match=r"Did you mean 'spark'\? Use 'dask', "):
            work(backend="sparc")
        with pytest.raises(mlsem.OptionValueError, match=r"n_jobs=0: it takes a number from 1"):
            work(n_jobs=0)
    with pytest.raises(mlsem.OptionValueError, match=r"an executor: an object with the method"):
        found(backend=3)


class Slow(Executor):
    """Keeps what it is given, until it is asked."""

    def __init__(self) -> None:
        self.sent: list[Future[Any]] = []
        self._max_workers = 1

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.sent.append(future)
        return future


def test_few_batches_are_under_way_and_given_up_ones_are_cancelled() -> None:
    executor = Slow()
    results = on_executor(executor, list, iter([[k] for k in range(50)]))
    asked = ThreadPoolExecutor(1)
    first = asked.submit(next, results)
    while len(executor.sent) < AHEAD:
        pass
    executor.sent[0].set_result(["done"])
    assert first.result(timeout=20) == ["done"]
    assert len(executor.sent) <= AHEAD + 1
    results.close()
    assert all(future.cancelled() for future in executor.sent[1:])
    asked.shutdown()


class Forgetful(Executor):
    """One worker, which is sent bytes, and another in its place after so many tasks."""

    def __init__(self, tasks: int) -> None:
        self.tasks, self.left, self.sent = tasks, tasks, []
        self._max_workers = 1

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.sent.append(pickle.dumps((fn, args)))
        if self.left == 0:
            kept._KEPT.clear()
            self.left = self.tasks
        self.left -= 1
        task, its = pickle.loads(self.sent[-1])
        future: Future[Any] = Future()
        future.set_result(task(*its))
        return future


def _with(data: bytes, batch: list[int]) -> list[int]:
    return [len(data) + each for each in batch]


@pytest.mark.parametrize(("tasks", "times"), [(50, AHEAD), (7, 4 * AHEAD)])
def test_the_function_is_sent_to_each_worker_once(tasks: int, times: int) -> None:
    executor = Forgetful(tasks)
    results = on_executor(executor, partial(_with, bytes(10_000)), ([k] for k in range(20)))
    assert list(results) == [[10_000 + k] for k in range(20)]
    large = [len(each) > 10_000 for each in executor.sent]
    assert sum(large) == times
    assert sum(map(len, executor.sent)) < 10_000 * times + 500 * len(large)
    assert not kept._KEPT, "threads of this process would keep the data for ever"


def test_a_process_keeps_few_functions() -> None:
    for name in "abc":
        assert kept.done(name, list, [1]) == [1]
    assert [kept.done(name, None, [2]) for name in "abc"] == [None, [2], [2]]
    kept._KEPT.clear()


def test_a_worker_that_dies_is_named() -> None:
    with ProcessPoolExecutor(1) as executor, pytest.raises(mlsem.WorkerError, match="died"):
        list(on_executor(executor, _dies, [[1]]))


def _dies(batch: list[int]) -> list[int]:
    os._exit(3)


def test_what_is_not_connected_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = (mlsem.OptionValueError, mlsem.InterfaceError)
    for name, package in (("ray", "ray"), ("spark", "pyspark")):
        with pytest.raises(refused, match=f"backend='{name}'"):
            found(backend=name)
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.setitem(sys.modules, f"{package}.sql", None)
        with pytest.raises(mlsem.InterfaceError, match=rf'pip install "mlsem\[{name}\]"'):
            found(backend=name)


@pytest.mark.slow
def test_ray(alone: Callable[..., None]) -> None:
    ray = pytest.importorskip("ray")
    path = {"PYTHONPATH": str(Path(mlsem.__file__).parents[1])}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": path})
    try:
        alone(backend="ray")
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_spark(alone: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    sql = pytest.importorskip("pyspark.sql")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(Path(mlsem.__file__).parents[1]))
    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = session.getOrCreate()
    try:
        alone(backend="spark")
    finally:
        spark.stop()
