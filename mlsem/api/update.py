"""What `FitResult.update` does: a changed model, or the same of other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from mlsem.api.steps import (
    OF_DATA,
    SAMPLED,
    Rows,
    beside_model,
    finish,
    groups_of,
    modelling,
    names_in,
    parsed,
    remarked,
    reread,
    rows_of,
    table_of,
)
from mlsem.core.quiet import quiet
from mlsem.data.kept import are_moments
from mlsem.data.moments.bases import data_names
from mlsem.errors import OptionValueError
from mlsem.estimation.keywords import ELSEWHERE
from mlsem.estimation.settings import SETTING_NAMES
from mlsem.model.options import split_options
from mlsem.parallel.progress import showing
from mlsem.results.recipe import Recipe
from mlsem.results.result import FitResult


@quiet
def updated(fit: FitResult, model: object, data: object, changes: Mapping[str, Any]) -> FitResult:
    """What `FitResult.update` returns."""
    from mlsem.data.moments.again import record_of  # for few programs, as the language
    from mlsem.model.fragments import extended_text

    recipe, record = fit._recipe, fit._record
    assert recipe is not None
    if are_moments(data):
        from mlsem.api.from_moments import with_moments

        named = changes.get("cluster")
        cluster, changes = with_moments(data, named, changes)  # type: ignore[arg-type]
        changes = {**changes, "cluster": cluster}
    keywords, rest = split_options(
        changes, (*ELSEWHERE, "cluster", *SETTING_NAMES), ("model", "data")
    )
    for name in (*OF_DATA, "missing", "se_cluster", *SAMPLED):
        if data is None and name in rest:
            raise OptionValueError(
                f"{name}= says how data are read, and a fit does not keep them: pass data=…, too."
            )
    known = record.clusters or (None if fit.settings.se_cluster else record.robust.name)
    cluster, center = rest.pop("cluster", known), rest.pop("center", None)
    labels = tuple(each.label for each in fit.table.groups)
    group = rest.pop("group", getattr(record, "column", None))
    asked = rest.pop("group_label", labels if group and "group" not in changes else None)
    start, progress = rest.pop("start", None), rest.pop("progress", None)
    auxiliary = rest.pop("auxiliary", fit.table.auxiliary or None)
    settings, chosen = replace(fit.settings, **rest), replace(recipe.options, **keywords)
    settings, chosen = modelling(settings, chosen, keywords)
    if model is not None and not isinstance(model, str):
        raise OptionValueError(f"model={model!r}: it takes a text; one that begins with '+' adds.")
    text = fit.model if model is None else extended_text(fit.model, model, fit.table)
    syntax = parsed(text, data)
    columns = None if data is None else names_in(data)
    if data is not None:
        labels = groups_of(syntax, data, group, asked)
    table = remarked(table_of(syntax.text, chosen, columns, labels))
    table = beside_model(table, auxiliary, settings, chosen, data, cluster, fit.table)
    if data is None:
        record = record_of(table, record, fit.table)
    else:
        if center is None:
            center = {name: how for name, how, _ in record.centered if name in data_names(table)}
        record = rows_of(syntax, table, data, settings, cluster, group, center)
    again = Recipe(chosen, updated)
    rows = Rows(data, cluster, partial(reread, syntax, table, settings, cluster, group, center))
    with showing(progress):
        return finish(syntax.text, settings, table, record, start, again, rows=rows)
