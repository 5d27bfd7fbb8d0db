"""Alignment of the factor of several groups (Asparouhov & Muthén, 2014).

Of group g the factor has mean 0 and variance 1, loadings λ_gp and intercepts ν_gp of items p. With
mean α_g and variance ψ_g instead, the same moments have

    λ¹_gp = λ_gp / √ψ_g,    ν¹_gp = ν_gp - α_g λ¹_gp

and of all these the aligned ones are the simplest, of which few differences are large and most are
small: they have the least

    F = Σ_p Σ_{g<h} w_gh [f(λ¹_gp - λ¹_hp) + f(ν¹_gp - ν¹_hp)]

with w_gh = √(n_g n_h), f(d) = ⁴√(d² + ε). ∏ ψ_g = 1, as F could go down with the size of all
loadings otherwise. "Fixed" has α = 0 in the reference group, too; "free" has not, for which
loadings must differ. Then the factor's unit may be made that of the reference group.

The search is in x = (τ, α), τ_g = log √ψ_g, by Newton's method. The items of all groups are
A = (λ¹, ν¹); F depends on x and on y = (λ, ν) through A alone:

    ∂F/∂x = Jᵀ D,   ∂²F/∂x∂x = Jᵀ H J + Σ D ∂²A/∂x∂x,   ∂²F/∂x∂y = Jᵀ H Y + Σ D ∂²A/∂x∂y

with D, H the derivatives of F along A, J = ∂A/∂x, Y = ∂A/∂y; and at the minimum
dx/dy = -(∂²F/∂x∂x)⁻¹ ∂²F/∂x∂y along the directions that identification leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlsem.core.linalg import lower_factor, null_space, solved
from mlsem.core.records import Array, frozen

Identification = Literal["fixed", "free"]
Unit = Literal["reference", "product"]

LOOSEST, TIGHTER = 10.0, 0.1  # ε at first, in mean squares of loadings: F has fewer minima there
STEPS, HALVINGS = 300, 30
ROUGH, TOL = 1e-8, 1e-20  # decrements of F at which a search stops, on the way and at the end
SAME = 1e-6  # F of starts that are said to have the same minimum, relative
FLAT = 1e-7  # curvature, relative to the largest, below which a direction is not determined
SPREAD = 0.3  # of random starts: τ, and α in units of the factor


@dataclass(frozen=True, slots=True, eq=False)
class Configural:
    """What is aligned: one factor with mean 0 and variance 1 in each of G groups.

    Attributes
    ----------
    loadings, intercepts : (G, a)
        NaN where a group has no such item. No intercepts (None) has a factor without a mean, as
        one within clusters: loadings alone are aligned.
    sizes : (G,)
        n_g.
    """

    loadings: Shaped[Array, "G a"]
    intercepts: Shaped[Array, "G a"] | None
    sizes: Shaped[Array, "G"]

    @property
    def present(self) -> Shaped[NDArray[np.bool_], "G a"]:
        missing = np.isnan(self.loadings)
        return ~missing if self.intercepts is None else ~(missing | np.isnan(self.intercepts))


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """The simplest solution.

    Attributes
    ----------
    means, variances : (G,)
        α, ψ.
    loadings, intercepts : (G, a)
        λ¹, ν¹.
    gradients : (m, v) or None
        Derivatives of (α, ψ, λ¹, ν¹), groups before items and without ν¹ where there are no
        intercepts, along (λ, ν); None where the minimum is not determined. 0 of what is missing.
    simplicity : float
        F.
    reached : (s,)
        F of each start, ascending.
    """

    means: Shaped[Array, "G"]
    variances: Shaped[Array, "G"]
    loadings: Shaped[Array, "G a"]
    intercepts: Shaped[Array, "G a"] | None
    gradients: Shaped[Array, "m v"] | None
    simplicity: float
    reached: Shaped[Array, "s"]

    @property
    def agreeing(self) -> int:
        """How many starts ended at this minimum."""
        least = self.reached[0]
        return int((self.reached <= least + SAME * abs(least)).sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Criterion:
    """F / Σ w at the free directions of x, ε given.

    Attributes
    ----------
    y : (k, a, G)
        λ and ν (k = 2), or λ alone; 0 where there is none.
    weights : (a, G, G)
        w_gh / Σ w, 0 on the diagonal and where an item is missing.
    basis : (2G, n)
        Directions of x that identification leaves.
    """

    y: Shaped[Array, "k a G"]
    weights: Shaped[Array, "a G G"]
    basis: Shaped[Array, "i n"]
    epsilon: float

    @property
    def n_groups(self) -> int:
        return self.y.shape[2]

    def items(self, x: Shaped[Array, "i"]) -> Shaped[Array, "k a G"]:
        """A = (λ¹, ν¹)."""
        tau, alpha = x[: self.n_groups], x[self.n_groups :]
        aligned = self.y.copy()
        aligned[0] *= np.exp(-tau)
        aligned[1:] -= alpha * aligned[0]
        return aligned

    def value(self, x: Shaped[Array, "i"]) -> float:
        distances = _differences(self.items(x)) ** 2 + self.epsilon
        return 0.5 * float((self.weights * np.sqrt(np.sqrt(distances))).sum())

    def slopes(
        self, items: Shaped[Array, "k a G"]
    ) -> tuple[Shaped[Array, "k a G"], Shaped[Array, "k a G G"]]:
        """D and H: f' = ½ d r^{-¾}, f″ = ½ r^{-¾} - ¾ d² r^{-7/4} with r = d² + ε."""
        apart = _differences(items)
        distances = apart**2 + self.epsilon
        root = np.sqrt(distances)
        steep = 0.5 * self.weights / (root * np.sqrt(root))
        first = (steep * apart).sum(axis=-1)
        second = -steep * (1.0 - 1.5 * apart**2 / distances)
        diagonal = np.arange(self.n_groups)
        second[..., diagonal, diagonal] = -second.sum(axis=-1)
        return first, second

    def along_x(
        self, x: Shaped[Array, "i"], items: Shaped[Array, "k a G"]
    ) -> tuple[Shaped[Array, "k a G 2"], Shaped[Array, "k a G 2 2"]]:
        """∂A/∂(τ, α) of each group's own, and the second derivatives."""
        alpha, loadings = x[self.n_groups :], items[0]
        first, second = np.zeros((*items.shape, 2)), np.zeros((*items.shape, 2, 2))
        first[0, ..., 0], second[0, ..., 0, 0] = -loadings, loadings
        first[1:, ..., 0], first[1:, ..., 1] = alpha * loadings, -loadings
        second[1:, ..., 0, 0] = -alpha * loadings
        second[1:, ..., 0, 1] = second[1:, ..., 1, 0] = loadings
        return first, second

    def along_y(
        self, x: Shaped[Array, "i"], count: int
    ) -> tuple[Shaped[Array, "k G k"], Shaped[Array, "k G 2 k"]]:
        """∂A/∂(λ, ν) of each group's own items, and ∂²A/∂(τ, α)∂(λ, ν)."""
        tau, alpha = x[: self.n_groups], x[self.n_groups :]
        scale = np.exp(-tau)
        first = np.zeros((count, self.n_groups, count))
        second = np.zeros((count, self.n_groups, 2, count))
        first[0, :, 0], second[0, :, 0, 0] = scale, -scale
        for nu in range(1, count):
            first[nu, :, 0], first[nu, :, nu] = -alpha * scale, 1.0
            second[nu, :, 0, 0], second[nu, :, 1, 0] = alpha * scale, -scale
        return first, second

    def derivatives(self, x: Shaped[Array, "i"]) -> tuple[Shaped[Array, "n"], Shaped[Array, "n n"]]:
        """∂F/∂x and ∂²F/∂x∂x along the basis."""
        items = self.items(x)
        D, H = self.slopes(items)
        J, bent = self.along_x(x, items)
        gradient = np.einsum("kag,kagi->ig", D, J).ravel()
        left = np.einsum("kagi,kagh->kahgi", J, H)
        hessian = np.einsum("kahgi,kahj->igjh", left, J)
        diagonal = np.arange(self.n_groups)
        hessian[:, diagonal, :, diagonal] += np.einsum("kag,kagij->gij", D, bent)
        size = 2 * self.n_groups
        return self.basis.T @ gradient, self.basis.T @ hessian.reshape(size, size) @ self.basis

    def mixed(self, x: Shaped[Array, "i"]) -> Shaped[Array, "n v"]:
        """∂²F/∂x∂y along the basis; y in the order (λ, ν), groups before items."""
        items = self.items(x)
        count, n_items, groups = items.shape
        D, H = self.slopes(items)
        J, _ = self.along_x(x, items)
        Y, bent = self.along_y(x, count)
        found: Array = np.einsum("kagi,kagh,khl->iglha", J, H, Y, optimize=True)
        for g, own in enumerate(np.einsum("kag,kgil->gila", D, bent)):
            found[:, g, :, g] += own
        return self.basis.T @ found.reshape(2 * groups, count * groups * n_items)


