"""R's expressions, as formulas of mixed models have them: text → a tree that only says what stands
there. Nothing is looked up or computed here.

The precedence is R's, from the loosest: `|`, `&`, `!`, comparisons, `+ -`, `* /`, `%any%`, `:`,
the signs before a term, `^`, calls. Python's `**`, `True`, `False` and `None` mean R's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mlsem.errors import Span, SpecificationError

DEEPEST = 60
"""How many calls and parentheses may stand within each other."""

LONGEST = 200
"""How many operators may follow each other in one term."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, text, `TRUE`, `FALSE`, `NULL` (None) or `NA` (not a number)."""

    value: float | str | bool | None
    span: Span


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """A function, or an operator (then `function` is its sign; `(` for parentheses)."""

    function: str
    arguments: tuple[Expression, ...]
    names: tuple[str | None, ...]
    span: Span
    kind: Literal["call", "prefix", "infix", "group"] = "call"


Expression: TypeAlias = Constant | Symbol | Call

# --- tokens -----------------------------------------------------------------------------------

Kind = Literal["number", "text", "name", "sign", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    span: Span


_TOKEN = re.compile(
    r"""(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?(?![\w.]))
    | (?P<text>"[^"]*"|'[^']*')
    | (?P<name>`[^`]+`|(?:[^\W\d]|\.(?!\d))[\w.]*)
    | (?P<sign>%[^%\n]*%|\*\*|<-|<=|>=|==|!=|&&|\|\||//|[-+*/^:<>!&|~(),=$@\[\]{}?%])
    """,
    re.VERBOSE,
)


def tokens_of(text: str) -> list[Token]:
    """The words of a formula, the last one its end.

    Raises
    ------
    SpecificationError
        A character that no formula has.
    """
    tokens: list[Token] = []
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            raise _unread(text, place)
        kind: Kind = match.lastgroup  # type: ignore[assignment]
        tokens.append(Token(kind, match[0], Span(*match.span())))
        place = match.end()
    tokens.append(Token("end", "", Span(len(text), len(text))))
    return tokens


def _unread(text: str, place: int) -> SpecificationError:
    sign, span = text[place], Span(place, place + 1)
    if sign in "'\"`":
        return SpecificationError(f"the {sign} is not closed.", text, span)
    if sign.isdigit() or sign == ".":
        message = "a name that begins with a digit stands in backticks: `2nd wave`."
        return SpecificationError(message, text, span)
    return SpecificationError(f"{sign!r} has no meaning in a formula.", text, span)


# --- the tree ---------------------------------------------------------------------------------

COMPARISONS = ("<", ">", "<=", ">=", "==", "!=")
_INFIX = {"|": 2, "||": 2, "&": 3, "&&": 3} | dict.fromkeys(COMPARISONS, 5)
_INFIX |= {"+": 6, "-": 6, "*": 7, "/": 7, ":": 9, "^": 12, "**": 12}
_SPECIAL = 8  # %in%, %%
_PREFIX = {"!": 4, "-": 10, "+": 10}
SUM = 6

_CONSTANTS = {
    **dict.fromkeys(("TRUE", "True"), True),
    **dict.fromkeys(("FALSE", "False"), False),
    **dict.fromkeys(("NULL", "None"), None),
    **dict.fromkeys(("NA", "NaN", "NA_real_", "NA_integer_"), float("nan")),
    "Inf": float("inf"),
}
_NO_SIGNS = {
    "[": "levels and rows cannot be picked in a formula: make a column for it.",
    "$": "columns are named without their data frame: 'x1', not 'data$x1'.",
    "@": "'@' has no meaning in a formula: name the column.",
    "<-": "'<-' assigns in R: put a blank between '<' and '-', as in I(x1 < -1).",
    "//": "'//' is written %/% in R: I(x1 %/% 2).",
    "%": "'%' is written %% in R: I(x1 %% 2).",
}


class Parser:
    """Reads expressions from a formula, one after another."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.place = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self, *signs: str) -> Token | None:
        """The next token if it is one of these signs."""
        token = self.next
        if token.kind == "sign" and token.text in signs:
            self.place += 1
            return token
        return None

    def expression(self, loosest: int = 0) -> Expression:
        """An expression whose operators bind tighter than `loosest`."""
        left = self._prefixed()
        for _ in range(LONGEST):
            token = self.next
            power = self._power(token)
            if power <= loosest:
                return left
            self.place += 1
            sign = "^" if token.text == "**" else token.text
            right = self._within(11 if sign == "^" else power)  # 2^-1, and from the right
            if sign in COMPARISONS and _is_comparison(left):
                raise self._chained(left, sign, right)
            left = _operation(sign, left, right)
        raise self.error(f"a term of more than {LONGEST} operators: make columns.", left.span)

    def _power(self, token: Token) -> int:
        if token.kind != "sign":
            return 0
        if token.text in _NO_SIGNS:
            raise self.error(_NO_SIGNS[token.text], token.span)
        return _SPECIAL if token.text.startswith("%") else _INFIX.get(token.text, 0)

    def _within(self, loosest: int) -> Expression:
        self.depth += 1
        if self.depth > DEEPEST:
            message = "too many calls and parentheses within each other: make columns of the data."
            raise self.error(message, self.next.span)
        expression = self.expression(loosest)
        self.depth -= 1
        return expression

    def _prefixed(self) -> Expression:
        token = self.next
        if token.kind == "sign" and token.text in _PREFIX:
            self.place += 1
            operand = self._within(_PREFIX[token.text])
            span = Span(token.span.start, operand.span.end)
            return Call(token.text, (operand,), (None,), span, "prefix")
        return self._called(self._atom())

    def _called(self, function: Expression) -> Expression:
        while (opened := self.take("(")) is not None:
            if not isinstance(function, Symbol):
                raise self.error("what is called is the name of a function: log(x1).", opened.span)
            arguments, names = self._arguments()
            end = self.tokens[self.place - 1].span.end
            function = Call(function.name, arguments, names, Span(function.span.start, end))
        return function

    def _arguments(self) -> tuple[tuple[Expression, ...], tuple[str | None, ...]]:
        arguments: list[Expression] = []
        names: list[str | None] = []
        while self.take(")") is None:
            name = None
            if self.next.kind == "name" and self.tokens[self.place + 1].text == "=":
                name = self.next.text.strip("`")
                self.place += 2
            arguments.append(self._within(0))
            names.append(name)
            if self.take(",") is None and self.next.text != ")":
                raise self.misplaced()
        return tuple(arguments), tuple(names)

    def _atom(self) -> Expression:
        token = self.next
        self.place += token.kind != "end"
        if token.kind == "number":
            return Constant(float(token.text.removesuffix("L")), token.span)
        if token.kind == "text":
            return Constant(token.text[1:-1], token.span)
        if token.kind == "name":
            if token.text in _CONSTANTS:
                return Constant(_CONSTANTS[token.text], token.span)
            return Symbol(token.text.strip("`"), token.span)
        if token.text == "(":
            inner = self._within(0)
            closed = self.take(")")
            if closed is None:
                raise self.misplaced()
            span = Span(token.span.start, closed.span.end)
            return Call("(", (inner,), (None,), span, "group")
        self.place -= token.kind != "end"
        raise self.misplaced()

    def misplaced(self) -> SpecificationError:
        """The next token cannot stand where it does."""
        token, before = self.next, self.tokens[self.place - 1] if self.place else None
        if token.text in _NO_SIGNS:
            return self.error(_NO_SIGNS[token.text], token.span)
        if before is not None and before.text in ("|", "||"):
            message = "what follows '|' is the column of the clusters: '(x1 | id)'."
            return self.error(message, before.span)
        if token.kind == "end":
            what = "a parenthesis is not closed, or something is missing at its end"
            return self.error(f"the formula cannot be read: {what}.", before and before.span)
        after = "begin it" if before is None else f"follow after {before.text!r}"
        message = f"the formula cannot be read: {token.text!r} cannot {after}."
        if token.text in ("and", "or", "not", "in"):
            message += " R writes & for and, | for or, ! for not, %in% for in."
        return self.error(message, token.span)

    def error(self, message: str, span: Span | None) -> SpecificationError:
        return SpecificationError(message, self.text, span)

    def _chained(self, left: Expression, sign: str, right: Expression) -> SpecificationError:
        assert isinstance(left, Call)
        both = f"{deparse(left)} & {deparse(left.arguments[1])} {sign} {deparse(right)}"
        return self.error(
            f"comparisons cannot be chained (nor in R): write both, I({both}).",
            Span(left.span.start, right.span.end),
        )


def _is_comparison(expression: Expression) -> bool:
    return (
        isinstance(expression, Call)
        and expression.kind == "infix"
        and expression.function in COMPARISONS
    )


def _operation(sign: str, left: Expression, right: Expression) -> Call:
    span = Span(left.span.start, right.span.end)
    return Call(sign, (left, right), (None, None), span, "infix")


def symbols(expression: Expression) -> list[str]:
    """Names that stand for columns, in the order of their first appearance."""
    if isinstance(expression, Symbol):
        return [expression.name]
    if isinstance(expression, Constant):
        return []
    return list(dict.fromkeys(name for part in expression.arguments for name in symbols(part)))


# --- text of the tree, as R writes it -----------------------------------------------------------

_TIGHT = ("^", ":", "/", "%%", "%/%")


def deparse(expression: Expression) -> str:
    """The expression as R writes it: the name of its column."""
    if isinstance(expression, Symbol):
        return expression.name
    if isinstance(expression, Constant):
        return _constant(expression.value)
    parts = [deparse(part) for part in expression.arguments]
    if expression.kind == "group":
        return f"({parts[0]})"
    if expression.kind == "prefix":
        return f"{expression.function}{parts[0]}"
    if expression.kind == "infix":
        blank = "" if expression.function in _TIGHT else " "
        return f"{blank}{expression.function}{blank}".join(parts)
    named = zip(expression.names, parts, strict=True)
    inner = ", ".join(part if name is None else f"{name} = {part}" for name, part in named)
    return f"{expression.function}({inner})"


def _constant(value: float | str | bool | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return f'"{value}"'
    return number_text(value)


def number_text(value: float) -> str:
    """A number with up to 15 digits, in R's choice between 100000 and 1e+05: the shorter one."""
    if value != value:
        return "NA"
    if value in (float("inf"), float("-inf")):
        return "Inf" if value > 0 else "-Inf"
    digits = next(n for n in range(15) if float(f"{value:.{n}e}") == float(f"{value:.14e}"))
    short = f"{value:.{digits}e}"
    exponent = int(short.partition("e")[2])
    plain = f"{value:.{max(0, digits - exponent)}f}"
    return plain if len(plain) <= len(short) else short
