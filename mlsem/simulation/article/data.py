"""The data of the article that `mlsem.load_example("article")` is from, for any seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlsem.data.table.frame import make_frame
from mlsem.simulation.draw.rstream import RStream

if TYPE_CHECKING:
    import pandas as pd


def article_data(
    stream: RStream | int, n_clusters: int = 50, size: int = 10, slope_variance: float = 0.2
) -> pd.DataFrame:
    """Draw a data set whose slope of `x1` varies between clusters, also with `w1`.

    y = ¼ w1 + ½ x1 + ¼ w1 x1 + u0 + u1 x1 + e;  w1, u0 and u1 of the cluster, x1 and e of the
    row; all standard normal but u1, which has the variance `slope_variance`.

    Parameters
    ----------
    stream : RStream or int
        Where the numbers come from, in the order w1, u0, x1, e, u1; an int is a seed.
    n_clusters, size : int
        Clusters, and rows in each.
    slope_variance : float
        0: a random-intercept model.

    Returns
    -------
    DataFrame
        Columns id (from 1), w1, x1, y and int, the product w1 x1. The article's first data set
        has the seed 20260106.
    """
    stream = RStream(stream) if isinstance(stream, int) else stream
    rows = n_clusters * size
    w1, u0 = (np.repeat(stream.normal(n_clusters), size) for _ in range(2))
    x1, e = stream.normal(rows), stream.normal(rows)
    u1 = np.repeat(np.sqrt(slope_variance) * stream.normal(n_clusters), size)
    y = w1 * 0.25 + x1 * 0.5 + 0.25 * x1 * w1 + u0 + e + u1 * x1
    codes = np.repeat(np.arange(1, n_clusters + 1), size)
    return make_frame({"id": codes, "w1": w1, "x1": x1, "y": y, "int": x1 * w1})
