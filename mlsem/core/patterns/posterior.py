"""Posteriors of the level-2 variables of clusters with missing values."""

from __future__ import annotations

from typing import Annotated as Shaped

from mlsem.core.evidence.posterior import Posterior, posterior_of
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.patterns.carriers import pattern_moments
from mlsem.core.patterns.likelihood import between_information, evaluate
from mlsem.core.records import Array, CellMoments


def posterior_at(
    pattern: ModelPattern,
    moments: CellMoments,
    params: Shaped[Array, "npar"],
    turn: Shaped[Array, "qr qr"] | None = None,
) -> Posterior | None:
    """The posterior at parameters of the pattern, given what is observed; `turn` K gives the
    variables K (u, s, z). None outside the parameter space."""
    data, _ = pattern_moments(pattern, moments)
    point = evaluate(pattern, data, params)
    if point is None:
        return None
    information = between_information(point, data)
    return posterior_of(pattern.between, point.between, point.between_weighted, information, turn)
