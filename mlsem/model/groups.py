"""The parameter table of several groups: one for all, and that of each (`GroupTable`)."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from mlsem.errors import SpecificationError, listed
from mlsem.model.cross_level import across_levels
from mlsem.model.drafts import (
    Draft,
    Group,
    equate,
    plan,
    read_draft,
    table_of,
    with_means,
    write,
)
from mlsem.model.invariance import across_groups
from mlsem.model.options import ModelOptions
from mlsem.model.products import Products
from mlsem.model.regrouped import levels_of_any
from mlsem.model.relations import used_names
from mlsem.model.table import GroupTable, ParameterTable, Row
from mlsem.syntax.groups import by_group, numbered, shared_label_notes
from mlsem.syntax.nodes import ModelSyntax


def specify_groups(
    syntax: ModelSyntax,
    options: ModelOptions,
    columns: Collection[str] | None,
    population: bool,
    groups: tuple[Hashable, ...],
) -> ParameterTable:
    """As `mlsem.model.defaults.specify`, of several groups."""
    if len(syntax.levels) > 2:
        raise SpecificationError(
            "a model of three levels is of one group: leave group= out, and say what differs with "
            "0/1 covariates, or fit the groups one by one.",
            syntax.text,
        )
    labels = numbered(syntax, groups)
    models = by_group(syntax, labels)
    spelling: dict[tuple[str, ...], str] = {}
    drafts: list[Draft] = []
    for number, model in enumerate(models, start=1):
        with _naming(labels, models, number):
            products = Products(syntax.text, columns, spelling=spelling)
            drafts.append(read_draft(model, number, products))
    parts: list[Group] = []
    for number, draft in enumerate(equate(drafts), start=1):
        with _naming(labels, models, number):
            parts.append(plan(draft, options, columns, used_names(syntax), population))
    return _joined(syntax, options, labels, with_means(tuple(parts), options), drafts[0].labels)


@contextmanager
def _naming(
    labels: tuple[Hashable, ...], models: tuple[ModelSyntax, ...], number: int
) -> Iterator[None]:
    """What is wrong with one group says which, unless the text says the same of all."""
    try:
        yield
    except SpecificationError as error:
        if all(model.blocks == models[0].blocks for model in models):
            raise
        message = f"group {labels[number - 1]!r}: {error.message}"
        raise type(error)(message, error.text, error.span) from None


def _joined(
    syntax: ModelSyntax,
    options: ModelOptions,
    labels: tuple[Hashable, ...],
    parts: tuple[Group, ...],
    levels: tuple[str, ...],
) -> ParameterTable:
    writer, relations = write(syntax, parts)
    plans = [each for part in parts for each in part.plans]
    writer.rows, writer.names, notes = across_groups(
        writer.rows, writer.names, plans, options, levels, syntax.text
    )
    writer.rows, writer.names = across_levels(
        writer.rows, writer.names, plans, options, syntax.text
    )
    whole = table_of(parts[0], levels, writer, relations)
    groups = _group_tables(whole, labels, parts)
    tables = [group.table for group in groups]
    said = [*shared_label_notes(syntax), *_notes(labels, [part.notes for part in parts]), *notes]
    return replace(
        whole,
        levels=levels_of_any(tables),
        split=_once(name for table in tables for name in table.split),
        products=tuple({term.name: term for table in tables for term in table.products}.values()),
        slopes=tuple(
            {(s.name, s.outcome, s.carrier): s for table in tables for s in table.slopes}.values()
        ),
        notes=_once(said),
        remarks=_once((*syntax.remarks, *(each for part in parts for each in part.remarks))),
        groups=groups,
    )


def _group_tables(
    whole: ParameterTable, labels: tuple[Hashable, ...], parts: tuple[Group, ...]
) -> tuple[GroupTable, ...]:
    """The model of each group, its parameters in the order of its rows."""
    rows: list[list[Row]] = [[] for _ in labels]
    for row in whole.rows:
        rows[row.group - 1].append(row)
    tables: list[GroupTable] = []
    for label, part, own in zip(labels, parts, rows, strict=True):
        places = tuple(dict.fromkeys(row.free for row in own if row.free >= 0))
        position = {place: k for k, place in enumerate(places)}
        table = replace(
            whole,
            rows=tuple(replace(r, group=1, free=position.get(r.free, -1)) for r in own),
            names=tuple(whole.names[place] for place in places),
            levels=part.variables,
            split=part.split,
            products=part.terms,
            definitions=(),
            constraints=(),
            notes=(),
            remarks=(),
            slopes=part.slopes,
        )
        tables.append(GroupTable(label, table, places))
    return tuple(tables)


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _notes(labels: tuple[Hashable, ...], notes: list[list[str]]) -> Iterator[str]:
    """What holds in all groups once, the rest with the groups that it is for."""
    for note in dict.fromkeys(each for own in notes for each in own):
        names = [label for label, own in zip(labels, notes, strict=True) if note in own]
        if len(names) == len(labels):
            yield note
        else:
            yield f"Group{'s' * (len(names) > 1)} {listed(map(str, names))}: {note}"
