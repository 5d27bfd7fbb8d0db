"""Whether one fitted model is a special case of another, and what the other adds.

The free parameters of the simple model are looked for among those of the full one: by variable,
operator, level and group, a random slope by its outcome and carrier; those of a simple model of one
group are those of each. Parameters of the full model that are not found keep what the simple model
has there: 0, or the value that it fixes. The point so found is a proof where it has the simple
model's log-likelihood; that is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index
from mlsem.errors import InferenceError, listed
from mlsem.inference.ratio.same_data import grouped_pairs
from mlsem.model.expressions import compiled_pairs
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import ParameterTable, Row

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates

Key = tuple[str, str, str, int, int]
"""Of a row: its variables and operator, level, and group of the full model."""

SAME = 1e-8  # relative difference of log-likelihoods
NEAR = 1e-6  # of log-likelihoods and constraints


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The simple model as a point of the full one.

    Attributes
    ----------
    params : (npar,)
        The full model's parameters.
    added : tuple of int
        Those that the simple model does not have.
    origins : (npar,)
        The parameter of the simple model that each of them is there; -1 where it has a value.
    turn : (npar, m), optional
        Directions of the full model for each parameter of the simple one, where those that it has
        there are not parameters of the full one.
    """

    params: Shaped[Array, "npar"]
    added: tuple[int, ...]
    origins: Shaped[Index, "npar"]
    turn: Shaped[Array, "npar m"] | None = None

    def carried(self, basis: Shaped[Array, "m n"]) -> Shaped[Array, "npar n"]:
        """Directions (npar, n) of the full model, by those of the simple one."""
        if self.turn is not None:
            return self.turn @ basis
        found = basis[self.origins]
        found[self.origins < 0] = 0.0
        return found


def embed(simple: Estimates, full: Estimates) -> Embedding:
    """The simple model as a point of the full one: by the names of its parameters, and where that
    fails with several groups by the moments that it implies.

    Raises
    ------
    InferenceError
        It could not be recognised as one; says why.
    """
    try:
        return _by_name(simple, full)
    except InferenceError:
        if not full.table.groups:
            raise
        from mlsem.inference.ratio.by_moments import point_of  # for few models

        found = point_of(simple, full)
        if found is None or full.table.meanstructure != simple.table.meanstructure:
            raise
    params, turn = found
    _require_inside(full, params)
    _require_same_fit(simple, full, params)
    known = {key for key, row in _simple_rows(simple, full) if row.free >= 0}
    there = {row.free for key, row in _rows_of_groups(full.table) if key in known}
    shared = set(simple.table.names)
    added = [k for k, name in enumerate(full.table.names) if name not in shared or k not in there]
    return Embedding(params, tuple(added), np.full(len(params), -1, dtype=np.intp), turn)


def _by_name(simple: Estimates, full: Estimates) -> Embedding:
    table = full.table
    places = dict(_rows_of_groups(table))
    params = np.full(len(table.names), np.nan)
    origins = np.full(len(table.names), -1, dtype=np.intp)
    lost: list[str] = []
    for key, row in _simple_rows(simple, full):
        found = _place(key, row, places)
        value = simple.params[row.free] if row.free >= 0 else row.fixed
        if found is None or found.free < 0:
            if row.free >= 0 and not (found is not None and found.fixed == value):
                lost.append(simple.table.names[row.free])
            continue
        before = params[found.free]
        if not np.isnan(before) and abs(before - value) > NEAR * (1.0 + abs(before)):
            _refuse(f"{table.names[found.free]} of the full model has several values there")
        params[found.free] = value
        if row.free >= 0:
            origins[found.free] = row.free
    if lost:
        _refuse(f"the full model has no free parameter for {listed(dict.fromkeys(lost))}")
    params = np.where(np.isnan(params), 0.0, params)
    _require_inside(full, params)
    _require_same_fit(simple, full, params)
    return Embedding(params, tuple(np.flatnonzero(origins < 0).tolist()), origins)


def _refuse(why: str) -> None:
    raise InferenceError(
        f"the simple model could not be recognised as a special case of the full one: {why}. Put "
        "the simple model first; write both with the same variables, factors and scaling."
    )


def _rows_of_groups(table: ParameterTable) -> Iterator[tuple[Key, Row]]:
    """The rows of a table by name, with free positions of the whole."""
    for number, (part, places) in enumerate(_parts(table), start=1):
        rows = _by_class(_rows(part, part, number), range(len(part.classes)))
        yield from _placed(rows, places)


def _simple_rows(simple: Estimates, full: Estimates) -> Iterator[tuple[Key, Row]]:
    """Those of the simple model, as each group of the full one has them."""
    simple_parts, parts = _parts(simple.table), _parts(full.table)
    classes = classes_within(simple, full)
    for number, (own, _) in enumerate(grouped_pairs(simple, full), start=1):
        table, places = simple_parts[own.number - 1]
        rows = _by_class(_rows(table, parts[number - 1][0], number), classes)
        yield from _placed(rows, places)


