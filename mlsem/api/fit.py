"""`fit` and lavaan's own names for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from mlsem.api.call import answered, called, read_keywords
from mlsem.api.reading import Reading
from mlsem.api.steps import Clusters, beside_model, groups_of, parsed, remarked, table_of
from mlsem.api.three_levels import refuse_population
from mlsem.core.quiet import quiet
from mlsem.data.frames.taking import any_frame
from mlsem.data.table.columns import require_frame
from mlsem.data.table.frame import column_names
from mlsem.data.table.grouping import group as clusters_of
from mlsem.estimation.keywords import FitKeywords, shown
from mlsem.model.defaults import specify
from mlsem.model.options import Preset, model_options
from mlsem.model.table import ParameterTable
from mlsem.other_programs.answering import answering
from mlsem.results.result import FitResult

if TYPE_CHECKING:
    from mlsem.data.frames.records import AnyFrame
    from mlsem.data.kept.moments import Moments

Function = TypeVar("Function", bound=Callable[..., Any])


@shown(FitKeywords)
@answering
@quiet
def fit(
    model: str,
    data: AnyFrame | Moments,
    cluster: Clusters = None,
    **options: Unpack[FitKeywords],
) -> FitResult:
    """Fit a structural equation model of one to three levels by maximum likelihood.

    Parameters
    ----------
    model : str
        lavaan's syntax, with blocks ``level: 1`` and ``level: 2``, and ``level: 3`` for clusters of
        clusters (random intercepts; see the notes). A product of observed
        variables, also across levels, is written ``w1:x1`` and formed of the data.
    data : data frame, path or Moments
        One row per unit. Is not changed. A data frame of pandas, polars, pyarrow or any library
        that narwhals knows; a query whose rows stay where they are (of polars, DuckDB, Ibis, Dask,
        PySpark; with ``cluster=`` only sums by cluster come here); a path or pattern of paths,
        ``"pisa/*.parquet"``; or what `mlsem.moments` made of rows, which know their columns of
        clusters and groups.
    cluster : str, or sequence of two str, optional
        Column of cluster ids; required with levels. In a single-level model it makes the
        standard errors cluster-robust, as in lavaan. With three levels two columns,
        ``["school", "class"]``, those of level 3 first; ids of the second may count anew in each
        of the first. Robust standard errors are then by the clusters of level 3.
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
    estimator : {"ML", "MLR", "REML"}, default "ML"
        "ML": model-based standard errors. "MLR": the same estimates, errors robust to a
        misspecified random part and to non-normality (sandwich with cluster scores). "REML":
        restricted maximum likelihood, where means are linear and separate from the covariances:
        a free path (a loading, a regression) may start only at a variable whose mean the model
        fixes to zero, as that of a factor without covariates. Covariances of random effects that
        no latent variable explains are kept positive semidefinite, as in lme4.
    se : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "replicates", "none"}, optional
        Standard errors, where they should differ from the estimator's. "CR2" is for few
        clusters: bias-reduced, with t tests and Satterthwaite degrees of freedom.
    se_cluster : str, optional
        Column of the clusters of robust standard errors, where they are coarser than `cluster`
        (classes modelled, schools robust). Each must hold whole clusters of the model.
    weights : str or mapping of str, optional
        Columns of sampling weights. With two levels by what they are of: "total", of rows in the
        population, beside "level2", of clusters; or "level1", of rows within their cluster
        (total / level 2); or "level2" alone. In a model of one level the column of the rows'
        weights. A row counts a_ij times within its cluster, a cluster w_j times (see the notes).
        Rows of weight zero are left out. Standard errors are robust (`se` is "MLR" by default,
        "CR2" for few clusters), those of "standard" and REML are refused, AIC and BIC are NaN.
    weight_scaling : {"cluster", "ecluster", "unscaled", "gk"}, optional
        How the weights of rows within clusters are scaled: to sum to the size of the cluster (the
        default, as in Mplus; "size" in Stata), to its effective size, not at all, or to the
        clusters' weights (Graubard & Korn, 1996).
    strata : str, optional
        Column of the strata that the clusters (of robust errors; rows, without any) were drawn
        from, with ``se="MLR"``: scores are about the mean of their stratum.
    replicates : Fay, BRR, JK1 or JK2, optional
        Replicate weights, as ``mlsem.Fay("W_FSTURWT{}", k=0.5)``: the model is fitted by each, from
        the estimates by `weights` on, and standard errors are those of the spread of these fits,
        with the degrees of freedom of the design (`se` is "replicates" then).
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
    std_lv : bool, default False
        Variances of latent variables are fixed to 1, and no loading is.
    fixed_x : bool, default True
        Exogenous observed covariates are conditioned on (see the notes); False: their moments are
        parameters.
    meanstructure : bool, optional
        Whether the means are part of the model. Default: with two levels, or where the model
        writes an intercept.
    bounds : {"none", "pos.var", "pos.ov.var", "pos.lv.var", "standard", "wide"}, optional
        Variances from 0 on: all, those of observed, of latent variables. "standard" and "wide":
        bounds of variances, covariances, loadings and paths that the data give (De Jonckere &
        Rosseel, 2022).
    orthogonal : bool, default False
        Covariances of latent variables that a default would add are fixed to 0.
    auto_fix_first : bool, optional
        The first loading of each latent variable is fixed to 1. None: unless `std_lv`.
    auto_fix_single : bool, default True
        The residual variance of the only indicator of a latent variable is fixed to 0.
    auto_var, auto_cov_lv_x, auto_cov_y : bool, default True
        What is added free: variances and residual variances; covariances of exogenous latent
        variables; covariances of residuals of outcomes that explain nothing.
    int_ov_free : bool, default True
        Intercepts of observed variables are free; False: they are fixed to 0.
    int_lv_free : bool, default False
        Intercepts of latent variables are free; False: they are fixed to 0.
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
    on_failure : {"warn", "raise"}, default "warn"
        What happens if the optimiser does not converge.
    progress : bool, optional
        A bar of the random starts. Default: in a terminal or a notebook, after two seconds.

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
        An unknown keyword, or a value that it does not take; they are also a `TypeError` and a
        `ValueError`. Values are read in upper or lower case.

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

    With three levels every variable is the sum of its parts at the levels at which it is named,
    latent and observed variables, paths and covariates may stand at each, and all intercepts of
    variables with a part above are random. Means are those of the highest level of a variable. What
    is not there with three levels is refused by name: random slopes, values that are missing,
    weights, groups, REML.

    With sampling weights the pseudo-likelihood ℓ = Σ_j w_j log ∫ Π_i f(y_ij | u)^{a_ij} f(u) du
    (Pfeffermann et al., 1998; Asparouhov, 2006; Rabe-Hesketh & Skrondal, 2006) is maximised, with
    c_ij the weights of rows within clusters and a_ij = c_ij n_j / Σ_i c_ij by default. Means that
    are taken off (`center`) are weighted.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> model = "level: 1; y ~ x1 + w1:x1; level: 2; y ~ w1"
    >>> fit = mlsem.fit(model, data, cluster="id", se="CR2")
    >>> fit.converged, round(fit.loglik, 3)
    (True, -818.609)
    >>> fit.params.round(3)
    y~x1       0.577
    y~w1:x1    0.302
    y~~y       1.232
    y~w1.l2    0.366
    y~~y.l2    1.083
    y~1.l2    -0.020
    Name: est, dtype: float64
    """  # noqa: E501
    return _fitted("sem", model, data, cluster, options)


def _alike(preset: Preset) -> Callable[[Function], Function]:
    """A function that takes what `fit` takes, with defaults of its own, and says so."""

    def decorate(function: Function) -> Function:
        about, usual = function.__doc__ or "", fit.__doc__ or ""
        start, end = usual.find("    Parameters\n"), usual.find("    Notes\n")
        first, examples, rest = about.partition("    Examples\n")
        same = _with_defaults(preset, usual[start:end])
        function.__doc__ = f"{first.rstrip()}\n\n{same}{examples}{rest}".rstrip(" ")
        return shown(FitKeywords, preset)(function)

    return decorate


def _with_defaults(preset: Preset, parameters: str) -> str:
    """The section of a docstring with the preset's defaults in place of those of `fit`."""
    lines, options = parameters.split("\n"), model_options(preset)
    for k, line in enumerate(lines):
        names, of_type, _ = line.strip().partition(" : bool, ")
        value = getattr(options, names.partition(",")[0], None)
        if of_type and value is not None:
            lines[k] = f"    {names}{of_type}default {value}"
    return "\n".join(lines)


