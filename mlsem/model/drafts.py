"""The model of one group from its text to its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlsem.errors import OptionValueError, listed
from mlsem.model.blocks import BlockKey, block_keys, name_suffix
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
from mlsem.model.elements import LevelVariables, ProductTerm, RandomSlope
from mlsem.model.equal import equated
from mlsem.model.labels import read_labels
from mlsem.model.products import Products
from mlsem.model.relations import Relations, relate
from mlsem.model.roles import Roles, read_roles
from mlsem.model.rows import LevelPlan, TableWriter, write_level
from mlsem.model.slopes import check_conditioned, check_slopes, read_slopes, slope_notes
from mlsem.model.table import ParameterTable

if TYPE_CHECKING:
    from mlsem.model.options import ModelOptions
    from mlsem.syntax.nodes import ModelSyntax


@dataclass(frozen=True, slots=True)
class Draft:
    """What a group's text says, before the defaults.

    Attributes
    ----------
    syntax : ModelSyntax
        Of this group alone.
    keys : tuple of BlockKey
        Its blocks, one for each level.
    products : Products
    slopes : tuple of RandomSlope
    levels : tuple of Roles
        The variables of each level.
    """

    syntax: ModelSyntax
    keys: tuple[BlockKey, ...]
    products: Products
    slopes: tuple[RandomSlope, ...]
    levels: tuple[Roles, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the levels; empty in a single-level model."""
        return tuple(block.level or "" for block in self.syntax.blocks if len(self.keys) > 1)

    @property
    def suffixes(self) -> list[str]:
        """What names of parameters end in, level by level."""
        return [name_suffix(key, self.labels) for key in self.keys]


@dataclass(frozen=True, slots=True)
class Group:
    """All that decides the rows of a group, and what a user should be told of them.

    Attributes
    ----------
    plans : tuple of LevelPlan
        One for each level.
    terms : tuple of ProductTerm
    slopes : tuple of RandomSlope
    split : tuple of str
        Observed variables of level 1 that have a part above.
    notes : list of str
    remarks : tuple of str
    """

    plans: tuple[LevelPlan, ...]
    terms: tuple[ProductTerm, ...]
    slopes: tuple[RandomSlope, ...]
    split: tuple[str, ...]
    notes: list[str]
    remarks: tuple[str, ...]

    @property
    def variables(self) -> tuple[LevelVariables, ...]:
        """Those of each level."""
        return tuple(_variables(plan, self.split) for plan in self.plans)


def read_draft(syntax: ModelSyntax, number: int, products: Products) -> Draft:
    """The variables of each level of one group by what they do there."""
    check_blocks(syntax)
    slopes = read_slopes(syntax, products)
    keys = tuple(BlockKey(number, level) for _, level in block_keys(len(syntax.blocks)))
    names = tuple(slope.name for slope in slopes)
    levels = tuple(
        read_roles(block, key.level, products, () if key.is_lowest else names)
        for key, block in zip(keys, syntax.blocks, strict=True)
    )
    return Draft(syntax, keys, products, slopes, levels)


def equate(drafts: list[Draft]) -> list[Draft]:
    """The drafts with a label in place of each `equal()`, which may name a parameter of another
    group."""
    levels = tuple(roles for draft in drafts for roles in draft.levels)
    suffixes = [suffix for draft in drafts for suffix in draft.suffixes]
    settled = iter(equated(levels, suffixes, drafts[0].syntax.text))
    return [replace(draft, levels=tuple(next(settled) for _ in draft.levels)) for draft in drafts]


def plan(
    draft: Draft,
    options: ModelOptions,
    columns: Collection[str] | None,
    used: Collection[str],
    population: bool,
) -> Group:
    """The plans of one group; `used` are names in calculations."""
    syntax, levels, slopes = draft.syntax, draft.levels, draft.slopes
    text = syntax.text
    for roles in levels:
        check_roles(roles, text)
    check_slopes(slopes, levels, columns, text)
    check_levels(levels, text)
    latent = {name for roles in levels for name in roles.latent}
    terms = draft.products.terms(latent, tuple(roles.observed for roles in levels))
    shared = _shared(levels)
    split = tuple(name for name in levels[0].observed if name in shared)
    notes = draft.products.notes
    remarks = syntax.remarks
    if columns is not None:
        check_columns(levels, terms, latent, columns, text)
        notes += column_notes(latent, columns)
        remarks += label_remarks(levels, columns, used, text)
    if len(levels) > 1:
        notes += level_notes(levels, syntax, shared)
    # the saturated model has no random slopes, and that of three levels is fitted for tests alone
    unknown = bool(slopes) or len(levels) > 2
    plans = _plans(draft, shared, options, notes, population or unknown)
    if unknown and not population:
        notes += _free_parts_note(plans, shared)
    check_conditioned(slopes, plans[0], text)
    notes += slope_notes(slopes, draft.levels[-1], split)
    return Group(plans, terms, slopes, split, notes, remarks)


