"""`fit` and lavaan's own names for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlsem.base.caching import remember
from mlsem.core.quiet import quiet
from mlsem.core.records import CellMoments
from mlsem.data.moments.again import record_of
from mlsem.data.moments.aggregate import DataRecord, read_moments
from mlsem.data.moments.bases import data_names
from mlsem.data.table.frame import column_names
from mlsem.errors import (
    ConvergenceError,
    ConvergenceWarning,
    DataWarning,
    ModelSyntaxError,
    ModelSyntaxWarning,
    OptionValueError,
    warn,
)
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.groups import pose
from mlsem.estimation.remarks import complaint
from mlsem.estimation.settings import SETTING_NAMES, Settings
from mlsem.inference.covariance.freedom import df_method
from mlsem.model.defaults import specify
from mlsem.model.options import ModelOptions, Preset, model_options, split_options
from mlsem.model.table import ParameterTable
from mlsem.results.recipe import Recipe
from mlsem.results.result import FitResult, assemble
from mlsem.syntax.naming import text_hint
from mlsem.syntax.nodes import ModelSyntax

if TYPE_CHECKING:
    import pandas as pd

_PER_FIT = ("start", "auxiliary", *SETTING_NAMES)
_OF_DATA = ("cluster", "center")


@quiet
def fit(
    model: str,
    data: pd.DataFrame,
    cluster: str | None = None,
    *,
    center: Mapping[str, str] | None = None,
    **options: Any,
) -> FitResult:
    """Fit a two-level (or single-level) structural equation model by maximum likelihood.

    Parameters
    ----------
    model : str
        lavaan's syntax, with blocks ``level: 1`` and ``level: 2``. A product of observed
        variables, also across levels, is written ``w1:x1`` and formed of the data.
    data : pandas.DataFrame
        One row per unit. Is not changed.
    cluster : str, optional
        Column of cluster ids; required with levels. In a single-level model it makes the
        standard errors cluster-robust, as in lavaan.
    center : mapping of str to {"cluster", "grand"}, optional
        Variables centred before products are formed: at their cluster's mean, or at the mean
        over rows (of a level-2 variable: over clusters).
    estimator : {"ML", "MLR", "REML"}
        "ML": model-based standard errors. "MLR": the same estimates, errors robust to a
        misspecified random part and to non-normality (sandwich with cluster scores). "REML":
        restricted maximum likelihood, where means are linear and separate from the covariances:
        a free path (a loading, a regression) may start only at a variable whose mean the model
        fixes to zero, as that of a factor without covariates. Covariances of random effects that
        no latent variable explains are kept positive semidefinite, as in lme4.
    se : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "none"}, optional
        Standard errors, where they should differ from the estimator's. "CR2" is for few
        clusters: bias-reduced, with t tests and Satterthwaite degrees of freedom.
    se_cluster : str, optional
        Column of the clusters of robust standard errors, where they are coarser than `cluster`
        (classes modelled, schools robust). Each must hold whole clusters of the model.
    test : {"t", "z"}, optional
        Default: t where there are degrees of freedom (the CR kinds), z elsewhere. "t" with
        model-based standard errors is for linear mixed models of one outcome.
    df : {"satterthwaite", "kenward-roger"}, optional
        Degrees of freedom of these, see `mlsem.lmm`; "kenward-roger" with estimator="REML".
    information : {"expected", "observed"}, optional
        Whose inverse is the bread of the sandwich, or the model-based covariance. Default:
        observed, except for model-based errors of single-level models without missing values or a
        product of an outcome. The leverages of CR2 and CR3 are by the expected information in any
        case.
    missing : {"listwise", "error", "fiml", "fiml.x"}, optional
        Default: rows with missing values are left out, and a warning and the summary say how many.
        "listwise" leaves them out without a warning; with "error" they are one.
        "fiml" (or "ml"): full information maximum likelihood, which uses what is observed in each
        row and cluster; means are part of the model then. It takes values as missing at random
        given what is observed. A row in which a fixed covariate is missing is left out, as is a
        cluster that lacks one of level 2; "fiml.x" (or "ml.x") models covariates as normal
        (``fixed_x=False``) and keeps these. A product is missing where a factor is.
    auxiliary : str or list of str, optional
        With ``missing="fiml"``: columns beside the model that say something of which values are
        missing, or of these values. They are saturated correlates (Graham, 2003) at the levels at
        which they vary (`mlsem.model.auxiliary`), so that values are taken as missing at random
        given them, too. Tests of fit and their degrees of freedom are those of the model. The
        log-likelihood, AIC and BIC are those of all variables. Tables leave their parameters out
        but for ``auxiliary=True``; in `FitResult.params` they come last.
    start : mapping, Series, FitResult or sequence, optional
        Starting values by parameter name (`FitResult.params` has the names).
    starts : int, default 0
        Random starts that are tried beside the usual search (and beside the further starts that
        follow its failure): loadings of either sign, paths, variances and covariances drawn in
        units of the variables, with up to 100 iterations each. The highest maximum counts.
        `FitResult.starts` and the summary say how many reached it: those with
        ℓ ≥ ℓ* - (10⁻⁶ + 10⁻⁹ |ℓ*|), ℓ* the highest. If only one search did, a warning says so.
    seed : int, optional
        Of the random starts. Default: a new one, which the result names.
    max_iter : int, default 500
    tol : float, default 1e-8
        Largest remaining step at the optimum, in standard errors.
    on_failure : {"warn", "raise"}
        What happens if the optimiser does not converge.
    **options
        lavaan's options with `_` for `.`: ``std_lv``, ``fixed_x``, ``meanstructure``,
        ``auto_fix_first``, ``auto_fix_single``, ``auto_var``, ``auto_cov_lv_x``, ``auto_cov_y``,
        ``int_ov_free``, ``int_lv_free``, ``orthogonal``, ``bounds`` (see
        `mlsem.model.options.ModelOptions`). An unknown keyword is a `TypeError`.

    Returns
    -------
    FitResult

    Raises
    ------
    ModelSyntaxError, SpecificationError, IdentificationError
        The model text, or what it says.
    DataError
        The data; names columns and rows.
    ConvergenceError
        With ``on_failure="raise"``.
    OptionError, OptionValueError
        A keyword, or its value; they are also a `TypeError` and a `ValueError`.

    Notes
    -----
    Each variable named at both levels is the sum of a within and a between part (Muthén, 1994).
    ``y ~ rv("s")*x1`` at level 1 names the random slope ``s``, a variable of level 2 whose mean
    ``s ~ 1`` and variance are free; write ``y ~~ s`` to let it covary with the intercept.
    Exogenous covariates of one level are conditioned on. Of those named at both levels the parts
    are not observed: with ``fixed_x=True`` their means, variances and covariances (also with the
    other covariates) are fixed at their estimates in the saturated two-level model, as in lavaan
    and Mplus. They are then no parameters, and standard errors take them as known: how they vary
    from sample to sample is left out (bootstraps estimate them anew in each draw). The
    log-likelihood is that of such covariates too, given those of one level. ``fixed_x=False`` makes
    all moments of exogenous covariates parameters.
    """
    return _fitted("sem", model, data, cluster, center, options)


@quiet
def sem(model: str, data: pd.DataFrame, cluster: str | None = None, **options: Any) -> FitResult:
    """lavaan's `sem()`: the same as `fit`."""
    return _fitted("sem", model, data, cluster, options.pop("center", None), options)


