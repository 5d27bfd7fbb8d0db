"""The file of a study: a line about the study, then one line of JSON for each replication.

Whole lines are appended at once, so that an interrupted study loses what was not written, and
nothing else; a line that was cut off is taken away when the study goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf, isfinite, isnan, nan
from pathlib import Path
from typing import Any, Literal

from mlsem.errors import DataError, OptionValueError
from mlsem.simulate.methods import Outcome

FORMAT = 1
FUNCTIONS = (
    " A function is another one when its code, the values it uses, its name or the version of "
    "Python changes."
)

Record = tuple[int, Mapping[str, Outcome]]


class Store:
    """A file that replications are added to.

    Attributes
    ----------
    path : Path
    head : mapping
        What the first line says about the study.
    found : dict of int to outcomes
        Replications that were there when the file was opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not isinstance(path, str | os.PathLike) or not str(path):
            raise OptionValueError(f"file={path!r}: it takes the path of a file.")
        self.path = Path(path)
        self.head: dict[str, Any] = {}
        self.found: dict[int, Mapping[str, Outcome]] = {}
        with self._reported():
            if self.path.exists():
                self._read()

    def begin(self, head: Mapping[str, Any]) -> None:
        """Write what the study is, or make sure that replications in the file are of this one.

        Raises
        ------
        DataError
            It holds another.
        """
        head = {"mlsem_study": FORMAT, **head}
        if not self.found and self.head != head:
            self.head = dict(head)
            self._write(_json(head), "wb")
            return
        other = [_difference(name, self.head.get(name), head[name]) for name in head]
        other = [each for each in other if each]
        if other:
            advice = FUNCTIONS if any("function" in each for each in other) else ""
            raise DataError(
                f"{self.path} holds another study: it differs in {', '.join(other)}. Give another "
                f"file=, or delete this one.{advice}"
            )

    def add(self, records: list[Record]) -> None:
        """Append replications, all in one piece."""
        if records:
            self._write("".join(map(_line, records)))

    def _write(self, text: str, mode: Literal["ab", "wb"] = "ab") -> None:
        with self._reported(), open(self.path, mode, buffering=0) as file:
            file.write(text.encode())
            os.fsync(file.fileno())

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Say what is wrong with the path where the system refuses it."""
        try:
            yield
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            folder = self.path.parent
            hint = "" if folder.is_dir() else f" There is no folder {str(folder)!r}: make it first."
            raise DataError(
                f"file={str(self.path)!r} cannot be read and written: {reason}.{hint}"
            ) from error

    def _read(self) -> None:
        raw = self.path.read_bytes()
        whole = raw.rfind(b"\n") + 1
        lines = raw[:whole].splitlines()
        try:
            self.head = json.loads(lines[0]) if lines else {}
            if (lines or raw) and "mlsem_study" not in self.head:
                raise ValueError
        except ValueError:
            raise DataError(
                f"{self.path} is there, and holds no study of mlsem's: give another file=."
            ) from None
        for number, line in enumerate(lines[1:], start=2):
            try:
                replication, outcomes = _parsed(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{self.path}, line {number}, is damaged ({error}): delete that line, and its "
                    "replication is done again."
                ) from None
            self.found[replication] = outcomes
        if whole < len(raw):
            with open(self.path, "r+b") as file:
                file.truncate(whole)


def _difference(name: str, before: object, now: object) -> str:
    """What of a study is not as in the file; empty if all is."""
    if before == now:
        return ""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        parts = [_change(repr(key), before.get(key), now.get(key)) for key in keys]
        return f"{name} ({', '.join(parts)})"
    return _change(name, before, now)


def _change(what: str, before: object, now: object) -> str:
    if before is None or now is None:
        return f"{what} only {'here' if before is None else 'in the file'}"
    function = str(now).startswith("function ")
    return f"{what}, whose function is not the same" if function else what


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


def _line(record: Record) -> str:
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
    return _json({"replication": replication, "methods": methods})


def _plain(value: float) -> float | str:
    """A number; as text what JSON has no number for."""
    return value if isfinite(value) else "nan" if isnan(value) else str(value)


def _parsed(content: Mapping[str, Any]) -> Record:
    return int(content["replication"]), {
        name: Outcome(
            bool(each["converged"]),
            str(each["failure"]),
            {
                key: (_number(est, nan), _number(se, nan), _number(df, inf))
                for key, (est, se, df) in each["parameters"].items()
            },
        )
        for name, each in content["methods"].items()
    }


def _number(value: float | str | None, absent: float) -> float:
    return absent if value is None else float(value)
