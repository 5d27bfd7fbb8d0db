"""Results that models of three levels do not have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from mlsem.core.records import NestedMoments
from mlsem.errors import InferenceError
from mlsem.model.table import ParameterTable

Given = ParamSpec("Given")
Found = TypeVar("Found")


def up_to_two_levels(advice: str) -> Callable[[Callable[Given, Found]], Callable[Given, Found]]:
    """A method of a fit that refuses one of three levels, with this advice."""

    def decorate(method: Callable[Given, Found]) -> Callable[Given, Found]:
        @wraps(method)
        def checked(*args: Given.args, **kwargs: Given.kwargs) -> Found:
            fit: Any = args[0]
            require_two_levels(fit.table, f"{method.__name__}()", advice)
            return method(*args, **kwargs)

        return checked

    return decorate


def lower_clusters(record: Any) -> tuple[str, int] | None:
    """The column of clusters of level 2 of three, and how many there are."""
    moments = record.moments
    return (record.cluster, moments.n_clusters) if isinstance(moments, NestedMoments) else None


def require_two_levels(table: ParameterTable, what: str, advice: str) -> None:
    """Refuse a model of three levels.

    Raises
    ------
    InferenceError
        `what` is not there; `advice` says what is.
    """
    if table.three_level:
        raise InferenceError(f"{what} is there for one and two levels, not for three: {advice}.")
