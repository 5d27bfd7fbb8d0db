"""Moments as a Parquet file: a row for each cell; names, model and counts as JSON beside them.

Nothing in a file is run, and what it says is checked before it is used.
"""

from __future__ import annotations

import json
import os
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import frozen
from mlsem.data.moments.monomials import Extremes, GroupedMonomials, MonomialMoments
from mlsem.errors import DataError, InterfaceError, OptionValueError
from mlsem.report.files import REPLACE_BY_CALL, check_output, write_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.kept.moments import Moments

KEY = b"mlsem.moments"
VERSION = 1
ROWS = ("means", "lowest", "highest", "observed")
"""Fields with a row for each cell, which are written as lists."""


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InterfaceError(
            "files of moments need the package pyarrow: pip install pyarrow."
        ) from None
    return pyarrow


def _named(path: object) -> str:
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise OptionValueError(f"path={path!r}: it takes the name of a file.")
    return os.fspath(path)


# --- writing --------------------------------------------------------------------------------------


def write(moments: Moments, path: object, *, overwrite: bool) -> None:
    """What `Moments.save` does."""
    name = _named(path)
    pa = _pyarrow()
    how: Any = {"overwrite": overwrite, "argument": "path", "replace": REPLACE_BY_CALL}
    check_output(name, **how)
    tables = [_table(pa, k, part) for k, part in enumerate(moments.parts)]
    try:
        whole = pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise OptionValueError(
            f"ids of clusters are of different kinds in the groups, and a file takes one: {error}."
        ) from None
    said = json.dumps(_said(moments), ensure_ascii=False).encode()
    buffer = BytesIO()
    pa.parquet.write_table(whole.replace_schema_metadata({KEY: said}), buffer, compression="zstd")
    write_whole(name, buffer.getvalue(), **how)


def _table(pa: Any, place: int, part: MonomialMoments) -> Any:
    below = np.tril_indices(len(part.keys))
    lists = {name: getattr(part, name) for name in ROWS}
    lists["within"] = part.within[:, below[0], below[1]]
    if part.origin.ndim == 2:
        lists["origin"] = part.origin[part.cluster_of]
    else:
        lists["origin"] = np.zeros((len(part.rows), 0))
    columns = {name: _list(pa, values) for name, values in lists.items()}
    columns["group"] = pa.array(np.full(len(part.rows), place, dtype=np.int32))
    columns["cluster"] = pa.array(part.cluster_of.astype(np.int64))
    columns["rows"] = pa.array(part.rows.astype(np.int64))
    columns["id"] = _ids(pa, part.labels[part.cluster_of], "clusters")
    if part.robust is not None:
        columns["robust"] = _ids(pa, part.robust[part.cluster_of], "robust clusters")
    return pa.table(columns)


def _list(pa: Any, values: NDArray[Any]) -> Any:
    count, width = values.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int64) * width)
    return pa.LargeListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values).ravel()))


def _ids(pa: Any, labels: NDArray[Any], what: str) -> Any:
    try:
        found = pa.array(labels.tolist() if labels.dtype == object else labels)
        if pa.types.is_nested(found.type):
            raise TypeError(f"they have parts ({found.type})")
        return found
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise OptionValueError(
            f"ids of {what} must be numbers, text or dates to be written (e.g. "
            f"{labels.tolist()[0]!r}): {error}. Moments without_ids() have numbers."
        ) from None


def _said(moments: Moments) -> dict[str, Any]:
    said = {
        "version": VERSION,
        "model": moments.model,
        "options": dict(moments.options),
        "cluster": moments.cluster,
        "group": moments.group,
        "se_cluster": moments.se_cluster,
        "missing": moments.missing,
        "auxiliary": list(moments.auxiliary),
        "anonymous": moments.anonymous,
        "parts": [_of_part(part) for part in moments.parts],
    }
    whole = moments.content
    if isinstance(whole, GroupedMonomials):
        for label in whole.labels:
            if not isinstance(label, str | int | float):
                raise OptionValueError(
                    f"labels of groups must be text or numbers to be written, not {label!r}."
                )
        said["groups"] = {
            "labels": list(whole.labels),
            "without": whole.without,
            "others": whole.others,
            "appearing": list(whole.appearing),
        }
    return said


def _of_part(part: MonomialMoments) -> dict[str, Any]:
    ends = part.extremes
    return {
        "names": list(part.names),
        "keys": [list(key) for key in part.keys],
        "scale": part.scale.tolist(),
        "origin": part.origin.tolist() if part.origin.ndim == 1 else None,
        "clusters": part.n_clusters,
        "cells": len(part.rows),
        "clustered": part.clustered,
        "id": part.labels.dtype.str,
        "robust": None if part.robust is None else part.robust.dtype.str,
        "left_seen": None if part.left_seen is None else part.left_seen.tolist(),
        "left_rows": None if part.left_rows is None else part.left_rows.tolist(),
        "extremes": None
        if ends is None
        else [each.tolist() for each in (ends.low, ends.high, ends.low_rows, ends.high_rows)],
    }


# --- reading --------------------------------------------------------------------------------------


def read(path: object) -> dict[str, Any]:
    """The fields of `Moments`, for `Moments.load`."""
    name = _named(path)
    pa = _pyarrow()
    if not Path(name).is_file():
        raise DataError(f"there is no file {name!r}.")
    foreign = f"{name!r} is no file of moments, as Moments.save writes it"
    try:
        table = pa.parquet.ParquetFile(name).read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0]
        raise DataError(f"{foreign}, or it is damaged: {reason}") from None
    meta = (table.schema.metadata or {}).get(KEY)
    if meta is None:
        raise DataError(f"{foreign}: it is a Parquet file of something else.")
    try:
        said = json.loads(meta)
        version = said["version"]
        if version == VERSION:
            return _fields(table, said)
    except (ValueError, KeyError, TypeError, IndexError, pa.ArrowException) as error:
        raise DataError(f"{name!r} is damaged ({type(error).__name__}: {error}).") from None
    raise DataError(
        f"{name!r} has moments of version {version!r}, and this mlsem reads version {VERSION}: "
        "install the mlsem that wrote it, or a newer one."
    )


