"""Pupils in classes in schools, and a model of them with variables at every level."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd

import mlsem

IDS = ["school", "class"]
FACTORS = """
level: 1
  fw =~ y1 + y2 + y3
  fw ~ x
level: 2
  fb =~ y1 + y2 + y3
  fb ~ w
  z ~ fb
level: 3
  fs =~ y1 + y2 + y3
  fs ~ v
  z ~~ z
  s ~ fs
"""


def rows(seed=1, schools=30):
    """Rows in random order; two to five classes of two to eleven pupils. Classes count anew in each
    school in `number`."""
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), rng.integers(2, 6, schools))
    classes = len(school)
    own = np.repeat(np.arange(classes), rng.integers(2, 12, classes))
    of = school[own]
    v, w, x = rng.normal(size=schools), rng.normal(size=classes), rng.normal(size=len(own))
    fs = 0.5 * v + 0.7 * rng.normal(size=schools)
    fb = 0.4 * w + 0.6 * rng.normal(size=classes)
    fw = 0.5 * x + rng.normal(size=len(own))
    frame = {"school": of, "class": own, "x": x, "w": w[own], "v": v[of]}
    for k, loading in enumerate((1.0, 0.8, 0.7), start=1):
        noise = 0.7 * rng.normal(size=len(own)) + 0.35 * rng.normal(size=classes)[own]
        noise += 0.35 * rng.normal(size=schools)[of]
        frame[f"y{k}"] = loading * (fw + fb[own] + fs[of]) + noise + k
    z = 0.5 * fb + 0.5 * rng.normal(size=classes) + 0.6 * rng.normal(size=schools)[school]
    frame |= {"z": z[own], "s": (0.6 * fs + 0.5 * rng.normal(size=schools))[of]}
    data = pd.DataFrame(frame)
    first = data.groupby("school")["class"].transform("min")
    data["number"] = data["class"] - first
    return data.sample(frac=1.0, random_state=seed).reset_index(drop=True)


DATA = rows()


def quietly(model, data, cluster=IDS, **options):
    """A fit without a word on how few schools there are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(model, data, cluster=cluster, **options)


@cache
def fitted(model=FACTORS, **options):
    """A fit to `DATA`."""
    return quietly(model, DATA, **options)
