"""Draws of new data from a random-intercept model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import apply_maps
from mlsem.core.records import Array, ClusterMoments, Index, frozen
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
class InterceptSampler(Sampler[ClusterMoments]):
    """Draws from a model whose random effects, if any, are intercepts.

    Attributes
    ----------
    expected : (J, m)
        The outcomes' expected means.
    scale : (S, m, m)
        Lower Cholesky factor of the covariance of the means, by cluster size.
    shape_of : (J,)
        Each cluster's position among the sizes.
    deviations : Deviations or None
        None if all clusters have one row.
    """

    expected: Shaped[Array, "J m"]
    scale: Shaped[Array, "S m m"]
    shape_of: Shaped[Index, "J"]
    deviations: Deviations | None

    def draw(self, generator: np.random.Generator) -> ClusterMoments:
        noise = generator.standard_normal(self.expected.shape)
        means = self.moments.means.copy()
        means[:, self.outcomes] = self.expected + apply_maps(self.scale, self.shape_of, noise)
        within = self.moments.within
        if self.deviations is not None:
            across, own = drawn_products(self.deviations, generator)
            within = frozen(with_products(within, self.deviations, across, own))
        return replace(self.moments, means=frozen(means), within=within)


def intercept_sampler(
    pattern: ModelPattern,
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Shaped[Index, "J"],
    sizes: Shaped[Array, "S"],
) -> InterceptSampler:
    """Prepare draws from the model at a point, the covariates as they are in `moments`.

    Parameters
    ----------
    pattern, point
        The same of both: the user's, or the optimiser's coordinates.
    shape_of : (J,)
        The shape of each cluster, a position in `sizes` (S,). A single-level model takes groups
        of rows as clusters.

    Raises
    ------
    InferenceError
        The covariance of the means of some cluster is not positive definite.
    """
    q, (within, between) = pattern.split, point.levels
    p = len(within.sigma)
    stored = stored_outcomes(pattern, moments.columns)
    own, unmix = stored.columns, stored.unmix
    maps = np.concatenate((within.mean, between.mean[q:]))
    maps[:q] += between.mean[:q]
    maps = unmix @ (maps - stored.rest)
    scale = drawable(unmix @ _mean_covariances(point, sizes, q) @ unmix.T)
    slopes = maps[:p, moments.varying_entries]
    spread = unmix[:p, :p] @ np.linalg.cholesky(within.sigma)
    return InterceptSampler(
        moments=moments,
        outcomes=own,
        expected=frozen(maps[:, 0] + moments.means @ maps[:, 1:].T),
        scale=frozen(scale),
        shape_of=shape_of,
        deviations=None
        if is_no_within(moments.within)
        else deviations(moments.within, moments.rows - 1, own[:p], slopes, spread),
    )


def _mean_covariances(
    point: Evaluation, sizes: Shaped[Array, "S"], split: int
) -> Shaped[Array, "S m m"]:
    """Cov(ȳ, z) of a cluster of each size, (S, m, m)."""
    within, between = (level.sigma for level in point.levels)
    p = len(within)
    size = p + len(between) - split
    places = np.concatenate((np.arange(split), np.arange(p, size)))
    total = np.zeros((len(sizes), size, size))
    total[:, places[:, None], places] = between
    total[:, :p, :p] += within / sizes[:, None, None]
    return total
