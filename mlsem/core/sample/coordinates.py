"""Orthonormal coordinates of rows that begin with the carriers of random effects.

The carriers (the constant, and level-1 covariates) span a space of few dimensions in the rows of a
cluster, or of a cell. The first coordinate is √n times the mean. The others come from the carriers'
deviations by Gram-Schmidt, which needs their cross-products with all columns only: with S the
cross-products and c a carrier's map,

    s = c S - Σ_b (H_b c) H_b,    H = s / √(s c).

A carrier without a direction of its own (it is constant there, or there are too few rows) gives a
coordinate of zeros.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array

DEPENDENT = 1e-12  # share of a carrier's sum of squares that others do not explain, if it is none
CONSTANT = 1e-20  # the same, of its mean sum of squares over clusters


def distinct_carriers(maps: Shaped[Array, "q V"]) -> Shaped[Array, "k V"]:
    """The rows that differ, but for rows of zeros."""
    found = {row.tobytes(): row for row in maps if row.any()}
    return np.array(list(found.values())).reshape(len(found), maps.shape[1])


def deviation_coordinates(
    maps: Shaped[Array, "k V"], cross: Shaped[Array, "J V V"]
) -> Shaped[Array, "J k V"]:
    """Orthonormal coordinates of the deviations of carriers, (J, k, V).

    Parameters
    ----------
    maps : (k, V)
        Carriers as maps of the columns that vary within clusters.
    cross : (J, V, V)
        Cross-products about the means.
    """
    found = np.zeros((len(cross), len(maps), cross.shape[1]))
    for k, carrier in enumerate(maps):
        own = cross @ carrier
        squares = own @ carrier
        before = found[:, :k]
        own = own - np.einsum("jb,jbv->jv", before @ carrier, before)
        left = own @ carrier
        kept = left > np.maximum(DEPENDENT * squares, CONSTANT * squares.mean())
        length = np.sqrt(np.where(kept, left, 1.0))
        found[:, k] = np.where(kept[:, None], own / length[:, None], 0.0)
    return found
