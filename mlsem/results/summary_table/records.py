"""What a table of fits is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlsem.errors import InferenceError, OptionValueError, listed
from mlsem.report.labels import Labels, read_labels

if TYPE_CHECKING:
    from mlsem.results.generalized.result import GlmResult
    from mlsem.results.pooled.result import PooledResult
    from mlsem.results.result import FitResult
    from mlsem.results.standardized import Kind as StandardizedKind

    AnyFit = FitResult | GlmResult | PooledResult

Statistic = Literal["se", "ci", "t", "p", "df"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
Key = tuple[int, str, str, str, str]  # level, group's title, operator, lhs, rhs


@dataclass(frozen=True, slots=True)
class Asked:
    """How a table of fits is arranged; see `mlsem.summary_table`."""

    words: object
    statistics: tuple[Statistic, ...]
    stars: bool
    digits: int
    level: float
    levels: tuple[int | str, ...] | None
    measures: tuple[str, ...]
    rows: tuple[str, ...] | None
    standardized: StandardizedKind | None

    @property
    def labels(self) -> Labels:
        return read_labels(self.words)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The parameters of one fit, by what they are."""

    fit: AnyFit
    cells: Mapping[Key, Mapping[str, Any]]
    titles: Mapping[int, str]
    slopes: tuple[str, ...]  # paths whose value is the mean of a random slope


def method_of(fit: AnyFit, name: str) -> Callable[..., Any]:
    """A method that some kinds of fits have.

    Raises
    ------
    InferenceError
        Those of this one have not.
    """
    if not hasattr(type(fit), name):
        raise InferenceError(f"a {type(fit).__name__} has no {name}(): leave {name}= out.")
    return getattr(fit, name)


def several(values: Any) -> tuple[Any, ...]:
    """One value or some."""
    return (values,) if isinstance(values, str | int) else tuple(values)


def require_statistics(statistic: Any) -> tuple[Statistic, ...]:
    """What stands below estimates, one or some.

    Raises
    ------
    OptionValueError
        There is no such statistic.
    """
    if statistic is None:
        return ()
    found = several(statistic)
    for each in found:
        if each not in STATISTICS:
            raise OptionValueError(f"statistic={each!r}: it takes {listed(STATISTICS)}, or None.")
    return found
