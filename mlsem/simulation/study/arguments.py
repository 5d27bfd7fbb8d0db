"""The arguments of a study, checked before anything is drawn."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import isfinite
from typing import Any

from mlsem.arguments import require_level, require_seed, require_whole
from mlsem.errors import OptionValueError, listed, nearest


def require_numbers(replications: object, level: object, seed: object) -> None:
    """Refuse what is no number of replications, no level or no seed."""
    require_whole("replications", replications, 1)
    require_level(level)
    require_seed(seed)


def read_truth(truth: object) -> dict[str, float]:
    """True values by name."""
    if truth is None:
        return {}
    if not hasattr(truth, "items"):
        raise OptionValueError(
            f'truth={truth!r}: it takes a mapping of parameters to their values, {{"y~x1": 0.5}}.'
        )
    pairs: Any = truth
    values: dict[str, float] = {}
    for name, value in pairs.items():
        try:
            values[str(name)] = float(value)
        except (TypeError, ValueError):
            raise OptionValueError(f"truth[{name!r}]={value!r} is not a number.") from None
        if not isfinite(values[str(name)]):
            raise OptionValueError(f"truth[{name!r}]={value!r} is not a finite number.")
    return values


def read_names(parameters: object) -> frozenset[str] | None:
    """Names of the parameters to keep; None: all."""
    if parameters is None:
        return None
    given = [parameters] if isinstance(parameters, str) else parameters
    names = list(given) if isinstance(given, Iterable) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise OptionValueError(
            f"parameters={parameters!r}: it takes names of parameters, at least one, "
            '["y~x1", "y~w1.l2"]; None keeps all.'
        )
    return frozenset(names)


def refuse_unknown(keyword: str, given: Iterable[str], names: Collection[str]) -> None:
    """Refuse a name that no method's parameter has."""
    unknown = [name for name in given if name not in names]
    if unknown:
        raise OptionValueError(
            f"{keyword}: no method has a parameter {unknown[0]!r}.{nearest(unknown[0], names)} "
            f"There are {listed(names)}."
        )
