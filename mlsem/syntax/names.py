"""Names of columns that a model text cannot hold, and what to call them instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.errors import closest
from mlsem.syntax.expressions import LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def is_name(name: str) -> bool:
    """Whether a model text can name it: `x1`, or the product `w1:x1`."""
    return all(LABEL.fullmatch(part) for part in name.split(":"))


def fit_name(name: str, taken: Collection[str] = ()) -> str:
    """The name with what no model can hold taken out: `income (EUR)` is `income_EUR`."""
    plain = re.sub(r"\W+", "_", name).strip("_") or "x"
    plain = plain if is_name(plain) else f"x{plain}"
    found, count = plain, 1
    while found in taken:
        count += 1
        found = f"{plain}_{count}"
    return found


def renaming(names: Iterable[str], taken: Collection[str] = ()) -> str:
    """`data = data.rename(columns={"my var": "my_var"})`."""
    new: dict[str, str] = {}
    for name in names:
        new[name] = fit_name(name, {*taken, *new.values()})
    pairs = ", ".join(f'{_quoted(old)}: "{name}"' for old, name in new.items())
    return f"data = data.rename(columns={{{pairs}}})"


def _quoted(name: str) -> str:
    return repr(name) if '"' in name or "\\" in name or not name.isprintable() else f'"{name}"'


def column_hint(name: str, columns: Collection[str], text: str) -> str:
    """For a name that is no column: the column that was probably meant, whose own name no model
    can hold, with what to do; or nothing."""
    odd = [column for column in columns if not is_name(column)]
    blank = [column for column in odd if column.strip() == name]
    if blank:
        return (
            f" The data have {blank[0]!r}, with blanks around it: "
            "data.columns = data.columns.str.strip()."
        )
    return _rename_hint([c for c in odd if c in text] or _alike(name, odd), columns)


def text_hint(columns: Iterable[str], text: str) -> str:
    """For a text that is not in the language: columns in it whose names no model can hold."""
    columns = list(columns)
    return _rename_hint([c for c in columns if not is_name(c) and _is_in(c, text)], columns)


def _is_in(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _alike(name: str, odd: list[str]) -> list[str]:
    plain = {fit_name(column).replace("_", "").lower(): column for column in odd}
    wanted = re.sub(r"[\W_]+", "", name).lower()
    found = closest(wanted, plain, 0.8)
    if found is not None:
        return [plain[found]]
    return [column for column in odd if name in re.split(r"\W+", column)][:1]


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
    return (
        f"data = data.join(pandas.get_dummies(data[{_quoted(name)}], "
        f"prefix={_quoted(name)}, drop_first=True, dtype=float))"
    )
