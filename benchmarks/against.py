"""Is this checkout as quick as another one? Both in turns, in one run.

python -m benchmarks.against COMMIT [--rounds 10] [--calls article "import mlsem" …]

COMMIT, or the directory of another checkout. A commit is checked out into a temporary worktree,
which is removed at the end. Each round starts a process per checkout and call; the table has the
processor time of one call, smallest and median over rounds, and the ratios this / other. Models and
data are those of this checkout on both sides, and all calls are to public names, so that the layout
of the other one does not matter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import ONE_THREAD, ROOT, machine, median, seconds, table

LIBRARIES = """
import sys, time, warnings
import numpy, pandas, scipy.linalg, scipy.special
warnings.simplefilter("ignore")
before = time.process_time()
import mlsem
mlsem.fit
imported = time.process_time() - before
assert mlsem.__file__.startswith(CHECKOUT), mlsem.__file__
"""
SETUP = """
sys.path.insert(0, ROOT)
from functools import cache
from benchmarks.cases import CASES
@cache
def data(name):
    return CASES[name].data()
def fit(name, **options):
    case = CASES[name]
    found = mlsem.fit(case.model, data(name), cluster=case.cluster, **options)
    return found.parameter_estimates()
def lmm(**options):
    return mlsem.lmm("y ~ x1 * w1 + (x1 | id)", data("article"), **options)
for _ in range(5):
    CALL
took = []
for _ in range(40):
    before = time.process_time()
    CALL
    took.append(time.process_time() - before)
print(min(took), sorted(took)[20])
"""
IMPORT = "import mlsem"  # and what a fit needs of it
PROCESSES = 5  # that import, per round
CALLS = {
    "article": 'fit("article", estimator="MLR")',
    "article, ML": 'fit("article")',
    "article, CR2": 'fit("article", se="CR2")',
    "demo CFA": 'fit("demo", estimator="MLR")',
    "demo CFA, CR2": 'fit("demo", se="CR2")',
    "lmm, REML": "lmm()",
    "lmm, ML": "lmm(REML=False)",
}


def run(checkout: Path, code: str) -> list[float]:
    """The numbers that a process prints in which `mlsem` is that of a checkout."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(checkout)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    code = f"CHECKOUT, ROOT = {str(checkout)!r}, {str(ROOT)!r}\n{LIBRARIES}{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=checkout, stdout=subprocess.PIPE,
        text=True, check=True,
    )  # fmt: skip
    return [float(each) for each in done.stdout.split()]


def timed(checkout: Path, call: str) -> tuple[float, float]:
    """Smallest and median processor seconds of a call in a process of its own; of the import in
    several, after the libraries that mlsem needs."""
    if call == IMPORT:
        took = [run(checkout, "print(imported)")[0] for _ in range(PROCESSES)]
        return min(took), median(took)
    least, middle = run(checkout, SETUP.replace("CALL", CALLS[call]))
    return least, middle


@contextmanager
def checked_out(other: str) -> Iterator[Path]:
    """The directory of another checkout, or that of a commit for as long as it is needed."""
    if Path(other).is_dir():
        yield Path(other).resolve()
        return
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as work:
        base = Path(work).resolve() / "base"
        added = subprocess.run([*git, "add", "--quiet", "--detach", str(base), other])
        if added.returncode:
            sys.exit(f"{other!r} is neither a directory nor a commit of this repository")
        try:
            yield base
        finally:
            subprocess.run([*git, "remove", "--force", str(base)], check=True)


def compared(other: Path, call: str, rounds: int) -> list[str]:
    """The row of a call; the checkouts take turns in being the first of a round."""
    run(other, ""), run(ROOT, "")  # compiles what is not compiled yet
    sides: dict[Path, list[tuple[float, float]]] = {ROOT: [], other: []}
    for number in range(rounds):
        for checkout in (ROOT, other) if number % 2 else (other, ROOT):
            sides[checkout].append(timed(checkout, call))
    least = [min(each[0] for each in side) for side in sides.values()]
    middle = [median(each[1] for each in side) for side in sides.values()]
    row = [call]
    for ours, theirs in (least, middle):
        row += [seconds(ours), seconds(theirs), f"{ours / theirs:.3f}"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", help="a commit, or the directory of another checkout")
    parser.add_argument("--rounds", type=int, default=10)
    calls = [*CALLS, IMPORT]
    parser.add_argument("--calls", nargs="*", choices=calls, default=calls)
    arguments = parser.parse_args()
    with checked_out(arguments.other) as other:
        rows = [compared(other, call, arguments.rounds) for call in arguments.calls]
    head = ["call", "this, least", "other", "ratio", "this, median", "other", "ratio"]
    print(table(head, rows), f"\n{machine()}")


if __name__ == "__main__":
    main()
