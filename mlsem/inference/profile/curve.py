"""The profile likelihood of a variance, drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np

from mlsem.arguments import chosen, require_level
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.errors import InferenceError, OptionValueError, listed
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.inference.covariance.reference import ClusterReference
from mlsem.inference.profile.run import (
    profile_intervals,
    variance_places,
    variance_search,
)
from mlsem.inference.profile.search import Search, critical_value, relative_variances
from mlsem.report.figures.sampling import Likelihood, profile
from mlsem.report.labels import read_labels

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates
    from mlsem.report.figures.style import Figure

POINTS = 14  # on each side of the highest
BEYOND = 0.25  # of the interval's half, drawn past its limits
WIDE = 3.0  # half-widths where a limit is infinite
CAPTION = (
    "Filled squares: {:g} % limits of the profile. Open ones: Wald's. Both with CR2's variance."
)


@quiet
def plot_profile(
    estimates: Estimates,
    parameters: str | Iterable[str] | None,
    level: float,
    labels: object,
    figure: Figure | None,
) -> Figure:
    """See `FitResult.plot_profile`."""
    require_level(level)
    words, names = read_labels(labels), estimates.names
    variances = sorted(variance_places(estimates.table))
    places = variances if parameters is None else chosen(names, parameters)
    others = [names[k] for k in places if k not in variances]
    if others:
        raise OptionValueError(
            f"{listed(others)}: profiles are those of variances, here "
            f"{listed([names[k] for k in variances])}."
        )
    limits = profile_intervals(estimates, places, level).limits
    known = [k for k in places if np.isfinite(limits[k][0])]
    if not known:
        raise InferenceError("no variance of this fit has a profile to draw.")
    panels = [
        _likelihood(estimates, k, limits[k], level, name)
        for k, name in zip(known, words.all([names[k] for k in known]), strict=True)
    ]
    return profile(panels, CAPTION.format(100 * level), figure)


def _likelihood(
    estimates: Estimates, place: int, limits: tuple[float, float], level: float, name: str
) -> Likelihood:
    covariance, _ = covariance_of(estimates.with_se("CR2"))
    assert isinstance(covariance.reference, ClusterReference)
    clusters = covariance.reference.clusters
    relative = relative_variances(clusters, clusters.influence[[place]])
    critical = critical_value(float(relative[0]), level)
    search = variance_search(estimates, covariance, place, critical)
    values, roots = _along(search, limits)
    estimate = estimates.params[[place]]
    se, df = covariance.se[[place]], covariance.df[[place]]
    found = wald(estimate, se, df, level)
    return Likelihood(
        name=name,
        values=values.tolist(),
        root=roots.tolist(),
        critical=critical,
        estimate=float(estimate[0]),
        limits=limits,
        slope=float(1.0 / se[0]),
        wald=(float(found.lower[0]), float(found.upper[0])),
    )


def _along(
    search: Search, limits: tuple[float, float]
) -> tuple[Shaped[Array, "m"], Shaped[Array, "m"]]:
    """Values, and the signed root at each; those at which there is no maximum are left out."""
    middle = search.centre.value
    below = [] if middle <= search.floor else _side(search, _end(search, limits[0], -1.0))
    above = _side(search, _end(search, limits[1], 1.0))
    found = [(value, -root) for value, root in below[::-1]] + [(middle, 0.0)] + above
    values, roots = np.array(found).T
    return values, roots


def _end(search: Search, limit: float, sign: float) -> float:
    middle = search.centre.value
    reach = abs(limit - middle) * (1.0 + BEYOND) if np.isfinite(limit) else WIDE * search.width
    return max(middle + sign * reach, search.floor)


def _side(search: Search, end: float) -> list[tuple[float, float]]:
    """From the highest point to an end, each maximum from the one before."""
    near, found = search.centre.point, []
    for value in np.linspace(search.centre.value, end, POINTS + 1)[1:].tolist():
        place = search.profile(value, near)
        if place is not None:
            found.append((value, place[0]))
            near = place[1]
    return found
