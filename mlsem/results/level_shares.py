"""Shares of variance of three levels: intraclass correlations of levels 2 and 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.base.display import sentences
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.estimation.problem import Problem
from mlsem.estimation.scales import scales_at
from mlsem.other_programs.answering import Answering
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns
from mlsem.results.variances import improper_shares

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates
    from mlsem.inference.covariance.groups import DeltaMethod

TITLE = "Intraclass correlations of three levels"
LEGEND = (
    "icc2, icc3: shares of levels 2 and 3 in all variance, covariates included. Two rows of one "
    "cluster correlate by icc2 + icc3, two of one unit of level 3 by icc3."
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LevelShares(Exported, Answering):
    """Variances of the levels and their shares; prints as a table.

    Attributes
    ----------
    variables : tuple of str
        The v variables with parts at several levels, one of them at level 3 or 2.
    variances : (v, 3)
        Implied by each level, what covariates add included; zero where a variable has no part.
    shares, se : (v, 3)
        Of the variance of all levels, and standard errors by the delta method.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["district"] = data["id"] // 5
    >>> model = "level: 1; y ~ x1; level: 2; y ~ w1; level: 3; y ~~ y"
    >>> found = mlsem.fit(model, data, cluster=["district", "id"]).icc()
    >>> found.frame[["level1", "level2", "level3"]].round(2)
       level1  level2  level3
    y    1.57    1.12    0.08
    """

    variables: tuple[str, ...]
    variances: Array
    shares: Array
    se: Array

    @property
    def _columns(self) -> dict[str, Array]:
        columns = {f"level{k}": self.variances[:, k - 1] for k in (1, 2, 3)}
        for k in (2, 3):
            columns |= {f"icc{k}": self.shares[:, k - 1], f"icc{k}_se": self.se[:, k - 1]}
        return columns

    @property
    def frame(self) -> pd.DataFrame:
        """One row per variable."""
        return make_frame(self._columns, list(self.variables))

    def __str__(self) -> str:
        table = render_columns({"": self.variables, **self._columns}, 4)
        return f"{TITLE}:\n{table}{LEGEND}{improper_shares(self.shares)}"

    def _grid(self) -> Grid:
        table = columns_table({"": self.variables, **self._columns}, 4)
        return Grid(TITLE, (table,), (f"{LEGEND}{improper_shares(self.shares)}",))

    def __repr__(self) -> str:
        pairs = zip(self.variables, self.shares[:, 1:].tolist(), strict=True)
        shown = ", ".join(f"{name}={two:.3f}, {three:.3f}" for name, (two, three) in pairs)
        return f"<LevelShares: {sentences(shown)}>"


@quiet
def level_shares(fit: Estimates[Problem], covariance: DeltaMethod) -> LevelShares:
    """V_k / Σ_l V_l of each level k, with ∂ = (∂V_k - share Σ_l ∂V_l) / Σ_l V_l.

    Raises
    ------
    InferenceError
        No variable has parts at several levels, or the fit did not converge.
    """
    table = fit.table
    names = tuple(dict.fromkeys(table.split + table.raised))
    if not names:
        raise InferenceError(
            "no variable of the model has parts at several levels: there is no intraclass "
            "correlation."
        )
    if not fit.converged:
        raise InferenceError("the fit did not converge: its variances are not estimates.")
    scales = scales_at(fit.problem, fit.params).levels
    variances = np.zeros((len(names), 3))
    gradients = np.zeros((len(names), 3, len(fit.params)))
    for i, name in enumerate(names):
        for k, level in enumerate(scales):
            if name in level.names:
                place = level.names.index(name)
                variances[i, k] = level.total[place]
                gradients[i, k] = level.total_gradients[place]
    total = variances.sum(axis=1)[:, None]
    shares = variances / total
    change = gradients - shares[:, :, None] * gradients.sum(axis=1, keepdims=True)
    change /= total[:, :, None]
    se, _ = covariance.of_functions(change.reshape(-1, len(fit.params)))
    return LevelShares(names, frozen(variances), frozen(shares), frozen(se.reshape(shares.shape)))
