"""The coefficients of the four models by covariate and by what they are effects of.

With β_w the effect of x within clusters and β_b that of their means,

    fixed        β_w
    random       β, a mixture of β_w and β_b (`both`)
    contextual   β_w, and β_b - β_w of the mean (`contextual`)
    hybrid       β_w, and β_b of the mean
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from mlsem.data.design.columns import INTERCEPT
from mlsem.results.tables import BROOM

if TYPE_CHECKING:
    from mlsem.data.design.within_between import Covariate
    from mlsem.results.tested import Tested

Effect = Literal["", "within", "both", "between", "contextual"]
Key = tuple[str, Effect]  # covariate, and what it is an effect of
Line = Mapping[str, Any]
EFFECTS: tuple[Effect, ...] = ("", "within", "both", "between", "contextual")
VALUES = tuple(BROOM.values())


def _fixed(each: Covariate) -> Iterator[tuple[Effect, str]]:
    if each.varies and each.within is not None:
        yield "within", each.column


def _random(each: Covariate) -> Iterator[tuple[Effect, str]]:
    if not each.varies:
        yield "between", each.column
    elif each.split and each.between is None and each.within is not None:
        yield "within", each.column
    else:
        yield "both", each.column


def _contextual(each: Covariate) -> Iterator[tuple[Effect, str]]:
    if not each.split:
        yield from _random(each)
        return
    if each.within is not None:
        yield "within", each.column
    if each.between is not None:
        yield "between" if each.within is None else "contextual", each.between


def _hybrid(each: Covariate) -> Iterator[tuple[Effect, str]]:
    if not each.split:
        yield from _random(each)
        return
    if each.within is not None:
        yield "within", each.within
    if each.between is not None:
        yield "between", each.between


COLUMNS: dict[str, Callable[[Covariate], Iterator[tuple[Effect, str]]]] = {
    "fixed": _fixed,
    "random": _random,
    "contextual": _contextual,
    "hybrid": _hybrid,
}
"""Of each model, what the effects of a covariate are, and in which columns of the data."""

MODELS = tuple(COLUMNS)


def lines_of(
    fits: Mapping[str, Tested], covariates: tuple[Covariate, ...], level: float
) -> dict[str, dict[Key, Line]]:
    """The estimates of each model with their tests and intervals."""
    return {
        model: {
            (name, effect): values[column]
            for name, effect, column in _entries(model, covariates)
            if column in values
        }
        for model, values in ((name, _values(fit, level)) for name, fit in fits.items())
    }


def _entries(model: str, covariates: tuple[Covariate, ...]) -> Iterator[tuple[str, Effect, str]]:
    yield INTERCEPT, "", INTERCEPT
    for each in covariates:
        for effect, column in COLUMNS[model](each):
            yield each.name, effect, column


def _values(fit: Tested, level: float) -> dict[str, Line]:
    """Of each parameter by its name."""
    found = fit._wald(level)
    columns = (found.est, found.se, found.stat, found.df, found.pvalue, found.lower, found.upper)
    rows = zip(*columns, strict=True)
    return {
        name: dict(zip(VALUES, map(float, row), strict=True))
        for name, row in zip(fit.table.names, rows, strict=True)
    }


def ordered(
    lines: Mapping[str, Mapping[Key, Line]], covariates: tuple[Covariate, ...]
) -> list[Key]:
    """All that some model has, by covariate."""
    there = {key for model in lines.values() for key in model}
    names = (INTERCEPT, *(each.name for each in covariates))
    return [(name, effect) for name in names for effect in EFFECTS if (name, effect) in there]
