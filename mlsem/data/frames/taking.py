"""Public functions take rows of any kind: what is no pandas frame becomes a thin one of the columns
that the call speaks of, and frames of rows go back as the kind that came in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pandas as pd

from mlsem.data.frames.origin import KEY, of_origin
from mlsem.data.frames.records import Eager, Lazy
from mlsem.data.frames.source import source

Given = ParamSpec("Given")
Found = TypeVar("Found")


def any_frame(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """The function, whose argument `data` may be whatever holds rows.

    The columns that it gets are those whose names occur in its other arguments. A data frame or
    series that it returns is of the kind that came in.
    """
    place = function.__code__.co_varnames.index("data")  # type: ignore[attr-defined]

    @wraps(function)
    def taking(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        named = "data" in kwargs
        data: Any = kwargs["data"] if named else args[place] if len(args) > place else None
        if data is None or isinstance(data, pd.DataFrame):
            return function(*args, **kwargs)
        found = source(data)
        if found is None:
            return function(*args, **kwargs)  # which says what to pass in its place
        others = {name: value for name, value in kwargs.items() if name != "data"}
        frame: Any = _thin(found, data, (others, *(each for each in args if each is not data)))
        if named:
            result = function(*args, **others, data=frame)  # type: ignore[arg-type]
        else:
            result = function(*args[:place], frame, *args[place + 1 :], **others)  # type: ignore[arg-type]
        return _back(found, result)

    return taking


def taken(data: object, found: pd.DataFrame | Eager | Lazy | None, *spoken_of: object) -> Any:
    """The data, of which `found` is the source, as a pandas frame of the columns whose names occur
    in what is spoken of; what holds no rows, as it is."""
    return data if found is None else _thin(found, data, spoken_of)


def as_pandas(data: object, *spoken_of: object) -> Any:
    """The data as a pandas frame of the columns whose names occur in what is spoken of, of all if
    nothing is; what holds no rows, as it is."""
    found = source(data)
    if isinstance(found, (Eager, Lazy)) and not spoken_of:
        return of_origin(found.pandas(found.columns), found.columns, data)
    return taken(data, found, *spoken_of)


def returned(result: Found, data: object) -> Found:
    """A data frame or series of rows, as the kind that `data` are, which a user gave."""
    return result if isinstance(data, pd.DataFrame) else _back(source(data), result)


def _thin(found: pd.DataFrame | Eager | Lazy, data: object, spoken_of: object) -> pd.DataFrame:
    if isinstance(found, pd.DataFrame):  # of a file
        return found
    columns = found.columns
    return of_origin(found.pandas(named_in(columns, words(spoken_of))), columns, data)


def _back(found: pd.DataFrame | Eager | Lazy | None, result: Any) -> Any:
    if not isinstance(result, (pd.DataFrame, pd.Series)):
        return result
    result.attrs.pop(KEY, None)
    return found.back(result) if isinstance(found, (Eager, Lazy)) else result


def named_in(columns: Sequence[str], texts: Iterable[str]) -> list[str]:
    """The columns whose names occur in texts, as words where they begin or end as one; also those
    that a text with ``{}`` in the place of a number names."""
    texts = [*texts]
    text = "\n".join(texts)
    forms = [re.escape(each).replace(r"\{\}", r"\d+") for each in texts if "{}" in each]
    numbered = re.compile("|".join(forms)) if forms else None
    return [
        name
        for name in columns
        if isinstance(name, str)
        and (_occurs(name, text) or (numbered is not None and numbered.fullmatch(name)))
    ]


def _occurs(name: str, text: str) -> bool:
    if name not in text:
        return False
    pattern = _edge(name[:1], "(?<!\\w)") + re.escape(name) + _edge(name[-1:], "(?!\\w)")
    return re.search(pattern, text) is not None


def _edge(character: str, bound: str) -> str:
    return bound if character.isalnum() or character == "_" else ""


def words(value: object) -> Iterator[str]:
    """All texts in arguments, and those that a fit says it is of."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from words(list(value))
        yield from words(list(value.values()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from words(each)
    else:
        yield from words(tuple(getattr(value, "_columns_named", ())))
