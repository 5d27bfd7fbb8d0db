"""Random slopes: paths of level 1 that vary between clusters, `y ~ rv("s")*x1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.errors import SpecificationError
from mlsem.model.elements import RandomSlope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mlsem.errors import Span
    from mlsem.model.products import Products
    from mlsem.model.roles import Roles
    from mlsem.model.rows import LevelPlan
    from mlsem.syntax.nodes import Formula, ModelSyntax


def read_slopes(syntax: ModelSyntax, products: Products) -> tuple[RandomSlope, ...]:
    """The random slopes that a text names, in its order.

    Raises
    ------
    SpecificationError
        One stands where no slope can be random, has other modifiers, or the name of another.
    """
    slopes: dict[str, RandomSlope] = {}
    for number, formula in _formulas(syntax):
        name = formula.modifiers.slope
        problem = _misplaced(formula, number, len(syntax.blocks)) or _overloaded(formula)
        if problem:
            raise SpecificationError(problem, syntax.text, formula.span)
        assert name is not None
        assert formula.rhs is not None
        carrier = products.name(formula.rhs, number)
        if name in slopes:
            other = slopes[name]
            raise SpecificationError(
                f"{name!r} already names the random slope of {other.outcome!r} on "
                f"{other.carrier!r}. Each slope has a name of its own.",
                syntax.text,
                formula.span,
            )
        slopes[name] = RandomSlope(name, formula.lhs.name, carrier, formula.span)
    return tuple(slopes.values())


def _formulas(syntax: ModelSyntax) -> Iterator[tuple[int, Formula]]:
    for number, block in enumerate(syntax.blocks, start=1):
        for formula in block.formulas:
            if formula.modifiers.slope is not None:
                yield number, formula


def _misplaced(formula: Formula, level: int, levels: int) -> str:
    """Why a slope here cannot be random; empty if it can."""
    what = f"rv({formula.modifiers.slope!r})"
    if formula.op == "=~":
        return f"{what}: a loading cannot be random, only the slope of a regression ('~')."
    if formula.op == "~1":
        return (
            f"{what}: an intercept is random by itself: name {formula.lhs.name!r} at both levels, "
            f"and its variance at level 2 ('{formula.lhs.name} ~~ {formula.lhs.name}') is that of "
            "the intercepts."
        )
    if formula.op == "~~":
        return f"{what}: a covariance cannot be random, only the slope of a regression ('~')."
    if levels > 2:
        return (
            f"{what}: with three levels intercepts are random, slopes are not. Leave rv() out, or "
            'take one of the levels out: two levels, and se_cluster="…" for standard errors that '
            "are robust to what the third one does; mlsem.lmm has random slopes in three levels, "
            "for one outcome."
        )
    if levels == 1:
        return (
            f"{what}: a random slope varies between clusters, so the model needs two levels: "
            "write this under 'level: 1', and what explains the clusters under 'level: 2'."
        )
    if level == 2:
        return (
            f"{what}: a slope at level 2 has nothing to vary over; random slopes are those of "
            "level-1 regressions. Write it in the level-1 block."
        )
    return ""


def _overloaded(formula: Formula) -> str:
    """What else is written before a random slope."""
    modifiers, name = formula.modifiers, formula.modifiers.slope
    values = {
        "a label": modifiers.label,
        "a fixed value": modifiers.fixed,
        "NA": modifiers.free or None,
        "a starting value": modifiers.start,
        "a bound": modifiers.lower if modifiers.lower is not None else modifiers.upper,
    }
    given = [what for what, value in values.items() if value is not None]
    if not given:
        return ""
    return (
        f"{given[0]} beside rv({name!r}): a random slope is no parameter but a variable of level "
        f"2. Its mean is the parameter '{name} ~ 1' there, its variance '{name} ~~ {name}': "
        "write modifiers to those."
    )


def check_slopes(
    slopes: Sequence[RandomSlope],
    levels: Sequence[Roles],
    columns: Collection[str] | None,
    text: str,
) -> None:
    """Refuse names that are taken, carriers and outcomes that cannot have a random slope."""
    names = {slope.name for slope in slopes}
    for slope in slopes:
        problem, span = _taken(slope, levels, columns, names)
        problem = problem or _carrier(slope, levels) or _outcome(slope, levels[0])
        if problem:
            raise SpecificationError(problem, text, span or slope.span)


def _taken(
    slope: RandomSlope,
    levels: Sequence[Roles],
    columns: Collection[str] | None,
    names: Collection[str],
) -> tuple[str, Span | None]:
    name, (within, between) = slope.name, levels
    if columns is not None and name in columns:
        what = "is a column of the data, so it cannot name a random slope. Choose another name."
        return f"{name!r} {what}", None
    if name in within.where:
        return (
            f"{name!r} is the random slope of {slope.outcome!r} on {slope.carrier!r}: a variable "
            "of level 2, which cannot stand at level 1.",
            within.where[name],
        )
    for row in between.written:
        if row.op == "=~" and row.lhs == name:
            what = "is a random slope, so it cannot have indicators. Choose another name for one."
            return f"{name!r} {what}", row.span
        if name in row.rhs.split(":") and row.rhs not in names:
            return (
                f"{name!r} in {row.rhs} is a random slope: a product needs columns of the data.",
                row.span,
            )
    return "", None


def _carrier(slope: RandomSlope, levels: Sequence[Roles]) -> str:
    name, (within, between) = slope.carrier, levels
    what = f"the slope of {name!r} cannot be random"
    if name in within.latent:
        return (
            f"{what}: {name!r} is a latent variable, and the likelihood of its product with a "
            "random slope has no closed form. Only observed covariates carry random slopes."
        )
    if name in between.where:
        return (
            f"{what}: {name!r} is at both levels, so its within part is not observed. Name it at "
            "level 1 only, and for level 2 use its cluster means (mlsem.cluster_means); with "
            f'center={{"{name}": "cluster"}} the slope is that of the deviations from them.'
        )
    if name not in within.covariates:
        return (
            f"{what}: {name!r} is explained by the model at level 1. Only covariates that are on "
            "the right of '~' alone carry random slopes."
        )
    return ""


def _outcome(slope: RandomSlope, within: Roles) -> str:
    name = slope.outcome
    if name in within.latent:
        return (
            f"{name!r} is a latent variable: random slopes act on observed outcomes. Write the "
            f"slope without rv(), or with it in the regressions of the indicators of {name!r}."
        )
    effects = [row.lhs for row in within.written if row.op == "~" and row.rhs == name]
    if effects:
        return (
            f"{name!r} has a random slope and predicts {effects[0]!r} at level 1, so the slope "
            f"would act on {effects[0]!r} as well, times the path between them: that is not "
            f"fitted. Take away rv(), or '{effects[0]} ~ {name}'."
        )
    return ""


def check_conditioned(slopes: Sequence[RandomSlope], plan: LevelPlan, text: str) -> None:
    """Carriers have to be fixed covariates: given them the data are normal, else they are not."""
    if not slopes or plan.fixed_covariates:
        return
    slope, roles = slopes[0], plan.roles
    if not plan.options.fixed_x:
        why = "fixed_x=False gives it a distribution: leave that option out"
    elif roles.named:
        why = f"{roles.named[0]!r} is named in '~~' or '~ 1': take those formulas out"
    else:
        parts = [name for name in roles.covariates if name in plan.split]
        why = (
            f"{parts[0]!r} has a part at both levels and takes the covariates of level 1 with it: "
            f"name {parts[0]!r} at level 1 only, and its cluster means at level 2"
        )
    raise SpecificationError(
        f"the slope of {slope.carrier!r} cannot be random unless {slope.carrier!r} is conditioned "
        f"on, but {why}.",
        text,
        slope.span,
    )


def slope_notes(slopes: Sequence[RandomSlope], between: Roles, split: Collection[str]) -> list[str]:
    """lavaan leaves the covariance of slope and intercept out, users of lme4 expect it."""
    related = {frozenset((row.lhs, row.rhs)) for row in between.written if row.op != "~1"}
    return [
        f"The random slope {slope.name!r} and the random intercept of {slope.outcome!r} do not "
        f"covary in this model, as in lavaan. To let them write '{slope.outcome} ~~ {slope.name}' "
        "at level 2."
        for slope in slopes
        if slope.outcome in split and frozenset((slope.name, slope.outcome)) not in related
    ]
