"""Moments of monomials of two parts of the rows, joined: clusters with the same id are one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import frozen
from mlsem.core.sample.moments import combine
from mlsem.data.moments.from_monomials import Affine, expanded, means_of, within_of
from mlsem.data.moments.monomials import (
    Extremes,
    GroupedMonomials,
    MonomialMoments,
    needs_cluster_origins,
)
from mlsem.data.table.cells import pattern_codes
from mlsem.data.table.nesting import coded
from mlsem.data.table.sentinels import CODES
from mlsem.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Array, Index

SHOWN = 5


def merged_groups(a: GroupedMonomials, b: GroupedMonomials) -> GroupedMonomials:
    """Group by group; a group that one part alone has stays as it is."""
    labels = tuple(dict.fromkeys((*a.labels, *b.labels)))
    having = [
        [part.groups[part.labels.index(label)] for part in (a, b) if label in part.labels]
        for label in labels
    ]
    return GroupedMonomials(
        a.column,
        labels,
        tuple(own[0] if len(own) == 1 else merged(*own) for own in having),
        a.without + b.without,
        a.others + b.others,
        tuple(dict.fromkeys((*a.appearing, *b.appearing))),
    )


def merged(a: MonomialMoments, b: MonomialMoments) -> MonomialMoments:
    """Of the rows of `a` and those of `b`.

    Clusters of `a` come first, in their order; then the new ones of `b`.

    Raises
    ------
    DataError
        They have other variables or products; ids are numbers in one and text in the other; a
        cluster lies in two robust clusters.
    """
    _check(a, b)
    codes, labels = _union(a, b)
    whole = _joined(a, b, codes, labels, own=a.origin.ndim == 2 or b.origin.ndim == 2)
    if any(len(key) > 1 for key in a.keys) and needs_cluster_origins(whole):
        whole = _joined(a, b, codes, labels, own=True)
    return whole


def _check(a: MonomialMoments, b: MonomialMoments) -> None:
    if a.names != b.names or a.keys != b.keys:
        raise DataError(
            "moments of different variables or products cannot be merged: "
            f"{', '.join(_shown(a))}, and {', '.join(_shown(b))}. Make both for the same model."
        )
    if a.clustered != b.clustered:
        raise DataError("moments with clusters and moments without cannot be merged.")
    if (a.robust is None) != (b.robust is None):
        raise DataError(
            "one of the moments was made with se_cluster= and the other without: make both alike."
        )


def _shown(moments: MonomialMoments) -> list[str]:
    return ["·".join(key) for key in moments.keys] + [
        name for name in moments.names if (name,) not in moments.keys
    ]


def _union(a: MonomialMoments, b: MonomialMoments) -> tuple[Index, NDArray]:
    """Codes of the clusters of both, and the ids."""
    if not a.clustered:
        return np.zeros(2, dtype=np.intp), a.labels
    first, second = a.labels, b.labels
    text = [_is_text(each) for each in (first, second)]
    if text[0] != text[1]:
        raise DataError(
            f"ids of clusters are {'text' if text[0] else 'numbers'} in one of the moments (e.g. "
            f"{first.tolist()[0]!r}) and {'text' if text[1] else 'numbers'} in the other (e.g. "
            f"{second.tolist()[0]!r}), so that no cluster would be joined. Make them of one kind."
        )
    if first.dtype != second.dtype:
        first, second = first.astype(object), second.astype(object)
    return coded(np.concatenate((first, second)), "")


def _is_text(labels: NDArray) -> bool:
    return labels.dtype.kind in "OUT" and isinstance(labels.tolist()[0], str)


def _joined(
    a: MonomialMoments, b: MonomialMoments, codes: Index, labels: NDArray, *, own: bool
) -> MonomialMoments:
    """`own`: each cluster has an origin of its own, in the part that has it first."""
    parts = (a, b)
    spots = (codes[: a.n_clusters], codes[a.n_clusters :])
    origin = a.origin
    if own:
        origin = np.empty((len(labels), len(a.names)))
        for part, spot in ((b, spots[1]), (a, spots[0])):
            origin[spot] = part.origin
    moved = [
        about(part, origin[spot] if own else origin, a.scale)
        for part, spot in zip(parts, spots, strict=True)
    ]
    owner = np.concatenate([spot[m.cluster_of] for spot, m in zip(spots, moved, strict=True)])

    def both(name: str) -> NDArray:
        return np.concatenate([getattr(part, name) for part in moved])

    observed = both("observed")
    kinds, kind_of = pattern_codes(~observed.T, len(observed))
    _, first, cell = np.unique(owner * len(kinds) + kind_of, return_index=True, return_inverse=True)
    rows, means, within = combine(both("rows"), both("means"), both("within"), cell, len(first))
    lowest, highest = both("lowest"), both("highest")
    low, high = np.full((2, len(first), len(a.names)), np.nan)
    np.fmin.at(low, cell, lowest)
    np.fmax.at(high, cell, highest)
    left_seen, left_rows = _left(parts)
    return MonomialMoments(
        names=a.names,
        origin=frozen(origin.copy()),
        scale=a.scale,
        keys=a.keys,
        labels=frozen(labels.view()),
        cluster_of=frozen(owner[first]),
        observed=frozen(observed[first]),
        rows=frozen(rows),
        means=frozen(means),
        within=frozen(within),
        lowest=frozen(low),
        highest=frozen(high),
        robust=_robust(parts, spots, labels),
        clustered=a.clustered,
        left_seen=left_seen,
        left_rows=left_rows,
        extremes=_extremes(a.extremes, b.extremes),
    )


def about(moments: MonomialMoments, origin: Array, scale: Array) -> MonomialMoments:
    """The same about another origin, (F,) or (J, F), and scale:
    (x − o′) / s′ = (s / s′) (m − (o′ − o) / s)."""
    if (
        moments.origin.shape == origin.shape
        and (moments.origin == origin).all()
        and (moments.scale == scale).all()
    ):
        return moments
    wanted = replace(moments, origin=origin)
    columns: list[Affine] = []
    seen = np.ones((len(moments.rows), len(moments.keys)), dtype=bool)
    for place, key in enumerate(moments.keys):
        factors = [moments.place(name) for name in key]
        away = [(wanted.origins(f) - moments.origins(f)) / float(moments.scale[f]) for f in factors]
        lead = float(np.prod([moments.scale[f] / scale[f] for f in factors]))
        columns.append(expanded(key, away, lead, 0.0, moments))
        seen[:, place] = moments.observed[:, factors].all(axis=1)
    means, within = means_of(columns, moments), np.array(within_of(columns, moments))
    means[~seen] = 0.0
    within[~(seen[:, :, None] & seen[:, None, :])] = 0.0
    return replace(wanted, scale=scale, means=means, within=within)


def _left(
    parts: tuple[MonomialMoments, MonomialMoments],
) -> tuple[NDArray[np.bool_] | None, NDArray[np.int64] | None]:
    seen = [part.left_seen for part in parts if part.left_seen is not None]
    rows = [part.left_rows for part in parts if part.left_rows is not None]
    if not seen:
        return None, None
    both = np.concatenate(seen)
    kinds, codes = pattern_codes(~both.T, len(both))
    counts = np.bincount(codes, np.concatenate(rows), len(kinds)).astype(np.int64)
    return frozen(~kinds), frozen(counts)


def _robust(
    parts: tuple[MonomialMoments, MonomialMoments], spots: tuple[Index, Index], labels: NDArray
) -> NDArray | None:
    a, b = parts
    if a.robust is None or b.robust is None:
        return None
    found = np.empty(len(labels), dtype=object)
    known = np.zeros(len(labels), dtype=bool)
    found[spots[0]], known[spots[0]] = a.robust, True
    shared = known[spots[1]]
    apart = np.flatnonzero(shared)[found[spots[1][shared]] != b.robust[shared].astype(object)]
    if len(apart):
        shown = ", ".join(map(repr, labels[spots[1][apart]].tolist()[:SHOWN]))
        raise DataError(
            f"{len(apart)} cluster(s) are in another cluster of se_cluster= in one of the moments "
            f"than in the other: {shown}. Robust clusters must contain whole clusters of the model."
        )
    found[spots[1]] = b.robust
    same = a.robust.dtype == b.robust.dtype
    return frozen(found.astype(a.robust.dtype) if same else found)


def _extremes(a: Extremes | None, b: Extremes | None) -> Extremes | None:
    if a is None or b is None:
        return None
    low, low_rows = _ends((a.low, b.low), (a.low_rows, b.low_rows), 1.0)
    high, high_rows = _ends((a.high, b.high), (a.high_rows, b.high_rows), -1.0)
    return Extremes(frozen(low), frozen(high), frozen(low_rows), frozen(high_rows))


def _ends(
    ends: tuple[Array, Array], rows: tuple[NDArray, NDArray], sign: float
) -> tuple[Array, NDArray]:
    """The outermost two values of both, and the rows that have the first."""
    four = sign * np.concatenate(ends, axis=1)
    outer = np.fmin.reduce(four, axis=1)
    rest = np.where(four > outer[:, None], four, np.nan)
    found = sign * np.column_stack((outer, np.fmin.reduce(rest, axis=1)))
    counts = sum(
        np.where(sign * end[:, 0] == outer, count, 0) for end, count in zip(ends, rows, strict=True)
    )
    coded = np.isin(found[:, 0], list(CODES))
    return found, np.where(coded, counts, 0).astype(np.int64)
