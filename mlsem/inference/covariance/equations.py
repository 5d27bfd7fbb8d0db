"""What inference needs of a fitted model, and its robust clusters in units of their information."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.arrow import Arrow, ArrowRoot, Layout
from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import Unions
from mlsem.core.linalg import along, blocks, cholesky
from mlsem.core.records import Array, Index

Cumulants = Callable[[Shaped[Index, "k"], Shaped[Array, "k c n"]], Shaped[Array, "k c ..."]]
"""Of aᵀs for kinds and directions a: κ₄ (k, c); or κ₃ with s itself (k, c, n)."""


@dataclass(frozen=True, slots=True, eq=False)
class WorkingTerm:
    """The robust clusters of one term of the log-likelihood as the fitted model sees them, along
    its m of the directions φ: its own, then those that several terms share.

    Clusters that are alike to the model are of one *kind* and share all matrix work.

    Attributes
    ----------
    information : (K, m, m)
        B of each kind: the expected information of such a cluster.
    kind : (g,)
        The kind of each cluster, a position in `information`.
    numbers : (g,)
        Which of all clusters these are.
    cumulants : callable
        κ₄ of the scores of clusters of given kinds along directions of φ.
    third : callable
        κ₃(aᵀs, aᵀs, s) of these.
    variance : (K, m, m) or None
        Q of each kind, the covariance of the score of such a cluster if the model is right; None
        without weights, where it is B. A cluster that counts w times has Q = w B.
    """

    information: Shaped[Array, "K m m"]
    kind: Shaped[Index, "g"]
    numbers: Shaped[Index, "g"]
    cumulants: Cumulants
    third: Cumulants
    variance: Shaped[Array, "K m m"] | None = None

    @property
    def counts(self) -> Shaped[Array, "K"]:
        """Clusters of each kind."""
        return np.bincount(self.kind, minlength=len(self.information)).astype(float)

    @property
    def total(self) -> Shaped[Array, "m m"]:
        """Σ B_j."""
        return np.tensordot(self.counts, self.information, 1)


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
        w_j of the clusters that these are unions of.
    """
    information = layout.spread(term, columns, unions.information())
    if not len(layout.shared):
        alone = unions.cumulants, unions.third_cumulants
        variance = None if weights is None else unions.information(weights)
        return WorkingTerm(information, unions.kind, numbers, *alone, variance)
    assert weights is None  # clusters that count differently are taken as those of one term
    along = _Along(unions, layout.placed(term, columns))
    return WorkingTerm(information, unions.kind, numbers, along.cumulants, along.third)


@dataclass(frozen=True, slots=True, eq=False)
class _Along:
    """Cumulants of unions along the directions of their term, of which those at `place` (k,) move
    it."""

    unions: Unions
    place: Shaped[Index, "k"]

    def cumulants(
        self, kinds: Shaped[Index, "K"], directions: Shaped[Array, "K c m"]
    ) -> Shaped[Array, "K c"]:
        return self.unions.cumulants(kinds, directions[..., self.place])

    def third(
        self, kinds: Shaped[Index, "K"], directions: Shaped[Array, "K c m"]
    ) -> Shaped[Array, "K c m"]:
        total = np.zeros(directions.shape)
        found = self.unions.third_cumulants(kinds, directions[..., self.place])
        total[..., self.place] = found
        return total


