"""Which rows full information maximum likelihood uses, and what is known of those that it does not.

A fixed covariate is conditioned on: where it is missing, the row says nothing, at level 2 the
cluster. All else may be missing. A variable of level 2 has in all rows of a cluster the value that
one of them has. A product is missing where one of its factors is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlsem.data.moments.bases import Column, level_values, may_be_level2, spread
from mlsem.data.table.columns import SILENT, counted
from mlsem.data.table.grouping import restricted
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Set

    from numpy.typing import NDArray

    from mlsem.data.table.columns import Rows
    from mlsem.data.table.grouping import Grouping
    from mlsem.model.table import ParameterTable


NAMES = ("products", "lacking", "level2_lacking")
"""Fields of `Missingness` that are names; all others are counts."""


@dataclass(frozen=True, slots=True)
class Missingness:
    """What full information maximum likelihood uses, and what not.

    Attributes
    ----------
    covariate_clusters, covariate_cluster_rows : int
        Clusters that are left out for a fixed covariate of level 2 that is missing, and their
        rows.
    covariate_rows : int
        Other rows that are left out for a fixed covariate of level 1.
    empty_rows : int
        Rows that are left out since no variable of level 1 is observed in them.
    clusters_dropped : int
        Clusters of which no row is used, for whichever of these reasons.
    rows_partly, clusters_partly : int
        Rows used in which some variable of level 1 is missing; clusters used in which one of
        level 2 is.
    patterns, level2_patterns : int
        Patterns of missing values of level 1 and of level 2, the complete ones among them.
    products : tuple of str
        Products that are missing in rows used, since a factor is.
    lacking, level2_lacking : tuple of str
        Fixed covariates of level 1 and of level 2 that are missing somewhere.
    """

    covariate_clusters: int = 0
    covariate_cluster_rows: int = 0
    covariate_rows: int = 0
    empty_rows: int = 0
    clusters_dropped: int = 0
    rows_partly: int = 0
    clusters_partly: int = 0
    patterns: int = 1
    level2_patterns: int = 1
    products: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    level2_lacking: tuple[str, ...] = ()


def summed(parts: Sequence[Missingness], patterns: int, level2_patterns: int) -> Missingness:
    """Of all groups, which have so many patterns together."""
    counts = {
        field.name: sum(getattr(part, field.name) for part in parts)
        for field in fields(Missingness)
        if field.name not in NAMES
    }
    names = {
        name: tuple(dict.fromkeys(each for part in parts for each in getattr(part, name)))
        for name in NAMES
    }
    both = {"patterns": patterns, "level2_patterns": level2_patterns}
    return Missingness(**{**counts, **names, **both})


def factors_of(table: ParameterTable) -> dict[str, tuple[str, ...]]:
    """The data columns that each variable of the model is made of."""
    products = {term.name: term.factors for term in table.products}
    return {name: products.get(name, (name,)) for name in table.observed}


def settle(
    table: ParameterTable, rows: Rows, grouping: Grouping, chunk_rows: int
) -> tuple[Rows, Grouping, Missingness]:
    """The rows with missing values that are used, by cluster, and what is known of the others.

    Parameters
    ----------
    rows : Rows
        All rows of the frame, with their gaps.
    grouping : Grouping
        Of all rows.

    Raises
    ------
    DataError
        A variable is never observed; no row is left.
    """
    _check_observed(rows, rows.values)
    rows = _filled(table, rows, grouping, chunk_rows)
    out = left_out_of(table, rows, grouping)
    used = rows.kept(out.keep)
    if not used.n_used:
        raise nothing_left(rows.n_total, rows.missing)
    _check_observed(used, rows.gaps)
    left = grouping if out.keep.all() else restricted(grouping, out.keep)[0]
    gone = restricted(grouping, out.alone)[0].sizes if out.alone.any() else ()
    found = Missingness(
        covariate_clusters=len(gone),
        covariate_cluster_rows=int(out.alone.sum()),
        covariate_rows=int((out.lacking & ~out.alone).sum()),
        empty_rows=int(out.empty.sum()),
        clusters_dropped=len(grouping.sizes) - len(left.sizes) if grouping.clustered else 0,
    )
    return used, left, replace(found, **names_with_gaps(table, rows.gaps.keys(), used.gaps.keys()))


class LeftOut(NamedTuple):
    """Of units with one pattern of missing values each (rows, or cells of them), which are left
    out, (R,): those that lack a fixed covariate of level 1, of level 2, and others that say
    nothing."""

    lacking: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    empty: NDArray[np.bool_]

    @property
    def keep(self) -> NDArray[np.bool_]:
        return ~(self.lacking | self.alone | self.empty)


def left_out_of(table: ParameterTable, rows: Rows, grouping: Grouping) -> LeftOut:
    """Which units are left out; of `rows` the gaps alone are looked at."""
    factors, (first, *above) = factors_of(table), table.levels
    lacking = _any(rows, (f for name in first.covariates for f in factors[name]))
    alone = _any(rows, (f for level in above for name in level.covariates for f in factors[name]))
    keep = ~(lacking | alone)
    return LeftOut(lacking, alone, keep & _says_nothing(table, rows, factors, grouping, keep))


def nothing_left(total: int, missing: Iterable[tuple[str, int]]) -> DataError:
    return DataError(
        f"no row is left: each of the {total} rows lacks a fixed covariate or all variables of "
        f"level 1 ({counted(missing)})."
    )


def names_with_gaps(table: ParameterTable, gaps: Set[str], left: Set[str]) -> dict[str, Any]:
    """Fields of `Missingness` that are names, by the columns that are missing somewhere and those
    that are so in rows used."""
    factors, (first, *above) = factors_of(table), table.levels
    outer = (name for level in above for name in level.covariates)
    return {
        "products": tuple(name for name, own in factors.items() if len(own) > 1 and left & {*own}),
        "lacking": tuple(name for name in first.covariates if gaps & {*factors[name]}),
        "level2_lacking": tuple(name for name in outer if gaps & {*factors[name]}),
    }


def _any(rows: Rows, names: Iterable[str]) -> NDArray[np.bool_]:
    """Where one of the columns is missing."""
    own = [rows.gaps[name] for name in dict.fromkeys(names) if name in rows.gaps]
    return np.logical_or.reduce(own) if own else np.zeros(rows.n_total, dtype=bool)


def _check_observed(rows: Rows, names: Iterable[str]) -> None:
    for name in names:
        if rows.count(name) == 0:
            raise never_observed(name, rows.n_used, "" if rows.keep is None else " used")


def never_observed(name: str, rows: int, used: str) -> DataError:
    return DataError(
        f"{name!r} is missing in each of the {rows} rows{used}. Leave it out of the model."
    )


def _filled(table: ParameterTable, rows: Rows, grouping: Grouping, chunk_rows: int) -> Rows:
    """With the values of variables of level 2 in all rows of a cluster of which one has it."""
    values, gaps = dict(rows.values), dict(rows.gaps)
    for name, gap in rows.gaps.items():
        if not may_be_level2(table, name):
            continue
        mean = rows.totals[name] / rows.count(name)
        column = Column.where_observed(name, values[name], mean, grouping, gap, chunk_rows)
        level = level_values(table, column)
        if level is None:
            continue
        level = column.of_clusters(level)
        wholly = int(grouping.sizes[np.isnan(level)].sum())
        if wholly == int(gap.sum()):
            continue
        filled = spread(level, grouping.sizes)
        if grouping.order is not None:
            filled, ordered = np.empty(len(gap)), filled
            filled[grouping.order] = ordered
        values[name], gaps[name] = filled, np.isnan(filled)
    return replace(rows, values=values, gaps=gaps)


def _says_nothing(
    table: ParameterTable,
    rows: Rows,
    factors: Mapping[str, tuple[str, ...]],
    grouping: Grouping,
    keep: NDArray[np.bool_],
) -> NDArray[np.bool_] | bool:
    """Rows without a variable of level 1 that no fixed covariate keeps, nor a variable of level 2
    that would be lost with them. Covariates keep rows as in lavaan, whose N has these; but of one
    outcome, where a row without it is none of a mixed model's."""
    first, *above = table.levels
    names = first.modelled
    own = [name for level in above for name in level.modelled if name not in names]
    if not names or (first.covariates and (own or len(names) > 1)):
        return False
    if not all(rows.gaps.keys() & {*factors[name]} for name in names):
        return False
    empty = np.logical_and.reduce([_any(rows, factors[name]) for name in names])
    if not (empty & keep).any():
        return False
    if not own:
        return empty
    seen = ~np.logical_and.reduce([_any(rows, factors[name]) for name in own])
    order = slice(None) if grouping.order is None else grouping.order
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    with_rows = np.logical_or.reduceat((keep & ~empty)[order], starts)
    needed = np.empty(len(keep), dtype=bool)
    needed[order] = spread(~with_rows, grouping.sizes)
    return empty & ~(needed & seen)


