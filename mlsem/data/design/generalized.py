"""The design of a generalised linear model: columns as R makes them, rows in cluster order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.generalized.families import BINOMIAL, POISSON
from mlsem.core.generalized.rows import Rows
from mlsem.core.records import frozen
from mlsem.data.design.columns import INTERCEPT, dependent, design
from mlsem.data.design.r_evaluate import Scope
from mlsem.data.design.r_values import Factor
from mlsem.data.design.remade import Recipe, recipe
from mlsem.data.design.variables import (
    check_finite,
    check_texts,
    complete_rows,
    response_of,
    spared,
)
from mlsem.data.moments.bases import SAME
from mlsem.data.table.columns import missing_in, require_column, require_frame, rows_named
from mlsem.data.table.grouping import Grouping, group, ungrouped
from mlsem.errors import DataError, SpecificationError, listed
from mlsem.syntax.r_language import deparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.generalized.families import Family
    from mlsem.core.records import Array, Index
    from mlsem.data.design.r_evaluate import Variable
    from mlsem.syntax.generalized import GlmFormula
    from mlsem.syntax.r_language import Expression


@dataclass(frozen=True, slots=True, eq=False)
class GlmData:
    """The data of a generalised linear model.

    Attributes
    ----------
    rows : Rows
        In cluster order.
    outcome : str
        The left-hand side.
    names : tuple of str
        Columns of the design.
    cluster : str or None
        The column of clusters; None where each row is one.
    labels : (J,)
        Cluster ids, in order of first appearance.
    order : (N,)
        The row of `frame` that each row is.
    frame : DataFrame
        The columns of the data that the formula takes, at the rows used.
    recipe : Recipe
        How the columns are made of other rows.
    n_total : int
    absorbed : str or None
        The column of groups whose constants were taken out.
    n_absorbed : int
        How many.
    occasions : str or None
        The column that orders rows of a cluster.
    notes : tuple of str
    lost : str
        What to say at the call of rows that are left out.
    """

    rows: Rows
    outcome: str
    names: tuple[str, ...]
    cluster: str | None
    labels: NDArray[Any]
    order: Index
    frame: pd.DataFrame
    recipe: Recipe
    n_total: int
    absorbed: str | None
    n_absorbed: int
    occasions: str | None
    notes: tuple[str, ...]
    lost: str


def read_glm(
    formula: GlmFormula,
    data: object,
    family: Family,
    cluster: str | None,
    absorb: str | None,
    order: str | None,
    missing: str,
) -> GlmData:
    """Evaluate a formula over a data frame, as R does.

    Parameters
    ----------
    absorb : str, optional
        The column of groups whose constants are taken out.
    order : str, optional
        The column of occasions, by which rows of a cluster are ordered.

    Raises
    ------
    SpecificationError
        A function that cannot be computed, or a column that `absorb` leaves nothing of.
    DataError
        A column is absent, or has values that it cannot have.
    """
    whole = require_frame(data)
    scope = Scope(whole, formula.text)
    asked = _asked(formula)
    everywhere = {name: scope.variable(name, each) for name, each in asked.items()}
    frame = _named_rows(whole, cluster, absorb, order)
    outcome = deparse(formula.outcome)
    used, variables, notes, lost = complete_rows(frame, everywhere, missing, outcome)
    if not len(used):
        raise DataError("no row has a value in every variable of the formula.")
    check_finite(used, variables.values())
    check_texts(used, {name: variables[name] for name in formula.fixed.variables}, outcome)
    response, trials = _outcome(used, formula, variables, family)
    effects = design(formula.fixed, {n: variables[n] for n in formula.fixed.variables} or variables)
    offset = np.zeros(len(used))
    for each in formula.offsets:
        offset = offset + response_of(variables[deparse(each)])
    grouping = ungrouped(len(used), None) if cluster is None else group(used, cluster, None)
    count = 0
    if absorb is not None:
        effects.pop(INTERCEPT, None)
        inner = group(used, absorb, None)
        _require_within(inner, grouping, absorb, cluster, len(used))
        effects = {name: _demeaned(inner, each) for name, each in effects.items()}
        _require_left(used, effects, variables, formula, absorb)
        response, offset, count = (
            _demeaned(inner, response - offset),
            offset * 0.0,
            len(inner.sizes),
        )
    spare = {name: effects.pop(name) for name in dependent(effects)} if effects else {}
    again = recipe(formula, scope.memory, variables, effects, spare, used)
    places, gaps = _places(used, grouping, order, cluster)
    matrix = np.empty((len(effects), len(used)))
    for row, values in zip(matrix, effects.values(), strict=True):
        row[:] = values[places]
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    return GlmData(
        rows=Rows(
            design=frozen(matrix),
            outcome=frozen(response[places]),
            offset=frozen(offset[places]),
            trials=frozen(trials[places]),
            starts=starts.astype(np.intp),
            gaps=gaps,
        ),
        outcome=formula.outcome_name,
        names=tuple(effects),
        cluster=cluster,
        labels=grouping.labels,
        order=places,
        frame=_kept(used, variables, (cluster, absorb, order)),
        recipe=again,
        n_total=len(whole),
        absorbed=absorb,
        n_absorbed=count,
        occasions=order,
        notes=notes + spared(tuple(spare)),
        lost=lost,
    )


def _asked(formula: GlmFormula) -> dict[str, Expression]:
    """Every variable, by its text."""
    found = {deparse(formula.outcome): formula.outcome}
    if formula.trials is not None:
        found[deparse(formula.trials)] = formula.trials
    return found | formula.fixed.variables | {deparse(each): each for each in formula.offsets}


def _named_rows(
    frame: pd.DataFrame, cluster: str | None, absorb: str | None, order: str | None
) -> pd.DataFrame:
    """The frame, with the columns that arguments name."""
    for what, name in (("cluster=", cluster), ("absorb=", absorb), ("order=", order)):
        if name is None:
            continue
        if not isinstance(name, str):
            raise DataError(f"{what}{name!r}: it takes the name of a column.")
        gap = missing_in(require_column(frame, name, f"{what} names"))
        if gap.any() and what != "cluster=":
            raise DataError(f"{name!r} is missing in {rows_named(frame, gap)}.")
    return frame


def _kept(
    frame: pd.DataFrame, variables: Mapping[str, Variable], named: Iterable[str | None]
) -> pd.DataFrame:
    """The columns of the formula and those that arguments name."""
    names = dict.fromkeys(name for each in variables.values() for name in each.columns)
    names |= dict.fromkeys(name for name in named if name is not None)
    kept: Any = frame.loc[:, [name for name in names if name in frame.columns]]
    return kept.reset_index(drop=True)


# --- outcomes -------------------------------------------------------------------------------------


def _outcome(
    frame: pd.DataFrame, formula: GlmFormula, variables: Mapping[str, Variable], family: Family
) -> tuple[Array, Array]:
    """y and the trials, (N,) each; of a share y is the share."""
    name = deparse(formula.outcome)
    if isinstance(variables[name].values, Factor):
        raise DataError(
            f"the outcome {name!r} is text: make it 0 and 1, e.g. "
            f'data["{name}"] = (data["{name}"] == "yes").astype(int).'
        )
    values = response_of(variables[name])
    if formula.trials is None:
        _check_outcome(frame, name, values, family)
        return values, np.ones(len(values))
    if family is not BINOMIAL:
        raise SpecificationError(
            f'prop() is of family="binomial", and the family is {family.name!r}.'
        )
    trials = response_of(variables[deparse(formula.trials)])
    wrong = (trials < 1) | (trials % 1 != 0) | (values < 0) | (values > trials) | (values % 1 != 0)
    if wrong.any():
        raise DataError(
            f"{formula.outcome_name}: {rows_named(frame, wrong)} have no whole number of successes "
            "between 0 and the number of trials (at least 1)."
        )
    return values / trials, trials


def _check_outcome(frame: pd.DataFrame, name: str, values: Array, family: Family) -> None:
    if family is BINOMIAL:
        wrong = (values != 0.0) & (values != 1.0)
        if wrong.any():
            there = np.unique(values)
            two = len(there) == 2
            shown = listed([f"{each:g}" for each in there[:5]])
            raise DataError(
                f"the outcome {name!r} is not 0 or 1 in {rows_named(frame, wrong)}: its values are "
                f"{shown}{', …' if len(there) > 5 else ''}. "
                + (
                    f'Recode it, (data["{name}"] == {there[1]:g}).astype(int).'
                    if two
                    else 'Counts of successes are prop(y, n), other counts family="poisson".'
                )
            )
        if values.min() == values.max():
            raise DataError(
                f"the outcome {name!r} is {values[0]:g} in all {len(values)} rows: there is "
                "nothing to explain."
            )
    elif family is POISSON:
        wrong = values < 0.0
        if wrong.any():
            raise DataError(
                f"the outcome {name!r} is negative in {rows_named(frame, wrong)}, which no count "
                'is: correct it, or take family="gaussian".'
            )
        if not values.any():
            raise DataError(f"the outcome {name!r} is 0 in all rows: there is nothing to explain.")


# --- groups that are taken out --------------------------------------------------------------------


def _demeaned(grouping: Grouping, values: Array) -> Array:
    """Less the mean of each group."""
    rows, starts = grouping.rows(values, 0, len(values)), _starts(grouping)
    left = rows - np.repeat(np.add.reduceat(rows, starts) / grouping.sizes, grouping.sizes)
    if grouping.order is None:
        return left
    found = np.empty(len(values))
    found[grouping.order] = left
    return found


def _starts(grouping: Grouping) -> Index:
    return np.cumsum(grouping.sizes) - grouping.sizes


def _codes(grouping: Grouping, count: int) -> Index:
    codes = np.empty(count, dtype=np.intp)
    order = slice(None) if grouping.order is None else grouping.order
    codes[order] = np.repeat(np.arange(len(grouping.sizes)), grouping.sizes)
    return codes


def _require_within(
    inner: Grouping, outer: Grouping, absorb: str, cluster: str | None, count: int
) -> None:
    """Groups that are taken out lie in one cluster each: else rows of several clusters share what
    was estimated, and leverages of demeaned rows are not those of the whole model."""
    if cluster is None or absorb == cluster:
        return
    codes, of = _codes(outer, count), _codes(inner, count)
    pairs = np.unique(np.stack((of, codes)), axis=1).shape[1]
    if pairs > len(inner.sizes):
        raise SpecificationError(
            f"absorb={absorb!r}: its groups have rows of several clusters of {cluster!r}. Take "
            f"factor({absorb}) into the formula, or cluster by {absorb!r}."
        )


def _require_left(
    frame: pd.DataFrame,
    effects: Mapping[str, Array],
    variables: Mapping[str, Variable],
    formula: GlmFormula,
    absorb: str,
) -> None:
    """Refuse columns of which nothing is left within the groups."""
    whole = design(formula.fixed, {name: variables[name] for name in formula.fixed.variables})
    flat = [
        name
        for name, values in effects.items()
        if np.abs(values).max() <= SAME * max(np.abs(whole[name]).max(), SAME)
    ]
    if flat:
        verb = "is" if len(flat) == 1 else "are"
        raise SpecificationError(
            f"{listed(flat)} {verb} constant within {absorb!r}, whose differences absorb= takes "
            "out: leave it out of the formula, or leave absorb= out."
        )
    if not effects:
        raise SpecificationError("absorb= takes out the constants: name an effect, 'y ~ x'.")


# --- the order of rows ----------------------------------------------------------------------------


def _places(
    frame: pd.DataFrame, grouping: Grouping, order: str | None, cluster: str | None
) -> tuple[Index, Array | None]:
    """Rows in cluster order, by occasion where these are told; steps from the one before."""
    count = len(frame)
    places = np.arange(count) if grouping.order is None else grouping.order
    if order is None:
        return places, None
    try:
        occasions = np.asarray(frame[order], dtype=float)
    except (TypeError, ValueError):
        raise DataError(
            f"order={order!r}: occasions are whole numbers, and this is text."
        ) from None
    if (occasions % 1 != 0).any():
        raise DataError(
            f"order={order!r}: occasions are whole numbers, so that neighbours are one step apart. "
            f'Number them, data.groupby("{cluster}")["{order}"].rank().'
        )
    codes = np.repeat(np.arange(len(grouping.sizes)), grouping.sizes)
    places = places[np.lexsort((occasions[places], codes))]
    gaps = np.diff(occasions[places], prepend=np.nan)
    gaps[_starts(grouping)] = 0.0
    twice = gaps == 0.0
    twice[_starts(grouping)] = False
    if twice.any():
        first = np.zeros(count, dtype=bool)
        first[places[np.flatnonzero(twice)]] = True
        raise DataError(
            f"order={order!r}: {rows_named(frame, first)} have the occasion of another row of "
            f"their cluster of {cluster!r}."
        )
    return places, frozen(gaps)


def offset_of(recipe: Recipe, frame: pd.DataFrame) -> Array:
    """Offsets of other rows, (n,)."""
    formula: Any = recipe.formula
    scope, total = Scope(frame, formula.text, recipe.memory), np.zeros(len(frame))
    for each in formula.offsets:
        total = total + response_of(scope.variable(deparse(each), each))
    return total


def trials_of(recipe: Recipe, frame: pd.DataFrame) -> Array:
    """Trials of other rows, (n,): 1 where the outcome is no share."""
    formula: Any = recipe.formula
    if formula.trials is None:
        return np.ones(len(frame))
    scope = Scope(frame, formula.text, recipe.memory)
    return response_of(scope.variable(deparse(formula.trials), formula.trials))
