"""The right-hand side of an R formula as sums of products: R's algebra of `+ - * / : ^ ( )`.

What is in a call, `I(x1**2)`, is arithmetic and stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NoReturn

from mlsem.errors import Span, SpecificationError
from mlsem.formula_tokens import CLOSING, Token, is_unary, joined, operand_before

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PLAIN = re.compile(r"[^\W\d_][\w.]*")
_COMPARISONS = {"==", "!=", "<", ">", "<=", ">="}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a right-hand side adds up.

    Attributes
    ----------
    intercept : bool
    products : tuple of tuple of str
        The factors of each term, in R's order: main effects first, then interactions.
    """

    intercept: bool
    products: tuple[tuple[str, ...], ...]

    def written(self) -> str:
        """As a sum for formulae: `1 + x1 + f + f:x1`."""
        return " + ".join([str(int(self.intercept)), *map(":".join, self.products)])

    def apart(self) -> tuple[Terms, ...]:
        """Each term by itself, as lme4 reads `(x1 + f || id)`."""
        alone = [Terms(False, (each,)) for each in self.products]
        return (*([Terms(True, ())] if self.intercept else []), *alone)


@dataclass(frozen=True, slots=True)
class Bar:
    """A random part `(effects | group)`, not yet read."""

    effects: tuple[Token, ...]
    sign: str
    group: tuple[Token, ...]
    span: Span


_Sum = tuple[frozenset[str], ...]
_None: _Sum = ()


def factor_of(tokens: Sequence[Token], text: str) -> str | None:
    """One column or call, as formulae is to read it; None if it is more than one."""
    reader = _Reader(tokens, text)
    while reader.token.text == "(" and reader.closing(reader.place) == len(tokens) - 1:
        tokens = tokens[1:-1]
        reader = _Reader(tokens, text)
    if reader.token.kind not in ("name", "quoted") and reader.token.text != "{":
        return None
    found = reader.factor()
    return found if reader.token.kind == "end" else None


def read_terms(tokens: Sequence[Token], text: str) -> tuple[Terms, tuple[Bar, ...]]:
    """Expand a sum; the random parts in it apart.

    Raises
    ------
    SpecificationError
        What R does not read, or formulae reads otherwise; shows the place.
    """
    reader = _Reader(tokens, text)
    found = reader.sum()
    if reader.token.kind != "end":
        reader.refuse_rest()
    order = {name: place for place, name in enumerate(reader.seen)}
    terms = (tuple(sorted(each, key=order.__getitem__)) for each in dict.fromkeys(found))
    return Terms(reader.intercept, tuple(sorted(terms, key=len))), tuple(reader.bars)


