"""What `plan` takes: checks of its arguments, and the trial that they describe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from mlsem.arguments import require_level, require_whole
from mlsem.errors import OptionValueError, listed
from mlsem.planning.multisite import Multisite
from mlsem.planning.trial import Sizes, Trial, arm

DEFAULT_POWER = 0.8
Design = Trial | Multisite
ASKED = ("clusters", "size", "effect", "power")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a trial, and the one thing that is asked for.

    Attributes
    ----------
    what : {"clusters", "size", "effect", "power"}
    trial : Trial or Multisite
        With something in the place of clusters or size, if these are asked for.
    effect, power : float or None
    level : float
        1 minus the level of significance.
    treated : float or int
        As it was given: a share, or clusters.
    given : mapping of str to object
        All arguments, as they were given.
    """

    what: str
    trial: Design
    effect: float | None
    power: float | None
    level: float
    treated: float
    given: Mapping[str, Any]

    def with_clusters(self, clusters: int) -> Design:
        """With so many clusters, the share of the treated as it is."""
        return self.trial.with_clusters(clusters, self.treated)

    @property
    def fewest(self) -> int:
        """The fewest clusters that can be tested."""
        return self.trial.fewest(self.treated)


def read(given: Mapping[str, Any]) -> Asked:
    """Check all arguments of `plan`, and find what is asked for.

    Raises
    ------
    OptionValueError
        Which argument cannot be so, and what it takes.
    """
    clusters = given["clusters"]
    require_level(given["level"], "1 minus the level of significance")
    require_whole("subclusters", given["subclusters"], 1)
    what = _asked(given)
    trial = _multisite(given, what) if _of_rows(given) else _trial(given, what)
    return Asked(
        what,
        trial,
        _effect(given["effect"], trial.control),
        None if what == "power" else _power(given["power"]),
        float(given["level"]),
        _treated(given["treated"], clusters),
        given,
    )


def _trial(given: Mapping[str, Any], what: str) -> Trial:
    """The trial; 4 clusters, or clusters of 2, where these are asked for."""
    clusters, subclusters = given["clusters"], given["subclusters"]
    if what != "clusters":
        require_whole("clusters", clusters, 4)
    count, levels = 4 if what == "clusters" else int(clusters), 2 if subclusters == 1 else 3
    size = 2.0 if what == "size" else given["size"]
    r2 = _r2(given["r2"], levels)
    trial = Trial(
        clusters=count,
        treated=arm(_treated(given["treated"], clusters), count),
        sizes=_sizes(size, given["cv"], clusters, subclusters),
        subclusters=int(subclusters),
        icc=_icc(given["icc"], levels),
        r2=r2,
        covariates=_covariates(given["covariates"], r2),
        control=_control(given["control"]),
    )
    if what != "clusters":
        _require_arms(trial, given["treated"])
    return trial


def _of_rows(given: Mapping[str, Any]) -> bool:
    """Whether rows are randomised; clusters otherwise."""
    randomised = given["randomised"]
    if randomised not in ("clusters", "rows"):
        raise OptionValueError(f'randomised={randomised!r}: it takes "clusters" or "rows".')
    if randomised == "clusters" and given["effect_sd"]:
        raise OptionValueError(
            f"effect_sd={given['effect_sd']!r}: effects of clusters are seen where each has both "
            'arms, randomised="rows".'
        )
    return randomised == "rows"


def _multisite(given: Mapping[str, Any], what: str) -> Multisite:
    """The trial within clusters; 2 of them, or of 2 rows, where these are asked for."""
    clusters = given["clusters"]
    if given["subclusters"] != 1 or given["control"] is not None:
        raise OptionValueError(
            'randomised="rows" is of two levels and continuous outcomes: leave subclusters and '
            "control out, or simulate the trial by mlsem.study."
        )
    r2 = _r2(given["r2"], 2)
    words = "it takes the SD of the effect between clusters, in SD of the outcome, 0 or more"
    trial = Multisite(
        clusters=2 if what == "clusters" else clusters,
        treated=_share(given["treated"]),
        sizes=_sizes(2.0 if what == "size" else given["size"], given["cv"], clusters, 1),
        icc=_icc(given["icc"], 2)[1],
        spread=_number("effect_sd", given["effect_sd"], 0.0, np.inf, words),
        r2=(r2[0], r2[2]),
        covariates=_covariates(given["covariates"], r2),
    )
    if trial.r2[1] and not trial.spread:
        raise OptionValueError(
            f"r2={given['r2']!r}: covariates of clusters explain variance of the effect, and "
            "effect_sd is 0."
        )
    if what != "clusters":
        require_whole("clusters", clusters, trial.fewest(trial.treated))
    if what in ("effect", "power") and trial.df(0.0) < 1.0:
        raise OptionValueError(
            f"clusters={clusters}: with such sizes and {trial.covariates} covariates of clusters "
            "the test has less than one degree of freedom. Plan more clusters."
        )
    return trial


def _share(treated: Any) -> float:
    words = "with randomised rows it takes the share of a cluster's rows that is treated"
    return _number("treated", treated, 1e-9, 1.0, words)


def _require_arms(trial: Trial, treated: Any) -> None:
    if min(trial.arms) < 2:
        raise OptionValueError(
            f"treated={treated!r}: of {trial.clusters} clusters {trial.treated} would be treated "
            f"and {trial.arms[1]} not; each arm needs 2, for with one its variance is not known."
        )
    if trial.df(0.0) < 1.0:
        raise OptionValueError(
            f"clusters={trial.clusters}: with {min(trial.arms)} clusters in the smaller arm and "
            f"{trial.covariates} covariates of clusters the test has less than one degree of "
            "freedom. Plan more clusters."
        )


