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
from mlsem.results.mixed.parts import class_shares
from mlsem.results.mixed.predict import require_converged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.design.remade import Recipe
    from mlsem.results.mixed.parts import MixedParts
    from mlsem.results.mixed.result import MixedResult
    from mlsem.results.nested.result import NestedResult


@quiet
def mixed_effects(
    fit: MixedResult | NestedResult,
    levels: Sequence[MixedParts],
    variable: str,
    kind: EffectKind | None,
    values: Iterable[Any] | None,
    by: str | None,
    frame: pd.DataFrame,
    level: float,
) -> GlmEffects:
    """See `MixedResult.effects`; `levels` are the parts of each level of clusters."""
    require_converged(fit._estimates)
    (recipe,) = fit._recipes
    means = Expectations(
        recipe=recipe,
        beta=levels[0].beta,
        npar=len(fit.table.names),
        link=IDENTITY,
        covariance=fit.covariance,
        binary=False,
        positive=False,
        trials=_ones,
        offset=_zeros,
        deviation=partial(_deviation, recipe, fit.table.names, levels),
    )
    columns = effect_columns(means, frame, variable, kind, values, by, level)
    return GlmEffects(variable, level, (), columns)


def _ones(part: pd.DataFrame) -> Array:
    return np.ones(len(part))


def _zeros(part: pd.DataFrame) -> Array:
    return np.zeros(len(part))


def _deviation(
    recipe: Recipe, names: tuple[str, ...], levels: Sequence[MixedParts], rows: pd.DataFrame
) -> tuple[float, Array]:
    """s with s² = mean of zᵀΨz, summed over levels, + σ², and ∂s = ∂s² / 2s; σ² that of each row's
    class."""
    shares, gradient = class_shares(recipe, rows), np.zeros(len(names))
    variance = float(shares @ levels[0].sigma2)
    gradient[-len(shares) :] = shares
    for parts in levels:
        z = recipe.random_design(rows, parts.effects)
        spread = z.T @ z / len(z)
        variance += (spread * parts.psi).sum()
        for a in range(len(parts.effects)):
            for b in range(a + 1):
                place = parts.covariance_place(names, b, a)
                if place >= 0:
                    gradient[place] += spread[a, b] * (1.0 if a == b else 2.0)
    deviation = float(np.sqrt(variance))
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
