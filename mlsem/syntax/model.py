"""Statements → `ModelSyntax`: the formulas under their level, the rest beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsem.errors import Span, listed, nearest
from mlsem.syntax.expressions import fail
from mlsem.syntax.formulas import Remark, constraint_of, definition_of, formula_key, formulas_of
from mlsem.syntax.items import Header, Relation
from mlsem.syntax.mplus import section_advice
from mlsem.syntax.nodes import Block, Constraint, Definition, Formula, GroupHeader

if TYPE_CHECKING:
    from collections.abc import Iterable

Key = tuple[str, str, str]
MOST_LEVELS = 3


@dataclass(slots=True)
class _Block:
    """A block while it is filled."""

    header: Header | None
    formulas: dict[Key, Formula] = field(default_factory=dict[Key, Formula])


Place = tuple[str | None, str | None]
"""Group and level, None where no header says it."""


@dataclass(slots=True)
class Draft:
    """A model while its statements are read, top to bottom.

    Attributes
    ----------
    text, clean : str
        The user's text, and what `layout` made of it.
    headers : dict
        The first header of each group and of each level, by its word and label; the first word is
        that of the outer ones.
    place : tuple
        Where the next formula goes.
    """

    text: str
    clean: str
    written: dict[Place, _Block] = field(default_factory=dict[Place, _Block])
    headers: dict[tuple[str, str], Header] = field(default_factory=dict[tuple[str, str], Header])
    place: Place = (None, None)
    definitions: list[Definition] = field(default_factory=list[Definition])
    constraints: list[Constraint] = field(default_factory=list[Constraint])
    remarks: list[Remark] = field(default_factory=list[Remark])

    def read(self, statements: Iterable[Relation | Header]) -> None:
        """Take the statements in."""
        for statement in statements:
            if isinstance(statement, Header):
                self._open(statement)
            elif statement.operator == ":=":
                self.definitions.append(definition_of(statement, self.clean))
            elif statement.operator in ("==", "<", ">"):
                self.constraints.append(constraint_of(statement, self.clean))
            else:
                self._add(formulas_of(statement, self.remarks))

    def _open(self, header: Header) -> None:
        word = _header_word(header)
        if not self.headers and self.written:
            first = next(iter(self.written[None, None].formulas.values()))
            raise fail(
                f"this formula stands before the first '{word}:' header: put it below one.",
                first.lhs.span,
            )
        self.headers.setdefault((word, header.label), header)
        outer = next(iter(self.headers))[0]
        group, level = self.place
        if word == "group":
            self.place = (header.label, None if outer == "group" else level)
        else:
            self.place = (None if outer == "level" else group, header.label)
        self.written.setdefault(self.place, _Block(header))
        if len(levels := self._labels("level")) > MOST_LEVELS:
            raise fail(
                f"four levels ({listed(levels)}): mlsem fits models of two or three levels.",
                header.span,
            )

    def _labels(self, word: str) -> list[str]:
        """Those of all levels or groups, in the order of their first headers."""
        return [label for kind, label in self.headers if kind == word]

    def _add(self, formulas: list[Formula]) -> None:
        known = self.written.setdefault(self.place, _Block(None)).formulas
        beside = self._beside()
        for formula in formulas:
            key = formula_key(formula)
            before = known.get(key) or next((b[key] for b in beside if key in b), None)
            if before is not None:
                line, _ = before.span.position(self.text)
                for_all = " for all groups" if key not in known and self.place[0] else ""
                message = f"{_shown(formula)} is already said in line {line}{for_all}."
                raise fail(message, formula.span)
            known[key] = formula

    def _beside(self) -> list[dict[Key, Formula]]:
        """What is said at the same level of the model that these groups have together: for all
        groups, or, where this is for all, for one."""
        group, level = self.place
        return [
            block.formulas
            for place, block in self.written.items()
            if place[1] == level and (place[0] is None) != (group is None)
        ]

    def blocks(self) -> tuple[Block, ...]:
        """The blocks in the order of their first headers (of groups level by level), checked."""
        groups, levels = self._labels("group"), self._labels("level")
        self._check_levels()
        if groups:
            self._check_groups(groups, levels)
        blocks = tuple(
            Block(level, tuple(block.formulas.values()), block.header and block.header.span, group)
            for (group, level), block in self.written.items()
            # an outer header alone opens no block
            if block.formulas or not ((groups and not group) or (levels and not level))
        )
        if not any(block.formulas for block in blocks):
            message = "the model has no formula: write one, such as 'y ~ x' or 'f =~ y1 + y2 + y3'."
            raise fail(message, (blocks[0].span if blocks else None) or Span(0, 1))
        if not groups:
            return blocks
        rank = {label: k for k, label in enumerate((None, *levels))}
        number = {label: k for k, label in enumerate((None, *groups))}
        return tuple(sorted(blocks, key=lambda each: (rank[each.level], number[each.group])))

    def groups(self) -> tuple[GroupHeader, ...]:
        """The names of the groups in the order of their first headers."""
        return tuple(
            GroupHeader(label, header.span)
            for (word, label), header in self.headers.items()
            if word == "group"
        )

    def _check_levels(self) -> None:
        headers = [header for (word, _), header in self.headers.items() if word == "level"]
        if len(headers) == MOST_LEVELS:
            self._check_order(headers)
            return
        if len(headers) == 1:
            other = "1" if _is_between(headers[0].label) else "2"
            raise fail(
                f"only one level, {headers[0].label!r}: a two-level model has two 'level:' "
                f"headers. Add 'level: {other}' with the formulas of the other level "
                "(the first is within, the second between clusters), or take this header away.",
                headers[0].span,
            )
        if headers and _is_between(headers[0].label) and _is_within(headers[1].label):
            message = (
                f"the first level is within clusters, whatever its label ({headers[0].label!r}): "
                "did you mean to write the blocks in the other order?"
            )
            self.remarks.append((message, headers[0].span))

    def _check_order(self, headers: list[Header]) -> None:
        """Of three levels, whose labels may be their numbers."""
        labels = [header.label for header in headers]
        numbered = all(label.isdecimal() for label in labels)
        if numbered and labels != sorted(labels, key=int):
            raise fail(
                f"the levels stand in the order {listed(labels)}: write them from the rows up, "
                "'level: 1' first, then 'level: 2' (of the clusters that the rows are in) and "
                "'level: 3' (of what these are in).",
                headers[0].span,
            )

    def _check_groups(self, groups: list[str], levels: list[str]) -> None:
        """Each group has formulas, and each level, of its own or as all groups have it."""
        shared = self.written.get((None, None))
        for group in groups if not levels and not (shared and shared.formulas) else ():
            if not self.written[group, None].formulas:
                header = self.headers["group", group]
                raise fail(f"group {group!r} has no formulas: write them below.", header.span)
        for (group, level), block in self.written.items():
            if levels and level is None and block.formulas:
                first = next(iter(block.formulas.values()))
                raise fail(
                    f"this formula stands below 'group: {group}' and no 'level:' header, and other "
                    "parts of the model have levels: write the header of its level before it "
                    "(each 'group:' header begins anew).",
                    first.lhs.span,
                )
        for level in levels:
            shared = self.written.get((None, level))
            for group in groups:
                if (group, level) not in self.written and not (shared and shared.formulas):
                    shared_level = (
                        f"for all groups, directly below 'level: {level}'"
                        if next(iter(self.headers))[0] == "level"
                        else "if it is the same in all groups, let the 'level:' headers be the "
                        "outer ones and write it there without 'group:'"
                    )
                    raise fail(
                        f"group {group!r} has no block 'level: {level}', and other groups have "
                        f"one: write it below 'group: {group}', or, {shared_level}.",
                        self.headers["group", group].span,
                    )


def _header_word(header: Header) -> str:
    word = header.word.lower()
    if word in ("level", "group"):
        return word
    if section_advice(header.word):
        raise fail(section_advice(header.word), header.span)
    message = f"{header.word!r} is no header: blocks begin with 'level: 1' or 'group: a'."
    hint = nearest(header.word, ("level", "group"))
    raise fail(message + hint + " A formula has an operator such as '~'.", header.span)


def _is_between(label: str) -> bool:
    return label == "2" or label.lower().startswith("between")


def _is_within(label: str) -> bool:
    return label == "1" or label.lower().startswith("within")


def _shown(formula: Formula) -> str:
    """The formula as it is written in lavaan, without modifiers."""
    if formula.op == "~1":
        return f"'{formula.lhs.name} ~ 1'"
    right = "0" if formula.rhs is None else formula.rhs.name
    return f"'{formula.lhs.name} {formula.op} {right}'"