def _differences(items: Shaped[Array, "k a G"]) -> Shaped[Array, "k a G G"]:
    """A_gp - A_hp."""
    return items[..., :, None] - items[..., None, :]


def align(
    configural: Configural,
    *,
    identification: Identification = "fixed",
    unit: Unit = "reference",
    reference: int = 0,
    epsilon: float = 0.01,
    starts: int = 10,
    seed: int = 1,
) -> Aligned:
    """The aligned solution.

    Parameters
    ----------
    identification : {"fixed", "free"}
        Whether the reference group's factor mean is 0.
    unit : {"reference", "product"}
        What is 1: the reference group's factor variance, or ∏ ψ_g.
    epsilon : float
        ε, in squared units of the items.
    starts : int
        Random ones, beside one by averages and one for each item as the anchor.
    """
    criterion = _criterion(configural, identification, reference, epsilon)
    ends = [
        _minimised(criterion, x)
        for x in _starts(criterion, configural.present, reference, starts, seed)
    ]
    reached = np.array([criterion.value(x) for x in ends])
    best = ends[int(np.argmin(reached))]
    total = 0.5 * float(_weights(configural).sum())
    gradients = _implicit(criterion, best)
    return _in_unit(
        configural, criterion, best, gradients, unit, reference, total * np.sort(reached)
    )


