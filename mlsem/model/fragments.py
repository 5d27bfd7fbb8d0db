"""Statements that are to be added to a model: each alone, with the level that it is for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlsem.errors import ModelSyntaxError, Span, SpecificationError, listed, nearest
from mlsem.model.table import ParameterTable
from mlsem.syntax.layout import layout
from mlsem.syntax.nodes import ModelSyntax
from mlsem.syntax.parse import parse

_HEADER = re.compile(r"""\s*level\s*:\s*(["']?)([\w.]+)\1\s*""", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_BESIDE = re.compile(r":=|==|[<>]")  # definitions and constraints, which belong to no level
_ADDED = re.compile(r"^(\s*)\+(?=.*(?:~|:=|==|[<>]|\blevel\s*:))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One statement.

    Attributes
    ----------
    source : str
        As it was written.
    syntax : ModelSyntax or None
        Of it alone; its places are those in the whole text. None of what is no formula.
    level : int or None
        That of the header above it.
    """

    source: str
    syntax: ModelSyntax | None
    level: int | None

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
    level: int | None = None
    for line in re.finditer(r"[^\n]*\S[^\n]*", clean):
        header = _HEADER.fullmatch(line[0])
        if header:
            level = _level(table, header[2], text, Span(*line.span()))
            continue
        start, end = line.span()
        alone = "".join(
            each if start <= k < end or each in "\r\n" else " " for k, each in enumerate(text)
        )
        # marks before the statement would join it to what is not there
        syntax = None if _BESIDE.search(_QUOTED.sub("", line[0])) else parse(alone)
        found.append(Fragment(text[start:end].strip(" ;\t\r\n"), syntax, level))
    if not found:
        raise ModelSyntaxError("nothing is to be added: write a formula, such as 'y1 ~~ y2'.")
    return found


def _level(table: ParameterTable, label: str, text: str, span: Span) -> int:
    labels = table.level_labels or ()
    if label in labels:
        return labels.index(label) + 1
    if table.two_level and label in ("1", "2"):
        return int(label)
    message = f"the model has no level {label!r}."
    message += f" It has {listed(labels)}." if labels else " It has one: leave the header out."
    raise SpecificationError(message, text, span)


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
    """The model with the statements of a text that begins with `+`, each at its level; any other
    text is a model of its own.

    Raises
    ------
    ModelSyntaxError, SpecificationError
        A statement cannot be read, or its level is not known.
    """
    if not text.lstrip().startswith("+"):
        return text
    added = _ADDED.sub(r"\1 ", text)
    lines: dict[int, list[str]] = {}
    for each in fragments(added, table):
        level = _level_of(each, table, added) if each.names and table.two_level else 0
        lines.setdefault(level, []).append(each.source)
    parts = [model.rstrip(), *lines.pop(0, [])]
    for level, statements in sorted(lines.items()):
        parts += [f"level: {table.level_labels[level - 1]}", *statements]
    return "\n".join(parts) + "\n"


def _level_of(each: Fragment, table: ParameterTable, text: str) -> int:
    """The level that a statement is for: that of its header, or of those of its variables that
    the model has."""
    if each.level is not None:
        return each.level
    known = {name for k in (1, 2) for name in level_names(table, k)}
    names = [name for name in each.names if name in known]
    start = text.index(each.source)
    span = Span(start, start + len(each.source))
    if not names:
        labels = " or ".join(f"'level: {label}'" for label in table.level_labels)
        message = f"the model has none of {listed(each.names)}: write {labels} on a line before."
        raise SpecificationError(message, text, span)
    return only_level(table, names, None, text, span, factors=True)
