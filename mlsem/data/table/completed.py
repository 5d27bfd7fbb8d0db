"""Several completed data sets of the same rows: a list of them, one long frame with a column of
imputations, or one frame with plausible values."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mlsem.data.frames.origin import all_names, of_origin
from mlsem.data.frames.taking import as_pandas, named_in, words
from mlsem.data.table.columns import missing_in, require_column, require_frame, rows_named
from mlsem.data.table.plausible import PlausibleValues, check_values, read_plausible
from mlsem.errors import DataError, DataWarning, OptionValueError, warn


@dataclass(frozen=True, slots=True, eq=False)
class CompletedData:
    """Data sets to be analysed alike.

    Attributes
    ----------
    parts : tuple of object
        Frames, or what else `mlsem.fit` takes: the imputations.
    plausible : tuple of PlausibleValues
        Columns of each of them that take turns.
    origin : tuple of (label, value)
        Where they come from, in words.
    outer : {"values", "imputations"}
        What is nested in what, where there are both.
    """

    parts: tuple[Any, ...]
    plausible: tuple[PlausibleValues, ...]
    origin: tuple[tuple[str, str], ...]
    outer: str = "values"

    @property
    def n_values(self) -> int:
        """Plausible values of each variable; 1 without."""
        return len(self.plausible[0].columns) if self.plausible else 1

    @property
    def nested(self) -> tuple[int, ...] | None:
        """The outer data set of each of `frames`; None where there are no inner ones."""
        if len(self.parts) == 1 or not self.plausible:
            return None
        pairs = [(k, i) for k in range(len(self.parts)) for i in range(self.n_values)]
        return tuple((i if self.outer == "values" else k) + 1 for k, i in pairs)

    def __len__(self) -> int:
        return len(self.parts) * self.n_values

    def thin(self, *spoken_of: object) -> CompletedData:
        """Of pandas frames the columns alone that are spoken of, for these travel."""
        parts = (
            _thin(p, spoken_of, None) if isinstance(p, pd.DataFrame) else p for p in self.parts
        )
        return self if self.plausible else replace(self, parts=tuple(parts))

    def frames(self) -> Iterator[Any]:
        """Each data set, plausible values under the name of their variable."""
        for part in self.parts:
            if not self.plausible:
                yield part
                continue
            every = {column for each in self.plausible for column in each.columns}
            rest = part[[name for name in part.columns if name not in every]]
            names = (*all_names(part), *(each.name for each in self.plausible))
            for k in range(self.n_values):
                frame = rest.assign(**{each.name: part[each.columns[k]] for each in self.plausible})
                yield of_origin(frame, names, None)


def completed_data(
    data: Any, text: str, spoken_of: Sequence[object], imputation: object, plausible: object
) -> CompletedData:
    """What the arguments of `fit_many` say.

    Parameters
    ----------
    data : object
        What a user gave.
    text : str
        The model.
    spoken_of : sequence
        Other arguments in which columns are named.
    imputation : str or None
    plausible : mapping or None

    Raises
    ------
    OptionValueError, DataError
    """
    if _is_list(data):
        if imputation is not None:
            raise OptionValueError(
                "imputation= names a column of one long data frame, and data is a list of data "
                "sets: leave imputation out, or join them."
            )
        parts, origin = list(data.values() if isinstance(data, Mapping) else data), ()
        if plausible is not None:
            parts = [_thin(part, (text, plausible, spoken_of), plausible) for part in parts]
    else:
        if imputation is None and plausible is None:
            raise OptionValueError(
                "fit_many takes several data sets: a list of them, or one data frame with "
                'imputation=".imp" (the column that tells them apart) or plausible={…}.'
            )
        frame = _thin(data, (text, imputation, plausible, spoken_of), plausible)
        parts, origin = [frame], ()
        if imputation is not None:
            parts = _split(frame, imputation)
            origin = ((f"Imputations [{imputation}]", str(len(parts))),)
    if not parts:
        raise OptionValueError("data is an empty list: fit_many takes several data sets.")
    if plausible is None:
        if len(parts) < 2:
            raise OptionValueError("fit_many takes several data sets, and there is one: use fit.")
        return CompletedData(tuple(parts), (), origin)
    found = read_plausible(plausible, all_names(parts[0]), text)
    for part in parts:
        check_values(part, found)
    outer = _outer(parts, found)
    origin += tuple((f"Plausible values [{each.name}]", each.shown) for each in found)
    return CompletedData(tuple(parts), found, origin, outer)


def _is_list(data: object) -> bool:
    """Whether these are several data sets and not one."""
    return isinstance(data, (list, tuple, Mapping, Iterator))


def _thin(data: Any, spoken_of: object, plausible: object) -> pd.DataFrame:
    """A pandas frame of the columns that are spoken of, which plausible values need many times."""
    if isinstance(data, pd.DataFrame) or not _has_patterns(plausible):
        frame = require_frame(as_pandas(data, *words(spoken_of)))
    else:
        frame = require_frame(as_pandas(data))
    columns = all_names(frame)
    kept = set(named_in([name for name in columns if isinstance(name, str)], words(spoken_of)))
    kept |= set(_of_patterns(plausible, columns))
    thin = frame.loc[:, [name for name in frame.columns if name in kept]]
    return of_origin(thin, tuple(columns), None)


def _has_patterns(plausible: object) -> bool:
    return isinstance(plausible, Mapping) and any(isinstance(v, str) for v in plausible.values())


def _of_patterns(plausible: object, columns: Iterable[Any]) -> Iterator[str]:
    """Columns that begin and end as some pattern does."""
    patterns = plausible.values() if isinstance(plausible, Mapping) else ()
    ends = [each.partition("{}")[::2] for each in patterns if isinstance(each, str)]
    for name in columns:
        if isinstance(name, str) and any(
            name.startswith(start) and name.endswith(end) for start, end in ends
        ):
            yield name


def _split(frame: pd.DataFrame, imputation: object) -> list[pd.DataFrame]:
    """The imputations of a long frame, as many rows each."""
    if not isinstance(imputation, str):
        raise OptionValueError(
            f"imputation={imputation!r}: it takes the name of the column that tells the "
            'imputations apart, such as ".imp".'
        )
    column = require_column(frame, imputation, "imputation=")
    gone = missing_in(column)
    if gone.any():
        raise DataError(
            f"the column of imputations, {imputation!r}, is missing in {rows_named(frame, gone)}."
        )
    codes, labels = pd.factorize(column, sort=False)
    others = frame.drop(columns=imputation)
    parts: dict[Hashable, pd.DataFrame] = {
        label: others.loc[codes == k] for k, label in enumerate(labels)
    }
    parts = _without_original(parts, imputation)
    counts = {label: len(part) for label, part in parts.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{label!r}: {count}" for label, count in list(counts.items())[:10])
        raise DataError(
            f"the imputations have not as many rows ({said}): each holds all rows of the data."
        )
    if len(parts) < 2:
        raise DataError(
            f"{imputation!r} has one value, {next(iter(parts))!r}, and imputations are two or more."
        )
    return list(parts.values())


def _without_original(
    parts: dict[Hashable, pd.DataFrame], imputation: str
) -> dict[Hashable, pd.DataFrame]:
    """Without the incomplete data, which mice numbers 0."""
    zero = next((label for label in parts if str(label) in ("0", "0.0")), None)
    if zero is None:
        return parts
    others = {label: part for label, part in parts.items() if label != zero}
    holes = [int(part.isna().to_numpy().sum()) for part in others.values()]
    if not others or not parts[zero].isna().to_numpy().sum() > max(holes):
        return parts
    warn(
        f"the rows with {imputation} = {zero} have missing values that the others do not: they are "
        "taken for the data before imputation, and left out.",
        DataWarning,
    )
    return others


def _outer(parts: Sequence[pd.DataFrame], found: Sequence[PlausibleValues]) -> str:
    """Which is nested in which: plausible values that are the same in all imputations were there
    before these; others were drawn for each of them (Weirich et al., 2014)."""
    if len(parts) == 1:
        return "values"
    name = found[0].columns[0]
    first, second = (part[name].to_numpy() for part in parts[:2])
    return "values" if np.array_equal(first, second) else "imputations"
