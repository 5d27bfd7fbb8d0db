"""The maximum of the likelihood from as many starts as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from mlsem.core.implied.point import Point
from mlsem.core.optimise.optimum import Optimum, as_high
from mlsem.core.records import Array
from mlsem.errors import EstimationError, IdentificationError, listed
from mlsem.estimation.charts import Chart, charts
from mlsem.estimation.feasible import in_domain, other_sides
from mlsem.estimation.mirror import mirror_images
from mlsem.estimation.ml import estimate_from, nearest_feasible, starting_point
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import Problem, restricted
from mlsem.estimation.settings import Settings
from mlsem.estimation.start import careful_start, random_start
from mlsem.model.table import negative_variances

FEWEST = 6  # iterations of a search that other starts may help
FIRST = 80  # iterations of the first search before others are tried
EARLY = (1, 6, 20)  # iterations after which a fit that fails later is mirrored
STARTS, HEAT = 16, 15  # other starts, and iterations of each
RANDOM, SEED = 8, 20260106  # random starts if none of these finds a maximum
FINALISTS, FINAL = 5, 60  # how many of them go on, and for how long
LAST = 215  # iterations that the first search goes on if no other finds a maximum
ROUNDS = 3  # how often a better side of the constraints has other sides in turn
HALVES = 4  # how often a start outside the parameter space is moved half-way back
GROWN, FAR = 1.1, 5.0  # growth since the middle of a search and since its start: to infinity

Back = Callable[[Array], Array | None] | None
"""From the parameters of a search to those of the user's model; None where they are the same."""


def estimate(problem: Posed, settings: Settings, start: object = None) -> Optimum:
    """Find the maximum-likelihood estimates.

    Unless the user chose the start, a failure is followed by other searches, in this order: with
    factors scaled by their variances, from further inside the parameter space, from mirror images
    of early iterates in the poles of small variances, from random starts; then the first one goes
    on. Where a variance is negative at a maximum, those with factors scaled otherwise follow too,
    and where nonlinear constraints leave the parameters several sides, one from each. The highest
    maximum counts. All of them together have a budget of iterations, so that a model without a
    maximum ends soon.

    Raises
    ------
    IdentificationError
        The model does not determine some parameters, whatever their values.
    EstimationError
        No starting point inside the parameter space.
    """
    first = starting_point(problem, start)
    if problem.table.constraints:
        first = in_domain(problem, first)
    if start is not None:
        return estimate_from(problem, settings, first)
    optimum = estimate_from(problem, settings.limited(FIRST), first)
    if problem.table.constraints:
        optimum = _best_side(problem, settings, first, optimum)
    if optimum.converged:
        return _higher(problem, settings, first, optimum)
    if optimum.n_iterations < FEWEST:
        return optimum
    search = _Elsewhere(problem, settings)
    elsewhere = search.best(first)
    level = -np.inf if elsewhere is None else elsewhere.loglik
    if optimum.status in ("max_iter", "stalled") and optimum.loglik > level:
        optimum = _gone_on(problem, settings, first, optimum)
    if elsewhere is None or (optimum.converged and optimum.loglik > level):
        return optimum
    return replace(elsewhere, n_iterations=optimum.n_iterations + search.spent)


def _best_side(problem: Posed, settings: Settings, first: Point, optimum: Optimum) -> Optimum:
    """The highest maximum on all sides of nonlinear constraints."""
    spent = 0
    for _ in range(ROUNDS):
        before = optimum
        for point in other_sides(problem, first, before):
            other = _tried(problem, settings.limited(FINAL), point)
            spent += 0 if other is None else other.n_iterations
            if other is None or not other.converged:
                continue
            if not optimum.converged or not as_high(optimum.loglik, other.loglik):
                optimum = replace(other, n_iterations=before.n_iterations + spent)
        if optimum is before:
            break
    return optimum


def _higher(problem: Posed, settings: Settings, first: Point, optimum: Optimum) -> Optimum:
    """The maximum, or a higher one: where a variance is negative there may be several, of which
    factors scaled by variances of either sign lead to others."""
    if not other_scales(problem, optimum):
        return optimum
    search = _Elsewhere(problem, settings)
    other = search.highest(_scaled(problem, first), optimum.loglik)
    if other is None or as_high(optimum.loglik, other.loglik):
        return optimum
    return replace(other, n_iterations=optimum.n_iterations + search.spent)


