"""matplotlib's Figure, drawn by notebooks without `%matplotlib`."""

from __future__ import annotations

from io import BytesIO
from os import PathLike, fspath
from os.path import splitext
from typing import Any

from matplotlib.figure import Figure

from mlsem.report.files import write_over

SHOWN, SHARPER = 100, 2  # pixels of a notebook to an inch; dots drawn for each of them


class Drawing(Figure):
    """A figure that a notebook shows where it is a cell's value.

    pyplot does not know it, so that it is not shown a second time at the end of the cell; under
    ``%matplotlib inline`` IPython's own printer of figures draws it, once too.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        """Twice as sharp as it is wide, for dense screens, and the size that it has on them."""
        target = BytesIO()
        self.savefig(target, format="png", dpi=SHARPER * SHOWN)
        width, height = (round(SHOWN * side) for side in self.get_size_inches())
        return target.getvalue(), {"width": width, "height": height}

    def savefig(self, fname: Any, **options: Any) -> None:
        """As matplotlib's, but a file has its name only when all of it is on the disk.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        if not isinstance(fname, str | PathLike):
            super().savefig(fname, **options)
            return
        name = fspath(fname)
        kind = options.pop("format", None) or splitext(name)[1][1:]
        if not kind:
            kind = self.canvas.get_default_filetype()
            name = f"{name.rstrip('.')}.{kind}"
        content = BytesIO()
        super().savefig(content, format=kind, **options)
        write_over(name, content.getvalue())