def missing_notes(table: ParameterTable, found: Missingness, total: int) -> tuple[str, ...]:
    """What is left out of `total` rows, and why."""
    lacking, lacking2 = found.lacking, found.level2_lacking
    notes: list[str] = []
    if found.covariate_clusters:
        notes.append(
            f"{_count(found.covariate_clusters, 'cluster')} "
            f"({_count(found.covariate_cluster_rows, 'row')}) left out, in which "
            f"{_fixed(lacking2, ' of level 2')}. {_modelling(table, lacking2)}"
        )
    if found.covariate_rows:
        notes.append(
            f"{found.covariate_rows} of {total} rows left out, in which {_fixed(lacking)}. "
            + _modelling(table, lacking)
        )
    if found.empty_rows:
        level = " of level 1" if table.two_level else ""
        notes.append(
            f"{found.empty_rows} of {total} rows left out, in which all variables{level} "
            "are missing: they say nothing."
        )
    if found.products:
        notes.append(
            f"{listed(found.products)}: missing where a factor is, and taken as normal like any "
            "other variable."
        )
    return tuple(notes)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def _fixed(names: tuple[str, ...], level: str = "") -> str:
    if len(names) == 1:
        return f"a fixed covariate{level} is missing: {listed(names)}"
    return f"fixed covariates{level} are missing: {listed(names)}"


