"""`FitResult`: a fitted model and what can be asked about the errors of its estimates."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlsem import standard_errors
from mlsem.core.optimize import Optimum
from mlsem.core.records import Array
from mlsem.data.aggregate import DataRecord
from mlsem.data.frame import make_frame, make_series
from mlsem.errors import EstimationWarning, InferenceWarning, OptionValueError, listed
from mlsem.estimate import improper
from mlsem.fitted import Fitted, square_frame
from mlsem.inference.covariance import Covariance, meat
from mlsem.problem import Problem
from mlsem.spec.settings import Settings, se_kind
from mlsem.tables import implied_moments

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Implied:
    """Implied moments of a level's observed variables.

    Attributes
    ----------
    cov : DataFrame
    mean : Series
    """

    cov: pd.DataFrame
    mean: pd.Series


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(Fitted):
    """A fitted model. Nothing in it changes; `with_se` gives a new one.

    Attributes: see `Fitted`.
    """

    def with_se(self, kind: str, *, test: str | None = None) -> FitResult:
        """The same estimates with other standard errors; nothing is fitted again.

        Parameters
        ----------
        kind : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "none"}
        test : {"t", "z"}, optional
            As for `fit`.
        """
        settings = replace(self.settings, se=se_kind(kind), test=test)
        found, doubts = _covariance(self.problem, settings, self.optimum, self.record.is_clustered)
        return replace(self, settings=settings, covariance=found, doubts=doubts)

    def scores(self) -> pd.DataFrame:
        """∂ℓ_j/∂θ of every cluster (of every row, without `cluster=`), (J, npar)."""
        columns = zip(self.table.names, self._scores().T, strict=True)
        return make_frame(dict(columns), self.problem.moments.labels)

    def _scores(self) -> Array:
        return standard_errors.scores_along(
            self.problem, self.optimum, np.eye(len(self.table.names))
        )

    def information(
        self, kind: Literal["expected", "observed", "first_order"] = "observed"
    ) -> pd.DataFrame:
        """Information matrix of the free parameters at the estimates, in total (not per row).

        Parameters
        ----------
        kind : {"expected", "observed", "first_order"}
            E(-∂²ℓ/∂θ∂θᵀ), -∂²ℓ/∂θ∂θᵀ, or Σ_j s_j s_jᵀ.
        """
        names = self.table.names
        if kind == "first_order":
            return square_frame(meat(self._scores()), names)
        if kind not in ("expected", "observed"):
            choices = listed(("expected", "observed", "first_order"))
            raise OptionValueError(f"information kind {kind!r} is not one of {choices}.")
        identity = np.eye(len(names))
        found = standard_errors.information_along(self.problem, self.optimum, identity, kind)
        return square_frame(found, names)

    def implied(self, level: int | str = 1) -> Implied:
        """Implied covariance matrix and means of a level's observed variables.

        Fixed covariates take part with their sample moments.

        Parameters
        ----------
        level : int or str
            1 or 2, or the level's label in the model.
        """
        number = self.table.level_number(level)
        names, cov, mean = implied_moments(self.problem, self.optimum, number)
        return Implied(square_frame(cov, names), make_series(mean, names, "mean"))


def assemble(
    model: str, settings: Settings, problem: Problem, record: DataRecord, optimum: Optimum
) -> FitResult:
    """The result of an optimum, with warnings about the estimates."""
    complaint = improper(problem, optimum) if optimum.converged else ""
    if complaint:
        warnings.warn(complaint, EstimationWarning, stacklevel=4)
    found, doubts = _covariance(problem, settings, optimum, record.is_clustered)
    return FitResult(model, settings, problem, record, optimum, found, doubts)


def _covariance(
    problem: Problem, settings: Settings, optimum: Optimum, clustered: bool
) -> tuple[Covariance, tuple[str, ...]]:
    found, doubts = standard_errors.covariance_of(problem, settings, optimum, clustered=clustered)
    if doubts:
        warnings.warn("\n".join(doubts), InferenceWarning, stacklevel=5)
    return found, doubts
