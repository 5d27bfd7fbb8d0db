"""Starting values from sample moments.

Paths among observed variables start at their least-squares estimates, level by level; loadings
at FABIN2 estimates (Hägglund, 1982); half of an indicator's variance belongs to its factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mlsem.core.records import Array
from mlsem.core.sample.shapes import LevelSample, ShapeMoments, level_sample
from mlsem.estimation.posed import Posed
from mlsem.model.elements import RandomSlope
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import ParameterTable, Row

COMMUNALITY = 0.5
SLOPE_SHARE = 0.1  # of an outcome's residual variance that a random slope starts with
SPREAD = 0.5  # standard deviation of random standardised paths about their start
LOG_SHARE = (-2.0, 0.5)  # logarithm of a random variance in units of its start


@dataclass(frozen=True, slots=True)
class Caution:
    """How far a start stays away from the edge of the parameter space.

    Attributes
    ----------
    shrinkage : float
        What covariances are multiplied with.
    raised : float
        Share of a variable's total variance that is added to its variance at each level.
    """

    shrinkage: float
    raised: float


ORDINARY = Caution(shrinkage=0.98, raised=0.02)
CAREFUL = Caution(shrinkage=0.5, raised=0.3)


class _Level:
    """Sample moments and loadings of one level, asked by name."""

    def __init__(
        self, rows: list[Row], sample: LevelSample, slopes: Mapping[str, tuple[float, float]]
    ) -> None:
        place = {name: k for k, name in enumerate(sample.names)}
        diagonal = np.maximum(np.diagonal(sample.covariance), 1e-300).tolist()
        self.mean = {name: float(sample.mean[k]) for name, k in place.items()}
        self.variance = {name: diagonal[k] for name, k in place.items()}
        values = sample.covariance.tolist()
        self.covariance = {(a, b): values[i][j] for a, i in place.items() for b, j in place.items()}
        self.loadings: dict[str, list[Row]] = {}
        for row in rows:
            if row.op == "=~":
                self.loadings.setdefault(row.lhs, []).append(row)
        self.explained = {row.rhs for row in rows if row.op == "=~"}
        self.endogenous = self.explained | {row.lhs for row in rows if row.op == "~"}
        self.fixed_variance = {row.lhs: row.fixed for row in rows if row.is_variance and row.fixed}
        self.scales = {name: sqrt(variance) for name, (_, variance) in slopes.items()}
        self.mean |= {name: mean for name, (mean, _) in slopes.items()}
        self.slopes: dict[str, dict[str, float]] = {}
        self.residual: dict[str, float] = {}
        for row in rows:
            if row.op == "~" and row.lhs not in self.slopes:
                self._regress(row.lhs, [r.rhs for r in rows if r.op == "~" and r.lhs == row.lhs])
        self.patterns = {name: self._pattern(loadings) for name, loadings in self.loadings.items()}

    def _regress(self, outcome: str, predictors: list[str]) -> None:
        """Least squares of an outcome on its observed predictors; of a factor, its marker."""
        names = [name for name in predictors if name in self.variance]
        self.slopes[outcome] = {}
        marker, loading = self._marker(outcome)
        if marker not in self.variance or outcome in self.explained or not names:
            return
        inner = np.array([[self.covariance[a, b] for b in names] for a in names])
        outer = np.array([self.covariance[a, marker] for a in names])
        try:
            slopes = np.linalg.solve(inner, outer)
        except np.linalg.LinAlgError:
            return
        self.slopes[outcome] = dict(zip(names, (slopes / loading).tolist(), strict=True))
        if marker == outcome:
            left = self.variance[outcome] - float(slopes @ outer)
            self.residual[outcome] = max(left, 0.05 * self.variance[outcome])

    def _marker(self, name: str) -> tuple[str, float]:
        """An observed variable that stands for `name`, and its loading: itself, or of a factor
        the first indicator with a fixed loading."""
        for row in self.loadings.get(name, ()):
            if row.free < 0 and row.fixed:
                return row.rhs, row.fixed
        if name in self.loadings:
            return self.loadings[name][0].rhs, sqrt(COMMUNALITY) * self.scale(
                self.loadings[name][0].rhs
            )
        return name, 1.0

    def explained_mean(self, outcome: str) -> float:
        slopes = self.slopes.get(outcome, {})
        return sum(slope * self.mean[name] for name, slope in slopes.items())

    def scale(self, name: str) -> float:
        """Standard deviation at the start: of an observed variable, or of a factor through its
        first fixed loading."""
        if name in self.variance:
            return sqrt(self.variance[name])
        if name not in self.scales:
            self.scales[name] = 1.0  # a circle of factors ends here
            self.scales[name] = self._factor_scale(name)
        return self.scales[name]

    def _factor_scale(self, name: str) -> float:
        if name in self.fixed_variance:
            return sqrt(abs(self.fixed_variance[name]))
        for row in self.loadings.get(name, ()):
            if row.free < 0 and row.fixed:
                return sqrt(COMMUNALITY) * self.scale(row.rhs) / abs(row.fixed)
        return 1.0

    def _pattern(self, loadings: list[Row]) -> dict[str, float]:
        """Standardised loadings of observed indicators by FABIN2 (Hägglund, 1982), the marker's
        set to that of half its variance: λ_i / λ_m = Σ_k s_mk s_ik / Σ_k s_mk², k ≠ i, m."""
        marker = next((r for r in loadings if r.free < 0 and r.fixed), loadings[0]).rhs
        names = [row.rhs for row in loadings]
        if marker not in self.variance or not all(name in self.variance for name in names):
            return {}
        corr = {
            (a, b): self.covariance[a, b] / (self.scale(a) * self.scale(b))
            for a in names
            for b in names
        }
        pattern = {}
        for name in names:
            others = [k for k in names if k not in (name, marker)]
            below = sum(corr[marker, k] ** 2 for k in others)
            above = sum(corr[marker, k] * corr[name, k] for k in others)
            ratio = above / below if below > 1e-8 else (-1.0 if corr[marker, name] < 0 else 1.0)
            pattern[name] = sqrt(COMMUNALITY) * (
                1.0 if name == marker else min(max(ratio, -1.3), 1.3)
            )
        return pattern

    def random_slope(self, slope: RandomSlope) -> tuple[float, float]:
        """Mean and variance that a random slope starts with: the mean by least squares."""
        name, carrier = slope.outcome, slope.carrier
        mean = self.slopes.get(name, {}).get(carrier, 0.0)
        left = self.residual[name] if name in self.residual else self.variance[name]
        return mean, SLOPE_SHARE * left / self.variance[carrier]

    def start(self, row: Row) -> float:
        if row.start is not None:
            return row.start
        if row.op == "=~":
            share = self.patterns[row.lhs].get(row.rhs, sqrt(COMMUNALITY))
            return share * self.scale(row.rhs) / self.scale(row.lhs)
        if row.op == "~":
            return self.slopes[row.lhs].get(row.rhs, 0.0)
        if row.op == "~1":
            return self.mean.get(row.lhs, 0.0) - self.explained_mean(row.lhs)
        if row.is_variance:
            if row.lhs in self.residual:
                return self.residual[row.lhs]
            share = 1.0 - COMMUNALITY if row.lhs in self.explained else 1.0
            return share * self.scale(row.lhs) ** 2
        if row.op == "~~" and not {row.lhs, row.rhs} & self.endogenous:
            return self.covariance.get((row.lhs, row.rhs), 0.0)
        return 0.0


def starting_values(
    table: ParameterTable,
    data: ShapeMoments,
    maps: Mapping[str, Array],
    caution: Caution = ORDINARY,
) -> Array:
    """One value per free parameter: the user's, else a guess; shared parameters get the mean.

    Parameters
    ----------
    maps : mapping of name to (D,)
        Each observed variable as a map of the data row h.
    caution : Caution
    """
    total, count = np.zeros(len(table.names)), np.zeros(len(table.names))
    for rows, level in _levels(table, data, maps, caution):
        for row in rows:
            if row.free >= 0:
                total[row.free] += level.start(row)
                count[row.free] += 1
    return np.clip(total / np.maximum(count, 1), *parameter_bounds(table))


def _levels(
    table: ParameterTable, data: ShapeMoments, maps: Mapping[str, Array], caution: Caution
) -> Iterator[tuple[list[Row], _Level]]:
    """Each level's rows and sample; its slopes, as they are when the next one is asked for, are
    taken off the means there."""
    maps = dict(maps)
    random: dict[str, tuple[float, float]] = {}
    for block in table.blocks:
        names = block.variables.modelled + block.variables.covariates
        stack = np.array([maps[name] for name in names]).reshape(len(names), len(data.within))
        rows = [row for row in block.rows if not row.exo]
        sample = _tempered(level_sample(data, names, stack, block.key.level), caution)
        level = _Level(rows, sample, random)
        yield rows, level
        if block.key.is_lowest:
            random = {slope.name: level.random_slope(slope) for slope in table.slopes}
        for outcome, slopes in level.slopes.items():  # what is explained within is so in the mean
            if outcome in table.split:
                own = [
                    maps[name] * slope for name, slope in slopes.items() if name not in table.split
                ]
                maps[outcome] = maps[outcome] - sum(own)


def careful_start(problem: Posed) -> Array:
    """Starting values further inside the parameter space than the usual ones."""
    return problem.gathered(lambda one: starting_values(one.table, one.sample, one.maps, CAREFUL))


def random_start(problem: Posed, generator: np.random.Generator) -> Array:
    """A start drawn around a careful one, in units of the variables; it may be outside.

    With s the standard deviations at the start, z ~ N(0, 1) and u ~ U(-2, ½), each anew,

        λ = z s_y / s_f,   β = β₀ + ½ z s_y / s_x,   ψ = ψ₀ exp(u),
        ψ_kl = (ψ_k ψ_l)^½ r_kl,   R = ½ (R₀ + W),

    W a random correlation matrix; intercepts keep the means where they were.

    Parameters
    ----------
    generator : numpy.random.Generator
        Advanced by as many draws as the model needs, whatever the data.
    """
    return problem.gathered(lambda one: _random(one.table, one.sample, one.maps, generator))


def _random(
    table: ParameterTable,
    data: ShapeMoments,
    maps: Mapping[str, Array],
    generator: np.random.Generator,
) -> Array:
    total, count = np.zeros(len(table.names)), np.zeros(len(table.names))
    for rows, level in _levels(table, data, maps, CAREFUL):
        for row, value in _drawn(rows, level, generator):
            total[row.free] += value
            count[row.free] += 1
    return np.clip(total / np.maximum(count, 1), *parameter_bounds(table))


def _drawn(
    rows: list[Row], level: _Level, generator: np.random.Generator
) -> Iterator[tuple[Row, float]]:
    """The free rows of a level with their draws, intercepts after the paths."""
    free = [row for row in rows if row.free >= 0]
    for row in free:
        if row.op == "=~":
            yield row, generator.normal() * level.scale(row.rhs) / level.scale(row.lhs)
        elif row.op == "~":
            spread = SPREAD * level.scale(row.lhs) / level.scale(row.rhs)
            value = level.start(row) + spread * generator.normal()
            slopes = level.slopes[row.lhs]
            if row.rhs in slopes:  # `start` takes its part off the intercept
                slopes[row.rhs] = value
            yield row, value
    for row in free:
        if row.op == "~1":
            yield row, level.start(row)
    yield from _drawn_covariances([row for row in rows if row.op == "~~"], level, generator)


def _drawn_covariances(
    rows: list[Row], level: _Level, generator: np.random.Generator
) -> Iterator[tuple[Row, float]]:
    """Ψ; a covariance with a variable that has no variance stays 0."""
    own = [row for row in rows if row.lhs == row.rhs]
    if not own:
        return
    place = {row.lhs: k for k, row in enumerate(own)}
    before = np.array([level.start(row) if row.free >= 0 else row.fixed or 0.0 for row in own])
    factors = np.exp(generator.uniform(*LOG_SHARE, len(own)))
    after = np.where([row.free >= 0 for row in own], factors * np.abs(before), np.abs(before))
    root, spread = np.sqrt(np.abs(before)), np.sqrt(after)
    normal = generator.normal(size=(2 * len(own), len(own)))
    correlations = np.corrcoef(normal, rowvar=False).reshape(len(own), len(own))
    for row, value in zip(own, after.tolist(), strict=True):
        if row.free >= 0:
            yield row, value
    for row in rows:
        if row.free < 0 or row.lhs == row.rhs or not {row.lhs, row.rhs} <= place.keys():
            continue
        i, j = place[row.lhs], place[row.rhs]
        usual = level.start(row) / (root[i] * root[j]) if root[i] * root[j] > 0.0 else 0.0
        yield row, float(0.5 * (usual + correlations[i, j]) * spread[i] * spread[j])


def safer_starts(problem: Posed, given: NDArray[np.bool_], values: Array) -> Iterator[Array]:
    """Starts ever further inside: covariances shrink to zero, then variances grow.

    A covariance matrix with some elements fixed need not be positive definite at the sample
    moments of the others.

    Parameters
    ----------
    given : (npar,)
        Parameters that keep the user's `values`, (npar,).
    """
    table = problem.table
    guess = np.where(given, values, careful_start(problem))
    yield guess
    rows = [
        row
        for row in table.rows
        if row.op == "~~" and row.free >= 0 and row.start is None and not given[row.free]
    ]
    between = [row.free for row in rows if row.lhs != row.rhs]
    own = [row.free for row in rows if row.lhs == row.rhs]
    bounds = parameter_bounds(table)
    for share in (0.5, 0.25, 0.0):
        shrunk = guess.copy()
        shrunk[between] *= share
        yield np.clip(shrunk, *bounds)
    for factor in (4.0, 16.0, 64.0, 256.0):
        raised = shrunk.copy()
        raised[own] = factor * np.abs(guess[own])
        yield np.clip(raised, *bounds)


def _tempered(sample: LevelSample, caution: Caution) -> LevelSample:
    """Covariances shrunk and variances raised, so that the start is inside."""
    covariance = caution.shrinkage * sample.covariance
    np.fill_diagonal(covariance, np.diagonal(sample.covariance) + caution.raised * sample.total)
    return LevelSample(sample.names, sample.mean, covariance, sample.total)
