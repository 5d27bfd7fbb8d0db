"""Tables that the command writes, as spreadsheets read them."""

from __future__ import annotations

from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a cell begins with that a spreadsheet takes for a formula."""


def separated(frame: Any, separator: str) -> str:
    """A data frame as text; a cell of text that a spreadsheet would take for a formula begins
    with an apostrophe, which tells it that it is none."""
    shown = frame.map(_harmless).rename(columns=_harmless)
    return shown.to_csv(sep=separator, index=False, lineterminator="\n")


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    shown = cell.replace("\r", "\\r")  # it would end the line for some readers
    return f"'{shown}" if cell.startswith(FORMULA) else shown
