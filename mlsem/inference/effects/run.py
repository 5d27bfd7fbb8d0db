"""Effects of one variable on another, with intervals."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import islice
from typing import Annotated as Shaped
from typing import Literal, get_args

import numpy as np

from mlsem.arguments import require_level, require_seed, require_whole
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index
from mlsem.errors import InferenceError, OptionValueError, listed, nearest
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.joint import joint_moments
from mlsem.estimation.problem import Problem
from mlsem.inference.covariance.groups import placed
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.effects.paths import MOST_WAYS, Paths, paths_of
from mlsem.inference.effects.result import Effects
from mlsem.inference.estimated import GroupedEstimates, GroupEstimated
from mlsem.model.table import ParameterTable

IntervalKind = Literal["delta", "monte carlo", "bootstrap"]


@dataclass(frozen=True, slots=True, eq=False)
class _Effect:
    """One effect at a level: a product of paths, or the direct, indirect or total one."""

    name: str
    paths: Paths
    source: int
    target: int
    way: tuple[int, ...] = ()

    def values(self, params: Shaped[Array, "s npar"]) -> Shaped[Array, "s"]:
        """At s values of the parameters."""
        paths = self.paths.values(params)
        if self.way:
            return paths[..., list(self.way)].prod(axis=-1)
        if self.name == "direct":
            return self._direct(paths)
        total = self.paths.multipliers(paths)[..., self.target, self.source]
        return total - self._direct(paths) if self.name == "indirect" else total

    def gradient(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar"]:
        """(npar,)."""
        paths = self.paths.values(params)
        if self.way:
            way = list(self.way)
            others = [np.delete(paths[way], k).prod() for k in range(len(way))]
            return np.array(others) @ self.paths.weights[way]
        moved = np.zeros(len(paths))
        if self.name != "direct":
            inverse = self.paths.multipliers(paths)
            moved += (
                inverse[self.target, self.paths.targets] * inverse[self.paths.sources, self.source]
            )
        if self.name != "total":
            moved += (1.0 if self.name == "direct" else -1.0) * self._is_direct
        return moved @ self.paths.weights

    @property
    def _is_direct(self) -> Shaped[Array, "e"]:
        own = (self.paths.sources == self.source) & (self.paths.targets == self.target)
        return own.astype(np.float64)

    def _direct(self, paths: Shaped[Array, "s e"]) -> Shaped[Array, "s"]:
        return paths @ self._is_direct


@dataclass(frozen=True, slots=True, eq=False)
class _Difference:
    """An effect less another one: that between clusters less that within, or of two groups."""

    name: str
    first: _Shown
    second: _Shown

    def values(self, params: Shaped[Array, "s npar"]) -> Shaped[Array, "s"]:
        return self.first.values(params) - self.second.values(params)

    def gradient(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar"]:
        return self.first.gradient(params) - self.second.gradient(params)


@dataclass(frozen=True, slots=True, eq=False)
class _OfGroup:
    """An effect in one group, of the parameters of all."""

    effect: _Effect | _Difference
    places: Shaped[Index, "m"]

    @property
    def name(self) -> str:
        return self.effect.name

    def values(self, params: Shaped[Array, "s npar"]) -> Shaped[Array, "s"]:
        return self.effect.values(params[:, self.places])

    def gradient(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar"]:
        own = self.effect.gradient(params[self.places])
        return placed(own[None], self.places, len(params))[0]


_Shown = _Effect | _Difference | _OfGroup


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """An effect and where it is: the label of its group, or which are compared; and its level, 0
    of a difference between levels."""

    group: Hashable
    level: int
    effect: _Shown


@quiet
def effects(
    estimates: GroupedEstimates,
    covariance: Covariance,
    outcome: str,
    predictor: str,
    *,
    confidence: float = 0.95,
    ci: IntervalKind = "delta",
    draws: int = 20_000,
    seed: int | None = None,
    drawn: Shaped[Array, "B npar"] | None = None,
    group: object = None,
) -> Effects:
    """See `FitResult.effects`; `drawn` (D, npar) are the bootstrap's estimates."""
    require_level(confidence)
    if ci not in get_args(IntervalKind):
        raise OptionValueError(f"ci={ci!r}: it takes one of {listed(get_args(IntervalKind))}.")
    if not estimates.converged:
        raise InferenceError("the fit did not converge: its paths are not estimates.")
    grouped = bool(estimates.table.groups)
    shown, notes = _of_groups(_chosen(estimates, group), outcome, predictor)
    if grouped:
        shown += _between_groups(shown)
    params, found = estimates.params, [each.effect for each in shown]
    values = np.array([float(each.values(params[None])[0]) for each in found])
    gradients = np.array([each.gradient(params) for each in found])
    se, df = covariance.of_functions(gradients)
    table = wald(values, se, df, confidence)
    columns = {
        **({"group": [each.group for each in shown]} if grouped else {}),
        "level": [each.level for each in shown],
        "effect": [each.name for each in found],
        "est": table.est,
        "se": table.se,
        "stat": table.stat,
        "df": table.df,
        "pvalue": table.pvalue,
        "ci_lower": table.lower,
        "ci_upper": table.upper,
    }
    if ci == "monte carlo":
        drawn = _from_normal(estimates, covariance, gradients, draws, seed)
    if drawn is not None:
        sampled = np.array([each.values(drawn) for each in found])
        columns |= _of_draws(sampled, confidence)
    return Effects(outcome, predictor, ci, confidence, columns, notes)


