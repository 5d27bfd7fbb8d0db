"""The model of each of several groups: blocks by the group's name, `c(…)` by its number.

A block `group: a` is that of the group whose label in the data reads `a`: as a text, as a number
("1" is 1 and 1.0), as a truth value ("TRUE" is True), as a date. Groups are numbered in the order
of the blocks; without blocks, and after them, in the order in which they are given. The elements of
`c(…)` are those of the groups in that order.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from mlsem.errors import SpecificationError, listed, nearest
from mlsem.syntax.nodes import Block

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from mlsem.syntax.nodes import Formula, GroupHeader, ModelSyntax, Modifiers

Labels = tuple["Hashable", ...]


def numbered(syntax: ModelSyntax, labels: Sequence[Hashable]) -> Labels:
    """The labels of the groups in the order of their numbers.

    Parameters
    ----------
    syntax : ModelSyntax
    labels : sequence of hashable
        The groups of the data: in the order of `group_label=`, of the categories, or sorted.

    Raises
    ------
    SpecificationError
        A block is for a group that the data do not have, or for one that has a block; a group has
        no block at a level where there is none for all groups.
    """
    named: dict[Hashable, GroupHeader] = {}
    for header in syntax.groups:
        label = label_of(header, labels, syntax.text)
        if label in named:
            raise SpecificationError(
                f"'group: {named[label].name}' and 'group: {header.name}' are both the group "
                f"{label!r} of the data. Keep one name.",
                syntax.text,
                header.span,
            )
        named[label] = header
    others = [label for label in labels if label not in named]
    if others and syntax.groups and not _is_complete_for_all(syntax):
        leave = f", or leave these rows out, group_label={list(named)!r}" if len(named) > 1 else ""
        raise SpecificationError(
            f"The data have {_groups(others)}, and the model has no 'group:' block for "
            f"{'it' if len(others) == 1 else 'them'}: write one{leave}.",
            syntax.text,
            syntax.groups[-1].span,
        )
    return (*named, *others)


def by_group(syntax: ModelSyntax, labels: Labels) -> tuple[ModelSyntax, ...]:
    """The model of each group as a text of one group would have it, without definitions and
    constraints, which are those of all groups.

    Parameters
    ----------
    labels : tuple of hashable
        As `numbered` has them.

    Raises
    ------
    SpecificationError
        `c(…)` has neither one element nor one for each group.
    """
    names = {label_of(header, labels, syntax.text): header.name for header in syntax.groups}
    models: list[ModelSyntax] = []
    for number, label in enumerate(labels):
        blocks = tuple(
            _block(syntax, level, names.get(label), number, labels) for level in syntax.levels
        )
        models.append(
            replace(syntax, blocks=blocks, definitions=(), constraints=(), remarks=(), groups=())
        )
    return tuple(models)


def refuse_groups(syntax: ModelSyntax) -> None:
    """Refuse a text for several groups where no groups are given.

    Raises
    ------
    SpecificationError
        It has `group:` blocks, or `c(…)` with several elements.
    """
    if syntax.groups:
        raise SpecificationError(
            f"the model has 'group:' blocks ({listed(header.name for header in syntax.groups)}), "
            'and no groups are given: write group="…", the column that says the group of each row, '
            "or take the headers away.",
            syntax.text,
            syntax.groups[0].span,
        )
    for block in syntax.blocks:
        for formula in block.formulas:
            if formula.modifiers.groups:
                raise SpecificationError(
                    f"c(…) with {len(formula.modifiers.groups)} elements is for as many groups, "
                    'and no groups are given: write group="…", the column that says the group of '
                    "each row, or one element.",
                    syntax.text,
                    formula.span,
                )


def goes_by_order(syntax: ModelSyntax) -> bool:
    """Whether the order of the groups counts: no block names them, elements of `c(…)` differ."""
    if syntax.groups:
        return False
    return any(_differ(f.modifiers.groups) for b in syntax.blocks for f in b.formulas)


def order_note(syntax: ModelSyntax, labels: Labels, appearing: Sequence[Hashable]) -> str:
    """What a user of lavaan should know who wrote `c(…)` with different elements: lavaan gives
    them to the groups in the order of their first rows, `appearing`. Empty where that is the same.
    """
    if not goes_by_order(syntax) or tuple(appearing) == tuple(labels):
        return ""
    return (
        f"The elements of c(…) are for the groups {_shown(labels)}, in this order. lavaan takes "
        f"them in the order of the rows, {_shown(appearing)}; group_label= chooses another."
    )


def _differ(elements: tuple[Modifiers, ...]) -> bool:
    return len({replace(each, label_span=None) for each in elements}) > 1


def shared_label_notes(syntax: ModelSyntax) -> list[str]:
    """What labels do, and names in `equal()`, that are written once for all groups."""
    modifiers = [
        formula.modifiers
        for block in syntax.blocks
        for formula in block.formulas
        if block.group is None and not formula.modifiers.groups
    ]
    notes: list[str] = []
    if names := list(dict.fromkeys(each.label for each in modifiers if each.label)):
        one = len(names) == 1
        notes.append(
            f"{listed(names)} {'labels a parameter' if one else 'label parameters'} of all groups, "
            f"which share {'it' if one else 'them'}: a label for each group is written "
            f"'c({names[0]}1, {names[0]}2)*x'."
        )
    for name in dict.fromkeys(each.equal for each in modifiers if each.equal):
        notes.append(
            f"equal({name!r}) names one parameter, in all groups: to name another in each write "
            f"equal(c(…)) with an element for each, as {name!r} and {_of_second(name)!r}."
        )
    return notes


def _of_second(name: str) -> str:
    """The name of the same parameter in the second group."""
    plain, dot, level = name.rpartition(".l")
    return f"{plain}.g2{dot}{level}" if dot else f"{name}.g2"


# --- names ----------------------------------------------------------------------------------------


def label_of(header: GroupHeader, labels: Sequence[Hashable], text: str) -> Hashable:
    """The label of the data that a block names.

    Raises
    ------
    SpecificationError
        It names none of them, or more than one.
    """
    matches = [label for label in labels if header.name == str(label)]
    matches = matches or [label for label in labels if _is_same(header.name, label)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        message = (
            f"'group: {header.name}' is the name of more than one group of the data, "
            f"{_shown(matches)}: rename one there."
        )
    else:
        texts = [str(label) for label in labels]
        message = (
            f"'group: {header.name}' is none of the groups, which are {_shown(labels)}."
            f"{nearest(header.name, texts)}"
        )
    raise SpecificationError(message, text, header.span)


def _is_same(name: str, label: Hashable) -> bool:
    """Whether a name that is not the label's text says the label."""
    if isinstance(label, bool):
        return name.lower() == str(label).lower()
    if isinstance(label, datetime):
        return name == label.isoformat() or (
            label == datetime.combine(label.date(), datetime.min.time(), label.tzinfo)
            and name == label.date().isoformat()
        )
    try:
        return float(name) == float(label)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return False


