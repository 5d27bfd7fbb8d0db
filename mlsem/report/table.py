"""A few columns as a small table of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from numbers import Integral, Real

from mlsem.base.display import cell, display_width, pad_left, pad_right, sentences
from mlsem.report.cells import format_number
from mlsem.report.html import STYLE


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


def render_html(
    columns: Mapping[str, Iterable[object]],
    digits: int = 3,
    index: bool = False,
    notes: Iterable[str] = (),
) -> str:
    """The same as one `<div class="mlsem">`, with notes below; every text of the user's is
    escaped."""
    pool = _listed(columns, index)
    texts = [any(isinstance(value, str) for value in values) for values in pool.values()]
    side = [' style="text-align: left"' if is_text else "" for is_text in texts]
    heads = "".join(
        f'<th scope="col"{style}>{escape(cell(name))}</th>'
        for name, style in zip(pool, side, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{style}>{escape(_cell(value, digits))}</td>"
            for value, style in zip(values, side, strict=True)
        )
        + "</tr>\n"
        for values in zip(*pool.values(), strict=True)
    )
    items = "".join(f"<li>{escape(sentences(note))}</li>" for note in notes)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table>"
    below = f"\n<ul>{items}</ul>" if items else ""
    return f'<div class="mlsem"><style>{STYLE}</style>\n{table}{below}\n</div>'


def _listed(columns: Mapping[str, Iterable[object]], index: bool) -> dict[str, list[object]]:
    pool = {name: list(values) for name, values in columns.items()}
    if not index:
        return pool
    count = max((len(values) for values in pool.values()), default=0)
    return {"": list(range(1, count + 1)), **pool}


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
