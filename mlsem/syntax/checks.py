"""What only the whole model shows: a variable on both sides, labels that are variables' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.errors import ModelSyntaxError, Span
from mlsem.syntax.expressions import fail
from mlsem.syntax.nodes import Binary, Call, Expression, Name, Negation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsem.syntax.formulas import Remark
    from mlsem.syntax.nodes import Block, Constraint, Definition, Formula, Variable

MAX_VARIABLES = 400
MAX_REMARKS = 20


def check_model(
    blocks: tuple[Block, ...],
    definitions: tuple[Definition, ...],
    constraints: tuple[Constraint, ...],
) -> list[Remark]:
    """Raise on what cannot be meant; return remarks on what probably is not.

    Raises
    ------
    ModelSyntaxError
        A variable explains or measures itself, a phantom has indicators, a name is defined
        twice, or there are more than `MAX_VARIABLES` variables.
    """
    variables = _first_spans(blocks)
    if len(variables) > MAX_VARIABLES:
        message = f"the model has {len(variables)} variables; mlsem takes {MAX_VARIABLES} at most."
        raise fail(message, list(variables.values())[MAX_VARIABLES])
    for block in blocks:
        shared = (
            b for b in blocks if b.group is None and b.level == block.level and b is not block
        )
        _check_phantoms((*block.formulas, *(f for b in shared for f in b.formulas)))
        for formula in block.formulas:
            _check_self(formula)
    labels = {
        each.label for block in blocks for f in block.formulas for each in f.modifiers.each
    } - {None}
    _check_definitions(definitions, labels)
    return list(_label_remarks(blocks, variables, _used_names(definitions, constraints)))


def _first_spans(blocks: tuple[Block, ...]) -> dict[str, Span]:
    """Every variable with the place of its first mention."""
    first: dict[str, Span] = {}
    for block in blocks:
        for formula in block.formulas:
            for variable in filter(None, (formula.lhs, formula.rhs)):
                for name in variable.factors or (variable.name,):
                    first.setdefault(name, variable.span)
            for modifiers in formula.modifiers.each:
                if modifiers.slope:
                    first.setdefault(modifiers.slope, formula.span)
    return first


def _check_self(formula: Formula) -> None:
    left, right = formula.lhs.name, formula.rhs
    if right is None or formula.op == "~~" or left not in (right.factors or (right.name,)):
        return
    if formula.op == "=~":
        raise fail(f"{left!r} cannot measure itself.", formula.span)
    raise fail(
        f"{left!r} cannot be regressed on itself (its variance is written '{left} ~~ {left}').",
        formula.span,
    )


def _check_phantoms(formulas: tuple[Formula, ...]) -> None:
    phantoms = {formula.lhs.name: formula for formula in formulas if formula.phantom}
    for formula in formulas:
        if formula.op == "=~" and not formula.phantom and formula.lhs.name in phantoms:
            name = formula.lhs.name
            message = f"'{name} =~ 0' says that {name!r} has no indicators, but it has some."
            raise fail(message, phantoms[name].span)


def _check_definitions(definitions: tuple[Definition, ...], labels: set[str | None]) -> None:
    seen: set[str] = set()
    for definition in definitions:
        name, span = definition.name, definition.span
        if name in seen:
            raise fail(f"{name!r} is defined twice.", span)
        if name in labels:
            raise fail(
                f"{name!r} is already the label of a parameter: choose another name, "
                "or write '==' to constrain the parameter.",
                span,
            )
        seen.add(name)


def _label_remarks(
    blocks: tuple[Block, ...], variables: dict[str, Span], used: set[str]
) -> Iterator[Remark]:
    """`y ~ w*x` where w is a variable: most who write it want the product."""
    for block in blocks:
        for formula in block.formulas:
            for modifiers in formula.modifiers.each:
                label, span = modifiers.label, modifiers.label_span
                if label is not None and span is not None and label in variables.keys() - used:
                    yield _label_message(label, formula.rhs), span


def _label_message(label: str, variable: Variable | None) -> str:
    if variable is None:
        return f"{label!r} is a label here, but also the name of a variable in this model."
    return (
        f"{label!r} is the label of the parameter of {variable.name!r} here, but also the name "
        f"of a variable in this model: did you mean {label}:{variable.name}, their product?"
    )


def _used_names(
    definitions: tuple[Definition, ...], constraints: tuple[Constraint, ...]
) -> set[str]:
    """The labels that some calculation uses, so that they are surely meant as labels."""
    used: set[str] = set()
    for definition in definitions:
        used.update(_names(definition.expression))
    for constraint in constraints:
        used.update(_names(constraint.left))
        used.update(_names(constraint.right))
    return used


def _names(expression: Expression) -> Iterator[str]:
    if isinstance(expression, Name):
        yield expression.name
    elif isinstance(expression, Negation):
        yield from _names(expression.operand)
    elif isinstance(expression, Call):
        yield from _names(expression.argument)
    elif isinstance(expression, Binary):
        yield from _names(expression.left)
        yield from _names(expression.right)


def shown_remarks(remarks: list[Remark], text: str) -> tuple[str, ...]:
    """The remarks in the order of the text, each with its line, column and caret.

    After `MAX_REMARKS` the rest is counted only: each repeats its line of the text.
    """
    ordered = sorted(remarks, key=lambda remark: remark[1].start)
    first = [str(ModelSyntaxError(said, text, span)) for said, span in ordered[:MAX_REMARKS]]
    left = len(ordered) - len(first)
    return (*first, f"and {left} more remarks.") if left else tuple(first)
