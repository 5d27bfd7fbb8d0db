"""An outcome as a predictor and its moderators move it, everything else at its mean; with standard
errors and critical values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Annotated as Shaped

import numpy as np
from scipy.special import chdtrc, chdtri, fdtrc, fdtri

from mlsem.core.records import Array, Index
from mlsem.inference.covariance.groups import placed
from mlsem.inference.covariance.intervals import Wald, critical_values, wald
from mlsem.inference.slopes.equation import Equation, MeanEquation, Points, Source
from mlsem.inference.slopes.spread import Spread

if TYPE_CHECKING:
    from mlsem.inference.covariance.matrix import Covariance

RANK = 1e-8  # singular values of gradients, in standard errors, that are none


@dataclass(frozen=True, slots=True)
class Family:
    """The critical value that holds for all contrasts of a space at once.

    Of Q = gᵀ (C V Cᵀ)⁻¹ g, the joint test of the space, (δ/q) Q ~ F(q, ν): the largest squared t
    of any contrast in it is Q (Scheffé, 1953; of slopes Potthoff, 1964), so that t² is compared
    with q F / δ.

    Attributes
    ----------
    q : int
        Dimensions of the space.
    df : float
        ν; infinite for χ².
    delta : float
        δ; 1 but for Hotelling's T² and Kenward & Roger's F.
    """

    q: int
    df: float
    delta: float

    def critical(self, level: float) -> float:
        """The value that |t| is compared with."""
        if np.isinf(self.df):
            return float(np.sqrt(chdtri(self.q, 1.0 - level)))
        return float(np.sqrt(self.q * fdtri(self.q, self.df, level) / self.delta))

    def pvalue(self, stat: Shaped[Array, "c"]) -> Shaped[Array, "c"]:
        """Of t statistics, adjusted for all contrasts of the space."""
        if np.isinf(self.df):
            return np.asarray(chdtrc(self.q, stat**2), dtype=np.float64)
        return np.asarray(fdtrc(self.q, self.df, self.delta * stat**2 / self.q), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Interaction:
    """What is asked of one group's estimates.

    Attributes
    ----------
    equation : Equation or MeanEquation
        Of the group's own parameters.
    predictor : Source
    moderators : tuple of Source
        Empty where the predictor's own square is meant: the slope then depends on the predictor.
    spreads : mapping of Source to Spread
        Of all that the outcome depends on.
    held : mapping of Source to object
        Where the others are held; factors that are left out have equal weights.
    params : (m,)
        The group's own parameters.
    places : (m,)
        Where they stand among those of all groups.
    centring : mapping of str to str
        How `center=` centred what it did: "cluster" or "grand".
    covariance : Covariance
        Of the parameters of all groups.
    """

    equation: Equation | MeanEquation
    predictor: Source
    moderators: tuple[Source, ...]
    spreads: Mapping[Source, Spread]
    held: Mapping[Source, Any]
    params: Shaped[Array, "m"]
    places: Shaped[Index, "m"]
    centring: Mapping[str, str]
    covariance: Covariance

    def centred(self, source: Source) -> str:
        """Less what mean the values of a variable are that `center=` centred; empty of others."""
        how = self.centring.get(source.name)
        whose = {"cluster": "of its cluster", "grand": "of all", None: ""}[how]
        return f"less the mean {whose}" if whose else ""

    # --- points -------------------------------------------------------------------------------

    def points(self, given: Mapping[Source, Any]) -> Points:
        """Points at these values of some sources, the others where they are held."""
        size = max((np.size(values) for values in given.values()), default=1)
        found = {**self.held, **given}
        return {
            source: np.broadcast_to(_values(values), (size,)) for source, values in found.items()
        }

    # --- numbers ------------------------------------------------------------------------------

    def slope(
        self, given: Mapping[Source, Any]
    ) -> tuple[Shaped[Array, "c"], Shaped[Array, "c npar"]]:
        """The slope of the predictor at c points, and its gradients along all parameters."""
        rows, constant = self.equation.slope(self.points(given), self.predictor)
        return self._of_all(rows, constant)

    def expected(
        self, given: Mapping[Source, Any]
    ) -> tuple[Shaped[Array, "c"], Shaped[Array, "c npar"]]:
        """E(y) at c points."""
        rows, constant = self.equation.level(self.points(given))
        return self._of_all(rows, constant)

    def _of_all(
        self, rows: Shaped[Array, "c m"], constant: Shaped[Array, "c"]
    ) -> tuple[Shaped[Array, "c"], Shaped[Array, "c npar"]]:
        values = rows @ self.params + constant
        return values, placed(rows, self.places, len(self.covariance.matrix))

    def tests(
        self,
        values: Shaped[Array, "c"],
        gradients: Shaped[Array, "c npar"],
        level: float,
        family: Family | None = None,
    ) -> tuple[Wald, Shaped[Array, "c"]]:
        """Tests of 0 with intervals, and the critical value of each; simultaneous ones with a
        family."""
        se, df = self.covariance.of_functions(gradients)
        found = wald(values, se, df, level)
        if family is None:
            return found, critical_values(df, level)
        critical = np.full(len(values), family.critical(level))
        with np.errstate(invalid="ignore"):
            width = np.where(se > 0, critical * se, np.nan)
        return (
            Wald(
                found.est,
                se,
                found.stat,
                found.df,
                family.pvalue(found.stat),
                values - width,
                values + width,
            ),
            critical,
        )

    def family(self, values: Shaped[Array, "c"], gradients: Shaped[Array, "c npar"]) -> Family:
        """Of all contrasts that combine these.

        Raises
        ------
        InferenceError
            Their joint test does not exist.
        """
        matrix = np.nan_to_num(self.covariance.matrix)
        units = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
        _, sizes, rows = np.linalg.svd(gradients * units, full_matrices=False)
        q = int((sizes > RANK * sizes[0]).sum())
        with np.errstate(divide="ignore"):
            basis = rows[:q] * np.where(units > 0.0, 1.0 / units, 0.0)
        reference = self.covariance.reference
        if reference is None or not reference.tests(basis):
            return Family(q, np.inf, 1.0)
        spread = basis @ matrix @ basis.T
        found = reference.joint(np.zeros(q), basis, spread)
        return Family(q, found.df_denom, 1.0 if found.delta is None else found.delta)


def _values(values: Any) -> Any:
    """An array, of objects where they are no numbers."""
    found = np.asarray(values)
    return found.astype(np.float64) if found.dtype.kind in "iufb" else found.astype(object)
