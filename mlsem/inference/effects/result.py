"""`Effects`: direct, indirect and total effects, for display."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlsem.base.display import lines
from mlsem.data.table.frame import make_frame
from mlsem.other_programs.answering import Answering
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns

if TYPE_CHECKING:
    import pandas as pd

INTERVALS = {
    "delta": "estimate ± quantile times standard error (delta method)",
    "monte carlo": "quantiles of draws from the estimates' distribution (Monte Carlo method)",
    "bootstrap": "percentiles of bootstrap draws",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Effects(Exported, Answering):
    """Effects of `predictor` on `outcome`; prints as a table.

    Attributes
    ----------
    outcome, predictor : str
    ci : {"delta", "monte carlo", "bootstrap"}
    confidence : float
    notes : tuple of str

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("mediation")
    >>> fit = mlsem.fit(mlsem.example_model("mediation"), data, cluster="id")
    >>> found = fit.effects("y", "x")
    >>> found.frame[["level", "effect", "est", "se"]].round(2)
        level                effect   est    se
    0       1                direct  0.15  0.03
    1       1              indirect  0.16  0.02
    2       1           x -> m -> y  0.16  0.02
    3       1                 total  0.32  0.03
    4       2                direct  0.11  0.15
    5       2              indirect  0.13  0.07
    6       2           x -> m -> y  0.13  0.07
    7       2                 total  0.24  0.16
    8       0    direct, difference -0.04  0.15
    9       0  indirect, difference -0.03  0.08
    10      0     total, difference -0.08  0.16
    """

    outcome: str
    predictor: str
    ci: str
    confidence: float
    _columns: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """Columns level (0: between less within), effect, est, se, stat, df, pvalue, ci_lower,
        ci_upper; of several groups `group` before them, its label, or `b - a` of differences."""
        return make_frame(self._columns)

    def __str__(self) -> str:
        title = f"Effects of {self.predictor} on {self.outcome}:\n"
        return title + render_columns(self._shown, 3) + lines(self._words)

    @property
    def _shown(self) -> dict[str, Any]:
        """The columns that the intervals have."""
        return {
            name: values
            for name, values in self._columns.items()
            if name not in ("stat", "df") or self.ci == "delta"
        }

    @property
    def _words(self) -> tuple[str, ...]:
        return f"{100 * self.confidence:g} % intervals: {INTERVALS[self.ci]}.", *self.notes

    def _grid(self) -> Grid:
        title = f"Effects of {self.predictor} on {self.outcome}"
        return Grid(title, (columns_table(self._shown),), self._words)

    def __repr__(self) -> str:
        return f"<Effects: {self.predictor} on {self.outcome}, {len(self._columns['est'])} effects>"
