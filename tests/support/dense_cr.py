"""Cluster-robust covariances of a linear model's coefficients, as slowly as they read.

Cluster j has rows X_j (n_j, p), residuals e_j and the working covariance V_j (n_j, n_j), in any
unit: only its shape matters to CR0 … CR3. Stacked, V is block diagonal and W = V⁻¹.

    M = (Σ_j X_jᵀ W_j X_j)⁻¹,    u_j = X_jᵀ W_j A_j e_j,    covariance = M (Σ_j u_j u_jᵀ) M

    CR0   A_j = I;   CR1, CR1p, CR1S: a multiple of it
    CR2   A_j = D_jᵀ (D_j H_j D_jᵀ)^{−½} D_j,    V_j = D_jᵀ D_j,  H_j = V_j − X_j M X_jᵀ
    CR3   A_j = (I − X_j M X_jᵀ W_j)⁻¹

If V is true, the residuals are R y with R = I − X M Xᵀ W and have covariance R V Rᵀ. What a
contrast c makes of cluster j is cᵀ M u_j = a_jᵀ e_j, a_j = A_jᵀ W_j X_j M c; so the covariances of
these J numbers are P = aᵀ R V Rᵀ a with a = blockdiag(a_j) (N, J), and their squares sum to the
estimate of cᵀ covariance c. That gives the degrees of freedom (Pustejovsky & Tipton 2018,
J. Bus. Econ. Stat. 36, 672–683).
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.linalg import block_diag

KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")


class DenseCR:
    """Lists over clusters of X_j, V_j and e_j."""

    def __init__(self, designs, covariances, residuals):
        self.designs = [np.asarray(X, float) for X in designs]
        self.covariances = [np.asarray(V, float) for V in covariances]
        self.residuals = [np.asarray(e, float) for e in residuals]
        self.weights = [np.linalg.inv(V) for V in self.covariances]
        self.bread = np.linalg.inv(
            sum(X.T @ W @ X for X, W in zip(self.designs, self.weights, strict=True))
        )
        X = np.vstack(self.designs)
        R = np.eye(len(X)) - X @ self.bread @ X.T @ block_diag(*self.weights)
        self.cov_residuals = R @ block_diag(*self.covariances) @ R.T

    def multiple(self, kind):
        """What CR0 is multiplied by."""
        J, N, p = len(self.designs), len(self.cov_residuals), len(self.bread)
        above, below = {
            "CR1": (J, J - 1),
            "CR1p": (J, J - p),
            "CR1S": (J * (N - 1), (J - 1) * (N - p)),
        }.get(kind, (1, 1))
        return above / below

    def adjustments(self, kind):
        """A_j of every cluster."""
        assert kind in KINDS
        found = []
        for X, V, W in zip(self.designs, self.covariances, self.weights, strict=True):
            if kind == "CR2":
                D = np.linalg.cholesky(V).T
                H = V - X @ self.bread @ X.T
                found.append(D.T @ inverse_root(D @ H @ D.T) @ D)
            elif kind == "CR3":
                found.append(np.linalg.inv(np.eye(len(X)) - X @ self.bread @ X.T @ W))
            else:
                found.append(np.sqrt(self.multiple(kind)) * np.eye(len(X)))
        return found

    def scores(self, kind):
        """u_j of every cluster, (J, p)."""
        parts = zip(self.designs, self.weights, self.adjustments(kind), self.residuals, strict=True)
        return np.array([X.T @ W @ A @ e for X, W, A, e in parts])

    def cov(self, kind):
        """Cluster-robust covariance of the coefficients, (p, p)."""
        u = self.scores(kind)
        return self.bread @ (u.T @ u) @ self.bread

    def carriers(self, kind, c):
        """a = blockdiag(a_j) of one contrast c (p,), (N, J)."""
        parts = zip(self.designs, self.weights, self.adjustments(kind), strict=True)
        return block_diag(*[(A.T @ W @ X @ self.bread @ c)[:, None] for X, W, A in parts])

    def expected_cov(self, kind, C):
        """What C covariance Cᵀ is on average if V is true (with V's unit), (q, q)."""
        a = [self.carriers(kind, c) for c in C]
        return np.array([[np.trace(s.T @ self.cov_residuals @ t) for t in a] for s in a])

    def df(self, kind, c):
        """Satterthwaite: 2 E² / Var of Σ_j (a_jᵀ e_j)² is (tr P)² / tr P²."""
        a = self.carriers(kind, np.asarray(c, float))
        P = a.T @ self.cov_residuals @ a
        return np.trace(P) ** 2 / np.trace(P @ P)

    def htz_nu(self, kind, C):
        """ν of the q contrasts C (q, p): the Wishart whose total variance is that of the estimate.

        In units Ω = E C covariance Cᵀ, C̃ = Ω^{−½} C, the estimate has mean I and the entries
        Σ_j y_sj y_tj, y_sj = a_sjᵀ e_j. By P_st = a_sᵀ R V Rᵀ a_t (J, J) the variance of entry
        (s, t) is Σ_jk P_ss[j,k] P_tt[j,k] + P_st[j,k] P_ts[j,k]; a Wishart's sum is q(q + 1)/ν.
        """
        C = np.atleast_2d(np.asarray(C, float))
        q = len(C)
        a = [self.carriers(kind, c) for c in inverse_root(self.expected_cov(kind, C)) @ C]
        P = [[s.T @ self.cov_residuals @ t for t in a] for s in a]
        total = sum(
            np.sum(P[s][s] * P[t][t] + P[s][t] * P[t][s]) for s in range(q) for t in range(q)
        )
        return q * (q + 1) / total

    def wald(self, kind, C, params):
        """Q = (Cβ)ᵀ (C covariance Cᵀ)⁻¹ Cβ."""
        C = np.atleast_2d(np.asarray(C, float))
        distance = C @ params
        return distance @ np.linalg.solve(C @ self.cov(kind) @ C.T, distance)

    def htz(self, kind, C, params):
        """(F, δ, q, ν − q + 1, p): δ Q / q as F with q and ν − q + 1 degrees of freedom."""
        q, nu = len(np.atleast_2d(C)), self.htz_nu(kind, C)
        delta = (nu - q + 1) / nu
        F = delta * self.wald(kind, C, params) / q
        return F, delta, q, nu - q + 1, stats.f.sf(F, q, nu - q + 1)


def inverse_root(S):
    """Symmetric S^{−½}, 0 where S is singular."""
    values, vectors = np.linalg.eigh(S)
    keep = values > 1e-12 * values[-1]
    return vectors[:, keep] / np.sqrt(values[keep]) @ vectors[:, keep].T
