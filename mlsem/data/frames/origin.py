"""What a thin frame is of: the names of all columns, and what the user gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

KEY = "mlsem: origin"
"""Of a frame's `attrs`."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Carried by pandas from frame to frame. Pickles are without the data.

    Attributes
    ----------
    names : tuple of str
        All columns of the data.
    given : object
        What the user gave.
    in_order : bool
        Whether the places of rows say something; those of a query have no order.
    """

    names: tuple[str, ...]
    given: object
    in_order: bool = True

    def __deepcopy__(self, memo: dict[int, Any]) -> Origin:
        return self

    def __reduce__(self) -> tuple[type[Origin], tuple[tuple[str, ...], None, bool]]:
        return Origin, (self.names, None, self.in_order)


def of_origin(
    frame: pd.DataFrame, names: Sequence[str], given: object, in_order: bool = True
) -> pd.DataFrame:
    """The frame, marked as thin."""
    frame.attrs[KEY] = Origin(tuple(names), given, in_order)
    return frame


def origin_of(frame: object) -> Origin | None:
    """What a frame or column is of; None where it is what the user gave."""
    attrs = getattr(frame, "attrs", None)
    return attrs.get(KEY) if isinstance(attrs, dict) else None


def all_names(frame: pd.DataFrame) -> Sequence[Any]:
    """The columns of the data that a frame is of."""
    origin = origin_of(frame)
    return list(frame.columns) if origin is None else origin.names


def given_as(frame: object) -> object:
    """What a user gave, of which this is a thin frame; else the frame itself."""
    origin = origin_of(frame)
    return frame if origin is None else origin.given
