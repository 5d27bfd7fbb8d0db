"""Directions of the user's parameters, and what is known along them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlsem.core.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Directions at the estimates, with the derivatives of ℓ along them.

    Attributes
    ----------
    basis : (npar, n)
        Of the user's parameters.
    at : ImpliedDerivatives
        For `Estimates`, which made it.
    lost : (npar, l)
        Directions that the data do not determine there, the user's parameters.
    fixed : int
        How many of the first are those of the fixed effects of a linear mixed model of one
        outcome; 0 where they are not told apart.
    """

    basis: Array
    at: Any
    lost: Array
    fixed: int = 0