@quiet
def cfa(model: str, data: pd.DataFrame, cluster: str | None = None, **options: Any) -> FitResult:
    """lavaan's `cfa()`: the same as `fit`."""
    return _fitted("cfa", model, data, cluster, options.pop("center", None), options)


@quiet
def growth(model: str, data: pd.DataFrame, cluster: str | None = None, **options: Any) -> FitResult:
    """lavaan's `growth()`: `fit` with the intercepts of observed variables fixed to 0 and those
    of latent variables free."""
    return _fitted("growth", model, data, cluster, options.pop("center", None), options)


@quiet
def lavaan(model: str, data: pd.DataFrame, cluster: str | None = None, **options: Any) -> FitResult:
    """lavaan's `lavaan()`: `fit` without automatic parameters."""
    return _fitted("lavaan", model, data, cluster, options.pop("center", None), options)


@quiet
def check(
    model: str, data: pd.DataFrame | None = None, cluster: str | None = None, **options: Any
) -> ParameterTable:
    """The parameter table of a model, without fitting it.

    Parameters
    ----------
    model : str
    data : pandas.DataFrame, optional
        With it, the names in the model are looked for in the data.
    cluster : str, optional
        As for `fit`: robust errors, so means, in a single-level model.
    **options
        As for `fit`.
    """
    columns = None if data is None else column_names(data)
    settings, chosen, auxiliary = _model_options(options)
    table = _remarked(_table(_parsed(model, data).text, chosen, columns))
    return _beside(table, auxiliary, settings, chosen, data, cluster)


