"""Parameters that are the same at both levels: `level_equal`.

A factor within clusters and one between clusters are the same thing measured twice if they have the
same indicators and loadings (Jak & Jorgensen, 2017; Mehta & Neale, 2005). Loadings of such factors
that are free at both levels and have no label of the user's share their parameter, group by group.
With `std_lv` the factor within sets the scale: the variance of the one between is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlsem.errors import SpecificationError, listed
from mlsem.model.blocks import BlockKey
from mlsem.model.invariance import numbered
from mlsem.model.options import ModelOptions
from mlsem.model.rows import LevelPlan
from mlsem.model.table import Row

Written = tuple[list[Row], list[str]]
"""Rows, names of parameters."""


def across_levels(
    rows: Sequence[Row],
    names: Sequence[str],
    plans: Sequence[LevelPlan],
    options: ModelOptions,
    text: str,
) -> Written:
    """The rows with what both levels share.

    Raises
    ------
    SpecificationError
        The model has one level, or no factors with the same indicators; or they are scaled by
        different ones.
    """
    if not options.level_equal:
        return list(rows), list(names)
    root: dict[int, int] = {}
    freed: dict[int, float] = {}
    at = {(row.block, row.lhs, row.op, row.rhs): k for k, row in enumerate(rows)}
    by_group: dict[int, dict[int, LevelPlan]] = {}
    for each in plans:
        by_group.setdefault(each.block.group, {})[each.block.level] = each
    found = 0
    for levels in by_group.values():
        if len(levels) < 2:
            raise SpecificationError(
                "level_equal is about two levels, and the model has one.", text
            )
        if len(levels) > 2:
            raise SpecificationError(
                "level_equal is about two levels, and the model has three: write a label before "
                "the loadings that are to be equal ('f =~ y1 + b*y2', at each level).",
                text,
            )
        within, between = levels[1], levels[2]
        for low, high in _same_factors(within, between):
            found += 1
            _tie(rows, at, (within, between), (low, high), root, text)
            place = at.get((between.block, high, "~~", high))
            if place is not None and _is_scaled(rows[place], between):
                freed[place] = between.variance_lower(high)
    if not found:
        raise SpecificationError(
            "level_equal: no factor of level 2 has the same indicators as one of level 1.", text
        )
    if freed and "lv.variances" in options.group_equal:
        raise SpecificationError(
            "level_equal frees the variance between clusters that std_lv fixes, and group_equal "
            "keeps it equal in all groups: scale the factors by an indicator, std_lv=False.",
            text,
        )
    shared = _labelled(list(rows), root)
    return numbered(shared, names, root, freed, plans)


def _same_factors(within: LevelPlan, between: LevelPlan) -> list[tuple[str, str]]:
    """Pairs of factors with the same indicators."""
    lower = {frozenset(items): name for name, items in within.roles.latent.items() if items}
    return [
        (lower[frozenset(items)], name)
        for name, items in between.roles.latent.items()
        if items and frozenset(items) in lower
    ]


def _is_scaled(row: Row, plan: LevelPlan) -> bool:
    return row.free < 0 and not row.user and row.fixed == 1.0 and plan.is_scaled(row.lhs)


def _tie(
    rows: Sequence[Row],
    at: dict[tuple[BlockKey, str, str, str], int],
    plans: tuple[LevelPlan, LevelPlan],
    factors: tuple[str, str],
    root: dict[int, int],
    text: str,
) -> None:
    """Loadings of one pair of factors, so that root leads from that of level 2 to that of 1."""
    within, between = plans
    for item in within.roles.latent[factors[0]]:
        places = [at.get((p.block, f, "=~", item)) for p, f in zip(plans, factors, strict=True)]
        low, high = (None if k is None else rows[k] for k in places)
        if low is None or high is None:
            continue
        if _is_labelled(low, within) or _is_labelled(high, between):
            continue
        if (low.free < 0) != (high.free < 0) or (low.free < 0 and low.fixed != high.fixed):
            raise SpecificationError(
                f"level_equal: the loading of {item!r} is fixed for one of {listed(factors)} and "
                "not, or not at that value, for the other. Scale both by the same indicator, "
                "fixed at the same value.",
                text,
                (low if low.free < 0 else high).span,
            )
        if low.free >= 0:
            one, other = _find(root, low.free), _find(root, high.free)
            if one != other:
                root[max(one, other)] = min(one, other)


def _find(root: dict[int, int], position: int) -> int:
    while position in root:
        position = root[position]
    return position


def _is_labelled(row: Row, plan: LevelPlan) -> bool:
    """By the user: labels that equality across groups gives are of the form .p7., and `equal()`
    gives the name of a parameter."""
    own = f"{row.lhs}{row.op}{row.rhs}{plan.suffix}"
    return not (row.label in ("", own) or (row.label.startswith(".p") and row.label.endswith(".")))


def _labelled(rows: list[Row], root: dict[int, int]) -> list[Row]:
    """Rows that share a parameter with the label of the first of them."""
    together: dict[int, list[int]] = {}
    for k, row in enumerate(rows):
        if row.free >= 0:
            together.setdefault(_find(root, row.free), []).append(k)
    for position, places in together.items():
        if not any(rows[k].free in root for k in places):
            continue
        label = rows[places[0]].label or f".p{places[0] + 1}."
        for k in places:
            rows[k] = replace(rows[k], label=label, free=position)
    return rows