def _shown(labels: Sequence[Hashable]) -> str:
    shown = [repr(label) if isinstance(label, str) else str(label) for label in labels]
    return ", ".join(shown[:_SHOWN]) + (", …" if len(shown) > _SHOWN else "")


_SHOWN = 12  # groups that a message lists


def _groups(labels: Sequence[Hashable]) -> str:
    return f"the group{'s' * (len(labels) > 1)} {_shown(labels)}"


# --- blocks ---------------------------------------------------------------------------------------


def _is_complete_for_all(syntax: ModelSyntax) -> bool:
    shared = {block.level for block in syntax.blocks if block.group is None and block.formulas}
    return shared == set(syntax.levels)


def _block(
    syntax: ModelSyntax, level: str | None, name: str | None, number: int, labels: Labels
) -> Block:
    """That of one group at one level: what all groups have, then its own."""
    parts = [b for b in syntax.blocks if b.level == level and b.group in (None, name)]
    formulas: list[Formula] = []
    for part in parts:
        for formula in part.formulas:
            if formula.modifiers.groups:
                _check_elements(formula, part, labels, syntax.text)
                formula = replace(formula, modifiers=formula.modifiers.groups[number])
            formulas.append(formula)
    return Block(level, tuple(formulas), parts[-1].span)


def _check_elements(formula: Formula, block: Block, labels: Labels, text: str) -> None:
    count = len(formula.modifiers.groups)
    if block.group is not None:
        message = (
            f"c(…) has {count} elements below 'group: {block.group}', where there is one group: "
            "write one element."
        )
    elif count != len(labels):
        message = (
            f"c(…) has {count} elements, and there are {len(labels)} groups, in this order: "
            f"{_shown(labels)}. Write one element for each, or one for all."
        )
    else:
        return
    raise SpecificationError(message, text, formula.span)
