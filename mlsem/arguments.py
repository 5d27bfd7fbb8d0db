"""Checks of arguments that many functions take, each with its sentence."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from mlsem.errors import OptionValueError, nearest


def require_level(level: Any, what: str = "a confidence level") -> None:
    """Refuse what is no probability between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < float(level) < 1:
        raise OptionValueError(f"level={level!r}: {what} lies between 0 and 1.")


def require_whole(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number from `least`."""
    if not _is_whole(value, least):
        raise OptionValueError(f"{name}={value!r}: it takes a whole number from {least}.")


def require_seed(seed: object) -> None:
    """Refuse what seeds no generator; None is a seed of the system's."""
    if seed is not None and not _is_whole(seed, 0):
        raise OptionValueError(f"seed={seed!r}: it takes a whole number from 0, or None.")


def chosen(names: tuple[str, ...], wanted: str | Iterable[str]) -> list[int]:
    """Positions of the wanted names.

    Raises
    ------
    OptionValueError
        One is not there, or there is none.
    """
    pool = [wanted] if isinstance(wanted, str) else list(wanted)
    if not pool:
        raise OptionValueError("parameters is empty; leave it out for all of them.")
    for name in pool:
        if name not in names:
            raise OptionValueError(
                f"parameters names no parameter {name!r}.{nearest(str(name), names)} See "
                "fit.params."
            )
    return [names.index(name) for name in pool]


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
