"""The values that data are simulated with: of the parameters, and of the covariates' moments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlsem.core.records import Array, frozen
from mlsem.data.table.columns import brief
from mlsem.errors import OptionValueError, SpecificationError, listed, nearest
from mlsem.model.blocks import LOWEST, BlockKey, name_suffix
from mlsem.model.expressions import compile_definitions
from mlsem.model.table import ParameterTable, Row, TableBlock

Moment = tuple[BlockKey, str, str]
Loose = Mapping[BlockKey, Collection[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Values for a parameter table.

    Attributes
    ----------
    params : (npar,)
    moments : mapping of (block, name, name) to float
        Variances, covariances and means (second name "1") of fixed covariates that were given;
        a covariance under both orders.
    truth : mapping of str to float
        Every parameter under its `coef()` name, also fixed and defined ones.
    """

    params: Array
    moments: Mapping[Moment, float]
    truth: Mapping[str, float]


def read_values(table: ParameterTable, given: object, loose: Loose) -> Values:
    """Values by `given`, else by the text (`start()`, fixed values), else by default.

    By default covariates have mean 0 and variance 1 at each level and do not covary, intercepts
    that the text does not name are 0, and so are covariances that it does not name.

    Parameters
    ----------
    given : mapping of str to float, Series, FitResult or None
        By `coef()` name; of covariates `x1~~x1`, `x1~~x2` and `x1~1`.
    loose : mapping of block to names
        The fixed covariates of each, and the factors of products that stand nowhere else.

    Raises
    ------
    OptionValueError
        A name is of no parameter, or of a fixed one; a value is no number; two values are of one
        parameter.
    SpecificationError
        Parameters have no value; names all.
    """
    wanted = _numbers(given)
    moments, known = _moments(table, wanted, loose), _known(table)
    _refuse_unknown(table, wanted, known, loose)
    _refuse_two_values(table, wanted, known)
    products = {product.name for product in table.products}
    outer = {block.key: exogenous(table, block) for block in table.blocks}
    params = np.full(len(table.names), np.nan)
    for row in table.rows:
        if row.free < 0:
            continue
        value = _chosen(table, row, wanted)
        if value is None and np.isnan(params[row.free]):
            value = _default(row, products, outer[row.block])
        if value is not None:
            params[row.free] = value
    missing = [name for name, value in zip(table.names, params, strict=True) if np.isnan(value)]
    if missing:
        raise SpecificationError(
            f"parameters without a value: {listed(missing, 50)}. Write values in the model "
            f'("y ~ start(0.5)*x1", or 0.5*x1) or give them: params={{"{missing[0]}": 0.5}}.'
        )
    return Values(frozen(params), moments, _truth(table, params, products))


def groups_of(table: ParameterTable) -> tuple[ParameterTable, ...]:
    """The table of each group; of one group itself."""
    return tuple(group.table for group in table.groups) or (table,)


def row_name(table: ParameterTable, row: Row) -> str:
    """The name that a row has in `coef()` if it is free and has no label."""
    return f"{row.lhs}{row.op}{row.rhs}{name_suffix(row.block, table.level_labels)}"


def _numbers(given: object) -> dict[str, float]:
    if given is None:
        return {}
    given = getattr(given, "params", given)  # a fit's
    if not hasattr(given, "items"):
        raise OptionValueError(
            f"params is a {type(given).__name__}; it takes a mapping of names to values, a Series "
            "or a fit."
        )
    numbers: dict[str, float] = {}
    pairs: Any = given
    for name, value in pairs.items():
        try:
            numbers[str(name)] = float(value)
        except Exception:  # whatever an object raises that is to be a number
            where = f"params[{brief(name)!r}]={brief(value)}"
            raise OptionValueError(f"{where} is not a number.") from None
        if not np.isfinite(numbers[str(name)]):
            where = f"params[{brief(name)!r}]={brief(value)}"
            raise OptionValueError(f"{where} is not a finite number.")
    return numbers


def _known(table: ParameterTable) -> dict[str, Row]:
    """Rows that are no moments of covariates, under their names; the order of `~~` is free."""
    rows: dict[str, Row] = {}
    for row in table.rows:
        if not row.exo:
            rows[row_name(table, row)] = row
            if row.op == "~~":
                rows[row_name(table, replace(row, lhs=row.rhs, rhs=row.lhs))] = row
    return rows


