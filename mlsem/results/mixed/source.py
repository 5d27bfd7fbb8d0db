"""The data frame of a fit, as long as its user keeps it: a fit itself keeps no rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ReferenceType, ref

import numpy as np

from mlsem.data.frames.origin import given_as
from mlsem.data.frames.taking import as_pandas, returned
from mlsem.data.table.columns import require_frame
from mlsem.errors import DataError, InferenceError

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates

Found = TypeVar("Found")
SAME = 1e-6  # of the largest


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A weak reference to the data of a fit. Copies and pickles are without it."""

    reference: ReferenceType[Any] | None = None

    @classmethod
    def of(cls, data: object) -> Source:
        try:
            return cls(ref(given_as(data)))
        except TypeError:
            return cls()

    def __reduce__(self) -> tuple[type[Source], tuple[()]]:
        return Source, ()

    def rows(self, estimates: Estimates, given: object, what: str, *spoken_of: str) -> pd.DataFrame:
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
        data = None if self.reference is None else self.reference()
        if data is None:
            raise InferenceError(
                f"{what} needs the rows of the data, which a fit does not keep, and the data frame "
                "of the fit is gone: pass data=, that data frame or other rows."
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
        if given is None and self.reference is not None:
            given = self.reference()
        return returned(found, given)


def _same(estimates: Estimates, frame: pd.DataFrame) -> bool:
    """Whether rows say of the clusters what the fit knows of them."""
    from mlsem.estimation.prediction import fitted_clusters, new_clusters, new_data

    if estimates.weighted:  # what the fit knows of the clusters is of weighted rows
        column = estimates.record.cluster
        return column in frame.columns and bool(frame[column].isin(estimates.cluster_labels).any())
    try:
        seen = new_clusters(new_data(estimates, frame), history=False)
    except DataError:
        return False
    known = fitted_clusters(estimates)
    first, second = seen.evidence.pulled, known.evidence.pulled  # type: ignore[union-attr]
    return first.shape == second.shape and bool(
        np.abs(first - second).max(initial=0.0) <= SAME * np.abs(second).max(initial=0.0)
    )
