"""Effects along paths.

The variables of a level, fixed covariates included, with the paths a_ts from s to t (regressions,
and loadings from a factor to its indicators) as a matrix A:

    direct  a_ts,     total  [(I - A)⁻¹ - I]_ts = Σ_k [Aᵏ]_ts,     indirect  total - direct,

and the effect along one way s → m → … → t is the product of its paths (Bollen, 1987). With
M = (I - A)⁻¹ the total moves with a path by ∂M_ts/∂a_ij = M_ti M_js.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index
from mlsem.errors import InferenceError
from mlsem.model.table import ParameterTable, Row

MOST_WAYS = 100  # ways that are shown one by one


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """The paths of one level.

    Attributes
    ----------
    level : int
    names : tuple of str
        The v variables.
    sources, targets : (e,)
        Of each path, positions in `names`.
    weights : (e, npar)
        A path is weights @ θ + constants.
    constants : (e,)
    """

    level: int
    names: tuple[str, ...]
    sources: Shaped[Index, "e"]
    targets: Shaped[Index, "e"]
    weights: Shaped[Array, "e npar"]
    constants: Shaped[Array, "e"]

    def values(self, params: Shaped[Array, "*s npar"]) -> Shaped[Array, "*s e"]:
        """Of the paths at parameters (…, npar), (…, e)."""
        return params @ self.weights.T + self.constants

    def multipliers(self, values: Shaped[Array, "*s e"]) -> Shaped[Array, "*s v v"]:
        """M = (I - A)⁻¹, (…, v, v)."""
        size = len(self.names)
        matrix = np.zeros((*values.shape[:-1], size, size))
        matrix[..., self.targets, self.sources] = values
        return np.asarray(np.linalg.inv(np.eye(size) - matrix), dtype=np.float64)

    def ways(self, source: int, target: int) -> Iterator[tuple[int, ...]]:
        """The ways from one variable to another that pass no variable twice, as positions of their
        paths."""
        leaving: dict[int, list[int]] = {}
        for path, start in enumerate(self.sources.tolist()):
            leaving.setdefault(start, []).append(path)

        def onward(at: int, seen: frozenset[int], way: tuple[int, ...]) -> Iterator[tuple]:
            for path in leaving.get(at, ()):
                after = int(self.targets[path])
                if after == target:
                    yield (*way, path)
                elif after not in seen:
                    yield from onward(after, seen | {after}, (*way, path))

        return onward(source, frozenset({source}), ())

    @property
    def has_cycle(self) -> bool:
        """Whether some variable has an effect on itself."""
        left = set(zip(self.sources.tolist(), self.targets.tolist(), strict=True))
        nodes = set(range(len(self.names)))
        while nodes:
            ends = nodes - {source for source, _ in left}
            if not ends:
                return True
            nodes -= ends
            left = {(source, target) for source, target in left if target not in ends}
        return False

    def written(self, way: tuple[int, ...]) -> str:
        """`x -> m -> y`."""
        places = [int(self.sources[way[0]]), *(int(self.targets[path]) for path in way)]
        return " -> ".join(self.names[place] for place in places)


def paths_of(table: ParameterTable, level: int, covariates: dict[str, float]) -> Paths:
    """The paths of a level, those that are random by their means.

    Parameters
    ----------
    covariates : dict of name to float
        Means of the fixed covariates of level 2, at which a random path is taken that depends on
        them.
    """
    variables = table.levels[level - 1]
    names = variables.latent + variables.modelled + variables.covariates
    place = {name: k for k, name in enumerate(names)}
    random = {(slope.outcome, slope.carrier): slope.name for slope in table.slopes}
    edges: list[tuple[int, int, Array, float]] = []
    for row in table.rows:
        if row.level != level or row.op not in ("~", "=~"):
            continue
        source, target = (row.rhs, row.lhs) if row.op == "~" else (row.lhs, row.rhs)
        if source not in place or target not in place:
            continue
        if row.op == "~" and level == 1 and (row.lhs, row.rhs) in random:
            weights, constant = _mean_of(table, random[row.lhs, row.rhs], covariates)
        else:
            weights, constant = _cell(row, len(table.names), 1.0)
        if constant or weights.any():
            edges.append((place[source], place[target], weights, constant))
    return Paths(
        level,
        names,
        np.array([each[0] for each in edges], dtype=np.intp),
        np.array([each[1] for each in edges], dtype=np.intp),
        np.array([each[2] for each in edges]).reshape(len(edges), len(table.names)),
        np.array([each[3] for each in edges]),
    )


def _cell(row: Row, count: int, factor: float) -> tuple[Shaped[Array, "npar"], float]:
    weights = np.zeros(count)
    if row.free < 0:
        return weights, factor * float(row.fixed or 0.0)
    weights[row.free] = factor
    return weights, 0.0


def _mean_of(
    table: ParameterTable, slope: str, covariates: dict[str, float]
) -> tuple[Shaped[Array, "npar"], float]:
    """The mean of a random slope, as weights of the parameters and a constant."""
    weights, constant = np.zeros(len(table.names)), 0.0
    for row in table.rows:
        if row.level != 2 or row.lhs != slope or not row.of_mean:
            continue
        if row.op == "~" and row.rhs not in covariates:
            raise InferenceError(
                f"the path {slope!r} varies between clusters and depends on {row.rhs!r}, which the "
                "model explains: its mean is no single path. Write the effect as a := parameter."
            )
        factor = 1.0 if row.op == "~1" else covariates[row.rhs]
        own, fixed = _cell(row, len(table.names), factor)
        weights, constant = weights + own, constant + fixed
    return weights, constant
