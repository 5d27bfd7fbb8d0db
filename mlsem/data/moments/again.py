"""Moments that were read for one model, for another one of the same variables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlsem.core.records import CellMoments, GroupedMoments
from mlsem.data.moments.across import each_group, notes_by_group, robust_across
from mlsem.data.moments.aggregate import DataRecord
from mlsem.data.moments.checks import check_columns, check_own_means
from mlsem.data.moments.dependence import check_dependence
from mlsem.data.moments.groups import GroupedRecord
from mlsem.errors import DataError, listed
from mlsem.model.table import ParameterTable


def record_of(
    table: ParameterTable, record: DataRecord | GroupedRecord, before: ParameterTable
) -> DataRecord | GroupedRecord:
    """The record of a table, by that of the table `before`; of several groups that of each.

    Raises
    ------
    DataError
        It has not what the table needs; says that the data are needed.
    """
    if isinstance(record, GroupedRecord):
        return _of_groups(table, record, before)
    if table.groups:
        raise DataError(
            "the fit is of one group, and keeps moments and not the data. Pass the data: "
            "fit.update(…, data=…, group=…)."
        )
    return _of_one(table, record, before)


def _of_one(table: ParameterTable, record: DataRecord, before: ParameterTable) -> DataRecord:
    missing = [name for name in table.observed if name not in record.maps]
    products = [term.name for term in table.products if term not in before.products]
    if missing or products:
        raise DataError(
            f"{listed(missing or products)}: a fit keeps moments of its own variables and not the "
            "data. Pass the data: fit.update(…, data=…)."
        )
    if table.two_level and record.cluster is None:
        raise DataError(
            'a model with two levels needs the column of cluster ids: pass data=… and cluster="…".'
        )
    _require_covariates(table, record)
    check_columns(table, record.moments)
    check_dependence(table, record.moments)
    notes = (
        *record.notes,
        *check_own_means(table, record.moments),
        *_stay_out(table, record, before),
    )
    return replace(record, notes=tuple(dict.fromkeys(notes)))


def _stay_out(
    table: ParameterTable, record: DataRecord | GroupedRecord, before: ParameterTable
) -> tuple[str, ...]:
    """A note on rows that would be complete for the new model."""
    left = set(before.observed) - set(table.observed)
    if not (record.n_rows_dropped and left and record.missingness is None):
        return ()
    return (
        f"rows that were left out before, for missing values in {listed(sorted(left))} too, "
        "stay out; with data=… those that are complete for the new model are read.",
    )


def _of_groups(
    table: ParameterTable, record: GroupedRecord, before: ParameterTable
) -> GroupedRecord:
    """Group by group, which may be in another order."""
    if not table.groups:
        raise DataError(
            "the fit is of several groups, and keeps their moments and not the data. Pass the data "
            "for a model of one: fit.update(…, data=…, group=None)."
        )
    labels = tuple(group.label for group in table.groups)
    if {*labels} != {*record.labels}:
        raise DataError(
            "the fit keeps moments of its own groups and not the data. Pass the data for others: "
            "fit.update(…, data=…)."
        )
    tables = {group.label: group.table for group in before.groups}
    places = [record.labels.index(label) for label in labels]

    def own(k: int) -> DataRecord:
        return _of_one(table.groups[k].table, record.groups[places[k]], tables[labels[k]])

    groups = tuple(each_group(labels, own))
    moments = GroupedMoments(tuple(each.moments for each in groups))
    ids = [each.moments.labels for each in groups]
    robust = robust_across(
        table, record.column, record.cluster, ids, [each.robust for each in groups]
    )
    new = [
        tuple(note for note in each.notes if note not in record.groups[place].notes)
        for each, place in zip(groups, places, strict=True)
    ]
    notes = (*record.notes, *notes_by_group(labels, new), *_stay_out(table, record, before))
    return replace(
        record,
        labels=labels,
        groups=groups,
        moments=moments,
        robust=robust,
        notes=tuple(dict.fromkeys(notes)),
    )


def _require_covariates(table: ParameterTable, record: DataRecord) -> None:
    """Refuse fixed covariates that are missing somewhere, as they could be in the model before."""
    moments = record.moments
    if not isinstance(moments, CellMoments):
        return
    seen = np.concatenate((moments.patterns.all(axis=0), moments.level2_patterns.all(axis=0)))
    names = [name for level in table.levels for name in level.covariates]
    lacking = [name for name in names if not seen[record.maps[name].coefs != 0.0].all()]
    if lacking:
        raise DataError(
            f"{listed(lacking)}: a fixed covariate here, and missing in rows that the fit has "
            "used. Pass the data, fit.update(…, data=…), which leaves these rows out; or model it, "
            "fixed_x=False."
        )
