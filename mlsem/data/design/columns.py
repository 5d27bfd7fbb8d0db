"""Columns of a design matrix: R's coding of factors, lme4's names, lme4's choice among columns
that are linear combinations of others."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.linalg import least_squares
from mlsem.data.design.r_values import Factor
from mlsem.data.moments.bases import SAME
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mlsem.core.records import Array
    from mlsem.data.design.r_evaluate import Variable
    from mlsem.syntax.r_terms import Terms

INTERCEPT = "(Intercept)"

DEPENDENT = 1e-7
"""What is left of a column, as a share of its length, where it is a combination of others (R's)."""

PLAINLY = 1e-3
"""The same share, from which cross-products suffice to see that it is none."""

MOST = 2**27
"""Numbers that the columns of a term may hold: a gigabyte."""

Columns = dict[str, "Array"]


def design(terms: Terms, variables: Mapping[str, Variable]) -> Columns:
    """The columns of the terms, as R's `model.matrix`.

    A factor in a term T is coded by contrasts where what is left of T without it is in a term
    before (nothing is left: always), and by a dummy of each level elsewhere (Chambers & Hastie,
    1992, sec. 2.4.1). Without an intercept the first factor of the first term that has one gets
    all dummies. In an interaction the first variable varies fastest.

    Raises
    ------
    DataError
        A factor of one level, or two columns of one name.
    """
    factors = {name for name in terms.variables if isinstance(variables[name].values, Factor)}
    _check_levels(variables[name] for name in factors)
    columns: Columns = {}
    if terms.intercept:
        columns[INTERCEPT] = np.ones(_rows(variables))
    for term, full in zip(terms.products, _full(terms, factors), strict=True):
        for label, values in _interaction(term, full, variables):
            if label in columns:
                raise DataError(
                    f"two columns of the model are named {label!r}. Rename a column of the data, "
                    "or a level of the factor whose name it continues."
                )
            columns[label] = values
    return columns


def _rows(variables: Mapping[str, Variable]) -> int:
    return len(next(iter(variables.values())).values)


def _check_levels(factors: Iterable[Variable]) -> None:
    for each in factors:
        assert isinstance(each.values, Factor)
        if len(each.values.levels) < 2:
            raise DataError(
                f"the factor {each.name!r} has one level only ({', '.join(each.values.levels)}) in "
                "the rows used, so it carries no information. Leave it out of the formula."
            )


def _full(terms: Terms, factors: set[str]) -> list[frozenset[str]]:
    """Of each term, the factors that have a dummy for every level."""
    full: list[frozenset[str]] = []
    before: list[set[str]] = [set()]
    for term in terms.products:
        rests = {name: {*term} - {name} for name in term if name in factors}
        spanned = (name for name, rest in rests.items() if any(rest <= each for each in before))
        full.append(frozenset(rests) - frozenset(spanned))
        before.append({*term})
    if not terms.intercept:
        for k, term in enumerate(terms.products):
            first = next((name for name in term if name in factors), None)
            if first is not None:
                full[k] |= {first}
                break
    return full


def _interaction(
    term: Sequence[str], full: frozenset[str], variables: Mapping[str, Variable]
) -> Iterable[tuple[str, Array]]:
    """The columns of one term: each product of a column of each variable."""
    counts = [_count(variables[name], full=name in full) for name in term]
    if prod(counts) * _rows(variables) > MOST:
        raise DataError(
            f"{':'.join(term)} has {prod(counts)} columns, too many for {_rows(variables)} rows. "
            "Join levels, or leave it out of the formula."
        )
    coded = [_coded(variables[name], full=name in full) for name in reversed(term)]
    for parts in product(*coded):
        labels, values = zip(*reversed(parts), strict=True)
        column = values[0]
        with np.errstate(over="ignore", under="ignore"):  # what overflows is refused later
            for each in values[1:]:
                column = column * each
        yield ":".join(labels), column


def _count(variable: Variable, *, full: bool) -> int:
    values = variable.values
    return len(values.levels) - (not full) if isinstance(values, Factor) else values.shape[1]


def _coded(variable: Variable, *, full: bool) -> list[tuple[str, Array]]:
    """The columns that stand for a variable, with their names."""
    values, name = variable.values, variable.name
    if not isinstance(values, Factor):
        if values.shape[1] == 1:
            return [(name, values[:, 0])]
        return [(f"{name}{k + 1}", column) for k, column in enumerate(values.T)]
    levels = values.levels
    if full or values.contrast == "treatment":
        places = range(0 if full else 1, len(levels))
        return [(name + levels[k], values.dummy(k)) for k in places]
    matrix, labels = contrast_matrix(len(levels), values.contrast)
    return [
        (name + label, values.coded(column)) for label, column in zip(labels, matrix.T, strict=True)
    ]


def contrast_matrix(levels: int, kind: str) -> tuple[Array, list[str]]:
    """R's `contr.sum`, `contr.helmert` and `contr.poly`: (levels, levels − 1), and its labels."""
    labels = [str(k + 1) for k in range(levels - 1)]
    if kind == "sum":
        return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)]), labels
    if kind == "helmert":
        matrix = np.triu(-np.ones((levels, levels - 1)))
        matrix[np.arange(1, levels), np.arange(levels - 1)] = np.arange(1, levels)
        return matrix, labels
    away = np.arange(levels) - (levels - 1) / 2
    basis, upper = np.linalg.qr(np.vander(away, increasing=True))
    matrix = (basis * np.sign(np.diag(upper)))[:, 1:]
    return matrix, [".L", ".Q", ".C", *(f"^{k}" for k in range(4, levels))][: levels - 1]


