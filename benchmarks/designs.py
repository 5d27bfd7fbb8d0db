"""What the peers are given: designs of any size, and the series in which one number grows.

A regression is y ~ x1 + … + xp + w1 + w1:x1 with a random intercept; a factor model has K factors
of three indicators each, at both levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.cases import random_intercept

INDICATORS = 3
SEED = 20260106


@dataclass(frozen=True)
class Design:
    """J clusters of n rows; p predictors at level 1, or K factors at each level."""

    clusters: int
    size: int
    predictors: int = 1
    factors: int = 0

    @property
    def rows(self) -> int:
        return self.clusters * self.size

    @property
    def title(self) -> str:
        size = f"{self.clusters:,} × {self.size:,}"
        if self.factors:
            return f"{size}, K = {self.factors}"
        return size if self.predictors == 1 else f"{size}, p = {self.predictors}"

    @property
    def words(self) -> tuple[str, ...]:
        """As the arguments of a command."""
        return tuple(map(str, (self.clusters, self.size, self.predictors, self.factors)))

    @property
    def small(self) -> Design:
        """The smallest model of its kind and few rows, with which a process gets ready."""
        return Design(100, 10, factors=1) if self.factors else Design(50, 10)

    @property
    def terms(self) -> tuple[str, ...]:
        """Fixed effects of the regression, in mlsem's and lavaan's names."""
        return (*(f"y~x{k + 1}" for k in range(self.predictors)), "y~w1", "y~w1:x1")

    @property
    def formula(self) -> str:
        """Fixed effects of the regression, for mixed models."""
        return f"y ~ {' + '.join(term.removeprefix('y~') for term in self.terms)}"

    @property
    def model(self) -> str:
        """In lavaan's syntax, the product as `w1:x1`."""
        if self.factors:
            return f"level: 1\n{self._measured('f')}level: 2\n{self._measured('b')}"
        within = [term.removeprefix("y~") for term in self.terms if term != "y~w1"]
        return f"level: 1\n  y ~ {' + '.join(within)}\nlevel: 2\n  y ~ w1\n"

    def _measured(self, letter: str) -> str:
        indicators = (
            " + ".join(f"y{INDICATORS * k + i + 1}" for i in range(INDICATORS))
            for k in range(self.factors)
        )
        return "".join(f"  {letter}{k + 1} =~ {y}\n" for k, y in enumerate(indicators))

    def data(self) -> pd.DataFrame:
        """Rows sorted by `id`; the same at every call."""
        if self.factors:
            return _indicators(self.clusters, self.size, self.factors)
        frame = random_intercept(self.clusters, self.size)
        rng = np.random.default_rng(SEED + 1)
        for k in range(2, self.predictors + 1):
            frame[f"x{k}"] = rng.normal(size=self.rows)
            frame["y"] += 0.1 * frame[f"x{k}"]
        return frame


def _indicators(clusters: int, size: int, factors: int) -> pd.DataFrame:
    """y = λ (b_j + f) + u_j + e by indicator, the factors of a level correlated."""
    rng = np.random.default_rng(SEED)
    ids = np.repeat(np.arange(clusters), size)
    loadings = np.tile([1.0, 0.9, 0.8], factors)

    def level(units: int, of_factors: float, of_items: float) -> np.ndarray:
        common = rng.normal(size=(units, 1)) + rng.normal(size=(units, factors))
        scores = np.repeat(of_factors * common, INDICATORS, axis=1)
        return loadings * scores + rng.normal(0, of_items, (units, INDICATORS * factors))

    y = level(clusters, 0.5, 0.4)[ids] + level(len(ids), 0.7, 1.0)
    return pd.DataFrame({"id": ids, **{f"y{k + 1}": y[:, k] for k in range(y.shape[1])}})


@dataclass(frozen=True)
class Series:
    """Designs that differ in one number alone, from small to large."""

    title: str
    number: Callable[[Design], int]
    designs: tuple[Design, ...]


def _clusters(design: Design) -> int:
    return design.clusters


MANY = (50, 1_000, 10_000, 100_000)
SERIES: dict[str, Series] = {
    "J10": Series("clusters of 10 rows", _clusters, tuple(Design(j, 10) for j in MANY)),
    "J100": Series("clusters of 100 rows", _clusters, tuple(Design(j, 100) for j in MANY)),
    "N": Series(
        "rows in 1,000 clusters", lambda design: design.rows,
        tuple(Design(1_000, n) for n in (10, 100, 1_000, 10_000)),
    ),
    "p": Series(
        "predictors, 1,000 clusters of 10", lambda design: design.predictors,
        tuple(Design(1_000, 10, predictors=p) for p in (1, 4, 16, 64)),
    ),
    "K": Series(
        "factors at each level, 200 clusters of 10", lambda design: design.factors,
        tuple(Design(200, 10, factors=k) for k in (1, 2, 4, 8)),
    ),
}  # fmt: skip


def designs_of(names: Sequence[str]) -> list[Design]:
    """Every design of these series once, those with little work first."""
    found = {design: None for name in names for design in SERIES[name].designs}
    return sorted(found, key=lambda d: (d.rows * d.predictors * max(1, d.factors), d.clusters))


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of log t on log x, by least squares: a of t ∝ x^a."""
    x, t = np.log(np.array(points)).T
    return float(np.polyfit(x, t, 1)[0])


def foreseen(points: Sequence[tuple[float, float]], x: float) -> float:
    """The value at a larger x to which the exponent of the last two points leads, taken as 1 at
    least, since fixed costs hide it in small ones; 0 of fewer points, which foresee nothing."""
    if len(points) < 2:
        return 0.0
    last, value = points[-1]
    return value * (x / last) ** max(1.0, exponent(points[-2:]))
