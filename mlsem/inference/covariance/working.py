"""The robust clusters as the fitted model sees them: their parts in the expected information."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.arrow import Arrow, Layout
from mlsem.core.blocks import walk
from mlsem.core.clusters.unions import Unions
from mlsem.core.clusters.view import RowClusters
from mlsem.core.generalized.residual_form import ResidualForm
from mlsem.core.records import Array, Index, frozen

KEPT = 2**24  # numbers of the informations of all kinds up to which they are made once


@dataclass(frozen=True, eq=False)
class WorkingTerm:
    """The robust clusters of one term of the log-likelihood as the fitted model sees them, along
    its m of the directions φ: its own, then those that several terms share.

    Clusters that are alike to the model are of one *kind* and share all matrix work.

    Attributes
    ----------
    unions : Unions
        The clusters by kind, along the directions that move the term.
    numbers : (g,)
        Which of all clusters these are.
    place : (k,)
        Where the directions that move the term stand among the m.
    size : int
        m.
    weights : (J,) or None
        w_j of the clusters that these are unions of; None where each counts once.
    """

    unions: Unions
    numbers: Shaped[Index, "g"]
    place: Shaped[Index, "k"]
    size: int
    weights: Shaped[Array, "J"] | None = None

    @cached_property
    def _whole(self) -> bool:
        """Whether all directions of the term move it, in their order."""
        return np.array_equal(self.place, np.arange(self.size))

    @property
    def n_kinds(self) -> int:
        """K."""
        return self.unions.n_kinds

    @property
    def kind(self) -> Shaped[Index, "g"]:
        """The kind of each cluster, 0 … K - 1."""
        return self.unions.kind

    @cached_property
    def counts(self) -> Shaped[Array, "K"]:
        """Clusters of each kind."""
        return np.bincount(self.kind, minlength=self.n_kinds).astype(float)

    def information(self, kinds: Shaped[Index, "k"] | slice) -> Shaped[Array, "... k m m"]:
        """B of these kinds: the expected information of such a cluster."""
        if self._kept is not None:
            return self._kept[..., kinds, :, :]
        return self._information(np.arange(self.n_kinds)[kinds])

    @cached_property
    def _kept(self) -> Shaped[Array, "... K m m"] | None:
        """Of all kinds, where they take little memory."""
        if self.n_kinds * self.size**2 > KEPT:
            return None
        return frozen(self._information(np.arange(self.n_kinds)))

    def variance(self, kinds: Shaped[Index, "k"] | slice) -> Shaped[Array, "k m m"]:
        """Q of these kinds: the covariance of the score of such a cluster if the model is right,
        which is w_j B of a cluster that counts w_j times."""
        return self._information(np.arange(self.n_kinds)[kinds], self.weights)

    @property
    def total_variance(self) -> Shaped[Array, "m m"]:
        """Σ Q_j."""
        total = np.zeros((self.size, self.size))
        for part in walk(self.n_kinds, self.size**2):
            total += np.tensordot(self.counts[part], self.variance(part), 1)
        return total

    def _information(
        self, kinds: Shaped[Index, "k"], factors: Shaped[Array, "J"] | None = None
    ) -> Shaped[Array, "... k m m"]:
        found, place = self.unions.information(kinds, factors), self.place
        if self._whole:
            return found
        total = np.zeros((len(kinds), self.size, self.size))
        total[:, place[:, None], place] = found
        return total

    def cumulants(
        self, kinds: Shaped[Index, "k"], directions: Shaped[Array, "... k c m"]
    ) -> Shaped[Array, "... k c"]:
        """κ₄ of the scores of clusters of given kinds along directions of φ."""
        moved = directions if self._whole else directions.take(self.place, -1)
        return self.unions.cumulants(kinds, moved)

    def third(
        self, kinds: Shaped[Index, "k"], directions: Shaped[Array, "k c m"]
    ) -> Shaped[Array, "k c m"]:
        """κ₃(aᵀs, aᵀs, s) of these."""
        total = np.zeros(directions.shape)
        found = self.unions.third_cumulants(kinds, directions[..., self.place])
        total[..., self.place] = found
        return total


def working_term(
    unions: Unions,
    numbers: Shaped[Index, "g"],
    layout: Layout,
    term: int,
    columns: Shaped[Index, "k"],
    weights: Shaped[Array, "J"] | None = None,
) -> WorkingTerm:
    """The robust clusters of a term that are these unions.

    Parameters
    ----------
    numbers : (g,)
        Which of all clusters these are.
    layout : Layout
        Of all directions.
    columns : (k,)
        The directions that move the term, those of `unions`.
    weights : (J,), optional
        w_j, of the clusters that these are unions of, where they count differently.
    """
    if not len(layout.shared):
        return WorkingTerm(unions, numbers, np.arange(len(columns)), len(columns), weights)
    place = layout.placed(term, columns)
    return WorkingTerm(unions, numbers, place, len(layout.places(term)), weights)


@dataclass(frozen=True, slots=True, eq=False)
class MixedTerm:
    """The clusters of a linear mixed model of one outcome, whose information has nothing between
    fixed effects, the first p directions, and variances.

    Attributes
    ----------
    rows : RowClusters
        They as few rows, for the fixed effects.
    variances : WorkingTerm
        They along the directions of the variances.
    """

    rows: RowClusters
    variances: WorkingTerm


@dataclass(frozen=True, slots=True, eq=False)
class WorkingClusters:
    """The robust clusters as the fitted model sees them.

    Attributes
    ----------
    terms : tuple of WorkingTerm
        Those of each term of the log-likelihood; of one term where clusters cut across terms.
    total : Arrow
        Σ B_j.
    mixed : MixedTerm or None
        Of a linear mixed model of one outcome, whose clusters are of one term and each of its own
        kind there.
    labels : (G,)
        Cluster ids.
    n_rows : int
        N.
    n_fixed : int
        p, if the first directions are those of fixed effects; else 0.
    residual : ResidualForm or None
        Of a generalised linear model whose residuals are adjusted, not scores; of one term, each
        cluster its own kind.
    """

    terms: tuple[WorkingTerm, ...]
    total: Arrow
    mixed: MixedTerm | None
    labels: Shaped[NDArray, "G"]
    n_rows: int
    n_fixed: int = 0
    residual: ResidualForm | None = None

    @property
    def n_clusters(self) -> int:
        return len(self.labels)