def _fields(table: Any, said: dict[str, Any]) -> dict[str, Any]:
    group = table["group"].to_numpy()
    _require(bool((np.diff(group) >= 0).all()), "order of groups")
    edges = np.searchsorted(group, np.arange(len(said["parts"]) + 1)).tolist()
    _require(edges[-1] == table.num_rows and edges[0] == 0, "number of groups")
    parts = tuple(
        _part(table.slice(a, b - a), own)
        for (a, b), own in zip(pairwise(edges), said["parts"], strict=True)
    )
    content: Any = parts[0]
    if "groups" in said:
        of = said["groups"]
        _require(len(of["labels"]) == len(parts), "labels of groups")
        content = GroupedMonomials(
            said["group"],
            tuple(of["labels"]),
            parts,
            int(of["without"]),
            int(of["others"]),
            tuple(of["appearing"]),
        )
    else:
        _require(len(parts) == 1, "number of groups")
    for key in ("cluster", "group", "se_cluster", "missing"):
        _require(said[key] is None or isinstance(said[key], str), key)
    _require(isinstance(said["model"], str) and isinstance(said["options"], dict), "model")
    options = said["options"].items()
    return {
        **{name: said[name] for name in ("model", "cluster", "group", "se_cluster", "missing")},
        "options": {k: tuple(v) if isinstance(v, list) else v for k, v in options},
        "auxiliary": tuple(map(str, said["auxiliary"])),
        "content": content,
        "anonymous": bool(said["anonymous"]),
    }


def _part(table: Any, said: dict[str, Any]) -> MonomialMoments:
    names, keys = tuple(said["names"]), tuple(tuple(key) for key in said["keys"])
    width, count = len(names), len(keys)
    owner = table["cluster"].to_numpy().astype(np.intp)
    clusters, cells = int(said["clusters"]), int(said["cells"])
    _require(len(owner) == cells > 0, "number of rows")
    steps = np.diff(owner)
    ascending = (
        owner[0] == 0 and owner[-1] == clusters - 1 and bool(((steps == 0) | (steps == 1)).all())
    )
    _require(ascending, "order of clusters")
    _require({factor for key in keys for factor in key} <= {*names}, "names")
    first = np.searchsorted(owner, np.arange(clusters))
    rows = table["rows"].to_numpy()
    _require(bool((rows > 0).all()), "numbers of rows")
    half = _array(table, "within", cells, count * (count + 1) // 2)
    within = np.zeros((cells, count, count))
    below = np.tril_indices(count)
    within[:, below[0], below[1]] = within[:, below[1], below[0]] = half
    if said["origin"] is None:
        origin = _array(table, "origin", cells, width)[first]
    else:
        origin = np.array(said["origin"], dtype=np.float64)
    scale = np.array(said["scale"], dtype=np.float64)
    _require(origin.shape[-1] == width == len(scale), "origins")
    means = _array(table, "means", cells, count)
    _require(all(np.isfinite(each).all() for each in (means, within, origin, scale)), "values")
    seen, left = said["left_seen"], said["left_rows"]
    return MonomialMoments(
        names=names,
        origin=frozen(origin),
        scale=frozen(scale),
        keys=keys,
        labels=_labels(table["id"], said["id"], first),
        cluster_of=frozen(owner),
        observed=frozen(_array(table, "observed", cells, width).astype(bool)),
        rows=frozen(rows.astype(np.int64)),
        means=frozen(means),
        within=frozen(within),
        lowest=frozen(_array(table, "lowest", cells, width)),
        highest=frozen(_array(table, "highest", cells, width)),
        robust=None if said["robust"] is None else _labels(table["robust"], said["robust"], first),
        clustered=bool(said["clustered"]),
        left_seen=None if seen is None else frozen(np.array(seen, dtype=bool).reshape(-1, width)),
        left_rows=None if left is None else frozen(np.array(left, dtype=np.int64)),
        extremes=_extremes(said["extremes"], width),
    )


def _extremes(said: list[Any] | None, width: int) -> Extremes | None:
    if said is None:
        return None
    low, high = (frozen(np.array(each, dtype=np.float64)) for each in said[:2])
    low_rows, high_rows = (frozen(np.array(each, dtype=np.int64)) for each in said[2:])
    _require(low.shape == high.shape == (width, 2), "extremes")
    _require(low_rows.shape == high_rows.shape == (width,), "extremes")
    return Extremes(low, high, low_rows, high_rows)


def _array(table: Any, name: str, count: int, width: int) -> Array:
    column = table[name].combine_chunks()
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    _require(bool((lengths == width).all()), name)
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float64).reshape(count, width).copy()


def _labels(column: Any, dtype: str, first: NDArray[np.intp]) -> NDArray[Any]:
    values = column.take(first).to_numpy()
    if dtype[1:2] in "iufbM":
        return frozen(values.astype(np.dtype(dtype)))
    _require(column.null_count == 0, "ids")
    found = np.empty(len(first), dtype=object)
    found[:] = column.take(first).to_pylist()
    return frozen(found)


def _require(true: bool, what: str) -> None:
    if not true:
        raise ValueError(f"its {what} do not fit together")
