"""Do modification indices hold their level with few clusters? A simulation study.

The one-factor model of `difference_tests.py` is true, and so is every parameter that it fixes: each
index is a test on one degree of freedom. Normal and elliptical data. Rejection rates at 0.05 over
all candidates of a level; the robust index by χ² and, turned into the t statistic of the clusters'
efficient scores, t² = S (G - 1) / (G - S), by t with G - 1 degrees of freedom.

    python examples/studies/modification_indices.py --replications 250
"""

from __future__ import annotations

import argparse
import warnings
from itertools import product

import numpy as np
import pandas as pd
from difference_tests import Cell, draw
from scipy.special import chdtrc, stdtr

import mlsem

SEED = 20261129
MODEL = "level: 1\n fw =~ y1 + y2 + y3 + y4\nlevel: 2\n fb =~ y1 + y2 + y3 + y4"


def replicate(cell: Cell, rng: np.random.Generator) -> pd.DataFrame | None:
    """Whether each index of a data set rejects, by three references."""
    try:
        fit = mlsem.fit(MODEL, draw(cell, rng), cluster="id", se="none")
    except mlsem.MlsemError:
        return None
    if not fit.converged:
        return None
    found, last = fit.modification_indices(robust=True), cell.clusters - 1
    robust = found["mi_robust"].to_numpy()
    t = np.sqrt(robust * last / (cell.clusters - robust))
    return pd.DataFrame(
        {
            "level": found["level"],
            "mi": chdtrc(1, found["mi"]) < 0.05,
            "robust": chdtrc(1, robust) < 0.05,
            "robust, t": 2.0 * stdtr(last, -t) < 0.05,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=250)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    for clusters, elliptical in product((15, 30, 50), (False, True)):
        cell = Cell("one factor", clusters, elliptical, 0.0)
        rng = np.random.default_rng([SEED, clusters, elliptical])
        drawn = (replicate(cell, rng) for _ in range(wanted.replications))
        found = pd.concat([each for each in drawn if each is not None])
        print(clusters, "elliptical" if elliptical else "normal")
        print(found.groupby("level").mean().round(3).to_string())


if __name__ == "__main__":
    main()
