"""Code that mends a column, in the words of the library whose frame a user gave.

A message shows it where that is one line; of other libraries it says the same in plain words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlsem.data.frames.origin import given_as
from mlsem.syntax.naming import quoted

NUMBERS = {
    "pandas": "pandas.to_numeric(data[{c}])",
    "polars": "polars.col({c}).cast(polars.Float64)",
    "pyarrow": 'data[{c}].cast("float64")',
    "duckdb": "CAST({s} AS DOUBLE)",
    "ibis": 'data[{c}].cast("float64")',
    "dask": "dask.dataframe.to_numeric(data[{c}])",
    "pyspark": 'data[{c}].cast("double")',
}
"""Text as numbers."""

NUMBERS_OR_MISSING = {
    "pandas": 'pandas.to_numeric(data[{c}], errors="coerce")',
    "polars": "polars.col({c}).cast(polars.Float64, strict=False)",
    "duckdb": "TRY_CAST({s} AS DOUBLE)",
    "ibis": 'data[{c}].try_cast("float64")',
    "dask": 'dask.dataframe.to_numeric(data[{c}], errors="coerce")',
    "pyspark": 'data[{c}].try_cast("double")',
}
"""The same; missing what is no number."""

PUNCTUATION = {
    "pandas": 'data[{c}].str.replace(",", "{to}").astype(float)',
    "polars": 'polars.col({c}).str.replace_all(",", "{to}").cast(polars.Float64)',
    "pyarrow": 'pyarrow.compute.replace_substring(data[{c}], ",", "{to}").cast("float64")',
    "duckdb": "CAST(replace({s}, ',', '{to}') AS DOUBLE)",
    "ibis": 'data[{c}].replace(",", "{to}").cast("float64")',
    "dask": 'data[{c}].str.replace(",", "{to}").astype(float)',
    "pyspark": 'pyspark.sql.functions.translate(data[{c}], ",", "{to}").cast("double")',
}
"""Text with commas as numbers."""

DAYS = {
    "pandas": "(data[{c}] - data[{c}].min()).dt.days",
    "polars": "(polars.col({c}) - polars.col({c}).min()).dt.total_days()",
    "duckdb": "date_diff('day', DATE '2000-01-01', {s})",
    "dask": "(data[{c}] - data[{c}].min()).dt.days",
    "pyspark": 'pyspark.sql.functions.datediff(data[{c}], pyspark.sql.functions.lit("2000-01-01"))',
}
"""Dates as days."""

SECONDS = {
    "pandas": "data[{c}].dt.total_seconds()",
    "polars": "polars.col({c}).dt.total_seconds()",
    "dask": "data[{c}].dt.total_seconds()",
}
"""Durations."""

PRESENT = {
    "pandas": "data.dropna(subset=[{c}])",
    "polars": "data.drop_nulls({c})",
    "pyarrow": "data.filter(data[{c}].is_valid())",
    "duckdb": "data.filter('{s} IS NOT NULL')",
    "ibis": "data.drop_null([{c}])",
    "dask": "data.dropna(subset=[{c}])",
    "pyspark": "data.dropna(subset=[{c}])",
}
"""The rows in which it is not missing."""

NOT_BLANK = {
    "pandas": "data[data[{c}].fillna('').astype(str).str.strip() != '']",
    "polars": 'data.filter(polars.col({c}).str.strip_chars() != "")',
    "duckdb": "data.filter('length(trim({s})) > 0')",
    "ibis": 'data.filter(data[{c}].strip() != "")',
    "dask": "data[data[{c}].fillna('').astype(str).str.strip() != '']",
    "pyspark": 'data.filter(pyspark.sql.functions.trim(data[{c}]) != "")',
}
"""The same, without those in which it is blank text."""

IS = {
    "polars": "data = data.with_columns((polars.col({c}) == {v}).alias({n}))",
    "pyarrow": "data = data.append_column({n}, pyarrow.compute.equal(data[{c}], {v}))",
    "ibis": "data = data.mutate((data[{c}] == {v}).name({n}))",
    "dask": "data[{n}] = data[{c}] == {v}",
    "pyspark": "data = data.withColumn({n}, data[{c}] == {v})",
}
"""A 0/1 column of one category; pandas makes all at once."""

JOINED = {
    "pandas": ("data[{n}] = {parts}", "data[{c}].astype(str)", " + '_' + "),
    "polars": (
        'data = data.with_columns(polars.concat_str({parts}, separator="_").alias({n}))',
        "{c}",
        ", ",
    ),
    "pyarrow": (
        'data = data.append_column({n}, pyarrow.compute.binary_join_element_wise({parts}, "_"))',
        'data[{c}].cast("string")',
        ", ",
    ),
    "duckdb": ("data = data.project('''*, {parts} AS {sn}''')", "{s}", " || '_' || "),
    "ibis": ("data = data.mutate(({parts}).name({n}))", 'data[{c}].cast("string")', ' + "_" + '),
    "dask": ("data[{n}] = {parts}", "data[{c}].astype(str)", " + '_' + "),
    "pyspark": (
        "data = data.withColumn({n}, pyspark.sql.functions.concat({parts}))",
        "data[{c}]",
        ', pyspark.sql.functions.lit("_"), ',
    ),
}
"""A column of the values of several: the line, what stands for each, and what between them."""


def library(data: Any) -> str:
    """Whose frame a user gave, of which `data` may be a thin one; of paths and others no name
    that is in the tables."""
    return type(given_as(data)).__module__.partition(".")[0].lstrip("_")


def hint(table: Mapping[str, str], data: Any, name: str, **more: str) -> str:
    """The code of a table for the user's frame and a column; nothing where there is none."""
    return table.get(library(data), "").format(c=quoted(name), s=_sql(name), **more)


def joined(data: Any, names: Sequence[str], new: str) -> str:
    """The line of code that joins columns in a new one; nothing where there is none."""
    line, each, between = JOINED.get(library(data), ("", "", ""))
    parts = between.join(each.format(c=quoted(name), s=_sql(name)) for name in names)
    return line.format(parts=parts, n=quoted(new), sn=_sql(new))


def _sql(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
