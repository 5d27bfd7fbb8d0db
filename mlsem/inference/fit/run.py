"""`fit_measures`: tests of fit and indices, under lavaan's names and in its order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.errors import InferenceError, OptionValueError, listed, nearest
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.saturated import SaturatedModel
from mlsem.inference.fit import indices
from mlsem.inference.fit.chisquare import ChiSquare
from mlsem.inference.fit.models import FitModels
from mlsem.inference.fit.residuals import level_residuals, mean_over_rows
from mlsem.inference.fit.single_level import single_level_measures
from mlsem.inference.fit.weighted import defined

Measures = dict[str, float]
Approximation = dict[str, indices.Rmsea]
Units = Literal["clusters", "rows"]


@dataclass(frozen=True, slots=True)
class _Tests:
    """Of a model and of its baseline, and what they are judged by.

    Attributes
    ----------
    model : ChiSquare
    baseline : ChiSquare or None
    units : float
        The N of the RMSEA.
    variables : float
        The p of the GFI.
    groups : int
        How many there are.
    robust : bool
    """

    model: ChiSquare
    baseline: ChiSquare | None
    units: float
    variables: float
    groups: int
    robust: bool

    def approximation(self) -> Approximation:
        """The RMSEA by suffix of its name."""
        kinds = {"": "usual"} | ({".scaled": "scaled", ".robust": "robust"} if self.robust else {})
        return {
            suffix: indices.rmsea(self.model, self.units, self.groups, kind)
            for suffix, kind in kinds.items()
        }


@quiet
def fit_measures(models: FitModels) -> Measures:
    """All measures of a model; those of its likelihood alone where it has no saturated model."""
    estimates = models.estimates
    require_estimates(estimates)
    if estimates.table.differing:
        alone = {"npar": float(estimates.n_own_params)} | _likelihood(estimates)
        return defined(alone, estimates)
    tests = _Tests(
        models.test,
        models.baseline_test,
        float(estimates.n_obs),
        _n_variables(estimates, 1),
        len(estimates.groups),
        models.robust,
    )
    measures: Measures = {"npar": float(estimates.n_own_params)}
    if not estimates.table.multilevel:
        measures["fmin"] = 0.5 * tests.model.statistic / tests.units
    measures |= _chi_square(tests.model, "", robust=tests.robust)
    measures |= _score(models)
    if tests.baseline is not None:
        measures |= _chi_square(tests.baseline, "baseline.", robust=tests.robust)
        measures |= _comparisons(tests)
    measures |= _likelihood(estimates, models.saturated.loglik)
    if models.robust:
        measures |= _scaling_factors(models)
    approximation = tests.approximation()
    measures |= _approximation(approximation)
    measures |= _srmr(models) | _goodness(tests, approximation)
    measures |= single_level_measures(models)
    return defined(measures, estimates)


@quiet
def level_measures(models: FitModels, level: int, units: Units = "clusters") -> Measures:
    """Of fit at one level, the other one saturated (Yuan & Bentler, 2007; Ryu & West, 2009).

    Parameters
    ----------
    units : {"clusters", "rows"}
        What N is at level 2; at level 1 it is always the number of rows.

    Raises
    ------
    InferenceError
        The model has one level or random slopes, a label or a constraint ties its levels, or a
        model of the comparison has no maximum.
    """
    estimates = models.estimates
    require_estimates(estimates)
    if units not in get_args(Units):
        raise OptionValueError(f"units={units!r}: it takes one of {listed(get_args(Units))}.")
    if not estimates.table.multilevel:
        raise InferenceError("the model has one level: fit_measures() without level= is its fit.")
    own, base = models.at_level(level), models.baseline_at_level(level)
    if own is None:
        raise InferenceError(
            f"there is no fit of level {level} alone: a label or a constraint ties the levels, or "
            "the model with the other level saturated has no maximum."
        )
    moments = estimates.problem.moments
    count = estimates.n_obs
    if level > 1 and units == "clusters":
        count = len(moments.top_labels) if level == 3 else moments.n_clusters
    tests = _Tests(
        models.against_saturated(own),
        None if base is None else models.against_saturated(base),
        float(count),
        _n_variables(estimates, level),
        len(estimates.groups),
        models.robust,
    )
    measures = _chi_square(tests.model, "", robust=tests.robust)
    if tests.baseline is not None:
        measures |= _chi_square(tests.baseline, "baseline.", robust=tests.robust)
        measures |= _comparisons(tests)
    approximation = tests.approximation()
    measures |= _approximation(approximation)
    name = _srmr_names(estimates)[level - 1]
    measures |= {name: _level_srmr(own, models.saturated, level)} | _goodness(tests, approximation)
    return defined(measures, estimates)


def require_estimates(estimates: Estimates) -> None:
    """Refuse what was not fitted by maximum likelihood, or is no maximum."""
    if not estimates.converged:
        raise InferenceError("the fit did not converge: there is no maximum whose fit to measure.")
    if estimates.restricted:
        raise InferenceError(
            "measures of fit compare log-likelihoods of models with other means, which those of "
            "REML are not made for: fit by maximum likelihood (REML=False in lmm)."
        )


def _n_variables(estimates: Estimates, level: int) -> float:
    """Of a level; the mean over rows of those of the groups."""
    beside = estimates.table.auxiliary
    counts: list[int] = []
    for group in estimates.groups:
        variables = group.estimates.table.levels[level - 1]
        modelled = [name for name in variables.modelled if name not in beside]
        counts.append(len(modelled) + len(variables.covariates))
    return mean_over_rows(estimates, counts)


def _chi_square(test: ChiSquare, prefix: str, *, robust: bool) -> Measures:
    name, measures = f"{prefix}chisq", {}
    measures[name] = test.statistic
    measures[f"{prefix}df"] = float(test.df)
    measures[f"{prefix}pvalue"] = test.pvalue
    if robust:
        measures[f"{name}.scaled"] = test.scaled
        measures[f"{prefix}df.scaled"] = float(test.df)
        measures[f"{prefix}pvalue.scaled"] = test.tail(test.scaled)
        measures[f"{name}.scaling.factor"] = test.scaling
    return measures


def _score(models: FitModels) -> Measures:
    score = models.score
    if score is None:
        return dict.fromkeys(("chisq.score", "df.score", "pvalue.score"), np.nan)
    return {
        "chisq.score": score.statistic,
        "df.score": float(score.df),
        "pvalue.score": score.pvalue,
        "chisq.score.scaling.factor": score.scaling if score.df else np.nan,
    }


def _comparisons(tests: _Tests) -> Measures:
    """Indices that compare with the baseline, of all kinds, in lavaan's order."""
    assert tests.baseline is not None
    kinds = {"": indices.usual}
    if tests.robust:
        kinds |= {".scaled": indices.scaled, ".robust": indices.robust}
    pairs = {
        kind: (arrange(tests.model), arrange(tests.baseline)) for kind, arrange in kinds.items()
    }
    compared = {kind: indices.comparative(*pair) for kind, pair in pairs.items()}
    measures = {f"{name}{kind}": compared[kind][name] for kind in kinds for name in ("cfi", "tli")}
    for kind, pair in pairs.items():
        measures[f"nnfi{kind}"] = compared[kind]["tli"]
        if kind != ".robust":
            measures |= {f"{name}{kind}": each for name, each in indices.normed(*pair).items()}
        measures[f"rni{kind}"] = compared[kind]["rni"]
    return measures


