"""The steps from a model text and a data frame to a fit, which all of `fit`'s kin take."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, cast

from mlsem.api.reading import Reading
from mlsem.base.caching import remember
from mlsem.data.frames.records import Lazy
from mlsem.data.frames.source import source
from mlsem.data.frames.taking import taken
from mlsem.data.kept import are_moments
from mlsem.data.moments.aggregate import DataRecord, read_moments
from mlsem.data.table.columns import require_frame
from mlsem.data.table.frame import column_names
from mlsem.data.table.plausible import lone_values
from mlsem.data.table.replicates import Replicates
from mlsem.data.table.replication import replication
from mlsem.data.table.sampling import Sampling
from mlsem.data.table.weights import weighted_rows
from mlsem.errors import (
    ConvergenceError,
    ConvergenceWarning,
    DataWarning,
    ModelSyntaxError,
    ModelSyntaxWarning,
    OptionValueError,
    warn,
)
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.pose import pose
from mlsem.estimation.posed import Posed
from mlsem.estimation.remarks import complaint
from mlsem.estimation.replicates import Reread, with_replicates
from mlsem.estimation.settings import Settings
from mlsem.inference.covariance.freedom import df_method
from mlsem.model.defaults import specify
from mlsem.model.options import ModelOptions
from mlsem.model.table import ParameterTable
from mlsem.results.recipe import Recipe
from mlsem.results.result import FitResult, assemble
from mlsem.syntax.naming import text_hint
from mlsem.syntax.nodes import ModelSyntax

if TYPE_CHECKING:
    from mlsem.data.kept.moments import Moments
    from mlsem.data.moments.groups import GroupedRecord

OF_DATA = ("cluster", "center", "group", "group_label")
Clusters: TypeAlias = str | Sequence[str] | None


def one_column(cluster: Clusters) -> str | None:
    """Of models of two levels, which refuse several columns where their data are read."""
    return cast("str | None", cluster)


"""The column of cluster ids; with three levels that of level 3 and that of level 2."""
SAMPLED = ("weights", "weight_scaling", "strata", "replicates")


def names_in(data: Any) -> tuple[str, ...]:
    """Names of the columns that a model can name."""
    if are_moments(data):
        return data.variables
    return data.columns if is_query(data) else column_names(data)


def rows_in(
    data: Any, model: object, cluster: object, options: Mapping[str, Any], *, summed: bool
) -> Any:
    """The data as a pandas frame, of other kinds the columns that are spoken of; or as a query, if
    sums of its rows are all that is needed (`summed`)."""
    found = source(data) if isinstance(model, str) else data  # else the two may be in wrong order
    if found is data:
        return data
    named = (cluster, options.get("group"), options.get("se_cluster"))
    summed = summed and _are_summed(options, cluster)
    if isinstance(found, Lazy) and summed and all(isinstance(n, str | None) for n in named):
        return found
    return taken(data, found, model, cluster, dict(options))


COMPLETE_ROWS = {"none", "listwise", "error"}  # values of missing= that leave no gap


def _are_summed(options: Mapping[str, Any], cluster: object) -> bool:
    """Whether engines sum by the weights that options name: those of complete rows of a model of
    one group and two levels."""
    if options.get("strata") is not None:
        return False
    weights, missing = options.get("weights"), str(options.get("missing")).lower()
    if weights is None:
        return True
    apart = any(options.get(name) is not None for name in ("group", "replicates", "auxiliary"))
    plain = not apart and missing in COMPLETE_ROWS
    levels = isinstance(weights, Mapping) and bool({"level1", "level2"} & weights.keys())
    return plain and levels and cluster is not None


def is_query(data: object) -> TypeGuard[Lazy]:
    """Whether data are a query, whose rows an engine has."""
    return isinstance(data, Lazy)


def beside_model(
    table: ParameterTable,
    asked: object,
    settings: Settings,
    options: ModelOptions,
    data: Any,
    cluster: Clusters,
    *before: Any,
) -> ParameterTable:
    """With what `auxiliary=` names beside the model."""
    if table.three_level:
        from mlsem.api.three_levels import require_possible  # for few fits

        require_possible(asked, settings, options, data)
    if asked is None:
        return table
    from mlsem.api.auxiliary import beside  # for few fits

    return beside(table, asked, settings, options, data, one_column(cluster), *before)


def modelling(
    settings: Settings, options: ModelOptions, given: Mapping[str, Any]
) -> tuple[Settings, ModelOptions]:
    """The model that full information maximum likelihood takes: with means, which do not separate
    from the covariances where values are missing; and "fiml.x" as what it stands for, "fiml" of a
    model without fixed covariates."""
    if settings.missing not in ("fiml", "fiml.x"):
        return settings, options
    if given.get("meanstructure") is False:
        raise OptionValueError(
            f'missing="{settings.missing}" needs the means in the model, and meanstructure=False '
            "leaves them out: leave meanstructure out."
        )
    options = replace(options, meanstructure=True)
    if settings.missing == "fiml":
        return settings, options
    if given.get("fixed_x"):
        raise OptionValueError(
            'missing="fiml.x" models the covariates, and fixed_x=True conditions on them: use '
            'missing="fiml", which leaves rows out that lack a covariate, or leave fixed_x out.'
        )
    return replace(settings, missing="fiml"), replace(options, fixed_x=False)


def rows_of(
    syntax: ModelSyntax,
    table: ParameterTable,
    data: Any,
    settings: Settings,
    cluster: Clusters,
    group: str | None,
    center: Mapping[str, str] | None,
) -> DataRecord | GroupedRecord:
    """What a model needs of a data frame, or of moments."""
    if are_moments(data):
        from mlsem.api.from_moments import record_in

        record = record_in(data, table, settings, center)
        if not isinstance(record, DataRecord):
            record = _said_of_order(syntax, record, data.content.appearing)
        _warn_of_lost(record, settings)
        return record
    how: dict[str, Any] = {
        "cluster": cluster,
        "center": center,
        "missing": settings.missing or "listwise",
        "se_cluster": settings.se_cluster,
    }
    if table.three_level:
        from mlsem.data.moments.nested import read_nested  # for few fits

        record = read_nested(table, data, **how)
    elif group is None:
        record = read_moments(table, data, sampling=settings.sampling, **how)
    else:
        from mlsem.data.moments.groups import read_groups  # for few fits
        from mlsem.data.table.groups import appearing

        record = read_groups(table, data, group=group, sampling=settings.sampling, **how)
        first = appearing(require_frame(data), record.column, record.labels)
        record = _said_of_order(syntax, record, first)
    _warn_of_lost(record, settings)
    return record


def summed_of(
    query: Lazy,
    syntax: ModelSyntax,
    table: ParameterTable,
    settings: Settings,
    cluster: Clusters,
    group: str | None,
    auxiliary: object,
) -> Moments:
    """What a model needs of a query and `auxiliary=` says, in place of its rows."""
    from mlsem.api.from_query import moments_in  # with narwhals
    from mlsem.data.moments.auxiliary import auxiliary_names

    names = auxiliary_names(auxiliary) if settings.missing == "fiml" else ()
    return moments_in(query, syntax.text, table, settings, one_column(cluster), group, names)


def _warn_of_lost(record: DataRecord | GroupedRecord, settings: Settings) -> None:
    """Where rows are left out and nobody asked for it."""
    if settings.missing is None and record.lost:
        warn(record.lost, DataWarning)


def _said_of_order(
    syntax: ModelSyntax, record: GroupedRecord, first: Sequence[Hashable]
) -> GroupedRecord:
    """The record with a note on the order of the groups, where lavaan has another one and the
    elements of `c(…)` go by it."""
    from mlsem.syntax.groups import goes_by_order, order_note

    if not goes_by_order(syntax):
        return record
    first = tuple(label for label in first if label in record.labels)
    note = order_note(syntax, record.labels, first)
    return replace(record, notes=(note, *record.notes)) if note else record


def met(table: ParameterTable, record: DataRecord | GroupedRecord, reading: Reading) -> Posed:
    """A specified model met with its data, once."""
    return reading.once((table, record), lambda: pose(table, record))


def finish(
    text: str,
    settings: Settings,
    table: ParameterTable,
    record: DataRecord | GroupedRecord,
    start: object,
    recipe: Recipe | None = None,
    reading: Reading | None = None,
    rows: Rows | None = None,
) -> FitResult:
    """Estimate a specified model whose data are read; `reading` may have met them already, `rows`
    are read again by replicate weights."""
    if settings.starts and start is not None:
        raise OptionValueError(
            f"start= and starts={settings.starts}: random starts are tried beside the usual one, "
            "and start= chooses one start alone. Leave one of them out."
        )
    if settings.estimator == "REML" and record.moments.incomplete:
        raise OptionValueError(
            'estimator="REML" takes complete data: missing="fiml" goes with maximum likelihood '
            '(leave estimator out, or "MLR"; for few clusters se="CR2"), restricted maximum '
            'likelihood with missing="listwise".'
        )
    known = Reading(None) if reading is None else reading
    problem = met(table, record, known)
    df_method(problem, settings)  # refuses before the search
    if start is None:
        optimum = known.once((problem, settings.search), lambda: optimum_of(problem, settings))
    else:
        optimum = optimum_of(problem, settings, start)
    if not optimum.converged:
        message = complaint(problem, optimum, settings)
        if settings.on_failure == "raise":
            raise ConvergenceError(message)
        warn(message, ConvergenceWarning)
    estimates = Estimates(problem, settings, optimum, record)
    if settings.replicates is not None:
        estimates = _replicated(estimates, settings.replicates, rows)
    return assemble(text, estimates, recipe)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a fit, to be read again with other weights.

    Attributes
    ----------
    data : DataFrame
    cluster : str or None
    reread : function
        The record of a frame with these columns and other weights.
    """

    data: Any
    cluster: Clusters
    reread: Reread


