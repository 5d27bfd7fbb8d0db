"""Models that cannot be meant, and what a user should be told about the others."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from mlsem.errors import ModelSyntaxError, SpecificationError, listed, unsplit
from mlsem.model.labels import check_modifiers
from mlsem.syntax.naming import column_hint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from mlsem.errors import Span
    from mlsem.model.elements import ProductTerm
    from mlsem.model.roles import Roles, Written
    from mlsem.model.rows import LevelPlan
    from mlsem.syntax.nodes import ModelSyntax


def check_blocks(syntax: ModelSyntax) -> None:
    """One block, or two or three with level labels, and each names variables."""
    blocks = syntax.blocks
    if not any(block.formulas for block in blocks):
        raise SpecificationError("The model names no variables.", syntax.text)
    if len(blocks) > 3 or (len(blocks) == 1 and blocks[0].level is not None):
        raise SpecificationError(
            f"A model has no 'level:' header, or two or three of them, not {len(blocks)}.",
            syntax.text,
            blocks[-1].span,
        )
    for block in blocks:
        if not block.formulas:
            raise SpecificationError(
                f"The block 'level: {block.level}' names no variables. A variable that is to have "
                "a part at this level needs at least its variance here, as in 'y ~~ y'.",
                syntax.text,
                block.span,
            )


# --- one level --------------------------------------------------------------------------------


def check_roles(roles: Roles, text: str) -> None:
    """Refuse what no single level can hold."""
    for row in roles.written:
        check_modifiers(row, text)
        if row.op == "~":
            _check_regression(row, roles, text)
        elif row.op == "=~" and row.lhs == row.rhs and not row.phantom:
            raise SpecificationError(
                f"The latent variable {row.lhs!r} cannot be its own indicator.", text, row.span
            )
    if roles.latent:
        _check_circle(roles, text)
        _check_phantoms(roles, text)


def _check_regression(row: Written, roles: Roles, text: str) -> None:
    if row.lhs == row.rhs:
        raise SpecificationError(
            f"{row.lhs!r} cannot predict itself. Its variance is '{row.lhs} ~~ {row.lhs}'.",
            text,
            row.span,
        )
    if row.lhs in roles.latent.get(row.rhs, ()):
        raise SpecificationError(
            f"'{row.lhs} ~ {row.rhs}' and '{row.rhs} =~ {row.lhs}' are the same path. Keep one.",
            text,
            row.span,
        )


def _check_circle(roles: Roles, text: str) -> None:
    """Latent variables cannot measure each other in a circle."""
    resolved: set[str] = set()
    left = dict(roles.latent)
    while left:
        free = [
            f for f, names in left.items() if all(n not in left or n in resolved for n in names)
        ]
        if not free:
            raise SpecificationError(
                f"The latent variables {listed(left)} are indicators of each other in a circle.",
                text,
                roles.where[next(iter(left))],
            )
        for name in free:
            resolved.add(name)
            del left[name]


def _check_phantoms(roles: Roles, text: str) -> None:
    for row in roles.written:
        if row.phantom and not any(
            row.lhs in (other.lhs, other.rhs)
            for other in roles.written
            if other.op in ("~", "~~", "=~") and not other.phantom
        ):
            raise SpecificationError(
                f"{row.lhs!r} has no indicators and is in no regression or covariance.",
                text,
                row.span,
            )


# --- several levels ---------------------------------------------------------------------------


def check_levels(levels: Sequence[Roles], text: str) -> None:
    """A name that is latent at one level cannot be observed at another."""
    for here, there in permutations(range(len(levels)), 2):
        for name in levels[there].latent:
            if name in levels[here].where and name not in levels[here].latent:
                others = [k for k, roles in enumerate(levels, start=1) if name in roles.latent]
                only = " only" if len(others) == 1 else ""
                raise SpecificationError(
                    f"The latent variable {name!r} is defined at level {there + 1}{only}. To use "
                    f"it at level {here + 1}, give it indicators there too ('{name} =~ ...').",
                    text,
                    levels[here].where[name],
                )


def level_notes(levels: Sequence[Roles], syntax: ModelSyntax, shared: Collection[str]) -> list[str]:
    """What a user of several levels should look at twice; `shared` have parts at more than one."""
    notes = []
    labels = [(block.level or "").lower() for block in syntax.blocks]
    if labels in (["2", "1"], ["between", "within"]):
        notes.append(
            f"The first block, 'level: {syntax.blocks[0].level}', is the within level and the "
            "second is the between level: the order counts, not the labels."
        )
    if len(levels) > 2:
        return notes + _notes_of_three(levels)
    if not shared:
        notes.append("No variable has a part at both levels, so nothing connects the levels.")
    return notes


def _notes_of_three(levels: Sequence[Roles]) -> list[str]:
    first, second, third = (dict.fromkeys(roles.observed) for roles in levels)
    notes = []
    if not any(name in third for name in (*first, *second)):
        notes.append(
            "No variable of level 3 has a part below, so nothing connects level 3 with the others."
        )
    passing = [name for name in first if name in third and name not in second]
    if passing:
        one = len(passing) == 1
        notes.append(
            f"{listed(passing)} {'is' if one else 'are'} named at levels 1 and 3, not at level 2: "
            f"clusters of one unit of level 3 do not differ in {'it' if one else 'them'} but for "
            f"their rows. To let them differ name {'it' if one else 'them'} at level 2 "
            f"('{passing[0]} ~~ {passing[0]}')."
        )
    return notes


# --- the data's columns -----------------------------------------------------------------------


def check_columns(
    levels: Sequence[Roles],
    terms: Iterable[ProductTerm],
    latent: Collection[str],
    columns: Collection[str],
    text: str,
) -> None:
    """Every observed variable and every factor of a product is a column of the data."""
    made = {term.name for term in terms}
    missing: dict[str, Span] = {}
    for roles in levels:
        for name in roles.observed:
            if name not in columns and name not in made:
                missing.setdefault(name, roles.where[name])
        for term in terms:
            for factor in term.factors:
                if factor not in columns and term.name in roles.where:
                    missing.setdefault(factor, roles.where[term.name])
    if not missing:
        return
    name, span = min(missing.items(), key=lambda item: item[1].start)
    others = [other for other in missing if other != name]
    raise SpecificationError(
        f"{name!r} is not a column of the data and has no indicators ('=~')."
        f"{unsplit(columns) or column_hint(name, columns, latent, text)}"
        + (f" Missing too: {listed(others)}." if others else ""),
        text,
        span,
    )


def column_notes(latent: Collection[str], columns: Collection[str]) -> list[str]:
    """Latent variables that are also columns."""
    return [
        f"{name!r} is a latent variable of the model; the data's column {name!r} is not used."
        for name in sorted(latent)
        if name in columns
    ]


def label_remarks(
    levels: Sequence[Roles], columns: Collection[str], calculated: Collection[str], text: str
) -> tuple[str, ...]:
    """Labels that no calculation uses and that are also columns: meant as products?"""
    labelled = [row for roles in levels for row in roles.written if row.modifiers.label]
    labels = [row.modifiers.label for row in labelled]
    remarks = []
    for row in labelled:
        label = row.modifiers.label
        if label not in columns or label in calculated or labels.count(label) > 1:
            continue
        # A label that is a variable of the model has its remark from the parser.
        if row.rhs and not any(label in roles.where for roles in levels):
            message = (
                f"{label!r} is the label of the parameter of {row.rhs!r} here, but also a column "
                f"of the data: did you mean {label}:{row.rhs}, their product?"
            )
            remarks.append(str(ModelSyntaxError(message, text, row.modifiers.label_span)))
    return tuple(remarks)


# --- what the defaults made of it -------------------------------------------------------------


def plan_notes(plan: LevelPlan, values: Sequence[float | None]) -> list[str]:
    """Rows of the user, and defaults, that may not do what their writer expects."""
    notes: list[str] = []
    first_fixed = set()
    for row, value in zip(plan.roles.written, values, strict=True):
        if row.op == "=~" and value and row.modifiers.fixed is None:
            first_fixed.add(row.lhs)
            if row.modifiers.start is not None:
                notes.append(
                    f"The starting value of {row.lhs} =~ {row.rhs} is not used: the first loading "
                    "is fixed to 1. To free it write NA* before it, or use std_lv=True."
                )
        elif row.op == "~1" and row.lhs in plan.split:
            notes += _split_intercept(row, value)
    for row, value in zip(plan.roles.written, values, strict=True):
        if row.op != "~~" or row.lhs != row.rhs or not value:
            continue
        if value < 0:
            notes.append(f"The variance of {row.lhs} is fixed to {value:g}, a negative number.")
        elif row.lhs in first_fixed:
            notes.append(
                f"Both the variance of {row.lhs} and its first loading are fixed. To free the "
                "loading write NA* before it, or use std_lv=True."
            )
    if plan.meanstructure and not plan.options.int_ov_free:
        notes += _zero_intercepts(plan)
    return notes


def _split_intercept(row: Written, value: float | None) -> list[str]:
    if value is None:
        return [
            f"The level-1 intercept of {row.lhs} is free; its level-2 intercept holds the same "
            "mean, so one of them must be fixed."
        ]
    if row.modifiers.fixed is None and row.modifiers.label:
        return [
            f"The level-1 intercept of {row.lhs}, labelled {row.modifiers.label!r}, is 0: the "
            "level-2 intercept holds the mean."
        ]
    return []


def _zero_intercepts(plan: LevelPlan) -> list[str]:
    roles = plan.roles
    written = {row.lhs for row in roles.written if row.op == "~1"} | plan.split
    zero = [
        name
        for name in roles.outcomes + roles.loose
        if name not in written and name not in roles.named
    ]
    if not zero:
        return []
    return [f"The intercepts of {listed(zero)} are fixed to 0 (int_ov_free=False)."]
