"""The door to semopy: its models taken over, our fits handed to its tools.

semopy (https://semopy.com, MIT licence) is optional: ``pip install "mlsem[semopy]"``. It is
imported inside functions of this file only and takes no part in an estimation of mlsem's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.errors import (
    InterfaceError,
    OptionValueError,
    SpecificationError,
    SpecificationWarning,
    listed,
    warn,
)
from mlsem.interop.semopy.defaults import Intercepts, Translation
from mlsem.interop.semopy.results import (
    OPTIMISER,
    Information,
    Inspection,
    Mode,
    StandardizedEstimates,
    What,
    check_mode,
    handed_over,
    require_fit,
)
from mlsem.interop.semopy.syntax import read
from mlsem.interop.semopy.writer import Writer
from mlsem.model.expressions import CompiledExpression, compile_constraints
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import ParameterTable
from mlsem.results.result import FitResult


def from_semopy(model: Any) -> str:
    """A model of semopy's as model text for `mlsem.fit`.

    semopy itself is not needed for a text.

    Parameters
    ----------
    model : str or semopy.Model
        semopy's syntax: `=~`, `~`, `~~`, labels and fixed numbers, `~ 1`, several variables on
        the left of an operator (with commas), comments, `DEFINE(latent)`, `FORCE(endo)`,
        `START`, `BOUND`, `CONSTRAINT`, and the newer spellings `latent :`, `start v :`,
        `bound l r :`, `constraint expr :`. A text with `~ 1` is read as for `ModelMeans`, any
        other as for `Model`. Of an object its class and its options `mimic_lavaan`, `cov_diag`
        and `intercepts` count; its estimates do not.

    Returns
    -------
    str
        A single-level model in lavaan's syntax. With the default options of `mlsem.fit` it has
        semopy's parameters and so semopy's maximum-likelihood estimates: what the two
        programs add by default is written out in it. semopy fixes the first loading without a
        label, not the first; it adds no covariances among outcomes (unless `mimic_lavaan`); it
        keeps variances at or above 0 (here `lower(0)*`). Options such as `std_lv`, `fixed_x`,
        `auto_cov_y` and `bounds` are therefore best left alone.

    Raises
    ------
    SpecificationError
        For what mlsem does not fit (ordinal variables, semopy's random effects) or lavaan's
        syntax cannot say; shows line, column and a caret.
    OptionValueError
        `model` is something else.

    Notes
    -----
    Exogenous variables are conditioned on, as in semopy; only where a variance or covariance of
    theirs is written are all of them parameters.

    Examples
    --------
    >>> import mlsem
    >>> from mlsem.interop.semopy import from_semopy
    >>> print(from_semopy("y ~ x"))
    y ~ x
    y ~~ lower(0)*y
    """
    if isinstance(model, str):
        source = read(model)
        means = any(rhs == "1" for _, rhs in source.paths)
        return Translation(source, "free" if means else "none").text()
    semopy = sys.modules.get("semopy")
    if semopy is None or not isinstance(model, semopy.Model):
        raise OptionValueError(
            f"model is a {type(model).__name__}; from_semopy takes a text or a semopy.Model."
        )
    if isinstance(model, semopy.ModelEffects | semopy.ModelGeneralizedEffects):
        raise SpecificationError(
            f"random effects ({type(model).__name__}) are not taken over: semopy approximates "
            "the likelihood of several outcomes. Write the random intercept of y as a second "
            "level: 'level: 1' with the model, 'level: 2' and below it 'y ~~ y'."
        )
    if not isinstance(model.description, str):
        raise SpecificationError("the semopy model was not built from text. Pass its text.")
    if model.baseline:
        raise SpecificationError("baseline=True is not taken over: it drops what the text says.")
    intercepts: Intercepts = "none"
    if isinstance(model, semopy.ModelMeans):
        intercepts = "free" if model.intercepts else "zero"
    return Translation(
        read(model.description), intercepts, bool(model.mimic_lavaan), bool(model.cov_diag)
    ).text()


def to_semopy(fit: FitResult, level: int | str = 1) -> Any:
    """One level of a fit as a semopy `Model` that holds our estimates.

    semopy's tools are then one call away: ``model.inspect()`` shows our estimates with our
    standard errors (see `inspect`), ``semopy.semplot(model, "path.png")`` draws them,
    ``semopy.report(model, "name")`` reports, ``model.fit()`` fits again from our estimates, and
    from then on the model is semopy's.

    Parameters
    ----------
    fit : FitResult
    level : int or str, default 1
        1 or 2, or the level's label in the model.

    Returns
    -------
    semopy.Model
        Loaded with a covariance matrix and a number of samples: of a single-level fit the
        sample's (divisor N) and N; of level 1 the pooled-within covariance matrix (divisor
        N - J) and N - J, for J clusters; of level 2 the covariance matrix that our fit implies
        and J. Variances may be negative, and bounds and constraints are those of our model.

    Raises
    ------
    InterfaceError
        semopy is not installed.
    OptionValueError
        The model has no such level.
    SpecificationError
        The model has random slopes, or several groups.

    Warns
    -----
    SpecificationWarning
        Something of the model is not in the semopy model: structured means, equality or
        constraints across levels; or the covariance matrix is not positive definite, so that
        semopy replaces it.

    Notes
    -----
    ``semopy.calc_stats(model)``, and the fit measures of a report, are computed by semopy itself,
    of a single-level covariance structure with that many samples: approximate for a level of a
    two-level model, and in part wrong for any (see `calc_stats` of this module, which has ours).
    At level 2 the fit is perfect by construction, and `model.fit()` stops at once, since semopy
    refuses a discrepancy of 0.

    A `Model` has no means, and defined parameters (`:=`) have no counterpart in it. Products
    and other names that semopy cannot read are renamed: `w1:x1` is `w1_x1`. A row `y ~ 0*y` is
    there where semopy would otherwise not know y, or would keep its residual apart from the
    paths; it changes nothing.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.sem("y ~ x1 + w1", data)
    >>> from mlsem.interop.semopy import to_semopy
    >>> type(to_semopy(fit)).__name__
    'Model'
    """
    model, doubts = _hand_over(fit, level, "to_semopy")
    for message in (*_lost(fit.table, fit.table.level_number(level)), *doubts):
        warn(message, SpecificationWarning)
    return model


def inspect(
    fit: FitResult,
    mode: Mode = "list",
    what: What = "est",
    information: Information | None = "expected",
    std_est: StandardizedEstimates = False,
    se_robust: bool = False,
    *,
    level: int | str = 1,
) -> Any:
    """What `Model.inspect` of semopy shows, of one level of our fit.

    Parameters
    ----------
    fit : FitResult
    mode : {"list", "mx"}, default "list"
        A table of the parameters, or semopy's matrices.
    what : {"est", "start", "name"}, default "est"
        What the matrices hold.
    information : {"expected", "observed"} or None, default "expected"
        "expected", semopy's default, shows the standard errors that the fit has, "observed" those
        from the observed information; with None there are none.
    std_est : bool or "lv", default False
        Adds the column `Est. Std`: `std_all` of our fit, or with "lv" `std_lv`.
    se_robust : bool, default False
        MLR standard errors, unless those of the fit are robust already.
    level : int or str, default 1
        1 or 2, or the level's label in the model.

    Returns
    -------
    DataFrame or dict of str to DataFrame
        Of the parameters: columns lval, op, rval, Estimate, (Est. Std,) Std. Err, z-value,
        p-value, as in semopy, which writes loadings as regressions, and '-' where there is no
        test: fixed parameters. z-value and p-value are those of `fit.parameter_estimates()`, so
        of a t test where the fit has degrees of freedom. Intercepts, if the model has any, are
        `y ~ 1`, as of a `ModelMeans`.

    Raises
    ------
    InterfaceError
        semopy, whose layout it is, is not installed.
    OptionValueError
        A value that an argument cannot take.
    SpecificationError
        The model has random slopes, or several groups.

    Notes
    -----
    semopy's standard errors agree for one level, by maximum likelihood and with the expected
    information; its robust ones do not exist without the data and are not MLR's. With "lv" it
    scales observed predictors of latent variables too, and ours does not, as in lavaan.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.sem("y ~ x1 + w1", data)
    >>> from mlsem.interop.semopy import inspect
    >>> inspect(fit)[["lval", "op", "rval"]].head(2)
      lval op rval
    0    y  ~   x1
    1    y  ~   w1
    """
    check_mode(mode, what)
    model, _ = _hand_over(fit, level, "inspect")
    if mode == "mx":
        return model.inspect("mx", what)
    return model.inspection.table(model, information, std_est, se_robust, means=True)


def _hand_over(fit: FitResult, level: int | str, taker: str) -> tuple[Any, list[str]]:
    """The semopy model of a level, and what there is to doubt in it."""
    semopy = _semopy()
    require_fit(fit, taker)
    if fit.table.slopes:
        names = listed(slope.name for slope in fit.table.slopes)
        raise SpecificationError(f"semopy's Model has no random slopes ({names}).")
    number = fit.table.level_number(level)
    writer = Writer(fit.table, number)
    model = handed_over(semopy, Inspection(fit, writer), writer.description())
    names = _observed(fit.table, number)
    cov, count = _moments(fit, number, names)
    lower, upper = parameter_bounds(fit.table)
    for position, name in writer.parameters.items():
        parameter = model.parameters[name]
        parameter.start = float(fit.estimates[position])
        parameter.bound = tuple(
            float(limit) if np.isfinite(limit) else None
            for limit in (lower[position], upper[position])
        )
    model.constraints += _constraints(fit, writer.parameters, model)
    renamed = [writer.rename(name) for name in names]
    frame = make_frame(dict(zip(renamed, cov.T, strict=True)), renamed)
    model.load(cov=frame, n_samples=count)
    model.last_result = _result(semopy, model, fit.converged)
    return model, _doubts(cov)


def _semopy() -> Any:
    try:
        import semopy
        import semopy.constraints
        import semopy.solver
    except ImportError as error:
        raise InterfaceError(
            f'this needs semopy ({error}): pip install "mlsem[semopy]"', name="semopy"
        ) from error
    return semopy


# --- what the model is loaded with ---------------------------------------------------------------


def _observed(table: ParameterTable, number: int) -> tuple[str, ...]:
    variables = table.levels[number - 1]
    return variables.modelled + variables.covariates


def _moments(fit: FitResult, number: int, names: tuple[str, ...]) -> tuple[Array, int]:
    """Covariance matrix of the level's observed variables, and how many samples it stands for."""
    data = fit._estimates.problem.sample
    if number == 2:
        return fit.implied(2).cov.loc[list(names), list(names)].to_numpy(), int(data.n_clusters)
    count = fit.n_obs - (int(data.n_clusters) if fit.table.two_level else 0)
    maps = np.array([fit._estimates.problem.maps[name] for name in names])
    return maps @ data.within @ maps.T / count, count


