"""`FitResult`: a fitted model and what can be asked about the errors of its estimates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlsem.core.optimise.maximise import Optimum
from mlsem.core.records import RandomStarts
from mlsem.data.moments.aggregate import DataRecord
from mlsem.data.table.frame import make_frame, make_series
from mlsem.errors import EstimationWarning, InferenceWarning, OptionValueError, warn
from mlsem.estimation.problem import Problem
from mlsem.estimation.remarks import on_estimates
from mlsem.estimation.settings import Settings, se_kind
from mlsem.inference.covariance import of_optimum as standard_errors
from mlsem.inference.covariance.matrix import Covariance, meat
from mlsem.inference.estimates import Fitted, square_frame
from mlsem.inference.wald import run as hypotheses
from mlsem.results.tables import implied_moments

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlsem.inference.bootstrap.draws import WeightKind
    from mlsem.inference.bootstrap.result import Bootstrap, BootstrapKind
    from mlsem.inference.comparison.result import SeComparison
    from mlsem.inference.diagnosis.result import ClusterDiagnostics
    from mlsem.results.icc import Icc
    from mlsem.results.r_squared import RSquared


@dataclass(frozen=True, eq=False)
class Implied:
    """Implied moments of a level's observed variables."""

    cov: pd.DataFrame
    mean: pd.Series


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(Fitted):
    """A fitted model. Nothing in it changes; `with_se` gives a new one.

    Attributes: see `Fitted`.
    """

    @property
    def starts(self) -> RandomStarts | None:
        """What random starts led to (`reached`, `logliks`); None without ``starts=``."""
        return self.optimum.starts

    def with_se(
        self,
        kind: str,
        *,
        test: str | None = None,
        df: str | None = None,
        information: str | None = None,
    ) -> FitResult:
        """The same estimates with other standard errors; nothing is fitted again.

        Parameters
        ----------
        kind : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "none"}
        test : {"t", "z"}, optional
        df : {"satterthwaite", "kenward-roger"}, optional
        information : {"expected", "observed"}, optional
            As for `fit` and `lmm`.
        """
        settings = self.settings.with_se(se_kind(kind), test, df, information)
        found, doubts = _covariance(self.problem, settings, self.optimum, self.record.is_clustered)
        return replace(self, settings=settings, covariance=found, doubts=doubts)

    def wald_test(
        self,
        constraints: object,
        *,
        vcov: str | None = None,
        test: hypotheses.TestKind | None = None,
        rhs: object = None,
    ) -> hypotheses.WaldTest:
        """Joint test of constraints on the parameters.

        Parameters
        ----------
        constraints : str, list of str, array (q, npar) or DataFrame
            Text in the model's language, one constraint a line or between `;`, over labels and
            `:=`: ``"a == b; a*c == 0.5"``; `a` alone means `a == 0`; a parameter without a label
            stands in backticks under its name in `fit.params`: ``"`y~x1` == 0"``. Nonlinear ones
            are tested by the delta method. Or a matrix; the columns of a DataFrame are names of
            parameters, those that it lacks are 0.
        vcov : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"}, optional
            The kind of covariance; by default that of the fit.
        test : {"chi2", "F", "HTZ"}, optional
            Q ~ χ²(q); Q / q ~ F(q, J - 1); or that of Pustejovsky & Tipton (2018, eq. 12), the
            default of the CR kinds with t tests (for q = 1 the t test, squared). With model-based
            t tests (`lmm`) the default is F, lmerTest's or pbkrtest's, of fixed effects.
        rhs : array (q,) or float, optional
            What the rows of a matrix equal; 0 by default.

        Raises
        ------
        ModelSyntaxError, SpecificationError, OptionValueError
            The constraints cannot be read, or name what is no parameter.
        InferenceError
            The test does not exist; says why.
        """
        kind, chosen = se_kind(vcov or self.se_kind), hypotheses.require_test(test)
        z = chosen == "HTZ" and self.covariance.reference is None
        fit = self if kind == self.se_kind and not z else self.with_se(kind)
        return hypotheses.wald_test(fit, constraints, chosen, rhs)

    def cluster_diagnostics(
        self, parameters: str | Iterable[str] | None = None, *, exact: object = False
    ) -> ClusterDiagnostics:
        """Which clusters the estimates and their robust standard errors rest on.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Names as in `params`. Default: all, regression coefficients first.
        exact : bool or one or several cluster ids
            True: refit without each robust cluster. Ids: without these, one at a time. Else
            one step is taken from the estimates, which costs nothing.

        Returns
        -------
        ClusterDiagnostics
            Prints as text, in notebooks as HTML; `verdict` says what to make of it,
            `coefficients`, `clusters`, `influence` and `exact` are data frames, `plot()` is a
            figure.

        Raises
        ------
        InferenceError
            The fit has no clusters, did not converge, or has no maximum at its estimates.
        OptionValueError
            There is no such parameter or cluster.
        """
        from mlsem.inference.diagnosis.run import diagnose

        return diagnose(self.problem, self.settings, self.optimum, parameters, exact)

    def compare_se(
        self,
        kinds: Iterable[str] | None = None,
        *,
        parameters: str | Iterable[str] | None = None,
        draws: int = 200,
        level: float = 0.90,
        seed: int | None = None,
        n_jobs: int = 1,
        progress: bool | None = None,
    ) -> SeComparison:
        """Standard errors of several kinds side by side, and how far apart chance brings them.

        A robust standard error of a level-1 slope that is much larger than the model's says that
        the slope varies between clusters. How much is much depends on the data: data sets are
        drawn from the fitted model (in which no slope varies) and fitted, for a reference band of
        the ratio.

        Parameters
        ----------
        kinds : iterable of str, optional
            The first is what the others are compared with; the band is of the last one.
            Default: standard, MLR (not with REML) and CR2.
        parameters : str or iterable of str, optional
            Names as in `params`. Default: the regression coefficients.
        draws : int
            Data sets drawn from the fitted model; 0 for no band.
        level : float
            Of the band.
        seed : int, optional
            None: a new one, which the result names.
        n_jobs : int
            Processes, -1 for all cores. The result does not depend on it.
        progress : bool, optional
            A progress bar; by default on a terminal.

        Returns
        -------
        SeComparison
            Prints as text; `table` is a data frame, `verdict` says which slopes look as if they
            varied, `plot()` is a figure.

        Raises
        ------
        InferenceError
            The fit did not converge; data cannot be drawn from it, or not be fitted.
        OptionValueError
            A value that an argument cannot take.
        InterfaceError
            Several processes without joblib, or a bar without tqdm.
        """
        from mlsem.inference.comparison.run import compare

        return compare(
            self.problem,
            self.settings,
            self.optimum,
            kinds,
            parameters,
            draws=draws,
            level=level,
            seed=seed,
            n_jobs=n_jobs,
            progress=progress,
        )

    def bootstrap(
        self,
        kind: BootstrapKind = "wild",
        draws: int = 999,
        seed: int | None = None,
        *,
        parameters: str | Iterable[str] | None = None,
        n_jobs: int = 1,
        progress: bool | None = None,
        weights: WeightKind | None = None,
    ) -> Bootstrap:
        """Bootstrap the estimates: intervals and p values that do not assume a normal sampling
        distribution.

        Clusters are those of the robust standard errors (`se_cluster=`, else `cluster=`, else
        rows).

        Parameters
        ----------
        kind : {"wild", "pairs", "parametric"}
            Scores of clusters times random weights (Kline & Santos, 2012): nothing is refitted,
            and intervals of regression coefficients nearly hold with few clusters. Or clusters
            drawn with replacement, or data drawn from the fitted model with its covariates as they
            are: the model is refitted to each. "parametric" is the one for variances between few
            clusters. Grand means at which variables were centred stay as they are.
        draws : int
        seed : int, optional
            None: a new one, which the result names.
        parameters : str or iterable of str, optional
            Names as in `params`, or of `:=`. Default: all.
        n_jobs : int
            Processes of the refits, -1 for all cores. The result does not depend on it.
        progress : bool, optional
            A progress bar of the refits; by default on a terminal.
        weights : {"webb", "rademacher", "mammen"}, optional
            Of the wild bootstrap. Default: Webb's below 12 clusters, else Rademacher's. Where
            `draws` suffice for all patterns of weights, each is taken once.

        Returns
        -------
        Bootstrap
            Prints as text; `conf_int()`, `pvalues` and `se` are data frames, `draws` and `t`
            arrays. Draws that failed are counted by reason in `reasons`.

        Raises
        ------
        InferenceError
            The fit did not converge or has no robust standard errors; data cannot be drawn from
            it, or nearly all draws failed.
        OptionValueError
            A value that an argument cannot take.
        InterfaceError
            Several processes without joblib, or a bar without tqdm.
        """
        from mlsem.inference.bootstrap.run import bootstrap

        return bootstrap(
            self,
            kind,
            draws,
            seed,
            parameters=parameters,
            n_jobs=n_jobs,
            progress=progress,
            weights=weights,
        )

    def random_effects(self) -> pd.DataFrame:
        """Empirical Bayes predictions of the random effects, clusters in rows.

        Of each split variable (its random intercept), random slope and latent variable of level 2
        the posterior mean at the estimates, as the deviation from what the model expects of a
        cluster with its covariates (lme4's `ranef`, under its names if the model is an `lmm`);
        in a column of the same name and `_se` the posterior standard deviation, given the
        estimates: 0 where a variance is estimated as zero, whatever its uncertainty.

        So a latent variable with covariates has here what these leave unexplained. That is not
        lavaan's `lavPredict`, which has factor scores: its expectation given the covariates is
        added there, and so is the mean of a latent variable that has one.

        Raises
        ------
        InferenceError
            The model has one level, or did not converge.
        """
        from mlsem.results.random_effects import random_effects

        return random_effects(self)

    def icc(self) -> Icc:
        """Intraclass correlations of the variables with a part at both levels, with delta-method
        standard errors: `icc` of all variance, as a model without covariates has it; and given
        the covariates `adjusted` and `unadjusted` (conditional) as in the R package performance,
        with the variance of random slopes averaged over rows.

        Raises
        ------
        InferenceError
            There is no such variable, or the fit did not converge.
        """
        from mlsem.results.icc import icc

        return icc(self)

    def r_squared(self) -> RSquared:
        """R² of the endogenous variables of each level; of a linear mixed model (`mixed`) the
        marginal and conditional R² (Nakagawa & Schielzeth, 2013; Johnson, 2014) and the shares of
        variance of Rights & Sterba (2019).

        Raises
        ------
        InferenceError
            The model explains nothing, or the fit did not converge.
        """
        from mlsem.results.r_squared import r_squared

        return r_squared(self)

    def scores(self) -> pd.DataFrame:
        """∂ℓ_j/∂θ of every cluster (of every row, without `cluster=`), (J, npar).

        Of the likelihood, also of a REML fit, for the restricted one is no sum over clusters: there
        scores of fixed effects sum to 0, of (co)variances to ½ ∂ log|M|/∂θ, M the fixed effects'
        information."""
        names = self.table.names
        found = standard_errors.scores_along(self.problem, self.optimum, np.eye(len(names)))
        columns = dict(zip(names, found.T, strict=True))
        return make_frame(columns, self.problem.moments.labels)

    def information(
        self, kind: Literal["expected", "observed", "first_order"] = "observed"
    ) -> pd.DataFrame:
        """Information matrix of the free parameters at the estimates, in total (not per row).

        Of the likelihood, also of a REML fit, as `scores`. The inverse of the expected one is then
        the model-based `vcov()` in the fixed effects; REML's of the (co)variances is larger.

        Parameters
        ----------
        kind : {"expected", "observed", "first_order"}
            E(-∂²ℓ/∂θ∂θᵀ), -∂²ℓ/∂θ∂θᵀ, or Σ_j s_j s_jᵀ.
        """
        names = self.table.names
        if kind == "first_order":
            return square_frame(meat(self.scores().to_numpy()), names)
        if kind not in ("expected", "observed"):
            known = "'expected', 'observed', 'first_order'"
            raise OptionValueError(f"information kind {kind!r} is not one of {known}.")
        found = standard_errors.information_along(
            self.problem, self.optimum, np.eye(len(names)), kind
        )
        return square_frame(found, names)

    def implied(self, level: int | str = 1) -> Implied:
        """Implied covariance matrix and means of a level's observed variables.

        Fixed covariates take part with their sample moments.

        Parameters
        ----------
        level : int or str
            1 or 2, or the level's label in the model.
        """
        number = self.table.level_number(level)
        names, cov, mean = implied_moments(self.problem, self.optimum, number)
        return Implied(square_frame(cov, names), make_series(mean, names, "mean"))


def assemble(
    model: str, settings: Settings, problem: Problem, record: DataRecord, optimum: Optimum
) -> FitResult:
    """The result of an optimum, with warnings about the estimates."""
    if optimum.converged:
        for each in on_estimates(problem, optimum, settings):
            warn(each, EstimationWarning)
    found, doubts = _covariance(problem, settings, optimum, record.is_clustered)
    return FitResult(model, settings, problem, record, optimum, found, doubts)


def _covariance(
    problem: Problem, settings: Settings, optimum: Optimum, clustered: bool
) -> tuple[Covariance, tuple[str, ...]]:
    found, wrong = standard_errors.covariance_of(problem, settings, optimum, clustered=clustered)
    found, doubts = standard_errors.doubted(problem, settings, optimum, found)
    if wrong or doubts:
        warn("\n".join((*wrong, *doubts)), InferenceWarning)
    return found, (*wrong, *doubts)
