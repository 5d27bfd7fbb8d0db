"""Products `a:b` of the model text: one name each, however their factors are ordered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsem.errors import SpecificationError, listed
from mlsem.model.elements import ProductTerm

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlsem.errors import Span
    from mlsem.syntax.nodes import Formula, Variable


@dataclass(frozen=True, slots=True)
class _Product:
    """A product where it was first written."""

    name: str
    factors: tuple[str, ...]
    level: int
    span: Span


@dataclass(slots=True)
class Products:
    """Gives every `Variable` its name and keeps the products seen on the way.

    A product whose very name is a column of the data is that column. `x1:w1` and `w1:x1` are
    the same product and keep the spelling that comes first.
    """

    text: str
    columns: Collection[str] | None
    seen: dict[tuple[tuple[str, ...], int], _Product] = field(default_factory=dict)
    spelling: dict[tuple[str, ...], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def name(self, variable: Variable, level: int) -> str:
        """The name of a variable that stands in a formula of this level."""
        if not self._is_product(variable):
            return variable.name
        key = tuple(sorted(variable.factors))
        name = self.spelling.setdefault(key, variable.name)
        if name != variable.name:
            note = f"{variable.name} and {name} are the same product; it is called {name}."
            if note not in self.notes:
                self.notes.append(note)
        if (key, level) not in self.seen:
            self.seen[key, level] = _Product(name, variable.factors, level, variable.span)
        return name

    def refuse_indicator(self, formula: Formula) -> None:
        """A product can be a covariate, not an indicator."""
        if formula.op == "=~" and formula.rhs is not None and self._is_product(formula.rhs):
            raise SpecificationError(
                f"The product {formula.rhs.name} cannot be an indicator. "
                "To use it as one, make it a column of the data.",
                self.text,
                formula.rhs.span,
            )

    def _is_product(self, variable: Variable) -> bool:
        return bool(variable.factors) and not (
            self.columns is not None and variable.name in self.columns
        )

    def terms(
        self, latent: Collection[str], named: tuple[Collection[str], ...]
    ) -> tuple[ProductTerm, ...]:
        """The products to be made from data columns, each once.

        `named` holds the observed variables that stand in the model by themselves, per level.
        """
        terms: dict[str, ProductTerm] = {}
        for product in self.seen.values():
            self._refuse_factors(product, latent, named)
            if product.name not in terms:
                terms[product.name] = ProductTerm(product.name, product.factors, product.level)
        if len(named) > 1:
            self._note_split(terms, named)
        return tuple(terms.values())

    def _refuse_factors(
        self, product: _Product, latent: Collection[str], named: tuple[Collection[str], ...]
    ) -> None:
        for factor in product.factors:
            if factor in latent:
                raise SpecificationError(
                    f"{factor!r} in {product.name} is a latent variable: a product needs columns "
                    "of the data. Products of latent variables are not fitted.",
                    self.text,
                    product.span,
                )
            below = [k for k, names in enumerate(named, 1) if factor in names and k < product.level]
            if below and factor not in named[product.level - 1]:
                raise SpecificationError(
                    f"{factor!r} is a level-{below[-1]} variable, so {product.name} varies within "
                    f"clusters and belongs in the level-{below[-1]} block.",
                    self.text,
                    product.span,
                )

    def _note_split(
        self, terms: dict[str, ProductTerm], named: tuple[Collection[str], ...]
    ) -> None:
        for key, name in self.spelling.items():
            if (key, 1) in self.seen and (key, 2) in self.seen:
                self.notes.append(
                    f"The product {name} is at both levels: its observed values are split into "
                    "a within and a between part like those of any other variable."
                )
                continue
            split = [factor for factor in dict.fromkeys(key) if all(factor in n for n in named)]
            if split and name in terms:
                self.notes.append(
                    f"{name} is made of the observed values of {listed(split)}, not of the within "
                    "or between part."
                )
