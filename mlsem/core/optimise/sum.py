"""A log-likelihood that is a sum of terms, such as one for each group.

With P_t the matrix that picks the parameters of term t, θ_t = P_t θ,

    ℓ(θ) = Σ_t ℓ_t(P_t θ),    ∂ℓ = Σ_t P_tᵀ ∂ℓ_t,    I = Σ_t P_tᵀ I_t P_t

of expected and observed information. Parameters that several terms pick are shared by them.
Derivatives are along a basis; a term has them along the directions that move it, the others are
zero there. So the work grows as the number of terms, as long as each direction moves few of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.arrow import Arrow, dense, layout
from mlsem.core.clusters.sum import SumClusters, SumSampler, TermDirections
from mlsem.core.implied.means import MeanParts
from mlsem.core.implied.point import SumPoint
from mlsem.core.linalg import scaled_eigen
from mlsem.core.optimise.coordinates import Coordinates, Tangent
from mlsem.core.optimise.objective import (
    ROUNDING,
    SINGULAR,
    Conditioned,
    ImpliedDerivatives,
    InformationKind,
    MomentObjective,
    Objective,
    well_conditioned,
)
from mlsem.core.records import Array, Index, frozen
from mlsem.core.sample.shapes import ShapeMoments


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
class SumDerivatives(ImpliedDerivatives[tuple[TermDirections, ...]]):
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
        found: list[Any] = []
        along: list[TermDirections] = []
        slope = np.zeros(basis.shape[1])
        for term, there in zip(self.terms, point.terms, strict=True):
            rows = basis[term.places]
            columns = np.flatnonzero(rows.any(axis=0))
            own = term.objective.derivatives(there, rows[:, columns])
            slope[columns] += own.gradient
            found.append(own)
            along.append(TermDirections(columns, basis.shape[1], own.along))
        return SumDerivatives(basis, slope, tuple(along), tuple(found))

    def expected(self, point: SumPoint, at: SumDerivatives) -> Shaped[Array, "n n"]:
        return self.information(point, at, "expected").dense

    def observed(self, point: SumPoint, at: SumDerivatives) -> Shaped[Array, "n n"]:
        return self.information(point, at, "observed").dense

    def information(self, point: SumPoint, at: SumDerivatives, kind: InformationKind) -> Arrow:
        where = layout([along.columns for along in at.along], at.basis.shape[1])
        parts = zip(self.terms, point.terms, at.terms, at.along, strict=True)
        return where.summed(
            [
                where.spread(k, along.columns, dense(term.objective.information(there, own, kind)))
                for k, (term, there, own, along) in enumerate(parts)
            ]
        )

    def conditioned(
        self, point: SumPoint, basis: Shaped[Array, "npar n"]
    ) -> Conditioned[SumDerivatives]:
        """As of any objective, and so that directions that move one term alone still do.

        With o the directions of single terms, whose information A_oo has a block for each, and s
        those of several: s is taken less what it has in common with the o of each term,
        s - o A_oo⁻¹ A_os, and each set is conditioned apart.
        """
        at = self.derivatives(point, basis)
        expected = self.information(point, at, "expected")
        if well_conditioned(expected):
            return Conditioned(at, expected, 0)
        blocks: list[Shaped[Array, "npar _"]] = [basis[:, block.own] for block in expected.blocks]
        rest = basis[:, expected.shared]
        for k, block in enumerate(expected.blocks):
            turn = _whitening(block.matrix)
            blocks[k] = blocks[k] @ turn
            rest = rest - blocks[k] @ (turn.T @ block.side)
        at = self.derivatives(point, np.concatenate((*blocks, rest), axis=1))
        left = self.expected(point, at)[-rest.shape[1] :, -rest.shape[1] :]
        blocks.append(rest @ _whitening(left) if rest.shape[1] else rest)
        return self._sorted(point, [block for block in blocks if block.shape[1]])

    def _sorted(
        self, point: SumPoint, blocks: list[Shaped[Array, "npar _"]]
    ) -> Conditioned[SumDerivatives]:
        """Each block along the eigenvectors of its information, what is lost of all of them
        first."""
        at = self.derivatives(point, np.concatenate(blocks, axis=1))
        expected = self.expected(point, at)
        ends = np.cumsum([block.shape[1] for block in blocks])
        lost: list[Array] = []
        kept: list[Array] = []
        for block, end in zip(blocks, ends.tolist(), strict=True):
            part = slice(end - block.shape[1], end)
            values, vectors = np.linalg.eigh(expected[part, part])
            turned = block @ vectors
            count = int((values < SINGULAR).sum())
            lost.append(turned[:, :count])
            kept.append(turned[:, count:])
        at = self.derivatives(point, np.concatenate((*lost, *kept), axis=1))
        count = sum(block.shape[1] for block in lost)
        return Conditioned(at, self.information(point, at, "expected"), count)

    def sampler(self, clusters: SumClusters, point: SumPoint) -> SumSampler:
        """Prepare draws from each term's model at the point, the covariates as they are."""
        parts = zip(self.terms, clusters.terms, point.terms, strict=True)
        return SumSampler(tuple(term.objective.sampler(*there) for term, *there in parts))


def _whitening(information: Shaped[Array, "n n"]) -> Shaped[Array, "n n"]:
    """T with Tᵀ A T near the identity, as `Objective.conditioned` takes it."""
    if not len(information):
        return information
    values, vectors, scale = scaled_eigen(information)
    spread = np.sqrt(np.maximum(values, max(ROUNDING * values[-1], 1e-300)))
    return scale[:, None] * vectors / spread


@dataclass(frozen=True, slots=True, eq=False)
class TermCoordinates:
    """Those of one term: coordinates, places and data of its parameters."""

    coordinates: Coordinates
    places: Shaped[Index, "m"]
    data: ShapeMoments


@dataclass(frozen=True, slots=True, eq=False)
class SumCoordinates:
    """The user's parameters of a sum and those of the optimiser: each term in its own coordinates,
    in which the parameters that it shares with others are the user's."""

    terms: tuple[TermCoordinates, ...]

    @property
    def same(self) -> bool:
        return all(term.coordinates.same for term in self.terms)

    def to_user(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar"]:
        """Internal → the user's parameters."""
        moved = params if self.same else params.copy()
        for term in self._centred:
            moved[term.places] = term.coordinates.to_user(params[term.places])
        return moved

    def to_internal(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar"]:
        """The user's → internal parameters."""
        moved = params if self.same else params.copy()
        for term in self._centred:
            moved[term.places] = term.coordinates.to_internal(params[term.places])
        return moved

    def at_sample_means(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar"]:
        """Internal parameters whose own intercepts reproduce the sample means of the terms as well
        as they can."""
        moved = params if self.same else params.copy()
        for term in self._centred:
            own = term.coordinates.at_sample_means(params[term.places], term.data)
            moved[term.places] = own
        return moved

    @property
    def _centred(self) -> tuple[TermCoordinates, ...]:
        return tuple(term for term in self.terms if not term.coordinates.same)

    def tangent(self, params: Shaped[Array, "npar"]) -> Tangent:
        """`jacobian`, for directions."""
        moved = [term for term in self.terms if not term.coordinates.same]
        return Tangent(
            tuple((term.places, term.coordinates.jacobian(params[term.places])) for term in moved)
        )

    def jacobian(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar npar"]:
        """∂θ_user/∂θ_internal (npar, npar) at internal parameters."""
        total = np.eye(len(params))
        for term in self._centred:
            own = term.coordinates.jacobian(params[term.places])
            total[np.ix_(term.places, term.places)] = own
        return total


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
