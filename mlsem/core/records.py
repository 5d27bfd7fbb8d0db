"""The records that numbers travel in: frozen, their arrays read-only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, made read-only."""
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMoments:
    """Counts, means and centred cross-products of the rows of each cluster.

    The rows of a cluster enter the likelihood only through these. A stored column is
    ``value - shift``. Columns that are constant within every cluster (level-2 variables) have a
    mean and no cross-product.

    Attributes
    ----------
    columns : tuple of str
        Names of the D stored columns; `varying` come first.
    varying : int
        How many columns, the first ones, vary within clusters (V of them).
    shift : (D,)
        Taken off each column before anything was summed.
    counts : (J,) int
        Rows per cluster.
    means : (J, D)
        Means per cluster of the shifted columns.
    within : (J, V, V)
        Cross-products about the cluster's own mean, Σ_i (g_i - ḡ)(g_i - ḡ)ᵀ. All clusters of
        one row: a broadcast zero that takes no memory.
    labels : (J,)
        Cluster ids as the user gave them, in the order of the rows of `counts`.
    """

    columns: tuple[str, ...]
    varying: int
    shift: Array
    counts: NDArray[np.int64]
    means: Array
    within: Array
    labels: NDArray[Any]

    @property
    def n_rows(self) -> int:
        return int(self.counts.sum())

    @property
    def n_clusters(self) -> int:
        return len(self.counts)


@dataclass(frozen=True, slots=True, eq=False)
class ShapeMoments:
    """What the likelihood of a random-intercept model needs of the data.

    Clusters of the same size are one *shape* and share all matrix work, so that the cost of an
    evaluation depends on the number of distinct sizes S only. A cluster's data row is
    h_j = (1, means of the D - 1 stored columns).

    Attributes
    ----------
    sizes : (S,)
        Rows per cluster, n_s.
    clusters : (S,)
        How many clusters have that size, J_s.
    cross : (S, D, D)
        H_s = Σ_{j in s} h_j h_jᵀ.
    within : (D, D)
        Pooled cross-products about the cluster means; zero in rows of columns that do not vary.
    """

    sizes: Array
    clusters: Array
    cross: Array
    within: Array

    @property
    def n_rows(self) -> float:
        return float(self.sizes @ self.clusters)

    @property
    def n_clusters(self) -> float:
        return float(self.clusters.sum())


@dataclass(frozen=True, slots=True, eq=False)
class RobustClusters:
    """The clusters of a robust covariance: those of the model, or unions of them.

    Attributes
    ----------
    name : str or None
        The column that tells them apart; None where every row is one.
    codes : (J,)
        The robust cluster of each cluster of the model, 0 … G - 1 in the order in which they
        occur first.
    labels : (G,)
    """

    name: str | None
    codes: Index
    labels: NDArray[Any]

    @property
    def same(self) -> bool:
        """Whether they are the model's clusters."""
        return len(self.labels) == len(self.codes)

    @property
    def n_clusters(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class MixedClusters:
    """Robust clusters of a linear mixed model, each reduced to d orthonormal coordinates that
    span its fixed effects' columns and are closed under its working covariance.

    Attributes
    ----------
    working : (G, d, d)
        Φ_j, the covariance that the fitted model implies.
    design : (G, d, p)
        X_j.
    residuals : (G, d)
        y - Xβ̂.
    """

    working: Array
    design: Array
    residuals: Array


@dataclass(frozen=True, slots=True, eq=False)
class ConstraintFunctions:
    """Constraints on the parameters as functions: equalities are 0, inequalities are ≥ 0.

    Attributes
    ----------
    equalities, inequalities : tuple of callables
        params -> (value, gradient (npar,)); analytic, so that complex parameters work.
    lower, upper : (npar,)
        Bounds.
    """

    equalities: tuple[Callable[[NDArray[Any]], tuple[Any, NDArray[Any]]], ...]
    inequalities: tuple[Callable[[NDArray[Any]], tuple[Any, NDArray[Any]]], ...]
    lower: Array
    upper: Array


@dataclass(frozen=True, slots=True, eq=False)
class RandomStarts:
    """Searches from random starts, beside the usual one.

    A search reached the highest maximum ℓ* if its own is ℓ ≥ ℓ* - (10⁻⁶ + 10⁻⁹ |ℓ*|): maxima are
    found to rounding, and what is as high counts wherever it lies (factors have mirror images).

    Attributes
    ----------
    seed : int
        Of the starts.
    usual : float
        The maximum of the usual search; NaN where it found none.
    logliks : (n,)
        Those of the random starts, in their order.
    """

    seed: int
    usual: float
    logliks: Array

    @property
    def best(self) -> float:
        """ℓ*; NaN where no search found a maximum."""
        return max((self.usual, *self.logliks.tolist()), key=lambda each: (each == each, each))

    @property
    def reached(self) -> int:
        """How many of the random starts reached the highest maximum."""
        return sum(as_high(each, self.best) for each in self.logliks.tolist())

    @property
    def alone(self) -> bool:
        """Whether one search of all reached it."""
        return self.reached + as_high(self.usual, self.best) == 1

    def __str__(self) -> str:
        count, found = len(self.logliks), int(np.isfinite(self.logliks).sum())
        plural = "" if count == 1 else "s"
        head = f"{count} random start{plural} (seed {self.seed})"
        if np.isnan(self.best):
            return f"{head}: no search found a maximum."
        said = f"{head}: {self.reached} reached the highest maximum found, {self.best:.3f}"
        if found > self.reached:
            below = [each for each in self.logliks.tolist() if each < self.best]
            highest = max(each for each in below if not as_high(each, self.best))
            said += f"; {found - self.reached} ended at a lower one"
            said += f" ({highest:.3f} at most)"
        if count > found:
            said += f"; {count - found} found none"
        if np.isnan(self.usual):
            said += ". The usual search found none"
        elif not as_high(self.usual, self.best):
            said += f". The usual search ended at {self.usual:.3f}"
        return said + "."


def as_high(loglik: float, best: float) -> bool:
    """Whether a maximum is the highest one, up to rounding."""
    return loglik >= best - (1e-6 + 1e-9 * abs(best))
