"""Sizes in pixels: of texts, as any sans-serif font sets them, and of what they stand in."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from mlsem.base.display import cell, display_width, shortened

if TYPE_CHECKING:
    from mlsem.report.diagram.records import Node, Panel

NAME, NUMBER, TITLE, CAPTION = 13.0, 11.0, 14.0, 11.0  # heights of letters
WIDEST = 18  # letters of a line in a node
LINES = 3  # of a name
WIDTHS = (  # of letters in ems, as in Helvetica; of all others that of `n`
    ("ijl.,:;|!'", 0.28),
    ("ft()[]{}rI/\\- *\u200b", 0.36),
    ("mwMW@%&\u2014", 0.90),
    ("<>^~+=#\u00d7", 0.84),
    ("ABCDEGHKNOPQRSTUVXYZ", 0.71),
)
ORDINARY = 0.57


class Point(NamedTuple):
    """Right of and below the origin."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle by its centre."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2

    def moved(self, x: float, y: float) -> Box:
        return self._replace(x=self.x + x, y=self.y + y)

    def grown(self, by: float) -> Box:
        return self._replace(width=self.width + 2 * by, height=self.height + 2 * by)

    def holds(self, point: Point) -> bool:
        return self.left < point.x < self.right and self.top < point.y < self.bottom

    def meets(self, other: Box) -> bool:
        return (
            abs(self.x - other.x) < (self.width + other.width) / 2
            and abs(self.y - other.y) < (self.height + other.height) / 2
        )


_WIDTH = {letter: width for letters, width in WIDTHS for letter in letters}


def text_width(text: str, size: float) -> float:
    """About; rather too wide than too narrow."""
    ems = sum(_WIDTH.get(letter, ORDINARY * display_width(letter)) for letter in text)
    return size * ems


def name_lines(text: str) -> tuple[str, ...]:
    """A name in lines of at most `WIDEST` columns, broken where words end, or after `_` `.` `:`."""
    text = cell(text)
    if display_width(text) <= WIDEST:
        return (text,)
    breakable = re.sub("[_.:]", "\\g<0> \u200b", text)
    pieces = wrap(breakable, WIDEST)
    lines = [piece.replace(" \u200b", "").replace("\u200b", "") for piece in pieces]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], " ".join(lines[LINES - 1 :])]
    return tuple(shortened(line, WIDEST) for line in lines)


def node_sizes(panel: Panel) -> dict[str, tuple[float, float]]:
    """Width and height of each node; those of one shape are equally wide."""
    own = {node.key: _size(node) for node in panel.nodes}
    widest = {
        shape: max(own[node.key][0] for node in panel.nodes if node.shape == shape)
        for shape in {node.shape for node in panel.nodes}
    }
    return {node.key: (widest[node.shape], own[node.key][1]) for node in panel.nodes}


def _size(node: Node) -> tuple[float, float]:
    lines = name_lines(node.label)
    width = max(text_width(line, NAME) for line in lines)
    width = max(width, text_width(node.note, NUMBER))
    height = 17.0 * len(lines) + (14.0 if node.note else 0.0)
    if node.shape == "ellipse":
        return max(64.0, 1.22 * width + 22.0), max(38.0, 1.25 * height + 12.0)
    return max(46.0, width + 16.0), max(26.0, height + 8.0)
