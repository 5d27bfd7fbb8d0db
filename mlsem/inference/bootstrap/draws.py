"""The wild cluster bootstrap of the scores; intervals and p values of bootstrap draws.

Nothing is refitted. In units in which the expected information is the identity, A⁻¹ = L Lᵀ,
cluster j has score s_j and leverage X_j, and M = (Lᵀ H L)⁻¹ is the bread. With random weights w_j
of mean 0 and variance 1,

    u_j = (I - X_j)⁻¹ s_j            the score at the estimates that the other clusters give
    δ = Σ w_j u_j                    one Newton step: θ* = θ̂ + L M δ
    s*_j = w_j u_j - X_j δ           the scores at θ*; Σ s*_j = 0, since ΣX_j = I
    V* = L M (Σ s*_j s*_jᵀ) M Lᵀ     their CR0 covariance: t* = (θ* - θ̂) / se*

(Kline & Santos, 2012, for M-estimators; the u_j are those of WCU-S: MacKinnon, Nielsen & Webb,
2023, for linear models, where all of this is a refit to y*_j = Z_j β̂ + w_j e_j, e_j the residuals
at the estimates that the other clusters give.) The covariance of the θ* is CR3, that of the t* CR0.

A step takes H from the scores in all; cluster j's part in that is X_j M⁻¹, its share by the
expected information. Leverages add to I with no other, and so the scores of a draw to 0, as at an
optimum.

The adjustments were chosen by simulation, of none, CR2's and CR3's, for the draws and for the
statistic. With 8 to 15 clusters of 4 to 30 rows, level-2 covariates skewed or of few treated
clusters, 5 % tests of slopes reject in 5 to 10 % of data sets with CR3 for the draws and CR0 for
the statistic (these), in 7 to 15 % with CR2 and CR0, in 8 to 22 % with none; CR2 or CR3 for the
statistic brings next to nothing. Tests of variances between so few clusters reject in 22 to 36 %
in all variants: their estimates are skewed, linear steps are not. The parametric bootstrap
rejects in 6 to 7 % with 10 clusters, by its t statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Annotated as Shaped
from typing import Literal

import numpy as np

from mlsem.core.arrow import Layout
from mlsem.core.blocks import per_block
from mlsem.core.records import Array, Index, frozen
from mlsem.estimation.standard_errors import JACKKNIFE
from mlsem.inference.covariance.adjust import adjusted
from mlsem.inference.covariance.equations import WhiteClusters, WhiteTerm

WeightKind = Literal["rademacher", "webb", "mammen"]
WEIGHTS: tuple[WeightKind, ...] = ("rademacher", "webb", "mammen")
WEBB_BELOW = 12  # clusters: fewer have so few patterns of signs that p values would be coarse
NOTHING = 1e-8  # share of the information on a direction that is none
TIES = 1e-9  # t statistics that differ by less, relatively, are equal

_ROOT5 = sqrt(5.0)
# Points and their probabilities: Liu (1988); Webb (2023); Mammen (1993, with skewness 1).
_POINTS: dict[WeightKind, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "rademacher": ((-1.0, 1.0), (0.5, 0.5)),
    "webb": (
        (-sqrt(1.5), -1.0, -sqrt(0.5), sqrt(0.5), 1.0, sqrt(1.5)),
        (1.0 / 6.0,) * 6,
    ),
    "mammen": (
        ((1.0 - _ROOT5) / 2.0, (1.0 + _ROOT5) / 2.0),
        ((_ROOT5 + 1.0) / (2.0 * _ROOT5), (_ROOT5 - 1.0) / (2.0 * _ROOT5)),
    ),
}

Functions = Callable[[Shaped[Array, "npar"]], tuple[Shaped[Array, "d"], Shaped[Array, "d npar"]]]
"""Values and gradients of functions of θ."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Bootstrap draws of npar parameters and d functions of them.

    Attributes
    ----------
    values : (B, npar + d)
    se : (B, npar + d)
        Each draw's own standard errors; NaN where it has none.
    """

    values: Shaped[Array, "B c"]
    se: Shaped[Array, "B c"]


# --- weights --------------------------------------------------------------------------------------


def default_weights(clusters: int) -> WeightKind:
    """Webb's six points for few clusters, else Rademacher's two (Webb, 2023)."""
    return "webb" if clusters < WEBB_BELOW else "rademacher"


def patterns(kind: WeightKind, clusters: int, draws: int) -> int | None:
    """How many patterns of weights there are, if all of them together are no more than `draws`;
    None if there are more, or if they are not equally likely."""
    points, chances = _POINTS[kind]
    if clusters >= draws.bit_length() or len(set(chances)) > 1:
        return None
    count = len(points) ** clusters
    return count if count <= draws else None


def weight_blocks(
    kind: WeightKind, clusters: int, draws: int, generator: np.random.Generator, size: int
) -> Iterator[Shaped[Array, "b G"]]:
    """Weights of the draws, (b, G) with b up to `size`.

    Where the draws suffice for each pattern, each is there once and nothing is random.
    """
    points, chances = (np.array(each) for each in _POINTS[kind])
    count = patterns(kind, clusters, draws)
    for first in range(0, count or draws, size):
        last = min(first + size, count or draws)
        if count is None:
            yield generator.choice(points, size=(last - first, clusters), p=chances)
        else:
            digits = np.arange(first, last)[:, None] // len(points) ** np.arange(clusters)
            yield points[digits % len(points)]


# --- the wild bootstrap ---------------------------------------------------------------------------


def wild_draws(
    clusters: WhiteClusters,
    estimate: Shaped[Array, "npar"],
    functions: Functions,
    kind: WeightKind,
    draws: int,
    generator: np.random.Generator,
) -> Draws:
    """θ* and its CR0 standard errors for every pattern of weights.

    Directions that one cluster alone determines do not move. Functions of θ* have standard errors
    by the delta method, with the gradients at θ*.

    Parameters
    ----------
    estimate : (npar,)
        θ̂, the user's parameters.
    """
    found = _Wild(clusters, leave_one_out_scores(clusters), estimate, functions)
    size = per_block(found.width * len(estimate))
    weights = weight_blocks(kind, clusters.working.n_clusters, draws, generator, size)
    blocks = [found.drawn(each) for each in weights]
    values, se = (np.concatenate(each) for each in zip(*blocks, strict=True))
    return Draws(frozen(values), frozen(se))


def leave_one_out_scores(clusters: WhiteClusters) -> Shaped[Array, "G n"]:
    """u_j = (I - X_j)⁻¹ s_j."""
    scores = np.zeros((clusters.working.n_clusters, clusters.basis.shape[1]))
    for kinds in clusters.parts():
        scores[np.ix_(kinds.members, kinds.places)] = adjusted(kinds, JACKKNIFE).scores
    return scores


@dataclass(frozen=True, slots=True, eq=False)
class _Wild:
    """What all draws share."""

    clusters: WhiteClusters
    scores: Shaped[Array, "G n"]
    estimate: Shaped[Array, "npar"]
    functions: Functions

    @property
    def width(self) -> int:
        """Clusters taken at a time, to bound memory."""
        return max(1, min(len(self.scores), per_block(self.clusters.basis.size)))

    def drawn(
        self, weights: Shaped[Array, "b G"]
    ) -> tuple[Shaped[Array, "b c"], Shaped[Array, "b c"]]:
        """Values and standard errors of the draws with these weights (b, G)."""
        steps = weights @ self.scores
        params = self.estimate + steps @ self.clusters.influence.T
        pairs = [self.functions(each) for each in params]
        values = np.array([each[0] for each in pairs])
        gradients = np.array([each[1] for each in pairs])
        npar = len(self.estimate)
        squares = np.zeros((len(weights), npar + values.shape[1]))
        for term in self.clusters.terms:
            for first in range(0, len(term.scores), self.width):
                scores = self._scores(weights, steps, term, slice(first, first + self.width))
                squares[:, :npar] += np.einsum("bjk,bjk->bk", scores, scores)
                with np.errstate(invalid="ignore"):  # a gradient need not be finite
                    along = scores @ gradients.swapaxes(1, 2)
                    squares[:, npar:] += np.einsum("bjd,bjd->bd", along, along)
        return np.concatenate((params, values), axis=1), np.sqrt(squares)

    def _scores(
        self,
        weights: Shaped[Array, "b G"],
        steps: Shaped[Array, "b n"],
        term: WhiteTerm,
        part: slice,
    ) -> Shaped[Array, "b g npar"]:
        """L M (w_j u_j - X_j δ) of these clusters of a term."""
        working, root, places = term.working, term.root, term.places
        influence, members = self.clusters.influence[:, places], working.numbers[part]
        kinds, kind = np.unique(working.kind[part], return_inverse=True)
        pull = (influence @ (root.T @ working.information(kinds) @ root))[kind]  # L M X_j
        back = steps[:, places] @ pull.reshape(-1, len(places)).T
        scores = self.scores[np.ix_(members, places)] @ influence.T
        return weights[:, members, None] * scores - back.reshape(len(weights), *scores.shape)


# --- clusters drawn with replacement --------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """The robust clusters' shares of the information.

    Attributes
    ----------
    terms : tuple of TermShares
        Those of each term.
    layout : Layout
        Which directions are of which term.
    n_clusters : int
        G.
    """

    terms: tuple[TermShares, ...]
    layout: Layout
    n_clusters: int

    def determine(self, clusters: Shaped[Index, "j"]) -> bool:
        """Whether these clusters, with repetition, determine all that the data determine: the
        smallest eigenvalue of their ΣX_j is not 0."""
        times = np.bincount(clusters, minlength=self.n_clusters)
        total = self.layout.summed([term.total(times) for term in self.terms])
        return total.raised(-NOTHING).root() is not None


@dataclass(frozen=True, slots=True, eq=False)
class TermShares:
    """Those of one term: X of each kind (K, m, m), the `kind` of each cluster (g,), and which of
    all these are, `numbers` (g,)."""

    leverage: Shaped[Array, "K m m"]
    kind: Shaped[Index, "g"]
    numbers: Shaped[Index, "g"]

    def total(self, times: Shaped[Index, "G"]) -> Shaped[Array, "m m"]:
        """ΣX_j of the clusters, each as many times."""
        counts = np.bincount(self.kind, times[self.numbers], minlength=len(self.leverage))
        return np.tensordot(counts, self.leverage, 1)


def shares(clusters: WhiteClusters) -> Shares:
    """Those of the clusters."""
    terms = tuple(
        TermShares(
            frozen(term.root.T @ term.working.information(slice(None)) @ term.root),
            term.working.kind,
            term.working.numbers,
        )
        for term in clusters.terms
    )
    return Shares(terms, clusters.layout, clusters.working.n_clusters)


# --- what the draws say ---------------------------------------------------------------------------


def fewest_draws(level: float) -> int:
    """B with (B + 1) (1 - level) / 2 ≥ 1: fewer draws have no such quantile."""
    return ceil(2.0 / (1.0 - level) - 1e-6) - 1


def limits(
    draws: Shaped[Array, "B c"], level: float
) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
    """Quantiles at (1 ± level) / 2 of each column's finite values, (c,) each.

    The (B + 1) p-th smallest of B (Davison & Hinkley, 1997, chapter 5); NaN where there are
    too few.
    """
    tails = [0.5 - 0.5 * level, 0.5 + 0.5 * level]
    found = np.full((2, draws.shape[1]), np.nan)
    for k, column in enumerate(draws.T):
        values = column[np.isfinite(column)]
        if len(values) >= fewest_draws(level):
            found[:, k] = np.quantile(values, tails, method="weibull")
    return found[0], found[1]


def deviations(draws: Shaped[Array, "B c"]) -> Shaped[Array, "c"]:
    """Standard deviation of each column's finite values, (c,); NaN of fewer than two."""
    columns = [column[np.isfinite(column)] for column in draws.T]
    return np.array([each.std(ddof=1) if len(each) > 1 else np.nan for each in columns])


