"""Clusters, and rows, that the model describes badly."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.estimation.clusterwise import clusters_of, united_fit
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.prediction import new_data, new_rows
from mlsem.estimation.problem import Problem
from mlsem.inference.diagnosis.run import diagnose
from mlsem.inference.fit.models import FitModels
from mlsem.results.grouped_rows import rows_by_group

if TYPE_CHECKING:
    import pandas as pd


@quiet
def cluster_residuals(models: FitModels, parameters: str | Iterable[str] | None) -> pd.DataFrame:
    """One row per cluster of a robust covariance; see `FitResult.cluster_residuals`."""
    fit = models.estimates
    _require(fit)
    parts, robust = _of_groups(models), fit.problem.robust
    found = united_fit([clusters_of(part.seen) for part in parts], robust)
    sizes = np.zeros(robust.n_clusters, dtype=np.int64)
    np.add.at(sizes, robust.codes, fit.problem.moments.top_rows)
    columns = {
        **_groups_of_clusters(fit),
        "rows": sizes,
        "distance": found.distance,
        "df": found.df,
        "pvalue": _tail(found.df, found.distance),
        "chisq": _contributions(models, parts, found.loglik),
    }
    frame = make_frame(columns, robust.labels)
    if parameters is not None:
        influence = diagnose(fit, parameters, False).influence
        frame[list(influence.columns)] = influence.to_numpy()
    elif fit.clustered:
        with suppress(InferenceError):  # no influence where CR2 does not exist
            frame["change"], frame["parameter"] = _largest(diagnose(fit, None, False).influence)
    return frame.sort_values("pvalue", kind="stable").rename_axis(robust.name)


def _of_groups(models: FitModels) -> list[FitModels]:
    """Of each group; of one group itself."""
    if not models.estimates.table.groups:
        return [models]
    return [FitModels(group.estimates, models.robust) for group in models.estimates.groups]


def _groups_of_clusters(fit: Estimates) -> dict[str, Any]:
    """The group of each robust cluster, of several their labels in a text."""
    if not fit.table.groups:
        return {}
    codes, start = fit.problem.robust.codes, 0
    labels: list[dict[Hashable, None]] = [{} for _ in range(fit.problem.robust.n_clusters)]
    for group in fit.groups:
        count = group.estimates.problem.moments.n_clusters
        for code in np.unique(codes[start : start + count]).tolist():
            labels[code][group.label] = None
        start += count
    return {
        "group": [
            next(iter(each)) if len(each) == 1 else ", ".join(map(str, each)) for each in labels
        ]
    }


def _contributions(models: FitModels, parts: Sequence[FitModels], own: Array) -> Array:
    """2 (ℓ1_j - ℓ0_j); NaN where the model has no saturated one."""
    if models.estimates.restricted or models.estimates.table.differing:
        return np.full(len(own), np.nan)
    try:
        saturated = united_fit(
            [part.saturated.groups[0].clusters() for part in parts], models.estimates.problem.robust
        )
        return 2.0 * (saturated.loglik - own)
    except InferenceError:
        return np.full(len(own), np.nan)


def _largest(influence: pd.DataFrame) -> tuple[Array, list[str]]:
    """The largest change that leaving a cluster out makes, and of which parameter."""
    values = np.nan_to_num(influence.to_numpy(dtype=np.float64))
    places = np.abs(values).argmax(axis=1)
    names = np.array([str(name) for name in influence.columns], dtype=object)
    return values[np.arange(len(values)), places], names[places].tolist()


@quiet
def row_residuals(fit: Estimates, data: object) -> pd.DataFrame:
    """One row per row of `data`; see `FitResult.row_residuals`."""
    _require(fit)
    return rows_by_group(fit, data, _row_residuals).sort_values("pvalue", kind="stable")


def _row_residuals(fit: Estimates[Problem], data: object) -> pd.DataFrame:
    """Of one group, in the order of `data`."""
    found = new_data(fit, data)
    evidence = new_rows(found, history=False).evidence
    distance, df = evidence.distances(), evidence.counts()
    distance = np.where(df > 0, distance, np.nan)  # of a row that has no outcome
    values = np.column_stack((distance, df, _tail(np.maximum(df, 1.0), distance)))
    spread = found.rows.spread_out(values).T
    spread[1][np.isnan(spread[1])] = len(found.pattern.within.responses) // found.pattern.classes
    columns = {"distance": spread[0], "df": spread[1].astype(np.int64), "pvalue": spread[2]}
    return make_frame(columns, found.rows.index)


def _tail(df: Array, distance: Array) -> Array:
    return np.asarray(chdtrc(df, distance), dtype=np.float64)


def _require(fit: Estimates) -> None:
    if not fit.converged:
        raise InferenceError("the fit did not converge: it has no residuals to judge.")