def population(model: str, **options: Any) -> ParameterTable:
    """The parameter table of a model that data are drawn from; as `check`, but that moments of
    covariates with a part at both levels are parameters: there are no data to give them."""
    syntax = _parsed(model, None)
    settings, chosen, auxiliary = _model_options(options)
    table = _remarked(specify(syntax, chosen, population=True))
    return _beside(table, auxiliary, settings, chosen, None, None)


def _model_options(options: dict[str, Any]) -> tuple[Settings, ModelOptions, object]:
    """Settings, those of the model, and `auxiliary=` among the options of `fit`."""
    keywords, rest = split_options(options, _PER_FIT, ("data", "cluster"))
    rest.pop("start", None)
    auxiliary = rest.pop("auxiliary", None)
    chosen = model_options("sem", **keywords)
    return *_modelling(Settings(**rest), chosen, keywords), auxiliary


def _beside(table: ParameterTable, asked: object, *how: Any) -> ParameterTable:
    """With what `auxiliary=` names beside the model."""
    if asked is None:
        return table
    from mlsem.api.auxiliary import beside  # for few fits

    return beside(table, asked, *how)


def _modelling(
    settings: Settings, options: ModelOptions, given: Mapping[str, Any]
) -> tuple[Settings, ModelOptions]:
    """The model that full information maximum likelihood takes: with means, which do not separate
    from the covariances where values are missing; and "fiml.x" as what it stands for, "fiml" of a
    model without fixed covariates."""
    if settings.missing not in ("fiml", "fiml.x"):
        return settings, options
    if given.get("meanstructure") is False:
        raise OptionValueError(
            f'missing="{settings.missing}" needs the means in the model, and meanstructure=False '
            "leaves them out: leave meanstructure out."
        )
    options = replace(options, meanstructure=True)
    if settings.missing == "fiml":
        return settings, options
    if given.get("fixed_x"):
        raise OptionValueError(
            'missing="fiml.x" models the covariates, and fixed_x=True conditions on them: use '
            'missing="fiml", which leaves rows out that lack a covariate, or leave fixed_x out.'
        )
    return replace(settings, missing="fiml"), replace(options, fixed_x=False)


def _fitted(
    preset: Preset,
    model: str,
    data: Any,
    cluster: str | None,
    center: Mapping[str, str] | None,
    options: dict[str, Any],
) -> FitResult:
    keywords, rest = split_options(options, _PER_FIT, ("cluster", "center"))
    start, auxiliary = rest.pop("start", None), rest.pop("auxiliary", None)
    settings, chosen = _modelling(Settings(**rest), model_options(preset, **keywords), keywords)
    syntax = _parsed(model, data)
    table = _remarked(_table(syntax.text, chosen, column_names(data)))
    table = _beside(table, auxiliary, settings, chosen, data, cluster)
    record = _rows(table, data, settings, cluster, center)
    return finish(syntax.text, settings, table, record, start, Recipe(chosen, _refit))


def _rows(
    table: ParameterTable,
    data: Any,
    settings: Settings,
    cluster: str | None,
    center: Mapping[str, str] | None,
) -> DataRecord:
    """What a model needs of a data frame."""
    record = read_moments(
        table,
        data,
        cluster=cluster,
        center=center,
        missing=settings.missing or "listwise",
        se_cluster=settings.se_cluster,
    )
    if settings.missing is None and record.lost:
        warn(record.lost, DataWarning)
    return record


