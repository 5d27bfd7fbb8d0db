"""What inference needs of a fitted model, and its robust clusters in units of their information."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.arrow import Arrow, ArrowRoot, Layout
from mlsem.core.blocks import walk
from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.view import RowClusters
from mlsem.core.generalized.residual_form import ResidualForm
from mlsem.core.linalg import along, cholesky, transposed
from mlsem.core.records import Array, Index
from mlsem.inference.covariance.working import MixedTerm, WorkingClusters, WorkingTerm


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

    params: Shaped[Array, "... npar"]
    basis: Shaped[Array, "... npar n"]
    information: Arrow
    scores: tuple[Shaped[Array, "..."], ...] | None = None
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
    mixed : MixedTerm or None
    spread : (m, m) or None
        R with R Rᵀ = ΣY_j, the covariance of the sum of the scores; None where it is the identity.
    residual : ResidualForm or None
        Along φ̃.
    """

    places: Shaped[Index, "m"]
    own: int
    root: Shaped[Array, "... m m"]
    scores: Shaped[Array, "... g m"]
    working: WorkingTerm
    mixed: MixedTerm | None
    spread: Shaped[Array, "m m"] | None = None
    residual: ResidualForm | None = None

    @property
    def signs(self) -> Shaped[Array, "f"] | None:
        """Those of the columns of `Adjusted.pull`; None where all are 1."""
        return None if self.spread is None else np.repeat((1.0, -1.0), len(self.places))

    def parts(self, count: int = 0) -> Iterator[WhiteKinds]:
        """Kinds in blocks of bounded memory, for `count` contrasts."""
        size, counts = len(self.places), self.working.counts
        by_kind = np.argsort(self.working.kind, kind="stable")
        ends = np.append(0, np.cumsum(counts)).astype(np.intp)
        for part in walk(len(counts), size * max(size, count)):
            which = by_kind[ends[part.start] : ends[part.stop]]
            yield WhiteKinds(self, part, which, counts[part])

    def apart(self, contrasts: Shaped[Array, "... c m"]) -> tuple[WhiteTerm | WhiteEffects, ...]:
        """The same clusters along parts of the directions between which no leverage has anything:
        those of fixed effects and of variances, if no contrast has some of both."""
        if self.mixed is None:
            return (self,)
        rows, p = self.mixed.rows, self.mixed.rows.fixed
        if (contrasts[..., :p].any(axis=-1) & contrasts[..., p:].any(axis=-1)).any():
            return (self,)
        effects = WhiteEffects(self.places[:p], self.root[..., :p, :p], rows, self.working.numbers)
        if p == len(self.places):
            return (effects,)
        return effects, WhiteTerm(
            places=self.places[p:],
            own=self.own - p,
            root=self.root[..., p:, p:],
            scores=self.scores[..., p:],
            working=self.mixed.variances,
            mixed=None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class WhiteEffects:
    """The clusters of a linear mixed model along the directions of its fixed effects, as rows.

    Attributes
    ----------
    places : (p,)
        Which of all directions these are.
    root : (p, p)
        L among them.
    rows : RowClusters
    numbers : (G,)
        Which of all clusters these are.
    """

    places: Shaped[Index, "p"]
    root: Shaped[Array, "... p p"]
    rows: RowClusters
    numbers: Shaped[Index, "G"]

    @property
    def signs(self) -> None:
        """As those of a term without weights."""
        return None

    @property
    def own(self) -> int:
        """All directions are the term's own."""
        return len(self.places)

    def parts(self, count: int = 0) -> Iterator[WhiteRows]:
        """Clusters in blocks of bounded memory, for `count` contrasts."""
        p = len(self.places)
        for part in walk(self.rows.n_clusters, max(p * count, self.rows.width)):
            which = np.arange(part.start, part.stop)
            rows = white_rows(self.rows.of(part), self.root)
            yield WhiteRows(rows, which, self.numbers[part])


@dataclass(frozen=True, slots=True, eq=False)
class WhiteRows:
    """Some clusters as rows: their rows, which of the term's and which of all they are."""

    rows: MixedClusters
    which: Shaped[Index, "g"]
    members: Shaped[Index, "g"]

    @property
    def counts(self) -> Shaped[Array, "g"]:
        """Each is of its own kind."""
        return np.ones(len(self.which))

    @property
    def kind(self) -> Shaped[Index, "g"]:
        """The position of each."""
        return np.arange(len(self.which))


def white_rows(rows: MixedClusters, root: Shaped[Array, "... p p"]) -> MixedClusters:
    """Along φ̃, and in units in which each row has the variance that is kept: Φ^{-½} X L and
    Φ^{-½} (y - Xβ̂), so that the leverage is the cross-product of the design."""
    unit = np.sqrt(rows.variances)
    design = (transposed(root)[..., None, :, :] @ rows.design) / unit[..., None, :]
    return MixedClusters(rows.variances, design, rows.residuals / unit)


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
    def scores(self) -> Shaped[Array, "... g m"]:
        """s of the members."""
        return self.term.scores.take(self.which, -2)

    @property
    def leverage(self) -> Shaped[Array, "... k m m"]:
        """X of these kinds."""
        return _turned(self.term.working.information(self.part), self.term.root)

    @property
    def variance(self) -> Shaped[Array, "k m m"]:
        """Y of these kinds, of clusters that count differently: Lᵀ Q L."""
        return _turned(self.term.working.variance(self.part), self.term.root)

    @property
    def rows(self) -> MixedClusters | None:
        """Of a linear mixed model, where each cluster is of its own kind."""
        if self.term.mixed is None:
            return None
        rows = self.term.mixed.rows
        return white_rows(rows.of(self.part), self.term.root[..., : rows.fixed, : rows.fixed])

    def cumulants(self, directions: Shaped[Array, "... k c m"]) -> Shaped[Array, "... k c"]:
        """κ₄ along directions of φ̃ (k, c, m)."""
        inner = along(np.ascontiguousarray(directions), self.term.root)
        return self.term.working.cumulants(self._kinds, inner)

    def third_cumulants(self, directions: Shaped[Array, "k c m"]) -> Shaped[Array, "k c m"]:
        """κ₃ along directions of φ̃, twice, and with each score."""
        root = self.term.root
        return self.term.working.third(self._kinds, directions @ root.T) @ root


def _turned(
    each: Shaped[Array, "... k m m"], root: Shaped[Array, "... m m"]
) -> Shaped[Array, "... k m m"]:
    """Lᵀ B L of each."""
    half = np.ascontiguousarray(transposed(along(each, transposed(root))))
    return along(half, transposed(root))


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

    basis: Shaped[Array, "... npar n"]
    influence: Shaped[Array, "... npar n"]
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
    root = clusters.total.root()
    bread = None if root is None else root.congruent(equations.information).root()
    if root is None or bread is None:
        return None
    basis = root.whitened(transposed(equations.basis))
    terms: list[WhiteTerm] = []
    for k, (term, scores) in enumerate(zip(clusters.terms, equations.scores, strict=True)):
        own, along = layout.own[k], root.of_term(k)
        places = layout.places(k)
        spread = None
        if term.weights is not None:
            spread = cholesky(along.T @ term.total_variance @ along)
            if spread is None:
                return None
        residual = None
        if clusters.residual is not None:
            residual = clusters.residual.along(along)
        white = scores @ along, term, clusters.mixed, spread, residual
        terms.append(WhiteTerm(places, len(own), along, *white))
    influence = transposed(bread.solved(basis))
    return WhiteClusters(transposed(basis), influence, bread, tuple(terms), clusters)
