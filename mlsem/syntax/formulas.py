"""One relation of the text → formulas, a definition or a constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from mlsem.errors import Span
from mlsem.syntax.expressions import FUNCTIONS, checked_label, constant_of, expression_of, fail
from mlsem.syntax.modifiers import Factor, factors_of, merge, modifiers_of
from mlsem.syntax.mplus import section_advice
from mlsem.syntax.naming import CATEGORY_CALLS, categories_message, renaming
from mlsem.syntax.nodes import Constraint, Definition, Formula, Modifiers, Variable

if TYPE_CHECKING:
    from mlsem.syntax.items import Item, Relation

MOST = 400**2  # pairs of as many variables as a model may have
Remark = tuple[str, Span]
Operator = Literal["=~", "~", "~~", "~1"]

_REFUSED = {
    "|": "'|' (thresholds of ordered variables) is not supported: mlsem fits continuous data. "
    "A random intercept comes from 'level:' blocks, not from '(1 | id)'.",
    "~*~": "'~*~' (scaling of ordered variables) is not supported: mlsem fits continuous data.",
    "<~": "'<~' (composites) is not supported: write 'f =~ y1 + y2' for a latent variable, "
    "or 'y ~ x' for a regression.",
    "|~": "'|~' (instrumental variables) is not supported: mlsem fits by maximum likelihood.",
}
_MODIFIER_CALLS = ("start", "fixed", "label", "equal", "lower", "upper", "rv", "c", "efa")


def formulas_of(relation: Relation, remarks: list[Remark]) -> list[Formula]:
    """The formulas of `lhs op rhs`, the lists on both sides written out.

    A term that stands twice is one formula with the modifiers of both.
    """
    operator = relation.operator
    if operator in _REFUSED:
        raise fail(_REFUSED[operator], relation.operator_span)
    outcomes = [_outcome(item, operator) for item in _outcome_items(relation.left)]
    terms = _terms(relation.right)
    if len(outcomes) * len(terms) > MOST:
        raise fail(
            f"this writes out {len(outcomes)} × {len(terms)} paths, more than a model can have.",
            relation.operator_span,
        )
    by_key: dict[tuple[str, str, str], Formula] = {}
    for outcome in outcomes:
        for item, sign in terms:
            formula = _formula(outcome, operator, item, sign)
            key = formula_key(formula)
            if key in by_key:
                _remark_repeat(by_key[key], formula, remarks)
                formula = _merged(by_key[key], formula)
            by_key[key] = formula
    return list(by_key.values())


def formula_key(formula: Formula) -> tuple[str, str, str]:
    """What a formula says apart from its modifiers: `x ~~ y` is `y ~~ x`, `a:b` is `b:a`."""
    left, right = formula.lhs.name, _sorted_name(formula.rhs)
    if formula.op == "~~" and right < left:
        left, right = right, left
    return left, formula.op, right


def _sorted_name(variable: Variable | None) -> str:
    if variable is None:
        return ""
    return ":".join(sorted(variable.factors)) if variable.factors else variable.name


def _merged(first: Formula, second: Formula) -> Formula:
    modifiers = merge(first.modifiers, second.modifiers, second.span)
    return Formula(first.lhs, first.op, first.rhs, modifiers, first.span, first.phantom)


def _remark_repeat(first: Formula, second: Formula, remarks: list[Remark]) -> None:
    modifiers = (first.modifiers, second.modifiers)
    if first.op == "~1" and Modifiers() in modifiers and Modifiers(fixed=0.0) in modifiers:
        raise fail("this formula has both an intercept and none.", second.span)
    # `a + b ~~ a + b` is a short way to write all (co)variances of a list.
    is_mirror = first.op == "~~" and first.lhs.name != second.lhs.name
    if second.modifiers == Modifiers() and not is_mirror:
        what = "1" if second.rhs is None else second.rhs.name
        remarks.append((f"{what!r} stands twice in this formula; it counts once.", second.span))


# --- the left-hand side -----------------------------------------------------------------------


def _outcome_items(item: Item) -> tuple[Item, ...]:
    if item.kind == "sum" and "-" in item.words:
        raise fail("the variables on the left-hand side are joined with '+'.", item.span)
    return item.parts if item.kind == "sum" else (item,)


def _outcome(item: Item, operator: str) -> Variable:
    if item.kind == "name":
        return Variable(item.words[0], item.span)
    if item.kind == "product":
        raise fail(_product_left(item, operator), item.span)
    if item.kind == "term":
        first = item.parts[0]
        if first.kind == "call" and first.words[0] == "efa":
            modifiers_of([Factor((first,), "*")])
        message = "labels and values are written on the right-hand side of the formula, before '*'."
        raise fail(message, item.span)
    if item.kind == "string":
        raise fail("the name of a variable is written without quotes.", item.span)
    if item.kind == "call":
        raise fail(_function_message(item), item.span)
    raise fail(f"the left-hand side of {operator!r} is the name of a variable.", item.span)


def _product_left(item: Item, operator: str) -> str:
    word = item.words[0].lower()
    if word in ("level", "group"):
        return f"a '{word}:' header has a label and stands on a line of its own."
    if section_advice(item.words[0]):
        return section_advice(item.words[0])
    name = "_".join(item.words)
    return (
        f"a product cannot stand on the left-hand side of {operator!r}: "
        f"make a column {name!r} in the data."
    )


# --- the right-hand side ----------------------------------------------------------------------


def _terms(item: Item) -> list[tuple[Item, str]]:
    """The terms, each with the sign before it."""
    if item.kind != "sum":
        return [(item, "+")]
    return list(zip(item.parts, ("+", *item.words), strict=True))


def _formula(outcome: Variable, operator: str, item: Item, sign: str) -> Formula:
    *before, last = factors_of(item)
    constant = _plain_constant(last)
    if sign == "-":
        if before or constant != 1:
            raise fail(_minus_message(item), item.span)
        constant = -1.0
    if constant is not None:
        return _with_constant(outcome, operator, item, before, constant)
    variable = _variable(last, before)
    op = cast("Operator", operator)
    return Formula(outcome, op, variable, modifiers_of(before), item.span)


def _minus_message(item: Item) -> str:
    return "terms are joined with '+': write '+ -1*x' for a path fixed to -1."


def _plain_constant(factor: Factor) -> float | None:
    """The value of a number that stands where a variable should."""
    if len(factor.parts) != 1:
        return None
    item = factor.parts[0]
    if item.kind == "number" or (item.kind == "negation" and item.parts[0].kind == "number"):
        return constant_of(expression_of(item))
    return None


def _with_constant(
    outcome: Variable, operator: str, item: Item, before: list[Factor], constant: float
) -> Formula:
    """`y ~ 1`, `y ~ a*1`, `y ~ 0`, `y ~ -1`, `f =~ 0`; any other number is a mistake."""
    if operator == "=~" and constant == 0 and not before:
        return Formula(outcome, "=~", None, Modifiers(), item.span, phantom=True)
    if operator == "~" and constant == 1:
        return Formula(outcome, "~1", None, modifiers_of(before), item.span)
    if operator == "~" and constant in (0, -1) and not before:
        return Formula(outcome, "~1", None, Modifiers(fixed=0.0), item.span)
    if before:
        raise fail(_after_message(before, item, constant), item.span)
    raise fail(_number_message(outcome.name, operator, constant), item.span)


def _after_message(before: list[Factor], item: Item, constant: float) -> str:
    first = before[0].parts[0]
    if first.kind in ("name", "product"):
        written = ":".join(first.words)
        return f"the number stands before the variable: write '{constant:g}*{written}'."
    return f"'*' is followed by a variable (or by 1, the intercept), not by {constant:g}."


def _number_message(outcome: str, operator: str, constant: float) -> str:
    if operator == "~":
        return (
            f"{constant:g} is not a variable: write '{outcome} ~ {constant:g}*1' for an intercept "
            f"fixed to {constant:g}, or '{constant:g}*x' for a path fixed to it."
        )
    if operator == "~~":
        return (
            f"{constant:g} is not a variable: write '{outcome} ~~ {constant:g}*{outcome}' "
            f"for a variance fixed to {constant:g}."
        )
    return f"{constant:g} is not an indicator: write '{outcome} =~ {constant:g}*y'."


def _variable(factor: Factor, before: list[Factor]) -> Variable:
    if len(factor.parts) != 1:
        raise fail("variables cannot be divided: make the column in the data.", factor.span)
    item = factor.parts[0]
    if before and (item.kind == "string" or item.words == ("NA",)):
        raise fail("what is before '*' and what is after are in the wrong order.", factor.span)
    if item.kind == "name":
        return Variable(item.words[0], item.span)
    if item.kind == "product":
        return Variable(":".join(item.words), item.span, item.words)
    raise fail(_no_variable(item, bool(before)), item.span)


def _no_variable(item: Item, modified: bool) -> str:
    if item.kind == "call":
        return _function_message(item)
    if item.kind == "power":
        return _power_message(item)
    if item.kind == "group" and modified:
        return "write the label or value before each variable: 'a*x1 + a*x2', not 'a*(x1 + x2)'."
    if item.kind == "string":
        return "the name of a variable is written without quotes."
    if item.kind == "negation":
        return "terms are joined with '+': write '-1*x' for a path fixed to -1."
    return "a variable is written without parentheses."


def _power_message(item: Item) -> str:
    base = item.parts[0]
    square = f"; a square may be written '{base.words[0]}:{base.words[0]}'"
    return (
        "powers of variables are not computed in the model: make the column in the data"
        f"{square if base.kind == 'name' else ''}."
    )


def _function_message(item: Item) -> str:
    function = item.words[0]
    if function in _MODIFIER_CALLS:
        return f"{function}(…) stands before a variable: '{function}(…)*x'."
    arguments = [part.words[0] for part in item.parts if part.kind in ("name", "string")]
    if function in CATEGORY_CALLS and arguments:
        return categories_message(function, arguments[0])
    if function == "Q" and arguments:
        return f"Q(…) is not needed, but another name: {renaming(arguments[:1])}."
    computed = " (it can be used on labels, with ':=')" if function in FUNCTIONS else ""
    return (
        f"{function}() of a variable is not computed in the model{computed}: "
        "make the column in the data and name it here."
    )


# --- definitions and constraints --------------------------------------------------------------


def definition_of(relation: Relation, text: str) -> Definition:
    """`name := expression`."""
    left = relation.left
    if left.kind != "name":
        raise fail("':=' gives a name to a calculation: 'ab := a*b'.", left.span)
    name = checked_label(left.words[0], left.span)
    expression = expression_of(relation.right)
    return Definition(name, expression, _source(relation.right, text), relation.span)


def constraint_of(relation: Relation, text: str) -> Constraint:
    """`left == right`, `left < right`, `left > right`."""
    end = relation.operator_span.end
    if relation.operator == "<" and text[end : end + 1] == "-":
        raise fail(
            "'<-' is no operator: write 'y ~ x' for a regression, or 'a < -1', with a blank, "
            "for a bound.",
            Span(relation.operator_span.start, end + 1),
        )
    op = cast("Literal['==', '<', '>']", relation.operator)
    left, right = expression_of(relation.left), expression_of(relation.right)
    sources = _source(relation.left, text), _source(relation.right, text)
    return Constraint(left, op, right, *sources, relation.span)


def _source(item: Item, text: str) -> str:
    return "".join(text[item.span.start : item.span.end].split())
