"""Random effects as a figure shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.errors import InferenceError, OptionValueError, nearest
from mlsem.report.figures.effects import EffectPanel, caterpillar
from mlsem.report.labels import Labels, read_labels
from mlsem.results.random_effects import INTERCEPT, SE, random_effects

if TYPE_CHECKING:
    from mlsem.estimation.estimates import GroupEstimates
    from mlsem.model.table import ParameterTable
    from mlsem.report.figures.style import Figure
    from mlsem.results.result import FitResult


@quiet
def plot_random_effects(
    fit: FitResult,
    effects: str | Iterable[str] | None,
    level: float,
    group: object,
    labels: object,
    figure: Figure | None,
) -> Figure:
    """See `FitResult.plot_random_effects`."""
    require_level(level)
    words, parts = read_labels(labels), fit._estimates.groups
    if group is not None:
        parts = (parts[fit.table.group_number(group) - 1],)
    every = list(_effects(parts))
    names = list(dict.fromkeys(name for _, name, *_ in every))
    wanted = names if effects is None else _chosen(names, effects)
    width = float(ndtri(0.5 + 0.5 * level))
    panels = []
    for part, name, clusters, values, se in every:
        if name in wanted:
            title = effect_words(part.estimates.table, name, words)
            panels.append(
                EffectPanel(
                    title if part.label is None else f"{part.label}: {title}",
                    clusters,
                    values.tolist(),
                    (values - width * se).tolist(),
                    (values + width * se).tolist(),
                )
            )
    axis = f"posterior mean ± {width:.2f} SD ({100 * level:g} %); blue dots: it excludes 0"
    return caterpillar(panels, words.variable(str(fit._record.cluster)), axis, figure)


def _effects(
    parts: tuple[GroupEstimates, ...],
) -> Iterator[tuple[GroupEstimates, str, list[str], np.ndarray, np.ndarray]]:
    """Group, name, clusters, predictions and their standard errors of each effect."""
    found, reason = False, None
    for part in parts:
        try:
            frame = random_effects(part.estimates)
        except InferenceError as error:
            reason = error
            continue
        clusters = [str(label) for label in frame.index]
        for name in map(str, frame.columns):
            if name + SE in frame:
                found = True
                yield part, name, clusters, frame[name].to_numpy(), frame[name + SE].to_numpy()
    if not found:
        raise reason or InferenceError("no effect varies between clusters in this model.")


def _chosen(names: list[str], effects: str | Iterable[str]) -> list[str]:
    wanted = [effects] if isinstance(effects, str) else list(effects)
    for name in wanted:
        if name not in names:
            raise OptionValueError(
                f"effects names no random effect {name!r}.{nearest(str(name), names)} There "
                f"are {', '.join(names)}."
            )
    if not wanted:
        raise OptionValueError("effects is empty; leave it out for all of them.")
    return wanted


def effect_words(table: ParameterTable, name: str, words: Labels) -> str:
    """`intercept of Achievement`, `slope of Reading`; of a latent variable its name."""
    for slope in table.slopes:
        if name in (slope.name, slope.carrier):
            called = "" if name == slope.carrier else f" ({name})"
            return f"slope of {words.variable(slope.carrier)}{called}"
    if name == INTERCEPT or name in table.split:
        outcome = table.split[0] if name == INTERCEPT else name
        return f"intercept of {words.variable(outcome)}"
    return words.variable(name)
