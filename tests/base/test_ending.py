"""SIGTERM in the middle of work: all is cleaned up, and then the program ends by it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from threading import Thread

import pytest

from mlsem.base.ending import Terminated, orderly_end, raised_sigterm
from mlsem.cli import main as command


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """Nothing of these tests is left to others."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    after = signal.signal(signal.SIGTERM, before)
    assert after is signal.SIG_DFL


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: found.append((pid, number)))
    return found


def _cleaned_up(done: list[str]) -> None:
    with orderly_end(), orderly_end():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            done.append("cleaned up")


def test_the_program_ends_by_it_when_all_is_cleaned_up(killed: list[tuple[int, int]]) -> None:
    done: list[str] = []
    with pytest.raises(Terminated):
        _cleaned_up(done)
    assert done == ["cleaned up"]
    assert killed == [(os.getpid(), signal.SIGTERM)]


def _made_something_else() -> None:
    try:
        signal.raise_signal(signal.SIGTERM)
    except Terminated:
        raise RuntimeError("Query interrupted") from None


def test_what_an_engine_makes_of_it_is_still_it() -> None:
    with pytest.raises(Terminated), raised_sigterm():
        _made_something_else()


def test_other_errors_stay_theirs(killed: list[tuple[int, int]]) -> None:
    for error in (ZeroDivisionError, KeyboardInterrupt):
        with pytest.raises(error) as caught, orderly_end():
            raise error
        assert caught.type is error
    assert killed == []


def test_a_handler_of_the_program_is_left_alone(killed: list[tuple[int, int]]) -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    with orderly_end():
        signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)
    assert (came, killed) == ([signal.SIGTERM], [])


def test_other_threads_change_nothing() -> None:
    found: list[object] = []

    def work() -> None:
        with orderly_end():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "terminated\n"), (signal.SIGINT, 130, "interrupted\n")],
)
def test_the_command_says_so_in_a_line(
    number: int,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it

    def work(_: object) -> int:
        with orderly_end():
            signal.raise_signal(number)
        return 0

    monkeypatch.setitem(command.COMMANDS, "demo", work)
    try:
        assert command.main(["demo"]) == code
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr() == ("", said)
