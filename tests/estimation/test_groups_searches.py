"""Searches of several groups find a maximum where those of separate fits do, whatever is shared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from grouped_kinds import ALL

import mlsem

pytestmark = pytest.mark.filterwarnings(
    "ignore::mlsem.InferenceWarning", "ignore::mlsem.EstimationWarning"
)

TEXTS = (
    "level: 1\n fw =~ y1 + y2 + y3\n fw ~ z\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w",
    "level: 1\n y1 ~ x + z\n y2 ~ y1 + x\nlevel: 2\n y1 ~ x + w\n y2 ~ y1 + w",
    'level: 1\n y1 ~ rv("s")*z + x\nlevel: 2\n y1 ~ w\n s ~ w\n y1 ~~ s',
    "level: 1\n y1 ~ x\n y1 ~~ y2\n y2 ~ z\nlevel: 2\n y1 ~~ y2\n y1 ~ w",
    "f =~ y1 + y2 + y3\n f ~ x + z\n y4 ~ f",
)
EQUAL = (
    (),
    ("loadings", "intercepts"),
    ("regressions", "residuals"),
    ("loadings", "intercepts", "lv.variances"),
    ALL,
)


def drawn(seed, groups, clusters):
    """Groups of clusters of 2 to 11 rows, with holes in y2 in every third seed."""
    rng = np.random.default_rng(seed)
    parts = []
    for g in range(groups):
        sizes = rng.integers(2, 12, clusters)
        ids = np.repeat(np.arange(clusters), sizes)
        w, z = rng.normal(size=clusters), rng.normal(size=len(ids))
        x = rng.normal(size=len(ids)) + 0.7 * rng.normal(size=clusters)[ids]
        effect = (0.4 * w + 0.7 * rng.normal(size=clusters))[ids]
        factor = 0.4 * x + 0.3 * rng.normal(size=clusters)[ids] * z + rng.normal(size=len(ids))
        columns = {"id": ids + 1000 * g, "g": f"g{g}", "x": x, "w": w[ids], "z": z}
        for k, loading in enumerate((1.0, 0.9, 0.8, 0.7), start=1):
            own = 0.5 * rng.normal(size=clusters)[ids] + 0.7 * rng.normal(size=len(ids))
            columns[f"y{k}"] = loading * (factor + effect) + own + 0.3 * k
        parts.append(pd.DataFrame(columns))
    data = pd.concat(parts, ignore_index=True)
    return data.assign(y2=data["y2"].mask(rng.random(len(data)) < 0.2)) if seed % 3 == 0 else data


def _slowly(seeds):
    return [pytest.param(seed, marks=pytest.mark.slow) for seed in seeds]


@pytest.mark.parametrize("seed", [0, 1, 3, 4, *_slowly((2, *range(5, 10)))])
def test_searches_end_where_those_of_separate_fits_do(seed):
    text = TEXTS[seed % len(TEXTS)]
    data = drawn(seed, 2 + seed % 3, 20 + 3 * seed)
    how = {"cluster": "id", "se": "none", "missing": "fiml", "meanstructure": True}
    apart = [mlsem.fit(text, part, **how) for _, part in data.groupby("g")]
    assert all(each.converged for each in apart)
    total = sum(each.loglik for each in apart)
    logliks = []
    for equal in EQUAL:
        found = mlsem.fit(text, data, group="g", group_equal=equal, **how)
        assert found.converged
        logliks.append(found.loglik)
    assert logliks[0] == pytest.approx(total, abs=1e-6)
    assert max(logliks) <= total + 1e-6
    assert min(logliks) == logliks[-1]
