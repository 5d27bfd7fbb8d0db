"""Restricted maximum likelihood of a linear mixed model, whose covariance is linear as well.

One outcome, y_j = X_j β + T_j u_j + ε_j in the coordinates of `arranged`: d rows of cluster j that
the random effects move, and others. A row of class g (most often there is one) has the residual
variance σ_g², and n_g of the others are of that class. With the free variances and covariances φ,
σ_g² = s_g0 + Σ_k φ_k s_gk and Cov u = S_0 + Σ_k φ_k S_k, so that

    V̄_j = D(σ²) + T_j Cov(u) T_jᵀ = R_j⁻¹ R_j⁻ᵀ,    V̄_jk = ∂V̄_j/∂φ_k = D(s_k) + T_j S_k T_jᵀ,

D diagonal with what each row's class has. Let L Lᵀ be the cross-products of the whitened rows
R_j [X_j, e_j] with e = y - X β_0, the others' [X, e] / σ_g among them. Its last diagonal cell is
the root of the residual sum of squares ρ² at β̂, and

    -2 ℓ_R = (N - p) log 2π + Σ_g n_g log σ_g² + Σ_j log|V̄_j| + ρ² + 2 Σ_{i ≤ p} log L_ii.

The columns of R_j [X_j, e_j] L⁻ᵀ are [ξ, ω / ρ]: orthonormal combinations of the design, and the
whitened residuals. With M_k = R_j V̄_jk R_jᵀ, summed over clusters and the other rows,

    D_k = [ξ, ω]ᵀ M_k [ξ, ω],    2 ∂ℓ_R/∂φ_k = D_k,ωω + tr D_k,ξξ - tr M_k
    tr P V_k P V_l = tr M_k M_l - 2 tr ξᵀM_k M_l ξ + tr D_k,ξξ D_l,ξξ
    expected  ½ tr P V_k P V_l
    observed  ωᵀM_k M_l ω - D_k,ωξ D_l,ξω - ½ tr P V_k P V_l

and a step takes one factorisation of each cluster's d × d matrix. The design X is taken as X C,
near orthonormal, and |A| turned back. `reml` has the same of every
model whose mean is linear. (Patterson & Thompson 1971, Biometrika 58, 545; Lindstrom & Bates 1988,
JASA 83, 1014.)
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsem.core.linalg import (
    LOG_2PI,
    applied,
    finite_or_zero,
    flatten,
    inverse_root,
    merged,
)
from mlsem.core.optimise.objective import Conditioned, Derivatives, Objective
from mlsem.core.records import Array, Index, frozen
from mlsem.core.restricted.general import NOTHING, determined

ONE: Index = frozen(np.zeros((1, 1), dtype=np.intp))  # the class of every row, where there is one


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The model and its data. Many data sets of one model and of as many rows have their axes
    before those of `origin`, `turn`, `rows` and `others`.

    Attributes
    ----------
    origin : (npar,)
        Parameters, of which the fixed effects are β_0.
    means, spread : (p,), (K,)
        Positions of β and of φ among the parameters.
    residual : (1 + K, G)
        s_0, then s_k, of each class.
    effects : (1 + K, q, q)
        S_0, then S_k.
    turn : (p, p)
        C: the design is X C, near orthonormal, so that covariates far from zero do no harm.
    rows : (d, q + p + 1, J)
        T_j, X_j C and e_j. Clusters stand last, in here: the few rows of each are looped over by
        numpy's outer loops.
    classes : (d, J)
        Of the rows; (1, 1) where there is one class.
    others : (G, p + 1, p + 1)
        Cross-products of [X C, e] over the other rows of each class.
    n_rows : float
        N.
    n_others : (G,)
        n_g.
    """

    origin: Shaped[Array, "... npar"]
    means: Shaped[Index, "p"]
    spread: Shaped[Index, "K"]
    residual: Shaped[Array, "1+K G"]
    effects: Shaped[Array, "1+K q q"]
    turn: Shaped[Array, "... p p"]
    rows: Shaped[Array, "... d q+p+1 J"]
    classes: Shaped[Index, "i j"]
    others: Shaped[Array, "... G p+1 p+1"]
    n_rows: float
    n_others: Shaped[Array, "G"]

    def variances(self, phi: Shaped[Array, "... K"]) -> Shaped[Array, "... G"]:
        """σ_g²."""
        return self.residual[0] + (phi[..., None] * self.residual[1:]).sum(axis=-2)

    def of(self, which: Shaped[Index, "r"]) -> Components:
        """Of many data sets those of some."""
        fields = self.origin[which], self.turn[which], self.rows[which], self.others[which]
        origin, turn, rows, others = fields
        return replace(self, origin=origin, turn=turn, rows=rows, others=others)


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """∂ℓ_R/∂φ (K,), and the expected and observed information of φ (K, K); `total` is the expected
    one if the fixed effects were known, ½ tr M_k M_l."""

    gradient: Shaped[Array, "... K"]
    expected: Shaped[Array, "... K K"]
    observed: Shaped[Array, "... K K"]
    total: Shaped[Array, "... K K"]


