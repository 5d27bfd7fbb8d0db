"""The design of a linear mixed model: columns named as in lme4, and which vary within clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import numpy as np
import pandas as pd
from pandas.api import types

from mlsem.data.bases import SAME
from mlsem.data.columns import (
    Rows,
    check_missing,
    left_out,
    missing_in,
    numeric,
    require_column,
    require_frame,
    rows_of,
)
from mlsem.data.designs import (
    INTERCEPT,
    Columns,
    Described,
    Design,
    describe,
    design,
    is_real,
    require_formulae,
)
from mlsem.data.factors import check_factors, is_text
from mlsem.data.grouping import Grouping, group
from mlsem.data.r_functions import theirs
from mlsem.errors import DataError, MlsemError, SpecificationError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlsem.core.records import Array


RESIDUAL = "Residual"

Series: TypeAlias = "Mapping[str, pd.Series]"


class _Part(Protocol):
    @property
    def effects(self) -> str: ...
    @property
    def correlated(self) -> bool: ...


class _Formula(Protocol):
    """What is needed of a formula: its parts as text."""

    @property
    def text(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def fixed(self) -> str: ...
    @property
    def random(self) -> Sequence[_Part]: ...
    @property
    def group(self) -> str: ...


@dataclass(frozen=True, slots=True)
class MixedColumns:
    """Which columns a linear mixed model has, and where they vary.

    Attributes
    ----------
    outcome : str
    fixed : tuple of str
        Fixed effects in the order of the formula, `(Intercept)` among them.
    random : tuple of tuple of str
        Effects that vary between clusters; those of one tuple covary.
    within : frozenset of str
        Columns that vary within clusters.
    """

    outcome: str
    fixed: tuple[str, ...]
    random: tuple[tuple[str, ...], ...]
    within: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class MixedData:
    """The data of a linear mixed model.

    Attributes
    ----------
    frame : DataFrame
        The user's, less the rows that are left out.
    rows : Rows
        The outcome, and every column of the design but the intercept.
    grouping : Grouping
    columns : MixedColumns
    n_total : int
        Rows of the user's frame.
    notes : tuple of str
    """

    frame: pd.DataFrame
    rows: Rows
    grouping: Grouping
    columns: MixedColumns
    n_total: int
    notes: tuple[str, ...]


def read_mixed(formula: _Formula, data: object, missing: str) -> MixedData:
    """Evaluate a formula over a data frame.

    Raises
    ------
    SpecificationError
        formulae cannot read the formula.
    DataError
        A column is absent, or has missing values and `missing` is "error".
    InterfaceError
        formulae is not installed.
    """
    frame = require_frame(data)
    if formula.group not in frame.columns:
        require_column(frame, formula.group, "the formula needs the column of clusters")
    rights = (formula.fixed, *(each for part in formula.random for each in _apart(formula, part)))
    described = _described(formula, rights)
    whole = _readable(frame, _columns(described, frame))
    (used, columns), notes = _complete(*whole, missing)
    texts = {name: column for name, column in columns.items() if not _is_number(column)}
    if texts:
        plain = frozenset[str]().union(*(each.plain for each in described))
        check_factors(plain & texts.keys(), formula.outcome, texts)
    fixed, *random = (_design(formula, right, used, columns) for right in rights)
    effects = _together(fixed)
    known = {_factors(name): name for name in effects}
    everything = dict(effects)
    blocks: list[tuple[str, ...]] = []
    for block in map(_together, random):
        named = {known.get(_factors(name), name): values for name, values in block.items()}
        everything |= named
        blocks.append(tuple(named))
    blocks, spanned = _without_spanned(blocks, everything)
    everything.pop(INTERCEPT, None)
    _refuse_group(formula, everything)
    grouping = group(used, formula.group, None)
    if grouping.singletons:
        raise DataError(
            f"every cluster of {formula.group!r} has one row, so that random effects cannot be "
            "told from the residual. Group by the column that many rows share."
        )
    found = MixedColumns(
        outcome=fixed.outcome,
        fixed=tuple(effects),
        random=tuple(blocks),
        within=_varying(grouping, everything),
    )
    rows = rows_of(used, {fixed.outcome: fixed.response} | everything)
    return MixedData(used, rows, grouping, found, len(frame), notes + spanned)


def check_outcome(mixed: MixedData, cluster: str) -> None:
    """Say so where the outcome does not vary within clusters: no residual is left.

    Raises
    ------
    DataError
    """
    name = mixed.columns.outcome
    values = {name: mixed.rows.values[name]}
    if values[name].std() > 0.0 and not _varying(mixed.grouping, values):
        raise DataError(
            f"the outcome {name!r} does not vary within any cluster of {cluster!r}, so a model "
            "with random effects has nothing to split. Is this the right column of clusters? For "
            "an outcome of clusters, take one row of each and fit a regression."
        )


def _refuse_group(formula: _Formula, columns: Iterable[str]) -> None:
    if formula.group in columns:
        raise DataError(
            f"{formula.group!r} is the column of clusters and an effect of the model. Take it out "
            "of the formula; differences between clusters are what the random part is about."
        )


def _apart(formula: _Formula, part: _Part) -> list[str]:
    """The effects that covary: all of `(x1 + f | id)`; as lme4 reads it, each term of
    `(x1 + f || id)` alone, a factor with all its dummies."""
    if part.correlated:
        return [part.effects]
    (found,) = _described(formula, [part.effects])
    return ["1" if term == "Intercept" else f"0 + {theirs(term)}" for term in found.terms]


def _described(formula: _Formula, rights: Iterable[str]) -> list[Described]:
    require_formulae()
    try:
        return [describe(formula.outcome, right) for right in rights]
    except Exception as error:  # formulae has no error class of its own
        raise SpecificationError(
            f"the formula {formula.text!r} cannot be read: {_told(error)}. What is in a call is "
            "written as in Python, such as I(x1**2)."
        ) from error


def _columns(described: Iterable[Described], frame: pd.DataFrame) -> Series:
    """Columns that the formula names, each of which must be there."""
    names = sorted({name for each in described for name in each.variables})
    for name in (INTERCEPT, RESIDUAL):
        if name in names:
            raise DataError(
                f"a column named {name!r}: a parameter of every model has that name. Rename it, "
                f"e.g. data.rename(columns={{{name!r}: 'x'}})."
            )
    needed = "the formula needs the variable"
    return {name: require_column(frame, name, needed) for name in names}


def _readable(frame: pd.DataFrame, columns: Series) -> tuple[pd.DataFrame, Series]:
    """The frame and these columns, numbers that stand in columns of another type as numbers."""
    found = {
        name: numeric(frame, column, name)
        for name, column in columns.items()
        if not (_is_number(column) or is_text(column))
    }
    if not found:
        return frame, columns
    frame = frame.assign(**found)
    return frame, _taken(frame, columns)


def _taken(frame: pd.DataFrame, names: Iterable[str]) -> Series:
    return {name: cast("pd.Series", frame[name]) for name in names}


def _is_number(column: pd.Series) -> bool:
    if is_real(column):
        return True
    return types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(column.dtype)


def _complete(
    frame: pd.DataFrame, columns: Series, missing: str
) -> tuple[tuple[pd.DataFrame, Series], tuple[str, ...]]:
    """The rows that have a value in every column of the formula."""
    gaps = {name: gap for name, values in columns.items() if (gap := missing_in(values)).any()}
    if not gaps:
        return (frame, columns), ()
    counts = tuple((name, int(gap.sum())) for name, gap in gaps.items())
    keep = ~np.logical_or.reduce(list(gaps.values()))
    check_missing(frame, counts, keep, missing)
    used: Any = frame.loc[keep]
    note = left_out(counts, len(frame) - len(used), len(frame))
    return (used, _taken(used, columns)), (note,)


# --- design matrices --------------------------------------------------------------------------


def _design(formula: _Formula, right: str, frame: pd.DataFrame, columns: Series) -> Design:
    """The outcome, and the columns of `right`."""
    try:
        found = design(formula.outcome, right, frame, columns)
    except MlsemError:
        raise
    except Exception as error:
        raise SpecificationError(_uncomputed(formula, error)) from error
    if not found.numeric:
        raise DataError(f"the outcome {formula.outcome!r} is not one numeric variable.")
    if any(kind == "offset" for kind, _ in found.terms):
        raise SpecificationError(
            f"offset() in {formula.text!r}: subtract it from the outcome in the data instead."
        )
    return found


def _uncomputed(formula: _Formula, error: Exception) -> str:
    """What of a formula could not be computed."""
    head = f"the formula {formula.text!r} cannot be evaluated"
    if not isinstance(error, KeyError):
        return f"{head}: {_told(error)}. Make a column of the data that has what it computes."
    name = str(error.args[0])
    if hasattr(np, name):
        return f"{head}: write np.{name} for {name}."
    return (
        f"{head}: the function {name!r} is not known. Those of numpy are called with np., as "
        "np.where(x1 > 0, 1, 0); for others make a column of the data."
    )


def _told(error: Exception) -> str:
    text = str(error).rstrip(".")
    if isinstance(error, IndexError) or "zip()" in text or "not supported between" in text:
        return "write main effects before their interactions, and f + f:x1 for f/x1"
    return "a call gives no column" if "unrecognized type" in text else text


def _factors(name: str) -> tuple[str, ...]:
    """`x1:w1` and `w1:x1` are the same column."""
    return tuple(sorted(name.split(":")))


def _together(found: Design) -> Columns:
    columns: Columns = {}
    for _, block in found.terms:
        for name, values in block.items():
            if name in columns:
                raise DataError(
                    f"two columns of the model are named {name!r}. Rename a column of the data, or "
                    "a level of the factor whose name it continues."
                )
            columns[name] = values
    return columns


def _without_spanned(
    blocks: list[tuple[str, ...]], columns: Columns
) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Blocks less those that are linear combinations of the columns of another one.

    With `A = B C` the covariances `B Σ_B B' + A Σ_A A'` are `B (Σ_B + C Σ_A C') B'`: Σ_A is not
    determined, and the model without it is the same. So is the intercept beside all dummies of f,
    which `(f || id)` means in lme4.
    """
    left, notes = list(blocks), []
    for block in blocks:
        for other in left if len(left) > 1 else ():
            if len(other) > 1 and not set(block) & set(other) and _spans(other, block, columns):
                left.remove(block)
                notes.append(
                    f"random part of {listed(block)}: these are linear combinations of "
                    f"{listed(other)}, whose covariances have them in already; not fitted apart."
                )
                break
    return left, tuple(notes)


def _spans(names: tuple[str, ...], others: tuple[str, ...], columns: Columns) -> bool:
    basis = np.column_stack([columns[name] for name in names])
    wanted = np.column_stack([columns[name] for name in others])
    left = wanted - basis @ np.linalg.lstsq(basis, wanted)[0]
    return bool((np.abs(left).max(axis=0) <= SAME * np.abs(wanted).max(axis=0)).all())


def _varying(grouping: Grouping, columns: Mapping[str, Array]) -> frozenset[str]:
    """Columns that differ within some cluster by more than rounding."""
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    found = set()
    with np.errstate(invalid="ignore", over="ignore"):  # infinite values are refused later
        for name, values in columns.items():
            rows = grouping.rows(values, 0, len(values))
            spread = np.maximum.reduceat(rows, starts) - np.minimum.reduceat(rows, starts)
            if spread.max() > SAME * rows.std():
                found.add(name)
    return frozenset(found)