def _chosen(estimates: GroupedEstimates, group: object) -> tuple[GroupEstimated, ...]:
    """The groups that are asked for, in this order; all by default."""
    if group is None:
        return estimates.groups
    several = isinstance(group, list | tuple)
    numbers = [estimates.table.group_number(each) for each in (group if several else [group])]
    if not numbers or len(set(numbers)) < len(numbers):
        raise OptionValueError(
            f"group={group!r}: it takes a group, or a list of several different ones."
        )
    return tuple(estimates.groups[number - 1] for number in numbers)


def _of_groups(
    parts: tuple[GroupEstimated, ...], outcome: str, predictor: str
) -> tuple[list[_Found], tuple[str, ...]]:
    """The effects of each group that has any, and notes; its error, if none has."""
    shown: list[_Found] = []
    notes: dict[str, None] = {}
    errors: dict[Hashable, Exception] = {}
    for part in parts:
        try:
            levels, found = _effects(part, outcome, predictor)
        except (InferenceError, OptionValueError) as error:
            errors[part.label] = error
            continue
        notes |= dict.fromkeys(_notes(part.table, found))
        one = part.label is None
        own = found if one else [_OfGroup(each, part.places) for each in found]
        shown += [_Found(part.label, *pair) for pair in zip(levels, own, strict=True)]
    if not shown:
        raise _nowhere([*errors.values()], parts, outcome, predictor)
    notes |= {f"group {label!r}: {error}": None for label, error in errors.items()}
    return shown, tuple(notes)


def _nowhere(
    errors: list[Exception], parts: tuple[GroupEstimated, ...], outcome: str, predictor: str
) -> Exception:
    """Why there are no effects in any group: that of one, if it is that of all."""
    tables = [part.table for part in parts]
    known = [{*table.observed, *(n for v in table.levels for n in v.latent)} for table in tables]
    apart = {outcome, predictor} <= set().union(*known) and outcome != predictor
    if apart and len({str(error) for error in errors}) > 1:
        return InferenceError(f"no path leads from {predictor!r} to {outcome!r} in any group.")
    return errors[0]


def _between_groups(shown: list[_Found]) -> list[_Found]:
    """Effects of the later groups less those of the first, where both have them."""
    first, *others = dict.fromkeys(each.group for each in shown)
    known = {(each.level, each.effect.name): each for each in shown if each.group == first}
    return [
        _Found(
            f"{each.group} - {first}",
            each.level,
            _Difference(each.effect.name, each.effect, known[key].effect),
        )
        for each in shown
        if each.group in others and (key := (each.level, each.effect.name)) in known
    ]


def _effects(
    part: GroupEstimated, outcome: str, predictor: str
) -> tuple[list[int], list[_Effect | _Difference]]:
    """All of them, level by level; of those at both levels the differences at the end."""
    table, by_level = part.table, {}
    if outcome == predictor:
        raise OptionValueError(f"outcome and predictor are the same variable, {outcome!r}.")
    known: dict[str, None] = {}
    means = _covariate_means(part)
    for level in range(1, len(table.levels) + 1):
        paths = paths_of(table, level, means)
        known |= dict.fromkeys(paths.names)
        if outcome in paths.names and predictor in paths.names:
            by_level[level] = _at_level(paths, outcome, predictor)
    for what, name in (("outcome", outcome), ("predictor", predictor)):
        if name not in known:
            raise OptionValueError(
                f"{what}={name!r} is no variable of the model.{nearest(str(name), tuple(known))}"
            )
    by_level = {level: each for level, each in by_level.items() if each}
    if not by_level:
        raise InferenceError(f"no path leads from {predictor!r} to {outcome!r} at any level.")
    levels = [level for level, each in by_level.items() for _ in each]
    found: list[_Effect | _Difference] = [one for each in by_level.values() for one in each]
    if len(by_level) == 2:
        within, between = ({e.name: e for e in each if not e.way} for each in by_level.values())
        for name in ("direct", "indirect", "total"):
            if name in within and name in between:
                found.append(_Difference(f"{name}, difference", between[name], within[name]))
                levels.append(0)
    return levels, found