@dataclass(frozen=True, slots=True, eq=False)
class WorkingClusters:
    """The robust clusters as the fitted model sees them.

    Attributes
    ----------
    terms : tuple of WorkingTerm
        Those of each term of the log-likelihood; of one term where clusters cut across terms.
    mixed : MixedClusters or None
        Of a linear mixed model of one outcome, whose p fixed effects are the first directions and
        whose clusters are of one term.
    labels : (G,)
        Cluster ids.
    n_rows : int
        N.
    n_fixed : int
        p, if the first directions are the fixed effects of a linear mixed model; else 0.
    """

    terms: tuple[WorkingTerm, ...]
    mixed: MixedClusters | None
    labels: Shaped[NDArray, "G"]
    n_rows: int
    n_fixed: int = 0

    @property
    def n_clusters(self) -> int:
        return len(self.labels)


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
    information : Arrow
        H, observed or expected: what a step dφ takes from the scores. H⁻¹ is the bread.
    scores : tuple of (g, m) or None
        Of each term: one row per robust cluster, along its own directions and the shared ones;
        None where the kind of covariance needs none.
    clusters : WorkingClusters or None
        For the kinds that adjust scores, by each cluster's part in the expected information.
    """

    params: Shaped[Array, "npar"]
    basis: Shaped[Array, "npar n"]
    information: Arrow
    scores: tuple[Shaped[Array, "_ _"], ...] | None = None
    clusters: WorkingClusters | None = None

    @property
    def layout(self) -> Layout:
        """Which directions are of which term."""
        return self.information.layout


@dataclass(frozen=True, slots=True, eq=False)
class WhiteTerm:
    """`WorkingTerm` in the units of `WhiteClusters`.

    Attributes
    ----------
    places : (m,)
        Which of all directions are the term's.
    own : int
        How many of these, the first ones, are its own.
    root : (m, m)
        L among them.
    scores : (g, m)
    working : WorkingTerm
        In φ.
    mixed : MixedClusters or None
    spread : (m, m) or None
        R with R Rᵀ = ΣY_j, the covariance of the sum of the scores; None where it is the identity.
    """

    places: Shaped[Index, "m"]
    own: int
    root: Shaped[Array, "m m"]
    scores: Shaped[Array, "g m"]
    working: WorkingTerm
    mixed: MixedClusters | None
    spread: Shaped[Array, "m m"] | None = None

    @property
    def signs(self) -> Shaped[Array, "f"] | None:
        """Those of the columns of `Adjusted.pull`; None where all are 1."""
        return None if self.spread is None else np.repeat((1.0, -1.0), len(self.places))

    def parts(self, count: int = 0) -> Iterator[WhiteKinds]:
        """Kinds in blocks of bounded memory, for `count` contrasts."""
        size, counts = len(self.places), self.working.counts
        by_kind = np.argsort(self.working.kind, kind="stable")
        ends = np.append(0, np.cumsum(counts)).astype(np.intp)
        for part in blocks(len(counts), size * max(size, count)):
            which = by_kind[ends[part.start] : ends[part.stop]]
            yield WhiteKinds(self, part, which, counts[part])


@dataclass(frozen=True, slots=True, eq=False)
class WhiteKinds:
    """Some kinds of clusters of a term, which of its clusters are of these, kind by kind (g,), and
    how many are of each, (k,)."""

    term: WhiteTerm
    part: slice
    which: Shaped[Index, "g"]
    counts: Shaped[Array, "k"]

    @property
    def places(self) -> Shaped[Index, "m"]:
        """The directions of the term."""
        return self.term.places

    @property
    def _kinds(self) -> Shaped[Index, "k"]:
        return np.arange(self.part.start, self.part.stop)

    @property
    def members(self) -> Shaped[Index, "g"]:
        """Which of all clusters are of these kinds."""
        return self.term.working.numbers[self.which]

    @property
    def kind(self) -> Shaped[Index, "g"]:
        """The kind of each member, a position among these."""
        return self.term.working.kind[self.which] - self.part.start

    @property
    def scores(self) -> Shaped[Array, "g m"]:
        """s of the members."""
        return self.term.scores[self.which]

    @property
    def leverage(self) -> Shaped[Array, "k m m"]:
        """X of these kinds."""
        return _turned(self.term.working.information[self.part], self.term.root)

    @property
    def variance(self) -> Shaped[Array, "k m m"]:
        """Y of these kinds, of clusters that count differently: Lᵀ Q L."""
        assert self.term.working.variance is not None
        return _turned(self.term.working.variance[self.part], self.term.root)

    @property
    def mixed(self) -> MixedClusters | None:
        """Where each cluster is of its own kind."""
        found, part = self.term.mixed, self.part
        if found is None:
            return None
        return MixedClusters(found.working[part], found.design[part], found.residuals[part])

    def cumulants(self, directions: Shaped[Array, "k c m"]) -> Shaped[Array, "k c"]:
        """κ₄ along directions of φ̃ (k, c, m)."""
        inner = along(np.ascontiguousarray(directions), self.term.root)
        return self.term.working.cumulants(self._kinds, inner)

    def third_cumulants(self, directions: Shaped[Array, "k c m"]) -> Shaped[Array, "k c m"]:
        """κ₃ along directions of φ̃, twice, and with each score."""
        root = self.term.root
        return self.term.working.third(self._kinds, directions @ root.T) @ root


def _turned(each: Shaped[Array, "k m m"], root: Shaped[Array, "m m"]) -> Shaped[Array, "k m m"]:
    """Lᵀ B L of each."""
    half = np.ascontiguousarray(along(each, root.T).swapaxes(1, 2))
    return along(half, root.T)


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
    bread : ArrowRoot
        R with M = R Rᵀ.
    terms : tuple of WhiteTerm
        Scores and leverages of the clusters of each term, which are zero along the own directions
        of others.
    working : WorkingClusters
        In φ.
    """

    basis: Shaped[Array, "npar n"]
    influence: Shaped[Array, "npar n"]
    bread: ArrowRoot
    terms: tuple[WhiteTerm, ...]
    working: WorkingClusters

    @property
    def layout(self) -> Layout:
        """Which directions are of which term."""
        return Layout(tuple(block.own for block in self.bread.blocks), self.bread.shared)

    @property
    def n_shared(self) -> int:
        """Directions of several terms."""
        return len(self.bread.shared)

    def scores(self) -> Shaped[Array, "G n"]:
        """s of all clusters."""
        total = np.zeros((self.working.n_clusters, self.basis.shape[1]))
        for term in self.terms:
            total[np.ix_(term.working.numbers, term.places)] = term.scores
        return total

    def parts(self, count: int = 0) -> Iterator[WhiteKinds]:
        """Kinds of clusters of one term each, in blocks of bounded memory, for `count`
        contrasts."""
        for term in self.terms:
            yield from term.parts(count)

    def contrasts(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c n"]:
        """M c̃ of contrasts cᵀθ, (c, npar) -> (c, n): what each takes of the scores."""
        return gradients @ self.influence

    def model_covariance(self, places: Shaped[Index, "k"]) -> Shaped[Array, "npar k"]:
        """Columns of the model-based covariance H⁻¹ of the parameters."""
        return self.basis @ self.influence[places].T


def whitened(equations: EstimatingEquations) -> WhiteClusters | None:
    """None where the observed or the expected information is not positive definite."""
    clusters, layout = equations.clusters, equations.layout
    assert equations.scores is not None
    assert clusters is not None
    root = layout.summed([term.total for term in clusters.terms]).root()
    bread = None if root is None else root.congruent(equations.information).root()
    if root is None or bread is None:
        return None
    basis = root.whitened(equations.basis.T)
    terms: list[WhiteTerm] = []
    for k, (term, scores) in enumerate(zip(clusters.terms, equations.scores, strict=True)):
        own, along = layout.own[k], root.of_term(k)
        places = layout.places(k)
        spread = None
        if term.variance is not None:
            total = along.T @ np.tensordot(term.counts, term.variance, 1) @ along
            spread = cholesky(total)
            if spread is None:
                return None
        white = scores @ along, term, clusters.mixed, spread
        terms.append(WhiteTerm(places, len(own), along, *white))
    return WhiteClusters(basis.T, bread.solved(basis).T, bread, tuple(terms), clusters)
