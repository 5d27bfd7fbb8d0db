"""A cluster-randomised trial that is planned, and how precisely it estimates the effect.

The outcome has variance 1; ρ₃ of it lies between clusters, ρ₂ between subclusters, and covariates
explain R² of each part:

    V(n) = ρ₃(1 − R₃²) + ρ₂(1 − R₂²)/K + (1 − ρ₃ − ρ₂)(1 − R₁²)/(Kn)    of a cluster's mean
    I    = E[1/V(n)]                                                   information of a cluster
    SE²  = s₁²/(J₁ I) + s₀²/(J₀ I)                                     of the effect

s² is 1, or with a binary outcome π(1 − π) of the arm. Expectations are over the sizes n of
clusters: V of their mean size would be right for equal ones only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated as Shaped

import numpy as np
from scipy.special import gammaincinv

from mlsem.core.records import Array

Fact = tuple[str, str]
QUANTILES = 400  # of the distribution of sizes
FEW, FEWEST_DF, UNEVEN, FEW_EVENTS = 4, 4.0, 1.0, 5.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows clusters have (with subclusters: those have).

    Attributes
    ----------
    mean : float
    cv : float
        SD/mean, of a gamma distribution; sizes are rounded and at least 1.
    given : tuple of int
        The sizes of all clusters, where they are known.
    """

    mean: float
    cv: float = 0.0
    given: tuple[int, ...] = ()

    @property
    def values(self) -> Shaped[Array, "s"]:
        """Sizes that are alike probable."""
        if self.given:
            return np.array(self.given, dtype=np.float64)
        if not self.cv:
            return np.array([self.mean])
        middles = (np.arange(QUANTILES) + 0.5) / QUANTILES
        shape = self.cv**-2
        return np.maximum(np.rint(gammaincinv(shape, middles) * self.mean / shape), 1.0)

    @property
    def words(self) -> str:
        if self.given:
            return f"{min(self.given)} to {max(self.given)}, mean {self.mean:.4g}"
        return f"{self.mean:g}" + (f" on average, CV {self.cv:g}" if self.cv else "")

    def drawn(self, rng: np.random.Generator, count: int) -> Shaped[Array, "J"]:
        """Sizes of so many clusters: those that are given in another order, or new ones."""
        if self.given:
            return rng.permutation(self.values)
        if not self.cv:
            whole, part = divmod(self.mean, 1.0)
            return np.asarray(whole + (rng.random(count) < part), dtype=np.float64)
        shape = self.cv**-2
        return np.maximum(np.rint(rng.gamma(shape, self.mean / shape, count)), 1.0)


