"""Reliability of composites, of cluster means and of factor scores.

Of the p indicators of a factor, with loadings λ, the sum of a row varies within clusters by
1ᵀΣ_W1 and between them by 1ᵀΣ_B1; ñ is the harmonic mean of the cluster sizes. With the common
parts c_W = (Σλ_W)² Var(f_W) and c_B = (Σλ_B)² Var(f_B),

    within        ω = c_W / 1ᵀΣ_W1                              (ω^w)
    between       ω = c_B / 1ᵀ(Σ_B + Σ_W / ñ)1                  (ω^b: of observed cluster means)
    latent means  ω = c_B / 1ᵀΣ_B1                              (Geldhof, Preacher & Zyphur, 2014)
    raw           ω = (c_W + c_B) / 1ᵀ(Σ_W + Σ_B)1              (ω^2l: of the sum as observed)

(Lai, 2021), by the moments that the model implies, what covariates explain
included. α has p / (p - 1) times the sums off the diagonal of Σ_W, Σ_B, Σ_B and Σ_W + Σ_B in
the numerators, by the moments of the saturated model. A cluster mean of one variable has the
reliability σ_B² / (σ_B² + σ_W² / ñ) (Spearman & Brown).

The reliability of scores is the squared correlation of factor and regression score,
1 - E[Var(f | data)] / Var(f), averaged over rows or clusters.

Standard errors by the delta method; intervals on the logit scale, so that they lie in (0, 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.joint import joint_moments
from mlsem.estimation.prediction import posterior_variances
from mlsem.estimation.problem import Problem
from mlsem.inference.covariance.groups import DeltaMethod
from mlsem.inference.covariance.intervals import delta_se, wald
from mlsem.inference.fit.models import FitModels
from mlsem.inference.fit.residual_tests import saturated_root
from mlsem.model.table import ParameterTable
from mlsem.other_programs.answering import Answering
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns
from mlsem.results.icc import numerical_jacobian
from mlsem.results.variances import level_parts

if TYPE_CHECKING:
    import pandas as pd

WITHIN, BETWEEN, LATENT, RAW = "within", "between", "latent means", "raw"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reliability(Exported, Answering):
    """Reliabilities; prints as a table.

    Attributes
    ----------
    mean_size : float or None
        ñ, harmonic mean of the cluster sizes.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("demo_twolevel")
    >>> model = "level: 1; fw =~ y1 + y2 + y3; level: 2; fb =~ y1 + y2 + y3"
    >>> fit = mlsem.fit(model, data, cluster="cluster")
    >>> found = fit.reliability()
    >>> found.frame.round(2)
             measure     composite variable   est    se  ci_lower  ci_upper
    0          omega        within       fw  0.68  0.01      0.65      0.70
    1          omega       between       fb  0.78  0.02      0.73      0.82
    2          omega  latent means       fb  0.94  0.01      0.91      0.95
    3          omega           raw       fw  0.77  0.01      0.74      0.79
    4          alpha        within       fw  0.67  0.01      0.64      0.69
    5          alpha       between       fb  0.76  0.02      0.71      0.81
    6          alpha  latent means       fb  0.91  0.01      0.88      0.93
    7          alpha           raw       fw  0.75  0.01      0.73      0.77
    8         scores        within       fw  0.64  0.01      0.61      0.66
    9         scores       between       fb  0.81  0.03      0.75      0.86
    10  cluster mean       between       y1  0.82  0.02      0.78      0.85
    11  cluster mean       between       y2  0.77  0.02      0.72      0.81
    12  cluster mean       between       y3  0.73  0.03      0.68      0.78
    """

    mean_size: float | None
    _columns: dict[str, Any]
    _df: Array

    @property
    def frame(self) -> pd.DataFrame:
        """Columns measure ("omega", "alpha", "scores", "cluster mean"), composite ("within",
        "between", "latent means", "raw"; "" in a single-level model), variable (the factor, or
        what cluster means are of), est, se, ci_lower, ci_upper."""
        return make_frame(self._columns)

    def __str__(self) -> str:
        size = self.mean_size
        note = "" if size is None else f"Harmonic mean of the cluster sizes: {size:.2f}\n"
        return f"Reliability:\n{render_columns(self._columns, 3)}{note}".rstrip("\n")

    def _grid(self) -> Grid:
        size = self.mean_size
        legend = "" if size is None else f"Harmonic mean of the cluster sizes: {size:.2f}"
        return Grid("Reliability", (columns_table(self._columns, legend=legend),))

    def __repr__(self) -> str:
        return f"<Reliability: {len(self._columns['est'])} coefficients>"


@dataclass(frozen=True, slots=True)
class _Composite:
    """Of the sum of indicators: each a place in (modelled variables of level 1, of level 2)."""

    factor: str
    level: int
    indicators: tuple[str, ...]
    kind: str
    other: str = ""  # the factor of the other level with the same indicators, of the raw sum


@quiet
def reliability(models: FitModels, covariance: DeltaMethod, level: float) -> Reliability:
    """See `FitResult.reliability`."""
    fit = models.estimates
    if not fit.converged:
        raise InferenceError("the fit did not converge: its variances are not estimates.")
    table = fit.table
    if table.classes:
        raise InferenceError(
            "reliability takes one residual variance, and this model has one for each group "
            "(residual=): fit.icc() has the intraclass correlation of each."
        )
    size = harmonic_size(fit) if table.two_level else None
    composites = _composites(table)
    parts = [_omegas(fit, covariance, composites, size), _alphas(models, composites, size)]
    parts += [_scores(fit, covariance), _cluster_means(fit, covariance, size)]
    names = [name for part in parts for name in part.names]
    if not names:
        raise InferenceError(
            "the model has no factor with observed indicators, and no variable at both levels: "
            "there is no reliability to estimate."
        )
    est, se, df = (np.concatenate([getattr(p, k) for p in parts]) for k in ("est", "se", "df"))
    lower, upper = logit_interval(est, se, df, level)
    texts = dict(zip(("measure", "composite", "variable"), map(list, zip(*names, strict=True)),
                     strict=True))  # fmt: skip
    limits = {"ci_lower": lower, "ci_upper": upper}
    return Reliability(size, {**texts, "est": est, "se": se, **limits}, df)


def harmonic_size(fit: Estimates[Problem]) -> float:
    """ñ = J / Σ 1/n_j."""
    moments = fit.problem.moments
    return float(moments.weights.sum() / (moments.weights @ (1.0 / moments.sizes)))


def logit_interval(est: Array, se: Array, df: Array, level: float) -> tuple[Array, Array]:
    """expit(logit r ± t se / (r (1 - r))); NaN where r is not in (0, 1)."""
    inside = (est > 0.0) & (est < 1.0)
    safe = np.where(inside, est, 0.5)
    found = wald(logit(safe), se / (safe * (1.0 - safe)), df, level)
    limits = (np.where(inside, expit(each), np.nan) for each in (found.lower, found.upper))
    lower, upper = limits
    return lower, upper


# --- composites -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    names: list[tuple[str, str, str]]
    est: Array
    se: Array
    df: Array


def _indicators(table: ParameterTable, level: int) -> dict[str, tuple[str, ...]]:
    """Observed indicators of each factor of a level; of factors that have at least one."""
    found: dict[str, list[str]] = {}
    modelled = table.levels[level - 1].modelled
    for row in table.rows:
        if row.level == level and row.op == "=~" and row.rhs in modelled:
            found.setdefault(row.lhs, []).append(row.rhs)
    return {factor: tuple(dict.fromkeys(names)) for factor, names in found.items()}


def _composites(table: ParameterTable) -> list[_Composite]:
    first = _indicators(table, 1)
    if not table.two_level:
        return [_Composite(factor, 1, names, "") for factor, names in first.items()]
    second = _indicators(table, 2)
    slopes = {slope.outcome for slope in table.slopes}
    found = [
        _Composite(factor, 1, names, WITHIN)
        for factor, names in first.items()
        if slopes.isdisjoint(names)
    ]
    for factor, names in second.items():
        if slopes.isdisjoint(names):
            found += [_Composite(factor, 2, names, kind) for kind in (BETWEEN, LATENT)]
    for factor, names in first.items():
        same = [other for other, own in second.items() if {*own} == {*names}]
        if same and slopes.isdisjoint(names):
            found.append(_Composite(factor, 1, names, RAW, same[0]))
    return found


def _sums(composite: _Composite, size: float | None, sums: tuple[float, float]) -> float:
    """What varies of a sum, from what varies within and between clusters."""
    within, between = sums
    if composite.kind == BETWEEN:
        assert size is not None
        return between + within / size
    return {LATENT: between, RAW: within + between}.get(composite.kind, within)


def _omegas(
    fit: Estimates[Problem],
    covariance: DeltaMethod,
    composites: list[_Composite],
    size: float | None,
) -> _Part:
    names = [("omega", each.kind, each.factor) for each in composites]

    def value(params: Array) -> Array:
        levels = _all_levels(fit, params)
        found = []
        for each in composites:
            total = _sums(each, size, _totals(levels, each.indicators))
            common = levels[each.level - 1].common(each.factor, each.indicators)
            if each.kind == RAW:
                common += levels[1].common(each.other, each.indicators)
            found.append(common / total)
        return np.array(found)

    return _of_params(fit, covariance, names, value)


def _of_params(
    fit: Estimates[Problem],
    covariance: DeltaMethod,
    names: list[tuple[str, str, str]],
    value: Callable[[Array], Array],
) -> _Part:
    if not names:
        return _Part([], np.zeros(0), np.zeros(0), np.zeros(0))
    se, df = covariance.of_functions(numerical_jacobian(value, fit.params))
    return _Part(names, value(fit.params), se, df)


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """Directed paths and total covariances of the variables of a level."""

    names: tuple[str, ...]
    directed: Array
    total: Array

    def common(self, factor: str, indicators: tuple[str, ...]) -> float:
        k = self.names.index(factor)
        loadings = sum(self.directed[self.names.index(name), k] for name in indicators)
        return float(loadings**2 * self.total[k, k])

    def sum(self, indicators: tuple[str, ...]) -> float:
        """Of those that the level has."""
        own = [self.names.index(name) for name in indicators if name in self.names]
        return float(self.total[np.ix_(own, own)].sum())


def _all_levels(fit: Estimates[Problem], params: Array) -> list[_Level]:
    found = []
    for level in range(1, len(fit.table.levels) + 1):
        pattern = fit.problem.pattern.levels[level - 1]
        _, total = level_parts(fit.problem, params, level)
        found.append(_Level(pattern.names, pattern.directed.at(params), total))
    return found


def _totals(levels: list[_Level], indicators: tuple[str, ...]) -> tuple[float, float]:
    between = levels[1].sum(indicators) if len(levels) > 1 else 0.0
    return levels[0].sum(indicators), between


# --- alpha ----------------------------------------------------------------------------------------


def _alphas(models: FitModels, composites: list[_Composite], size: float | None) -> _Part:
    """By the saturated model; none where there is none."""
    fit = models.estimates
    several = [each for each in composites if len(each.indicators) > 1]
    if not several or fit.table.slopes or fit.settings.estimator == "REML":
        return _Part([], np.zeros(0), np.zeros(0), np.zeros(0))
    saturated, count = models.saturated.groups[0], len(fit.table.levels)

    def value(params: Array) -> Array:
        joint = [
            joint_moments(saturated.problem, level, moments)
            for level, moments in zip(
                range(1, count + 1), saturated.moments_at(params), strict=False
            )
        ]
        found = []
        for each in several:
            total, diagonal, p = [0.0, 0.0], [0.0, 0.0], len(each.indicators)
            for k, moments in enumerate(joint):
                own = [moments.names.index(n) for n in each.indicators if n in moments.names]
                block = moments.cov[np.ix_(own, own)]
                total[k], diagonal[k] = float(block.sum()), float(np.trace(block))
            numerator = [a - b for a, b in zip(total, diagonal, strict=True)]
            kind = _Composite("", each.level, (), LATENT if each.kind == BETWEEN else each.kind)
            common = _sums(kind, size, (numerator[0], numerator[1]))
            found.append(p / (p - 1.0) * common / _sums(each, size, (total[0], total[1])))
        return np.array(found)

    root = saturated_root(saturated, robust=models.robust, factor=models.factor)
    gradient = numerical_jacobian(value, saturated.params)
    se = delta_se(gradient @ root, np.eye(root.shape[1]))
    names = [("alpha", each.kind, each.factor) for each in several]
    return _Part(names, value(saturated.params), se, np.full(len(names), np.inf))


# --- scores and cluster means ---------------------------------------------------------------------


def _scores(fit: Estimates[Problem], covariance: DeltaMethod) -> _Part:
    """Of the regression scores of latent variables with a variance."""
    table, slopes = fit.table, {slope.name for slope in fit.table.slopes}
    chosen = [
        (level, name)
        for level, variables in enumerate(table.levels, 1)
        for name in variables.latent
        if name not in slopes and not (level == 1 and slopes)
    ]
    kinds = ("",) if not table.two_level else (WITHIN, BETWEEN)
    names = [("scores", kinds[level - 1], name) for level, name in chosen]

    def value(params: Array) -> Array:
        levels, found = _all_levels(fit, params), []
        for level in range(1, len(table.levels) + 1):
            own = [name for number, name in chosen if number == level]
            if not own:
                continue
            left = posterior_variances(fit, params, level, own)
            place = [levels[level - 1].names.index(name) for name in own]
            found.append(1.0 - left / np.diagonal(levels[level - 1].total)[place])
        return np.concatenate(found)

    return _of_params(fit, covariance, names, value)


def _cluster_means(fit: Estimates[Problem], covariance: DeltaMethod, size: float | None) -> _Part:
    slopes = {slope.outcome for slope in fit.table.slopes}
    apart = {*slopes, *fit.table.auxiliary}
    split = [] if size is None else [name for name in fit.table.split if name not in apart]

    def value(params: Array) -> Array:
        levels = _all_levels(fit, params)
        within, between = np.array([_totals(levels, (name,)) for name in split]).T
        assert size is not None
        return between / (between + within / size)

    return _of_params(fit, covariance, [("cluster mean", BETWEEN, name) for name in split], value)
