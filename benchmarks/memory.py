"""What a fit takes of memory beyond the data frame that it is given.

python -m benchmarks.memory [--rows 3e6] [--save]
python -m benchmarks.memory --one polars text-ids 3e6     one case in this process, as JSON

Unsorted rows of four variables and the id in clusters of 100, beside ten other columns. "share" is
the peak beyond the frame (resident memory, which Linux alone tells) over the size of the five
columns that are used. "nullable" are whole numbers, in two of the columns with missing values.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from benchmarks.common import beyond, child, machine, save, table

LIBRARIES = ("pandas", "polars", "pyarrow")
COLUMNS = ("whole ids", "text ids", "float32", "nullable")
MODEL = "level: 1\n y ~ x + m + w:x\nlevel: 2\n y ~ w\n"
UNUSED = 10


def columns(kind: str, rows: int) -> dict[str, Any]:
    """The five columns that are used, and others."""
    import numpy as np

    rng = np.random.default_rng(20261128)
    of = rng.integers(0, rows // 100, rows)
    w, u = rng.normal(size=(2, rows // 100))
    x, m = rng.normal(size=(2, rows))
    y = 0.3 * x + 0.2 * m + (0.4 * w + 0.5 * u)[of] + rng.normal(size=rows)
    found = {"y": y, "x": x, "m": m, "w": w[of]}
    if kind == "float32":
        found = {name: values.astype(np.float32) for name, values in found.items()}
    if kind == "nullable":
        found = {name: np.rint(100 * values).astype(np.int64) for name, values in found.items()}
    unused = {f"unused{k}": np.zeros(rows) for k in range(UNUSED)}
    return {"id": of, **found, **unused}


def made(library: str, kind: str, rows: int) -> tuple[Any, int]:
    """A frame, and the bytes of the columns that are used."""
    import numpy as np
    import pyarrow as pa

    arrays = columns(kind, rows)
    wide = {"id": pa.array(arrays.pop("id"))}
    if kind == "text ids":
        wide["id"] = pa.array([f"school {k}" for k in wide["id"].to_pylist()])
    mask = np.arange(rows) % 1000 == 0 if kind == "nullable" else None
    for name, values in arrays.items():
        wide[name] = pa.array(values, mask=mask if name in ("x", "m") else None)
    del arrays
    size = sum(wide[name].nbytes for name in ("id", "y", "x", "m", "w"))
    whole = pa.table(wide)
    if library == "polars":
        import polars as pl

        return pl.from_arrow(whole), size
    if library == "pandas":
        if kind != "nullable":
            return whole.to_pandas(), size
        import pandas as pd

        types = {pa.int64(): pd.Int64Dtype()}
        return whole.to_pandas(types_mapper=types.get), size
    return whole, size


def one(library: str, kind: str, rows: int) -> dict[str, float]:
    import pyarrow as pa

    import mlsem

    how: dict[str, Any] = {"cluster": "id", "estimator": "MLR", "missing": "listwise"}
    mlsem.fit(MODEL, made(library, kind, 20_000)[0], **how)  # what stays once it is loaded
    data, size = made(library, kind, rows)
    pa.default_memory_pool().release_unused()
    peak = beyond(lambda: mlsem.fit(MODEL, data, **how))
    assert peak is not None
    used = size / 2**20
    return {"size": used, "beyond": peak, "share": peak / used}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, default=3e6)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("LIBRARY", "COLUMNS", "ROWS"))
    given = parser.parse_args()
    if given.one:
        library, kind, rows = given.one
        print(json.dumps(one(library, kind.replace("-", " "), int(float(rows)))))
        return
    if not os.path.exists("/proc/self/clear_refs"):
        sys.exit("benchmarks.memory: only Linux tells the peak of a part of a run.")
    found = {
        (library, kind): child(
            "benchmarks.memory", "--one", library, kind.replace(" ", "-"), str(given.rows)
        )
        for library in LIBRARIES
        for kind in COLUMNS
    }
    head = ("frame", "columns", "used, MB", "peak beyond the frame, MB", "share")
    records = [
        {"frame": library, "columns": kind, "rows": int(given.rows), **case}
        for (library, kind), case in found.items()
    ]
    text = (
        "# Memory beyond the data frame\n\n"
        f"`mlsem.fit` with MLR errors of {int(given.rows):,} unsorted rows in clusters of 100; "
        f"five columns are used, {UNUSED} others are there. `used`: the size of the five columns. "
        "`nullable`: whole numbers, in two of the columns with missing values.\n\n"
        f"{table(head, map(_cells, records))}\n\n{machine()}.\n"
    )
    print(text)
    if given.save:
        save("memory", text, records)


def _cells(case: dict[str, Any]) -> tuple[str, ...]:
    if "error" in case:
        return case["frame"], case["columns"], "–", "–", case["error"]
    sizes = (f"{case[name]:.0f}" for name in ("size", "beyond"))
    return case["frame"], case["columns"], *sizes, f"{case['share']:.2f}"


if __name__ == "__main__":
    main()
