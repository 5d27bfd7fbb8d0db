"""Draws of new data from a model of three levels.

The means of a unit's clusters and its own variables are one normal vector, of covariance
I + X Σ_tt Xᵀ in units in which those of the clusters given t are the identity (`clusters`); the
deviations of rows are those of two levels (`sample.draws`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.linalg import apply_maps
from mlsem.core.nested.clusters import unit_covariances
from mlsem.core.nested.likelihood import NestedPoint, mean_maps
from mlsem.core.nested.sample import NestedSample
from mlsem.core.records import Array, Index, NestedMoments, frozen
from mlsem.core.sample.draws import (
    Deviations,
    Sampler,
    deviations,
    drawable,
    drawn_products,
    stored_outcomes,
    with_products,
)
from mlsem.core.sample.moments import is_no_within


@dataclass(frozen=True, slots=True, eq=False)
class AlikeUnits:
    """Units of the same sizes of clusters.

    Attributes
    ----------
    units : (u,)
    clusters : (u, c)
        Of each unit, by size.
    factor : (b, b)
        Lower Cholesky factor of the covariance of the means of their clusters and of s.
    """

    units: Shaped[Index, "u"]
    clusters: Shaped[Index, "u c"]
    factor: Shaped[Array, "b b"]


@dataclass(frozen=True, slots=True, eq=False)
class NestedSampler(Sampler[NestedMoments]):
    """Draws from a model at a point, the covariates as they are.

    Attributes
    ----------
    expected : (J, o)
        The outcomes' expected means: of level 1, of level 2 alone, of level 3 alone.
    units : tuple of AlikeUnits
        Of each kind.
    unwhite : (S, p + r, p + r)
        L̄⁻ᵀ of each size.
    unmix : (o, o)
        From outcomes to stored columns.
    deviations : Deviations or None
        None if all clusters have one row.
    """

    data: NestedSample
    expected: Shaped[Array, "J o"]
    units: tuple[AlikeUnits, ...]
    unwhite: Shaped[Array, "S pr pr"]
    unmix: Shaped[Array, "o o"]
    deviations: Deviations | None

    def draw(self, generator: np.random.Generator) -> NestedMoments:
        data, m = self.data, self.unwhite.shape[1]
        away = np.zeros((data.n_clusters, m))
        top = np.zeros((data.n_units, self.expected.shape[1] - m))
        for alike in self.units:
            units, count = alike.clusters.shape
            drawn = generator.standard_normal((units, len(alike.factor))) @ alike.factor.T
            away[alike.clusters] = drawn[:, : count * m].reshape(units, count, m)
            top[alike.units] = drawn[:, count * m :]
        away = apply_maps(self.unwhite, data.shape_of, away)
        total = np.concatenate((away, top[data.moments.unit_of]), axis=1)
        means = self.moments.means.copy()
        means[:, self.outcomes] = self.expected + total @ self.unmix.T
        within = self.moments.within
        if self.deviations is not None:
            across, own = drawn_products(self.deviations, generator)
            within = frozen(with_products(within, self.deviations, across, own))
        return replace(self.moments, means=frozen(means), within=within)


def nested_sampler(pattern: ModelPattern, point: NestedPoint, data: NestedSample) -> NestedSampler:
    """Prepare draws from the model at a point.

    Raises
    ------
    InferenceError
        The covariance of the means of some unit is not positive definite.
    """
    moments, within = data.moments, point.levels[0]
    stored = stored_outcomes(pattern, moments.columns)
    maps = stored.unmix @ (mean_maps(pattern, point.levels) - stored.rest)
    p = len(within.sigma)
    spread = stored.unmix[:p, :p] @ np.linalg.cholesky(within.sigma)
    slopes = maps[:p, moments.varying_entries]
    root = np.asarray(np.linalg.inv(point.means.factor), dtype=np.float64)
    return NestedSampler(
        moments=moments,
        outcomes=stored.columns,
        data=data,
        expected=frozen(data.rows @ maps.T),
        units=tuple(_by_kind(point, data)),
        unwhite=frozen(root.swapaxes(1, 2)),
        unmix=stored.unmix,
        deviations=None
        if is_no_within(moments.within)
        else deviations(moments.within, moments.rows - 1, stored.columns[:p], slopes, spread),
    )


def _by_kind(point: NestedPoint, data: NestedSample) -> Iterator[AlikeUnits]:
    order: Index = np.lexsort((data.shape_of, data.moments.unit_of))
    _, starts = data.arranged
    for kind in range(len(data.kinds)):
        units = np.flatnonzero(data.kind_of == kind)
        count = int(data.kinds[kind].sum())
        clusters: Index = order[starts[units][:, None] + np.arange(count)]
        alone = np.zeros(count, dtype=np.intp)
        covariance, _ = unit_covariances(point, data, clusters[0], alone, np.arange(count))
        yield AlikeUnits(units, clusters, drawable(covariance)[0])
