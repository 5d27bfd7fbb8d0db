"""The bootstrap of a fit: clusters weighted or drawn, or data drawn from the fitted model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from secrets import randbits
from typing import Annotated as Shaped
from typing import Any, get_args

import numpy as np

from mlsem.arguments import chosen, require_seed, require_whole
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, RobustClusters, frozen
from mlsem.core.sample.draws import DataSource
from mlsem.core.sample.resampling import Moments, drawn_clusters, resampled_unions
from mlsem.errors import InferenceError, InferenceWarning, OptionValueError, listed, warn
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.refit import Drawn, model_sampler, refits
from mlsem.estimation.settings import Settings
from mlsem.estimation.standard_errors import CR0, StandardErrors, plain_sandwich
from mlsem.inference.bootstrap import draws as numbers
from mlsem.inference.bootstrap.draws import WEIGHTS, Draws, Shares, WeightKind
from mlsem.inference.bootstrap.result import Bootstrap, BootstrapKind, about_failures
from mlsem.inference.covariance.by_group import clusters_of_groups, fewest_clusters
from mlsem.inference.covariance.equations import WhiteClusters
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.inference.covariance.reference import ClusterReference
from mlsem.model.expressions import CompiledDefinitions, compile_definitions
from mlsem.model.table import ParameterTable
from mlsem.parallel.pool import Backend, in_batches, workers_for

LOOSE = 1e-6  # remaining step of a refit in standard errors: far less than draws differ by
PATIENCE = 100  # iterations of a refit, which starts at the estimates
FEWEST = 2  # draws

# Why a draw failed.
NOT_DETERMINED = "do not determine some parameter"
NOT_CONVERGED = "did not converge"
NO_SE = "have no standard errors"


@quiet
def bootstrap(
    fit: Estimates,
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
    """What `FitResult.bootstrap` returns, which says what the arguments are.

    Raises
    ------
    InferenceError, OptionValueError, InterfaceError
    """
    wanted, scheme = _checked(fit, kind, draws, seed, weights)
    workers_for(n_jobs, backend)  # also where nothing is refitted
    names = (*fit.table.names, *(each.name for each in fit.table.definitions))
    places = list(range(len(names))) if parameters is None else chosen(names, parameters)
    seed = randbits(32) if seed is None else seed
    if fit.problem.robust.strata is not None:
        raise InferenceError(
            "the bootstrap draws clusters from one population, and these are from strata: use the "
            "standard errors of the fit, which are by strata."
        )
    source, robust = np.random.SeedSequence(seed), fit.problem.robust
    errors = CR0 if wanted == "wild" else _sandwich(fit)
    covariance, functions = _covariance(fit, errors), compile_definitions(fit.table)
    reasons: dict[str, int] = {}
    if wanted == "wild":
        found = _wild(fit, covariance, functions, scheme, draws, source)
    else:
        refits = _refits(fit, functions, parametric=wanted == "parametric")
        spawned, label = source.spawn(draws), f"{wanted} bootstrap"
        how: Any = {"jobs": n_jobs, "backend": backend, "progress": progress}
        each = in_batches(refits, spawned, label=label, **how)
        found, reasons = sorted_out(each)
    estimate, robust_se = _with_functions(fit.params, covariance, functions)
    values, t = studentised(found, estimate, robust_se, kept=wanted == "parametric")
    return Bootstrap(
        kind=wanted,
        parameters=tuple(names[k] for k in places),
        estimate=frozen(estimate[places]),
        robust_se=frozen(robust_se[places]),
        draws=frozen(values[:, places]),
        t=frozen(t[:, places]),
        reasons=reasons,
        se_kind=errors.name,
        seed=seed,
        weights=scheme if wanted == "wild" else None,
        enumerated=wanted == "wild" and bool(numbers.patterns(scheme, robust.n_clusters, draws)),
        cluster=robust.name,
        n_clusters=robust.n_clusters,
        fewest=fewest_clusters(fit.problem),
        groups={str(label): count for label, count in clusters_of_groups(fit.problem).items()},
        variances=tuple(names[k] for k in places if k in _variances(fit.table)),
    )


# --- arguments ------------------------------------------------------------------------------------


def _checked(
    fit: Estimates, kind: object, draws: object, seed: object, weights: object
) -> tuple[BootstrapKind, WeightKind]:
    """The kind of bootstrap and, of a wild one, of weights."""
    if not fit.converged:
        raise InferenceError("the fit did not converge: there are no estimates to bootstrap.")
    return checked_arguments(kind, draws, seed, weights, fewest_clusters(fit.problem))


def checked_arguments(
    kind: object, draws: object, seed: object, weights: object, clusters: int
) -> tuple[BootstrapKind, WeightKind]:
    """The same of so many clusters, whatever was fitted."""
    kinds = get_args(BootstrapKind)
    if kind not in kinds:
        raise OptionValueError(
            f"kind={kind!r} is not a kind of bootstrap. Use one of {listed(kinds)}."
        )
    require_whole("draws", draws, FEWEST)
    require_seed(seed)
    if weights is not None and kind != "wild":
        raise OptionValueError(
            f'weights={weights!r} belong to kind="wild": the {kind} bootstrap has none.'
        )
    if weights is not None and weights not in WEIGHTS:
        raise OptionValueError(
            f"weights={weights!r} are not available. Use one of {listed(WEIGHTS)}."
        )
    return kind, weights or numbers.default_weights(clusters)  # type: ignore[return-value]


# --- what is bootstrapped -------------------------------------------------------------------------


def _sandwich(fit: Estimates) -> StandardErrors:
    """The robust errors of refits; those of MLR do not exist at REML estimates."""
    return plain_sandwich(reml=fit.settings.estimator == "REML")


def _covariance(fit: Estimates, kind: StandardErrors) -> Covariance:
    """The fit's own, which the percentile-t interval and the statistics observed are made of."""
    found, doubts = covariance_of(fit.with_se(kind.name))
    if np.isnan(found.se).all():
        raise InferenceError(f"nothing to bootstrap: {' '.join(doubts)}")
    return found


