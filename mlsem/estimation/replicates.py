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

from mlsem.core.records import Array, ClusterMoments, frozen
from mlsem.data.table.replication import Replication
from mlsem.data.table.sampling import Sampling
from mlsem.errors import DataError, EstimationError, IdentificationError, without_warnings
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.pose import pose
from mlsem.estimation.refit import Drawn, refits
from mlsem.estimation.replicated import ReplicateEstimates
from mlsem.estimation.settings import Settings
from mlsem.parallel.progress import bar

MOST_FAILED = 0.2  # share of the replicates
SAME = 1e-9  # relative differences of what a variable is made of that are rounding


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
    reasons: list[str] = []
    records = _records(replication, reread, reasons)
    with without_warnings(), bar(count, "replicate weights") as advance:
        found: dict[int, Array] = {}
        for number, params in _fitted(estimates, records, reasons):
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


def _records(
    replication: Replication, reread: Reread, reasons: list[str]
) -> Iterator[tuple[int, Any]]:
    """Number and record of each replicate that can be read."""
    for number, (frame, how) in enumerate(replication.frames(), start=1):
        try:
            yield number, reread(frame, how)
        except DataError as error:
            reasons.append(str(error))


def _fitted(
    estimates: Estimates, records: Iterator[tuple[int, Any]], reasons: list[str]
) -> Iterator[tuple[int, Array]]:
    """Number and estimates of the replicates that converge: as many searched together as have the
    variables of the sample, others one by one."""
    alike: list[int] = []
    others: list[tuple[int, Any]] = []

    def drawn() -> Iterator[Drawn]:
        for number, record in records:
            moments = _about(estimates.record, record)
            if moments is None:
                others.append((number, record))
            else:
                alike.append(number)
                yield moments, None

    settings = replace(estimates.settings, se="none", replicates=None, starts=0, seed=None)
    for k, again in enumerate(refits(estimates, drawn(), settings, estimates.params)):
        if again is not None and again.converged:
            yield alike[k], again.params
        else:
            reasons.append("the search did not converge.")
    for number, record in others:
        params = _alone(estimates, record, settings, reasons)
        if params is not None:
            yield number, params


def _about(first: Any, record: Any) -> ClusterMoments | None:
    """The moments of a record about the shift of the first one's; None where its variables are
    others, as of several groups, of missing values, or where a mean was taken off, that of a
    factor of a product too."""
    there, moments = first.moments, record.moments
    if not isinstance(there, ClusterMoments) or not isinstance(moments, ClusterMoments):
        return None
    same = (there.columns, there.varying) == (moments.columns, moments.varying)
    if not same or record.centered or first.formula is not None:
        return None
    moved = moments.shift - there.shift
    for name, column in first.maps.items():
        other = record.maps[name]
        if not np.allclose(other.coefs, column.coefs, rtol=SAME, atol=0.0):
            return None
        if not np.isclose(other.constant - other.coefs @ moved, column.constant, rtol=SAME):
            return None
    return replace(moments, means=frozen(moments.means + moved), shift=there.shift)


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
