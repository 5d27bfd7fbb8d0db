"""Studies that are killed, run out of disk, or are two on one file: nothing is lost or doubled.

`python -m tests.fuzz.studies` kills 20 studies, fills the disk of 10, and starts 10 pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mlsem.simulation.study.run import study

ROOT = Path(__file__).parents[2]
REPLICATIONS = 150
DATA = "level: 1\n y ~ 0.5*x1\n y ~~ 1*y\nlevel: 2\n y ~ 0.3*w1\n y ~~ 1*y"
MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"
ML = {"model": MODEL, "cluster": "id"}
DESIGN = (DATA, {"n_clusters": 12, "cluster_size": 3})
CHILD = """
import sys
if sys.argv[2] != "0":
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
from tests.fuzz.studies import run
from mlsem.errors import DataError
try:
    run(sys.argv[1], int(sys.argv[3]))
except DataError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
"""


def run(path: str, n_jobs: int = 1) -> Any:
    models = {"ML": ML, "CR2": ML | {"se": "CR2"}}
    return study(
        DESIGN, models, REPLICATIONS, seed=1, file=path, n_jobs=n_jobs, progress=False
    ).estimates


def started(path: Path, room: int = 0, n_jobs: int = 1) -> subprocess.Popen[str]:
    """A study in a process of its own; `room`: bytes that its files may have."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(room), str(n_jobs)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def is_whole(path: Path, expected: Any) -> bool:
    """Whether the study, gone on with, is the uninterrupted one, each replication once."""
    equal = run(str(path)).equals(expected)
    numbers = [json.loads(line)["replication"] for line in path.read_text().splitlines()[1:]]
    return equal and sorted(numbers) == list(range(REPLICATIONS))


def killed(folder: Path, expected: Any, kills: int, rng: random.Random) -> tuple[int, int]:
    """Kill studies after a random number of records; (kills, of them on the way)."""
    path, done, on_the_way = folder / "killed.jsonl", 0, 0
    while done < kills:
        target = lines(path) + rng.randint(1, 30)
        with started(path, n_jobs=rng.choice([1, 2])) as process:
            while process.poll() is None and lines(path) < target:
                time.sleep(0.002)
            time.sleep(rng.random() * 0.02)
            process.send_signal(signal.SIGKILL)
        done += 1
        on_the_way += process.returncode == -signal.SIGKILL
        if lines(path) > REPLICATIONS:
            assert is_whole(path, expected)
            path.unlink()
    assert is_whole(path, expected)
    return done, on_the_way


def full(folder: Path, expected: Any, times: int, rng: random.Random) -> int:
    """Studies whose file may not grow beyond some byte; how many were refused there."""
    refused = 0
    for k in range(times):
        path = folder / f"full{k}.jsonl"
        with started(path, room=rng.randint(1, 40_000)) as process:
            refused += process.wait() == 3
        content = path.read_bytes()
        assert content == b"" or content.endswith(b"\n")  # cut back to whole lines
        assert is_whole(path, expected)
    return refused


def pairs(folder: Path, expected: Any, times: int) -> int:
    """Two studies on one file at once; how many were told that it is in use."""
    refused = 0
    for k in range(times):
        path = folder / f"pair{k}.jsonl"
        both = [started(path), started(path)]
        for process in both:
            _, error = process.communicate()
            assert process.returncode in (0, 3), error
            if process.returncode == 3:
                assert "is in use: process " in error, error
                refused += 1
        assert is_whole(path, expected)
    return refused


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.studies")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, half = random.Random(arguments.seed), max(1, arguments.kills // 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = run(str(folder / "whole.jsonl"))
        count, on_the_way = killed(folder, expected, arguments.kills, rng)
        print(f"{count} kills ({on_the_way} on the way): no record lost or doubled, results equal")
        refused = full(folder, expected, half, rng)
        print(f"{half} full disks ({refused} hit): no record lost or doubled, results equal")
        refused = pairs(folder, expected, half)
        print(f"{half} pairs of writers ({refused} refused): no record lost or doubled")


if __name__ == "__main__":
    main()
