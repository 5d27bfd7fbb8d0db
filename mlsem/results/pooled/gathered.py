"""Fits that are to be pooled: whether they can be, and what they are together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from mlsem.core.records import Array, Index, frozen
from mlsem.errors import (
    DataWarning,
    EstimationError,
    EstimationWarning,
    InferenceError,
    OptionValueError,
    listed,
    nearest,
    warn,
)
from mlsem.inference.pooling.rules import PooledDf
from mlsem.model.table import ParameterTable
from mlsem.results.result import FitResult
from mlsem.results.tables import row_values

if TYPE_CHECKING:
    from mlsem.estimation.estimates import GroupEstimates

FAILED = 0.2  # share of fits that did not converge above which nothing is pooled
NOTES = 8  # of single data sets, that are shown

Alike = tuple[tuple[str, object], ...]
"""What is the same in all fits: in words, and its value."""


@dataclass(frozen=True, eq=False)
class PooledEstimates:
    """Estimates of several fits as those of one (see `mlsem.inference.estimated`).

    Attributes
    ----------
    each : tuple
        The estimates of every fit.
    params : (npar,)
        θ̄.
    rows : (rows,)
        Of the table, the mean over fits.
    """

    each: tuple[Any, ...]
    params: Array
    rows: Array
    converged: bool = True

    @property
    def table(self) -> ParameterTable:
        return self.each[0].table

    @property
    def names(self) -> tuple[str, ...]:
        return self.table.names

    @property
    def free(self) -> Array:
        return self.each[0].free

    @property
    def cluster_labels(self) -> NDArray[Any]:
        return self.each[0].cluster_labels

    @property
    def weighted(self) -> bool:
        """Whether rows or clusters have sampling weights."""
        return False


@dataclass(frozen=True, slots=True, eq=False)
class PooledGroup:
    """One group in all data sets (see `mlsem.inference.estimated`).

    Attributes
    ----------
    each : tuple of GroupEstimates
    params : (m,)
        Its own parameters, of θ̄.
    """

    each: tuple[GroupEstimates, ...]
    params: Array

    @property
    def label(self) -> Hashable:
        return self.each[0].label

    @property
    def number(self) -> int:
        return self.each[0].number

    @property
    def places(self) -> Index:
        return self.each[0].places

    @property
    def table(self) -> ParameterTable:
        return self.each[0].table


@dataclass(frozen=True, eq=False)
class PooledModels(PooledEstimates):
    """The same of structural equation models."""

    @classmethod
    def of(cls, fits: Sequence[FitResult]) -> PooledModels:
        """The means over fits."""
        return cls(
            each=tuple(fit._estimates for fit in fits),
            params=frozen(np.mean([fit.estimates for fit in fits], axis=0)),
            rows=frozen(np.mean([row_values(fit._estimates) for fit in fits], axis=0)),
        )

    @property
    def record(self) -> Any:
        """What was read of the first data set."""
        return self.each[0].record

    @property
    def weighted(self) -> bool:
        return self.record.weighted is not None

    @cached_property
    def groups(self) -> tuple[PooledGroup, ...]:
        """Those of each group; of one group itself."""
        every = zip(*(one.groups for one in self.each), strict=True)
        return tuple(PooledGroup(each, self.params[each[0].places]) for each in every)


# --- what is asked for ----------------------------------------------------------------------------


def require_df(df: object, complete_df: float | None) -> None:
    """Refuse degrees of freedom that there are not."""
    kinds = get_args(PooledDf)
    if df not in kinds:
        raise OptionValueError(
            f"df={df!r}: it takes one of {listed(kinds)}.{nearest(str(df), kinds)}"
        )
    if complete_df is None:
        return
    number = isinstance(complete_df, (int, float, np.number)) and not isinstance(complete_df, bool)
    if not number or not complete_df > 0:
        raise OptionValueError(
            f"complete_df={complete_df!r}: it takes a positive number, the degrees of freedom that "
            "a data set without missing values would have (such as the number of clusters less "
            "1)."
        )


def read_nests(nested: Iterable[Hashable] | None, fits: Sequence[Any]) -> tuple[Index, ...]:
    """Which fits belong together, in the order in which they come; none where nothing is nested."""
    if nested is None:
        return ()
    labels = [nested] if isinstance(nested, (str, bool, int)) else list(nested)
    if len(labels) != len(fits):
        raise OptionValueError(
            f"nested= has {len(labels)} values, and there are {len(fits)} fits: it takes for each "
            "fit the outer data set that it belongs to, such as nested=[1, 1, 2, 2]."
        )
    counts = Counter(labels)
    if len(counts) < 2 or len(set(counts.values())) > 1:
        found = ", ".join(f"{label!r}: {count}" for label, count in list(counts.items())[:10])
        raise OptionValueError(
            f"nested= takes two or more outer data sets with as many fits each, and has {found}."
        )
    return tuple(
        np.array([k for k, each in enumerate(labels) if each == label]) for label in counts
    )


# --- which fits go together -----------------------------------------------------------------------


def require_fits(given: object, kind: type) -> tuple[Any, ...]:
    """The fits, of which there are several, of one kind."""
    if not isinstance(given, Iterable) or isinstance(given, (str, Mapping)):
        raise OptionValueError("pool takes a list of fits: pool([fit1, fit2, …]).")
    fits = tuple(given)
    for k, fit in enumerate(fits, 1):
        if not isinstance(fit, kind):
            raise OptionValueError(
                f"fit {k} is a {type(fit).__name__}; it takes a {kind.__name__}."
            )
    if len(fits) < 2:
        raise OptionValueError(
            f"pool takes two fits or more, of one model to several data sets, and got {len(fits)}."
        )
    return fits


def require_alike(fits: Sequence[Any], how: Sequence[Alike]) -> None:
    """Refuse fits that are not of one model to data sets of the same rows, made alike.

    Raises
    ------
    InferenceError
    """
    first = fits[0]
    for k, (fit, own) in enumerate(zip(fits[1:], how[1:], strict=True), 2):
        _require_same_parameters(first.table, fit.table, k)
        for (what, one), (_, other) in zip(how[0], own, strict=True):
            if one != other:
                raise InferenceError(
                    f"fits 1 and {k} have different {what}, {one} and {other}: fit all data sets "
                    "alike."
                )
        for what, one, other in (
            ("rows", first.n_obs, fit.n_obs),
            ("clusters", first.n_clusters, fit.n_clusters),
        ):
            if one != other:
                raise InferenceError(
                    f"fits 1 and {k} used {one} and {other} {what}: data sets that are pooled are "
                    "the same units with other imputed values. Look for values that are still "
                    "missing, or for rows that are selected by an imputed value."
                )


def sampled(fit: FitResult) -> str:
    """How rows count, in words; the columns may have other names in each data set."""
    weights, strata = fit.settings.weights, "" if fit.settings.strata is None else " by strata"
    if weights is None:
        return f"none{strata}"
    scaling = f" ({fit.settings.weight_scaling or 'cluster'})" if weights.scaled else ""
    return f"{' and '.join(weights.named)}{scaling}{strata}"


def _require_same_parameters(one: ParameterTable, other: ParameterTable, k: int) -> None:
    if one.names == other.names and _shape(one) == _shape(other):
        return
    mine, theirs = (
        [name for name in first.names if name not in second.names]
        for first, second in ((one, other), (other, one))
    )
    differ = " and ".join(
        f"{listed(names)} {'is' if len(names) == 1 else 'are'} only in fit {number}"
        for number, names in ((1, mine), (k, theirs))
        if names
    )
    raise InferenceError(
        f"fits 1 and {k} are of different models: {differ or 'their rows differ'}. Fit one model "
        "to all data sets; a variable has the same name in all of them (of plausible values "
        "mlsem.fit_many(…, plausible={…}) sees to that)."
    )


def _shape(table: ParameterTable) -> list[tuple[Any, ...]]:
    return [(row.lhs, row.op, row.rhs, row.level, row.group, row.free) for row in table.rows]


def converged_ones(fits: Sequence[Any], nested: bool) -> tuple[Any, ...]:
    """Those that converged, of which there are enough; a warning counts the others.

    Raises
    ------
    EstimationError
        Too many did not converge; of nested ones, one.
    """
    found = tuple(fit for fit in fits if fit.converged)
    lost = [k for k, fit in enumerate(fits, 1) if not fit.converged]
    if not lost:
        return found
    said = f"{len(lost)} of {len(fits)} fits did not converge (number {', '.join(map(str, lost))})"
    why = " ".join(fits[lost[0] - 1].notes)
    reason = f" Number {lost[0]}: {why}" if why else ""
    if nested:
        raise EstimationError(f"{said}, and nested ones are pooled only where all did.{reason}")
    if len(lost) > FAILED * len(fits) or len(found) < 2:
        raise EstimationError(
            f"{said}: more than {FAILED:.0%} are not left out, for those that remain would be no "
            f"sample of the imputations. A simpler model may do.{reason}"
        )
    warn(f"{said} and are left out.", EstimationWarning)
    return found


def warn_of_sameness(fits: Sequence[Any]) -> None:
    """Where two data sets gave the very same estimates."""
    for k, fit in enumerate(fits[1:], 1):
        for j in range(k):
            if np.array_equal(fits[j].estimates, fit.estimates):
                warn(
                    f"fits {j + 1} and {k + 1} have exactly the same estimates: do their data sets "
                    "differ in the imputed values of this model?",
                    DataWarning,
                )
                return


def notes_of(fits: Sequence[Any], lost: int) -> tuple[str, ...]:
    """Notes of the fits, each once."""
    counts = Counter(note for fit in fits for note in dict.fromkeys(fit.notes))
    of_all = [note for note, count in counts.items() if count == len(fits)]
    of_some = [
        f"in {count} of {len(fits)} data sets: {note}"
        for note, count in counts.items()
        if count < len(fits)
    ]
    if len(of_some) > NOTES:
        of_some = [*of_some[:NOTES], f"{len(of_some) - NOTES} other notes of single data sets."]
    left = [f"{lost} fits that did not converge are left out."] if lost else []
    return (*left, *of_all, *of_some)
