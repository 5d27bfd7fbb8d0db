"""`FitResult`: a fitted model, its tables, and what can be asked about its estimates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Unpack, get_args

import numpy as np

from mlsem.arguments import chosen, require_level
from mlsem.core.optimise.objective import InformationKind
from mlsem.core.optimise.optimum import RandomStarts
from mlsem.core.quiet import quiet
from mlsem.data.frames.taking import any_frame
from mlsem.data.moments.aggregate import DataRecord
from mlsem.data.table.frame import make_frame, make_series, square_frame
from mlsem.errors import (
    EstimationWarning,
    InferenceWarning,
    OptionValueError,
    listed,
    warn,
)
from mlsem.estimation.estimates import Estimates, GroupEstimates
from mlsem.estimation.keywords import UNCHANGED, UpdateKeywords, shown
from mlsem.estimation.remarks import (
    active_restrictions,
    on_boundary,
    on_estimates,
    on_starts,
    unreached,
)
from mlsem.estimation.settings import DfKind, Settings, TestName, se_kind
from mlsem.estimation.standard_errors import SeName
from mlsem.estimation.weighted import on_weights
from mlsem.inference.covariance.cautions import on_information
from mlsem.inference.covariance.groups import covariance_of_group
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.covariance.matrix import Covariance, meat
from mlsem.inference.covariance.of_estimates import covariance_of, doubted
from mlsem.other_programs.answering import Answering
from mlsem.parallel.progress import showing
from mlsem.results.drawn import Drawn
from mlsem.results.groups import by_group, tested_by_group
from mlsem.results.implied import implied_by
from mlsem.results.levels import lower_clusters, up_to_two_levels
from mlsem.results.tables import estimate_columns, tidy_columns, without_auxiliary
from mlsem.results.tested import Tested

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Iterable, Mapping

    import pandas as pd

    from mlsem.core.alignment import Identification, Unit
    from mlsem.data.frames.records import AnyFrame
    from mlsem.inference.alignment.result import Alignment
    from mlsem.inference.bootstrap.draws import WeightKind
    from mlsem.inference.bootstrap.result import Bootstrap, BootstrapKind
    from mlsem.inference.comparison.result import SeComparison
    from mlsem.inference.diagnosis.result import ClusterDiagnostics
    from mlsem.inference.effects.result import Effects
    from mlsem.inference.effects.run import IntervalKind as EffectIntervals
    from mlsem.inference.fit.models import FitModels
    from mlsem.inference.fit.run import Units
    from mlsem.inference.modification.joint import ParametersTest
    from mlsem.inference.profile.run import ProfileIntervals
    from mlsem.inference.wald.run import TestKind, WaldTest
    from mlsem.parallel.pool import Backend
    from mlsem.results.group_comparison import GroupComparison
    from mlsem.results.latent import Method as LatentMethod
    from mlsem.results.recipe import Recipe
    from mlsem.results.reference import ReferenceModel
    from mlsem.results.report.build import SectionName
    from mlsem.results.report.result import Report
    from mlsem.results.residuals import Kind as ResidualKind
    from mlsem.results.residuals import ResidualMoments
    from mlsem.results.standardized import Kind as StandardizedKind
    from mlsem.results.summary import Facts, Summary
    from mlsem.results.weight_scalings import WeightScalings

CiKind = Literal["wald", "profile"]
PROFILED = "intervals: profile likelihood for variances, t with CR2 standard errors for the others."


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(Tested, Answering, Drawn):
    """A fitted model. Nothing in it changes; `with_se` gives a new one.

    Attributes
    ----------
    model : str
        The model text.
    covariance : Covariance
        Of the free parameters, with the reference distribution of its tests.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> fit
    <FitResult: 6 parameters, 500 rows, 50 clusters, loglik -818.609, se standard;
    print(fit.summary())>
    >>> fit.covariance.kind.name, fit.covariance.matrix.shape
    ('standard', (6, 6))
    """

    model: str
    covariance: Covariance
    _estimates: Estimates
    _doubts: tuple[str, ...] = ()
    _recipe: Recipe | None = None

    @property
    def _columns_named(self) -> tuple[str, ...]:
        """Texts in which all columns occur that the fit needs of rows."""
        record, robust = self._estimates.record, self._estimates.problem.robust
        sampling = self.settings.sampling
        keys = (record.units, record.cluster, robust.name, getattr(record, "column", None))
        keys += () if sampling is None else (*sampling.columns,)
        return (self.model, *self.table.observed, *(each for each in keys if each is not None))

    # --- the fit ------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """How it was fitted.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.settings.estimator, fit.settings.max_iter, fit.settings.tol
        ('ML', 500, 1e-08)
        """
        return self._estimates.settings

    @property
    def _record(self) -> DataRecord:
        return self._estimates.record

    @property
    def converged(self) -> bool:
        """Whether the search for the maximum ended at one.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.converged
        True
        """
        return self._estimates.converged

    @property
    def n_iterations(self) -> int:
        """Iterations of the search for the maximum.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.n_iterations
        3
        """
        return self._estimates.optimum.n_iterations

    @property
    def loglik(self) -> float:
        """Log-likelihood at the estimates, conditional on fixed covariates of one level; of a REML
        fit the restricted one, and `aic` and `bic` with it.

        Where the search did not reach a maximum that of the last iterate, or NaN where it found
        that there is none or did not meet the constraints; `aic` and `bic` are then NaN.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> round(fit.loglik, 3)
        -818.609
        """
        return self._estimates.optimum.last

    @property
    def starts(self) -> RandomStarts | None:
        """What random starts led to (`reached`, `logliks`); None without ``starts=``.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id", starts=2, seed=1)
        >>> fit.starts.reached
        2
        >>> print(fit.starts)
        2 random starts (seed 1): 2 reached the highest maximum found, -818.609.
        """
        return self._estimates.optimum.starts

    @property
    def replicates(self) -> pd.DataFrame | None:
        """The estimates by replicate weights, a row for each replicate, by its number; None without
        ``replicates=``.

        Examples
        --------
        >>> import mlsem
        >>> import numpy as np
        >>> data = mlsem.load_example("article").assign(w=1.0)
        >>> for k, left in enumerate(data["id"].unique()[:30], start=1):  # a jackknife
        ...     data[f"rw{k}"] = np.where(data["id"] == left, 0.0, 50 / 49)
        >>> fit = mlsem.fit("y ~ x1", data, weights="w", replicates=mlsem.JK1("rw{}"))
        >>> fit.replicates.shape
        (30, 2)
        """
        found = self._estimates.replicates
        if found is None:
            return None
        columns = {name: found.params[:, k] for k, name in enumerate(self.table.names)}
        return make_frame(columns, found.numbers)

    @property
    def singular(self) -> bool:
        """Whether the estimated covariance matrix of the random effects is singular: on the
        boundary of a fit that keeps it positive semidefinite (`lmm`, REML, and random slopes
        that have no maximum otherwise); or that of their residuals, where a model with latent
        variables has no maximum by REML without that bound.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> fit.singular
        False
        """
        return self._estimates.boundary

    @property
    def n_obs(self) -> int:
        """Rows used.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.n_obs
        500
        """
        return self._estimates.n_obs

    @property
    def n_clusters(self) -> int | None:
        """Clusters of the model (of the robust errors, if only they have any), of level 3 if it has
        three levels; None without.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.n_clusters
        50
        """
        if self._record.cluster is not None:
            return len(self._record.moments.top_labels)
        return self._record.robust.n_clusters if self._record.robust.name is not None else None

    @property
    def _n_coarser(self) -> int | None:
        """Robust clusters, where they are unions of the model's clusters."""
        robust = self._record.robust
        return None if robust.same or self._record.cluster is None else robust.n_clusters

    @property
    def n_params(self) -> int:
        """Free parameters less equality constraints; of auxiliary variables none.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.n_params, len(fit.params)
        (6, 6)
        >>> equal = mlsem.sem("y ~ a*x1 + b*w1; a == b", data)
        >>> equal.n_params, len(equal.params)
        (2, 3)
        """
        return self._estimates.n_own_params

    @property
    def aic(self) -> float:
        """-2 ℓ + 2 npar (Akaike, 1974). With auxiliary variables ℓ is theirs, too, and npar counts
        their parameters: compare fits that have the same ones. NaN with sampling weights.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> round(fit.aic, 2), round(-2 * fit.loglik + 2 * fit.n_params, 2)
        (1649.22, 1649.22)
        """
        if self._estimates.weighted:
            return float("nan")
        return -2.0 * self._estimates.optimum.maximum + 2.0 * self._estimates.n_params

    @property
    def bic(self) -> float:
        """-2 ℓ + npar log N, N the number of rows, as lavaan's (Schwarz, 1978). Auxiliary variables
        count as in `aic`; NaN with sampling weights.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> round(fit.bic, 2)
        1674.5
        """
        if self._estimates.weighted:
            return float("nan")
        penalty = self._estimates.n_params * float(np.log(self.n_obs))
        return -2.0 * self._estimates.optimum.maximum + penalty

    @property
    def se_kind(self) -> str:
        """The kind of standard errors: "standard", "MLR", "CR0" … "CR3", or "none".

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.se_kind, fit.with_se("CR2").se_kind
        ('standard', 'CR2')
        """
        return self.covariance.kind.name

    @property
    def df_method(self) -> str | None:
        """Where the degrees of freedom of model-based t tests come from, "satterthwaite" or
        "kenward-roger"; None for z tests, and for the CR kinds, which have their own.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.df_method is None
        True
        >>> mlsem.lmm("y ~ x1 + (1 | id)", data).df_method
        'satterthwaite'
        """
        return None if self.covariance.reference is None else self.covariance.reference.method

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("holes")
        >>> model = mlsem.example_model("holes")
        >>> fit = mlsem.fit(model, data, cluster="school", missing="listwise")
        >>> fit.notes[0].partition(":")[0]
        '308 of 600 rows (51.3%) left out for missing values'
        """
        return (
            *unreached(self._estimates),
            *self.table.notes,
            *self._record.notes,
            *on_weights(self._estimates),
            *on_starts(self._estimates.optimum),
            *active_restrictions(self._estimates),
            *on_boundary(self._estimates),
            *on_information(self.table, self.covariance),
            *self._doubts,
        )

    # --- parameters ---------------------------------------------------------------------------

    @property
    def se_forms(self) -> pd.Series:
        """How each CR standard error was adjusted: "residuals" (CR2 of the fixed effects of a
        single-outcome linear mixed model, clubSandwich's numbers) or "scores"; empty for the
        other kinds.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.with_se("CR2").se_forms[["y~x1", "y~~y"]].to_dict()
        {'y~x1': 'residuals', 'y~~y': 'scores'}
        """
        forms = self.covariance.forms
        return make_series(list(forms), self.table.names if forms else (), "form")

    @shown()
    @quiet
    def conf_int(
        self,
        level: float = 0.95,
        ci: CiKind = "wald",
        parameters: str | Iterable[str] | None = None,
        *,
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """Confidence limits `lower`, `upper` of the free parameters.

        Parameters
        ----------
        level : float, default 0.95
        ci : {"wald", "profile"}, default "wald"
            Estimate ± t (or z) times the standard error of the fit. Or for variances the profile
            likelihood, scaled by the cluster-robust variance of CR2, which holds with few
            clusters (docs/explanation/profile_intervals.md): the limits are not symmetric, the
            lower one is never below 0, the upper one is infinite where the likelihood does not
            fall far enough. All other parameters then have the t interval of CR2, whatever the
            standard errors of the fit. Takes some 10 fits of the model per variance.
        parameters : str or iterable of str, optional
            Names as in `params`. Default: all.
        progress : bool, optional
            A bar of the profiles. Default: in a terminal or a notebook, after two seconds.

        Returns
        -------
        DataFrame
            A row per parameter, named as `params`.

        Raises
        ------
        InferenceError
            There are no profile intervals: the fit did not converge, or the model has bounds,
            inequalities or nonlinear constraints.
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id", se="CR2")
        >>> fit.conf_int().loc["y~x1"].round(3).tolist()
        [0.366, 0.788]
        >>> fit.conf_int(ci="profile", parameters="y~~y.l2").round(2)
                 lower  upper
        y~~y.l2   0.73   1.83
        """
        require_level(level)
        names = self.table.names
        places = list(range(len(names))) if parameters is None else chosen(names, parameters)
        with showing(progress):
            profiled = self._profiled(level, ci, places)
        covariance = self.covariance if profiled is None else profiled.covariance
        intervals = wald(self.estimates, covariance.se, covariance.df, level)
        limits = np.array([intervals.lower, intervals.upper])
        for k, pair in ({} if profiled is None else profiled.limits).items():
            limits[:, k] = pair
        lower, upper = limits[:, places]
        return make_frame({"lower": lower, "upper": upper}, [names[k] for k in places])

    def _profiled(self, level: float, ci: object, places: list[int]) -> ProfileIntervals | None:
        """None for Wald's intervals."""
        if ci not in get_args(CiKind):
            shown = " Intervals are shown with level=0.95." if ci is True else ""
            raise OptionValueError(f"ci={ci!r}: it takes one of {listed(get_args(CiKind))}.{shown}")
        if ci == "wald":
            return None
        from mlsem.inference.profile.run import profile_intervals

        return profile_intervals(self._estimates, places, level)

    # --- tables -------------------------------------------------------------------------------

    @shown()
    def parameter_estimates(
        self,
        level: float = 0.95,
        ci: CiKind = "wald",
        *,
        standardized: bool = False,
        rsquare: bool = False,
        fmi: bool = False,
        auxiliary: bool = False,
    ) -> pd.DataFrame:
        """All parameters in lavaan's rows and order, fixed and defined ones included.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals.
        ci : {"wald", "profile"}, default "wald"
            As for `conf_int`. Standard errors and tests stay those of the fit.
        standardized : bool, default False
            Adds columns `std_lv` and `std_all`, the values of `standardized`.
        rsquare : bool, default False
            Adds a row with op `r2` for each R² of `r_squared`, in the columns its own intervals.
        fmi : bool, default False
            Adds the column `fmi`, the fraction of the information on each parameter that missing
            values took (`missing="fiml"`): 1 - V_c / V, with V the estimate's variance by the
            observed information and V_c the one that the same rows would give with nothing
            missing, by the expected information at the estimates (Savalei & Rhemtulla, 2012).
            Missing values widened an interval 1 / √(1 - fmi) times. 0 where nothing is missing;
            chance may put it a little below 0 where little is. It does not depend on `se=`.
            lavaan takes both variances by the observed information, V_c of moments by EM; where
            the model is wrong the two differ.
        auxiliary : bool, default False
            Adds the rows of auxiliary variables, after those of the model.

        Returns
        -------
        DataFrame
            Columns lhs, op, rhs, level, group, label, est, se, stat, df, pvalue, ci_lower,
            ci_upper. `level` is 1 in a single-level model and 0 for `:=`. A fixed parameter has
            se 0 and the rest NaN. A path that is random has no estimate of its own (NaN; lavaan
            says 0) and the name of its slope for a label: see that variable of level 2.

        Raises
        ------
        InferenceError
            Profile intervals, standardized values, R² or fractions of missing information were
            asked for, and there are none.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> table = fit.parameter_estimates(standardized=True)
        >>> table.loc[table["op"] == "~", ["rhs", "level", "est", "se", "std_all"]].round(3)
             rhs  level    est     se  std_all
        0     x1      1  0.577  0.055    0.440
        1  w1:x1      1  0.302  0.058    0.216
        9     w1      2  0.366  0.166    0.312
        """
        columns = self._columns(level, ci)
        columns = self._extended(columns, level, standardized, rsquare)
        if fmi:
            from mlsem.results.missing_information import with_missing_information

            columns = with_missing_information(columns, self._estimates)
        return make_frame(columns if auxiliary else without_auxiliary(columns, self.table))

    @quiet
    def _extended(
        self, columns: dict[str, Any], level: float, standardized: bool, rsquare: bool
    ) -> dict[str, Any]:
        """The columns with rows of R² and standardized values."""
        if rsquare:
            from mlsem.results.r_squared import r_squared_rows

            for rows in r_squared_rows(self._estimates, self.covariance, level):
                columns = {name: [*columns[name], *rows[name]] for name in columns}
        if standardized:
            from mlsem.results.standardized import with_standardized

            columns = with_standardized(columns, self._estimates)
        return columns

    @quiet
    def standardized(self, kind: StandardizedKind = "all", level: float = 0.95) -> pd.DataFrame:
        """Standardized parameters with standard errors and intervals, level by level.

        A path y ~ x is β √(V_x / V_y), a loading λ √(V_f / V_y), a variance ψ / V, an intercept
        α / √V, with V the variances at that level that the model implies; a covariance is the
        correlation of the two residuals (or variables). Fixed covariates have the variances of
        the sample, over rows at level 1 and over clusters at level 2, which count as known.
        Defined parameters are the same functions of the standardized ones. Standard errors,
        degrees of freedom and tests are those of the delta method with the fit's covariance.

        Parameters
        ----------
        kind : {"all", "lv", "nox"}, default "all"
            Scaled are all variables; latent ones alone; all but exogenous observed ones, those
            that predict and are themselves neither predicted nor indicators (StdYX, Std and StdY
            of Mplus). "nox" is the one for binary covariates.
        level : float, default 0.95
            Of the confidence intervals.

        Returns
        -------
        DataFrame
            Columns lhs, op, rhs, level, group, est_std, se, stat, df, pvalue, ci_lower, ci_upper,
            in the rows of `parameter_estimates`. What is constant (the variance of an exogenous
            variable, moments of fixed covariates) has se 0. NaN where a variance to scale by is
            not positive.

        Raises
        ------
        OptionValueError
            There is no such kind or level.
        InferenceError
            The fit did not converge.

        Notes
        -----
        An outcome with random slopes has another variance in each row. Its level-1 variance is
        the mean over rows: slopes count with their mean and variance over clusters (Rights &
        Sterba, 2019), and the random path itself is the mean slope, so scaled. At level 2 the
        outcome is its random intercept, where the covariates with random slopes are zero.
        Where labels tie parameters that are scaled by different variances, a definition takes
        the first of them, as in lavaan.

        References: Bollen (1989), Structural Equations with Latent Variables, p. 349; Muthén &
        Muthén (2017), Mplus User's Guide, STANDARDIZED.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> model = mlsem.example_model("article")
        >>> fit = mlsem.fit(model, data, cluster="id", se="CR2")
        >>> table = fit.standardized("all", level=0.9)
        >>> table.loc[table["op"] == "~", ["rhs", "level", "est_std", "df"]].round(2)
             rhs  level  est_std     df
        0     x1      1     0.44  36.97
        1  w1:x1      1     0.22  11.79
        9     w1      2     0.31  11.35
        """
        from mlsem.results.standardized import standardized_columns

        require_level(level)
        columns = standardized_columns(self._estimates, self.covariance, kind, level)
        return make_frame(without_auxiliary(columns, self.table))

    @quiet
    def _columns(self, level: float, ci: CiKind = "wald") -> dict[str, Any]:
        require_level(level)
        columns = estimate_columns(self._estimates, self.covariance, level)
        profiled = self._profiled(level, ci, list(range(len(self.table.names))))
        if profiled is None:
            return columns
        robust = estimate_columns(self._estimates, profiled.covariance, level)
        columns |= {side: robust[side] for side in ("ci_lower", "ci_upper")}
        for k, row in enumerate(self.table.rows):
            if row.free in profiled.limits:
                columns["ci_lower"][k], columns["ci_upper"][k] = profiled.limits[row.free]
        return columns

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row per parameter under the names of R's broom.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        DataFrame

        Raises
        ------
        OptionValueError
            The level lies not between 0 and 1.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.tidy().columns.tolist()
        ['term', 'op', 'level', 'label', 'estimate', 'std.error', 'statistic', 'df', 'p.value',
        'conf.low', 'conf.high']
        """
        columns = without_auxiliary(self._columns(level), self.table)
        return make_frame(tidy_columns(columns, grouped=bool(self.table.groups)))

    def glance(self) -> pd.DataFrame:
        """One row about the whole fit under the names of R's broom.

        Returns
        -------
        DataFrame
            One row.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.glance()[["nobs", "logLik", "AIC"]].round(1)
           nobs  logLik     AIC
        0   500  -818.6  1649.2
        """
        return make_frame(
            {
                "nobs": [self.n_obs],
                "n_groups": [len(self._estimates.groups)],
                "n_clusters": [self.n_clusters],
                "npar": [self.n_params],
                "logLik": [self.loglik],
                "AIC": [self.aic],
                "BIC": [self.bic],
                "estimator": [self.settings.estimator],
                "se": [self.se_kind],
                "df_method": [self.df_method],
                "converged": [self.converged],
                "singular": [self.singular],
            }
        )

    @shown()
    def summary(
        self,
        level: float | None = None,
        ci: CiKind = "wald",
        *,
        fit_measures: bool = False,
        standardized: bool = False,
        rsquare: bool = False,
        auxiliary: bool = False,
    ) -> Summary:
        """The results in lavaan's layout.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.
        ci : {"wald", "profile"}, default "wald"
            As for `conf_int`; "profile" adds the limits without `level=` too, at 0.95.
        fit_measures : bool, default False
            Adds tests of fit and indices. With fewer than 100 clusters the score test comes first,
            for likelihood-ratio tests then reject right models too often
            (docs/studies/fit_tests.md).
        standardized : bool, default False
            Adds the columns Std.lv and Std.all, the values of `standardized`.
        rsquare : bool, default False
            Adds R² of each level.
        auxiliary : bool, default False
            Adds the parameters of auxiliary variables.

        Returns
        -------
        Summary
            Prints as text and shows as HTML in a notebook.

        Raises
        ------
        InferenceError
            What was asked for does not exist: says why.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.summary(level=0.95).to_text().splitlines()[0]
        'mlsem 0.1.0 ended normally after 3 iterations'
        """
        from mlsem.results.groups import group_titles
        from mlsem.results.summary import summarise

        wanted = 0.95 if level is None else level
        columns = self._extended(self._columns(wanted, ci), wanted, standardized, rsquare)
        facts, shown = self._facts(), level is not None
        beside = () if auxiliary else self.table.auxiliary
        hidden = [row.exo or row.lhs in beside or row.rhs in beside for row in self.table.rows]
        hidden += [False] * (len(columns["op"]) - len(hidden))
        if ci == "profile":
            facts, shown = replace(facts, notes=(*facts.notes, PROFILED)), True
        if standardized:
            from mlsem.results.standardized import notes_of

            own = columns if auxiliary else without_auxiliary(columns, self.table)
            facts = replace(facts, notes=(*facts.notes, *notes_of(own, self.table)))
        measures = None
        if fit_measures:
            from mlsem.results.measures import measure_blocks

            measures = measure_blocks(self._models)
        titles = group_titles(self.table)
        return summarise(columns, hidden, self.table.level_labels, facts, shown, measures, titles)

    @up_to_two_levels("summary().to_html(path=…) writes a page of the fit")
    @any_frame
    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        data: AnyFrame | None = None,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        overwrite: bool = False,
        sections: Iterable[SectionName] | None = None,
        *,
        seed: int = 1,
        progress: bool | None = None,
    ) -> Report:
        """A report of the fit: one HTML file that needs no network.

        Model, data by level, estimates, fit, random effects, diagnostics with verdicts, figures,
        notes, and what it was made with. Tables can be sorted, copied and saved.

        Parameters
        ----------
        path : str or path, optional
            Where it is written, ``"report.html"``. Default: nowhere.
        data : DataFrame, optional
            The data of the fit, for what a fit does not keep: distributions, residuals of rows.
        title : str, optional
        labels : mapping of str to str, optional
            Words for names of variables: ``{"x1": "income"}``.
        overwrite : bool, default False
            Whether a file that is there is replaced.
        sections : iterable of str, optional
            Some of "overview", "model", "data", "estimates", "fit", "random", "diagnostics",
            "notes", "session". Default: all.
        seed : int, default 1
            Of the draws for the band of standard errors (see `compare_se`).
        progress : bool, optional
            Bars of what takes long in it, as of `bootstrap`.

        Returns
        -------
        Report
            Shows in a notebook; `html` is the page, `save` writes it.

        Raises
        ------
        OptionValueError, DataError
            A value that an argument cannot take.
        MlsemError
            The file is there already, or cannot be written.

        Notes
        -----
        What a fit does not have (tests of fit after REML, say) the report says in a sentence. What
        takes long (draws for the band, modification indices) it leaves out when half a minute is
        over, and says so.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit("y ~ x1 + w1", data, cluster="id")
        >>> page = fit.report(title="A first look", sections=["model", "estimates"])
        >>> page.html.startswith("<!DOCTYPE html>")
        True
        """
        from mlsem.results.report.build import make_report

        with showing(progress):
            return make_report(
                self,
                path,
                data=data,
                title=title,
                labels=labels,
                overwrite=overwrite,
                sections=sections,
                seed=seed,
            )

    def _facts(self) -> Facts:
        from mlsem.results.groups import group_sizes
        from mlsem.results.summary import Facts
        from mlsem.results.weights import sampling_pairs

        return Facts(
            converged=self.converged,
            n_iterations=self.n_iterations,
            n_params=len(self.table.names) - self.table.n_auxiliary,
            n_auxiliary=self.table.n_auxiliary,
            n_equalities=self._estimates.n_equalities,
            n_obs=self.n_obs,
            n_rows=self._record.n_rows_total,
            cluster=self._record.units or self._record.cluster or self._record.robust.name,
            n_clusters=self.n_clusters,
            lower=lower_clusters(self._record),
            missing=self._record.missingness,
            centered=self._record.centered,
            sampling=sampling_pairs(self.settings, self._record),
            restricted=self.settings.estimator == "REML",
            loglik=self.loglik,
            aic=self.aic,
            bic=self.bic,
            se=self.covariance.kind,
            form=self.covariance.form,
            df_method=self.df_method,
            adjusted=tuple(dict.fromkeys(self.covariance.forms)),
            robust=self._record.robust.name,
            n_robust=self._n_coarser,
            notes=self.notes,
            groups=group_sizes(self._estimates),
        )

    def __repr__(self) -> str:
        return self._facts().brief

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    # --- other questions ----------------------------------------------------------------------

    @shown()
    def with_se(
        self,
        kind: SeName,
        *,
        test: TestName | None = None,
        df: DfKind | None = None,
        information: InformationKind | None = None,
    ) -> FitResult:
        """The same estimates with other standard errors; nothing is fitted again.

        Parameters
        ----------
        kind : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "replicates", "none"}
        test : {"t", "z"}, optional
        df : {"satterthwaite", "kenward-roger"}, optional
        information : {"expected", "observed"}, optional
            As for `fit` and `lmm`.

        Returns
        -------
        FitResult

        Raises
        ------
        OptionValueError
            A value that an argument cannot take, or that does not go with the others.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> for kind in ("standard", "MLR", "CR2"):
        ...     print(kind, round(fit.with_se(kind).bse["y~x1"], 3))
        standard 0.055
        MLR 0.102
        CR2 0.104
        """
        settings = self.settings.with_se(kind, test, df, information)
        estimates = self._estimates.under(settings)
        covariance, doubts = _covariance(estimates)
        return replace(self, _estimates=estimates, covariance=covariance, _doubts=doubts)

    def wald_test(
        self,
        constraints: object,
        *,
        vcov: str | None = None,
        test: TestKind | None = None,
        rhs: object = None,
    ) -> WaldTest:
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

        Returns
        -------
        WaldTest

        Raises
        ------
        ModelSyntaxError, SpecificationError, OptionValueError
            The constraints cannot be read, or name what is no parameter.
        InferenceError
            The test does not exist; says why.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> found = fit.wald_test("`y~x1`; `y~w1:x1`")
        >>> found.test, found.df, round(found.statistic, 1)
        ('chi2', 2, 126.6)
        >>> print(fit.wald_test("`y~x1` == 0.5", vcov="CR2"))
        Wald test (HTZ, covariance CR2) of
          `y~x1` == 0.5  estimate of `y~x1` - 0.5: 0.077
        F(1, 37.37) = 0.544, p = 0.466
        """
        from mlsem.inference.wald.run import require_test, wald_test

        kind, wanted = se_kind(vcov or self.se_kind).asked, require_test(test)
        z = wanted == "HTZ" and self.covariance.reference is None
        fit = self if kind == self.se_kind and not z else self.with_se(kind)
        return wald_test(fit._estimates, fit.covariance, constraints, wanted, rhs)

    def score_test(
        self, add: str | None = None, *, release: object = None, robust: bool | None = None
    ) -> ParametersTest:
        """Score test of parameters that the model does not have; nothing is fitted.

        T = gᵀ A⁻¹ g, with g = ∂ℓ and A the expected information of what is tested, less what
        they have in common with the model's own parameters (Rao, 1948); the robust test divides
        it by c₀ = Σ_j s_jᵀ A⁻¹ s_j / df of the clusters' scores s_j (after Boos, 1992; see
        docs/studies/fit_tests.md). With one parameter it is that of `modification_indices`.

        Parameters
        ----------
        add : str, optional
            Parameters to be added: ``"f =~ y5; y1 ~~ y2"``, in a two-level model below
            ``level: 1`` or ``level: 2`` where both levels have the variables. Of several groups to
            that of the header ``group: a`` above, else to all that have the variables.
        release : int, str or list of these, optional
            Equality constraints to be given up: by their number, as lavaan counts (those written
            with ``==``, then pairs of parameters with the same label), text
            (``"f=~y2 == f=~y2.g2"``), the name of a parameter, or label. Those between groups also
            by "all" or by kind as in `group_equal` ("loadings", …): each later group that shares a
            parameter is one degree of freedom.
        robust : bool, optional
            Default: whether the standard errors of the fit are robust.

        Returns
        -------
        ParametersTest
            Prints as text; `univariate` has each of them alone, `epc` what would become of all
            parameters.

        Raises
        ------
        ModelSyntaxError, SpecificationError
            A parameter is in the model already, or has no place in it.
        InferenceError
            The fit did not converge or is one by REML; or the data do not determine them.
        OptionValueError
            There is no such constraint, or nothing is tested.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3 + 0.7*y4; f ~ 0.5*x; f ~~ 1*f; y1 ~~ 0.2*y2"
        >>> errors = "; ".join(f"y{k} ~~ 0.5*y{k}" for k in range(1, 5))
        >>> data = mlsem.simulate(f"{truth}; {errors}", 300, seed=1)
        >>> fit = mlsem.sem("f =~ y1 + y2 + y3 + y4; f ~ x", data)
        >>> found = fit.score_test("y1 ~~ y2")
        >>> round(found.statistic, 1), found.df, found.pvalue < 0.001
        (15.7, 1, True)
        """
        from mlsem.inference.modification.joint import joint_score_test

        wanted = self.covariance.kind.sandwich if robust is None else robust
        return joint_score_test(self._estimates, add, release, robust=wanted)

    def modification_indices(
        self,
        sort: bool = True,
        minimum: float = 0.0,
        power: float | None = None,
        robust: bool | None = None,
    ) -> pd.DataFrame:
        """Score tests of single parameters that the model does not have, and what they would be.

        MI = g² / A and EPC = g / A, with g = ∂ℓ/∂(candidate) and A its expected information less
        what it has in common with the model's parameters (Sörbom, 1989; Saris, Satorra & Sörbom,
        1987). Listed are loadings, covariances, paths (also of fixed covariates to what does not
        have them, unlike in lavaan), and fixed intercepts and other fixed parameters, as far as
        the data determine them; no moments of fixed covariates.

        Parameters
        ----------
        sort : bool, default True
            Largest index first; else by level and kind.
        minimum : float, default 0.0
            The least index that is listed.
        power : float, optional
            A size that would matter, in the units of EPC (lavaan's `delta`): adds `ncp`, the
            `power` of the test at 0.05, and a `decision` (Saris, Satorra & van der Veld, 2009):
            "m" misspecified, "nm" not, "i" inconclusive; "epc:m" and "epc:nm" go by whether EPC is
            at least this size, where the power is 0.75 or more and the index significant.
        robust : bool, optional
            Whether `mi_robust` is there, and `pvalue`, order, minimum and power are those of it:
            (Σ_j s_j)² / Σ_j s_j² of the clusters' efficient scores s_j, a generalised score test
            (Boos, 1992). Default: whether the standard errors of the fit are robust.

        Returns
        -------
        DataFrame
            Columns lhs, op, rhs, (group,) level, mi, (mi_robust,) pvalue, epc, sepc_lv, sepc_all,
            sepc_nox (in the units of `standardized` by "lv", "all" and "nox"), with `power` delta,
            ncp, power and decision. `group` is the number of the group, where there are several;
            each index is of a parameter of one group, with one degree of freedom.

        Raises
        ------
        InferenceError
            The fit did not converge or is one by REML.
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3 + 0.7*y4; f ~ 0.5*x; f ~~ 1*f; y1 ~~ 0.2*y2"
        >>> errors = "; ".join(f"y{k} ~~ 0.5*y{k}" for k in range(1, 5))
        >>> data = mlsem.simulate(f"{truth}; {errors}", 300, seed=1)
        >>> fit = mlsem.sem("f =~ y1 + y2 + y3 + y4; f ~ x", data)
        >>> found = fit.modification_indices(minimum=3.84)
        >>> found[["lhs", "op", "rhs", "mi", "epc"]].round(2)
          lhs  op rhs     mi   epc
        0  y1  ~~  y2  15.74  0.24
        1  y3  ~~  y4   7.83  0.13
        2  y2  ~~  y3   4.62 -0.10
        3  y1   ~   x   3.84 -0.11
        """
        from mlsem.inference.modification.run import Choice, modification_indices

        wanted = self.covariance.kind.sandwich if robust is None else robust
        choice = Choice(sort, minimum, power, wanted)
        return make_frame(modification_indices(self._estimates, choice))

    def align(
        self,
        factors: str | Iterable[str] | None = None,
        *,
        identification: Identification = "fixed",
        unit: Unit | None = None,
        reference: object = None,
        epsilon: float = 0.01,
        starts: int = 5,
        seed: int = 1,
        level: float = 0.95,
    ) -> Alignment:
        """Factor means and variances of many groups, without exact invariance: the alignment of
        Asparouhov & Muthén (2014), of a configural fit.

        Of all factor means and variances, which the configural model leaves open, the aligned ones
        make loadings and intercepts most alike: few differences are large and most are small
        (`mlsem.core.alignment` has the equations). Factors are aligned one by one. In a two-level
        model loadings and intercepts between clusters are aligned for factors of level 2; factors
        of level 1 have mean 0, and their loadings alone are aligned, for their variances. With
        loadings equal over levels (``level_equal="loadings"``) the between part says it all.

        Parameters
        ----------
        factors : str or iterable of str, optional
            Default: all.
        identification : {"fixed", "free"}, default "fixed"
            Whether the reference group's factor mean is 0. "free" needs loadings that differ.
        unit : {"reference", "product"}, optional
            Whether the reference group's factor variance is 1 (default of "fixed") or the product
            of all (default of "free").
        reference : hashable, optional
            A group. Default: the first.
        epsilon : float, default 0.01
            ε of the criterion ⁴√(d² + ε), in squared units of the items. Items should have
            variances about 1.
        starts : int, default 5
            Random starts, beside one by averages and one for each item as the anchor.
        seed : int, default 1
            Of the random starts.
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        Alignment
            Prints as text; `means`, `items`, `invariance` and `compare_means()` are data frames,
            `plot()` is a figure. Standard errors are those of the delta method, by the implicit
            function theorem at the minimum, from the fit's covariance.

        Raises
        ------
        InferenceError
            The fit did not converge or has one group; an item loads on two factors; a factor is
            explained by others or has no positive variance.
        OptionValueError
            A value that an argument cannot take.

        References
        ----------
        Asparouhov & Muthén (2014), Structural Equation Modeling 21, 495-508. Muthén & Asparouhov
        (2014), Frontiers in Psychology 5, 978.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
        >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
        >>> fit = mlsem.cfa("f =~ y1 + y2 + y3", data, group="g", meanstructure=True)
        >>> aligned = fit.align()
        >>> aligned.means[["group", "mean", "se"]].round(2)
          group  mean    se
        0     a  0.00  0.00
        1     b  0.17  0.13
        2     c  0.21  0.15
        """
        from mlsem.inference.alignment.run import align_factors

        return align_factors(
            self._estimates,
            self.covariance,
            factors,
            identification=identification,
            unit=unit,
            reference=reference,
            epsilon=epsilon,
            starts=starts,
            seed=seed,
            level=level,
        )

    def compare_groups(
        self,
        parameter: str | Iterable[str] | Mapping[Any, str],
        *,
        reference: object = None,
        level: float = 0.95,
    ) -> GroupComparison:
        """A parameter in each group and its differences between groups, with the standard errors
        and degrees of freedom of the fit.

        Parameters
        ----------
        parameter : str, iterable of str, or mapping of group to str
            As named in group 1: ``"y~x"``, ``"y~w.l2"``. Or a name for each group in their order,
            of parameters or ``:=``: ``["ind_a", "ind_b"]``; or a pattern with ``{group}`` or
            ``{number}``: ``"ind_{group}"``.
        reference : hashable, optional
            A group that the others are compared with. Default: all pairs.
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        GroupComparison
            Prints as text; `estimates` and `frame` are data frames, `joint` is the Wald test that
            all are equal (HTZ with the CR kinds), `plot()` is a figure.

        Raises
        ------
        InferenceError
            The fit has one group or did not converge, or the parameter is the same in all groups.
        OptionValueError
            There is no such parameter or group.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["half"] = data["id"].mod(2).map({0: "even", 1: "odd"})
        >>> model = "level: 1; y ~ x1; level: 2; y ~~ y"
        >>> fit = mlsem.fit(model, data, cluster="id", group="half", se="CR2")
        >>> found = fit.compare_groups("y~x1")
        >>> found.frame[["group1", "group2", "diff", "se", "df"]].round(2)
          group1 group2  diff    se     df
        0   even    odd -0.15  0.22  40.19
        """
        from mlsem.results.group_comparison import compare_groups

        return compare_groups(self._estimates, self.covariance, parameter, reference, level)

    @shown(UpdateKeywords, default=UNCHANGED)
    @any_frame
    def update(
        self, model: str | None = None, *, data: object = None, **options: Unpack[UpdateKeywords]
    ) -> FitResult:
        """Fit a changed model, with the options of this fit where they are not changed.

        Parameters
        ----------
        model : str, optional
            A text that begins with ``+`` is added to the model: ``"+ y1 ~~ y2"``, in a two-level
            model at the level that has the variables, or below ``level: 1`` or ``level: 2``. Any
            other text is put in its place. Default: the same model.
        data : DataFrame or Moments, optional
            Needed for variables that the model does not have: a fit keeps the moments of its
            variables and not the data. Default: these moments, so the same rows.
        **options
            As for `mlsem.fit`; `cluster`, `center`, `missing` and `se_cluster` only with `data`.

        Returns
        -------
        FitResult

        Raises
        ------
        DataError
            A variable is not among those of the fit, and no data are given.
        ModelSyntaxError, SpecificationError
            The text cannot be read, or both levels have its variables.
        OptionError, OptionValueError
            A keyword, or its value.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit("level: 1; y ~ x1; level: 2; y ~ w1", data, cluster="id")
        >>> larger = fit.update("+ level: 1; y ~ w1:x1", data=data, se="CR2")
        >>> fit.n_params, larger.n_params, larger.se_kind
        (5, 6, 'CR2')
        """
        assert self._recipe is not None
        return self._recipe.refit(self, model, data, options)

    @up_to_two_levels("scores() and se_forms show what clusters of level 3 bear; or fit two levels")
    def cluster_diagnostics(
        self,
        parameters: str | Iterable[str] | None = None,
        *,
        exact: object = False,
        progress: bool | None = None,
    ) -> ClusterDiagnostics:
        """Which clusters the estimates and their robust standard errors rest on.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Names as in `params`. Default: all, regression coefficients first.
        exact : bool or one or several cluster ids, default False
            True: refit without each robust cluster. Ids: without these, one at a time. Else
            one step is taken from the estimates, which costs nothing.
        progress : bool, optional
            A bar of the refits. Default: in a terminal or a notebook, after two seconds.

        Returns
        -------
        ClusterDiagnostics
            Prints as text, in notebooks as HTML; `verdict` says what to make of it,
            `coefficients`, `clusters`, `influence` and `exact` are data frames, `plot()` is a
            figure. Of several groups `clusters` says whose each is, and clusters are few where
            they are in the groups that have a parameter.

        Raises
        ------
        InferenceError
            The fit has no clusters, did not converge, or has no maximum at its estimates.
        OptionValueError
            There is no such parameter or cluster.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> found = fit.cluster_diagnostics()
        >>> found.coefficients[["effective", "df", "ratio"]].head(2).round(1)
                 effective    df  ratio
        y~x1          39.3  37.4    1.9
        y~w1:x1       12.0  11.2    1.4
        """
        from mlsem.inference.diagnosis.run import diagnose

        return diagnose(self._estimates, parameters, exact, progress)

    def weight_scalings(self, data: object) -> WeightScalings:
        """Estimates under every scaling of the sampling weights, side by side.

        The model is fitted again for each scaling, with the weights of the clusters alone, and
        without weights. Where estimates move by more than one standard error between scalings, the
        result says which.

        Parameters
        ----------
        data : DataFrame
            That of the fit: it keeps the moments of its own scaling alone.

        Returns
        -------
        WeightScalings
            Prints as text; `frame` has the numbers, `moved` the largest differences in standard
            errors.

        Raises
        ------
        OptionValueError
            The fit has no weights.
        DataError
            The data are not those of the fit.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article").assign(school=lambda rows: 1.0 + rows["id"] % 5)
        >>> weights = {"level2": "school"}
        >>> fit = mlsem.fit("level: 1; y ~ x1; level: 2; y ~ w1", data, "id", weights=weights)
        >>> fit.weight_scalings(data).frame.round(2).loc["y~w1.l2"].to_dict()
        {'weighted': 0.34, 'none': 0.34, 'se': 0.14, 'moved': nan}
        """
        from mlsem.results.weight_scalings import weight_scalings

        return weight_scalings(self, data)

    @up_to_two_levels("fit.with_se(…) one by one, and mlsem.compare of these fits")
    def compare_se(
        self,
        kinds: Iterable[str] | None = None,
        *,
        parameters: str | Iterable[str] | None = None,
        draws: int = 200,
        level: float = 0.90,
        seed: int | None = None,
        n_jobs: int = 1,
        backend: Backend | None = None,
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
        draws : int, default 200
            Data sets drawn from the fitted model; 0 for no band, and none of weighted rows.
        level : float, default 0.9
            Of the band.
        seed : int, optional
            None: a new one, which the result names.
        n_jobs : int, default 1
            Processes, -1 for all cores. The result does not depend on it.
        backend : str or executor, optional
            joblib's: "loky" (the default). Or "dask", "ray", "spark": all workers of the cluster
            that is connected, whatever `n_jobs`. Or anything with the method `submit` of
            `concurrent.futures.Executor`. mlsem must be installed there.
        progress : bool, optional
            A bar. Default: in a terminal or a notebook, after two seconds.

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
            Several processes without joblib, a backend without its package, or a bar without tqdm.
        WorkerError
            A process died, or the cluster was lost or cannot read the work.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> compared = fit.compare_se(draws=50, seed=1)
        >>> compared.table[["se_standard", "se_CR2", "ratio"]].round(2)
                 se_standard  se_CR2  ratio
        y~x1            0.05    0.10   1.91
        y~w1:x1         0.06    0.08   1.37
        y~w1.l2         0.17    0.12   0.75
        """
        from mlsem.inference.comparison.run import compare

        return compare(
            self._estimates,
            kinds,
            parameters,
            draws=draws,
            level=level,
            seed=seed,
            n_jobs=n_jobs,
            backend=backend,
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
        backend: Backend | None = None,
        progress: bool | None = None,
        weights: WeightKind | None = None,
    ) -> Bootstrap:
        """Bootstrap the estimates: intervals and p values that do not assume a normal sampling
        distribution.

        Clusters are those of the robust standard errors (`se_cluster=`, else `cluster=`, else
        rows).

        Parameters
        ----------
        kind : {"wild", "pairs", "parametric"}, default "wild"
            Scores of clusters times random weights (Kline & Santos, 2012): nothing is refitted,
            and intervals of regression coefficients nearly hold with few clusters. Or clusters
            drawn with replacement, or data drawn from the fitted model with its covariates as they
            are: the model is refitted to each. "parametric" is the one for variances between few
            clusters. Grand means at which variables were centred stay as they are. Of several
            groups clusters are drawn within groups, those of some of them together.
        draws : int, default 999
        seed : int, optional
            None: a new one, which the result names.
        parameters : str or iterable of str, optional
            Names as in `params`, or of `:=`. Default: all.
        n_jobs : int, default 1
            Processes of the refits, -1 for all cores. The result does not depend on it.
        backend : str or executor, optional
            joblib's: "loky" (the default). Or "dask", "ray", "spark": all workers of the cluster
            that is connected, whatever `n_jobs`. Or anything with the method `submit` of
            `concurrent.futures.Executor`. mlsem must be installed there.
        progress : bool, optional
            A bar of the refits. Default: in a terminal or a notebook, after two seconds.
        weights : {"webb", "rademacher", "mammen"}, optional
            Of the wild bootstrap. Default: Webb's below 12 clusters (of the groups that have some
            parameter), else Rademacher's. Where
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
            Several processes without joblib, a backend without its package, or a bar without tqdm.
        WorkerError
            A process died, or the cluster was lost or cannot read the work.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> booted = fit.bootstrap("wild", draws=199, seed=1, parameters="y~x1")
        >>> booted.conf_int().round(2)
              lower  upper
        y~x1   0.31   0.78
        """
        from mlsem.inference.bootstrap.run import bootstrap

        return bootstrap(
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

    @up_to_two_levels("predict_latent(2) and predict_latent(3) have scores of latent variables")
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

        Of several groups the column `group` has their labels.

        Returns
        -------
        DataFrame

        Raises
        ------
        InferenceError
            The model has one level, or did not converge.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> fit.random_effects().head(2).round(2)
           (Intercept)  (Intercept)_se    x1  x1_se
        1        -0.23            0.31  0.43   0.36
        2        -0.04            0.30  0.79   0.28
        """
        from mlsem.results.grouped_rows import clusters_by_group
        from mlsem.results.random_effects import random_effects

        return clusters_by_group(self._estimates, None, lambda part, _: random_effects(part))

    @any_frame
    def predict_latent(
        self,
        level: int | str = 1,
        method: LatentMethod = "regression",
        se: bool = True,
        data: AnyFrame | None = None,
        *,
        history: bool = False,
    ) -> pd.DataFrame:
        """Scores of the latent variables of a level, given the estimates.

        "regression": posterior means E(v | data), lavaan's "EBM": at level 2
        E(v) + Cov(v, t) ρ_j, with covariance Cov(v) - Cov(v, t) Ω_j Cov(t, v); at level 1 from
        y_ij - û_j, with covariance Cov(v) - C (W - W Z K_j Zᵀ W) Cᵀ, C = Cov(v, y), W = Σ_W⁻¹ and
        K_j the posterior covariance of û_j. "bartlett": (Λᵀ Σ⁻¹ Λ)⁻¹ Λᵀ Σ⁻¹ times the deviations of
        y_ij - û_j, or of û_j and the outcomes of level 2, as lavaan's; residual variances may be
        zero. E(v) is what the model expects given the covariates.

        Standard errors are those of the error of prediction, √E(score - v)², and count that û_j
        is not known; lavaan's take it as known, and are too small.

        Parameters
        ----------
        level : int or str, default 1
            1 or 2, or the level's label in the model.
        method : {"regression", "bartlett"}, default "regression"
        se : bool, default True
            Adds the columns `name_se`.
        data : DataFrame, optional
            Rows with the columns of the model, centred and multiplied here as in the fit (grand
            means are the fit's, cluster means those of these rows). What is said of a cluster is
            said of its rows in `data`, be they those of the fit or others, in clusters of the fit
            or new ones. Required at level 1: a fit keeps no rows. Default at level 2: the
            clusters of the fit.
        history : bool, default False
            Whether clusters that the fit has seen keep what is known of them: `data` then holds
            new rows of theirs only.

        Returns
        -------
        DataFrame
            With the index of `data`, NaN in rows with a missing value; at level 2 with the ids of
            the clusters. Random slopes are among the latent variables of level 2 (regression).
            With three levels scores are there of levels 2 (the part that differs within units of
            level 3, whose ids are a column) and 3, by regression, of the clusters of the fit.
            Scores that indicators do not determine (of second-order factors, by Bartlett) are NaN.
            With ``missing="fiml"`` scores are those given what is observed (Bartlett's, of the
            indicators observed), and NaN in rows that lack a fixed covariate.
            Of several groups the column `group` has their labels (at level 1 as in `data`); rows
            without a group, and latent variables that their group has not, are NaN.

        Raises
        ------
        InferenceError
            No latent variable at that level, no data, or no convergence.
        DataError
            As for `fit`; or with `history` rows that the fit has seen.
        OptionValueError
            A value that an argument cannot take.

        References
        ----------
        Bartlett (1937), British Journal of Psychology 28, 97-104. Thomson (1934), Journal of
        Educational Psychology 25, 366-374. Skrondal & Rabe-Hesketh (2009), JRSS A 172, 659-687.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3 + 0.7*y4; f ~ 0.5*x; f ~~ 1*f; y1 ~~ 0.2*y2"
        >>> errors = "; ".join(f"y{k} ~~ 0.5*y{k}" for k in range(1, 5))
        >>> data = mlsem.simulate(f"{truth}; {errors}", 300, seed=1)
        >>> fit = mlsem.sem("f =~ y1 + y2 + y3 + y4; f ~ x", data)
        >>> fit.predict_latent(1, data=data).head(2).round(2)
              f  f_se
        0 -0.81  0.36
        1  0.81  0.36
        """
        from mlsem.results.latent import predict_latent
        from mlsem.results.nested_latent import predict_latent_above

        number = self.table.level_number(level)
        predict = predict_latent_above if self.table.three_level else predict_latent
        return predict(self._estimates, number, method, se=se, data=data, history=history)

    @up_to_two_levels("mlsem.lmm has predictions of one outcome in three levels; or fit two levels")
    @any_frame
    def predict(self, data: AnyFrame | None = None, level: int | str = 1) -> pd.DataFrame:
        """Expected values of the observed outcomes.

        Of a row the mean given its exogenous variables x of both levels and the effects of its
        cluster: E(y_ij | x_ij, w_j, û_j), with û_j the posterior mean of the cluster's random
        effects given the rows of the fit (lme4's `predict`). Of a cluster that the fit has not
        seen û_j is what the model expects given its exogenous variables. Nothing is conditioned
        on the outcomes in `data`, which may be missing: an outcome that explains others counts
        with its own expectation.
        The terms of a formula of `lmm` are made as in the fit, so that no row depends on others:
        `scale`, `poly`, `bs`, `ns` with its means and knots, factors with its levels (R's safe
        prediction); `mean(x)`, `sd(x)` and the like are its numbers, which R takes of new rows.
        At level 2 the outcomes of that level given its exogenous variables, and the parts between
        clusters of variables of both levels, and random slopes, with û_j.

        Parameters
        ----------
        data : DataFrame, optional
            With the covariates and the cluster ids. Required at level 1: a fit keeps no rows.
        level : int or str, default 1
            1 or 2, or the level's label in the model.

        Returns
        -------
        DataFrame
            With the index of `data`, NaN in rows where a covariate is missing; at level 2 with
            the ids of the clusters. `attrs["note"]` says how many are of new clusters. Of several
            groups with the column `group`, as `predict_latent`.

        Raises
        ------
        InferenceError
            No data, or no convergence.
        DataError
            A column is absent, not numeric, or varies within a cluster and must not.
        DataError, SpecificationError
            A factor in a formula of `lmm` has a level that the data of the fit did not.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.predict(data).head(2).round(2)
              y
        0 -0.87
        1 -1.11
        """
        from mlsem.results.latent import predict

        return predict(self._estimates, self.table.level_number(level), data)

    def icc(self, group: Hashable = None) -> Any:
        """Intraclass correlations of the variables with a part at both levels, with delta-method
        standard errors: `icc` of all variance, as a model without covariates has it; and given
        the covariates `adjusted` and `unadjusted` (conditional) as in the R package performance,
        with the variance of random slopes averaged over rows.

        Parameters
        ----------
        group : str or number, optional
            A group by its label or number. Default: all.

        Returns
        -------
        Icc
            Prints as a table; `frame` is a data frame. With three levels `LevelShares`: variances
            of each level and their shares. Of several groups a mapping of these by
            the groups' labels, which has both, too.

        Raises
        ------
        InferenceError
            There is no such variable, or the fit did not converge.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> fit.icc().frame[["between", "within", "icc"]].round(2)
           between  within   icc
        y     1.28    1.52  0.46
        """
        from mlsem.results.icc import icc
        from mlsem.results.level_shares import level_shares

        if self.table.three_level:
            return tested_by_group(self._estimates, self.covariance, group, level_shares)
        return tested_by_group(self._estimates, self.covariance, group, icc)

    def r_squared(self, level: float = 0.95, group: Hashable = None) -> Any:
        """R² of the endogenous variables of each level, with intervals; of a linear mixed model
        (`mixed`) the marginal and conditional R² (Nakagawa & Schielzeth, 2013; Johnson, 2014) and
        the shares of variance of Rights & Sterba (2019).

        1 - ψ / V, with V the variance at that level that the model implies. Standard errors are
        those of the delta method with the fit's covariance; intervals are those of Fisher's z of
        the correlation R, between 0 and 1. Of an indicator of one factor R is the standardized
        loading. An R² near 0 has the lower limit 0.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals.
        group : str or number, optional
            A group by its label or number. Default: all.

        Returns
        -------
        RSquared
            Prints as text; `frame` is a data frame. Of several groups a mapping of these by the
            groups' labels, which has both, too.

        Raises
        ------
        InferenceError
            The model explains nothing, or the fit did not converge.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> round(fit.r_squared().mixed.marginal, 3), round(fit.r_squared().mixed.conditional, 3)
        (0.158, 0.66)
        """
        from mlsem.results.r_squared import r_squared

        require_level(level)
        return tested_by_group(
            self._estimates,
            self.covariance,
            group,
            lambda part, covariance: r_squared(part, covariance, level),
        )

    @quiet
    def scores(self) -> pd.DataFrame:
        """∂ℓ_j/∂θ of every cluster (of every row, without `cluster=`), (J, npar). With three levels
        clusters are those of level 3.

        Of the likelihood, also of a REML fit, for the restricted one is no sum over clusters: there
        scores of fixed effects sum to 0, of (co)variances to ½ ∂ log|M|/∂θ, M the fixed effects'
        information.

        Returns
        -------
        DataFrame
            A row per cluster, a column per parameter.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> scores = fit.scores()
        >>> scores.shape
        (50, 6)
        >>> bool(scores.sum().abs().max() < 1e-4)  # they sum to zero at the maximum
        True
        """
        names = self.table.names
        estimates = self._estimates
        scores = estimates.scores(estimates.along(np.eye(len(names))))
        columns = dict(zip(names, scores.T, strict=True))
        return make_frame(columns, estimates.problem.moments.top_labels)

    @quiet
    def information(
        self, kind: Literal["expected", "observed", "first_order"] = "observed"
    ) -> pd.DataFrame:
        """Information matrix of the free parameters at the estimates, in total (not per row).

        Of the likelihood, also of a REML fit, as `scores`. The inverse of the expected one is then
        the model-based `vcov()` in the fixed effects; REML's of the (co)variances is larger.

        Parameters
        ----------
        kind : {"expected", "observed", "first_order"}, default "observed"
            E(-∂²ℓ/∂θ∂θᵀ), -∂²ℓ/∂θ∂θᵀ, or Σ_j s_j s_jᵀ.

        Returns
        -------
        DataFrame
            npar rows and columns, named as `params`.

        Raises
        ------
        OptionValueError
            There is no such kind.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> information = fit.information("expected")
        >>> information.loc[["y~x1", "y~w1:x1"], ["y~x1", "y~w1:x1"]].round(1)
                  y~x1  y~w1:x1
        y~x1     339.7    -39.8
        y~w1:x1  -39.8    302.0
        """
        names = self.table.names
        if kind == "first_order":
            return square_frame(meat(self.scores().to_numpy()), names)
        if kind not in ("expected", "observed"):
            known = "'expected', 'observed', 'first_order'"
            raise OptionValueError(f"information kind {kind!r} is not one of {known}.")
        estimates = self._estimates
        along = estimates.along(np.eye(len(names)))
        return square_frame(estimates.information(along, kind), names)

    def implied(self, level: int | str = 1, group: Hashable = None) -> Any:
        """Implied covariance matrix and means of a level's observed variables.

        Fixed covariates take part with their sample moments; auxiliary variables do not.

        Parameters
        ----------
        level : int or str, default 1
            1 or 2, or the level's label in the model.
        group : str or number, optional
            A group by its label or number. Default: all.

        Returns
        -------
        Implied
            Of several groups a mapping of these by the groups' labels.

        Raises
        ------
        OptionValueError
            There is no such level or group.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.implied(level=2).cov.round(3)
               y     w1
        y   1.20  0.320
        w1  0.32  0.875
        """
        number = self.table.level_number(level)
        return by_group(self._estimates, group, lambda part: implied_by(part.estimates, number))

    @up_to_two_levels("fit two levels, or compute it of standardized() loadings")
    def reliability(
        self, level: float = 0.95, group: Hashable = None, *, progress: bool | None = None
    ) -> Any:
        """Reliability of composites, cluster means and factor scores.

        Of each factor's indicators ω and α of the sum within clusters, of its observed mean in a
        cluster (of the harmonic mean size), of its latent mean (Geldhof, Preacher & Zyphur, 2014),
        and, where a factor of each level has the same indicators, of the sum as it is observed
        (Lai, 2021); of every variable of both levels that of its cluster means (Spearman-Brown);
        and of regression scores. ω is by the moments that the model implies, α by those of the
        saturated model (none with random slopes or REML). Equations: `results.reliability`.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals, by the delta method on the logit scale.
        group : str or number, optional
            A group by its label or number. Default: all.
        progress : bool, optional
            A bar, as of `bootstrap`.

        Returns
        -------
        Reliability
            Prints as a table; `frame` is a data frame. Of several groups a mapping of these by
            the groups' labels, which has both, too.

        Raises
        ------
        InferenceError
            The fit did not converge, or there is nothing whose reliability could be asked for.

        References
        ----------
        Geldhof, Preacher & Zyphur (2014), Psychological Methods 19, 72-91. Lai (2021),
        Psychological Methods 26, 90-102.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3 + 0.7*y4; f ~ 0.5*x; f ~~ 1*f; y1 ~~ 0.2*y2"
        >>> errors = "; ".join(f"y{k} ~~ 0.5*y{k}" for k in range(1, 5))
        >>> data = mlsem.simulate(f"{truth}; {errors}", 300, seed=1)
        >>> fit = mlsem.sem("f =~ y1 + y2 + y3 + y4; f ~ x", data)
        >>> print(fit.reliability())
        Reliability:
        measure  composite  variable    est     se  ci_lower  ci_upper
        omega               f         0.881  0.011     0.857     0.901
        alpha               f         0.876  0.011     0.852     0.897
        scores              f         0.904  0.011     0.881     0.923
        """
        from mlsem.results.reliability import reliability

        require_level(level)
        with showing(progress):
            return by_group(
                self._estimates,
                group,
                lambda part: reliability(
                    self._models_of(part), covariance_of_group(self.covariance, part), level
                ),
            )

    def inspect(self, what: str) -> Any:
        """What R's lavInspect gives, under its names; of several groups a dict by their labels, of
        two levels one by theirs.

        Parameters
        ----------
        what : str
            Such as "sampstat", "h1", "implied", "icc", "rsquare", "vcov", "coef", "nobs",
            "nclusters", "cluster.size", "patterns", "coverage", "est", "se", "free", "start",
            "cov.lv", "cor.ov", "cor.all", "residuals", "fit", "converged", "gradient", "scores",
            "information", "ngroups", "group.label". The error of an unknown name lists all.

        Returns
        -------
        DataFrame, Series, dict, float or bool
            By what is asked.

        Raises
        ------
        OptionValueError
            There is no such name.
        InferenceError
            The model does not have it.

        Notes
        -----
        "sampstat" are the moments of the saturated model, as in lavaan. "patterns" are of the rows
        used, of level 2 of the clusters (lavaan has those of level 1 alone), how many have each in
        the index; "coverage" is the share of them in which both of two variables are observed.
        Effects of fixed covariates are a matrix "gamma" of their own, which lavaan has in "beta",
        with the moments of the covariates in "psi". Information and gradient are those of the
        log-likelihood in total; lavaan's are of its objective, about one N-th.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.inspect("icc").round(3)
        y        0.433
        x1       0.000
        w1:x1    0.000
        Name: icc, dtype: float64
        """
        from mlsem.results.inspect import inspect

        return inspect(self, what)

    # --- how well the model fits ----------------------------------------------------------------

    @cached_property
    def _models(self) -> FitModels:
        from mlsem.inference.fit.models import FitModels

        return FitModels(self._estimates, robust=self.covariance.kind.sandwich)

    def _models_of(self, group: GroupEstimates) -> FitModels:
        """Those of one group."""
        from mlsem.inference.fit.models import FitModels

        if not self.table.groups:
            return self._models
        return FitModels(group.estimates, robust=self.covariance.kind.sandwich)

    def h1(self, *, semidefinite: bool | None = None) -> ReferenceModel:
        """The saturated model: all covariances and means of each level are free, and all
        regressions on its fixed covariates.

        Parameters
        ----------
        semidefinite : bool, optional
            Whether the covariance matrix between clusters is kept positive semidefinite. By
            default it is not, as that of the model is not, unless there is no maximum without
            that bound, or the model has bounds on its variances at level 2.

        Returns
        -------
        ReferenceModel

        Raises
        ------
        InferenceError
            The model has random slopes, or no maximum was found.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.h1().loglik >= fit.loglik
        True
        """
        from mlsem.results.reference import saturated_model

        return saturated_model(self._models, semidefinite=semidefinite)

    def baseline(self) -> ReferenceModel:
        """The baseline model of the comparative indices, lavaan's: variances and means of the
        outcomes at each level, and the covariances of covariates that are modelled; no paths.

        Returns
        -------
        ReferenceModel

        Raises
        ------
        InferenceError
            The model has random slopes, or its baseline has no maximum.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.baseline().loglik < fit.loglik
        True
        """
        from mlsem.results.reference import baseline_model

        return baseline_model(self._models)

    def residuals(
        self,
        kind: ResidualKind = "raw",
        level: int | str | None = None,
        group: Hashable = None,
    ) -> ResidualMoments | dict[str, ResidualMoments] | Any:
        """Residual moments: what the saturated model has, less what the model implies.

        Parameters
        ----------
        kind : {"raw", "standardized", "cor.bentler", "cor.bollen"}, default "raw"
            "standardized": over their standard errors, z values. Correlations divide by the
            standard deviations of the saturated model (Bentler, 1995), or each model's by its own
            (Bollen, 1989).
        level : int or str, optional
            1 or 2, or the level's label.
        group : str or number, optional
            A group by its label or number. Default: all.

        Returns
        -------
        ResidualMoments
            Data frames `cov`, `cov_se`, `cov_z`, `cov_pvalue`, and series `mean`, …; fixed
            covariates take part. Without `level=` of two levels a dict by their labels; of
            several groups a mapping of these by the groups' labels.

        Raises
        ------
        InferenceError
            The fit did not converge, is one by REML, or has no saturated model.
        OptionValueError
            A value that an argument cannot take.

        Notes
        -----
        Standard errors have Cov(β̂ - β(θ̂)) = (I - ΔK) Γ (I - ΔK)ᵀ (`inference.fit.residual_tests`),
        with Γ a sandwich where the fit's standard errors are robust. They are NaN of moments that
        the model reproduces (all but) whatever the data, as most variances of outcomes with a
        free residual variance.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3 + 0.7*y4; f ~ 0.5*x; f ~~ 1*f; y1 ~~ 0.2*y2"
        >>> errors = "; ".join(f"y{k} ~~ 0.5*y{k}" for k in range(1, 5))
        >>> data = mlsem.simulate(f"{truth}; {errors}", 300, seed=1)
        >>> fit = mlsem.sem("f =~ y1 + y2 + y3 + y4; f ~ x", data)
        >>> fit.residuals("cor.bentler").cov.loc["y3", ["y4", "x"]].round(2)
        y4    0.06
        x     0.06
        Name: y3, dtype: float64
        """
        from mlsem.results.residuals import residuals_of

        return residuals_of(self._models, kind, level, group)

    @up_to_two_levels("scores() has those of each cluster of level 3")
    def cluster_residuals(self, parameters: str | Iterable[str] | None = None) -> pd.DataFrame:
        """Which clusters the model describes badly, the worst first.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Names as in `params`, whose change without the cluster is wanted.

        Returns
        -------
        DataFrame
            By cluster (of the robust standard errors; a row without clusters): of several groups
            its `group`, or those that it has rows of in a text; `rows`; `distance`,
            the squared Mahalanobis distance of all its outcomes, χ² with `df` in a right model,
            and its `pvalue`; `chisq`, its part 2 (ℓ1_j - ℓ0_j) in the fit's χ² (NaN with random
            slopes or REML), which may be negative; `change`, how many standard errors one step
            without the cluster moves an estimate most, and which `parameter`, if there are
            clusters; or a column of each of `parameters`.

        Raises
        ------
        InferenceError
            The fit did not converge.
        OptionValueError
            There is no such parameter.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.cluster_residuals().iloc[:2, :3].round(2)
            rows  distance    df
        id
        28    10     34.06  10.0
        25    10     24.58  10.0
        """
        from mlsem.results.casewise import cluster_residuals

        return cluster_residuals(self._models, parameters)

    @up_to_two_levels("fit two levels to look at single rows")
    @any_frame
    def row_residuals(self, data: AnyFrame) -> pd.DataFrame:
        """Which rows the model describes badly given their cluster, the worst first.

        `distance` is the squared Mahalanobis distance of a row's outcomes from what its covariates
        and the other rows of its cluster in `data` say of them, χ² with `df` in a right model.

        Parameters
        ----------
        data : DataFrame
            With the columns of the model, as for `predict_latent`.

        Returns
        -------
        DataFrame
            distance, df, pvalue, with the index of `data`; NaN (last) in rows with a missing value.
            With ``missing="fiml"`` the distance is that of the outcomes that are observed, `df` of
            them, and NaN where none is or a fixed covariate is missing. Of several groups with
            the column `group`, which is that of `data`; NaN (last) in rows without a group.

        Raises
        ------
        InferenceError
            The fit did not converge.
        DataError
            As for `fit`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.row_residuals(data).head(2).round(2)
             distance  df  pvalue
        279     16.07   1    0.00
        275      7.39   1    0.01
        """
        from mlsem.results.casewise import row_residuals

        return row_residuals(self._estimates, data)

    def fit_measures(
        self,
        names: str | Iterable[str] | None = None,
        *,
        level: int | str | None = None,
        units: Units = "clusters",
    ) -> pd.Series:
        """Tests of fit and indices, under lavaan's names.

        `chisq.score` is a score test of fit that holds its level with few clusters, where `chisq`
        and above all `chisq.scaled` reject far too often (docs/studies/fit_tests.md): T / c₀ of
        `inference.fit.score`. With robust standard errors likelihood-ratio tests are scaled too
        (Yuan & Bentler, 2000, as Mplus does it), and indices have scaled and robust versions.
        Random slopes have no saturated model: then there are log-likelihood, AIC and BIC.
        Of several groups χ² is of all; RMSEA has the factor √G (Steiger, 1998), SRMR is the mean
        over groups, weighted by their rows.

        Parameters
        ----------
        names : str or iterable of str, optional
            Which, in this order. Default: all.
        level : int or str, optional
            Fit at this level alone, the other one saturated (Ryu & West, 2009).
        units : {"clusters", "rows"}, default "clusters"
            What the RMSEA at level 2 counts; lavaan counts rows, and so makes it small.

        Returns
        -------
        Series

        Raises
        ------
        InferenceError
            The fit did not converge, is one by REML, or has no saturated model.
        OptionValueError
            A name that there is not.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3 + 0.7*y4; f ~ 0.5*x; f ~~ 1*f; y1 ~~ 0.2*y2"
        >>> errors = "; ".join(f"y{k} ~~ 0.5*y{k}" for k in range(1, 5))
        >>> data = mlsem.simulate(f"{truth}; {errors}", 300, seed=1)
        >>> fit = mlsem.sem("f =~ y1 + y2 + y3 + y4; f ~ x", data)
        >>> fit.fit_measures(["chisq", "df", "cfi", "rmsea", "srmr"]).round(3)
        chisq    15.938
        df        5.000
        cfi       0.984
        rmsea     0.085
        srmr      0.029
        Name: value, dtype: float64
        """
        from mlsem.inference.fit.run import fit_measures, level_measures, selected

        if level is None:
            measures = fit_measures(self._models)
        else:
            measures = level_measures(self._models, self.table.level_number(level), units)
        shown = measures if names is None else selected(measures, names)
        return make_series(list(shown.values()), tuple(shown), "value")

    # --- effects --------------------------------------------------------------------------------

    @up_to_two_levels("mlsem.lmm has effects of one outcome in three levels")
    def effects(
        self,
        outcome: str,
        predictor: str,
        *,
        confidence: float = 0.95,
        ci: EffectIntervals = "delta",
        draws: int | None = None,
        seed: int | None = None,
        group: Hashable | list[Hashable] = None,
    ) -> Effects:
        """Direct, indirect and total effects of one variable on another, level by level.

        An indirect effect is a product of paths (loadings are paths from a factor to its
        indicators), the total one the sum over all ways. Where both variables have parts at both
        levels, effects between clusters less those within come last. A path that varies between
        clusters stands with its mean.

        Parameters
        ----------
        outcome, predictor : str
            Variables of the model, observed or latent.
        confidence : float, default 0.95
            Of the intervals.
        ci : {"delta", "monte carlo", "bootstrap"}, default "delta"
            By the delta method, with the t or z distribution of the fit's standard errors;
            quantiles of draws from the distribution of the estimates, which allow for the skewness
            of a product (MacKinnon, Lockwood & Williams, 2004); or percentiles of a bootstrap
            that refits the model to drawn clusters.
        draws : int, optional
            Of the two latter: 20,000 and 999 by default.
        seed : int, optional
        group : str or number, optional
            A group by its label or number, or a list of these. Default: all. Of several groups
            the differences come last, those of each later one less the first, in the order in
            which they are named here.

        Returns
        -------
        Effects
            Prints as a table; `frame` is a data frame.

        Raises
        ------
        InferenceError
            The fit did not converge, no path leads from one to the other, or a path that varies
            between clusters depends on what the model explains.
        OptionValueError
            A variable that the model does not have, or a value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3 + 0.7*y4; f ~ 0.5*x; f ~~ 1*f; y1 ~~ 0.2*y2"
        >>> errors = "; ".join(f"y{k} ~~ 0.5*y{k}" for k in range(1, 5))
        >>> data = mlsem.simulate(f"{truth}; {errors}", 300, seed=1)
        >>> fit = mlsem.sem("f =~ y1 + y2 + y3 + y4; f ~ x", data)
        >>> found = fit.effects("y1", "x")
        >>> found.frame[["effect", "est", "se"]].round(3)
                 effect    est     se
        0      indirect  0.538  0.071
        1  x -> f -> y1  0.538  0.071
        2         total  0.538  0.071
        """
        from mlsem.inference.effects.run import effects

        drawn = None
        if ci == "bootstrap":
            boot = self.bootstrap("pairs", draws=draws or 999, seed=seed)
            drawn = boot.draws[:, : len(self.table.names)]
        return effects(
            self._estimates,
            self.covariance,
            outcome,
            predictor,
            confidence=confidence,
            ci=ci,
            draws=20_000 if draws is None else draws,
            seed=seed,
            drawn=drawn,
            group=group,
        )


def assemble(model: str, estimates: Estimates, recipe: Recipe | None = None) -> FitResult:
    """The result of estimates, with warnings about them."""
    if estimates.converged:
        for each in on_estimates(estimates):
            warn(each, EstimationWarning)
    covariance, doubts = _covariance(estimates)
    return FitResult(model, covariance, estimates, doubts, recipe)


def _covariance(estimates: Estimates) -> tuple[Covariance, tuple[str, ...]]:
    covariance, wrong = covariance_of(estimates)
    covariance, doubts = doubted(estimates, covariance)
    if wrong or doubts:
        warn("\n".join((*wrong, *doubts)), InferenceWarning)
    return covariance, (*wrong, *doubts)
