"""The model text of what MODEL says, with what Mplus adds by default and lavaan does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlsem.porting.mplus.model import Parameter, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsem.porting.mplus.model import Model


@dataclass(frozen=True)
class Written:
    """A model text.

    Attributes
    ----------
    lines : tuple of str
    partial : tuple of str
        What groups do not share of what is equal across groups by default.
    added : tuple of str
        Variables that got a variance at a level where the input does not name them.
    """

    lines: tuple[str, ...]
    partial: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def write(model: Model, within: set[str], between: set[str], groups: tuple[str, ...]) -> Written:
    """The text of a model.

    Parameters
    ----------
    within, between : set of str
        Variables of the lists WITHIN and BETWEEN.
    groups : tuple of str
        Their names, in order; empty for one.
    """
    levels = sorted({place.level for place in model.parameters})
    added = _left_out(model, within, between) if levels != [0] else {}
    lines: list[str] = []
    for level in levels:
        if level:
            lines.append(f"level: {level}")
        indent = "  " if level else ""
        told = {place: each for place, each in model.parameters.items() if place.level == level}
        lines += [indent + line for line in _formulas(told, model, groups)]
        lines += [f"{indent}{name} ~~ {name}" for name, other in added.items() if other == level]
    return Written(tuple(lines), _partial(model, groups), tuple(added))


def _left_out(model: Model, within: set[str], between: set[str]) -> dict[str, int]:
    """Variables of neither list that are named at one level alone, with the other one."""
    levels: dict[str, set[int]] = {}
    for place in model.parameters:
        for name in (place.left, place.right):
            if name and name not in model.latent:
                levels.setdefault(name, set()).add(place.level)
    return {
        name: 3 - min(at)
        for name, at in levels.items()
        if len(at) == 1 and name not in within and name not in between
    }


def _formulas(told: dict[Place, Parameter], model: Model, groups: tuple[str, ...]) -> Iterable[str]:
    """Terms of the same left-hand side in one formula; covariances and means one each."""
    of_groups = {
        place: Parameter()
        for each in model.of_groups.values()
        for place in each
        if place.level in {place.level for place in told} and place not in told
    }
    formulas: dict[tuple[str, ...], list[str]] = {}
    for place, parameter in (told | of_groups).items():
        alone = place.operator in ("~~", "~1")
        key = (place.operator, place.left, place.right if alone else "")
        right = "1" if place.operator == "~1" else place.right
        term = _modifiers(place, parameter, model, groups) + right
        formulas.setdefault(key, []).append(term)
    for (operator, left, _), terms in formulas.items():
        yield f"{left} {operator.replace('~1', '~')} {' + '.join(terms)}"


def _modifiers(place: Place, parameter: Parameter, model: Model, groups: tuple[str, ...]) -> str:
    told = [model.of_groups.get(group, {}).get(place) for group in groups]
    if any(each is not None for each in told):
        return _across(place, parameter, told, model)
    if parameter.slope:
        return f'rv("{parameter.slope}")*'
    if parameter.fixed:
        return f"{parameter.fixed}*"
    label = f"{parameter.label}*" if parameter.label else ""
    start = f"start({parameter.start})*" if parameter.start else ""
    freed = "NA*" if parameter.freed and place.operator == "=~" else ""
    return freed + start + label


def _across(place: Place, overall: Parameter, told: list[Parameter | None], model: Model) -> str:
    """`c(…)*` of values and of labels; groups of which nothing is said keep what they share."""
    factor_mean = place.operator == "~1" and place.left in model.latent
    equal = place.operator == "=~" or (place.operator == "~1" and not factor_mean)
    others = overall.label
    if equal and sum(each is None for each in told) > 1:
        others = overall.label or f"same_{place.left}_{place.right or 'mean'}"
    unsaid = [replace(overall, label=others)] * len(told)
    if factor_mean and place not in model.parameters:
        unsaid[0] = Parameter(fixed="0")  # a factor's mean is 0 in the first group, free in others
    all_groups = [own or other for own, other in zip(told, unsaid, strict=True)]
    values = [each.fixed or "NA" for each in all_groups]
    labels = ["NA" if each.fixed else each.label or "NA" for each in all_groups]
    text = ""
    if any(value != "NA" for value in values) or place.operator == "=~":
        text += f"c({', '.join(values)})*"
    if any(label != "NA" for label in labels):
        text += f"c({', '.join(labels)})*"
    return text


def _partial(model: Model, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Loadings and intercepts of which some group says something of its own."""
    if not groups:
        return ()
    names: dict[str, None] = {}
    for told in model.of_groups.values():
        for place in told:
            if place.operator == "=~":
                names[f"{place.left}=~{place.right}"] = None
            elif place.operator == "~1" and place.left not in model.latent:
                level = ".l2" if place.level == 2 else ""
                names[f"{place.left}~1{level}"] = None
    return tuple(names)
