"""A drawing by matplotlib, for PNG and PDF: the same strokes in the same places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.report.figures.style import blank, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mlsem.report.diagram.shapes import Drawing

PIXELS = 96.0  # an inch
POINTS = 72.0 / PIXELS
INK, SHADE = "#1a1a1a", "#f2f2f2"
ANCHORS = {"start": "left", "middle": "center", "end": "right"}


@styled
def figure(drawing: Drawing) -> Figure:
    """A matplotlib figure of the drawing's size."""
    from matplotlib.patches import Circle, Ellipse, Polygon, Rectangle

    drawn = blank(drawing.width / PIXELS, drawing.height / PIXELS, None)
    drawn.set_layout_engine("none")
    axes = drawn.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0.0, drawing.width)
    axes.set_ylim(drawing.height, 0.0)
    line = {"edgecolor": INK, "facecolor": SHADE, "linewidth": 1.2 * POINTS}
    for outline in drawing.outlines:
        box = outline.box
        if outline.shape == "ellipse":
            axes.add_patch(Ellipse((box.x, box.y), box.width, box.height, **line))
        else:
            axes.add_patch(Rectangle((box.left, box.top), box.width, box.height, **line))
    for stroke in drawing.strokes:
        style = (0, (5.0, 4.0)) if stroke.dashed else "solid"
        axes.plot(*zip(*stroke.points, strict=True), color=INK, lw=1.2 * POINTS, linestyle=style)
    for head in drawing.heads:
        axes.add_patch(Polygon(head, closed=True, color=INK, linewidth=0))
    for dot in drawing.dots:
        axes.add_patch(Circle(dot.place, dot.radius, color=INK, linewidth=0))
    for words in drawing.words:
        axes.text(
            *words.place,
            words.text,
            size=words.size * POINTS,
            color=INK,
            ha=ANCHORS[words.anchor],
            va="center_baseline" if words.bold else "center",
            weight="bold" if words.bold else "normal",
            parse_math=False,
        )
    return drawn
