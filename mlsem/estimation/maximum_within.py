"""A maximum within a bound: first without it, which is quick, and with it where that ends outside.

What the bound is, and how a search keeps to it, is the bound's own: limits of single parameters
(`ml`), or covariance matrices of random effects that are positive semidefinite (`semidefinite`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from mlsem.core.implied.point import P
from mlsem.core.optimise.optimum import Maximum, Optimum
from mlsem.estimation.settings import Settings

PATIENCE = 40  # iterations without the bound; a maximum that is inside takes fewer


class Bound(Protocol[P]):
    """What keeps the parameters of a search inside."""

    def accepted(self, maximum: Maximum[P]) -> Maximum[P] | None:
        """A maximum that was found without the bound, as one within it; None if it is outside."""
        ...

    def searched(self, outside: Optimum[P]) -> Optimum[P]:
        """The maximum within the bound, `outside` being where the search without it ended."""
        ...


def maximum_within(
    bound: Bound[P], without: Callable[[Settings], Optimum[P]], settings: Settings
) -> Optimum[P]:
    """The maximum that a search without the bound finds, if it is inside; else that within.

    Parameters
    ----------
    bound : Bound
    without : function
        The search without it, by settings with fewer iterations.
    """
    return brought_within(bound, without(settings.limited(PATIENCE)))


def brought_within(bound: Bound[P], optimum: Optimum[P]) -> Optimum[P]:
    """What a search without the bound found, if that is a maximum inside; else the maximum
    within."""
    inside = bound.accepted(optimum) if isinstance(optimum, Maximum) else None
    if inside is not None:
        return inside
    again = bound.searched(optimum)
    return replace(again, n_iterations=optimum.n_iterations + again.n_iterations)
