"""Predictions from a fit: factor scores, and expected outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mlsem.core.evidence.prediction import bartlett_maps, predicted, regression_maps
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, OptionValueError, listed, nearest
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.expected_outcomes import given, predicted_clusters, predicted_rows
from mlsem.estimation.prediction import (
    Seen,
    fitted_clusters,
    new_clusters,
    new_data,
    new_rows,
)
from mlsem.estimation.problem import Problem
from mlsem.model.table import ParameterTable
from mlsem.results.grouped_rows import clusters_by_group, rows_by_group

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["regression", "bartlett"]
SE = "_se"
MAPS = {"regression": regression_maps, "bartlett": bartlett_maps}
NEEDS_DATA = (
    "a fit keeps no rows of the data, so that {} of rows needs them: pass data=, the data frame "
    "of the fit or other rows."
)


@quiet
def predict_latent(
    fit: Estimates, level: int, method: object, *, se: bool, data: object, history: bool
) -> pd.DataFrame:
    """See `FitResult.predict_latent`."""
    require_maximum(fit)
    if method not in get_args(Method):
        raise OptionValueError(
            f"method={method!r}: it takes one of {listed(get_args(Method))}."
            + nearest(str(method), get_args(Method))
        )
    for name, value in (("se", se), ("history", history)):
        if not isinstance(value, bool | np.bool_):
            raise OptionValueError(f"{name}={value!r}: it takes True or False.")
    if history and not fit.table.two_level:
        raise OptionValueError("history=True: the model has one level, in which rows have none.")
    _latent(fit.table, level, method)
    if data is None and history:
        raise OptionValueError("history=True is for new rows: pass them in data=.")
    if data is None and level == 1:
        raise InferenceError(NEEDS_DATA.format("a prediction"))

    def of_group(part: Estimates[Problem], rows: object) -> pd.DataFrame:
        return _scores(part, level, str(method), se=se, data=rows, history=history)

    return (rows_by_group if level == 1 else clusters_by_group)(fit, data, of_group)


def _scores(
    fit: Estimates[Problem], level: int, method: str, *, se: bool, data: object, history: bool
) -> pd.DataFrame:
    """Of one group."""
    names = _latent(fit.table, level, method)
    seen, index, spread = _seen(fit, level, data, history=history)
    places = np.array([seen.level.names.index(name) for name in names], dtype=np.intp)
    maps = MAPS[method]
    values, errors = predicted(maps, seen.level, seen.params, places, seen.evidence)
    values += seen.expected(places)
    columns = dict(zip(names, spread(values).T, strict=True))
    if se:
        spread_errors = zip(names, spread(errors).T, strict=True)
        columns |= {name + SE: each for name, each in spread_errors}
        columns = {key: columns[key] for name in names for key in (name, name + SE)}
    return make_frame(columns, index)


def latent_names(table: ParameterTable, level: int, *, slopes: bool) -> list[str]:
    """Latent variables of a level, random slopes among them or not."""
    varying = {slope.name for slope in table.slopes} if level == 2 and not slopes else set()
    return [name for name in table.levels[level - 1].latent if name not in varying]


def _latent(table: ParameterTable, level: int, method: object) -> list[str]:
    """Those that a method has scores of."""
    names = latent_names(table, level, slopes=method == "regression")
    if not names:
        raise InferenceError(_no_latent(table, level, method))
    return names


def _seen(
    fit: Estimates[Problem], level: int, data: object, *, history: bool
) -> tuple[Seen, Any, Callable[[Array], Array]]:
    """The units, their index, and how values of units become rows of the frame."""
    if data is None:
        return fitted_clusters(fit), fit.problem.moments.labels, _same
    found = new_data(fit, data)
    if level == 1:
        return new_rows(found, history=history), found.rows.index, found.rows.spread_out
    return new_clusters(found, history=history), found.rows.labels, _same


def _same(values: Array) -> Array:
    return values


def require_maximum(fit: Estimates) -> None:
    """Refuse to predict with what is no estimate."""
    if not fit.converged:
        raise InferenceError("the fit did not converge: there is nothing to predict with.")


def _no_latent(table: ParameterTable, level: int, method: object) -> str:
    has = [
        number
        for number in range(1, len(table.levels) + 1)
        if latent_names(table, number, slopes=method == "regression")
    ]
    if not has:
        return (
            "the model has no latent variables to predict. predict() gives expected outcomes, and "
            "random_effects() the random effects."
        )
    return f"the model has no latent variables at level {level}, but at level {has[0]}."


# --- outcomes -------------------------------------------------------------------------------------


@quiet
def predict(fit: Estimates, level: int, data: object) -> pd.DataFrame:
    """See `FitResult.predict`."""
    require_maximum(fit)
    if data is None and level == 1:
        raise InferenceError(NEEDS_DATA.format("a prediction"))

    def of_group(part: Estimates[Problem], rows: object) -> pd.DataFrame:
        return _outcomes(part, level, rows)

    return (rows_by_group if level == 1 else clusters_by_group)(fit, data, of_group)


def _outcomes(fit: Estimates[Problem], level: int, data: object) -> pd.DataFrame:
    """Of one group."""
    table = fit.table
    found = None if data is None else new_data(fit, data, given(table))
    if level == 1:
        assert found is not None
        predicted = predicted_rows(found)
        values, index = found.rows.spread_out(predicted.values), found.rows.index
    else:
        predicted = predicted_clusters(found, fit)
        values = predicted.values
        index = fit.problem.moments.labels if found is None else found.rows.labels
    frame = make_frame(dict(zip(predicted.names, values.T, strict=True)), index)
    return _noted(frame, predicted.places) if table.two_level else frame


def _noted(frame: pd.DataFrame, places: Index) -> pd.DataFrame:
    """With a note on units of clusters that the fit has not seen."""
    new = int((places < 0).sum())
    if new:
        frame.attrs["note"] = (
            f"{new} of {len(places)} are of clusters that the fit has not seen: they have what the "
            "model expects of a cluster with their covariates."
        )
    return frame
