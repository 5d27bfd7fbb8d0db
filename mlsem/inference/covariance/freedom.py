"""Degrees of freedom of model-based tests: which models have them, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mlsem.core.implied.means import is_mixed, mean_parameters
from mlsem.core.optimise.maximise import Optimum
from mlsem.core.records import frozen
from mlsem.core.restricted.components import ComponentObjective, components
from mlsem.core.restricted.variation import Variation
from mlsem.errors import OptionValueError
from mlsem.estimation.problem import Problem, arranged, restricted
from mlsem.estimation.settings import Settings
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.mixed import KenwardRoger, Satterthwaite, adjustment
from mlsem.inference.covariance.reference import DfMethod


def df_method(problem: Problem, settings: Settings, *, clustered: bool) -> DfMethod | None:
    """How model-based standard errors get degrees of freedom; None for z tests and other kinds.

    Mixed models (`lmm`) have Satterthwaite's unless the settings say otherwise.

    Raises
    ------
    OptionValueError
        They are asked for where there are none.
    """
    table = problem.table
    kind = settings.kind(two_level=table.two_level, clustered=clustered)
    asked = settings.asked_df(kind)
    if asked is not None:
        _require_mixed(problem, settings)
        return asked
    plain = kind == "standard" and settings.test is None and settings.information != "observed"
    return "satterthwaite" if plain and table.semidefinite else None


def _require_mixed(problem: Problem, settings: Settings) -> None:
    why = obstacle(problem)
    if why:
        name = 'test="t"' if settings.df is None else f'df="{settings.df}"'
        raise OptionValueError(
            f"{name}: model-based standard errors have degrees of freedom in linear mixed models "
            f'of one outcome, and {why}. Use se="CR2", whose t tests have degrees of freedom in '
            "every model, or leave this out for z tests."
        )


def obstacle(problem: Problem) -> str:
    """What keeps the model from being a linear mixed one; empty if nothing does."""
    pattern, table = problem.inner.pattern, problem.table
    if not table.two_level:
        return "this model has one level"
    slopes = {slope.name for slope in table.slopes}
    if any(set(level.latent) - slopes for level in table.levels):
        return "this one has latent variables"
    if not is_mixed(pattern):
        return "this one has several outcomes (a covariate with parts at both levels is one)"
    if table.constraints or len(restricted(table)):
        return "this one has constraints or bounds (parameters that are equal may share a label)"
    paths = any(level.directed.support().any() for level in (pattern.within, pattern.between))
    if paths or mean_parameters(pattern) is None:
        return "this one has paths between random effects, or a label for a mean and a variance"
    return ""


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A linear mixed model at its estimates."""

    problem: Problem
    optimum: Optimum[Any]

    @property
    def variation(self) -> Variation:
        """Arranged when it is first asked for: fits whose tests nobody looks at pay nothing."""
        return self._variation

    @cached_property
    def _variation(self) -> Variation:
        problem, params = self.problem, self.optimum.params
        pattern = problem.inner.pattern
        means = mean_parameters(pattern)
        assert means is not None
        fixed = np.eye(len(params))[:, means]
        model = components(pattern, arranged(problem), fixed, params)
        assert model is not None
        point = ComponentObjective(pattern, model).evaluate(params)
        assert point is not None
        basis = problem.coordinates.jacobian(params) @ fixed @ point.root
        return Variation(
            point=point,
            basis=frozen(basis),
            restricted=self.optimum.restricted is not None,
            interior=not self.optimum.singular,
        )


def with_freedom(
    found: Covariance, problem: Problem, optimum: Optimum[Any], method: DfMethod
) -> Covariance:
    """The model-based covariance with t tests of the fixed effects; Kenward & Roger's is larger by
    what the uncertainty of the variances adds."""
    fit = MixedFit(problem, optimum)
    if method == "satterthwaite":
        return replace(found, reference=Satterthwaite(fit))
    return replace(
        found,
        matrix=frozen(found.matrix + adjustment(fit.variation)),
        form=f"{found.form}, adjusted (Kenward-Roger)",
        reference=KenwardRoger(fit),
    )
