"""The 49 first calls of users of R: each works as it is tried, or is answered by the way here."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest

from mlsem.errors import MlsemError
from tests.porting.calls import CALLS, Call
from tests.porting.names import namespace

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.errors.MlsemWarning")
ALL = [each for calls in CALLS.values() for each in calls]


def _run(code: str) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return eval(code, namespace())


def test_there_are_49() -> None:
    assert len(ALL) == 49
    assert len({each.there for each in ALL}) >= 48  # anova is lavaan's and lme4's


def _answer(code: str) -> str:
    """What is said to a call; nothing where it works."""
    try:
        _run(code)
    except MlsemError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("call", ALL, ids=lambda call: call.there)
def test_what_is_tried_works_or_is_answered(call: Call) -> None:
    said = _answer(call.tried)
    assert not said or (call.answer and call.answer in said)


@pytest.mark.parametrize("call", ALL, ids=lambda call: call.there)
def test_what_is_to_be_typed_runs(call: Call) -> None:
    _run(call.here)
