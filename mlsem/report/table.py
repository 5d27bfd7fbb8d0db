"""A few columns as a small table of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real

from mlsem.base.display import cell, display_width, pad_left, pad_right
from mlsem.report.cells import format_number


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
    pool = {name: list(values) for name, values in columns.items()}
    if index:
        count = max((len(values) for values in pool.values()), default=0)
        pool = {"": list(range(1, count + 1)), **pool}
    printed = [_column(name, values, digits) for name, values in pool.items()]
    lines = ("  ".join(cells).rstrip() for cells in zip(*printed, strict=True))
    return "\n".join(lines) + "\n"


def _column(name: str, values: list[object], digits: int) -> list[str]:
    cells = [cell(name), *(_cell(value, digits) for value in values)]
    width = max(map(display_width, cells))
    pad = pad_right if any(isinstance(value, str) for value in values) else pad_left
    return [pad(each, width) for each in cells]


def _cell(value: object, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return format_number(float(value), digits)
    return cell(str(value))
