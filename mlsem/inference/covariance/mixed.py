"""Model-based t and F tests of the fixed effects of a linear mixed model.

The covariance of the fixed effects is Φ(φ) = (Σ_j X_jᵀ V_j⁻¹ X_j)⁻¹ at estimated variances and
covariances φ, whose own covariance W is the inverse of an information matrix. With Φ = C Cᵀ and
∂Φ/∂φ_k = C D_k Cᵀ, a contrast cᵀβ is c̃ = Cᵀc, of variance c̃ᵀc̃ with gradient g_k = c̃ᵀD_k c̃, and

    ν = 2 (c̃ᵀc̃)² / gᵀ W g,

as the variance of a χ² that is scaled to c̃ᵀc̃ is matched to gᵀ W g (Satterthwaite 1946, Biometrics
Bulletin 2, 110; Giesbrecht & Burns 1985, Biometrics 41, 477).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mlsem.core.linalg import flatten, symmetrised
from mlsem.core.records import Array, frozen
from mlsem.core.restricted.variation import Variation
from mlsem.errors import InferenceError
from mlsem.inference.covariance.reference import DfMethod, JointTest
from mlsem.inference.covariance.statistics import Statistic, scaled_f, wald_distance

POLE = 1e-5  # 1/E, λ and m below which they are rounding
ASIDE = 1e-4  # share of W by which it is then moved to both sides


class Source(Protocol):
    """What knows the variation, and need not take it before it is asked."""

    @property
    def variation(self) -> Variation: ...


@dataclass(frozen=True, slots=True, eq=False)
class MixedReference(ABC):
    """Of the fixed effects; contrasts in which (co)variances take part are not tested: their
    estimates are skewed, and a variance of zero lies on the boundary."""

    source: Source

    @property
    def joint_test(self) -> JointTest:
        return "F"

    @property
    @abstractmethod
    def method(self) -> DfMethod:
        """Its name."""

    @abstractmethod
    def root(self) -> Shaped[Array, "K K"] | None:
        """R with R Rᵀ = W, (K, K); None if the information is singular."""

    @abstractmethod
    def joint(
        self,
        estimate: Shaped[Array, "q"],
        gradients: Shaped[Array, "q npar"],
        spread: Shaped[Array, "q q"],
    ) -> Statistic:
        """The F test."""

    def tests(self, gradients: Shaped[Array, "q npar"]) -> bool:
        return not self._others(gradients).any()

    def df(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c"]:
        contrasts = gradients @ self.source.variation.basis
        return frozen(np.where(self._others(gradients), np.nan, self.along(contrasts)))

    def along(self, contrasts: Shaped[Array, "c p"]) -> Shaped[Array, "c"]:
        """ν of contrasts c̃ (c, p)."""
        root = self.root()
        if root is None:
            return np.full(len(contrasts), np.nan)
        slopes = _quadratic(contrasts, self.source.variation.changes) @ root
        lengths = np.einsum("cp,cp->c", contrasts, contrasts)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2.0 * lengths**2 / np.einsum("ck,ck->c", slopes, slopes)

    def _others(self, gradients: Shaped[Array, "c npar"]) -> Shaped[NDArray[np.bool_], "c"]:
        """Which contrasts take what is no fixed effect."""
        fixed = np.asarray(self.source.variation.basis.any(axis=1))
        return np.asarray(gradients[:, ~fixed].any(axis=1))


def _quadratic(
    contrasts: Shaped[Array, "c p"], changes: Shaped[Array, "K p p"]
) -> Shaped[Array, "c K"]:
    """c̃ᵀ D_k c̃."""
    pairs = contrasts[:, :, None] * contrasts[:, None, :]
    return flatten(pairs) @ flatten(changes).T


# --- Satterthwaite --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Satterthwaite(MixedReference):
    """W from the observed information of φ, as lmerTest (Kuznetsova, Brockhoff & Christensen 2017,
    Journal of Statistical Software 82, 13). On the boundary, where the Hessian is no curvature,
    from the expected one: a variance of zero is an estimate there, not a constant."""

    @property
    def method(self) -> DfMethod:
        return "satterthwaite"

    def root(self) -> Shaped[Array, "K K"] | None:
        return self.source.variation.observed_root

    def joint(
        self,
        estimate: Shaped[Array, "q"],
        gradients: Shaped[Array, "q npar"],
        spread: Shaped[Array, "q q"],
    ) -> Statistic:
        """F = Q / q of Fai & Cornelius (1996, JSCS 54, 363).

        Q is the sum of the squares of q independent t statistics along the eigenvectors of C Φ Cᵀ,
        of ν_m degrees of freedom; E Q = Σ ν_m / (ν_m - 2) is that of q F(q, ν).
        """
        vectors = np.linalg.eigh(spread)[1]
        nu = self.along(vectors.T @ gradients @ self.source.variation.basis)
        return scaled_f(wald_distance(estimate, spread), len(nu), fai_cornelius(nu))


def fai_cornelius(nu: Shaped[Array, "q"]) -> float:
    """ν with q ν / (ν - 2) = Σ ν_m / (ν_m - 2) of ν_m (q,); 2, its limit, where a ν_m is at most 2
    and the sum infinite."""
    if len(nu) == 1 or np.isnan(nu).any():
        return float(nu[0] if len(nu) == 1 else np.nan)
    if nu.min() <= 2.0:
        return 2.0
    beyond = 1.0 / (nu - 2.0)  # ν/(ν - 2) = 1 + 2/(ν - 2)
    return 2.0 + 1.0 / float(beyond.mean()) if beyond.any() else np.inf


# --- Kenward & Roger ------------------------------------------------------------------------------


def adjustment(variation: Variation) -> Shaped[Array, "npar npar"]:
    """Φ_A - Φ = 2 Φ {Σ_kl W_kl (Q_kl - P_k Φ P_l)} Φ, by parameter (npar, npar); NaN if the
    information of the variances is singular.

    V is linear in φ, so that there is no second derivative of it (Kenward & Roger 1997, Biometrics
    53, 983, eq. 5). W is the inverse expected information of REML.
    """
    root, basis = variation.expected_root, variation.basis
    if root is None:
        return np.full((len(basis), len(basis)), np.nan)
    changes = variation.changes
    products = changes[:, None] @ changes[None]
    inner = np.einsum("kl,klpq->pq", root @ root.T, variation.squares - products)
    return symmetrised(2.0 * basis @ inner @ basis.T)


@dataclass(frozen=True, slots=True, eq=False)
class KenwardRoger(MixedReference):
    """Of the adjusted covariance. W from the expected information."""

    @property
    def method(self) -> DfMethod:
        return "kenward-roger"

    def root(self) -> Shaped[Array, "K K"] | None:
        return self.source.variation.expected_root

    def joint(
        self,
        estimate: Shaped[Array, "q"],
        gradients: Shaped[Array, "q npar"],
        spread: Shaped[Array, "q q"],
    ) -> Statistic:
        """λ Q / q ~ F(q, m), Q with the adjusted covariance; λ and m match two moments.

        Raises
        ------
        InferenceError
            There are no such m and λ: the variances are known too little for q contrasts.
        """
        contrasts, root = gradients @ self.source.variation.basis, self.root()
        distance, q = wald_distance(estimate, spread), len(spread)
        if q == 1 or root is None:
            return scaled_f(distance, q, float(self.along(contrasts)[0]))
        scale, m = scaled_moments(contrasts, self.source.variation.changes, root)
        if not (m > POLE and scale > POLE):
            raise InferenceError(
                f"the F test of Kenward & Roger does not exist for these {q} constraints: there "
                "are too few clusters for the variances that they depend on. Test fewer of them "
                'at a time, or pass test="chi2" (which rejects too often).'
            )
        return scaled_f(distance, q, m, scale)


def scaled_moments(
    contrasts: Shaped[Array, "q p"], changes: Shaped[Array, "K p p"], root: Shaped[Array, "K K"]
) -> tuple[float, float]:
    """λ and m of q ≥ 2 contrasts c̃ (Kenward & Roger 1997, section 3).

    With B an orthonormal basis of the contrasts, Θ_k = B D_k Bᵀ,

        A_1 = Σ_kl W_kl tr Θ_k tr Θ_l,   A_2 = Σ_kl W_kl tr Θ_k Θ_l,   b = (A_1 + 6 A_2) / 2q
        γ = [(q + 1) A_1 - (q + 4) A_2] / (q + 2) A_2
        c = (γ, q - γ, q + 2 - γ) / (3q + 2(1 - γ))
        E = 1 / (1 - A_2 / q),     V = (2/q) (1 + c_1 b) / (1 - c_2 b)² (1 - c_3 b)
        ρ = V / 2E²,     m = 4 + (q + 2) / (qρ - 1),     λ = m / E (m - 2).

    An F distribution of m ≤ 4 has no variance and one of m ≤ 2 no mean; the formulas then go on,
    and give Hotelling's T² where that is exact. Where 1/E = 0 they are 0 / 0: the mean of both
    sides is taken.
    """
    q = len(contrasts)
    basis = np.linalg.qr(contrasts.T)[0].T
    within = basis @ changes @ basis.T
    along = root.T @ flatten(within)  # W = R Rᵀ
    a2 = float((along**2).sum())
    a1 = float(((along @ np.eye(q).ravel()) ** 2).sum())
    if a2 == 0.0:
        return 1.0, np.inf
    if abs(1.0 - a2 / q) > POLE:
        return _matched(q, a1, a2)
    sides = [_matched(q, t * a1, t * a2) for t in (1.0 - ASIDE, 1.0 + ASIDE)]
    scale, m = np.mean(sides, axis=0).tolist()
    return scale, m


def _matched(q: int, a1: float, a2: float) -> tuple[float, float]:
    b = (a1 + 6.0 * a2) / (2.0 * q)
    g = ((q + 1.0) * a1 - (q + 4.0) * a2) / ((q + 2.0) * a2)
    c1, c2, c3 = np.array([g, q - g, q + 2.0 - g]) / (3.0 * q + 2.0 * (1.0 - g))
    rest = 1.0 - a2 / q  # 1/E
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = np.float64(1.0 + c1 * b) / (q * (1.0 - c3 * b)) * (rest / (1.0 - c2 * b)) ** 2
        m = 4.0 + (q + 2.0) / (q * rho - 1.0)
        return float(m * rest / (m - 2.0)), float(m)
