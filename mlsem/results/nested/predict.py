"""Rows of a mixed model of three levels: expectations with standard errors, new outcomes.

Of a row η = xᵀβ + zᵀu_j + wᵀv_k, with û, v̂, their posterior covariances and M of
`core.restricted.nested.effects` and Φ the covariance of β̂,

    E(η̂ - η)² = dᵀΦd + zᵀCov(u_j)z + wᵀCov(v_k)w + 2 zᵀCov(u_j, v_k)w,   d = x - M_uᵀz - M_vᵀw,

as in `mixed.predict`. An inner cluster that the fit has not seen has û = 0, M = 0 and Cov = Ψ,
whether its outer one is known or not. Levels that are left out of η are in it no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.data.moments.history import known_places
from mlsem.data.table.frame import make_frame, make_series
from mlsem.data.table.nested import Nested, nested
from mlsem.errors import DataError
from mlsem.inference.covariance.intervals import wald
from mlsem.results.mixed.predict import df_of_rows, require_converged, root_of
from mlsem.results.nested.parts import levels_of

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Array, Index
    from mlsem.estimation.nested import NestedEstimates
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.results.mixed.choices import Effects, NewLevels, Prediction, RowKind
    from mlsem.results.mixed.parts import MixedParts

SHOWN = 5
Levels = tuple[int, ...]
"""Which of the levels 2 and 3 have their effects in an expectation."""


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """The effects of one level in rows.

    Attributes
    ----------
    parts : MixedParts
    z : (n, q)
    places : (n,)
        The cluster of each row among those of the fit; -1 of others.
    mean, covariance, moved : (J, q), (J, q, q), (J, q, p)
        Of the clusters of the fit.
    """

    parts: MixedParts
    z: Array
    places: Index
    mean: Array
    covariance: Array
    moved: Array

    @property
    def seen(self) -> Array:
        return (self.places >= 0).astype(np.float64)

    def expected(self) -> Array:
        """zᵀû, (n,)."""
        return np.einsum("nq,nq->n", self.z, self.mean[self.places]) * self.seen

    def slopes(self) -> Array:
        """Mᵀz, (n, p)."""
        return np.einsum("nq,nqp->np", self.z * self.seen[:, None], self.moved[self.places])

    def variance(self) -> Array:
        """zᵀCov(u)z, (n,)."""
        new = (self.places < 0)[:, None, None]
        spread = np.where(new, self.parts.psi, self.covariance[self.places])
        return np.einsum("nq,nqr,nr->n", self.z, spread, self.z)

    def whole(self) -> Array:
        """zᵀΨz, (n,)."""
        return np.einsum("nq,qr,nr->n", self.z, self.parts.psi, self.z)


def _levels(
    fit: NestedEstimates, frame: pd.DataFrame, places: tuple[Index, Index]
) -> dict[int, _Level]:
    """Both levels in the rows of a frame."""
    found = fit.effects
    of_levels = (
        (found.lower, found.lower_covariance, found.lower_moved),
        (found.upper, found.upper_covariance, found.upper_moved),
    )
    design = fit.data.recipe.random_design
    return {
        number: _Level(parts, design(frame, parts.effects), own, *known)
        for number, parts, own, known in zip((2, 3), levels_of(fit), places, of_levels, strict=True)
    }


def _nowhere(frame: pd.DataFrame) -> tuple[Index, Index]:
    none = np.full(len(frame), -1)
    return none, none


def _placed(
    fit: NestedEstimates, frame: pd.DataFrame, levels: Levels, new_levels: NewLevels
) -> tuple[Index, Index]:
    """Where the inner and outer clusters of rows stand among those of the fit."""
    own = fit.data.groups
    if levels == (3,):
        from mlsem.data.table.grouping import group

        rows = group(frame, own.names[0], None)
        schools = known_places(rows.labels, own.labels)
        _refuse_new(
            own.names[:1],
            [(each,) for each in rows.labels[schools < 0].tolist()],
            len(schools),
            new_levels,
        )
        return np.full(len(frame), -1), schools[rows.codes]
    there = _together(frame, own)
    schools = known_places(there.labels, own.labels)
    known = {
        pair: k
        for k, pair in enumerate(zip(own.owner.tolist(), own.lower.labels.tolist(), strict=True))
    }
    outer = schools[there.owner]
    pairs = list(zip(outer.tolist(), there.lower.labels.tolist(), strict=True))
    classes = np.array([known.get(pair, -1) for pair in pairs], dtype=np.intp)
    new = np.flatnonzero(classes < 0)
    shown = zip(
        there.labels[there.owner[new]].tolist(), there.lower.labels[new].tolist(), strict=True
    )
    _refuse_new(own.names, list(shown), len(classes), new_levels)
    codes = there.lower.codes
    return classes[codes], outer[codes]


def _together(frame: pd.DataFrame, own: Nested) -> Nested:
    """The clusters of new rows, of which an outer one may have one inner one."""
    return nested(frame, *own.names, joined=True, apart=False)


def _refuse_new(
    names: tuple[str, ...], new: list[tuple[object, ...]], count: int, new_levels: NewLevels
) -> None:
    if not new or new_levels == "population":
        return
    shown = ", ".join(
        " ".join(f"{name} {each!r}" for name, each in zip(names, ids, strict=True))
        for ids in new[:SHOWN]
    )
    raise DataError(
        f"{len(new)} of {count} cluster{'s' * (count > 1)} of the data are not among those of the "
        f"fit: {shown}{', …' * (len(new) > SHOWN)}. Pass "
        'new_levels="population" for what the model expects of any cluster with their covariates, '
        "or random=False to leave the clusters out of it."
    )


@quiet
def predict(
    fit: NestedEstimates,
    covariance: Covariance,
    frame: pd.DataFrame,
    asked: Prediction,
    levels: Levels,
) -> pd.DataFrame:
    """See `NestedResult.predict`."""
    require_converged(fit)
    x, _ = fit.data.recipe.fixed_design(frame)
    p, name = len(fit.data.fixed), fit.data.outcome
    predictive = asked.interval == "prediction"
    placed = _placed(fit, frame, levels, asked.new_levels) if levels else _nowhere(frame)
    every = _levels(fit, frame, placed) if levels or predictive else {}
    own = [every[number] for number in levels]
    values = x @ fit.params[:p] + sum(level.expected() for level in own)
    columns = {name: values}
    if asked.se or asked.interval is not None:
        away = x - sum((level.slopes() for level in own), np.zeros(x.shape))
        variance = np.einsum("np,pm,nm->n", away, covariance.matrix[:p, :p], away)
        variance = variance + sum(level.variance() for level in own)
        if len(own) == 2:
            variance = variance + 2.0 * _crossed(fit, *own)
        variance = np.maximum(variance, 0.0)
        if asked.se:
            columns[f"{name}_se"] = np.sqrt(variance)
        if asked.interval is not None:
            if predictive:
                left = [level for number, level in every.items() if number not in levels]
                variance = variance + fit.point.sigma2 + sum(level.whole() for level in left)
            df = np.full(len(x), np.inf)
            if not levels and not predictive:
                df = df_of_rows(x, covariance)
            limits = wald(values, np.sqrt(variance), df, asked.confidence)
            columns |= {f"{name}_lower": limits.lower, f"{name}_upper": limits.upper}
    found = make_frame(columns, frame.index)
    new = int((own[0].places < 0).sum()) if own else 0
    if new:
        found.attrs["note"] = (
            f"{new} of {len(x)} are of clusters that the fit has not seen: they have what the "
            "model expects of a cluster with their covariates."
        )
    return found


def _crossed(fit: NestedEstimates, lower: _Level, upper: _Level) -> Array:
    """zᵀCov(u_j, v_k)w, (n,)."""
    both = fit.effects.crossed[lower.places]
    return np.einsum("nq,nqr,nr->n", lower.z, both, upper.z) * lower.seen


# --- rows of the fit ------------------------------------------------------------------------------


@quiet
def fitted(fit: NestedEstimates, frame: pd.DataFrame, levels: Levels) -> pd.Series:
    """Expectations of rows that have an outcome."""
    return make_series(_outcomes(fit, frame, levels)[1], frame.index, "fitted")


@quiet
def row_residuals(
    fit: NestedEstimates, frame: pd.DataFrame, kind: RowKind, levels: Levels
) -> pd.Series:
    """See `NestedResult.residuals`."""
    outcome, values = _outcomes(fit, frame, levels)
    away = outcome - values
    if kind == "pearson":
        away = away / np.sqrt(fit.point.sigma2)
    return make_series(away, frame.index, kind)


def _outcomes(fit: NestedEstimates, frame: pd.DataFrame, levels: Levels) -> tuple[Array, Array]:
    """y and its expectation, NaN where one of them is missing."""
    require_converged(fit)
    recipe = fit.data.recipe
    outcome, (x, _) = recipe.outcome(frame), recipe.fixed_design(frame)
    places = _placed(fit, frame, levels, "error") if levels else _nowhere(frame)
    every = _levels(fit, frame, places)
    values = x @ fit.params[: x.shape[1]] + sum(every[number].expected() for number in levels)
    lost = np.isnan(outcome)
    for level in every.values():
        lost |= np.isnan(level.z).any(axis=1)
    return outcome, np.where(lost, np.nan, values)


@quiet
def simulate(
    fit: NestedEstimates, frame: pd.DataFrame, n: int, seed: int | None, effects: Effects
) -> pd.DataFrame:
    """See `NestedResult.simulate`."""
    require_converged(fit)
    random = np.random.default_rng(seed)
    x, _ = fit.data.recipe.fixed_design(frame)
    predicted = effects == "predicted"
    places = _placed(fit, frame, (2, 3), "error") if predicted else _nowhere(frame)
    every = _levels(fit, frame, places)
    values = x @ fit.params[: x.shape[1]]
    if predicted:
        values = values + sum(level.expected() for level in every.values())
    groups = _together(frame, fit.data.groups)
    classes = groups.lower.codes
    codes = {2: classes, 3: groups.owner[classes]}
    draws = np.empty((len(values), n))
    for k in range(n):
        draws[:, k] = values + np.sqrt(fit.point.sigma2) * random.standard_normal(len(values))
        for number, level in every.items() if not predicted else ():
            root = root_of(level.parts.psi)
            drawn = random.standard_normal((int(codes[number].max()) + 1, len(root))) @ root.T
            draws[:, k] += np.einsum("nq,nq->n", level.z, drawn[codes[number]])
    return make_frame({f"sim_{k + 1}": draws[:, k] for k in range(n)}, frame.index)
