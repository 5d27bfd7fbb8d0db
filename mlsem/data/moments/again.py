"""Moments that were read for one model, for another one of the same variables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlsem.core.records import CellMoments
from mlsem.data.moments.aggregate import DataRecord
from mlsem.data.moments.checks import check_columns, check_own_means
from mlsem.data.moments.dependence import check_dependence
from mlsem.errors import DataError, listed
from mlsem.model.table import ParameterTable


def record_of(table: ParameterTable, record: DataRecord, before: ParameterTable) -> DataRecord:
    """The record of a table, by that of the table `before`.

    Raises
    ------
    DataError
        It has not what the table needs; says that the data are needed.
    """
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
    notes = (*record.notes, *check_own_means(table, record.moments))
    left = set(before.observed) - set(table.observed)
    if record.n_rows_dropped and left and record.missingness is None:
        notes += (
            f"rows that were left out before, for missing values in {listed(sorted(left))} too, "
            "stay out; with data=… those that are complete for the new model are read.",
        )
    return replace(record, notes=tuple(dict.fromkeys(notes)))


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
