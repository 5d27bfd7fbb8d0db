"""What stands before `*` and `?`: numbers, labels, `start(…)` and their like."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING

from mlsem.errors import Span, nearest
from mlsem.syntax.expressions import (
    FUNCTIONS,
    checked_label,
    constant_of,
    expression_of,
    fail,
)
from mlsem.syntax.naming import CATEGORY_CALLS, LABEL, categories_message
from mlsem.syntax.nodes import Modifiers

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsem.syntax.items import Item

_VALUES = {"fixed": "fixed", "start": "start", "lower": "lower", "upper": "upper"}
_NAMES = {"label": "label", "equal": "label", "rv": "slope"}
_MERGED = tuple(
    field.name for field in fields(Modifiers) if field.name not in ("label_span", "groups")
)
_PARAMETER = re.compile(r"[^~=<>*]+(?:=~|~~|~)[^~=<>*]+")
_LISTS = ("c", "list")
_KNOWN = (*_VALUES, *_NAMES, "c", *FUNCTIONS)
_REFUSED = {
    "efa": "efa() (exploratory factors) is not supported: write the loadings as 'f =~ y1 + y2'.",
    "prior": "prior() is not supported: mlsem fits by maximum likelihood.",
}


@dataclass(frozen=True, slots=True)
class Factor:
    """Parts of a term joined by `/` only, and what follows them (`*`, `?` or nothing)."""

    parts: tuple[Item, ...]
    follower: str

    @property
    def span(self) -> Span:
        """From the first part to the last."""
        return Span(self.parts[0].span.start, self.parts[-1].span.end)


def factors_of(item: Item) -> list[Factor]:
    """A term cut at its `*` and `?`: the modifiers, then the variable."""
    if item.kind != "term":
        return [Factor((item,), "")]
    factors: list[Factor] = []
    parts: list[Item] = []
    for part, operator in zip(item.parts, (*item.words, ""), strict=True):
        parts.append(part)
        if operator != "/":
            factors.append(Factor(tuple(parts), operator))
            parts = []
    return factors


def modifiers_of(factors: list[Factor]) -> Modifiers:
    """All modifiers of one term, merged; neighbouring constants multiply, as in R."""
    merged = Modifiers()
    position = 0
    while position < len(factors):
        start = factors[position].span.start
        constant = _constant(factors[position])
        while (
            constant is not None
            and factors[position].follower == "*"
            and position + 1 < len(factors)
            and (more := _constant(factors[position + 1])) is not None
        ):
            position += 1
            constant = _finite(constant * more, Span(start, factors[position].span.end))
        factor = factors[position]
        span = Span(start, factor.span.end)
        one = _single(factor) if constant is None else Modifiers(fixed=constant)
        if factor.follower == "?":
            one = _starting(one, span)
        merged = merge(merged, one, span)
        position += 1
    return merged


def merge(left: Modifiers, right: Modifiers, span: Span) -> Modifiers:
    """What both say; they may say the same, not different things."""
    if not left.groups and not right.groups:
        return _merge(left, right, span)
    counts = {len(side.groups) for side in (left, right) if side.groups}
    if len(counts) > 1:
        both = " and ".join(map(str, sorted(counts)))
        message = f"one term has c(…) with {both} elements: write one for each group in both."
        raise fail(message, span)
    (count,) = counts
    sides = [side.groups or (side,) * count for side in (left, right)]
    groups = tuple(_merge(one, other, span) for one, other in zip(*sides, strict=True))
    return replace(_merge(left, right, span), groups=groups)


def _merge(left: Modifiers, right: Modifiers, span: Span) -> Modifiers:
    """Of one group."""
    changes: dict[str, object] = {}
    for name in _MERGED:
        old, new = getattr(left, name), getattr(right, name)
        if new is None or new is False or old == new:
            continue
        if old is not None and old is not False:
            raise fail(_conflict(name, old, new), span)
        changes[name] = new
    if "label" in changes or "equal" in changes:
        changes["label_span"] = right.label_span
    merged = replace(left, **changes)  # pyright: ignore[reportArgumentType]
    if merged.label is not None and merged.equal is not None:
        raise fail("this has both a label and equal(): keep one.", span)
    if merged.free and merged.fixed is not None:
        raise fail(f"this is both free (NA) and fixed to {merged.fixed:g}.", span)
    return merged


def _conflict(name: str, old: object, new: object) -> str:
    if name == "label":
        return (
            f"one term has two labels, {old!r} and {new!r}. "
            "A product of variables is written with ':', not '*'."
        )
    what = {"fixed": "fixed values", "slope": "random slopes"}.get(name, f"{name} values")
    return f"one term has two {what}, {old} and {new}."


def _finite(value: float, span: Span) -> float:
    if not math.isfinite(value):
        raise fail("this has no finite value.", span)
    return value


def _constant(factor: Factor) -> float | None:
    """The value of a factor that is plain arithmetic over numbers."""
    if len(factor.parts) == 1 and not _is_arithmetic(factor.parts[0]):
        return None
    values: list[float] = []
    for part in factor.parts:
        value = constant_of(expression_of(part))
        if value is None:
            raise fail(
                "before '*' stands a number or a label, not a calculation with labels: "
                "give the term a label of its own and constrain it with '=='.",
                factor.span,
            )
        values.append(value)
    return _quotient(values, factor.span)


def _is_arithmetic(item: Item) -> bool:
    if item.kind == "group":
        return _is_arithmetic(item.parts[0]) or item.parts[0].kind in ("sum", "term")
    if item.kind == "call":
        return item.words[0] in FUNCTIONS
    return item.kind in ("number", "negation", "power", "sum")


def _quotient(values: list[float], span: Span) -> float:
    result = values[0]
    for value in values[1:]:
        if value == 0:
            raise fail("this divides by zero.", span)
        result = _finite(result / value, span)
    return result


def _single(factor: Factor) -> Modifiers:
    item = factor.parts[0]
    while item.kind == "group":
        item = item.parts[0]
    if item.kind == "string":
        return Modifiers(label=checked_label(item.words[0], item.span), label_span=item.span)
    if item.kind == "name":
        if item.words[0] == "NA":
            return Modifiers(free=True)
        return Modifiers(label=checked_label(item.words[0], item.span), label_span=item.span)
    if item.kind == "product":
        raise fail("a product of variables cannot stand before '*'.", item.span)
    return _called(item)


def _called(item: Item) -> Modifiers:
    function = item.words[0]
    if function in _REFUSED:
        raise fail(_REFUSED[function], item.span)
    if function in _LISTS:
        elements = _elements(item)
        return _per_group(elements, _plain, any(map(_is_label, elements)))
    if function in _VALUES or function in _NAMES:
        return _per_group(_argument(item), partial(_named, function), function != "fixed")
    names = [part.words[0] for part in item.parts if part.kind == "name"]
    if function in CATEGORY_CALLS and names:
        raise fail(categories_message(function, names[0]), item.span)
    known = "start, fixed, label, equal, lower, upper, rv and c"
    message = f"{function}() is no modifier: those are {known}.{nearest(function, _KNOWN)}"
    raise fail(message, item.span)


def _per_group(
    elements: tuple[Item, ...], read: Callable[[Item], Modifiers], silent: bool
) -> Modifiers:
    """One element holds for all groups; of several each for its group. `NA` says that the parameter
    is free, or, where it is `silent` (among labels, starting values, bounds), nothing."""
    if len(elements) == 1:
        return read(elements[0])
    return Modifiers(
        groups=tuple(Modifiers() if silent and _is_na(e) else read(e) for e in elements)
    )


def _is_na(item: Item) -> bool:
    return item.kind == "name" and item.words[0] == "NA"


def _is_label(item: Item) -> bool:
    return item.kind == "string" or (item.kind == "name" and not _is_na(item))


def _plain(element: Item) -> Modifiers:
    """One element of `c(…)`: a number, a label, NA."""
    return modifiers_of(factors_of(element))


def _named(function: str, argument: Item) -> Modifiers:
    """`start(…)` and its like with this argument, or this element of its `c(…)`."""
    if function == "fixed" and _is_na(argument):
        return Modifiers(free=True)
    if function not in _NAMES:
        return replace(Modifiers(), **{_VALUES[function]: _argument_value(function, argument)})
    if argument.kind not in ("string", "name"):
        raise fail(f'{function}() takes a name: {function}("a").', argument.span)
    if function == "rv" and argument.kind == "name":
        name = argument.words[0]
        message = f"the name of a random slope stands in quotes: 'rv(\"{name}\")*x'."
        raise fail(message, argument.span)
    if function == "equal" and not LABEL.fullmatch(argument.words[0]):
        return Modifiers(equal=_parameter(argument), label_span=argument.span)
    label = checked_label(argument.words[0], argument.span)
    if function == "rv":
        return Modifiers(slope=label)
    return Modifiers(label=label, label_span=argument.span)


def _parameter(argument: Item) -> str:
    """The name of a parameter as `fit.params` has it, such as `f=~y2` or, between, `f=~y2.l2`."""
    name = "".join(argument.words[0].split())
    if not _PARAMETER.fullmatch(name):
        raise fail(
            "equal() takes a label or the name of a parameter: 'f=~y2', 'y~x', 'y~~y', 'y~1'; at "
            "level 2 'f=~y2.l2'.",
            argument.span,
        )
    return name


def _argument_value(function: str, argument: Item) -> float:
    infinite = _infinity(argument)
    if infinite is not None and function in ("lower", "upper"):
        return infinite
    if argument.kind in ("string", "name"):
        raise fail(f"{function}() takes a number, not {argument.words[0]!r}.", argument.span)
    value = constant_of(expression_of(argument))
    if value is None:
        raise fail(f"{function}() takes a number, not a calculation with names.", argument.span)
    return value


def _infinity(item: Item) -> float | None:
    sign = 1.0
    while item.kind == "negation":
        item, sign = item.parts[0], -sign
    return sign * math.inf if item.kind == "name" and item.words[0] == "Inf" else None


def _elements(item: Item) -> tuple[Item, ...]:
    """Those of `c(…)`, also of one in another."""
    if not item.parts:
        raise fail(f"{item.words[0]}() is empty.", item.span)
    nested = [e for e in item.parts if e.kind == "call" and e.words[0] in _LISTS]
    if nested and len(item.parts) > 1:
        raise fail("c(…) stands in another one: write its elements, one for each group.", item.span)
    return _elements(nested[0]) if nested else item.parts


def _argument(item: Item) -> tuple[Item, ...]:
    """The argument of a modifier, or the elements where it is `c(…)`."""
    if len(item.parts) > 1:
        word = item.words[0]
        raise fail(
            f"{word}() takes one argument; for several groups write one element for each: "
            f"{word}(c(…)).",
            item.span,
        )
    return _elements(item)


def _starting(modifiers: Modifiers, span: Span) -> Modifiers:
    if modifiers.groups:
        return Modifiers(groups=tuple(_starting(each, span) for each in modifiers.groups))
    if modifiers.fixed is None:
        raise fail("before '?' stands a starting value, a number: '0.5?x'.", span)
    return Modifiers(start=modifiers.fixed)
