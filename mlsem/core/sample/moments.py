"""Cluster moments joined: over pieces of clusters, over parts of the data, over all clusters."""

from __future__ import annotations

from typing import Annotated as Shaped
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsem.core.blocks import blocks
from mlsem.core.records import Array, ClusterMoments, ClusterRecord, Index, frozen
from mlsem.errors import DataError


def no_within(clusters: int, varying: int) -> Shaped[Array, "J V V"]:
    """Cross-products of clusters of one row: zeros of shape (J, V, V) that take no memory."""
    return np.broadcast_to(np.float64(0.0), (clusters, varying, varying))


def is_no_within(within: Shaped[Array, "J V V"]) -> bool:
    """Whether this is the broadcast zero of `no_within`."""
    return within.strides == (0, 0, 0) and within.size > 0 and within[0, 0, 0] == 0.0


def require_unweighted(moments: ClusterRecord, why: str) -> None:
    """Refuse weights of rows and clusters for what is not defined with them.

    Raises
    ------
    DataError
        There are some; `why` says what is not defined, and what to do.
    """
    if moments.is_weighted:
        raise DataError(f"rows or clusters have weights: {why}")


def combine(
    sizes: Shaped[NDArray[Any], "P"],
    means: Shaped[Array, "P C"],
    within: Shaped[Array, "P V V"],
    codes: Shaped[Index, "P"],
    clusters: int,
) -> tuple[Shaped[NDArray[Any], "J"], Shaped[Array, "J C"], Shaped[Array, "J V V"]]:
    """Moments of the unions of disjoint sets of rows (Chan, Golub & LeVeque 1983, eq. 2.1).

    With d_p = m_p − m the distance of a part's mean from the mean of its union,

        n = Σ n_p,    m = Σ n_p m_p / n,    S = Σ S_p + Σ n_p d_p d_pᵀ.

    Parameters
    ----------
    sizes, means, within : (P,), (P, C), (P, V, V)
        Of the parts; the first V of the C columns have cross-products.
    codes : (P,)
        The union that each part goes to, 0 … `clusters` − 1; each occurs.
    clusters : int
        Number of unions, J.

    Returns
    -------
    sizes, means, within : (J,), (J, C), (J, V, V)
    """
    varying = within.shape[1]
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(clusters))
    size, part, code = sizes[order], means[order], codes[order]
    total = np.add.reduceat(size, starts)
    mean = part[starts]
    mean = mean + (
        np.add.reduceat(size[:, None] * (part - mean[code]), starts, axis=0) / total[:, None]
    )
    away = (part - mean[code])[:, :varying]
    spread = within[order] + (size[:, None] * away)[:, :, None] * away[:, None, :]
    return total, mean, np.add.reduceat(spread, starts, axis=0)


def merge(a: ClusterMoments, b: ClusterMoments, *, match: bool = True) -> ClusterMoments:
    """Moments of the rows of `a` and the rows of `b` together; used by tests alone until data are
    read in streams.

    Associative: partitions of the data may be merged in any grouping. The result keeps the
    shift of `a`, the clusters of `a` in their order, then the new ones of `b`. What a stored
    column is must be the same in both: variables centred at the mean of a part, or products of
    factors that were shifted at the mean of a part, are different variables in each.

    Parameters
    ----------
    a, b : ClusterMoments
        With the same columns.
    match : bool
        Whether clusters with the same label are the same cluster, of the weight that it has in `a`.
        False for rows without
        clusters, whose labels are only positions.

    Raises
    ------
    DataError
        The two hold different columns.
    """
    if a.columns != b.columns or a.varying != b.varying:
        raise DataError(
            f"moments of different columns cannot be merged: {a.columns} and {b.columns}."
        )
    means = np.concatenate([a.means, b.means + (b.shift - a.shift)])
    rows, sizes, weights = (
        np.concatenate([getattr(a, name), getattr(b, name)])
        for name in ("rows", "sizes", "weights")
    )
    codes, labels = _union(a.labels, b.labels, match)
    if len(labels) == len(rows):
        lone = is_no_within(a.within) and is_no_within(b.within)
        within = no_within(len(rows), a.varying) if lone else np.concatenate([a.within, b.within])
    else:
        within = np.concatenate([a.within, b.within])
        sizes, means, within = combine(sizes, means, within, codes, len(labels))
        rows = np.bincount(codes, rows, len(labels)).astype(np.int64)
        weights = weights[np.unique(codes, return_index=True)[1]]
    return ClusterMoments(
        columns=a.columns,
        varying=a.varying,
        shift=a.shift,
        rows=frozen(rows),
        sizes=frozen(sizes),
        weights=frozen(weights),
        means=frozen(means),
        within=frozen(within),
        labels=frozen(labels),
    )


def _union(
    first: Shaped[NDArray[Any], "a"], second: Shaped[NDArray[Any], "b"], match: bool
) -> tuple[Shaped[Index, "ab"], Shaped[NDArray[Any], "J"]]:
    """Codes of the labels of both, and the labels: those of `first`, then the new ones."""
    if not match:
        return np.arange(len(first) + len(second)), _joined(first, second)
    position = {label: code for code, label in enumerate(first.tolist())}
    codes = np.arange(len(first) + len(second))
    new: list[int] = []
    for place, label in enumerate(second.tolist()):
        if label not in position:
            position[label] = len(first) + len(new)
            new.append(place)
        codes[len(first) + place] = position[label]
    return codes, _joined(first, second[new])


def _joined(
    first: Shaped[NDArray[Any], "a"], second: Shaped[NDArray[Any], "b"]
) -> Shaped[NDArray[Any], "ab"]:
    """Both label arrays in one; of different kinds, as objects, so that nothing is converted."""
    if first.dtype.kind != second.dtype.kind:
        first, second = first.astype(object), second.astype(object)
    return np.concatenate([first, second])


def total_products(moments: ClusterMoments) -> tuple[Shaped[Array, "C"], Shaped[Array, "C C"]]:
    """Mean of all rows (D,), and cross-products about it (D, D) of all stored columns."""
    varying, weights, mean = moments.varying, moments.row_weights, moments.mean
    cross = np.zeros((len(moments.columns), len(moments.columns)))
    for part in blocks(*moments.means.shape):
        away = moments.means[part] - mean
        cross += (weights[part, None] * away).T @ away
    if not is_no_within(moments.within):
        cross[:varying, :varying] += moments.pooled_within
    return mean, cross


def pooled(moments: ClusterMoments) -> ClusterMoments:
    """All rows as one cluster: every column then varies, level-2 columns too.

    Level-2 columns count once per row here. The cross-products (1, D, D) are about the mean of
    all rows.
    """
    mean, cross = total_products(moments)
    return ClusterMoments(
        columns=moments.columns,
        varying=len(moments.columns),
        shift=moments.shift,
        rows=frozen(np.array([moments.n_rows], dtype=np.int64)),
        sizes=frozen(np.array([moments.row_weights.sum()])),
        weights=frozen(np.ones(1)),
        means=frozen(mean[None, :]),
        within=frozen(cross[None, :, :]),
        labels=frozen(np.zeros(1, dtype=np.int64)),
    )
