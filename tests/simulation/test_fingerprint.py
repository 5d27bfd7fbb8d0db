"""Functions are told apart by what they do, the same in every run."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest

from mlsem.simulation.study.fingerprint import described, fingerprint

SCALE = 1.0


def helper(x):
    return x + 1


def uses(x):
    return helper(x) * SCALE


def made(value):
    return lambda data: (data, value)


def calls_itself(n):
    return n and calls_itself(n - 1)


class Called:
    def __init__(self, value):
        self.value = value

    def __call__(self, data):
        return self.value


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda d: d, lambda d: -d),
        (lambda d: d + 1, lambda d: d + 2),
        (lambda d: d.a, lambda d: d.b),
        (lambda d, k=1: k, lambda d, k=2: k),
        (lambda d, *, k=1: k, lambda d, *, k=2: k),
        (lambda d: [x + 1 for x in d], lambda d: [x + 2 for x in d]),
        (made(1), made(2)),
        (made("CR1"), made("CR2")),
        (made({"se": "CR1"}), made({"se": "CR2"})),
        (made(np.arange(3)), made(np.arange(3) + 1)),
        (functools.partial(helper, 1), functools.partial(helper, 2)),
        (Called(1), Called(2)),
        (Called(1).__call__, Called(2).__call__),
    ],
)
def test_other_functions(first, second):
    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(first) == fingerprint(first)


def test_the_same_function_made_again():
    assert fingerprint(made(1)) == fingerprint(made(1))
    assert fingerprint(Called(1)) == fingerprint(Called(1))
    assert fingerprint(made(made(1))) != fingerprint(made(made(2)))
    assert fingerprint(calls_itself) == fingerprint(calls_itself)


def test_globals_and_functions_of_the_module(monkeypatch):
    before = fingerprint(uses)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 2.0)
    assert fingerprint(uses) != before
    monkeypatch.undo()
    assert fingerprint(uses) == before
    assert fingerprint(calls_itself) == fingerprint(calls_itself)
    other = lambda x: x + 2  # noqa: E731
    monkeypatch.setattr(sys.modules[__name__], "helper", other)
    assert fingerprint(uses) != before


def test_it_is_the_same_in_another_process():
    program = (
        "from mlsem.simulation.study.fingerprint import fingerprint, described\n"
        "f = lambda d: d in {'a', 'b', 'c', 'd'}\n"
        "print(fingerprint(f), described({'x': object(), 's': {'a', 'b'}, 'f': f}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_plain_values_are_as_they_print():
    for value in ({"a": 0.2, "b": [1, (2,), ()]}, 3, "t5", None, [1.5, True]):
        assert described(value) == repr(value)
