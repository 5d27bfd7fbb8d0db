"""What a record of data knows of a formula: how its columns are made of other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Container

    import pandas as pd

    from mlsem.core.records import Index


class Classes(Protocol):
    """What tells the classes of rows apart that have a residual variance each."""

    def codes(self, frame: pd.DataFrame) -> Index:
        """The class of each row, -1 where that is missing."""
        ...


class Remake(Protocol):
    """What has the columns of a formula for a frame; `names` are those of the frame's that it
    takes."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def classes(self) -> Classes | None: ...

    def remade(self, frame: pd.DataFrame, wanted: Container[str]) -> pd.DataFrame: ...
