"""Bootstrap draws of one parameter as a figure shows them."""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array
from mlsem.report.figures.sampling import Draws

FEWEST, MOST = 12, 60  # bins
REACH = 6.0  # quartile ranges about the median that are drawn: far draws would flatten the rest
CURVE = 81  # points


def histogram(
    name: str,
    column: Shaped[Array, "B"],
    estimate: float,
    limits: Shaped[Array, "2"],
    se: float,
) -> Draws:
    """The draws that have a value, as a density over all of them."""
    values = column[np.isfinite(column)]
    if not len(values):
        return Draws(name, [estimate - 0.5, estimate + 0.5], [0.0], estimate, (np.nan, np.nan), [])
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
    reach = REACH * (third - first) or max(1e-3 * abs(median), 1e-6)
    shown = values[np.abs(values - median) <= reach]
    edges = np.histogram_bin_edges(shown, bins="fd")
    bins = min(max(len(edges) - 1, FEWEST), MOST)
    counts, edges = np.histogram(shown, bins=bins)
    density = counts / (len(values) * np.diff(edges))
    normal: list[tuple[float, float]] = []
    if se > 0.0:
        x = np.linspace(edges[0], edges[-1], CURVE)
        y = np.exp(-0.5 * ((x - estimate) / se) ** 2) / (se * np.sqrt(2.0 * np.pi))
        normal = list(zip(x.tolist(), y.tolist(), strict=True))
    lower, upper = limits.tolist()
    return Draws(name, edges.tolist(), density.tolist(), estimate, (lower, upper), normal)
