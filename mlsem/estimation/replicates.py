"""A model fitted by each set of replicate weights.

    V = Σ_r c_r (θ_r - θ)(θ_r - θ)ᵀ

θ are the estimates by the weights of the sample. Replicates whose search fails are left out, and
the others stand for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mlsem.core.records import Array, frozen
from mlsem.data.table.replication import Replication
from mlsem.data.table.sampling import Sampling
from mlsem.errors import DataError, EstimationError, IdentificationError, without_warnings
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.pose import pose
from mlsem.estimation.replicated import ReplicateEstimates
from mlsem.parallel.progress import bar

MOST_FAILED = 0.2  # share of the replicates


Reread = Callable[[Any, Sampling], Any]
"""Reads a frame with other weights for the same model: its record."""


def with_replicates(estimates: Estimates, replication: Replication, reread: Reread) -> Estimates:
    """The estimates, with those by all replicate weights.

    Raises
    ------
    EstimationError
        More than a fifth of the replicates failed.
    """
    if not estimates.converged:
        return estimates
    count = len(replication.weights.factors)
    found: dict[int, Array] = {}
    reasons: list[str] = []
    with without_warnings(), bar(count, "replicate weights") as advance:
        for number, (frame, how) in enumerate(replication.frames(), start=1):
            params = _params(estimates, frame, how, reread, reasons)
            if params is not None:
                found[number] = params
            advance(1)
    failed = count - len(found)
    if failed > MOST_FAILED * count:
        said = f" The first said: {reasons[0]}" if reasons else ""
        raise EstimationError(
            f"{failed} of {count} fits by replicate weights did not converge: there is no variance "
            f"of the replicates.{said}"
        )
    chosen = np.array(list(found), dtype=np.intp)
    factors = replication.weights.factors[chosen - 1] * (count / len(found))
    again = ReplicateEstimates(
        params=frozen(np.array(list(found.values()))),
        factors=frozen(factors),
        numbers=frozen(chosen),
        n_failed=failed,
        df=replication.weights.df,
        title=replication.weights.title,
    )
    return replace(estimates, replicates=again)


def _params(
    estimates: Estimates, frame: Any, how: Sampling, reread: Reread, reasons: list[str]
) -> Array | None:
    """The estimates by other weights, searched from those of the sample."""
    settings = replace(estimates.settings, starts=0, seed=None)
    try:
        problem = pose(estimates.table, reread(frame, how))
        optimum = optimum_of(problem, settings, estimates.params)
    except (EstimationError, IdentificationError, DataError) as error:
        reasons.append(str(error))
        return None
    if not optimum.converged:
        reasons.append("the search did not converge.")
        return None
    return problem.coordinates.to_user(optimum.params)
