"""Classes and functions that answer what they do not know: a name, a keyword, a missing argument.

What is right costs nothing: a name is looked for here only after Python did not find it, a call is
read here only after it failed.
"""

from __future__ import annotations

from functools import wraps
from inspect import Parameter, Signature, getattr_static, signature
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from mlsem.errors import MlsemError, OptionError, UnknownNameError, listed, nearest
from mlsem.other_programs.options import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Given = ParamSpec("Given")
Found = TypeVar("Found")
_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_ALIKE = 0.6
TOO_MANY = "()"  # in the table of arguments: more than a method takes by their place


class Named:
    """Mixin: attributes that are not there are answered by what there is in their place."""

    __slots__ = ()
    _reasons: ClassVar[Mapping[str, str]] = {}
    """Of names that others of its kind have: why this one has not."""

    if not TYPE_CHECKING:  # an editor should mark unknown names

        def __getattr__(self, name: str) -> Any:
            kind = type(self)
            if name.startswith("_") or hasattr(kind, name):
                return object.__getattribute__(self, name)  # raises, in Python's words or its own
            if name in kind._reasons:
                said = f"{_with_article(kind.__name__)} has no {name!r}: {kind._reasons[name]}."
                raise UnknownNameError(said, name)
            from mlsem.other_programs.functions import public_names, unknown_name

            raise unknown_name(name, _with_article(kind.__name__), public_names(kind))


def reasons(said: Mapping[str, str]) -> dict[str, str]:
    """By name, of what several names have in common."""
    return {name: reason for reason, names in said.items() for name in names.split()}


class Answering(Named):
    """Mixin: public methods answer calls that do not fit them, too."""

    __slots__ = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in dir(cls):
            method = None if name.startswith("_") else getattr_static(cls, name)
            if isinstance(method, FunctionType) and not hasattr(method, "answers"):
                setattr(cls, name, answering(method))


def answering(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """The function, which answers a call that does not fit its signature.

    Raises
    ------
    OptionError
        A keyword or an argument too many, or too few; a `TypeError`, too.
    """

    @wraps(function)
    def answered(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            said = "" if isinstance(error, MlsemError) else _misfit(function, args, kwargs)
            if not said:
                raise
        raise OptionError(said)

    answered.answers = True  # type: ignore[attr-defined]
    return answered


def _misfit(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Why a call does not fit the function; nothing where it does."""
    shape = signature(function)
    try:
        shape.bind(*args, **kwargs)
    except TypeError:
        name = function.__name__
        own = _without_self(shape)
        given = len(args) - (len(shape.parameters) - len(own))
        return (
            _unknown(name, own, kwargs)
            or _too_many(name, own, given)
            or _twice(name, own, given, kwargs)
            or _too_few(name, own, given, kwargs)
        )
    return ""


def _without_self(shape: Signature) -> dict[str, Parameter]:
    own = dict(shape.parameters)
    own.pop("self", None)
    return own


def _unknown(name: str, own: dict[str, Parameter], kwargs: dict[str, Any]) -> str:
    if any(each.kind is Parameter.VAR_KEYWORD for each in own.values()):
        return ""
    unknown = next((keyword for keyword in kwargs if keyword not in own), None)
    return "" if unknown is None else f"{name}() has no {unknown!r}.{_advice(name, own, unknown)}"


def _advice(name: str, own: dict[str, Parameter], keyword: str) -> str:
    """The argument that differs only in case, dots and underscores; else what there is in place
    of another program's; else the nearest one; else all of them."""
    same = {plain(each): each for each in own}.get(plain(keyword))
    if same is not None:
        return f" Did you mean {same!r}?"
    advice = _other(name, keyword)
    if advice:
        return advice
    takes = f" It takes {listed(own, 20)}." if own else " It takes no arguments."
    return nearest(keyword, own, _ALIKE) or takes


def _too_many(name: str, own: dict[str, Parameter], given: int) -> str:
    if any(each.kind is Parameter.VAR_POSITIONAL for each in own.values()):
        return ""
    placed = [each for each, parameter in own.items() if parameter.kind in _BY_PLACE]
    if given <= len(placed):
        return ""
    named = [each for each, parameter in own.items() if parameter.kind is Parameter.KEYWORD_ONLY]
    rest = f" By name it takes {listed(named, 20)}." if named else ""
    rest += _other(name, TOO_MANY)
    if not placed:
        return f"{name}() takes no arguments by their place, and {given} were given.{rest}"
    return (
        f"{name}() takes {len(placed)} by their place, {listed(placed)}, and {given} were "
        f"given.{rest}"
    )


def _twice(name: str, own: dict[str, Parameter], given: int, kwargs: dict[str, Any]) -> str:
    placed = [each for each, parameter in own.items() if parameter.kind in _BY_PLACE]
    twice = [each for each in placed[:given] if each in kwargs]
    if not twice:
        return ""
    return f"{name}() was given {twice[0]!r} twice, by its place and by its name."


def _too_few(name: str, own: dict[str, Parameter], given: int, kwargs: dict[str, Any]) -> str:
    placed = [each for each, parameter in own.items() if parameter.kind in _BY_PLACE]
    there = {*placed[: max(given, 0)], *kwargs}
    single = (*_BY_PLACE, Parameter.KEYWORD_ONLY)
    missing = [
        each
        for each, parameter in own.items()
        if parameter.kind in single and parameter.default is Parameter.empty and each not in there
    ]
    if not missing:
        return ""
    arguments = ", ".join(
        each if parameter.default is Parameter.empty else f"{each}={parameter.default!r}"
        for each, parameter in own.items()
        if parameter.kind in _BY_PLACE
    )
    return f"{name}() lacks {listed(missing)}: {name}({arguments})."


def _other(method: str, keyword: str) -> str:
    """A sentence of the table of other programs' arguments, if it has one."""
    from mlsem.other_programs.arguments import argument_advice

    sentence = argument_advice(method, keyword)
    return f" {sentence}" if sentence else ""


def _with_article(name: str) -> str:
    return f"{'An' if name[0] in 'AEIOU' else 'A'} {name}"
