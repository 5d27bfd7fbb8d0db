"""Covariates cut into the means of their clusters and the deviations from these,

    x_ij = x̄_j + (x_ij - x̄_j),

over the rows that a formula uses: deviations are then orthogonal to whatever is constant within
clusters, and their coefficients those of a model with a constant for each cluster (Mundlak, 1978).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlsem.data.design.columns import INTERCEPT, dependent
from mlsem.data.moments.bases import SAME
from mlsem.errors import DataError, OptionValueError, SpecificationError, listed, nearest
from mlsem.syntax.r_language import deparse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.design.mixed import MixedData
    from mlsem.data.table.grouping import Grouping
    from mlsem.syntax.mixed import MixedFormula

Interactions = Literal["product", "double"]
WITHIN, BETWEEN = "_within", "_between"


@dataclass(frozen=True, slots=True)
class Covariate:
    """A column of the design, and what of it is in the models.

    Attributes
    ----------
    name : str
        As the formula has it: ``x1``, ``sexmale``, ``x1:w1``.
    column : str
        Its column in the data of the models.
    varies : bool
        Whether it varies within clusters.
    split : bool
        Whether it is cut into parts.
    within, between : str or None
        Columns of its deviations and of its means; None where they are in no model.
    sd_within, sd_between : float
        √ of the components of variance (of a one-way analysis of variance).
    icc : float
        The share that lies between clusters.
    reliability : float
        Of the means as measures of what clusters are: the mean of τ² / (τ² + σ²/n_j).
    varying : int
        Clusters within which it varies.
    """

    name: str
    column: str
    varies: bool
    split: bool
    within: str | None
    between: str | None
    sd_within: float
    sd_between: float
    icc: float
    reliability: float
    varying: int


@dataclass(frozen=True, slots=True, eq=False)
class SplitData:
    """The rows used with the parts of the covariates as columns.

    Attributes
    ----------
    frame : DataFrame
    outcome, cluster : str
        Columns of it.
    covariates : tuple of Covariate
        In the order of the formula.
    random : tuple of tuple of str
        Effects that vary between clusters, by the names of the formula; those of one tuple covary.
    n_single : int
        Clusters of one row.
    notes : tuple of str
    """

    frame: pd.DataFrame
    outcome: str
    cluster: str
    covariates: tuple[Covariate, ...]
    random: tuple[tuple[str, ...], ...]
    n_single: int
    notes: tuple[str, ...]


def split_data(
    formula: MixedFormula,
    read: MixedData,
    split: tuple[str, ...] | None,
    interactions: Interactions,
    *,
    center: bool,
) -> SplitData:
    """Cut the covariates of a formula that has been read.

    Parameters
    ----------
    split : tuple of str or None
        Variables or columns that are cut; None: all that vary within clusters.
    interactions : {"product", "double"}
        Whether a product is cut as any column, or is that of deviations first.
    center : bool
        Whether means of clusters are less their mean over the rows.

    Raises
    ------
    SpecificationError
        No constant, no random intercept, or random effects without a fixed one.
    OptionValueError
        What is to be cut is no covariate, or does not vary within clusters.
    DataError
        No covariate varies within clusters, or two columns would have one name.
    """
    _check_formula(formula, read)
    grouping, columns = read.grouping, _columns(read, interactions)
    varying = [name for name in columns if name in read.columns.within]
    if not varying:
        raise DataError(
            f"no covariate of {formula.text!r} varies within clusters of {formula.group!r}: fixed "
            "and random effects are compared by such a covariate. mlsem.lmm fits the formula."
        )
    chosen = varying if split is None else _chosen(split, columns, varying, formula.fixed.variables)
    means = {name: _means(grouping, columns[name]) for name in varying}
    deviations = {name: columns[name] - means[name] for name in varying}
    alike = {*dependent(deviations)}
    constant = {name: columns[name] for name in columns if name not in means}
    between = {name: means[name] for name in chosen}
    lost = {*dependent({INTERCEPT: np.ones(len(read.frame)), **constant, **between})}
    outcome = _plain(deparse(formula.outcome))
    covariates: list[Covariate] = []
    parts: dict[str, Array] = {outcome: read.rows.values[read.columns.outcome]}
    for name, values in columns.items():
        own = _covariate(grouping, name, values, name in means)
        if name in chosen:
            own = replace(
                own,
                split=True,
                within=None if name in alike else own.column + WITHIN,
                between=None if name in lost else own.column + BETWEEN,
            )
        elif name in means and name not in alike:
            own = replace(own, within=own.column)
        _add(parts, own.column, values, name)
        if own.split and own.within is not None:
            _add(parts, own.within, deviations[name], name)
        if own.between is not None:
            shift = float(values.mean()) if center else 0.0
            _add(parts, own.between, means[name] - shift, name)
        covariates.append(own)
    return SplitData(
        frame=_with_columns(read.frame, parts, formula),
        outcome=outcome,
        cluster=formula.group,
        covariates=tuple(covariates),
        random=read.columns.random,
        n_single=int((grouping.sizes == 1).sum()),
        notes=(*_dependence(covariates, lost, means), *_of_products(columns, interactions, means)),
    )


def _check_formula(formula: MixedFormula, read: MixedData) -> None:
    if not formula.fixed.intercept:
        raise SpecificationError(
            f"{formula.text!r} has no constant, which fixed effects of clusters contain: leave "
            "'0 +' out."
        )
    effects = [effect for block in read.columns.random for effect in block]
    if INTERCEPT not in effects:
        raise SpecificationError(
            f"the random part of {formula.text!r} has no intercept: the models are compared by "
            f"what they say of the clusters' constants. Write (1 + … | {formula.group})."
        )
    alone = [each for each in effects if each not in read.columns.fixed]
    if alone:
        raise SpecificationError(
            f"{listed(alone)} varies between clusters and has no fixed effect in "
            f"{formula.text!r}: add it to the formula."
        )


def _chosen(
    split: tuple[str, ...],
    columns: Mapping[str, Array],
    varying: Collection[str],
    variables: Collection[str],
) -> list[str]:
    """Columns that are named, or one of whose variables is, and that vary."""
    named = {name: {name, *_factors(name), *_variables(name, variables)} for name in columns}
    found: set[str] = set()
    for asked in split:
        own = {name for name in columns if asked in named[name]}
        if not own:
            known = list(dict.fromkeys((*variables, *columns)))
            raise OptionValueError(
                f"split={asked!r} is no covariate of the formula; these are {listed(known, 9)}."
                + nearest(str(asked), known)
            )
        if not any(name in varying for name in own if ":" not in name or name == asked):
            raise OptionValueError(
                f"split={asked!r}: it does not vary within clusters, so that it is its own mean. "
                "Leave it out of split."
            )
        found |= own
    return [name for name in columns if name in found and name in varying]


def _variables(name: str, variables: Collection[str]) -> set[str]:
    """Those that the factors of a column are made of: `sex` of `sexmale:x1`, and `x1`."""
    begun = ([each for each in variables if part.startswith(each)] for part in _factors(name))
    return {max(each, key=len) for each in begun if each}


def _columns(read: MixedData, interactions: Interactions) -> dict[str, Array]:
    """The covariates in the order of the formula; with "double" products are of deviations."""
    within = read.columns.within
    columns = {
        name: np.asarray(read.rows.values[name], dtype=np.float64)
        for name in read.columns.fixed
        if name != INTERCEPT
    }
    if interactions == "product":
        return columns
    found = dict(columns)
    for name in columns:
        factors = _factors(name)
        if not {*factors} <= columns.keys():
            raise SpecificationError(
                f'interactions="double" needs the covariates of {name!r} by themselves, too: write '
                f"{'*'.join(factors)}, or leave interactions out."
            )
        if len([each for each in factors if each in within]) > 1:
            parts = (_deviations(read.grouping, columns[e], e in within) for e in factors)
            found[name] = np.prod([*parts], axis=0)
    return found


def _of_products(
    columns: Mapping[str, Array], interactions: Interactions, varying: Collection[str]
) -> tuple[str, ...]:
    """What products of two covariates that vary within clusters are."""
    products = [
        name for name in columns if len([each for each in _factors(name) if each in varying]) > 1
    ]
    if not products:
        return ()
    if interactions == "double":
        return (
            f"{listed(products)}: the product of the deviations from the means of clusters "
            '(interactions="double"), so that its within effect is free of means.',
        )
    return (
        f"{listed(products)}: the product, cut as any covariate. Its deviations contain products "
        'of means with deviations; interactions="double" takes the product of deviations.',
    )


def _factors(name: str) -> list[str]:
    return name.split(":")


# --- parts ----------------------------------------------------------------------------------------


def _means(grouping: Grouping, values: Array) -> Array:
    """The mean of its cluster, for each row; one number where they differ by rounding."""
    means = _by_cluster(grouping, values)
    if np.ptp(means) <= SAME * values.std():
        means = np.full_like(means, values.mean())
    return means[grouping.codes]


def _deviations(grouping: Grouping, values: Array, varies: bool) -> Array:
    """From the mean of the cluster; of what does not vary, the values."""
    return values - _means(grouping, values) if varies else values


def _by_cluster(grouping: Grouping, values: Array) -> Array:
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    return np.add.reduceat(grouping.rows(values, 0, len(values)), starts) / grouping.sizes


def _covariate(grouping: Grouping, name: str, values: Array, varies: bool) -> Covariate:
    """A covariate that is not cut, with its components of variance.

    σ² = SS_w / (N - J), τ² = (SS_b / (J - 1) - σ²) / n₀, n₀ = (N - Σn²/N) / (J - 1); at least 0.
    """
    sizes = grouping.sizes.astype(np.float64)
    count, clusters = float(sizes.sum()), len(sizes)
    means = _by_cluster(grouping, values)
    squares = (values - means[grouping.codes]) ** 2 if varies else np.zeros(len(values))
    rows = float(squares.sum()) / max(count - clusters, 1.0)
    usual = (count - float(sizes @ sizes) / count) / max(clusters - 1, 1)
    spread = float(sizes @ (means - values.mean()) ** 2) / max(clusters - 1, 1)
    own = max((spread - rows) / usual, 0.0)
    whole = own + rows
    return Covariate(
        name=name,
        column=_plain(name),
        varies=varies,
        split=False,
        within=None,
        between=None,
        sd_within=float(np.sqrt(rows)),
        sd_between=float(np.sqrt(own)),
        icc=own / whole if whole else np.nan,
        reliability=float(np.mean(own / (own + rows / sizes))) if whole else np.nan,
        varying=int((_by_cluster(grouping, squares) > 0.0).sum()) if varies else 0,
    )


def _dependence(
    covariates: list[Covariate], lost: Collection[str], means: Mapping[str, Array]
) -> list[str]:
    """Notes on parts that the models do not have."""
    found = list[str]()
    split = [each for each in covariates if each.split]
    gone = [each.name for each in split if each.name in lost]
    same = [name for name in gone if dependent({INTERCEPT: means[name] * 0 + 1, name: means[name]})]
    other = [name for name in gone if name not in same]
    without = [each.name for each in covariates if each.varies and each.within is None]
    if same:
        found.append(
            f"{listed(same)}: the mean is the same in all clusters, so that there is no between "
            "effect."
        )
    if other:
        found.append(
            f"the means of {listed(other)} are linear combinations of covariates of clusters and "
            "of other means, and are left out."
        )
    if without:
        found.append(
            f"{listed(without)}: deviations from the means of clusters are linear combinations of "
            "those before, so that there is no within effect of its own."
        )
    return found


# --- names ----------------------------------------------------------------------------------------


def _plain(name: str) -> str:
    """A name that a formula has without quotes: `x1_w1` of `x1:w1`."""
    plain = re.sub(r"[^\w.]+", "_", name).strip("_.")
    return plain if plain[:1].isalpha() else f"X{plain}"


def _add(parts: dict[str, Array], column: str, values: Array, name: str) -> None:
    if column in parts:
        raise DataError(
            f"{name!r} needs a column {column!r}, and another variable of the formula has that "
            "name: rename one of them."
        )
    parts[column] = values


def _with_columns(
    frame: pd.DataFrame, parts: Mapping[str, Array], formula: MixedFormula
) -> pd.DataFrame:
    """The rows used with these columns.

    Raises
    ------
    DataError
        The data have another column of that name.
    """
    for name, values in parts.items():
        taken = name == formula.group or (name in frame.columns and not _same(frame, name, values))
        if taken:
            raise DataError(
                f"the data have a column {name!r} of their own, which within_between would make. "
                f'Rename it, data.rename(columns={{"{name}": "own_{name}"}}).'
            )
    new: Any = frame.assign(**parts)
    return new


def _same(frame: pd.DataFrame, name: str, values: Array) -> bool:
    own: Any = frame[name]
    try:
        return bool(np.allclose(np.asarray(own, dtype=np.float64), values, rtol=1e-9, atol=0.0))
    except (TypeError, ValueError):
        return False
