"""What each cluster has in the estimates of a generalised linear model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlsem.arguments import chosen
from mlsem.core.generalized.rows import Rows
from mlsem.core.generalized.scoring import solve
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.inference.covariance.equations import whitened
from mlsem.inference.covariance.generalized import equations_of
from mlsem.inference.diagnosis.influence import cluster_influence

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.estimation.generalized.estimates import GlmEstimates
    from mlsem.results.generalized.result import GlmResult

Mask = NDArray[np.bool_]


def diagnose_glm(
    fit: GlmResult, parameters: str | Iterable[str] | None, *, exact: bool
) -> pd.DataFrame:
    """See `GlmResult.cluster_diagnostics`.

    Raises
    ------
    InferenceError
        The information is not positive definite.
    """
    estimates, names = fit._estimates, fit.table.names
    places = list(range(len(names))) if parameters is None else chosen(names, parameters)
    clusters = whitened(equations_of(estimates))
    if clusters is None:
        raise InferenceError("the information is not positive definite: there are no leverages.")
    seen = cluster_influence(clusters, clusters.influence[places])
    change = _left_out(estimates, seen.alone)[:, places] if exact else seen.change
    count, width = len(seen.leverage), len(places)
    return make_frame(
        {
            "cluster": np.repeat(estimates.data.labels, width),
            "rows": np.repeat(estimates.data.rows.sizes, width),
            "leverage": np.repeat(seen.leverage, width),
            "parameter": [names[k] for k in places] * count,
            "share": seen.share.ravel(),
            "change": change.ravel(),
        }
    )


def _left_out(estimates: GlmEstimates, alone: Mask) -> Array:
    """Changes of the estimates in refits without each cluster, (G, p)."""
    settings, rows = estimates.settings, estimates.data.rows
    family, link = settings.records
    change = np.full((len(alone), len(estimates.params)), np.nan)
    codes = np.repeat(np.arange(len(alone)), rows.sizes)
    for j in np.flatnonzero(~alone):
        kept = _without(rows, codes != j)
        again = solve(kept, family, link, settings.working, settings.search, estimates.params)
        if again.converged:
            change[j] = again.params - estimates.params
    return change


def _without(rows: Rows, kept: Mask) -> Rows:
    sizes = rows.sums(kept.astype(float)).astype(np.intp)
    sizes = sizes[sizes > 0]
    return replace(
        rows,
        design=rows.design[:, kept],
        outcome=rows.outcome[kept],
        offset=rows.offset[kept],
        trials=rows.trials[kept],
        starts=np.cumsum(sizes) - sizes,
        gaps=None if rows.gaps is None else rows.gaps[kept],
    )
