"""Models of two groups in which everything or nothing is shared, and their data."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import mlsem

ALL = (
    "loadings",
    "intercepts",
    "means",
    "regressions",
    "residuals",
    "residual.covariances",
    "lv.variances",
    "lv.covariances",
)


@dataclass(frozen=True)
class Kind:
    """A model of each group.

    Attributes
    ----------
    text : str
        In which `{name}` may label parameters.
    options : mapping
        Of `fit`.
    across : bool
        Whether clusters have rows of both groups.
    holes : bool
        Whether values are missing.
    """

    text: str
    options: dict[str, Any] = field(default_factory=dict)
    across: bool = False
    holes: bool = False

    @property
    def data(self) -> pd.DataFrame:
        found = rows(self.across)
        return without_some(found) if self.holes else found

    def fit(self, **options: Any) -> mlsem.FitResult:
        return mlsem.fit(self.text, self.data, **(self.options | {"tol": 1e-10} | options))

    def together(self, **options: Any) -> mlsem.FitResult:
        """One model for the rows of both groups."""
        return self.fit(meanstructure=True, **options)

    def grouped(self, **options: Any) -> mlsem.FitResult:
        return self.fit(group="g", **options)

    def apart(self, **options: Any) -> dict[str, mlsem.FitResult]:
        """A fit to the rows of each group."""
        how = self.options | {"tol": 1e-10, "meanstructure": True} | options
        return {
            label: mlsem.fit(self.text, part, **how)
            for label, part in self.data.groupby("g", sort=True)
        }


CLUSTERED = {"cluster": "id"}
FACTOR = "f =~ y1 + y2 + y3 + y4\n f ~ x"
LATENT = "level: 1\n fw =~ y1 + y2 + y3 + y4\n fw ~ x\nlevel: 2\n fb =~ y1 + y2 + y3 + y4\n fb ~ w"
PATHS = "level: 1\n y1 ~ x\n y2 ~ y1 + x\nlevel: 2\n y1 ~ w\n y2 ~ y1 + w"
MIXED = "level: 1\n y1 ~ x\nlevel: 2\n y1 ~ w"
SLOPE = 'level: 1\n y1 ~ rv("s")*x\nlevel: 2\n y1 ~ w\n s ~ w\n y1 ~~ s'
KINDS = {
    "mixed model": Kind(MIXED, CLUSTERED),
    "paths at two levels": Kind(PATHS, CLUSTERED),
    "random slope": Kind(SLOPE, CLUSTERED),
    "latent at both levels": Kind(LATENT, CLUSTERED),
    "one level": Kind(FACTOR),
    "one level, clusters": Kind(FACTOR, CLUSTERED),
    "one level, clusters across": Kind(FACTOR, CLUSTERED, across=True),
    "FIML at two levels": Kind(LATENT, CLUSTERED | {"missing": "fiml"}, holes=True),
    "FIML of one level": Kind(FACTOR, CLUSTERED | {"missing": "fiml"}, holes=True),
    "far covariates": Kind(PATHS.replace("x", "farx").replace("w", "farw"), CLUSTERED),
}


@cache
def rows(across: bool = False, clusters: int = 60) -> pd.DataFrame:
    """Clusters of 4 to 9 rows; those of even number are of group "a", or every other row is."""
    rng = np.random.default_rng(5)
    sizes = rng.integers(4, 10, clusters)
    ids = np.repeat(np.arange(clusters), sizes)
    w, x = rng.normal(size=clusters), rng.normal(size=len(ids))
    x += 0.6 * rng.normal(size=clusters)[ids]
    between = 0.9 * rng.normal(size=clusters) + 0.4 * w
    slopes = 0.4 + 0.2 * w + 0.7 * rng.normal(size=clusters)
    factor = slopes[ids] * x + rng.normal(size=len(ids)) + between[ids]
    columns: dict[str, Any] = {"id": ids, "x": x, "w": w[ids]}
    for k, loading in enumerate((1.0, 0.8, 0.9, 0.7), start=1):
        own = 0.7 * rng.normal(size=clusters)[ids] + 0.7 * rng.normal(size=len(ids))
        columns[f"y{k}"] = loading * factor + own + 0.2 * k
    member = np.arange(len(ids)) % 2 if across else ids % 2
    far = {"farx": x + 1e4, "farw": w[ids] + 1e4}
    return pd.DataFrame(columns | far | {"g": np.where(member, "b", "a")})


def without_some(data: pd.DataFrame) -> pd.DataFrame:
    """One value in seven of each outcome is missing."""
    names = ["y1", "y2", "y3", "y4"]
    gone = np.random.default_rng(6).random((len(data), len(names))) < 1.0 / 7.0
    return data.assign(**data[names].mask(gone))
