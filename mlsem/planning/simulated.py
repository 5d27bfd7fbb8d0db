"""What trials find in simulated data, each analysed by a random intercept with CR2 errors.

A treatment that adds δ to the outcome of a cluster moves the estimate by δ and leaves its standard
error as it is, so that trials without an effect tell the power of all effects. With a binary
outcome the variances depend on the effect, and each effect has its own trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np
from scipy.special import stdtrit

from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.planning.arguments import Design
from mlsem.planning.multisite import Multisite
from mlsem.planning.trial import Trial
from mlsem.simulation.study.run import study

if TYPE_CHECKING:
    import pandas as pd

CLUSTER, OUTCOME, TREATED = "cluster", "y", "treated"
STEPS = 4  # of an effect on a binary outcome, each with its own trials


@dataclass(frozen=True, slots=True)
class How:
    """Keywords of the studies."""

    replications: int
    seed: int
    n_jobs: int
    progress: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Trials that were simulated.

    Attributes
    ----------
    effect : float
        The true one.
    est, se, df : (R,)
        NaN where there are none: such a trial finds nothing.
    adds : bool
        Whether another effect would only be added to the estimates.
    """

    effect: float
    est: Shaped[Array, "R"]
    se: Shaped[Array, "R"]
    df: Shaped[Array, "R"]
    adds: bool

    def power(self, effect: float, level: float) -> float:
        """The share of trials that find this effect."""
        assert self.adds or effect == self.effect
        with np.errstate(all="ignore"):
            moved = np.abs(self.est + (effect - self.effect)) / self.se
            return float(np.mean(moved > stdtrit(self.df, 0.5 + level / 2)))

    def error(self, power: float) -> float:
        """The Monte Carlo standard error of a share."""
        return float(np.sqrt(power * (1.0 - power) / len(self.est)))

    def smallest_effect(self, wanted: float, level: float) -> float:
        """The effect that this share of the trials find; NaN if none is.

        Each trial finds δ from its own threshold on, t SE − estimate: the effect is a quantile of
        these. (Effects that are found with the wrong sign do not count.)
        """
        with np.errstate(all="ignore"):
            needed = stdtrit(self.df, 0.5 + level / 2) * self.se - (self.est - self.effect)
        needed = np.sort(np.where(np.isfinite(needed), needed, np.inf))
        found = needed[min(int(np.ceil(wanted * len(needed))) - 1, len(needed) - 1)]
        return float(found) if np.isfinite(found) else float("nan")


def simulated(trial: Design, effect: float, how: How) -> Found:
    """Simulate a trial and analyse it, again and again."""
    found = study(
        _Generator(trial, effect),
        {"CR2": {"formula": _formula(trial), "se": "CR2"}},
        how.replications,
        seed=how.seed,
        parameters=[TREATED],
        n_jobs=how.n_jobs,
        progress=how.progress,
    ).methods[0]
    est, se, df = (each[:, 0] for each in (found.est, found.se, found.df))
    return Found(effect, est, se, df, trial.control is None)


def effect_by_simulation(
    trial: Design, first: float, wanted: float, level: float, how: How
) -> tuple[float, Found]:
    """The effect that is found with this power, and the trials that say so.

    Parameters
    ----------
    first : float
        The formula's effect.
    """
    found = simulated(trial, first, how)
    if found.adds:
        return found.smallest_effect(wanted, level), found
    effect = first
    for _ in range(STEPS):  # as if another effect were added; then with its own variances
        assert trial.control is not None
        near = found.smallest_effect(wanted, level)
        if not np.isfinite(near):
            return float("nan"), found
        near = min(near, 1.0 - trial.control - 1e-9)
        if abs(near - effect) < 1e-4:
            break
        effect = near
        found = simulated(trial, effect, how)
    return effect, found


def _formula(trial: Design) -> str:
    if isinstance(trial, Multisite):
        terms = [TREATED, *(["x"] if trial.r2[0] else [])]
        terms += [f"{name} + {TREATED}:{name}" for name in _upper(trial)]
    else:
        terms = [TREATED, *(name for each in _levels(trial) for name in each)]
    return f"{OUTCOME} ~ {' + '.join(terms)} + (1 | {CLUSTER})"


def _upper(trial: Design) -> tuple[str, ...]:
    """The covariates of clusters."""
    return tuple(f"w{k + 1}" for k in range(trial.covariates))


