"""Replicate weights of a design with two units in each zone, by Fay's rule.

Replicate r multiplies the weights of a unit of zone z by 1 + f or 1 - f, and those of the other by
the rest to 2, as row z of a Hadamard matrix H says in column r (H Hᵀ = n I). Judkins (1990),
*Journal of Official Statistics* 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

PRIME = 79
"""One less than the number of replicates, and 3 modulo 4."""


def hadamard(prime: int) -> np.ndarray:
    """Paley's matrix of order prime + 1: H = I + S, S_ij the quadratic character of i - j.

    Parameters
    ----------
    prime : int
        3 modulo 4.

    Returns
    -------
    (n, n) array
        n = prime + 1; ones in the first row.
    """
    squares = {k * k % prime for k in range(1, prime)}
    character = np.array([0, *(1 if k in squares else -1 for k in range(1, prime))])
    places = np.arange(prime)
    skew = np.zeros((prime + 1, prime + 1))
    skew[0, 1:], skew[1:, 0] = 1, -1
    skew[1:, 1:] = character[(places[:, None] - places) % prime]
    return np.eye(prime + 1) + skew


def with_replicates(
    table: pd.DataFrame, weight: str, zone: str, unit: str, pattern: str
) -> pd.DataFrame:
    """The table with 80 replicate weights, f = ½, as in PISA.

    Parameters
    ----------
    table : DataFrame
    weight, zone, unit : str
        Columns: the weight; zones 1, 2, … 79; 1 or 2.
    pattern : str
        Names of the replicate weights, ``{}`` in the place of the number.
    """
    sign = hadamard(PRIME)[table[zone].to_numpy()]
    sign = sign * np.where(table[unit].to_numpy() == 1, 1.0, -1.0)[:, None]
    replicates = table[weight].to_numpy()[:, None] * (1.0 + 0.5 * sign)
    names = [pattern.format(k) for k in range(1, PRIME + 2)]
    return table.join(type(table)(replicates, index=table.index, columns=names))
