"""The keywords that functions take stand in their signatures, with choices and defaults."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from typing import Any, Literal, get_args, get_origin

import pytest

import mlsem
from mlsem.errors import OptionError
from mlsem.estimation import keywords, standard_errors
from mlsem.estimation.keywords import ELSEWHERE
from mlsem.estimation.settings import SETTING_NAMES, Settings
from mlsem.model.options import OPTION_NAMES, PRESETS
from tests.test_public_api import RESULTS

FITTERS: dict[str, Any] = {
    "sem": mlsem.sem,
    "cfa": mlsem.cfa,
    "growth": mlsem.growth,
    "lavaan": mlsem.lavaan,
}
DATA = mlsem.load_example("article")
MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", FITTERS)
def test_all_keywords_of_a_fit_are_shown_with_their_defaults(name: str) -> None:
    shown = _parameters(FITTERS[name])
    assert {*shown} == {"model", "data", "cluster", *ELSEWHERE, *SETTING_NAMES, *OPTION_NAMES}
    usual = {field.name: field.default for field in fields(Settings)}
    usual |= {key: getattr(PRESETS[name], key) for key in OPTION_NAMES}
    assert {key: shown[key].default for key in usual} == usual
    assert {shown[key].default for key in (*ELSEWHERE, "cluster")} == {None}


def test_choices_are_those_that_are_checked() -> None:
    assert get_args(standard_errors.SeName) == tuple(standard_errors.KINDS)
    shown = _parameters(mlsem.fit)
    for key in ("estimator", "se", "test", "df", "information", "missing", "on_failure", "bounds"):
        assert str(shown[key].annotation).startswith("Literal['")


def test_help_shows_them() -> None:
    text = pydoc.render_doc(mlsem.sem, renderer=pydoc.plaintext)
    assert "estimator: Literal['ML', 'MLR', 'REML'] = 'ML'" in text
    assert "    auto_var, auto_cov_lv_x, auto_cov_y : bool" in text
    text = pydoc.render_doc(mlsem.FitResult.update, renderer=pydoc.plaintext)
    assert "missing: Literal['listwise', 'error', 'fiml', 'fiml.x'] | None = <unchanged>" in text


def test_every_keyword_is_explained() -> None:
    about = inspect.getdoc(mlsem.growth) or ""
    heads = [line for line in about.splitlines() if " : " in line and not line.startswith(" ")]
    named = {name for head in heads for name in head.partition(" : ")[0].split(", ")}
    assert {*_parameters(mlsem.growth)} <= named


@pytest.mark.parametrize(
    "call",
    [
        *(lambda f=f: f(MODEL, DATA, "id", estimater="ML") for f in (mlsem.fit, *FITTERS.values())),
        lambda: mlsem.check(MODEL, estimater="ML"),
        lambda: mlsem.invariance("f =~ y + x1 + w1", DATA, group="id", estimater="ML"),
        lambda: mlsem.fit(MODEL, DATA, "id").update(estimater="ML"),
    ],
)
def test_slips_are_answered(call: Callable[[], object]) -> None:
    with pytest.raises(OptionError, match=r"Unknown option 'estimater'\. Did you mean 'estimator'"):
        call()


def test_check_takes_what_fit_takes() -> None:
    how: dict[str, Any] = {"estimator": "mlr", "center": {"x1": "cluster"}, "starts": 2, "tol": 0.1}
    table = mlsem.check(MODEL, DATA, "id", **how)
    assert table == mlsem.fit(MODEL, DATA, "id", **how | {"tol": 1e-8}).table
    for cluster in (None, "id"):
        assert mlsem.check("y ~ x1", DATA, cluster) == mlsem.fit("y ~ x1", DATA, cluster).table
    with pytest.raises(mlsem.DataError, match=r"cluster= names 'ID'.* Did you mean 'id'"):
        mlsem.check(MODEL, DATA, "ID")


@pytest.mark.parametrize("value", ["T", "t"])
def test_values_in_upper_and_lower_case(value: Any) -> None:
    how: Any = {"se": "cr2", "on_failure": "WARN", "information": "Observed", "missing": "ML"}
    settings = Settings(test=value, **how)
    assert (settings.test, settings.se, settings.on_failure) == ("t", "CR2", "warn")
    assert (settings.information, settings.missing) == ("observed", "fiml")


def test_no_property_of_a_result_is_annotated_with_choices() -> None:
    """jedi, which completes names in notebooks, fails there."""
    public = [each for each in map(mlsem.__dict__.get, mlsem.__all__) if inspect.isclass(each)]
    wrong = []
    for cls in {*public, *RESULTS}:
        for name in dir(cls):
            each = inspect.getattr_static(cls, name)
            if not isinstance(each, property | cached_property):
                continue
            getter: Any = each.fget if isinstance(each, property) else each.func
            words = str(getter.__annotations__.get("return")).replace("|", " ").split()
            kinds = [getter.__globals__.get(word) for word in words]
            if any(get_origin(kind) is Literal for kind in kinds) or "Literal" in str(words):
                wrong.append(f"{cls.__name__}.{name}")
    assert wrong == []


def test_types_are_written_as_in_a_program() -> None:
    written = keywords._written(keywords.FitKeywords.__annotations__["group_equal"])
    assert written.startswith("Literal['loadings', 'intercepts',")
    assert written.endswith("] | Iterable[str]")
