"""Models and data of the speed benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.common import ROOT

EXAMPLES = ROOT / "examples"

RANDOM_INTERCEPT = """
level: 1
  y ~ x1 + w1:x1
level: 2
  y ~ w1
"""

DEMO_CFA = """
level: 1
  fw =~ y1 + y2 + y3
  fw ~ x1 + x2 + x3
level: 2
  fb =~ y1 + y2 + y3
  fb ~ w1 + w2
"""

SIX_INDICATORS = """
level: 1
  fw =~ y1 + y2 + y3 + y4 + y5 + y6
level: 2
  fb =~ y1 + y2 + y3 + y4 + y5 + y6
"""


@dataclass(frozen=True)
class Case:
    """A model, its data, and how much faster than lavaan it should be.

    `lavaan_model` has products by the name of a column made by hand.
    """

    title: str
    model: str
    data: Callable[[], pd.DataFrame]
    cluster: str = "id"
    target: int | None = None
    lavaan_repeats: int = 5

    @property
    def lavaan_model(self) -> str:
        return self.model.replace("w1:x1", "int")

    def lavaan_data(self) -> pd.DataFrame:
        frame = self.data()
        if "w1:x1" in self.model:
            frame = frame.assign(int=frame["w1"] * frame["x1"])
        return frame


def article() -> pd.DataFrame:
    return pd.read_csv(EXAMPLES / "article.csv")


def demo() -> pd.DataFrame:
    return pd.read_csv(EXAMPLES / "demo_twolevel.csv")


def six_indicators() -> pd.DataFrame:
    """1,000 clusters of 5 to 50 rows, 27,300 rows in all, a factor at each level."""
    rng = np.random.default_rng(20260106)
    sizes = rng.permutation(5 + np.arange(1000) % 46)
    ids = np.repeat(np.arange(1000), sizes)
    loadings = np.array([1.0, 0.9, 0.8, 0.7, 1.1, 1.2])
    between = rng.normal(0, 0.7, (1000, 1)) * loadings + rng.normal(0, 0.4, (1000, 6))
    within = rng.normal(size=(len(ids), 1)) * loadings + rng.normal(size=(len(ids), 6))
    columns = {f"y{k + 1}": (between[ids] + within)[:, k] for k in range(6)}
    return pd.DataFrame({"id": ids, **columns})


def random_intercept(clusters: int, size: int, seed: int = 20260106) -> pd.DataFrame:
    """The article's design with sorted ids: y = .25 w + .5 x + .25 w x + u + s x + e."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(clusters), size)
    w, u, s = rng.normal(size=(3, clusters))
    x, e = rng.normal(size=(2, len(ids)))
    wj = w[ids]
    y = 0.25 * wj + 0.5 * x + 0.25 * wj * x + u[ids] + np.sqrt(0.2) * s[ids] * x + e
    return pd.DataFrame({"id": ids, "w1": wj, "x1": x, "y": y})


CASES: dict[str, Case] = {
    "article": Case(
        "the article's model, 500 rows, 50 clusters", RANDOM_INTERCEPT, article, target=100
    ),
    "demo": Case("two-level CFA, 2,500 rows, 200 clusters", DEMO_CFA, demo, "cluster", 200, 3),
    "six": Case(
        "6 indicators, a factor per level, 27,300 rows, 1,000 clusters of 5–50",
        SIX_INDICATORS, six_indicators, target=200, lavaan_repeats=2,
    ),
    "medium": Case(
        "random intercept, 1,000 clusters × 20",
        RANDOM_INTERCEPT, lambda: random_intercept(1000, 20), lavaan_repeats=3,
    ),
    "large": Case(
        "random intercept, 10,000 clusters × 50",
        RANDOM_INTERCEPT, lambda: random_intercept(10_000, 50), target=400, lavaan_repeats=1,
    ),
}  # fmt: skip
