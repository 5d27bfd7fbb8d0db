"""The bootstrap of a generalised linear model: its clusters weighted, or drawn with replacement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from secrets import randbits
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.arguments import chosen
from mlsem.core.generalized.scoring import Search
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.errors import InferenceError, OptionValueError
from mlsem.estimation.generalized.estimates import GlmEstimates, refitted
from mlsem.estimation.standard_errors import CR0
from mlsem.inference.bootstrap import draws as numbers
from mlsem.inference.bootstrap.draws import Shares
from mlsem.inference.bootstrap.result import Bootstrap
from mlsem.inference.bootstrap.run import (
    LOOSE,
    NOT_DETERMINED,
    PATIENCE,
    checked_arguments,
    sorted_out,
    studentised,
)
from mlsem.inference.covariance.generalized import glm_covariance
from mlsem.inference.covariance.reference import ClusterReference
from mlsem.parallel.pool import Backend, in_batches, workers_for

NO_ESTIMATES = "have no finite estimates"


@quiet
def bootstrap_glm(
    fit: GlmEstimates,
    kind: str,
    draws: int,
    seed: int | None,
    *,
    parameters: str | Iterable[str] | None,
    n_jobs: int,
    backend: Backend | None,
    progress: bool | None,
    weights: str | None,
) -> Bootstrap:
    """What `GlmResult.bootstrap` returns, which says what the arguments are.

    Raises
    ------
    InferenceError, OptionValueError, InterfaceError
    """
    clusters = len(fit.data.labels)
    if kind == "parametric":
        raise OptionValueError(
            'kind="parametric": the model says nothing of what the rows of a cluster share, so '
            'that no data can be drawn from it. Take "wild" or "pairs".'
        )
    wanted, scheme = checked_arguments(kind, draws, seed, weights, clusters)
    workers_for(n_jobs, backend)
    names = fit.names
    places = list(range(len(names))) if parameters is None else chosen(names, parameters)
    seed = randbits(32) if seed is None else seed
    settings = replace(fit.settings, se="CR0", df=None, se_form="scores")
    covariance, doubts = glm_covariance(fit.under(settings))
    if not isinstance(covariance.reference, ClusterReference) or np.isnan(covariance.se).all():
        raise InferenceError(f"nothing to bootstrap: {' '.join(doubts)}")
    white, source = covariance.reference.clusters, np.random.SeedSequence(seed)
    reasons: dict[str, int] = {}
    if wanted == "wild":
        generator = np.random.default_rng(source)
        found = numbers.wild_draws(white, fit.params, _no_functions, scheme, draws, generator)
    else:
        how: Any = {"jobs": n_jobs, "backend": backend, "progress": progress}
        refits, label = GlmRefits(fit, numbers.shares(white)), "pairs bootstrap"
        found, reasons = sorted_out(in_batches(refits, source.spawn(draws), label=label, **how))
    values, t = studentised(found, fit.params, covariance.se, kept=False)
    return Bootstrap(
        kind=wanted,
        parameters=tuple(names[k] for k in places),
        estimate=frozen(fit.params[places]),
        robust_se=frozen(covariance.se[places]),
        draws=frozen(values[:, places]),
        t=frozen(t[:, places]),
        reasons=reasons,
        se_kind=CR0.name,
        seed=seed,
        weights=scheme if wanted == "wild" else None,
        enumerated=wanted == "wild" and bool(numbers.patterns(scheme, clusters, draws)),
        cluster=fit.data.cluster,
        n_clusters=clusters,
        fewest=clusters,
        groups={},
        variances=(),
    )


def _no_functions(
    params: Shaped[Array, "npar"],
) -> tuple[Shaped[Array, "d"], Shaped[Array, "d npar"]]:
    return np.empty(0), np.empty((0, len(params)))


@dataclass(frozen=True, slots=True, eq=False)
class GlmRefits:
    """Draws clusters and fits them; all that a process needs to do so."""

    estimates: GlmEstimates
    shares: Shares

    def __call__(self, seeds: Sequence[np.random.SeedSequence]) -> list[Shaped[Array, "2 c"] | str]:
        """Of each draw the values and CR0 standard errors (2, npar), or why it failed."""
        with np.errstate(all="ignore"):
            return [self.replicate(np.random.default_rng(seed)) for seed in seeds]

    def replicate(self, generator: np.random.Generator) -> Shaped[Array, "2 c"] | str:
        rows, settings = self.estimates.data.rows, self.estimates.settings
        count = len(rows.starts)
        drawn = np.sort(generator.integers(0, count, count))
        if not self.shares.determine(drawn):
            return NOT_DETERMINED
        search = Search(max(LOOSE, settings.tol), min(PATIENCE, settings.max_iter))
        found = refitted(self.estimates, rows.of_clusters(drawn), search)
        if found is None:
            return NO_ESTIMATES
        moved = found.scores @ np.linalg.inv(found.informations.sum(axis=0))
        return np.stack((found.params, np.sqrt((moved**2).sum(axis=0))))
