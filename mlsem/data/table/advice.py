"""What to do about data that a fit cannot take: no frame, text, several cluster columns."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlsem.data.table.hints import (
    DAYS,
    IS,
    NUMBERS,
    NUMBERS_OR_MISSING,
    PUNCTUATION,
    SECONDS,
    hint,
    joined,
    library,
)
from mlsem.errors import nearest, unsplit
from mlsem.syntax.naming import dummies, fit_name, is_name, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SHOWN_CATEGORIES, MOST_CATEGORIES = 8, 20
_THREE = "Three levels are fitted of a model with three blocks ('level: 1', 'level: 2', 'level: 3')"
_READERS = {
    ".csv": "read_csv",
    ".tsv": "read_table",
    ".txt": "read_table",
    ".dat": "read_table",
    ".parquet": "read_parquet",
    ".feather": "read_feather",
    ".dta": "read_stata",
    ".sav": "read_spss",
    ".sas7bdat": "read_sas",
    ".xls": "read_excel",
    ".xlsx": "read_excel",
    ".json": "read_json",
    ".pkl": "read_pickle",
}
_COMMAS = r"\s*[-+]?(?:\d{1,3}(?:[.\s]\d{3})+|\d*),\d+(?:[eE][-+]?\d+)?\s*"
_THOUSANDS = r"\s*[-+]?\d{1,3}(?:,\d{3})+(?:\.\d*)?\s*"


def no_frame(data: object) -> str:
    """How to make a pandas data frame of what was given."""
    if isinstance(data, str | os.PathLike):
        return _read_first(os.fspath(data))
    if isinstance(data, pd.Series):
        return "pass a frame with all variables of the model as columns"
    if isinstance(data, np.ndarray):
        return 'pass pandas.DataFrame(data, columns=["y", "x", …]), each column with its name'
    if isinstance(data, (dict, list)):
        return "pass pandas.DataFrame(data) with named columns"
    for method in ("collect", "to_pandas", "toPandas", "compute", "to_dataframe", "df"):
        if callable(getattr(data, method, None)):
            return f"pass data.{method}()" + (".to_pandas()" if method == "collect" else "")
    if type(data).__name__ == "Moments":
        return "moments in place of rows are for mlsem.fit, cfa, sem, growth, lavaan and fit.update"
    return "build one with a column per variable"


def _read_first(path: str | bytes) -> str:
    name = os.fsdecode(path)
    ending = os.path.splitext(name)[1].lower()
    if "\n" in name or "~" in name.removeprefix("~"):
        return "the first argument is the model, the second the data: fit(model, data)"
    if ending in (".rds", ".rda", ".rdata"):
        return 'R\'s files are read by other programs only: write.csv(data, "data.csv") in R'
    return f"read the file first, pandas.{_READERS.get(ending, 'read_csv')}({quoted(name)})"


def one_column(keyword: str, value: object, data: pd.DataFrame) -> str:
    """For a `cluster=` that is not the name of a column."""
    head = f"{keyword} must be the name of one column, not {_kind(value)}."
    names = list(value) if isinstance(value, (list, tuple)) else []
    if isinstance(value, (pd.Series, pd.Index, np.ndarray)) or (names and _is_ids(names, data)):
        name = getattr(value, "name", None)
        known = isinstance(name, str) and name in data.columns
        shown = f"{keyword}={quoted(name)}" if known and isinstance(name, str) else ""
        return f"{head} " + (
            f"Pass {shown}."
            if shown
            else f'Put the ids into the data: {_new_column(data)}; {keyword}="id".'
        )
    if len(names) == 1 and isinstance(names[0], str):
        return f"{head} Pass {keyword}={names[0]!r}."
    if len(names) < 2:
        return head
    return f"{head} {_several(keyword, names, data)}"


def _new_column(data: pd.DataFrame) -> str:
    return 'data["id"] = …' if library(data) == "pandas" else 'a column "id"'


def _kind(value: object) -> str:
    kind = f"a {type(value).__name__}"
    if not isinstance(value, (str, int, float, list, tuple, type(None))):
        return kind
    try:
        shown = repr(value)
    except Exception:  # a number of too many digits, or an element's own
        return kind
    return shown if len(shown) <= 80 else kind


def _is_ids(names: list[Any], data: pd.DataFrame) -> bool:
    columns = all(isinstance(name, str) and name in data.columns for name in names)
    return len(names) == len(data) and len(names) > 3 and not columns


def _several(keyword: str, names: list[Any], data: pd.DataFrame) -> str:
    """Three levels, or two ways of clustering."""
    if not all(isinstance(name, str) and name in data.columns for name in names):
        return "Name one column." if keyword == "group" else f"{_THREE}: name one column."
    if keyword == "group":
        return _combined(names, data)
    if keyword == "se_cluster":
        return "Errors robust to several clusterings at once are not available: name one column."
    by_size = sorted(names, key=lambda name: data[name].nunique())
    coarse, fine = by_size[0], by_size[-1]
    said = (
        f"{_THREE}, the coarser clusters named first: cluster=[{quoted(coarse)}, {quoted(fine)}]. "
        "With two levels model the finer clusters and make the standard errors robust to the "
        f'coarser ones: cluster={quoted(fine)}, se_cluster={quoted(coarse)}, se="CR2".'
    )
    pairs = set(zip(pd.factorize(data[fine])[0], pd.factorize(data[coarse])[0], strict=True))
    if len(pairs) > int(pd.Series(data[fine]).nunique(dropna=False)):
        new = fit_name("_".join(by_size), data.columns)
        columns = ", ".join(map(quoted, by_size))
        code = f"data[{quoted(new)}] = data.groupby([{columns}]).ngroup()"
        if library(data) != "pandas":
            code = joined(data, by_size, new) or f"a column {quoted(new)} of both"
        said += (
            f" The ids of {fine!r} recur in several of {coarse!r}: make them one id before, "
            f"{code}, and name {quoted(new)} "
            f"in place of {quoted(fine)}; if they are not nested (crossed), name one of them."
        )
    return said


def _combined(names: list[str], data: pd.DataFrame) -> str:
    """A grouping column of several."""
    new = fit_name("_".join(names), data.columns)
    code = joined(data, names, new) or f"a column {quoted(new)} of all of them"
    if library(data) == "pandas" and data[names].isna().to_numpy().any():
        line, _, value = code.partition(" = ")
        both = f"data[[{', '.join(map(quoted, names))}]]"
        code = f"{line} = ({value}).where({both}.notna().all(axis=1))"
    return (
        f"For a group of each combination make one column of them, {code}, and pass "
        f"group={quoted(new)}."
    )


def categories_advice(data: object, name: str, series: pd.Series) -> str:
    """How to code a column of text or categories of the data."""
    categories = _categories(series)
    shown = ", ".join(repr(str(value)) for value in categories[:SHOWN_CATEGORIES])
    beyond = len(categories) - SHOWN_CATEGORIES
    more = f" and {beyond} more" if beyond > 0 else ""
    if not 2 <= len(categories) <= MOST_CATEGORIES:
        return f"It has the categories {shown}{more}. Code it as numbers, or leave it out."
    made = [f"{name}_{value}" for value in categories[1:]]
    rename = {old: fit_name(old) for old in made if not is_name(old)}
    code = dummies(name)
    if series.isna().any():
        column = quoted(name)
        code = code.replace("dtype=float)", f"dtype=float).where(data[{column}].notna())")
    if rename:
        pairs = ", ".join(f"{quoted(old)}: {quoted(new)}" for old, new in rename.items())
        code = f"{code[:-1]}.rename(columns={{{pairs}}}))"
    columns = [rename.get(each, each) for each in made]
    if library(data) != "pandas":
        code = hint(IS, data, name, n=quoted(columns[0]), v=quoted(str(categories[1])))
        code = f"{code} and so on" if code and len(columns) > 1 else code
        code = code or f"{columns[0]} of {str(categories[1])!r} and so on"
    names = " + ".join(columns[:SHOWN_CATEGORIES])
    return (
        f"It has the categories {shown}{more}. Make 0/1 columns of them, {code}, and write {names} "
        f"in place of {name} in the model ({str(categories[0])!r} is the reference)."
    )


def has_categories(series: pd.Series) -> bool:
    """Whether its values are so few that 0/1 columns may stand for them."""
    return 2 <= len(_categories(series)) <= MOST_CATEGORIES


def _categories(series: pd.Series) -> list[Any]:
    if isinstance(series.dtype, pd.CategoricalDtype):
        return list(series.dtype.categories)
    return sorted(series.dropna().unique().tolist(), key=str)


def time_advice(data: object, name: str, dates: bool) -> str:
    """How to make numbers of dates, or else of durations."""
    if dates:
        days = hint(DAYS, data, name) or "the days since the first of them"
        return f"Turn them into a number with a unit, e.g. {days}."
    return f"Use {hint(SECONDS, data, name) or 'seconds'} or another unit."


def stored_as_text(data: object, name: str) -> str:
    """What to do with a column of text in which all are numbers."""
    code = hint(NUMBERS, data, name)
    return f"These are numbers stored as text: {f'use {code}' if code else 'make them numbers'}."


def others_stored_as_text(data: object, name: str) -> str:
    """The same, of the values that are not shown."""
    code = hint(NUMBERS_OR_MISSING, data, name)
    return (
        "The rest are numbers stored as text: correct these values, or make them missing"
        f"{code and f' with {code}'}."
    )


def number_advice(data: object, name: str, values: NDArray) -> str:
    """For text in which numbers have commas; nothing for other text."""
    texts = [str(value) for value in values[:1000]]
    decimal = all(re.fullmatch(_COMMAS, text) for text in texts)
    thousands = all(re.fullmatch(_THOUSANDS, text) for text in texts)
    if not texts or not (decimal or thousands):
        return ""
    as_decimal = _read_or_mend(data, name, "decimal commas", 'decimal=",", sep=";"', ".")
    as_thousands = _read_or_mend(data, name, "commas between thousands", 'thousands=","', "")
    if decimal and thousands:
        return f"These are numbers with commas: {as_decimal}; {as_thousands}."
    return f"These are numbers as text: {as_decimal if decimal else as_thousands}."


def _read_or_mend(data: object, name: str, what: str, how: str, to: str) -> str:
    """Of a file read by pandas; else in the data."""
    code = hint(PUNCTUATION, data, name, to=to)
    if library(data) != "pandas":
        return f"with {what} use {code}" if code else f"{what} are to be {to or 'left out'}"
    column = f"data[{quoted(name)}]"
    return f"with {what} read the file by pandas.read_csv(…, {how}), or {column} = {code}"


def absent(columns: Iterable[Any], name: str, needed_by: str) -> str:
    """What to say of a column that is not among these; `needed_by` opens it."""
    there = list(columns)
    hint = unsplit(there) or nearest(name, (c for c in there if isinstance(c, str)))
    return f"{needed_by} {name!r}, which is not a column of the data.{hint}"
