"""Profile-likelihood intervals of the variances of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.errors import InferenceError, InferenceWarning, listed, warn
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.profile import variance_profile
from mlsem.estimation.weighted import refuse_weights
from mlsem.inference.covariance.cautions import cautions
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.inference.covariance.reference import ClusterReference
from mlsem.inference.profile.search import Place, Search, critical_value, relative_variances
from mlsem.model.expressions import compiled_pairs
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import ParameterTable
from mlsem.parallel.progress import bar


@dataclass(frozen=True, slots=True, eq=False)
class ProfileIntervals:
    """Limits of the variances, by position, and the CR2 covariance for the other parameters."""

    covariance: Covariance
    limits: Mapping[int, tuple[float, float]]


def profile_intervals(estimates: Estimates, places: list[int], level: float) -> ProfileIntervals:
    """Intervals of those of the parameters at `places` that are variances.

    NaN, with a warning that says why, where a variance has no cluster-robust standard error.

    Raises
    ------
    InferenceError
        There are no profile intervals for this fit; says why.
    """
    _require_profiles(estimates)
    covariance, doubts = covariance_of(estimates.with_se("CR2"))
    if covariance.reference is None:
        raise InferenceError(f"there are no profile intervals: {' '.join(doubts)}")
    names, variances = estimates.names, variance_places(estimates.table)
    wanted = [k for k in dict.fromkeys(places) if k in variances]
    known = [k for k in wanted if covariance.se[k] > 0.0]
    unknown = [names[k] for k in wanted if np.isnan(covariance.se[k])]
    if unknown:
        _warn(unknown, " ".join((*doubts, *cautions(estimates.problem, covariance))))
    limits = dict.fromkeys(wanted, (np.nan, np.nan))
    if not known:
        return ProfileIntervals(covariance, limits)
    assert isinstance(covariance.reference, ClusterReference)
    clusters = covariance.reference.clusters
    relative = relative_variances(clusters, clusters.influence[known])
    with bar(len(known), "profile intervals") as advance:
        for k, r in zip(known, relative, strict=True):
            search = variance_search(estimates, covariance, k, critical_value(r, level))
            limits[k] = (search.lower(), search.upper())
            advance(1)
    lost = [names[k] for k in known if np.isnan(limits[k]).any()]
    if lost:
        _warn(
            lost, "the search for a limit did not settle; the likelihood may have several maxima."
        )
    return ProfileIntervals(covariance, limits)


def _warn(names: list[str], why: str) -> None:
    text = f"no profile interval of {listed(names)}: {why}"
    warn(text, InferenceWarning)


def variance_places(table: ParameterTable) -> set[int]:
    """Positions of the parameters all of whose rows are variances."""
    variances = {row.free for row in table.rows if row.is_variance}
    others = {row.free for row in table.rows if not row.is_variance}
    return variances - others - {-1}


def _require_profiles(estimates: Estimates) -> None:
    """Refuse fits without a maximum, and constraints that bend or end the way of a profile."""
    table = estimates.table
    refuse_weights(estimates, "profile intervals", 'Use ci="wald", or fit.bootstrap("pairs").')
    if not estimates.converged:
        raise InferenceError("the fit did not converge: there is no likelihood to profile.")
    if np.isfinite(parameter_bounds(table)).any():
        raise InferenceError(
            'the model has bounds, beyond which a likelihood is not profiled: use ci="wald", or '
            "fit without bounds. Profile limits of a variance are never below 0 anyway."
        )
    for each, compiled in compiled_pairs(table):
        if not each.equality or compiled.linear_form() is None:
            what = "nonlinear" if each.equality else "an inequality"
            raise InferenceError(
                f"the constraint {each.source} is {what}: the likelihood is profiled under linear "
                'equalities only. Use ci="wald".'
            )


# --- one variance ---------------------------------------------------------------------------------


def variance_search(
    estimates: Estimates, covariance: Covariance, place: int, crit: float
) -> Search[Evaluation]:
    """The search for the limits of the variance at position `place`."""
    assert isinstance(covariance.reference, ClusterReference)
    clusters = covariance.reference.clusters
    along = clusters.model_covariance(np.array([place]))[:, 0]
    profile = variance_profile(estimates, along, place)
    model = float(clusters.basis[place] @ clusters.influence[place])
    ratio = float(covariance.matrix[place, place]) / model
    estimate, there = float(estimates.params[place]), profile.optimum.point
    if not estimates.restricted:
        slope = profile.slope(np.sqrt(model))
        # the highest ℓ_R lies V_m b further and ½ V_m b² higher, to first order
        highest = profile.reml(there) + 0.5 * model * slope**2
    else:  # the estimate is that of ℓ_R, but θ_c there is that of ℓ
        slope, highest = 0.0, profile.reml(profile.at(estimate, there) or there)

    def root(value: float, near: Evaluation) -> tuple[float, Evaluation] | None:
        point = profile.at(value, near)
        if point is None:
            return None
        gap = 2.0 * (highest - profile.reml(point))
        return float(np.sqrt(max(gap, 0.0) / ratio)), point

    centre = Place(estimate + model * slope, 0.0, there)
    width = crit * np.sqrt(ratio * model)
    return Search(root, centre, crit, float(width), 0.0)