@_alike("sem")
@answering
@quiet
def sem(
    model: str,
    data: AnyFrame | Moments,
    cluster: Clusters = None,
    **options: Unpack[FitKeywords],
) -> FitResult:
    """lavaan's `sem()`: the same as `fit`.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.sem("y ~ x1 + w1", data, cluster="id")  # one level, robust errors
    >>> fit.se_kind, fit.n_clusters
    ('MLR', 50)
    """
    return _fitted("sem", model, data, cluster, options)


@_alike("cfa")
@answering
@quiet
def cfa(
    model: str,
    data: AnyFrame | Moments,
    cluster: Clusters = None,
    **options: Unpack[FitKeywords],
) -> FitResult:
    """lavaan's `cfa()`: the same as `fit`.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("demo_twolevel")
    >>> model = "level: 1; fw =~ y1 + y2 + y3; level: 2; fb =~ y1 + y2 + y3"
    >>> fit = mlsem.cfa(model, data, cluster="cluster", std_lv=True)
    >>> fit.params.head(3).round(2)
    fw=~y1    1.02
    fw=~y2    0.77
    fw=~y3    0.73
    Name: est, dtype: float64
    """
    return _fitted("cfa", model, data, cluster, options)


@_alike("growth")
@answering
@quiet
def growth(
    model: str,
    data: AnyFrame | Moments,
    cluster: Clusters = None,
    **options: Unpack[FitKeywords],
) -> FitResult:
    """lavaan's `growth()`: `fit` with the intercepts of observed variables fixed to 0 and those
    of latent variables free.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("growth_wide")
    >>> waves = [f"reading{k}" for k in range(5)]
    >>> level = " + ".join(f"1*{wave}" for wave in waves)
    >>> slope = " + ".join(f"{k}*{wave}" for k, wave in enumerate(waves))
    >>> fit = mlsem.growth(f"i =~ {level}; s =~ {slope}; i + s ~ programme", data)
    >>> fit.params[["i~programme", "s~programme", "s~1"]].round(2)
    i~programme   -0.54
    s~programme    0.48
    s~1            0.95
    Name: est, dtype: float64
    """
    return _fitted("growth", model, data, cluster, options)


