"""CR0, CR2 and CR3 of any model from cluster scores and expected informations, as they read.

Cluster j has score s_j (n,) and expected information B_j (n, n); A = ΣB_j, and dθ = K dφ if the
scores are those along directions φ that constraints leave (K = I elsewhere).

    u_j = (I − B_j A⁻¹)^{−p} s_j,    p = 0, ½ (the principal root), 1
    covariance = K H⁻¹ (Σu_j u_jᵀ) H⁻¹ Kᵀ

with H the observed information, or A. A contrast cᵀθ takes a_jᵀ s_j of cluster j, where
a_j = (I − A⁻¹B_j)^{−p} H⁻¹ Kᵀ c. If the model is true, the scores at the estimates have
covariances δ_jk B_j − B_j A⁻¹ B_k to first order, and so

    P_jk = a_jᵀ (δ_jk B_j − B_j A⁻¹ B_k) a_k,   df = (tr P)² / (tr P² + ½ Σ κ₄(a_jᵀ s_j)).

Nothing is whitened here and no sum is taken apart: P is (J, J), roots are those of Schur's method.
"""

from __future__ import annotations

import numpy as np
from dense import fourth_cumulant
from scipy.linalg import sqrtm


class DenseScores:
    """Scores (J, npar), informations (J, npar, npar), κ₄(j, direction (npar,)); K is `basis`, H
    is `observed` (npar, npar)."""

    def __init__(self, scores, informations, cumulant, basis=None, observed=None):
        self.basis = np.eye(informations.shape[1]) if basis is None else basis
        self.scores = scores @ self.basis
        self.informations = self.basis.T @ informations @ self.basis
        self.cumulant = cumulant
        self.inverse = np.linalg.inv(self.informations.sum(axis=0))
        self.bread = self.inverse
        if observed is not None:
            self.bread = np.linalg.inv(self.basis.T @ observed @ self.basis)
        self._adjustments = {}

    def adjustments(self, kind):
        """(I − B_j A⁻¹)^{−p} of every cluster."""
        if kind not in self._adjustments:
            identity = np.eye(len(self.inverse))
            left = identity - self.informations @ self.inverse
            root = {"CR0": lambda X: identity, "CR2": sqrtm, "CR3": lambda X: X}[kind]
            self._adjustments[kind] = [np.linalg.inv(root(X)) for X in left]
        return self._adjustments[kind]

    def adjusted_scores(self, kind):
        """u_j of every cluster."""
        return np.array([Q @ s for Q, s in zip(self.adjustments(kind), self.scores, strict=True)])

    def sandwich(self, adjusted):
        half = adjusted @ self.bread @ self.basis.T
        return half.T @ half

    def cov(self, kind):
        return self.sandwich(self.adjusted_scores(kind))

    def carriers(self, kind, c):
        """a_j of one contrast, (J, n)."""
        return np.array([Q.T @ self.bread @ self.basis.T @ c for Q in self.adjustments(kind)])

    def working(self, a):
        """P (J, J)."""
        pulled = np.einsum("jab,jb->ja", self.informations, a)
        own = np.einsum("ja,ja->j", a, pulled)
        return np.diag(own) - pulled @ self.inverse @ pulled.T

    def df(self, kind, c):
        a = self.carriers(kind, np.asarray(c, float))
        P = self.working(a)
        fourth = sum(self.cumulant(j, self.basis @ each) for j, each in enumerate(a))
        return np.trace(P) ** 2 / (np.trace(P @ P) + 0.5 * fourth)


def dense_scores(scores, derivatives, informations, groups=None, basis=None, observed=None):
    """Of clusters with `Dense.derivatives`; `groups` (J,) 0 … G − 1 unites them, scores are G."""
    groups = np.arange(len(derivatives)) if groups is None else groups
    members = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    united = np.array([informations[each].sum(axis=0) for each in members])

    def cumulant(g, direction):
        return sum(fourth_cumulant(*derivatives[j], direction) for j in members[g])

    return DenseScores(scores, united, cumulant, basis, observed)