def with_means(groups: tuple[Group, ...], options: ModelOptions) -> tuple[Group, ...]:
    """The same with means in all of them, or in none.

    Raises
    ------
    OptionValueError
        `meanstructure=False` where the model has means.
    """
    plans = [each for group in groups for each in group.plans]
    levels = len(groups[0].plans)
    means = levels > 1 or any(row.op == "~1" for each in plans for row in each.roles.written)
    asked = [name for name in options.group_equal if name in ("intercepts", "means")]
    if options.meanstructure is False and (means or asked):
        why = "a model with levels always has means"
        if levels == 1:
            why = "the model has an intercept (~ 1)"
        if not means:
            why = f"group_equal={asked!r} is about them"
        raise OptionValueError(f"meanstructure=False, but {why}. Leave the option out.")
    by_default = options.meanstructure is None and len(groups) > 1
    if not (means or asked or options.meanstructure or by_default):
        return groups
    return tuple(
        replace(group, plans=tuple(replace(each, meanstructure=True) for each in group.plans))
        for group in groups
    )


def write(syntax: ModelSyntax, groups: tuple[Group, ...]) -> tuple[TableWriter, Relations]:
    """The rows of all groups, and what the text says of their labels."""
    plans = [each for group in groups for each in group.plans]
    values = [[each.written_value(row) for row in each.roles.written] for each in plans]
    fixed_of = iter(values)
    for group in groups:
        for each in group.plans:
            group.notes.extend(plan_notes(each, next(fixed_of)))
    labels = read_labels(
        [
            pair
            for each, fixed in zip(plans, values, strict=True)
            for pair in zip(each.roles.written, fixed, strict=True)
        ],
        syntax.text,
    )
    relations = relate(syntax, labels, {name for each in plans for name in each.roles.where})
    for each in plans if plans[0].options.bounds else ():
        for row in each.roles.written:
            if row.modifiers.label in labels.free and row.op == "~~" and row.lhs == row.rhs:
                labels.raise_lower(row.modifiers.label, each.variance_lower(row.lhs))
    writer = TableWriter(syntax.text, labels)
    for each, fixed in zip(plans, values, strict=True):
        write_level(each, fixed, writer)
    return writer, relations


def table_of(
    group: Group, labels: tuple[str, ...], writer: TableWriter, relations: Relations
) -> ParameterTable:
    """Of one group."""
    return ParameterTable(
        rows=tuple(writer.rows),
        names=tuple(writer.names),
        levels=group.variables,
        level_labels=labels,
        split=group.split,
        products=group.terms,
        definitions=relations.definitions,
        constraints=relations.constraints,
        meanstructure=group.plans[0].meanstructure,
        notes=tuple(dict.fromkeys(group.notes)),
        remarks=group.remarks,
        slopes=group.slopes,
        bounds=group.plans[0].options.data_bounds,
    )


def _shared(levels: tuple[Roles, ...]) -> tuple[str, ...]:
    """Observed variables that are at more than one level."""
    names = [name for roles in levels for name in dict.fromkeys(roles.observed)]
    return tuple(name for name, count in Counter(names).items() if count > 1)


def _plans(
    draft: Draft,
    shared: tuple[str, ...],
    options: ModelOptions,
    notes: list[str],
    free_parts: bool,
) -> tuple[LevelPlan, ...]:
    plans = tuple(
        LevelPlan(
            block=key,
            suffix=suffix,
            roles=roles,
            split=frozenset(name for roles in draft.levels[key.level :] for name in roles.observed)
            & frozenset(shared),
            fixed_covariates=_conditions(roles, shared, options, notes, free_parts),
            options=options,
            meanstructure=False,
        )
        for key, suffix, roles in zip(draft.keys, draft.suffixes, draft.levels, strict=True)
    )
    notes += _parts_note([part for each in plans for part in _parts(each, shared)])
    return plans


def _conditions(
    roles: Roles,
    shared: tuple[str, ...],
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
    return not roles.named and not (free_parts and set(shared) & set(roles.covariates))


def _parts(plan: LevelPlan, shared: tuple[str, ...]) -> tuple[str, ...]:
    """Fixed covariates that have a part at the other level as well."""
    fixed = plan.roles.plain_covariates if plan.fixed_covariates else ()
    return tuple(name for name in fixed if name in shared)


def _free_parts_note(plans: tuple[LevelPlan, ...], shared: tuple[str, ...]) -> list[str]:
    """Which parts are modelled because of random slopes, or of three levels."""
    names = [
        name
        for plan in plans
        if plan.options.fixed_x and not plan.roles.named
        for name in plan.roles.covariates
        if name in shared
    ]
    if not names:
        return []
    where, why = "both levels", "the saturated model, at whose estimates they could be fixed, "
    why += "has no random slopes."
    if len(plans) > 2:
        where, why = "several levels", "parts are not observed."
    return [
        f"The moments of {listed(dict.fromkeys(names))}, with a part at {where}, and of the "
        f"covariates of the same level are parameters: {why}"
    ]


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
