"""The clusters whose scores a robust covariance sums: what each engine says of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import ClusterParts, Unions, summed, unions
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.implied.point import M, P
from mlsem.core.records import Array, Index
from mlsem.core.sample.draws import Sampler

A = TypeVar("A")


@dataclass(frozen=True, slots=True, eq=False)
class ClusterView(ABC, Generic[P, A]):
    """The clusters whose scores a robust covariance sums, as they see a point. `along` is what
    the objective's derivatives say of the implied moments (`ImpliedDerivatives`)."""

    @property
    @abstractmethod
    def n_clusters(self) -> int:
        """J."""

    @abstractmethod
    def scores(self, point: P, along: A) -> Shaped[Array, "... J n"]:
        """∂ℓ_j/∂φ of every cluster."""

    @abstractmethod
    def parts(self, point: P, along: A) -> ClusterParts:
        """Their parts in the expected information, and the cumulants of their scores."""

    @abstractmethod
    def mixed(
        self,
        point: P,
        along: A,
        fixed: int,
        clusters: slice | Shaped[Index, "j"],
        robust: Shaped[Index, "j"],
    ) -> MixedClusters:
        """Of a linear mixed model of one outcome: some robust clusters, each reduced to few rows.

        Parameters
        ----------
        fixed : int
            p: how many of the directions, the first ones, are those of the fixed effects.
        clusters : slice or (j,)
            The clusters that these are made of.
        robust : (j,)
            The robust cluster of each of them, 0 … g - 1.
        """

    def by_term(
        self, point: P, along: A, size: int, robust: Shaped[Index, "J"]
    ) -> tuple[RobustTerm, ...]:
        """The robust clusters of each term of a sum; `together` where one is in several.

        Parameters
        ----------
        size : int
            n.
        robust : (J,)
            The robust cluster of each cluster, 0 … G - 1.
        """
        return self.together(point, along, size, robust)

    def together(
        self, point: P, along: A, size: int, robust: Shaped[Index, "J"]
    ) -> tuple[RobustTerm, ...]:
        """All robust clusters as those of one term."""
        numbers = np.arange(int(robust.max()) + 1)
        return (RobustTerm(self, point, along, np.arange(size), robust, numbers),)


@dataclass(frozen=True, slots=True, eq=False)
class RobustTerm:
    """The robust clusters of one term, along the directions that move it.

    Attributes
    ----------
    view : ClusterView
        The term's clusters, which see `point` along `along`.
    columns : (k,)
        Which of all directions move it, in ascending order.
    codes : (J,)
        The robust cluster of each of the clusters, 0 … g - 1.
    numbers : (g,)
        Which of all robust clusters these are.
    """

    view: ClusterView[Any, Any]
    point: Any
    along: Any
    columns: Shaped[Index, "k"]
    codes: Shaped[Index, "J"]
    numbers: Shaped[Index, "g"]

    def scores(self) -> Shaped[Array, "... g k"]:
        """∂ℓ/∂φ of every robust cluster."""
        scores = self.view.scores(self.point, self.along)
        return scores if len(self.numbers) == len(self.codes) else summed(scores, self.codes)

    def unions(self, *, apart: bool, first: int = 0) -> Unions:
        """Of the term's clusters, along its directions from the `first` on; see `unions`."""
        parts = self.view.parts(self.point, self.along)
        if first:
            parts = parts.only(np.arange(first, parts.n_directions))
        return unions(parts, self.codes, apart=apart)


class RowClusters(Protocol):
    """The robust clusters of a linear mixed model of one outcome, each as few rows."""

    @property
    def fixed(self) -> int:
        """p: the first directions are those of the fixed effects."""
        ...

    @property
    def n_clusters(self) -> int:
        """G."""
        ...

    @property
    def width(self) -> int:
        """Numbers that one of them takes, about."""
        ...

    def of(self, part: slice) -> MixedClusters:
        """These robust clusters."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class MixedRows:
    """The robust clusters of a linear mixed model of one outcome, reduced to few rows when they
    are asked for.

    Attributes
    ----------
    view : ClusterView
        Its clusters, which see `point` along `along`.
    fixed : int
        p: the first directions are those of the fixed effects.
    order : (J,)
        The clusters, one robust cluster after the other.
    starts : (1 + G,)
        Where those of each robust cluster begin.
    """

    view: ClusterView[Any, Any]
    point: Any
    along: Any
    fixed: int
    order: Shaped[Index, "J"]
    starts: Shaped[Index, "e"]

    @property
    def n_clusters(self) -> int:
        """G."""
        return len(self.starts) - 1

    @property
    def width(self) -> int:
        """Numbers that one of them takes: those of its p fixed effects."""
        return self.fixed**2

    def of(self, part: slice) -> MixedClusters:
        """These robust clusters."""
        starts = self.starts[part.start : part.stop + 1]
        members = self.order[starts[0] : starts[-1]]
        robust = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        return self.view.mixed(self.point, self.along, self.fixed, _as_run(members), robust)


def _as_run(members: Shaped[Index, "j"]) -> slice | Shaped[Index, "j"]:
    """As a slice if they follow one another, so that nothing is copied."""
    first = int(members[0])
    run = (members == np.arange(first, first + len(members))).all()
    return slice(first, first + len(members)) if run else members


@dataclass(frozen=True, slots=True, eq=False)
class MomentClusters(ClusterView[M, Jacobians]):
    """The clusters of one pattern."""

    @abstractmethod
    def sampler(self, pattern: ModelPattern, point: M) -> Sampler[Any]:
        """Prepare draws from the model at a point, the covariates as they are.

        Parameters
        ----------
        pattern : ModelPattern
            The point's.

        Raises
        ------
        DataError
            The data are weighted.
        InferenceError
            The covariance that is implied for some cluster is not positive definite.
        """
