"""The keywords of `fit` and its kin, their types and defaults: once for all that take them.

A function says that it takes them by ``**options: Unpack[FitKeywords]``, which type checkers read,
and `shown` writes them into the signature that `help()`, notebooks and the documentation show. What
arrives is a mapping of those that were given, so that a slip, or a name of another program's, is
answered in words (`mlsem.model.options.require_known`), and what was given is told from defaults.
"""
# The types are looked at when the package is imported, hence no annotations as text.

import inspect
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypedDict, TypeVar, Union, get_args, get_origin

from mlsem.core.optimise.objective import InformationKind
from mlsem.data.table.replicates import Replicates
from mlsem.data.table.sampling import WeightScaling
from mlsem.estimation.settings import DfKind, Estimator, Missing, OnFailure, Settings, TestName
from mlsem.estimation.standard_errors import SeName
from mlsem.model.options import PRESETS, Bounds, GroupEqual, LevelEqual, Preset

Function = TypeVar("Function", bound=Callable[..., Any])


class ModelKeywords(TypedDict, total=False):
    """Those that say what the model is: `mlsem.model.options.ModelOptions`."""

    std_lv: bool
    fixed_x: bool
    meanstructure: bool | None
    bounds: Bounds | None
    orthogonal: bool
    auto_fix_first: bool | None
    auto_fix_single: bool
    auto_var: bool
    auto_cov_lv_x: bool
    auto_cov_y: bool
    int_ov_free: bool
    int_lv_free: bool


class EqualKeywords(TypedDict, total=False):
    """What is equal in several groups, or at both levels."""

    group_equal: GroupEqual | Iterable[str]
    group_partial: str | Iterable[str]
    level_equal: LevelEqual | Iterable[str]


class ErrorKeywords(TypedDict, total=False):
    """Those of standard errors and tests."""

    se: SeName | None
    se_cluster: str | None
    test: TestName | None
    df: DfKind | None
    information: InformationKind | None


class _Sampled(TypedDict, total=False):
    weights: str | Mapping[str, str] | None
    weight_scaling: WeightScaling | None
    strata: str | None
    replicates: Replicates | Mapping[str, Any] | None


class SearchKeywords(TypedDict, total=False):
    """Those of the search for the maximum."""

    start: object
    starts: int
    seed: int | None
    max_iter: int
    tol: float
    on_failure: OnFailure
    progress: bool | None


class _Rows(TypedDict, total=False):
    group_label: Iterable[Hashable] | None
    center: Mapping[str, str] | None


class _Estimator(TypedDict, total=False):
    estimator: Estimator


class _Missing(TypedDict, total=False):
    missing: Missing | None
    auxiliary: str | Iterable[str] | None


class _Group(TypedDict, total=False):
    group: str | None


class _Estimated(_Estimator, ErrorKeywords, _Missing, total=False): ...


class GroupedKeywords(_Rows, _Estimated, EqualKeywords, ModelKeywords, SearchKeywords, total=False):
    """Of what takes the column of groups by itself: `missing_patterns`."""


class FitKeywords(_Group, _Sampled, GroupedKeywords, total=False):
    """Of `fit`, beside model, data and cluster."""


class UpdateKeywords(FitKeywords, total=False):
    """Of `FitResult.update`."""

    cluster: str | None


class MomentsKeywords(_Group, _Missing, EqualKeywords, ModelKeywords, total=False):
    """Of `moments`, beside model, data and cluster."""

    group_label: Iterable[Hashable] | None
    se_cluster: str | None


class InvarianceKeywords(_Rows, _Estimated, _Sampled, ModelKeywords, SearchKeywords, total=False):
    """Of `invariance`, which says itself what is equal."""


class DrawnKeywords(EqualKeywords, ModelKeywords, total=False):
    """Of `simulate`: those of the model."""


class _CompleteRows(TypedDict, total=False):
    missing: Literal["listwise", "error"] | None


class MixedKeywords(ErrorKeywords, _CompleteRows, _Sampled, SearchKeywords, total=False):
    """Of `lmm`."""


class MixedUpdateKeywords(MixedKeywords, total=False):
    """Of `MixedResult.update`."""

    REML: bool
    residual: str | list[str] | None


class Unchanged:
    """Stands for a default that is what the fit had."""

    def __repr__(self) -> str:
        return "<unchanged>"


UNCHANGED = Unchanged()


ELSEWHERE = ("group", "group_label", "center", "auxiliary", "start", "progress")
"""Keywords of `fit` that are in neither `Settings` nor `ModelOptions`; None by default."""


@cache
def defaults(preset: Preset = "sem") -> Mapping[str, object]:
    """What holds for a keyword that is not given."""
    pairs = {field.name: field.default for field in fields(Settings)}
    pairs |= {field.name: getattr(PRESETS[preset], field.name) for field in fields(PRESETS[preset])}
    return dict.fromkeys((*ELSEWHERE, "cluster")) | pairs


def shown(
    keywords: type | None = None, preset: Preset = "sem", *, default: object = None
) -> Callable[[Function], Function]:
    """The decorator that writes the keywords, with types and choices, into a function's signature.

    Parameters
    ----------
    keywords : TypedDict, optional
        What stands in place of the function's ``**options``. Names that are parameters of the
        function are not repeated.
    preset : {"sem", "cfa", "growth", "lavaan"}
        Whose defaults they have.
    default : object
        Given: all have this one.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [
            each.replace(annotation=_resolved(each.annotation, function))
            if each.annotation is not each.empty
            else each
            for each in signature.parameters.values()
            if each.kind is not each.VAR_KEYWORD
        ]
        there = {each.name for each in own}
        added = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults(preset)[name] if default is None else default,
                annotation=_Text(_written(kind)),
            )
            for name, kind in (keywords.__annotations__ if keywords else {}).items()
            if name not in there
        ]
        end = _Text(signature.return_annotation)
        shape: Any = function
        shape.__signature__ = signature.replace(parameters=[*own, *added], return_annotation=end)
        return function

    return decorate


class _Text(str):
    """An annotation that is shown without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _resolved(annotation: str, function: Callable[..., Any]) -> _Text:
    """A name that stands for some texts says which."""
    names: dict[str, Any] = inspect.unwrap(function).__globals__

    def choices(word: re.Match[str]) -> str:
        kind = names.get(word[0])
        return _written(kind) if get_origin(kind) is Literal else word[0]

    return _Text(re.sub(r"\b[A-Za-z_]\w*", choices, annotation))


def _written(kind: Any) -> str:
    """A type as it is written in a program."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " | ".join(map(_written, inner))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if inner:
        return f"{origin.__name__}[{', '.join(map(_written, inner))}]"
    return "None" if kind is NoneType else kind.__name__
