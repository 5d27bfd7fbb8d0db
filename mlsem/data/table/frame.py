"""Data frames for users: cluster means, results; and the names of a frame's columns."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_complex_dtype, is_numeric_dtype

from mlsem.base.caching import remember
from mlsem.core.quiet import quiet
from mlsem.data.frames.origin import all_names
from mlsem.data.frames.taking import any_frame
from mlsem.data.table.columns import numeric, require_column, require_frame, require_one_column
from mlsem.data.table.grouping import factorised, group
from mlsem.errors import DataError, listed
from mlsem.other_programs.answering import answering

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mlsem.data.frames.records import AnyFrame


def column_names(data: object) -> tuple[str, ...]:
    """Names of the columns that a model can name (those that are text), in order."""
    return tuple(name for name in all_names(require_frame(data)) if isinstance(name, str))


def numeric_names(data: pd.DataFrame) -> tuple[str, ...]:
    """Names of the columns of numbers, in order."""
    plain = data.dtypes.map(is_numeric_dtype) & ~data.dtypes.map(is_complex_dtype)
    return tuple(name for name in data.columns[plain.to_numpy()] if isinstance(name, str))


@answering
@quiet
@any_frame
def cluster_means(
    data: AnyFrame, variables: str | Sequence[str], cluster: str, suffix: str = "_mean"
) -> pd.DataFrame:
    """Means of variables over the rows of their cluster, for contextual effects.

    Parameters
    ----------
    data : data frame or path
        Of any library, as for `mlsem.fit`. Is not changed.
    variables : str or sequence of str
        Numeric columns. Missing values are left out of the means; a cluster with none but
        missing values has a missing mean.
    cluster : str
        The column of cluster ids.
    suffix : str, default "_mean"
        Appended to the names.

    Returns
    -------
    DataFrame
        With the index of `data` and one column per variable, e.g. for
        ``data.join(mlsem.cluster_means(data, ["x1"], "school"))`` where the index has no
        duplicates, or ``data.assign(**mlsem.cluster_means(data, "x1", "school"))``.

    Raises
    ------
    DataError
        A column is absent, there twice or not numeric; ids are missing; a new name is taken.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> means = mlsem.cluster_means(data, ["x1"], cluster="id")
    >>> means.columns.tolist()
    ['x1_mean']
    >>> data = data.assign(**means)
    """
    frame = require_frame(data)
    names = [variables] if isinstance(variables, str) else list(variables)
    require_one_column("cluster", cluster, frame)
    taken = [name + suffix for name in names if name + suffix in frame.columns]
    if taken:
        raise DataError(f"the data already have {listed(taken)}; pass another suffix.")
    group(frame, cluster, None)
    columns: dict[str, NDArray] = {}
    for name in names:
        series = require_column(frame, name, "cluster_means needs the variable")
        columns[name + suffix] = numeric(frame, series, name).astype(np.float64)
    ids = require_column(frame, cluster, "cluster_means needs the clusters")
    codes, _ = factorised(ids, f"cluster column {cluster!r}")
    means: Any = pd.DataFrame(columns, copy=False).groupby(codes).transform("mean")
    means.index = frame.index
    return means


def pair_index(names: Sequence[str], first: NDArray, second: NDArray) -> Any:
    """The index of rows that two ids tell apart."""
    return pd.MultiIndex.from_arrays([first, second], names=list(names))


def make_frame(columns: Mapping[str, Any], index: Any = None) -> pd.DataFrame:
    """A data frame of these columns; a tuple is a column of names."""
    arrays = {
        place: _names(values) if isinstance(values, tuple) else values
        for place, values in enumerate(columns.values())
    }
    labels = None if index is None else _labels(index)
    try:
        frame = pd.DataFrame(arrays, index=labels)
    except UnicodeEncodeError:  # a name with half a surrogate, which a column of text cannot hold
        plain = {place: _plain(values, labels) for place, values in arrays.items()}
        frame = pd.DataFrame(plain, index=labels)
    frame.columns = _head(tuple(columns)).view()  # its names are the user's to set
    return frame


def joined_frames(frames: Mapping[Hashable, pd.DataFrame], name: str = "group") -> pd.DataFrame:
    """Frames of groups one below the other, a column of their labels first; NaN where a group has
    not a column. An index that is no numbering is kept."""
    parts = [frame.copy(deep=False) for frame in frames.values()]
    for label, part in zip(frames, parts, strict=True):
        part.insert(0, name, _constant(label, part.index))
    numbered = all(isinstance(part.index, pd.RangeIndex) for part in parts)
    names = {part.index.name for part in parts}
    found = pd.concat(parts, ignore_index=numbered)
    return found.rename_axis(next(iter(names))) if len(names) == 1 else found


def _constant(label: Hashable, index: pd.Index) -> pd.Series:
    """A label of whatever type in each row."""
    return pd.Series([label] * len(index), index=index)


@remember
def _head(columns: tuple[str, ...]) -> pd.Index:
    """The names of columns recur from fit to fit, too."""
    return _labels(list(columns))


def _labels(values: Any) -> Any:
    """An index of ids or names; of those that pandas' index for them cannot hold, as they are."""
    if isinstance(values, pd.MultiIndex):  # pandas 3 makes tuples of them
        return values
    if getattr(values, "dtype", None) == np.float16:
        return pd.Index(values.astype(np.float64))
    try:
        return pd.Index(values)
    except (UnicodeEncodeError, NotImplementedError, TypeError):
        return pd.Index(values, dtype=object, tupleize_cols=False)


def _plain(values: Any, index: Any) -> Any:
    """Objects as they are, which pandas does not make text of; numbers as an array."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values
    return pd.Series(list(values), index=index, dtype=object)


@remember
def _names(values: tuple[Any, ...]) -> Any:
    """pandas' own array of these values; the columns of names recur from fit to fit."""
    return pd.Series(list(values)).array


def make_series(values: NDArray | Sequence[Any], index: Iterable[Any], name: str) -> pd.Series:
    """A series with an index and a name, its values the user's to change."""
    return pd.Series(np.array(values), index=_labels(list(index)), name=name)


def square_frame(matrix: NDArray, names: tuple[str, ...]) -> pd.DataFrame:
    return make_frame(dict(zip(names, matrix.T, strict=True)), list(names))
