"""The equation of an outcome, as a function of what it depends on and linear in the parameters:

    E(y | v) = Σ_t θ_t m_t(v),     m_t(v) = Π_k f_tk(v)
    ∂E(y | v)/∂x = Σ_t θ_t Σ_k (∂f_tk/∂x) Π_{l≠k} f_tl(v)

with a term t for each path to y of either level, and for each that leads to one of its random
slopes: a slope s of x with mean α and s ~ w has the terms α x and γ w x. Factors f are the
variables that a product is made of, or the columns of a mixed model's formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array

if TYPE_CHECKING:
    from mlsem.data.design.remade import Recipe
    from mlsem.model.table import ParameterTable, Row

WITHIN, BETWEEN = "within", "between"


class Source(NamedTuple):
    """What an outcome depends on: a variable, or its part at one level."""

    name: str
    part: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.part} clusters)" if self.part else self.name


Points = Mapping[Source, Any]
"""Values of sources, an array each of one length."""


@dataclass(frozen=True, slots=True)
class Term:
    """θ_t, or a fixed number, times a product.

    Attributes
    ----------
    factors : tuple of Source
        Empty of the intercept.
    place : int
        Of the parameter; -1 where it is fixed.
    fixed : float
        Its value then.
    """

    factors: tuple[Source, ...]
    place: int
    fixed: float


class Maker(Protocol):
    """Makes factors of sources."""

    def values(self, points: Points) -> Mapping[Source, Shaped[Array, "c"]]:
        """The factors."""
        ...

    def slopes(self, points: Points, x: Source) -> Mapping[Source, Shaped[Array, "c"]]:
        """Their derivatives by x; those that are left out are 0."""
        ...

    def needs(self, factors: Iterable[Source]) -> tuple[Source, ...]:
        """The sources that these factors are made of."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """Factors are the sources themselves."""

    def values(self, points: Points) -> Mapping[Source, Shaped[Array, "c"]]:
        return points

    def slopes(self, points: Points, x: Source) -> Mapping[Source, Shaped[Array, "c"]]:
        return {x: np.ones(len(points[x]))}

    def needs(self, factors: Iterable[Source]) -> tuple[Source, ...]:
        return tuple(dict.fromkeys(factors))


@dataclass(frozen=True, slots=True, eq=False)
class Equation:
    """The equation of one outcome.

    Attributes
    ----------
    outcome : str
    terms : tuple of Term
    maker : Maker
    count : int
        Parameters of the model.
    """

    outcome: str
    terms: tuple[Term, ...]
    maker: Maker
    count: int

    @property
    def sources(self) -> tuple[Source, ...]:
        """All that the outcome depends on."""
        return self.maker.needs(factor for term in self.terms for factor in term.factors)

    def level(self, points: Points) -> tuple[Shaped[Array, "c npar"], Shaped[Array, "c"]]:
        """E(y | v) at c points, as gradients along the parameters and the part of fixed ones."""
        values = self.maker.values(points)
        size = _length(points)
        return self._summed(
            size, ((term, _product(values, term.factors, size)) for term in self.terms)
        )

    def slope(
        self, points: Points, x: Source
    ) -> tuple[Shaped[Array, "c npar"], Shaped[Array, "c"]]:
        """∂E(y | v)/∂x at c points."""
        values, slopes = self.maker.values(points), self.maker.slopes(points, x)
        return self._summed(_length(points), self._derivatives(values, slopes, _length(points)))

    def _derivatives(
        self,
        values: Mapping[Source, Shaped[Array, "c"]],
        slopes: Mapping[Source, Shaped[Array, "c"]],
        size: int,
    ) -> Iterator[tuple[Term, Shaped[Array, "c"]]]:
        for term in self.terms:
            for k, factor in enumerate(term.factors):
                if factor in slopes:
                    others = term.factors[:k] + term.factors[k + 1 :]
                    yield term, slopes[factor] * _product(values, others, size)

    def _summed(
        self, size: int, parts: Iterable[tuple[Term, Shaped[Array, "c"]]]
    ) -> tuple[Shaped[Array, "c npar"], Shaped[Array, "c"]]:
        rows, constant = np.zeros((size, self.count)), np.zeros(size)
        for term, values in parts:
            if term.place >= 0:
                rows[:, term.place] += values
            else:
                constant += term.fixed * values
        return rows, constant


@dataclass(frozen=True, slots=True, eq=False)
class MeanEquation:
    """The mean over data sets of one equation: columns of a formula such as poly(x, 2) are made
    otherwise in each.

    Attributes
    ----------
    each : tuple of Equation
    """

    each: tuple[Equation, ...]

    @property
    def outcome(self) -> str:
        return self.each[0].outcome

    @property
    def maker(self) -> Maker:
        return self.each[0].maker

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.each[0].sources

    def level(self, points: Points) -> tuple[Shaped[Array, "c npar"], Shaped[Array, "c"]]:
        """See `Equation.level`."""
        return _mean([each.level(points) for each in self.each])

    def slope(
        self, points: Points, x: Source
    ) -> tuple[Shaped[Array, "c npar"], Shaped[Array, "c"]]:
        """See `Equation.slope`."""
        return _mean([each.slope(points, x) for each in self.each])


def _mean(
    found: list[tuple[Shaped[Array, "c npar"], Shaped[Array, "c"]]],
) -> tuple[Shaped[Array, "c npar"], Shaped[Array, "c"]]:
    rows, constants = zip(*found, strict=True)
    return np.mean(rows, axis=0), np.mean(constants, axis=0)


def _length(points: Points) -> int:
    return len(next(iter(points.values())))


def _product(
    values: Mapping[Source, Shaped[Array, "c"]], factors: tuple[Source, ...], size: int
) -> Shaped[Array, "c"]:
    return reduce(lambda so_far, each: so_far * values[each], factors, np.ones(size))


# --- from the parameter table ---------------------------------------------------------------------


def outcomes_of(table: ParameterTable) -> tuple[str, ...]:
    """What the model explains by paths, random slopes apart."""
    slopes = {slope.name for slope in table.slopes}
    return tuple(
        dict.fromkeys(row.lhs for row in table.rows if row.op == "~" and row.lhs not in slopes)
    )


def terms_of(table: ParameterTable, outcome: str, *, whole: bool) -> tuple[Term, ...]:
    """The terms of an outcome.

    Parameters
    ----------
    whole : bool
        Whether the name of a column is one factor, as of a mixed model's formula, or `a:b` the
        product of two.
    """
    slopes = {slope.name: slope.carrier for slope in table.slopes if slope.outcome == outcome}
    random = {*slopes.values()}

    def factors(name: str, level: int) -> tuple[Source, ...]:
        names = (name,) if whole else tuple(name.split(":"))
        return tuple(Source(each, _part(table, each, level)) for each in names)

    found = []
    for row in table.rows:
        own: tuple[Source, ...] | None = None
        if row.op == "=~" and row.rhs == outcome:
            own = factors(row.lhs, row.level)
        elif row.lhs == outcome and row.op in ("~", "~1"):
            if row.level == 1 and row.op == "~" and row.rhs in random:
                continue  # its mean stands above
            own = factors(row.rhs, row.level) if row.op == "~" else ()
        elif row.lhs in slopes and row.level == 2 and row.op in ("~", "~1"):
            own = factors(slopes[row.lhs], 1)
            own += factors(row.rhs, 2) if row.op == "~" else ()
        if own is not None:
            found.append(_term(own, row))
    return tuple(term for term in found if term.place >= 0 or term.fixed)


def _part(table: ParameterTable, name: str, level: int) -> str:
    """Which part of a variable takes part at a level, of those with one at both."""
    both = name in table.split or any(name in each.parts for each in table.levels)
    return (WITHIN if level == 1 else BETWEEN) if both and table.two_level else ""


def _term(factors: tuple[Source, ...], row: Row) -> Term:
    return Term(factors, row.free, 0.0 if row.fixed is None else float(row.fixed))


# --- from the formula of a mixed model ------------------------------------------------------------


STEP = 3e-3  # of numerical derivatives, in standard deviations
STENCIL = {-2: 1.0 / 12.0, -1: -8.0 / 12.0, 1: 8.0 / 12.0, 2: -1.0 / 12.0}


@dataclass(frozen=True, slots=True, eq=False)
class OfFormula:
    """Factors are the columns of a formula, made of columns of the data as in the fit.

    Where a point says nothing of a column that has levels, these have equal weights, as in
    estimated marginal means (Searle, Speed & Milliken, 1980).
    """

    recipe: Recipe

    def needs(self, factors: Iterable[Source]) -> tuple[Source, ...]:
        return tuple(map(Source, self.recipe.grid.names))

    def values(self, points: Points) -> Mapping[Source, Shaped[Array, "c"]]:
        size = _length(points)
        filled, repeats = dict(points), 1
        for each in self.recipe.grid.predictors:
            if each.levels and Source(each.name) not in points:
                count = len(each.levels)
                filled = {key: np.repeat(values, count) for key, values in filled.items()}
                filled[Source(each.name)] = np.array(each.levels * (size * repeats), dtype=object)
                repeats *= count
        frame = self.recipe.grid.frame({key.name: list(each) for key, each in filled.items()})
        design = self.recipe.fixed_design(frame)[0].reshape(size, repeats, -1).mean(axis=1)
        columns = dict(zip(self.recipe.fixed, design.T, strict=True))
        return {Source(name): values for name, values in columns.items()}

    def slopes(self, points: Points, x: Source) -> Mapping[Source, Shaped[Array, "c"]]:
        """By the five-point rule, exact for polynomials up to the fourth degree."""
        predictor = self.recipe.grid.predictor(x.name)
        step = STEP * predictor.sd or STEP
        found: dict[Source, Array] = {}
        for k, weight in STENCIL.items():
            moved = self.values({**points, x: points[x] + k * step})
            for column, values in moved.items():
                found[column] = found.get(column, 0.0) + (weight / step) * values
        return found
