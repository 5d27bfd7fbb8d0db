"""A small data set of two levels with clusters of unequal sizes, and how it is fitted."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd

import mlsem

FACTORS = "level: 1\n f =~ y1 + y2 + y3\n f ~ x1\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ w1"


def rows(seed=3, clusters=40, largest=7):
    """Rows in random order; three clusters have one row."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest, clusters)
    sizes[:3] = 1
    ids = np.repeat(np.arange(clusters), sizes)
    w, g = rng.normal(size=(2, clusters))
    x, f = rng.normal(size=(2, len(ids)))
    y = np.outer(f + 0.4 * x, [1, 0.8, 0.7]) + np.outer(g + 0.3 * w, [1, 0.9, 0.6])[ids]
    y += 0.6 * rng.normal(size=y.shape) + 0.5 * rng.normal(size=(clusters, 3))[ids]
    y[:, 0] += (0.5 * rng.normal(size=clusters) + 0.3 * w)[ids] * x
    v = 0.5 * f + 0.4 * g[ids] + rng.normal(size=len(ids)) + 0.5 * rng.normal(size=clusters)[ids]
    z = (g + rng.normal(size=clusters))[ids]
    columns = {f"y{k + 1}": y[:, k] for k in range(3)}
    data = pd.DataFrame({"id": ids, "x1": x, "w1": w[ids], "z": z, "v": v} | columns)
    return data.sample(frac=1.0, random_state=seed)


DATA = rows()


@cache
def fitted(model, cluster="id", se="none", **options):
    """A fit to `DATA`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(model, DATA, cluster=cluster, se=se, **options)
