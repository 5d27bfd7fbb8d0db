"""New data sets as cluster moments: clusters drawn again, and draws from a fitted model.

A data set drawn from the model enters the likelihood through its moments only, so these are drawn
themselves, at a cost that does not grow with the number of rows. With the covariates fixed, a
cluster of n rows has independent means and deviations. The means are

    (ȳ, z) ~ N(μ(h), [[Σ_uu + Σ_W / n, Σ_uz], [Σ_zu, Σ_zz]]),

positive definite wherever the likelihood exists, also where Σ_B is not. For the deviations let
X = Q R be the covariates' in the cluster, (n, k) of rank r, Q orthonormal; S_xx = RᵀR. Of the
residuals E ~ N(0, I ⊗ Σ_W) about their mean, Z = QᵀE holds r rows of N(0, Σ_W), and what is
orthogonal to X is independent of it, a Wishart matrix of the n - 1 - r degrees left:

    Y = R Πᵀ + Z,     S_xy = RᵀY,     S_yy = YᵀY + W,     W ~ Wishart(n - 1 - r, Σ_W).

W = (L A)(L A)ᵀ with Σ_W = L Lᵀ and A lower trapezoidal, A_ii² ~ χ²(df - i + 1), A_ij ~ N(0, 1) in
the first df columns (Bartlett, 1933); with fewer degrees than variables that still holds.

With random slopes the means are not all that the random effects move: see `slope_draws`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.linalg import cholesky
from mlsem.core.records import Array, ClusterRecord, Index, frozen
from mlsem.core.sample.moments import require_unweighted
from mlsem.errors import InferenceError

COLLINEAR = 1e-10  # share of a sum of squares that counts as none left
CONSTANT = 1e-20  # the same, of the mean sum of squares over clusters

R = TypeVar("R", bound=ClusterRecord)


class DataSource(Protocol):
    """What draws data sets from a model, of one group or of several."""

    def draw(self, generator: np.random.Generator) -> Any:
        """Moments of a data set, the covariates held fixed."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Sampler(ABC, Generic[R]):
    """All that draws from one model at one point share.

    Attributes
    ----------
    moments : ClusterMoments or CellMoments
        The data whose covariates, counts and labels the draws keep.
    outcomes : (m,)
        Stored columns of the outcomes: of level 1, then of level 2 only.
    """

    moments: R
    outcomes: Shaped[Index, "m"]

    def __post_init__(self) -> None:
        require_unweighted(
            self.moments,
            "the model says how one row and one cluster vary, so no data of weighted ones can be "
            "drawn from it. Resample clusters instead.",
        )

    @abstractmethod
    def draw(self, generator: np.random.Generator) -> R:
        """Moments of a data set drawn from the model, its covariates held fixed."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredOutcomes:
    """The m outcomes as stored columns, v = T c + rest h.

    An outcome is a stored column of its own plus, if it is a product of shifted factors, other
    columns. So the stored c are drawn with mean T⁻¹(μ - rest h) and covariance T⁻¹ V T⁻ᵀ.

    Attributes
    ----------
    columns : (m,)
        Of level 1, then of level 2 only, then of level 3 only.
    unmix : (m, m)
        T⁻¹; an outcome of level 2 has no part in which one of level 1 is.
    rest : (m, D)
    """

    columns: Shaped[Index, "m"]
    unmix: Shaped[Array, "m m"]
    rest: Shaped[Array, "m D"]


@dataclass(frozen=True, slots=True, eq=False)
class Deviations:
    """How cross-products of rows of covariance Σ_W are drawn, of k covariates and p outcomes.

    Attributes
    ----------
    covariates, outcomes : (k,), (p,)
        Their stored columns. Columns that no outcome owns count as covariates.
    factor : (J, k, k)
        R, its rows zero beyond the rank.
    explained : (J, k, p)
        R Πᵀ.
    ranked : (J, k, 1)
        1 for the rows of R that are not zero, else 0.
    degrees : (J,)
        Rows less r: n - 1 - r where the rows are deviations from the mean.
    scale : (p, p)
        L, of the stored outcomes; (J, p, p) where clusters differ.
    """

    covariates: Shaped[Index, "k"]
    outcomes: Shaped[Index, "p"]
    factor: Shaped[Array, "J k k"]
    explained: Shaped[Array, "J k p"]
    ranked: Shaped[Array, "J k 1"]
    degrees: Shaped[Array, "J"]
    scale: Shaped[Array, "... p p"]


def stored_outcomes(pattern: ModelPattern, columns: tuple[str, ...]) -> StoredOutcomes:
    """The outcomes of all levels, each with the stored column that bears its name."""
    if pattern.classes > 1:
        return _stored_outcome(pattern)
    parts = zip(pattern.levels, _first_own(pattern), strict=False)
    responses = np.concatenate([level.responses[first:] for level, first in parts])
    own = _own_columns(pattern, columns)
    unmix: Array = np.asarray(np.linalg.inv(responses[:, own + 1]), dtype=np.float64)
    rest = responses.copy()
    rest[:, own + 1] = 0.0
    return StoredOutcomes(own, frozen(unmix), frozen(rest))


def _stored_outcome(pattern: ModelPattern) -> StoredOutcomes:
    """The one outcome of rows of several classes, a stored column."""
    rest = pattern.within.responses[:1].copy()
    own = np.flatnonzero(rest[0, 1:])
    unmix = 1.0 / rest[:, own + 1]
    rest[0, own + 1] = 0.0
    return StoredOutcomes(own, frozen(unmix), frozen(rest))


def drawable(covariances: Shaped[Array, "S m m"]) -> Shaped[Array, "S m m"]:
    """Lower Cholesky factors of the clusters' covariances.

    Raises
    ------
    InferenceError
        One is not positive definite.
    """
    scale = cholesky(covariances)
    if scale is None:
        raise InferenceError(
            "the implied covariance matrix of the cluster means is singular at these parameters, "
            "so that nothing can be drawn from the model."
        )
    return scale


def _own_columns(pattern: ModelPattern, columns: tuple[str, ...]) -> Shaped[Index, "m"]:
    """The stored column that bears the name of each outcome, (m,)."""
    names: list[str] = []
    for level, first in zip(pattern.levels, _first_own(pattern), strict=False):
        own: list[int] = level.observed[first:].tolist()
        names += [level.names[k] for k in own]
    return np.array([columns.index(name) for name in names], dtype=np.intp)


def _first_own(pattern: ModelPattern) -> tuple[int, int, int]:
    """From which observed row on a level has variables that are not of a lower one."""
    return 0, pattern.split, len(pattern.raised)


def deviations(
    cross: Shaped[Array, "J V V"],
    rows: Shaped[Index, "J"],
    outcomes: Shaped[Index, "p"],
    slopes: Shaped[Array, "p V"],
    scale: Shaped[Array, "... p p"],
    squares: Shaped[Array, "J V"] | None = None,
) -> Deviations:
    """Prepare draws of cross-products.

    Parameters
    ----------
    cross : (J, V, V)
        Cross-products of the data.
    rows : (J,)
        Of how many rows, at most, they can be the cross-products.
    outcomes : (p,)
        Positions of the outcomes among the V columns.
    slopes : (p, V)
        Π, of the stored outcomes.
    scale : (p, p) or (J, p, p)
        L, of the stored outcomes.
    squares : (J, V), optional
        See `semidefinite_factor`.
    """
    columns: int = cross.shape[1]
    covariates = np.setdiff1d(np.arange(columns), outcomes)
    given = None if squares is None else squares[:, covariates]
    factor, ranked = semidefinite_factor(cross[:, covariates[:, None], covariates], rows, given)
    return Deviations(
        covariates=covariates,
        outcomes=outcomes,
        factor=frozen(factor),
        explained=frozen(factor @ slopes[:, covariates].T),
        ranked=frozen(ranked[:, :, None].astype(np.float64)),
        degrees=frozen(rows - ranked.sum(axis=1, dtype=np.float64)),
        scale=frozen(scale),
    )


def semidefinite_factor(
    stack: Shaped[Array, "J k k"],
    most: Shaped[Index, "J"],
    squares: Shaped[Array, "J k"] | None = None,
) -> tuple[Shaped[Array, "J k k"], Shaped[NDArray[np.bool_], "J k"]]:
    """R of each S = RᵀR, positive semidefinite, and which of its rows are not zero.

    Cholesky's rows one by one, for all matrices at once. A variable that those before it explain
    has a zero row: within a cluster, a product with a level-2 variable always is such a one.

    Parameters
    ----------
    stack : (J, k, k)
    most : (J,)
        The largest possible ranks.
    squares : (J, k), optional
        The sums of squares before something was taken off: what is left of a variable is none by
        its share of these. Of `stack` itself by default.

    Returns
    -------
    factor : (J, k, k)
        Upper triangular.
    ranked : (J, k) of bool
    """
    rest = stack.copy()
    factor = np.zeros_like(stack)
    ranked = np.zeros(stack.shape[:2], dtype=bool)
    squares = np.diagonal(stack, axis1=1, axis2=2) if squares is None else squares
    least = COLLINEAR * squares + CONSTANT * squares.mean(axis=0)
    for k in range(stack.shape[1]):
        pivot = rest[:, k, k]
        ranked[:, k] = (pivot > least[:, k]) & (ranked.sum(axis=1) < most)
        length = np.sqrt(np.where(ranked[:, k], pivot, 1.0))
        factor[:, k, k:] = ranked[:, k, None] * rest[:, k, k:] / length[:, None]
        rest -= factor[:, k, :, None] * factor[:, k, None, :]
    return factor, ranked


def drawn_products(
    at: Deviations, generator: np.random.Generator
) -> tuple[Shaped[Array, "J k p"], Shaped[Array, "J p p"]]:
    """S_xy (J, k, p) and S_yy (J, p, p)."""
    scores = generator.standard_normal(at.explained.shape) @ at.scale.swapaxes(-1, -2)  # Z
    outcomes = at.explained + at.ranked * scores
    left = wishart(at.degrees, at.scale, generator)
    return at.factor.swapaxes(1, 2) @ outcomes, outcomes.swapaxes(1, 2) @ outcomes + left


def with_products(
    within: Shaped[Array, "J V V"],
    at: Deviations,
    across: Shaped[Array, "J k p"],
    own: Shaped[Array, "J p p"],
) -> Shaped[Array, "J V V"]:
    """Cross-products (J, V, V) with those of the outcomes new."""
    x, y = at.covariates, at.outcomes
    drawn = within.copy()
    drawn[:, x[:, None], y] = across
    drawn[:, y[:, None], x] = across.swapaxes(1, 2)
    drawn[:, y[:, None], y] = own
    return drawn


def wishart(
    degrees: Shaped[Array, "J"], scale: Shaped[Array, "... p p"], generator: np.random.Generator
) -> Shaped[Array, "J p p"]:
    """One Wishart matrix L A Aᵀ Lᵀ for each of the degrees of freedom, also for few, (J, p, p).

    Parameters
    ----------
    degrees : (J,)
        Whole numbers from 0.
    scale : (p, p) or (J, p, p)
        L.
    """
    size: int = scale.shape[-1]
    left = np.maximum(degrees[:, None] - np.arange(size), 0.0)
    bartlett = np.zeros((len(degrees), size, size))
    rows, cols = np.tril_indices(size, -1)
    bartlett[:, rows, cols] = generator.standard_normal((len(degrees), len(rows)))
    bartlett *= (left > 0.0)[:, None, :]
    bartlett[:, np.arange(size), np.arange(size)] = np.sqrt(
        2.0 * generator.standard_gamma(left / 2.0)
    )
    half = scale @ bartlett
    return half @ half.swapaxes(1, 2)
