"""`Exported`: what prints as a table is written in other languages, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from mlsem.report.export.grid import Grid


class Exported:
    """What is a table: shown as HTML in a notebook, written for papers and spreadsheets.

    What is written is what is printed; numbers in full are in `frame`, where there is one.
    """

    __slots__ = ()

    def _grid(self) -> Grid:
        raise NotImplementedError

    def _shown_grid(self, *digits: int) -> Grid:
        from mlsem.report.cells import shown

        return shown(self._grid(*digits))

    def _repr_html_(self) -> str:
        from mlsem.report.export.html import html

        return html(self._shown_grid())

    def to_html(self, *, path: str | PathLike[str] | None = None) -> str:
        """The table as a piece of HTML; written to a file where a path is given.

        Parameters
        ----------
        path : path, optional
            A file to be written, too.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> fit = mlsem.sem("y ~ x1", mlsem.load_example("article"))
        >>> "<table>" in fit.summary().to_html()
        True
        """
        return written(self._repr_html_(), path)

    def to_markdown(self, *, path: str | PathLike[str] | None = None) -> str:
        """The table in Markdown, as GitHub, Quarto and pandoc read it; written to a file where a
        path is given.

        Parameters
        ----------
        path : path, optional
            A file to be written, too.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> fit = mlsem.sem("y ~ x1", mlsem.load_example("article"))
        >>> print(fit.r_squared().to_markdown().splitlines()[-1])
        | y | 1 | 0.1232 | 0.0267 | 0.0753 | 0.1790 |
        """
        from mlsem.report.export.markdown import markdown

        return written(markdown(self._shown_grid()), path)

    def to_latex(
        self,
        *,
        caption: str = "",
        label: str = "",
        path: str | PathLike[str] | None = None,
    ) -> str:
        r"""The table in LaTeX, for the package booktabs.

        Parameters
        ----------
        caption : str, default ""
            By default the title that is printed.
        label : str, default ""
            For ``\ref``.
        path : path, optional
            A file to be written, too.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> fit = mlsem.sem("y ~ x1", mlsem.load_example("article"))
        >>> print(fit.r_squared().to_latex(caption="Explained variance", label="tab:r2"))
        % \usepackage{booktabs}
        \begin{table}[htbp]
        \centering
        \caption{Explained variance}\label{tab:r2}
        ...
        """
        from mlsem.report.export.latex import latex

        return written(latex(self._shown_grid(), caption, label), path)

    def to_csv(self, path: str | PathLike[str] | None = None) -> str:
        """The table as text with commas, for spreadsheets: no text begins a formula there.

        Excel takes ``(0.12)`` in such a file for a negative number; `to_excel` leaves it as it is.

        Parameters
        ----------
        path : path, optional
            A file to be written, too.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> fit = mlsem.sem("y ~ x1", mlsem.load_example("article"))
        >>> text = fit.summary().to_csv("summary.csv")
        """
        from mlsem.report.export.spreadsheet import csv_text

        return written(csv_text(self._shown_grid()), path)

    def to_excel(self, path: str | PathLike[str]) -> None:
        """Write the table into an Excel workbook; numbers are numbers there.

        Parameters
        ----------
        path : path
            The workbook; one that is there is replaced.

        Raises
        ------
        InterfaceError
            openpyxl is not installed.
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.
        OutputError
            A kind of `MlsemError`: the file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> fit = mlsem.sem("y ~ x1", mlsem.load_example("article"))
        >>> fit.summary().to_excel("summary.xlsx")
        """
        from mlsem.report.export.spreadsheet import write_excel

        write_excel(self._shown_grid(), path)


class Rounded(Exported):
    """A table that is written with as many decimals as one asks for."""

    __slots__ = ()

    def _grid(self, digits: int = 3) -> Grid:
        raise NotImplementedError

    def _text(self, digits: int = 3) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        return self._text()

    def __repr__(self) -> str:
        return str(self)

    def to_text(self, digits: int = 3, *, path: str | PathLike[str] | None = None) -> str:
        """The text with this many decimals; written to a file where a path is given.

        Parameters
        ----------
        digits : int, default 3
            Decimals.
        path : path, optional
            A file to be written, too.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ x1 + (1 | id)", data)
        >>> print(fit.summary().to_text(digits=4).splitlines()[0])
        Linear mixed model by REML
        """
        return written(self._text(digits), path)

    def to_markdown(self, digits: int = 3, *, path: str | PathLike[str] | None = None) -> str:
        r"""The table in Markdown with this many decimals; written to a file where a path is given.

        Parameters
        ----------
        digits : int, default 3
            Decimals.
        path : path, optional
            A file to be written, too.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> fit = mlsem.sem("y ~ x1", mlsem.load_example("article"))
        >>> print(fit.summary().to_markdown(digits=2).splitlines()[-1])
        | &emsp;.y | 2.47 | 0.16 | 15.81 | \<.01 |
        """
        from mlsem.report.export.markdown import markdown

        return written(markdown(self._shown_grid(digits)), path)

    def to_latex(
        self,
        digits: int = 3,
        *,
        caption: str = "",
        label: str = "",
        path: str | PathLike[str] | None = None,
    ) -> str:
        r"""The table in LaTeX with this many decimals, for the package booktabs.

        Parameters
        ----------
        digits : int, default 3
        caption : str, default ""
            By default the title that is printed.
        label : str, default ""
            For ``\ref``.
        path : path, optional
            A file to be written, too.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> fit = mlsem.sem("y ~ x1", mlsem.load_example("article"))
        >>> print(fit.summary().to_latex(digits=2, caption="Scores"))
        % \usepackage{booktabs}
        \begin{table}[htbp]
        \centering
        \caption{Scores}
        ...
        """
        from mlsem.report.export.latex import latex

        return written(latex(self._shown_grid(digits), caption, label), path)


def written(text: str, path: str | PathLike[str] | None) -> str:
    """The text, and a file with it where there is a path."""
    if path is not None:
        from mlsem.report.files import write_over

        write_over(path, text)
    return text
