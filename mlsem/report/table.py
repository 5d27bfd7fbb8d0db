"""A few columns as a small table of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real

from mlsem.base.display import cell, display_width, pad_left, pad_right
from mlsem.report.cells import formatted
from mlsem.report.export.grid import GridRow, GridTable

TITLES = {
    "est": "Estimate",
    "se": "SE",
    "stat": "Statistic",
    "pvalue": "p",
    "ci_lower": "CI lower",
    "ci_upper": "CI upper",
    "r2": "R²",
    "loglik": "Log-likelihood",
    "npar": "Parameters",
    "adjusted_se": "SE",
    "unadjusted_se": "SE",
    "score_pvalue": "p",
}


def render_columns(
    columns: Mapping[str, Iterable[object]], digits: int = 3, index: bool = False
) -> str:
    """Columns side by side under their names.

    Parameters
    ----------
    columns : mapping of str to iterable
        Equally long. Numbers stand to the right, text to the left; None and NaN are blank.
    digits : int
        Decimals of numbers that are not integers.
    index : bool
        Whether to number the rows, from 1.

    Returns
    -------
    str
        Lines without trailing blanks, ending in a newline.
    """
    pool = _listed(columns, index)
    printed = [_column(name, values, digits) for name, values in pool.items()]
    lines = ("  ".join(cells).rstrip() for cells in zip(*printed, strict=True))
    return "\n".join(lines) + "\n"


def columns_table(
    columns: Mapping[str, Iterable[object]],
    digits: int = 3,
    title: str = "",
    legend: str = "",
    *,
    index: bool = False,
    draws: int | None = None,
) -> GridTable:
    """The same for a grid, under titles that can be read (`TITLES`); p values that come from draws
    are no smaller than these can tell."""
    pool = _listed(columns, index)
    cells = [
        [_cell(name, value, digits, draws) for value in values] for name, values in pool.items()
    ]
    return GridTable(
        title=title,
        heads=tuple(TITLES.get(name, name) for name in pool),
        rows=tuple(map(GridRow, zip(*cells, strict=True))),
        text=tuple(any(isinstance(each, str) for each in values) for values in pool.values()),
        legend=legend,
    )


def square_table(
    names: Sequence[str],
    matrix: Iterable[Iterable[object]],
    means: Iterable[object] = (),
    title: str = "",
    legend: str = "",
) -> GridTable:
    """A matrix whose rows and columns have the same names, with means below."""
    columns = dict(zip(names, zip(*matrix, strict=True), strict=True))
    table = columns_table({"": names, **columns}, title=title, legend=legend)
    below = tuple(_cell("", value, 3) for value in means)
    return (
        replace(table, rows=(*table.rows, GridRow(("mean", *below), "measure")))
        if below
        else (table)
    )


def _listed(columns: Mapping[str, Iterable[object]], index: bool) -> dict[str, list[object]]:
    pool = {name: list(values) for name, values in columns.items()}
    if not index:
        return pool
    count = max((len(values) for values in pool.values()), default=0)
    return {"": list(range(1, count + 1)), **pool}


def _column(name: str, values: list[object], digits: int) -> list[str]:
    cells = [cell(name), *(_cell(name, value, digits) for value in values)]
    width = max(map(display_width, cells))
    pad = pad_right if any(isinstance(value, str) for value in values) else pad_left
    return [pad(each, width) for each in cells]


def _cell(name: str, value: object, digits: int, draws: int | None = None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return formatted(name, (float(value),), digits, draws)[0]
    return cell(str(value))
