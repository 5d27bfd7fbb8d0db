"""`missing_patterns`: what is missing in a frame, and what a model's fit would use of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from mlsem.api.fit import check
from mlsem.core.quiet import quiet
from mlsem.data.frames.taking import as_pandas
from mlsem.data.moments.across import each_group
from mlsem.data.moments.bases import data_names
from mlsem.data.moments.gaps import CHUNK_ROWS, level_gaps
from mlsem.data.moments.missing import Missingness, missing_notes, settle
from mlsem.data.table.columns import (
    missing_in,
    read_rows,
    require_column,
    require_frame,
    require_one_column,
)
from mlsem.data.table.frame import numeric_names
from mlsem.data.table.grouping import group as clustered
from mlsem.data.table.grouping import ungrouped
from mlsem.data.table.groups import group_labels, group_rows
from mlsem.errors import DataError, OptionError, OptionValueError
from mlsem.estimation.keywords import GroupedKeywords, shown
from mlsem.other_programs.answering import answering
from mlsem.results.groups import by_label
from mlsem.results.missing_patterns import MissingPatterns, Used

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.data.frames.records import AnyFrame
    from mlsem.data.table.grouping import Grouping
    from mlsem.model.table import ParameterTable


@shown(GroupedKeywords)
@answering
@quiet
def missing_patterns(
    data: AnyFrame,
    model: str | None = None,
    cluster: str | None = None,
    *,
    variables: str | Sequence[str] | None = None,
    group: str | None = None,
    **options: Unpack[GroupedKeywords],
) -> Any:
    """Which values are missing, at which level, in which clusters, and which go missing together.

    Parameters
    ----------
    data : data frame or path
        Is not changed.
    model : str, optional
        A model as for `mlsem.fit`: its variables are looked at (of products the factors), and the
        result says how many rows a fit uses.
    cluster : str, optional
        Column of cluster ids; required by a model with levels. Without a model a variable is of
        level 2 if it is constant within every cluster in which it is observed.
    variables : str or sequence of str, optional
        Columns to look at where there is no model. Default: all numeric ones but `cluster`.
    group : str, optional
        Column of groups, each of which is looked at by itself; with a model as for `mlsem.fit`.
    **options
        Of the model, as for `mlsem.fit`: ``fixed_x=False`` or ``missing="fiml.x"`` keep rows that
        lack a covariate.

    Returns
    -------
    MissingPatterns
        Prints as text. `variables` and `clusters` are data frames, `patterns()` and `coverage()`
        those of a level, `plot()` is a figure. With `group` a mapping of these by the groups'
        labels, which prints, too.

    Raises
    ------
    DataError
        A column is absent or there twice; ids are missing; a model's variable is never observed.
    ModelSyntaxError, SpecificationError, OptionError, OptionValueError
        The model, or what is given with it.

    Notes
    -----
    A variable of level 2 counts as observed in a cluster of which one row has it. With
    ``missing="fiml"`` a row is used with what is observed in it, but for rows (of level 2:
    clusters) that lack a fixed covariate, and rows without any variable of level 1. That treats
    values as missing at random (Rubin, 1976): given what is observed, whether a value is missing
    must not depend on the value. No pattern can show whether that is so.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data.loc[data.index % 9 == 0, "x1"] = float("nan")
    >>> found = mlsem.missing_patterns(data, cluster="id")
    >>> found.patterns()["x1"].tolist()
    [True, False]
    """
    some = model is not None or variables is not None  # otherwise all columns are looked at
    spoken_of = (model, variables, cluster, group, options) if some else ()
    frame = require_frame(as_pandas(data, *spoken_of))
    if cluster is not None:
        require_one_column("cluster", cluster, frame)
    own = {} if group is None else {"group": group}
    table = _table(model, frame, cluster, {**options, **own})
    if table is not None and variables is not None:
        raise OptionValueError("a model says which variables there are: leave variables= out.")
    wanted = _columns(frame, variables, (cluster, group)) if table is None else {}
    if group is None:
        return _found(frame, table, wanted, cluster)
    if table is None:
        tables = dict.fromkeys(group_labels(frame, group), None)
    else:
        tables = {each.label: each.table for each in table.groups}
    split = group_rows(frame, group, tuple(tables))
    found = each_group(
        tuple(tables),
        lambda k: _found(frame.iloc[split.positions(k)], [*tables.values()][k], wanted, cluster),
    )
    return by_label(tuple(tables), found)


def _found(
    frame: pd.DataFrame,
    table: ParameterTable | None,
    wanted: dict[str, str],
    cluster: str | None,
) -> MissingPatterns:
    """Of rows of one group, the variables of its model or those that are wanted."""
    wanted = wanted if table is None else data_names(table)
    grouping = ungrouped(len(frame), None) if cluster is None else clustered(frame, cluster, None)
    levels = level_gaps(frame, wanted, grouping, table)
    gone = [missing_in(require_column(frame, name, said)) for name, said in wanted.items()]
    complete = len(frame) - int(np.logical_or.reduce(gone).sum())
    used = None if table is None else _used(table, frame, grouping, complete)
    return MissingPatterns(
        cluster=cluster,
        labels=grouping.labels,
        n_rows=len(frame),
        n_complete=complete,
        levels=levels,
        used=used,
    )


def _table(
    model: str | None, frame: pd.DataFrame, cluster: str | None, options: dict[str, Any]
) -> ParameterTable | None:
    if model is None:
        others = [name for name in options if name != "group"]
        if others:
            raise OptionError(
                f"{others[0]}= is of a model, and none is given: pass model=, or leave it out."
            )
        return None
    table = check(model, frame, cluster, **options)
    if table.two_level and cluster is None:
        raise DataError(
            'a model with two levels needs the column of cluster ids: pass cluster="...".'
        )
    return table


def _columns(
    frame: pd.DataFrame, variables: str | Sequence[str] | None, apart: Sequence[str | None]
) -> dict[str, str]:
    if variables is None:
        names = [name for name in numeric_names(frame) if name not in apart]
        if not names:
            raise DataError("the data have no numeric columns: name those to look at, variables=.")
    else:
        names = [variables] if isinstance(variables, str) else list(variables)
        if not names:
            raise OptionValueError("variables= is empty: leave it out for all numeric columns.")
    return dict.fromkeys(names, "variables= names")


def _used(table: ParameterTable, frame: pd.DataFrame, grouping: Grouping, complete: int) -> Used:
    """What fits of a model use."""
    rows = read_rows(frame, data_names(table), "fiml")
    if not rows.gaps:
        return Used(complete, rows.n_used, Missingness(), ())
    used, _, found = settle(table, rows, grouping, CHUNK_ROWS)
    notes = missing_notes(table, found, rows.n_total)
    return Used(complete, used.n_used, found, _of_fiml(notes))


def _of_fiml(notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f'missing="fiml": {note}' for note in notes)
