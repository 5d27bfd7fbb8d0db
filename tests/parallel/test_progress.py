"""Bars of long work: seen where somebody sees them, and gone afterwards."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import mlsem
from mlsem.errors import InterfaceError, OptionValueError
from mlsem.parallel import progress
from mlsem.parallel.progress import bar, showing
from mlsem.results.report import build

MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream, modules=sys.modules))
    return stream


@pytest.fixture(scope="module")
def fit() -> mlsem.FitResult:
    return mlsem.fit(MODEL, mlsem.load_example("article"), "id")


def _of_groups(**options: Any) -> mlsem.FitResult:
    data = mlsem.load_example("article").assign(half=lambda rows: rows["id"] % 2)
    return mlsem.fit(MODEL, data, "id", group="half", **options)


def _work(asked: bool | None = None) -> None:
    with bar(3, "work", asked) as advance:
        for _ in range(3):
            advance(1)


def _seen(text: str) -> str:
    """What is left on the line of a terminal."""
    line = [" "] * 400
    place = 0
    for character in text:
        place = 0 if character == "\r" else place
        if character not in "\r\n":
            line[place] = character
            place += 1
    return "".join(line).strip()


def test_a_bar_leaves_nothing(terminal: Terminal) -> None:
    before = threading.active_count()
    _work(True)
    assert "work: " in terminal.getvalue()
    assert "\n" not in terminal.getvalue()
    assert _seen(terminal.getvalue()) == ""
    assert threading.active_count() == before


def test_short_work_shows_none_and_long_work_one(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    _work()
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "DELAY", 0.0)
    _work()
    assert "work: " in terminal.getvalue()


def test_none_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY", 0.0)
    for stream in (io.StringIO(), None):  # a program without a console has no standard error
        monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream, modules=sys.modules))
        _work()
        _work(stream is None)
        assert stream is None or stream.getvalue() == ""


def test_none_if_not_wanted(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY", 0.0)
    _work(False)
    with showing(False):
        _work()
    assert terminal.getvalue() == ""


def test_what_is_nested_shows_none_and_errors_change_nothing(terminal: Terminal) -> None:
    with bar(2, "outer", True) as advance:
        _work()
        advance(1)
    assert "work" not in terminal.getvalue()
    with pytest.raises(ZeroDivisionError), bar(2, "outer", True):
        raise ZeroDivisionError
    with showing(True):
        _work()
    assert "work: " in terminal.getvalue()


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    _work()
    with pytest.raises(InterfaceError, match="pip install tqdm, or progress=False"):
        _work(True)


@pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")  # few clusters
@pytest.mark.parametrize(
    ("label", "work"),
    [
        ("derivatives", lambda fit: fit.reliability(progress=True)),
        ("groups", lambda fit: _of_groups().reliability(progress=True)),
        ("groups", lambda fit: _of_groups(progress=True)),
        ("random starts", lambda fit: fit.update(starts=2, seed=1, progress=True)),
        ("profile intervals", lambda fit: fit.conf_int(ci="profile", progress=True)),
        ("wild", lambda fit: fit.bootstrap("wild", draws=3, seed=1, progress=True)),
        ("parametric", lambda fit: fit.bootstrap("parametric", draws=3, seed=1, progress=True)),
        ("drawn", lambda fit: fit.compare_se(draws=20, seed=1, progress=True)),
        ("left out", lambda fit: fit.cluster_diagnostics("y~x1", exact=[1, 2], progress=True)),
    ],
)
def test_long_work_has_a_bar(
    label: str, work: Callable[[Any], object], fit: mlsem.FitResult, terminal: Terminal
) -> None:
    work(fit)
    assert label == "wild" or label in terminal.getvalue()
    if label == "wild":  # nothing is refitted: it is done at once
        assert terminal.getvalue() == ""
    else:
        assert terminal.getvalue().startswith("\r")
        assert _seen(terminal.getvalue()) == ""


def test_a_report_has_the_bars_of_what_is_in_it(
    fit: mlsem.FitResult, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_sections", lambda *_: (_work(), ())[1])
    for asked in (None, False, True):
        assert terminal.getvalue() == ""
        fit.report(sections=["notes"], progress=asked)
    assert "work: " in terminal.getvalue()


def test_values_are_checked(fit: mlsem.FitResult) -> None:
    data: Any = mlsem.load_example("article")
    wrong: Any = "yes"
    for work in (
        lambda: mlsem.fit(MODEL, data, "id", progress=wrong),
        lambda: mlsem.lmm("y ~ x1 + (1 | id)", data, progress=wrong),
        lambda: fit.bootstrap("parametric", draws=3, progress=wrong),
        lambda: fit.conf_int(ci="profile", progress=wrong),
        lambda: fit.reliability(progress=wrong),
        lambda: fit.report(progress=wrong),
        lambda: mlsem.invariance("f =~ x1 + w1 + y", data, group="id", progress=wrong),
    ):
        with pytest.raises(OptionValueError, match="progress='yes': it takes True, False"):
            work()
