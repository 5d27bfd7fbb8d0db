"""Exceptions, warnings, and the `Span` that lets an error show its place in the model text."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from linecache import getline
from typing import TYPE_CHECKING, TypeAlias

from mlsem.base.display import cell, excerpt, printable, sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from types import FrameType, TracebackType


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of characters ``[start, end)`` in a model text."""

    start: int
    end: int

    def position(self, text: str) -> tuple[int, int]:
        """Line and column of the start, both counted from 1."""
        before = text[: self.start]
        return before.count("\n") + 1, self.start - (before.rfind("\n") + 1) + 1

    def excerpt(self, text: str) -> str:
        """The part of the source line around the span, with carets under it."""
        line, column = self.position(text)
        start = self.start - column + 1
        source = text[start:].partition("\n")[0].rstrip("\r")
        shown, carets = excerpt(source, column - 1, min(self.end - start, len(source)))
        prefix = f"{line:>4} | "
        return f"{prefix}{shown}\n{' ' * len(prefix)}{carets}"


class MlsemError(Exception):
    """Parent of every error that mlsem raises on purpose.

    As text, its message: what a terminal would obey is escaped, what is quoted and long is cut.
    """

    def __str__(self) -> str:
        return sentences(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback: the message, and the line of the user's that
        led here. ``%debug`` walks through the rest; outside of notebooks nothing changes."""
        notes = map(sentences, getattr(self, "__notes__", ()))
        return [f"{type(self).__name__}: {self}", *notes, *_line_of_the_user(self.__traceback__)]


class _SourceError(MlsemError):
    """An error that can point at its place in the model text."""

    def __init__(self, message: str, text: str | None = None, span: Span | None = None) -> None:
        super().__init__(message, text, span)
        self.message, self.text, self.span = message, text, span

    def __str__(self) -> str:
        said = sentences(self.message)
        if self.text is None or self.span is None:
            return said
        line, column = self.span.position(self.text)
        return f"line {line}, column {column}: {said}\n{self.span.excerpt(self.text)}"


class ModelSyntaxError(_SourceError):
    """The model text is not in the language; shows line, column and a caret."""


class SpecificationError(_SourceError):
    """The model is well-formed text but cannot be specified that way."""


class IdentificationError(SpecificationError):
    """The data and the model do not determine the named parameters."""


class DataError(MlsemError):
    """The data cannot be used as they are; names columns and rows."""


class EstimationError(MlsemError):
    """Estimation failed."""


class ConvergenceError(EstimationError):
    """The optimiser stopped before the optimum (``on_failure="raise"``)."""


class InferenceError(MlsemError):
    """A standard error, test or interval that was asked for does not exist."""


class OptionError(MlsemError, TypeError):
    """An unknown keyword."""


class OptionValueError(MlsemError, ValueError):
    """A keyword has a value that it cannot take."""


class UnknownNameError(MlsemError, AttributeError):
    """A function, method or attribute that is not here, perhaps because it is another program's;
    the message says what is to be typed instead."""

    def __init__(self, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name  # so that no traceback adds a guess of its own to the message


class InterfaceError(MlsemError, ImportError):
    """An optional package that the call needs is not installed."""


class WorkerError(MlsemError):
    """Other processes or machines that were to do the work cannot, or are gone."""


class MlsemWarning(UserWarning):
    """Parent of every warning that mlsem gives."""


class ModelSyntaxWarning(MlsemWarning):
    """The text is legal but probably does not mean what its writer wants."""


class SpecificationWarning(MlsemWarning):
    """The model was specified in a way that the user may not expect."""


class DataWarning(MlsemWarning):
    """The data have a feature that the user should know of."""


class EstimationWarning(MlsemWarning):
    """The estimates need a second look (a negative variance, an active bound)."""


class ConvergenceWarning(EstimationWarning):
    """The optimiser did not converge."""


class InferenceWarning(MlsemWarning):
    """Standard errors are missing or doubtful."""


Heard: TypeAlias = tuple[str, type[MlsemWarning]]
"""A warning: its message and kind."""

_HEARD: ContextVar[list[Heard] | None] = ContextVar("mlsem_heard", default=None)
_SUBJECT: ContextVar[str] = ContextVar("mlsem_subject", default="")


def warn(message: str, category: type[MlsemWarning]) -> None:
    """Warn at the line of the user's that led here: the first one outside the package.

    However deep the warning arises, "once per line" then counts the user's lines. Silent inside
    `heard_warnings`.
    """
    subject, heard = _SUBJECT.get(), _HEARD.get()
    message = f"{subject}: {message}" if subject else message
    if heard is not None:
        heard.append((message, category))
        return
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    place = sys.__dict__ if frame is None else frame.f_globals
    warnings.warn_explicit(
        sentences(message),
        category,
        filename="sys" if frame is None else frame.f_code.co_filename,
        lineno=1 if frame is None else frame.f_lineno,
        module=str(place.get("__name__") or "<string>"),
        registry=place.setdefault("__warningregistry__", {}),
    )


def _line_of_the_user(trace: TracebackType | None) -> list[str]:
    """Where the package was called first, and what stands there; nothing where that is unknown."""
    last = None
    while trace is not None and not _is_ours(trace.tb_frame):
        last, trace = trace, trace.tb_next
    if last is None or trace is None:
        return []
    file = last.tb_frame.f_code.co_filename
    source = getline(file, last.tb_lineno, last.tb_frame.f_globals).strip()
    where = f" of {printable(file)}" if os.path.exists(file) else ""  # a cell has no file
    return ["", f"In line {last.tb_lineno}{where}:", f"    {cell(source)}"] if source else []


def _is_ours(frame: FrameType) -> bool:
    """By its file; what a dataclass generates has no file, but its module's name."""
    if frame.f_code.co_filename.startswith(_PACKAGE):
        return True
    return str(frame.f_globals.get("__name__", "")).startswith("mlsem.")


_PACKAGE = os.path.join(os.path.dirname(warn.__code__.co_filename), "")


@contextmanager
def without_warnings() -> Iterator[None]:
    """No warnings of ours in here; those of other threads, and the process's filters, stay."""
    with heard_warnings():
        yield


@contextmanager
def heard_warnings() -> Iterator[list[Heard]]:
    """As `without_warnings`; those there would be are in the list, for who gives them later, as in
    another process."""
    heard: list[Heard] = []
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)


