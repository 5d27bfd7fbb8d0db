"""A matplotlib figure → a picture that a page holds."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from mlsem.report.figures.style import style
from mlsem.report.page.records import Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawn

LARGEST_SVG = 60_000  # bytes; a larger picture is kept as pixels
MOST_MARKS = 4_000  # dots and lines; SVG of more takes long to write
# identifiers in the SVG are by this salt, so that the same figure gives the same text
SVG = {"svg.hashsalt": "mlsem", "svg.fonttype": "path"}
PIXELS = 160  # an inch
COLOURS = 64  # of a picture of pixels
INCH = 100  # CSS pixels that an inch is shown as


def picture(drawn: Drawn, alt: str, caption: str = "") -> Figure:
    """The figure as SVG, or as PNG where that is smaller; without dates and names of files."""
    width = round(INCH * float(drawn.get_figwidth()))
    if _marks(drawn) <= MOST_MARKS:
        with style(SVG):
            data = _saved(drawn, format="svg", metadata={"Date": None, "Creator": None})
        if len(data) <= LARGEST_SVG:
            return Figure(data, "svg", alt, caption, width)
    data = _saved(drawn, format="png", dpi=PIXELS, metadata={"Software": None})
    return Figure(_packed(data), "png", alt, caption, width)


def _packed(data: bytes) -> bytes:
    """The picture in few colours, which drawings can do with."""
    from PIL import Image

    buffer = BytesIO()
    with Image.open(BytesIO(data)) as image:
        image.convert("RGB").quantize(COLOURS).save(buffer, format="png", optimize=True)
    return min(data, buffer.getvalue(), key=len)


def _marks(drawn: Drawn) -> int:
    """How many dots and lines there are about."""
    collections: list[Any] = [each for axes in drawn.axes for each in axes.collections]
    lines: list[Any] = [each for axes in drawn.axes for each in axes.lines]
    return sum(max(len(each.get_paths()), len(each.get_offsets())) for each in collections) + sum(
        len(each.get_xdata(orig=False)) for each in lines
    )


def _saved(drawn: Drawn, **options: Any) -> bytes:
    buffer = BytesIO()
    drawn.savefig(buffer, facecolor="white", **options)
    return buffer.getvalue()
