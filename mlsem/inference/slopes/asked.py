"""What a user asks of an interaction: which equation, which variables, and where the others are
held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import Array
from mlsem.data.design.grid import FACTOR, Predictor
from mlsem.data.design.remade import Recipe
from mlsem.data.table.columns import require_column, require_frame
from mlsem.errors import InferenceError, OptionValueError, listed, nearest
from mlsem.estimation.prediction import new_data
from mlsem.inference.slopes.equation import (
    BETWEEN,
    Equation,
    MeanEquation,
    OfFormula,
    Plain,
    Source,
    outcomes_of,
    terms_of,
)
from mlsem.inference.slopes.interaction import Interaction
from mlsem.inference.slopes.spread import Spread, of_factor, of_moments, of_values, over_data

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates, GroupEstimates
    from mlsem.estimation.problem import Problem
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.inference.estimated import GroupEstimated

MOST = 2  # moderators at a time
MOVES = 1e-10  # change of a slope's gradient, as a share, that is none


@dataclass(frozen=True, slots=True)
class Asked:
    """As the user gave it.

    Attributes
    ----------
    predictor : str
    moderators : tuple of str
    at : mapping of str to tuple
        Values of some variables.
    outcome : str or None
    model_level : int or None
    data : object
        A data frame, or None.
    """

    predictor: str
    moderators: tuple[str, ...]
    at: Mapping[str, tuple[Any, ...]]
    outcome: str | None = None
    model_level: int | None = None
    data: object = None


def read_asked(
    predictor: object,
    moderator: object,
    at: object,
    outcome: str | None = None,
    model_level: int | None = None,
    data: object = None,
) -> Asked:
    """Check the form of what is given; `interaction_of` meets it with a model.

    Raises
    ------
    OptionValueError
    """
    moderators = (moderator,) if isinstance(moderator, str) else moderator
    names = tuple(moderators) if isinstance(moderators, list | tuple) else ()
    if not isinstance(predictor, str) or not all(isinstance(name, str) for name in names):
        raise OptionValueError(
            'the predictor and its moderator are names of variables: simple_slopes("x1", "w1").'
        )
    if not names or len(names) > MOST or len(set(names)) < len(names):
        raise OptionValueError(
            f"moderator={moderator!r}: it takes a variable, or a list of two different ones."
        )
    return Asked(predictor, names, _read_at(at, names[0]), outcome, model_level, data)


def _read_at(at: object, moderator: str) -> dict[str, tuple[Any, ...]]:
    given = at if isinstance(at, Mapping) else {} if at is None else {moderator: at}
    found: dict[str, tuple[Any, ...]] = {}
    for name, values in given.items():
        several = isinstance(values, list | tuple | range | np.ndarray)
        own = tuple(np.asarray(values).tolist()) if several else (values,)
        bad = [v for v in own if isinstance(v, float) and not np.isfinite(v)]
        if not own or bad or not all(isinstance(v, str | bool | int | float) for v in own):
            raise OptionValueError(
                f"at={at!r}: it takes values of the moderator, or a mapping of variables to "
                f"theirs: at=[0, 1] or at={{{moderator!r}: [0, 1]}}."
            )
        found[str(name)] = own
    return found


# --- the equation ---------------------------------------------------------------------------------


def interaction_of(part: GroupEstimated, covariance: Covariance, asked: Asked) -> Interaction:
    """The interaction in one group; of several data sets with the mean of where variables are held,
    and of the columns of a formula.

    Raises
    ------
    InferenceError
        The fit did not converge; the predictor's effect does not depend on the moderator; or
        nothing is known of a variable.
    OptionValueError
        There is no such variable, outcome or level.
    """
    first, *others = (_of_one(each, covariance, asked) for each in part.each)
    if not others:
        return first
    each = (first, *others)
    for one in others:
        if away := first.held.keys() ^ one.held.keys():
            raise InferenceError(
                f"{listed(sorted(source.name for source in away))}: the data sets have not the "
                "same values, two in some and more in others. Say where it is held, in at=."
            )
    equations = tuple(one.equation for one in each)
    made_alike = all(isinstance(equation.maker, Plain) for equation in equations)
    return replace(
        first,
        equation=first.equation if made_alike else MeanEquation(equations),
        spreads={key: over_data([one.spreads[key] for one in each]) for key in first.spreads},
        held={key: _mean([one.held[key] for one in each]) for key in first.held},
        params=part.params,
    )


def _mean(values: Sequence[Any]) -> Any:
    """The value that all have, or the mean of numbers."""
    return values[0] if all(each == values[0] for each in values) else float(np.mean(values))


def _of_one(part: GroupEstimates, covariance: Covariance, asked: Asked) -> Interaction:
    """Of one data set."""
    estimates = part.estimates
    if not estimates.converged:
        raise InferenceError("the fit did not converge: it has no slopes to look at.")
    centring = {name: how for name, how, _ in estimates.record.centered}
    mine = part.params, part.places, centring, covariance
    found = [
        Interaction(equation, predictor, moderators, spreads, held, *mine)
        for equation, spreads in _equations(estimates, asked)
        for predictor, moderators, held in _meanings(equation, spreads, asked)
    ]
    found = [each for each in found if depends(each)]
    if not found:
        raise InferenceError(_no_interaction(estimates, asked))
    if len(found) > 1:
        raise OptionValueError(_several(found, asked))
    return found[0]


def _equations(
    estimates: Estimates[Problem], asked: Asked
) -> list[tuple[Equation, dict[Source, Spread]]]:
    """Those that have the predictor and all moderators."""
    table, recipe = estimates.table, estimates.record.formula
    outcomes = outcomes_of(table)
    if recipe is not None:
        outcomes = outcomes or (table.split[0],)
    if asked.outcome is not None:
        if asked.outcome not in outcomes:
            raise OptionValueError(
                f"outcome={asked.outcome!r}: the model explains {listed(outcomes)}."
                f"{nearest(asked.outcome, outcomes)}"
            )
        outcomes = (asked.outcome,)
    wanted, found, known = {asked.predictor, *asked.moderators}, [], set[str]()
    for outcome in outcomes:
        equation, spreads = _equation(estimates, outcome, asked)
        names = {source.name for source in equation.sources}
        known |= names
        if wanted <= names:
            found.append((equation, spreads))
    _require_known(wanted | asked.at.keys(), known)
    return found


def _require_known(wanted: set[str], known: set[str]) -> None:
    if not known:
        raise InferenceError(
            "no observed variable of the model is explained by observed ones: there are no slopes "
            "to look at. They are of regressions with a product, such as y ~ x1 + w1 + w1:x1."
        )
    for name in sorted(wanted - known):
        raise OptionValueError(
            f"{name!r} is not among what the model explains an outcome by: "
            f"{listed(sorted(known))}.{nearest(name, known)}"
        )


def _equation(
    estimates: Estimates[Problem], outcome: str, asked: Asked
) -> tuple[Equation, dict[Source, Spread]]:
    table, recipe = estimates.table, estimates.record.formula
    if not isinstance(recipe, Recipe):
        terms = terms_of(table, outcome, whole=False)
        equation = Equation(outcome, terms, Plain(), len(table.names))
        return equation, _spreads(estimates, equation.sources, asked)
    _require_known({asked.predictor, *asked.moderators, *asked.at}, {*recipe.grid.names})
    terms = terms_of(table, outcome, whole=True)
    equation = Equation(outcome, terms, OfFormula(recipe), len(table.names))
    return equation, {
        Source(each.name): _of_column(estimates, recipe, each, asked.data)
        for each in recipe.grid.predictors
    }


def _spreads(
    estimates: Estimates[Problem], sources: tuple[Source, ...], asked: Asked
) -> dict[Source, Spread]:
    own = _own_values(estimates, sources, asked.data)
    found: dict[Source, Spread] = {}
    for source in sources:
        spread = own.get(source) or of_moments(estimates, source)
        assert spread is not None  # observed or latent, a variable of the model has moments
        found[source] = spread
    return found


def _own_values(
    estimates: Estimates[Problem], sources: tuple[Source, ...], data: object
) -> dict[Source, Spread]:
    """Of a data frame, as the fit made its variables: centred."""
    if data is None:
        return {}
    maps = estimates.record.maps
    names = tuple(dict.fromkeys(s.name for s in sources if s.name in maps and not s.part))
    if not names:
        return {}
    rows = new_data(estimates, data, names).rows
    place = {name: k for k, name in enumerate(rows.names)}
    first = rows.first() if len(rows.sizes) else rows.values
    found = {}
    for name in names:
        above = estimates.table.two_level and place[name] >= rows.varying
        values: Array = (first if above else rows.values)[:, place[name]]
        found[Source(name)] = of_values(Source(name), values)
    return found


def _of_column(
    estimates: Estimates[Problem], recipe: Recipe, column: Predictor, data: object
) -> Spread:
    """Of a column of the data that a formula takes: over clusters where it is theirs."""
    source = Source(column.name)
    made = [found for name in recipe.levels if (found := FACTOR.match(name))]
    if column.kind != "number" or any(found["name"] == column.name for found in made):
        return of_factor(source, column.levels)
    known = of_moments(estimates, source) if column.name in estimates.record.maps else None
    if known is not None and known.observed:
        return known
    if data is not None:
        values: Any = require_column(require_frame(data), column.name, "the formula needs")
        return of_values(source, np.asarray(values, dtype=np.float64))
    numbers = column.mean, column.sd, column.low, column.high
    return Spread(source, *numbers, observed=True, levels=column.levels)


# --- what the names mean in it --------------------------------------------------------------------


def _meanings(
    equation: Equation, spreads: Mapping[Source, Spread], asked: Asked
) -> list[tuple[Source, tuple[Source, ...], dict[Source, Any]]]:
    """The predictor and its moderators among the sources, and where all are held. A variable with
    a part at both levels may be meant as either."""
    level = {1: "within", 2: BETWEEN, None: None}.get(asked.model_level, "neither")

    def named(name: str) -> list[Source]:
        own = [source for source in equation.sources if source.name == name]
        parts = [source for source in own if source.part in ("", level)]
        return own if level is None or not parts else parts

    found = []
    for predictor in named(asked.predictor):
        if spreads[predictor].is_factor:
            raise InferenceError(
                f"{predictor.name!r} is a factor, which has no slope: make it the moderator, "
                f"and {asked.moderators[0]!r} the predictor."
            )
        moderators = tuple(_beside(predictor, named(name)) for name in asked.moderators)
        shown = (predictor, *moderators)
        held: dict[Source, Any] = {
            source: spread.mean
            for source, spread in spreads.items()
            if not spread.is_factor and (source in shown or not _averaged(equation, spread))
        }
        for name, values in asked.at.items():
            for source in named(name):
                _check_values(spreads[source], values)
                if source not in moderators:
                    held[source] = _one(name, values)
        found.append((predictor, moderators, held))
    return found


def _averaged(equation: Equation, spread: Spread) -> bool:
    """Whether its values have equal weights: those of a column of two in a formula, as in marginal
    means."""
    return bool(spread.levels) and isinstance(equation.maker, OfFormula)


def _one(name: str, values: tuple[Any, ...]) -> Any:
    """The value at which a variable that is no moderator is held."""
    value, *more = values
    if more:
        raise OptionValueError(
            f"at: {name!r} is no moderator here, and is held at one value, not at {len(values)}."
        )
    return value


def _beside(predictor: Source, sources: list[Source]) -> Source:
    """The moderator that is meant: of the predictor itself, the same part."""
    return predictor if predictor in sources else sources[0]


def _check_values(spread: Spread, values: tuple[Any, ...]) -> None:
    name = spread.source.name
    if spread.is_factor:
        for value in values:
            if value not in spread.levels:
                raise OptionValueError(
                    f"at: {value!r} is no level of {name!r}: {listed(spread.levels)}."
                )
    elif any(isinstance(value, str) for value in values):
        raise OptionValueError(f"at: {name!r} takes numbers, not {values!r}.")


def depends(asked: Interaction) -> bool:
    """Whether the slope depends on each moderator."""
    for moderator in asked.moderators:
        spread = asked.spreads[moderator]
        if spread.is_factor:
            values: Any = np.array(spread.levels, dtype=object)
        else:
            values = spread.mean + np.array([-1.0, 0.0, 1.0]) * (spread.sd or 1.0)
        _, rows = asked.slope({moderator: values})
        if np.abs(rows - rows[0]).max() <= MOVES * np.abs(rows).max():
            return False
    return True


def _no_interaction(estimates: Estimates[Problem], asked: Asked) -> str:
    if asked.moderators == (asked.predictor,):
        name, mixed = asked.predictor, estimates.record.formula is not None
        square = f"I({name}^2)" if mixed else f"{name}:{name}"
        return (
            f"the effect of {asked.predictor!r} is the same for all of its values in this model: "
            f"add its square, y ~ {asked.predictor} + {square}."
        )
    names = " and ".join(map(repr, asked.moderators))
    product = ":".join((*asked.moderators, asked.predictor))
    how = f"y ~ {' * '.join((asked.predictor, *asked.moderators))}"
    if estimates.record.formula is None:
        how = f"add their product, y ~ {product}, or let the slope vary and depend on it"
    else:
        how = f"fit {how}"
    return (
        f"the effect of {asked.predictor!r} does not depend on {names} in this model, in which "
        f"there is no product of them: {how}."
    )


def _several(found: list[Interaction], asked: Asked) -> str:
    outcomes = list(dict.fromkeys(each.equation.outcome for each in found))
    if len(outcomes) > 1:
        return (
            f"{asked.predictor!r} has such an effect on {listed(outcomes)}: say which with "
            f"outcome={outcomes[0]!r}."
        )
    return (
        f"{asked.predictor!r} has such an effect at both levels: say which with model_level=1 or "
        "model_level=2."
    )
