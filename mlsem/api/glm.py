"""`glm` and `gee`: generalised linear models and estimating equations of clustered rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from mlsem.api.steps import warn_of_lone_values
from mlsem.core.quiet import quiet
from mlsem.data.design.generalized import read_glm
from mlsem.data.frames.source import source as source_of
from mlsem.data.frames.taking import taken
from mlsem.errors import DataWarning, InferenceError, OptionValueError, listed, warn
from mlsem.estimation.generalized.estimates import estimate_glm
from mlsem.estimation.generalized.settings import GlmSettings, GlmUpdateKeywords, require_gaussian
from mlsem.model.options import require_known
from mlsem.other_programs.answering import answering
from mlsem.results.generalized.result import GlmResult, glm_result
from mlsem.syntax.generalized import read_glm_formula
from mlsem.syntax.mixed import changed_formula
from mlsem.syntax.r_language import symbols

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.generalized.correlations import CorrelationName
    from mlsem.core.generalized.families import FamilyName, LinkName
    from mlsem.data.frames.records import AnyFrame
    from mlsem.estimation.generalized.settings import GlmDf, GlmSe, SeForm

__all__ = ["gee", "glm"]

OF_ERRORS = ("df", "se_form")  # what goes with a kind of standard errors


@answering
@quiet
def glm(
    formula: str,
    data: AnyFrame,
    cluster: str | None = None,
    family: FamilyName = "binomial",
    link: LinkName | None = None,
    *,
    se: GlmSe = "CR2",
    df: GlmDf | None = None,
    se_form: SeForm = "scores",
    absorb: str | None = None,
    missing: Literal["listwise", "error"] | None = None,
    tol: float = 1e-12,
    max_iter: int = 100,
) -> GlmResult:
    """Fit a generalised linear model whose errors are robust to what clusters share.

        E(y) = μ,   g(μ) = xᵀβ + offset,   Var(y) = φ V(μ)

    by Fisher scoring, as if rows were independent; standard errors and tests are cluster-robust and
    corrected for few clusters, so that the coefficients of a cluster-randomised trial with ten
    schools are tested at their level.

    Parameters
    ----------
    formula : str
        ``"y ~ trt + x"``, read by R's rules as `mlsem.lmm` reads them: interactions, factors,
        ``poly(x, 2)``, ``log(x)``. ``offset(log(hours))`` is added to xᵀβ; ``prop(y, n) ~ x``
        has y successes of n trials.
    data : data frame or path
        One row per unit, in any order. Is not changed.
    cluster : str, optional
        The column of clusters. Without, each row is one.
    family : {"binomial", "poisson", "gaussian"}, default "binomial"
        The variance V(μ): μ(1 - μ), μ, or 1. An outcome of 0 and 1 with "poisson" is modified
        Poisson regression (Zou, 2004), whose e^β are risk ratios; with "gaussian" a linear
        probability model.
    link : {"logit", "probit", "log", "identity"}, optional
        Default: logit, log, identity.
    se : str, default "CR2"
        "CR0" to "CR3", as for `mlsem.fit`, of the scores; "KC" (Kauermann & Carroll, 2001) is CR2,
        "MD" (Mancl & DeRouen, 2001) CR3; "FG" (Fay & Graubard, 2001), "MBN" (Morel, Bokossa &
        Neerchal, 2003), "standard" (model-based), "none".
    df : {"satterthwaite", "J-p", "z"}, optional
        Of the t tests. Default: Satterthwaite's; J - p of MBN, which has none of its own; z of
        model-based errors.
    se_form : {"scores", "residuals"}, default "scores"
        What CR2 adjusts: scores, which do not depend on how rows are grouped; or residuals, which
        is the matrix of R's clubSandwich. Of linear models of independent rows both are the same.
    absorb : str, optional
        The column of groups whose constants are taken out (fixed effects), of linear models. Their
        CR errors are those of the model with a dummy for each group.
    missing : {"listwise", "error"}, optional
        Rows without a value in some variable are left out, with a warning unless "listwise" is
        asked for.
    tol : float, default 1e-12
        The scoring ends where a step is shorter, in standard errors.
    max_iter : int, default 100

    Returns
    -------
    GlmResult

    Raises
    ------
    SpecificationError
        The formula, or what does not go with the family.
    DataError
        An outcome that the family does not have, an absent column.
    EstimationError
        A covariate separates the outcomes, so that there is no finite estimate; names it, and its
        empty cell.
    ConvergenceError, OptionError, OptionValueError

    Notes
    -----
    With scores s_j and parts B_j in the expected information of the clusters and M = (Σ B_j)⁻¹,
    the covariance is M (Σ u_j u_jᵀ) M with u_j = (I - B_j M)^{-½} s_j (CR2), and a contrast has
    the degrees of freedom of Pustejovsky & Tipton (2018), taken as if scores were normal.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["high"] = (data["y"] > 0).astype(int)
    >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id", family="binomial")
    >>> fit.params.round(3).to_dict()
    {'(Intercept)': -0.028, 'w1': 0.464, 'x1': 0.693}
    """
    settings = GlmSettings(
        family=family,
        link=link,
        se=se,
        df=df,
        se_form=se_form,
        missing=missing,
        tol=tol,
        max_iter=max_iter,
    )
    return _fitted(formula, data, cluster, settings, absorb=absorb)


@answering
@quiet
def gee(
    formula: str,
    data: AnyFrame,
    cluster: str,
    family: FamilyName = "binomial",
    link: LinkName | None = None,
    *,
    corr: CorrelationName = "exchangeable",
    order: str | None = None,
    se: GlmSe = "KC",
    df: GlmDf | None = None,
    se_form: SeForm = "scores",
    alpha_df: bool = True,
    missing: Literal["listwise", "error"] | None = None,
    tol: float = 1e-12,
    max_iter: int = 100,
) -> GlmResult:
    """Fit generalised estimating equations (Liang & Zeger, 1986).

        Σ_j D_jᵀ V_j⁻¹ (y_j - μ_j) = 0,   V_j = φ A_j^{½} R(ρ) A_j^{½}

    Rows may stand in any order: clusters are told by their ids.

    Parameters
    ----------
    formula : str
    data : data frame or path
        As for `mlsem.glm`, in any order.
    cluster : str
        The column of clusters.
    family : {"binomial", "poisson", "gaussian"}, default "binomial"
    link : {"logit", "probit", "log", "identity"}, optional
        As for `mlsem.glm`.
    corr : {"exchangeable", "independence", "ar1"}, default "exchangeable"
        R: ρ between all rows of a cluster, none, or ρ to the power of the steps between two.
    order : str, optional
        The column of occasions, whole numbers, that "ar1" needs.
    se : str, default "KC"
        As for `mlsem.glm`; "KC" and "CR2" are the same.
    df : {"satterthwaite", "J-p", "z"}, optional
    se_form : {"scores", "residuals"}, default "scores"
        As for `mlsem.glm`.
    alpha_df : bool, default True
        Whether ρ̂ and φ̂ are divided by the pairs and rows less p, as by R's gee, SAS, SPSS and
        statsmodels; False: by geepack.
    missing : {"listwise", "error"}, optional
    tol : float, default 1e-12
    max_iter : int, default 100
        As for `mlsem.glm`.

    Returns
    -------
    GlmResult
        With `rho`. Where ρ̂ is outside its bounds, -1/(n - 1) and 1, independence is taken in its
        place, and a note says so.

    Raises
    ------
    SpecificationError, DataError, EstimationError, ConvergenceError, OptionError, OptionValueError
        As for `mlsem.glm`.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["high"] = (data["y"] > 0).astype(int)
    >>> fit = mlsem.gee("high ~ w1 + x1", data, cluster="id")
    >>> round(fit.rho, 3), fit.params.round(3).to_dict()
    (0.371, {'(Intercept)': -0.095, 'w1': 0.499, 'x1': 0.614})
    """
    settings = GlmSettings(
        family=family,
        link=link,
        se=se,
        df=df,
        se_form=se_form,
        corr=corr,
        alpha_df=alpha_df,
        missing=missing,
        tol=tol,
        max_iter=max_iter,
    )
    return _fitted(formula, data, cluster, settings, order=order)


def _fitted(
    formula: str,
    data: Any,
    cluster: str | None,
    settings: GlmSettings,
    *,
    absorb: str | None = None,
    order: str | None = None,
) -> GlmResult:
    """What `glm` and `gee` return."""
    if absorb is not None:
        require_gaussian(settings)
    if settings.corr != "independence" and cluster is None:
        raise OptionValueError('gee needs the column of clusters: cluster="school".')
    if settings.corr == "ar1" and order is None:
        raise OptionValueError(
            'corr="ar1" needs to know which rows of a cluster are neighbours: order="occasion" '
            "names a column of whole numbers. The order of the rows in the data says nothing."
        )
    if settings.corr != "ar1" and order is not None:
        raise OptionValueError(f'order= is of corr="ar1", and corr is {settings.corr!r}.')
    parsed = read_glm_formula(formula)
    frame = taken(data, source_of(data), formula, cluster, absorb, order)
    family, _ = settings.records
    missing = settings.missing or "listwise"
    read = read_glm(parsed, frame, family, cluster, absorb, order, missing)
    if settings.missing is None and read.lost:
        warn(read.lost, DataWarning)
    warn_of_lone_values((read.outcome, *read.recipe.names), frame, many=False)
    return glm_result(estimate_glm(read, settings), updated_glm)


# --- the same again, changed ----------------------------------------------------------------------


def updated_glm(
    fit: GlmResult, formula: object, data: object, changes: Mapping[str, Any]
) -> GlmResult:
    """What `GlmResult.update` returns."""
    if formula is not None and not isinstance(formula, str):
        raise OptionValueError(f"formula={formula!r}: it takes a formula, or a part that is added.")
    require_known(changes, GlmUpdateKeywords.__annotations__, ("formula", "data"))
    text = fit.model if formula is None else changed_formula(fit.model, formula)
    known, rest = fit._estimates.data, dict(changes)
    columns = {
        "cluster": rest.pop("cluster", known.cluster),
        "absorb": rest.pop("absorb", known.absorbed),
        "order": rest.pop("order", known.occasions),
    }
    settings = _changed(fit.settings, rest)
    if settings.corr != "ar1" and "order" not in changes:
        columns["order"] = None
    if data is None:
        data = _rows(known.frame, text, columns)
    return _fitted(text, data, settings=settings, **columns)


def _changed(before: GlmSettings, changes: Mapping[str, Any]) -> GlmSettings:
    """What another family, or another kind of errors, has by default is not kept."""
    kept = {each.name: getattr(before, each.name) for each in fields(GlmSettings)}
    if "family" in changes:
        del kept["link"]
    if "se" in changes:
        for name in OF_ERRORS:
            del kept[name]
    return GlmSettings(**kept | dict(changes))


def _rows(frame: pd.DataFrame, text: str, columns: Mapping[str, str | None]) -> pd.DataFrame:
    """Those that the fit keeps, if they have every column.

    Raises
    ------
    InferenceError
    """
    parsed = read_glm_formula(text)
    trials = [] if parsed.trials is None else [parsed.trials]
    parts = [parsed.outcome, *trials, *parsed.offsets, *parsed.fixed.variables.values()]
    wanted = [name for part in parts for name in symbols(part)]
    wanted += [name for name in columns.values() if name is not None]
    lacking = [name for name in dict.fromkeys(wanted) if name not in frame.columns]
    if lacking:
        raise InferenceError(
            f"the fit keeps the columns of its formula alone, without {listed(lacking)}: pass "
            "data=, the data frame with all columns."
        )
    return frame
