"""The diagnostics of a fit's clusters, computed: leverage, influence, and refits without them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsem.arguments import chosen
from mlsem.core.quiet import quiet
from mlsem.core.records import Index, frozen
from mlsem.core.sample.resampling import resampled_unions
from mlsem.errors import InferenceError, OptionValueError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posed import Posed
from mlsem.estimation.refit import refits
from mlsem.inference.covariance.by_group import holders, members
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.inference.covariance.reference import ClusterReference
from mlsem.inference.diagnosis.influence import cluster_influence
from mlsem.inference.diagnosis.left_out import LeftOut
from mlsem.inference.diagnosis.result import ClusterDiagnostics
from mlsem.inference.diagnosis.verdict import COARSER, TWO_LEVELS
from mlsem.model.table import ParameterTable
from mlsem.parallel.progress import bar

FIRST = {"~": 0, "~1": 1, "=~": 2}  # the order of parameters; the others come after these


@quiet
def diagnose(
    estimates: Estimates,
    parameters: str | Iterable[str] | None,
    exact: object,
    progress: object = None,
) -> ClusterDiagnostics:
    """What `FitResult.cluster_diagnostics` returns, which says what the arguments are.

    Raises
    ------
    InferenceError, OptionValueError
    """
    table, robust = estimates.table, estimates.problem.robust
    covariance = _cr2(estimates)
    assert isinstance(covariance.reference, ClusterReference)
    assert covariance.robust is not None
    places = np.array(_by_kind(table) if parameters is None else chosen(table.names, parameters))
    clusters = covariance.reference.clusters
    lost = np.isnan(covariance.se) & ~covariance.robust.undetermined
    contrasts = np.where(lost[:, None], 0.0, clusters.influence)[places]
    known = contrasts.any(axis=1)
    model = np.diagonal(clusters.model_covariance(places)[places])
    kinds = [frozenset((row.op, row.level) for row in table.rows if row.free == k) for k in places]
    measures, asked = (
        cluster_influence(clusters, contrasts),
        asked_clusters(robust.name, robust.labels, exact),
    )
    left_out = None
    if asked is not None:
        left_out = _left_out(estimates, asked, places, ~measures.alone[asked], progress)
    return ClusterDiagnostics(
        name=str(robust.name),
        labels=robust.labels,
        rows=_rows(estimates.problem),
        parameters=tuple(table.names[k] for k in places),
        kinds=tuple(kinds),
        effective=frozen(np.where(known, covariance.robust.effective[places], np.nan)),
        df=frozen(np.where(known, covariance.df[places], np.nan)),
        se=frozen(covariance.se[places]),
        model_se=frozen(np.where(known, np.sqrt(model), np.nan)),
        measures=measures,
        left_out=left_out,
        nested=table.two_level and robust.same,
        groups=tuple(group.label for group in table.groups),
        member=frozen(members(estimates.problem)),
        held=frozen(holders(estimates.problem)[places]),
        words=TWO_LEVELS if table.two_level and robust.same else COARSER,
    )


def _cr2(estimates: Estimates) -> Covariance:
    if estimates.problem.robust.name is None:
        raise InferenceError(
            "there are no clusters to look at: fit with cluster=, or with se_cluster=."
        )
    if not estimates.converged:
        raise InferenceError(
            "the fit did not converge, so the influence of its clusters cannot be assessed."
        )
    if estimates.problem.robust.strata is not None:
        raise InferenceError(
            "cluster diagnostics look at CR2, whose clusters are drawn from one population, and "
            "these are from strata: fit without strata= to look at them."
        )
    covariance, doubts = covariance_of(estimates.with_se("CR2"))
    if covariance.reference is None:
        raise InferenceError(f"no cluster diagnostics: {' '.join(doubts)}")
    return covariance


def _rows(problem: Posed) -> Shaped[NDArray[np.int64], "G"]:
    """Rows of each robust cluster."""
    total = np.zeros(problem.robust.n_clusters, dtype=np.int64)
    np.add.at(total, problem.robust.codes, problem.moments.top_rows)
    return frozen(total)


def _left_out(
    estimates: Estimates,
    clusters: Shaped[Index, "k"],
    places: Shaped[Index, "c"],
    identified: Shaped[NDArray[np.bool_], "k"],
    progress: object,
) -> LeftOut:
    """Refit without each of these robust clusters; centred variables stay as they are.

    Without a cluster of leverage 1 the model is not identified; where only rounding errors say
    so of a constant column, a refit might not see it.
    """
    problem, start = estimates.problem, estimates.params
    change = np.full((len(clusters), len(places)), np.nan)
    everyone = np.arange(problem.robust.n_clusters)
    which = np.flatnonzero(identified)
    drawn = (
        resampled_unions(problem.moments, problem.robust, np.delete(everyone, clusters[k]))
        for k in which
    )
    with bar(len(which), "clusters left out", progress) as advance:
        found = refits(estimates, drawn, estimates.settings, start)
        for k, again in zip(which, found, strict=True):
            if again is not None and again.converged:
                change[k] = (again.params - start)[places]
            advance(1)
    return LeftOut(clusters, frozen(change))


def _by_kind(table: ParameterTable) -> list[int]:
    """All parameters of the model: regressions, then intercepts, loadings, and the others."""
    order = [len(FIRST)] * len(table.names)
    for row in table.rows:
        if row.free >= 0:
            order[row.free] = min(order[row.free], FIRST.get(row.op, len(FIRST)))
    own = len(table.names) - table.n_auxiliary  # the last ones are beside the model
    return sorted(range(own), key=order.__getitem__)


def asked_clusters(
    name: str | None, ids: Shaped[NDArray[Any], "G"], exact: object
) -> Shaped[Index, "k"] | None:
    """Positions of the clusters to leave out; None for none."""
    if isinstance(exact, bool):
        return np.arange(len(ids)) if exact else None
    wanted = exact if isinstance(exact, Iterable) and not isinstance(exact, str) else [exact]
    labels = ids.tolist()
    place = {label: k for k, label in enumerate(labels)}
    found = []
    for label in wanted:
        if label not in place:
            some = ", ".join(repr(each) for each in labels[:5])
            raise OptionValueError(
                f"exact names no cluster {label!r} of {name!r}; its ids are {some}"
                f"{', …' if len(labels) > 5 else ''}."
            )
        found.append(place[label])
    return np.array(found, dtype=np.intp)
