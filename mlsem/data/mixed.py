"""The design of a linear mixed model: columns named as in lme4, and which vary within clusters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlsem.data.bases import SAME
from mlsem.data.columns import counted, require_column, require_frame, rows_named
from mlsem.data.frame import make_frame
from mlsem.data.grouping import group
from mlsem.errors import DataError, InterfaceError, SpecificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from mlsem.core.records import Array

INTERCEPT = "(Intercept)"
FUNCTIONS = {name: getattr(np, name) for name in ("exp", "log", "log2", "log10", "sqrt", "abs")}


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


@dataclass(frozen=True, slots=True, eq=False)
class MixedData:
    """The columns of a linear mixed model.

    Attributes
    ----------
    frame : DataFrame
        The outcome, every column of the design but the intercept, and the clusters.
    outcome : str
    fixed : tuple of str
        Fixed effects in the order of the formula, `(Intercept)` among them.
    random : tuple of tuple of str
        Effects that vary between clusters; those of one tuple covary.
    within : frozenset of str
        Columns that vary within clusters.
    n_total : int
        Rows of the user's frame.
    notes : tuple of str
    """

    frame: pd.DataFrame
    outcome: str
    fixed: tuple[str, ...]
    random: tuple[tuple[str, ...], ...]
    within: frozenset[str]
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
    require_column(frame, formula.group, "the formula needs the column of clusters")
    names = _variables(formula, frame)
    used, notes = _complete(frame, names, missing)
    outcome, response, fixed = _design(formula, formula.fixed, used)
    columns = {name: values for block in fixed for name, values in block.items()}
    random = [block for part in formula.random for block in _random_blocks(formula, part, used)]
    known = {_factors(name): name for name in columns}
    blocks: list[tuple[str, ...]] = []
    everything = dict(columns)
    for block in random:
        named = {known.get(_factors(name), name): values for name, values in block.items()}
        everything |= named
        blocks.append(tuple(named))
    everything.pop(INTERCEPT, None)
    _refuse_group(formula, everything)
    clusters = used[formula.group]
    design: Any = make_frame(
        {outcome: response} | everything | {formula.group: clusters.array}, used.index
    )
    within = _varying(design, everything, formula.group)
    return MixedData(design, outcome, tuple(columns), tuple(blocks), within, len(frame), notes)


def _refuse_group(formula: _Formula, columns: Iterable[str]) -> None:
    if formula.group in columns:
        raise DataError(
            f"{formula.group!r} is the column of clusters and an effect of the model. Take it out "
            "of the formula; differences between clusters are what the random part is about."
        )


def _formulae() -> Any:
    try:
        import formulae
    except ImportError as error:
        raise InterfaceError(
            'mlsem.lmm reads formulas with the package formulae: pip install "mlsem[lmm]".'
        ) from error
    return formulae


def _variables(formula: _Formula, frame: pd.DataFrame) -> list[str]:
    """Columns that the formula names, each of which must be there."""
    whole = " + ".join([formula.fixed, *(part.effects for part in formula.random)])
    try:
        described = _formulae().model_description(f"{formula.outcome} ~ {whole}")
    except InterfaceError:
        raise
    except Exception as error:  # formulae has no error class of its own
        raise _unread(formula, error) from error
    names = sorted(name for name in described.var_names if name)
    for name in names:
        require_column(frame, name, "the formula needs the variable")
    return names


def _unread(formula: _Formula, error: Exception) -> SpecificationError:
    what = f"{error.args[0]!r} is not known" if isinstance(error, KeyError) else str(error)
    advice = " A power is written I(x1**2)." if "^" in formula.text else ""
    return SpecificationError(f"the formula {formula.text!r} cannot be read: {what}.{advice}")


def _complete(
    frame: pd.DataFrame, names: list[str], missing: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows that have a value in every column of the formula."""
    gaps = {name: frame[name].isna().to_numpy() for name in names}
    counts = [(name, int(gap.sum())) for name, gap in gaps.items() if gap.any()]
    if not counts:
        return frame, ()
    gap = np.logical_or.reduce(list(gaps.values()))
    told = counted(counts)
    if missing == "error":
        raise DataError(
            f"missing values in {told}; {rows_named(frame, gap)}. Complete or drop these rows, "
            'or pass missing="listwise" to leave them out.'
        )
    if gap.all():
        raise DataError(
            f"no row is left: each of the {len(gap)} rows has a missing value ({told})."
        )
    note = f"{int(gap.sum())} of {len(gap)} rows left out for missing values: {told}."
    used: Any = frame.loc[~gap]
    return used, (note,)


# --- design matrices --------------------------------------------------------------------------


def _design(
    formula: _Formula, right: str, frame: pd.DataFrame
) -> tuple[str, Array, list[dict[str, Array]]]:
    """Name and values of the outcome; the columns of `right`, one dict per term."""
    try:
        found: Any = _formulae().design_matrices(
            f"{formula.outcome} ~ {right}", frame, extra_namespace=FUNCTIONS | {"np": np}
        )
        outcome = found.response.as_dataframe()
        terms = [] if found.common is None else _terms(found.common)
    except InterfaceError:
        raise
    except Exception as error:
        raise _unread(formula, error) from error
    if found.response.kind != "numeric" or outcome.shape[1] != 1:
        raise DataError(f"the outcome {formula.outcome!r} is not one numeric variable.")
    values = outcome.to_numpy(dtype=np.float64)[:, 0]
    if any(kind == "offset" for kind, _ in terms):
        raise SpecificationError(
            f"offset() in {formula.text!r}: subtract it from the outcome in the data instead."
        )
    return found.response.name, values, [block for _, block in terms]


def _terms(common: Any) -> list[tuple[str, dict[str, Array]]]:
    matrix = np.asarray(common.design_matrix, dtype=np.float64)
    found = []
    for name, term in common.terms.items():
        columns = matrix[:, common.slices[name]].T
        found.append((term.kind, dict(zip(map(_lme4, term.labels), columns, strict=True))))
    return found


def _lme4(label: str) -> str:
    """`sex[m]:x1` → `sexm:x1`, `poly(x1, 2)[0]` → `poly(x1, 2)1`."""
    if label == "Intercept":
        return INTERCEPT
    label = re.sub(r"(?<=\))\[(\d+)\]", lambda found: str(int(found[1]) + 1), label)
    return re.sub(r"\[([^\]]*)\]", r"\1", label)


def _factors(name: str) -> tuple[str, ...]:
    """`x1:w1` and `w1:x1` are the same column."""
    return tuple(sorted(name.split(":")))


def _random_blocks(formula: _Formula, part: _Part, frame: pd.DataFrame) -> list[dict[str, Array]]:
    """The columns of one random part; without covariances one dict per term."""
    _, _, terms = _design(formula, part.effects, frame)
    if not part.correlated:
        return terms
    return [{name: values for term in terms for name, values in term.items()}]


def _varying(design: pd.DataFrame, columns: Mapping[str, Array], cluster: str) -> frozenset[str]:
    """Columns that differ within some cluster by more than rounding."""
    grouping = group(design, cluster, None)
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    found = set()
    for name, values in columns.items():
        rows = grouping.rows(values, 0, len(values))
        spread = np.maximum.reduceat(rows, starts) - np.minimum.reduceat(rows, starts)
        if spread.max() > SAME * rows.std():
            found.add(name)
    return frozenset(found)
