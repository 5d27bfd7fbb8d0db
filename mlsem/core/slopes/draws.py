"""New data sets as cluster moments, drawn from a fitted model with random slopes.

In the coordinates of `carriers` the random effects move d coordinates of a cluster's outcomes and
its level-2 variables, which are drawn together,

    (x_1, …, x_d, z) ~ N(μ̄_j, V̄_j),     x_1 = √n ȳ,

and the n - d others have the covariance Σ_W of a row: their cross-products with the covariates
R_j, less what the carriers explain, and with one another are drawn as deviations are (see
`draws`). Together, with H_l,x the covariates' coordinates,

    S_xy = Σ_{l>1} H_l,x x_lᵀ + rest,     S_yy = Σ_{l>1} x_l x_lᵀ + rest.

A coordinate that a carrier does not have in a cluster is none of its rows: what is drawn for it
is zero, and the others are so many more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.records import Array, ClusterMoments, frozen
from mlsem.core.sample.draws import (
    Deviations,
    Sampler,
    StoredOutcomes,
    deviations,
    drawable,
    drawn_products,
    stored_outcomes,
    with_products,
)
from mlsem.core.slopes.carriers import SlopeMoments, rest_of
from mlsem.core.slopes.likelihood import MeanMaps, SlopePoint, cluster_covariance, coordinates_of


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What is drawn within clusters: the coordinates beyond the first, and the rest.

    Attributes
    ----------
    found : (J, d - 1, 1)
        1 for the coordinates that the cluster has, else 0.
    covariates : (J, d - 1, k)
        H_l,x of the stored covariates.
    rest : Deviations
        Of the other coordinates.
    """

    found: Shaped[Array, "J l 1"]
    covariates: Shaped[Array, "J l k"]
    rest: Deviations


@dataclass(frozen=True, slots=True, eq=False)
class SlopeSampler(Sampler[ClusterMoments]):
    """Draws from a model with random slopes.

    Attributes
    ----------
    expected : (J, d p + r)
        Of (ȳ, x_2, …, x_d, z), as stored columns.
    scale : (J, d p + r, d p + r)
        Factor of their covariance.
    level1 : int
        p, how many outcomes are of level 1.
    carried : Carried
    """

    expected: Shaped[Array, "J e"]
    scale: Shaped[Array, "J e e"]
    level1: int
    carried: Carried

    def draw(self, generator: np.random.Generator) -> ClusterMoments:
        noise = generator.standard_normal(self.expected.shape)
        values = self.expected + (self.scale @ noise[:, :, None])[:, :, 0]
        p, own = self.level1, len(self.outcomes) - self.level1
        end = values.shape[1] - own
        means = self.moments.means.copy()
        means[:, self.outcomes] = np.concatenate((values[:, :p], values[:, end:]), axis=1)
        rows = values[:, p:end].reshape(len(values), -1, p)
        within = _drawn_within(self.moments.within, self.carried, rows, generator)
        return replace(self.moments, means=frozen(means), within=frozen(within))


def _drawn_within(
    within: Shaped[Array, "J V V"],
    at: Carried,
    values: Shaped[Array, "J l p"],
    generator: np.random.Generator,
) -> Shaped[Array, "J V V"]:
    """Cross-products (J, V, V) with those of the outcomes new, given values (J, d - 1, p)."""
    rows = at.found * values
    across, own = drawn_products(at.rest, generator)
    across += at.covariates.swapaxes(1, 2) @ rows
    own += rows.swapaxes(1, 2) @ rows
    return with_products(within, at.rest, across, own)


def slope_sampler(
    pattern: ModelPattern, point: SlopePoint, moments: ClusterMoments, data: SlopeMoments
) -> SlopeSampler:
    """Prepare draws from the model at a point, the covariates as they are in `moments`.

    Parameters
    ----------
    pattern, point
        The same of both: the user's, or the optimiser's coordinates.
    data : SlopeMoments
        `moments`, arranged by the carriers of the pattern.

    Raises
    ------
    InferenceError
        The covariance of the coordinates of some cluster is not positive definite.
    """
    within, between = point.levels
    p = len(within.sigma)
    stored = stored_outcomes(pattern, moments.columns)
    level1, level2 = within.mean - stored.rest[:p], between.mean.copy()
    level2[pattern.split :] -= stored.rest[p:]
    maps = MeanMaps(level1[None], level2[None])
    turn = _as_stored(stored, data, p)
    covariance = cluster_covariance(data, within.sigma, between.sigma)
    return SlopeSampler(
        moments=moments,
        outcomes=stored.columns,
        expected=frozen((turn @ coordinates_of(data, maps)[:, 0, :, None])[:, :, 0]),
        scale=frozen(turn @ drawable(covariance)),
        level1=p,
        carried=_carried(moments, data, stored, level1, within.sigma),
    )


def _as_stored(stored: StoredOutcomes, data: SlopeMoments, level1: int) -> Shaped[Array, "J m m"]:
    """The map of (x_1, …, x_d, z) to (ȳ, x_2, …, x_d, z) as stored columns."""
    p, size = level1, data.depth * level1
    own = len(stored.unmix) - p
    turn = np.zeros((data.n_clusters, size + own, size + own))
    for start in range(0, size, p):
        turn[:, start : start + p, start : start + p] = stored.unmix[:p, :p]
    turn[:, :p, size:] = stored.unmix[:p, p:]
    turn[:, size:, size:] = stored.unmix[p:, p:]
    turn[:, :p, :p] /= np.sqrt(data.sizes)[:, None, None]
    return turn


def _carried(
    moments: ClusterMoments,
    data: SlopeMoments,
    stored: StoredOutcomes,
    maps: Shaped[Array, "p D"],
    sigma: Shaped[Array, "p p"],
) -> Carried:
    """Prepare what is drawn within clusters, the level-1 means being these maps (p, D)."""
    unmix = stored.unmix[: len(maps), : len(maps)]
    columns = moments.varying_entries
    coordinates = data.coordinates[:, 1:, columns]
    found: NDArray[np.bool_] = np.any(coordinates, axis=2)
    others = np.maximum(moments.rows - 1 - found.sum(axis=1), 0)
    rest = deviations(
        rest_of(data, moments, slice(None)),
        others,
        stored.columns[: len(maps)],
        unmix @ maps[:, columns],
        unmix @ np.linalg.cholesky(sigma),
        np.diagonal(moments.within, axis1=1, axis2=2),
    )
    return Carried(
        found=frozen(found[:, :, None].astype(np.float64)),
        covariates=frozen(coordinates[:, :, rest.covariates]),
        rest=rest,
    )
