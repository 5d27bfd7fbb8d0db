"""New data sets with the same values missing, drawn from a fitted model.

What is observed of a row is drawn with the covariance of its pattern, ε_r ~ N(0, Σ_π). In whitened
rows the random effects move the coordinates β = L⁺ Σ_r Zᵀ W ε_r ~ N(0, I) of a cluster alone, to a
covariance P = I + LᵀΣ_u L = G Gᵀ. With z_j drawn first and m_j = E(u_j | z_j),

    e_r = ε_r + Z_r [L⁺ᵀ (G - I) β + m_j],

which needs that P is positive definite, as the likelihood does, and not that Σ_B is. Coordinates
beyond the first of a cell and cross-products of the others make its new cross-products, as with
complete data (`core.sample.draws`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.patterns.carriers import CellRows, PatternMoments
from mlsem.core.patterns.likelihood import PatternPoint, lifted, pulled_back, weigh
from mlsem.core.records import Array, CellMoments, frozen
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
from mlsem.core.sample.moments import is_no_within


@dataclass(frozen=True, slots=True, eq=False)
class PatternSampler(Sampler[CellMoments]):
    """Draws from a model with the data's values missing.

    Attributes
    ----------
    point : PatternPoint
    data : PatternMoments
    cells : CellRows
    stored : StoredOutcomes
    level1, level2 : (R, p), (J, q + r)
        Expected outcomes of the rows, less what random effects do, and E(u), E(z).
    scale : (P, p, p), (Q, r, r)
        Lower factors of the observed blocks of Σ_W and Σ_zz, zero elsewhere.
    rest : Deviations or None
        Of the other coordinates; None if all cells have one row.
    """

    point: PatternPoint
    data: PatternMoments
    cells: CellRows
    stored: StoredOutcomes
    level1: Shaped[Array, "R p"]
    level2: Shaped[Array, "J qr"]
    scale: tuple[Shaped[Array, "P p p"], Shaped[Array, "Q r r"]]
    rest: Deviations | None

    def draw(self, generator: np.random.Generator) -> CellMoments:
        above = self._drawn_level2(generator)
        rows = self._seen(self._drawn_rows(above, generator)[self.cells.rows])
        p, own = rows.shape[2], self.stored.columns
        unmix = self.stored.unmix
        level2 = above @ unmix[p:, p:].T
        rows = rows @ unmix[:p, :p].T
        cells, varying = self.moments, self.moments.varying
        first = rows[:, 0] / np.sqrt(self.cells.sizes)[:, None]
        first += (above @ unmix[:p, p:].T)[self.cells.cluster_of]
        means, outer = cells.means.copy(), cells.level2.copy()
        means[:, own[:p]] = first
        outer[:, own[p:] - varying] = level2
        there = cells.patterns[cells.pattern_of]
        return replace(
            cells,
            means=frozen(means * there),
            within=self._drawn_within(rows[:, 1:], there, generator),
            level2=frozen(outer * cells.level2_patterns[cells.level2_pattern_of]),
        )

    def _seen(self, rows: Shaped[Array, "K d p"]) -> Shaped[Array, "K d a"]:
        """The stored outcomes: where rows fall into classes, that of each cell's."""
        if not self.data.effects.everywhere:
            return rows
        return np.take_along_axis(rows, self.cells.pattern_of[:, None, None], axis=2)

    def _drawn_level2(self, generator: np.random.Generator) -> Shaped[Array, "J r"]:
        """z where it is observed."""
        q, of = self.point.split, self.data.level2_of
        noise = generator.standard_normal((len(of), self.scale[1].shape[1]))
        expected = self.level2[:, q:] * self.data.level2_observed[of]
        return expected + np.einsum("jab,jb->ja", self.scale[1][of], noise)

    def _drawn_rows(
        self, above: Shaped[Array, "J r"], generator: np.random.Generator
    ) -> Shaped[Array, "R p"]:
        """Outcomes of the coordinate rows."""
        point, data = self.point, self.data
        q, p = point.split, self.level1.shape[1]
        noise = generator.standard_normal(self.level1.shape)
        rows = np.einsum("rab,rb->ra", self.scale[0][data.pattern_of], noise)
        beta = pulled_back(data, weigh(data, point.precision, rows))
        beta = np.einsum("jab,jb->ja", point.back, beta)
        # P = G Gᵀ with G the inverse of `white`
        grown = np.asarray(np.linalg.solve(point.white, beta[:, :, None]), dtype=np.float64)
        moved = grown[:, :, 0] - beta
        effects = np.einsum("jba,jb->ja", point.back, moved) + self.level2[:, :q]
        away = above - self.level2[:, q:] * data.level2_observed[data.level2_of]
        effects += np.einsum("jab,jb->ja", point.regression[data.level2_of], away)
        return self.level1 + rows + lifted(data, effects, p)

    def _drawn_within(
        self,
        rows: Shaped[Array, "K l p"],
        there: Shaped[NDArray[np.bool_], "K V"],
        generator: np.random.Generator,
    ) -> Shaped[Array, "K V V"]:
        if self.rest is None:
            return self.moments.within
        across, own = drawn_products(self.rest, generator)
        columns = self.moments.varying_entries
        coordinates = self.cells.coordinates[:, 1:, columns]
        rows = rows * (coordinates != 0.0).any(axis=2, keepdims=True)
        across += coordinates[:, :, self.rest.covariates].swapaxes(1, 2) @ rows
        own += rows.swapaxes(1, 2) @ rows
        drawn = with_products(self.moments.within, self.rest, across, own)
        return frozen(drawn * there[:, :, None] * there[:, None, :])


