"""Rows with missing values by what is missing: patterns, and the cells of a cluster's rows that
have the same one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlsem.data.table.grouping import run_starts, stable_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from mlsem.core.records import Index
    from mlsem.data.table.grouping import Grouping

WIDE = 1 << 61
"""Codes of patterns are numbered anew before they grow beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Rows in the order of cells.

    Attributes
    ----------
    grouping : Grouping
        Of the cells: its sizes are theirs.
    cluster_of, pattern_of : (K,)
        Of each cell, clusters ascending, and patterns within them.
    """

    grouping: Grouping
    cluster_of: Index
    pattern_of: Index


def pattern_codes(
    masks: Iterable[NDArray[np.bool_]], count: int
) -> tuple[NDArray[np.bool_], Index]:
    """The distinct rows of m masks of `count` values, and which one each row is.

    Returns
    -------
    patterns, codes : (P, m) bool, (count,)
        Patterns in the order of binary numbers, the first mask's digit the first: one without
        missing values comes first.
    """
    columns = list(masks)
    code, most = np.zeros(count, dtype=np.int64), 0
    for mask in columns:
        if most > WIDE:
            code, kinds = pd.factorize(code)
            most = len(kinds) - 1
        code = 2 * code + mask
        most = 2 * most + 1
    codes, kinds = pd.factorize(code)
    first = np.empty(len(kinds), dtype=np.intp)
    first[codes[::-1]] = np.arange(count - 1, -1, -1)
    found = np.empty((len(kinds), len(columns)), dtype=bool)
    for place, mask in enumerate(columns):
        found[:, place] = mask[first]
    order = np.lexsort(found.T[::-1]) if columns else np.zeros(1, dtype=np.intp)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return found[order], rank[codes]


def cells_of(grouping: Grouping, codes: Index, patterns: int) -> Cells:
    """The cells of rows in cluster order that have these patterns.

    Parameters
    ----------
    codes : (N,)
        Of the rows in the order of `grouping`.
    patterns : int
        How many there are.
    """
    clusters = len(grouping.sizes)
    if grouping.singletons:
        return Cells(grouping, np.arange(clusters), codes)
    narrow = np.uint32 if clusters * patterns < 1 << 32 else np.int64
    both = np.repeat(np.arange(clusters, dtype=narrow) * narrow(patterns), grouping.sizes)
    both += codes.astype(narrow)
    order = stable_order(both) if narrow is np.uint32 else np.argsort(both, kind="stable")
    both = both[order]
    starts = run_starts(both)
    owner, pattern = np.divmod(both[starts].astype(np.intp), patterns)
    rows = order if grouping.order is None else grouping.order[order]
    sizes = np.diff(starts, append=len(both))
    runs = replace(grouping, order=rows, sizes=sizes, labels=grouping.labels[owner])
    return Cells(runs, owner, pattern)
