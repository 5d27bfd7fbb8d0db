"""What travels to clusters of machines and back, counted on this machine.

python -m benchmarks.travel [--save]

Dask: a cluster of two workers in processes of their own; the client speaks to it through a proxy
that counts bytes both ways. Spark: a local session of two tasks; what its tasks send back is what
Spark's own interface says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, create_server, socket
from threading import Thread
from typing import Any
from urllib.request import urlopen

from benchmarks.common import machine, save, table

CLUSTERS, SIZE = 2_000, 5
DRAWS, REPLICATIONS = 200, 200
MODEL = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1\n"
TRUTH = "level: 1; y ~ 0.5*x1 + 0.2*w1:x1; y ~~ 1*y; level: 2; y ~ 0.2*w1; y ~~ 0.3*y"
DESIGN = {"n_clusters": 20, "cluster_size": 10}


def work(backend: str, data: Any) -> dict[str, Callable[[], Any]]:
    """What is given to the cluster; data of its own kind are summed where they are."""
    import mlsem

    rows = mlsem.simulate(TRUTH, n_clusters=CLUSTERS, cluster_size=SIZE, seed=1)
    fit = mlsem.fit(MODEL, rows, cluster="id")
    how: dict[str, Any] = {"seed": 1, "backend": backend}
    methods = {"CR2": {"model": MODEL, "cluster": "id", "se": "CR2"}}
    return {
        "fit": lambda: mlsem.fit(MODEL, data(rows), cluster="id", se="CR2"),
        "bootstrap": lambda: fit.bootstrap("pairs", draws=DRAWS, **how),
        "compare_se": lambda: fit.compare_se(draws=DRAWS, **how),
        "study": lambda: mlsem.study((TRUTH, DESIGN), methods, REPLICATIONS, **how),
        "fit_many": lambda: mlsem.fit_many(MODEL, [rows] * 5, cluster="id", backend=backend),
    }


def function_bytes(call: Callable[[], Any]) -> int:
    """Of what the workers are sent once: the function of the batches, pickled."""
    import cloudpickle

    from mlsem.parallel import pool

    sizes: list[int] = []

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(function: Any, batches: Any) -> Any:
            sizes.append(len(cloudpickle.dumps(function)))
            return original(function, batches)

        return run

    names = ("on_cluster", "on_spark")
    kept = {name: getattr(pool, name) for name in names}
    try:
        for name, original in kept.items():
            setattr(pool, name, counting(original))
        call()
    finally:
        for name, original in kept.items():
            setattr(pool, name, original)
    return sum(sizes)


# --- Dask -----------------------------------------------------------------------------------------


class Proxy:
    """Passes what comes to a port on to an address, and counts it."""

    def __init__(self, host: str, port: int) -> None:
        self.there = (host, port)
        self.sent = self.received = 0
        self.server = create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            here, _ = self.server.accept()
            there = create_connection(self.there)
            for source, target, what in ((here, there, "sent"), (there, here, "received")):
                Thread(target=self._pass, args=(source, target, what), daemon=True).start()

    def _pass(self, source: socket, target: socket, what: str) -> None:
        while found := source.recv(1 << 16):
            setattr(self, what, getattr(self, what) + len(found))
            target.sendall(found)


@contextmanager
def on_dask() -> Iterator[tuple[Callable[[Any], Any], Callable[[], tuple[int, int]]]]:
    """How rows become data there, and the bytes so far to the cluster and from it."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as workers:
        host, port = workers.scheduler_address.removeprefix("tcp://").split(":")
        proxy = Proxy(host, int(port))
        with Client(f"tcp://127.0.0.1:{proxy.port}"):
            yield (
                lambda rows: dd.from_pandas(rows, npartitions=8, sort=False).persist(),
                lambda: (proxy.sent, proxy.received),
            )


# --- Spark ----------------------------------------------------------------------------------------


@contextmanager
def on_spark() -> Iterator[tuple[Callable[[Any], Any], Callable[[], tuple[int, int]]]]:
    """As `on_dask`; what goes to the tasks Spark does not tell."""
    from pyspark.sql import SparkSession  # pyright: ignore[reportMissingImports]

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    spark = SparkSession.builder.master("local[2]").config("spark.ui.port", "0").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    address = f"{spark.sparkContext.uiWebUrl}/api/v1/applications"

    def so_far() -> tuple[int, int]:
        time.sleep(2.0)  # until its listener has heard of all tasks
        with urlopen(address) as told:
            application = json.load(told)[0]["id"]
        with urlopen(f"{address}/{application}/stages") as told:
            stages = json.load(told)
        return 0, sum(stage.get("resultSize", 0) for stage in stages)

    try:
        yield lambda rows: spark.createDataFrame(rows), so_far
    finally:
        spark.stop()


def measure(backend: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with {"dask": on_dask, "spark": on_spark}[backend]() as (data, so_far):
        kept: list[Any] = []

        def held(rows: Any) -> Any:  # before the bytes are counted
            return kept[0] if kept else kept.append(data(rows)) or kept[0]

        calls = work(backend, held)
        calls["fit"]()  # once, for what is there only the first time
        for what, call in calls.items():
            before = so_far()
            size = function_bytes(call)
            sent, received = (b - a for a, b in zip(before, so_far(), strict=True))
            found.append({"backend": backend, "what": what, "function": size, "sent": sent or None,
                          "received": received})  # fmt: skip
    return found


def text(records: list[dict[str, Any]]) -> str:
    asked = {
        "fit": f"`fit` to rows that are there, {CLUSTERS:,} clusters",
        "bootstrap": f'`bootstrap("pairs", draws={DRAWS})`, {CLUSTERS:,} clusters',
        "compare_se": f"`compare_se(draws={DRAWS})`, {CLUSTERS:,} clusters",
        "study": f"`study`, {REPLICATIONS} replications of 20 clusters",
        "fit_many": f"`fit_many`, 5 data sets of {CLUSTERS * SIZE:,} rows",
    }
    rows = [
        [r["backend"], asked[r["what"]], *(_bytes(r[k]) for k in ("function", "sent", "received"))]
        for r in records
    ]
    head = ("backend", "call", "function, once", "sent in all", "received in all")
    return (
        f"# What travels\n\nBytes. The model: {' '.join(MODEL.split())}; clusters of {SIZE} rows. "
        "Function: what all batches need, pickled. Sent and received: what passes between this "
        "process and a local cluster of two workers, Dask's own messages in it; of Spark what its "
        f"tasks send back.\n\n{table(head, rows)}\n\n{machine()}.\n"
    )


def _bytes(value: int | None) -> str:
    return "–" if not value else f"{value:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", action="store_true", help="write results/travel.*")
    chosen = parser.parse_args()
    records = [each for backend in ("dask", "spark") for each in measure(backend)]
    print(text(records))
    if chosen.save:
        save("travel", text(records), records)


if __name__ == "__main__":
    main()