def reread(
    syntax: ModelSyntax,
    table: ParameterTable,
    settings: Settings,
    cluster: Clusters,
    group: str | None,
    center: Mapping[str, str] | None,
    frame: Any,
    how: Sampling,
) -> DataRecord | GroupedRecord:
    """`rows_of` a frame with other weights."""
    return rows_of(syntax, table, frame, settings.sampled_by(how), cluster, group, center)


def _replicated(estimates: Estimates, replicates: Replicates, rows: Rows | None) -> Estimates:
    """With the estimates by replicate weights."""
    if rows is None or rows.data is None or are_moments(rows.data):
        raise OptionValueError(
            "replicates= weighs rows, and a fit does not keep them: pass data=…, too."
        )
    how, two_level = estimates.settings.sampling, estimates.table.two_level
    assert how is not None
    data, _ = weighted_rows(require_frame(rows.data), how, two_level=two_level)
    cluster = one_column(rows.cluster) if two_level else None
    return with_replicates(estimates, replication(replicates, data, how, cluster), rows.reread)


def parsed(model: object, data: object) -> ModelSyntax:
    if not isinstance(model, str):
        from mlsem.syntax.not_text import not_a_text

        raise OptionValueError(not_a_text(model, data))
    try:
        return _parse(model)
    except ModelSyntaxError as error:
        hint = text_hint(map(str, getattr(data, "columns", ())), model)
        if not hint or "data.rename" in error.message:
            raise
        raise ModelSyntaxError(error.message + hint, error.text, error.span) from None


