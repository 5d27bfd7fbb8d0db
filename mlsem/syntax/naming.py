"""Names that a model text can hold, and what to call columns whose names it cannot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.errors import closest, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


# The grammar's NAME.
LABEL = re.compile(
    r"(?:[^\W\d]|\.(?![0-9]))[\w.\u0300-\u036f\u064b-\u065f\u0900-\u0dff\u0e31-\u0e4e]*"
)
# How formulas of other languages code categories.
CATEGORY_CALLS = ("C", "factor", "as.factor", "as_factor", "ordered", "i")


def is_name(name: str) -> bool:
    """Whether a model text can name it: `x1`, or the product `w1:x1`."""
    return all(LABEL.fullmatch(part) for part in name.split(":"))


def fit_name(name: str, taken: Collection[str] = ()) -> str:
    """The name with what no model can hold taken out: `income (EUR)` is `income_EUR`."""
    plain = re.sub(r"\W+", "_", name).strip("_") or "x"
    plain = plain if is_name(plain) else f"x{plain}"
    free, count = plain, 1
    while free in taken:
        count += 1
        free = f"{plain}_{count}"
    return free


def renaming(names: Iterable[str], taken: Collection[str] = ()) -> str:
    """`data = data.rename(columns={"my var": "my_var"})`."""
    new: dict[str, str] = {}
    for name in names:
        new[name] = fit_name(name, {*taken, *new.values()})
    pairs = ", ".join(f'{quoted(old)}: "{name}"' for old, name in new.items())
    return f"data = data.rename(columns={{{pairs}}})"


def quoted(name: str) -> str:
    """The name as Python's text."""
    return repr(name) if '"' in name or "\\" in name or not name.isprintable() else f'"{name}"'


def column_hint(name: str, columns: Collection[str], others: Collection[str], text: str) -> str:
    """For a name in a model text that is no column: the one that was probably meant, among the
    columns and the `others`; where no model can hold its name, with what to do. Or nothing."""
    if not columns:
        return ' The data have no column whose name is text: data.columns = ["y", "x", …].'
    odd = [column for column in columns if not is_name(column)]
    blank = [column for column in odd if column.strip() == name]
    if blank:
        return (
            f" The data have {blank[0]!r}, with blanks around it: "
            "data.columns = data.columns.str.strip()."
        )
    plain = {_letters(fit_name(column)): column for column in odd}
    written = [column for column in odd if _is_in(column, text)]
    same = closest(_letters(name), plain, 0.9)
    if written or same is not None:
        return _rename_hint(written or [plain[same or ""]], columns)
    near = nearest(name, [*(column for column in columns if is_name(column)), *others])
    return near or _rename_hint([c for c in odd if name in re.split(r"\W+", c)][:1], columns)


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def text_hint(columns: Iterable[str], text: str) -> str:
    """For a text that is not in the language: columns in it whose names no model can hold."""
    columns = list(columns)
    return _rename_hint([c for c in columns if not is_name(c) and _is_in(c, text)], columns)


def _is_in(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _rename_hint(odd: list[str], columns: Iterable[str]) -> str:
    if not odd:
        return ""
    which = ", ".join(repr(name) for name in odd[:3])
    one = len(odd) == 1
    return (
        f" The data have {'the column' if one else 'columns'} {which}, "
        f"{'whose name' if one else 'whose names'} no model can hold (a name is a letter, then "
        f"letters, digits, '_' or '.'): {renaming(odd, list(columns))}."
    )


def dummies(name: str) -> str:
    """The line that makes 0/1 columns of a column of categories."""
    column = quoted(name)
    return (
        f"data = data.join(pandas.get_dummies(data[{column}], prefix={column}, drop_first=True, "
        "dtype=float))"
    )


def categories_message(function: str, name: str) -> str:
    """For `C(f)`, `factor(f)`."""
    return (
        f"{function}(…) is not computed in the model: make 0/1 columns of the categories, "
        f"{dummies(name)}, and name those here."
    )
