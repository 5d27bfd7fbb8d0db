"""The model that comes in by a file or a pipe; warnings and errors as a terminal shows them."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlsem.base.display import sentences
from mlsem.errors import MlsemError

ARGUMENTS = {
    "cluster": "cluster",
    "estimator": "estimator",
    "se": "se",
    "se_cluster": "se-cluster",
    "weights": "weights",
    "weight_scaling": "weight-scaling",
    "strata": "strata",
    "test": "test",
    "df": "df",
    "information": "information",
    "missing": "missing",
    "auxiliary": "auxiliary",
    "max_iter": "max-iter",
    "starts": "starts",
    "seed": "seed",
    "n_jobs": "jobs",
    "file": "out",
    "minimum": "minimum",
    "steps": "steps",
    "partial": "partial",
}
"""Keywords of Python's functions, and the arguments of the command that stand for them."""
PIPE_CLOSED = 141


class ModelFileError(MlsemError):
    """The model file cannot be read."""


def read_model(path: str, what: str = "model") -> str:
    """The text of a model (or of `what` else) in a file, or on standard input for `-`."""
    raw = _standard_input() if path == "-" else _model_file(path, what)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ModelFileError(f"{path} is not a text file in UTF-8; a {what} is plain text.")
    return text


def _standard_input() -> bytes:
    buffer = getattr(sys.stdin, "buffer", None)
    return buffer.read() if buffer is not None else sys.stdin.read().encode()


def _model_file(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        hint = ""
        if "~" in path or "\n" in path:
            hint = f" Give the name of a file, or - and the {what} on standard input."
        raise ModelFileError(f"there is no {what} file {path!r}.{hint}") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path} is a folder, not a {what} file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelFileError(f"the {what} file {path!r} cannot be read: {reason}.") from None


@contextmanager
def warnings_as_lines(quiet: bool) -> Iterator[list[warnings.WarningMessage]]:
    """Collect warnings and, at the end, print each once to standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield caught
        finally:
            if not quiet:
                sys.stdout.flush()
                for message in dict.fromkeys(str(each.message) for each in caught):
                    print(f"warning: {_as_arguments(message)}", file=sys.stderr)


def complain(error: Exception, code: int) -> int:
    print(f"error: {_as_arguments(str(error))}", file=sys.stderr)
    return code


def stopped(how: str, code: int) -> int:
    print(how, file=sys.stderr)
    return code


def _as_arguments(message: str) -> str:
    """The message as a terminal takes it, the command's arguments in place of Python's keywords."""

    def argument(match: re.Match[str]) -> str:
        name, value = match[1], (match[2] or "").strip("\"'")
        value = "COLUMN" if value == "..." else value
        return f"--{ARGUMENTS[name]} {value}".rstrip()

    keyword = rf"(?<![\w.(\[])({'|'.join(ARGUMENTS)})=(?![~=])"  # no operators of the model
    said = sentences(message).replace("(REML=True in lmm)", "(in lmm: without --ml)")
    return re.sub(rf"{keyword}(\"[^\"]*\"|'[^']*'|-?\w+|)", argument, said)


def pipe_closed() -> int:
    """Whoever read our output has enough; say no more, also not at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def never_fail_to_print() -> None:
    """On a terminal that lacks a character, show its code instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
