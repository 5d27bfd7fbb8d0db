"""A study file belongs to one process at a time.

The system's own lock on the open file is taken: it ends with the process, however that ends, so
that none goes stale. A note beside the file (``study.jsonl.lock``) says who holds it. Where the
folder's system has no locks (some network file systems), the note itself is the lock, and is stale
when the process that it names is gone.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

BEYOND = 1 << 40  # the byte that Windows locks lies behind every record, so that all can be read
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class HeldError(Exception):
    """Another process, or another call in this one, has the file; the text says who."""


@contextmanager
def held(path: Path, file: Any) -> Iterator[None]:
    """Hold the open file at `path`.

    Raises
    ------
    HeldError
        It is held already.
    """
    note = Path(f"{os.path.realpath(path)}.lock")
    try:
        _take(file)
    except BlockingIOError:
        raise HeldError(_holder(note)) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        _claim(note)
    else:
        with suppress(OSError):  # a folder that cannot be written to
            note.write_text(_own_note(), "utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            note.unlink()


def _take(file: Any) -> None:
    """Take the system's lock, or raise `BlockingIOError`. Closing the file gives it back."""
    if sys.platform == "win32":
        import msvcrt

        place = file.tell()
        file.seek(BEYOND)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            taken = error.errno in (errno.EACCES, errno.EDEADLK)
            raise (BlockingIOError(str(error)) if taken else error) from None
        finally:
            file.seek(place)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


# --- notes ------------------------------------------------------------------------------------


def _own_note() -> str:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})


def _claim(note: Path) -> None:
    """Make the note where there is none, or where that of a process that is gone lies."""
    for _ in range(2):
        try:
            descriptor = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            if not _is_stale(note):
                raise HeldError(f"{_holder(note)} (if that is over, delete {note})") from None
            with suppress(OSError):
                note.unlink()
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(_own_note())
        return
    raise HeldError(_holder(note))


def _is_stale(note: Path) -> bool:
    """Whether the note names a process of this machine that is gone."""
    content = _read(note)
    pid = content.get("pid")
    if content.get("host") != socket.gethostname() or type(pid) is not int:
        return False
    if sys.platform == "win32":  # no way to ask there that cannot end the process
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _holder(note: Path) -> str:
    """Who holds the file, as far as the note says."""
    content = _read(note)
    pid, host, since = (content.get(key) for key in ("pid", "host", "since"))
    if type(pid) is not int or not isinstance(host, str) or not isinstance(since, str):
        return "another process"
    own = pid == os.getpid() and host == socket.gethostname()
    who = "another study of this very process" if own else f"process {pid} on {host!r}"
    return f"{who}, since {since}"


def _read(note: Path) -> dict[str, Any]:
    try:
        content = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
