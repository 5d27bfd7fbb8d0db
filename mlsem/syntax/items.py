"""What the grammar's rules build: arithmetic whose terms have no meaning yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from mlsem.errors import Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Token(Protocol):
        """A word of the text, as lark gives it: a `str` with its type and place."""

        type: str
        start_pos: int
        end_pos: int


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of arithmetic.

    Attributes
    ----------
    kind : str
        The grammar's rule.
    words : tuple of str
        The number, the name, the string without its quotes, the factors of a product, the
        function of a call; for `sum` and `term` the operators between the parts.
    parts : tuple of Item
        The operands or arguments. A sum or term with one part is that part itself.
    depth : int
        How deep the nodes made of it nest (a sum of n terms nests n deep).
    """

    kind: Literal[
        "number", "name", "string", "product", "call", "group", "negation", "power", "term", "sum"
    ]
    span: Span
    words: tuple[str, ...] = ()
    parts: tuple[Item, ...] = ()
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Relation:
    """`left operator right`."""

    left: Item
    operator: str
    operator_span: Span
    right: Item

    @property
    def span(self) -> Span:
        """From the first character of the statement to its last."""
        return Span(self.left.span.start, self.right.span.end)


@dataclass(frozen=True, slots=True)
class Header:
    """`level: 1`: the word before the colon and the label after it."""

    word: str
    label: str
    span: Span


class Builder:
    """The callbacks of the grammar's rules, called by the parser from the leaves up."""

    def start(self, children: list[Relation | Header]) -> list[Relation | Header]:
        return children

    def relation(self, children: list[Item | Token]) -> Relation:
        left, operator, right = children
        return Relation(cast("Item", left), str(operator), _span(operator), cast("Item", right))

    def header(self, children: list[Token]) -> Header:
        word, _, *sign, label = children
        return Header(str(word), "-" * len(sign) + _plain_label(label), _over(children))

    def number(self, children: list[Token]) -> Item:
        return Item("number", _over(children), (str(children[0]),))

    def name(self, children: list[Token]) -> Item:
        return Item("name", _over(children), (str(children[0]),))

    def string(self, children: list[Token]) -> Item:
        return Item("string", _over(children), (str(children[0])[1:-1],))

    def product(self, children: list[Token]) -> Item:
        return Item("product", _over(children), tuple(str(child) for child in children[::2]))

    def call(self, children: list[Item | Token]) -> Item:
        return _branch("call", children, (str(children[0]),))

    def group(self, children: list[Item | Token]) -> Item:
        return _branch("group", children)

    def negation(self, children: list[Item | Token]) -> Item:
        return _branch("negation", children)

    def power(self, children: list[Item | Token]) -> Item:
        return _branch("power", children)

    def term(self, children: list[Item | Token]) -> Item:
        return _chain("term", children)

    def sum(self, children: list[Item | Token]) -> Item:
        if not isinstance(children[0], Item):  # a leading plus says nothing
            children = children[1:]
        return _chain("sum", children)


def _plain_label(label: Token) -> str:
    """Without quotes; `1.0` is 1, for the label is a part of names."""
    if label.type == "NUMBER" and float(str(label)).is_integer():
        return str(int(float(str(label))))
    return str(label).strip("\"'")


def _branch(
    kind: Literal["call", "group", "negation", "power"],
    children: list[Item | Token],
    words: tuple[str, ...] = (),
) -> Item:
    parts = tuple(_items(children))
    depth = 1 + max((part.depth for part in parts), default=0)
    return Item(kind, _over(children), words, parts, depth)


def _chain(kind: Literal["term", "sum"], children: list[Item | Token]) -> Item:
    if len(children) == 1:
        return cast("Item", children[0])
    parts = tuple(_items(children))
    operators = tuple(str(child) for child in children[1::2])
    depth = len(operators) + max(part.depth for part in parts)
    return Item(kind, _over(children), operators, parts, depth)


def _items(children: list[Item | Token]) -> Iterator[Item]:
    return (child for child in children if isinstance(child, Item))


def _span(child: Item | Token) -> Span:
    return child.span if isinstance(child, Item) else Span(child.start_pos, child.end_pos)


def _over(children: list[Item | Token] | list[Token]) -> Span:
    return Span(_span(children[0]).start, _span(children[-1]).end)