@_alike("lavaan")
@answering
@quiet
def lavaan(
    model: str,
    data: AnyFrame | Moments,
    cluster: Clusters = None,
    **options: Unpack[FitKeywords],
) -> FitResult:
    """lavaan's `lavaan()`: `fit` without automatic parameters.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.lavaan("y ~ x1; y ~~ y", data)  # nothing is added
    >>> fit.table.names
    ('y~x1', 'y~~y')
    """
    return _fitted("lavaan", model, data, cluster, options)


@shown(FitKeywords)
@answering
@quiet
@any_frame
def check(
    model: str,
    data: AnyFrame | None = None,
    cluster: Clusters = None,
    **options: Unpack[FitKeywords],
) -> ParameterTable:
    """The parameter table of a model, without fitting it.

    Parameters
    ----------
    model : str
    data : data frame or path, optional
        With it, the names in the model are looked for in the data.
    cluster : str, or sequence of two str, optional
        Columns of cluster ids, which are looked for in the data. They change nothing in the table.
    **options
        As for `fit`. Without data the groups are those of ``group_label=``, or of the blocks of
        the model. What says how a model is estimated is checked, and changes nothing.

    Returns
    -------
    ParameterTable
        Prints as the table of the command ``mlsem check``, in notebooks as HTML; `rows` has what
        is in it.

    Raises
    ------
    ModelSyntaxError, SpecificationError
        The model text, or what it says.
    DataError
        There is no such column.
    OptionError, OptionValueError
        A keyword, or its value.

    Examples
    --------
    >>> import mlsem
    >>> mlsem.check("f =~ y1 + y2 + y3")
       lhs  op  rhs  level  parameter  from
    1  f    =~  y1       1  fixed 1    model
    2  f    =~  y2       1  free 1     model
    3  f    =~  y3       1  free 2     model
    4  y1   ~~  y1       1  free 3     default
    5  y2   ~~  y2       1  free 4     default
    6  y3   ~~  y3       1  free 5     default
    7  f    ~~  f        1  free 6     default
    <BLANKLINE>
    free parameters: 6
    """
    how = read_keywords("sem", options)
    syntax = parsed(model, data)
    columns = None if data is None else column_names(data)
    labels = groups_of(syntax, data, how.group, how.group_label)
    table = remarked(table_of(syntax.text, how.options, columns, labels))
    if data is not None and cluster is not None:
        for name in (cluster,) if isinstance(cluster, str) else cluster:
            clusters_of(require_frame(data), name, None)  # refuses what are no ids
    return beside_model(table, how.auxiliary, how.settings, how.options, data, cluster)


def population(model: str, group_label: object = None, **options: Any) -> ParameterTable:
    """The parameter table of a model that data are drawn from; as `check`, but that moments of
    covariates with a part at both levels are parameters: there are no data to give them."""
    syntax = parsed(model, None)
    how = read_keywords("sem", options)
    labels = groups_of(syntax, None, None, group_label)
    table = remarked(specify(syntax, how.options, population=True, groups=labels))
    refuse_population(table)
    return beside_model(table, how.auxiliary, how.settings, how.options, None, None)


def _fitted(
    preset: Preset, model: str, data: Any, cluster: Clusters, options: Mapping[str, Any]
) -> FitResult:
    reading = Reading.of(data)
    return answered(*called(preset, model, reading.data, cluster, options), reading)
