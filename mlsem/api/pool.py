"""`pool`: fits to several data sets as one result."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from mlsem.core.quiet import quiet
from mlsem.estimation.keywords import shown
from mlsem.inference.pooling.rules import PooledDf
from mlsem.other_programs.answering import answering
from mlsem.results.generalized.result import GlmResult
from mlsem.results.nested.result import NestedResult
from mlsem.results.pooled.generalized import PooledGlmResult
from mlsem.results.pooled.kinds import pool_fits
from mlsem.results.pooled.nested import PooledNestedResult
from mlsem.results.pooled.result import PooledResult
from mlsem.results.result import FitResult


@answering
@shown()
@quiet
def pool(
    fits: Iterable[FitResult] | Iterable[NestedResult] | Iterable[GlmResult],
    df: PooledDf = "matching",
    *,
    nested: Iterable[Hashable] | None = None,
    complete_df: float | None = None,
) -> PooledResult | PooledNestedResult | PooledGlmResult:
    """Fits of one model to several completed data sets, pooled by Rubin's rules.

    Parameters
    ----------
    fits : iterable of FitResult, MixedResult, NestedResult or GlmResult
        Of one model to the same rows, each with other imputed or plausible values; or what was
        pooled, whose fits are pooled anew.
    df : {"matching", "barnard-rubin", "rubin"}, default "matching"
        Degrees of freedom of the t tests, see the notes. "matching" holds also where a completed
        data set has few.
    nested : iterable of hashable, optional
        For each fit the outer data set that it belongs to, as many fits for each, such as
        ``[1, 1, 2, 2]``: plausible values that were each imputed several times (Rubin, 2003).
    complete_df : float, optional
        The degrees of freedom ν that a data set without anything missing would have, such as
        clusters less 1. Default: those of each fit's t tests (CR2, `lmm`), else infinite.

    Returns
    -------
    PooledResult, PooledMixedResult, PooledNestedResult or PooledGlmResult
        By what fits they are: of `mlsem.fit`, of `lmm` (with three levels a nested one), of `glm`
        and `gee`. The fits, with tables and tests as a fit has them.

    Raises
    ------
    InferenceError
        The fits are of different models, rows, estimators or standard errors.
    EstimationError
        More than a fifth of the fits did not converge. Fewer are left out, with a warning.
    OptionValueError
        A value that an argument cannot take, or what is given are no fits.

    Notes
    -----
    With Ū the mean of the covariance matrices and B that of the estimates, T = Ū + (1 + 1/m) B
    (Rubin, 1987, eq. 3.1.5). With λ = (1 + 1/m) b / t the degrees of freedom are (m - 1) / λ²
    ("rubin"; eq. 3.1.6); 1 / df = λ² / (m - 1) + (1 - λ)² / ν ("matching"; Lipsitz, Parzen & Zhao,
    2002); 1 / df = λ² / (m - 1) + (ν + 3) / [(1 - λ) ν (ν + 1)] ("barnard-rubin"; Barnard & Rubin,
    1999, eq. 3), which falls to about 2 where ν is small. ν is the mean of the fits' own. With
    infinite ν all three are the same.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
    >>> fits = [mlsem.lmm("y ~ x1 + w1 + (1 | id)", each) for each in sets]
    >>> pooled = mlsem.pool(fits)
    >>> pooled.params[["x1", "w1"]].round(3)
    x1    0.521
    w1    0.339
    Name: est, dtype: float64
    >>> round(float(pooled.df["w1"]), 1), float(mlsem.pool(fits, df="rubin").df["w1"]) > 1e6
    (48.0, True)
    """
    return pool_fits(fits, df, nested, complete_df)