def kind_of(model: Components) -> Hashable:
    """Data sets that have it in common go together."""
    arrays = model.means, model.spread, model.residual, model.effects, model.classes
    return (
        model.rows.shape,
        model.n_rows,
        model.n_others.tobytes(),
        *(array.tobytes() for array in arrays),
    )


def components_of_many(models: Sequence[Components]) -> Components:
    """Data sets of one kind as one record."""
    names = ("origin", "turn", "rows", "others")
    found = {name: np.array([getattr(each, name) for each in models]) for name in names}
    return replace(models[0], **found)


@dataclass(frozen=True, slots=True, eq=False)
class ComponentPoint:
    """ℓ_R at one point, or at one of each of many data sets.

    Attributes
    ----------
    params : (npar,)
        β̂ and φ.
    loglik : float
    sigma2 : (G,)
        σ_g².
    roots : (d, d, J)
        R_j, lower triangular.
    effects : (d, q, J)
        R_j T_j.
    columns : (d, p + 1, J)
        [ξ, ω].
    others : (G, p + 1, p + 1)
        Cross-products of [ξ, ω] over the other rows of each class.
    root : (p, p)
        Upper triangular, the covariance of β̂ is root rootᵀ.
    """

    params: Shaped[Array, "... npar"]
    loglik: Any
    sigma2: Shaped[Array, "... G"]
    roots: Shaped[Array, "... d d J"]
    effects: Shaped[Array, "... d q J"]
    columns: Shaped[Array, "... d p1 J"]
    others: Shaped[Array, "... G p1 p1"]
    root: Shaped[Array, "... p p"]


def changes(model: Components, point: ComponentPoint) -> Shaped[Array, "... d d K J"]:
    """M_k of each cluster."""
    effects, slopes = point.effects, model.effects[1:]
    pairs = effects[..., :, None, :, None, :] * effects[..., None, :, None, :, :]
    *lead, d, q, clusters = effects.shape
    found = flatten(slopes) @ pairs.reshape(*lead, d, d, q * q, clusters)
    one = model.classes.size == 1
    for g, share in enumerate(model.residual[1:].T):
        own = point.roots if one else point.roots * (model.classes == g)
        inverse = np.einsum("...acj,...bcj->...abj", own, point.roots)
        found += inverse[..., None, :] * share[:, None]
    return found