def _asked(given: Mapping[str, Any]) -> str:
    missing = [name for name in ASKED[:3] if given[name] is None]
    if len(missing) == 1:
        return missing[0]
    if missing:
        raise OptionValueError(
            f"{listed(missing)} are not given: of clusters, size, effect and power leave out one, "
            "which is then found (power is 0.8 where it is not the one)."
        )
    if given["power"] is not None:
        raise OptionValueError(
            "clusters, size, effect and power are all given: leave out the one that is to be found."
        )
    return "power"


def _number(name: str, value: Any, low: float, high: float, words: str) -> float:
    """A number from `low` to below `high`."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not low <= float(value) < high:
        raise OptionValueError(f"{name}={value!r}: {words}.")
    return float(value)


def _sizes(size: Any, cv: Any, clusters: Any, subclusters: int) -> Sizes:
    if isinstance(size, Iterable) and not isinstance(size, str | bytes):
        return _given_sizes([*size], cv, clusters, subclusters)
    words = "it takes the mean number of rows of a cluster, or those of all clusters in a list"
    return Sizes(_number("size", size, 1.0, np.inf, words), _cv(cv))


def _given_sizes(sizes: Sequence[Any], cv: Any, clusters: Any, subclusters: int) -> Sizes:
    if cv:
        raise OptionValueError(f"cv={cv!r}: the sizes of all clusters are given; leave cv out.")
    if clusters is None:
        raise OptionValueError(
            "size has the sizes of all clusters, and clusters= is to be found: give a mean size "
            "and cv=, the SD of the sizes divided by it."
        )
    if len(sizes) != clusters * subclusters:
        raise OptionValueError(
            f"size has {len(sizes)} numbers, and there are {clusters * subclusters} "
            f"{'clusters' if subclusters == 1 else 'subclusters'}."
        )
    for value in sizes:
        require_whole("a size", value, 1)
    return Sizes(float(np.mean(sizes)), 0.0, tuple(int(value) for value in sizes))


def _cv(cv: Any) -> float:
    words = "it takes the SD of the sizes of clusters divided by their mean, 0 or more"
    return _number("cv", cv, 0.0, 10.0, words)


def _numbers(name: str, value: Any, count: int, words: str) -> tuple[float, ...]:
    values = [value] if isinstance(value, Real) and count == 1 else value
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OptionValueError(f"{name}={value!r}: it takes {words}.")
    found = tuple(_number(name, each, 0.0, 1.0, "each lies from 0 to below 1") for each in values)
    if len(found) != count:
        raise OptionValueError(f"{name}={value!r}: it takes {words}.")
    return found


def _icc(icc: Any, levels: int) -> tuple[float, float]:
    if levels == 2:
        words = "one number, the share of the variance that lies between clusters"
        return 0.0, _numbers("icc", icc, 1, words)[0]
    words = "two numbers, the shares of the variance between subclusters and between clusters"
    middle, upper = _numbers("icc", icc, 2, words)
    if middle + upper >= 1.0:
        raise OptionValueError(f"icc={icc!r}: together they are below 1.")
    return middle, upper


def _r2(r2: Any, count: int) -> tuple[float, float, float]:
    if isinstance(r2, Real) and not r2:
        return 0.0, 0.0, 0.0
    words = "the explained shares of the variance of rows and of clusters"
    if count == 3:
        words = "those of rows, of subclusters and of clusters"
    found = _numbers("r2", r2, count, f"{count} numbers, {words}")
    return (found[0], 0.0, found[1]) if count == 2 else (found[0], found[1], found[2])


def _covariates(covariates: Any, r2: tuple[float, float, float]) -> int:
    if covariates is None:
        return int(r2[2] > 0.0)
    require_whole("covariates", covariates, 0)
    if r2[2] and not covariates:
        raise OptionValueError(
            f"covariates=0: r2 has {r2[2]:g} for clusters, which some covariate must explain."
        )
    return int(covariates)


def _treated(treated: Any, clusters: Any) -> float:
    words = "it takes the share of the clusters that are treated, or their number"
    if isinstance(treated, Integral) and not isinstance(treated, bool) and clusters is None:
        raise OptionValueError(
            f"treated={treated!r}: the number of clusters is to be found, so give a share of them."
        )
    value = _number("treated", treated, 1e-9, np.inf, words)
    if value >= 1.0 and (value != int(value) or clusters is None or value >= clusters):
        raise OptionValueError(f"treated={treated!r}: {words}.")
    return value


def _control(control: Any) -> float | None:
    words = "it takes the risk without treatment, between 0 and 1"
    return None if control is None else _number("control", control, 1e-9, 1.0, words)


def _effect(effect: Any, control: float | None) -> float | None:
    if effect is None:
        return None
    words = "it takes the difference between the arms, in SD of the outcome, not 0"
    value = _number("effect", effect, -np.inf, np.inf, words)
    if not value or not np.isfinite(value):
        raise OptionValueError(f"effect={effect!r}: {words}.")
    if control is not None and not 0.0 < control + value < 1.0:
        raise OptionValueError(
            f"effect={effect!r}: with control={control:g} the risk with treatment would be "
            f"{control + value:g}; it lies between 0 and 1."
        )
    return value


def _power(power: Any) -> float:
    value = DEFAULT_POWER if power is None else power
    return _number("power", value, 1e-9, 1.0, "it takes a probability between 0 and 1")
