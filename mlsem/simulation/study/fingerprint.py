"""What tells functions and values apart between runs: a text that changes with their code.

A function is known by its module, its name, its bytecode and constants, its defaults, what it
closes over, and the globals that it reads. Values count where they are plain (numbers, texts,
containers of these, arrays); of functions of the same module the code counts as well. What a
function of another module does, or an object's method, is not seen.
"""

from __future__ import annotations

import dis
import functools
import hashlib
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...), np.generic)
BRACKETS = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}
READS = ("LOAD_GLOBAL", "LOAD_NAME")
DIGITS = 16


def fingerprint(function: Callable[..., Any]) -> str:
    """A function's module and name, and a hash of what it does."""
    digest = hashlib.sha256(_of(function, []).encode()).hexdigest()[:DIGITS]
    return f"{_name(function)} {digest}"


def described(value: object) -> str:
    """A value as text: `repr` where that is the same in every run, else a fingerprint."""
    return fingerprint(value) if callable(value) else _of(value, [])


def _name(value: object) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', '')}"


def _of(value: object, above: list[object]) -> str:
    """The text of a value; `above` are those it is part of, which may be part of it as well."""
    if isinstance(value, PLAIN):
        return repr(value)
    if any(value is each for each in above):
        return "..."
    above = [*above, value]
    if isinstance(value, np.ndarray):
        return _array(value, above)
    if type(value) in BRACKETS:
        return _container(value, above)
    if isinstance(value, dict):
        pairs = (f"{_of(k, above)}: {_of(v, above)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, CodeType):
        return _code(value, above)
    if isinstance(value, FunctionType):
        return _function(value, above)
    return _object(value, above)


def _container(value: Any, above: list[object]) -> str:
    """As `repr`, sets in an order that does not depend on hashes."""
    texts = [_of(each, above) for each in value]
    if isinstance(value, set | frozenset):
        texts.sort()
    left, right = BRACKETS[type(value)]
    comma = "," if isinstance(value, tuple) and len(texts) == 1 else ""
    return left + ", ".join(texts) + comma + right


def _array(value: np.ndarray[Any, Any], above: list[object]) -> str:
    if value.dtype.hasobject:
        return f"array({value.shape}, {_of(value.tolist(), above)})"
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:DIGITS]
    return f"array({value.shape}, {value.dtype}, {digest})"


def _code(code: CodeType, above: list[object]) -> str:
    """Without lines and file, so that moving a function changes nothing."""
    parts = (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_consts)
    return _of(parts, above)


def _function(function: FunctionType, above: list[object]) -> str:
    parts = [_name(function), _of(function.__code__, above)]
    parts += [_of(function.__defaults__, above), _of(function.__kwdefaults__, above)]
    for cell in function.__closure__ or ():
        try:
            parts.append(_of(cell.cell_contents, above))
        except ValueError:  # not filled yet
            parts.append("")
    known = function.__globals__
    for name in sorted(set(_globals_read(function.__code__)) & set(known)):
        if _is_seen(known[name], function.__module__):
            parts.append(f"{name}={_of(known[name], above)}")
    return "\n".join(parts)


def _is_seen(value: object, module: str) -> bool:
    """Whether a global counts: a plain value, or a function of the same module."""
    if isinstance(value, FunctionType):
        return value.__module__ == module
    return isinstance(value, (*PLAIN, *BRACKETS, dict, np.ndarray))


def _globals_read(code: CodeType) -> Iterator[str]:
    for step in dis.get_instructions(code):
        if step.opname in READS:
            yield str(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals_read(inner)


def _object(value: Any, above: list[object]) -> str:
    """Of other objects the type, plain attributes, and the code by which they are called."""
    if isinstance(value, functools.partial):
        return f"partial({_of((value.func, value.args, value.keywords), above)})"
    if isinstance(value, MethodType):
        return f"method({_of((value.__func__, value.__self__), above)})"
    if isinstance(value, type | BuiltinFunctionType) or type(value).__name__ == "module":
        return f"{_name(value)} {getattr(value, '__name__', '')}"
    attributes = getattr(value, "__dict__", {})
    plain = {k: v for k, v in attributes.items() if isinstance(v, (*PLAIN, *BRACKETS, dict))}
    called = getattr(type(value), "__call__", None)  # noqa: B004
    code = _of(called, above) if isinstance(called, FunctionType) else ""
    return f"{_name(value)}({_of(plain, above)}) {code}".rstrip()
