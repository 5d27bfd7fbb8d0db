"""The outer clusters of a linear mixed model of three levels, as robust covariances take them.

Directions are those of ξ, then of φ, between which a cluster's information has nothing:

    s_k = (ξᵀV⁻¹ω, ½ (ωᵀV⁻¹V_aV⁻¹ω - tr V⁻¹V_a)),    B_k = (ξᵀV⁻¹ξ, ½ tr V⁻¹V_aV⁻¹V_b)
    κ₄(aᵀs_k) = 3 tr (V⁻¹V_a)⁴,    κ₃(aᵀs_k, aᵀs_k, s_kb) = tr V⁻¹V_aV⁻¹V_aV⁻¹V_b    along φ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import positions_in_runs
from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.generalized.parts import KnownParts
from mlsem.core.records import Array, Index
from mlsem.core.restricted.nested.likelihood import NestedChanges, NestedPoint
from mlsem.core.restricted.nested.rows import eliminated


def scores(point: NestedPoint, found: NestedChanges) -> Shaped[Array, "G n"]:
    """s_k."""
    of_means = point.products[:-1, -1].T
    return np.concatenate((of_means, 0.5 * (found.lengths - found.traces).T), axis=1)


def information(point: NestedPoint, found: NestedChanges) -> Shaped[Array, "G n n"]:
    """B_k."""
    p, count = point.model.n_fixed, len(found.traces)
    total = np.zeros((point.products.shape[-1], p + count, p + count))
    total[:, :p, :p] = point.products[:p, :p].transpose(2, 0, 1)
    total[:, p:, p:] = 0.5 * found.pairs.transpose(2, 0, 1)
    return total


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Some outer clusters, the coordinates of their inner ones one after the other: a cluster with
    fewer than others gets rows of zeros.

    Attributes
    ----------
    lower : (g, j, d, q)
        T of each inner cluster.
    upper : (g, m, f)
        U of all, m = j d.
    columns : (g, m, p + 1)
        [X C, e].
    """

    lower: Shaped[Array, "g j d q"]
    upper: Shaped[Array, "g m f"]
    columns: Shaped[Array, "g m p1"]

    def covariance(
        self,
        psi: Shaped[Array, "*s q q"],
        omega: Shaped[Array, "*s f f"],
        sigma2: Shaped[Array, "*s"],
    ) -> Shaped[Array, "g m m"]:
        """V of covariances of the effects, of each cluster its own (g first) or the same."""
        clusters, number, depth, _ = self.lower.shape
        size = number * depth
        found = self.upper @ omega @ self.upper.swapaxes(1, 2)
        blocks = self.lower @ psi[..., None, :, :] @ self.lower.swapaxes(2, 3)
        shaped = found.reshape(clusters, number, depth, number, depth)
        every = np.arange(number, dtype=np.intp)
        shaped[:, every, :, every] += blocks.swapaxes(0, 1)
        diagonal = np.arange(size, dtype=np.intp)
        found[:, diagonal, diagonal] += np.asarray(sigma2)[..., None]
        return found


def _stack(point: NestedPoint, which: Shaped[Index, "g"]) -> _Stack:
    rows = point.model.rows
    counts = rows.counts[which]
    starts = (np.cumsum(rows.counts) - rows.counts)[which]
    place = positions_in_runs(counts)
    members = np.repeat(starts, counts) + place
    cluster = np.repeat(np.arange(len(which)), counts)
    found: list[Array] = []
    for each in (rows.lower, rows.upper, rows.columns):
        padded = np.zeros((len(which), int(counts.max()), *each.shape[:2]))
        padded[cluster, place] = each[:, :, members].transpose(2, 0, 1)
        found.append(padded)
    lower, upper, columns = found
    clusters, number, depth, _ = lower.shape
    shape = (clusters, number * depth, -1)
    return _Stack(lower, upper.reshape(shape), columns.reshape(shape))


