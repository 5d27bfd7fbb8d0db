"""The clusters of a sum of log-likelihoods: those of all terms, one term after the other.

Along directions of the whole parameter space a cluster has the score, the information and the
cumulants that it has in its term. A term that a direction does not move has zeros there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters, joined
from mlsem.core.clusters.unions import ClusterParts
from mlsem.core.clusters.view import ClusterView, MomentClusters, RobustTerm
from mlsem.core.implied.point import SumPoint
from mlsem.core.records import Array, GroupedMoments, Index


@dataclass(frozen=True, slots=True, eq=False)
class TermDirections:
    """The directions that move a term.

    Attributes
    ----------
    columns : (k,)
        Which of all directions.
    size : int
        n, how many these are.
    along : Jacobians
        What the term's derivatives say along its k directions.
    """

    columns: Shaped[Index, "k"]
    size: int
    along: Any


@dataclass(frozen=True, slots=True, eq=False)
class SumClusters(ClusterView[SumPoint, tuple[TermDirections, ...]]):
    """The clusters of each term. A cluster is in one term."""

    terms: tuple[MomentClusters[Any], ...]

    @property
    def n_clusters(self) -> int:
        return sum(view.n_clusters for view in self.terms)

    def scores(self, point: SumPoint, along: tuple[TermDirections, ...]) -> Shaped[Array, "J n"]:
        total = np.zeros((self.n_clusters, along[0].size))
        first = 0
        for view, there, own in zip(self.terms, point.terms, along, strict=True):
            stop = first + view.n_clusters
            total[first:stop, own.columns] = view.scores(there, own.along)
            first = stop
        return total

    def parts(self, point: SumPoint, along: tuple[TermDirections, ...]) -> SumParts:
        parts = zip(self.terms, point.terms, along, strict=True)
        found = tuple(view.parts(there, own.along) for view, there, own in parts)
        return SumParts(found, tuple(own.columns for own in along), along[0].size)

    def by_term(
        self,
        point: SumPoint,
        along: tuple[TermDirections, ...],
        size: int,
        robust: Shaped[Index, "J"],
    ) -> tuple[RobustTerm, ...]:
        found: list[RobustTerm] = []
        first = 0
        for view, there, own in zip(self.terms, point.terms, along, strict=True):
            codes = robust[first : first + view.n_clusters]
            numbers, codes = np.unique(codes, return_inverse=True)
            found.append(RobustTerm(view, there, own.along, own.columns, codes, numbers))
            first += view.n_clusters
        if sum(len(term.numbers) for term in found) > int(robust.max()) + 1:
            return self.together(point, along, size, robust)
        return tuple(found)

    def mixed(
        self,
        point: SumPoint,
        along: tuple[TermDirections, ...],
        fixed: int,
        clusters: slice | Shaped[Index, "j"],
        robust: Shaped[Index, "j"],
    ) -> MixedClusters:
        found: list[tuple[MixedClusters, Index]] = []
        wanted = np.arange(self.n_clusters)[clusters]
        first = 0
        for view, there, own in zip(self.terms, point.terms, along, strict=True):
            stop = first + view.n_clusters
            part = np.flatnonzero((wanted >= first) & (wanted < stop))
            if len(part):
                groups, numbers = np.unique(robust[part], return_inverse=True)
                columns = own.columns[own.columns < fixed]
                each = view.mixed(there, own.along, len(columns), wanted[part] - first, numbers)
                design = np.zeros((len(each.design), fixed, len(groups)))
                design[:, columns] = each.design
                found.append((replace(each, design=design), groups))
            first = stop
        return joined(found, int(robust.max()) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class SumSampler:
    """Draws from the model of each term."""

    terms: tuple[Any, ...]

    def draw(self, generator: np.random.Generator) -> GroupedMoments:
        """Moments of a data set for each term, the covariates held fixed."""
        return GroupedMoments(tuple(term.draw(generator) for term in self.terms))


@dataclass(frozen=True, slots=True, eq=False)
class SumParts:
    """`ClusterParts` of all terms.

    Attributes
    ----------
    terms : tuple of ClusterParts
        Each along the directions that move it.
    columns : tuple of (k,)
        Which of all directions these are.
    n_directions : int
    """

    terms: tuple[ClusterParts, ...]
    columns: tuple[Shaped[Index, "_"], ...]
    n_directions: int

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

    def only(self, directions: Shaped[Index, "k"]) -> SumParts:
        terms: list[ClusterParts] = []
        places: list[Index] = []
        for term, columns in zip(self.terms, self.columns, strict=True):
            _, own, place = np.intersect1d(columns, directions, return_indices=True)
            terms.append(term.only(own))
            places.append(place)
        return SumParts(tuple(terms), tuple(places), len(directions))

    def information(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n n"]:
        size = self.n_directions
        total = np.zeros((len(clusters), size, size))
        for term, columns, own, part in self._each(clusters):
            total[np.ix_(part, columns, columns)] = term.information(own)
        return total

    def variances(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "c n"]
    ) -> Shaped[Array, "j c"]:
        total = np.empty((len(clusters), len(directions)))
        for term, columns, own, part in self._each(clusters):
            total[part] = term.variances(own, directions[:, columns])
        return total

    def fourth_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c"]:
        total = np.empty(directions.shape[:2])
        for term, columns, own, part in self._each(clusters):
            total[part] = term.fourth_cumulants(own, directions[part][:, :, columns])
        return total

    def third_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c n"]:
        total = np.zeros(directions.shape)
        every = np.arange(directions.shape[1], dtype=np.intp)
        for term, columns, own, part in self._each(clusters):
            found = term.third_cumulants(own, directions[part][:, :, columns])
            total[np.ix_(part, every, columns)] = found
        return total

    def _each(
        self, clusters: Shaped[Index, "j"]
    ) -> Iterator[tuple[ClusterParts, Shaped[Index, "k"], Shaped[Index, "t"], Shaped[Index, "t"]]]:
        """Terms with some of these clusters, and the directions that move them: the clusters'
        numbers in the term, their places here."""
        first = 0
        for term, columns in zip(self.terms, self.columns, strict=True):
            stop = first + term.n_clusters
            part = np.flatnonzero((clusters >= first) & (clusters < stop))
            if len(part):
                yield term, columns, clusters[part] - first, part
            first = stop