def _constraints(fit: FitResult, parameters: dict[int, str], model: Any) -> list[dict[str, Any]]:
    """Our constraints among these parameters, as scipy's optimisers (and so semopy) take them."""
    places = {name: position for position, name in parameters.items()}
    active = [places[name] for name, each in model.parameters.items() if each.active]
    taken = []
    for compiled, each in zip(compile_constraints(fit.table), fit.table.constraints, strict=True):
        if set(compiled.positions.tolist()) <= set(parameters):
            value, slope = _along(compiled, fit.estimates, active)
            kind = "eq" if each.equality else "ineq"
            taken.append({"type": kind, "fun": value, "jac": slope})
    return taken


def _along(
    compiled: CompiledExpression, params: Array, active: list[int]
) -> tuple[Callable[[Array], float], Callable[[Array], Array]]:
    """Value and gradient as functions of the active parameters."""

    def full(x: Array) -> Array:
        whole = params.copy()
        whole[active] = x
        return whole

    return (
        lambda x: float(compiled.value(full(x))),
        lambda x: np.asarray(compiled.gradient(full(x)))[active],
    )


def _lost(table: ParameterTable, number: int) -> list[str]:
    """What the semopy model lacks of ours."""
    levels = {
        k: {row.free for row in table.rows if row.level == k and row.free >= 0} for k in (1, 2)
    }
    here, other = levels[number], levels[3 - number]
    lost = []
    shared = {table.names[k] for k in here & other}
    if shared:
        lost.append(f"equality across levels ({listed(sorted(shared))})")
    across = [
        each.source
        for compiled, each in zip(compile_constraints(table), table.constraints, strict=True)
        if (used := set(compiled.positions.tolist())) & here and not used <= here
    ]
    if across:
        lost.append(f"constraints ({listed(across)})")
    latent = table.levels[number - 1].latent
    means = [
        row.lhs
        for row in table.rows
        if row.op == "~1"
        and row.level == number
        and (row.free >= 0 if row.lhs in latent else row.user and (row.free < 0 or row.label))
    ]
    if means:
        lost.append(f"structured means (of {listed(means)})")
    return [f"the semopy model leaves out {' and '.join(lost)}."] if lost else []


def _doubts(cov: Array) -> list[str]:
    try:
        np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        return [
            "the covariance matrix of this level is not positive definite; semopy replaces it by "
            "one that is, and its standard errors and fit measures may not exist."
        ]
    return []


def _result(semopy: Any, model: Any, converged: bool) -> Any:
    """Our estimates as the outcome of semopy's optimiser."""
    return semopy.solver.SolverResult(
        fun=_discrepancy(model),
        success=converged,
        n_it=0,
        x=model.param_vals,
        message="Estimates of mlsem",
        name_method=OPTIMISER,
        name_obj="MLW",
    )


def _discrepancy(model: Any) -> float:
    """log|Σ| - log|S| + tr(S Σ⁻¹) - p, not below 0."""
    sigma = model.calc_sigma()[0]
    sign, determinant = np.linalg.slogdet(sigma)
    if sign <= 0:
        return float("inf")
    trace = float(np.trace(np.linalg.solve(sigma, model.mx_cov)))
    return max(0.0, float(determinant) - float(model.cov_logdet) + trace - len(sigma))