# --- columns that are combinations of others ------------------------------------------------------


def dependent(columns: Columns) -> tuple[str, ...]:
    """Columns that are linear combinations of those before them, as R and lme4 find them.

    In the order of the columns, one is dropped where its distance from the span of those kept
    before it is below 10⁻⁷ of its length.
    """
    if _plainly_independent(list(columns.values())):
        return ()
    matrix = np.column_stack(list(columns.values()))
    largest = np.abs(matrix).max(axis=0)
    if not np.isfinite(largest).all():
        return ()  # infinite values are refused later
    matrix /= np.where(largest > 0.0, largest, 1.0)
    matrix /= np.where(largest > 0.0, np.linalg.norm(matrix, axis=0), 1.0)
    basis = np.empty(matrix.shape, order="F")
    rank, spare = 0, []
    for name, column in zip(columns, matrix.T, strict=True):
        left = column.copy()
        for _ in range(2):  # once more takes off what rounding left
            left -= basis[:, :rank] @ (basis[:, :rank].T @ left)
        length = float(np.linalg.norm(left))
        if length < DEPENDENT or rank == len(left):
            spare.append(name)
            continue
        basis[:, rank] = left / length
        rank += 1
    return tuple(spare)


def _plainly_independent(columns: list[Array]) -> bool:
    """Whether cross-products show it; they do not for what overflows or is near a combination."""
    count = len(columns)
    products = np.zeros((count, count))
    with np.errstate(all="ignore"):
        for i, first in enumerate(columns):  # sooner than to put the columns side by side
            for j, second in enumerate(columns[: i + 1]):
                products[i, j] = first @ second
        scale = np.sqrt(np.diag(products))
        try:
            factor = np.linalg.cholesky(products / scale[:, None] / scale)
        except np.linalg.LinAlgError:
            return False
        return bool((np.diag(factor) > PLAINLY).all())


def without_spanned(
    blocks: list[tuple[str, ...]], spans: Callable[[tuple[str, ...], tuple[str, ...]], bool]
) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Blocks less those that are linear combinations of the columns of another one, as `spans` says
    of its names and those of the block.

    With `A = B C` the covariances `B Σ_B B' + A Σ_A A'` are `B (Σ_B + C Σ_A C') B'`: Σ_A is not
    determined, and the model without it is the same. So is the intercept beside all dummies of f,
    which `(f || id)` means in lme4.
    """
    left, notes = list(blocks), []
    for block in blocks:
        for other in left if len(left) > 1 else ():
            if len(other) > 1 and not set(block) & set(other) and spans(other, block):
                left.remove(block)
                notes.append(
                    f"random part of {listed(block)}: these are linear combinations of "
                    f"{listed(other)}, whose covariances already contain them; not fitted "
                    "separately."
                )
                break
    return left, tuple(notes)


def spans(names: tuple[str, ...], others: tuple[str, ...], columns: Columns) -> bool:
    basis = np.column_stack([columns[name] for name in names])
    wanted = np.column_stack([columns[name] for name in others])
    left = wanted - basis @ least_squares(basis, wanted)
    return bool((np.abs(left).max(axis=0) <= SAME * np.abs(wanted).max(axis=0)).all())
