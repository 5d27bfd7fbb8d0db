"""Every public callable has an example, which runs as it is written, by itself.

An example begins with `>>> import mlsem`, makes or loads its data, and skips nothing.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import io
import re
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import mlsem
from mlsem.interop import semopy as semopy_bridge
from mlsem.results.groups import ByGroup
from tests.test_public_api import RESULTS

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "results.rst"


def _class(name: str) -> type:
    """That of a name on the page of results."""
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


ON_THE_PAGE = map(_class, re.findall(r"^   (mlsem\.\S+)$", PAGE.read_text("utf-8"), re.M))
RECORDS = tuple(dict.fromkeys((mlsem.FitResult, mlsem.MixedResult, *RESULTS, *ON_THE_PAGE)))
PUBLIC = {getattr(mlsem, name) for name in mlsem.__all__ if name[0].isupper()}
CLASSES = sorted(
    (each for each in PUBLIC | {*RECORDS} if not issubclass(each, BaseException)),
    key=lambda each: each.__name__,
)


def _callables() -> Iterator[tuple[str, Any]]:
    """Functions, classes that are called, and methods of the results."""
    for name in sorted(mlsem.__all__):
        each = getattr(mlsem, name)
        if inspect.isfunction(each) or each is mlsem.InOrder:
            yield name, each
    for name in semopy_bridge.__all__:
        yield f"interop.semopy.{name}", getattr(semopy_bridge, name)
    for each in CLASSES:
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


def _properties() -> Iterator[tuple[str, Any]]:
    """Those of the results, what several classes inherit with the first of them."""
    seen: set[int] = set()
    for cls in sorted(CLASSES, key=lambda each: len(each.__mro__)):
        for name in dir(cls):
            each = inspect.getattr_static(cls, name)
            known = name.startswith("_") or id(each) in seen
            if isinstance(each, property | cached_property) and not known:
                seen.add(id(each))
                yield f"{cls.__name__}.{name}", each


PROPERTIES = dict(_properties())
DOCUMENTED = {
    "mlsem": mlsem,
    **{cls.__name__: cls for cls in CLASSES},
    "ByGroup": ByGroup,
    **PROPERTIES,
    **CALLABLES,
}


def _examples_of(each: Any) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(inspect.getdoc(each) or "")


def _examples(name: str) -> list[doctest.Example]:
    return _examples_of(DOCUMENTED[name])


WITH = sorted(name for name in DOCUMENTED if _examples(name))


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


def test_every_property_is_in_an_example() -> None:
    """Of its own, or that of its class."""
    lacking = []
    for name in sorted(set(PROPERTIES) - set(WITH)):
        cls, _, own = name.partition(".")
        shown = "".join(example.source for example in _examples(cls))
        if not re.search(rf"\.{own}\b", shown):
            lacking.append(name)
    assert lacking == []


def test_no_docstring_skips_an_example() -> None:
    package = Path(mlsem.__file__).parent
    texts = {file: file.read_text("utf-8") for file in package.rglob("*.py")}
    assert [file for file, text in texts.items() if "doctest: +" in text] == []


@pytest.mark.parametrize("name", CALLABLES)
def test_every_parameter_is_documented_with_its_type_and_default(name: str) -> None:
    function = CALLABLES[name]
    told = _parameters(inspect.getdoc(function) or "")
    signature = inspect.signature(function).parameters
    asked = {own: each for own, each in signature.items() if own != "self"}
    for each in asked.values():
        if each.name in told:
            kind = told[each.name]
            assert kind, f"{each.name} has no type"
            if each.default is not each.empty and "optional" not in kind:
                default = re.search(r"(?:^|, )default (.+)$", kind)
                assert default, f"{each.name} has no default"
                assert ast.literal_eval(default[1]) == each.default, each.name
        else:  # one of the many options of `fit`
            assert "options" in told, each.name
            assert each.kind is each.KEYWORD_ONLY, each.name
    assert set(told) <= {*asked, "options"}, "it has parameters that there are not"


def _parameters(doc: str) -> dict[str, str]:
    """Name → type of what a docstring's section describes."""
    section = re.search(r"^Parameters\n-+\n((?:.*\n)*?)(?=\w[\w ]*\n--|\Z)", f"{doc}\n", re.M)
    lines = re.findall(r"^[\w*].*$", section[1] if section else "", re.M)
    pairs = (line.partition(" : ") for line in lines)
    return {name.strip().lstrip("*"): kind for names, _, kind in pairs for name in names.split(",")}


REFUSED: dict[str, Callable[[mlsem.FitResult], object]] = {
    "Band.limits": lambda fit: fit.compare_se(draws=20, seed=1).band.limits(90),  # type: ignore[union-attr]
    "FitResult.implied": lambda fit: fit.implied(3),
    "FitResult.information": lambda fit: fit.information("both"),  # type: ignore[arg-type]
    "FitResult.inspect": lambda fit: fit.inspect("sampstats"),
    "FitResult.tidy": lambda fit: fit.tidy(95),
    "FitResult.with_se": lambda fit: fit.with_se("CR2", df="kenward-roger"),
    "InOrder": lambda fit: mlsem.InOrder(fit.params, seed=1),  # type: ignore[arg-type]
    "Summary.to_html": lambda fit: fit.summary().to_html(path="nowhere/summary.html"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_raised_is_what_the_docstring_says(name: str) -> None:
    model = mlsem.example_model("article")
    fit = mlsem.fit(model, mlsem.load_example("article"), cluster="id")
    with pytest.raises(mlsem.MlsemError) as caught:
        REFUSED[name](fit)
    section = (inspect.getdoc(CALLABLES[name]) or "").partition("\nRaises\n")[2]
    names = re.findall(r"\w+Error", section.partition("\nExamples\n")[0])
    assert isinstance(caught.value, tuple(getattr(mlsem, each) for each in names))
