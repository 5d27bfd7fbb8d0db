"""What a user should be told about the estimates of a fit, in words."""

from __future__ import annotations

import numpy as np

from mlsem.core.optimise.optimum import ADVICE, Optimum
from mlsem.core.sample.shapes import covariate_sample
from mlsem.errors import listed
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import Problem
from mlsem.estimation.settings import Settings
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import negative_variances

FAR = 100.0  # standard deviations from zero
VANISHED = 1e-4  # share of the largest residual variance


def on_estimates(estimates: Estimates) -> tuple[str, ...]:
    """Warnings about a maximum."""
    remarks = (alone(estimates.optimum), improper(estimates), *on_boundary(estimates))
    return tuple(filter(None, remarks))


def improper(estimates: Estimates) -> str:
    """A warning of an improper solution: free variances below zero, or latent variables whose
    implied covariance matrix is none; empty if all is well."""
    table = estimates.table
    values = negative_variances(table, estimates.params.tolist())
    if values:
        shown = ", ".join(f"{name} = {value:.3g}" for name, value in values.items())
        by = ", by ML," if estimates.restricted else ""
        return (
            f"negative variance estimates: {shown}. The model may be wrong, or the variance near "
            f'zero; bounds="pos.var"{by} keeps variances from falling below zero.'
        )
    for group in estimates.groups:
        beyond = _indefinite(group.estimates)
        if beyond:
            where = f" in group {group.label!r}" if table.groups else ""
            return (
                f"the implied covariance matrix of the latent variables {listed(beyond)}{where} is "
                "not positive definite (a correlation beyond 1): two of them may be one."
            )
    return ""


def _indefinite(estimates: Estimates[Problem]) -> tuple[str, ...]:
    """Latent variables of a level whose implied covariance matrix is none; empty if all is well."""
    for moments, variables in zip(estimates.implied, estimates.table.levels, strict=False):
        latent = variables.latent
        covariance = moments.covariance[: len(latent), : len(latent)]
        if latent and np.linalg.eigvalsh(covariance)[0] < -1e-8 * np.trace(covariance):
            return latent
    return ()


def on_boundary(estimates: Estimates) -> tuple[str, ...]:
    """A note on random effects whose covariance matrix is singular."""
    return (singular_note(estimates.settings),) if estimates.boundary else ()


def singular_note(settings: Settings) -> str:
    """What to say of such a matrix."""
    return (
        "the estimated covariance matrix of the random effects is singular (on the boundary): a "
        "variance is zero or a correlation one. Standard errors and tests of variances mean little "
        "there; a model with fewer random effects may do." + _information_there(settings)
    )


def on_starts(optimum: Optimum) -> tuple[str, ...]:
    """What random starts led to."""
    starts = optimum.starts
    return () if starts is None else tuple(filter(None, (str(starts), alone(optimum))))


def alone(optimum: Optimum) -> str:
    """A warning of a maximum that one search of all reached; empty if all is well."""
    starts = optimum.starts
    if starts is None or not starts.alone:
        return ""
    return (
        f"the highest maximum was reached by one search of {len(starts.logliks) + 1} alone: there "
        "may be a higher one. Try more random starts (starts=), or a simpler model."
    )


def _information_there(settings: Settings) -> str:
    """What standard errors take on the boundary."""
    kind = settings.kind()
    if settings.information == "expected" or not kind.exists:
        return ""
    why = "on the boundary the gradient is not zero, so that the observed information is no"
    if settings.information == "observed":
        return f' information="observed" was asked for: {why} curvature of the likelihood.'
    return f" Standard errors take the expected information: {why} curvature."


def active_restrictions(estimates: Estimates) -> tuple[str, ...]:
    """A note on the inequalities and bounds that hold with equality."""
    table, active = estimates.table, estimates.optimum.active
    if not active:
        return ()
    lower, upper = parameter_bounds(table)
    sources = [each.source for each in table.constraints if not each.equality]
    sources += [f"{table.names[k]} > {lower[k]:g}" for k in np.flatnonzero(np.isfinite(lower))]
    sources += [f"{table.names[k]} < {upper[k]:g}" for k in np.flatnonzero(np.isfinite(upper))]
    shown = ", ".join(sources[k] for k in active)
    return (
        f"active at the estimates: {shown}. Standard errors take these as equalities and are "
        "approximate so near a boundary.",
    )


def complaint(problem: Posed, optimum: Optimum, settings: Settings) -> str:
    """Why the optimiser stopped, and what to try."""
    return (
        ADVICE[optimum.status].format(max_iter=settings.max_iter, where=optimum.where)
        + f" (remaining step: {optimum.distance:.2g} standard errors)."
        + _on_far_covariates(problem)
        + _on_vanishing_classes(problem, optimum)
    )


def _on_vanishing_classes(problem: Posed, optimum: Optimum) -> str:
    """Which groups have next to no residual variance, where the search ended."""
    table = problem.table
    if not table.classes:
        return ""
    own = problem.coordinates.to_user(optimum.params)[-len(table.classes) :]
    lost = [label for label, value in zip(table.classes, own, strict=True)
            if value < VANISHED * own.max()]  # fmt: skip
    if not lost:
        return ""
    return (
        f" The residual variance of {listed(lost)} goes to zero: the fixed and random effects fit "
        "those rows exactly, or nearly so. Join groups of residual=, or leave these rows out."
    )


def _on_far_covariates(problem: Posed) -> str:
    """What to do about covariates far from zero, which the optimiser takes as they are where
    groups share intercepts."""
    if not len(problem.shared):
        return ""
    far: dict[str, None] = {}
    for group in problem.groups:
        one = group.problem
        for number, level in enumerate(one.table.levels, start=1):
            maps = np.array([one.maps[name] for name in level.covariates])
            if len(maps):
                mean, spread = covariate_sample(one.sample, maps, number)
                away = np.abs(mean) > FAR * np.sqrt(np.diagonal(spread))
                far |= dict.fromkeys(np.array(level.covariates)[away].tolist())
    if not far:
        return ""
    centred = ", ".join(f"{name!r}: 'grand'" for name in far)
    return (
        f" {listed(far)} {'is' if len(far) == 1 else 'are'} far from zero, which is hard where "
        f"groups share intercepts: center={{{centred}}} may help."
    )


def unreached(estimates: Estimates) -> tuple[str, ...]:
    """A note on a search that ended elsewhere than at a maximum."""
    if estimates.converged:
        return ()
    why = complaint(estimates.problem, estimates.optimum, estimates.settings)
    return (f"not estimates: {why} The parameters shown are those where the search stopped.",)
