"""Restricted maximum likelihood of a model whose mean is linear, μ = X β, apart from V(φ).

With A = Σ_j X_jᵀ V_j⁻¹ X_j (p, p), β̂ = A⁻¹ Σ_j X_jᵀ V_j⁻¹ y_j and X in the user's units,

    ℓ_R(φ) = ℓ(β̂, φ) - ½ log|A| + (p/2) log 2π.

Let A⁻¹ = C Cᵀ. The vectors ξ = V⁻¹ X C enter the derivatives as further residuals do: with
ω = V⁻¹(y - X β̂) and P = V⁻¹ - ξ ξᵀ,

    ∂ℓ_R/∂V    = ½ [ω ωᵀ + ξ ξᵀ - V⁻¹]
    expected   ½ tr P V_a P V_b = ½ tr V⁻¹V_a V⁻¹V_b - tr (V_a ξ)ᵀ V⁻¹ (V_b ξ) + ½ tr D_a D_b
    observed   -½ tr P V_a P V_b + δ_aᵀ P δ_b - Σ_m (∂ℓ_R/∂m) ∂²m/∂φ_a∂φ_b

where D_a = ξᵀ V_a ξ and δ_a = V_a ω. Only directions of the covariance are free: β follows.
(Patterson & Thompson 1971, Biometrika 58, 545; Harville 1977, JASA 72, 320.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.arrow import dense
from mlsem.core.blocks import blocks
from mlsem.core.implied.derivatives import Jacobians, MomentGradients, gradient, jacobians
from mlsem.core.implied.pattern import LevelGradient, ModelPattern
from mlsem.core.implied.point import MomentPoint, P
from mlsem.core.linalg import LOG_2PI, flatten, inverse_root, symmetrised
from mlsem.core.optimise.objective import (
    Conditioned,
    D,
    MomentDerivatives,
    MomentObjective,
    Objective,
)
from mlsem.core.records import Array
from mlsem.core.slopes.carriers import SlopeMoments
from mlsem.core.slopes.information import (
    covariance_changes,
    covariance_part,
    expected_mean_part,
    observed_mean_part,
)
from mlsem.core.slopes.likelihood import (
    MeanMaps,
    SlopePoint,
    coordinates_of,
    evaluate,
    moment_gradients,
    moved,
    outer_sums,
    pull,
    whiten,
)

NOTHING = 1e-8  # share of the information that is rounding


@dataclass(frozen=True, slots=True, eq=False)
class RemlPoint(MomentPoint):
    """The restricted likelihood ℓ_R at one point.

    Attributes
    ----------
    full : SlopePoint
        The likelihood at (β̂, φ).
    root : (p, p)
        C: covariance C Cᵀ of the fixed effects, along the directions that `RemlObjective` has.
    design : MeanMaps
        X C, p vectors.
    weighted : (J, p, m)
        ξ.
    """

    full: SlopePoint
    root: Shaped[Array, "p p"]
    design: MeanMaps
    weighted: Shaped[Array, "J p m"]


@dataclass(frozen=True, slots=True, eq=False)
class RemlObjective(MomentObjective[RemlPoint, ModelPattern]):
    """ℓ_R for a pattern and its clusters. The basis of derivatives is of covariances only.

    Attributes
    ----------
    fixed : (npar, p)
        Directions of the fixed effects. The determinant |A| is along them: for the user's units
        they are those of the user's parameters, or differ by a map of determinant ± 1.
    """

    data: SlopeMoments
    fixed: Shaped[Array, "npar p"]

    def evaluate(self, params: Shaped[Array, "npar"]) -> RemlPoint | None:
        """ℓ_R at the covariances that `params` imply; its fixed effects are replaced by β̂."""
        point = evaluate(self.pattern, self.data, params)
        if point is None:
            return None
        along = jacobians(self.pattern, point.levels, self.fixed)
        root = inverse_root(expected_mean_part(point, self.data, along))
        if root is None:
            return None
        slope = gradient(moment_gradients(point, self.data), along)
        best = params + self.fixed @ (root @ (root.T @ slope))
        full = moved(self.pattern, self.data, point, best)
        if full is None:
            return None
        design = MeanMaps(*(_combined(root, level.mean) for level in along))
        white = whiten(full.roots, coordinates_of(self.data, design))
        correction = float(np.log(root.diagonal()).sum()) + 0.5 * len(root) * LOG_2PI
        return RemlPoint(
            params=full.params,
            loglik=full.loglik + correction,
            levels=full.levels,
            full=full,
            root=root,
            design=design,
            weighted=pull(full.roots, white),
        )

    def conditioned(
        self, point: RemlPoint, basis: Shaped[Array, "npar n"]
    ) -> Conditioned[MomentDerivatives]:
        found = super(RemlObjective, self).conditioned(point, basis)  # slots have no plain super()
        total = covariance_part(point.full, self.data, found.at.along)
        return determined(self, point, found, total)

    def moment_gradients(self, point: RemlPoint) -> MomentGradients:
        slopes = moment_gradients(point.full, self.data)
        added = outer_sums(point.full, self.data, point.design, point.weighted)
        pairs = zip(slopes, added, strict=True)
        return tuple(LevelGradient(slope.sigma + 0.5 * more, slope.mean) for slope, more in pairs)

    def covariance_part(self, point: RemlPoint, along: Jacobians) -> Shaped[Array, "n n"]:
        """½ tr P V_a P V_b."""
        full, data, sigma = point.full, self.data, along[0].sigma
        pulled = full.precision @ point.design.within
        spread = sigma[:, None] @ pulled  # V_a ξ of the others
        less = flatten(full.precision @ spread @ data.rest) @ flatten(spread).T
        inner = np.einsum("cpv,ndpw,vw->ncd", pulled, spread, data.rest)
        for part in blocks(data.n_clusters, len(sigma) * point.weighted[0].size):
            weighted = point.weighted[part]
            changes = covariance_changes(data, along, weighted, part)
            inner += np.einsum("jcm,jndm->ncd", weighted, changes)
            shape = changes.shape
            white = whiten(full.roots[part], changes.reshape(shape[0], -1, shape[-1]))
            flat = white.reshape(shape).swapaxes(0, 1).reshape(len(sigma), -1)
            less += flat @ flat.T
        inner = flatten(inner)
        return covariance_part(full, data, along) - symmetrised(less) + 0.5 * (inner @ inner.T)

    def expected_mean_part(self, point: RemlPoint, along: Jacobians) -> Shaped[Array, "n n"]:
        return expected_mean_part(point.full, self.data, along)

    def observed_mean_part(self, point: RemlPoint, along: Jacobians) -> Shaped[Array, "n n"]:
        """δ_aᵀ P δ_b."""
        full, data = point.full, self.data
        spread = along[0].sigma @ (full.precision @ full.residuals.within[0])
        across = flatten(full.precision @ point.design.within @ data.rest) @ flatten(spread).T
        weighted = full.weighted[:, None]
        for part in blocks(data.n_clusters, len(spread) * weighted.shape[2]):
            changes = covariance_changes(data, along, weighted[part], part)[:, :, 0]
            across += np.einsum("jcm,jnm->cn", point.weighted[part], changes)
        return observed_mean_part(full, data, along) - across.T @ across


def determined(
    objective: Objective[P, D], point: P, found: Conditioned[D], total: Shaped[Array, "n n"]
) -> Conditioned[D]:
    """Well-conditioned directions, with those lost of which the fixed effects leave no information.

    What is left of these is rounding error of the whole information: taken alone, rounding error
    can look like information.

    Parameters
    ----------
    total : (n, n)
        ½ tr V⁻¹V_a V⁻¹V_b along the directions found; what is left is ½ tr P V_a P V_b.
    """
    root = inverse_root(total)
    if found.lost or root is None:
        return found
    shares, vectors = np.linalg.eigh(root.T @ dense(found.expected) @ root)
    lost = int((shares < NOTHING).sum())
    if not lost:
        return found
    at = objective.derivatives(point, found.at.basis @ root @ vectors)
    return Conditioned(at, objective.expected(point, at), lost)


def _combined(root: Shaped[Array, "p p"], maps: Shaped[Array, "p *s"]) -> Shaped[Array, "p *s"]:
    """Σ_k X_k C_kc."""
    return (root.T @ flatten(maps)).reshape(maps.shape)
