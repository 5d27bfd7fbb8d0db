"""What inference needs of a fitted model, and its robust clusters in units of their information."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.linalg import blocks, inverse_root, unit_diagonal
from mlsem.core.records import Array, Index

Cumulants = Callable[[Shaped[Index, "k"], Shaped[Array, "k c n"]], Shaped[Array, "k c ..."]]
"""Of aᵀs for kinds and directions a: κ₄ (k, c); or κ₃ with s itself (k, c, n)."""


@dataclass(frozen=True, slots=True, eq=False)
class WorkingClusters:
    """The robust clusters as the fitted model sees them, along directions φ.

    Clusters that are alike to the model are of one *kind* and share all matrix work.

    Attributes
    ----------
    information : (K, n, n)
        B of each kind: the expected information of such a cluster.
    kind : (G,)
        The kind of each cluster, a position in `information`.
    cumulants : callable
        κ₄ of the scores of clusters of given kinds along directions of φ.
    third : callable
        κ₃(aᵀs, aᵀs, s) of these.
    mixed : MixedClusters or None
        Of a linear mixed model of one outcome, whose p fixed effects are the first directions.
    labels : (G,)
        Cluster ids.
    n_rows : int
        N.
    """

    information: Shaped[Array, "K n n"]
    kind: Shaped[Index, "G"]
    cumulants: Cumulants
    third: Cumulants
    mixed: MixedClusters | None
    labels: Shaped[NDArray, "G"]
    n_rows: int

    @property
    def n_clusters(self) -> int:
        return len(self.kind)

    @property
    def counts(self) -> Shaped[Array, "K"]:
        """Clusters of each kind."""
        return np.bincount(self.kind, minlength=len(self.information)).astype(float)

    @property
    def total(self) -> Shaped[Array, "n n"]:
        """A = Σ B_j, the expected information."""
        return np.tensordot(self.counts, self.information, 1)


@dataclass(frozen=True, slots=True, eq=False)
class EstimatingEquations:
    """What inference needs of a fitted model: the seam between estimation and inference.

    The free directions φ are those that the constraints leave: dθ = basis dφ. Scores and
    information are along φ, where they are well-conditioned.

    Attributes
    ----------
    params : (npar,)
        θ̂.
    basis : (npar, n)
    information : (n, n)
        H, observed or expected: what a step dφ takes from the scores. H⁻¹ is the bread.
    scores : (G, n) or None
        One row per robust cluster; None where the kind of covariance needs none.
    clusters : WorkingClusters or None
        For the kinds that adjust scores, by each cluster's part in the expected information.
    """

    params: Shaped[Array, "npar"]
    basis: Shaped[Array, "npar n"]
    information: Shaped[Array, "n n"]
    scores: Shaped[Array, "G n"] | None = None
    clusters: WorkingClusters | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WhiteClusters:
    """`WorkingClusters` along φ = L φ̃ with A⁻¹ = L Lᵀ: the expected information is the identity,
    and that of a cluster, X_j = Lᵀ B_j L, is its leverage. ΣX_j = I.

    The leverage is expected, the bread M = (Lᵀ H L)⁻¹ need not be: where an endogenous variable is
    a predictor and its moments are not what the model implies, A is not what a step takes from
    the scores, although the equation may be right. Observed informations of single clusters would
    be no leverages: they need not be positive definite.

    Attributes
    ----------
    basis : (npar, n)
        Parameters as functions of φ̃: dθ = basis dφ̃.
    influence : (npar, n)
        basis M, what scores move the estimates by: θ̂ - θ ≈ influence Σ s_j.
    root : (n, n)
        L, block-diagonal where the fixed effects are apart.
    scores : (G, n)
    working : WorkingClusters
        In φ.
    """

    basis: Shaped[Array, "npar n"]
    influence: Shaped[Array, "npar n"]
    root: Shaped[Array, "n n"]
    scores: Shaped[Array, "G n"]
    working: WorkingClusters

    @property
    def n_kinds(self) -> int:
        return len(self.working.information)

    @property
    def counts(self) -> Shaped[Array, "K"]:
        """Clusters of each kind."""
        return self.working.counts

    def leverage(self, part: slice) -> Shaped[Array, "k n n"]:
        """X of these kinds."""
        return self.root.T @ self.working.information[part] @ self.root

    def cumulants(self, part: slice, directions: Shaped[Array, "k c n"]) -> Shaped[Array, "k c"]:
        """κ₄ along directions of φ̃ (k, c, n)."""
        return self.working.cumulants(np.arange(self.n_kinds)[part], directions @ self.root.T)

    def third_cumulants(
        self, part: slice, directions: Shaped[Array, "k c n"]
    ) -> Shaped[Array, "k c n"]:
        """κ₃ along directions of φ̃, twice, and with each score."""
        kinds = np.arange(self.n_kinds)[part]
        return self.working.third(kinds, directions @ self.root.T) @ self.root

    def parts(self) -> Iterator[slice]:
        """Kinds in blocks of bounded memory."""
        return blocks(self.n_kinds, self.basis.shape[1] ** 2)

    def members(self, part: slice) -> Shaped[Index, "g"]:
        """Clusters of these kinds."""
        kind = self.working.kind
        return np.flatnonzero((kind >= part.start) & (kind < part.stop))

    def contrasts(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c n"]:
        """M c̃ of contrasts cᵀθ, (c, npar) -> (c, n): what each takes of the scores."""
        return gradients @ self.influence

    def model_covariance(self, places: Shaped[Index, "k"]) -> Shaped[Array, "npar k"]:
        """Columns of the model-based covariance H⁻¹ of the parameters."""
        return self.basis @ self.influence[places].T


def bread_root(information: Shaped[Array, "n n"]) -> Shaped[Array, "n n"] | None:
    """Upper-triangular L with I⁻¹ = L Lᵀ; None where the information is not positive definite (no
    maximum there)."""
    unit = unit_diagonal(information)
    factor = None if unit is None else inverse_root(unit[0])
    return None if unit is None or factor is None else unit[1][:, None] * factor


def whitened(equations: EstimatingEquations) -> WhiteClusters | None:
    """None where the observed or the expected information is not positive definite."""
    clusters = equations.clusters
    assert equations.scores is not None
    assert clusters is not None
    root = bread_root(clusters.total)
    if root is None:
        return None
    half = bread_root(root.T @ equations.information @ root)
    if half is None:
        return None
    basis = equations.basis @ root
    return WhiteClusters(basis, basis @ half @ half.T, root, equations.scores @ root, clusters)