class _Reader:
    """Recursive descent over R's precedence: `+ -`, then `* /`, then `:`, then `^`."""

    def __init__(self, tokens: Sequence[Token], text: str) -> None:
        last = tokens[-1].span.end if tokens else len(text)
        end = Token("end", "", Span(last, last + 1))
        self.tokens = (*tokens, end, end)
        self.text, self.place = text, 0
        self.intercept, self.adding = True, True
        self.seen: dict[str, None] = {}
        self.bars: list[Bar] = []

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def taken(self, *signs: str) -> str:
        """The sign that is next, if it is one of these; goes past it."""
        token = self.token
        if token.kind != "sign" or token.text not in signs:
            return ""
        self.place += 1
        return token.text

    def refuse(self, message: str, span: Span | None = None) -> NoReturn:
        raise SpecificationError(message, self.text, span or self.token.span)

    # --- sums and products --------------------------------------------------------------------

    def sum(self) -> _Sum:
        sign = self.taken("+", "-") or "+"
        found: dict[frozenset[str], None] = {}
        while True:
            outer = self.adding
            self.adding = outer == (sign == "+")
            terms = self._summand()
            self.adding = outer
            for term in terms:
                if sign == "+":
                    found[term] = None
                else:
                    found.pop(term, None)
            sign = self.taken("+", "-")
            if not sign:
                return tuple(found)

    def _summand(self) -> _Sum:
        token, after = self.token, self.tokens[self.place + 1]
        if token.kind == "number" and token.text in ("0", "1") and after.text in "+-)":
            self.place += 1
            self.intercept = (token.text == "1") == self.adding
            return _None
        begin, bars = self.place, len(self.bars)
        found = self._crossed()
        alone = self.tokens[begin].text == "(" and self.closing(begin) == self.place - 1
        if len(self.bars) > bars and not (alone and self.adding):
            span = Span(token.span.start, self.tokens[self.place - 1].span.end)
            self.refuse(
                "a random part stands in parentheses of its own, added with '+': '+ (x1 | id)'.",
                span,
            )
        return found

    def _crossed(self) -> _Sum:
        found = self._interaction()
        while sign := self.taken("*", "/"):
            left, right = found, self._interaction()
            if sign == "/" and left:
                left = (frozenset[str]().union(*left),)
            found = _united(found, right if sign == "*" else (), _interacted(left, right))
        return found

    def _interaction(self) -> _Sum:
        found = self._power()
        while self.taken(":"):
            found = _interacted(found, self._power())
        return found

    def _power(self) -> _Sum:
        begin = self.place
        base = found = self._primary()
        if not self.taken("^", "**"):
            return found
        token = self.token
        if token.kind != "number" or not token.text.isdigit() or token.text == "0":
            self.refuse("a power in a formula is a whole number from 1: '(x1 + x2)**2'.")
        self.place += 1
        span = Span(self.tokens[begin].span.start, token.span.end)
        if self.token.text in ("^", "**"):
            self.refuse("one power of another: write the interactions out.", span)
        if len(base) == 1 and token.text != "1":
            what = self.text[span.start : self.tokens[self.place - 2].span.start].strip()
            self.refuse(
                f"a power outside of a call means interactions, which {what} alone has none of. "
                f"The square is written I({what}**{token.text}).",
                span,
            )
        for _ in range(int(token.text) - 1):
            found = _united(found, base, _interacted(found, base))
        return found

    def _primary(self) -> _Sum:
        token = self.token
        if token.text == "(" and token.kind == "sign":
            return self._grouped()
        if token.kind in ("name", "quoted") or token.text == "{":
            factor = self.factor()
            if self.token.text in _COMPARISONS:
                self._refuse_comparison(token)
            self.seen[factor] = None
            return (frozenset([factor]),)
        self._refuse_primary(token)

    def _grouped(self) -> _Sum:
        begin, end = self.place, self.closing(self.place)
        bar = self._bar(begin, end)
        if bar is None:
            self.place += 1
            found = self.sum()
            if self.place != end:
                self.refuse_rest()
            self.place = end + 1
            return found
        span = Span(self.tokens[begin].span.start, self.tokens[end].span.end)
        effects, group = self.tokens[begin + 1 : bar], self.tokens[bar + 1 : end]
        self.bars.append(Bar(effects, self.tokens[bar].text, group, span))
        self.place = end + 1
        return _None

    def _bar(self, begin: int, end: int) -> int | None:
        depth = 0
        for place in range(begin, end):
            token = self.tokens[place]
            if token.kind == "sign":
                depth += (token.text in CLOSING) - (token.text in CLOSING.values())
                if depth == 1 and token.text in ("|", "||"):
                    return place
        return None

    # --- columns and calls --------------------------------------------------------------------

    def factor(self) -> str:
        """A column or a call; ends after it."""
        token = self.token
        if token.text == "{":
            return self._call()
        self.place += 1
        if self.token.text == "(":
            self.place -= 1
            return self._call()
        if self.token.text == "[":
            self.refuse("rows and levels cannot be picked in a formula: make a column for it.")
        return self._column(token)

    def _column(self, token: Token) -> str:
        if token.text == ".":
            self._refuse_primary(token)
        name = token.text.strip("`")
        if ":" in name:
            self.refuse(f"':' in the name {name!r} reads as a product: rename the column.", None)
        plain = _PLAIN.fullmatch(name) and name not in ("True", "False", "None")
        return name if plain else f"`{name}`"

    def closing(self, place: int) -> int:
        """Where the parentheses that open here close."""
        open_: list[str] = []
        for k in range(place, len(self.tokens)):
            token = self.tokens[k]
            if token.kind == "sign" and token.text in CLOSING:
                open_.append(CLOSING[token.text])
            elif open_ and token.kind == "sign" and token.text == open_[-1]:
                open_.pop()
                if not open_:
                    return k
        self.refuse(f"{self.tokens[place].text!r} is not closed.", self.tokens[place].span)

    def _call(self) -> str:
        """The text of a call; arithmetic that formulae reads otherwise than R is refused."""
        begin = self.place + (self.token.text != "{")
        end = self.closing(begin)
        inside = self.tokens[self.place : end + 1]
        self._check_arithmetic(inside)
        self.place = end + 1
        return joined(inside)

    def _check_arithmetic(self, tokens: Sequence[Token]) -> None:
        powers = [k for k, token in enumerate(tokens) if token.text in ("^", "**")]
        for k in powers:
            begin = operand_before(tokens, k)
            before = tokens[begin - 1]
            minus = before.text == "-" and is_unary(tokens, begin - 1)
            if minus or before.text in ("^", "**"):
                span = Span(before.span.start, tokens[k].span.end)
                self.refuse("put parentheses around the power: -(x1**2), x1**(2**3).", span)
        for token in tokens:
            if token.kind == "sign" and (token.text[0] in "%$@&|!~:?;" and token.text != "!="):
                self.refuse(
                    f"{token.text!r} cannot be computed in a formula: make a column of the data "
                    "that has the result.",
                    token.span,
                )

    # --- refusals -----------------------------------------------------------------------------

    def refuse_rest(self) -> NoReturn:
        token = self.token
        if token.kind == "sign" and token.text.startswith("%"):
            left, right = (self.tokens[self.place + k].text for k in (-1, 1))
            self.refuse(
                f"{token.text} is no sign of a formula. An interaction is written {left}:{right}; "
                "arithmetic, as a column of the data."
            )
        if token.text in ("|", "||"):
            self.refuse(
                "a random part stands in parentheses of its own, added with '+': '+ (x1 | id)'."
            )
        if token.text == "$":
            self.refuse("columns are named without their data frame: 'x1', not 'data$x1'.")
        if token.text in _COMPARISONS:
            self.refuse("a comparison stands in a call: I(x1 > 0).")
        if token.kind == "sign" and token.text in ")}]":
            self.refuse(f"{token.text!r} closes nothing.")
        self.refuse(f"{token.text!r} cannot follow here: terms are joined with '+', ':' or '*'.")

    def _refuse_comparison(self, first: Token) -> NoReturn:
        end = self.place + 2
        what = self.text[first.span.start : self.tokens[min(end, len(self.tokens)) - 1].span.end]
        self.refuse(f"a comparison stands in a call: I({what}).")

    def _refuse_primary(self, token: Token) -> NoReturn:
        if token.kind == "number":
            self.refuse(
                f"the number {token.text} is no term: only 0 and 1 are, without and with an "
                "intercept, added with '+'. Arithmetic stands in a call: I(2*x1).",
                token.span,
            )
        if token.text == ".":
            self.refuse("'.' for all other columns: name them.", token.span)
        if token.kind == "string":
            self.refuse(f"{token.text} is text: columns are named without quotes.", token.span)
        if token.kind == "end":
            self.refuse("the formula ends where a term is expected.")
        self.refuse(f"{token.text!r} stands where a term is expected.", token.span)


def _united(*sums: Iterable[frozenset[str]]) -> _Sum:
    return tuple(dict.fromkeys(term for each in sums for term in each))


def _interacted(left: _Sum, right: _Sum) -> _Sum:
    """Each with each; R takes an intercept among them for nothing."""
    if not left or not right:
        return left or right
    return _united(a | b for a, b in product(left, right))
