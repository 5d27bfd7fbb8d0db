"""What is known of the values of a variable: its mean and standard deviation, and the values
themselves where the moments of the fit have them (variables of clusters, data without clusters) or
the data are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.total import level_total
from mlsem.core.records import Array, CellMoments, ClusterMoments, NestedMoments
from mlsem.core.sample.shapes import covariate_sample, level_sample
from mlsem.errors import InferenceError
from mlsem.estimation.scales import scales_at
from mlsem.inference.slopes.equation import BETWEEN, WITHIN, Source

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.problem import Problem

FAR = 2.0  # standard deviations about the mean, where the values are not known
EXACT = 1e-9  # what two values leave of a sum of squares, as a share of it


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Of one variable.

    Attributes
    ----------
    source : Source
    mean, sd : float
        Over rows, of a variable of clusters over these (NaN of a factor).
    low, high : float
        The range in which it is drawn.
    observed : bool
        Whether that is the range of its values; else the mean ± 2 SD.
    levels : tuple
        All its values: the two of a variable that has no more, those of a factor. Else empty.
    points : (m,) or None
        Its values by row or cluster, where they are known.
    """

    source: Source
    mean: float
    sd: float
    low: float
    high: float
    observed: bool
    levels: tuple[Any, ...] = ()
    points: Shaped[Array, "m"] | None = None

    @property
    def is_factor(self) -> bool:
        """Whether its values are no numbers."""
        return bool(self.levels) and np.isnan(self.mean)

    def typical(self) -> dict[Any, str]:
        """Values to look at, and what each is: all where they are few, else mean ± SD (Aiken &
        West, 1991)."""
        if self.levels:
            return dict.fromkeys(self.levels, "")
        if not self.sd > 0.0:
            return {self.mean: "mean"}
        mean = self.mean if abs(self.mean) > EXACT * self.sd else 0.0  # what centring left
        return {mean - self.sd: "mean - SD", mean: "mean", mean + self.sd: "mean + SD"}


def of_values(source: Source, values: Shaped[Array, "m"]) -> Spread:
    """Of a variable all of whose values are known."""
    values = values[np.isfinite(values)]
    if not len(values):
        raise InferenceError(f"{str(source)!r} has no value in the data.")
    different = np.unique(values)
    return Spread(
        source,
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        low=float(different[0]),
        high=float(different[-1]),
        observed=True,
        levels=tuple(different.tolist()) if len(different) == 2 else (),
        points=values,
    )


def over_data(each: Sequence[Spread]) -> Spread:
    """Of several data sets: means and standard deviations are averaged, values brought together."""
    first, *others = each
    if first.is_factor or not others:
        return first
    points = [spread.points for spread in each if spread.points is not None]
    return Spread(
        first.source,
        mean=float(np.mean([spread.mean for spread in each])),
        sd=float(np.mean([spread.sd for spread in each])),
        low=min(spread.low for spread in each),
        high=max(spread.high for spread in each),
        observed=all(spread.observed for spread in each),
        levels=first.levels if all(other.levels == first.levels for other in others) else (),
        points=np.concatenate(points) if len(points) == len(each) else None,
    )


def of_factor(source: Source, levels: tuple[Any, ...]) -> Spread:
    """Of a variable whose values are no numbers."""
    return Spread(source, np.nan, np.nan, np.nan, np.nan, True, levels)


def of_moments(estimates: Estimates[Problem], source: Source) -> Spread | None:
    """Of a variable of the model, by the moments of the fit; None where it is none."""
    table, record = estimates.table, estimates.record
    if source.name not in record.maps:
        return _of_latent(estimates, source)
    stored = record.maps[source.name]
    entries = np.concatenate(([stored.constant], stored.coefs))
    if source.part:
        return _of_part(estimates.problem, source, entries)
    moments = record.moments
    above = not entries[moments.varying_entries].any()
    values = None if estimates.weighted else _known(moments, entries, above=above)
    if values is not None:
        return of_values(source, values)
    level = 2 if above and table.two_level else 1
    sample = estimates.problem.sample
    count = moments.n_rows if level == 1 else moments.n_clusters
    mean, cov = covariate_sample(sample, entries[None], level)
    # as R's sd(), which divides by n - 1
    variance = float(cov[0, 0]) * count / max(count - 1.0, 1.0)
    return _about(source, float(mean[0]), variance, _two_values(moments, entries))


