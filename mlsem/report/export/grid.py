"""A table as it is printed, before anybody decides in which language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["row", "level", "block", "below", "measure"]


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row of texts.

    Attributes
    ----------
    cells : tuple of str
        The first is the row's name; of a title it is the only one.
    role : {"row", "level", "block", "below", "measure"}
        "level" and "block" are titles, of a part and of a part of it; "below" belongs to the row
        above, and has no name; before the first "measure" a line is drawn.
    """

    cells: tuple[str, ...]
    role: Role = "row"

    @property
    def is_title(self) -> bool:
        return self.role in ("level", "block")


@dataclass(frozen=True, slots=True)
class GridTable:
    """Rows under heads.

    Attributes
    ----------
    title : str
        Empty for none.
    heads : tuple of str
        Over all columns, the first of names included; all empty for none.
    rows : tuple of GridRow
    text : tuple of bool
        Whether a column holds words, which stand to the left; numbers stand to the right.
    legend : str
        What the columns are; empty for none.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[GridRow, ...]
    text: tuple[bool, ...] = ()
    legend: str = ""

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.heads)

    @property
    def has_heads(self) -> bool:
        return any(self.heads)

    @property
    def words(self) -> tuple[bool, ...]:
        """`text` of every column; by default that of the names alone."""
        return self.text or tuple(k == 0 for k in range(self.width))


@dataclass(frozen=True, slots=True)
class Grid:
    """Tables with a title above and notes below; `heading` stands over the notes of a page."""

    title: str
    tables: tuple[GridTable, ...]
    notes: tuple[str, ...] = ()
    heading: str = ""