def _weights(configural: Configural) -> Shaped[Array, "a G G"]:
    there = configural.present.T.astype(np.float64) * np.sqrt(configural.sizes)
    return there[:, :, None] * there[:, None, :] * (1.0 - np.eye(len(configural.sizes)))


def _criterion(
    configural: Configural, identification: Identification, reference: int, epsilon: float
) -> _Criterion:
    known = [configural.loadings]
    known += [] if configural.intercepts is None else [configural.intercepts]
    there = configural.present
    y = np.array([np.where(there, each, 0.0).T for each in known])
    weights, groups = _weights(configural), len(configural.sizes)
    held = np.zeros((1, 2 * groups))
    held[0, :groups] = 1.0  # Σ τ = 0
    if len(known) == 1:
        held = np.vstack((held, np.eye(groups, 2 * groups, groups)))
    elif identification == "fixed":
        held = np.vstack((held, np.eye(1, 2 * groups, groups + reference)))
    return _Criterion(y, 2.0 * weights / weights.sum(), null_space(held), epsilon)


def _starts(
    criterion: _Criterion,
    present: Shaped[NDArray[np.bool_], "G a"],
    reference: int,
    random: int,
    seed: int,
) -> Iterator[Shaped[Array, "i"]]:
    """By averages over items, by each item as if it were invariant, and random ones."""
    groups, generator = criterion.n_groups, np.random.default_rng(seed)
    share = present / present.sum(axis=1, keepdims=True)
    shares = [share] + [
        np.eye(present.shape[1])[[p] * groups] for p in np.flatnonzero(present.all(axis=0))
    ]
    anchored = [_anchored(criterion, weights, reference) for weights in shares]
    known = [x for x in anchored if x is not None] or [np.zeros(2 * groups)]
    yield from known
    project = criterion.basis @ criterion.basis.T
    for _ in range(random):
        yield known[0] + project @ generator.normal(scale=SPREAD, size=2 * groups)


def _anchored(
    criterion: _Criterion, weights: Shaped[Array, "G a"], reference: int
) -> Shaped[Array, "i"] | None:
    """x by which a weighted mean of items is the same in all groups."""
    sums = np.einsum("kag,ga->kg", criterion.y, weights)
    if not (sums[0] > 1e-3 * np.abs(criterion.y[0]).max()).all():
        return None
    tau = np.log(sums[0])
    tau -= tau.mean()
    loading = sums[0] * np.exp(-tau)
    alpha = (sums[-1] - sums[-1, reference]) / loading if len(sums) == 2 else np.zeros_like(tau)
    return np.concatenate((tau, alpha))


