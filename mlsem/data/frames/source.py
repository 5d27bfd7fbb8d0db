"""Whatever holds rows: a pandas frame, a frame of another library, a query that an engine runs, or
files."""

from __future__ import annotations

import pandas as pd

from mlsem.data.frames.records import Eager, Lazy


def source(data: object) -> pd.DataFrame | Eager | Lazy | None:
    """What the data are; None where they are nothing that holds rows and named columns.

    Parameters
    ----------
    data : object
        A pandas frame, which comes back as it is; a frame or query of any library that narwhals
        knows, or that speaks Arrow's or the dataframe protocol; a pyarrow dataset; a path, a
        pattern of paths, or a list of them (`mlsem.data.frames.paths`).

    Raises
    ------
    DataError, InterfaceError
        Of files: they are not there, of an unknown kind, or what reads them is not installed.
    """
    if isinstance(data, pd.DataFrame):
        return data
    from mlsem.data.frames.known import known

    return known(data)
