"""The report of a fit as an object: it shows in a notebook, and can be saved."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape

from mlsem.errors import OptionValueError
from mlsem.report.files import REPLACE_BY_CALL, check_output, write_whole

HEIGHT = 640  # pixels of the frame in a notebook


@dataclass(frozen=True, repr=False)
class Report:
    """A report of a fit; a notebook shows it.

    Attributes
    ----------
    html : str
        The whole page: one file, which needs no network.
    title : str

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.report(sections=["estimates", "fit"])
    >>> found.html[:15]
    '<!DOCTYPE html>'
    """

    html: str
    title: str

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the page to a file.

        Parameters
        ----------
        path : str or path
            Ends in ``.html`` or ``.htm``.
        overwrite : bool, default False
            Whether a file that is there is replaced.

        Raises
        ------
        OptionValueError
            The name of the file.
        MlsemError
            There is such a file, or it cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.report(sections=["estimates"]).save("report.html")
        """
        name = checked(path, overwrite=overwrite)
        write_whole(name, self.html, overwrite=overwrite, argument="", replace=REPLACE_BY_CALL)

    def __repr__(self) -> str:
        return f"<Report: {len(self.html) // 1024} kB of HTML; report.save('report.html')>"

    def _repr_html_(self) -> str:
        """In a frame of its own, whose script cannot reach the notebook."""
        return (
            f'<iframe title="{escape(self.title)}" srcdoc="{escape(self.html)}" width="100%" '
            f'height="{HEIGHT}" sandbox="allow-scripts allow-downloads allow-modals" '
            'style="border: 1px solid rgba(128, 128, 128, .5)"></iframe>'
        )


def checked(path: str | os.PathLike[str], *, overwrite: bool) -> str:
    """The name of a file that may be written.

    Raises
    ------
    OptionValueError, MlsemError
    """
    if not isinstance(path, (str, os.PathLike)):
        raise OptionValueError(f"path={path!r}: it takes the name of a file, as 'report.html'.")
    name = os.fspath(path)
    if not isinstance(name, str) or not name.lower().endswith((".html", ".htm")):
        raise OptionValueError(f"{name!r}: the name of a report must end in .html.")
    check_output(name, overwrite=overwrite, argument="", replace=REPLACE_BY_CALL)
    return name
