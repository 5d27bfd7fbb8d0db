"""`lr_test`: two fits compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlsem.arguments import require_whole
from mlsem.core.quiet import quiet
from mlsem.errors import InferenceError, OptionError, OptionValueError, listed, nearest
from mlsem.estimation.keywords import shown
from mlsem.inference.ratio.run import METHODS, LrTest, Method, likelihood_ratio
from mlsem.other_programs.answering import answering
from mlsem.results.generalized.result import GlmResult, no_likelihood_ratio
from mlsem.results.nested.result import NestedResult
from mlsem.results.pooled.common import Pooled
from mlsem.results.result import FitResult


@answering
@shown()
@quiet
def lr_test(
    simple: FitResult | NestedResult,
    full: FitResult | NestedResult,
    *others: object,
    method: Method | None = None,
    boundary: bool = True,
    draws: int = 10_000,
    seed: int = 1,
) -> LrTest:
    """Likelihood-ratio test of two nested models fitted to the same data.

    Parameters
    ----------
    simple, full : FitResult or NestedResult
        Of one estimator: "ML"; "REML" if only variances and covariances differ; "MLR" for the
        scaled difference.
    *others : object
        None can be given: several models are compared two at a time.
    method : {"lr", "satorra.bentler.2001", "satorra.bentler.2010", "score"}, optional
        "lr" is the likelihood ratio as it is, the default of "ML" and "REML". The others are
        robust: scaled likelihood ratios (the first is the default of "MLR"), and a score test at
        the simple model's estimates, which holds its level with few clusters where the scaled
        ratios reject too often (docs/studies/fit_tests_differences.md).
    boundary : bool, default True
        Whether variances that the full model adds are taken as variances, which cannot be
        negative. One added variance, with its covariances: ½ χ²_{q-1} + ½ χ²_q of q added
        parameters (Self & Liang, 1987; Stram & Lee, 1994), so ½ χ²_0 + ½ χ²_1 of a variance
        alone. Several: the limiting distribution is simulated from the expected information at
        the simple model's estimates. False: χ²_q, right where variances may be negative.
    draws : int, default 10000
        Of that simulation.
    seed : int, default 1
        Of its random numbers.

    Returns
    -------
    LrTest

    Raises
    ------
    InferenceError
        The models are not seen to be nested, are of different data or estimators, did not
        converge, or differ in their means under REML; or there is no test at a boundary (robust
        ones, full models with negative variances).
    OptionError
        There are more than two fits.
    OptionValueError
        An argument is no fit, or has no such value.

    Notes
    -----
    "satorra.bentler.2001" divides the statistic by c = (p_1 c_1 - p_0 c_0) / (p_1 - p_0), p_m c_m =
    tr(I⁻¹ Σ_j s_j s_jᵀ) of each model, I the observed information (Satorra & Bentler, 2001, eq. 9);
    it does not exist where c is not positive. "satorra.bentler.2010" takes p_1 c_1 of the full
    model at the simple model's estimates (Satorra & Bentler, 2010), so that c is positive. "score"
    is T / c₀ with T = ‖Σ_j R_j‖², c₀ = Σ_j ‖R_j‖² / df, R_j the whitened scores by cluster of the
    df directions that the full model adds, in the metric of the expected information there: Rao's
    (1948) test, scaled. It needs the full model's likelihood, not its estimates.
    That the simple model is nested is checked by its estimates: as parameters of the full model
    they must have the same log-likelihood. Models of several groups may have other parameters for
    the same moments, such as a latent mean in the place of intercepts: the full model's parameters
    that imply the simple model's moments are then sought, and their directions checked (Bentler &
    Satorra, 2010). Models that are nested in other ways are refused. A model of one group is
    nested in the same one of several.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> simple = mlsem.lmm("y ~ w1*x1 + (1 | id)", data, REML=False)
    >>> full = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=False)
    >>> found = mlsem.lr_test(simple, full)
    >>> round(found.statistic, 1), found.distribution
    (55.5, '0.5 chi2(1) + 0.5 chi2(2)')
    """
    if others:
        raise OptionError(
            f"lr_test compares two models, and got {2 + len(others)} arguments by position. "
            "Compare two at a time, lr_test(a, b) and lr_test(b, c), the simple one first."
        )
    if isinstance(simple, GlmResult) or isinstance(full, GlmResult):
        raise InferenceError(no_likelihood_ratio(simple, full))
    _require_options(boundary, draws, seed)
    _require_fits(simple, full)
    _require_method(method, full)
    if isinstance(full, NestedResult):
        return _of_three_levels(simple, full, method, boundary=boundary, draws=draws, seed=seed)
    assert isinstance(simple, FitResult)
    return likelihood_ratio(
        simple._estimates,
        full._estimates,
        boundary=bool(boundary),
        draws=draws,
        seed=seed,
        method=method,
    )


def _of_three_levels(
    simple: FitResult | NestedResult, full: NestedResult, method: object, **how: Any
) -> LrTest:
    """The full model is one of three levels."""
    from mlsem.inference.ratio.nested_mixed import nested_likelihood_ratio  # for few fits

    if method not in (None, "lr"):
        raise OptionValueError(
            f'method="{method}" is for models of two levels: leave method out, or test fixed '
            'effects by fit.with_se("CR2").wald_test.'
        )
    return nested_likelihood_ratio(simple._estimates, full._estimates, **how)


def _require_options(boundary: object, draws: object, seed: object) -> None:
    if not isinstance(boundary, bool | np.bool_):
        raise OptionValueError(f"boundary={boundary!r}: it takes True or False.")
    require_whole("draws", draws, 1)
    require_whole("seed", seed, 0)


def _require_method(method: object, full: FitResult | NestedResult) -> None:
    if method is not None and method not in METHODS:
        raise OptionValueError(
            f"method={method!r}: it takes one of {listed(METHODS)}.{nearest(str(method), METHODS)}"
        )
    if method not in (None, "lr") and full.settings.estimator == "REML":
        raise OptionValueError(
            f'method="{method}" is for maximum likelihood: restricted likelihoods have no scores '
            "of clusters. Leave method out."
        )


def _require_fits(simple: object, full: object) -> None:
    for name, fit in (("simple", simple), ("full", full)):
        if isinstance(fit, Pooled):
            raise OptionValueError(
                f"{name} is a {type(fit).__name__}: pooled fits are compared by "
                "full.lr_test(simple), or by full.wald_test."
            )
        if not isinstance(fit, FitResult | NestedResult):
            raise OptionValueError(f"{name} is a {type(fit).__name__}; it takes a FitResult.")
        if not fit.converged:
            raise InferenceError(
                f"the {name} model did not converge: its log-likelihood is not a maximum."
            )
    assert isinstance(simple, FitResult | NestedResult)
    assert isinstance(full, FitResult | NestedResult)
    if isinstance(simple, NestedResult) and not isinstance(full, NestedResult):
        raise InferenceError(
            "the simple model has three levels and the full one two: put the simple one first."
        )
    first, second = simple.settings.estimator, full.settings.estimator
    if first != second:
        raise InferenceError(
            f"the estimators differ, {first} and {second}: fit both models by the same one."
        )
