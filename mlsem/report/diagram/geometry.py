"""Panels whose nodes are placed → one drawing."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from mlsem.base.display import cell, sentences
from mlsem.report.diagram.curves import head, outside
from mlsem.report.diagram.metrics import CAPTION, TITLE, Box, Point, text_width
from mlsem.report.diagram.panel import panel_sheet
from mlsem.report.diagram.shapes import Dot, Drawing, Line, Outline, Sheet, Stroke, Words, box_of

if TYPE_CHECKING:
    from mlsem.report.diagram.layers import Placed
    from mlsem.report.diagram.records import Picture

MARGIN, TITLED, APART = 18.0, 34.0, 30.0
NARROWEST = 420.0


def drawing(picture: Picture, placed: Sequence[Placed]) -> Drawing:
    """The panels one below the other, each with its title, and the caption."""
    parts = [panel_sheet(panel, own) for panel, own in zip(picture.panels, placed, strict=True)]
    extents = [_extent(part) for part in parts]
    titles = [text_width(panel.title, TITLE) for panel in picture.panels]
    width = max([NARROWEST, *titles, *(extent.width for extent in extents)]) + 2 * MARGIN
    outlines: list[Outline] = []
    strokes: list[Stroke] = []
    heads: list[tuple[Point, ...]] = []
    dots: list[Dot] = []
    words: list[Words] = []
    y = MARGIN
    for panel, part, extent in zip(picture.panels, parts, extents, strict=True):
        if panel.title:
            words.append(Words(Point(MARGIN, y + 8), cell(panel.title), TITLE, "start", True))
            y += TITLED
        dx, dy = width / 2 - extent.x, y - extent.top
        moved = _moved(part, dx, dy)
        outlines += moved.outlines
        dots += moved.dots
        words += moved.words
        own_strokes, own_heads = _inked(moved)
        strokes += own_strokes
        heads += own_heads
        y += extent.height + APART
    for line in _caption(picture.caption, width - 2 * MARGIN):
        words.append(Words(Point(MARGIN, y), line, CAPTION, "start"))
        y += 15.0
    description = "\n".join(sentences(each) for each in picture.words)
    return Drawing(
        width=width,
        height=y + MARGIN - 8.0,
        title=sentences(picture.title),
        description=description,
        outlines=tuple(outlines),
        strokes=tuple(strokes),
        heads=tuple(heads),
        dots=tuple(dots),
        words=tuple(words),
    )


def _caption(text: str, width: float) -> list[str]:
    letters = int(width / (0.49 * CAPTION))
    return [line for part in text.splitlines() for line in wrap(sentences(part), letters)]


def _inked(sheet: Sheet) -> tuple[list[Stroke], list[tuple[Point, ...]]]:
    """Lines less what lies under texts, and their heads."""
    strokes: list[Stroke] = []
    heads: list[tuple[Point, ...]] = []
    for line in sheet.lines:
        points = line.points
        if line.ends[1]:
            points, tip = head(points)
            heads.append(tip)
        if line.ends[0]:
            turned, tip = head(points[::-1])
            points = turned[::-1]
            heads.append(tip)
        strokes += [Stroke(tuple(piece), line.dashed) for piece in outside(points, sheet.texts)]
    return strokes, heads


# --- extents --------------------------------------------------------------------------------------


def _extent(sheet: Sheet) -> Box:
    """What a panel takes, with its texts."""
    boxes = [outline.box for outline in sheet.outlines] + [box_of(w) for w in sheet.words]
    points = [point for line in sheet.lines for point in line.points]
    lefts = [box.left for box in boxes] + [point.x for point in points]
    rights = [box.right for box in boxes] + [point.x for point in points]
    tops = [box.top for box in boxes] + [point.y for point in points]
    bottoms = [box.bottom for box in boxes] + [point.y for point in points]
    if not lefts:
        return Box(0.0, 0.0, 0.0, 0.0)
    width, height = max(rights) - min(lefts), max(bottoms) - min(tops)
    return Box(min(lefts) + width / 2, min(tops) + height / 2, width, height)


def _moved(sheet: Sheet, dx: float, dy: float) -> Sheet:
    def at(point: Point) -> Point:
        return Point(point.x + dx, point.y + dy)

    return Sheet(
        outlines=[Outline(o.box.moved(dx, dy), o.shape, o.title) for o in sheet.outlines],
        lines=[
            Line(list(map(at, line.points)), line.text, line.dashed, line.ends, line.slope)
            for line in sheet.lines
        ],
        dots=[Dot(at(dot.place), dot.radius) for dot in sheet.dots],
        words=[Words(at(w.place), w.text, w.size, w.anchor, w.bold) for w in sheet.words],
        texts=[box.moved(dx, dy) for box in sheet.texts],
    )
