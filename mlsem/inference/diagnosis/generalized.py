"""The diagnostics of the clusters of a generalised linear model, and refits without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.arguments import chosen
from mlsem.core.quiet import quiet
from mlsem.core.records import Index, frozen
from mlsem.errors import InferenceError
from mlsem.estimation.generalized.estimates import GlmEstimates, refitted
from mlsem.inference.covariance.generalized import glm_covariance
from mlsem.inference.covariance.reference import ClusterReference
from mlsem.inference.diagnosis.influence import cluster_influence
from mlsem.inference.diagnosis.left_out import LeftOut
from mlsem.inference.diagnosis.result import ClusterDiagnostics
from mlsem.inference.diagnosis.run import asked_clusters
from mlsem.inference.diagnosis.verdict import ROWS_INDEPENDENT
from mlsem.parallel.progress import bar


@quiet
def diagnose_glm(
    estimates: GlmEstimates,
    parameters: str | Iterable[str] | None,
    exact: object,
    progress: object = None,
) -> ClusterDiagnostics:
    """What `GlmResult.cluster_diagnostics` returns.

    Raises
    ------
    InferenceError, OptionValueError
    """
    data, names = estimates.data, estimates.names
    if data.cluster is None:
        raise InferenceError("there are no clusters to look at: fit with cluster=.")
    plain = replace(estimates.settings, se="CR2", df=None, se_form="scores")
    covariance, doubts = glm_covariance(estimates.under(plain))
    if not isinstance(covariance.reference, ClusterReference) or covariance.robust is None:
        raise InferenceError(f"no cluster diagnostics: {' '.join(doubts)}")
    model, _ = glm_covariance(estimates.under(replace(plain, se="standard")))
    places = np.array(
        list(range(len(names))) if parameters is None else chosen(names, parameters), dtype=np.intp
    )
    clusters = covariance.reference.clusters
    measures = cluster_influence(clusters, clusters.influence[places])
    asked = asked_clusters(data.cluster, data.labels, exact)
    left_out = None
    if asked is not None:
        left_out = _left_out(estimates, asked, places, measures.alone, progress)
    kinds = {row.free: (row.op, row.level) for row in estimates.table.rows}
    return ClusterDiagnostics(
        name=data.cluster,
        labels=data.labels,
        rows=data.rows.sizes,
        parameters=tuple(names[k] for k in places),
        kinds=tuple(frozenset((kinds[k],)) for k in places.tolist()),
        effective=frozen(covariance.robust.effective[places]),
        df=frozen(covariance.df[places]),
        se=frozen(covariance.se[places]),
        model_se=frozen(model.se[places]),
        measures=measures,
        left_out=left_out,
        nested=False,
        groups=(),
        member=frozen(np.ones((len(data.labels), 1), dtype=bool)),
        held=frozen(np.ones((len(places), 1), dtype=bool)),
        words=ROWS_INDEPENDENT,
    )


def _left_out(
    estimates: GlmEstimates,
    clusters: Shaped[Index, "k"],
    places: Shaped[Index, "c"],
    alone: Shaped[NDArray[np.bool_], "G"],
    progress: object,
) -> LeftOut:
    """Fit again without each of these clusters, the working correlation too."""
    rows, everyone = estimates.data.rows, np.arange(len(alone))
    change = np.full((len(clusters), len(places)), np.nan)
    with bar(len(clusters), "clusters left out", progress) as advance:
        for k, j in enumerate(clusters.tolist()):
            again = None
            if not alone[j]:
                again = refitted(estimates, rows.of_clusters(np.delete(everyone, j)))
            if again is not None:
                change[k] = (again.params - estimates.params)[places]
            advance(1)
    return LeftOut(clusters, frozen(change))
