"""`Fitted`: the estimates of a fitted model, their standard errors, tables and summaries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mlsem.core.linalg import null_space
from mlsem.core.optimise.maximise import Optimum
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.moments.aggregate import DataRecord
from mlsem.data.table.frame import make_frame, make_series
from mlsem.errors import OptionValueError, listed
from mlsem.estimation.problem import Problem
from mlsem.estimation.remarks import active_restrictions, on_boundary, on_starts, unreached
from mlsem.estimation.settings import SeKind, Settings
from mlsem.inference.covariance.cautions import on_information
from mlsem.inference.covariance.intervals import Wald, wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.reference import DfMethod
from mlsem.model.expressions import compile_constraints
from mlsem.model.table import ParameterTable
from mlsem.results.tables import estimate_columns, tidy_columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlsem.inference.profile.run import ProfileIntervals
    from mlsem.results.summary import Facts, Summary

CiKind = Literal["wald", "profile"]
PROFILED = "intervals: profile likelihood for variances, t with CR2 standard errors for the others."


@dataclass(frozen=True, eq=False, repr=False)
class Fitted:
    """What was fitted, and its estimates; `FitResult` adds what can be asked about their errors.

    Attributes
    ----------
    model : str
        The model text.
    table : ParameterTable
    settings : Settings
    problem : Problem
        The pattern and the data's moments.
    record : DataRecord
        What was read from the data.
    optimum : Optimum
    covariance : Covariance
        Of the free parameters.
    doubts : tuple of str
        What is doubtful about the covariance.
    """

    model: str
    settings: Settings
    problem: Problem
    record: DataRecord
    optimum: Optimum
    covariance: Covariance
    doubts: tuple[str, ...] = ()

    # --- the fit ------------------------------------------------------------------------------

    @property
    def table(self) -> ParameterTable:
        """The parameter table of the model."""
        return self.problem.table

    @property
    def converged(self) -> bool:
        return self.optimum.converged

    @property
    def n_iterations(self) -> int:
        return self.optimum.n_iterations

    @property
    def loglik(self) -> float:
        """Log-likelihood at the estimates, conditional on fixed covariates of one level; of a REML
        fit the restricted one, and `aic` and `bic` with it.

        Where the search did not reach a maximum that of the last iterate, or NaN where it found
        that there is none or did not meet the constraints; `aic` and `bic` are then NaN.
        """
        return self.optimum.last

    @property
    def singular(self) -> bool:
        """Whether the estimated covariance matrix of the random effects is singular: on the
        boundary of a fit that keeps it positive semidefinite (`lmm`, REML, and random slopes
        that have no maximum otherwise); or that of their residuals, where a model with latent
        variables has no maximum by REML without that bound."""
        return self.optimum.singular

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return self.record.moments.n_rows

    @property
    def n_clusters(self) -> int | None:
        """Clusters of the model (of the robust errors, if only they have any); None without."""
        if self.record.cluster is not None:
            return self.record.moments.n_clusters
        return self.record.robust.n_clusters if self.record.robust.name is not None else None

    @property
    def _n_coarser(self) -> int | None:
        """Robust clusters, where they are unions of the model's clusters."""
        robust = self.record.robust
        return None if robust.same or self.record.cluster is None else robust.n_clusters

    @property
    def n_params(self) -> int:
        """Free parameters less equality constraints."""
        return len(self.table.names) - self._n_equalities

    @property
    def aic(self) -> float:
        """-2 ℓ + 2 npar (Akaike, 1974)."""
        return -2.0 * self.optimum.maximum + 2.0 * self.n_params

    @property
    def bic(self) -> float:
        """-2 ℓ + npar log N, N the number of rows, as lavaan's (Schwarz, 1978)."""
        return -2.0 * self.optimum.maximum + self.n_params * float(np.log(self.n_obs))

    @property
    def se_kind(self) -> SeKind:
        return self.covariance.kind

    @property
    def df_method(self) -> DfMethod | None:
        """Where the degrees of freedom of model-based t tests come from; None for z tests, and for
        the CR kinds, which have their own."""
        return None if self.covariance.reference is None else self.covariance.reference.method

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know."""
        return (
            *unreached(self.optimum, self.settings),
            *self.table.notes,
            *self.record.notes,
            *on_starts(self.optimum),
            *active_restrictions(self.table, self.optimum),
            *on_boundary(self.optimum, self.settings),
            *on_information(self.problem, self.covariance),
            *self.doubts,
        )

    # --- parameters ---------------------------------------------------------------------------

    @property
    @quiet
    def estimates(self) -> Array:
        """Estimates of the free parameters, (npar,)."""
        return self.problem.coordinates.to_user(self.optimum.params)

    @property
    def params(self) -> pd.Series:
        """Estimates of the free parameters under lavaan's `coef()` names."""
        return make_series(self.estimates, self.table.names, "est")

    coef = params

    @property
    def bse(self) -> pd.Series:
        """Standard errors of the free parameters."""
        return make_series(self.covariance.se, self.table.names, "se")

    @property
    def tvalues(self) -> pd.Series:
        """Wald statistics, as statsmodels names them."""
        return make_series(self._wald(0.95).stat, self.table.names, "stat")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p values of the free parameters."""
        return make_series(self._wald(0.95).pvalue, self.table.names, "pvalue")

    @property
    def se_forms(self) -> pd.Series:
        """How each CR standard error was adjusted: "residuals" (CR2 of the fixed effects of a
        single-outcome linear mixed model, clubSandwich's numbers) or "scores"; empty for the
        other kinds."""
        forms = self.covariance.forms
        return make_series(list(forms), self.table.names if forms else (), "form")

    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the estimates."""
        return square_frame(self.covariance.matrix, self.table.names)

    @quiet
    def conf_int(
        self,
        level: float = 0.95,
        ci: CiKind = "wald",
        parameters: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Confidence limits `lower`, `upper` of the free parameters.

        Parameters
        ----------
        level : float
        ci : {"wald", "profile"}
            Estimate ± t (or z) times the standard error of the fit. Or for variances the profile
            likelihood, scaled by the cluster-robust variance of CR2, which holds with few
            clusters (docs/intervals.md): the limits are not symmetric, the lower one is never
            below 0, the upper one is infinite where the likelihood does not fall far enough. All
            other parameters then have the t interval of CR2, whatever the standard errors of the
            fit. Takes some 10 fits of the model per variance.
        parameters : str or iterable of str, optional
            Names as in `params`. Default: all.

        Raises
        ------
        InferenceError
            There are no profile intervals: the fit did not converge, or the model has bounds,
            inequalities or nonlinear constraints.
        OptionValueError
            A value that an argument cannot take.
        """
        from mlsem.inference.diagnosis.result import chosen

        _require_level(level)
        names = self.table.names
        places = list(range(len(names))) if parameters is None else chosen(names, parameters)
        profiled = self._profiled(level, ci, places)
        covariance = self.covariance if profiled is None else profiled.covariance
        found = wald(self.estimates, covariance.se, covariance.df, level)
        limits = np.array([found.lower, found.upper])
        for k, pair in ({} if profiled is None else profiled.limits).items():
            limits[:, k] = pair
        lower, upper = limits[:, places]
        return make_frame({"lower": lower, "upper": upper}, [names[k] for k in places])

    def _profiled(self, level: float, ci: object, places: list[int]) -> ProfileIntervals | None:
        """None for Wald's intervals."""
        if ci not in get_args(CiKind):
            raise OptionValueError(f"ci={ci!r}: it takes one of {listed(get_args(CiKind))}.")
        if ci == "wald":
            return None
        from mlsem.inference.profile.run import profile_intervals

        return profile_intervals(
            self.problem,
            self.settings,
            self.optimum,
            places,
            level,
            clustered=self.record.is_clustered,
        )

    @quiet
    def _wald(self, level: float) -> Wald:
        _require_level(level)
        return wald(self.estimates, self.covariance.se, self.covariance.df, level)

    # --- tables -------------------------------------------------------------------------------

    def parameter_estimates(self, level: float = 0.95, ci: CiKind = "wald") -> pd.DataFrame:
        """All parameters in lavaan's rows and order, fixed and defined ones included.

        Parameters
        ----------
        level : float
            Of the confidence intervals.
        ci : {"wald", "profile"}
            As for `conf_int`. Standard errors and tests stay those of the fit.

        Returns
        -------
        DataFrame
            Columns lhs, op, rhs, level, group, label, est, se, stat, df, pvalue, ci_lower,
            ci_upper. `level` is 1 in a single-level model and 0 for `:=`. A fixed parameter has
            se 0 and the rest NaN. A path that is random has no estimate of its own (NaN; lavaan
            says 0) and the name of its slope for a label: see that variable of level 2.
        """
        return make_frame(self._columns(level, ci))

    @quiet
    def _columns(self, level: float, ci: CiKind = "wald") -> dict[str, Any]:
        _require_level(level)
        columns = estimate_columns(self.problem, self.optimum, self.covariance, level)
        profiled = self._profiled(level, ci, list(range(len(self.table.names))))
        if profiled is None:
            return columns
        robust = estimate_columns(self.problem, self.optimum, profiled.covariance, level)
        columns |= {side: robust[side] for side in ("ci_lower", "ci_upper")}
        for k, row in enumerate(self.table.rows):
            if row.free in profiled.limits:
                columns["ci_lower"][k], columns["ci_upper"][k] = profiled.limits[row.free]
        return columns

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row per parameter under the names of R's broom."""
        return make_frame(tidy_columns(self._columns(level)))

    def glance(self) -> pd.DataFrame:
        """One row about the whole fit under the names of R's broom."""
        return make_frame(
            {
                "nobs": [self.n_obs],
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

    def summary(self, level: float | None = None, ci: CiKind = "wald") -> Summary:
        """The results in lavaan's layout.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.
        ci : {"wald", "profile"}
            As for `conf_int`; "profile" adds the limits without `level=` too, at 0.95.

        Returns
        -------
        Summary
            Prints as text and shows as HTML in a notebook.
        """
        from mlsem.results.summary import summarize

        columns = self._columns(0.95 if level is None else level, ci)
        rows = self.table.rows
        hidden = [row.exo for row in rows] + [False] * len(self.table.definitions)
        facts, shown = self._facts(), level is not None
        if ci == "profile":
            facts, shown = replace(facts, notes=(*facts.notes, PROFILED)), True
        return summarize(columns, hidden, self.table.level_labels, facts, shown)

    def _facts(self) -> Facts:
        from mlsem.results.summary import Facts

        return Facts(
            converged=self.converged,
            n_iterations=self.n_iterations,
            n_params=len(self.table.names),
            n_equalities=self._n_equalities,
            n_obs=self.n_obs,
            n_rows=self.record.n_rows_total,
            cluster=self.record.cluster or self.record.robust.name,
            n_clusters=self.n_clusters,
            centered=self.record.centered,
            restricted=self.settings.estimator == "REML",
            loglik=self.loglik,
            aic=self.aic,
            bic=self.bic,
            se=self.se_kind,
            form=self.covariance.form,
            df_method=self.df_method,
            adjusted=tuple(dict.fromkeys(self.covariance.forms)),
            robust=self.record.robust.name,
            n_robust=self._n_coarser,
            notes=self.notes,
        )

    def __repr__(self) -> str:
        return self._facts().brief

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    @property
    @quiet
    def _n_equalities(self) -> int:
        pairs = zip(compile_constraints(self.table), self.table.constraints, strict=True)
        equal = [found.gradient(self.estimates) for found, each in pairs if each.equality]
        return len(self.table.names) - null_space(np.array(equal)).shape[1] if equal else 0


# --- small things --------------------------------------------------------------------------------


def square_frame(matrix: Array, names: tuple[str, ...]) -> pd.DataFrame:
    return make_frame(dict(zip(names, matrix.T, strict=True)), list(names))


def _require_level(level: float) -> None:
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level < 1:
        raise OptionValueError(f"level={level!r}: a confidence level lies between 0 and 1.")
