"""How a search says that it will not end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Runaway:
    """How a search fails to end, and where: which rows have a covariance that goes singular."""

    status: Literal["unbounded"]
    where: str


class Watch(Protocol):
    """Looks at the points of a search, and says when it will not end."""

    def __call__(self, iteration: int, point: Any, /) -> Runaway | None: ...
    def at_end(self, point: Any, /) -> Runaway | None:
        """Whether a search that cannot go on stands where the likelihood has no bound."""
        ...
