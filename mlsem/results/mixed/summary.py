"""The summary of a mixed model in the layout of lme4 and lmerTest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import Array
from mlsem.report.cells import format_df, format_number, format_pvalue
from mlsem.report.document import HeaderBlock
from mlsem.report.export.exported import written
from mlsem.report.export.html import html
from mlsem.report.sheet import RoundedSheet, Sheet, SheetTable
from mlsem.results.mixed.varcorr import VarCorr, variance_table

if TYPE_CHECKING:
    from os import PathLike


@dataclass(frozen=True, slots=True, eq=False)
class FixedEffects:
    """What the table of fixed effects shows, (p,) each.

    Attributes
    ----------
    names : tuple of str
    est, se, df, stat, pvalue : (p,)
    beside : tuple of (head, values)
        Limits and standardized values, where they were asked for.
    correlation : (p, p) or None
        Of the estimates.
    """

    names: tuple[str, ...]
    est: Array
    se: Array
    df: Array
    stat: Array
    pvalue: Array
    beside: tuple[tuple[str, Array], ...] = ()
    correlation: Array | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixedSummary(RoundedSheet):
    """A summary of a mixed model: text when printed, HTML in a notebook.

    Attributes
    ----------
    title : str
    facts : tuple of (label, value)
    effects : VarCorr
    limits : tuple of (name, estimate, lower, upper)
        Of variances and covariances, where they were asked for.
    fixed : FixedEffects
    blocks : tuple of HeaderBlock
        Tests of fit, and R².
    notes : tuple of str

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
    >>> found = fit.summary()
    >>> print(found.to_text().splitlines()[0])
    Linear mixed model by REML
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    effects: VarCorr
    limits: tuple[tuple[str, float, float, float], ...]
    fixed: FixedEffects
    blocks: tuple[HeaderBlock, ...]
    notes: tuple[str, ...]

    def to_html(self, digits: int = 3, *, path: str | PathLike[str] | None = None) -> str:
        """The HTML with this many decimals; written to a file where a path is given.

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
        >>> "<table" in fit.summary().to_html()
        True
        """
        return written(html(self._shown_grid(digits)), path)

    def _sheet(self, digits: int = 3) -> Sheet:
        tables = [variance_table(self.effects, digits)]
        if self.limits:
            tables.append(_limits(self.limits, digits))
        if self.fixed.names:
            tables.append(_fixed(self.fixed, digits))
        if self.fixed.correlation is not None and len(self.fixed.names) > 1:
            tables.append(_correlations(self.fixed.names, self.fixed.correlation))
        tables += [_block(each) for each in self.blocks]
        return Sheet(self.title, self.facts, tuple(tables), "Notes", self.notes)


def _fixed(fixed: FixedEffects, digits: int) -> SheetTable:
    letter = "t" if np.isfinite(fixed.df).any() else "z"
    heads = ["Estimate", "Std.Error", *(["df"] if letter == "t" else []), f"{letter} value"]
    heads += [f"P(>|{letter}|)", *(head for head, _ in fixed.beside)]
    rows = []
    for k, name in enumerate(fixed.names):
        cells = [format_number(float(each[k]), digits) for each in (fixed.est, fixed.se)]
        cells += [format_df(float(fixed.df[k]))] if letter == "t" else []
        cells += [
            format_number(float(fixed.stat[k]), digits),
            format_pvalue(float(fixed.pvalue[k]), digits),
        ]
        cells += [format_number(float(values[k]), digits) for _, values in fixed.beside]
        rows.append((name, tuple(cells)))
    return SheetTable("Fixed effects", tuple(heads), tuple(rows))


def _limits(limits: tuple[tuple[str, float, float, float], ...], digits: int) -> SheetTable:
    rows = tuple(
        (name, tuple(format_number(each, digits) for each in numbers)) for name, *numbers in limits
    )
    return SheetTable("Variances and covariances", ("Estimate", "ci.lower", "ci.upper"), rows)


def _correlations(names: tuple[str, ...], matrix: Array) -> SheetTable:
    """The lower triangle; of the columns all names but the last."""
    rows = tuple(
        (
            name,
            tuple(
                format_number(float(matrix[k, m]), 3) if m < k else ""
                for m in range(len(names) - 1)
            ),
        )
        for k, name in enumerate(names)
        if k
    )
    return SheetTable("Correlation of fixed effects", names[:-1], rows)


def _block(block: HeaderBlock) -> SheetTable:
    width = max(len(row) for row in block.rows) - 1
    heads = block.heads or ("",) * width
    rows: list[tuple[str, Any]] = [
        (row[0], (*row[1:], *[""] * (len(heads) + 1 - len(row)))) for row in block.rows
    ]
    return SheetTable(block.title.rstrip(":"), heads, tuple(rows), block.words)
