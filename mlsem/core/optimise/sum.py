"""A log-likelihood that is a sum of terms, such as one for each group.

With P_t the matrix that picks the parameters of term t, θ_t = P_t θ,

    ℓ(θ) = Σ_t ℓ_t(P_t θ),    ∂ℓ = Σ_t P_tᵀ ∂ℓ_t,    I = Σ_t P_tᵀ I_t P_t

of expected and observed information. Parameters that several terms pick are shared by them.
Derivatives are along a basis: that of a term is P_t times the whole one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.clusters.sum import SumClusters, SumSampler
from mlsem.core.implied.means import MeanParts
from mlsem.core.implied.point import SumPoint
from mlsem.core.optimise.objective import ImpliedDerivatives, MomentObjective, Objective
from mlsem.core.records import Array, Index, frozen


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One of the log-likelihoods of a sum.

    Attributes
    ----------
    objective : MomentObjective
        Of the term's own parameters, with its own pattern and data.
    places : (m,)
        Where these stand in the whole vector; each stands once.
    """

    objective: MomentObjective[Any, Any]
    places: Shaped[Index, "m"]


@dataclass(frozen=True, slots=True, eq=False)
class SumDerivatives(ImpliedDerivatives[tuple[Any, ...]]):
    """With those of each term; `along` are the terms'."""

    terms: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sum(Objective[SumPoint, SumDerivatives]):
    """ℓ(θ) = Σ_t ℓ_t(P_t θ)."""

    terms: tuple[Term, ...]

    def fixed_effects(self) -> MeanParts | None:
        """Those of all terms, if each is a linear mixed model of one outcome."""
        found = [term.objective.fixed_effects() for term in self.terms]
        size = 1 + max(int(term.places.max()) for term in self.terms)
        total = np.zeros((3, size), dtype=np.bool_)
        for term, each in zip(self.terms, found, strict=True):
            if each is None:
                return None
            total[:, term.places] |= np.array([each.means, each.others, each.paths])
        return MeanParts(*total)

    def evaluate(self, params: Shaped[Array, "npar"]) -> SumPoint | None:
        points: list[Any] = []
        for term in self.terms:
            point = term.objective.evaluate(params[term.places])
            if point is None:
                return None
            points.append(point)
        loglik = float(sum(point.loglik for point in points))
        return SumPoint(frozen(params.copy()), loglik, tuple(points))

    def derivatives(self, point: SumPoint, basis: Shaped[Array, "npar n"]) -> SumDerivatives:
        found = tuple(
            term.objective.derivatives(each, basis[term.places])
            for term, each in zip(self.terms, point.terms, strict=True)
        )
        slope: Array = np.sum([each.gradient for each in found], axis=0)
        return SumDerivatives(basis, slope, tuple(each.along for each in found), found)

    def expected(self, point: SumPoint, at: SumDerivatives) -> Shaped[Array, "n n"]:
        parts = zip(self.terms, point.terms, at.terms, strict=True)
        return np.sum([term.objective.expected(*there) for term, *there in parts], axis=0)

    def observed(self, point: SumPoint, at: SumDerivatives) -> Shaped[Array, "n n"]:
        parts = zip(self.terms, point.terms, at.terms, strict=True)
        return np.sum([term.objective.observed(*there) for term, *there in parts], axis=0)

    def sampler(self, clusters: SumClusters, point: SumPoint) -> SumSampler:
        """Prepare draws from each term's model at the point, the covariates as they are."""
        parts = zip(self.terms, clusters.terms, point.terms, strict=True)
        return SumSampler(tuple(term.objective.sampler(*there) for term, *there in parts))


def summed_objective(terms: Sequence[Term], n_params: int) -> Objective[Any, Any]:
    """The sum of the terms; a term of all parameters in their order is its own sum.

    Raises
    ------
    ValueError
        A parameter is in no term, or a term names one twice or one that is not there.
    """
    for term in terms:
        if len(np.unique(term.places)) != len(term.places):
            raise ValueError("a term has each of its parameters once.")
    used = np.unique(np.concatenate([term.places for term in terms]))
    if not np.array_equal(used, np.arange(n_params)):
        raise ValueError(f"the terms have the parameters {used.tolist()}, not all {n_params}.")
    if len(terms) == 1 and np.array_equal(terms[0].places, used):
        return terms[0].objective
    return Sum(tuple(terms))