def _refuse_unknown(
    table: ParameterTable,
    wanted: Mapping[str, float],
    known: Mapping[str, Row],
    loose: Loose,
) -> None:
    for name in wanted:
        if name in table.names or _moment(table, name, loose) is not None:
            continue
        row = known.get(name)
        if row is None:
            suffixes = {block.key: block.suffix for block in table.blocks}
            covariates = ((each, suffixes[key]) for key in loose for each in loose[key])
            names = [*table.names, *(f"{each}~~{each}{suffix}" for each, suffix in covariates)]
            raise OptionValueError(
                f"params: the model has no parameter {name!r}.{nearest(name, names)}"
            )
        if row.free < 0:
            raise OptionValueError(
                f"params: {name!r} is fixed to {row.fixed:g} by the model. Write "
                f"start({row.fixed:g}) there to give it another value here."
            )


def _refuse_two_values(
    table: ParameterTable, wanted: Mapping[str, float], known: Mapping[str, Row]
) -> None:
    """A parameter that stands in several rows has the names of all of them, and one value."""
    given: dict[int, str] = {}
    for name, value in wanted.items():
        row = known.get(name)
        if name in table.names:
            place = table.names.index(name)
        elif row is not None:
            place = row.free
        else:
            continue
        first = given.setdefault(place, name)
        if wanted[first] != value:
            raise OptionValueError(
                f"params: {first!r} and {name!r} are one parameter of the model, and have the "
                f"values {wanted[first]:g} and {value:g}. Leave one out."
            )


def _chosen(table: ParameterTable, row: Row, wanted: Mapping[str, float]) -> float | None:
    """The value of a free row by its label or name, else by the text."""
    name = row_name(table, row)
    for each in (table.names[row.free], name):
        if each in wanted:
            return wanted[each]
    return row.start


def _default(row: Row, products: set[str], exogenous: set[str]) -> float | None:
    """The value of a free row that nobody gave one; None if it needs one."""
    if row.op not in ("~~", "~1"):
        return None
    if row.lhs in products or row.rhs in products:
        return 0.0  # products are formed of their factors, whatever their moments
    if row.is_variance and row.lhs in exogenous:
        return 1.0
    plain = row.op == "~1" or row.lhs != row.rhs
    return 0.0 if plain and not row.user else None


def exogenous(table: ParameterTable, block: TableBlock) -> set[str]:
    """Observed variables of a level that have a distribution there and that no equation explains:
    with none at this level a variable is an outcome if it is one at the other."""
    rows = [row for row in table.rows if row.group == block.key.group]
    explained = {row.lhs for row in rows if row.op == "~"}
    explained |= {row.rhs for row in rows if row.op == "=~"}
    return set(block.variables.modelled) - explained


def _moments(
    table: ParameterTable, wanted: Mapping[str, float], loose: Loose
) -> dict[Moment, float]:
    moments: dict[Moment, float] = {}
    for name, value in wanted.items():
        place = _moment(table, name, loose)
        if place is not None:
            key, left, right = place
            moments[key, left, right] = value
            if right != "1":
                moments[key, right, left] = value
    return moments


def _moment(table: ParameterTable, name: str, loose: Loose) -> Moment | None:
    """Block and names of a moment of fixed covariates; the suffix of the level may be left out."""
    if name in table.names:
        return None
    plain, group = name, 1
    for block in sorted(table.blocks, key=lambda block: -len(block.suffix)):
        if block.suffix and name.endswith(block.suffix):
            plain, group = name.removesuffix(block.suffix), block.key.group
            break
    left, tildes, right = plain.partition("~~")
    if not tildes:
        left, tilde, right = plain.partition("~")
        if not tilde or right != "1":
            return None
    for key, names in loose.items():
        if key.group == group and left in names and (right == "1" or right in names):
            return key, left, right
    return None


def _truth(table: ParameterTable, params: Array, products: set[str]) -> dict[str, float]:
    truth: dict[str, float] = {}
    for row in table.rows:
        unknown = row.op in ("~~", "~1") and (row.lhs in products or row.rhs in products)
        if row.exo or unknown:
            continue
        value = params[row.free] if row.free >= 0 else row.fixed
        assert value is not None
        truth[row_name(table, row)] = float(value)
        if row.free >= 0:
            truth[table.names[row.free]] = float(value)
    defined, _ = compile_definitions(table)(params)
    truth |= {d.name: v for d, v in zip(table.definitions, defined.tolist(), strict=True)}
    for number, part in enumerate(groups_of(table), start=1):
        suffix = name_suffix(BlockKey(number, LOWEST), table.level_labels)
        for slope in part.slopes:  # the row of a path that varies
            truth.pop(f"{slope.outcome}~{slope.carrier}{suffix}", None)
    return truth
