"""What is no parameter, pooled: number by number, on the scale on which it is nearest to normal.

Correlations ρ, intraclass correlations and the correlations R of shares R² are pooled as Fisher's
z = arctanh ρ, with standard error se / (1 - ρ²) (of R² se / [2 R (1 - R²)]; Harel, 2009), and come
back as tanh z̄ (R² as tanh² z̄); reliabilities r as logit r, with standard error se / [r (1 - r)].
All others are pooled as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import expit, logit

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.fit.chisquare import ChiSquare
from mlsem.inference.fit.indices import CI_LEVEL, comparative, rmsea, usual
from mlsem.inference.pooling.joint import JointTest, d2
from mlsem.inference.pooling.rules import PooledDf, PooledNumbers, pooled_numbers
from mlsem.results.generalized.effects import GlmEffects
from mlsem.results.icc import Icc
from mlsem.results.mixed.predict import Expected, limits_of, shown
from mlsem.results.pooled.gathered import read_nests
from mlsem.results.r_squared import MixedR2, RSquared
from mlsem.results.random_effects import SE
from mlsem.results.reliability import Reliability

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd

    from mlsem.core.records import Index
    from mlsem.results.mixed.choices import Prediction
    from mlsem.results.pooled.common import Pooled
    from mlsem.results.pooled.generalized import PooledGlmResult
    from mlsem.results.pooled.mixed import PooledMixedResult
    from mlsem.results.pooled.result import PooledResult
    from mlsem.results.result import FitResult
    from mlsem.results.standardized import Kind as StandardizedKind

Scale = Literal["plain", "correlation", "share", "reliability"]
SRMR = {"srmr", "srmr_within", "srmr_between", "srmr_level1", "srmr_level2", "srmr_level3"}


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Numbers of each fit, (m, c), and the scale of each, (c,)."""

    values: Array
    se: Array
    df: Array
    scales: tuple[Scale, ...]


@dataclass(frozen=True, slots=True)
class _Scale:
    """z = forward(value) with its derivative, and back."""

    forward: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    back: Callable[[Array], Array]
    back_slope: Callable[[Array], Array]


_SCALES: dict[Scale, _Scale] = {
    "plain": _Scale(np.positive, np.ones_like, np.positive, np.ones_like),
    "correlation": _Scale(
        np.arctanh, lambda r: 1.0 / (1.0 - r**2), np.tanh, lambda z: 1.0 - np.tanh(z) ** 2
    ),
    "share": _Scale(
        lambda share: np.arctanh(np.sqrt(share)),
        lambda share: 1.0 / (2.0 * np.sqrt(share) * (1.0 - share)),
        lambda z: np.tanh(np.maximum(z, 0.0)) ** 2,
        lambda z: 2.0 * np.tanh(z) * (1.0 - np.tanh(z) ** 2),
    ),
    "reliability": _Scale(
        logit, lambda r: 1.0 / (r * (1.0 - r)), expit, lambda z: expit(z) * expit(-z)
    ),
}


@quiet
def pooled_columns(
    given: Columns, method: PooledDf, nests: Sequence[Index], level: float
) -> dict[str, Any]:
    """est, se, stat, df, pvalue, ci_lower, ci_upper, fmi of each number.

    `se` is that of the number itself, by the delta method at the pooled value; statistic and p
    value are those of the scale on which it was pooled. NaN where some fit has no such value or
    standard error; a number that is constant in all fits has the standard error 0.
    """
    varies = (given.se > 0).any(axis=0)
    scales = np.where(varies, np.array(given.scales), "plain")

    def moved(which: str, values: Array) -> Array:
        found = np.empty_like(values)
        for name, scale in _SCALES.items():
            found[..., scales == name] = getattr(scale, which)(values[..., scales == name])
        return found

    z, slopes = moved("forward", given.values), moved("slope", given.values)
    own = pooled_numbers(z, given.se * slopes, given.df, method, nests)
    own = replace(own, se=np.where(varies, own.se, 0.0))
    test = wald(own.est, own.se, own.df, level)
    return {
        "est": moved("back", own.est),
        "se": own.se * moved("back_slope", own.est),
        "stat": test.stat,
        "df": test.df,
        "pvalue": test.pvalue,
        "ci_lower": moved("back", test.lower),
        "ci_upper": moved("back", test.upper),
        "fmi": np.where(varies, own.fmi, np.nan),
    }


def columns_of(frames: Sequence[pd.DataFrame], value: str, scales: Sequence[Scale]) -> Columns:
    """Of data frames that have the same rows, one for each fit."""
    values, se, df = (
        np.array([frame[name].to_numpy(dtype=float) for frame in frames])
        for name in (value, "se", "df")
    )
    constant = np.isnan(df) & ~(se > 0)  # while a variance beside t tests has no df, and no test
    return Columns(values, se, np.where(constant, np.inf, df), tuple(scales))