def other_scales(problem: Posed, optimum: Optimum) -> bool:
    """Whether a maximum has a negative variance, and factors can be scaled another way."""
    table = problem.table
    latent = any(level.latent for level in table.levels)
    if not latent or len(restricted(table)) or not isinstance(problem, Problem):
        return False
    params = problem.coordinates.to_user(optimum.params)
    return bool(negative_variances(table, params.tolist()))


def _gone_on(problem: Posed, settings: Settings, first: Point, optimum: Optimum) -> Optimum:
    """The first search goes on from where it was; what is said of it if that is in vain too."""
    most = min(LAST, settings.max_iter - optimum.n_iterations)
    again = _tried(problem, settings.limited(most), optimum.point) if most > 0 else None
    if again is None:
        return optimum
    count = optimum.n_iterations + again.n_iterations
    again = replace(again, n_iterations=count)
    if again.status not in ("max_iter", "stalled"):
        return again
    if count < settings.max_iter:
        again = again.stopped("stalled")
    return infinite(problem, (first.params, optimum.params), again) or again


def infinite(problem: Posed, path: tuple[Array, Array], optimum: Optimum) -> Optimum | None:
    """The failed search with its reason, if parameters grow and grow.

    Parameters
    ----------
    path : ((npar,), (npar,))
        Where it started and where it was half-way, the optimiser's parameters.
    """
    names = problem.table.names
    ends = (*path, optimum.params)
    start, middle, end = (np.abs(problem.coordinates.to_user(each)) for each in ends)
    usual = np.maximum(start, np.median(start))
    grown = np.flatnonzero((end > GROWN * middle) & (end > FAR * usual))
    if not len(grown):
        return None
    order = grown[np.argsort(-(end / usual)[grown])][:4]
    return optimum.stopped("infinite", listed(names[k] for k in sorted(order)))


@dataclass(slots=True)
class _Elsewhere:
    """Searches from other starts: a few iterations each, then more for those that are highest.

    Attributes
    ----------
    running : list
        Searches that have not ended yet, with the problem that they are of.
    spent : int
        Iterations of all of them.
    """

    problem: Posed
    settings: Settings
    running: list[tuple[Posed, Optimum, Back]] = field(default_factory=list)
    spent: int = 0

    def best(self, first: Point) -> Optimum | None:
        """The highest maximum that is found soon, or by those that are higher already."""
        maxima = self._begun(islice(self._starts(first), STARTS))
        if not maxima:
            maxima = self._begun(self._random(first))
        return self._ended(maxima, -np.inf)

    def highest(self, starts: Iterable[tuple[Posed, Point, Back]], level: float) -> Optimum | None:
        """The same of these starts, among what is above a level."""
        return self._ended(self._begun(starts), level)

    def _begun(self, starts: Iterable[tuple[Posed, Point, Back]]) -> list[Optimum]:
        done = [self._search(*each, HEAT) for each in starts]
        return [each for each in done if each is not None]

    def _ended(self, maxima: list[Optimum], level: float) -> Optimum | None:
        level = max((level, *(each.loglik for each in maxima)))
        higher = [each for each in self.running if each[1].loglik > level]
        higher.sort(key=lambda each: -each[1].loglik)
        for problem, optimum, back in higher[:FINALISTS]:
            again = self._search(problem, optimum.point, back, FINAL)
            maxima += [] if again is None else [again]
        return max(maxima, key=lambda each: each.loglik, default=None)

    def _search(self, problem: Posed, point: Point, back: Back, most: int) -> Optimum | None:
        """The maximum of the user's model that is reached; None if none is yet."""
        optimum = _tried(problem, self.settings.limited(most), point)
        if optimum is None:
            return None
        self.spent += optimum.n_iterations
        if not optimum.converged:
            if optimum.status == "max_iter":
                self.running.append((problem, optimum, back))
            return None
        if back is None:
            return optimum
        carried = back(optimum.params)
        user = None if carried is None else _evaluated(self.problem, carried)
        again = None if user is None else _tried(self.problem, self.settings.limited(most), user)
        return again if again is not None and again.converged else None

    def _starts(self, first: Point) -> Iterator[tuple[Posed, Point, Back]]:
        problem = self.problem
        free = not len(restricted(problem.table))
        if free:  # another scale of a factor, or a mirror image, would break constraints
            yield from _scaled(problem, first)
        careful = careful_start(problem)
        point = _at(problem, careful)
        if point is not None:
            yield problem, point, None
        for count in EARLY if free else ():
            early = _tried(problem, self.settings.limited(count), first)
            for point in _mirrored(problem, early.point) if early is not None else ():
                yield problem, point, None

    def _random(self, first: Point) -> Iterator[tuple[Posed, Point, Back]]:
        problem, generator = self.problem, np.random.default_rng(SEED)
        for _ in range(RANDOM):
            drawn = random_params(problem, first, generator)
            point = None if drawn is None else _at(problem, drawn)
            if point is not None:
                yield problem, point, None


