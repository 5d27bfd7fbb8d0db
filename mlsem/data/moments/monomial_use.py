"""Which cells of monomials a model uses: those without missing values, or by the rules of `missing`
for full information maximum likelihood; and what is said of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.data.moments.bases import data_names, may_be_level2
from mlsem.data.moments.from_monomials import grouping_of, kept, level_values
from mlsem.data.moments.missing import (
    Missingness,
    left_out_of,
    names_with_gaps,
    never_observed,
    nothing_left,
)
from mlsem.data.table.cells import pattern_codes
from mlsem.data.table.columns import Rows, counted
from mlsem.data.table.grouping import Grouping
from mlsem.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.moments.monomials import MonomialMoments
    from mlsem.model.table import ParameterTable

FIML = 'missing="fiml" uses what is observed in each row.'


@dataclass(frozen=True, slots=True, eq=False)
class Used:
    """What a model of one group uses.

    Attributes
    ----------
    table : ParameterTable
    moments : MonomialMoments
        The cells used.
    levels : mapping of str to (J,)
        Level-2 columns of which other rows of the cluster have told.
    rows : Rows
        A row for each pattern of observed columns, as far as `use_of_all` looks at them; those of
        `missing` are counts of rows.
    n_total, n_missing : int
        Rows of the data; values that are missing in the rows used.
    found : Missingness or None
        None with listwise deletion.
    """

    table: ParameterTable
    moments: MonomialMoments
    levels: Mapping[str, Array]
    rows: Rows
    n_total: int
    n_missing: int
    found: Missingness | None

    @property
    def n_used(self) -> int:
        return self.moments.n_rows

    @property
    def grouping(self) -> Grouping:
        return grouping_of(self.moments)


def used_cells(table: ParameterTable, moments: MonomialMoments, missing: str) -> Used:
    """The cells that a model uses.

    Raises
    ------
    DataError
        The moments have not what is asked; a variable is never observed; no row is left.
    """
    names = tuple(data_names(table))
    lacking = [name for name in names if name not in moments.names]
    if lacking:
        raise DataError(
            f"{_named(lacking)}: not among the variables of the moments "
            f"({', '.join(moments.names)}). Make moments for this model, or leave it out."
        )
    places = [moments.place(name) for name in names]
    patterns, rows = _patterns(moments, places)
    total = int(rows.sum())
    gone = rows @ ~patterns
    counts = tuple((n, int(k)) for n, k in zip(names, gone, strict=True) if k)
    complete = np.asarray(patterns.all(axis=1))
    told = Rows(
        {n: np.where(patterns[:, i], 0.0, np.nan) for i, n in enumerate(names)},
        {},
        None if complete.all() else complete,
        len(patterns),
        int(complete.sum()),
        counts,
    )
    if missing == "fiml":
        return _all_observed(table, moments, told, names, total)
    if counts and missing == "error":
        raise DataError(
            f"missing values in {counted(counts)}. Complete or drop these rows, or pass "
            f'missing="listwise" to leave them out. {FIML}'
        )
    keep = np.asarray(moments.observed[:, places].all(axis=1))
    if not keep.any():
        raise DataError(
            f"no row is left: each of the {total} rows has a missing value ({counted(counts)}). "
            + FIML
        )
    return Used(table, kept(moments, keep), {}, told, total, 0, None)


def _named(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _patterns(
    moments: MonomialMoments, places: list[int]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Patterns of what is observed of some columns, and their rows; those left out as they were
    read among them."""
    seen, rows = moments.observed[:, places], moments.rows
    if moments.left_seen is not None and moments.left_rows is not None:
        seen = np.concatenate((seen, moments.left_seen[:, places]))
        rows = np.concatenate((rows, moments.left_rows))
    kinds, codes = pattern_codes(~seen.T, len(seen))
    return ~kinds, np.bincount(codes, rows, len(kinds)).astype(np.int64)


def _all_observed(
    table: ParameterTable,
    moments: MonomialMoments,
    told: Rows,
    names: tuple[str, ...],
    total: int,
) -> Used:
    """By full information maximum likelihood: every cell but those that say nothing."""
    if moments.n_left_out:
        raise DataError(
            f"{moments.n_left_out} rows with missing values were left out as the moments were "
            'made, and missing="fiml" needs them: make the moments with missing="fiml", too.'
        )
    whole = dict(zip(names, moments.observed[:, [moments.place(n) for n in names]].T, strict=True))
    for name in names:
        if not whole[name].any():
            raise never_observed(name, total, "")
    lacking = {name for name in names if not whole[name].all()}
    moments, levels = _filled(table, moments, names)
    seen = {name: moments.observed[:, moments.place(name)] for name in names}
    gaps = {name: ~each for name, each in seen.items() if not each.all()}
    cells = len(moments.rows)
    units = Rows({}, {}, None, cells, cells, (), gaps)
    sizes = np.bincount(moments.cluster_of, minlength=moments.n_clusters)
    out = left_out_of(table, units, Grouping(None, sizes, moments.labels, True))
    if not out.keep.any():
        raise nothing_left(total, told.missing)
    used = kept(moments, out.keep)
    left = np.unique(moments.cluster_of[out.keep])
    still = {n for n in gaps if (gaps[n] & out.keep).any()}
    for name in gaps:
        if not (seen[name] & out.keep).any():
            raise never_observed(name, used.n_rows, "" if out.keep.all() else " used")
    found = Missingness(
        covariate_clusters=len(np.unique(moments.cluster_of[out.alone])),
        covariate_cluster_rows=int(moments.rows[out.alone].sum()),
        covariate_rows=int(moments.rows[out.lacking & ~out.alone].sum()),
        empty_rows=int(moments.rows[out.empty].sum()),
        clusters_dropped=moments.n_clusters - len(left) if moments.clustered else 0,
    )
    found = replace(found, **names_with_gaps(table, lacking, still))
    missing = sum(int(used.rows @ ~used.observed[:, moments.place(n)]) for n in still)
    levels = {name: values[left] for name, values in levels.items()}
    return Used(table, used, levels, told, total, missing, found)


def _filled(
    table: ParameterTable, moments: MonomialMoments, names: tuple[str, ...]
) -> tuple[MonomialMoments, dict[str, Array]]:
    """With level-2 columns observed in all rows of a cluster of which one has it."""
    observed, levels = moments.observed.copy(), {}
    for name in names:
        place = moments.place(name)
        if observed[:, place].all() or not may_be_level2(table, name):
            continue
        level = level_values(table, moments, name)
        if level is not None:
            levels[name] = level
            observed[:, place] = ~np.isnan(level)[moments.cluster_of]
    return replace(moments, observed=observed), levels
