"""Maxima of one model for many data sets, which are searched as one.

What is searched together ends where it would end alone, to rounding. Data sets that meet anything
special are left out, and so are models with bounds, constraints, random slopes, missing values or
moments of covariates that differ between data sets: the usual road is for these.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlsem.core.intercepts.objective import InterceptObjective
from mlsem.core.optimise.coordinates import Coordinates
from mlsem.core.optimise.optimum import Maximum, Optimum
from mlsem.core.optimise.together import climb_together
from mlsem.core.records import Array
from mlsem.core.sample.shapes import of_sizes, stacked
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import restricted
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
            found |= _searched(some, settings, start)
    return found


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
    searches: Mapping[int, _Search], settings: Settings, start: Array
) -> dict[int, Optimum]:
    """Of data sets with one pattern."""
    numbers, single = list(searches), [each.objective for each in searches.values()]
    sizes = np.unique(np.concatenate([each.data.sizes for each in single]))
    data = stacked([of_sizes(each.data, sizes) for each in single])
    objective, found = replace(single[0], data=data), dict[int, Optimum]()
    params = searches[numbers[0]].coordinates.to_internal(start)
    point = objective.evaluate(np.tile(params, (len(numbers), 1)))
    assert point is not None  # of many there is always something
    how: Any = {"tol": settings.tol, "max_iter": settings.max_iter}
    try:
        for reached in climb_together(objective, point, np.eye(len(params)), **how):
            for k, which in enumerate(reached.numbers.tolist()):
                own = _own(single[which], reached.optimum(k), len(sizes))
                if own is not None:
                    found[numbers[which]] = own
    except np.linalg.LinAlgError:  # the usual road says what is wrong
        return found
    return found


def _own(objective: InterceptObjective[Any], maximum: Maximum, sizes: int) -> Maximum | None:
    """The maximum of a data set that may have fewer sizes of clusters than all have."""
    if len(objective.data.sizes) == sizes:
        return maximum
    point = objective.evaluate(maximum.params)
    if point is None:
        return None
    return Maximum(point, maximum.free, maximum.n_iterations, maximum.distance)