def slopes(model: Components, point: ComponentPoint) -> Slopes:
    """The derivatives, all of them from M_k and M_k [ξ, ω]."""
    p = point.root.shape[-1]
    share = model.residual[1:] / point.sigma2[..., None, :]  # M_k of the other rows
    both = share[..., :, None, :] * share[..., None, :, :]
    each = changes(model, point)
    moved = np.einsum("...abkj,...bcj->...ackj", each, point.columns)  # M_k [ξ, ω]
    *lead, d, width, count, clusters = moved.shape
    across = moved.reshape(*lead, d, width * count, clusters).swapaxes(-1, -2)
    products = (point.columns @ across).sum(axis=-3).reshape(*lead, width, width, count)
    products = np.moveaxis(products, -1, -3)
    products = products + _by_class(share, point.others)  # D_k
    design, mixed = merged(products[..., :p, :p]), products[..., :p, p]
    trace = np.einsum("...aakj->...k", each) + share @ model.n_others
    traces = _grams(each).sum(axis=(-4, -3)) + both @ model.n_others
    diagonal = np.diagonal(point.others, axis1=-2, axis2=-1)
    squares = _grams(moved).sum(axis=-4) + np.einsum("...gp,...klg->...pkl", diagonal, both)
    expected = 0.5 * (traces + design @ design.swapaxes(-1, -2))
    expected -= squares[..., :p, :, :].sum(axis=-3)
    return Slopes(
        gradient=0.5 * (products[..., p, p] + design[..., :: p + 1].sum(axis=-1) - trace),
        expected=expected,
        observed=squares[..., p, :, :] - mixed @ mixed.swapaxes(-1, -2) - expected,
        total=0.5 * traces,
    )


def _by_class(
    shares: Shaped[Array, "... K G"], stack: Shaped[Array, "... G p1 p1"]
) -> Shaped[Array, "... K p1 p1"]:
    """Σ_g s_kg X_g."""
    return np.einsum("...kg,...gab->...kab", shares, stack)


def _grams(stack: Shaped[Array, "... K J"]) -> Shaped[Array, "... K K"]:
    """Σ_j x_kj x_lj."""
    return stack @ stack.swapaxes(-1, -2)


@dataclass(frozen=True, slots=True, eq=False)
class ComponentDerivatives(Derivatives):
    """With all derivatives in φ."""

    slopes: Slopes


@dataclass(frozen=True, slots=True, eq=False)
class ComponentObjective(Objective[ComponentPoint, ComponentDerivatives]):
    """ℓ_R as a function of the parameters, whose fixed effects follow: directions of a basis
    count by what they have of φ."""

    model: Components

    def of(self, which: Shaped[Index, "r"]) -> ComponentObjective:
        return ComponentObjective(self.model.of(which))

    def evaluate(self, params: Shaped[Array, "... npar"]) -> ComponentPoint | None:
        """ℓ_R at the variances and covariances of `params`; its fixed effects become β̂."""
        model, phi = self.model, params[..., self.model.spread]
        p, q, many = len(model.means), model.effects.shape[-1], params.ndim > 1
        sigma2 = model.variances(phi)
        covariance = model.effects[0] + (phi[..., None, None] * model.effects[1:]).sum(axis=-3)
        roots = cluster_roots(model.rows[..., :q, :], covariance, sigma2, model.classes)
        if roots is None:
            return None
        white = np.einsum("...abj,...bcj->...acj", roots, model.rows)
        columns, others = white[..., q:, :], model.others / sigma2[..., None, None]
        root = inverse_root(_grams(columns).sum(axis=-3) + others.sum(axis=-3))
        if root is None:
            return None
        length = root[..., -1, -1].copy()
        root[..., p] /= length[..., None]
        fixed = model.turn @ root[..., :p, :p]  # A⁻¹ = fixed fixedᵀ
        deviance = (model.n_rows - p) * LOG_2PI + np.log(sigma2) @ model.n_others + length**-2
        deviance -= 2.0 * np.log(np.einsum("...aaj->...aj", roots)).sum(axis=(-2, -1))
        deviance -= 2.0 * np.log(np.diagonal(fixed, axis1=-2, axis2=-1)).sum(axis=-1)
        if many:
            deviance = np.where(np.isfinite(deviance), deviance, np.nan)
        elif not np.isfinite(deviance):
            return None
        found = model.origin.copy()
        found[..., model.spread] = phi
        found[..., model.means] -= applied(model.turn, root[..., :p, p])
        back = root.swapaxes(-1, -2)
        return ComponentPoint(
            params=frozen(found),
            loglik=-0.5 * deviance if many else -0.5 * float(deviance),
            sigma2=sigma2,
            roots=roots,
            effects=white[..., :q, :],
            columns=back[..., None, :, :] @ columns,
            others=back[..., None, :, :] @ others @ root[..., None, :, :],
            root=fixed,
        )

    def conditioned(
        self, point: ComponentPoint, basis: Shaped[Array, "npar n"]
    ) -> Conditioned[ComponentDerivatives]:
        found = super(ComponentObjective, self).conditioned(point, basis)  # as in `reml`
        return determined(self, point, found, self._along(found.at.slopes.total, found.at))

    def determined(
        self, at: ComponentDerivatives, expected: Shaped[Array, "r n n"]
    ) -> Shaped[NDArray[np.bool_], "r"]:
        """Which of many data sets determine all directions: the `determined` of each."""
        root = inverse_root(self._along(at.slopes.total, at))
        assert root is not None  # of many there is always something
        left = root.swapaxes(-1, -2) @ expected @ root
        shares = np.linalg.eigvalsh(finite_or_zero(left))
        return np.array((shares >= NOTHING).all(axis=-1))

    def derivatives(
        self, point: ComponentPoint, basis: Shaped[Array, "... npar n"]
    ) -> ComponentDerivatives:
        found = slopes(self.model, point)
        along = basis.take(self.model.spread, -2).swapaxes(-1, -2)
        return ComponentDerivatives(basis, applied(along, found.gradient), found)

    def expected(self, point: ComponentPoint, at: ComponentDerivatives) -> Shaped[Array, "... n n"]:
        return self._along(at.slopes.expected, at)

    def observed(self, point: ComponentPoint, at: ComponentDerivatives) -> Shaped[Array, "... n n"]:
        return self._along(at.slopes.observed, at)

    def _along(
        self, information: Shaped[Array, "... K K"], at: ComponentDerivatives
    ) -> Shaped[Array, "... n n"]:
        along = at.basis.take(self.model.spread, -2)
        return along.swapaxes(-1, -2) @ information @ along


