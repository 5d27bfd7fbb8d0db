"""Residual moments of the levels, with standard errors, z values and p values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy.special import ndtr

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_series, square_frame
from mlsem.errors import OptionValueError, listed, nearest
from mlsem.estimation.estimates import GroupEstimates
from mlsem.estimation.joint import JointMoments
from mlsem.estimation.saturated import SaturatedPoint
from mlsem.inference.fit.models import FitModels
from mlsem.inference.fit.residual_tests import Roots, residual_errors, residual_roots
from mlsem.inference.fit.residuals import correlations, level_residuals, root_mean_square
from mlsem.inference.fit.run import require_estimates
from mlsem.other_programs.answering import Answering
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import square_table
from mlsem.results.groups import by_label

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

Kind = Literal["raw", "standardized", "cor.bentler", "cor.bollen"]


@dataclass(frozen=True, eq=False, repr=False)
class ResidualMoments(Exported, Answering):
    """Residuals of the moments of one level; prints as text.

    Attributes
    ----------
    kind : {"raw", "standardized", "cor.bentler", "cor.bollen"}
    level : int
    srmr : float
        Root mean square of the correlation residuals of the level, as in `fit_measures` (which
        has the mean of those of several groups).
    group : hashable
        The label of the group in the data; None where there is one.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.sem("y ~ x1; w1 ~ x1; y ~~ 0*w1", data, meanstructure=True)
    >>> found = fit.residuals()
    >>> found.cov.abs().round(2)
           y    w1   x1
    y   0.00  0.29  0.0
    w1  0.29  0.00  0.0
    x1  0.00  0.00  0.0
    >>> statistics = found.cov_se, found.cov_z, found.cov_pvalue
    >>> [round(float(each.loc["y", "w1"]), 2) for each in statistics]
    [0.07, 4.48, 0.0]
    >>> found.mean.abs().round(2).tolist()
    [0.0, 0.0, 0.0]
    >>> means = found.mean_se, found.mean_z, found.mean_pvalue
    >>> [each.name for each in means]
    ['se', 'z', 'pvalue']
    """

    kind: Kind
    level: int
    srmr: float
    _names: tuple[str, ...]
    _cov: tuple[Array, Array]
    _mean: tuple[Array, Array]
    group: Hashable = None

    @property
    def cov(self) -> pd.DataFrame:
        """Of (co)variances or correlations; z values where standardized."""
        return square_frame(self._values(self._cov), self._names)

    @property
    def mean(self) -> pd.Series:
        """Of means, for "cor.bentler" over the standard deviation."""
        return make_series(self._values(self._mean), self._names, "mean")

    @property
    def cov_se(self) -> pd.DataFrame:
        """Standard errors; NaN where the model reproduces the moment whatever the data."""
        return square_frame(self._cov[1], self._names)

    @property
    def mean_se(self) -> pd.Series:
        return make_series(self._mean[1], self._names, "se")

    @property
    def cov_z(self) -> pd.DataFrame:
        """Residuals in standard errors: N(0, 1) in a right model."""
        return square_frame(self._cov[0] / self._cov[1], self._names)

    @property
    def mean_z(self) -> pd.Series:
        return make_series(self._mean[0] / self._mean[1], self._names, "z")

    @property
    def cov_pvalue(self) -> pd.DataFrame:
        """Two-sided."""
        return square_frame(_tail(self._cov[0] / self._cov[1]), self._names)

    @property
    def mean_pvalue(self) -> pd.Series:
        return make_series(_tail(self._mean[0] / self._mean[1]), self._names, "pvalue")

    def _values(self, pair: tuple[Array, Array]) -> Array:
        value, se = pair
        return value / se if self.kind == "standardized" else value

    def __str__(self) -> str:
        table = self.cov.round(3)
        where = f"level {self.level}{self._of_group}"
        lines = [f"Residuals ({self.kind}) of {where}:", table.to_string()]
        if np.any(self._mean[0]):
            lines += ["Means:", self.mean.round(3).to_frame().T.to_string()]
        return "\n".join([*lines, f"SRMR {self.srmr:.3f}"])

    def _grid(self) -> Grid:
        means = self._values(self._mean) if np.any(self._mean[0]) else ()
        legend = f"SRMR {self.srmr:.3f}"
        table = square_table(self._names, self._values(self._cov), means, legend=legend)
        return Grid(f"Residuals ({self.kind}) of level {self.level}{self._of_group}", (table,))

    def __repr__(self) -> str:
        where = f"level {self.level}{self._of_group}"
        return f"<ResidualMoments: {self.kind}, {where}, SRMR {self.srmr:.3f}>"

    @property
    def _of_group(self) -> str:
        return "" if self.group is None else f" of group {self.group!r}"


def _tail(z: Array) -> Array:
    return 2.0 * np.asarray(ndtr(-np.abs(z)), dtype=np.float64)


def residuals_of(models: FitModels, kind: object, level: int | str | None, group: Hashable) -> Any:
    """What `FitResult.residuals` returns, which says what the arguments are."""
    table = models.estimates.table
    labels = [each.label for each in table.groups]
    levels = tuple(range(1, len(table.levels) + 1))
    groups = tuple(range(1, max(len(labels), 1) + 1))
    if level is not None:
        levels = (table.level_number(level),)
    if group is not None:
        groups = (table.group_number(group),)
    found = [
        dict(zip(table.level_labels, own, strict=True)) if len(own) > 1 else own[0]
        for own in residual_moments(models, kind, levels, groups)
    ]
    if group is not None or not labels:
        return found[0]
    return by_label(labels, found)


@quiet
def residual_moments(
    models: FitModels, kind: object, levels: tuple[int, ...], groups: tuple[int, ...]
) -> list[list[ResidualMoments]]:
    """Of some levels of some groups; see `FitResult.residuals`."""
    if kind not in get_args(Kind):
        raise OptionValueError(
            f"kind={kind!r}: it takes one of {listed(get_args(Kind))}."
            + nearest(str(kind), get_args(Kind))
        )
    require_estimates(models.estimates)
    roots = residual_roots(
        models.seen, models.saturated, robust=models.robust, factor=models.factor, wanted=groups
    )
    return [
        [_of_level(*models.groups[k - 1], own, level, kind) for level in levels]  # type: ignore[arg-type]
        for k, own in zip(groups, roots, strict=True)
    ]


def _of_level(
    group: GroupEstimates, saturated: SaturatedPoint, roots: Roots, level: int, kind: Kind
) -> ResidualMoments:
    found, table = level_residuals(group.estimates, saturated, level), group.estimates.table
    size = len(found.mean)
    cells = np.tril_indices(size)

    def raw(moments: JointMoments) -> Array:
        return np.concatenate((moments.cov[cells], moments.mean))

    def correlated(moments: JointMoments) -> Array:
        return np.concatenate((correlations(moments.cov)[cells], moments.mean))

    bollen = kind == "cor.bollen"
    errors = residual_errors(saturated, roots, level, correlated if bollen else raw)
    se, mean_se = np.full((size, size), np.nan), errors[len(cells[0]) :]
    se[cells] = errors[: len(cells[0])]
    se.T[cells] = errors[: len(cells[0])]
    cov, mean = found.cov, found.mean
    if not table.meanstructure:
        mean_se = np.full(size, np.nan)
    if kind == "cor.bentler":
        scale = found.scale
        cov, mean = found.bentler, found.standardized_mean
        se, mean_se = se / np.outer(scale, scale), mean_se / scale
    elif bollen:
        cov = found.bollen
        np.fill_diagonal(se, np.nan)
    means = found.standardized_mean if table.meanstructure else None
    srmr = found.srmr if table.multilevel else root_mean_square(found.bentler, means)
    names = found.saturated.names
    return ResidualMoments(kind, level, srmr, names, (cov, se), (mean, mean_se), group.label)
