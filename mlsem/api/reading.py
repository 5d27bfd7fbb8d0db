"""What is known of the data of several fits: a model that was met with them before is not read
again, and what is equal for estimators and standard errors is there once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Data of a user's, with what fits to them have made of them.

    Attributes
    ----------
    data : data frame, path or Moments
    known : dict
        By what it was made from.
    """

    data: Any
    known: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Any) -> Reading:
        """Data that may be read already."""
        return data if isinstance(data, Reading) else cls(data)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes, made where it is not known; what it raises is raised each time."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]
