"""`lmm` of three levels: a formula with clusters within clusters becomes a `NestedResult`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsem.api.steps import warn_of_lone_values
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlsem.results.nested.result import Refit
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
    parsed: MixedFormula,
    data: Any,
    settings: Settings,
    options: Mapping[str, Any],
    refit: Refit,
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
    return _finished(read, settings, Source.of(data), refit)


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


def _finished(read: NestedData, settings: Settings, source: Source, refit: Refit) -> NestedResult:
    estimates = estimate_nested(read, settings)
    if not estimates.converged:
        message = unreached(estimates)
        if settings.on_failure == "raise":
            raise ConvergenceError(message)
        warn(message, ConvergenceWarning)
    return nested_result(estimates, source, refit)


def finished_again(fit: NestedResult, settings: Settings, start: object) -> NestedResult:
    """The same rows by other settings."""
    if start is not None or settings.starts:
        raise OptionValueError(f"start=: {_NOT_HERE['start']}. Leave it out.")
    return _finished(fit._estimates.data, settings, fit._source, fit._refit)
