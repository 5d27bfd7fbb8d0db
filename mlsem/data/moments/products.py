"""Which columns are stored, and how the user's columns follow from them.

A product of raw factors whose means are far from 0 keeps few digits of what the product says
beyond its factors. So a factor f with mean μ and |μ| > 100 sd enters products as f' = f − μ, and

    Π_{L} (μ_f + f') · Π_{rest} f  =  Σ_{S ⊆ L} (Π_{L∖S} μ_f) · R(rest ∪ S)

where R(M) is the product of the factors in M, each as it enters. The lower-order R(M) are
stored as well; the user's column is a constant plus a linear combination of stored columns.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mlsem.core.records import Array, frozen
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlsem.model.elements import ProductTerm
    from mlsem.model.table import ParameterTable

Key: TypeAlias = tuple[str, ...]
"""The factors of a stored column, sorted; one factor is the data column itself."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnMap:
    """A column of the user's model from stored ones: constant + stored · coefs.

    Attributes
    ----------
    constant : float
    coefs : (D,)
        One per stored column. For a data column: its shift, and 1 at its own column.
    """

    constant: float
    coefs: Array


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The stored columns.

    Attributes
    ----------
    keys : tuple of Key
        The factors of each column; those that vary within clusters first.
    names : tuple of str
        The name in the model, or that of a lower-order column that only a product needs.
    varying : int
        How many vary within clusters.
    needs : dict of Key to (Key to float)
        For each column of the model: coefficients of the R(M) that it is made of.
    """

    keys: tuple[Key, ...]
    names: tuple[str, ...]
    varying: int
    needs: dict[str, dict[Key, float]]


def expansion(key: Key, offsets: Mapping[str, float]) -> dict[Key, float]:
    """Coefficients of R(M) in the product of the factors `key`, itself first.

    `offsets` holds the μ of the factors that are shifted.
    """
    terms: defaultdict[Key, float] = defaultdict(float)
    choices = [((True,), (True, False))[factor in offsets] for factor in key]
    for stays in product(*choices):
        rest = tuple(f for f, stay in zip(key, stays, strict=True) if stay)
        terms[rest] += prod(
            (offsets[f] for f, stay in zip(key, stays, strict=True) if not stay), start=1.0
        )
    return dict(terms)


def plan_columns(
    table: ParameterTable, between: frozenset[str], offsets: Mapping[str, float]
) -> Plan:
    """The columns to store for a model.

    Parameters
    ----------
    table : ParameterTable
    between : frozenset of str
        Data columns that are constant within every cluster.
    offsets : mapping of str to float
        μ of the factors that enter products shifted.
    """
    factors = {term.name: tuple(sorted(term.factors)) for term in table.products}
    keys = {name: factors.get(name, (name,)) for name in table.observed}
    needs: dict[str, dict[Key, float]] = {}
    wanted: dict[Key, str] = {}
    for name, key in keys.items():
        needs[name] = expansion(key, offsets) if len(key) > 1 else {key: 1.0}
        wanted.setdefault(key, name)
    for name in needs:
        for key in needs[name]:
            if key:
                wanted.setdefault(key, "*".join(key))
    inner = [key for key in wanted if not between.issuperset(key)]
    outer = [key for key in wanted if between.issuperset(key)]
    ordered = (*inner, *outer)
    return Plan(ordered, tuple(wanted[key] for key in ordered), len(inner), needs)


def column_maps(plan: Plan, shift: Array, offsets: Mapping[str, float]) -> dict[str, ColumnMap]:
    """Every column of the model from the stored columns, which are R(M) − shift.

    A stored data column is shifted from the column itself, not from R(M) = f − μ.
    """
    index = {key: place for place, key in enumerate(plan.keys)}
    maps: dict[str, ColumnMap] = {}
    for name, terms in plan.needs.items():
        coefs = np.zeros(len(plan.keys))
        constant = 0.0
        own = len(terms) == 1
        for key, coef in terms.items():
            if len(key) == 0:
                constant += coef
                continue
            place = index[key]
            entered = 0.0 if own or len(key) > 1 else offsets.get(key[0], 0.0)
            coefs[place] += coef
            constant += coef * (float(shift[place]) - entered)
        maps[name] = ColumnMap(constant, frozen(coefs))
    return maps


def check_product_levels(products: Iterable[ProductTerm], between: frozenset[str]) -> None:
    """Products whose factors do not belong to their level; with one level all do."""
    for term in products:
        varying = [factor for factor in term.factors if factor not in between]
        if term.level == 1 and not varying:
            raise DataError(
                f"the product {term.name!r} is written at level 1, but {listed(term.factors)} "
                "do not vary within clusters. Write it at level 2."
            )
        if term.level > 1 and varying:
            raise DataError(
                f"the product {term.name!r} is written at level {term.level}, but "
                f"{listed(dict.fromkeys(varying))} varies within clusters. Write it at level 1, "
                "or use cluster means (mlsem.cluster_means) as the factor."
            )
