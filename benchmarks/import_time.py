"""What `import mlsem` and asking for `mlsem.fit` add to importing numpy, scipy.linalg,
scipy.special and pandas.

python -m benchmarks.import_time [--pairs 15] [--save]
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks.common import environment, machine, median, save, seconds, table

BASE = "import numpy, scipy.linalg, scipy.special, pandas"
TARGET = 0.05
SCRIPT = """
import time
{base}
wall, cpu = time.perf_counter(), time.process_time()
import mlsem
alone = time.perf_counter() - wall, time.process_time() - cpu
mlsem.fit
print(*alone, time.perf_counter() - wall, time.process_time() - cpu)
"""
WHAT = (
    "`import mlsem`, wall", "`import mlsem`, processor",
    "and `mlsem.fit`, wall", "and `mlsem.fit`, processor",
)  # fmt: skip
HEAVY = ("lark", "scipy.optimize", "scipy.stats", "semopy", "matplotlib", "pyarrow")


def run(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return done.stdout


def loaded() -> list[str]:
    """Heavy packages that the two bring in by themselves."""
    new = "print(*(set(sys.modules) - before))"
    found = run(f"{BASE}\nimport sys\nbefore = set(sys.modules)\nimport mlsem; mlsem.fit\n{new}")
    return [name for name in HEAVY if name in found.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--save", action="store_true", help="write results/import_time.*")
    chosen = parser.parse_args()
    run(f"{BASE}; import mlsem; mlsem.fit")  # compiles what is not compiled yet
    times = [list(map(float, run(SCRIPT.format(base=BASE)).split())) for _ in range(chosen.pairs)]
    columns = dict(zip(WHAT, zip(*times, strict=True), strict=True))
    rows = [
        [name, seconds(median(took)), seconds(min(took)), "" if n else f"< {seconds(TARGET)}"]
        for n, (name, took) in enumerate(columns.items())
    ]
    names = loaded()
    text = "\n\n".join(
        [
            "# Import time",
            machine() + ".",
            f"After `{BASE}`, {chosen.pairs} processes.",
            table(("", "median", "least", "target"), rows),
            f"Loaded with it: {', '.join(names) or 'none'} of {', '.join(HEAVY)}.",
        ]
    )
    print(text)
    if chosen.save:
        save("import_time", text, {"machine": machine(), "seconds": columns, "heavy": names})


if __name__ == "__main__":
    main()
