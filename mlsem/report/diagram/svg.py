"""A drawing as SVG: transparent, in the colour of the text around it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlsem.report.diagram.metrics import Point
    from mlsem.report.diagram.shapes import Drawing, Outline, Words

FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
# Of a file by itself; inside a page the diagram takes the page's colour.
COLOURS = (
    ":root{color-scheme:light dark;color:#1a1a1a}"
    "@media (prefers-color-scheme:dark){:root{color:#e8e8e8}}"
)


def svg(drawing: Drawing, *, alone: bool) -> str:
    """The text of an SVG file (`alone`), or of a part of a page."""
    size = f"{drawing.width:.0f}", f"{drawing.height:.0f}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{size[0]}" height="{size[1]}" '
        f'viewBox="0 0 {size[0]} {size[1]}" font-family="{FONTS}" fill="none" '
        'stroke="currentColor" stroke-width="1.2" style="max-width:100%;height:auto">'
    )
    return "\n".join((head, *_parts(drawing, COLOURS if alone else ""), "</svg>\n"))


def _parts(drawing: Drawing, style: str) -> Iterator[str]:
    yield f"<title>{_text(drawing.title)}</title>"
    yield f"<desc>{_text(drawing.description)}</desc>"
    if style:
        yield f"<style>{style}</style>"
    for outline in drawing.outlines:
        yield _outline(outline)
    for stroke in drawing.strokes:
        dashes = ' stroke-dasharray="5 4"' if stroke.dashed else ""
        yield f'<polyline points="{_points(stroke.points)}"{dashes}/>'
    filled = 'fill="currentColor" stroke="none"'
    for head in drawing.heads:
        yield f'<polygon points="{_points(head)}" {filled}/>'
    for dot in drawing.dots:
        x, y = dot.place
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{dot.radius:.1f}" {filled}/>'
    for words in drawing.words:
        yield _words(words)


def _outline(outline: Outline) -> str:
    box, title = outline.box, f"<title>{_text(outline.title)}</title>"
    shade = 'fill="currentColor" fill-opacity="0.06"'
    if outline.shape == "ellipse":
        return (
            f'<ellipse cx="{box.x:.1f}" cy="{box.y:.1f}" rx="{box.width / 2:.1f}" '
            f'ry="{box.height / 2:.1f}" {shade}>{title}</ellipse>'
        )
    return (
        f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="1.5" {shade}>{title}</rect>'
    )


def _words(words: Words) -> str:
    weight = ' font-weight="bold"' if words.bold else ""
    anchor = "" if words.anchor == "start" else f' text-anchor="{words.anchor}"'
    x, y = words.place.x, words.place.y + 0.36 * words.size  # the baseline
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{words.size:.0f}" fill="currentColor" '
        f'stroke="none"{anchor}{weight}>{_text(words.text)}</text>'
    )


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(text: str) -> str:
    return escape(text)
