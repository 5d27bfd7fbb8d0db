"""Chunks of rows: the stored columns formed, and their moments per run of rows."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.sample.moments import no_within
from mlsem.data.moments.bases import spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mlsem.core.records import Array, Index
    from mlsem.data.moments.bases import Base, RowBase
    from mlsem.data.moments.products import Key
    from mlsem.data.table.grouping import Grouping, Pieces


class Reader:
    """Chunks of the varying columns, formed in one buffer that is used again; `sizes` (P,) are what
    the rows of each piece weigh together."""

    def __init__(
        self,
        keys: tuple[Key, ...],
        near: Array,
        bases: Mapping[str, RowBase],
        grouping: Grouping,
        pieces: Pieces,
    ) -> None:
        self.keys, self.near, self.bases = keys, near.tolist(), bases
        self.grouping, self.pieces = grouping, pieces
        self.buffer = np.empty((len(keys), pieces.longest_chunk))
        self.sizes = _piece_sizes(grouping, pieces)

    def weights(self, first: int, last: int) -> Array | None:
        """a_ij of the rows of these pieces; None where all are 1."""
        values, starts = self.grouping.row_weights, self.pieces.starts
        if values is None:
            return None
        return self.grouping.rows(values, int(starts[first]), int(starts[last]))

    def blocks(self) -> Iterator[tuple[int, int, Array]]:
        """First and last piece of each chunk, and the (V, R) columns less `near`."""
        for first, last, start, stop in self.pieces.chunks():
            block = self.buffer[:, : stop - start]
            entering: dict[str, NDArray] = {}
            for row, key, near in zip(block, self.keys, self.near, strict=True):
                if len(key) == 1:
                    base = self.bases[key[0]]
                    values = self.grouping.rows(base.values, start, stop)
                    np.subtract(values, near + self._centre(base, first, last), out=row)
                    continue
                for factor in key:
                    if factor not in entering:
                        entering[factor] = self._entering(factor, first, last, start, stop)
                np.multiply(entering[key[0]], entering[key[1]], out=row)
                for factor in key[2:]:
                    row *= entering[factor]
                row -= near
            yield first, last, block

    def _owner(self, first: int, last: int) -> slice | Index:
        clusters = self.pieces.clusters
        return slice(first, last) if clusters is None else clusters[first:last]

    def _centre(self, base: RowBase, first: int, last: int) -> float | Array:
        if not isinstance(base.centre, np.ndarray):
            return base.centre
        return spread(base.centre[self._owner(first, last)], self.pieces.sizes[first:last])

    def _entering(self, factor: str, first: int, last: int, start: int, stop: int) -> NDArray:
        """A factor's values as they enter products."""
        base = self.bases[factor]
        if base.level is not None:
            level = base.level - base.offset if base.offset else base.level
            return spread(level[self._owner(first, last)], self.pieces.sizes[first:last])
        values = self.grouping.rows(base.values, start, stop)
        centre = self._centre(base, first, last)
        if not isinstance(centre, np.ndarray):
            centre += base.offset or 0.0
            if centre == 0.0:
                return values
        return values - centre


def near_mean(key: Key, bases: Mapping[str, Base]) -> float:
    """A value near the mean of a column, about which it is summed."""
    if len(key) == 1:
        return bases[key[0]].mean
    return prod(bases[factor].entering for factor in key)


def level_column(key: Key, bases: Mapping[str, Base]) -> Array:
    """A column of level-2 variables, one value per cluster, (J,)."""
    values: list[Array] = []
    for factor in key:
        base = bases[factor]
        assert base.level is not None
        shifted = len(key) > 1 and base.offset is not None
        values.append(base.level - base.offset if shifted and base.offset else base.level)
    return values[0] if len(values) == 1 else np.multiply.reduce(values)


def moments_of_runs(reader: Reader, means: Array, gappy: Sequence[int] = ()) -> Array:
    """Cross-products of the rows of each piece, (P, V, V); their means are put into `means`.

    Parameters
    ----------
    means : (P, V)
        Filled; less the reader's `near`.
    gappy : sequence of int
        Columns that have missing values; these count as zero.
    """
    pieces, varying = reader.pieces, len(reader.keys)
    singletons = reader.grouping.singletons
    if singletons:
        within = no_within(len(pieces.sizes), varying)
    else:
        within = np.empty((len(pieces.sizes), varying, varying))
    for first, last, block in reader.blocks():
        for place in gappy:
            np.copyto(block[place], 0.0, where=np.isnan(block[place]))
        if singletons:
            means[first:last] = block.T
        else:
            counts, sizes = pieces.sizes[first:last], reader.sizes[first:last]
            there = means[first:last], within[first:last]
            weights = reader.weights(first, last)
            if weights is None:
                summarise(block, counts, *there)
            else:
                summarise_weighted(block, counts, weights, sizes, *there)
    return within


def _piece_sizes(grouping: Grouping, pieces: Pieces) -> Array | NDArray[np.int64]:
    """Σ a_ij over the rows of each piece, (P,); their number where all weigh 1."""
    if grouping.row_weights is None:
        return pieces.sizes
    weights = grouping.rows(grouping.row_weights, 0, int(pieces.starts[-1]))
    return np.add.reduceat(weights, pieces.starts[:-1])


def summarise(block: Array, sizes: NDArray[np.int64], means: Array, within: Array) -> None:
    """Means and centred cross-products of runs of columns of `block`, which is overwritten.

    Parameters
    ----------
    block : (V, R)
    sizes : (P,)
        Lengths of the runs; they add up to R.
    means, within : (P, V), (P, V, V)
        Filled.
    """
    size = int(sizes[0])
    starts = np.cumsum(sizes) - sizes
    even = bool((sizes == size).all())
    if even:
        runs = block.reshape(len(block), len(sizes), size)
        mean = runs.mean(axis=2)
        runs -= mean[:, :, None]
    else:
        runs = block
        mean = np.add.reduceat(block, starts, axis=1) / sizes
        for row, centre in zip(block, mean, strict=True):
            row -= spread(centre, sizes)
    means[:] = mean.T
    if even and len(block) > 4:
        each = runs.transpose(1, 0, 2)
        np.matmul(each, each.transpose(0, 2, 1), out=within)
        return
    for a in range(len(block)):
        for b in range(a, len(block)):
            if even:
                cross = np.einsum("pi,pi->p", runs[a], runs[b])
            else:
                cross = np.add.reduceat(block[a] * block[b], starts)
            within[:, a, b] = within[:, b, a] = cross


def summarise_weighted(
    block: Array,
    counts: NDArray[np.int64],
    weights: Array,
    sizes: Array | NDArray[np.int64],
    means: Array,
    within: Array,
) -> None:
    """`summarise` of rows that weigh a: Σ a g / Σ a, and Σ a (g - ḡ)(g - ḡ)ᵀ.

    Parameters
    ----------
    block : (V, R)
    counts, sizes : (P,)
        Rows of each run, and what they weigh together.
    weights : (R,)
    means, within : (P, V), (P, V, V)
        Filled.
    """
    starts, root = np.cumsum(counts) - counts, np.sqrt(weights)
    for place, row in enumerate(block):
        centre = np.add.reduceat(weights * row, starts) / sizes
        means[:, place] = centre
        row -= spread(centre, counts)
        row *= root
    for a in range(len(block)):
        for b in range(a, len(block)):
            within[:, a, b] = within[:, b, a] = np.add.reduceat(block[a] * block[b], starts)
