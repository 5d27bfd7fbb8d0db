"""The measurement part of each group's model: factors, their items, loadings and intercepts.

Of a factor with mean κ_g and variance φ_g, loadings λ_gp and intercepts ν_gp are those of one with
mean 0 and variance 1 as λ_gp √φ_g and ν_gp + λ_gp κ_g, times the sign that makes its loadings
those of the first group's direction. Gradients are with respect to the parameters of all groups.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.records import Array
from mlsem.errors import InferenceError, OptionValueError, listed, nearest
from mlsem.estimation.estimates import Estimates
from mlsem.model.table import ParameterTable, Row


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of a level, and its items in all groups."""

    name: str
    level: int
    items: tuple[str, ...]
    has_mean: bool


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Loadings and intercepts of a factor with mean 0 and variance 1 in each group.

    Attributes
    ----------
    values : (k, G, a)
        Loadings, and intercepts where the factor has a mean; NaN where a group lacks the item.
    gradients : (v, npar)
        Of these in the same order, groups before items; 0 of what is missing.
    """

    factor: Factor
    values: Shaped[Array, "k G a"]
    gradients: Shaped[Array, "v npar"]


def factors_of(estimates: Estimates[Any], wanted: object = None) -> tuple[Factor, ...]:
    """Factors of the model that can be aligned, level by level.

    Raises
    ------
    InferenceError
        There are none, or one that is wanted cannot be: an item loads on another factor too, it is
        measured by factors, explained by something, or not the same kind in all groups.
    OptionValueError
        There is no such factor.
    """
    tables = [group.estimates.table for group in estimates.groups]
    known = {
        (level, name): None
        for level in range(1, len(estimates.table.levels) + 1)
        for table in tables
        for row in table.rows
        if row.op == "=~" and row.level == level
        for name in (row.lhs,)
    }
    names = tuple(dict.fromkeys(name for _, name in known))
    if not names:
        raise InferenceError("the model has no factor with indicators: nothing can be aligned.")
    chosen = names if wanted is None else _names(wanted, names)
    return tuple(
        _factor(tables, name, level, estimates.table) for level, name in known if name in chosen
    )


def _names(wanted: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    pool = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    for name in pool:
        if name not in names:
            raise OptionValueError(
                f"factors: the model has no factor {name!r}.{nearest(str(name), names)} It has "
                f"{listed(names)}."
            )
    if not pool:
        raise OptionValueError("factors is empty; leave it out for all of them.")
    return pool


def _factor(tables: list[ParameterTable], name: str, level: int, whole: ParameterTable) -> Factor:
    items: dict[str, None] = {}
    for table in tables:
        rows = [row for row in table.rows if row.level == level]
        own = [row.rhs for row in rows if row.op == "=~" and row.lhs == name]
        if not own:
            raise InferenceError(f"factor {name!r} is not in all groups: it cannot be aligned.")
        items |= dict.fromkeys(own)
        _require_simple(rows, name, own)
    has_mean = not (whole.two_level and level == 1)
    return Factor(name, level, tuple(items), has_mean)


def _require_simple(rows: list[Row], name: str, items: list[str]) -> None:
    latent = {row.lhs for row in rows if row.op == "=~"}
    others = {row.rhs: row.lhs for row in rows if row.op == "=~" and row.lhs != name}
    for item in items:
        if item in others:
            raise InferenceError(
                f"{item!r} loads on {name!r} and on {others[item]!r}: factors are aligned one by "
                "one, which needs items that load on one factor each. Name the factors without "
                "such items in factors=, or leave the second loading out."
            )
        if item in latent:
            raise InferenceError(
                f"{name!r} is measured by the factor {item!r}: only factors of observed items are "
                "aligned. Name these in factors=."
            )
    causes = [row.rhs for row in rows if row.op == "~" and row.lhs == name]
    if causes or name in others:
        raise InferenceError(
            f"{name!r} is explained by {listed(causes or [others[name]])}: alignment is of the "
            "factor's own mean and variance. Fit the measurement model alone."
        )


def measured(estimates: Estimates[Any], factor: Factor, reference: int) -> Measured:
    """Loadings and intercepts, with their derivatives.

    Raises
    ------
    InferenceError
        A factor's variance is not positive.
    """
    groups, count = estimates.groups, len(estimates.params)
    n_kinds = 2 if factor.has_mean else 1
    shape = (n_kinds, len(groups), len(factor.items))
    values, gradients = np.full(shape, np.nan), np.zeros((*shape, count))
    for g, group in enumerate(groups):
        table, own = group.estimates.table, group.estimates.params
        rows = [row for row in table.rows if row.level == factor.level]
        found = {(row.lhs, row.op, row.rhs): row for row in rows}
        read = _Reader(own, group.places, count)
        variance, by_variance = read.of(found.get((factor.name, "~~", factor.name)))
        mean, by_mean = read.of(found.get((factor.name, "~1", "")))
        if not variance > 0:
            where = "" if group.label is None else f" in group {group.label!r}"
            raise InferenceError(
                f"the variance of {factor.name!r} is {variance:.3f}{where}: the factor has no unit "
                "to be aligned in. Look at the configural fit first."
            )
        scale = float(np.sqrt(variance))
        for p, item in enumerate(factor.items):
            row = found.get((factor.name, "=~", item))
            if row is None:
                continue
            loading, by_loading = read.of(row)
            values[0, g, p] = loading * scale
            gradients[0, g, p] = scale * by_loading + 0.5 * loading / scale * by_variance
            if factor.has_mean:
                intercept, by_intercept = read.of(found.get((item, "~1", "")))
                values[1, g, p] = intercept + loading * mean
                gradients[1, g, p] = by_intercept + loading * by_mean + mean * by_loading
    signs = _signs(values[0], reference)[:, None]
    values[0] *= signs
    gradients[0] *= signs[..., None]
    return Measured(factor, values, gradients.reshape(-1, count))


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Values of rows of a group with their gradients in the parameters of all groups."""

    own: Shaped[Array, "m"]
    places: Any
    count: int

    def of(self, row: Row | None) -> tuple[float, Shaped[Array, "npar"]]:
        """0 of a row that there is not."""
        gradient = np.zeros(self.count)
        if row is None or row.free < 0:
            return 0.0 if row is None or row.fixed is None else float(row.fixed), gradient
        gradient[self.places[row.free]] = 1.0
        return float(self.own[row.free]), gradient


def _signs(loadings: Shaped[Array, "G a"], reference: int) -> Shaped[Array, "G"]:
    """-1 where a group's factor points the other way than the reference group's; the loadings of
    that one have a positive sum."""
    known = np.where(np.isnan(loadings), 0.0, loadings)
    base = known[reference] if known[reference].sum() >= 0 else -known[reference]
    return np.where(known @ base < 0, -1.0, 1.0)


def group_sizes(estimates: Estimates[Any]) -> Shaped[Array, "G"]:
    """Rows of each group."""
    return np.array([float(group.estimates.n_obs) for group in estimates.groups])


def labels_of(estimates: Estimates[Any]) -> tuple[Hashable, ...]:
    return tuple(group.label for group in estimates.groups)
