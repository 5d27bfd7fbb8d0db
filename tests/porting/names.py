"""What the expressions of the table of names are run with."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlsem

EXAMPLES = Path(__file__).parents[2] / "examples"

MODEL = """
level: 1
  y ~ x1
level: 2
  y ~ b*w1
"""
FORMULA = "y ~ x1*w1 + (x1 | id)"
FACTORS = """
level: 1
  fw =~ y1 + y2 + y3
level: 2
  fb =~ y1 + y2 + y3
  fb ~ w1
"""
TRUTH = """
level: 1
  y ~ 0.5*x1
  y ~~ 1*y
level: 2
  y ~ 0.3*w1
  y ~~ 1*y
"""


@cache
def _made() -> dict[str, Any]:
    data = mlsem.load_example("article")
    data = data.assign(f=np.take(["a", "b", "c"], data["id"] % 3))
    pupils, rng = pupils_of(120), np.random.default_rng(1)
    values = {f"PV{k}MATH": data["y"] + rng.normal(0, 0.3, len(data)) for k in (1, 2)}
    pisa = data.assign(w_stu=12.0 + data["id"] % 3, w_sch=2.0 + data["id"] % 5, **values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return {
            "mlsem": mlsem,
            "data": data,
            "pisa": pisa,
            "pupils": pupils,
            "model": MODEL,
            "factors": FACTORS,
            "formula": FORMULA,
            "truth": TRUTH,
            "fit": mlsem.fit(MODEL, data, cluster="id", estimator="MLR"),
            "simple": mlsem.lmm("y ~ x1 + (1 | id)", data, REML=False),
            "full": mlsem.lmm("y ~ x1 + (x1 | id)", data, REML=False),
            "mixed": mlsem.lmm(FORMULA + " + f", data),
            "latent": mlsem.fit(FACTORS, pupils, cluster="cluster"),
        }


def namespace() -> dict[str, Any]:
    """A copy, so that what runs may assign."""
    return dict(_made())


def pupils_of(n_clusters: int) -> pd.DataFrame:
    """The first clusters of the demo, in two groups of clusters."""
    rows = pd.read_csv(EXAMPLES / "demo_twolevel.csv")
    rows = rows.query(f"cluster <= {n_clusters}")
    return rows.assign(half=np.take(["even", "odd"], rows["cluster"] % 2))
