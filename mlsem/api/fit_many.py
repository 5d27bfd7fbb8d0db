"""`fit_many`: one model fitted to several completed data sets, and the fits pooled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from mlsem.api.fit import fit
from mlsem.api.lmm import lmm
from mlsem.api.steps import parsed
from mlsem.core.quiet import quiet
from mlsem.data.table.completed import completed_data
from mlsem.errors import Heard, OptionValueError, heard_warnings, warn
from mlsem.estimation.estimator import Nearby
from mlsem.estimation.keywords import FitKeywords, shown
from mlsem.other_programs.answering import answering
from mlsem.parallel.pool import Backend, streamed, workers_for
from mlsem.parallel.progress import bar
from mlsem.results.pooled.kinds import pool_fits
from mlsem.results.pooled.result import PooledResult
from mlsem.results.result import FitResult
from mlsem.syntax.mixed import read_formula

if TYPE_CHECKING:
    from mlsem.data.frames.records import AnyFrame
    from mlsem.data.kept.moments import Moments

RANDOM = re.compile(r"\|\s*[\w.`]+[^()|]*\)")  # the end of `(1 | id)`


@shown(FitKeywords)
@answering
@quiet
def fit_many(
    model: str,
    data: Iterable[AnyFrame | Moments] | AnyFrame,
    cluster: str | None = None,
    *,
    imputation: str | None = None,
    plausible: Mapping[str, str | Iterable[str]] | None = None,
    REML: bool | None = None,
    n_jobs: int = 1,
    backend: Backend | None = None,
    **options: Unpack[FitKeywords],
) -> PooledResult:
    """Fit one model to several data sets, imputed or with plausible values, and pool the fits.

    Parameters
    ----------
    model : str
        As for `mlsem.fit`; or a formula with a random part, ``"y ~ x + (1 | id)"``, as for
        `mlsem.lmm`.
    data : list of data frames, or data frame
        The completed data sets, of the same rows in any order; each is what `mlsem.fit` takes. Or
        one data frame, with `imputation` or `plausible`.
    cluster : str, optional
        Column of cluster ids; a formula names its own.
    imputation : str, optional
        Column of a long data frame that tells the imputations apart, such as ``".imp"`` of mice.
        Rows numbered 0 that have missing values are the data before imputation, and left out.
    plausible : mapping of str to str or list of str, optional
        Variables of the model that are there as plausible values, each with its columns:
        ``{"math": "PV{}MATH"}``, where ``{}`` stands for the number, or a list of names. In the
        model ``math`` is a variable like any other (outcome, predictor, indicator, factor of a
        product). The first values of all variables belong together, the second ones, and so on.
    REML : bool, optional
        Of a formula, as for `mlsem.lmm`. Default: True there.
    n_jobs : int, default 1
        Processes, -1 for all cores. The result does not depend on it.
    backend : str or executor, optional
        joblib's: "loky" (the default). Or "dask", "ray", "spark": all workers of the cluster that
        is connected, whatever `n_jobs`. Or anything with the method `submit` of
        `concurrent.futures.Executor`. The first data set is fitted here, the others where it says;
        mlsem must be installed there, and files be there, too.
    **options
        As for `mlsem.fit` or `mlsem.lmm`. `start` is of the first fit; the others begin at its
        estimates.

    Returns
    -------
    PooledResult
        As of `mlsem.pool`, which pools its fits by other degrees of freedom.

    Raises
    ------
    DataError, OptionValueError
        The data sets do not belong together, or what `plausible` says does not go with data and
        model.
    EstimationError
        More than a fifth of the fits did not converge.
    InterfaceError
        Several processes without joblib, a backend without its package, or a bar without tqdm.
    WorkerError
        A process died, or the cluster was lost or cannot read the data.
    ModelSyntaxError, SpecificationError, OptionError
        As for `mlsem.fit`.

    Notes
    -----
    With plausible values in several imputations the fits are nested (Rubin, 2003): where the
    plausible values are the same in all imputations these are the inner ones; else the plausible
    values were drawn for each imputation, and are (Weirich et al., 2014).

    Examples
    --------
    >>> import mlsem
    >>> import numpy as np
    >>> data = mlsem.load_example("article")
    >>> draws = np.random.default_rng(1).normal(0, 0.5, (5, len(data)))
    >>> data = data.assign(**{f"PV{k}MATH": data["y"] + d for k, d in enumerate(draws, 1)})
    >>> pooled = mlsem.fit_many(
    ...     "level: 1; math ~ x1; level: 2; math ~ w1",
    ...     data,
    ...     cluster="id",
    ...     plausible={"math": "PV{}MATH"},
    ... )
    >>> len(pooled), pooled.params.index[0]
    (5, 'math~x1')
    >>> round(float(pooled.fmi["math~x1"]), 2)
    0.18
    """
    mixed = isinstance(model, str) and is_formula(model)
    if not isinstance(model, str):
        parsed(model, data)  # which says what to write
    if mixed and cluster is not None:
        raise OptionValueError(
            f'cluster="{cluster}": the formula names its clusters, (… | id), so leave cluster out.'
        )
    nested = mixed and bool(read_formula(str(model)).nested)
    if REML is not None and not mixed:
        raise OptionValueError(
            f'REML={REML!r} is for formulas, "y ~ x + (1 | id)": a model by levels takes '
            'estimator="REML".'
        )
    workers_for(n_jobs, backend)
    spoken_of = (cluster, dict(options))
    sets = completed_data(data, _named(model, options), spoken_of, imputation, plausible)
    if n_jobs != 1 or backend is not None:
        sets = sets.thin(model, *spoken_of)
    rest: dict[str, Any] = dict(options)
    shown_bar, start = rest.pop("progress", None), rest.pop("start", None)
    rest |= {"cluster": cluster} if not mixed else {} if REML is None else {"REML": REML}
    fitted, frames = _Fitted(mixed, model, rest), sets.frames()
    how: Any = {"jobs": n_jobs, "backend": backend, "progress": None, "label": "fits"}
    with bar(len(sets), "fits", shown_bar) as advance:
        fits = [fitted(next(frames), start)]
        advance(1)
        known = fits[0].converged and not rest.get("starts") and not nested
        near = Nearby(fits[0].estimates) if known else None
        batches = ([frame] for frame in frames)
        for found in streamed(partial(_heard, fitted, near), batches, total=len(sets) - 1, **how):
            for one, heard in found:
                for message, category in heard:
                    warn(message, category)
                fits.append(one)
                advance(1)
    return pool_fits(fits, nested=sets.nested, origin=sets.origin)


def _named(model: str, options: Mapping[str, Any]) -> str:
    """The model, with the variables that stand beside it."""
    beside: Any = options.get("auxiliary") or ()
    return " ".join((model, *([beside] if isinstance(beside, str) else map(str, beside))))


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One data set to its fit."""

    mixed: bool
    model: str
    how: Mapping[str, Any]

    def __call__(self, frame: Any, start: object) -> FitResult:
        call: Any = lmm if self.mixed else fit
        return call(self.model, frame, **self.how, **({} if start is None else {"start": start}))


def _heard(
    fitted: _Fitted, start: object, frames: Sequence[Any]
) -> list[tuple[FitResult, list[Heard]]]:
    """The fits of a batch, with the warnings of each, which another process would keep."""
    found: list[tuple[FitResult, list[Heard]]] = []
    for frame in frames:
        with heard_warnings() as heard:
            found.append((fitted(frame, start), heard))
    return found


def is_formula(text: str) -> bool:
    """Whether a text has a random part, `(1 | id)`, which only formulas of `lmm` have."""
    return RANDOM.search(re.sub(r"[#!].*", "", text)) is not None
