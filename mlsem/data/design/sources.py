"""Which columns of the data a mixed model's formula is made of, and which of them are factors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlsem.data.design.r_functions import CONSTANTS
from mlsem.syntax.r_language import Call, Symbol, symbols

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlsem.data.design.remade import Recipe
    from mlsem.syntax.r_language import Expression

MAKE_FACTORS = ("factor", "as.factor", "ordered", "as.ordered", "C")  # of the values of a column


@dataclass(frozen=True, slots=True)
class Sources:
    """Columns of the data.

    Attributes
    ----------
    fixed : tuple of str
        Those that fixed effects are made of, in the order of the formula.
    others : tuple of str
        Those that random effects alone are made of.
    plain : frozenset of str
        Those that stand in the formula as they are.
    levels : mapping of str to tuple
        The values of those that are factors, numbers where they are.
    """

    fixed: tuple[str, ...]
    others: tuple[str, ...]
    plain: frozenset[str]
    levels: Mapping[str, tuple[Any, ...]]


def sources_of(recipe: Recipe) -> Sources:
    """Of a formula."""
    formula = recipe.formula
    fixed = _columns(formula.fixed.variables.values())
    random = _columns(each for part in formula.random for each in part.variables.values())
    expressions = dict(formula.fixed.variables)
    for part in formula.random:
        expressions |= part.variables
    levels = {}
    for name, each in recipe.levels.items():
        if (column := _as_it_stands(expressions.get(name))) is not None:
            levels[column] = _numbers(each.before)
    return Sources(
        fixed=fixed,
        others=tuple(name for name in random if name not in fixed),
        plain=frozenset(name for name in expressions if _columns([expressions[name]]) == (name,)),
        levels=levels,
    )


def _as_it_stands(expression: Expression | None) -> str | None:
    """The column whose values are the levels: `g` of `g` and of `factor(g)`, none of `x > 0`."""
    if isinstance(expression, Call) and expression.function in MAKE_FACTORS:
        expression = expression.arguments[0] if expression.arguments else None
    return expression.name if isinstance(expression, Symbol) else None


def _columns(expressions: Iterable[Expression]) -> tuple[str, ...]:
    names = (name for each in expressions for name in symbols(each))
    return tuple(dict.fromkeys(name for name in names if name not in CONSTANTS))


def _numbers(levels: tuple[str, ...]) -> tuple[Any, ...]:
    """Levels that numbers were made of, as numbers."""
    try:
        return tuple(float(level) for level in levels)
    except ValueError:
        return levels
