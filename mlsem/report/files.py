"""Files that are written: never over an input, and whole or not at all.

What is written goes to a file beside the one that is wanted, and takes its name when complete.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from mlsem.errors import MlsemError, OptionValueError

NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK}
REPLACE = "--overwrite replaces it"
REPLACE_BY_CALL = "overwrite=True replaces it"


class OutputError(MlsemError):
    """A file cannot be written."""


def check_output(
    out: str,
    inputs: Iterable[str] = (),
    *,
    overwrite: bool,
    argument: str = "--out",
    replace: str = REPLACE,
) -> None:
    """Make sure, before anything is computed, that `out` may be written.

    Parameters
    ----------
    out : str
    inputs : iterable of str
        Files that are read; under whatever name, they are not written over.
    overwrite : bool
        Whether another file that is there may be replaced.
    argument : str
        What stands before the file's name in an error; empty for nothing.
    replace : str
        What an error says of how a file is replaced.

    Raises
    ------
    OutputError
    """
    said = _said(argument, out)
    if "\0" in out:
        raise OutputError(f"{argument} {out!r} is not the name of a file.".lstrip())
    path = Path(out)
    for name in inputs:
        if path.exists() and os.path.exists(name) and path.samefile(name):
            raise OutputError(f"{said} is the file {name}, which is read: give another name.")
    folder = _target(path).parent
    if not folder.is_dir():
        raise OutputError(f"{said}: there is no folder {str(folder)!r}; make it first.")
    if not path.exists():
        return
    if not path.is_file():
        raise OutputError(f"{said} exists and is not a file.")
    if not overwrite:
        raise OutputError(f"{said} is there already: {replace}.")
    if not os.access(path, os.W_OK):
        raise OutputError(f"{said} may not be written to.")


def write_whole(
    out: str, text: str | bytes, *, overwrite: bool, argument: str = "--out", replace: str = REPLACE
) -> None:
    """Write a file, which has its name only when all of it is on the disk.

    A link stays one, and what it points to is replaced; the file keeps its permissions.

    Raises
    ------
    OutputError
        There is one by now, and it is not to be replaced; or the system refuses.
    """
    said = _said(argument, out)
    target = _target(Path(out))
    draft = target.with_name(f".mlsem-{token_hex(8)}.tmp")
    try:
        with open(draft, "xb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            with suppress(OSError):  # there need be none
                shutil.copymode(target, draft)
            os.replace(draft, target)
        else:
            _name_new(draft, target)
        _flush_folder(target.parent)
    except FileExistsError:
        raise OutputError(f"{said} is there already: {replace}.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{said} cannot be written: {reason}.") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def checked_path(path: str | os.PathLike[str]) -> str:
    """The name of a file that a program wants written, over one that is there.

    Raises
    ------
    OptionValueError
        It is no name of a file.
    OutputError
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise OptionValueError(f"path={path!r}: it takes the name of a file.")
    name = os.fspath(path)
    check_output(name, overwrite=True, argument="path")
    return name


def write_over(path: str | os.PathLike[str], text: str | bytes) -> None:
    """Write a file whole, over one that is there.

    Raises
    ------
    OptionValueError, OutputError
    """
    write_whole(checked_path(path), text, overwrite=True, argument="path")


def _said(argument: str, out: str) -> str:
    return f"{argument} {out}".lstrip()


def _target(path: Path) -> Path:
    """Where links lead."""
    return Path(os.path.realpath(path))


def _name_new(draft: Path, target: Path) -> None:
    """Give the draft its name, or raise `FileExistsError`."""
    try:
        os.link(draft, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError from None
        os.replace(draft, target)


def _flush_folder(folder: Path) -> None:
    """Let the folder's new entry reach the disk, where the system can be told so."""
    with suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
