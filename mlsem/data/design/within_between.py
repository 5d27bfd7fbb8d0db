"""Covariates cut into the means of their clusters and the deviations from these,

    x_ij = x̄_j + (x_ij - x̄_j),

over the rows that a formula uses: deviations are then orthogonal to whatever is constant within
clusters, and their coefficients those of a model with a constant for each cluster (Mundlak, 1978).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.design.cluster_means import by_cluster, means_of, spread_of
from mlsem.data.design.columns import INTERCEPT, dependent
from mlsem.data.design.parts import (
    BETWEEN,
    WITHIN,
    Covariate,
    Interactions,
    PartsRecipe,
    factors_of,
    parts_of,
    with_products,
)
from mlsem.errors import DataError, OptionValueError, SpecificationError, listed, nearest
from mlsem.syntax.r_language import deparse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.design.mixed import MixedData
    from mlsem.data.table.grouping import Grouping
    from mlsem.syntax.mixed import MixedFormula


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
    parts : PartsRecipe
        How they are made of other rows.
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
    parts: PartsRecipe
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
    columns = with_products(_columns(read), read.columns.within, interactions, _mean(read.grouping))
    varying = [name for name in columns if name in read.columns.within]
    if not varying:
        raise DataError(
            f"no covariate of {formula.text!r} varies within clusters of {formula.group!r}: fixed "
            "and random effects are compared by such a covariate. mlsem.lmm fits the formula."
        )
    chosen = varying if split is None else _chosen(split, columns, varying, formula.fixed.variables)
    means = {name: means_of(read.grouping, columns[name]) for name in varying}
    covariates = _decided(read.grouping, columns, means, chosen, center=center)
    outcome = _plain(deparse(formula.outcome))
    parts = {outcome: read.rows.values[read.columns.outcome]}
    for name, column, values in parts_of(covariates, columns, means):
        if column in parts:
            raise DataError(
                f"{name!r} needs a column {column!r}, and another variable of the formula has that "
                "name: rename one of them."
            )
        parts[column] = values
    return SplitData(
        frame=_with_columns(read.frame, parts, formula),
        outcome=outcome,
        cluster=formula.group,
        covariates=covariates,
        parts=PartsRecipe(
            recipe=read.recipe,
            within=read.columns.within,
            interactions=interactions,
            covariates=covariates,
            labels=read.grouping.labels,
            means={name: by_cluster(read.grouping, columns[name]) for name in varying},
        ),
        random=read.columns.random,
        n_single=int((read.grouping.sizes == 1).sum()),
        notes=(*_dependence(covariates, means), *_of_products(columns, interactions, means)),
    )


def _mean(grouping: Grouping) -> Callable[[str, Array], Array]:
    return lambda _, values: means_of(grouping, values)


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
    named = {name: {name, *factors_of(name), *_variables(name, variables)} for name in columns}
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
    begun = ([each for each in variables if part.startswith(each)] for part in factors_of(name))
    return {max(each, key=len) for each in begun if each}


def _columns(read: MixedData) -> dict[str, Array]:
    """The covariates in the order of the formula."""
    return {
        name: np.asarray(read.rows.values[name], dtype=np.float64)
        for name in read.columns.fixed
        if name != INTERCEPT
    }


def _of_products(
    columns: Mapping[str, Array], interactions: Interactions, varying: Collection[str]
) -> tuple[str, ...]:
    """What products of two covariates that vary within clusters are."""
    products = [
        name for name in columns if len([each for each in factors_of(name) if each in varying]) > 1
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


# --- parts ----------------------------------------------------------------------------------------


def _decided(
    grouping: Grouping,
    columns: Mapping[str, Array],
    means: Mapping[str, Array],
    chosen: Collection[str],
    *,
    center: bool,
) -> tuple[Covariate, ...]:
    """The covariates, with the parts that are no linear combinations of those before."""
    alike = {*dependent({name: columns[name] - means[name] for name in means})}
    upper = {name: columns[name] for name in columns if name not in means}
    constant = {INTERCEPT: np.ones(len(grouping.codes))}
    lost = {*dependent(constant | upper | {name: means[name] for name in chosen})}
    return tuple(
        Covariate(
            name=name,
            column=_plain(name),
            varies=name in means,
            split=name in chosen,
            within=None
            if name not in means or name in alike
            else _plain(name) + WITHIN * (name in chosen),
            between=_plain(name) + BETWEEN if name in chosen and name not in lost else None,
            shift=float(values.mean()) if center else 0.0,
            spread=spread_of(grouping, values, varies=name in means),
        )
        for name, values in columns.items()
    )


def _dependence(covariates: Iterable[Covariate], means: Mapping[str, Array]) -> list[str]:
    """Notes on parts that the models do not have."""
    found = list[str]()
    gone = [each.name for each in covariates if each.split and each.between is None]
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
