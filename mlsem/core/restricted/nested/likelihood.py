"""Likelihood and restricted likelihood of a linear mixed model of three levels.

In the coordinates of `rows`, y_j = X_j β + T_j u_j + U_j v_k + ε of inner cluster j in outer
cluster k, with Cov u = Ψ, Cov v = Ω and V linear in the variances and covariances φ, of which σ² is
the last. With V̄_j = σ²I + T_j Ψ T_jᵀ and D = [X, e], an inner cluster's message upward is

    C_j = U_jᵀ V̄_j⁻¹ U_j,    g_j = U_jᵀ V̄_j⁻¹ D_j,    sums of which over k are C and g,
    K = (I + ΩC)⁻¹ Ω,    DᵀV⁻¹D = Σ_j D_jᵀ V̄_j⁻¹ D_j - Σ_k gᵀ K g
    log|V| = Σ_j log|V̄_j| + n_o log σ² + Σ_k log|I + ΩC|

and with L Lᵀ = DᵀV⁻¹D, ρ² the square of its last diagonal cell,

    -2 ℓ   = N log 2π + log|V| + ρ²
    -2 ℓ_R = (N - p) log 2π + log|V| + ρ² + 2 Σ_{i ≤ p} log L_ii.

D L⁻ᵀ is [ξ, ω / ρ], as in `restricted.components`. With G_j = T_jᵀV̄_j⁻¹T_j, H_j = T_jᵀV̄_j⁻¹U_j,
all that derivatives take of V⁻¹ is

    T_jᵀ V⁻¹ D = T_jᵀV̄_j⁻¹D_j - H_j K g,      T_jᵀ V⁻¹ T_i = δ_ij G_j - H_j K H_iᵀ,
    U_kᵀ V⁻¹ D = (I - CK) g,      U_kᵀ V⁻¹ U_k = C - CKC,      T_jᵀ V⁻¹ U_k = H_j (I - KC)

and of σ² it follows, since V = Σ φ_k V_k. For random intercepts C = Σ F_j, F_j = n_j/(σ² + n_jΨ).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import LOG_2PI, inverse_root, symmetrised
from mlsem.core.optimise.objective import Conditioned, Derivatives, Objective
from mlsem.core.records import Array, frozen
from mlsem.core.restricted.components import cluster_roots
from mlsem.core.restricted.general import determined
from mlsem.core.restricted.nested.rows import NestedRows


@dataclass(frozen=True, slots=True, eq=False)
class NestedModel:
    """The model and its data.

    Attributes
    ----------
    rows : NestedRows
    lower, upper : (K, q, q), (K, f, f)
        ∂Ψ/∂φ_k and ∂Ω/∂φ_k; 0 of σ², the last.
    restricted : bool
        Whether ℓ_R is maximised.
    """

    rows: NestedRows
    lower: Shaped[Array, "K q q"]
    upper: Shaped[Array, "K f f"]
    restricted: bool

    @property
    def n_fixed(self) -> int:
        """p: the first parameters are β, the others φ."""
        return len(self.rows.origin)


@dataclass(frozen=True, eq=False)
class NestedPoint:
    """ℓ or ℓ_R at one point, with β̂ for its fixed effects.

    Attributes
    ----------
    model : NestedModel
    params : (npar,)
    loglik : float
    turned : (p + 1, p + 1)
        Upper triangular, [X C, e] turned = [ξ, ω].
    psi, omega : (q, q), (f, f)
    within : (q, q, J)
        G_j.
    across : (q, f, J)
        H_j.
    upward : (f, f, G)
        C.
    inner : (f, f, G)
        K, the posterior covariance of v_k.
    own : (q, p + 1, J)
        T_jᵀ V⁻¹ [ξ, ω].
    outer : (f, p + 1, G)
        U_kᵀ V⁻¹ [ξ, ω].
    products : (p + 1, p + 1, G)
        [ξ, ω]ᵀ V⁻¹ [ξ, ω] of each outer cluster.
    """

    model: NestedModel
    params: Shaped[Array, "npar"]
    loglik: float
    turned: Shaped[Array, "p1 p1"]
    psi: Shaped[Array, "q q"]
    omega: Shaped[Array, "f f"]
    within: Shaped[Array, "q q J"]
    across: Shaped[Array, "q f J"]
    upward: Shaped[Array, "f f G"]
    inner: Shaped[Array, "f f G"]
    own: Shaped[Array, "q p1 J"]
    outer: Shaped[Array, "f p1 G"]
    products: Shaped[Array, "p1 p1 G"]

    @property
    def root(self) -> Shaped[Array, "p p"]:
        """X root = ξ; the covariance of β̂ is root rootᵀ."""
        return self.model.rows.turn @ self.turned[:-1, :-1]

    @property
    def sigma2(self) -> float:
        return float(self.params[-1])

    @property
    def phi(self) -> Shaped[Array, "K"]:
        return self.params[self.model.n_fixed :]

    @cached_property
    def crossing(self) -> Shaped[Array, "q f J"]:
        """T_jᵀ V⁻¹ U_k."""
        turned = np.einsum("abg,bcg->acg", self.inner, self.upward)
        return self.across - _down(self.model.rows, self.across, turned)

    @cached_property
    def top(self) -> Shaped[Array, "f f G"]:
        """U_kᵀ V⁻¹ U_k."""
        return self.upward - np.einsum(
            "abg,bcg,cdg->adg", self.upward, self.inner, self.upward, optimize=True
        )

    @cached_property
    def spread(self) -> Shaped[Array, "q q J"]:
        """T_jᵀ V⁻¹ T_j."""
        return self.within - np.einsum(
            "abj,cbj->acj", _down(self.model.rows, self.across, self.inner), self.across
        )


def _down(
    rows: NestedRows, each: Shaped[Array, "a f J"], outer: Shaped[Array, "f b G"]
) -> Shaped[Array, "a b J"]:
    """X_j Y_k, k the outer cluster of j."""
    return np.einsum("abj,bcj->acj", each, np.repeat(outer, rows.counts, axis=-1))


def evaluate(model: NestedModel, params: Shaped[Array, "npar"]) -> NestedPoint | None:
    """None outside the parameter space."""
    rows, p = model.rows, model.n_fixed
    phi, sigma2 = params[p:], float(params[-1])
    psi, omega = np.tensordot(phi, model.lower, 1), np.tensordot(phi, model.upper, 1)
    roots = cluster_roots(rows.lower, psi, np.array([sigma2]))
    if roots is None:
        return None
    white = [
        np.einsum("abj,bcj->acj", roots, each) for each in (rows.lower, rows.upper, rows.columns)
    ]
    lower, upper, columns = white
    within, across, own = (np.einsum("daj,dbj->abj", lower, each) for each in white)
    upward, pulled = (
        rows.by_outer(np.einsum("daj,dbj->abj", upper, each)) for each in (upper, columns)
    )
    found = _posterior(omega, upward)
    if found is None:
        return None
    inner, twice_log = found
    known = np.einsum("abg,bcg->acg", inner, pulled)
    products = rows.by_outer(np.einsum("daj,dbj->abj", columns, columns)) + rows.rest / sigma2
    products -= np.einsum("abg,acg->bcg", pulled, known)
    root = inverse_root(symmetrised(products.sum(axis=-1)))
    if root is None:
        return None
    length = float(root[-1, -1])
    root[:, p] /= length
    deviance = rows.n_rows * LOG_2PI + float(rows.n_others.sum()) * np.log(sigma2)
    deviance += twice_log - 2.0 * float(np.log(np.einsum("aaj->aj", roots)).sum()) + length**-2
    if model.restricted:
        scale = rows.turn.diagonal() * root.diagonal()[:p]
        deviance -= p * LOG_2PI + 2.0 * float(np.log(np.abs(scale)).sum())
    if not np.isfinite(deviance):
        return None
    outer = pulled - np.einsum("abg,bcg->acg", upward, known)
    return NestedPoint(
        model=model,
        params=frozen(np.append(rows.origin - rows.turn @ root[:p, p], phi)),
        loglik=-0.5 * float(deviance),
        turned=root,
        psi=psi,
        omega=omega,
        within=within,
        across=across,
        upward=upward,
        inner=inner,
        own=np.einsum("abj,bc->acj", own - _down(rows, across, known), root),
        outer=np.einsum("abg,bc->acg", outer, root),
        products=np.einsum("abg,ac,bd->cdg", products, root, root, optimize=True),
    )


def _posterior(
    omega: Shaped[Array, "f f"], upward: Shaped[Array, "f f G"]
) -> tuple[Shaped[Array, "f f G"], float] | None:
    """K = (I + ΩC)⁻¹Ω, and Σ log|I + ΩC|; None unless all I + C^½ΩC^½ are positive definite."""
    stack = np.ascontiguousarray(upward.transpose(2, 0, 1))
    values, vectors = np.linalg.eigh(stack)
    half = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    unit = np.eye(len(omega))
    try:
        factor = np.linalg.cholesky(unit + half.swapaxes(1, 2) @ omega @ half)
    except np.linalg.LinAlgError:
        return None
    whole = np.broadcast_to(omega, stack.shape)
    inner: Array = np.asarray(np.linalg.solve(unit + omega @ stack, whole), dtype=np.float64)
    logs = 2.0 * float(np.log(np.diagonal(factor, axis1=1, axis2=2)).sum())
    return symmetrised(inner).transpose(1, 2, 0), logs


# --- derivatives --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class NestedChanges:
    """How V moves with φ, at a point: with V_k = ∂V/∂φ_k and [ξ, ω],

    Attributes
    ----------
    traces : (K, G)
        tr V⁻¹V_k of each outer cluster.
    pairs : (K, K, G)
        tr V⁻¹V_kV⁻¹V_l of each.
    lengths : (K, G)
        ωᵀV⁻¹V_kV⁻¹ω of each.
    products : (K, p + 1, p + 1)
        D_k = [ξ, ω]ᵀV⁻¹V_kV⁻¹[ξ, ω].
    squares : (K, K, p + 1, p + 1)
        [ξ, ω]ᵀV⁻¹V_kV⁻¹V_lV⁻¹[ξ, ω].
    """

    traces: Shaped[Array, "K G"]
    pairs: Shaped[Array, "K K G"]
    lengths: Shaped[Array, "K G"]
    products: Shaped[Array, "K p1 p1"]
    squares: Shaped[Array, "K K p1 p1"]


def changes(point: NestedPoint) -> NestedChanges:
    """All of them, those of σ² from the others."""
    model, rows, sigma2 = point.model, point.model.rows, point.sigma2
    phi, lower, upper = point.phi[:-1], model.lower[:-1], model.upper[:-1]
    traces = rows.by_outer(np.einsum("kab,abj->kj", lower, point.spread))
    traces += np.einsum("kab,abg->kg", upper, point.top)
    pairs = _pairs(point, lower, upper)
    own = np.einsum("kab,bcj->kacj", lower, point.own)  # V_kV⁻¹[ξ, ω] = Z x_k
    outer = np.einsum("kab,bcg->kacg", upper, point.outer)
    products = np.einsum("acj,kadj->kcd", point.own, own) + np.einsum(
        "acg,kadg->kcd", point.outer, outer
    )
    lengths = rows.by_outer(np.einsum("aj,kaj->kj", point.own[:, -1], own[:, :, -1]))
    lengths += np.einsum("ag,kag->kg", point.outer[:, -1], outer[:, :, -1])
    squares = _squares(point, own, outer)
    whole = point.products
    last = (whole[-1, -1] - np.tensordot(phi, lengths, 1)) / sigma2
    traces, pairs = _with_residual(rows.sizes, phi, traces, pairs, sigma2)
    products, squares = _with_residual(whole.sum(axis=-1), phi, products, squares, sigma2)
    return NestedChanges(traces, pairs, np.concatenate((lengths, last[None])), products, squares)


def _with_residual(
    whole: Shaped[Array, "*s"],
    phi: Shaped[Array, "k"],
    single: Shaped[Array, "k *s"],
    double: Shaped[Array, "k k *s"],
    sigma2: float,
) -> tuple[Shaped[Array, "K *s"], Shaped[Array, "K K *s"]]:
    """With σ² as the last of φ, whose V_k is I = (V - Σ φ_l V_l) / σ²; `whole` is what V has in
    the place of a V_k."""
    last = (whole - np.tensordot(phi, single, 1)) / sigma2
    beside = (single - np.tensordot(phi, double, 1)) / sigma2
    corner = (last - np.tensordot(phi, beside, 1)) / sigma2
    count = len(phi)
    both = np.empty((count + 1, count + 1, *whole.shape))
    both[:count, :count], both[count, count] = double, corner
    both[count, :count] = beside
    both[:count, count] = beside if whole.ndim == 1 else beside.swapaxes(-1, -2)
    return np.concatenate((single, last[None])), both


def _pairs(
    point: NestedPoint, lower: Shaped[Array, "k q q"], upper: Shaped[Array, "k f f"]
) -> Shaped[Array, "k k G"]:
    """tr V⁻¹V_kV⁻¹V_l of each outer cluster."""
    rows = point.model.rows
    moved = np.einsum("kab,bcj->kacj", lower, point.within)  # S G
    turned = np.einsum("kab,bcj->kacj", lower, point.across)  # S H
    gathered = rows.by_outer(np.einsum("abj,kacj->kbcj", point.across, turned))  # HᵀSH
    known = np.einsum("abg,kbcg->kacg", point.inner, gathered)
    found = rows.by_outer(np.einsum("kabj,lbaj->klj", moved, moved))
    found += np.einsum("kabg,lbag->klg", known, known)
    less = np.einsum("kabj,lbcj->klacj", moved, turned)  # S_k G S_l H
    mixed = np.einsum("acj,klabj->klcbj", point.across, less)
    inner = np.repeat(point.inner, rows.counts, axis=-1)
    both = rows.by_outer(np.einsum("bcj,klcbj->klj", inner, mixed))
    found -= both + both.swapaxes(0, 1)
    top = np.einsum("kab,bcg->kacg", upper, point.top)
    found += np.einsum("kabg,lbag->klg", top, top)
    crossed = np.einsum("kab,bcj->kacj", lower, point.crossing)  # S R
    gathered = rows.by_outer(np.einsum("abj,kacj->kbcj", point.crossing, crossed))  # RᵀSR
    beside = np.einsum("kabg,lab->klg", gathered, upper)
    return found + beside + beside.swapaxes(0, 1)


def _squares(
    point: NestedPoint, own: Shaped[Array, "k q p1 J"], outer: Shaped[Array, "k f p1 G"]
) -> Shaped[Array, "k k p1 p1"]:
    """x_kᵀ (ZᵀV⁻¹Z) x_l of what each V_k makes of [ξ, ω]."""
    rows = point.model.rows
    gathered = rows.by_outer(np.einsum("abj,kacj->kbcj", point.across, own))  # HᵀX
    found = np.einsum("kacj,abj,lbdj->klcd", own, point.within, own, optimize=True)
    found -= np.einsum("kacg,abg,lbdg->klcd", gathered, point.inner, gathered, optimize=True)
    found += np.einsum("kacg,abg,lbdg->klcd", outer, point.top, outer, optimize=True)
    crossed = rows.by_outer(np.einsum("abj,kacj->kbcj", point.crossing, own))  # RᵀX
    beside = np.einsum("kbcg,lbdg->klcd", crossed, outer)
    return found + beside + beside.transpose(1, 0, 3, 2)


@dataclass(frozen=True, slots=True, eq=False)
class NestedDerivatives(Derivatives):
    """With all derivatives in φ: the gradient, expected and observed information, and the expected
    one if β were known."""

    slopes: Shaped[Array, "K"]
    expected: Shaped[Array, "K K"]
    observed: Shaped[Array, "K K"]
    total: Shaped[Array, "K K"]


@dataclass(frozen=True, slots=True, eq=False)
class NestedObjective(Objective[NestedPoint, NestedDerivatives]):
    """ℓ or ℓ_R as a function of φ, whose fixed effects follow: directions of a basis count by what
    they have of φ."""

    model: NestedModel

    def evaluate(self, params: Shaped[Array, "npar"]) -> NestedPoint | None:
        return evaluate(self.model, params)

    def derivatives(self, point: NestedPoint, basis: Shaped[Array, "npar n"]) -> NestedDerivatives:
        found, p = changes(point), self.model.n_fixed
        slopes, each = derivatives_of(point, found)
        return NestedDerivatives(basis, basis[p:].T @ slopes, slopes, *each)

    def expected(self, point: NestedPoint, at: NestedDerivatives) -> Shaped[Array, "n n"]:
        return self._along(at.expected, at)

    def observed(self, point: NestedPoint, at: NestedDerivatives) -> Shaped[Array, "n n"]:
        return self._along(at.observed, at)

    def conditioned(
        self, point: NestedPoint, basis: Shaped[Array, "npar n"]
    ) -> Conditioned[NestedDerivatives]:
        found = super(NestedObjective, self).conditioned(point, basis)  # slots: no plain super()
        return determined(self, point, found, self._along(found.at.total, found.at))

    def _along(
        self, information: Shaped[Array, "K K"], at: NestedDerivatives
    ) -> Shaped[Array, "n n"]:
        along = at.basis[self.model.n_fixed :]
        return along.T @ information @ along


def derivatives_of(
    point: NestedPoint, found: NestedChanges
) -> tuple[Shaped[Array, "K"], tuple[Shaped[Array, "K K"], ...]]:
    """∂/∂φ of what is maximised; its expected and observed information, and ½ tr V⁻¹V_kV⁻¹V_l.

    2 ∂ℓ/∂φ_k = D_k,ωω - tr V⁻¹V_k,        of ℓ_R  + tr D_k,ξξ
    tr P V_k P V_l = tr V⁻¹V_kV⁻¹V_l - 2 tr ξᵀV⁻¹V_kV⁻¹V_lV⁻¹ξ + tr D_k,ξξ D_l,ξξ
    observed  ωᵀV⁻¹V_kV⁻¹V_lV⁻¹ω - D_k,ωξ D_l,ξω - expected
    """
    p = point.model.n_fixed
    design, mixed = found.products[:, :p, :p], found.products[:, :p, p]
    slopes = 0.5 * (found.products[:, p, p] - found.traces.sum(axis=1))
    total = 0.5 * found.pairs.sum(axis=2)
    expected = total
    if point.model.restricted:
        slopes = slopes + 0.5 * np.einsum("kaa->k", design)
        expected = total - np.einsum("klaa->kl", found.squares[:, :, :p, :p])
        expected = symmetrised(expected + 0.5 * np.einsum("kab,lba->kl", design, design))
    observed = symmetrised(found.squares[:, :, p, p]) - mixed @ mixed.T - expected
    return slopes, (expected, observed, total)