@dataclass(frozen=True, slots=True, eq=False)
class NestedMixedRows:
    """The outer clusters, each reduced to a few rows for its fixed effects when it is asked for."""

    point: NestedPoint

    @property
    def fixed(self) -> int:
        """p: the first directions are those of the fixed effects."""
        return self.point.model.n_fixed

    @property
    def n_clusters(self) -> int:
        """G."""
        return len(self.point.model.rows.counts)

    @property
    def width(self) -> int:
        """Numbers that a matrix of the rows of one cluster takes."""
        rows = self.point.model.rows
        return int((rows.counts.max() * len(rows.columns) + self.fixed) ** 2)

    def of(self, part: slice) -> MixedClusters:
        """These outer clusters."""
        point, p = self.point, self.fixed
        stack = _stack(point, np.arange(self.n_clusters)[part])
        own = stack.covariance(point.psi, point.omega, np.array(point.sigma2))
        variances, axes = np.linalg.eigh(own)
        columns = axes.swapaxes(1, 2) @ stack.columns @ point.turned
        turned = point.turned
        rest = np.einsum("abg,ac,bd->cdg", point.model.rows.rest[:, :, part], turned, turned)
        others = eliminated(rest, p)[0]
        clusters = len(own)
        return MixedClusters(
            variances=np.concatenate((variances.T, np.full((p, clusters), point.sigma2))),
            design=np.concatenate((columns[:, :, :p].transpose(1, 2, 0), others[:, :p])),
            residuals=np.concatenate((columns[:, :, p].T, others[:, p])),
        )


@dataclass(frozen=True, slots=True, eq=False)
class NestedParts(KnownParts):
    """`ClusterParts` of the outer clusters along ξ and φ · unit, or some of the last of these;
    scores along ξ have no cumulants.

    Attributes
    ----------
    point : NestedPoint
    unit : (n,)
        Of each direction.
    """

    point: NestedPoint
    unit: Shaped[Array, "n"]

    @property
    def width(self) -> int:
        return max(self.each.shape[1], NestedMixedRows(self.point).width)

    def only(self, directions: Shaped[Index, "k"]) -> NestedParts:
        each = self.each[:, directions[:, None], directions]
        return NestedParts(each, self.point, self.unit[directions])

    def fourth_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c"]:
        stack, inverse = self._inverse(clusters)
        found = np.empty(directions.shape[:2])
        for c in range(directions.shape[1]):
            along = self._along(directions[:, c])
            moved = inverse @ self._covariance(stack, along)
            square = moved @ moved
            found[:, c] = np.einsum("gab,gba->g", square, square)
            found[:, c] += self._others(stack, clusters) * (along[:, -1] / self.point.sigma2) ** 4
        return 3.0 * found

    def third_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c n"]:
        stack, inverse = self._inverse(clusters)
        found, count = np.zeros(directions.shape), len(self.point.phi)
        others, sigma2 = self._others(stack, clusters), self.point.sigma2
        units = np.repeat(np.eye(count)[:, None], len(clusters), axis=1)
        each = [self._covariance(stack, unit) for unit in units]
        for c in range(directions.shape[1]):
            along = self._along(directions[:, c])
            moved = inverse @ self._covariance(stack, along)
            square = moved @ moved @ inverse
            traces = np.array([np.einsum("gab,gba->g", square, one) for one in each])
            traces[-1] += others * (along[:, -1] / sigma2) ** 2 / sigma2
            found[:, c, directions.shape[2] - count :] = traces.T / self.unit[-count:]
        return found

    def _along(self, directions: Shaped[Array, "j n"]) -> Shaped[Array, "j K"]:
        """What directions have of φ."""
        count = len(self.point.phi)
        return directions[:, directions.shape[1] - count :] / self.unit[-count:]

    def _inverse(self, clusters: Shaped[Index, "j"]) -> tuple[_Stack, Shaped[Array, "j m m"]]:
        stack, point = _stack(self.point, clusters), self.point
        own = stack.covariance(point.psi, point.omega, np.array(point.sigma2))
        return stack, np.asarray(np.linalg.inv(own), dtype=np.float64)

    def _covariance(self, stack: _Stack, along: Shaped[Array, "j K"]) -> Shaped[Array, "j m m"]:
        """V_a."""
        model = self.point.model
        psi, omega = (np.tensordot(along, each, 1) for each in (model.lower, model.upper))
        return stack.covariance(psi, omega, along[:, -1])

    def _others(self, stack: _Stack, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j"]:
        """Rows beside the coordinates, of which rows of zeros count as one each."""
        return self.point.model.rows.sizes[clusters] - stack.columns.shape[1]


def nested_parts(point: NestedPoint, found: NestedChanges, unit: Shaped[Array, "n"]) -> NestedParts:
    """Of all outer clusters, along directions of φ in these units."""
    return NestedParts(information(point, found) / unit[:, None] / unit, point, unit)
