"""Rows of a mixed model: expectations with standard errors, residuals, new outcomes.

Of a row η = xᵀβ + zᵀb_j, with b̂_j, K_j and M_j of `parts.ClusterEffects` and Φ the covariance of β̂,

    η̂ - η = (x - M_jᵀz)ᵀ (β̂ - β) + zᵀ (b̂_j(β) - b_j),
    E(η̂ - η)² = (x - M_jᵀz)ᵀ Φ (x - M_jᵀz) + zᵀ K_j z,

for the error of a best predictor is uncorrelated with the data. It is Henderson's (1975, Biometrics
31, 423): (xᵀ, zᵀ) C (xᵀ, zᵀ)ᵀ, with C the inverse of the matrix of his mixed model equations. A
cluster that the fit has not seen has b̂ = 0, M = 0 and K = Ψ. Without random effects it is xᵀΦx.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index
from mlsem.data.moments.history import known_places
from mlsem.data.table.columns import require_column
from mlsem.data.table.frame import make_frame, make_series
from mlsem.data.table.grouping import group
from mlsem.errors import DataError, InferenceError
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.results.mixed.choices import Effects, NewLevels, Prediction, RowKind
from mlsem.results.mixed.parts import (
    ClusterEffects,
    MixedParts,
    cluster_effects,
    parts_of,
    recipe_of,
    row_variances,
)

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.nested import NestedEstimates

SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """x (n, p) and z (n, q) of rows; the cluster of each, by its place among those of the fit, -1
    for others."""

    x: Array
    z: Array
    places: Index


def require_converged(fit: Estimates | NestedEstimates) -> None:
    if not fit.converged:
        raise InferenceError("the fit did not converge: there is nothing to predict with.")


# --- expectations ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """Expectations of n rows.

    Attributes
    ----------
    values : (n,)
        η̂.
    variance : (n,) or None
        E(η̂ - η)²; None where no errors were asked for.
    added : (n,)
        What a new outcome varies by besides, of a prediction interval; else 0.
    df : (n,)
    new : int
        Rows of clusters that the fit has not seen.
    """

    values: Array
    variance: Array | None
    added: Array
    df: Array
    new: int


@quiet
def expected(
    fit: Estimates, covariance: Covariance, frame: pd.DataFrame, asked: Prediction
) -> Expected:
    """Of the rows of a data frame."""
    require_converged(fit)
    parts = parts_of(fit)
    if asked.random:
        rows = _placed(fit, parts, frame, asked.new_levels)
    elif asked.interval == "prediction":
        rows = _unplaced(fit, parts, frame)
    else:
        rows = _fixed(fit, frame)
    spread = asked.se or asked.interval is not None
    effects = cluster_effects(fit, parts, moved=spread) if asked.random else None
    added = np.zeros(len(rows.x))
    if asked.interval == "prediction":
        added += row_variances(fit, frame) + (0.0 if asked.random else _own(rows.z, parts))
    return Expected(
        values=_expected(parts, rows, effects),
        variance=_variance(parts, rows, effects, covariance) if spread else None,
        added=added,
        df=_df(fit, covariance, rows, asked),
        new=int((rows.places < 0).sum()) if asked.random else 0,
    )


def predict(
    fit: Estimates, covariance: Covariance, frame: pd.DataFrame, asked: Prediction
) -> pd.DataFrame:
    """See `MixedResult.predict`."""
    found = expected(fit, covariance, frame, asked)
    limits = None
    if asked.interval is not None:
        assert found.variance is not None
        variance = found.variance + found.added
        limits = limits_of(found.values, np.sqrt(variance), found.df, asked.confidence)
    return shown(fit.table.split[0], found, limits, asked, frame.index)


@quiet
def limits_of(values: Array, se: Array, df: Array, confidence: float) -> tuple[Array, Array]:
    """η̂ ± t se; η̂ itself where nothing varies."""
    found = wald(values, se, df, confidence)
    lower, upper = (np.where(se > 0.0, each, values) for each in (found.lower, found.upper))
    return lower, upper


@quiet
def shown(
    name: str,
    found: Expected,
    limits: tuple[Array, Array] | None,
    asked: Prediction,
    index: object,
) -> pd.DataFrame:
    """The data frame that was asked for."""
    columns = {name: found.values}
    if asked.se:
        assert found.variance is not None
        columns[f"{name}_se"] = np.sqrt(found.variance)
    if limits is not None:
        columns |= {f"{name}_lower": limits[0], f"{name}_upper": limits[1]}
    frame = make_frame(columns, index)
    if found.new:
        frame.attrs["note"] = (
            f"{found.new} of {len(found.values)} are of clusters that the fit has not seen: they "
            "have what the model expects of a cluster with their covariates."
        )
    return frame


def _fixed(fit: Estimates, frame: pd.DataFrame) -> _Rows:
    """Without random effects, whose variables they need not have."""
    x, _ = recipe_of(fit).fixed_design(frame)
    return _Rows(x, np.zeros((len(x), 0)), np.full(len(x), -1))


def _unplaced(fit: Estimates, parts: MixedParts, frame: pd.DataFrame) -> _Rows:
    """Of whatever clusters."""
    return replace(_fixed(fit, frame), z=recipe_of(fit).random_design(frame, parts.effects))


def _placed(
    fit: Estimates, parts: MixedParts, frame: pd.DataFrame, new_levels: NewLevels = "error"
) -> _Rows:
    """Of clusters of the fit, or others."""
    rows = _unplaced(fit, parts, frame)
    codes, labels = _clusters(frame, parts.group)
    known = known_places(labels, fit.problem.moments.labels)
    if new_levels == "error" and (known < 0).any():
        new = labels[known < 0].tolist()
        raise DataError(
            f"{len(new)} of {len(labels)} cluster{'s' * (len(labels) > 1)} of the data are not "
            f"among those of the fit: {parts.group} {', '.join(map(repr, new[:SHOWN]))}"
            f"{', …' * (len(new) > SHOWN)}. Pass "
            'new_levels="population" for what the model expects of any cluster with their '
            "covariates, or random=False to leave the clusters out of it."
        )
    return replace(rows, places=known[codes])


def _clusters(frame: pd.DataFrame, name: str) -> tuple[Index, Array]:
    """The cluster of each row, by its place among the ids; the ids."""
    require_column(frame, name, "the formula needs the column of clusters")
    grouping = group(frame, name, None)
    inside = np.repeat(np.arange(len(grouping.sizes)), grouping.sizes)
    if grouping.order is None:
        return inside, grouping.labels
    codes = np.empty(len(frame), dtype=np.intp)
    codes[grouping.order] = inside
    return codes, grouping.labels


def _expected(parts: MixedParts, rows: _Rows, effects: ClusterEffects | None) -> Array:
    """xᵀβ̂ + zᵀb̂_j."""
    values = rows.x @ parts.beta
    if effects is not None:
        own = np.where(rows.places[:, None] >= 0, effects.mean[rows.places], 0.0)
        values = values + (rows.z * own).sum(axis=1)
    return values


def _variance(
    parts: MixedParts, rows: _Rows, effects: ClusterEffects | None, covariance: Covariance
) -> Array:
    """E(η̂ - η)² of each row."""
    count = len(parts.fixed)
    phi = covariance.matrix[:count, :count]
    x, random = rows.x, np.zeros(len(rows.x))
    if effects is not None:
        seen = rows.places >= 0
        x = x - np.where(
            seen[:, None], np.einsum("nq,nqp->np", rows.z, effects.moved[rows.places]), 0.0
        )
        spread = np.where(seen[:, None, None], effects.covariance[rows.places], parts.psi)
        random = np.einsum("nq,nqr,nr->n", rows.z, spread, rows.z)
    return np.maximum(np.einsum("np,pm,nm->n", x, phi, x) + random, 0.0)


def _own(z: Array, parts: MixedParts) -> Array:
    """zᵀΨz, how rows of one design differ between clusters."""
    return np.einsum("nq,qr,nr->n", z, parts.psi, z)


def _df(fit: Estimates, covariance: Covariance, rows: _Rows, asked: Prediction) -> Array:
    """Degrees of freedom of xᵀβ̂; of what has random parts in it none are known."""
    if asked.random or asked.interval == "prediction":
        return np.full(len(rows.x), np.inf)
    return df_of_rows(rows.x, covariance)


def df_of_rows(x: Array, covariance: Covariance) -> Array:
    """Degrees of freedom of xᵀβ̂ for rows x (n, p), β the first parameters; infinite where a
    covariate is missing."""
    df = np.full(len(x), np.inf)
    there = ~np.isnan(x).any(axis=1)
    distinct, codes = np.unique(x[there], axis=0, return_inverse=True)
    gradients = np.zeros((len(distinct), len(covariance.matrix)))
    gradients[:, : x.shape[1]] = distinct
    df[there] = covariance.of_functions(gradients)[1][codes.reshape(-1)]
    return df


# --- rows of the fit ------------------------------------------------------------------------------


@quiet
def fitted(fit: Estimates, frame: pd.DataFrame, *, random: bool) -> pd.Series:
    """Expectations of rows that have an outcome."""
    _, values = _outcomes(fit, frame, random=random)
    return make_series(values, frame.index, "fitted")


@quiet
def row_residuals(fit: Estimates, frame: pd.DataFrame, kind: RowKind) -> pd.Series:
    """See `MixedResult.residuals`."""
    outcome, values = _outcomes(fit, frame, random=kind != "marginal")
    away = outcome - values
    if kind == "pearson":
        away = away / np.sqrt(row_variances(fit, frame))
    return make_series(away, frame.index, kind)


def _outcomes(fit: Estimates, frame: pd.DataFrame, *, random: bool) -> tuple[Array, Array]:
    """y and its expectation, NaN where one of them is missing."""
    require_converged(fit)
    parts = parts_of(fit)
    outcome = recipe_of(fit).outcome(frame)
    rows = (_placed if random else _unplaced)(fit, parts, frame)
    effects = cluster_effects(fit, parts, moved=False) if random else None
    values = _expected(parts, rows, effects)
    lost = np.isnan(outcome) | np.isnan(rows.z).any(axis=1)
    return outcome, np.where(lost, np.nan, values)


# --- new outcomes ---------------------------------------------------------------------------------


@quiet
def simulate(
    fit: Estimates, frame: pd.DataFrame, n: int, seed: int | None, effects: Effects
) -> pd.DataFrame:
    """See `MixedResult.simulate`."""
    require_converged(fit)
    parts, random = parts_of(fit), np.random.default_rng(seed)
    predicted = effects == "predicted"
    rows = (_placed if predicted else _unplaced)(fit, parts, frame)
    known = cluster_effects(fit, parts, moved=False) if predicted else None
    values = _expected(parts, rows, known)
    codes, labels = _clusters(frame, parts.group)
    roots, sigma = root_of(parts.psi), np.sqrt(row_variances(fit, frame))
    draws = np.empty((len(values), n))
    for k in range(n):
        draws[:, k] = values + sigma * random.standard_normal(len(values))
        if not predicted:
            drawn = random.standard_normal((len(labels), len(roots))) @ roots.T
            draws[:, k] += (rows.z * drawn[codes]).sum(axis=1)
    return make_frame({f"sim_{k + 1}": draws[:, k] for k in range(n)}, frame.index)


def root_of(psi: Array) -> Array:
    """R with R Rᵀ = Ψ, which may be singular."""
    values, vectors = np.linalg.eigh(psi)
    return vectors * np.sqrt(np.maximum(values, 0.0))
