"""R's algebra of model terms: `f*x1 + (x1 + x2)^2 - 1` → terms, each a product of variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsem.errors import Span, SpecificationError
from mlsem.syntax.r_language import Call, Constant, Expression, Symbol, deparse

if TYPE_CHECKING:
    from collections.abc import Iterable

MANY = 2000
"""Terms from which a formula cannot be meant."""

Term = frozenset[str]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a right-hand side adds up.

    Attributes
    ----------
    intercept : bool
    products : tuple of tuple of str
        The terms by their number of variables, as R orders them; each names its variables in the
        order of `variables`.
    variables : mapping of str to Expression
        Every variable by its text, in the order of its first appearance.
    """

    intercept: bool
    products: tuple[tuple[str, ...], ...]
    variables: dict[str, Expression] = field(hash=False)

    def apart(self) -> tuple[Terms, ...]:
        """Each term alone, without an intercept but where it is the term."""
        parts = [Terms(True, (), {})] if self.intercept else []
        for product in self.products:
            kept = {name: self.variables[name] for name in product}
            parts.append(Terms(False, (product,), kept))
        return tuple(parts)


def terms_of(summands: Iterable[tuple[str, Expression]], text: str) -> Terms:
    """Add up signed expressions; without a word on it there is an intercept.

    Raises
    ------
    SpecificationError
        What is no term; shows the place.
    """
    reader = _Reader(text)
    found: dict[Term, None] = {frozenset(): None}
    for sign, expression in summands:
        found = reader.added(found, sign, expression)
    order = list(reader.variables)
    products = [tuple(sorted(term, key=order.index)) for term in found if term]
    return Terms(frozenset() in found, tuple(sorted(products, key=len)), reader.variables)


class _Reader:
    """Terms as ordered sets of sets of variables; the intercept is the empty set."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.variables: dict[str, Expression] = {}

    def added(self, found: dict[Term, None], sign: str, right: Expression) -> dict[Term, None]:
        constant = right.value if isinstance(right, Constant) else None
        if constant == 0 and not isinstance(constant, bool):
            sign, terms = "-" if sign == "+" else "+", {frozenset[str](): None}
        else:
            terms = self.terms(right)
        if sign == "-":
            return {term: None for term in found if term not in terms}
        return found | terms

    def terms(self, found: Expression) -> dict[Term, None]:
        if isinstance(found, Constant):
            if found.value == 1 and not isinstance(found.value, bool):
                return {frozenset(): None}
            raise self._no_constant(found)
        if isinstance(found, Symbol):
            if found.name == ".":
                raise self.error("'.' for all other columns: name them.", found.span)
            return self._variable(found)
        if found.kind == "group":
            return self.terms(found.arguments[0])
        if found.kind == "prefix":
            return self._signed(found)
        if found.kind == "infix":
            return self._operation(found)
        return self._variable(found)

    def _variable(self, found: Expression) -> dict[Term, None]:
        name = deparse(found)
        self.variables.setdefault(name, found)
        return {frozenset({name}): None}

    def _signed(self, found: Call) -> dict[Term, None]:
        if found.function == "!":
            raise self._no_term(found)
        return self.added({}, found.function, found.arguments[0])

    def _operation(self, found: Call) -> dict[Term, None]:
        sign, (first, second) = found.function, found.arguments
        if sign in "+-":
            return self.added(self.terms(first), sign, second)
        if sign == "^":
            return self._power(found, first, second)
        if sign not in ("*", ":", "/"):
            raise self._no_term(found)
        for part in (first, second):
            if isinstance(part, Constant):
                raise self._no_constant(part)
        left, right = self.terms(first), self.terms(second)
        if sign == ":":
            return self._products(found, left, right)
        if sign == "*":
            return left | right | self._products(found, left, right)
        within = {frozenset[str]().union(*left): None} if left else {}
        return left | self._products(found, within, right)

    def _power(self, found: Call, base: Expression, exponent: Expression) -> dict[Term, None]:
        value = exponent.value if isinstance(exponent, Constant) else None
        if isinstance(value, bool) or not isinstance(value, float) or value < 1 or value % 1:
            message = "a power is a whole number: (x1 + x2)^2, I(x1^2)."
            raise self.error(message, found.span)
        if isinstance(base, (Symbol, Constant)) or base.kind == "call":
            raise self.error(f"a power is written I({deparse(found)}).", found.span)
        terms = self.terms(base)
        power = terms
        for _ in range(int(min(value, len(terms))) - 1):
            power = self._products(found, power, terms)
        return power

    def _products(
        self, found: Call, left: dict[Term, None], right: dict[Term, None]
    ) -> dict[Term, None]:
        if not left or not right:
            raise self.error("a side of this has no term.", found.span)
        products = {one | other: None for one in left for other in right}
        if len(products) > MANY:
            raise self.error(f"this means more than {MANY} terms.", found.span)
        return products

    def _no_constant(self, found: Constant) -> SpecificationError:
        if isinstance(found.value, str):
            message = "columns are named without quotes; backticks are for names with blanks."
        elif isinstance(found.value, float):
            message = (
                f"the number {deparse(found)} is no term: only 0 and 1 are, without and with an "
                "intercept. Arithmetic stands in a call: I(2*x1)."
            )
        else:
            message = f"{deparse(found)} is no term."
        return self.error(message, found.span)

    def _no_term(self, found: Call) -> SpecificationError:
        sign = found.function
        if sign in ("|", "||"):
            message = (
                "a random part stands in parentheses of its own, added with '+': '+ (x1 | id)'. "
                "'or' stands in a call: I(x1 | x2)."
            )
        elif sign in ("&", "&&", "!"):
            message = f"'{sign}' stands in a call: I({deparse(found)})."
        elif sign.startswith("%"):
            message = (
                f"{sign} is no sign between terms: an interaction is written x1:f, arithmetic "
                f"stands in a call: I({deparse(found)})."
            )
        else:
            message = f"a comparison stands in a call: I({deparse(found)})."
        return self.error(message, found.span)

    def error(self, message: str, span: Span) -> SpecificationError:
        return SpecificationError(message, self.text, span)
