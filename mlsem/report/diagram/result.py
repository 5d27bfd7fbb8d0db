"""`Diagram`: a path diagram that shows itself and can be saved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Literal, get_args

from mlsem.errors import InterfaceError, OptionValueError, listed
from mlsem.report.diagram.geometry import drawing
from mlsem.report.diagram.graphviz import dot_text, placed_by_graphviz
from mlsem.report.diagram.layers import Placed, layered
from mlsem.report.diagram.shapes import Drawing
from mlsem.report.diagram.svg import svg
from mlsem.report.files import write_over

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.figure import Figure

    from mlsem.report.diagram.records import Picture

Layout = Literal["auto", "graphviz", "built-in"]
KINDS = (".svg", ".png", ".pdf", ".dot")


@dataclass(frozen=True, eq=False, repr=False)
class Diagram:
    """A path diagram: drawn in a notebook, in words when printed; saved by `save`.

    Attributes
    ----------
    picture : Picture
        What it shows: panels, nodes, arrows and their texts.
    layout : {"auto", "graphviz", "built-in"}
        Who places the nodes.

    Examples
    --------
    >>> import mlsem
    >>> found = mlsem.diagram("m ~ x; y ~ m + x", layout="built-in")
    >>> found
    <Diagram: 1 panel, 3 variables; .save("model.svg") writes it>
    >>> found.drawing.width, found.drawing.height
    (456.0, 139.0)
    >>> found.svg[:4]
    '<svg'
    """

    picture: Picture
    layout: Layout = "auto"

    @cached_property
    def drawing(self) -> Drawing:
        """Its strokes and texts, in pixels."""
        return drawing(self.picture, _places(self.picture, self.layout))

    @property
    def svg(self) -> str:
        """The text of an SVG file, in dark strokes or, on a dark page, in light ones."""
        return svg(self.drawing, alone=True)

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        """In the colour of the page's text."""
        return f'<div class="mlsem-diagram">{svg(self.drawing, alone=False)}</div>'

    def __str__(self) -> str:
        return self.drawing.description

    def __repr__(self) -> str:
        panels = self.picture.panels
        nodes = sum(len(panel.nodes) for panel in panels)
        return (
            f"<Diagram: {len(panels)} panel{'' if len(panels) == 1 else 's'}, {nodes} variables; "
            '.save("model.svg") writes it>'
        )

    def to_svg(self, path: str | PathLike[str]) -> None:
        """Write an SVG file; one that is there is replaced.

        Parameters
        ----------
        path : path
            Of the file.

        Examples
        --------
        >>> import mlsem
        >>> diagram = mlsem.diagram("m ~ x\\n y ~ m + x")
        >>> diagram.to_svg("model.svg")
        """
        write_over(path, self.svg)

    def to_png(self, path: str | PathLike[str], scale: float = 2.0) -> None:
        """Write a PNG file.

        Parameters
        ----------
        path : path
            Of the file; one that is there is replaced.
        scale : float, default 2.0
            1.0 gives 96 pixels an inch.

        Raises
        ------
        OptionValueError
            The scale is not positive, or too large for a picture (65,535 pixels).

        Examples
        --------
        >>> import mlsem
        >>> diagram = mlsem.diagram("m ~ x\\n y ~ m + x")
        >>> diagram.to_png("model.png", scale=3)
        """
        longest = max(self.drawing.width, self.drawing.height)
        if not 0 < scale * longest < 2**16:
            raise OptionValueError(
                f"scale={scale!r}: a number above 0 is needed, for this diagram below "
                f"{2**16 / longest:.0f}."
            )
        self.figure().savefig(path, format="png", dpi=96.0 * scale)

    def to_dot(self) -> str:
        """The diagram in graphviz's language, to be changed by hand.

        Returns
        -------
        str

        Examples
        --------
        >>> import mlsem
        >>> diagram = mlsem.diagram("m ~ x\\n y ~ m + x")
        >>> print(diagram.to_dot().splitlines()[0])
        digraph {
        """
        return dot_text(self.picture)

    def figure(self) -> Figure:
        """A matplotlib figure, to be drawn on or saved in any of its formats.

        Returns
        -------
        Figure

        Examples
        --------
        >>> import mlsem
        >>> diagram = mlsem.diagram("m ~ x\\n y ~ m + x")
        >>> diagram.figure().savefig("model.pdf")
        """
        from mlsem.report.diagram.drawing import figure

        return figure(self.drawing)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a file: .svg, .png, .pdf or .dot by the end of its name.

        Parameters
        ----------
        path : path
            Of the file; one that is there is replaced.

        Raises
        ------
        OptionValueError
            The name ends in something else.

        Examples
        --------
        >>> import mlsem
        >>> diagram = mlsem.diagram("m ~ x\\n y ~ m + x")
        >>> diagram.save("model.svg")
        """
        kind = Path(path).suffix.lower()
        match kind:
            case ".svg":
                self.to_svg(path)
            case ".png":
                self.to_png(path)
            case ".pdf":
                self.figure().savefig(path, format="pdf")
            case ".dot":
                write_over(path, self.to_dot())
            case _:
                raise OptionValueError(
                    f"path={str(path)!r}: a diagram is saved in a file that ends in "
                    f"{listed(KINDS)}."
                )


def _places(picture: Picture, layout: Layout) -> list[Placed]:
    """Where the nodes of each panel stand.

    Raises
    ------
    InterfaceError
        By graphviz, which is not installed or does not answer.
    """
    if layout == "auto" and which("dot") is not None:
        try:
            return list(map(placed_by_graphviz, picture.panels))
        except InterfaceError:  # the built-in layout needs no program
            pass
    by = placed_by_graphviz if layout == "graphviz" else layered
    return list(map(by, picture.panels))


def require_layout(layout: object) -> Layout:
    """The layout, if it is one.

    Raises
    ------
    OptionValueError
        With the layouts that there are.
    """
    for each in get_args(Layout):
        if layout == each:
            return each
    raise OptionValueError(f"layout={layout!r}: it takes one of {listed(get_args(Layout))}.")
