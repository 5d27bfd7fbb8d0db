"""The file of a study: a line about the study, then one line of JSON for each replication.

Lines are appended whole or not at all, also where the disk is full; each has a checksum; and one
process at a time has the file. So an interrupted study loses what was not written, and nothing
else: a line that was cut off is taken away when the study goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

from mlsem.errors import DataError, OptionValueError
from mlsem.simulation.study.lock import HeldError, held
from mlsem.simulation.study.methods import Outcome
from mlsem.simulation.study.records import (
    FORMAT,
    Record,
    line_of,
    read_line,
    record_of,
    require_head,
)
from mlsem.simulation.study.records import whole_line as head_line

FUNCTIONS = (
    " A function counts as changed when its code, the values it uses, its name or the version of "
    "Python changes."
)
MARK = "mlsem_study"
BEGINNING = f'{{"{MARK}"'.encode()
AGAIN = "delete that line, and its replication is done again"


class Store:
    """A file that replications are added to; `opened` gives it.

    Attributes
    ----------
    path : Path
    head : mapping
        What the first line says about the study; empty without one.
    outcomes : dict of int to outcomes
        Replications that were there when the file was opened.
    """

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path, self._file = path, file
        self.head: dict[str, Any] = {}
        self.outcomes: dict[int, Mapping[str, Outcome]] = {}
        self._lines: dict[int, tuple[int, int]] = {}  # of each replication: number, hash
        self._whole = 0  # bytes up to the end of the last line that is one
        self._read()

    @classmethod
    @contextmanager
    def opened(cls, path: str | os.PathLike[str]) -> Iterator[Store]:
        """The file at `path`, made if it is not there; nobody else has it meanwhile.

        Raises
        ------
        OptionValueError
            That is no path.
        DataError
            The file cannot be read and written, holds something else, or is held by another
            process.
        """
        place = _path(path)
        with _reported(place):
            file = _open(place)
        with file, _alone(place, file):
            with _reported(place):
                store = cls(place, file)
            yield store

    def begin(self, head: Mapping[str, Any], fixed: Iterable[str] = ()) -> None:
        """Write what the study is, or make sure that replications in the file are of this one.

        Parameters
        ----------
        fixed : iterable of str
            Methods whose parameters are the same in all replications.

        Raises
        ------
        DataError
            It holds another.
        """
        now = {MARK: FORMAT, **head}
        if not self.outcomes and self.head != now:
            self.head = now
            self._write(head_line(now), 0)
            return
        other = [_difference(name, self.head.get(name), head[name]) for name in head]
        other = [each for each in other if each]
        if other:
            advice = FUNCTIONS if any("function" in each for each in other) else ""
            raise DataError(
                f"{self.path} holds another study: it differs in {', '.join(other)}. Give another "
                f"file=, or delete this one.{advice}"
            )
        self._require_same_names(head, tuple(fixed))

    def add(self, records: list[Record]) -> None:
        """Append replications, all of them or, if the disk is full, none."""
        if records:
            self._write(b"".join(map(line_of, records)), self._whole)

    def _write(self, text: bytes, start: int) -> None:
        """Put `text` at `start` in place of what is there; on any failure, nothing."""
        with _reported(self.path):
            self._require_place()
            try:
                self._file.truncate(start)
                self._file.seek(start)
                left = memoryview(text)
                while left:
                    written = self._file.write(left)
                    if not written:
                        raise OSError("nothing more could be written")
                    left = left[written:]
                os.fsync(self._file.fileno())
            except BaseException:
                with suppress(OSError):
                    self._file.truncate(start)
                raise
        self._whole = start + len(text)

    def _require_place(self) -> None:
        """What is written to a file that was deleted or replaced would be lost."""
        if not os.path.samestat(os.fstat(self._file.fileno()), os.stat(self.path)):
            raise OSError("another file was put in its place while the study ran")

    # --- reading ------------------------------------------------------------------------------

    def _read(self) -> None:
        lines = BufferedReader(self._file)
        try:
            self._read_lines(lines)
        finally:
            lines.detach()

    def _read_lines(self, lines: BufferedReader[FileIO]) -> None:
        first = lines.readline()
        if not first.endswith(b"\n"):
            if first and not (first.startswith(BEGINNING) or BEGINNING.startswith(first)):
                raise self._foreign()
            return  # empty, or cut off in its first line
        self._whole = len(first)
        checked = self._read_head(first)
        for number, line in enumerate(lines, start=2):
            if not line.endswith(b"\n"):
                return  # cut off
            self._whole += len(line)
            try:
                replication, outcomes = record_of(read_line(line, checked=checked))
            except ValueError as error:
                raise DataError(
                    f"{self.path}, line {number}, is damaged ({error}): {AGAIN}."
                ) from None
            self._keep(replication, outcomes, number, line)

    def _read_head(self, line: bytes) -> bool:
        """Read the first line; whether the others must have checksums."""
        try:
            head = read_line(line, checked=False)
        except ValueError as error:
            if line.startswith(BEGINNING):
                raise self._damaged_head(error) from None
            raise self._foreign() from None
        version = head.get(MARK)
        if MARK not in head:
            raise self._foreign()
        if type(version) is int and version > FORMAT:
            raise DataError(
                f"{self.path} was written by a newer mlsem (format {version}; this one knows "
                f"{FORMAT}): install that one, or give another file=."
            )
        try:
            if type(version) is not int or version < 1:
                raise ValueError(f"{MARK} is not the number of a format")
            require_head(head)
            if version > 1:
                read_line(line, checked=True)
        except ValueError as error:
            raise self._damaged_head(error) from None
        head.pop("crc32", None)
        self.head = head
        return version > 1

    def _keep(
        self, replication: int, outcomes: Mapping[str, Outcome], number: int, line: bytes
    ) -> None:
        earlier, text = self._lines.setdefault(replication, (number, hash(line)))
        if text != hash(line):
            raise DataError(
                f"{self.path}, line {number}, is damaged (replication {replication} is in line "
                f"{earlier} too, with other results): delete both lines, and it is done again."
            )
        if set(outcomes) != set(self.head["models"]):
            raise DataError(
                f"{self.path}, line {number}, is damaged (its methods are not those of the first "
                f"line): {AGAIN}."
            )
        self.outcomes[replication] = outcomes

    def _require_same_names(self, head: Mapping[str, Any], fixed: Iterable[str]) -> None:
        """Records have the parameters that are kept, and a model's are always the same."""
        wanted = head["parameters"]
        first: dict[str, tuple[int, list[str]]] = {}
        for replication, outcomes in self.outcomes.items():
            number = self._lines[replication][0]
            for method, outcome in outcomes.items():
                names = list(outcome.parameters)
                if wanted is not None and not set(names) <= set(wanted):
                    raise DataError(
                        f"{self.path}, line {number}, is damaged ({method!r} has parameters that "
                        f"parameters= does not name): {AGAIN}."
                    )
                if outcome.failure or method not in fixed:
                    continue
                other, expected = first.setdefault(method, (number, names))
                if names != expected:
                    raise DataError(
                        f"{self.path}, line {number}, is damaged (the parameters of {method!r} "
                        f"are not those of line {other}): delete whichever of the two lines was "
                        "changed, and its replication is done again."
                    )

    def _foreign(self) -> DataError:
        return DataError(f"{self.path} exists, and is not a study of mlsem: give another file=.")

    def _damaged_head(self, error: ValueError) -> DataError:
        return DataError(
            f"{self.path}, line 1, is damaged ({error}), so it is not known which study the others "
            "belong to: put it right from a copy, or delete the file and begin again."
        )


def _path(path: object) -> Path:
    place = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(place, str) or not place:
        raise OptionValueError(f"file={path!r}: it takes the path of a file.")
    return Path(place)


def _open(path: Path) -> FileIO:
    """The file for reading and writing, or for reading if it may not be written to."""
    if path.exists() and not path.is_file():
        raise OSError("that is no file that data can be kept in")
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    try:
        return FileIO(os.open(path, flags, 0o666), "r+")
    except PermissionError:
        if not path.exists():
            raise
        return FileIO(path, "r")  # a study that is finished needs no more


@contextmanager
def _alone(path: Path, file: FileIO) -> Iterator[None]:
    """Nobody else has the file."""
    with ExitStack() as stack:
        try:
            with _reported(path):
                stack.enter_context(held(path, file))
        except HeldError as error:
            raise DataError(
                f"{path} is in use: {error}. Wait until that study ends, or give another file=."
            ) from None
        yield


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Say what is wrong with the path where the system refuses it."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        folder = path.parent
        hint = "" if folder.is_dir() else f" There is no folder {str(folder)!r}: make it first."
        raise DataError(
            f"file={str(path)!r} cannot be read and written: {reason}.{hint}"
        ) from error


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