def pattern_sampler(
    pattern: ModelPattern,
    point: PatternPoint,
    moments: CellMoments,
    data: PatternMoments,
    cells: CellRows,
) -> PatternSampler:
    """Prepare draws from the model at a point, the covariates as they are in `moments`.

    Parameters
    ----------
    pattern, point
        The same of both: the user's, or the optimiser's coordinates.
    data, cells
        `moments`, arranged by the pattern's outcomes and carriers.
    """
    (within, between), q = point.levels, pattern.split
    p = len(within.sigma)
    stored = stored_outcomes(pattern, moments.columns)
    maps = within.mean - stored.rest[:p]
    above = between.mean.copy()
    above[q:] -= stored.rest[p:]
    level2 = between.sigma[q:, q:]
    return PatternSampler(
        moments=moments,
        outcomes=stored.columns,
        point=point,
        data=data,
        cells=cells,
        stored=stored,
        level1=frozen(data.coordinates @ maps.T),
        level2=frozen(data.rows @ above.T),
        scale=(_factors(within.sigma, data.observed), _factors(level2, data.level2_observed)),
        rest=None
        if is_no_within(moments.within)
        else _rest(moments, cells, stored, maps, within.sigma),
    )


def _factors(
    sigma: Shaped[Array, "p p"], observed: Shaped[NDArray[np.bool_], "P p"]
) -> Shaped[Array, "P p p"]:
    both = observed[:, :, None] & observed[:, None, :]
    blocks: Array = np.where(both, sigma, np.eye(len(sigma)))
    return frozen(drawable(blocks) * both)


def _rest(
    moments: CellMoments,
    cells: CellRows,
    stored: StoredOutcomes,
    maps: Shaped[Array, "p D"],
    sigma: Shaped[Array, "p p"],
) -> Deviations:
    """Prepare draws of the other coordinates of the cells."""
    columns, classed = moments.varying_entries, len(maps) > len(stored.unmix)
    maps = maps[: len(stored.unmix)]  # those of classes are one
    p = len(maps)
    unmix = stored.unmix[:p, :p]
    found = cells.coordinates[:, 1:, columns].any(axis=2).sum(axis=1)
    roots = np.linalg.cholesky(sigma)
    if classed:
        roots = roots.diagonal()[cells.pattern_of][:, None, None]
    return deviations(
        cells.rest,
        np.maximum(moments.cell_rows - 1 - found, 0),
        stored.columns[:p],
        unmix @ maps[:, columns],
        unmix @ roots,
        np.einsum("kvv->kv", moments.within),
    )