def _modelling(table: ParameterTable, names: Iterable[str]) -> str:
    """How rows are kept that lack a covariate."""
    carriers = {slope.carrier for slope in table.slopes} & {*names}
    if carriers:
        return f"{listed(sorted(carriers))} carries a random slope and must be observed."
    return 'missing="fiml.x" (or fixed_x=False) models covariates, as normal, and keeps these rows.'


def use_of_all(table: ParameterTable, parts: Sequence[tuple[ParameterTable, Rows]]) -> str:
    """What listwise deletion has lost, and how to use it; `parts` are the groups' models and
    rows."""
    factors, gone = factors_of(table), {name for _, rows in parts for name, _ in rows.missing}
    if not any(_lost_outcomes(each, rows) for each, rows in parts):
        return f'Without an outcome they say nothing, with missing="fiml" neither. {SILENT}'
    fixed = [name for level in table.levels for name in level.covariates if gone & {*factors[name]}]
    if {slope.carrier for slope in table.slopes} & {*fixed}:
        said = 'missing="fiml" uses no row either in which the carrier of a random slope is missing'
    elif not fixed:
        said = 'missing="fiml" uses what is observed in them'
    elif gone <= {factor for name in fixed for factor in factors[name]}:
        said = 'missing="fiml.x", which models covariates, uses what is observed in them'
    else:
        said = (
            'missing="fiml" uses what is observed in them, but for those that lack a fixed '
            f'covariate ({listed(fixed)}), which missing="fiml.x" models'
        )
    return f"{said}; {SILENT}"


def _lost_outcomes(table: ParameterTable, rows: Rows) -> bool:
    """Whether an outcome is observed in a row that was left out."""
    if rows.keep is None:
        return False
    factors, gone = factors_of(table), {name for name, _ in rows.missing}
    dropped = np.flatnonzero(~rows.keep)
    known = np.zeros(len(dropped), dtype=bool)
    for name in (name for level in table.levels for name in level.modelled):
        lacks = [np.isnan(rows.values[f][dropped]) for f in factors[name] if f in gone]
        known |= ~np.logical_or.reduce(lacks) if lacks else True
    return bool(known.any())
