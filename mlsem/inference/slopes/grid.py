"""An interaction at chosen values of its moderators: slopes, lines, regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.records import Array
from mlsem.errors import InferenceError
from mlsem.inference.covariance.intervals import Wald
from mlsem.inference.slopes.equation import Source
from mlsem.inference.slopes.interaction import Family, Interaction
from mlsem.inference.slopes.regions import (
    Region,
    closed_bounds,
    is_straight,
    regions,
    searched_bounds,
)

FINE = 101  # points of a line
NO_ERRORS = (
    "the fit has no standard errors, and so no regions in which a slope is told from 0: "
    'fit.with_se("standard"), or another kind, has them.'
)
SPANNING = (-2.0, -1.0, 0.0, 1.0, 2.0)  # standard deviations at which gradients span their space

Chosen = Mapping[Source, Mapping[Any, str]]
"""The values of each moderator, and what each is in words."""


def chosen_values(interaction: Interaction, at: Mapping[str, tuple[Any, ...]]) -> Chosen:
    """Those that a user gave, or typical ones."""
    return {
        source: dict.fromkeys(at[source.name], "")
        if source.name in at
        else interaction.spreads[source].typical()
        for source in interaction.moderators
    }


def combinations(chosen: Chosen) -> list[dict[Source, Any]]:
    """Each value of each moderator with each of the others; the first varies fastest."""
    backwards = list(chosen.items())[::-1]
    return [
        dict(zip((source for source, _ in chosen.items()), reversed(values), strict=True))
        for values in product(*(values for _, values in backwards))
    ]


def _columns(points: Sequence[Mapping[Source, Any]]) -> dict[Source, Any]:
    return {source: [point[source] for point in points] for source in points[0]}


# --- slopes ---------------------------------------------------------------------------------------


def slopes_at(
    interaction: Interaction, chosen: Chosen, level: float, *, simultaneous: bool
) -> Wald:
    """Of all combinations."""
    values, gradients = interaction.slope(_columns(combinations(chosen)))
    family = slope_family(interaction) if simultaneous else None
    return interaction.tests(values, gradients, level, family)[0]


def slope_family(interaction: Interaction) -> Family:
    """Of the slopes at all values of the moderators."""
    points = {}
    for source in interaction.moderators:
        spread = interaction.spreads[source]
        if spread.is_factor:
            points[source] = dict.fromkeys(spread.levels, "")
        else:
            scale = spread.sd or 1.0
            points[source] = {spread.mean + k * scale: "" for k in SPANNING}
    return interaction.family(*interaction.slope(_columns(combinations(points))))


# --- regions --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The slope as a function of the first moderator, the other one at a value.

    Attributes
    ----------
    other : mapping of Source to object
        That value; empty with one moderator.
    x : (c,)
        Values of the moderator.
    tests : Wald
        Of the slopes there.
    regions : tuple of Region
    """

    other: Mapping[Source, Any]
    x: Shaped[Array, "c"]
    tests: Wald
    regions: tuple[Region, ...]

    @property
    def bounds(self) -> tuple[float, ...]:
        """Where one region ends and the next begins."""
        return tuple(region.upper for region in self.regions[:-1])


def curves(
    interaction: Interaction, chosen: Chosen, level: float, *, simultaneous: bool
) -> tuple[Curve, ...]:
    """One for each value of the second moderator.

    Raises
    ------
    InferenceError
        The first moderator is a factor.
    """
    moderator, *others = interaction.moderators
    if interaction.spreads[moderator].is_factor:
        raise InferenceError(
            f"{moderator.name!r} is a factor: the slope has one value for each of its levels, and "
            "no regions."
        )
    if not np.isfinite(interaction.covariance.matrix).any():
        raise InferenceError(NO_ERRORS)
    family = slope_family(interaction) if simultaneous else None
    points = combinations({source: chosen[source] for source in others})
    return tuple(_curve(interaction, moderator, other, level, family) for other in points)


def _curve(
    interaction: Interaction,
    moderator: Source,
    other: Mapping[Source, Any],
    level: float,
    family: Family | None,
) -> Curve:
    spread = interaction.spreads[moderator]
    middle, scale = spread.mean, spread.sd or 1.0

    def at(values: Shaped[Array, "c"]) -> tuple[Shaped[Array, "c"], Shaped[Array, "c npar"]]:
        return interaction.slope({moderator: values, **other})

    three, gradients = at(middle + scale * np.array([-1.0, 0.0, 1.0]))
    straight = is_straight(gradients)
    b = np.array([three[1], 0.5 * (three[2] - three[0])])
    along = np.array([gradients[1], 0.5 * (gradients[2] - gradients[0])])

    def linear(values: Shaped[Array, "c"]) -> tuple[Shaped[Array, "c"], Shaped[Array, "c npar"]]:
        z = np.column_stack((np.ones(len(values)), (values - middle) / scale))
        return z @ b, z @ along

    def excess(values: Shaped[Array, "c"]) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
        found, critical = interaction.tests(*(linear if straight else at)(values), level, family)
        return found.stat, critical

    constant = family is not None or interaction.covariance.reference is None
    if straight and constant:
        critical = float(excess(np.array([middle]))[1][0])
        v = along @ np.nan_to_num(interaction.covariance.matrix) @ along.T
        bounds = tuple(middle + scale * z for z in closed_bounds(b, v, critical))
    else:
        bounds = searched_bounds(excess, middle, scale)
    x = np.linspace(spread.low, spread.high, FINE)
    tests, _ = interaction.tests(*at(x), level, family)
    return Curve(other, x, tests, regions(bounds, excess, scale))


# --- lines ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """E(y) as a function of the predictor, at values of the moderators.

    Attributes
    ----------
    at : mapping of Source to object
    x : (c,)
    tests : Wald
    """

    at: Mapping[Source, Any]
    x: Shaped[Array, "c"]
    tests: Wald


def lines(
    interaction: Interaction, chosen: Chosen, level: float, *, simultaneous: bool
) -> tuple[Line, ...]:
    """One for each combination of the moderators' values; of a predictor's own square but one."""
    spread = interaction.spreads[interaction.predictor]
    x = np.linspace(spread.low, spread.high, FINE)
    own = {s: v for s, v in chosen.items() if s != interaction.predictor}
    points = combinations(own)
    found = [interaction.expected({interaction.predictor: x, **point}) for point in points]
    family = None
    if simultaneous and np.isfinite(interaction.covariance.matrix).any():
        values, gradients = (np.concatenate(each) for each in zip(*found, strict=True))
        family = interaction.family(values, gradients)
    return tuple(
        Line(point, x, interaction.tests(values, gradients, level, family)[0])
        for point, (values, gradients) in zip(points, found, strict=True)
    )
