"""What is known of rows by cluster and pattern of missing values, before a centre is settled.

A *monomial* is a product of data columns, each less an origin and divided by a scale. Whatever
engine groups rows, it sums monomials and their products by cell; the columns that a model needs
follow from them cluster by cluster, for in a cluster a variable of level 2 is a constant, and so is
the mean that `center=` takes off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Array, Index
    from mlsem.data.moments.products import Key


@dataclass(frozen=True, slots=True, eq=False)
class MonomialMoments:
    """Counts, means and centred cross-products of monomials in K cells of J clusters.

    A cell is the rows of one cluster in which the same data columns are observed; without missing
    values each cluster is a cell. With every monomial all that are made of some of its factors are
    stored, so that it can be had about any other origin.

    Attributes
    ----------
    names : tuple of str
        The F data columns of the model.
    origin, scale : (F,)
        A factor f enters as (f − origin) / scale.
    keys : tuple of Key
        The M monomials that may vary within clusters, single columns first.
    labels : (J,)
        Cluster ids as the user gave them.
    cluster_of : (K,)
        Of each cell, ascending.
    observed : (K, F) bool
        Which data columns are observed in the rows of the cell.
    rows : (K,) int
        How many rows the cell has.
    means : (K, M)
        Of the monomials; zero where a factor is missing.
    within : (K, M, M)
        Cross-products about the cell's own means; zero where a factor is missing.
    lowest, highest : (K, F)
        Of the data columns that may belong to level 2, as they are in the data; NaN where a
        column is missing, and for the others.
    robust : (J,) array, optional
        Ids of the coarser clusters of robust standard errors.
    """

    names: tuple[str, ...]
    origin: Array
    scale: Array
    keys: tuple[Key, ...]
    labels: NDArray[Any]
    cluster_of: Index
    observed: NDArray[Any]
    rows: NDArray[Any]
    means: Array
    within: Array
    lowest: Array
    highest: Array
    robust: NDArray[Any] | None = None
