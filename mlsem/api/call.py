"""What a call of `fit` asks for, and its answer: a fit of the data, which may have been read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mlsem.api.reading import Reading
from mlsem.api.steps import (
    Clusters,
    Rows,
    beside_model,
    finish,
    groups_of,
    is_query,
    met,
    modelling,
    names_in,
    one_column,
    parsed,
    remarked,
    reread,
    rows_in,
    rows_of,
    summed_of,
    table_of,
    warn_of_lone_values,
)
from mlsem.api.update import updated
from mlsem.data.kept import are_moments
from mlsem.data.moments.bases import data_names
from mlsem.estimation.keywords import ELSEWHERE
from mlsem.estimation.posed import Posed
from mlsem.estimation.settings import SETTING_NAMES, Settings
from mlsem.model.options import ModelOptions, Preset, model_options, split_options
from mlsem.model.table import ParameterTable
from mlsem.parallel.progress import showing
from mlsem.results.recipe import Recipe
from mlsem.results.result import FitResult
from mlsem.syntax.nodes import ModelSyntax

if TYPE_CHECKING:
    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.data.moments.groups import GroupedRecord

NAMED = ("model", "data", "cluster")  # parameters, for which a keyword may be a slip, too


@dataclass(frozen=True, slots=True)
class Given:
    """What the keywords of `fit` say."""

    settings: Settings
    options: ModelOptions
    group: Any
    group_label: Any
    center: Any
    auxiliary: Any
    start: Any
    progress: Any


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What a call of `fit` asks for, of data with such columns.

    Attributes
    ----------
    syntax : ModelSyntax
    table : ParameterTable
    how : Given
        The keywords.
    cluster : str, sequence of two str, or None
    """

    syntax: ModelSyntax
    table: ParameterTable
    how: Given
    cluster: Clusters

    @property
    def read(self) -> Hashable:
        """Calls that have it in common read the same of the same data."""
        how = self.how
        settings = how.settings
        names = (self.cluster, settings.se_cluster, how.group)
        known = map(_known, names)
        return self.table, settings.missing, settings.sampling, repr(how.center), *known


def _known(name: object) -> Hashable:
    """What tells names of columns apart; of what is none of these, and refused, which it is."""
    if isinstance(name, list | tuple) and all(isinstance(each, str) for each in name):
        return tuple(name)
    return name if isinstance(name, str | None) else id(name)


def called(
    preset: Preset, model: str, data: Any, cluster: Clusters, options: Mapping[str, Any]
) -> tuple[Call, Any]:
    """What a call asks for, and its data as the roads from here take them.

    Raises
    ------
    MlsemError
        The model, the keywords, or names that the data do not have.
    """
    if are_moments(data):
        from mlsem.api.from_moments import with_moments

        cluster, options = with_moments(data, one_column(cluster), options)
    how = read_keywords(preset, options)
    if not are_moments(data):
        needs_rows = how.settings.kind().sandwich or how.settings.se_cluster
        summed = cluster is not None or not needs_rows
        data = rows_in(data, model, cluster, options, summed=summed)
    syntax = parsed(model, data)
    labels = groups_of(syntax, data, how.group, how.group_label)
    table = remarked(table_of(syntax.text, how.options, names_in(data), labels))
    warn_of_lone_values(data_names(table), data)
    if is_query(data):
        with showing(how.progress):
            data = summed_of(data, syntax, table, how.settings, cluster, how.group, how.auxiliary)
    table = beside_model(table, how.auxiliary, how.settings, how.options, data, cluster)
    return Call(syntax, table, how, cluster), data


def answered(call: Call, data: Any, reading: Reading) -> FitResult:
    """The fit that a call asks for, of data that may have been read for others."""
    how, table = call.how, call.table
    with showing(how.progress):
        record = record_in(call, data, reading)
        recipe = Recipe(how.options, updated)
        again = call.syntax, table, how.settings, call.cluster, how.group, how.center
        rows = Rows(data, call.cluster, partial(reread, *again))
        text, settings = call.syntax.text, how.settings
        return finish(text, settings, table, record, how.start, recipe, reading, rows)


def record_in(call: Call, data: Any, reading: Reading) -> DataRecord | GroupedRecord:
    """What a call needs of data."""
    how = call.how
    given = call.syntax, call.table, data, how.settings, call.cluster, how.group, how.center
    return reading.once(call.read, lambda: rows_of(*given))


def posed_in(call: Call, data: Any, reading: Reading) -> Posed:
    """The model of a call met with data."""
    return met(call.table, record_in(call, data, reading), reading)


def read_keywords(preset: Preset, options: Mapping[str, Any]) -> Given:
    """The keywords of `fit`, sorted by who takes them, and checked."""
    keywords, rest = split_options(options, (*ELSEWHERE, *SETTING_NAMES), NAMED)
    apart = {name: rest.pop(name, None) for name in ELSEWHERE}
    settings, chosen = modelling(Settings(**rest), model_options(preset, **keywords), keywords)
    return Given(settings, chosen, **apart)