def pooled_measures(fits: Sequence[FitResult]) -> dict[str, float]:
    """Tests of fit by D2 (Li et al., 1991), with indices from df times its F; the mean of SRMR.

    Raises
    ------
    InferenceError
        Standard errors are robust, or there are no measures of fit.
    """
    if fits[0]._estimates.weighted:
        raise InferenceError(
            "fits have weights, and there is no rule that pools scaled tests of fit. "
            "fits[k].fit_measures() has those of each."
        )
    if not fits[0].covariance.kind.model_based:
        raise InferenceError(
            f'se="{fits[0].se_kind}": there is no rule that pools scaled tests of fit. '
            'with_se("standard").fit_measures() has those of the likelihood.'
        )
    measures = [fit.fit_measures() for fit in fits]
    first = measures[0]
    if "chisq" not in first.index:
        raise InferenceError(
            "there is no saturated model that the fits could be tested against, and so nothing to "
            "pool: log-likelihoods, AIC and BIC have no rule. fits[k].fit_measures() has those of "
            "each."
        )
    test = _chi_square(measures, "")
    found = _named("", *test)
    if "baseline.chisq" in first.index:
        base = _chi_square(measures, "baseline.")
        found |= _named("baseline.", *base)
        indices = comparative(usual(test[0]), usual(base[0]))
        found |= {name: indices[name] for name in ("cfi", "tli")}
    error = rmsea(test[0], float(fits[0].n_obs), len(fits[0]._estimates.groups))
    found |= {
        "rmsea": error.value,
        "rmsea.ci.lower": error.lower,
        "rmsea.ci.upper": error.upper,
        "rmsea.ci.level": CI_LEVEL,
    }
    means = {
        name: float(np.mean([each[name] for each in measures])) for name in SRMR & set(first.index)
    }
    return found | dict(sorted(means.items()))


def _chi_square(measures: Sequence[pd.Series], prefix: str) -> tuple[ChiSquare, JointTest | None]:
    """X = df F of D2, and D2; of a model without degrees of freedom 0, and None."""
    df = int(float(measures[0].at[f"{prefix}df"]))
    if not df:
        return ChiSquare(0.0, 0), None
    test = d2(np.array([each[f"{prefix}chisq"] for each in measures]), df)
    return ChiSquare(df * test.statistic.value, df), test


def _named(prefix: str, test: ChiSquare, joint: JointTest | None) -> dict[str, float]:
    found: dict[str, float] = {f"{prefix}chisq": test.statistic, f"{prefix}df": test.df}
    if joint is not None:
        found |= {
            f"{prefix}df.denom": joint.statistic.df_denom,
            f"{prefix}pvalue": joint.statistic.pvalue,
            f"{prefix}riv": joint.riv,
        }
    return found


def standardized_frame(pooled: PooledResult, kind: StandardizedKind, level: float) -> pd.DataFrame:
    """See `PooledResult.standardized`."""
    require_level(level)
    frames = [fit.standardized(kind, level) for fit in pooled.used]
    first = frames[0]
    rows = zip(first["lhs"], first["op"], first["rhs"], strict=True)
    scales: list[Scale] = [
        "correlation" if kind == "all" and op == "~~" and lhs != rhs else "plain"
        for lhs, op, rhs in rows
    ]
    found = _pooled(pooled, columns_of(frames, "est_std", scales), level)
    names = {name: list(first[name]) for name in ("lhs", "op", "rhs", "level", "group")}
    return make_frame(names | {"est_std": found.pop("est")} | found)


def _pooled(pooled: Pooled[Any], columns: Columns, level: float) -> dict[str, Any]:
    if pooled.complete_df is not None:
        columns = replace(columns, df=np.full_like(columns.df, pooled.complete_df))
    nests = read_nests(pooled.nested, pooled.fits)
    return pooled_columns(columns, pooled.df_kind, nests, level)


def pooled_icc(pooled: PooledResult, group: Hashable) -> Icc:
    """See `PooledResult.icc`."""
    each: list[Icc] = [fit.icc(group) for fit in pooled.used]
    first = each[0]
    shares: dict[str, Array] = {}
    for name, error in (
        ("icc", "se"),
        ("adjusted", "adjusted_se"),
        ("unadjusted", "unadjusted_se"),
    ):
        values, se = (np.array([getattr(one, key) for one in each]) for key in (name, error))
        scales: tuple[Scale, ...] = ("correlation",) * values.shape[1]
        found = _pooled(pooled, Columns(values, se, np.full_like(se, np.inf), scales), 0.95)
        shares |= {name: found["est"], error: found["se"]}
    between, within = (
        np.mean([getattr(one, name) for one in each], axis=0) for name in ("between", "within")
    )
    return Icc(variables=first.variables, between=between, within=within, **shares)


