"""R²: of the endogenous variables of each level, and of linear mixed models as a whole."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.implied.means import is_mixed
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.model.table import ParameterTable, TableBlock
from mlsem.report.table import render_columns
from mlsem.results.variances import RowParts, improper_shares, level_parts, row_parts

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates


@dataclass(frozen=True, slots=True)
class MixedR2(RowParts):
    """The variance of the outcome of a linear mixed model, in parts (see `RowParts`), and R²."""

    @property
    def marginal(self) -> float:
        """σ_f² / total (Nakagawa & Schielzeth, 2013, eq. 26)."""
        return self.fixed / self.total

    @property
    def conditional(self) -> float:
        """(σ_f² + σ_l²) / total (Nakagawa & Schielzeth, 2013, eq. 30; Johnson, 2014)."""
        return 1.0 - self.residual / self.total

    @property
    def frame(self) -> pd.DataFrame:
        """Shares of the total variance, of that within and of that between clusters."""
        within = self.fixed_within, 0.0, self.slopes_within, 0.0, self.residual
        between = 0.0, self.fixed_between, self.slopes_between, self.intercepts, 0.0
        rows = ["fixed within", "fixed between", "slope variation", "intercept variation"]
        parts = np.array([within, between])
        with np.errstate(invalid="ignore"):
            shares = parts / parts.sum(axis=1, keepdims=True)
        columns = {
            "variance": parts.sum(axis=0),
            "total": parts.sum(axis=0) / parts.sum(),
            "within": shares[0],
            "between": shares[1],
        }
        return make_frame(columns, [*rows, "residual"])

    def __str__(self) -> str:
        return (
            f"R2 of the mixed model: marginal {self.marginal:.4f}, conditional "
            f"{self.conditional:.4f}\nShares of variance (Rights & Sterba, 2019):\n"
            + self.frame.round(4).to_string()
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RSquared:
    """R² of a fit; prints as text.

    Attributes
    ----------
    variables : tuple of str
    levels : tuple of int
    values : (n,)
        1 - residual / total implied variance of each endogenous variable at its level.
    mixed : MixedR2 or None
        Of a linear mixed model of one outcome.
    """

    variables: tuple[str, ...]
    levels: tuple[int, ...]
    values: Array
    mixed: MixedR2 | None

    @property
    def _columns(self) -> dict[str, Any]:
        return {"variable": list(self.variables), "level": list(self.levels), "r2": self.values}

    @property
    def frame(self) -> pd.DataFrame:
        """variable, level, r2."""
        return make_frame(self._columns)

    def __str__(self) -> str:
        parts = [] if self.mixed is None else [str(self.mixed)]
        if self.variables:
            table = render_columns(self._columns, 4).rstrip("\n") + improper_shares(self.values)
            parts.append("R2 of the endogenous variables of each level:\n" + table)
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        mixed = self.mixed
        whole = (
            ""
            if mixed is None
            else f" marginal {mixed.marginal:.3f}, conditional {mixed.conditional:.3f};"
        )
        return f"<RSquared:{whole} {len(self.variables)} variables>"


@quiet
def r_squared(fit: Estimates) -> RSquared:
    """R² of the endogenous variables and of the whole model.

    Raises
    ------
    InferenceError
        The fit did not converge, or its model explains nothing.
    """
    if not fit.converged:
        raise InferenceError("the fit did not converge: its variances are not estimates.")
    problem, params = fit.problem, fit.params
    shares: list[tuple[str, int, float]] = []
    for block, pattern in zip(fit.table.blocks, problem.pattern.levels, strict=False):
        _, total = level_parts(problem, params, block.key.level)
        residual = np.diagonal(pattern.symmetric.symmetric_at(params))
        for name in _endogenous(fit.table, block):
            k = pattern.names.index(name)
            share = 1.0 - residual[k] / total[k, k] if total[k, k] > 0 else np.nan
            shares.append((name, block.key.level, float(share)))
    mixed = fit.table.two_level and is_mixed(problem.pattern)
    whole = MixedR2(*astuple(row_parts(problem, params))) if mixed else None
    if not shares and whole is None:
        raise InferenceError("no variable of the model is explained by others: there is no R2.")
    return RSquared(
        variables=tuple(name for name, _, _ in shares),
        levels=tuple(level for _, level, _ in shares),
        values=np.array([value for _, _, value in shares]),
        mixed=whole,
    )


def _endogenous(table: ParameterTable, block: TableBlock) -> list[str]:
    """Variables with predictors or factors; not those whose slopes are random, whose variance
    within clusters differs from row to row."""
    rows = [row for row in block.rows if row.op in ("~", "=~")]
    explained = {row.lhs if row.op == "~" else row.rhs for row in rows}
    varying = {slope.outcome for slope in table.slopes} if block.key.is_lowest else set()
    order = (*block.variables.modelled, *block.variables.latent)
    return [name for name in order if name in explained - varying]