@contextmanager
def warnings_of(what: str) -> Iterator[None]:
    """Warnings of ours in here say what they are of."""
    token = _SUBJECT.set(what)
    try:
        yield
    finally:
        _SUBJECT.reset(token)


@contextmanager
def errors_of(what: str) -> Iterator[None]:
    """Errors of ours in here say what they are of."""
    try:
        yield
    except (SpecificationError, DataError, EstimationError, InferenceError) as error:
        said = f"{what}: {error.args[0]}"
        if isinstance(error, SpecificationError):
            raise type(error)(said, error.text, error.span) from None
        raise type(error)(said) from None


def in_group(label: object) -> AbstractContextManager[None]:
    """Errors say which group they are of."""
    return errors_of(f"group {label!r}")


def closest(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The candidate most like `name`, if one is at least `cutoff` alike (0 to 1)."""
    pool = list(candidates)
    lowered = {candidate.lower(): candidate for candidate in pool}
    matches = get_close_matches(name, pool, n=1, cutoff=cutoff) or [
        lowered[match] for match in get_close_matches(name.lower(), lowered, n=1, cutoff=cutoff)
    ]
    return matches[0] if matches else None


def nearest(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """`" Did you mean 'x'?"` for the candidate nearest to `name`, or nothing."""
    candidate = closest(name, candidates, cutoff)
    return f" Did you mean {candidate!r}?" if candidate is not None else ""


def unsplit(columns: Iterable[object]) -> str:
    """A hint where a file of several columns was read as one, or nothing."""
    names = [str(name) for name in columns]
    if len(names) == 1 and any(mark in names[0] for mark in ";,\t| "):
        return (
            f" The only column is {names[0]!r}: was the file read with the right separator "
            '(pandas: sep=";")?'
        )
    return ""


def listed(names: Iterable[object], limit: int = 10) -> str:
    """Names quoted and joined, cut after `limit`."""
    pool = [repr(str(name)) for name in names]
    more = f" and {len(pool) - limit} more" if len(pool) > limit else ""
    return ", ".join(pool[:limit]) + more
