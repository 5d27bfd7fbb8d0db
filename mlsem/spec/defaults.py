"""From model text to parameter table: lavaan's `sem()`, for one or two levels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsem.errors import OptionValueError, listed
from mlsem.spec.checks import (
    check_blocks,
    check_columns,
    check_levels,
    check_roles,
    column_notes,
    label_remarks,
    level_notes,
    plan_notes,
)
from mlsem.spec.labels import read_labels
from mlsem.spec.options import SEM, ModelOptions
from mlsem.spec.partable import LevelVariables, ParameterTable
from mlsem.spec.products import Products
from mlsem.spec.relations import relate, used_names
from mlsem.spec.roles import read_roles
from mlsem.spec.rows import LevelPlan, TableWriter, write_level
from mlsem.spec.slopes import check_conditioned, check_slopes, read_slopes, slope_notes

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlsem.spec.partable import ProductTerm
    from mlsem.spec.roles import Roles
    from mlsem.syntax.nodes import ModelSyntax


def specify(
    syntax: ModelSyntax,
    options: ModelOptions = SEM,
    columns: Collection[str] | None = None,
) -> ParameterTable:
    """The parameter table of a model text.

    Parameters
    ----------
    syntax : ModelSyntax
        The parsed text.
    options : ModelOptions
        What the defaults add.
    columns : collection of str, optional
        Names of the data's columns: every observed variable must be one of them.

    Raises
    ------
    SpecificationError
        The text does not make a model; shows the place and says what to write.
    OptionValueError
        `meanstructure=False` where the model has means.
    """
    text = syntax.text
    columns = None if columns is None else frozenset(columns)
    products = Products(text, columns)
    check_blocks(syntax)
    slopes = read_slopes(syntax, products)
    levels = tuple(
        read_roles(block, number, products, tuple(s.name for s in slopes if number == 2))
        for number, block in enumerate(syntax.blocks, 1)
    )
    for roles in levels:
        check_roles(roles, text)
    check_slopes(slopes, levels, columns, text)
    check_levels(levels, text)
    latent = {name for roles in levels for name in roles.latent}
    terms = products.terms(latent, tuple(roles.observed for roles in levels))
    split = _split(levels)
    notes = products.notes
    remarks = syntax.remarks
    if columns is not None:
        check_columns(levels, terms, latent, columns, text)
        notes += column_notes(latent, columns)
        remarks += label_remarks(levels, columns, used_names(syntax), text)
    if len(levels) == 2:
        notes += level_notes(levels, syntax, split)
    plans = _plans(syntax, levels, split, options, notes)
    check_conditioned(slopes, plans[0], text)
    notes += slope_notes(slopes, levels[-1], split)
    return replace(_table(syntax, plans, terms, split, notes), remarks=remarks, slopes=slopes)


def _table(
    syntax: ModelSyntax,
    plans: tuple[LevelPlan, ...],
    terms: tuple[ProductTerm, ...],
    split: tuple[str, ...],
    notes: list[str],
) -> ParameterTable:
    values = [[plan.written_value(row) for row in plan.roles.written] for plan in plans]
    for plan, fixed in zip(plans, values, strict=True):
        notes += plan_notes(plan, fixed)
    labels = read_labels(
        [
            pair
            for plan, fixed in zip(plans, values, strict=True)
            for pair in zip(plan.roles.written, fixed, strict=True)
        ],
        syntax.text,
    )
    relations = relate(syntax, labels, {name for plan in plans for name in plan.roles.where})
    for plan in plans if plans[0].options.bounds else ():
        for row in plan.roles.written:
            if row.modifiers.label in labels.free and row.op == "~~" and row.lhs == row.rhs:
                labels.raise_lower(row.modifiers.label, plan.variance_lower(row.lhs))
    writer = TableWriter(syntax.text, labels)
    for plan, fixed in zip(plans, values, strict=True):
        write_level(plan, fixed, writer)
    return ParameterTable(
        rows=tuple(writer.rows),
        names=tuple(writer.names),
        levels=tuple(_variables(plan) for plan in plans),
        level_labels=tuple(block.level or "" for block in syntax.blocks if len(plans) == 2),
        split=split,
        products=terms,
        definitions=relations.definitions,
        constraints=relations.constraints,
        meanstructure=plans[0].meanstructure,
        bounds=plans[0].options.data_bounds,
        notes=tuple(dict.fromkeys(notes)),
    )


def _split(levels: tuple[Roles, ...]) -> tuple[str, ...]:
    """Observed variables that are at both levels."""
    if len(levels) == 1:
        return ()
    between = set(levels[1].observed)
    return tuple(name for name in levels[0].observed if name in between)


def _plans(
    syntax: ModelSyntax,
    levels: tuple[Roles, ...],
    split: tuple[str, ...],
    options: ModelOptions,
    notes: list[str],
) -> tuple[LevelPlan, ...]:
    meanstructure = _meanstructure(levels, options)
    plans = []
    for number, (block, roles) in enumerate(zip(syntax.blocks, levels, strict=True), 1):
        plans.append(
            LevelPlan(
                number=number,
                suffix=f".l{block.level}" if number == 2 else "",
                roles=roles,
                split=frozenset(split) if number == 1 else frozenset(),
                fixed_covariates=_conditions(number, roles, split, options, notes),
                options=options,
                meanstructure=meanstructure,
            )
        )
    return tuple(plans)


def _meanstructure(levels: tuple[Roles, ...], options: ModelOptions) -> bool:
    two = len(levels) == 2
    means = two or any(row.op == "~1" for roles in levels for row in roles.written)
    if means and options.meanstructure is False:
        why = "a two-level model always has means" if two else "the model has an intercept (~ 1)"
        raise OptionValueError(f"meanstructure=False, but {why}. Leave the option out.")
    return means or bool(options.meanstructure)


def _conditions(
    number: int,
    roles: Roles,
    split: tuple[str, ...],
    options: ModelOptions,
    notes: list[str],
) -> bool:
    """Whether the covariates of a level are conditioned on; if not against the default, why."""
    if not options.fixed_x or not roles.covariates:
        return options.fixed_x
    parts = [name for name in roles.covariates if name in split]
    random = parts or roles.named
    if random:
        notes.append(_modelled_note(number, random, bool(parts), roles))
    return not random


def _modelled_note(number: int, random: Collection[str], parts: bool, roles: Roles) -> str:
    """Which covariates are not conditioned on, and why."""
    one = len(random) == 1
    if parts:
        why = f"{'has' if one else 'have'} a part at both levels, and parts are not observed"
    else:
        why = f"{'is' if one else 'are'} named in '~~' or '~ 1'"
    where = f"At level {number} the" if parts else "The"
    return (
        f"{where} means, variances and covariances of {listed(roles.covariates)} are parameters, "
        f"not conditioned on: {listed(random)} {why}."
    )


def _variables(plan: LevelPlan) -> LevelVariables:
    roles = plan.roles
    if plan.fixed_covariates:
        modelled = roles.indicators + roles.outcomes + roles.loose
        return LevelVariables(tuple(roles.latent), modelled, roles.plain_covariates)
    return LevelVariables(tuple(roles.latent), roles.observed, ())
