"""`lmm` of three levels: a formula with clusters within clusters becomes a `NestedResult`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsem.api.steps import SAMPLED, warn_of_lone_values
from mlsem.core.quiet import quiet
from mlsem.data.design.nested import NestedData, read_nested
from mlsem.data.frames.source import source as source_of
from mlsem.data.frames.taking import taken
from mlsem.errors import (
    ConvergenceError,
    ConvergenceWarning,
    DataWarning,
    OptionValueError,
    warn,
)
from mlsem.estimation.nested import estimate_nested, unreached
from mlsem.estimation.settings import Settings
from mlsem.results.mixed.source import Source
from mlsem.results.nested.result import NestedResult, nested_result, refuse_replicates
from mlsem.syntax.mixed import changed_formula, read_formula

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlsem.syntax.mixed import MixedFormula

_NOT_HERE = {
    "weights": "sampling weights go with two levels",
    "strata": "strata go with sampling weights and two levels",
    "replicates": "replicate weights go with two levels",
    "start": "the search of three levels starts from the data, and needs no other start",
    "starts": "the search of three levels starts from the data, and needs no other start",
    "residual": "residual variances that differ between groups go with two levels",
}


def lmm_nested(
    parsed: MixedFormula, data: Any, settings: Settings, options: Mapping[str, Any]
) -> NestedResult:
    """See `mlsem.api.lmm.lmm`.

    Raises
    ------
    OptionValueError
        An option that there is with two levels only.
    """
    for name, why in _NOT_HERE.items():
        if options.get(name):
            raise OptionValueError(
                f"{name}= with the clusters within clusters of {parsed.text!r}: {why}. Leave it "
                f"out, or fit two levels, '(1 | {parsed.factors[0].columns[0]})'."
            )
    refuse_replicates(settings)
    frame = taken(data, source_of(data), parsed.text, dict(options))
    read = read_nested(parsed, frame, settings.missing or "listwise")
    _check_robust(read, settings.se_cluster)
    warn_of_lone_values(read.recipe.names, frame)
    if settings.missing is None and read.lost:
        warn(read.lost, DataWarning)
    return _finished(read, settings, Source.of(data))


def _check_robust(read: NestedData, se_cluster: object) -> None:
    outer, inner = read.groups.names
    if se_cluster in (None, outer):
        return
    raise OptionValueError(
        f"se_cluster={se_cluster!r}: robust standard errors of three levels sum over the clusters "
        f"of {outer!r}, which the model takes for independent"
        + (f"; those of {inner!r} are not. " if se_cluster == inner else ". ")
        + "Leave se_cluster out."
    )


def _finished(read: NestedData, settings: Settings, source: Source) -> NestedResult:
    estimates = estimate_nested(read, settings)
    if not estimates.converged:
        message = unreached(estimates)
        if settings.on_failure == "raise":
            raise ConvergenceError(message)
        warn(message, ConvergenceWarning)
    return nested_result(estimates, source, updated_nested)


@quiet
def updated_nested(
    fit: NestedResult, formula: object, data: object, changes: Mapping[str, Any]
) -> Any:
    """What `update` gives of a fit: of the same formula by what the fit knows of its rows, of
    another one by its data frame or another."""
    from mlsem.api.lmm import kept_options, lmm, settings_of

    changes = dict(changes)
    if "estimator" in changes:
        raise OptionValueError("estimator: lmm takes REML=True or REML=False in its place.")
    REML = changes.pop("REML", fit.settings.estimator == "REML")
    if formula is not None and not isinstance(formula, str):
        raise OptionValueError(f"model={formula!r}: it takes a formula, or a part that is added.")
    text = fit.model if formula is None else changed_formula(fit.model, formula)
    read_formula(text)
    kept = kept_options(fit.settings, changes)
    own = ("missing", "se_cluster", *SAMPLED)
    if text == fit.model and data is None and not any(name in changes for name in own):
        settings, start, _ = settings_of(REML, kept)
        if start is not None or settings.starts:
            raise OptionValueError(f"start=: {_NOT_HERE['start']}. Leave it out.")
        return _finished(fit._estimates.data, settings, fit._source)
    frame = fit._source.rows(
        fit._estimates, data, "update with another formula", *fit._columns_named, text
    )
    return lmm(text, frame, REML, **kept)
