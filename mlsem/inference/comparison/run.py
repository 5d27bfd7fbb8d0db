"""Standard errors of several kinds, and their ratio in data sets drawn from the fitted model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from secrets import randbits
from typing import Annotated as Shaped

import numpy as np

from mlsem.arguments import chosen, require_level, require_seed, require_whole
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index
from mlsem.core.sample.draws import DataSource
from mlsem.errors import InferenceError, OptionValueError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.refit import model_sampler, refits
from mlsem.estimation.settings import se_kind
from mlsem.estimation.standard_errors import CR2, MLR, STANDARD
from mlsem.inference.comparison.result import Band, SeComparison
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.model.table import ParameterTable
from mlsem.parallel.pool import Backend, in_batches, workers_for

COMPARED = (STANDARD, MLR, CR2)  # unless the user names others
FEWEST = 20  # draws that a band needs
ENOUGH = 0.5  # share of the draws that must be fitted


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """How data sets are drawn from the fitted model, and what is looked at in them."""

    estimates: Estimates
    sampler: DataSource
    kinds: tuple[str, str]
    places: Shaped[Index, "c"]
    seed: int


@quiet
def compare(
    estimates: Estimates,
    kinds: Iterable[str] | None,
    parameters: str | Iterable[str] | None,
    *,
    draws: int,
    level: float,
    seed: int | None,
    n_jobs: int,
    backend: Backend | None,
    progress: bool | None,
) -> SeComparison:
    """What `FitResult.compare_se` returns, which says what the arguments are.

    Raises
    ------
    InferenceError, OptionValueError, InterfaceError
    """
    if kinds is None:
        reml = estimates.settings.estimator == "REML"
        defined = [kind for kind in COMPARED if kind.reml or not reml]
        kinds = [kind.name for kind in defined if not (kind.model_based and estimates.weighted)]
    table, wanted = estimates.table, _kinds(kinds)
    if not estimates.converged:
        raise InferenceError("the fit did not converge: it has no standard errors to compare.")
    _require_draws(draws, level, seed)
    workers_for(n_jobs, backend)
    names = _coefficients(table) if parameters is None else parameters
    places = np.array(chosen(table.names, names), dtype=np.intp)
    se = {kind: _errors(estimates, kind)[places] for kind in wanted}
    band = None
    if draws and len(wanted) > 1 and not estimates.weighted:  # of which none are drawn
        seed = randbits(32) if seed is None else seed
        pair = (wanted[0], wanted[-1])
        source = Draws(estimates, model_sampler(estimates), pair, places, seed)
        band = _band(source, draws, n_jobs, backend, progress)
    return SeComparison(
        parameters=tuple(table.names[k] for k in places),
        slopes=_slopes(table),
        est=estimates.params[places],
        se=se,
        band=band,
        level=level,
    )


def _band(
    source: Draws, draws: int, n_jobs: int, backend: Backend | None, progress: bool | None
) -> Band:
    found = in_batches(
        partial(_ratios, source),
        range(draws),
        jobs=n_jobs,
        progress=progress,
        label="data sets drawn from the model",
        backend=backend,
    )
    fitted = [ratios for ratios in found if ratios is not None]
    if len(fitted) < ENOUGH * draws:
        raise InferenceError(
            f"only {len(fitted)} of {draws} data sets drawn from the fitted model could be fitted: "
            "there is no reference band. draws=0 compares the standard errors without it."
        )
    return Band(np.array(fitted), draws - len(fitted), source.seed)


def _ratios(source: Draws, numbers: Sequence[int]) -> list[Shaped[Array, "c"] | None]:
    """Ratio of the last kind's standard errors to the first's in each draw; None if it failed."""
    fitted = source.estimates
    generators = (np.random.default_rng([source.seed, number]) for number in numbers)
    drawn = ((source.sampler.draw(each), fitted.problem.robust) for each in generators)
    return [_ratio(source, each) for each in refits(fitted, drawn, fitted.settings, fitted.params)]


def _ratio(source: Draws, again: Estimates | None) -> Shaped[Array, "c"] | None:
    if again is None or not again.converged:
        return None
    base, last = (_errors(again, kind) for kind in source.kinds)
    ratio = last[source.places] / base[source.places]
    return None if np.isnan(ratio).all() else ratio


def _errors(estimates: Estimates, kind: str) -> Shaped[Array, "npar"]:
    return covariance_of(estimates.with_se(kind))[0].se


def _kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    if isinstance(kinds, str):
        kinds = [kinds]
    named = list(dict.fromkeys(se_kind(kind) for kind in kinds))
    names = tuple(kind.name for kind in named)
    if len(named) < 2 or not all(kind.exists for kind in named):
        raise OptionValueError(
            f"kinds={list(names)!r}: name at least two kinds of standard errors, the one to "
            'compare with first, e.g. ["standard", "MLR", "CR2"].'
        )
    return names


def _require_draws(draws: int, level: object, seed: object) -> None:
    require_whole("draws", draws, 0)
    if 0 < draws < FEWEST:
        raise OptionValueError(f"draws={draws}: it takes a number from {FEWEST}, or 0 for no band.")
    require_level(level, "the band's level")
    require_seed(seed)


def _coefficients(table: ParameterTable) -> tuple[str, ...]:
    """Regression coefficients; all parameters if there are none."""
    found = tuple(
        dict.fromkeys(
            table.names[r.free]
            for r in table.rows
            if r.op == "~" and r.free >= 0 and not table.is_auxiliary(r)
        )
    )
    return found or table.names[: len(table.names) - table.n_auxiliary]


def _slopes(table: ParameterTable) -> frozenset[str]:
    """Regression coefficients of level 1."""
    rows = (row for block in table.blocks if block.key.is_lowest for row in block.rows)
    return frozenset(table.names[row.free] for row in rows if row.op == "~" and row.free >= 0)
