"""Effects of a mixed model's fixed part by standardisation, and in the outcome's standard
deviations."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.generalized.families import IDENTITY
from mlsem.core.quiet import quiet
from mlsem.errors import OptionValueError
from mlsem.results.generalized.effects import EffectKind, Expectations, GlmEffects, effect_columns
from mlsem.results.mixed.parts import class_shares, parts_of, recipe_of
from mlsem.results.mixed.predict import require_converged

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.results.mixed.result import MixedResult


@quiet
def mixed_effects(
    fit: MixedResult,
    variable: str,
    kind: EffectKind | None,
    values: Iterable[Any] | None,
    by: str | None,
    frame: pd.DataFrame,
    level: float,
) -> GlmEffects:
    """See `MixedResult.effects`."""
    require_converged(fit._estimates)
    recipe, parts = recipe_of(fit._estimates), parts_of(fit._estimates)
    means = Expectations(
        recipe=recipe,
        beta=parts.beta,
        npar=len(fit.table.names),
        link=IDENTITY,
        covariance=fit.covariance,
        binary=False,
        positive=False,
        trials=_ones,
        offset=_zeros,
        deviation=partial(_deviation, fit),
    )
    columns = effect_columns(means, frame, variable, kind, values, by, level)
    return GlmEffects(variable, level, (), columns)


def _ones(part: pd.DataFrame) -> Array:
    return np.ones(len(part))


def _zeros(part: pd.DataFrame) -> Array:
    return np.zeros(len(part))


def _deviation(fit: MixedResult, part: pd.DataFrame) -> tuple[float, Array]:
    """s with s² = mean of zᵀΨz + σ², and ∂s = ∂s² / 2s; σ² that of each row's class."""
    estimates, names = fit._estimates, fit.table.names
    parts = parts_of(estimates)
    z = recipe_of(estimates).random_design(part, parts.effects)
    spread = z.T @ z / len(z)
    shares = class_shares(estimates, part)
    deviation = float(np.sqrt((spread * parts.psi).sum() + shares @ parts.sigma2))
    gradient = np.zeros(len(names))
    gradient[-len(shares) :] = shares
    for a in range(len(parts.effects)):
        for b in range(a + 1):
            place = parts.covariance_place(names, b, a)
            if place >= 0:
                gradient[place] += spread[a, b] * (1.0 if a == b else 2.0)
    return deviation, gradient / (2.0 * deviation)


def refuse_two(data: object) -> None:
    """`effects("y", "x1")` is how other fits are asked.

    Raises
    ------
    OptionValueError
    """
    if isinstance(data, str):
        raise OptionValueError(
            f"effects(…, {data!r}): a mixed model has one outcome, so that the variable alone is "
            'named, fit.effects("x1"); what comes second are data.'
        )
