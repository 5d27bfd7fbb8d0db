"""A step of invariance without its equalities, at the step's own estimates.

Each group has a model with every parameter free that is free in the step (`simple`) or in the one
before (`full`), at what `simple` estimates. With all groups' parameters beside each other, ω,
both models are tangent spaces in ω, O of `simple` and F of `full`, and `simple` is a special case
of `full` if O lies in F as far as implied moments tell. Equal intercepts with free factor means are
one of free intercepts, though no parameter of the second is the factor mean of the first.

With the scores s_j of clusters and the expected information A, along ω, what `full` adds are the
directions F - O (Oᵀ A O)⁻¹ Oᵀ A F that have information left, df of them; R_j are the scores along
them, whitened. The test is

    T / c₀,   T = |Σ_j R_j|²,   c₀ = Σ_j |R_j|² / df

(Rao, 1948; scaled after Boos, 1992; docs/studies/fit_tests.md). One equality alone gives up, with u
the direction of a group's own parameter, d = u - O (Oᵀ A O)⁻¹ Oᵀ A u, g = Σ_j dᵀ s_j and
i = dᵀ A d, an index g² / i and the expected change g / i; all other parameters are expected to
change by d g / i (EPC-interest: Oberski, 2014, eq. 6).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.clusters.unions import summed
from mlsem.core.linalg import scaled_eigen
from mlsem.core.records import Array
from mlsem.errors import InferenceError
from mlsem.estimation.efficient import extended
from mlsem.estimation.estimates import Estimates
from mlsem.inference.covariance.score import ScoreTest, score_test
from mlsem.model.table import ParameterTable, Row

LEFT = 1e-7  # of an information, above which something is left of it
DETERMINED = 1e-11  # eigenvalues of a scaled information, relative to the largest
Cell = tuple[str, str, str, int]


def cell(row: Row) -> Cell:
    """What tells a row of a group."""
    lhs, rhs = sorted((row.lhs, row.rhs)) if row.op == "~~" else (row.lhs, row.rhs)
    return lhs, row.op, rhs, row.level


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """One group with everything free that is in either model.

    Attributes
    ----------
    cells : mapping of cell to int
        Places of its parameters in ω_g.
    own, full : (m, n), (m, k)
        The directions of the two models.
    scores : (J, m)
        Of its clusters.
    information : (m, m)
    """

    cells: dict[Cell, int]
    own: Shaped[Array, "m n"]
    full: Shaped[Array, "m k"]
    scores: Shaped[Array, "J m"]
    information: Shaped[Array, "m m"]


@dataclass(frozen=True, eq=False)
class Released:
    """Both models in ω; see the module.

    Attributes
    ----------
    simple, full : Estimates
        Of groups; `full` is the step before.
    """

    simple: Estimates[Any]
    full: Estimates[Any]

    @cached_property
    def groups(self) -> tuple[_Group, ...]:
        return tuple(
            _group(one.estimates, other.estimates.table, own, full)
            for one, other, own, full in zip(
                self.simple.groups,
                self.full.groups,
                [self.simple.equal[group.places] for group in self.simple.groups],
                [self.full.equal[group.places] for group in self.full.groups],
                strict=True,
            )
        )

    @cached_property
    def _own_information(self) -> Shaped[Array, "n n"]:
        return sum((g.own.T @ g.information @ g.own for g in self.groups), start=np.zeros(()))

    @cached_property
    def _own_scores(self) -> Shaped[Array, "G n"]:
        return self._clusters([g.scores @ g.own for g in self.groups])

    def _clusters(self, parts: list[Shaped[Array, "... n"]]) -> Shaped[Array, "G n"]:
        """Scores of the clusters of the robust covariance."""
        stacked, robust = np.concatenate(parts), self.simple.problem.robust
        return stacked if robust.same else summed(stacked, robust.codes)

    @cached_property
    def _own_root(self) -> Shaped[Array, "n k"]:
        """K with K Kᵀ = (Oᵀ A O)⁻¹, of what is determined."""
        values, vectors, scale = scaled_eigen(self._own_information)
        known = values > DETERMINED * values[-1]
        return (scale[:, None] * vectors[:, known]) / np.sqrt(values[known])

    def _apart(self, crossed: Shaped[Array, "n q"]) -> Shaped[Array, "n q"]:
        """(Oᵀ A O)⁻¹ Oᵀ A F."""
        return self._own_root @ (self._own_root.T @ crossed)

    @cached_property
    def test(self) -> ScoreTest:
        """Of all that the step adds, together.

        Raises
        ------
        InferenceError
            `simple` is not a special case of `full`, or does not differ from it.
        """
        crossed = sum((g.own.T @ g.information @ g.full for g in self.groups), start=np.zeros(()))
        whole = sum((g.full.T @ g.information @ g.full for g in self.groups), start=np.zeros(()))
        less = self._apart(crossed)
        left = whole - crossed.T @ less
        scores = self._clusters([g.scores @ g.full for g in self.groups])
        scores = scores - self._own_scores @ less
        df = self.full.n_params - self.simple.n_params
        diagonal = np.sqrt(np.maximum(np.diagonal(whole), 1e-300))
        values, vectors = np.linalg.eigh(left / diagonal / diagonal[:, None])
        kept = vectors[:, values > LEFT] / diagonal[:, None]
        if kept.shape[1] != df:
            raise InferenceError(
                f"the step has {df} parameters fewer, but {kept.shape[1]} directions of the step "
                "before are not its own: it is not seen to be a special case of it."
            )
        found = score_test(scores @ kept, kept.T @ left @ kept)
        assert found is not None  # its eigenvalues are positive
        return found

    def alone(self, group: int, key: Cell) -> Single | None:
        """One parameter of one group given up; None where the data do not determine it."""
        part = self.groups[group]
        place = part.cells[key]
        row = part.information[place]
        less = self._apart((row @ part.own)[:, None])[:, 0]
        information = float(row[place] - (row @ part.own) @ less)
        if not information > LEFT * row[place]:
            return None
        offsets = np.cumsum([0, *(len(g.scores) for g in self.groups)])
        column = np.zeros((offsets[-1], 1))
        column[offsets[group] : offsets[group + 1], 0] = part.scores[:, place]
        scores = self._clusters([column])[:, 0] - self._own_scores @ less
        total = float(scores.sum())
        return Single(
            index=total**2 / information,
            robust=total**2 / float((scores**2).sum()),
            change=total / information,
            others=-self.simple.equal @ less * (total / information),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Single:
    """What giving up one equality does.

    Attributes
    ----------
    index, robust : float
        g² / i, and g² / Σ_j (dᵀ s_j)².
    change : float
        Of the parameter of this group beside that of the others.
    others : (npar,)
        Of the step's parameters.
    """

    index: float
    robust: float
    change: float
    others: Shaped[Array, "npar"]


def _group(
    simple: Estimates[Any],
    other: ParameterTable,
    own: Shaped[Array, "m n"],
    full: Shaped[Array, "p k"],
) -> _Group:
    """One group with a parameter of its own for each row that is free in either model."""
    table, params = simple.table, simple.params
    theirs = {cell(row): row for row in other.rows if row.free >= 0}
    known = {cell(row): row for row in table.rows}
    opened = {key: row for key, row in known.items() if row.free >= 0 or key in theirs}
    opened |= {key: _absent(row) for key, row in theirs.items() if key not in known}
    places = {key: k for k, key in enumerate(opened)}
    rows = [_free(row, places.get(cell(row), -1)) for row in table.rows]
    rows += [_free(row, places[key]) for key, row in opened.items() if key not in known]
    names = tuple(f"{k}" for k in range(len(opened)))
    union = replace(
        table, rows=tuple(rows), names=names, definitions=(), constraints=(), bounds=None
    )
    values = np.array(
        [params[row.free] if row.free >= 0 else row.fixed or 0.0 for row in opened.values()]
    )
    at = extended(simple, union, values)
    along = at.along(np.eye(len(values)))
    mine, before = (np.zeros((len(values), basis.shape[1])) for basis in (own, full))
    for key, row in opened.items():
        if row.free >= 0:
            mine[places[key]] = own[row.free]
        if key in theirs:
            before[places[key]] = full[theirs[key].free]
    return _Group(places, mine, before, at.scores(along), at.information(along, "expected"))


def _free(row: Row, place: int) -> Row:
    """The row as that parameter; as it is where it is none."""
    if place < 0:
        return row
    return replace(row, free=place, fixed=None, label="", lower=-np.inf, upper=np.inf)


def _absent(row: Row) -> Row:
    return Row(row.lhs, row.op, row.rhs, row.level, user=False, fixed=0.0)


@dataclass(frozen=True, slots=True)
class Tie:
    """A parameter of the step that is several in the one before, or one of that which is fixed.

    Attributes
    ----------
    name : str
        Of the parameter.
    value : float
        In the step.
    members : tuple of (group, cell)
        The group by its place, from 0.
    """

    name: str
    value: float
    members: tuple[tuple[int, Cell], ...]


def ties(simple: Estimates[Any], full: Estimates[Any]) -> list[Tie]:
    """What the step makes equal, or fixes."""
    where: dict[int, list[tuple[int, Cell, int]]] = {}
    fixed: list[Tie] = []
    for g, (one, other) in enumerate(zip(simple.groups, full.groups, strict=True)):
        theirs = {cell(row): row.free for row in other.estimates.table.rows}
        for row in one.estimates.table.rows:
            before = theirs.get(cell(row), -1)
            origin = int(other.places[before]) if before >= 0 else -1
            if row.free >= 0:
                where.setdefault(int(one.places[row.free]), []).append((g, cell(row), origin))
            elif origin >= 0 and row.fixed is not None:
                fixed.append(Tie(full.names[origin], float(row.fixed), ((g, cell(row)),)))
    shared = [
        Tie(
            simple.names[position],
            float(simple.params[position]),
            tuple((g, key) for g, key, _ in entries),
        )
        for position, entries in where.items()
        if len({origin for *_, origin in entries}) > 1
    ]
    return shared + fixed
