"""Tables that the command writes, as spreadsheets read them."""

from __future__ import annotations

from typing import Any

from mlsem.report.export.spreadsheet import guarded


def separated(frame: Any, separator: str) -> str:
    """A data frame as text; a cell of text that a spreadsheet would take for a formula begins
    with an apostrophe, which tells it that it is none."""
    shown = frame.map(_harmless).rename(columns=_harmless)
    return shown.to_csv(sep=separator, index=False, lineterminator="\n")


def _harmless(cell: object) -> object:
    return guarded(cell) if isinstance(cell, str) else cell
