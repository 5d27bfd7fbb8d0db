"""Does this checkout give the numbers of another one? For changes that are to move none.

python -m benchmarks.numbers COMMIT [--random 50]

COMMIT, or the directory of another checkout. Fitted are the reference cases of lavaan and lme4 in
`tests/reference` and random models, each with every kind of standard error. Printed are the largest
differences, relative (of estimates to 1 + their size), infinite where one side has no number.
Models and data are those of this checkout, and all calls are to public names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.against import checked_out
from benchmarks.common import ONE_THREAD, ROOT, table
from benchmarks.random_design import draw

KINDS = ("standard", "MLR", "CR0", "CR1S", "CR2", "CR3")
COLUMNS = ("se", "df", "pvalue")
REFERENCE = ROOT / "tests" / "reference"
CHILD = """
import sys
import mlsem
assert mlsem.__file__.startswith(CHECKOUT), mlsem.__file__
sys.path.insert(0, ROOT)
from benchmarks.numbers import printed
printed(COUNT)
"""


def fits(count: int) -> Iterator[tuple[str, Any]]:
    """Names, and calls that fit."""
    sys.path.append(str(ROOT / "tests" / "support"))
    import reference

    for file in ("lavaan.json", "lavaan_parts.json"):
        for case in reference.load(file).values():
            yield f"{file} {case.name}", case.fit
    models = json.loads((REFERENCE / "lmm.json").read_text("utf-8"))["models"]
    for name, model in models.items():
        data = pd.read_csv(REFERENCE / "data" / Path(model["data_file"]).name)
        for reml in (True, False):
            yield (
                f"lmm.json {name}, {'REML' if reml else 'ML'}",
                lambda m=model, d=data, r=reml: mlsem.lmm(m["formula"], d, REML=r),
            )
    for number in range(count):
        drawn = draw(number)
        yield (
            f"random {number}",
            lambda d=drawn: mlsem.fit(d.model, d.data, cluster="id", fixed_x=d.fixed_x),
        )


def numbers(fit: mlsem.FitResult) -> dict[str, list[float]]:
    """All that is compared, by name."""
    found = {"loglik": [fit.loglik], "estimates": fit.params.tolist()}
    for kind in KINDS:
        try:
            rows = fit.with_se(kind).parameter_estimates()
        except mlsem.MlsemError:
            continue
        found |= {f"{kind}, {column}": rows[column].tolist() for column in COLUMNS}
    return found


def printed(count: int) -> None:
    """The numbers of the `mlsem` that is imported, as JSON."""
    warnings.simplefilter("ignore")
    everything: dict[str, Any] = {}
    for name, fit in fits(count):
        try:
            everything[name] = numbers(fit())
        except mlsem.MlsemError as error:
            everything[name] = {type(error).__name__: []}
    print(json.dumps(everything))


def of_checkout(checkout: Path, count: int) -> dict[str, dict[str, list[float]]]:
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(checkout)}
    code = f"CHECKOUT, ROOT, COUNT = {str(checkout)!r}, {str(ROOT)!r}, {count}\n{CHILD}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=checkout, stdout=subprocess.PIPE,
        text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def apart(ours: list[float], theirs: list[float], scale: Any) -> float:
    """The largest difference; infinite where one side has a number and the other none."""
    first, second = np.array(ours, dtype=float), np.array(theirs, dtype=float)
    if len(first) != len(second) or (np.isfinite(first) != np.isfinite(second)).any():
        return np.inf
    known = np.isfinite(first)
    return float((np.abs(first[known] - second[known]) / scale[known]).max(initial=0.0))


def compared(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[float, str]]:
    """Of each number the largest difference, and where."""
    worst: dict[str, tuple[float, str]] = {}
    for name, mine in ours.items():
        other = theirs[name]
        for key in {*mine, *other}:
            pair = mine.get(key), other.get(key)
            if None in pair:
                gap = np.inf
            else:
                size = np.array(pair[1], dtype=float)
                scale = np.maximum(np.abs(size), 1e-3)
                if key == "estimates":
                    scale = 1.0 + np.abs(size)
                gap = apart(*pair, scale)  # type: ignore[arg-type]
            worst[key] = max(worst.get(key, (0.0, "")), (gap, name))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", help="a commit, or the directory of another checkout")
    parser.add_argument("--random", type=int, default=50, help="random models")
    arguments = parser.parse_args()
    with checked_out(arguments.other) as other:
        sides = [of_checkout(each, arguments.random) for each in (ROOT, other)]
    worst = compared(*sides)
    rows = [[key, f"{gap:.1e}", name] for key, (gap, name) in sorted(worst.items())]
    print(f"{len(sides[0])} fits")
    print(table(["number", "largest difference", "fit"], rows))


if __name__ == "__main__":
    main()
