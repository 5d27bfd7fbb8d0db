"""A model is met with its data, of one group or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.data.moments.aggregate import DataRecord
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import pose_one
from mlsem.model.table import ParameterTable

if TYPE_CHECKING:
    from mlsem.data.moments.groups import GroupedRecord


def pose(table: ParameterTable, record: DataRecord | GroupedRecord) -> Posed:
    """A table met with its data.

    Raises
    ------
    DataError, EstimationError
        As `pose_one`; of several groups with the group's label.
    """
    if isinstance(record, DataRecord):
        return pose_one(table, record)
    from mlsem.estimation.groups import pose_groups  # for few fits

    return pose_groups(table, record)
