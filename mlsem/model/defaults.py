"""From model text to parameter table: lavaan's `sem()`, for one or two levels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsem.errors import OptionValueError, listed
from mlsem.model.blocks import block_keys, name_suffix
from mlsem.model.checks import (
    check_blocks,
    check_columns,
    check_levels,
    check_roles,
    column_notes,
    label_remarks,
    level_notes,
    plan_notes,
)
from mlsem.model.equal import equated
from mlsem.model.labels import read_labels
from mlsem.model.options import SEM, ModelOptions
from mlsem.model.products import Products
from mlsem.model.relations import relate, used_names
from mlsem.model.roles import read_roles
from mlsem.model.rows import LevelPlan, TableWriter, write_level
from mlsem.model.slopes import check_conditioned, check_slopes, read_slopes, slope_notes
from mlsem.model.table import LevelVariables, ParameterTable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mlsem.model.blocks import BlockKey
    from mlsem.model.roles import Roles
    from mlsem.model.table import ProductTerm, RandomSlope
    from mlsem.syntax.nodes import ModelSyntax


def specify(
    syntax: ModelSyntax,
    options: ModelOptions = SEM,
    columns: Collection[str] | None = None,
    *,
    population: bool = False,
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
    population : bool
        Whether the model is one that data are drawn from: no data give the moments of covariates
        with a part at both levels, so they are parameters.

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
    keys, labels = block_keys(len(syntax.blocks)), tuple(b.level or "" for b in syntax.blocks)
    levels = tuple(
        read_roles(block, key.level, products, () if key.is_lowest else _names(slopes))
        for key, block in zip(keys, syntax.blocks, strict=True)
    )
    suffixes = [name_suffix(key, labels) for key in keys]
    levels = equated(levels, suffixes, text)
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
    free_parts = population or bool(slopes)  # the saturated model has no random slopes
    plans = _plans(keys, suffixes, levels, split, options, notes, free_parts)
    if slopes and not population:
        notes += _free_parts_note(plans, split)
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
        levels=tuple(_variables(plan, split) for plan in plans),
        level_labels=tuple(block.level or "" for block in syntax.blocks if len(plans) == 2),
        split=split,
        products=terms,
        definitions=relations.definitions,
        constraints=relations.constraints,
        meanstructure=plans[0].meanstructure,
        bounds=plans[0].options.data_bounds,
        notes=tuple(dict.fromkeys(notes)),
    )


def _names(slopes: Iterable[RandomSlope]) -> tuple[str, ...]:
    return tuple(slope.name for slope in slopes)


def _split(levels: tuple[Roles, ...]) -> tuple[str, ...]:
    """Observed variables that are at both levels."""
    if len(levels) == 1:
        return ()
    between = set(levels[1].observed)
    return tuple(name for name in levels[0].observed if name in between)


def _plans(
    keys: tuple[BlockKey, ...],
    suffixes: list[str],
    levels: tuple[Roles, ...],
    split: tuple[str, ...],
    options: ModelOptions,
    notes: list[str],
    free_parts: bool,
) -> tuple[LevelPlan, ...]:
    meanstructure = _meanstructure(levels, options)
    plans = []
    for key, suffix, roles in zip(keys, suffixes, levels, strict=True):
        plans.append(
            LevelPlan(
                block=key,
                suffix=suffix,
                roles=roles,
                split=frozenset(split) if key.is_lowest else frozenset(),
                fixed_covariates=_conditions(roles, split, options, notes, free_parts),
                options=options,
                meanstructure=meanstructure,
            )
        )
    notes += _parts_note([part for plan in plans for part in _parts(plan, split)])
    return tuple(plans)


def _meanstructure(levels: tuple[Roles, ...], options: ModelOptions) -> bool:
    two = len(levels) == 2
    means = two or any(row.op == "~1" for roles in levels for row in roles.written)
    if means and options.meanstructure is False:
        why = "a two-level model always has means" if two else "the model has an intercept (~ 1)"
        raise OptionValueError(f"meanstructure=False, but {why}. Leave the option out.")
    return means or bool(options.meanstructure)


def _conditions(
    roles: Roles,
    split: tuple[str, ...],
    options: ModelOptions,
    notes: list[str],
    free_parts: bool,
) -> bool:
    """Whether the moments of a level's covariates are no parameters; if they are against the
    default, why."""
    if not options.fixed_x or not roles.covariates:
        return options.fixed_x
    if roles.named:
        one = len(roles.named) == 1
        notes.append(
            f"The means, variances and covariances of {listed(roles.covariates)} are parameters, "
            f"not conditioned on: {listed(roles.named)} {'is' if one else 'are'} named in '~~' "
            "or '~ 1'."
        )
    return not roles.named and not (free_parts and set(split) & set(roles.covariates))


def _parts(plan: LevelPlan, split: tuple[str, ...]) -> tuple[str, ...]:
    """Fixed covariates that have a part at the other level as well."""
    fixed = plan.roles.plain_covariates if plan.fixed_covariates else ()
    return tuple(name for name in fixed if name in split)


def _free_parts_note(plans: tuple[LevelPlan, ...], split: tuple[str, ...]) -> list[str]:
    """Which parts are modelled because of random slopes."""
    names = [
        name
        for plan in plans
        if plan.options.fixed_x and not plan.roles.named
        for name in plan.roles.covariates
        if name in split
    ]
    return [
        f"The moments of {listed(dict.fromkeys(names))}, with a part at both levels, and of the "
        "covariates of the same level are parameters: the saturated model, at whose estimates "
        "they could be fixed, has no random slopes."
    ] * bool(names)


def _parts_note(parts: Collection[str]) -> list[str]:
    """How covariates enter whose parts are not observed."""
    if not parts:
        return []
    one = len(set(parts)) == 1
    return [
        f"{listed(dict.fromkeys(parts))} {'has' if one else 'have'} a part at both levels, and "
        f"parts are not observed: {'its' if one else 'their'} means, variances and covariances "
        "with the other covariates are fixed at their estimates in the saturated model, as in "
        "lavaan and Mplus. fixed_x=False makes them parameters."
    ]


def _variables(plan: LevelPlan, split: tuple[str, ...]) -> LevelVariables:
    roles = plan.roles
    if not plan.fixed_covariates:
        return LevelVariables(tuple(roles.latent), roles.observed, ())
    parts = _parts(plan, split)
    return LevelVariables(
        tuple(roles.latent),
        roles.indicators + roles.outcomes + roles.loose + parts,
        tuple(name for name in roles.plain_covariates if name not in parts),
        parts,
    )