def classes_within(simple: Estimates, full: Estimates) -> Sequence[int]:
    """Of each class of rows of the full model, which have a residual variance each, the class of
    the simple one that it is part of; none where the full model has no classes."""
    own, theirs = (
        None if not fit.table.classes else fit.record.formula.classes for fit in (simple, full)
    )
    if own is None or theirs is None:
        if own is not None:
            _refuse("it has residual variances by group, and the full model has one for all rows")
        return [0] * len(full.table.classes)
    if not {*own.columns} <= {*theirs.columns}:
        _refuse(
            f"its residual variances are by {listed(own.columns)}, those of the full model by "
            f"{listed(theirs.columns)}"
        )
    places = [theirs.columns.index(name) for name in own.columns]
    known = {cell: k for k, cell in enumerate(own.cells)}
    return [known[tuple(cell[k] for k in places)] for cell in theirs.cells]


def _by_class(rows: list[tuple[Key, Row]], classes: Sequence[int]) -> list[tuple[Key, Row]]:
    """With the residual variance that each class of the full model has, which are told apart by
    the number of the class."""
    if not classes:
        return rows
    own = [(key, row) for key, row in rows if row.is_variance and row.block.is_lowest]
    found = [(key, row) for key, row in rows if not (row.is_variance and row.block.is_lowest)]
    for number, k in enumerate(classes):
        key, row = own[k]
        found.append(((f"{key[0]}[{number}]", *key[1:]), row))
    return found


def _parts(table: ParameterTable) -> list[tuple[ParameterTable, Sequence[int]]]:
    """The table of each group, and where its parameters stand."""
    parts: list[tuple[ParameterTable, Sequence[int]]] = [
        (group.table, group.places) for group in table.groups
    ]
    return parts or [(table, range(len(table.names)))]


def _placed(rows: list[tuple[Key, Row]], places: Sequence[int]) -> Iterator[tuple[Key, Row]]:
    for key, row in rows:
        yield key, replace(row, free=places[row.free]) if row.free >= 0 else row


def _rows(table: ParameterTable, full: ParameterTable, group: int) -> list[tuple[Key, Row]]:
    """The rows of a group by name, random slopes under their names in the full model; a row that
    only carries a slope is the slope's mean where the full model has the slope."""
    theirs = {(slope.outcome, slope.carrier): slope.name for slope in full.slopes}
    own = {(slope.outcome, slope.carrier): slope.name for slope in table.slopes}
    renamed = {name: theirs[path] for path, name in own.items() if path in theirs}
    found: list[tuple[Key, Row]] = []
    for row in table.rows:
        if row.exo:
            continue
        lhs, rhs = renamed.get(row.lhs, row.lhs), renamed.get(row.rhs, row.rhs)
        key = _key(lhs, row.op, rhs, row.level, group)
        path = row.op == "~" and row.block.is_lowest
        if path and (row.lhs, row.rhs) in theirs:
            if (row.lhs, row.rhs) in own:
                continue
            key = _key(theirs[row.lhs, row.rhs], "~1", "", row.level + 1, group)
        elif path and ":" in row.rhs and row.free >= 0:
            key = _moderated(row, theirs, full, group) or key
        found.append((key, row))
    return found


def _key(lhs: str, op: str, rhs: str, level: int, group: int) -> Key:
    if op == "~~":
        lhs, rhs = sorted((lhs, rhs))
    return lhs, op, rhs, level, group


def _moderated(
    row: Row, slopes: dict[tuple[str, str], str], full: ParameterTable, group: int
) -> Key | None:
    """`y ~ w:x` as the regression of the slope of x on w, where the full model has that."""
    lowest, *above = full.blocks
    if any(each.lhs == row.lhs and each.rhs == row.rhs for each in lowest.rows):
        return None
    written = {(each.lhs, each.rhs) for b in above for each in b.rows if each.op == "~"}
    factors = row.rhs.split(":")
    for k, moderator in enumerate(factors):
        name = slopes.get((row.lhs, ":".join(factors[:k] + factors[k + 1 :])))
        if name is not None and (name, moderator) in written:
            return _key(name, "~", moderator, row.level + 1, group)
    return None


def _place(key: Key, row: Row, places: dict[Key, Row]) -> Row | None:
    """The row of the full model; of a mean, that of level 2 where it has moved there."""
    found = places.get(key)
    if row.free >= 0 and row.block.is_lowest and row.of_mean:
        above = places.get((*key[:3], row.level + 1, key[4]))
        if (found is None or found.free < 0) and above is not None and above.free >= 0:
            return above
    return found


def _require_inside(full: Estimates, params: Shaped[Array, "npar"]) -> None:
    table = full.table
    lower, upper = parameter_bounds(table)
    if (params < lower - NEAR).any() or (params > upper + NEAR).any():
        _refuse("it lies outside the bounds of the full model")
    for each, compiled in compiled_pairs(table):
        value = float(np.real(compiled.value(params)))
        if abs(value) > NEAR if each.equality else value < -NEAR:
            _refuse(f"it does not meet the constraint {each.source} of the full model")


def _require_same_fit(simple: Estimates, full: Estimates, params: Shaped[Array, "npar"]) -> None:
    own = simple.problem.loglik_at(simple.params)
    there = full.problem.loglik_at(params)
    if own is None or there is None:
        _refuse("its estimates are outside the parameter space of the full model")
    assert own is not None
    assert there is not None
    if full.table.meanstructure and not simple.table.meanstructure:
        _refuse("it has no means; fit it with meanstructure=True")
    gap = abs(own - there)
    if gap > NEAR + SAME * abs(own):
        _refuse(
            "with the simple model's estimates the full model has another log-likelihood "
            f"({there:.4f}, not {own:.4f})"
        )