def cluster_roots(
    effects: Shaped[Array, "... d q J"],
    covariance: Shaped[Array, "... q q"],
    sigma2: Shaped[Array, "... G"],
    classes: Shaped[Index, "i j"] = ONE,
) -> Shaped[Array, "... d d J"] | None:
    """R_j, (d, d, J); None (of many: NaN) unless all σ_g² and all V̄_j are positive."""
    if covariance.ndim > 2:
        sigma2 = np.where(sigma2 > 0, sigma2, np.nan)
    elif not sigma2.min() > 0:
        return None
    total = np.einsum("...akj,...bkj->...abj", covariance[..., None, :, :] @ effects, effects)
    np.einsum("...aaj->...aj", total)[...] += sigma2[..., classes]
    return _inverse_roots(total)


def _inverse_roots(stack: Shaped[Array, "... d d J"]) -> Shaped[Array, "... d d J"] | None:
    """Lower-triangular R with matrix⁻¹ = Rᵀ R of each matrix, (d, d, J), matrices last; None if
    one is not positive definite (of many data sets: NaN in that one's).

    Of a matrix bordered by v and c, with R of the rest: l = R v, ρ² = c - lᵀl, and the new row of
    R is (-lᵀR, 1) / ρ. One operation serves all matrices, which pays where d is small.
    """
    found = np.zeros_like(stack)
    for k in range(stack.shape[-2]):
        before, border = found[..., :k, :k, :], stack[..., k, :k, :]
        along = np.einsum("...abj,...bj->...aj", before, border)
        pivot = stack[..., k, k, :] - np.einsum("...aj,...aj->...j", along, along)
        if stack.ndim > 3:
            pivot = np.where(pivot > 0, pivot, np.nan)
        elif not pivot.min() > 0:
            return None
        found[..., k, k, :] = 1.0 / np.sqrt(pivot)
        row = np.einsum("...aj,...abj->...bj", along, before)
        found[..., k, :k, :] = -found[..., k, k, None, :] * row
    return found