def p_values(
    t: Shaped[Array, "B c"], observed: Shaped[Array, "c"]
) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
    """Symmetric and equal-tailed p values of statistics (c,), from their draws t (B, c).

        symmetric       (1 + #{|t*| ≥ |t|}) / (1 + B)
        equal-tailed    2 min(1 + #{t* ≤ t}, 1 + #{t* ≥ t}) / (1 + B), at most 1

    The statistic observed counts as a draw (Davison & Hinkley, 1997, chapter 4), so that no p value
    is 0. Draws without a statistic do not count; NaN where there is none at all.
    """
    known = np.isfinite(t)
    count = known.sum(axis=0)
    slack = TIES * np.abs(observed)
    with np.errstate(invalid="ignore"):
        beyond = (np.abs(t) >= np.abs(observed) - slack) & known
        below, above = (t <= observed + slack) & known, (t >= observed - slack) & known
    low = np.minimum(below.sum(axis=0), above.sum(axis=0))
    symmetric = (1.0 + beyond.sum(axis=0)) / (1.0 + count)
    equal = np.minimum(1.0, 2.0 * (1.0 + low) / (1.0 + count))
    none = (count == 0) | ~np.isfinite(observed)
    return np.where(none, np.nan, symmetric), np.where(none, np.nan, equal)
