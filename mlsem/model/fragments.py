"""Statements that are to be added to a model: each alone, with the level and the group that it is
for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlsem.errors import ModelSyntaxError, Span, SpecificationError, listed, nearest
from mlsem.model.table import ParameterTable
from mlsem.syntax.layout import layout
from mlsem.syntax.nodes import GroupHeader, ModelSyntax
from mlsem.syntax.parse import parse

_HEADER = re.compile(
    r"""\s*(level|group)\s*:\s*(?:"([^"]*)"|'([^']*)'|(-?[\w.]+))\s*""", re.IGNORECASE
)
_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_BESIDE = re.compile(r":=|==|[<>]")  # definitions and constraints, which belong to no level
_ADDED = re.compile(r"^(\s*)\+(?=.*(?:~|:=|==|[<>]|\b(?:level|group)\s*:))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One statement.

    Attributes
    ----------
    source : str
        As it was written.
    syntax : ModelSyntax or None
        Of it alone; its places are those in the whole text. None of what is no formula.
    level, group : int or None
        Those of the headers above it.
    """

    source: str
    syntax: ModelSyntax | None
    level: int | None
    group: int | None = None

    @property
    def names(self) -> list[str]:
        """The variables in it, factors of products for these."""
        blocks = () if self.syntax is None else self.syntax.blocks
        sides = [
            side
            for block in blocks
            for formula in block.formulas
            for side in (formula.lhs, formula.rhs)
            if side is not None
        ]
        return list(dict.fromkeys(name for side in sides for name in side.factors or (side.name,)))


def fragments(text: str, table: ParameterTable) -> list[Fragment]:
    """The statements of a text, which need not be a whole model.

    Raises
    ------
    ModelSyntaxError, SpecificationError
        One cannot be read, or is for a level that the model does not have.
    """
    try:
        clean = layout(text)
    except ModelSyntaxError as error:
        raise ModelSyntaxError(error.message, text, error.span) from None
    found: list[Fragment] = []
    place: dict[str, int] = {}
    outer = ""
    for line in re.finditer(r"[^\n]*\S[^\n]*", clean):
        header = _HEADER.fullmatch(line[0])
        if header:
            word, label = header[1].lower(), next(filter(None, header.groups()[1:]), "")
            outer = outer or word
            place = {} if word == outer else place
            number = _level if word == "level" else _group
            place[word] = number(table, label, text, Span(*line.span()))
            continue
        start, end = line.span()
        alone = "".join(
            each if start <= k < end or each in "\r\n" else " " for k, each in enumerate(text)
        )
        # marks before the statement would join it to what is not there
        syntax = None if _BESIDE.search(_QUOTED.sub("", line[0])) else parse(alone)
        source = text[start:end].strip(" ;\t\r\n")
        found.append(Fragment(source, syntax, place.get("level"), place.get("group")))
    if not found:
        raise ModelSyntaxError("nothing is to be added: write a formula, such as 'y1 ~~ y2'.")
    return found


def _level(table: ParameterTable, label: str, text: str, span: Span) -> int:
    labels = table.level_labels or ()
    if label in labels:
        return labels.index(label) + 1
    if table.multilevel and label in map(str, range(1, len(table.levels) + 1)):
        return int(label)
    message = f"the model has no level {label!r}."
    message += f" It has {listed(labels)}." if labels else " It has one: leave the header out."
    raise SpecificationError(message, text, span)


def _group(table: ParameterTable, name: str, text: str, span: Span) -> int:
    from mlsem.syntax.groups import label_of  # for few models

    labels = [group.label for group in table.groups]
    if not labels:
        message = f"'group: {name}': the model is of one group. Leave the header out."
        raise SpecificationError(message, text, span)
    return labels.index(label_of(GroupHeader(name, span), labels, text)) + 1


def level_names(table: ParameterTable, level: int, *, factors: bool = True) -> tuple[str, ...]:
    """All variables of a level, and factors of products among them."""
    variables = table.levels[level - 1]
    names = (*variables.latent, *variables.modelled, *variables.covariates)
    terms = [term for term in table.products if factors and term.name in names]
    return (*names, *(each for term in terms for each in term.factors))


def only_level(
    table: ParameterTable,
    names: list[str],
    given: int | None,
    text: str,
    span: Span,
    *,
    factors: bool = False,
) -> int:
    """The level that has these variables, `factors` of products among them.

    Raises
    ------
    SpecificationError
        None has, the one that is given has not, or both have and none is given.
    """
    numbers = range(1, len(table.levels) + 1)
    variables = {k: level_names(table, k, factors=factors) for k in numbers}
    known = {name for each in variables.values() for name in each}
    for name in names:
        if name not in known:
            message = (
                f"{name!r} is no variable of the model.{nearest(name, known)} A model with other "
                "variables has to be fitted to the data: fit.update(…, data=…)."
            )
            raise SpecificationError(message, text, span)
    plain = [k for k in numbers if set(names) <= set(level_names(table, k, factors=False))]
    found = plain or [k for k in numbers if set(names) <= set(variables[k])]
    if given in found or (given is None and len(found) == 1):
        return given or found[0]
    if given is not None:
        raise SpecificationError(f"level {given} does not have {listed(names)}.", text, span)
    if not found:
        raise SpecificationError(f"no level has {listed(names)} together.", text, span)
    labels = " or ".join(f"'level: {label}'" for label in table.level_labels)
    message = f"both levels have {listed(names)}: write {labels} on a line before."
    raise SpecificationError(message, text, span)


def extended_text(model: str, text: str, table: ParameterTable) -> str:
    """The model with the statements of a text that begins with `+`, each at its level and in its
    group, or in all groups; any other text is a model of its own.

    Raises
    ------
    ModelSyntaxError, SpecificationError
        A statement cannot be read, its level is not known, or it is for one group of a model that
        is written for all.
    """
    if not text.lstrip().startswith("+"):
        return text
    added = _ADDED.sub(r"\1 ", text)
    lines: dict[tuple[str, ...], list[str]] = {}
    for each in fragments(added, table):
        level = _level_of(each, table, added) if each.names and table.multilevel else 0
        for headers in _headers(each, level, model, added, table) if each.names else ((),):
            lines.setdefault(headers, []).append(each.source)
    parts = [model.rstrip(), *lines.pop((), [])]
    for headers, statements in sorted(lines.items()):
        parts += [*headers, *statements]
    return "\n".join(parts) + "\n"


def _headers(
    each: Fragment, level: int, model: str, added: str, table: ParameterTable
) -> list[tuple[str, ...]]:
    """The headers that lead to a statement's place in a model, once for each place."""
    at = (f"level: {table.level_labels[level - 1]}",) if level else ()
    syntax = parse(model)
    if not syntax.groups:
        if each.group is None:
            return [at]
        start = added.index(each.source)
        raise SpecificationError(
            "this is for one group, and the model is written for all, without 'group:' headers: "
            "write it for all, with 'c(…)*' before a variable where groups differ, as in "
            "'c(NA, 0)*x'.",
            added,
            Span(start, start + len(each.source)),
        )
    names = {_group(table, header.name, model, header.span): header for header in syntax.groups}
    of_all = each.group is None
    inside = min(block.span.start for block in syntax.blocks if block.span)  # of the inner headers
    if at and inside <= syntax.groups[0].span.start:  # groups are inside levels
        return [at] if of_all else [(*at, _group_header(each.group, names, table))]
    chosen = range(1, len(table.groups) + 1) if of_all else (each.group,)
    return [(_group_header(number, names, table), *at) for number in chosen]


def _group_header(number: int | None, names: dict[int, GroupHeader], table: ParameterTable) -> str:
    assert number is not None
    name = names[number].name if number in names else str(table.groups[number - 1].label)
    return f"group: '{name}'" if '"' in name else f'group: "{name}"'


def _level_of(each: Fragment, table: ParameterTable, text: str) -> int:
    """The level that a statement is for: that of its header, or of those of its variables that
    the model has."""
    if each.level is not None:
        return each.level
    numbers = range(1, len(table.levels) + 1)
    known = {name for k in numbers for name in level_names(table, k)}
    names = [name for name in each.names if name in known]
    start = text.index(each.source)
    span = Span(start, start + len(each.source))
    if not names:
        labels = " or ".join(f"'level: {label}'" for label in table.level_labels)
        message = f"the model has none of {listed(each.names)}: write {labels} on a line before."
        raise SpecificationError(message, text, span)
    return only_level(table, names, None, text, span, factors=True)
