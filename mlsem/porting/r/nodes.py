"""R's expressions, as far as a translation looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Node:
    """An expression, with its text in the script."""

    source: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number; `literal` is Python's."""

    literal: str


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """TRUE, FALSE, NULL, NA, Inf, NaN."""

    name: str


@dataclass(frozen=True, slots=True)
class Argument:
    """`name = value`; both may be missing, as in ``d[1, ]``."""

    name: str | None
    value: Node | None


Arguments: TypeAlias = "tuple[Argument, ...]"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of a function by its name; `package` of ``package::name``."""

    function: str
    package: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Index(Node):
    """``of[…]``, or ``of[[…]]`` if `double`."""

    of: Node
    arguments: Arguments
    double: bool


@dataclass(frozen=True, slots=True)
class Field(Node):
    """``of$name``."""

    of: Node
    name: str


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Function(Node):
    """A function of one parameter, as ``function(x) mean(x)``."""

    parameters: tuple[str, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Assign(Node):
    target: Node
    value: Node


@dataclass(frozen=True, slots=True)
class Other(Node):
    """What has no translation, and what it is."""

    what: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment of the script without its mark; `trailing` one stands behind a statement."""

    text: str
    trailing: bool
    gap: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement; `gap` says that an empty line stands before it."""

    node: Node
    gap: bool


def walk(node: Node) -> list[Node]:
    """The node and all that it holds."""
    found, waiting = [], [node]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children(one)
    return found


def children(node: Node) -> list[Node]:
    match node:
        case Call(arguments=arguments):
            return [each.value for each in arguments if each.value is not None]
        case Index(of=of, arguments=arguments):
            return [of, *(each.value for each in arguments if each.value is not None)]
        case Field(of=of):
            return [of]
        case Binary(left=left, right=right):
            return [left, right]
        case Unary(operand=operand):
            return [operand]
        case Assign(target=target, value=value):
            return [target, value]
        case Function(body=body):
            return [body]
        case _:
            return []
