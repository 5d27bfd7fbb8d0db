"""A trial in which rows are randomised within clusters (schools, sites), and how precisely it
estimates the mean effect.

The outcome has variance 1, of which ρ lies between clusters; effects of clusters have the variance
τ² about their mean, of which covariates of clusters explain R_τ², as those of rows R² of what lies
within clusters. A share P of a cluster's n rows is treated. What clusters have in common with their
rows leaves the comparison:

    I(n) = n P(1 − P)/((1 − ρ)(1 − R²))      information of a cluster on its effect
    SE²  = 1/(J E[I]) + τ²(1 − R_τ²)/(J E),   E = (E[n])²/E[n²]

with the effects of clusters weighed by their rows, as a random intercept or fixed effects do. Of
equal clusters this is Dong & Maynard's (2013) blocked individual assignment with random effects,
ω = τ²/ρ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlsem.planning.trial import FEW, FEWEST_DF, UNEVEN, Fact, Sizes


@dataclass(frozen=True)
class Multisite:
    """What is planned.

    Attributes
    ----------
    clusters : int
    treated : float
        Share of the rows of each.
    sizes : Sizes
    icc : float
        ρ.
    spread : float
        τ, the standard deviation of the effect between clusters.
    r2 : (float, float)
        Of rows, and of the variance of the effect.
    covariates : int
        Of clusters, that move the effect: each takes a degree of freedom.
    control : None
        Outcomes are continuous.
    """

    clusters: int
    treated: float
    sizes: Sizes
    icc: float
    spread: float
    r2: tuple[float, float]
    covariates: int
    control: None = None

    title = "Plan of a trial within clusters"

    def with_size(self, size: float) -> Multisite:
        """With so many rows in a cluster on average."""
        return replace(self, sizes=replace(self.sizes, mean=float(size)))

    def with_clusters(self, clusters: int, share: float) -> Multisite:
        """With so many clusters; the share of their rows that are treated is as it is."""
        return replace(self, clusters=clusters)

    def fewest(self, share: float) -> int:
        """The fewest clusters that leave the test a degree of freedom."""
        return 2 + self.covariates

    @property
    def effective(self) -> float:
        """The part of the clusters that counts: E."""
        sizes = self.sizes.values
        return float(sizes.mean() ** 2 / (sizes**2).mean())

    def se(self, effect: float) -> float:
        """Standard error of the mean effect."""
        return self._se(self.r2)

    def _se(self, r2: tuple[float, float]) -> float:
        within = (1.0 - self.icc) * (1.0 - r2[0]) / (self.treated * (1.0 - self.treated))
        rows, varies = within / self.sizes.values.mean(), self.spread**2 * (1.0 - r2[1])
        return float(np.sqrt((rows + varies / self.effective) / self.clusters))

    def df(self, effect: float) -> float:
        """J E − 1 − covariates: of CR2, to a few tenths; J − 1 of equal clusters."""
        return self.clusters * self.effective - 1.0 - self.covariates

    @property
    def design_effect(self) -> float:
        """Variance of the effect, without covariates, to that of as many rows of no clusters: of a
        constant effect 1 − ρ."""
        rows = self.clusters * float(self.sizes.values.mean())
        return float(self._se((0.0, 0.0)) ** 2 * rows * self.treated * (1.0 - self.treated))

    def inflation(self, effect: float) -> float:
        """None: arms are in the same clusters."""
        return 0.0

    def thin(self, effect: float) -> tuple[str, ...]:
        """Why formulas are on thin ice here; empty where they are not."""
        found = list[str]()
        if self.clusters < FEW:
            found.append(f"there are {self.clusters} clusters")
        if self.df(effect) < FEWEST_DF:
            found.append(f"the test has {self.df(effect):.1f} degrees of freedom")
        if self.sizes.values.std() > UNEVEN * self.sizes.values.mean():
            found.append("sizes of clusters vary by more than their mean")
        return tuple(found)

    @property
    def icc_words(self) -> str:
        return f"{self.icc:g}"

    @property
    def arms_words(self) -> str:
        return f"{self.treated:.3g} of their rows treated"

    def facts(self, effect: float) -> tuple[Fact, ...]:
        """What is known of it."""
        found = [
            ("Clusters", str(self.clusters)),
            ("Rows of each", self.sizes.words),
            ("Share of them that is treated", f"{self.treated:.3g}"),
            ("Intraclass correlation", self.icc_words),
            ("SD of the effect between clusters", f"{self.spread:g}"),
        ]
        if any(self.r2):
            found.append(("Explained by covariates", ", ".join(f"{each:g}" for each in self.r2)))
        if self.covariates:
            found.append(("Covariates of clusters", str(self.covariates)))
        return tuple(found)
