"""Work in several processes that is ended in its middle: none of them stays, no file is half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

pytest.importorskip("joblib")
if not Path("/proc/self/stat").exists():
    pytest.skip("children are looked for in /proc", allow_module_level=True)

ROOT = Path(__file__).parents[2]
PATIENCE, MOMENT = 60.0, 10.0  # seconds in which the work must have begun, and all have ended
DESIGN = """
import sys, time
import mlsem

MODEL = "level: 1\\n y ~ x1\\nlevel: 2\\n y ~ w1"
DATA = "level: 1\\n y ~ 0.5*x1\\n y ~~ 1*y\\nlevel: 2\\n y ~ 0.3*w1\\n y ~~ 1*y"
HOW = {"seed": 1, "n_jobs": 2, "progress": False}


def slow(data):
    time.sleep(0.05)
    return mlsem.fit(MODEL, data, cluster="id")


def fit():
    return mlsem.fit(MODEL, mlsem.load_example("article"), cluster="id")


"""
WORK = {
    "study": "mlsem.study((DATA, {'n_clusters': 20, 'cluster_size': 4}), {'slow': slow}, 500, "
    "file=sys.argv[1], **HOW)",
    "bootstrap": "fit().bootstrap('pairs', draws=30000, **HOW)",
    "compare_se": "fit().compare_se(draws=30000, **HOW)",
}
FIRST = "study", signal.SIGTERM  # the others take their time
CASES = [
    pytest.param(work, number, marks=() if (work, number) == FIRST else pytest.mark.slow)
    for work in WORK
    for number in (signal.SIGTERM, signal.SIGINT)
]


def _children(process: int) -> set[int]:
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            pid, _, after = stat.read_text().partition(" (")
            if int(after.rpartition(") ")[2].split()[1]) == process:
                found.add(int(pid))
    return found


def _lives(process: int) -> bool:
    with suppress(OSError):
        return "(zombie)" not in Path(f"/proc/{process}/status").read_text()
    return False


def _until(true: Callable[[], object], seconds: float) -> bool:
    end = monotonic() + seconds
    while not true() and monotonic() < end:
        sleep(0.05)
    return bool(true())


@pytest.mark.parametrize(("work", "number"), CASES)
def test_processes_and_files_after_an_end(work: str, number: int, tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", DESIGN + WORK[work], file],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as program:
        started: set[int] = set()
        try:
            # two workers, and joblib's trackers of what they share
            assert _until(lambda: len(_children(program.pid)) >= 4, PATIENCE)
            sleep(0.3)
            started = _children(program.pid)
            program.send_signal(number)
            assert program.wait(MOMENT) == -number
            assert _until(lambda: not any(map(_lives, started)), MOMENT)
        finally:
            program.kill()
            for each in filter(_lives, started):
                os.kill(each, signal.SIGKILL)
    if work == "study":
        assert file.read_bytes().endswith(b"\n")
        assert list(tmp_path.iterdir()) == [file]


QUERY = """
import os, signal, threading
import duckdb, mlsem

duckdb.execute("PRAGMA threads=1")  # with more it may not look for signals
rows = duckdb.sql("select i % 9 as id, random() y, random() x1 from range(10000000000) t(i)")
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    mlsem.fit("level: 1; y ~ x1; level: 2; y ~~ y", rows, cluster="id")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
def test_ctrl_c_in_a_query() -> None:
    """DuckDB raises `RuntimeError`, which is no error of the data."""
    pytest.importorskip("duckdb")
    done = subprocess.run(
        [sys.executable, "-c", QUERY],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
