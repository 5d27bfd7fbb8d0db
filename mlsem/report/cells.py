"""Numbers and names → the text of one cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from math import ceil, isinf, isnan
from typing import TYPE_CHECKING, Any, TypeVar

from mlsem.base.display import cell, sentences

if TYPE_CHECKING:
    from mlsem.report.document import TableRow

ALWAYS = ("est", "std_lv", "std_all")  # fields of fixed parameters, too
STARS = (0.05, 0.01, 0.001)
GROUPS = 6  # that are listed one by one
T = TypeVar("T")
PROSE = ("notes", "legend", "words")  # fields that hold sentences


def shown(record: T) -> T:
    """The record with every text in it as it may be printed, names and sentences alike."""
    return _shown(record, cell)


def _shown(value: Any, text: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, tuple):
        return tuple(_shown(each, text) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        kinds = {each.name: sentences if each.name in PROSE else text for each in fields(value)}
        changed = {name: _shown(getattr(value, name), kind) for name, kind in kinds.items()}
        return replace(value, **changed)
    return value


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{100 * share:.0f} %"


def by_group(counts: Sequence[tuple[str, int]]) -> list[tuple[str, str]]:
    """Facts on how many there are in each of several groups; of many groups the range."""
    if len(counts) <= GROUPS:
        return [(f"  in group {cell(label)}", str(count)) for label, count in counts]
    numbers = sorted(count for _, count in counts)
    middle = numbers[len(numbers) // 2]
    text = f"{numbers[0]}, {middle}, {numbers[-1]}"
    return [(f"  in each of {len(counts)} groups: smallest, median, largest", text)]


def number_width(digits: int) -> int:
    """Columns for a number: `-123.` and the decimals."""
    return digits + 5


def format_number(value: float | None, digits: int = 3) -> str:
    """A number in at most ``digits + 5`` characters; NaN and None are blank.

    A number that is too long first gives up decimals, then goes to scientific notation.
    """
    if value is None or isnan(value):
        return ""
    if isinf(value):
        return "Inf" if value > 0 else "-Inf"
    for decimals in range(digits, -1, -1):
        text = f"{value:.{decimals}f}"
        if len(text) <= number_width(digits):
            return text
    return scientific(value, digits)


def scientific(value: float, digits: int) -> str:
    """Scientific notation that fits ``digits + 5`` characters (for exponents of two digits)."""
    return f"{value:.{max(digits - 2, 0)}e}"


def format_pvalue(value: float | None, digits: int = 3, draws: int | None = None) -> str:
    """A p value; below the smallest that these decimals tell from zero, or that so many draws
    can tell, ``<.001``."""
    if value is None or isnan(value):
        return ""
    decimals = max(digits, 1)
    scale = 10**decimals
    least = 1 if draws is None else max(1, ceil(scale / draws))
    return (
        f"<{least / scale:.{decimals}f}".replace("<0", "<")
        if value * scale < least
        else (f"{value:.{decimals}f}")
    )


def is_pvalue(name: str) -> bool:
    """Whether a column of this name holds p values."""
    return name in ("p", "p.value") or "pvalue" in name or name.startswith("P(")


def formatted(
    name: str, values: Iterable[float | None], digits: int = 3, draws: int | None = None
) -> list[str]:
    """The numbers of a column, as its name says that they are."""
    if is_pvalue(name):
        return [format_pvalue(value, digits, draws) for value in values]
    return [format_number(value, digits) for value in values]


def p_words(value: float, draws: int | None = None) -> str:
    """``p = 0.012``, ``p < .001``."""
    text = format_pvalue(value, draws=draws)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def format_df(value: float) -> str:
    """Degrees of freedom: one decimal."""
    return "" if isnan(value) else "Inf" if isinf(value) else f"{value:.1f}"


def row_cells(row: TableRow, fields: tuple[str, ...], digits: int) -> tuple[str, ...]:
    """The cells of a row, one for each field; a fixed row has no errors and tests."""
    return tuple(_cell(row, field, digits) for field in fields)


def _cell(row: TableRow, field: str, digits: int) -> str:
    value = getattr(row, field)
    if row.fixed and field not in ALWAYS:
        return ""
    if field == "df":
        return format_df(value)
    if field == "pvalue":
        return format_pvalue(value, digits)
    if field in ("est", "se") and _rounds_to_zero(row.se, digits):
        return scientific(value, digits) if value != 0 else format_number(value, digits)
    return format_number(value, digits)


def _rounds_to_zero(se: float, digits: int) -> bool:
    """Whether a standard error that is not zero would be printed as zero."""
    return 0 < se < 0.5 * 10**-digits


def starred(text: str, pvalue: float) -> str:
    """With the stars of a p value: one below .05, two below .01, three below .001."""
    return text + "*" * sum(pvalue < limit for limit in STARS)