def _about(source: Source, mean: float, variance: float, levels: tuple[float, ...] = ()) -> Spread:
    sd = float(np.sqrt(max(variance, 0.0)))
    if levels:
        return Spread(source, mean, sd, levels[0], levels[-1], True, levels)
    return Spread(source, mean, sd, mean - FAR * sd, mean + FAR * sd, False)


def _known(
    moments: ClusterMoments | CellMoments, entries: Shaped[Array, "D"], *, above: bool
) -> Shaped[Array, "m"] | None:
    """The values, of clusters (the highest of those in which they are constant) or of rows that are
    clusters of their own."""
    if isinstance(moments, ClusterMoments):
        if not above and (moments.rows > 1).any():
            return None
        values = moments.cluster_rows @ entries
        if isinstance(moments, NestedMoments):  # of level 3 a value for each unit
            _, first = np.unique(moments.unit_of, return_index=True)
            same = values[first][moments.unit_of] == values
            return values[first] if same.all() else values
        return values
    if not above:
        return None
    needed = entries[1 + moments.varying :] != 0.0
    there = moments.level2_patterns[moments.level2_pattern_of][:, needed].all(axis=1)
    return (moments.cluster_rows @ entries)[there]


def _two_values(
    moments: ClusterMoments | CellMoments, entries: Shaped[Array, "D"]
) -> tuple[float, ...]:
    """The two values of a variable that has no others; else none.

    All x are a or b where Σ_i (x_ij - a)(x_ij - b) = 0 in each cluster j: the sums of squares are
    then (a + b) times the sums, less a b times the rows, in all clusters.
    """
    if not isinstance(moments, ClusterMoments) or len(moments.rows) < 4:
        return ()
    inner = entries[moments.varying_entries]
    means = moments.cluster_rows @ entries
    centre = float(moments.sizes @ means / moments.sizes.sum())
    means = means - centre
    squares = np.einsum("a,jab,b->j", inner, moments.within, inner) + moments.sizes * means**2
    design = np.column_stack((moments.sizes * means, moments.sizes))
    (total, rest), _, rank, _ = np.linalg.lstsq(design, squares, rcond=None)
    left = squares - design @ np.array([total, rest])
    if rank < 2 or np.abs(left).max() > EXACT * np.abs(squares).max():
        return ()
    half, gap = 0.5 * total, 0.25 * total**2 + rest
    if not gap > 0.0:
        return ()
    low, high = (centre + half + sign * np.sqrt(gap) for sign in (-1.0, 1.0))
    return float(_rounded(low)), float(_rounded(high))


def _rounded(value: float) -> float:
    """Without what rounding added to a short number."""
    short = float(np.round(value, 9)) + 0.0  # no -0
    return short if abs(value - short) <= 1e-8 * max(1.0, abs(value)) else value


def _of_part(problem: Problem, source: Source, entries: Shaped[Array, "D"]) -> Spread:
    """Of the part within clusters, about 0, or that between them."""
    level = 1 if source.part == WITHIN else 2
    found = level_sample(problem.sample, (source.name,), entries[None], level)
    mean = float(found.mean[0]) if source.part == BETWEEN else 0.0
    return _about(source, mean, float(found.covariance[0, 0]))


def _of_latent(estimates: Estimates[Problem], source: Source) -> Spread | None:
    """Of a latent variable, by the moments that the model implies."""
    problem, params = estimates.problem, estimates.params
    for number, (pattern, scales) in enumerate(
        zip(problem.pattern.levels, scales_at(problem, params).levels, strict=True), 1
    ):
        if source.name in pattern.names:
            moments = pattern.moments(params)
            assert moments is not None
            sample = covariate_sample(problem.sample, pattern.covariates, number)
            total = level_total(pattern, moments, params, *sample)
            mean = float(total.mean[pattern.names.index(source.name)])
            return _about(source, mean, float(scales.total[scales.names.index(source.name)]))
    return None
