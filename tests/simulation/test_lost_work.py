"""Processes that die, functions that cannot be sent to them, and functions that end the program."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

import numpy as np
import pytest

import mlsem
from mlsem.errors import OptionValueError, WorkerError
from mlsem.simulation.study.run import study

pytest.importorskip("joblib")

DATA = "level: 1\n y ~ 0.5*x1\n y ~~ 1*y\nlevel: 2\n y ~ 0.3*w1\n y ~~ 1*y"
MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"
DESIGN = (DATA, {"n_clusters": 20, "cluster_size": 4})
ML = {"model": MODEL, "cluster": "id"}


def run(generator, models, **options):
    return study(generator, models, 12, seed=1, progress=False, **options)


def fitted(data):
    return mlsem.fit(MODEL, data, cluster="id")


def test_a_process_that_dies(tmp_path):
    file, here = tmp_path / "study.jsonl", os.getpid()

    def dies(data):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return mlsem.fit(MODEL, data, cluster="id")

    with pytest.raises(WorkerError, match=r"a process .* died: .*n_jobs=1 .*file= need not be"):
        run(DESIGN, {"dies": dies}, n_jobs=2, file=file)
    whole = run(DESIGN, {"dies": dies}, file=file)
    assert whole.estimates.equals(run(DESIGN, {"dies": dies}).estimates)
    numbers = [json.loads(line)["replication"] for line in file.read_text().splitlines()[1:]]
    assert sorted(numbers) == list(range(12))


def test_a_function_that_cannot_be_sent():
    lock = threading.Lock()

    def locked(data):
        with lock:
            return mlsem.fit(MODEL, data, cluster="id")

    with pytest.raises(WorkerError, match=r"cannot be sent .*_thread\.lock.*n_jobs=1"):
        run(DESIGN, {"locked": locked}, n_jobs=2)
    assert not run(DESIGN, {"locked": locked}).methods[0].reasons


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_method_that_ends_the_program(jobs):
    def leaves(data):
        if data["y"].iloc[0] > 0:
            sys.exit("done here")
        return mlsem.fit(MODEL, data, cluster="id")

    found = run(DESIGN, {"ML": ML, "leaves": leaves}, n_jobs=jobs)
    ends = [mlsem.simulate(DATA, **DESIGN[1], seed=s)["y"].iloc[0] > 0 for s in seeds()]
    assert 0 < sum(ends) < 12
    assert found.methods[1].reasons == {"SystemExit": sum(ends)}
    assert found.methods[1].messages == {"SystemExit": "done here"}
    assert not found.methods[0].reasons


def seeds():
    return np.random.SeedSequence(1).spawn(12)


def test_a_method_that_always_ends_the_program():
    with pytest.raises(OptionValueError, match=r"models\['leaves'\]: SystemExit: 3"):
        run(DESIGN, {"leaves": lambda data: sys.exit(3)})


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_generator_that_ends_the_program(jobs):
    def leaves(number):
        if number == 7:
            sys.exit(2)
        return mlsem.simulate(DATA, n_clusters=20, cluster_size=4, seed=number)

    with pytest.raises(OptionValueError, match=r"it ended the program \(sys\.exit\(2\)\) in repl"):
        run(leaves, {"ML": ML}, n_jobs=jobs)
