"""`fit` and lavaan's own names for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlsem.api.steps import (
    PER_FIT,
    beside_model,
    finish,
    groups_of,
    modelling,
    parsed,
    remarked,
    rows_of,
    table_of,
)
from mlsem.api.update import updated
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import column_names
from mlsem.estimation.settings import Settings
from mlsem.model.defaults import specify
from mlsem.model.options import ModelOptions, Preset, model_options, split_options
from mlsem.model.table import ParameterTable
from mlsem.results.recipe import Recipe
from mlsem.results.result import FitResult

if TYPE_CHECKING:
    import pandas as pd


@quiet
def fit(
    model: str,
    data: pd.DataFrame,
    cluster: str | None = None,
    *,
    group: str | None = None,
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
    group : str, optional
        Column of the groups of a model of several: of text, numbers, categories or dates. The
        model is that of each group, with parameters of its own, or has blocks ``group: a`` by the
        group's name; ``c(a, b)*x`` has an element for each group. A label stands for one parameter
        in all groups that have it. Clusters belong to one group; in a single-level model those of
        robust standard errors may cut across.
    group_label : sequence, optional
        Groups that are fitted, in this order. Default: in the order of the blocks of the model;
        without blocks, of the categories or sorted. lavaan numbers groups as they first appear in
        the data.
    group_equal, group_partial : str or sequence of str, optional
        lavaan's: kinds of parameters that are equal in all groups at the levels at which they are
        free ("loadings", "intercepts", "means", "regressions", "residuals",
        "residual.covariances", "lv.variances", "lv.covariances"), and parameters that are not
        (``"f=~y3"``). With equal intercepts the means of latent variables of the later groups are
        free (at level 2, never within clusters), with equal loadings and ``std_lv`` their
        variances. `mlsem.invariance` fits all steps.
    level_equal : {"loadings"}, optional
        Loadings of a factor of level 1 and one of level 2 with the same indicators are the same,
        in each group. With ``std_lv`` the variance between clusters is free.
    center : mapping of str to {"cluster", "grand"}, optional
        Variables centred before products are formed: at their cluster's mean, or at the mean
        over rows of all groups (of a level-2 variable: over clusters).
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
        ``ℓ ≥ ℓ* - (10⁻⁶ + 10⁻⁹ |ℓ*|)``, ℓ* the highest. If only one search did, a warning says so.
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
    return _fitted("sem", model, data, cluster, group, center, options)


@quiet
def sem(model: str, data: pd.DataFrame, cluster: str | None = None, **options: Any) -> FitResult:
    """lavaan's `sem()`: the same as `fit`."""
    return _fitted("sem", model, data, cluster, *_columns_of(options), options)


@quiet
def cfa(model: str, data: pd.DataFrame, cluster: str | None = None, **options: Any) -> FitResult:
    """lavaan's `cfa()`: the same as `fit`."""
    return _fitted("cfa", model, data, cluster, *_columns_of(options), options)


@quiet
def growth(model: str, data: pd.DataFrame, cluster: str | None = None, **options: Any) -> FitResult:
    """lavaan's `growth()`: `fit` with the intercepts of observed variables fixed to 0 and those
    of latent variables free."""
    return _fitted("growth", model, data, cluster, *_columns_of(options), options)


@quiet
def lavaan(model: str, data: pd.DataFrame, cluster: str | None = None, **options: Any) -> FitResult:
    """lavaan's `lavaan()`: `fit` without automatic parameters."""
    return _fitted("lavaan", model, data, cluster, *_columns_of(options), options)


def _columns_of(options: dict[str, Any]) -> tuple[Any, Any]:
    """`group=` and `center=`."""
    return options.pop("group", None), options.pop("center", None)


@quiet
def check(
    model: str,
    data: pd.DataFrame | None = None,
    cluster: str | None = None,
    *,
    group: str | None = None,
    **options: Any,
) -> ParameterTable:
    """The parameter table of a model, without fitting it.

    Parameters
    ----------
    model : str
    data : pandas.DataFrame, optional
        With it, the names in the model are looked for in the data.
    cluster : str, optional
        As for `fit`: robust errors, so means, in a single-level model.
    group : str, optional
        As for `fit`. Without data the groups are those of ``group_label=``, or of the blocks of
        the model.
    **options
        As for `fit`.
    """
    columns = None if data is None else column_names(data)
    asked = options.pop("group_label", None)
    settings, chosen, auxiliary = _model_options(options)
    syntax = parsed(model, data)
    labels = groups_of(syntax, data, group, asked)
    table = remarked(table_of(syntax.text, chosen, columns, labels))
    return beside_model(table, auxiliary, settings, chosen, data, cluster)


def population(model: str, group_label: object = None, **options: Any) -> ParameterTable:
    """The parameter table of a model that data are drawn from; as `check`, but that moments of
    covariates with a part at both levels are parameters: there are no data to give them."""
    syntax = parsed(model, None)
    settings, chosen, auxiliary = _model_options(options)
    labels = groups_of(syntax, None, None, group_label)
    table = remarked(specify(syntax, chosen, population=True, groups=labels))
    return beside_model(table, auxiliary, settings, chosen, None, None)


def _model_options(options: dict[str, Any]) -> tuple[Settings, ModelOptions, object]:
    """Settings, those of the model, and `auxiliary=` among the options of `fit`."""
    keywords, rest = split_options(options, PER_FIT, ("data", "cluster"))
    rest.pop("start", None)
    auxiliary = rest.pop("auxiliary", None)
    chosen = model_options("sem", **keywords)
    return *modelling(Settings(**rest), chosen, keywords), auxiliary


def _fitted(
    preset: Preset,
    model: str,
    data: Any,
    cluster: str | None,
    group: str | None,
    center: Mapping[str, str] | None,
    options: dict[str, Any],
) -> FitResult:
    keywords, rest = split_options(options, PER_FIT, ("cluster", "center", "group"))
    start, auxiliary = rest.pop("start", None), rest.pop("auxiliary", None)
    asked = rest.pop("group_label", None)
    settings, chosen = modelling(Settings(**rest), model_options(preset, **keywords), keywords)
    syntax = parsed(model, data)
    labels = groups_of(syntax, data, group, asked)
    table = remarked(table_of(syntax.text, chosen, column_names(data), labels))
    table = beside_model(table, auxiliary, settings, chosen, data, cluster)
    record = rows_of(syntax, table, data, settings, cluster, group, center)
    return finish(syntax.text, settings, table, record, start, Recipe(chosen, updated))
