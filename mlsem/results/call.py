"""The call that repeats a fit: function, model, and every keyword that says something of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mlsem.data.moments.bases import data_names
from mlsem.estimation.settings import Settings
from mlsem.model.options import SEM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlsem.results.result import FitResult


@dataclass(frozen=True, slots=True)
class Call:
    """How a fit is made of its data.

    Attributes
    ----------
    function : {"fit", "lmm"}
        Of mlsem. What one of lavaan's functions fitted is repeated by `fit`.
    arguments : mapping of str to value
        Beside the data: those that are not as by default. Random starts have the seed that they
        had; starting values of the user's are not kept.
    defaults : mapping of str to value
        The others, as they were.
    columns : tuple of str
        Of the data, that are used.
    """

    function: str
    arguments: Mapping[str, Any]
    defaults: Mapping[str, Any]
    columns: tuple[str, ...]


def call_of(fit: FitResult) -> Call:
    """The call that repeats a fit on the same data."""
    mixed = fit._record.formula is not None
    pairs = _mixed(fit) if mixed else _structural(fit)
    given = {name: value for name, value, usual in pairs if value != usual}
    usual = {name: value for name, value, usual in pairs if value == usual}
    return Call("lmm" if mixed else "fit", given, usual, tuple(dict.fromkeys(_columns(fit))))


def _structural(fit: FitResult) -> list[tuple[str, Any, Any]]:
    """Keyword, value and default."""
    assert fit._recipe is not None
    record, table, settings = fit._record, fit.table, fit.settings
    cluster = record.clusters or (None if settings.se_cluster else record.robust.name)
    labels = [group.label for group in table.groups]
    return [
        ("model", fit.model, None),
        ("cluster", cluster, None),
        ("group", getattr(record, "column", None), None),
        ("group_label", labels or None, None),
        ("center", {name: how for name, how, _ in record.centered} or None, None),
        ("auxiliary", list(table.auxiliary) or None, None),
        *_settings(fit, {}),
        *(
            (each.name, _plain(getattr(fit._recipe.options, each.name)), _plain(each.default))
            for each in fields(SEM)
        ),
    ]


def _mixed(fit: FitResult) -> list[tuple[str, Any, Any]]:
    own = {"estimator": None}
    if fit.settings.kind().model_based and fit.settings.information == "expected":
        own["information"] = None  # which is what lmm takes by default
    classes = getattr(fit._record.formula, "classes", None)
    return [
        ("formula", fit.model, None),
        ("REML", fit.settings.estimator == "REML", True),
        ("residual", None if classes is None else list(classes.columns), None),
        *((name, value, usual) for name, value, usual in _settings(fit, own) if name not in own),
    ]


def _settings(fit: FitResult, without: Mapping[str, object]) -> list[tuple[str, Any, Any]]:
    values = {each.name: getattr(fit.settings, each.name) for each in fields(Settings)}
    if fit.starts is not None:
        values["seed"] = fit.starts.seed
    if fit.settings.weights is not None:
        values["weights"] = fit.settings.weights.given
    if fit.settings.replicates is not None:
        values["replicates"] = fit.settings.replicates.given
    usual = {each.name: each.default for each in fields(Settings)}
    return [(name, values[name], usual[name]) for name in values if name not in without]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _columns(fit: FitResult) -> Iterable[str]:
    record = fit._record
    if record.formula is not None:
        yield from record.formula.names
    else:
        yield from data_names(fit.table)
    for name in (record.units, record.cluster, record.robust.name, getattr(record, "column", None)):
        if name is not None:
            yield name
    if fit.settings.sampling is not None:
        yield from fit.settings.sampling.columns
