"""Where a search stopped, and what it says of that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Annotated as Shaped
from typing import Generic, Literal

import numpy as np

from mlsem.core.arrow import Arrow, dense
from mlsem.core.implied.point import P
from mlsem.core.optimise.objective import D, Derivatives
from mlsem.core.records import Array

Reason = Literal["max_iter", "stalled", "infeasible", "unbounded", "infinite"]
Status = Literal["converged"] | Reason

ADVICE: dict[str, str] = {
    "converged": "the optimiser converged",
    "max_iter": "the optimiser reached max_iter={max_iter} iterations before the optimum; "
    "raise max_iter, or give starting values (start=)",
    "stalled": "the optimiser could not improve the log-likelihood although the gradient is not "
    "zero; simplify the model (a between variance near zero is the usual cause), try "
    'bounds="pos.var", or give starting values (start=)',
    "infeasible": "the optimiser found no parameter values that meet the constraints; check that "
    "they can hold together, or give starting values (start=) that meet them",
    "unbounded": "the likelihood has no maximum: it grows without bound as the covariance matrix "
    "that the model implies for {where} becomes singular. Simplify the model where a variance is "
    'negative, leave out these rows, or fit with bounds="wide"',
    "infinite": "the log-likelihood still rises, ever more slowly, as parameters run to infinity: "
    "{where}. A variance near zero is the usual cause: simplify the model, or fit with "
    'bounds="wide"',
}


@dataclass(frozen=True, slots=True, eq=False)
class Optimum(ABC, Generic[P]):
    """Where a search stopped: at a `Maximum`, of which there are several sorts, or `Stopped`.

    Attributes
    ----------
    point : Point
    free : (npar, n)
        Directions in which the parameters may move there: all, or those that keep the
        constraints.
    n_iterations : int
    distance : float
        Length of the remaining step in standard errors.
    starts : RandomStarts or None
        What random starts led to, where they were asked for.
    """

    point: P
    free: Shaped[Array, "npar n"]
    n_iterations: int
    distance: float
    starts: RandomStarts | None = field(default=None, kw_only=True)

    @property
    @abstractmethod
    def status(self) -> Status:
        """How the search ended."""

    @property
    @abstractmethod
    def loglik(self) -> float:
        """What was maximised, there."""

    @property
    def where(self) -> str:
        """The rows or the parameters of a search that will not end."""
        return ""

    @property
    def active(self) -> tuple[int, ...]:
        """Positions of the active inequalities and bounds (inequalities, lower, upper)."""
        return ()

    @property
    def singular(self) -> bool:
        """Whether the covariance matrices of the random effects were kept positive semidefinite
        and one of them is singular."""
        return False

    @property
    def last(self) -> float:
        """ℓ where the search ended; NaN where this says nothing: at parameters that break the
        constraints, or on the way to infinity or to a matrix that is singular."""
        return self.loglik if self.status in ("converged", "max_iter", "stalled") else float("nan")

    @property
    def maximum(self) -> float:
        """ℓ at the maximum; NaN where none was reached."""
        return self.loglik if self.converged else float("nan")

    @property
    def params(self) -> Shaped[Array, "... npar"]:
        return self.point.params

    @property
    def converged(self) -> bool:
        return self.status == "converged"

    def lagrangian(
        self, observed: Shaped[Array, "... n n"] | Arrow, basis: Shaped[Array, "npar n"]
    ) -> Shaped[Array, "... n n"] | Arrow:
        """Observed information of the Lagrangian by that of ℓ, both along `basis` (npar, n)."""
        return observed

    def stopped(self, reason: Reason, where: str = "") -> Stopped[P]:
        """The same place, as that of a search that failed."""
        return Stopped(
            self.point,
            self.free,
            self.n_iterations,
            self.distance,
            reason,
            where,
            value=self.loglik,
            held=self.active,
            flat=self.singular,
            starts=self.starts,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Maximum(Optimum[P]):
    """A maximum, of which nothing more is known."""

    @property
    def status(self) -> Status:
        return "converged"

    @property
    def loglik(self) -> float:
        return self.point.loglik

    def with_derivatives(
        self, at: Derivatives, observed: Shaped[Array, "n n"] | Arrow | None
    ) -> Maximum[P]:
        """With what was computed there, if the observed information was."""
        if observed is None:
            return self
        return Stationary(self.point, self.free, self.n_iterations, self.distance, at, observed)

    def at_boundary(self) -> Maximum[P]:
        """As one with a singular covariance matrix of the random effects."""
        return Boundary(self.point, self.free, self.n_iterations, self.distance)


@dataclass(frozen=True, slots=True, eq=False)
class Stationary(Maximum[P], Generic[P, D]):
    """A maximum at which the gradient along the free directions is zero.

    Attributes
    ----------
    at : Derivatives
        Along a well-conditioned basis of these.
    observed : (n, n)
        Observed information along them.
    flat : bool
        Whether a covariance matrix of the random effects is singular all the same.
    """

    at: D
    observed: Shaped[Array, "... n n"] | Arrow
    flat: bool = False

    @property
    def singular(self) -> bool:
        return self.flat

    def at_boundary(self) -> Maximum[P]:
        return replace(self, flat=True)


@dataclass(frozen=True, slots=True, eq=False)
class Boundary(Maximum[P]):
    """A maximum over positive semidefinite covariances of the random effects at which one of them
    is singular: the gradient is not zero there, and the observed information no curvature."""

    @property
    def singular(self) -> bool:
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Constrained(Maximum[P]):
    """A maximum under inequalities, bounds or nonlinear equalities.

    Attributes
    ----------
    held : tuple of int
        `active`.
    curvature : (npar, npar)
        Σ λ ∂²c/∂θ∂θᵀ of the active constraints: part of the observed information under them.
    """

    held: tuple[int, ...]
    curvature: Shaped[Array, "npar npar"]

    @property
    def active(self) -> tuple[int, ...]:
        return self.held

    def lagrangian(
        self, observed: Shaped[Array, "... n n"] | Arrow, basis: Shaped[Array, "npar n"]
    ) -> Shaped[Array, "... n n"] | Arrow:
        if not self.curvature.any():
            return observed
        return dense(observed) - basis.T @ self.curvature @ basis


@dataclass(frozen=True, slots=True, eq=False)
class RestrictedMaximum(Maximum[P]):
    """A maximum of the restricted likelihood ℓ_R; `point` is the likelihood itself there.

    Attributes
    ----------
    value : float
        ℓ_R.
    root : (npar, n)
        R Rᵀ is the model's covariance of the estimates.
    bread : (npar, n)
        The same by the observed information of ℓ_R, where the optimiser had it.
    lost : (npar, l)
        Directions that the data do not determine there.
    flat : bool
        `singular`.
    """

    value: float
    root: Shaped[Array, "npar n"]
    bread: Shaped[Array, "npar n"]
    lost: Shaped[Array, "npar l"]
    flat: bool

    @property
    def loglik(self) -> float:
        return self.value

    @property
    def singular(self) -> bool:
        return self.flat


@dataclass(frozen=True, slots=True, eq=False)
class Stopped(Optimum[P]):
    """Where a search failed.

    Attributes
    ----------
    reason : str
        `status`.
    details : str
        `where`.
    value : float or None
        What was maximised; None: ℓ at the point.
    held : tuple of int
        `active`.
    flat : bool
        `singular`.
    """

    reason: Reason
    details: str = ""
    value: float | None = None
    held: tuple[int, ...] = ()
    flat: bool = False

    @property
    def status(self) -> Status:
        return self.reason

    @property
    def loglik(self) -> float:
        return self.point.loglik if self.value is None else self.value

    @property
    def where(self) -> str:
        return self.details

    @property
    def active(self) -> tuple[int, ...]:
        return self.held

    @property
    def singular(self) -> bool:
        return self.flat


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
    logliks: Shaped[Array, "k"]

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