def _at_level(paths: Paths, outcome: str, predictor: str) -> list[_Effect]:
    source, target = paths.names.index(predictor), paths.names.index(outcome)
    ways = list(islice(paths.ways(source, target), MOST_WAYS + 1))
    if not ways:
        return []
    indirect = [way for way in ways if len(way) > 1]
    if paths.has_cycle or len(ways) > MOST_WAYS:
        named = []
    else:
        named = [_Effect(paths.written(way), paths, source, target, way) for way in indirect]
    found = [_Effect("direct", paths, source, target)] if len(indirect) < len(ways) else []
    if len(indirect) > 1 or (indirect and not named):
        named.append(_Effect("indirect", paths, source, target))
    elif indirect:
        named = [_Effect("indirect", paths, source, target), *named]
    return [*found, *named, _Effect("total", paths, source, target)]


def _covariate_means(part: GroupEstimated) -> dict[str, float]:
    """Of the fixed covariates of level 2; over several data sets the mean."""
    if not part.table.slopes:
        return {}
    found = [_means_of(one.estimates) for one in part.each]
    return {name: float(np.mean([means[name] for means in found])) for name in found[0]}


def _means_of(estimates: Estimates[Problem]) -> dict[str, float]:
    joint = joint_moments(estimates.problem, 2, estimates.implied[1])
    return dict(
        zip(joint.names[joint.modelled :], joint.mean[joint.modelled :].tolist(), strict=True)
    )


def _from_normal(
    estimates: GroupedEstimates,
    covariance: Covariance,
    gradients: Shaped[Array, "c npar"],
    draws: int,
    seed: int | None,
) -> Shaped[Array, "B npar"]:
    """Draws of the parameters from their estimated distribution (MacKinnon, Lockwood & Williams,
    2004): normal; of a covariance with degrees of freedom t, with the fewest that a parameter of
    the effects has."""
    require_whole("draws", draws, 100)
    require_seed(seed)
    used = gradients.any(axis=0)
    matrix, params = covariance.matrix, estimates.params
    if np.isnan(np.diagonal(matrix)[used]).any():
        raise InferenceError("a path of these effects has no standard error to draw from.")
    generator = np.random.default_rng(seed)
    spread = np.where(np.isnan(matrix), 0.0, matrix)
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    moved = generator.standard_normal((draws, len(params))) @ root.T
    fewest = np.nanmin(covariance.df[used], initial=np.inf)
    if np.isfinite(fewest):
        moved *= np.sqrt(fewest / generator.chisquare(fewest, draws))[:, None]
    return params + moved


def _of_draws(sampled: Shaped[Array, "c B"], confidence: float) -> dict[str, Shaped[Array, "c"]]:
    """Percentile limits and p values of draws (c, D)."""
    tail = 0.5 * (1.0 - confidence)
    lower, upper = np.nanquantile(sampled, [tail, 1.0 - tail], axis=1)
    below = np.nanmean(sampled < 0.0, axis=1)
    empty = np.full(len(sampled), np.nan)
    return {
        "stat": empty,
        "df": empty,
        "pvalue": np.minimum(1.0, 2.0 * np.minimum(below, 1.0 - below)),
        "ci_lower": lower,
        "ci_upper": upper,
    }


def _notes(table: ParameterTable, found: list[_Effect | _Difference]) -> tuple[str, ...]:
    notes, paths = [], {}
    for each in found:
        if isinstance(each, _Effect):
            paths[each.paths.level] = each.paths
    if any(each.has_cycle for each in paths.values()):
        notes.append("the paths have cycles: indirect effects sum over all rounds of them.")
    products = [n for each in paths.values() for n in each.names if ":" in n]
    if products:
        notes.append(
            f"{listed(products)}: effects through a product's factors are conditional ones, at 0 "
            "of the other factor; centre the factors, or write the effects as := parameters."
        )
    if table.slopes:
        notes.append("a path that varies between clusters stands with its mean.")
    return tuple(notes)
