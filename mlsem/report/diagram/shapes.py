"""What is put down: strokes, outlines, dots and texts, in pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlsem.report.diagram.metrics import Box, Point, text_width

if TYPE_CHECKING:
    from mlsem.report.diagram.records import Shape

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line."""

    points: tuple[Point, ...]
    dashed: bool


@dataclass(frozen=True, slots=True)
class Outline:
    """The line round a node; `title` is its whole name."""

    box: Box
    shape: Shape
    title: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    place: Point
    radius: float = 4.0


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text, its middle at the height of `place`."""

    place: Point
    text: str
    size: float
    anchor: Anchor = "middle"
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that is put down, in the order in which it is. `heads` are filled triangles."""

    width: float
    height: float
    title: str
    description: str
    outlines: tuple[Outline, ...]
    strokes: tuple[Stroke, ...]
    heads: tuple[tuple[Point, ...], ...]
    dots: tuple[Dot, ...]
    words: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow before its text has its place."""

    points: list[Point]
    text: str
    dashed: bool
    ends: tuple[bool, bool]  # arrowheads at its start and end
    slope: str = ""


@dataclass(slots=True)
class Sheet:
    """What of a panel has been put down."""

    outlines: list[Outline] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    texts: list[Box] = field(default_factory=list)  # where texts at lines stand

    def write(self, words: Words) -> None:
        self.words.append(words)
        self.texts.append(box_of(words))


def box_of(words: Words) -> Box:
    width = text_width(words.text, words.size) + 4.0
    shift = {"start": width / 2 - 2.0, "middle": 0.0, "end": 2.0 - width / 2}[words.anchor]
    return Box(words.place.x + shift, words.place.y, width, words.size + 3.0)
