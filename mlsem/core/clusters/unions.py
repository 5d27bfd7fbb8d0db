"""Robust clusters: unions of the model's clusters, which the model takes for independent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Protocol

import numpy as np

from mlsem.core.blocks import CACHE, positions_in_runs, walk
from mlsem.core.records import Array, Index


class ClusterParts(Protocol):
    """The parts that the model's clusters have in its information, along n directions."""

    @property
    def n_directions(self) -> int: ...

    @property
    def n_clusters(self) -> int: ...

    @property
    def width(self) -> int:
        """Numbers that one direction of one cluster takes."""
        ...

    @property
    def alike(self) -> Shaped[Index, "J"] | None:
        """Clusters of the same number have the same information, (J,); None if each its own."""
        ...

    def only(self, directions: Shaped[Index, "k"]) -> ClusterParts:
        """The same along some of the directions."""
        ...

    def information(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "... j n n"]:
        """B_j of these clusters."""
        ...

    def variances(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "c n"]
    ) -> Shaped[Array, "j c"]:
        """aᵀ B_j a of these clusters for each of the directions (c, n), (j, c)."""
        ...

    def fourth_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "... j c n"]
    ) -> Shaped[Array, "... j c"]:
        """κ₄ of aᵀ s_j for directions a of each of these, (j, c, n) -> (j, c)."""
        ...

    def third_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c n"]:
        """κ₃(aᵀs_j, aᵀs_j, s_j) for directions a of each."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Unions:
    """Which clusters make up which robust cluster, and what is alike among these.

    Attributes
    ----------
    parts : ClusterParts
    codes : (J,)
        The robust cluster of each cluster, 0 … G - 1.
    kind : (G,)
        Robust clusters of the same kind have the same expected information.
    members : (M,)
        Clusters of one robust cluster of each kind, kind by kind.
    starts : (1 + K,)
        Where the members of each kind begin; last, M.
    """

    parts: ClusterParts
    codes: Shaped[Index, "J"]
    kind: Shaped[Index, "G"]
    members: Shaped[Index, "M"]
    starts: Shaped[Index, "e"]

    @property
    def n_kinds(self) -> int:
        """K."""
        return len(self.starts) - 1

    def information(
        self, kinds: Shaped[Index, "k"], factors: Shaped[Array, "J"] | None = None
    ) -> Shaped[Array, "... k n n"]:
        """B of these kinds: the sum over its members, each `factors` times."""
        size = self.parts.n_directions
        width = size * max(size, self.parts.width)
        sums: list[Array] = []
        for _, members, first in self._blocks(kinds, width):
            found = self.parts.information(members)
            if factors is not None:
                found *= factors[members, None, None]
            sums.append(_added(found, first, -3))
        return sums[0] if len(sums) == 1 else np.concatenate(sums, axis=-3)

    def cumulants(
        self, kinds: Shaped[Index, "k"], directions: Shaped[Array, "... k c n"]
    ) -> Shaped[Array, "... k c"]:
        """κ₄ of aᵀs for robust clusters of these kinds."""
        total = np.empty(directions.shape[:-1])
        width = directions.shape[-2] * max(directions.shape[-1], self.parts.width)
        for part, members, first in self._blocks(kinds, width):
            along = _repeated(directions[..., part, :, :], members, first)
            total[..., part, :] = _added(self.parts.fourth_cumulants(members, along), first, -2)
        return total

    def third_cumulants(
        self, kinds: Shaped[Index, "k"], directions: Shaped[Array, "k c n"]
    ) -> Shaped[Array, "k c n"]:
        """κ₃(aᵀs, aᵀs, s) for robust clusters of these kinds."""
        total = np.empty(directions.shape)
        width = max(directions.shape[1:]) * max(directions.shape[2], self.parts.width)
        for part, members, first in self._blocks(kinds, width):
            along = _repeated(directions[part], members, first)
            total[part] = _added(self.parts.third_cumulants(members, along), first, -3)
        return total

    def _blocks(
        self, kinds: Shaped[Index, "k"], width: int
    ) -> list[tuple[slice, Shaped[Index, "j"], Shaped[Index, "g"]]]:
        """Positions in `kinds`, the members of these kinds, and where each kind's begin."""
        starts = self.starts[kinds]
        lengths = self.starts[kinds + 1] - starts
        block = np.cumsum(lengths) * width // CACHE
        edges = np.flatnonzero(np.diff(block, prepend=-1))
        found: list[tuple[slice, Index, Index]] = []
        for start, stop in zip(edges, np.append(edges[1:], len(kinds)), strict=True):
            part = slice(int(start), int(stop))
            sizes = lengths[part]
            first = np.cumsum(sizes) - sizes
            within = np.repeat(starts[part], sizes) + positions_in_runs(sizes)
            found.append((part, self.members[within], first))
        return found


def _added(found: Shaped[Array, "*s"], first: Shaped[Index, "k"], axis: int) -> Shaped[Array, "*t"]:
    """Sums over the members of each kind, which begin at `first` of an axis."""
    return found if found.shape[axis] == len(first) else np.add.reduceat(found, first, axis=axis)


def _repeated(
    directions: Shaped[Array, "... k c n"], members: Shaped[Index, "j"], first: Shaped[Index, "k"]
) -> Shaped[Array, "... j c n"]:
    """Each kind's directions for each of its members."""
    if len(members) == len(first):
        return directions
    return np.repeat(directions, np.diff(first, append=len(members)), axis=-3)


def unions(parts: ClusterParts, codes: Shaped[Index, "J"], *, apart: bool) -> Unions:
    """Arrange the clusters by robust cluster.

    Parameters
    ----------
    codes : (J,)
        0 … G - 1, each of which occurs.
    apart : bool
        Whether each robust cluster is to be of its own kind.
    """
    count = int(codes.max()) + 1
    alike = parts.alike
    if count == len(codes) and alike is not None and not apart:
        _, representatives, numbers = np.unique(alike, return_index=True, return_inverse=True)
        kind = np.empty_like(codes)
        kind[codes] = numbers
        return Unions(parts, codes, kind, representatives, np.arange(len(representatives) + 1))
    order, starts = arranged(codes)
    return Unions(parts, codes, np.arange(count), order, starts)


def arranged(codes: Shaped[Index, "J"]) -> tuple[Shaped[Index, "J"], Shaped[Index, "e"]]:
    """Positions of codes 0 … G - 1, each of which occurs, one code after the other; where those of
    each begin, and last J."""
    order = np.argsort(codes, kind="stable")
    return order, np.append(0, np.cumsum(np.bincount(codes)))


def expected_variances(
    parts: ClusterParts, directions: Shaped[Array, "c n"]
) -> Shaped[Array, "J c"]:
    """aᵀ B_j a of every cluster for each of the directions (c, n), (J, c)."""
    clusters = np.arange(parts.n_clusters)
    runs = walk(len(clusters), len(directions) * parts.width)
    return np.concatenate([parts.variances(clusters[run], directions) for run in runs])


def summed(values: Shaped[Array, "J *s"], codes: Shaped[Index, "J"]) -> Shaped[Array, "G *s"]:
    """Sums of the rows of equal codes 0 … G - 1, each of which occurs."""
    order, starts = arranged(codes)
    return np.add.reduceat(values[order], starts[:-1], axis=0)
