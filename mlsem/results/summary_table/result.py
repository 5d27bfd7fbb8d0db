"""`SummaryTable`: estimates of several fits side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlsem.data.table.frame import make_frame
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import shown
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid, GridTable
from mlsem.report.export.plain import plain
from mlsem.results.summary_table.below import measure_rows, notes_of
from mlsem.results.summary_table.records import Asked, Column, Key
from mlsem.results.summary_table.rows import (
    column_of,
    ordered,
    parameter_rows,
    with_products_alike,
)

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.results.summary_table.records import AnyFit


@dataclass(frozen=True, eq=False, repr=False)
class SummaryTable(Exported, Answering):
    """Estimates of several fits side by side; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    names : tuple of str
        Of the fits.
    notes : tuple of str
        Which standard errors and degrees of freedom each column has.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = mlsem.summary_table({"ML": fit, "CR2": fit.with_se("CR2")})
    >>> found.frame.shape
    (17, 2)
    >>> found.tidy.columns.tolist()
    ['model', 'level', 'group', 'lhs', 'op', 'rhs', 'est', 'se', 'stat', 'df', 'pvalue', 'ci_lower',
    'ci_upper']
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]
    _table: GridTable
    _numbers: Mapping[str, Any]

    @property
    def frame(self) -> pd.DataFrame:
        """The cells as they are printed, a column per fit."""
        rows = [row for row in self._table.rows if not row.is_title]
        columns = zip(*(row.cells[1:] for row in rows), strict=True)
        return make_frame(
            {name: list(cells) for name, cells in zip(self.names, columns, strict=True)},
            [row.cells[0] for row in rows],
        )

    @property
    def tidy(self) -> pd.DataFrame:
        """The numbers in full, a row per fit and parameter: model, level, group, lhs, op, rhs, est,
        se, stat, df, pvalue, ci_lower, ci_upper."""
        return make_frame(self._numbers)

    def _grid(self) -> Grid:
        return Grid("", (self._table,), self.notes)

    def __str__(self) -> str:
        return plain(shown(self._grid()))

    def __repr__(self) -> str:
        return str(self)


def table_of_fits(fits: Sequence[AnyFit], names: tuple[str, ...], asked: Asked) -> SummaryTable:
    """What `mlsem.summary_table` returns.

    Raises
    ------
    OptionValueError
        A row, level or measure that no fit has.
    InferenceError
        Standardized values were asked for, and there are none.
    """
    columns = with_products_alike([column_of(fit, asked) for fit in fits])
    keys = ordered(columns, asked)
    rows = [*parameter_rows(columns, keys, asked), *measure_rows(fits, asked)]
    table = GridTable("", ("", *names), tuple(rows))
    numbers = _numbers(columns, names, keys)
    return SummaryTable(names, tuple(notes_of(columns, names, asked)), table, numbers)


def _numbers(
    columns: Sequence[Column], names: Sequence[str], keys: Sequence[Key]
) -> dict[str, Any]:
    found: dict[str, list[Any]] = {
        name: [] for name in ("model", "level", "group", "lhs", "op", "rhs")
    }
    values = ("est", "se", "stat", "df", "pvalue", "ci_lower", "ci_upper")
    found |= {name: [] for name in values}
    for column, name in zip(columns, names, strict=True):
        for key in keys:
            if (line := column.cells.get(key)) is not None:
                level, group, op, lhs, rhs = key
                row = (name, level, group, lhs, op, rhs, *(line[each] for each in values))
                for each, value in zip(found, row, strict=True):
                    found[each].append(value)
    return found
