"""What a page is made of: frozen records of plain values; no text in them is HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Value = str | float | int | None
Tone = Literal["good", "note", "caution", "bad"]
TextKind = Literal["text", "name"]
NumberKind = Literal["number", "count", "df", "p", "share"]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences; `quiet` ones are small print."""

    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list of sentences."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text that stands as it was written: a model, a call. `title` says what it is."""

    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with what is so."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to make of something. The tone is said in a word, too, and never by colour alone.
    `target` is the key of a section that its title leads to, or empty."""

    tone: Tone
    title: str
    text: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Some of them, one under the other."""

    each: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title : str
    kind : {"text", "name", "number", "count", "df", "p", "share"}
        "name" heads its row. Numbers stand at the right and are sorted by their size; "p" is
        printed as ``<.001`` where it is smaller.
    """

    title: str
    kind: TextKind | NumberKind = "number"

    @property
    def numeric(self) -> bool:
        return self.kind not in ("text", "name")


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be sorted, copied and saved.

    Attributes
    ----------
    caption : str
    columns : tuple of Column
    rows : tuple of tuple of value
        One value for each column; None and NaN are blank.
    note : str
        Sentences for under it.
    digits : int
        Decimals of numbers.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""
    digits: int = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture.

    Attributes
    ----------
    data : bytes
    kind : {"svg", "png"}
    alt : str
        What it shows, for those who do not see it.
    caption : str
    width : int
        In CSS pixels.
    """

    data: bytes
    kind: Literal["svg", "png"]
    alt: str
    caption: str
    width: int = 640


Part = Paragraph | Items | Code | Facts | Verdicts | Table | Figure


@dataclass(frozen=True, slots=True)
class Subsection:
    """Parts under a heading of their own."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page that the list of contents names.

    Attributes
    ----------
    key : str
        Of letters and hyphens: its place in the page's address.
    title : str
    parts : tuple of Part or Subsection
    """

    key: str
    title: str
    parts: tuple[Part | Subsection, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page; `subtitle` stands under its title, `footer` at its end."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    footer: str = ""
