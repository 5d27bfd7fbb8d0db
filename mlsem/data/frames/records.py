"""What holds rows and is no pandas frame: a frame of another library, or a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

    import narwhals as nw


AnyFrame: TypeAlias = Any
"""What holds rows, and what their results come back as: see `source`."""


@dataclass(frozen=True, slots=True, eq=False)
class Eager:
    """A frame in memory that is not pandas': polars, pyarrow, modin, cuDF, …

    Attributes
    ----------
    frame : narwhals.DataFrame
    """

    frame: nw.DataFrame[Any]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return tuple(self.frame.columns)

    def pandas(self, names: Iterable[str]) -> pd.DataFrame:
        """A thin pandas frame of these columns, which are there; not copied where the layout of
        the memory allows it."""
        from mlsem.data.frames.thin import thin

        return thin(self.frame, names)

    def back(self, found: pd.DataFrame | pd.Series) -> Any:
        """What was found, as a frame of the kind that came in."""
        from mlsem.data.frames.back import as_eager

        return as_eager(found, self.frame)


@dataclass(frozen=True, slots=True, eq=False)
class Lazy:
    """A query whose rows are where its engine has them: a lazy frame of polars, a relation of
    DuckDB, a table of Ibis, a frame of Dask or PySpark, a pyarrow dataset, files.

    Attributes
    ----------
    frame : narwhals.LazyFrame
    files : bool
        Whether the query is ours, of files.
    """

    frame: nw.LazyFrame[Any]
    files: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        from mlsem.data.frames.thin import engine_errors

        with engine_errors(self.frame.implementation.value):
            return tuple(self.frame.collect_schema().names())

    def pandas(self, names: Iterable[str]) -> pd.DataFrame:
        """The rows of these columns alone, in this process."""
        from mlsem.data.frames.thin import collected

        return collected(self.frame, names)

    def back(self, found: pd.DataFrame | pd.Series) -> Any:
        """What was found, as a frame of the kind that came in; of files a pandas frame."""
        from mlsem.data.frames.back import as_lazy

        return found if self.files else as_lazy(found, self.frame)
