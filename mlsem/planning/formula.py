"""What is asked of a trial, by the formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlsem.errors import OptionValueError
from mlsem.planning.arguments import Asked, Design
from mlsem.planning.power import least, power_of, smallest_effect


@dataclass(frozen=True, slots=True)
class Answer:
    """A trial with all that was asked for, its effect, and the power that finds it."""

    trial: Design
    effect: float
    power: float


def by_formula(asked: Asked) -> Answer:
    """What formulas say."""
    trial, effect, target, level = asked.trial, asked.effect, asked.power, asked.level
    if asked.what == "effect":
        assert target is not None
        effect = smallest_effect(trial, target, level)
        if effect != effect:
            raise OptionValueError(
                f"no difference of risks is found with power {target:g} by such a trial: from "
                f"control={trial.control:g} the risk can only rise to 1. Plan more clusters."
            )
    assert effect is not None
    if asked.what == "clusters":
        trial = asked.with_clusters(_least_clusters(asked, effect))
    if asked.what == "size":
        trial = asked.trial.with_size(_least_size(asked, effect))
    return Answer(trial, effect, power_of(trial, effect, level))


def _least_clusters(asked: Asked, effect: float) -> int:
    found = least(_reaches(asked, effect, asked.with_clusters), asked.fewest)
    if found is None:
        raise OptionValueError(f"effect={effect!r}: a million clusters do not find it.")
    return found


def _least_size(asked: Asked, effect: float) -> int:
    found = least(_reaches(asked, effect, asked.trial.with_size), 1)
    if found is None:
        most = power_of(asked.trial.with_size(1e9), effect, asked.level)
        raise OptionValueError(
            f"clusters={asked.trial.clusters}: however large they are, their power for "
            f"effect={effect!r} stays below {most:.3f}, for they differ among themselves. Plan "
            "more clusters."
        )
    return found


def _reaches(
    asked: Asked, effect: float, planned: Callable[[int], Design]
) -> Callable[[int], bool]:
    def reaches(value: int) -> bool:
        assert asked.power is not None
        return power_of(planned(value), effect, asked.level) >= asked.power

    return reaches
