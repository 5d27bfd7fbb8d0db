"""The examples of data on a cluster of machines, each with a small one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "package"), [("dask_cluster.py", "dask"), ("spark.py", "pyspark")]
)
def test_the_numbers_are_those_of_one_frame(script: str, package: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(ROOT / "examples/big" / script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]  # also where draws are others
    assert "Bootstrap, pairs" in done.stdout
    assert float(done.stdout.strip().splitlines()[-1]) < 1e-12
