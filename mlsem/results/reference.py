"""The saturated and the baseline model of a fit, for display."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlsem.core.implied.pattern import LevelMoments
from mlsem.data.table.frame import make_series, square_frame
from mlsem.errors import InferenceError
from mlsem.estimation.joint import JointMoments, joint_moments
from mlsem.estimation.problem import Problem
from mlsem.estimation.saturated import saturated_fit
from mlsem.inference.fit.models import FitModels
from mlsem.results.implied import Implied

Kind = Literal["saturated", "baseline"]


@dataclass(frozen=True, eq=False, repr=False)
class ReferenceModel:
    """A model that a fit is compared with; prints as text.

    Attributes
    ----------
    kind : {"saturated", "baseline"}
    loglik : float
        Of auxiliary variables, too, as that of the fit.
    n_params : int
        Without those of auxiliary variables.
    rank : int or None
        Of the saturated covariance matrix between clusters of the variables with a part at both
        levels, given those of level 2; None of the baseline and of a single-level model.
    semidefinite : bool
        Whether that matrix was kept positive semidefinite and is singular. Without the bound the
        likelihood then has no maximum, or it was asked for.
    """

    kind: Kind
    loglik: float
    n_params: int
    rank: int | None
    semidefinite: bool
    _levels: tuple[JointMoments, ...]
    _number: Callable[[int | str], int]

    def implied(self, level: int | str = 1) -> Implied:
        """Covariance matrix and means of a level's observed variables, as `FitResult.implied`."""
        moments = self._levels[self._number(level) - 1]
        cov = square_frame(moments.cov, moments.names)
        return Implied(cov, make_series(moments.mean, moments.names, "mean"))

    def __str__(self) -> str:
        name = f"{self.kind.capitalize()} model"
        lines = [f"{name}: log-likelihood {self.loglik:.3f}, {self.n_params} parameters"]
        if self.semidefinite:
            lines.append(
                f"The covariance matrix between clusters is singular, of rank {self.rank}: it was "
                "kept positive semidefinite."
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<ReferenceModel: {self.kind}, {self.n_params} parameters, {self.loglik:.3f}>"


def saturated_model(models: FitModels, *, semidefinite: bool | None) -> ReferenceModel:
    """h1; see `FitResult.h1`."""
    if semidefinite is None:
        point = models.saturated
    else:
        point = saturated_fit(models.seen, semidefinite=semidefinite)
    two_level = models.estimates.table.two_level
    return ReferenceModel(
        "saturated",
        point.loglik,
        point.n_params - models.seen.table.n_auxiliary,
        point.rank if two_level else None,
        point.singular,
        _joint(models.seen.problem, point.moments),
        models.estimates.table.level_number,
    )


def baseline_model(models: FitModels) -> ReferenceModel:
    """See `FitResult.baseline`."""
    model = models.baseline
    if model is None:
        raise InferenceError(
            "the baseline model has no maximum: a variance between clusters runs off. "
            'bounds="pos.var" keeps those of the model, and of its baseline, from being negative.'
        )
    levels = _joint(model.problem, model.implied)
    number = models.estimates.table.level_number
    return ReferenceModel("baseline", model.loglik, model.n_own_params, None, False, levels, number)


def _joint(problem: Problem, moments: tuple[LevelMoments, ...]) -> tuple[JointMoments, ...]:
    return tuple(
        joint_moments(problem, level, moments[level - 1]).without(problem.table.auxiliary)
        for level in range(1, len(problem.table.levels) + 1)
    )