def _levels(trial: Trial) -> tuple[tuple[str, ...], ...]:
    """The covariates of rows, subclusters and clusters."""
    lower, middle, _ = trial.r2
    return ("x",) if lower else (), ("m",) if middle else (), _upper(trial)


@dataclass(frozen=True, slots=True)
class _Generator:
    """Draws the data of a trial; an object, as other processes are sent it."""

    trial: Design
    effect: float

    def __call__(self, rng: np.random.Generator) -> pd.DataFrame:
        if isinstance(self.trial, Multisite):
            return _within_clusters(rng, self.trial, self.effect)
        return _of_clusters(rng, self.trial, self.effect)


def _of_clusters(rng: np.random.Generator, trial: Trial, effect: float) -> pd.DataFrame:
    """Clusters are randomised."""
    sizes = trial.sizes.drawn(rng, trial.clusters * trial.subclusters).astype(np.intp)
    middle = np.repeat(np.arange(len(sizes)), sizes)  # the subcluster of each row
    upper = middle // trial.subclusters
    treated = np.zeros(trial.clusters)
    treated[rng.permutation(trial.clusters)[: trial.treated]] = 1.0
    columns = {CLUSTER: upper, TREATED: treated[upper]}
    if trial.control is not None:
        risks = _risks(rng, trial, trial.control + effect * treated)
        yes = rng.random(len(middle)) < risks[middle]
        return make_frame({OUTCOME: 1.0 * yes} | columns)
    outcome = effect * treated[upper]
    places = np.arange(len(middle)), middle, upper
    for level, names in enumerate(_levels(trial)):
        count = 1 + int(places[level][-1])
        own, drawn = _part(rng, trial.parts[level], trial.r2[level], names, count)
        outcome = outcome + own[places[level]]
        columns |= {name: values[places[level]] for name, values in drawn.items()}
    return make_frame({OUTCOME: outcome} | columns)


def _within_clusters(rng: np.random.Generator, trial: Multisite, effect: float) -> pd.DataFrame:
    """Rows of each cluster are randomised."""
    sizes = trial.sizes.drawn(rng, trial.clusters).astype(np.intp)
    upper = np.repeat(np.arange(len(sizes)), sizes)
    shares = trial.treated * sizes
    treated = np.floor(shares) + (rng.random(len(sizes)) < shares % 1.0)
    ranks = np.concatenate([rng.permutation(size) for size in sizes])
    arm = 1.0 * (ranks < treated[upper])
    moved, own = _part(rng, trial.spread**2, trial.r2[1], _upper(trial), len(sizes))
    lower, x = _part(rng, 1.0 - trial.icc, trial.r2[0], ("x",) * bool(trial.r2[0]), len(upper))
    common = np.sqrt(trial.icc) * rng.normal(size=len(sizes))
    outcome = common[upper] + (effect + moved[upper]) * arm + lower
    own = {name: values[upper] for name, values in own.items()}
    return make_frame({OUTCOME: outcome, CLUSTER: upper, TREATED: arm} | x | own)


def _part(
    rng: np.random.Generator, variance: float, share: float, names: tuple[str, ...], count: int
) -> tuple[Shaped[Array, "s"], dict[str, Shaped[Array, "s"]]]:
    """A part of the outcome with this variance, and its covariates, which explain a share of it."""
    own = np.sqrt(variance * (1.0 - share)) * rng.normal(size=count)
    covariates = {name: rng.normal(size=count) for name in names}
    for values in covariates.values():
        own += np.sqrt(variance * share / len(names)) * values
    return own, covariates


def _risks(rng: np.random.Generator, trial: Trial, risk: Shaped[Array, "J"]) -> Shaped[Array, "s"]:
    """Risks of subclusters: beta distributions about the risks of their clusters, these about
    those of the arms, so that ρ π(1 − π) is their variance."""
    inner, upper = trial.icc
    found = np.repeat(_beta(rng, risk, upper), trial.subclusters)
    return _beta(rng, found, inner / (1.0 - upper)) if inner else found


def _beta(rng: np.random.Generator, mean: Shaped[Array, "s"], icc: float) -> Shaped[Array, "s"]:
    if not icc:
        return mean
    weight = 1.0 / icc - 1.0
    inside = np.clip(mean, 1e-12, 1.0 - 1e-12)
    return rng.beta(inside * weight, (1.0 - inside) * weight)
