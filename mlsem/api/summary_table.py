"""`summary_table`: several fits in one table, for a paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from mlsem.arguments import require_level
from mlsem.errors import OptionValueError, listed
from mlsem.results.generalized.result import GlmResult
from mlsem.results.pooled.common import Pooled
from mlsem.results.result import FitResult
from mlsem.results.summary_table.records import Asked, require_statistics, several
from mlsem.results.summary_table.result import table_of_fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlsem.results.standardized import Kind as StandardizedKind
    from mlsem.results.summary_table.records import AnyFit, Statistic
    from mlsem.results.summary_table.result import SummaryTable


def summary_table(
    fits: AnyFit | Iterable[AnyFit] | Mapping[str, AnyFit],
    names: Iterable[str] | None = None,
    labels: Mapping[str, str] | None = None,
    statistic: Statistic | Iterable[Statistic] | None = "se",
    stars: bool = False,
    digits: int = 3,
    *,
    level: float = 0.95,
    levels: int | str | Iterable[int | str] | None = None,
    fit_measures: Iterable[str] = ("n_obs", "n_clusters", "loglik", "aic", "bic"),
    rows: str | Iterable[str] | None = None,
    standardized: bool | StandardizedKind = False,
) -> SummaryTable:
    """Estimates of several fits side by side, with sections by level and group.

    Fits of `mlsem.fit`, of `mlsem.lmm` and of `mlsem.glm` may stand beside each other: a row is a
    parameter, by the variables that it is about and its level. The mean of a random slope stands in
    the row of the path that it is the mean of.

    Parameters
    ----------
    fits : fit, iterable of fits, or mapping of str to fits
        Of `fit`, `lmm`, `glm` or `gee`, or pooled ones, which have no log-likelihood. A mapping's
        keys are the names of the columns.
    names : iterable of str, optional
        Of the columns. Default: (1), (2), …
    labels : mapping of str to str, optional
        Readable words for variables: ``{"x1": "Hours of reading"}``.
    statistic : {"se", "ci", "t", "p", "df"}, iterable of these, or None, default "se"
        What stands below an estimate: its standard error, confidence interval, t or z statistic,
        p value, degrees of freedom.
    stars : bool, default False
        Adds ``*`` (p < .05), ``**`` (p < .01), ``***`` (p < .001) to what is no variance or
        covariance.
    digits : int, default 3
        Decimals.
    level : float, default 0.95
        Of the confidence intervals.
    levels : int, str or iterable of these, optional
        The levels that are shown, by number or label. Default: all.
    fit_measures : iterable of str, default ("n_obs", "n_clusters", "loglik", "aic", "bic")
        Below the estimates: n_obs, n_clusters, n_params, loglik, aic, bic, and what
        `FitResult.fit_measures` gives (cfi, rmsea, …).
    rows : str or iterable of str, optional
        The rows that are shown: ``"~"``, ``"=~"``, ``"~~"``, ``"~1"``, ``":="`` for all of a kind,
        names such as ``"y ~ x1"``, or a predictor, ``"x1"``. Default: all but the moments of fixed
        covariates.
    standardized : bool or {"all", "lv", "nox"}, default False
        The values of `FitResult.standardized` in place of the estimates.

    Returns
    -------
    SummaryTable
        Prints as text; `to_latex()`, `to_markdown()`, `to_html()`, `to_csv(path)` and
        `to_excel(path)` write it, `tidy` has the numbers in full.

    Raises
    ------
    OptionValueError
        What is given is no fit, or an argument has a value that it cannot take.
    InferenceError
        Standardized values or measures of fit were asked for, and there are none.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> first = mlsem.lmm("y ~ x1 + w1 + (1 | id)", data)
    >>> second = mlsem.lmm("y ~ x1 * w1 + (x1 | id)", data)
    >>> table = mlsem.summary_table([first, second], rows="~", fit_measures=["n_obs", "aic"])
    >>> print(table)
                       (1)       (2)
    --------------------------------
    Level 1 [within]
    Regressions
      y ~ x1         0.542     0.576
                   (0.056)   (0.096)
      y ~ x1:w1                0.291
                             (0.101)
    <BLANKLINE>
    Level 2 [between]
    Regressions
      y ~ w1         0.337     0.371
                   (0.169)   (0.166)
    --------------------------------
    Observations       500       500
    AIC           1681.104  1607.000
    ...
    """
    given, called = _named(fits, names)
    require_level(level)
    if isinstance(digits, bool) or digits not in range(9):
        raise OptionValueError(f"digits={digits!r}: a whole number from 0 to 8 is needed.")
    asked = Asked(
        words=labels,
        statistics=require_statistics(statistic),
        stars=bool(stars),
        digits=int(digits),
        level=level,
        levels=None if levels is None else several(levels),
        measures=several(fit_measures),
        rows=None if rows is None else several(rows),
        standardized=_kind(standardized),
    )
    return table_of_fits(given, called, asked)


def _named(fits: object, names: object) -> tuple[list[AnyFit], tuple[str, ...]]:
    """The fits and their names, all different.

    Raises
    ------
    OptionValueError
        What is given is no fit, or the names do not fit.
    """
    from collections.abc import Mapping

    if isinstance(fits, Mapping):
        names = list(fits) if names is None else names
        fits = list(fits.values())
    ours = FitResult | Pooled | GlmResult
    given: list[Any] = [fits] if isinstance(fits, ours) else list(cast("Any", fits))
    for k, fit in enumerate(given, start=1):
        if not isinstance(fit, ours):
            raise OptionValueError(
                f"fit {k} is a {type(fit).__name__}; it takes a FitResult, a GlmResult or what "
                "was pooled of these."
            )
    if not given:
        raise OptionValueError("there is no fit: summary_table([fit1, fit2]).")
    numbered = [f"({k})" for k in range(1, len(given) + 1)]
    called = tuple(map(str, numbered if names is None else several(names)))
    if len(called) != len(given) or len({*called}) < len(called):
        raise OptionValueError(
            f"names={list(called)!r}: it takes a name for each of the {len(given)} fits, all "
            "different."
        )
    return given, called


def _kind(standardized: object) -> StandardizedKind | None:
    from mlsem.results.standardized import Kind

    if standardized is False:
        return None
    if standardized is True:
        return "all"
    for each in get_args(Kind):
        if standardized == each:
            return each
    raise OptionValueError(
        f"standardized={standardized!r}: it takes True, False, {listed(get_args(Kind))}."
    )
