"""The coordinate rows of cells, cluster by cluster, where rows fall into classes.

A class is a pattern of one outcome (`Pattern.classes`): a cell is the rows of a cluster that are of
one class. Clusters have cells in different numbers; what is short of the largest number is rows of
zeros of the first class. Such a row has the covariance of any other of its class, so that taking it
off the class's other rows leaves every sum as it should be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import positions_in_runs
from mlsem.core.patterns.carriers import CellRows, PatternMoments
from mlsem.core.patterns.clusters import cells_of
from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """Of each of some clusters d rows that the random effects move.

    Attributes
    ----------
    coordinates : (j, d, D)
        H.
    loadings : (j, d, q)
        T: the carriers' values.
    classes : (j, d)
    """

    coordinates: Shaped[Array, "j d D"]
    loadings: Shaped[Array, "j d q"]
    classes: Shaped[Index, "j d"]


def packed(data: PatternMoments, cells: CellRows, clusters: Shaped[Index, "j"]) -> PackedRows:
    """The rows of some clusters, each cell's after those of the one before."""
    found, starts = cells_of(cells, clusters)
    lengths = np.diff(starts, append=len(found))
    owner, place = np.repeat(np.arange(len(clusters)), lengths), positions_in_runs(lengths)
    count, most, (depth, width) = len(clusters), int(lengths.max()), cells.coordinates.shape[1:]
    carried = data.carried[cells.rows[found]][:, :, data.effects.carriers]
    coordinates = np.zeros((count, most, depth, width))
    loadings = np.zeros((count, most, depth, carried.shape[2]))
    classes = np.zeros((count, most, depth), dtype=np.intp)
    coordinates[owner, place] = cells.coordinates[found]
    loadings[owner, place] = carried
    classes[owner, place] = cells.pattern_of[found, None]
    shape = count, most * depth
    return PackedRows(
        coordinates.reshape(*shape, width), loadings.reshape(*shape, -1), classes.reshape(shape)
    )
