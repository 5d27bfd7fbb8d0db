"""An R script → statements and comments, by tree-sitter's grammar of R. Nothing is run."""

from __future__ import annotations

import re
from math import isinf
from typing import TYPE_CHECKING, Any

from mlsem.errors import InterfaceError, ModelSyntaxError
from mlsem.porting.r.nodes import (
    Argument,
    Arguments,
    Assign,
    Binary,
    Call,
    Comment,
    Constant,
    Field,
    Function,
    Index,
    Name,
    Node,
    Number,
    Other,
    Statement,
    Text,
    Unary,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEEPEST = 80
CONSTANTS = {"true": "TRUE", "false": "FALSE", "null": "NULL", "na": "NA", "inf": "Inf"}
CONSTANTS |= {"nan": "NaN"}
TO_THE_LEFT, TO_THE_RIGHT = {"<-", "=", "<<-", ":="}, {"->", "->>"}
PIPES = {"|>", "%>%"}
_STATEMENTS = {
    "for_statement": "a loop",
    "while_statement": "a loop",
    "repeat_statement": "a loop",
    "if_statement": "a condition",
    "function_definition": "a function",
    "braced_expression": "a block in braces",
    "ERROR": "R that cannot be read (a quote or a bracket that is not closed?)",
}

_FRAGMENTS = ("argument", "arguments", "comma", "parameter", "parameters")
"""What stands alone only where the rest cannot be read."""


def read_script(text: str) -> list[Statement | Comment]:
    """The statements and comments of an R script, in order.

    Raises
    ------
    ModelSyntaxError
        The text has a NUL in it.
    InterfaceError
        tree-sitter, or its grammar of R, is not installed.
    """
    if "\0" in text:
        raise ModelSyntaxError("this is not the text of an R script: it has a NUL character in it.")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    root = _parser().parse(text.encode("utf-8", "replace")).root_node
    return list(_items(root, text.split("\n")))


def _parser() -> Any:
    try:
        from tree_sitter import Language, Parser
    except ImportError:
        raise _missing() from None
    try:
        import tree_sitter_r  # pyright: ignore[reportMissingImports]

        return Parser(Language(tree_sitter_r.language()))
    except ImportError:
        pass
    try:
        from tree_sitter_language_pack import get_language
    except ImportError:
        raise _missing() from None
    return Parser(get_language("r"))


def _missing() -> InterfaceError:
    return InterfaceError(
        "R scripts are read by tree-sitter, with its grammar of R, which are not installed: "
        'pip install tree-sitter "tree-sitter-language-pack<1"'
    )


# --- statements and comments --------------------------------------------------------------------


def _items(root: Any, lines: list[str]) -> Iterator[Statement | Comment]:
    end = -1  # the line on which the item before ends
    broken: list[Any] = []  # pieces that are no statements, of one place
    children = list(root.children)
    for child, after in zip(children, [*children[1:], None], strict=False):
        if child.type == ";":
            continue
        # a statement is on lines of its own, else it is the beginning of what cannot be read
        cut = after is not None and _is_broken(after) and _on_one_line(child, after)
        if child.type != "comment" and (_is_broken(child) or cut):
            broken.append(child)
            continue
        if broken:
            yield _broken(broken, end, lines)
            end, broken = broken[-1].end_point.row, []
        first = child.start_point.row
        gap = end >= 0 and first > end + 1
        if child.type == "comment":
            yield Comment(_text(child)[1:], first == end, gap)
        else:
            inner = list(_inner_comments(child, gap))
            yield from inner
            yield Statement(_node(child, 0), gap and not inner)
        end = child.end_point.row
    if broken:
        yield _broken(broken, end, lines)


def _is_broken(child: Any) -> bool:
    if child.type in ("comment", ";"):
        return False
    return child.has_error or not child.is_named or child.type in _FRAGMENTS


def _on_one_line(child: Any, after: Any) -> bool:
    return child.end_point.row == after.start_point.row


def _broken(pieces: list[Any], end: int, lines: list[str]) -> Statement:
    first, last = pieces[0].start_point.row, pieces[-1].end_point.row
    source = "\n".join(lines[first : last + 1]).rstrip()
    return Statement(Other(source, _STATEMENTS["ERROR"]), end >= 0 and first > end + 1)


def _inner_comments(child: Any, gap: bool) -> Iterator[Comment]:
    """Comments inside a call, which come before it."""
    if child.type in _STATEMENTS:
        return  # they stay with the text that is quoted
    waiting = list(reversed(child.children))
    while waiting:
        one = waiting.pop()
        if one.type == "comment":
            yield Comment(_text(one)[1:], False, gap)
            gap = False
        elif one.type not in _STATEMENTS:
            waiting += reversed(one.children)


# --- expressions --------------------------------------------------------------------------------


def _text(node: Any) -> str:
    return node.text.decode("utf-8", "replace")


def _node(node: Any, depth: int) -> Node:
    source = _text(node)
    if depth > DEEPEST:
        return Other(source, "an expression that is nested too deeply")
    if node.type in CONSTANTS:
        return Constant(source, CONSTANTS[node.type])
    if node.type in _STATEMENTS and node.type != "function_definition":
        return Other(source, _STATEMENTS[node.type])
    read = _READERS.get(node.type)
    return Other(source, "R that is not known here") if read is None else read(node, source, depth)


def _inside(node: Any) -> list[Any]:
    return [child for child in node.children if child.type != "comment"]


def _identifier(node: Any, source: str, _: int) -> Node:
    if source in ("T", "F"):
        return Constant(source, "TRUE" if source == "T" else "FALSE")
    return Name(source, unquoted(source))


def unquoted(name: str) -> str:
    return name[1:-1].replace("\\`", "`") if name[:1] == "`" and len(name) > 1 else name


def _number(_: Any, source: str, __: int) -> Node:
    literal = source.rstrip("L")
    try:
        value = float.fromhex(literal) if literal.lower().startswith("0x") else float(literal)
    except ValueError:
        return Other(source, "a number that is not known here")
    if isinf(value):
        return Constant(source, "Inf")
    if source.endswith("L") or literal.lower().startswith("0x"):
        return Number(source, str(int(value)))
    return Number(source, literal)


def _string(_: Any, source: str, __: int) -> Node:
    return Text(source, string_value(source))


def _parenthesized(node: Any, source: str, depth: int) -> Node:
    inner = [child for child in _inside(node) if child.is_named]
    return _node(inner[0], depth + 1) if len(inner) == 1 else Other(source, "a parenthesis")


def _binary(node: Any, source: str, depth: int) -> Node:
    parts = _inside(node)
    if len(parts) != 3:
        return Other(source, "an operation that is not complete")
    operator = _text(parts[1])
    left, right = _node(parts[0], depth + 1), _node(parts[2], depth + 1)
    if operator in TO_THE_LEFT:
        return Assign(source, left, right)
    if operator in TO_THE_RIGHT:
        return Assign(source, right, left)
    if operator in PIPES:
        return _piped(source, left, right)
    return Binary(source, operator, left, right)


def _piped(source: str, left: Node, right: Node) -> Node:
    """``x |> f(y)`` is ``f(x, y)``; a ``.`` or ``_`` among the arguments is where x goes."""
    if isinstance(right, Name):
        return Call(source, right.name, "", (Argument(None, left),))
    if not isinstance(right, Call):
        return Other(source, "a pipe into something that is no call")
    marked = any(_is_place(each) for each in right.arguments)
    if marked:
        arguments = tuple(
            Argument(each.name, left) if _is_place(each) else each for each in right.arguments
        )
    else:
        arguments = (Argument(None, left), *right.arguments)
    return Call(source, right.function, right.package, arguments)


def _is_place(argument: Argument) -> bool:
    return isinstance(argument.value, Name) and argument.value.name in (".", "_")


def _unary(node: Any, source: str, depth: int) -> Node:
    parts = _inside(node)
    return Unary(source, _text(parts[0]), _node(parts[1], depth + 1))


def _call(node: Any, source: str, depth: int) -> Node:
    function, arguments = node.child_by_field_name("function"), _arguments(node, depth)
    if arguments is None:
        return Other(source, "a call that is not complete")
    if function.type == "identifier":
        return Call(source, unquoted(_text(function)), "", arguments)
    if function.type == "namespace_operator":
        parts = _inside(function)
        return Call(source, unquoted(_text(parts[-1])), _text(parts[0]), arguments)
    return Other(source, "a call of a function that has no name")


def _arguments(node: Any, depth: int) -> Arguments | None:
    brackets = node.child_by_field_name("arguments")
    if brackets is None:
        return None
    found: list[Argument] = []
    awaited = True  # whether an argument may follow
    for child in _inside(brackets)[1:-1]:
        if child.type == "comma":
            if awaited:
                found.append(Argument(None, None))
            awaited = True
        else:
            found.append(_argument(child, depth))
            awaited = False
    if awaited and found:
        found.append(Argument(None, None))
    return tuple(found)


def _argument(node: Any, depth: int) -> Argument:
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    said = None if name is None else _text(name)
    if said is not None and said[:1] in "'\"":
        said = string_value(said)
    return Argument(
        None if said is None else unquoted(said),
        None if value is None else _node(value, depth + 1),
    )


def _subset(node: Any, source: str, depth: int) -> Node:
    of, arguments = node.child_by_field_name("function"), _arguments(node, depth)
    if arguments is None or of is None:
        return Other(source, "an index that is not complete")
    return Index(source, _node(of, depth + 1), arguments, node.type == "subset2")


def _extract(node: Any, source: str, depth: int) -> Node:
    parts = _inside(node)
    if len(parts) != 3 or _text(parts[1]) != "$":
        return Other(source, "a slot of an object")
    name = _text(parts[2])
    name = string_value(name) if name[:1] in "'\"" else unquoted(name)
    return Field(source, _node(parts[0], depth + 1), name)


def _namespace(node: Any, source: str, _: int) -> Node:
    return Name(source, unquoted(_text(_inside(node)[-1])))


def _function(node: Any, source: str, depth: int) -> Node:
    parameters, body = node.child_by_field_name("parameters"), node.child_by_field_name("body")
    if parameters is None or body is None:
        return Other(source, "a function")
    names = tuple(_text(each) for each in parameters.children if each.type == "parameter")
    return Function(source, names, _node(body, depth + 1))


_READERS: dict[str, Callable[[Any, str, int], Node]] = {
    "identifier": _identifier,
    "float": _number,
    "integer": _number,
    "string": _string,
    "parenthesized_expression": _parenthesized,
    "binary_operator": _binary,
    "unary_operator": _unary,
    "call": _call,
    "subset": _subset,
    "subset2": _subset,
    "extract_operator": _extract,
    "namespace_operator": _namespace,
    "function_definition": _function,
}


# --- strings ------------------------------------------------------------------------------------

_RAW = re.compile(r"""[rR](["'])(-*)[(\[{](.*)[)\]}]\2\1""", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u\{?([0-9a-fA-F]{1,4})\}?|U\{?([0-9a-fA-F]{1,8})\}?|([0-7]{1,3})|(.))",
    re.DOTALL,
)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def string_value(source: str) -> str:
    """What a string literal of R stands for."""
    raw = _RAW.fullmatch(source)
    return raw[3] if raw is not None else _ESCAPE.sub(_character, source[1:-1])


def _character(escape: re.Match[str]) -> str:
    hexadecimal = escape[1] or escape[2] or escape[3]
    if hexadecimal or escape[4]:
        code = int(hexadecimal, 16) if hexadecimal else int(escape[4], 8)
        surrogate = 0xD800 <= code <= 0xDFFF
        return "\ufffd" if surrogate or code > 0x10FFFF else chr(code)
    return _LETTERS.get(escape[5], escape[5])