@quiet
def _refit(fit: FitResult, model: object, data: object, changes: Mapping[str, Any]) -> FitResult:
    """What `FitResult.update` returns."""
    from mlsem.model.fragments import extended_text  # as the language, for few programs

    recipe, record = fit._recipe, fit._record
    assert recipe is not None
    keywords, rest = split_options(changes, (*_PER_FIT, "cluster", "center"), ("model", "data"))
    for name in (*_OF_DATA, "missing", "se_cluster"):
        if data is None and name in rest:
            raise OptionValueError(
                f"{name}= says how data are read, and a fit does not keep them: pass data=…, too."
            )
    cluster, center = rest.pop("cluster", record.cluster), rest.pop("center", None)
    start, auxiliary = rest.pop("start", None), rest.pop("auxiliary", fit.table.auxiliary or None)
    settings, chosen = replace(fit.settings, **rest), replace(recipe.options, **keywords)
    settings, chosen = _modelling(settings, chosen, keywords)
    if model is not None and not isinstance(model, str):
        raise OptionValueError(f"model={model!r}: it takes a text; one that begins with '+' adds.")
    text = fit.model if model is None else extended_text(fit.model, model, fit.table)
    syntax = _parsed(text, data)
    columns = None if data is None else column_names(data)
    table = _remarked(_table(syntax.text, chosen, columns))
    table = _beside(table, auxiliary, settings, chosen, data, cluster, fit.table)
    if data is None:
        record = record_of(table, record, fit.table)
    else:
        if center is None:
            center = {name: how for name, how, _ in record.centered if name in data_names(table)}
        record = _rows(table, data, settings, cluster, center)
    return finish(syntax.text, settings, table, record, start, Recipe(chosen, _refit))


def finish(
    text: str,
    settings: Settings,
    table: ParameterTable,
    record: DataRecord,
    start: object,
    recipe: Recipe | None = None,
) -> FitResult:
    """Estimate a specified model whose data are read."""
    if settings.starts and start is not None:
        raise OptionValueError(
            f"start= and starts={settings.starts}: random starts are tried beside the usual one, "
            "and start= chooses one start alone. Leave one of them out."
        )
    if settings.estimator == "REML" and isinstance(record.moments, CellMoments):
        raise OptionValueError(
            'estimator="REML" takes complete data: missing="fiml" goes with maximum likelihood '
            '(leave estimator out, or "MLR"; for few clusters se="CR2"), restricted maximum '
            'likelihood with missing="listwise".'
        )
    problem = pose(table, record)
    df_method(problem, settings)  # refuses before the search
    optimum = optimum_of(problem, settings, start)
    if not optimum.converged:
        message = complaint(optimum, settings)
        if settings.on_failure == "raise":
            raise ConvergenceError(message)
        warn(message, ConvergenceWarning)
    return assemble(text, Estimates(problem, settings, optimum, record), recipe)


def _parsed(model: object, data: object) -> ModelSyntax:
    if not isinstance(model, str):
        from mlsem.syntax.not_text import not_a_text

        raise OptionValueError(not_a_text(model, data))
    try:
        return _parse(model)
    except ModelSyntaxError as error:
        hint = text_hint(map(str, getattr(data, "columns", ())), model)
        if not hint or "data.rename" in error.message:
            raise
        raise ModelSyntaxError(error.message + hint, error.text, error.span) from None


def _remarked(table: ParameterTable) -> ParameterTable:
    """The table, after the warnings about its text."""
    for remark in table.remarks:
        warn(remark, ModelSyntaxWarning)
    return table


@remember
def _table(text: str, options: ModelOptions, columns: tuple[str, ...] | None) -> ParameterTable:
    """Fits of one model to many data sets specify it once."""
    return specify(_parse(text), options, columns)


def _parse(text: str) -> ModelSyntax:
    from mlsem.syntax.parse import parse  # the language comes with the first model

    return parse(text)
