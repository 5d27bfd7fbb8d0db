"""`python -m tests.fuzz`: run the fuzzers for a while, and print what they saw.

Everything is drawn from the seed and a count, so that a finding is repeated by its seed:
`python -m tests.fuzz --only data --first 1234 --count 1`.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable

from tests.fuzz import data_fuzzer, model_fuzzer
from tests.fuzz.guard import Findings
from tests.fuzz.text_fuzzer import Texts

Run = Callable[[Findings, int], None]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Run the fuzzers.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each (default 60)")
    parser.add_argument("--only", choices=("data", "texts", "models"), help="one of them")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--count", type=int, help="so many seeds, whatever the time")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    data_fuzzer.warm_up()
    runs: dict[str, Run] = {
        "data": data_fuzzer.run,
        "texts": Texts().run,
        "models": model_fuzzer.run,
    }
    wrong = 0
    for name, run in runs.items():
        if arguments.only in (None, name):
            findings = fuzzed(run, arguments.first, arguments.count, arguments.seconds)
            print(f"{name}: {findings.report()}", flush=True)
            wrong += len(findings.wrong)
    return 1 if wrong else 0


def fuzzed(run: Run, first: int, count: int | None = None, seconds: float = 60.0) -> Findings:
    """What so many seeds show, or as many as there is time for."""
    findings, end, seed = Findings(), time.monotonic() + seconds, first
    while time.monotonic() < end if count is None else seed < first + count:
        run(findings, seed)
        seed += 1
    findings.calls["seeds"] = seed - first
    return findings


if __name__ == "__main__":
    sys.exit(main())
