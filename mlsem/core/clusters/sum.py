"""The clusters of a sum of log-likelihoods: those of all terms, one term after the other.

Along directions of the whole parameter space a cluster has the score, the information and the
cumulants that it has in its term. A term that a direction does not move has zeros there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters, joined
from mlsem.core.clusters.unions import ClusterParts
from mlsem.core.clusters.view import ClusterView, MomentClusters
from mlsem.core.implied.point import SumPoint
from mlsem.core.records import Array, ClusterMoments, Index


@dataclass(frozen=True, slots=True, eq=False)
class SumClusters(ClusterView[SumPoint, tuple[Any, ...]]):
    """The clusters of each term. A cluster is in one term."""

    terms: tuple[MomentClusters[Any], ...]

    @property
    def n_clusters(self) -> int:
        return sum(view.n_clusters for view in self.terms)

    def scores(self, point: SumPoint, along: tuple[Any, ...]) -> Shaped[Array, "J n"]:
        parts = zip(self.terms, point.terms, along, strict=True)
        return np.concatenate([view.scores(*there) for view, *there in parts])

    def parts(self, point: SumPoint, along: tuple[Any, ...]) -> SumParts:
        parts = zip(self.terms, point.terms, along, strict=True)
        return SumParts(tuple(view.parts(*there) for view, *there in parts))

    def mixed(
        self, point: SumPoint, along: tuple[Any, ...], fixed: int, robust: Shaped[Index, "J"]
    ) -> MixedClusters:
        found: list[tuple[MixedClusters, Index]] = []
        first = 0
        for view, there, own in zip(self.terms, point.terms, along, strict=True):
            codes = robust[first : first + view.n_clusters]
            groups, numbers = np.unique(codes, return_inverse=True)
            found.append((view.mixed(there, own, fixed, numbers), groups))
            first += view.n_clusters
        return joined(found, int(robust.max()) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class SumSampler:
    """Draws from the model of each term."""

    terms: tuple[Any, ...]

    def draw(self, generator: np.random.Generator) -> tuple[ClusterMoments, ...]:
        """Moments of a data set for each term, the covariates held fixed."""
        return tuple(term.draw(generator) for term in self.terms)


@dataclass(frozen=True, slots=True, eq=False)
class SumParts:
    """`ClusterParts` of all terms."""

    terms: tuple[ClusterParts, ...]

    @property
    def n_directions(self) -> int:
        return self.terms[0].n_directions

    @property
    def n_clusters(self) -> int:
        return sum(term.n_clusters for term in self.terms)

    @property
    def width(self) -> int:
        return max(term.width for term in self.terms)

    @property
    def alike(self) -> Shaped[Index, "J"] | None:
        """Clusters of different terms are not alike."""
        found = [term.alike for term in self.terms]
        if all(each is None for each in found):
            return None
        numbers: list[Index] = []
        first = 0
        for term, each in zip(self.terms, found, strict=True):
            own = np.arange(term.n_clusters) if each is None else each
            numbers.append(first + own)
            first += int(own.max(initial=-1)) + 1
        return np.concatenate(numbers)

    def information(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n n"]:
        size = self.n_directions
        total = np.empty((len(clusters), size, size))
        for term, own, part in self._each(clusters):
            total[part] = term.information(own)
        return total

    def variances(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "c n"]
    ) -> Shaped[Array, "j c"]:
        total = np.empty((len(clusters), len(directions)))
        for term, own, part in self._each(clusters):
            total[part] = term.variances(own, directions)
        return total

    def fourth_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c"]:
        total = np.empty(directions.shape[:2])
        for term, own, part in self._each(clusters):
            total[part] = term.fourth_cumulants(own, directions[part])
        return total

    def third_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c n"]:
        total = np.empty(directions.shape)
        for term, own, part in self._each(clusters):
            total[part] = term.third_cumulants(own, directions[part])
        return total

    def _each(
        self, clusters: Shaped[Index, "j"]
    ) -> Iterator[tuple[ClusterParts, Shaped[Index, "t"], Shaped[Index, "t"]]]:
        """Terms with some of these clusters: their numbers in the term, their places here."""
        first = 0
        for term in self.terms:
            stop = first + term.n_clusters
            part = np.flatnonzero((clusters >= first) & (clusters < stop))
            if len(part):
                yield term, clusters[part] - first, part
            first = stop
