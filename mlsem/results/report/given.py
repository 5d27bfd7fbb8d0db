"""What the rows of the data say beyond the moments that a fit keeps: distributions and gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.data.moments.bases import data_names
from mlsem.data.moments.gaps import LevelGaps, level_gaps
from mlsem.data.table.columns import missing_in, numeric, require_column
from mlsem.data.table.frame import column_names, numeric_names
from mlsem.data.table.grouping import group, ungrouped
from mlsem.errors import DataError
from mlsem.report.figures.distributions import Distribution, distributions
from mlsem.report.figures.patterns import PatternPanel, patterns
from mlsem.report.page.picture import picture
from mlsem.report.page.records import Column, Part, Table

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.results.report.context import Context

FEW = 12  # distinct whole numbers that have a bar each
BINS = 20
PANELS = 24  # variables that are drawn
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Given:
    """The values of a column: of each row, or of level 2 of each cluster, as far as observed."""

    name: str
    level: int
    values: Array
    missing: int


@quiet
def given_parts(context: Context) -> Iterator[Part]:
    """A table and figures of the data; nothing where none are given."""
    data = context.data
    if data is None:
        return
    levels, columns = _levels(context, data), given_columns(context, data)
    if not columns:
        raise DataError("no variable of the model is a column of numbers in the data.")
    yield _table(context, columns)
    panels = [_distribution(context, each) for each in columns[:PANELS] if len(each.values)]
    more = len(columns) - len(panels)
    rest = f" {more} more are left out." if more > 0 else ""
    yield picture(
        distributions(panels),
        "A histogram of each variable. The table above has their quartiles.",
        f"Distributions of the variables in the data; of level 2 each cluster counts once.{rest}",
    )
    if any(len(level.counts) > 1 for level in levels):
        yield picture(
            patterns([_panel(context, level, len(levels)) for level in levels if level.variables]),
            "Rows of tiles, one for each pattern of missing values, the most frequent above.",
            "Which variables are missing together; red tiles are missing.",
        )


def given_columns(context: Context, data: pd.DataFrame) -> list[Given]:
    """Those that the model needs, of level 1 first."""
    levels = _levels(context, data)
    return [each for level in levels for each in _columns(data, level, context)]


def _levels(context: Context, data: pd.DataFrame) -> tuple[LevelGaps, ...]:
    """Gaps of the columns that the model needs; of a formula of those that it names."""
    table, record = context.fit.table, context.fit._record
    wanted = data_names(table)
    if context.mixed:
        there = set(numeric_names(data))
        wanted = {name: words for name, words in wanted.items() if name in there}
    clusters = (
        ungrouped(len(data), None) if record.cluster is None else group(data, record.cluster, None)
    )
    return level_gaps(data, wanted, clusters, None if context.mixed else table)


def _columns(data: pd.DataFrame, level: LevelGaps, context: Context) -> Iterator[Given]:
    cluster = context.fit._record.cluster
    for name in level.variables:
        column: Any = require_column(data, name, "the model names")
        there = ~missing_in(column)
        if level.number == 2 and cluster in column_names(data):
            column = column[there].groupby(data[cluster][there], sort=False).first()
            there = ~missing_in(column)
        values = numeric(data, column[there], name).astype(np.float64)
        count = level.n_units if level.number == 2 else len(column)
        yield Given(name, level.number, values, count - len(values))


def _table(context: Context, columns: list[Given]) -> Table:
    heads = [Column("Variable", "name"), Column("N", "count"), Column("Missing", "share")]
    heads += [Column(each) for each in ("Least", "Quartile 1", "Median", "Quartile 3", "Largest")]
    if context.two_level:
        heads.insert(1, Column("Level", "count"))
    rows = []
    for each in columns:
        count, values = len(each.values), each.values
        cells: list[Any] = [context.variable(each.name)]
        cells += [each.level] if context.two_level else []
        cells += [count, each.missing / (count + each.missing) if count + each.missing else None]
        cells += np.quantile(values, QUANTILES).tolist() if count else [None] * len(QUANTILES)
        rows.append(tuple(cells))
    note = "Of all rows of the data, also of those that the fit left out; as they are there."
    return Table("Distributions in the data", tuple(heads), tuple(rows), note)


def _distribution(context: Context, given: Given) -> Distribution:
    distinct = np.unique(given.values[np.isfinite(given.values)])
    if len(distinct) <= FEW and (distinct == np.round(distinct)).all():
        edges = np.arange(distinct[0] - 0.5, distinct[-1] + 1.0)
        if len(edges) > 4 * FEW:
            edges = np.linspace(distinct[0], distinct[-1], BINS + 1)
    else:
        edges = np.linspace(distinct[0], distinct[-1], BINS + 1)
    counts, _ = np.histogram(given.values, edges)
    units = "clusters" if given.level == 2 else "rows"
    name = context.labels.variable(given.name)
    return Distribution(name, units, edges.tolist(), counts.tolist())


def _panel(context: Context, level: LevelGaps, count: int) -> PatternPanel:
    return PatternPanel(
        f"level {level.number}" if count > 1 else "",
        "rows" if level.number == 1 else "clusters",
        [context.labels.variable(name) for name in level.variables],
        level.patterns.tolist(),
        level.counts.tolist(),
    )
