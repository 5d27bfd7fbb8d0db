"""What was given in place of a model text: a file's path, a list of lines, the data."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

_ENDINGS = "lav lavaan txt mod model inp r csv tsv md yml json".split()


def not_a_text(model: object, data: object = None) -> str:
    """What to do with a model that is no text."""
    kind = type(model).__name__
    head = f"model is a {kind}; it takes the model as text, such as 'y ~ x'. "
    if hasattr(model, "columns"):
        swapped = isinstance(data, str) or data is None
        return head + (
            "The first argument is the model, the second the data"
            + (": fit(model, data)." if swapped else ".")
        )
    if isinstance(model, os.PathLike):
        return head + f"Read the file first: {reading(os.fspath(model))}."
    if isinstance(model, bytes | bytearray):
        return head + "Decode it first: model.decode()."
    if isinstance(model, Sequence) and all(isinstance(line, str) for line in model):
        return head + 'Join the lines first: "\\n".join(model).'
    return head + "The first argument is the model, the second the data."


def path_message(text: str) -> str:
    """What to do where the path of a file was given as the text; nothing for another text."""
    path = text.strip()
    if not is_path(path):
        return ""
    if path.lower().endswith((".csv", ".tsv")):
        return (
            "this is the path of a file of data, not a model. The first argument is the model, "
            "the second the data."
        )
    if path.lower().endswith(".inp"):
        return (
            "this is the path of an Mplus input, not a model. The command 'mlsem port' translates "
            "it to Python."
        )
    return f"this is the path of a file, not a model. Read the file first: {reading(path)}."


def is_path(path: str) -> bool:
    """`models/two_level.lav`: one line, no operator, and an ending or a folder."""
    if re.fullmatch(r"(?:~[\\/])?[^\n~<>|*?\"=]+", path) is None:
        return False
    folder = re.match(r"(?:[A-Za-z]:[\\/]|~?[\\/]|\.{1,2}[\\/])", path) is not None
    ending = re.search(r"\.(\w{1,8})$", path)
    known = ending is not None and ending[1].lower() in _ENDINGS
    return known or (folder and ending is not None and " " not in path)


def reading(path: str | bytes) -> str:
    """The expression that reads a text file."""
    shown = path if isinstance(path, str) else os.fsdecode(path)
    home = ".expanduser()" if shown.startswith("~") else ""
    return f'pathlib.Path({shown!r}){home}.read_text(encoding="utf-8")'
