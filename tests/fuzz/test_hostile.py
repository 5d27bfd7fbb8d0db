"""Every public entry and every method of a fit over hostile data: a result, or an error of ours.

Nothing else comes out: no exception of another package, no warning but ours, and what belongs to
the process stays as it was.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.results.result import FitResult
from tests.fuzz import data_fuzzer, model_fuzzer
from tests.fuzz.__main__ import fuzzed
from tests.fuzz.data_fuzzer import ENTRIES, METHODS, SLOW
from tests.fuzz.frames import CELLS, IDS, NUMBERS, good, with_cell, with_ids
from tests.fuzz.guard import Findings
from tests.fuzz.text_fuzzer import Texts
from tests.support.kinds import fit_at

# pandas 2 swallows what a signaling NaN raises in its compiled code, after printing it
if pd.__version__.startswith("2."):
    pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

GOOD = good(np.random.default_rng(0))
HOSTILE = {
    "unhashable robust clusters": with_ids(GOOD, "school", lambda v: [v]),
    "unhashable clusters": with_ids(GOOD, "id", lambda v: {v}),
    "a huge whole number": with_cell(GOOD, "y", 10**400, 2),
    "a huge fraction": with_cell(GOOD, "x1", Fraction(10**400, 3), 2),
    "fractions": GOOD.assign(y=[Fraction(value) for value in GOOD["y"]]),
    "a signaling NaN": with_cell(GOOD, "y", Decimal("sNaN"), 2),
    "ids with a signaling NaN": with_ids(
        GOOD, "id", lambda v: Decimal(v) if v else Decimal("sNaN")
    ),
    "ids of half precision": GOOD.astype({"id": np.float16, "school": np.float16}),
    "ids with half a surrogate": with_ids(GOOD, "id", lambda v: f"\ud800{v}"),
    "robust ids with half a surrogate": with_ids(GOOD, "school", lambda v: f"\ud800{v}"),
    **{
        f"{name} times 1e{power}": GOOD.assign(**{n: GOOD[n] * 10.0**power for n in columns})
        for name, columns in {"y": ["y"], "x1": ["x1"], "everything": NUMBERS}.items()
        for power in (-300, 100, 160)
    },
}
THOROUGH = ("coarse", "lmm")  # fits of which every method is asked for


@pytest.fixture(scope="module", autouse=True)
def _warm():
    data_fuzzer.warm_up()


def clean(findings: Findings) -> None:
    assert not findings.wrong, findings.report()


def everything(name: str, thorough: tuple[str, ...], methods: tuple[str, ...]) -> Findings:
    findings, frame = Findings(), HOSTILE[name]
    for entry, call in ENTRIES.items():
        fit = findings.attempt(f"{name}, {entry}", partial(call, frame))
        for method in methods if entry in thorough and isinstance(fit, FitResult) else ():
            example = f"{name}, {entry}, {method}"
            findings.attempt(example, partial(METHODS[method], fit))
    return findings


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_data(name):
    clean(everything(name, THOROUGH, tuple(key for key in METHODS if key not in SLOW)))


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_data_through_everything(name):
    clean(everything(name, tuple(ENTRIES), tuple(METHODS)))


def test_cells_that_are_no_numbers():
    findings = Findings()
    for k, cell in enumerate(CELLS):
        frame = with_cell(GOOD, "y", cell, 2)
        for entry in ("one level", "lmm", "cluster_means"):
            findings.attempt(f"cell {k}, {entry}", partial(ENTRIES[entry], frame))
    clean(findings)


def test_ids_of_every_kind():
    findings = Findings()
    for k, maker in enumerate(IDS):
        for column in ("id", "school"):
            frame = with_ids(GOOD, column, maker)
            fit = findings.attempt(f"ids {k}", partial(ENTRIES["coarse"], frame))
            if isinstance(fit, FitResult):
                for method in ("scores", "random_effects", "diagnostics", "text", "pickle"):
                    findings.attempt(f"ids {k}, {method}", partial(METHODS[method], fit))
    clean(findings)


def test_long_chains_of_definitions():
    chain = "\n".join(f"d{k} := d{k - 1} + a" for k in range(1, 400))
    text = f"level: 1\n y ~ a*x1\nlevel: 2\n y ~ w1\nd0 := a\n{chain}\nd399 > 0"
    findings = Findings()
    fit = findings.attempt("chain", lambda: mlsem.fit(text, GOOD, "id"))
    for method in METHODS:
        if method not in SLOW:
            findings.attempt(f"chain, {method}", partial(METHODS[method], fit))
    clean(findings)


# --- short runs of the fuzzers; `make fuzz` has long ones -------------------------------------


def test_a_short_run_of_hostile_frames():
    clean(fuzzed(partial(data_fuzzer.run, methods=5, slow=0.0), 0, 12))


def test_a_short_run_of_texts():
    clean(fuzzed(Texts().run, 0, 300))


def test_a_short_run_of_models():
    clean(fuzzed(model_fuzzer.run, 0, 9))


def test_the_fuzzers_find_what_they_look_for():
    """Each kind of wrong is seen when it is there."""
    findings = Findings()

    def foreign():
        raise KeyError("x")

    def warns():
        np.array([1.0]) / np.array([0.0])

    def changes():
        np.random.seed(1)  # noqa: NPY002

    before = np.geterr()
    for call in (foreign, warns, changes, lambda: np.seterr(all="raise")):
        findings.attempt("", call)
    np.seterr(**before)
    assert {kind.partition(":")[0] for kind in findings.wrong} == {"foreign", "warning", "state"}
    assert "state: numpy's random numbers" in findings.wrong
    assert "state: numpy's errors" in findings.wrong
    fit = mlsem.fit("y ~ x1", GOOD)
    other = model_fuzzer.complaints(fit, GOOD.assign(y=2.0 * GOOD["y"]), None)
    assert any(each.startswith("log-likelihood") for each in other)
    assert model_fuzzer.complaints(fit, GOOD, None) == []
    stopped = fit_at(fit, fit.estimates + fit.bse.to_numpy())
    assert any(each.startswith("gradient") for each in model_fuzzer.complaints(stopped, GOOD, None))
