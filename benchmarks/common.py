"""What the benchmarks share: clocks, child processes, R, tables."""

from __future__ import annotations

import gc
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from ctypes import CDLL
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TRACE = re.compile(r"\s*$|\s+\d+: |\s+at |note: |stack backtrace:|Execution halted|Calls: ")
"""Lines of standard error around the one that says what is wrong, of Rust's and of R's."""
RESULTS = HERE / "results"
ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
)


def environment() -> dict[str, str]:
    """One thread, this checkout's mlsem, compiled Python files kept."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    paths = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH"))))
    return {**kept, **ONE_THREAD, "PYTHONPATH": paths}


def clock(call: Callable[[], Any], repeats: int) -> dict[str, list[float]]:
    """Wall and processor seconds of each of `repeats` calls."""
    wall, cpu = [], []
    for _ in range(repeats):
        wall0, cpu0 = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - wall0)
        cpu.append(time.process_time() - cpu0)
    return {"wall": wall, "cpu": cpu}


def repeats_for(seconds: float, budget: float, least: int = 5, most: int = 200) -> int:
    """Calls of this length that fit into a budget of seconds."""
    return max(least, min(most, int(budget / max(seconds, 1e-6))))


def child(module: str, *arguments: str, timeout: float | None = None) -> dict[str, Any]:
    """Run `python -m module` as `run` does."""
    return run([sys.executable, "-W", "ignore", "-m", module, *arguments], timeout)


def run(command: Sequence[str], timeout: float | None = None) -> dict[str, Any]:
    """Run a program with one thread; its last line of output is JSON.

    What fails or takes too long comes back as {"error": why}.
    """
    try:
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=timeout, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {timeout:g} s"}
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if not TRACE.match(line)]
        return {"error": [f"exit code {done.returncode}", *said][-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def beyond(call: Callable[[], Any]) -> float | None:
    """Peak of resident memory during a call, beyond what was there, in MB; Linux alone tells."""
    if not Path("/proc/self/clear_refs").exists():
        call()
        return None
    gc.collect()
    CDLL(None).malloc_trim(0)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    call()
    return _resident("VmHWM") - before


def _resident(name: str) -> float:
    """A line of Linux's account of this process, in MB."""
    with open("/proc/self/status", encoding="ascii") as status:
        line = next(each for each in status if each.startswith(name))
    return int(line.split()[1]) / 1024


@cache
def has_r(*packages: str) -> bool:
    """Whether Rscript and these packages are there."""
    if shutil.which("Rscript") is None:
        return False
    loaded = "; ".join(f"library({package})" for package in packages)
    asked = subprocess.run(["Rscript", "-e", loaded], capture_output=True)
    return asked.returncode == 0


def r_script(name: str, *arguments: str, timeout: float | None = None) -> list[list[str]]:
    """Run an R script of this directory; its lines of output, split at tabs."""
    done = subprocess.run(
        ["Rscript", "--vanilla", str(HERE / name), *arguments],
        env=environment(), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    return [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]


def machine() -> str:
    """Processor and versions, in one line."""
    names = ("numpy", "scipy", "pandas")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"{_processor()}; Python {platform.python_version()}, {versions}; one thread"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "?")
    return f"{model}, {os.cpu_count()} cores"


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def seconds(value: float | None) -> str:
    """A time to three digits in s or ms; of more than 1,000 s to two."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{float(f'{value:.2g}'):,.0f} s"
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def save(name: str, text: str, data: Any) -> None:
    """Write results/NAME.md and results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
