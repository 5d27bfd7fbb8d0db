"""A study is the same wherever its batches are done."""

from __future__ import annotations

import os
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mlsem
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
def alone() -> pd.DataFrame:
    return found()


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_executors(kind: type[Executor], alone: pd.DataFrame) -> None:
    with kind(max_workers=2) as executor:  # type: ignore[call-arg]
        pd.testing.assert_frame_equal(found(backend=executor), alone)


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


def test_a_worker_that_dies_is_named() -> None:
    with ProcessPoolExecutor(1) as executor, pytest.raises(mlsem.WorkerError, match="died"):
        list(on_executor(executor, _dies, [[1]]))


def _dies(batch: list[int]) -> list[int]:
    os._exit(3)


def test_what_is_not_connected_says_so() -> None:
    refused = (mlsem.OptionValueError, mlsem.InterfaceError)
    for name in ("ray", "spark"):
        with pytest.raises(refused, match=f"backend='{name}'"):
            found(backend=name)


@pytest.mark.slow
def test_ray(alone: pd.DataFrame) -> None:
    ray = pytest.importorskip("ray")
    path = {"PYTHONPATH": str(Path(mlsem.__file__).parents[1])}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": path})
    try:
        pd.testing.assert_frame_equal(found(backend="ray"), alone)
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_spark(alone: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = pytest.importorskip("pyspark.sql")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(Path(mlsem.__file__).parents[1]))
    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = session.getOrCreate()
    try:
        pd.testing.assert_frame_equal(found(backend="spark"), alone)
    finally:
        spark.stop()
