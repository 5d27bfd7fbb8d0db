"""Degrees of freedom of model-based tests: which models have them, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mlsem.core.records import frozen
from mlsem.core.restricted.variation import Variation
from mlsem.errors import OptionValueError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.mixed import obstacle, variation
from mlsem.estimation.posed import Posed
from mlsem.estimation.settings import Settings
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.mixed import KenwardRoger, Satterthwaite, Source, adjustment
from mlsem.inference.covariance.reference import DfMethod


def df_method(problem: Posed, settings: Settings) -> DfMethod | None:
    """How model-based standard errors get degrees of freedom; None for z tests and other kinds.

    Mixed models (`lmm`) have Satterthwaite's unless the settings say otherwise.

    Raises
    ------
    OptionValueError
        They are asked for where there are none.
    """
    kind = settings.kind(robust=problem.only_robust)
    asked = settings.asked_df(kind)
    if asked is not None:
        _require_mixed(problem, settings)
        return asked
    plain = kind.takes_df and settings.test is None and settings.information != "observed"
    return "satterthwaite" if plain and problem.table.semidefinite else None


def _require_mixed(problem: Posed, settings: Settings) -> None:
    why = obstacle(problem)
    if why:
        name = 'test="t"' if settings.df is None else f'df="{settings.df}"'
        raise OptionValueError(
            f"{name}: model-based standard errors have degrees of freedom in linear mixed models "
            f'of one outcome, and {why}. Use se="CR2", whose t tests have degrees of freedom in '
            "every model, or leave this out for z tests."
        )


@dataclass(frozen=True, eq=False)
class MixedFit:
    """A linear mixed model at its estimates."""

    estimates: Estimates

    @property
    def variation(self) -> Variation:
        """Arranged when it is first asked for: fits whose tests nobody looks at pay nothing."""
        return self._variation

    @cached_property
    def _variation(self) -> Variation:
        found: Any = variation(self.estimates)  # checkers take no cached property for a property
        return found


def with_freedom(found: Covariance, estimates: Estimates, method: DfMethod) -> Covariance:
    """The model-based covariance with t tests of the fixed effects; Kenward & Roger's is larger by
    what the uncertainty of the variances adds."""
    return referred(found, MixedFit(estimates), method)


def referred(found: Covariance, fit: Source, method: DfMethod) -> Covariance:
    """The same of whatever knows how the covariance of its fixed effects varies."""
    if method == "satterthwaite":
        return replace(found, reference=Satterthwaite(fit))
    return replace(
        found,
        matrix=frozen(found.matrix + adjustment(fit.variation)),
        form=f"{found.form}, adjusted (Kenward-Roger)",
        reference=KenwardRoger(fit),
    )
