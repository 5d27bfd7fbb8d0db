"""Implied moments, for display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsem.data.table.frame import make_series, square_frame
from mlsem.other_programs.answering import Answering
from mlsem.report.export.exported import Exported
from mlsem.results.tables import implied_moments

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.problem import Problem
    from mlsem.report.export.grid import Grid


@dataclass(frozen=True, eq=False)
class Implied(Exported, Answering):
    """Implied moments of a level's observed variables; prints as text.

    Attributes
    ----------
    cov : DataFrame
    mean : Series

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.implied(level=1)
    >>> found.cov.round(2)
              y    x1  w1:x1
    y      1.57  0.50   0.18
    x1     0.50  0.91  -0.10
    w1:x1  0.18 -0.10   0.80
    """

    cov: pd.DataFrame
    mean: pd.Series

    def __str__(self) -> str:
        cov, means = self.cov.round(3), self.mean.round(3).to_frame().T
        return f"Covariances:\n{cov.to_string()}\nMeans:\n{means.to_string()}"

    def _grid(self) -> Grid:
        from mlsem.report.export.grid import Grid
        from mlsem.report.table import square_table

        names = [str(name) for name in self.mean.index]
        table = square_table(names, self.cov.to_numpy().tolist(), self.mean.tolist())
        return Grid("Implied covariances and means", (table,))


def implied_by(estimates: Estimates[Problem], level: int) -> Implied:
    """By the estimates of one group."""
    found = implied_moments(estimates, level)
    mean = make_series(found.mean, found.names, "mean")
    return Implied(square_frame(found.cov, found.names), mean)
