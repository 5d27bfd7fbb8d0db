"""A model fitted by each set of replicate weights.

    V = Σ_r c_r (θ_r - θ)(θ_r - θ)ᵀ

θ are the estimates by the weights of the sample. Replicates whose search fails are left out, and
the others stand for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlsem.core.records import Array, frozen
from mlsem.data.moments.reweighted import reweighted
from mlsem.data.table.replication import Replication
from mlsem.data.table.sampling import Sampling
from mlsem.errors import DataError, EstimationError, IdentificationError, without_warnings
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.pose import pose
from mlsem.estimation.refit import refits
from mlsem.estimation.replicated import ReplicateEstimates
from mlsem.estimation.settings import Settings
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
    count, reasons = len(replication), list[str]()
    with without_warnings(), bar(count, "replicate weights") as advance:
        found: dict[int, Array] = {}
        for number, params in _fitted(estimates, replication, reread, reasons):
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


def _fitted(
    estimates: Estimates, replication: Replication, reread: Reread, reasons: list[str]
) -> Iterator[tuple[int, Array]]:
    """Number and estimates of the replicates that converge: searched together where their rows are
    those of the sample with other weights, else read and searched one by one."""
    settings = replace(estimates.settings, se="none", replicates=None, starts=0, seed=None)
    missing = settings.missing or "listwise"
    moments = reweighted(estimates.table, estimates.record, replication, missing)
    if moments is None:
        yield from _one_by_one(estimates, replication, reread, settings, reasons)
        return
    drawn = ((each, None) for each in moments)
    for number, again in enumerate(refits(estimates, drawn, settings, estimates.params), start=1):
        if again is not None and again.converged:
            yield number, again.params
        else:
            reasons.append("the search did not converge.")


def _one_by_one(
    estimates: Estimates,
    replication: Replication,
    reread: Reread,
    settings: Settings,
    reasons: list[str],
) -> Iterator[tuple[int, Array]]:
    for number, (frame, how) in enumerate(replication.frames(), start=1):
        try:
            record = reread(frame, how)
        except DataError as error:
            reasons.append(str(error))
            continue
        params = _alone(estimates, record, settings, reasons)
        if params is not None:
            yield number, params


def _alone(
    estimates: Estimates, record: Any, settings: Settings, reasons: list[str]
) -> Array | None:
    """The estimates by other weights, searched from those of the sample."""
    try:
        problem = pose(estimates.table, record)
        optimum = optimum_of(problem, settings, estimates.params)
    except (EstimationError, IdentificationError, DataError) as error:
        reasons.append(str(error))
        return None
    if not optimum.converged:
        reasons.append("the search did not converge.")
        return None
    return problem.coordinates.to_user(optimum.params)