def warn_of_lone_values(names: Iterable[str], data: Any, *, many: bool = True) -> None:
    """Where one plausible value is fitted and the data have others; moments have no others."""
    if are_moments(data):
        return
    said = lone_values(names, names_in(data), many=many)
    if said:
        warn(said, DataWarning)


def remarked(table: ParameterTable) -> ParameterTable:
    """The table, after the warnings about its text."""
    for remark in table.remarks:
        warn(remark, ModelSyntaxWarning)
    return table


def groups_of(syntax: ModelSyntax, data: Any, group: object, asked: object) -> tuple[Hashable, ...]:
    """The labels of the groups of a model; none where it is of one group.

    Raises
    ------
    OptionValueError, DataError
        As `mlsem.data.table.groups.group_labels`; groups are chosen of no column.
    """
    if data is None:
        from mlsem.data.table.groups import text_labels

        return text_labels(syntax.groups, asked)
    if are_moments(data):
        from mlsem.api.from_moments import labels_in

        return labels_in(data, asked)
    if group is not None and is_query(data):
        from mlsem.api.from_query import labels_in as labels_of_query

        return labels_of_query(data, str(group), asked)
    if group is not None:
        from mlsem.data.table.groups import group_labels  # for few fits

        return group_labels(require_frame(data), group, asked)
    if asked is not None:
        raise OptionValueError('group_label= chooses groups: name their column, too, group="…".')
    return ()


@remember
def table_of(
    text: str,
    options: ModelOptions,
    columns: tuple[str, ...] | None,
    groups: tuple[Hashable, ...] = (),
) -> ParameterTable:
    """Fits of one model to many data sets specify it once."""
    return specify(_parse(text), options, columns, groups=groups)


def _parse(text: str) -> ModelSyntax:
    from mlsem.syntax.parse import parse  # the language comes with the first model

    return parse(text)
