"""Which difference tests hold their level with few clusters? A simulation study.

Two-level factor models; the restriction is that loadings are equal at both levels. It is true, or
a loading between clusters is 0.5 larger. 5 to 25 rows a cluster; normal data and elliptical ones,
whose deviations are multiplied by a random number of the cluster, √(3 / χ²₅).

    python examples/studies/difference_tests.py --replications 1000 --out difference_tests.csv

Prints rejection rates at 0.05 with the number of replications that each rests on.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

import mlsem

SEED = 20261128
CLUSTERS = (15, 30, 50, 100)
LOADINGS = {
    "one factor": np.array([[1.0, 0.9, 0.8, 0.7]]).T,
    "two factors": np.array([[1.0, 0.9, 0.8, 0, 0, 0], [0, 0, 0, 1.0, 0.9, 0.8]]).T,
}
TEXTS = {
    "one factor": (
        "level: 1\n fw =~ y1 + {a2}y2 + {a3}y3 + {a4}y4\n"
        "level: 2\n fb =~ y1 + {a2}y2 + {a3}y3 + {a4}y4"
    ),
    "two factors": (
        "level: 1\n fw =~ y1 + {a2}y2 + {a3}y3\n gw =~ y4 + {a5}y5 + {a6}y6\n gw ~ x\n"
        "level: 2\n fb =~ y1 + {a2}y2 + {a3}y3\n gb =~ y4 + {a5}y5 + {a6}y6\n gb ~ w"
    ),
}
LABELS = {"one factor": ("2", "3", "4"), "two factors": ("2", "3", "5", "6")}
METHODS = {  # what the tables call them: `method` of `mlsem.lr_test`
    "LR": "lr",
    "SB 2001": "satorra.bentler.2001",
    "SB 2010": "satorra.bentler.2010",
    "score/c0": "score",
}
COLUMNS = (*METHODS, "LR/c0", "Wald CR2")


@dataclass(frozen=True)
class Cell:
    """One design; `shift` is what the second indicator's loading between clusters has more."""

    model: str
    clusters: int
    elliptical: bool
    shift: float

    @property
    def seed(self) -> list[int]:
        kind = [list(TEXTS).index(self.model), self.clusters, self.elliptical]
        return [SEED, *kind, round(100 * self.shift)]


CELLS = [
    *(Cell(*each, 0.0) for each in product(TEXTS, CLUSTERS, (False, True))),
    *(Cell("one factor", clusters, each, 0.5) for clusters in CLUSTERS for each in (False, True)),
]


def draw(cell: Cell, rng: np.random.Generator) -> pd.DataFrame:
    """A data set."""
    loadings, clusters = LOADINGS[cell.model], cell.clusters
    between = loadings.copy()
    between[1, 0] += cell.shift
    p, m = loadings.shape
    sizes = rng.integers(5, 26, clusters)
    ids = np.repeat(np.arange(clusters), sizes)
    scale = np.sqrt(3.0 / rng.chisquare(5, clusters)) if cell.elliptical else np.ones(clusters)
    w, x = rng.normal(size=clusters), rng.normal(size=len(ids))
    fb = rng.normal(scale=np.sqrt(0.4), size=(clusters, m)) * scale[:, None]
    fw = rng.normal(size=(len(ids), m)) * scale[ids, None]
    fb[:, -1] += 0.3 * w * (m > 1)
    fw[:, -1] += 0.3 * x * (m > 1)
    own = rng.normal(scale=np.sqrt(0.1), size=(clusters, p)) * scale[:, None]
    error = rng.normal(scale=np.sqrt(0.6), size=(len(ids), p)) * scale[ids, None]
    y = fw @ loadings.T + error + (fb @ between.T + own)[ids]
    columns = {f"y{k + 1}": y[:, k] for k in range(p)}
    return pd.DataFrame({"id": ids, "x": x, "w": w[ids]} | columns)


def restrict(model: str, between: str) -> str:
    """The text; labels of loadings are a2, a3, … within, the others begin with `between`."""
    within, second = TEXTS[model].split("level: 2")
    labels = [{f"a{k}": f"{letter}{k}*" for k in LABELS[model]} for letter in ("a", between)]
    return within.format(**labels[0]) + "level: 2" + second.format(**labels[1])


def pvalues(cell: Cell, data: pd.DataFrame) -> list[float] | None:
    """Of each method, NaN where it does not exist; None where a fit did not converge."""
    texts = [restrict(cell.model, letter) for letter in "ab"]
    try:
        simple, full = (
            mlsem.fit(text, data, cluster="id", estimator="MLR", se="none") for text in texts
        )
    except mlsem.MlsemError:
        return None
    if not (simple.converged and full.converged):
        return None
    equal = "; ".join(f"a{k} == b{k}" for k in LABELS[cell.model])
    tests = [partial(mlsem.lr_test, simple, full, method=method) for method in METHODS.values()]
    tests.append(partial(by_c0, simple, full))
    tests.append(partial(full.wald_test, equal, vcov="CR2"))
    return [pvalue(test) for test in tests]


def by_c0(simple: mlsem.FitResult, full: mlsem.FitResult) -> float:
    """The likelihood ratio divided by the scaling factor of the score test."""
    score = mlsem.lr_test(simple, full, method="score")
    return float(chdtrc(score.df, 2.0 * (full.loglik - simple.loglik) / score.scaling))


def pvalue(test: Callable[[], Any]) -> float:
    try:
        found = test()
        return found if isinstance(found, float) else found.pvalue
    except mlsem.MlsemError:
        return np.nan


def run(cell: Cell, replications: int) -> dict[str, object]:
    """Rejection rates; a test that does not exist rejects nothing, and is counted."""
    rng, found = np.random.default_rng(cell.seed), []
    for _ in range(replications):
        each = pvalues(cell, draw(cell, rng))
        if each is not None:
            found.append(each)
    p = np.array(found)
    rates = {name: (p[:, k] < 0.05).mean() for k, name in enumerate(COLUMNS)}
    lost = {f"none: {name}": np.isnan(p[:, k]).sum() for k, name in enumerate(COLUMNS)}
    return asdict(cell) | {"replications": len(p)} | rates | lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("difference_tests.csv"))
    wanted = parser.parse_args()
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    rows = []
    for cell in CELLS:
        rows.append(run(cell, wanted.replications))
        pd.DataFrame(rows).to_csv(wanted.out, index=False)
        print(pd.DataFrame(rows[-1:]).round(3).to_string(index=False, header=len(rows) == 1))


if __name__ == "__main__":
    main()
