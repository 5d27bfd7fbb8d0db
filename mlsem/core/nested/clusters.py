"""Scores of each unit of level 3, its part in the information, and cumulants.

A unit of c clusters is c sets of deviations and M = c m + s numbers more, the means of its clusters
given t in units in which V̄ is the identity, and s. Their covariance is I + X Σ_tt Xᵀ with Σ_ss and
X Σ_ts beside it; with 𝓛 its inverse root

    Ω̂_a = 𝓛ᵀ (diag(Ω̄_a) + 𝒳 Σ_C,a 𝒳ᵀ) 𝓛,    m_a = 𝓛ᵀ (M_a h + 𝒳 T_a h),    𝒳 = [[X, 0], [0, I]]

are what `clusters.cumulants` takes. Units of fewer clusters are padded with numbers that no
direction moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import positions_in_runs, walk
from mlsem.core.clusters.cumulants import Whitened, WhiteParts
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.linalg import combinations, flatten, flatten_last
from mlsem.core.nested.likelihood import NestedPoint
from mlsem.core.nested.sample import NestedSample
from mlsem.core.nested.white import WhiteDerivatives, white_derivatives
from mlsem.core.records import Array, Index


def unit_scores(point: NestedPoint, data: NestedSample, along: Jacobians) -> Shaped[Array, "U n"]:
    """∂ℓ_k/∂φ of every unit, (U, n)."""
    white = white_derivatives(point, data, along)
    count = len(white.sigma3)
    scores = np.empty((data.n_clusters, count))
    means = point.means
    residuals = means.root.T @ point.residuals[:, data.moments.varying_entries]
    half = 0.5 * (residuals.T @ white.deviations @ residuals) + residuals.T @ white.slopes
    deviations = np.trace(white.deviations, axis1=1, axis2=2)
    carried = white.carried(means.raised)
    every = np.arange(data.n_clusters)
    for part in walk(data.n_clusters, count * max(point.white.shape[1] ** 2, half[0].size)):
        x, shapes = point.white[part], data.shape_of[part]
        spread = flatten(data.moments.within[part]) @ flatten(half).T
        kept = point.effects.posterior[data.kind_of[data.moments.unit_of[part]]]
        square = x[:, :, None] * x[:, None, :] - np.eye(x.shape[1])
        found = spread - 0.5 * (data.sizes[shapes] - 1.0)[:, None] * deviations
        for s in np.unique(shapes):
            those = shapes == s
            found[those] += 0.5 * flatten(square[those]) @ flatten(white.mean[s]).T
            found[those] += 0.5 * flatten(kept[those]) @ flatten(carried[s]).T
        found += np.einsum("jnm,jm->jn", white.means_of(data, every[part]), x)
        scores[part] = found
    return data.by_unit(scores) + _level3(point, data, white)


def _level3(
    point: NestedPoint, data: NestedSample, white: WhiteDerivatives
) -> Shaped[Array, "U n"]:
    """½ (ρ³ᵀΣ_aρ³ - tr Ω³Σ_a) + ρ³ᵀ T_a h."""
    rho = point.scores3
    square = rho[:, :, None] * rho[:, None, :] - point.effects.level3[data.kind_of]
    outer = rho[:, :, None] * data.unit_rows[:, None, :]
    return 0.5 * flatten(square) @ flatten(white.sigma3).T + flatten(outer) @ flatten(white.mean3).T


@dataclass(frozen=True, slots=True, eq=False)
class UnitDerivatives(Whitened):
    """What the information and the cumulants of every unit are made of, along n directions."""

    point: NestedPoint
    data: NestedSample
    derivatives: WhiteDerivatives

    @property
    def n_directions(self) -> int:
        return len(self.derivatives.sigma3)

    @property
    def n_clusters(self) -> int:
        return self.data.n_units

    @property
    def width(self) -> int:
        """Numbers that one direction of one unit takes."""
        return self._side**2

    @property
    def _side(self) -> int:
        """M of the largest unit."""
        inner = int(self.data.kinds.sum(axis=1).max()) * self.point.white.shape[1]
        return inner + len(self.point.effects.sigma_ss_inverse)

    @property
    def alike(self) -> Shaped[Index, "U"] | None:
        """Without covariates all units of a kind are alike."""
        own = self.derivatives
        covariates = own.slopes.any() or own.maps[..., 1:].any() or own.mean3[..., 1:].any()
        return None if covariates else self.data.kind_of

    def weights(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j"]:
        return np.ones(len(clusters))

    def only(self, directions: Shaped[Index, "k"]) -> UnitDerivatives:
        return self._along(np.eye(self.n_directions)[directions])

    def _along(self, directions: Shaped[Array, "c n"]) -> UnitDerivatives:
        """Along Σ_k a_k φ_k for each row a of `directions` (c, n)."""
        own = self.derivatives
        return replace(
            self,
            derivatives=WhiteDerivatives(
                deviations=combinations(directions, own.deviations),
                slopes=combinations(directions, own.slopes),
                mean=np.stack([combinations(directions, each) for each in own.mean]),
                maps=np.stack([combinations(directions, each) for each in own.maps]),
                sigma3=combinations(directions, own.sigma3),
                mean3=combinations(directions, own.mean3),
            ),
        )

    def information(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n n"]:
        parts = self.white(clusters)
        squares = flatten_last(parts.mean)
        total = 0.5 * (squares @ squares.swapaxes(1, 2)) + parts.means @ parts.means.swapaxes(1, 2)
        deviations = flatten(parts.deviations)
        total += 0.5 * parts.degrees[:, None, None] * (deviations @ deviations.T)
        slopes = np.einsum("apv,bpw->abvw", parts.slopes, parts.slopes)
        weights = slopes.reshape(total[0].size, -1)
        return total + (flatten(parts.cross) @ weights.T).reshape(total.shape)

    def variances(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "c n"]
    ) -> Shaped[Array, "j c"]:
        information = self._along(directions).information(clusters)
        return np.diagonal(information, axis1=1, axis2=2)

    def white(self, clusters: Shaped[Index, "j"]) -> WhiteParts:
        data, own = self.data, self.derivatives
        order, starts = data.arranged
        counts = np.diff(starts)[clusters]
        members = np.concatenate([order[starts[k] : starts[k + 1]] for k in clusters])
        unit = np.repeat(np.arange(len(clusters)), counts)
        slot = positions_in_runs(counts)
        covariances, lifted = unit_covariances(self.point, data, members, unit, slot)
        lower = np.linalg.cholesky(covariances)
        root = np.asarray(np.linalg.inv(lower), dtype=np.float64).swapaxes(1, 2)
        count, m = self.n_directions, self.point.white.shape[1]
        side = root.shape[1]
        covariance = lifted[:, None] @ own.sigma3 @ lifted[:, None].swapaxes(-1, -2)
        mean = (own.mean3 @ data.unit_rows[clusters][:, None, :, None])[..., 0]
        mean = mean @ lifted.swapaxes(1, 2)
        changes = own.means_of(data, members)
        for place in np.unique(slot):
            there = slot == place
            block = slice(place * m, (place + 1) * m)
            covariance[unit[there], :, block, block] += own.mean[data.shape_of[members[there]]]
            mean[unit[there], :, block] += changes[there]
        assert covariance.shape == (len(clusters), count, side, side)
        first = np.concatenate(([0], np.cumsum(counts)[:-1]))
        return WhiteParts(
            deviations=own.deviations,
            degrees=np.add.reduceat(data.moments.sizes[members] - 1.0, first),
            slopes=own.slopes,
            cross=np.add.reduceat(data.moments.within[members], first, axis=0),
            mean=root[:, None].swapaxes(-1, -2) @ covariance @ root[:, None],
            means=mean @ root,
        )


def unit_covariances(
    point: NestedPoint,
    data: NestedSample,
    members: Shaped[Index, "i"],
    unit: Shaped[Index, "i"],
    slot: Shaped[Index, "i"],
) -> tuple[Shaped[Array, "j b b"], Shaped[Array, "j b ts"]]:
    """Of some units the covariance of the means of their clusters and of s, and 𝒳.

    Parameters
    ----------
    members : (i,)
        Their clusters.
    unit, slot : (i,)
        The unit of each of these, 0 … j - 1, and its place there.
    """
    raised, top = point.means.raised, point.levels[2].sigma
    _, m, t = raised.shape
    s = len(top) - t
    side, units = (int(slot.max()) + 1) * m + s, int(unit.max()) + 1
    lifted = np.zeros((units, side, t + s))
    for place in np.unique(slot):
        there = slot == place
        lifted[unit[there], place * m : (place + 1) * m, :t] = raised[data.shape_of[members[there]]]
    lifted[:, side - s :, t:] = np.eye(s)
    inner = np.eye(side)
    inner[side - s :, side - s :] = 0.0
    return inner + lifted @ top @ lifted.swapaxes(1, 2), lifted
