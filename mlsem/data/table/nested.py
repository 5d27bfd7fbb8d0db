"""Clusters within clusters: classes in schools, by two columns of ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlsem.core.records import frozen
from mlsem.data.table.grouping import Grouping, group, stable_order
from mlsem.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Index


@dataclass(frozen=True, slots=True, eq=False)
class Nested:
    """Rows in inner clusters (classes), these in outer ones (schools).

    Attributes
    ----------
    lower : Grouping
        The rows by inner cluster. Those of an outer cluster stand together, outer clusters in the
        order of their first appearance. Labels are the ids of the inner column, which may occur
        in several outer clusters.
    owner : (J,) int
        The outer cluster of each inner one, 0 … G - 1, ascending.
    labels : (G,)
        Ids of the outer clusters.
    names : tuple of str
        The columns, the outer one first.
    """

    lower: Grouping
    owner: Index
    labels: NDArray
    names: tuple[str, str]

    @property
    def starts(self) -> Index:
        """The first inner cluster of each outer one, (G,)."""
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Inner clusters of each outer one, (G,)."""
        return np.bincount(self.owner)

    @property
    def upper(self) -> Grouping:
        """The rows by outer cluster."""
        sizes = np.add.reduceat(self.lower.sizes, self.starts)
        return Grouping(self.lower.order, sizes, self.labels, True)


def nested(
    data: pd.DataFrame, outer: str, inner: str, *, joined: bool, apart: bool = True
) -> Nested:
    """Group rows by `inner` within `outer`.

    Parameters
    ----------
    joined : bool
        Whether an inner cluster is what has the same ids in both columns (`outer/inner`), as where
        ids count anew in each outer cluster. Otherwise an id of `inner` is one cluster wherever it
        stands, and must lie in one outer cluster.
    apart : bool
        Whether the two are to be different levels.

    Raises
    ------
    DataError
        A column is absent or has missing ids; an inner cluster has rows in several outer ones; or
        the two are the same clusters.
    """
    top, below = group(data, outer, None), group(data, inner, None)
    schools, classes = top.codes, below.codes
    if joined:
        pairs, uniques = pd.factorize(schools * len(below.labels) + classes)
        owner, own = np.divmod(uniques, len(below.labels))
    else:
        pairs, own = classes, np.arange(len(below.labels))
        owner = np.empty(len(own), dtype=np.intp)
        owner[classes[::-1]] = schools[::-1]
        _check_lies_in_one(owner, schools, classes, (outer, inner), (top, below))
    if apart and len(owner) == len(top.labels):
        raise _no_level(outer, inner)
    arranged = np.argsort(owner, kind="stable")
    place = np.empty_like(arranged)
    place[arranged] = np.arange(len(arranged))
    codes = place[pairs].astype(np.uint32)
    order = None if bool((codes[1:] >= codes[:-1]).all()) else stable_order(codes)
    rows = Grouping(order, np.bincount(codes), below.labels[own[arranged]], True)
    return Nested(rows, frozen(owner[arranged]), top.labels, (outer, inner))


def nested_either_way(data: pd.DataFrame, first: str, second: str) -> Nested:
    """`nested` of two columns of which one lies in the other, whichever.

    Raises
    ------
    DataError
        Neither does: they are crossed, or the ids of one count anew in each cluster of the other.
    """
    few, many = sorted((first, second), key=lambda name: len(group(data, name, None).labels))
    return nested(data, few, many, joined=False)


def _check_lies_in_one(
    owner: Index,
    schools: Index,
    classes: Index,
    names: tuple[str, str],
    groupings: tuple[Grouping, Grouping],
) -> None:
    apart = owner[classes] != schools
    if not apart.any():
        return
    (outer, inner), (top, below) = names, groupings
    row = int(np.flatnonzero(apart)[0])
    where = top.labels[[owner[classes[row]], schools[row]]].tolist()
    own = below.labels[classes[row : row + 1]].tolist()[0]
    count = len(np.unique(classes[apart]))
    raise DataError(
        f"{count} of {len(below.labels)} clusters of {inner!r} have rows in more than one cluster "
        f"of {outer!r}: {inner} {own!r} is in {outer} {where[0]!r} and {where[1]!r}. If the ids of "
        f"{inner!r} count anew in each {outer!r}, write '{outer}/{inner}', which tells them apart. "
        "If the same clusters do occur in several of the others, the factors are crossed, which "
        "mlsem does not fit: lme4 does."
    )


def _no_level(outer: str, inner: str) -> DataError:
    return DataError(
        f"every cluster of {outer!r} has one cluster of {inner!r}, so that the two are not "
        f"different levels. Keep one of them, or name the outer one first: {inner!r} may be what "
        f"contains {outer!r}."
    )
