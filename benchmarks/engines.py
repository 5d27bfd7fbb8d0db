"""A fit to rows that an engine has, beside the bare engine's grouping of the same columns.

python -m benchmarks.engines [--rows 1e5 1e6 1e7] [--save]
python -m benchmarks.engines --rows 1e8 --engines polars --save --into engines_once
python -m benchmarks.engines --one polars MLR 1e6 FILE     one case in this process, as JSON

Four variables in clusters of 100 rows, in a file of Parquet. "bare": the engine groups the rows by
cluster and sums the variables and their ten products, as it would be written by hand.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

from benchmarks.common import child, machine, median, save, seconds, table

SIZE = 100
ROWS = (10**5, 10**6, 10**7)
ENGINES = ("polars", "DuckDB", "Dask", "pandas")
CASES = ("bare", "MLR", "CR2")
COLUMNS = ("y", "x", "m", "w")
MODEL = "level: 1\n y ~ x + m + w:x\nlevel: 2\n y ~ w\n"
PATIENCE = 600.0


def write(file: Path, rows: int) -> None:
    """Rows in clusters of `SIZE`, in parts, so that any number of them can be made."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(20260106)
    step, writer = 10**6 // SIZE, None
    for first in range(0, rows // SIZE, step):
        clusters = min(step, rows // SIZE - first)
        w, u = rng.normal(size=(2, clusters)).repeat(SIZE, axis=1)
        x, m, e = rng.normal(size=(3, clusters * SIZE))
        y = 0.3 * x + 0.2 * m + 0.4 * w + 0.2 * w * x + 0.5 * u + e
        ids = np.arange(first, first + clusters).repeat(SIZE)
        part = pa.table({"id": ids, "y": y, "x": x, "m": m, "w": w})
        writer = writer or parquet.ParquetWriter(file, part.schema)
        writer.write_table(part)
    assert writer is not None
    writer.close()


def _pairs() -> list[tuple[str, str]]:
    return list(combinations_with_replacement(COLUMNS, 2))


def _by_polars(file: str) -> Callable[[], Any]:
    import polars as pl

    sums = [pl.col(name).sum() for name in COLUMNS]
    sums += [(pl.col(a) * pl.col(b)).sum().alias(f"{a}{b}") for a, b in _pairs()]
    return lambda: pl.scan_parquet(file).group_by("id").agg(pl.len(), *sums).collect()


def _by_duckdb(file: str) -> Callable[[], Any]:
    import duckdb

    sums = [f"sum({name})" for name in COLUMNS] + [f"sum({a} * {b})" for a, b in _pairs()]
    query = f"select id, count(*), {', '.join(sums)} from read_parquet(?) group by id"
    return lambda: duckdb.connect().execute(query, [file]).to_arrow_table()


def _by_dask(file: str) -> Callable[[], Any]:
    import dask.dataframe as dd

    def call() -> Any:
        data = dd.read_parquet(file)
        products = {f"{a}{b}": data[a] * data[b] for a, b in _pairs()}
        return data.assign(**products).groupby("id").sum().compute()

    return call


def _by_pandas(file: str) -> Callable[[], Any]:
    import pandas as pd

    def call() -> Any:
        data = pd.read_parquet(file)
        products = {f"{a}{b}": data[a] * data[b] for a, b in _pairs()}
        return data.assign(**products).groupby("id").sum()

    return call


BARE = {"polars": _by_polars, "DuckDB": _by_duckdb, "Dask": _by_dask, "pandas": _by_pandas}


def _rows(engine: str, file: str) -> Any:
    if engine == "polars":
        return file
    if engine == "DuckDB":
        import duckdb

        return duckdb.read_parquet(file)
    if engine == "Dask":
        import dask.dataframe as dd

        return dd.read_parquet(file)
    import pandas as pd

    return pd.read_parquet(file)


def measure(engine: str, case: str, rows: int, file: str) -> dict[str, Any]:
    """Wall and processor time, the first call apart, and the largest memory of the process."""
    import mlsem

    if case == "bare":
        call = BARE[engine](file)
    else:

        def call() -> Any:
            fit = mlsem.fit(MODEL, _rows(engine, file), cluster="id", se=case)
            assert fit.converged
            return fit

    times: list[tuple[float, float]] = []
    while len(times) < 3 or (len(times) < 7 and sum(wall for wall, _ in times) < 3.0):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
        if times[0][0] > 60.0:
            break
    warm = times[1:] or times
    return {
        "engine": engine,
        "case": case,
        "rows": rows,
        "first": times[0][0],
        "wall": median(wall for wall, _ in warm),
        "cpu": median(cpu for _, cpu in warm),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def _cells(records: list[dict[str, Any]]) -> list[list[str]]:
    bare = {
        (r["engine"], r["rows"]): r["wall"] for r in records if r["case"] == "bare" and "wall" in r
    }
    cells = []
    for r in records:
        if "error" in r:
            cells.append([r["engine"], f"{r['rows']:,}", r["case"], r["error"], "", "", ""])
            continue
        ratio = r["wall"] / bare.get((r["engine"], r["rows"]), float("nan"))
        cells.append(
            [r["engine"], f"{r['rows']:,}", r["case"], seconds(r["wall"]), seconds(r["cpu"]),
             f"{ratio:.2f}", "–" if r["memory"] is None else f"{r['memory']:,.0f}"]
        )  # fmt: skip
    return cells


def engines_text(records: list[dict[str, Any]]) -> str:
    head = ("engine", "rows", "what", "time", "processor", "of the bare grouping", "peak, MB")
    return (
        "# Rows that an engine has\n\n"
        "`bare`: the engine alone groups the rows by cluster and sums four variables and their ten "
        f"products. `MLR`, `CR2`: the whole `mlsem.fit` of {' '.join(MODEL.split())}, from the "
        "file. Engines take as many threads as they like. Peak memory is that of the process, "
        f"Python and its packages in it.\n\n{table(head, _cells(records))}\n\n"
        f"{machine().removesuffix('; one thread')}.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=float, default=ROWS)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--one", nargs=4, metavar=("ENGINE", "CASE", "ROWS", "FILE"))
    parser.add_argument("--save", action="store_true", help="write results/INTO.*")
    parser.add_argument("--into", default="engines", help="engines_once: what is measured once")
    chosen = parser.parse_args()
    if chosen.one:
        os.environ.pop("RAYON_NUM_THREADS", None)  # polars' threads, before it is imported
        engine, case, rows, file = chosen.one
        print(json.dumps(measure(engine, case, int(float(rows)), file)))
        return
    records: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in map(int, chosen.rows):
            file = Path(folder) / f"{rows}.parquet"
            write(file, rows)
            for engine in chosen.engines:
                for case in CASES:
                    one = ("--one", engine, case, str(rows), str(file))
                    found = child("benchmarks.engines", *one, timeout=PATIENCE)
                    records.append({"engine": engine, "case": case, "rows": rows, **found})
            file.unlink()
    text = engines_text(records)
    print(text)
    if chosen.save:
        save(chosen.into, text, records)


if __name__ == "__main__":
    main()
