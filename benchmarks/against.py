"""Is this checkout as quick as another one? Both in turns, in one run.

python -m benchmarks.against ../other-checkout [--rounds 10] [--calls article cr2 …]

Each round starts a process per checkout and call; the table has the processor time of one call,
smallest and median over rounds, and the ratios this / other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.common import ONE_THREAD, ROOT, machine, median, seconds, table

SETUP = """
import sys, time, warnings
warnings.simplefilter("ignore")
import mlsem
from benchmarks.cases import CASES
def fit(name, **options):
    case = CASES[name]
    data = frames.setdefault(name, case.data())
    return mlsem.fit(case.model, data, cluster=case.cluster, **options).parameter_estimates()
def lmm(**options):
    data = frames.setdefault("article", CASES["article"].data())
    return mlsem.lmm("y ~ x1 * w1 + (x1 | id)", data, **options)
frames = {}
"""
CALLS = {
    "article": 'fit("article", estimator="MLR")',
    "article, ML": 'fit("article")',
    "article, CR2": 'fit("article", se="CR2")',
    "demo CFA": 'fit("demo", estimator="MLR")',
    "demo CFA, CR2": 'fit("demo", se="CR2")',
    "lmm, REML": "lmm()",
    "lmm, ML": "lmm(REML=False)",
}
TIMING = """
for _ in range(5):
    CALL
found = []
for _ in range(40):
    before = time.process_time()
    CALL
    found.append(time.process_time() - before)
print(min(found), sorted(found)[20])
"""


def timed(checkout: Path, call: str) -> tuple[float, float]:
    """Smallest and median processor seconds of a call in a process of its own."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(checkout)}
    code = SETUP + TIMING.replace("CALL", CALLS[call])
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=checkout, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    least, middle = done.stdout.split()
    return float(least), float(middle)


def main() -> None:
    parser = argparse.ArgumentParser(description="This checkout against another one.")
    parser.add_argument("other", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", nargs="*", choices=list(CALLS), default=list(CALLS))
    arguments = parser.parse_args()
    rows = []
    for call in arguments.calls:
        pairs = [
            (timed(ROOT, call), timed(arguments.other.resolve(), call))
            for _ in range(arguments.rounds)
        ]
        ours, theirs = zip(*pairs, strict=True)
        least = [min(each[0] for each in side) for side in (ours, theirs)]
        middle = [median(each[1] for each in side) for side in (ours, theirs)]
        rows.append(
            [
                call,
                *map(seconds, least),
                f"{least[0] / least[1]:.3f}",
                *map(seconds, middle),
                f"{middle[0] / middle[1]:.3f}",
            ]
        )
    head = ["call", "this, least", "other", "ratio", "this, median", "other", "ratio"]
    print(table(head, rows), f"\n{machine()}")


if __name__ == "__main__":
    main()
