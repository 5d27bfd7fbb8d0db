"""Marginal means, slopes and contrasts of a fit: arguments read, averages taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast, get_args

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.design.grid import Level, ReferenceGrid
from mlsem.errors import InferenceError, OptionValueError, listed
from mlsem.inference.pooling.reference import PooledReference
from mlsem.results.mixed.choices import require_choice
from mlsem.results.mixed.grid import Weights, averages, known, over_data
from mlsem.results.mixed.means import Contrasts, Functions, MarginalMeans, label_of
from mlsem.results.mixed.multiplicity import Adjust
from mlsem.results.mixed.settings import EXAMPLE, names_of, read_contrast, values_at

if TYPE_CHECKING:
    from mlsem.data.design.remade import Recipe
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.model.table import ParameterTable

METHODS = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward and Roger"}


class Mixed(Protocol):
    """A mixed model's fit, or several as one."""

    @property
    def covariance(self) -> Covariance: ...
    @property
    def _estimates(self) -> Any: ...
    @property
    def table(self) -> ParameterTable: ...
    @property
    def se_kind(self) -> str: ...
    @property
    def _recipes(self) -> tuple[Recipe, ...]:
        """Of each data set."""
        ...


@quiet
def marginal(
    fit: Mixed,
    variables: object,
    by: object,
    at: object,
    weights: object,
    *,
    level: float,
    slope: object = None,
) -> MarginalMeans:
    """See `MixedResult.marginal_means` and `marginal_slopes`."""
    _require(fit, weights, level)
    recipes = fit._recipes
    grid = recipes[0].grid
    within = names_of(by, grid, "by")
    keys = names_of(variables, grid, "variables")
    keys = (*(name for name in keys if name not in within), *within)
    values = values_at(at, grid)
    outcome = fit.table.split[0]
    if slope is None:
        what = outcome
        if not keys:
            has = f"name one of {listed(grid.names, 20)}" if grid.names else "there are no such"
            raise OptionValueError(
                f"variables is empty: {has} columns of the data that the fixed effects are made of."
            )
    else:
        (slope,) = names_of([slope], grid, "slope")
        if grid.predictor(slope).kind != "number":
            raise OptionValueError(f"slope: {slope!r} is no column of numbers.")
        what = f"{outcome} by {slope}"
    how: Any = keys, values, weights, slope
    found = over_data([averages(each, *how) for each in recipes])
    held = _held([each.grid for each in recipes], keys, values, cast("Weights", weights))
    if held and fit._estimates.weighted:
        held = f"{held} {OF_ROWS}"
    return MarginalMeans(
        what=what,
        keys=found.keys,
        by=within,
        level=level,
        held=held,
        method=_method(fit),
        slope=slope is not None,
        _functions=_functions(fit),
        _averages=found,
    )


@quiet
def contrasts(
    fit: Mixed,
    what: object,
    versus: object,
    at: object,
    weights: object,
    *,
    adjust: object,
    level: float,
) -> Contrasts:
    """See `MixedResult.contrast`."""
    _require(fit, weights, level)
    choices = tuple(each for each in get_args(Adjust) if each != "tukey")
    require_choice("adjust", adjust, choices, none=True)
    recipes = fit._recipes
    grid = recipes[0].grid
    asked = _asked(what, versus, grid)
    base = values_at(at, grid)
    rows, away = [], []
    for _, first, second in asked:
        sides = []
        for setting in (first, second):
            how: Any = (), {**base, **values_at(setting, grid, "contrast")}, weights
            sides.append(over_data([averages(each, *how) for each in recipes]))
        (here,), (there,) = (side.weights for side in sides)
        rows.append(here - there)
        (here,), (there,) = (side.away for side in sides)
        away.append(here - there)
    return Contrasts(
        what=fit.table.split[0],
        labels=tuple(label for label, _, _ in asked),
        by={},
        adjust=cast("Adjust | None", adjust),
        level=level,
        families=(0,) * len(asked),
        means=(len(asked),),
        method=_method(fit),
        _functions=_functions(fit),
        _weights=known(np.array(rows), np.array(away)),
    )


def _asked(
    what: object, versus: object, grid: ReferenceGrid
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Labels and the two settings of each contrast."""
    if isinstance(what, Mapping):
        if not isinstance(versus, Mapping):
            raise OptionValueError(
                'contrast: a mapping is compared with a second one: contrast({"x": 1}, {"x": 0}).'
            )
        first, second = dict(what), dict(versus)
        label = " - ".join(_written(each, grid) for each in (first, second))
        return [(label, first, second)]
    if versus is not None:
        raise OptionValueError(
            'contrast: a text has both sides, "x = 1 - x = 0". Leave the second argument out.'
        )
    texts = [what] if isinstance(what, str) else list(what) if isinstance(what, Iterable) else []
    if not texts or not all(isinstance(each, str) for each in texts):
        raise OptionValueError(f"contrast: it takes texts, {EXAMPLE}.")
    return [(" ".join(each.split()), *read_contrast(each, grid)) for each in texts]


def _written(setting: dict[str, Any], grid: ReferenceGrid) -> str:
    values = values_at(setting, grid, "contrast")
    return ", ".join(
        f"{name} = {' | '.join(label_of(each) for each in several)}"
        for name, several in values.items()
    )


def _require(fit: Mixed, weights: object, level: object) -> None:
    require_level(level)
    require_choice("weights", weights, get_args(Weights), none=False)
    if not fit._estimates.converged:
        raise InferenceError("the fit did not converge: its estimates say nothing of means.")


def _functions(fit: Mixed) -> Functions:
    count = len(fit._recipes[0].fixed)
    return Functions(fit._estimates.params[:count], fit.covariance)


def _method(fit: Mixed) -> str:
    reference = fit.covariance.reference
    if isinstance(reference, PooledReference):
        return f"pooled ({reference.df_kind}), of {fit.se_kind}"
    if (method := getattr(fit, "df_method", None)) is not None:
        return METHODS[method]
    if reference is not None:
        return f"Satterthwaite, of {fit.se_kind}"
    return f"none, normal distribution ({fit.se_kind})"


OF_ROWS = "Means and counts of the data are those of the rows, without sampling weights."


def _held(
    grids: Sequence[ReferenceGrid],
    keys: tuple[str, ...],
    at: Mapping[str, list[Level]],
    weights: Weights,
) -> str:
    """What the other columns are held at."""
    parts, over = [], []
    for each in grids[0].predictors:
        values = list(at.get(each.name, each.values))
        if each.name in keys:
            continue
        if len(values) > 1:
            over.append(each.name)
        elif each.name not in at and any(
            grid.predictor(each.name).values != each.values for grid in grids
        ):
            parts.append(f"{each.name} at its mean in each data set")
        else:
            mean = "its mean " if each.name not in at and not each.levels else ""
            parts.append(f"{each.name} at {mean}{label_of(values[0])}")
    sentences = []
    if over:
        how = "equal weights" if weights == "equal" else "the weights of the data"
        sentences.append(f"Averaged over {', '.join(over)} with {how}.")
    if parts:
        sentences.append(f"Held: {', '.join(parts)}.")
    return " ".join(sentences)
