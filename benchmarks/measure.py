"""Times one case of `benchmarks.cases` in a process of its own.

python -m benchmarks.measure CASE
"""

from __future__ import annotations

import itertools
import json
import sys
from importlib import metadata

import mlsem
from benchmarks.cases import CASES
from benchmarks.common import clock, median, repeats_for

BUDGET = 4.0  # seconds per column


def main(name: str) -> None:
    """First call; later calls with the same model text; later calls with a text never seen."""
    case = CASES[name]
    data = case.data()
    number = itertools.count()

    def call(model: str = case.model) -> object:
        result = mlsem.fit(model, data, cluster=case.cluster, estimator="MLR")
        return result, result.parameter_estimates()

    cold = clock(call, 1)
    warm_up = median(clock(call, 3)["wall"])
    repeats = repeats_for(warm_up, BUDGET)
    warm = clock(call, repeats)
    fresh = clock(lambda: call(f"{case.model}# {next(number)}\n"), repeats)
    result = mlsem.fit(case.model, data, cluster=case.cluster, estimator="MLR")
    print(
        json.dumps(
            {
                "mlsem": metadata.version("mlsem") if _installed() else mlsem.__version__,
                "repeats": repeats,
                "cold": cold["wall"][0],
                "warm_wall": median(warm["wall"]),
                "warm_cpu": median(warm["cpu"]),
                "warm_min": min(warm["wall"]),
                "new_text": median(fresh["wall"]),
                "loglik": result.loglik,
                "iterations": result.n_iterations,
            }
        )
    )


def _installed() -> bool:
    try:
        return bool(metadata.version("mlsem"))
    except metadata.PackageNotFoundError:
        return False


if __name__ == "__main__":
    main(sys.argv[1])