def _likelihood(estimates: Estimates, saturated: float | None = None) -> Measures:
    """-2 ℓ with penalties: 2 npar (Akaike, 1974), npar log N (Schwarz, 1978), and
    npar log[(N + 2) / 24] (Sclove, 1987). Auxiliary variables are in ℓ and so in npar."""
    loglik, count, n = estimates.loglik, estimates.n_params, estimates.n_obs
    measures = {"logl": loglik}
    if saturated is not None:
        measures["unrestricted.logl"] = saturated
    return measures | {
        "aic": -2.0 * loglik + 2.0 * count,
        "bic": -2.0 * loglik + count * float(np.log(n)),
        "ntotal": float(n),
        "bic2": -2.0 * loglik + count * float(np.log((n + 2.0) / 24.0)),
    }


def _scaling_factors(models: FitModels) -> Measures:
    """Of the log-likelihoods: tr(M I⁻¹) by parameter."""
    count = models.seen.n_params
    return {
        "scaling.factor.h1": models.saturated_trace / models.saturated.n_params,
        "scaling.factor.h0": models.trace / count if count else np.nan,
    }


def _approximation(found: Approximation) -> Measures:
    measures: Measures = {}
    for suffix, each in found.items():
        measures[f"rmsea{suffix}"] = each.value
        measures[f"rmsea.ci.lower{suffix}"] = each.lower
        measures[f"rmsea.ci.upper{suffix}"] = each.upper
        if not suffix:
            measures["rmsea.ci.level"] = indices.CI_LEVEL
        measures[f"rmsea.pvalue{suffix}"] = each.close
        if not suffix:
            measures["rmsea.close.h0"] = indices.CLOSE
        measures[f"rmsea.notclose.pvalue{suffix}"] = each.not_close
        if not suffix:
            measures["rmsea.notclose.h0"] = indices.NOT_CLOSE
    return measures


def _srmr(models: FitModels) -> Measures:
    if not models.estimates.table.multilevel:
        return {}
    names = _srmr_names(models.estimates)
    values = [
        _level_srmr(models.estimates, models.saturated, level) for level in range(1, len(names) + 1)
    ]
    return {"srmr": sum(values)} | dict(zip(names, values, strict=True))


def _srmr_names(estimates: Estimates) -> tuple[str, ...]:
    """By level."""
    if estimates.table.three_level:
        return "srmr_level1", "srmr_level2", "srmr_level3"
    return "srmr_within", "srmr_between"


def _level_srmr(estimates: Estimates, saturated: SaturatedModel, level: int) -> float:
    return mean_over_rows(
        estimates,
        [
            level_residuals(group.estimates, point, level).srmr
            for group, point in zip(estimates.groups, saturated.groups, strict=True)
        ],
    )


def _goodness(tests: _Tests, approximation: Approximation) -> Measures:
    test, measures = tests.model, {}
    kinds = {"": indices.usual} | ({".robust": indices.robust} if tests.robust else {})
    for suffix, arrange in kinds.items():
        own = approximation[suffix]
        limits = [
            indices.gfi_of_rmsea(e, test.df, tests.variables, tests.groups)
            for e in (own.upper, own.lower)
        ]
        measures[f"gfi{suffix}"] = indices.gfi(arrange(test).excess, tests.units, tests.variables)
        measures[f"gfi.ci.lower{suffix}"], measures[f"gfi.ci.upper{suffix}"] = limits
        if not suffix:
            measures["gfi.ci.level"] = indices.CI_LEVEL
    return measures


def selected(measures: Measures, names: str | Iterable[str]) -> Measures:
    """Those of these names, in this order.

    Raises
    ------
    OptionValueError
        A name is not among them.
    """
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in measures:
            raise OptionValueError(
                f"fit_measures has no {name!r} for this model.{nearest(str(name), tuple(measures))}"
            )
    return {name: measures[name] for name in wanted}
