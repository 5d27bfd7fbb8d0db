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
            own = {name: self.variables[name] for name in product}
            parts.append(Terms(False, (product,), own))
        return tuple(parts)


def terms_of(summands: Iterable[tuple[str, Expression]], text: str) -> Terms:
    """Add up signed expressions; without a word on it there is an intercept.

    Raises
    ------
    SpecificationError
        What is no term; shows the place.
    """
    reader = _Reader(text)
    terms: dict[Term, None] = {frozenset(): None}
    for sign, expression in summands:
        terms = reader.added(terms, sign, expression)
    order = list(reader.variables)
    products = [tuple(sorted(term, key=order.index)) for term in terms if term]
    return Terms(frozenset() in terms, tuple(sorted(products, key=len)), reader.variables)


class _Reader:
    """Terms as ordered sets of sets of variables; the intercept is the empty set."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.variables: dict[str, Expression] = {}

    def added(self, before: dict[Term, None], sign: str, right: Expression) -> dict[Term, None]:
        constant = right.value if isinstance(right, Constant) else None
        if constant == 0 and not isinstance(constant, bool):
            sign, terms = "-" if sign == "+" else "+", {frozenset[str](): None}
        else:
            terms = self.terms(right)
        if sign == "-":
            return {term: None for term in before if term not in terms}
        return before | terms

    def terms(self, expression: Expression) -> dict[Term, None]:
        if isinstance(expression, Constant):
            if expression.value == 1 and not isinstance(expression.value, bool):
                return {frozenset(): None}
            raise self._no_constant(expression)
        if isinstance(expression, Symbol):
            if expression.name == ".":
                raise self.error("'.' for all other columns: name them.", expression.span)
            return self._variable(expression)
        if expression.kind == "group":
            return self.terms(expression.arguments[0])
        if expression.kind == "prefix":
            return self._signed(expression)
        if expression.kind == "infix":
            return self._operation(expression)
        return self._variable(expression)

    def _variable(self, expression: Expression) -> dict[Term, None]:
        name = deparse(expression)
        self.variables.setdefault(name, expression)
        return {frozenset({name}): None}

    def _signed(self, call: Call) -> dict[Term, None]:
        if call.function == "!":
            raise self._no_term(call)
        return self.added({}, call.function, call.arguments[0])

    def _operation(self, call: Call) -> dict[Term, None]:
        sign, (first, second) = call.function, call.arguments
        if sign in "+-":
            return self.added(self.terms(first), sign, second)
        if sign == "^":
            return self._power(call, first, second)
        if sign not in ("*", ":", "/"):
            raise self._no_term(call)
        for part in (first, second):
            if isinstance(part, Constant):
                raise self._no_constant(part)
        left, right = self.terms(first), self.terms(second)
        if sign == ":":
            return self._products(call, left, right)
        if sign == "*":
            return left | right | self._products(call, left, right)
        within = {frozenset[str]().union(*left): None} if left else {}
        return left | self._products(call, within, right)

    def _power(self, call: Call, base: Expression, exponent: Expression) -> dict[Term, None]:
        value = exponent.value if isinstance(exponent, Constant) else None
        if isinstance(value, bool) or not isinstance(value, float) or value < 1 or value % 1:
            message = "a power is a whole number: (x1 + x2)^2, I(x1^2)."
            raise self.error(message, call.span)
        if isinstance(base, (Symbol, Constant)) or base.kind == "call":
            raise self.error(f"a power is written I({deparse(call)}).", call.span)
        terms = self.terms(base)
        power = terms
        for _ in range(int(min(value, len(terms))) - 1):
            power = self._products(call, power, terms)
        return power

    def _products(
        self, call: Call, left: dict[Term, None], right: dict[Term, None]
    ) -> dict[Term, None]:
        if not left or not right:
            raise self.error("a side of this has no term.", call.span)
        products = {one | other: None for one in left for other in right}
        if len(products) > MANY:
            raise self.error(f"this means more than {MANY} terms.", call.span)
        return products

    def _no_constant(self, constant: Constant) -> SpecificationError:
        if isinstance(constant.value, str):
            message = "columns are named without quotes; backticks are for names with blanks."
        elif isinstance(constant.value, float):
            message = (
                f"the number {deparse(constant)} is no term: only 0 and 1 are, without and with an "
                "intercept. Arithmetic stands in a call: I(2*x1)."
            )
        else:
            message = f"{deparse(constant)} is no term."
        return self.error(message, constant.span)

    def _no_term(self, call: Call) -> SpecificationError:
        sign = call.function
        if sign in ("|", "||"):
            message = (
                "a random part stands in parentheses of its own, added with '+': '+ (x1 | id)'. "
                "'or' stands in a call: I(x1 | x2)."
            )
        elif sign in ("&", "&&", "!"):
            message = f"'{sign}' stands in a call: I({deparse(call)})."
        elif sign.startswith("%"):
            message = (
                f"{sign} is no sign between terms: an interaction is written x1:f, arithmetic "
                f"stands in a call: I({deparse(call)})."
            )
        else:
            message = f"a comparison stands in a call: I({deparse(call)})."
        return self.error(message, call.span)

    def error(self, message: str, span: Span) -> SpecificationError:
        return SpecificationError(message, self.text, span)
