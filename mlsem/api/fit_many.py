"""`fit_many`: one model fitted to several completed data sets, and the fits pooled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mlsem.api.fit import fit
from mlsem.api.lmm import lmm
from mlsem.api.steps import parsed
from mlsem.core.quiet import quiet
from mlsem.data.table.completed import completed_data
from mlsem.errors import OptionValueError
from mlsem.estimation.estimator import Nearby
from mlsem.estimation.keywords import FitKeywords, shown
from mlsem.other_programs.answering import answering
from mlsem.parallel.progress import bar
from mlsem.results.pooled.result import PooledResult, pool_fits
from mlsem.results.result import FitResult

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
    **options
        As for `mlsem.fit` or `mlsem.lmm`. `start` is of the first fit; each other one begins at the
        estimates of the one before.

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
    if REML is not None and not mixed:
        raise OptionValueError(
            f'REML={REML!r} is for formulas, "y ~ x + (1 | id)": a model by levels takes '
            'estimator="REML".'
        )
    sets = completed_data(data, _named(model, options), (cluster, options), imputation, plausible)
    rest: dict[str, Any] = dict(options)
    shown_bar, start = rest.pop("progress", None), rest.pop("start", None)
    rest |= {"cluster": cluster} if not mixed else {} if REML is None else {"REML": REML}
    fits: list[FitResult] = []
    with bar(len(sets), "fits", shown_bar) as advance:
        for frame in sets.frames():
            call: Any = lmm if mixed else fit
            before = fits[-1] if fits and not rest.get("starts") else None
            if before is not None and before.converged:
                start = Nearby(before.estimates)
            fits.append(call(model, frame, **rest, **({} if start is None else {"start": start})))
            start = None
            advance(1)
    return pool_fits(fits, nested=sets.nested, origin=sets.origin)


def _named(model: str, options: Mapping[str, Any]) -> str:
    """The model, with the variables that stand beside it."""
    beside: Any = options.get("auxiliary") or ()
    return " ".join((model, *([beside] if isinstance(beside, str) else map(str, beside))))


def is_formula(text: str) -> bool:
    """Whether a text has a random part, `(1 | id)`, which only formulas of `lmm` have."""
    return RANDOM.search(re.sub(r"[#!].*", "", text)) is not None
