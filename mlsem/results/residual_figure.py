"""Residuals of both levels as a figure shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.columns import require_column, require_frame
from mlsem.errors import InferenceError, OptionValueError, nearest
from mlsem.report.figures.residuals import Quantiles, Scatter, residuals
from mlsem.report.labels import Labels, read_labels
from mlsem.results.effect_figure import effect_words
from mlsem.results.normality import normal_quantiles, smooth, standardized
from mlsem.results.random_effects import SE, mixed_names, random_effects

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.problem import Problem
    from mlsem.report.figures.style import Figure
    from mlsem.results.result import FitResult

NAMED = 3  # values outside the envelope that are named
APART = 0.4  # standard deviations, between names
NOTHING = 1e-8  # share of a variance that is none


@quiet
def plot_residuals(
    fit: FitResult,
    data: object,
    outcomes: str | Iterable[str] | None,
    level: float,
    labels: object,
    figure: Figure | None,
) -> Figure:
    """See `FitResult.plot_residuals`."""
    require_level(level)
    words, panels = read_labels(labels), []
    if not fit.converged:
        raise InferenceError("the fit did not converge: it has no residuals to judge.")
    if data is not None:
        panels += _of_rows(fit, data, outcomes, level, words)
    if fit.table.two_level:
        panels += _of_clusters(fit, level, words)
    if not panels:
        raise InferenceError(
            "residuals of rows need the rows, which a fit does not keep: pass data=."
            if not fit.table.two_level
            else "no effect varies between clusters: pass data= for the residuals of rows."
        )
    caption = f"grey: where {100 * level:g} % of normal samples lie as a whole"
    return residuals(panels, caption, figure)


def _of_rows(
    fit: FitResult,
    data: object,
    outcomes: str | Iterable[str] | None,
    level: float,
    words: Labels,
) -> list[Scatter | Quantiles]:
    frame, predicted = require_frame(data), fit.predict(require_frame(data))
    names = [str(name) for name in predicted.columns if name in fit.table.observed]
    if outcomes is not None:
        wanted = [outcomes] if isinstance(outcomes, str) else list(outcomes)
        for name in wanted:
            if name not in names:
                raise OptionValueError(
                    f"outcomes names no outcome {name!r}.{nearest(str(name), names)} There are "
                    f"{', '.join(names)}."
                )
        names = wanted
    panels: list[Scatter | Quantiles] = []
    for name in names:
        observed = _observed(fit, frame, name)
        fitted = predicted[name].to_numpy(dtype=np.float64)
        known = np.flatnonzero(np.isfinite(observed) & np.isfinite(fitted))
        if len(known) < 3:
            raise InferenceError(f"{name!r} has fewer than three rows with a residual in the data.")
        values, shown = standardized((observed - fitted)[known]), words.variable(name)
        fitted = fitted[known]
        panels.append(
            Scatter(
                f"{shown}: rows, over fitted",
                fitted.tolist(),
                values.tolist(),
                smooth(fitted, values),
            )
        )
        ids = [str(each) for each in frame.index[known]]
        panels.append(_quantiles(f"{shown}: residuals of rows", values, ids, level))
    return panels


def _observed(fit: FitResult, frame: Any, name: str) -> Array:
    """The outcome in these rows; a mixed model's may be a function of a column."""
    recipe = fit._record.formula
    if recipe is not None and name not in frame.columns:
        frame = recipe.remade(frame, (name,))
    column: Any = require_column(frame, name, "residuals need the outcome")
    return np.asarray(column, dtype=np.float64)


def _of_clusters(fit: FitResult, level: float, words: Labels) -> list[Scatter | Quantiles]:
    """Predictions over the standard deviations that they have: √(prior - posterior variance)
    (Lange & Ryan, 1989, Annals of Statistics 17, 624-642)."""
    found: dict[str, tuple[list[Array], list[str]]] = {}
    for part in fit._estimates.groups:
        for name, values, ids in _standardized_effects(part.estimates):
            title = effect_words(part.estimates.table, name, words)
            own = found.setdefault(title, ([], []))
            own[0].append(values)
            own[1].extend(ids)
    return [
        _quantiles(f"{title}: clusters", np.concatenate(values), ids, level)
        for title, (values, ids) in found.items()
    ]


def _standardized_effects(estimates: Estimates[Problem]) -> list[tuple[str, Array, list[str]]]:
    frame, posterior = random_effects(estimates), estimates.posterior()
    assert posterior is not None
    called = mixed_names(estimates.table, estimates.record.cluster)
    prior = dict(zip(posterior.names, np.diagonal(posterior.prior), strict=True))
    found = []
    for own, variance in prior.items():
        name = called.get(own, own)
        if name not in frame or name + SE not in frame:
            continue
        explained = variance - frame[name + SE].to_numpy() ** 2
        known = explained > NOTHING * variance
        if known.sum() < 3:
            continue
        values = frame[name].to_numpy()[known] / np.sqrt(explained[known])
        found.append((name, standardized(values), [str(each) for each in frame.index[known]]))
    return found


def _quantiles(title: str, values: Array, names: list[str], level: float) -> Quantiles:
    found = normal_quantiles(values, level)
    far: list[int] = []
    for k in sorted(found.outside.tolist(), key=lambda k: -abs(found.values[k])):
        if len(far) < NAMED and all(abs(found.values[k] - found.values[j]) > APART for j in far):
            far.append(k)
    return Quantiles(
        title,
        found.expected.tolist(),
        found.values.tolist(),
        found.lower.tolist(),
        found.upper.tolist(),
        [(k, names[found.order[k]]) for k in far],
    )