@dataclass(frozen=True)
class Trial:
    """What is planned.

    Attributes
    ----------
    clusters : int
    treated : int
        Of them.
    sizes : Sizes
    subclusters : int
        Of each cluster; 1 with two levels.
    icc : (float, float)
        ρ₂ and ρ₃; with two levels 0 and the intraclass correlation.
    r2 : (float, float, float)
        Of rows, subclusters, clusters: what covariates explain of each part.
    covariates : int
        How many of them clusters have: each takes a degree of freedom.
    control : float or None
        The risk without treatment, of a binary outcome.
    """

    clusters: int
    treated: int
    sizes: Sizes
    subclusters: int
    icc: tuple[float, float]
    r2: tuple[float, float, float]
    covariates: int
    control: float | None

    title = "Plan of a cluster-randomised trial"

    def with_size(self, size: float) -> Trial:
        """With so many rows in a cluster on average."""
        return replace(self, sizes=replace(self.sizes, mean=float(size)))

    def with_clusters(self, clusters: int, share: float) -> Trial:
        """With so many clusters, of which this share is treated."""
        return replace(self, clusters=clusters, treated=arm(share, clusters))

    def fewest(self, share: float) -> int:
        """The fewest clusters that leave each arm two and the test a degree of freedom."""
        return max(int(np.ceil(2.0 / min(share, 1.0 - share))), 4 + self.covariates)

    @property
    def arms(self) -> tuple[int, int]:
        """Clusters with treatment, and without."""
        return self.treated, self.clusters - self.treated

    @property
    def parts(self) -> tuple[float, float, float]:
        """Variance of rows, subclusters, clusters."""
        middle, upper = self.icc
        return 1.0 - middle - upper, middle, upper

    @cached_property
    def informations(self) -> Shaped[Array, "s"]:
        """1/V of clusters of each size."""
        return _information(self.sizes.values, self.subclusters, self._unexplained)

    @property
    def _unexplained(self) -> tuple[float, float, float]:
        lower, middle, upper = (
            part * (1.0 - share) for part, share in zip(self.parts, self.r2, strict=True)
        )
        return lower, middle, upper

    @property
    def design_effect(self) -> float:
        """By how much clusters raise the variance of the effect, without covariates: of equal
        clusters 1 + (n − 1)ρ."""
        plain = _information(self.sizes.values, self.subclusters, self.parts)
        return float(self.subclusters * self.sizes.values.mean() / plain.mean())

    @property
    def effective(self) -> float:
        """The part of the clusters that counts: (ΣI)²/(J ΣI²)."""
        found = self.informations
        return float(found.mean() ** 2 / (found**2).mean())

    def variances(self, effect: float) -> tuple[float, float]:
        """s² of the two arms."""
        if self.control is None:
            return 1.0, 1.0
        risk = self.control + effect
        return risk * (1.0 - risk), self.control * (1.0 - self.control)

    def se(self, effect: float) -> float:
        """Standard error of the effect."""
        information = float(self.informations.mean())
        pairs = zip(self.variances(effect), self.arms, strict=True)
        return float(np.sqrt(sum(own / (count * information) for own, count in pairs)))

    def df(self, effect: float) -> float:
        """Satterthwaite degrees of freedom of the difference between the arms' means,

            (Σ v_a)² / Σ v_a²/(J_a E − 1) − covariates,    v_a = s_a²/J_a,

        E the part of the clusters that counts; J − 2 − covariates of equal arms and clusters.
        """
        each = [own / count for own, count in zip(self.variances(effect), self.arms, strict=True)]
        within = [max(count * self.effective - 1.0, 1e-9) for count in self.arms]
        parts = sum(own**2 / df for own, df in zip(each, within, strict=True))
        return float(sum(each) ** 2 / parts - self.covariates) if parts else float("inf")

    def thin(self, effect: float) -> tuple[str, ...]:
        """Why formulas are on thin ice here; empty where they are not."""
        found = list[str]()
        if min(self.arms) < FEW:
            found.append(f"an arm has {min(self.arms)} clusters")
        if self.df(effect) < FEWEST_DF:
            found.append(f"the test has {self.df(effect):.1f} degrees of freedom")
        if self.sizes.values.std() > UNEVEN * self.sizes.values.mean():
            found.append("sizes of clusters vary by more than their mean")
        if self.control is not None and self._events(effect) < FEW_EVENTS:
            found.append(
                f"{self._events(effect):.1f} events (or their absence) are expected in an arm"
            )
        return tuple(found)

    def inflation(self, effect: float) -> float:
        """By what share the variance of the effect grows because slopes of covariates of clusters
        are estimated: g / (df − 1) of g normal ones, which chance makes differ between arms."""
        df = self.df(effect)
        return self.covariates / (df - 1.0) if df > 1.0 else float("inf")

    def _events(self, effect: float) -> float:
        """Expected in the arm and of the kind that has the fewest."""
        assert self.control is not None
        each = self.subclusters * self.sizes.mean
        risks = zip((self.control + effect, self.control), self.arms, strict=True)
        return min(count * each * min(risk, 1.0 - risk) for risk, count in risks)

    @property
    def arms_words(self) -> str:
        return f"{self.treated} treated"

    @property
    def icc_words(self) -> str:
        middle, upper = self.icc
        return f"{upper:g}" if self.subclusters == 1 else f"{middle:g} and {upper:g}"

    def facts(self, effect: float) -> tuple[Fact, ...]:
        """What is known of it."""
        treated, control = self.arms
        found = [
            ("Clusters", f"{self.clusters} ({treated} treated, {control} not)"),
            *([("Subclusters of each", str(self.subclusters))] if self.subclusters > 1 else []),
            ("Rows of each", self.sizes.words),
            ("Intraclass correlation", self.icc_words),
        ]
        if any(self.r2):
            shares = self.r2 if self.subclusters > 1 else (self.r2[0], self.r2[2])
            found.append(("Explained by covariates", ", ".join(f"{each:g}" for each in shares)))
        if self.covariates:
            found.append(("Covariates of clusters", str(self.covariates)))
        if self.control is not None:
            risks = f"{self.control:g}, {self.control + effect:.4g}"
            found.append(("Risk without and with treatment", risks))
        return tuple(found)


def arm(treated: float, clusters: int) -> int:
    """How many clusters are treated: a share of them, or that number."""
    return int(treated) if treated >= 1 else int(np.floor(treated * clusters + 0.5))


def _information(
    sizes: Shaped[Array, "s"], subclusters: int, parts: tuple[float, float, float]
) -> Shaped[Array, "s"]:
    lower, middle, upper = parts
    if subclusters == 1:
        return 1.0 / (upper + middle + lower / sizes)
    inner = float(np.mean(1.0 / (middle + lower / sizes)))  # of a subcluster
    return np.array([1.0 / (upper + 1.0 / (subclusters * inner))])
