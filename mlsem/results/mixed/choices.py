"""What may be asked of a mixed model, as the arguments of its methods take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mlsem.errors import OptionValueError, listed

NewLevels = Literal["error", "population"]
Interval = Literal["confidence", "prediction"]
RowKind = Literal["response", "pearson", "marginal"]
Effects = Literal["new", "predicted"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What is asked of rows."""

    random: bool
    se: bool
    interval: Interval | None
    confidence: float
    new_levels: NewLevels


def require_prediction(asked: Prediction) -> None:
    """Refuse what an argument cannot take."""
    require_flag("random", asked.random)
    require_flag("se", asked.se)
    require_choice("interval", asked.interval, get_args(Interval), none=True)
    require_choice("new_levels", asked.new_levels, get_args(NewLevels), none=False)


def require_choice(name: str, value: object, choices: tuple[str, ...], *, none: bool) -> None:
    if value is None and none:
        return
    if not isinstance(value, str) or value not in choices:
        raise OptionValueError(
            f"{name}={value!r}: it takes one of {listed(choices)}{' or None' if none else ''}."
        )


def require_flag(name: str, value: object) -> None:
    if not isinstance(value, bool | np.bool_):
        raise OptionValueError(f"{name}={value!r}: it takes True or False.")
