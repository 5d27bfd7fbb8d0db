"""Score tests by the scores of clusters, in directions that are tested.

With scores s_j of the clusters in q directions, beside those of the fitted model
(`estimation.efficient`), A their information and R_j = L⁻¹ s_j, A = L Lᵀ:

    T = |Σ_j R_j|²,     c₀ = Σ_j |R_j|² / q,     T / c₀ ~ χ²_q.

T is Rao's (1948) test, and c₀ the mean of the scores' covariance as the clusters have it: a
generalised score test (Boos, 1992) that exists with fewer clusters than directions. With q = 1 it
is that, (Σ_j R_j)² / Σ_j R_j². No T / c₀ exceeds q times the number of clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from scipy.linalg import qr
from scipy.special import chdtrc

from mlsem.core.linalg import whitened_by
from mlsem.core.records import Array, Index

MANY = 300  # rows from which on a search for what is apart is quicker than the whole
SINGULAR = 1e-8  # of the largest singular value of the tangents, from which on they are none


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTest:
    """A score test.

    Attributes
    ----------
    raw : float
        T.
    scaling : float
        c₀; 1 where the clusters vary as the model says.
    df : int
    """

    raw: float
    scaling: float
    df: int

    @property
    def statistic(self) -> float:
        """T / c₀."""
        return self.raw / self.scaling if self.df else 0.0

    @property
    def pvalue(self) -> float:
        return float(chdtrc(self.df, self.statistic)) if self.df else np.nan


def scaled_test(scores: Shaped[Array, "b G"], df: int) -> ScoreTest:
    """Of whitened scores (b, G) in the directions that are tested."""
    raw = float((scores.sum(axis=1) ** 2).sum())
    return ScoreTest(raw, float((scores**2).sum()) / df if df else 1.0, df)


def score_test(scores: Shaped[Array, "G q"], information: Shaped[Array, "q q"]) -> ScoreTest | None:
    """Of scores (G, q) with an information (q, q); None where that is not positive definite."""
    white = whitened_by(information, scores.T)
    return None if white is None else scaled_test(white, len(information))


def orthonormal(vectors: Shaped[Array, "b n"]) -> Shaped[Array, "b m"]:
    """A basis of the span of vectors (b, n), whatever their lengths."""
    lengths = np.linalg.norm(vectors, axis=0)
    left, values, _ = np.linalg.svd(
        vectors / np.where(lengths > 0, lengths, 1.0), full_matrices=False
    )
    return left[:, values > SINGULAR * values.max(initial=0.0)]


def complement(whole: Shaped[Array, "b m"], part: Shaped[Array, "b n"]) -> Shaped[Array, "b l"]:
    """Directions (b, m - n) that span `whole` (b, m) together with `part` (b, n), a basis of a
    subspace of it: orthonormal ones, orthogonal to it; of many, as many groups have, some of those
    of `whole`, which move no more than they did."""
    if len(whole) < MANY:
        basis, inside = orthonormal(whole), orthonormal(part)
        rest = basis - inside @ (inside.T @ basis)
        left = np.linalg.svd(rest, full_matrices=False)[0]
        return left[:, : basis.shape[1] - inside.shape[1]]
    kept = [_completing(whole, part, *apart) for apart in _apart(whole, part)]
    return whole[:, np.sort(np.concatenate(kept))]


def _apart(
    whole: Shaped[Array, "b m"], part: Shaped[Array, "b n"]
) -> list[tuple[Shaped[Index, "_"], Shaped[Index, "_"]]]:
    """Columns of both that have rows in common, directly or through others."""
    from scipy.sparse import csr_array  # for many groups alone
    from scipy.sparse.csgraph import connected_components

    both = csr_array(np.concatenate((whole, part), axis=1))
    count, numbers = connected_components(abs(both).T @ abs(both), directed=False)
    own, other = numbers[: whole.shape[1]], numbers[whole.shape[1] :]
    return [(np.flatnonzero(own == k), np.flatnonzero(other == k)) for k in range(count)]


def _completing(
    whole: Shaped[Array, "b m"],
    part: Shaped[Array, "b n"],
    own: Shaped[Index, "i"],
    other: Shaped[Index, "j"],
) -> Shaped[Index, "k"]:
    """Which of the columns `own` of `whole` complete the columns `other` of `part`."""
    if len(own) == 1:
        return own[len(other) :]
    rows = np.flatnonzero(whole[:, own].any(axis=1) | part[:, other].any(axis=1))
    mine, inside = whole[np.ix_(rows, own)], orthonormal(part[np.ix_(rows, other)])
    mine = mine / np.linalg.norm(mine, axis=0)
    rest = mine - inside @ (inside.T @ mine)
    order = qr(rest, mode="r", pivoting=True)[1]
    return own[order[: orthonormal(mine).shape[1] - inside.shape[1]]]
