"""The data of a fit, as long as its user keeps them: a fit itself keeps no rows. It keeps the paths
of files, which are read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import ReferenceType, ref

import numpy as np

from mlsem.data.frames.origin import given_as
from mlsem.data.frames.paths import is_paths
from mlsem.data.frames.taking import as_pandas, returned
from mlsem.data.table.columns import require_frame
from mlsem.errors import DataError, InferenceError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Index
    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.nested import NestedEstimates

Found = TypeVar("Found")
SAME = 1e-6  # of the largest


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A weak reference to the data of a fit, or the paths of its files. Copies and pickles are
    without it."""

    reference: ReferenceType[Any] | None = None
    paths: Any = None

    @classmethod
    def of(cls, data: object) -> Source:
        given = given_as(data)
        if is_paths(given):
            return cls(paths=given)
        try:
            return cls(ref(given))
        except TypeError:
            return cls()

    @property
    def data(self) -> Any:
        """The data of the fit; None where they are gone."""
        return self.paths if self.reference is None else self.reference()

    def __reduce__(self) -> tuple[type[Source], tuple[()]]:
        return Source, ()

    def rows(
        self, estimates: Estimates | NestedEstimates, given: object, what: str, *spoken_of: str
    ) -> pd.DataFrame:
        """The data that are given; else those of the fit, if they are still there and the same.

        Raises
        ------
        InferenceError
            They are gone.
        DataError
            They have changed, or what is given is no data frame.
        """
        if given is not None:
            return require_frame(as_pandas(given, *spoken_of))
        data = self.data
        if data is None:
            raise InferenceError(
                f"{what} needs the rows of the data, which a fit does not keep, and the data frame "
                "or the query of the fit is gone: pass data=, that data frame or other rows."
            )
        frame = require_frame(as_pandas(data, *spoken_of))
        if not _same(estimates, frame):
            raise DataError(
                f"{what}: the data frame of the fit has changed since. Pass data=, the rows that "
                "you mean, or fit the model again."
            )
        return frame

    def returned(self, found: Found, given: object) -> Found:
        """What was found of these rows, as the kind of frame that they are of."""
        return returned(found, self.data if given is None else given)


def _same(estimates: Estimates | NestedEstimates, frame: pd.DataFrame) -> bool:
    """Whether rows say of the clusters what the fit knows of them."""
    from mlsem.estimation.nested import NestedEstimates
    from mlsem.estimation.prediction import fitted_clusters, new_clusters, new_data

    if isinstance(estimates, NestedEstimates):
        return _same_nested(estimates, frame)
    if estimates.weighted:  # what the fit knows of the clusters is of weighted rows
        column = estimates.record.cluster
        known = estimates.record.moments.labels.tolist()
        return column in frame.columns and bool(frame[column].isin(known).any())
    try:
        rows = new_data(estimates, frame)
        seen = new_clusters(rows, history=False)
    except DataError:
        return False
    known = fitted_clusters(estimates)
    first, second = seen.evidence.pulled, known.evidence.pulled  # type: ignore[union-attr]
    labels, fitted = rows.rows.labels, estimates.problem.moments.labels
    if first.shape != second.shape or len(labels) != len(fitted):
        return False
    if (labels != fitted).any():  # an engine has its clusters in another order
        order, other = _order(labels), _order(fitted)
        if (labels[order] != fitted[other]).any():
            return False
        first, second = first[order], second[other]
    return bool(np.abs(first - second).max(initial=0.0) <= SAME * np.abs(second).max(initial=0.0))


def _same_nested(estimates: NestedEstimates, frame: pd.DataFrame) -> bool:
    from mlsem.data.design.nested import read_nested

    own = estimates.data
    try:
        seen = read_nested(cast("Any", own.recipe.formula), frame, "listwise")
    except DataError:
        return False
    for first, second in (
        (seen.groups.labels, own.groups.labels),
        (seen.groups.lower.labels, own.groups.lower.labels),
        (seen.groups.owner, own.groups.owner),
    ):
        if len(first) != len(second) or (first != second).any():
            return False
    for first, second in (
        (seen.rows.columns, own.rows.columns),
        (seen.rows.origin, own.rows.origin),
    ):
        if np.abs(first - second).max() > SAME * np.abs(second).max():
            return False
    return True


def _order(labels: NDArray[Any]) -> Index:
    """Of ids as text, whatever they are."""
    return np.argsort(labels.astype(str), kind="stable")
