"""Profile-likelihood intervals of the variances of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlsem.core.implied.means import outside_means
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import null_space
from mlsem.core.optimise.factored import ZERO, Block, Factors
from mlsem.core.optimise.maximise import Optimum, climb, maximize
from mlsem.core.records import Array
from mlsem.errors import EstimationError, InferenceError, InferenceWarning, listed, warn
from mlsem.estimation.problem import Problem
from mlsem.estimation.semidefinite import bounded, factors_of
from mlsem.estimation.settings import Settings
from mlsem.inference.covariance.cautions import cautions
from mlsem.inference.covariance.equations import WhiteClusters
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.of_optimum import covariance_of
from mlsem.inference.covariance.reference import ClusterReference
from mlsem.inference.profile.search import Place, Search, critical_value, relative_variances
from mlsem.model.expressions import compile_constraints
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import ParameterTable

LOOSE = 1e-4  # remaining step of a constrained fit, in standard errors
PATIENCE = 60  # iterations of a constrained fit
ROUNDING = 1e-10  # parts of unit vectors below are none
CORRECTIONS = 5  # fits until a variance that bends between coordinates has its value
EXACT = 1e-9  # and how near that is
ASIDE = 1e-3  # standard errors between which log|M| is differenced


@dataclass(frozen=True, slots=True, eq=False)
class ProfileIntervals:
    """Limits of the variances, by position, and the CR2 covariance for the other parameters."""

    covariance: Covariance
    limits: Mapping[int, tuple[float, float]]


def profile_intervals(
    problem: Problem,
    settings: Settings,
    optimum: Optimum,
    places: list[int],
    level: float,
    *,
    clustered: bool,
) -> ProfileIntervals:
    """Intervals of those of the parameters at `places` that are variances.

    NaN, with a warning that says why, where a variance has no cluster-robust standard error.

    Raises
    ------
    InferenceError
        There are no profile intervals for this fit; says why.
    """
    _require_profiles(problem.table, optimum)
    settings = settings.with_se("CR2")
    covariance, doubts = covariance_of(problem, settings, optimum, clustered=clustered)
    if covariance.reference is None:
        raise InferenceError(f"there are no profile intervals: {' '.join(doubts)}")
    variances = variance_places(problem.table)
    wanted = [k for k in dict.fromkeys(places) if k in variances]
    known = [k for k in wanted if covariance.se[k] > 0.0]
    unknown = [problem.table.names[k] for k in wanted if np.isnan(covariance.se[k])]
    if unknown:
        _warn(unknown, " ".join((*doubts, *cautions(problem, covariance))))
    limits = dict.fromkeys(wanted, (np.nan, np.nan))
    if not known:
        return ProfileIntervals(covariance, limits)
    assert isinstance(covariance.reference, ClusterReference)
    clusters = covariance.reference.clusters
    relative = relative_variances(clusters, clusters.influence[known])
    for k, r in zip(known, relative, strict=True):
        search = variance_search(problem, optimum, covariance, k, critical_value(r, level))
        limits[k] = (search.lower(), search.upper())
    lost = [problem.table.names[k] for k in known if np.isnan(limits[k]).any()]
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
    variances = {row.free for row in table.rows if row.op == "~~" and row.lhs == row.rhs}
    others = {row.free for row in table.rows if row.op != "~~" or row.lhs != row.rhs}
    return variances - others - {-1}


def _require_profiles(table: ParameterTable, optimum: Optimum) -> None:
    """Refuse fits without a maximum, and constraints that bend or end the way of a profile."""
    if not optimum.converged:
        raise InferenceError("the fit did not converge: there is no likelihood to profile.")
    if np.isfinite(parameter_bounds(table)).any():
        raise InferenceError(
            'the model has bounds, beyond which a likelihood is not profiled: use ci="wald", or '
            "fit without bounds. Profile limits of a variance are never below 0 anyway."
        )
    for each, compiled in zip(table.constraints, compile_constraints(table), strict=True):
        if not each.equality or compiled.linear_form() is None:
            what = "nonlinear" if each.equality else "an inequality"
            raise InferenceError(
                f"the constraint {each.source} is {what}: the likelihood is profiled under linear "
                'equalities only. Use ci="wald".'
            )


# --- one variance ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class VarianceProfile:
    """ℓ_R of one variance θ_k of the user's parameters; all else in the optimiser's.

    Attributes
    ----------
    place : int
        k.
    factors : Factors or None
        What the fit keeps positive semidefinite, θ_k held.
    means : (npar, p)
        Directions that move the means alone.
    path : (npar,)
        How θ_c moves with c at the estimates: A⁻¹ ∂θ_k/∂θ, along which θ_k moves by 1.
    straight : (npar,)
        The shortest way, along which θ_k moves by 1.
    guess : (npar,)
        The default start, as near as the constraints allow.
    """

    problem: Problem
    optimum: Optimum
    place: int
    factors: Factors | None
    means: Array
    path: Array
    straight: Array
    guess: Array

    def at(self, value: float, near: Evaluation) -> Evaluation | None:
        """θ_c at c = `value` from a point near by: along the path, straight, then from the
        default start. None if it is found from none of these."""
        away = value - self._value(near.params)
        starts = [near.params + away * self.path, near.params + away * self.straight]
        starts.append(self.guess + (value - self._value(self.guess)) * self.straight)
        if self.factors is not None:
            found = self._maximum(starts[0], value, climb)
            if found is not None and self.factors.inside(found.params):
                return found
            return self._bounded(starts, value)
        for start in starts:
            found = self._maximum(start, value, maximize)
            if found is not None:
                return found
        return None

    def _value(self, params: Array) -> float:
        """θ_k."""
        return float(self.problem.coordinates.to_user(params)[self.place])

    def _maximum(self, start: Array, value: float, search: Any) -> Evaluation | None:
        """θ_c, from where θ_k = c to first order."""
        for _ in range(CORRECTIONS):
            found = self._along(start, search)
            if found is None:
                return None
            gap = value - self._value(found.params)
            if abs(gap) <= EXACT * (abs(value) + abs(self._value(self.optimum.params))):
                return found
            start = found.params + gap * self.straight
        return None

    def _along(self, start: Array, search: Any) -> Evaluation | None:
        """The maximum over the directions that hold θ_k, as they are at the start."""
        inner = self.problem.inner
        row = self.problem.coordinates.jacobian(start)[self.place]
        free = _held(self.optimum.free, row)
        try:
            with np.errstate(all="ignore"):  # a step too far is refused, whatever it overflows
                first = inner.evaluate(start)
                if first is None or not free.shape[1]:
                    return first
                conditioned = inner.conditioned(first, free)
                found = search(inner, first, free, conditioned, tol=LOOSE, max_iter=PATIENCE)
        except np.linalg.LinAlgError:
            return None
        return found.point if found.converged else None

    def _bounded(self, starts: list[Array], value: float) -> Evaluation | None:
        """θ_c within the bound."""
        assert self.factors is not None
        free = np.delete(np.eye(len(self.guess)), self._apart(), axis=1)
        settings = Settings(tol=LOOSE, max_iter=PATIENCE)
        try:
            with np.errstate(all="ignore"):
                found = bounded(self.problem.inner, iter(starts), free, settings, self.factors)
        except (np.linalg.LinAlgError, EstimationError):
            return None
        if not found.converged or abs(self._value(found.params) - value) > LOOSE * abs(value):
            return None
        return found.point

    def _apart(self) -> list[int]:
        """k where no factor holds θ_k."""
        assert self.factors is not None
        held = any(block.pin is not None for block in self.factors.blocks)
        return [] if held else [self.place]

    def reml(self, point: Evaluation) -> float:
        """ℓ - ½ log|M|."""
        return point.loglik - 0.5 * self._log_means(point)

    def _log_means(self, point: Evaluation) -> float:
        if not self.means.shape[1]:
            return 0.0
        inner = self.problem.inner
        information = inner.expected(point, inner.derivatives(point, self.means))
        return float(np.linalg.slogdet(information)[1])

    def slope(self, se: float) -> float:
        """b, the slope of -½ log|M| along the path at the estimates."""
        origin, step = self.optimum.params, ASIDE * se * self.path
        sides = [self.problem.inner.evaluate(origin + sign * step) for sign in (-1.0, 1.0)]
        below, above = (None if each is None else self._log_means(each) for each in sides)
        if below is None or above is None:
            return 0.0  # an estimate at the very end of the parameter space
        return -0.5 * (above - below) / (2.0 * ASIDE * se)


def variance_profile(
    problem: Problem, optimum: Optimum, clusters: WhiteClusters, place: int
) -> VarianceProfile:
    """Prepare the profile of the variance at position `place`."""
    along = clusters.model_covariance(np.array([place]))[:, 0]
    jacobian = problem.coordinates.jacobian(optimum.params)
    path = np.linalg.solve(jacobian, along) / along[place]
    free, row = _held(optimum.free, jacobian[place]), jacobian[place]
    others = free[outside_means(problem.inner.pattern, len(free))]
    projection = optimum.free @ np.linalg.pinv(optimum.free)
    guess = problem.coordinates.to_internal(problem.guess)
    return VarianceProfile(
        problem=problem,
        optimum=optimum,
        place=place,
        factors=_factors(problem, optimum, place),
        means=free @ null_space(np.where(np.abs(others) > ROUNDING, others, 0.0)),
        path=np.asarray(path, dtype=np.float64),
        straight=projection @ row / (row @ projection @ row),
        guess=optimum.params + projection @ (guess - optimum.params),
    )


def _held(free: Array, row: Array) -> Array:
    """Free directions along which a quantity with this gradient does not move."""
    return free @ null_space((row @ free)[None])


def _factors(problem: Problem, optimum: Optimum, place: int) -> Factors | None:
    """What the fit keeps positive semidefinite, with the variance at `place` held; None for a fit
    without that bound."""
    bound = optimum.singular or optimum.restricted is not None or problem.table.semidefinite
    if not bound:
        return None
    found = factors_of(problem, optimum.params, explained=optimum.singular)
    turn = problem.coordinates.effects_to_user() if not problem.coordinates.same else None
    blocks: list[Block] = []
    for block in found.blocks:
        if float(block.values(optimum.params)[0]) < -(ZERO**2):
            continue  # a residual of what latent variables explain, and not bounded
        own = np.flatnonzero(block.cells.diagonal() == place)
        for k in own:
            way = np.eye(len(block.cells))[k]
            if turn is not None:
                way = turn[np.ix_(block.effects[[k]], block.effects)][0]
            block = block.pinned(way)
        blocks.append(block)
    return Factors(tuple(blocks))


def variance_search(
    problem: Problem, optimum: Optimum, covariance: Covariance, place: int, crit: float
) -> Search[Evaluation]:
    """The search for the limits of the variance at position `place`."""
    assert isinstance(covariance.reference, ClusterReference)
    clusters = covariance.reference.clusters
    profile = variance_profile(problem, optimum, clusters, place)
    model = float(clusters.basis[place] @ clusters.influence[place])
    ratio = float(covariance.matrix[place, place]) / model
    estimate = float(problem.coordinates.to_user(optimum.params)[place])
    if optimum.restricted is None:
        slope = profile.slope(np.sqrt(model))
        # the highest ℓ_R lies V_m b further and ½ V_m b² higher, to first order
        highest = profile.reml(optimum.point) + 0.5 * model * slope**2
    else:  # the estimate is that of ℓ_R, but θ_c there is that of ℓ
        slope, there = 0.0, profile.at(estimate, optimum.point)
        highest = profile.reml(there or optimum.point)

    def root(value: float, near: Evaluation) -> tuple[float, Evaluation] | None:
        point = profile.at(value, near)
        if point is None:
            return None
        gap = 2.0 * (highest - profile.reml(point))
        return float(np.sqrt(max(gap, 0.0) / ratio)), point

    centre = Place(estimate + model * slope, 0.0, optimum.point)
    width = crit * np.sqrt(ratio * model)
    return Search(root, centre, crit, float(width), 0.0)
