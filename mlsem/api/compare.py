"""`compare`: several fits side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlsem.errors import OptionValueError, listed, nearest
from mlsem.estimation.keywords import shown
from mlsem.inference.ratio.run import METHODS, Method
from mlsem.other_programs.answering import answering
from mlsem.results.compared import ModelComparison, compare_fits
from mlsem.results.pooled.common import Pooled
from mlsem.results.result import FitResult


@answering
@shown()
def compare(
    fits: Iterable[FitResult] | Mapping[str, FitResult],
    names: Iterable[str] | None = None,
    *,
    method: Method | None = None,
) -> ModelComparison:
    """Measures of fit of several models of the same data, and tests between neighbours.

    Parameters
    ----------
    fits : iterable of FitResult, or mapping of name to FitResult
        In the order in which neighbours are to be compared, such as from simple to full.
    names : iterable of str, optional
        Of the models. Default: 1, 2, …
    method : {"lr", "satorra.bentler.2001", "satorra.bentler.2010", "score"}, optional
        Of the difference tests, as for `mlsem.lr_test`.

    Returns
    -------
    ModelComparison
        Prints as text; `table` and `differences` are data frames. Neighbours that are not nested
        have no test, and a note that says why.

    Raises
    ------
    InferenceError
        The fits are to other outcomes, rows or clusters, a fit did not converge, or some are by
        REML and some are not.
    OptionValueError
        What is given is no fit; or the names do not fit.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> simple = mlsem.lmm("y ~ w1*x1 + (1 | id)", data, REML=False)
    >>> full = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=False)
    >>> found = mlsem.compare({"intercept": simple, "slope": full})
    >>> found.table[["npar", "loglik"]].round(1)
               npar  loglik
    intercept     6  -818.6
    slope         8  -790.8
    """
    if isinstance(fits, FitResult):
        raise OptionValueError("compare takes a list of fits: compare([fit1, fit2]).")
    given: list[Any] = list(fits)
    if isinstance(fits, Mapping):
        if names is not None:
            raise OptionValueError("the mapping has names already: leave names= out.")
        names, given = given, list(fits.values())
    for k, fit in enumerate(given, 1):
        if isinstance(fit, Pooled):
            raise OptionValueError(
                f"fit {k} is a {type(fit).__name__}: log-likelihoods, which models are compared "
                "by, have no rule. full.lr_test(simple) compares two models, fit_measures() has "
                "the fit of one, and mlsem.summary_table has estimates side by side."
            )
        if not isinstance(fit, FitResult):
            raise OptionValueError(f"fit {k} is a {type(fit).__name__}; it takes a FitResult.")
    if not given:
        raise OptionValueError("compare takes a list of fits, and this one is empty.")
    called = tuple(map(str, range(1, len(given) + 1))) if names is None else _named(names)
    if len(called) != len(given) or len(set(called)) < len(called):
        raise OptionValueError(
            f"names={list(called)!r}: it takes a name for each of the {len(given)} fits, all "
            "different."
        )
    if method is not None and method not in METHODS:
        raise OptionValueError(
            f"method={method!r}: it takes one of {listed(METHODS)}.{nearest(str(method), METHODS)}"
        )
    return compare_fits(given, called, method)


def _named(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(map(str, names))
