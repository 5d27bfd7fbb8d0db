"""Where a search stopped, and what it says of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal

import numpy as np

from mlsem.core.implied.point import P
from mlsem.core.optimise.objective import Derivatives
from mlsem.core.records import Array

Status = Literal["converged", "max_iter", "stalled", "infeasible", "unbounded", "infinite"]


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
class Restricted:
    """What restricted maximum likelihood says at its maximum.

    Attributes
    ----------
    loglik : float
        ℓ_R.
    root : (npar, n)
        R Rᵀ is the model's covariance of the estimates.
    bread : (npar, n)
        The same by the observed information of ℓ_R, where the optimiser had it.
    lost : (npar, l)
        Directions that the data do not determine there.
    """

    loglik: float
    root: Array
    bread: Array
    lost: Array


@dataclass(frozen=True, slots=True, eq=False)
class Optimum(Generic[P]):
    """Where the optimiser stopped.

    Attributes
    ----------
    point : Point
    free : (npar, n)
        Directions in which the parameters may move there: all, or those that keep the
        constraints.
    at : Derivatives or None
        Along a well-conditioned basis of these, if the optimiser had them.
    observed : (n, n) or None
        Observed information along them, if the optimiser had it.
    status : str
    n_iterations : int
    distance : float
        Length of the remaining step in standard errors.
    curvature : (npar, npar) or None
        Σ λ ∂²c/∂θ∂θᵀ of the active constraints: part of the observed information under them.
    active : tuple of int
        Positions of the active inequalities and bounds (inequalities, lower, upper).
    singular : bool
        Whether the covariance matrices of the random effects were kept positive semidefinite and
        one of them is singular.
    restricted : Restricted or None
        Of a restricted maximum; `point` is then the likelihood itself at the estimates.
    where : str
        The rows or the parameters of a search that will not end.
    starts : RandomStarts or None
        What random starts led to, where they were asked for.
    """

    point: P
    free: Array
    at: Derivatives | None
    observed: Array | None
    status: Status
    n_iterations: int
    distance: float
    curvature: Array | None = None
    active: tuple[int, ...] = ()
    singular: bool = False
    restricted: Restricted | None = None
    where: str = ""
    starts: RandomStarts | None = None

    @property
    def loglik(self) -> float:
        """What was maximised."""
        return self.point.loglik if self.restricted is None else self.restricted.loglik

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
    def params(self) -> Array:
        return self.point.params

    @property
    def converged(self) -> bool:
        return self.status == "converged"


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