def random_params(problem: Posed, first: Point, generator: np.random.Generator) -> Array | None:
    """A random start that meets the linear equalities, the user's parameters; one outside the
    parameter space is moved towards the first. None if that is in vain."""
    ends = (
        problem.coordinates.to_user(first.params),
        random_start(problem, generator),
    )
    if problem.table.constraints:
        ends = tuple(nearest_feasible(problem.table, each) for each in ends)
    start, drawn = ends
    nearer = (start + 0.5**k * (drawn - start) for k in range(HALVES))
    with suppress(np.linalg.LinAlgError):
        start_inside = next((each for each in nearer if problem.objective.evaluate(each)), None)
        if start_inside is None or problem.coordinates.same:
            return start_inside
        inner = problem.at_sample_means(problem.coordinates.to_internal(start_inside))
        return problem.coordinates.to_user(inner)
    return None


def _scaled(problem: Posed, first: Point) -> Iterator[tuple[Posed, Point, Back]]:
    """The model of one group with each factor scaled by its variance, and the way back."""
    if not isinstance(problem, Problem):
        return
    params = problem.coordinates.to_user(first.params)
    for chart in charts(problem.table, params, restricted(problem.table)):
        with suppress(np.linalg.LinAlgError):
            posed = problem.with_table(chart.table, chart.params)
            point = posed.inner.evaluate(posed.coordinates.to_internal(chart.params))
            if point is not None:
                yield posed, point, _Back(problem, posed, chart)


def _mirrored(problem: Posed, early: Point) -> Iterator[Point]:
    """Mirror images of an early iterate in the poles of small variances; one outside the
    parameter space is moved towards the iterate."""
    for image in _images(problem, problem.coordinates.to_user(early.params)):
        away = problem.coordinates.to_internal(image) - early.params
        nearer = (_evaluated(problem, early.params + 0.5**k * away) for k in range(HALVES))
        point = next((point for point in nearer if point is not None), None)
        if point is not None:
            yield point


def _images(problem: Posed, params: Array) -> Iterator[Array]:
    """Mirror images, of one group after the other; shared parameters stay."""
    shared = problem.shared
    for group in problem.groups:
        for image in mirror_images(group.problem.table, params[group.places]):
            whole = params.copy()
            whole[group.places] = image
            whole[shared] = params[shared]
            yield whole


@dataclass(frozen=True, slots=True, eq=False)
class _Back:
    """From a chart's optimiser to the user's."""

    problem: Posed
    posed: Posed
    chart: Chart

    def __call__(self, params: Array) -> Array | None:
        user = self.chart.back(self.posed.coordinates.to_user(params))
        with suppress(np.linalg.LinAlgError):
            return None if user is None else self.problem.coordinates.to_internal(user)
        return None


def _tried(problem: Posed, settings: Settings, first: Point) -> Optimum | None:
    """The optimum from a start that may be a bad one."""
    try:
        return estimate_from(problem, settings, first)
    except (EstimationError, IdentificationError):
        return None


def _evaluated(problem: Posed, params: Array) -> Point | None:
    """The point, if it is inside; what numpy cannot go on with is not."""
    with suppress(np.linalg.LinAlgError):
        return problem.inner.evaluate(params)
    return None


def _at(problem: Posed, params: Array) -> Point | None:
    """The same of the user's parameters."""
    with suppress(np.linalg.LinAlgError):
        return problem.inner.evaluate(problem.coordinates.to_internal(params))
    return None
