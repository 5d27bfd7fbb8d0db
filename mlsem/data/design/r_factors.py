"""Functions of R that make factors and change their levels or their coding."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.design.r_values import (
    Factor,
    Levels,
    Refused,
    factor_of,
    flag,
    learned,
    level_text,
    numbers,
    texts,
    vector,
    with_levels,
)

if TYPE_CHECKING:
    from mlsem.data.design.r_values import Value

MANY = 10_000
"""Combinations of levels up to which a factor may have them."""


@learned
def factor(x: Value, levels: Value = None, labels: Value = None, ordered: Value = False) -> Levels:
    """A factor: its levels sorted, or those given; renamed by `labels`."""
    return _levels(x, levels, labels, "poly" if flag(ordered, "ordered") else "treatment")


def _levels(x: Value, levels: Value, labels: Value, contrast: str) -> Levels:
    coded = factor_of(x)
    if levels is not None:
        coded = with_levels(coded, [str(each) for each in np.atleast_1d(texts(levels))])
    else:
        coded = dropped(coded)
    names = coded.levels if labels is None else tuple(np.atleast_1d(texts(labels)).tolist())
    if len(names) != len(coded.levels) or len(set(names)) < len(names):
        raise Refused("labels has one name for each level")
    return Levels(coded.levels, names, contrast, closed=levels is None)


@learned
def ordered(x: Value, levels: Value = None, labels: Value = None) -> Levels:
    """A factor whose levels are ordered."""
    return _levels(x, levels, labels, "poly")


@learned
def droplevels(x: Value) -> Levels:
    """A factor less the levels that no value has."""
    return Levels.of(dropped(factor_of(x)))


def dropped(coded: Factor) -> Factor:
    """Less the levels that no value has."""
    used = np.unique(coded.codes[coded.codes >= 0])
    places = np.full(len(coded.levels) + 1, -1, dtype=np.intp)
    places[used] = np.arange(len(used))
    levels = tuple(coded.levels[place] for place in used)
    return Factor(places[coded.codes], levels, coded.contrast)


@learned
def relevel(x: Value, ref: Value) -> Levels:
    """The factor with this level first."""
    coded, first = factor_of(x), level_text(ref) if not isinstance(ref, str) else ref
    if first not in coded.levels:
        raise Refused(f"ref = {first!r} is not among its levels")
    levels = (first, *(each for each in coded.levels if each != first))
    return Levels(levels, levels, "treatment")


def cut(
    x: Value,
    breaks: Value,
    labels: Value = None,
    include_lowest: Value = False,
    right: Value = True,
) -> Value:
    """Intervals between breaks (an array of them), the right end in each; others are missing."""
    values, edges = vector(x), np.unique(np.atleast_1d(numbers(breaks)))
    if len(edges) < 2 or np.isnan(edges).any():
        raise Refused("breaks are two or more numbers, such as c(0, 5, 10)")
    closed, outer = flag(right, "right"), flag(include_lowest, "include.lowest")
    codes = np.searchsorted(edges, values, side="left" if closed else "right") - 1
    if outer:
        codes[values == (edges[0] if closed else edges[-1])] = 0 if closed else len(edges) - 2
    codes[np.isnan(values) | (codes > len(edges) - 2)] = -1
    return Factor(np.maximum(codes, -1), _intervals(edges, labels, closed, outer))


def _intervals(edges: Any, labels: Value, right: bool, outer: bool) -> tuple[str, ...]:
    count = len(edges) - 1
    if labels is False:
        raise Refused("labels = FALSE gives numbers: as.numeric(cut(...))")
    if labels is not None:
        names = tuple(np.atleast_1d(texts(labels)).tolist())
        if len(names) != count or len(set(names)) < count:
            raise Refused(f"labels are {count} different texts, one for each interval")
        return names
    tries = ([f"{edge:.{digits}g}" for edge in edges.tolist()] for digits in range(3, 18))
    shown = next(each for each in tries if len(set(each)) == len(each))
    opened, closed = ("(", "]") if right else ("[", ")")
    names = [f"{opened}{a},{b}{closed}" for a, b in pairwise(shown)]
    if outer and right:
        names[0] = f"[{names[0][1:]}"
    if outer and not right:
        names[-1] = f"{names[-1][:-1]}]"
    return tuple(names)


def interaction(first: Value, second: Value) -> Value:
    """Each combination of the levels of two factors."""
    one, two = factor_of(first), factor_of(second)
    if len(one.levels) * len(two.levels) > MANY:
        raise Refused("these are too many combinations")
    codes = np.where((one.codes < 0) | (two.codes < 0), -1, one.codes + len(one.levels) * two.codes)
    levels = tuple(f"{a}.{b}" for b in two.levels for a in one.levels)
    return Factor(codes, levels)


CONTRASTS = ("treatment", "sum", "helmert", "poly")


def contrasts(x: Value, contr: Value = None) -> Value:
    """`C(f, sum)`: a factor with this coding."""
    coded = factor_of(x)
    if contr is None:
        return coded
    name = contr.removeprefix("contr.") if isinstance(contr, str) else ""
    if name not in CONTRASTS:
        raise Refused("a coding is one of " + ", ".join(f"contr.{each}" for each in CONTRASTS))
    return Factor(coded.codes, coded.levels, name)