def _minimised(criterion: _Criterion, x: Shaped[Array, "i"]) -> Shaped[Array, "i"]:
    """From x, by ever smaller ε."""
    epsilon = LOOSEST * float((criterion.y[0] ** 2).mean())
    while epsilon > criterion.epsilon / TIGHTER**0.5:
        x = _newton(replace(criterion, epsilon=epsilon), x, ROUGH)
        epsilon *= TIGHTER
    return _newton(criterion, x, TOL)


def _newton(criterion: _Criterion, x: Shaped[Array, "i"], tol: float) -> Shaped[Array, "i"]:
    """Newton's method with a ridge where the Hessian is not positive definite."""
    value, ridge = criterion.value(x), 0.0
    for _ in range(STEPS):
        gradient, hessian = criterion.derivatives(x)
        size = float(np.abs(np.diagonal(hessian)).max(initial=1e-300))
        factor = lower_factor(hessian + ridge * size * np.eye(len(hessian)))
        while factor is None:
            ridge = max(4.0 * ridge, 1e-3)
            factor = lower_factor(hessian + ridge * size * np.eye(len(hessian)))
        step = -solved(factor, gradient)
        decrement = -float(step @ gradient)
        if decrement < tol * (1.0 + abs(value)):
            break
        length = min(1.0, 1.0 / float(np.abs(step).max()))
        for _ in range(HALVINGS):
            moved = x + criterion.basis @ (length * step)
            candidate = criterion.value(moved)
            if candidate <= value - 1e-4 * length * decrement + 1e-15 * abs(value):
                break
            length *= 0.5
        else:
            break
        x, value = moved, candidate
        ridge = ridge / 8.0 if ridge > 1e-6 else 0.0
    return x


def _implicit(criterion: _Criterion, x: Shaped[Array, "i"]) -> Shaped[Array, "i v"] | None:
    """dx/dy; None where the curvature is not positive in all directions."""
    _, hessian = criterion.derivatives(x)
    values = np.linalg.eigvalsh(hessian)
    factor = lower_factor(hessian)
    if factor is None or not values[0] > FLAT * values[-1]:
        return None
    return -criterion.basis @ solved(factor, criterion.mixed(x))


def _in_unit(
    configural: Configural,
    criterion: _Criterion,
    x: Shaped[Array, "i"],
    dx: Shaped[Array, "i v"] | None,
    unit: Unit,
    reference: int,
    reached: Shaped[Array, "s"],
) -> Aligned:
    """With t = τ of the reference group, or 0: ψ = exp 2(τ - t), α / eᵗ, λ¹ eᵗ."""
    groups, there = criterion.n_groups, configural.present
    items = criterion.items(x)
    count, n_items, _ = items.shape
    tau, alpha = x[:groups], x[groups:]
    first = unit == "reference"
    larger = float(np.exp(tau[reference])) if first else 1.0
    variances, means, loadings = np.exp(2.0 * tau) / larger**2, alpha / larger, items[0] * larger
    gradients = None
    if dx is not None:
        dt = dx[reference] if first else np.zeros(dx.shape[1])
        dtau, dalpha = dx[:groups] - dt, dx[groups:]
        J, _ = criterion.along_x(x, items)
        Y, _ = criterion.along_y(x, count)
        moved = np.einsum("kagi,igy->kgay", J, dx.reshape(2, groups, -1))
        own = moved.reshape(count, groups, n_items, count, groups, n_items)
        for g, p in zip(*np.nonzero(there), strict=True):
            own[:, g, p, :, g, p] += Y[:, g]
        moved *= there[..., None]
        moved[0] = larger * (moved[0] + items[0].T[..., None] * dt)
        gradients = np.concatenate(
            (
                (dalpha - alpha[:, None] * dt) / larger,
                2.0 * variances[:, None] * dtau,
                *(each.reshape(groups * n_items, -1) for each in moved),
            )
        )
    blank = np.where(there, 0.0, np.nan)
    return Aligned(
        means=frozen(means),
        variances=frozen(variances),
        loadings=frozen(loadings.T + blank),
        intercepts=frozen(items[1].T + blank) if count == 2 else None,
        gradients=gradients if gradients is None else frozen(gradients),
        simplicity=float(reached[0]),
        reached=frozen(reached),
    )
