"""`GlmEstimates`: a generalised linear model at its estimates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsem.core.generalized.rows import Rows
from mlsem.core.generalized.scoring import Search, Solution, solve
from mlsem.core.records import Array
from mlsem.data.design.columns import INTERCEPT
from mlsem.data.design.generalized import GlmData
from mlsem.errors import ConvergenceError
from mlsem.estimation.generalized.separation import refuse_separation, separating
from mlsem.estimation.generalized.settings import GlmSettings
from mlsem.model.elements import LevelVariables
from mlsem.model.table import ParameterTable, Row


@dataclass(frozen=True, slots=True, eq=False)
class GlmEstimates:
    """See `mlsem.inference.estimated`."""

    table: ParameterTable
    data: GlmData
    settings: GlmSettings
    solution: Solution

    @property
    def names(self) -> tuple[str, ...]:
        return self.table.names

    @property
    def params(self) -> Shaped[Array, "npar"]:
        return self.solution.params

    @property
    def free(self) -> Shaped[Array, "npar n"]:
        return np.eye(len(self.params))

    @property
    def converged(self) -> bool:
        return self.solution.converged

    @property
    def cluster_labels(self) -> Shaped[NDArray[Any], "G"]:
        return self.data.labels

    @property
    def n_rows(self) -> int:
        return self.data.rows.n_rows

    @property
    def dispersion(self) -> float:
        """φ̂ = Σ r² / (N - p); constants of groups that were taken out are parameters, too."""
        left = self.n_rows - len(self.params)
        rest = left - self.data.n_absorbed
        return self.solution.dispersion * left / rest if rest > 0 else float("nan")

    def under(self, settings: GlmSettings) -> GlmEstimates:
        """With other standard errors."""
        return replace(self, settings=settings)


def refitted(estimates: GlmEstimates, rows: Rows, search: Search | None = None) -> Solution | None:
    """The same model of other rows, from these estimates; None where it has none."""
    settings = estimates.settings
    family, link = settings.records
    how = settings.search if search is None else search
    found = solve(rows, family, link, settings.working, how, estimates.params)
    if not found.converged or separating(rows, family, link, found) is not None:
        return None
    return found


def table_of(outcome: str, names: tuple[str, ...]) -> ParameterTable:
    """One equation, its parameters named as R names them."""
    rows = tuple(
        Row(
            outcome,
            "~1" if name == INTERCEPT else "~",
            "" if name == INTERCEPT else name,
            1,
            True,
            k,
        )
        for k, name in enumerate(names)
    )
    covariates = tuple(name for name in names if name != INTERCEPT)
    return ParameterTable(
        rows=rows,
        names=names,
        levels=(LevelVariables((), (outcome,), covariates),),
        level_labels=(),
        split=(),
        products=(),
        definitions=(),
        constraints=(),
        meanstructure=True,
    )


def estimate_glm(data: GlmData, settings: GlmSettings) -> GlmEstimates:
    """Score to the estimates.

    Raises
    ------
    EstimationError
        There are none: a covariate separates the outcomes.
    ConvergenceError
        They were not found.
    """
    family, link = settings.records
    with np.errstate(all="ignore"):
        found = solve(data.rows, family, link, settings.working, settings.search)
    refuse_separation(data, family, link, found, data.outcome)
    if not found.converged:
        raise ConvergenceError(_why(settings, found))
    return GlmEstimates(table_of(data.outcome, data.names), data, settings, found)


def _why(settings: GlmSettings, found: Solution) -> str:
    family, link = settings.records
    said = f"the scoring did not converge in {found.iterations} steps"
    if family.name == "binomial" and link.name in ("log", "identity"):
        other = 'family="poisson"' if link.name == "log" else 'family="gaussian"'
        return (
            f"{said}: with link={link.name!r} the largest likelihood is where a probability is 0 "
            f"or 1. Take {other}, which estimates the same "
            f"{'ratios' if link.name == 'log' else 'differences'} and has no such bound."
        )
    return f"{said}. Measure covariates in units that make their standard deviations about 1."
