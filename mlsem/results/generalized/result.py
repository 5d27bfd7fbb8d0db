"""`GlmResult`: a generalised linear model or estimating equations, fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.frames.taking import any_frame
from mlsem.data.table.columns import require_frame
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.estimation.generalized.settings import GlmUpdateKeywords
from mlsem.estimation.keywords import UNCHANGED, shown
from mlsem.inference.covariance.generalized import glm_covariance
from mlsem.inference.wald.run import require_test, wald_test
from mlsem.other_programs.answering import Answering
from mlsem.results.absent import GENERALIZED
from mlsem.results.drawn import Plotted
from mlsem.results.generalized.expected import Expecting
from mlsem.results.tables import BROOM, tested_columns
from mlsem.results.tested import Coefficients

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.frames.records import AnyFrame
    from mlsem.estimation.generalized.estimates import GlmEstimates
    from mlsem.estimation.generalized.settings import GlmDf, GlmSe, GlmSettings, SeForm
    from mlsem.inference.bootstrap.draws import WeightKind
    from mlsem.inference.bootstrap.result import Bootstrap
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.inference.diagnosis.result import ClusterDiagnostics
    from mlsem.inference.wald.run import TestKind, WaldTest
    from mlsem.parallel.pool import Backend
    from mlsem.results.generalized.effects import EffectKind, GlmEffects
    from mlsem.results.generalized.summary import GlmSummary

Refit = Callable[["GlmResult", object, object, Mapping[str, Any]], "GlmResult"]
"""Of a fit, a formula or None, data or None, and keywords."""


@dataclass(frozen=True, eq=False, repr=False)
class GlmResult(Expecting, Coefficients, Answering, Plotted):
    """What `mlsem.glm` and `mlsem.gee` return.

    Attributes
    ----------
    covariance : Covariance
        Of the estimates.
    notes : tuple of str
        What a reader of the results should know.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["high"] = (data["y"] > 0).astype(int)
    >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id", family="binomial")
    >>> fit
    <GlmResult: high ~ w1 + x1, binomial (logit), 500 rows, 50 clusters, se CR2;
    print(fit.summary())>
    >>> fit.family, fit.link, fit.se_kind, fit.n_obs, fit.n_clusters, fit.converged
    ('binomial', 'logit', 'CR2', 500, 50, True)
    >>> fit.params.round(3).tolist(), fit.bse.round(3).tolist(), fit.df.round(1).tolist()
    ([-0.028, 0.464, 0.693], [0.205, 0.196, 0.155], [44.6, 14.3, 42.6])
    >>> fit.model, round(fit.dispersion, 2), fit.rho, fit.notes
    ('high ~ w1 + x1', 1.02, 0.0, ())
    >>> fit.settings.family, fit.df_method, fit.n_params
    ('binomial', None, 3)
    """

    covariance: Covariance
    notes: tuple[str, ...]
    _estimates: GlmEstimates
    _refit: Refit
    _reasons: ClassVar[Mapping[str, str]] = GENERALIZED

    @property
    def _columns_named(self) -> tuple[str, ...]:
        """Texts in which the columns occur that rows are asked for."""
        data = self._estimates.data
        named = (self.model, data.cluster, data.absorbed, data.occasions)
        return tuple(each for each in named if each is not None)

    # --- what was fitted ------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """The formula."""
        return self._estimates.data.recipe.formula.text

    @property
    def settings(self) -> GlmSettings:
        """How it was fitted."""
        return self._estimates.settings

    @property
    def family(self) -> str:
        """The family of the outcome."""
        return self.settings.family

    @property
    def link(self) -> str:
        """The name of g in g(μ) = xᵀβ."""
        return self.settings.records[1].name

    @property
    def se_kind(self) -> str:
        """The kind of standard errors."""
        return self.covariance.kind.name

    @property
    def converged(self) -> bool:
        """Whether the scoring ended at the estimates; otherwise there is no result."""
        return self._estimates.converged

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return self._estimates.n_rows

    @property
    def n_clusters(self) -> int | None:
        """Clusters; None without."""
        data = self._estimates.data
        return None if data.cluster is None else len(data.labels)

    @property
    def n_params(self) -> int:
        """Coefficients."""
        return len(self.estimates)

    @property
    def df_method(self) -> str | None:
        """None: degrees of freedom are Satterthwaite's, or as `settings.df` says."""
        return None

    @property
    def dispersion(self) -> float:
        """φ̂ = Σ r² / (N - p) of the Pearson residuals r; with `absorb=` less its groups, too."""
        return self._estimates.dispersion

    @property
    def rho(self) -> float:
        """ρ̂ of the working correlation; 0 of independence."""
        return self._estimates.solution.correlation.rho

    @quiet
    def _columns(self, level: float) -> dict[str, Any]:
        """Those of the table of estimates."""
        require_level(level)
        return tested_columns(self._estimates, self.estimates, self.covariance, level)

    def parameter_estimates(self, level: float = 0.95) -> pd.DataFrame:
        """The coefficients, their tests and intervals, in the columns of
        `FitResult.parameter_estimates`.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> fit.parameter_estimates()[["lhs", "op", "rhs", "est", "se"]].round(2)
            lhs  op rhs   est    se
        0  high  ~1     -0.03  0.21
        1  high   ~  w1  0.46  0.20
        2  high   ~  x1  0.69  0.15
        """
        return make_frame(self._columns(level))

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row per coefficient under the names of R's broom.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> mlsem.glm("high ~ w1", data, cluster="id").tidy()[["term", "estimate"]].round(2)
                  term  estimate
        0  (Intercept)     -0.05
        1           w1      0.43
        """
        columns = self._columns(level)
        names = {"term": list(self.table.names)}
        return make_frame(names | {new: columns[old] for new, old in BROOM.items()})

    def glance(self) -> pd.DataFrame:
        """One row about the whole under the names of R's broom.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> mlsem.glm("high ~ w1", data, cluster="id").glance()[["nobs", "n_clusters", "se"]]
           nobs  n_clusters   se
        0   500          50  CR2
        """
        return make_frame(
            {
                "nobs": [self.n_obs],
                "n_clusters": [self.n_clusters],
                "npar": [len(self.estimates)],
                "family": [self.family],
                "link": [self.link],
                "deviance": [self._estimates.solution.deviance],
                "dispersion": [self.dispersion],
                "rho": [self.rho],
                "se": [self.se_kind],
                "converged": [self.converged],
            }
        )

    def summary(self, level: float | None = None) -> GlmSummary:
        """The coefficients, and how they were estimated.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.

        Returns
        -------
        GlmSummary
            Prints as text, shows as HTML in a notebook; `to_latex()` and its kin export it.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> print(fit.summary().to_text().splitlines()[0])
        Generalised linear model: binomial, link logit
        """
        from mlsem.results.generalized.summary import summarise

        return summarise(self, level)

    def __repr__(self) -> str:
        clusters = "" if self.n_clusters is None else f", {self.n_clusters} clusters"
        return (
            f"<GlmResult: {self.model}, {self.family} ({self.link}), {self.n_obs} rows{clusters}, "
            f"se {self.se_kind};\nprint(fit.summary())>"
        )

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    # --- other errors, tests --------------------------------------------------------------------

    def with_se(
        self, kind: GlmSe, *, df: GlmDf | None = None, se_form: SeForm = "scores"
    ) -> GlmResult:
        """The same estimates with other standard errors; nothing is fitted again.

        Parameters
        ----------
        kind : {"CR2", "CR0", "CR1", "CR1p", "CR1S", "CR3", "KC", "MD", "FG", "MBN", "standard",
            "none"}
        df : {"satterthwaite", "J-p", "z"}, optional
        se_form : {"scores", "residuals"}, default "scores"
            As for `mlsem.glm`.

        Returns
        -------
        GlmResult

        Raises
        ------
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> round(float(fit.with_se("CR3").bse["w1"]), 3)
        0.201
        """
        own = self._estimates
        settings = replace(own.settings, se=kind, df=df, se_form=se_form)
        return glm_result(own.under(settings), self._refit)

    def wald_test(
        self, constraints: object, *, test: TestKind | None = None, rhs: object = None
    ) -> WaldTest:
        """Joint test of constraints on the coefficients.

        Parameters
        ----------
        constraints : str, list of str, array (q, npar) or DataFrame
            As for `FitResult.wald_test`: names of coefficients in backticks, "`trt`; `x`".
        test : {"chi2", "F", "HTZ"}, optional
            HTZ (Pustejovsky & Tipton, 2018) is the default of CR0 to CR3; of df="J-p" it is F with
            J - p, of z tests chi2.
        rhs : array (q,) or float, optional
            What the rows of a matrix equal; 0 by default.

        Returns
        -------
        WaldTest

        Raises
        ------
        ModelSyntaxError, SpecificationError, OptionValueError
            The constraints cannot be read, or name what is no coefficient.
        InferenceError
            The test does not exist; says why.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> fit.wald_test("`w1`; `x1`").test
        'HTZ'
        """
        return wald_test(self._estimates, self.covariance, constraints, require_test(test), rhs)

    def cluster_diagnostics(
        self,
        parameters: str | Iterable[str] | None = None,
        *,
        exact: object = False,
        progress: bool | None = None,
    ) -> ClusterDiagnostics:
        """Which clusters the estimates rest on: leverage, effective clusters, influence, and what
        to make of it, in words.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Coefficients. Default: all.
        exact : bool or iterable of cluster ids, default False
            Fits again without each cluster, or these, the working correlation too; else by one
            step of the scoring, which is exact for linear models of independent rows.
        progress : bool, optional
            A bar of the refits. Default: in a terminal or a notebook, after two seconds.

        Returns
        -------
        ClusterDiagnostics
            Prints as text; `coefficients`, `clusters`, `influence` and `exact` are data frames.

        Raises
        ------
        InferenceError
            There are no clusters, or the information is not positive definite.
        OptionValueError
            No such coefficient or cluster.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> found = mlsem.glm("high ~ w1", data, cluster="id").cluster_diagnostics("w1")
        >>> found.coefficients[["effective", "largest", "cluster"]].round(2)
            effective  largest cluster
        w1      15.91     0.17      10
        """
        from mlsem.inference.diagnosis.generalized import diagnose_glm

        return diagnose_glm(self._estimates, parameters, exact, progress)

    def bootstrap(
        self,
        kind: Literal["wild", "pairs"] = "wild",
        draws: int = 999,
        seed: int | None = None,
        *,
        parameters: str | Iterable[str] | None = None,
        n_jobs: int = 1,
        backend: Backend | None = None,
        progress: bool | None = None,
        weights: WeightKind | None = None,
    ) -> Bootstrap:
        """Bootstrap the coefficients by their clusters.

        Parameters
        ----------
        kind : {"wild", "pairs"}, default "wild"
            Scores of clusters times random weights (Kline & Santos, 2012), nothing refitted; or
            clusters drawn with replacement, and the model refitted. No data can be drawn from the
            model, which says nothing of what the rows of a cluster share.
        draws : int, default 999
        seed : int, optional
            None: a new one, which the result names.
        parameters : str or iterable of str, optional
            Default: all.
        n_jobs : int, default 1
        backend : str or executor, optional
        progress : bool, optional
            As for `FitResult.bootstrap`.
        weights : {"webb", "rademacher", "mammen"}, optional
            Of the wild bootstrap. Default: Webb's below 12 clusters, else Rademacher's.

        Returns
        -------
        Bootstrap

        Raises
        ------
        InferenceError
            There are no robust standard errors, or nearly all draws failed.
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> fit.bootstrap(draws=199, seed=1, parameters="w1").conf_int().round(2)
            lower  upper
        w1   0.13   0.84
        """
        from mlsem.inference.bootstrap.generalized import bootstrap_glm

        return bootstrap_glm(
            self._estimates,
            kind,
            draws,
            seed,
            parameters=parameters,
            n_jobs=n_jobs,
            backend=backend,
            progress=progress,
            weights=weights,
        )

    @shown(GlmUpdateKeywords, default=UNCHANGED)
    @quiet
    def update(
        self,
        formula: str | None = None,
        *,
        data: AnyFrame | None = None,
        **options: Unpack[GlmUpdateKeywords],
    ) -> GlmResult:
        """Fit a changed formula, with the options of this fit where they are not changed.

        Parameters
        ----------
        formula : str, optional
            A formula; or ``"+ x2"``, which is added; or as R's ``update`` has it,
            ``". ~ . - x2"``, where each point is that side of the formula. Default: the same.
        data : data frame, optional
            Default: the rows that were used, with the columns of the formula; others need the
            data again.
        **options
            As for `mlsem.glm` and `mlsem.gee`. Another `family` has its own link by default,
            another `se` its own degrees of freedom.

        Returns
        -------
        GlmResult

        Raises
        ------
        InferenceError
            The fit does not keep a column: pass `data`.
        SpecificationError, DataError, EstimationError, OptionError, OptionValueError
            As for `mlsem.glm`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> fit.update(". ~ . - x1", family="poisson").params.round(2).to_dict()
        {'(Intercept)': -0.74, 'w1': 0.21}
        """
        return self._refit(self, formula, data, {**options})

    def lr_test(self, simple: GlmResult) -> None:
        """There is none: rows of a cluster are not independent, and the likelihood takes them so.

        Parameters
        ----------
        simple : GlmResult
            A model nested in this one.

        Raises
        ------
        InferenceError
            Always, with the Wald test that is to be taken in its place.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> try:
        ...     fit.lr_test(fit.update(". ~ . - x1"))
        ... except mlsem.InferenceError as error:
        ...     print(str(error)[-45:])
        that differ together, full.wald_test("`x1`").
        """
        raise InferenceError(no_likelihood_ratio(simple, self))

    # --- effects --------------------------------------------------------------------------------

    @any_frame
    def effects(
        self,
        variable: str,
        data: AnyFrame | None = None,
        *,
        kind: EffectKind | None = None,
        values: Iterable[Any] | None = None,
        by: str | None = None,
        level: float = 0.95,
    ) -> GlmEffects:
        """Risks, their difference, ratio and odds ratio, or slopes, by standardisation.

        The expected outcomes of all rows are averaged as they would be at each value of the
        variable (equations in `mlsem.results.generalized.effects`); ratios are tested, and have
        intervals, on the log scale.

        Parameters
        ----------
        variable : str
            A column of the data that the formula's effects are made of.
        data : data frame, optional
            The rows that are averaged over. Default: those of the fit.
        kind : {"contrast", "slope"}, optional
            "contrast": means at each value, compared with the first; "slope": the average
            derivative. Default: contrasts of a variable of two values or of text, slopes of
            others.
        values : iterable, optional
            Those that are compared.
        by : str, optional
            A column of subgroups; each is averaged by itself.
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        GlmEffects

        Raises
        ------
        OptionValueError
            No such variable, or a value that an argument cannot take.
        DataError
            Rows lack a column.
        InferenceError
            Constants of groups were taken out (`absorb`).

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> data["treated"] = (data["w1"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ treated + x1", data, cluster="id")
        >>> fit.effects("treated").frame[["effect", "estimate", "se", "df"]].round(3)
               effect  estimate     se      df
        0        mean     0.366  0.066  24.906
        1        mean     0.592  0.058  22.950
        2  difference     0.226  0.088  47.367
        3       ratio     1.619  0.206  42.436
        4  odds ratio     2.517  0.372  47.676
        >>> len(fit.effects("x1").frame)
        1
        """
        from mlsem.results.generalized.effects import glm_effects

        frame = None if data is None else require_frame(data)
        return glm_effects(self, variable, kind, values, by, frame, level)

    def _design(self, frame: pd.DataFrame | None) -> tuple[Array, Array]:
        """X (n, p) and offsets (n,) of rows; of those of the fit in their order in the data."""
        own = self._estimates.data
        if own.n_absorbed:
            raise InferenceError(
                "the constants of groups were taken out (absorb=), and expected outcomes need "
                "them: fit with them in the formula, or without."
            )
        if frame is None:
            frame = own.frame
        from mlsem.data.design.generalized import offset_of

        design, _ = own.recipe.fixed_design(frame)
        return design, offset_of(own.recipe, frame)


def no_likelihood_ratio(simple: object, full: object) -> str:
    """Why two fits have no likelihood ratio, and which test is to be taken in its place."""
    left = ["x1", "x2"]
    if isinstance(simple, GlmResult) and isinstance(full, GlmResult):
        known = simple.table.names
        left = [name for name in full.table.names if name not in known] or left
    asked = "; ".join(f"`{name}`" for name in left)
    return (
        "there is no likelihood-ratio test: the likelihood of the model takes the rows of a "
        "cluster for independent. Test the coefficients that differ together, "
        f'full.wald_test("{asked}").'
    )


def glm_result(estimates: GlmEstimates, refit: Refit) -> GlmResult:
    """With the covariance that the settings ask for, and what fits the model again with changes."""
    from mlsem.estimation.generalized.remarks import remarks

    covariance, doubts = glm_covariance(estimates)
    return GlmResult(covariance, (*remarks(estimates), *doubts), estimates, refit)