def _variances(table: ParameterTable) -> set[int]:
    """Positions of the parameters that are variances."""
    return {row.free for row in table.rows if row.is_variance}


def _with_functions(
    params: Shaped[Array, "npar"], covariance: Covariance, functions: CompiledDefinitions
) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
    """Estimates and standard errors of the parameters, then of the definitions."""
    values, gradients = functions(params)
    se = covariance.of_functions(gradients)[0]
    return np.concatenate((params, values)), np.concatenate((covariance.se, se))


def studentised(
    found: Draws, estimate: Shaped[Array, "c"], robust_se: Shaped[Array, "c"], *, kept: bool
) -> tuple[Shaped[Array, "B c"], Shaped[Array, "B c"]]:
    """Draws of estimates and of their t statistics.

    What has no robust standard error in the fit has neither: its clusters do not say how uncertain
    it is. Draws from the model do (`kept`).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (found.values - estimate) / np.where(found.se > 0.0, found.se, np.nan)
    unknown = np.isnan(robust_se)
    values = found.values if kept else np.where(unknown, np.nan, found.values)
    return values, np.where(unknown | ~np.isfinite(t), np.nan, t)


# --- the wild bootstrap ---------------------------------------------------------------------------


def _wild(
    fit: Estimates,
    covariance: Covariance,
    functions: CompiledDefinitions,
    weights: WeightKind,
    draws: int,
    source: np.random.SeedSequence,
) -> Draws:
    clusters, generator = _white_clusters(covariance), np.random.default_rng(source)
    return numbers.wild_draws(clusters, fit.params, functions, weights, draws, generator)


# --- bootstraps that refit ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Refits:
    """Draws data sets and fits them; all that a process needs to do so.

    Attributes
    ----------
    estimates : Estimates
        Of the fitted model.
    settings : Settings
        Of the refits.
    source : DataSource or Shares
        Of the fitted model, or of the robust clusters that are drawn.
    """

    estimates: Estimates
    settings: Settings
    functions: CompiledDefinitions
    source: DataSource | Shares

    def __call__(self, seeds: Sequence[np.random.SeedSequence]) -> list[Shaped[Array, "2 c"] | str]:
        """Of each draw the values and standard errors (2, npar + d), or why it failed."""
        determined: list[bool] = []

        def drawn() -> Iterator[Drawn]:
            for seed in seeds:
                each = self.drawn(np.random.default_rng(seed))
                determined.append(each is not None)
                if each is not None:
                    yield each

        with np.errstate(all="ignore"):
            again = refits(self.estimates, drawn(), self.settings, self.estimates.params)
            found = iter([self.replicate(each) for each in again])
        return [next(found) if each else NOT_DETERMINED for each in determined]

    def replicate(self, found: Estimates | None) -> Shaped[Array, "2 c"] | str:
        """What is kept of a refit."""
        if found is None:
            return NOT_DETERMINED
        if not found.converged:
            return NOT_CONVERGED
        covariance, _ = covariance_of(found)
        if np.isnan(covariance.se).all():
            return NO_SE
        return np.stack(_with_functions(found.params, covariance, self.functions))

    def drawn(self, generator: np.random.Generator) -> tuple[Moments, RobustClusters] | None:
        """A data set and its robust clusters; None if it leaves some parameter undetermined.

        A covariate that the drawn clusters have in common is constant but for rounding errors,
        and a refit might take these for its variation.
        """
        moments, robust = self.estimates.problem.moments, self.estimates.problem.robust
        if not isinstance(self.source, Shares):
            return self.source.draw(generator), robust
        clusters = drawn_clusters(moments, robust, generator)
        if not self.source.determine(clusters):
            return None
        return resampled_unions(moments, robust, clusters)


def _refits(fit: Estimates, functions: CompiledDefinitions, *, parametric: bool) -> Refits:
    settings = replace(
        fit.settings.with_se(_sandwich(fit).name),
        tol=max(LOOSE, fit.settings.tol),
        max_iter=min(PATIENCE, fit.settings.max_iter),
    )
    return Refits(
        estimates=fit,
        settings=settings,
        functions=functions,
        source=model_sampler(fit) if parametric else _shares(fit),
    )


def _shares(fit: Estimates) -> Shares:
    return numbers.shares(_white_clusters(_covariance(fit, CR0)))


def _white_clusters(covariance: Covariance) -> WhiteClusters:
    assert isinstance(covariance.reference, ClusterReference)  # all kinds of CR have one
    return covariance.reference.clusters


def sorted_out(replicates: list[Shaped[Array, "2 c"] | str]) -> tuple[Draws, dict[str, int]]:
    """The draws, and how many failed for which reason."""
    found = [each for each in replicates if not isinstance(each, str)]
    reasons = dict(Counter(each for each in replicates if isinstance(each, str)))
    if len(found) < FEWEST:
        raise InferenceError(f"no bootstrap: {about_failures(reasons, len(found))}")
    if reasons:
        warn(about_failures(reasons, len(found)), InferenceWarning)
    both = np.array(found)
    return Draws(both[:, 0], both[:, 1]), reasons
