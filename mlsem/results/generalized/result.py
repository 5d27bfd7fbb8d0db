"""`GlmResult`: a generalised linear model or estimating equations, fitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.frames.taking import any_frame
from mlsem.data.table.columns import require_frame
from mlsem.data.table.frame import make_frame, make_series
from mlsem.errors import InferenceError, OptionValueError
from mlsem.inference.covariance.generalized import glm_covariance
from mlsem.inference.wald.run import require_test, wald_test
from mlsem.other_programs.answering import Answering
from mlsem.results.tables import BROOM, tested_columns
from mlsem.results.tested import Tested

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.frames.records import AnyFrame
    from mlsem.estimation.generalized.estimates import GlmEstimates
    from mlsem.estimation.generalized.settings import GlmDf, GlmSe, GlmSettings, SeForm
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.inference.wald.run import TestKind, WaldTest
    from mlsem.results.generalized.effects import EffectKind, GlmEffects
    from mlsem.results.generalized.summary import GlmSummary

Scale = Literal["response", "link"]


@dataclass(frozen=True, eq=False, repr=False)
class GlmResult(Tested, Answering):
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

    @property
    def df(self) -> pd.Series:
        """Degrees of freedom of the t tests; inf of z tests."""
        return make_series(self.covariance.df, self.table.names, "df")

    @quiet
    def conf_int(
        self, level: float = 0.95, *, parameters: str | Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Confidence limits `lower`, `upper`, estimate ± t se.

        Parameters
        ----------
        level : float, default 0.95
        parameters : str or iterable of str, optional
            Names as in `params`. Default: all.

        Returns
        -------
        DataFrame

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
        >>> fit.conf_int(parameters="w1").round(2)
            lower  upper
        w1   0.04   0.88
        """
        return self._limits(level, parameters)

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
        return glm_result(own.under(settings))

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

    @quiet
    def cluster_diagnostics(
        self, parameters: str | Iterable[str] | None = None, *, exact: bool = False
    ) -> pd.DataFrame:
        """What each cluster has in the estimates, by the leverages and scores that CR3 takes.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Coefficients. Default: all.
        exact : bool, default False
            Fits again without each cluster; else by one step of the scoring.

        Returns
        -------
        DataFrame
            A row per cluster and coefficient: `cluster`, `rows`, `leverage` (of all directions),
            `parameter`, `share` (of the information on it), `change` (of the estimate without the
            cluster; NaN where nothing would be left of it).

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> found = mlsem.glm("high ~ w1", data, cluster="id").cluster_diagnostics("w1")
        >>> found.columns.tolist(), len(found)
        (['cluster', 'rows', 'leverage', 'parameter', 'share', 'change'], 50)
        """
        from mlsem.results.generalized.diagnosis import diagnose_glm

        return diagnose_glm(self, parameters, exact=exact)

    def lr_test(self, simple: GlmResult) -> None:
        """There is none: rows of a cluster are not independent, and the likelihood takes them so.

        Parameters
        ----------
        simple : GlmResult
            A model nested in this one.

        Raises
        ------
        InferenceError
            Always, with what to do.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1", data, cluster="id")
        >>> try:
        ...     fit.lr_test(fit)
        ... except mlsem.InferenceError as error:
        ...     print(str(error)[:40])
        there is no likelihood-ratio test: the l
        """
        raise InferenceError(
            "there is no likelihood-ratio test: the likelihood of the model takes the rows of a "
            "cluster for independent. Test the coefficients that differ together, "
            'fit.wald_test("`x1`; `x2`").'
        )

    # --- rows -----------------------------------------------------------------------------------

    @quiet
    @any_frame
    def predict(
        self,
        data: AnyFrame | None = None,
        scale: Scale = "response",
        *,
        se: bool = False,
        level: float | None = None,
    ) -> pd.DataFrame:
        """Expected outcomes of rows, μ = g⁻¹(xᵀβ̂ + offset).

        Parameters
        ----------
        data : data frame, optional
            Rows with the columns of the formula. Default: those of the fit.
        scale : {"response", "link"}, default "response"
            μ, or xᵀβ̂ + offset.
        se : bool, default False
            Adds standard errors and their degrees of freedom, by the delta method.
        level : float, optional
            Adds confidence limits: those of xᵀβ, mapped to μ.

        Returns
        -------
        DataFrame
            `predicted`, and `se`, `df`, `lower`, `upper` as asked for.

        Raises
        ------
        DataError, SpecificationError
            The rows lack a column, or have a level that the fit did not.
        InferenceError
            Constants of groups were taken out (`absorb`), which rows need.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> fit.predict(data.head(2), se=True).round(3)
           predicted     se      df
        0      0.326  0.075  18.855
        1      0.132  0.049  37.088
        """
        if scale not in ("response", "link"):
            raise OptionValueError(f"scale={scale!r}: it takes 'response' or 'link'.")
        if level is not None:
            require_level(level)
        frame = None if data is None else require_frame(data)
        design, offset = self._design(frame)
        _, link = self.settings.records
        eta = design @ self.estimates + offset
        mean, slope = link.mean(eta), link.slope(eta)
        shown = mean if scale == "response" else eta
        columns: dict[str, Array] = {"predicted": shown}
        if se or level is not None:
            errors, df = self.covariance.of_functions(design)
            factor = np.abs(slope) if scale == "response" else 1.0
            if se:
                columns |= {"se": errors * factor, "df": df}
            if level is not None:
                from mlsem.inference.covariance.intervals import wald

                found = wald(eta, errors, df, level)
                ends = (found.lower, found.upper)
                if scale == "response":
                    ends = (link.mean(ends[0]), link.mean(ends[1]))
                columns |= {"lower": ends[0], "upper": ends[1]}
        return make_frame(columns, None if frame is None else frame.index)

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

    def exponentiated(self, level: float = 0.95) -> pd.DataFrame:
        """e^β: odds ratios of the logit link, ratios of means of the log link.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals, which are those of β, exponentiated.

        Returns
        -------
        DataFrame
            `ratio`, `df`, `pvalue` (of a ratio of 1), `lower`, `upper`, by coefficient.

        Raises
        ------
        InferenceError
            The link is another one, of which e^β is nothing.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> fit.exponentiated().loc["w1", ["ratio", "lower", "upper"]].round(2).tolist()
        [1.59, 1.05, 2.42]
        """
        from mlsem.results.generalized.exponentiated import exponentiated

        link = self.settings.records[1]
        return exponentiated(link, self._wald(level), self.table.names)

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


def glm_result(estimates: GlmEstimates) -> GlmResult:
    """With the covariance that the settings ask for."""
    from mlsem.estimation.generalized.remarks import remarks

    covariance, doubts = glm_covariance(estimates)
    return GlmResult(covariance, (*remarks(estimates), *doubts), estimates)
