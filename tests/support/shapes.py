"""Checks the shapes that annotations of `core/` and `inference/` say, at every call in tests.

`Shaped[Array, "n p p"]` is typing's `Annotated` and means nothing when the library runs. Here it
becomes jaxtyping's type of that shape and kind of number, and beartype holds it against
arguments, results and the fields of dataclasses. The name of a dimension is one number throughout
a call. What was right once for some shapes is not looked at again: tests stay quick.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import random
import sys
from collections.abc import Callable, Mapping
from functools import cached_property, reduce
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from operator import or_
from types import FunctionType, ModuleType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import jaxtyping
import numpy as np
from beartype.door import is_bearable

ROOMS = ("mlsem.core.", "mlsem.inference.")
NUMBERS = {
    np.float64: jaxtyping.Float64,
    np.int64: jaxtyping.Int64,
    np.bool_: jaxtyping.Bool,
    Any: jaxtyping.Shaped,
}


def install() -> None:
    """Before mlsem is imported: what is imported already stays unchecked."""
    assert not any(name.startswith(ROOMS) for name in sys.modules)
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if not fullname.startswith(ROOMS):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) == module.__name__:
                setattr(module, name, _checked(value))


# --- what is checked ------------------------------------------------------------------------------


def _checked(value: Any) -> Any:
    """A function, class or attribute of one, that checks the shapes it says."""
    if isinstance(value, type):
        return _checked_class(value)
    if isinstance(value, property):
        return property(*(each and _checked(each) for each in (value.fget, value.fset)))
    if isinstance(value, classmethod | staticmethod):
        return type(value)(_checked(value.__func__))
    if isinstance(value, cached_property):
        value.func = _checked(value.func)
    if isinstance(value, FunctionType):
        namespace = inspect.unwrap(value).__globals__
        return _checked_function(value, _shapes(value.__annotations__, namespace))
    return value


def _checked_class(cls: type) -> type:
    """The class itself; of a dataclass `__init__` checks the fields."""
    of_fields = dataclasses.is_dataclass(cls) and "__init__" in vars(cls)
    for name, value in list(vars(cls).items()):
        if not (of_fields and name == "__init__"):
            checked = _checked(value)
            if checked is not value:
                setattr(cls, name, checked)
    if of_fields:
        shapes: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            namespace = vars(sys.modules[base.__module__])
            shapes |= _shapes(inspect.get_annotations(base), namespace)
        cls.__init__ = _checked_function(cls.__init__, shapes)  # type: ignore[misc]
    return cls


def _checked_function(function: Any, shapes: Mapping[str, Any]) -> Callable[..., Any]:
    if not shapes:
        return function
    parameters = inspect.signature(function).parameters
    shapes = {name: shapes[name] for name in [*parameters, "return"] if name in shapes}
    absent = inspect.Parameter.empty
    defaults = {name: each.default for name, each in parameters.items()}

    def check(values: Mapping[str, Any]) -> None:
        state = random.getstate()  # beartype draws which item of a container it looks at
        try:
            compare(values)
        finally:
            random.setstate(state)

    def compare(values: Mapping[str, Any]) -> None:
        with jaxtyping.jaxtyped("context"):
            for name, value in values.items():
                shape = shapes[name]
                if value is not defaults.get(name, absent) and not is_bearable(value, shape):
                    where = f"{function.__module__}.{function.__qualname__}"
                    given = {each: _form(one) for each, one in values.items()}
                    raise jaxtyping.TypeCheckError(f"{where}: {name} is no {shape} in {given}")

    return functools.wraps(function)(_written(function, shapes, check))


def _written(
    function: Any, shapes: Mapping[str, Any], check: Callable[[Mapping[str, Any]], None]
) -> Any:
    """A function of the same parameters; written for them, since millions of calls go through."""
    signature = inspect.signature(function)
    parameters = signature.parameters
    head = signature.replace(
        parameters=[_without_value(each) for each in parameters.values()],
        return_annotation=signature.empty,
    )
    passed = [_PASSED.get(each.kind, "{0}").format(name) for name, each in parameters.items()]
    forms = "".join(f"{_FORM.format(name)}, " for name in shapes if name != "return")
    values = "".join(f"{name!r}: {name}, " for name in shapes if name != "return")
    lines = [
        f"def _call{head}:",
        f"    _given = ({forms})",
        "    if _given not in _right:",
        f"        _check({{{values}}})",
        "        _right.add(_given)",
        f"    _result = _function({', '.join(passed)})",
    ]
    if "return" in shapes:
        lines += [
            f"    _whole = _given, {_FORM.format('_result')}",
            "    if _whole not in _right:",
            f"        _check({{{values}'return': _result}})",
            "        _right.add(_whole)",
        ]
    names: dict[str, Any] = {"_parameters": parameters, "_function": function, "_check": check}
    names |= {"_right": set(), "_form": _form, "_array": np.ndarray}
    exec("\n".join([*lines, "    return _result"]), names)
    return names["_call"]


class _Default:
    """Written as the place of a parameter's default value."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"_parameters[{self.name!r}].default"


def _without_value(parameter: inspect.Parameter) -> inspect.Parameter:
    empty = inspect.Parameter.empty
    default = empty if parameter.default is empty else _Default(parameter.name)
    return parameter.replace(annotation=empty, default=default)


_PASSED = {
    inspect.Parameter.KEYWORD_ONLY: "{0}={0}",
    inspect.Parameter.VAR_POSITIONAL: "*{0}",
    inspect.Parameter.VAR_KEYWORD: "**{0}",
}
_FORM = "({0}.shape, {0}.dtype.char) if type({0}) is _array else _form({0})"


def _form(value: Any) -> Any:
    """All that a check of the value depends on."""
    kind = type(value)
    if kind is np.ndarray:
        return value.shape, value.dtype.char
    if kind is tuple or kind is list:
        return kind, *map(_form, value)
    if kind is dict:
        return kind, *value, *map(_form, value.values())
    return kind


# --- annotations ----------------------------------------------------------------------------------


def _shapes(annotations: Mapping[str, Any], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Name → type, of the annotations that say a shape."""
    shapes = {}
    for name, annotation in annotations.items():
        text = getattr(annotation, "__forward_arg__", annotation)  # as a NamedTuple has them
        assert isinstance(text, str), f"{name}: {text} is evaluated when the library runs"
        if "Shaped[" in text:
            shapes[name] = _shaped(eval(text, dict(namespace)))
    return shapes


def _shaped(hint: Any) -> Any:
    """The type with jaxtyping's arrays for those of `Annotated`."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        array, shape = parts
        number = get_args(get_args(array)[1])[0]
        return NUMBERS[Any if isinstance(number, TypeVar) else number][np.ndarray, shape]
    if origin is Callable or not parts:
        return hint
    inner = tuple(map(_shaped, parts))
    return reduce(or_, inner) if origin in (Union, UnionType) else origin[inner]
