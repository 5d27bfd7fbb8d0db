"""The saturated and the baseline model of a fit, for display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mlsem.core.implied.pattern import LevelMoments
from mlsem.data.table.frame import make_series, square_frame
from mlsem.errors import InferenceError
from mlsem.estimation.joint import JointMoments, joint_moments
from mlsem.estimation.problem import Problem
from mlsem.estimation.saturated import saturated_fit
from mlsem.inference.fit.models import FitModels
from mlsem.results.groups import by_label
from mlsem.results.implied import Implied

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mlsem.model.table import ParameterTable

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
    rank : int, dict or None
        Of the saturated covariance matrix between clusters of the variables with a part at both
        levels, given those of level 2; of several groups by their labels. None of the baseline
        and of a single-level model.
    semidefinite : bool
        Whether that matrix, or that of some group, was kept positive semidefinite and is singular.
        Without the bound the likelihood then has no maximum, or it was asked for.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("demo_twolevel")
    >>> model = "level: 1; fw =~ y1 + y2 + y3; level: 2; fb =~ y1 + y2 + y3"
    >>> fit = mlsem.fit(model, data, cluster="cluster")
    >>> found = fit.h1()
    >>> found
    <ReferenceModel: saturated, 15 parameters, -12513.702>
    >>> round(found.loglik, 1)
    -12513.7
    """

    kind: Kind
    loglik: float
    n_params: int
    rank: int | dict[Hashable, int] | None
    semidefinite: bool
    _groups: tuple[tuple[JointMoments, ...], ...]
    _singular: tuple[tuple[Hashable, int], ...]
    _table: ParameterTable

    def implied(self, level: int | str = 1, group: Hashable = None) -> Any:
        """Covariance matrix and means of a level's observed variables, as `FitResult.implied`.

        Parameters
        ----------
        level : int or str, default 1
            The level.
        group : str or number, optional
            A group by its label or number. Default: all.

        Returns
        -------
        Implied
            Of several groups a mapping of these by the groups' labels.

        Raises
        ------
        OptionValueError
            There is no such level or group.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("demo_twolevel")
        >>> model = "level: 1; fw =~ y1 + y2 + y3; level: 2; fb =~ y1 + y2 + y3"
        >>> fit = mlsem.fit(model, data, cluster="cluster")
        >>> fit.h1().implied(level=2).cov.round(2)
              y1    y2    y3
        y1  0.95  0.64  0.52
        y2  0.64  0.58  0.37
        y3  0.52  0.37  0.45
        """
        table, number = self._table, self._table.level_number(level)
        if group is not None:
            return _implied(self._groups[table.group_number(group) - 1][number - 1])
        found = [_implied(levels[number - 1]) for levels in self._groups]
        if not table.groups:
            return found[0]
        labels = [each.label for each in table.groups]
        return by_label(labels, found)

    def __str__(self) -> str:
        name = f"{self.kind.capitalize()} model"
        lines = [f"{name}: log-likelihood {self.loglik:.3f}, {self.n_params} parameters"]
        for label, rank in self._singular:
            where = "" if label is None else f" of group {label!r}"
            lines.append(
                f"The covariance matrix between clusters{where} is singular, of rank {rank}: it "
                "was kept positive semidefinite."
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<ReferenceModel: {self.kind}, {self.n_params} parameters, {self.loglik:.3f}>"


def _implied(moments: JointMoments) -> Implied:
    cov = square_frame(moments.cov, moments.names)
    return Implied(cov, make_series(moments.mean, moments.names, "mean"))


def saturated_model(models: FitModels, *, semidefinite: bool | None) -> ReferenceModel:
    """h1; see `FitResult.h1`."""
    if semidefinite is None:
        point = models.saturated
    else:
        point = saturated_fit(models.seen, semidefinite=semidefinite)
    table, labels = models.seen.table, [group.label for group in models.seen.groups]
    ranks = [each.rank for each in point.groups]
    singular = [
        (label, each.rank)
        for label, each in zip(labels, point.groups, strict=True)
        if each.singular
    ]
    rank = None
    if table.two_level:
        rank = dict(zip(labels, ranks, strict=True)) if table.groups else ranks[0]
    return ReferenceModel(
        "saturated",
        point.loglik,
        point.n_params - table.n_auxiliary,
        rank,
        bool(singular),
        tuple(_joint(each.problem, each.moments) for each in point.groups),
        tuple(singular),
        table,
    )


def baseline_model(models: FitModels) -> ReferenceModel:
    """See `FitResult.baseline`."""
    model = models.baseline
    if model is None:
        raise InferenceError(
            "the baseline model has no maximum: a variance between clusters runs off. "
            'bounds="pos.var" keeps those of the model, and of its baseline, from being negative.'
        )
    own = [group.estimates for group in model.groups]
    levels = tuple(_joint(each.problem, each.implied) for each in own)
    table, count = models.estimates.table, model.n_own_params
    return ReferenceModel("baseline", model.loglik, count, None, False, levels, (), table)


def _joint(problem: Problem, moments: tuple[LevelMoments, ...]) -> tuple[JointMoments, ...]:
    return tuple(
        joint_moments(problem, level, moments[level - 1]).without(problem.table.auxiliary)
        for level in range(1, len(problem.table.levels) + 1)
    )
