"""Maxima of one model for many data sets, which are searched as one.

What is searched together ends where it would end alone, to rounding. Data sets that meet anything
special are left out, and so are models with bounds, constraints, random slopes, missing values or
covariates far from zero: the usual road is for these.

    maxima_of       refits of one problem, all from one start
    usual_maxima    data sets that are problems of their own, each from its usual start

The second gives every data set the same digits whatever others are searched with it, and none.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlsem.core.intercepts.objective import InterceptObjective, objective_of_many
from mlsem.core.optimise.coordinates import Coordinates
from mlsem.core.optimise.optimum import Maximum, Optimum
from mlsem.core.optimise.together import climb_together
from mlsem.core.records import Array
from mlsem.core.sample.shapes import of_sizes
from mlsem.errors import MlsemError
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import Problem, restricted
from mlsem.estimation.reml import by_reml_together
from mlsem.estimation.search import other_scales
from mlsem.estimation.separable import require_separable
from mlsem.estimation.settings import Settings

FEWEST = 4  # data sets from which on a search of all is quicker than one after the other


def maxima_of(
    problems: Mapping[int, Posed], settings: Settings, start: Array
) -> Mapping[int, Optimum]:
    """The maxima that one start leads to.

    Parameters
    ----------
    problems : mapping of int to Posed
        The data sets by number.
    start : (npar,)
        Values of the user's parameters.

    Returns
    -------
    mapping of int to Optimum
        Of those that a search of all has found.
    """
    alike: dict[Hashable, dict[int, _Search]] = {}
    for number, problem in problems.items():
        inner = problem.inner
        if isinstance(inner, InterceptObjective) and _is_plain(problem, settings):
            alike.setdefault(id(inner.pattern), {})[number] = _Search(inner, problem.coordinates)
    found: dict[int, Optimum] = {}
    for some in alike.values():
        if len(some) >= FEWEST:
            params = next(iter(some.values())).coordinates.to_internal(start)
            found |= _searched(some, settings, np.tile(params, (len(some), 1)))
    return found


def usual_maxima(problems: Mapping[int, Posed], settings: Settings) -> Mapping[int, Optimum]:
    """The maxima that `optimum_of` would find first, from the usual start of each data set, where
    it would look no further.

    Parameters
    ----------
    problems : mapping of int to Posed
        The data sets by number, of one table.

    Returns
    -------
    mapping of int to Optimum
        Of those that a search of all has found.
    """
    if settings.starts:
        return {}
    if settings.estimator == "REML":
        return _by_reml(problems, settings)
    alike: dict[Hashable, dict[int, _Search]] = {}
    for number, problem in problems.items():
        inner, usual = problem.inner, _is_plain(problem, settings) and problem.coordinates.same
        if isinstance(inner, InterceptObjective) and usual:
            alike.setdefault(design_of(inner), {})[number] = _Search(inner, problem.coordinates)
    found: dict[int, Optimum] = {}
    for some in alike.values():
        starts = np.array([problems[number].guess for number in some])
        found |= _searched(some, settings, starts)
    return {k: each for k, each in found.items() if not other_scales(problems[k], each)}


def _by_reml(problems: Mapping[int, Posed], settings: Settings) -> dict[int, Optimum]:
    """Of those that the restricted likelihood is defined for."""
    single = {k: each for k, each in problems.items() if isinstance(each, Problem)}
    try:
        for problem in single.values():
            require_separable(problem)
        return dict(by_reml_together(single, settings))
    except (MlsemError, np.linalg.LinAlgError):  # the usual road says what is wrong
        return _one_by_one(single, settings)


def _one_by_one(problems: Mapping[int, Posed], settings: Settings) -> dict[int, Optimum]:
    """Where one data set broke down, the others do not."""
    found: dict[int, Optimum] = {}
    for number, problem in problems.items() if len(problems) > 1 else ():
        found |= usual_maxima({number: problem}, settings)
    return found


def design_of(objective: InterceptObjective[Any]) -> Hashable:
    """Data sets that have it in common differ in their moments alone: sizes of clusters are equal,
    as sums over others would be of other digits."""
    matrices = [
        id(matrix)
        for level in objective.pattern.levels
        for matrix in (level.directed, level.symmetric, level.exogenous)
    ]
    return (*matrices, objective.data.within.shape, objective.data.sizes.tobytes())


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What a search of one data set is made of."""

    objective: InterceptObjective[Any]
    coordinates: Coordinates


def _is_plain(problem: Posed, settings: Settings) -> bool:
    """Whether the search is one over all parameters, without bounds."""
    table = problem.table
    limited = table.semidefinite or table.constraints or len(restricted(table))
    return settings.estimator != "REML" and not limited


def _searched(
    searches: Mapping[int, _Search], settings: Settings, starts: Array
) -> dict[int, Optimum]:
    """Of data sets whose patterns differ in means alone, from a start of each."""
    numbers, single = list(searches), [each.objective for each in searches.values()]
    sizes = np.unique(np.concatenate([each.data.sizes for each in single]))
    padded = [replace(each, data=of_sizes(each.data, sizes)) for each in single]
    objective, found = objective_of_many(padded), dict[int, Optimum]()
    how: Any = {"tol": settings.tol, "max_iter": settings.max_iter}
    try:
        point = objective.evaluate(starts)
        assert point is not None  # of many there is always something
        for reached in climb_together(objective, point, np.eye(starts.shape[1]), **how):
            for k, which in enumerate(reached.numbers.tolist()):
                own = _own(single[which], reached.optimum(k), len(sizes))
                if own is not None:
                    found[numbers[which]] = own
    except np.linalg.LinAlgError:  # of one: the usual road says what is wrong
        for k, (number, each) in enumerate(searches.items() if len(searches) > 1 else ()):
            found |= _searched({number: each}, settings, starts[k : k + 1])
    return found


def _own(objective: InterceptObjective[Any], maximum: Maximum, sizes: int) -> Maximum | None:
    """The maximum of a data set that may have fewer sizes of clusters than all have."""
    if len(objective.data.sizes) == sizes:
        return maximum
    point = objective.evaluate(maximum.params)
    if point is None:
        return None
    return Maximum(point, maximum.free, maximum.n_iterations, maximum.distance)