def pooled_r_squared(pooled: PooledResult, group: Hashable, level: float) -> RSquared:
    """See `PooledResult.r_squared`."""
    each: list[RSquared] = [fit.r_squared(level, group) for fit in pooled.used]
    first = each[0]
    mixed = first.mixed
    if mixed is not None:
        parts = np.array([astuple(one.mixed) for one in each if one.mixed is not None]).mean(axis=0)
        mixed = MixedR2(*parts.tolist())
    columns = columns_of([one.frame for one in each], "r2", ("share",) * len(first.variables))
    found = _pooled(pooled, columns, level)
    return RSquared(
        variables=first.variables,
        levels=first.levels,
        values=found["est"],
        se=found["se"],
        df=found["df"],
        lower=found["ci_lower"],
        upper=found["ci_upper"],
        mixed=mixed,
    )


def pooled_reliability(pooled: PooledResult, group: Hashable, level: float) -> Reliability:
    """See `PooledResult.reliability`."""
    each: list[Reliability] = [fit.reliability(level, group=group) for fit in pooled.used]
    first = each[0]
    values, se = (np.array([one._columns[name] for one in each]) for name in ("est", "se"))
    df = np.array([one._df for one in each])
    scales: tuple[Scale, ...] = ("reliability",) * values.shape[1]
    found = _pooled(pooled, Columns(values, se, df, scales), level)
    shown = {name: found[name] for name in ("est", "se", "ci_lower", "ci_upper")}
    return Reliability(first.mean_size, {**first._columns, **shown}, found["df"])


@quiet
def pooled_effects(pooled: PooledGlmResult, each: Sequence[GlmEffects], level: float) -> GlmEffects:
    """See `PooledGlmResult.effects`.

    Raises
    ------
    InferenceError
        The data sets have not the same effects.
    """
    first = each[0]._columns
    for one in each[1:]:
        if any(one._columns[name] != first[name] for name in ("effect", "contrast")):
            raise InferenceError(
                f"{each[0].variable!r} has not the same values in all data sets: say which are "
                "compared, values=(0, 1)."
            )
    logs = np.array(["ratio" in effect for effect in first["effect"]])
    values, se, df = (
        np.array([one._columns[name] for one in each]) for name in ("estimate", "se", "df")
    )
    values = np.where(logs, np.log(np.where(logs, values, 1.0)), values)
    plain: tuple[Scale, ...] = ("plain",) * len(logs)
    found = _pooled(pooled, Columns(values, se, df, plain), level)
    found["pvalue"] = np.where(np.isnan(first["pvalue"]), np.nan, found["pvalue"])  # of means
    names = {"estimate": "est", "lower": "ci_lower", "upper": "ci_upper"}
    shown = {new: np.where(logs, np.exp(found[old]), found[old]) for new, old in names.items()} | {
        name: found[name] for name in ("se", "df", "pvalue")
    }
    notes = tuple(dict.fromkeys(note for one in each for note in one.notes))
    return GlmEffects(each[0].variable, level, notes, {**first, **shown})


# --- clusters and rows ----------------------------------------------------------------------------


def pooled_predictions(pooled: Pooled[Any], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """See `PooledResult.random_effects`."""
    first = frames[0]
    spread = [name for name in first.columns if name.endswith(SE)]
    found = first.copy()
    for error in spread:
        name = error.removesuffix(SE)
        values, se = (
            np.array([frame[column].to_numpy(dtype=float) for frame in frames])
            for column in (name, error)
        )
        own = _numbers(pooled, values, se, np.full_like(se, np.inf))
        found[name], found[error] = own.est, own.se
    return found


@quiet
def pooled_expectations(
    pooled: PooledMixedResult, each: Sequence[Expected], asked: Prediction, index: Any
) -> pd.DataFrame:
    """See `PooledMixedResult.predict`."""
    values, added, df = (
        np.array([getattr(one, name) for one in each]) for name in ("values", "added", "df")
    )
    name = pooled.table.split[0]
    mean = replace(each[0], values=values.mean(axis=0))
    if each[0].variance is None:
        return shown(name, mean, None, asked, index)
    variance = np.array([one.variance for one in each])
    error = _numbers(pooled, values, np.sqrt(variance), df).se
    limits = None
    if asked.interval is not None:
        whole = _numbers(pooled, values, np.sqrt(variance + added), df)
        limits = limits_of(mean.values, whole.se, whole.df, asked.confidence)
    return shown(name, replace(mean, variance=error**2), limits, asked, index)


def _numbers(pooled: Pooled[Any], values: Array, se: Array, df: Array) -> PooledNumbers:
    """Rubin's rules for numbers (m, c) as they are."""
    if pooled.complete_df is not None:
        df = np.where(np.isnan(df), df, pooled.complete_df)
    return pooled_numbers(values, se, df, pooled.df_kind, read_nests(pooled.nested, pooled.fits))
