"""Every public callable has an example, which runs as it is written, by itself.

An example begins with `>>> import mlsem`, makes or loads its data, and skips nothing.
"""

from __future__ import annotations

import doctest
import inspect
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mlsem
from mlsem.interop import semopy as semopy_bridge
from tests.test_public_api import RESULTS

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
RECORDS = (mlsem.FitResult, *RESULTS)


def _callables() -> Iterator[tuple[str, Any]]:
    """Functions, classes that are called, and methods of the results."""
    for name in sorted(mlsem.__all__):
        each = getattr(mlsem, name)
        if inspect.isfunction(each) or each is mlsem.InOrder:
            yield name, each
    for name in semopy_bridge.__all__:
        yield f"interop.semopy.{name}", getattr(semopy_bridge, name)
    classes = {getattr(mlsem, name) for name in mlsem.__all__ if name[0].isupper()} | {*RECORDS}
    for each in sorted(classes, key=lambda each: each.__name__):
        if not issubclass(each, BaseException):
            yield from _methods(each)


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    for name in sorted(dir(cls)):
        each = inspect.getattr_static(cls, name, None)
        if any(each is vars(base).get(name) for base in cls.__mro__[1:] if base in RECORDS):
            continue  # that of another result
        if not name.startswith("_") and isinstance(each, Callable | classmethod | staticmethod):
            yield f"{cls.__name__}.{name}", getattr(cls, name)


def _once() -> Iterator[tuple[str, Any]]:
    """What several classes inherit counts for the first of them."""
    seen: set[int] = set()
    for name, each in _callables():
        if id(inspect.unwrap(each)) not in seen:
            seen.add(id(inspect.unwrap(each)))
            yield name, each


CALLABLES = dict(_once())


def _examples(name: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(inspect.getdoc(CALLABLES[name]) or "")


WITH = sorted(name for name in CALLABLES if _examples(name))


@pytest.mark.parametrize("name", WITH)
def test_the_example_runs_as_written(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    examples = _examples(name)
    assert examples[0].source.startswith("import mlsem"), "it begins with >>> import mlsem"
    assert not any(doctest.SKIP in example.options for example in examples)
    told = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    test = doctest.DocTest(examples, {}, name, None, None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = runner.run(test, out=told.write)
    assert result.failed == 0, told.getvalue()


def test_every_public_callable_has_an_example() -> None:
    assert sorted(set(CALLABLES) - set(WITH)) == []
