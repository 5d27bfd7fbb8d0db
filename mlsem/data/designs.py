"""Columns of a design matrix, as the package formulae reads a formula; named as in lme4."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlsem.data.r_functions import FUNCTIONS, ours, theirs
from mlsem.errors import InterfaceError, SpecificationError, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlsem.core.records import Array

INTERCEPT = "(Intercept)"

Columns = dict[str, "Array"]


@dataclass(frozen=True, slots=True)
class Described:
    """What a formula says before it meets data.

    Attributes
    ----------
    variables : tuple of str
        Columns of the data that it names.
    products : tuple of tuple of str, or None
        The outcome, then the columns that each term is a product of, none for the intercept; None
        where one of these is more than that.
    terms : tuple of str
        The names of the terms, the intercept among them.
    plain : frozenset of str
        Columns that stand in a term by themselves, not in a call.
    """

    variables: tuple[str, ...]
    products: tuple[tuple[str, ...], ...] | None
    terms: tuple[str, ...]
    plain: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The outcome, and the columns of each term with the kind that formulae gives it."""

    outcome: str
    numeric: bool
    response: Array
    terms: tuple[tuple[str, Columns], ...]


def require_formulae() -> Any:
    try:
        import formulae
    except ImportError as error:
        raise InterfaceError(
            'mlsem.lmm reads formulas with the package formulae: pip install "mlsem[lmm]".'
        ) from error
    return formulae


@lru_cache(maxsize=256)
def describe(outcome: str, right: str) -> Described:
    """Read `outcome ~ right`; errors are formulae's own. Formulas recur from fit to fit."""
    formulae = require_formulae()
    text = ours(f"{outcome} ~ {right}")
    _check_read(text)
    model = formulae.model_description(text)
    variables = tuple(sorted(filter(None, model.var_names)))
    terms = (model.response.term, *model.common_terms)
    products = [_product(term) for term in terms]
    plain = tuple(each for each in products if each is not None)
    parts = [part for term in terms for part in getattr(term, "components", ())]
    return Described(
        variables=variables,
        products=plain if len(plain) == len(products) else None,
        terms=tuple(term.name for term in model.common_terms),
        plain=frozenset(part.name for part in parts if type(part).__name__ == "Variable"),
    )


def _check_read(text: str) -> None:
    """formulae's parser stops at what it cannot read, and drops that and the rest."""
    from formulae.parser import Parser
    from formulae.scanner import Scanner

    parser = Parser(Scanner(text).scan())
    parser.parse()
    if not parser.at_end():
        raise ValueError(
            f"{parser.peek().lexeme!r} cannot follow after {parser.previous().lexeme!r}"
        )


def _product(term: Any) -> tuple[str, ...] | None:
    """The columns that a term of formulae multiplies; None if that is not what it does."""
    if type(term).__name__ == "Intercept":
        return ()
    parts = term.components
    plain = all(type(part).__name__ == "Variable" and part.reference is None for part in parts)
    return tuple(part.name for part in parts) if plain else None


def design(
    outcome: str, right: str, frame: pd.DataFrame, columns: Mapping[str, pd.Series]
) -> Design:
    """Evaluate `outcome ~ right` over data without missing values; errors are formulae's own.

    Products of numeric columns need no more than numpy; all else is formulae's.

    Parameters
    ----------
    columns : mapping of name to Series
        Of the frame, those that the formula names among them.
    """
    described = describe(outcome, right)
    if described.products is not None:
        values = {name: columns[name] for name in described.variables}
        if all(is_real(column) for column in values.values()):
            return _products(described.products, values)
    formulae = require_formulae()
    text = ours(f"{outcome} ~ {right}")
    with np.errstate(all="ignore"):  # the caller looks at the values
        found = formulae.design_matrices(
            text, _as_in_r(frame, described.variables), extra_namespace=FUNCTIONS
        )
    if found.common is not None:
        _check_terms(described.terms, tuple(found.common.terms), right)
    response = found.response.as_dataframe()
    return Design(
        outcome=theirs(found.response.name),
        numeric=found.response.kind == "numeric" and response.shape[1] == 1,
        response=response.to_numpy()[:, 0],
        terms=() if found.common is None else tuple(_evaluated(found.common)),
    )


def _check_terms(wanted: tuple[str, ...], found: tuple[str, ...], right: str) -> None:
    """formulae adds terms to interactions without main effects, where R has collinear columns."""
    added = [name for name in found if name not in wanted]
    if added:
        raise SpecificationError(
            f"{right!r} has an interaction of factors without {listed(map(theirs, added))}, so "
            "that its columns are collinear. Write f*g with the main effects, or 0 + f:g for a "
            "mean in each cell."
        )
    if len(found) < len(wanted):
        raise SpecificationError(
            f"two terms of {right!r} look the same to formulae: make a column of the data of one."
        )


def _as_in_r(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """These columns; categories in their order, and numbers that do not overflow in a power."""
    found: Any = frame[list(names)]
    return found.assign(**{name: _wide(found[name]) for name in names})


def _wide(column: Any) -> Any:
    dtype: Any = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return column.cat.remove_unused_categories().cat.as_ordered()
    if is_real(column) and dtype.kind != "b" and dtype.itemsize < 8:
        return column.astype(np.float64 if dtype.kind == "f" else np.int64)
    return column


def is_real(column: pd.Series) -> bool:
    """Whether a column is of numpy's real numbers or booleans."""
    return isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiub"


def _products(products: tuple[tuple[str, ...], ...], data: dict[str, pd.Series]) -> Design:
    values = {name: column.to_numpy(dtype=np.float64) for name, column in data.items()}
    (outcome,), *terms = products
    ones = np.ones(len(values[outcome]))
    columns = {":".join(names) or INTERCEPT: [values[name] for name in names] for names in terms}
    blocks = tuple(("numeric", {label: prod(each, start=ones)}) for label, each in columns.items())
    return Design(outcome, True, values[outcome], blocks)


def _evaluated(common: Any) -> Sequence[tuple[str, Columns]]:
    matrix = np.asarray(common.design_matrix, dtype=np.float64)
    found = []
    for name, term in common.terms.items():
        columns = matrix[:, common.slices[name]].T
        found.append((term.kind, dict(zip(_lme4(term), columns, strict=True))))
    return found


def _lme4(term: Any) -> list[str]:
    """`sex[m]:x1` → `sexm:x1`, `poly(x1, 2)[0]` → `poly(x1, 2)1`."""
    if term.kind == "intercept":
        return [INTERCEPT]
    labels = [_labels(part) for part in term.components]
    return [theirs(":".join(each)) for each in product(*labels)]


def _labels(part: Any) -> list[str]:
    """A level or the number of a column, after the name."""
    cut = len(part.name)
    ends = [label[cut:].removeprefix("[").removesuffix("]") for label in part.labels]
    if part.kind == "numeric":
        ends = [end and str(int(end) + 1) for end in ends]
    return [part.name + end for end in ends]
