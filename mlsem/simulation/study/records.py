"""Lines of a study file: JSON objects whose last entry is the checksum of what stands before it.

Reading trusts nothing: whatever a line holds, it is a record or a `ValueError` that says what is
wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import inf, isfinite, isnan, nan
from typing import Any, NoReturn, TypeVar
from zlib import crc32

from mlsem.simulation.study.methods import Outcome

FORMAT = 2
"""1 had no checksums; its files are read, and gone on with."""

Record = tuple[int, Mapping[str, Outcome]]
Kind = TypeVar("Kind")

CHECKED = re.compile(rb'(?s)(.*), "crc32": "([0-9a-f]{8})"\}')
LONGEST = 400  # digits of a whole number; no double has more
SPECIAL = {"nan": nan, "inf": inf, "-inf": -inf}


def whole_line(content: Mapping[str, Any]) -> bytes:
    """A mapping as a line with its checksum."""
    text = json.dumps(content, allow_nan=False).encode()  # ASCII, also of lone surrogates
    return b'%b, "crc32": "%08x"}\n' % (text[:-1], crc32(text))


def read_line(line: bytes, *, checked: bool) -> dict[str, Any]:
    """The mapping of a line.

    Parameters
    ----------
    checked : bool
        Whether there must be a checksum; if there is one, it must be right.

    Raises
    ------
    ValueError
        It has none, or another one, or is not a JSON object.
    """
    checked_line = CHECKED.fullmatch(line.rstrip(b"\r\n"))
    text = line if checked_line is None else checked_line[1] + b"}"
    if checked_line is None and checked:
        raise ValueError("it has no checksum: it was cut or changed")
    if checked_line is not None and crc32(text) != int(checked_line[2], 16):
        raise ValueError("its checksum does not match: it was changed")
    try:
        content = json.loads(
            text.decode(),
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_single,
        )
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("it is not JSON of a study: it nests too deeply") from None
    return _is(content, dict, "the line", "an object {…}")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:20]} is too large for a number")
    return value


def _whole(text: str) -> int:
    if len(text) > LONGEST:
        raise ValueError(f"{text[:20]}... is too large for a number")
    return int(text)


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{_short(twice)} is there twice")
    return content


# --- heads ------------------------------------------------------------------------------------


def require_head(content: Mapping[str, Any]) -> None:
    """Make sure that the first line says what a study is.

    Raises
    ------
    ValueError
        An entry is absent or of another kind.
    """
    _count(_entry(content, "seed"), "seed")
    _is(_entry(content, "generator"), str, "generator", "text")
    models = _is(_entry(content, "models"), dict, "models", "an object {…}")
    for name, method in models.items():
        _is(method, str, f"models[{_short(name)}]", "text")
    if (parameters := _entry(content, "parameters")) is not None:
        for name in _is(parameters, list, "parameters", "a list […]"):
            _is(name, str, "parameters", "a list of names")


# --- replications -----------------------------------------------------------------------------


def line_of(record: Record) -> bytes:
    """A replication as a line."""
    replication, outcomes = record
    methods = {
        name: {
            "converged": outcome.converged,
            "failure": outcome.failure,
            "parameters": {
                key: [_plain(est), _plain(se), None if df == inf else _plain(df)]
                for key, (est, se, df) in outcome.parameters.items()
            },
        }
        for name, outcome in outcomes.items()
    }
    return whole_line({"replication": replication, "methods": methods})


def _plain(value: float) -> float | str:
    """A number; as text what JSON has no number for."""
    return value if isfinite(value) else "nan" if isnan(value) else str(value)


def record_of(content: Mapping[str, Any]) -> Record:
    """The replication of a line.

    Raises
    ------
    ValueError
        An entry is absent or of another kind.
    """
    replication = _count(_entry(content, "replication"), "replication")
    methods = _is(_entry(content, "methods"), dict, "methods", "an object {…}")
    return replication, {name: _outcome(each, f"{_short(name)}") for name, each in methods.items()}


def _outcome(content: object, where: str) -> Outcome:
    entries = _is(content, dict, where, "an object {…}")
    converged = _is(_entry(entries, "converged"), bool, f"{where}: converged", "true or false")
    failure = _is(_entry(entries, "failure"), str, f"{where}: failure", "text")
    given = _is(_entry(entries, "parameters"), dict, f"{where}: parameters", "an object {…}")
    if failure and (converged or given):
        raise ValueError(f"{where} failed, and has estimates")
    return Outcome(
        converged,
        failure,
        {name: _numbers(each, f"{where}: {_short(name)}") for name, each in given.items()},
    )


def _numbers(content: object, where: str) -> tuple[float, float, float]:
    values = _is(content, list, where, "a list of three numbers")
    if len(values) != 3:
        raise ValueError(f"{where} is not a list of three numbers")
    est, se, df = (_number(value, where) for value in values)
    return nan if est is None else est, nan if se is None else se, inf if df is None else df


def _number(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, str) and value in SPECIAL:
        return SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}: {_short(value)} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{where}: a number is too large") from None


# --- what an entry must be --------------------------------------------------------------------


def _entry(content: Mapping[str, Any], name: str) -> object:
    if name not in content:
        raise ValueError(f"{name!r} is missing")
    return content[name]


def _count(value: object, where: str) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{where}: {_short(value)} is not a number from 0")
    return value


def _is(value: object, kind: type[Kind], where: str, words: str) -> Kind:
    if not isinstance(value, kind):
        raise ValueError(f"{where} is not {words}")
    return value


def _short(value: object) -> str:
    """For messages: quoted on one line, and cut."""
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
