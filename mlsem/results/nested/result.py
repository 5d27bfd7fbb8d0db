"""`NestedResult`: a linear mixed model of three levels, with what users of lme4 ask of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, get_args

import numpy as np

from mlsem.arguments import chosen, require_level, require_seed, require_whole
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame, make_series
from mlsem.errors import (
    EstimationWarning,
    InferenceWarning,
    OptionValueError,
    listed,
    warn,
)
from mlsem.estimation.keywords import UNCHANGED, MixedUpdateKeywords, shown
from mlsem.estimation.nested import unreached
from mlsem.estimation.remarks import singular_note
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.covariance.nested import nested_covariance
from mlsem.inference.wald.run import require_test, wald_test
from mlsem.other_programs.answering import Answering
from mlsem.results.absent import OF_THREE_LEVELS
from mlsem.results.mixed.choices import (
    Effects,
    Interval,
    NewLevels,
    Prediction,
    RowKind,
    require_choice,
    require_prediction,
)
from mlsem.results.mixed.questions import Questioned
from mlsem.results.result import CiKind
from mlsem.results.tables import tested_columns
from mlsem.results.tested import Tested

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.optimise.objective import InformationKind
    from mlsem.data.design.remade import Recipe
    from mlsem.data.frames.records import AnyFrame
    from mlsem.estimation.nested import NestedEstimates
    from mlsem.estimation.settings import DfKind, Settings, TestName
    from mlsem.estimation.standard_errors import SeName
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.inference.wald.run import TestKind, WaldTest
    from mlsem.results.generalized.effects import EffectKind, GlmEffects
    from mlsem.results.mixed.source import Source
    from mlsem.results.mixed.summary import MixedSummary
    from mlsem.results.mixed.tables import Scale
    from mlsem.results.mixed.varcorr import VarCorr
    from mlsem.results.nested.predict import Levels
    from mlsem.results.nested.shares import NestedIcc, NestedR2

Refit = Callable[["NestedResult", object, object, Mapping[str, Any]], Any]


@dataclass(frozen=True, eq=False, repr=False)
class NestedResult(Questioned, Tested, Answering):
    """A linear mixed model of three levels, rows in classes in schools, as `mlsem.lmm` fits it.

    `params`, `bse`, `conf_int()` and `vcov()` have the fixed effects in the order of the formula
    under lme4's names, then variances and covariances of the random effects, those of the inner
    clusters first (``class:school.(Intercept)``, ``school.(Intercept)``), and ``Residual``. Robust
    standard errors sum over the outer clusters.

    A fit keeps no rows of the data, as `MixedResult`.

    Attributes
    ----------
    covariance : Covariance
        Of the estimates.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
    >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
    >>> fit
    <NestedResult: y ~ x1 + (1 | district/id), 500 rows, 50 id:district, 11 district,
    restricted loglik -843.274, se standard; print(fit.summary())>
    >>> fit.params.round(3).tolist()
    [0.796, 0.539, 1.173, 0.923, 1.31]
    >>> fit.params.index.tolist()[2:]
    ['id:district.(Intercept)', 'district.(Intercept)', 'Residual']
    >>> fit.bse.round(3).head(2).to_dict(), fit.df.round(1).head(2).to_dict()
    ({'(Intercept)': 0.336, 'x1': 0.056}, {'(Intercept)': 9.9, 'x1': 456.6})
    >>> fit.model, fit.converged, fit.loglik < 0, fit.n_obs, fit.n_clusters, fit.singular
    ('y ~ x1 + (1 | district/id)', True, True, 500, 11, False)
    >>> fit.se_kind, fit.df_method, fit.n_params, fit.settings.estimator
    ('standard', 'satterthwaite', 5, 'REML')
    >>> round(fit.aic, 1), round(fit.bic, 1), fit.n_iterations < 20, fit.notes
    (1696.5, 1717.6, True, ())
    >>> fit.n_groups
    {'id:district': 50, 'district': 11}
    """

    covariance: Covariance
    _estimates: NestedEstimates
    _doubts: tuple[str, ...]
    _source: Source
    _refit: Refit
    _reasons: ClassVar[Mapping[str, str]] = OF_THREE_LEVELS

    # --- what was fitted ------------------------------------------------------------------------

    @property
    def model(self) -> str:
        """The formula."""
        return self._estimates.data.recipe.formula.text

    @property
    def settings(self) -> Settings:
        """How it was fitted."""
        return self._estimates.settings

    @property
    def converged(self) -> bool:
        """Whether the search ended at a maximum."""
        return self._estimates.converged

    @property
    def n_iterations(self) -> int:
        """Steps of the search."""
        return self._estimates.optimum.n_iterations

    @property
    def loglik(self) -> float:
        """The log-likelihood, or the restricted one, at its maximum; else where the search
        stopped."""
        return self._estimates.optimum.last

    @property
    def singular(self) -> bool:
        """Whether a covariance matrix of the random effects is singular: a variance of zero or a
        correlation of one."""
        return self._estimates.boundary

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return self._estimates.data.n_rows

    @property
    def n_clusters(self) -> int:
        """Outer clusters, over which robust standard errors sum."""
        return len(self._estimates.data.groups.labels)

    @property
    def n_groups(self) -> dict[str, int]:
        """Clusters of both levels, inner ones first, as lme4's ``ngrps``."""
        data = self._estimates.data
        return {data.lower.name: len(data.groups.owner), data.upper.name: self.n_clusters}

    @property
    def n_params(self) -> int:
        """Fixed effects, variances and covariances."""
        return len(self.estimates)

    @property
    def aic(self) -> float:
        """-2 ℓ + 2 npar (Akaike, 1974)."""
        return -2.0 * self._estimates.optimum.maximum + 2.0 * self.n_params

    @property
    def bic(self) -> float:
        """-2 ℓ + npar log N, N the number of rows (Schwarz, 1978)."""
        return -2.0 * self._estimates.optimum.maximum + self.n_params * float(np.log(self.n_obs))

    @property
    def se_kind(self) -> str:
        """The kind of standard errors."""
        return self.covariance.kind.name

    @property
    def df_method(self) -> str | None:
        """Where the degrees of freedom of model-based t tests come from, "satterthwaite" or
        "kenward-roger"; None for z tests, and for the CR kinds, which have their own."""
        return None if self.covariance.reference is None else self.covariance.reference.method

    @property
    def df(self) -> pd.Series:
        """Degrees of freedom of the t tests; inf of z tests, NaN where there is no test."""
        return make_series(self.covariance.df, self.table.names, "df")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know."""
        own = self._estimates
        stopped = (
            ()
            if own.converged
            else (
                f"not estimates: {unreached(own)} The parameters shown are those where the search "
                "stopped.",
            )
        )
        at_boundary = (singular_note(own.settings),) if own.boundary else ()
        return (*stopped, *own.data.notes, *at_boundary, *self._doubts)

    def __repr__(self) -> str:
        groups = ", ".join(f"{count} {name}" for name, count in self.n_groups.items())
        kind = "restricted loglik" if self._estimates.restricted else "loglik"
        state = "" if self.converged else ", not converged"
        return (
            f"<NestedResult: {self.model}, {self.n_obs} rows, {groups},\n{kind} {self.loglik:.3f}"
            f"{state}, se {self.se_kind}; print(fit.summary())>"
        )

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    # --- estimates ------------------------------------------------------------------------------

    def fixef(self) -> pd.Series:
        """The fixed effects in the order of the formula, as lme4's ``fixef``.

        Returns
        -------
        Series

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> mlsem.lmm("y ~ x1 + (1 | district/id)", data).fixef().round(3).to_dict()
        {'(Intercept)': 0.796, 'x1': 0.539}
        """
        fixed = self._estimates.data.fixed
        return make_series(self.estimates[: len(fixed)], fixed, "est")

    def VarCorr(self) -> VarCorr:
        """Variances, standard deviations and correlations of the random effects, as lme4's.

        Returns
        -------
        VarCorr
            Of both levels, the inner one first; prints as in lme4, `frame` has R's columns.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> mlsem.lmm("y ~ x1 + (1 | district/id)", data).VarCorr().frame["grp"].tolist()
        ['id:district', 'district', 'Residual']
        """
        from mlsem.results.mixed.varcorr import variances
        from mlsem.results.nested.parts import levels_of

        return variances(*levels_of(self._estimates))

    @quiet
    def conf_int(
        self,
        level: float = 0.95,
        ci: CiKind = "wald",
        parameters: str | Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """Confidence limits `lower`, `upper`, estimate ± t se.

        Parameters
        ----------
        level : float, default 0.95
        ci : {"wald", "profile"}, default "wald"
            "profile": of variances the profile likelihood, as `FitResult.conf_int`; all other
            parameters then have the t interval of CR2.
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
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> fit.conf_int(parameters="x1").round(2)
            lower  upper
        x1   0.43   0.65
        """
        require_choice("ci", ci, get_args(CiKind), none=False)
        if ci == "wald":
            return self._limits(level, parameters)
        from mlsem.inference.profile.nested import nested_profile_intervals

        require_level(level)
        names = self.table.names
        places = list(range(len(names))) if parameters is None else chosen(names, parameters)
        found = nested_profile_intervals(self._estimates, places, level)
        tests = wald(self.estimates, found.covariance.se, found.covariance.df, level)
        limits = np.array([tests.lower, tests.upper])
        for k, pair in found.limits.items():
            limits[:, k] = pair
        lower, upper = limits[:, places]
        return make_frame({"lower": lower, "upper": upper}, [names[k] for k in places])

    @quiet
    def parameter_estimates(self, level: float = 0.95) -> pd.DataFrame:
        """The parameters, their tests and intervals, in the columns of
        `FitResult.parameter_estimates`; level 2 are the inner clusters, 3 the outer ones.

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
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> fit.parameter_estimates()[["lhs", "op", "rhs", "level", "est"]].round(2)
          lhs  op rhs  level   est
        0   y   ~  x1      1  0.54
        1   y  ~~   y      1  1.31
        2   y  ~~   y      2  1.17
        3   y  ~1          3  0.80
        4   y  ~~   y      3  0.92
        """
        require_level(level)
        values = self.estimates[[row.free for row in self.table.rows]]
        return make_frame(tested_columns(self._estimates, values, self.covariance, level))

    def tidy(self, level: float = 0.95, scale: Scale = "sdcor") -> pd.DataFrame:
        """One row per parameter under the names of R's broom.mixed, as `MixedResult.tidy`.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals.
        scale : {"sdcor", "vcov"}, default "sdcor"
            Standard deviations and correlations of random effects, or variances and covariances.

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
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> mlsem.lmm("y ~ x1 + (1 | district/id)", data).tidy()["group"].tolist()[2:]
        ['id:district', 'district', 'Residual']
        """
        from mlsem.results.mixed import tables
        from mlsem.results.nested.parts import levels_of

        require_level(level)
        require_choice("scale", scale, get_args(tables.Scale), none=False)
        own = self._estimates
        return make_frame(tables.tidy_columns(own, levels_of(own), self.covariance, level, scale))

    def glance(self) -> pd.DataFrame:
        """One row about the whole fit under the names of R's broom.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> mlsem.lmm("y ~ x1 + (1 | district/id)", data).glance()[["nobs", "n_clusters"]]
           nobs  n_clusters
        0   500          11
        """
        return make_frame(
            {
                "nobs": [self.n_obs],
                "n_clusters": [self.n_clusters],
                "npar": [self.n_params],
                "logLik": [self.loglik],
                "AIC": [self.aic],
                "BIC": [self.bic],
                "sigma": [float(np.sqrt(self._estimates.point.sigma2))],
                "estimator": [self.settings.estimator],
                "se": [self.se_kind],
                "df_method": [self.df_method],
                "converged": [self.converged],
                "singular": [self.singular],
            }
        )

    def summary(
        self,
        level: float | None = None,
        ci: CiKind = "wald",
        *,
        rsquare: bool = False,
        correlation: bool = False,
    ) -> MixedSummary:
        """The results in the layout of lme4 and lmerTest.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.
        ci : {"wald", "profile"}, default "wald"
            As for `conf_int`; "profile" adds the limits without `level=`, too, at 0.95.
        rsquare : bool, default False
            Adds marginal and conditional R².
        correlation : bool, default False
            Adds the correlations of the estimated fixed effects.

        Returns
        -------
        MixedSummary
            Prints as text and shows as HTML in a notebook; `to_text(digits)`, `to_html(digits)`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> print(fit.summary().title)
        Linear mixed model of three levels by REML
        """
        from mlsem.results.nested.summarise import summarise

        require_choice("ci", ci, get_args(CiKind), none=False)
        return summarise(self, level, ci, rsquare=rsquare, correlation=correlation)

    def icc(self) -> NestedIcc:
        """Intraclass correlations given the covariates, of two rows of an outer cluster and of two
        rows of an inner one.

        Returns
        -------
        NestedIcc
            Prints as a table; `frame` is a data frame.

        Raises
        ------
        InferenceError
            The fit did not converge.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> mlsem.lmm("y ~ x1 + (1 | district/id)", data).icc().icc.round(2).tolist()
        [0.27, 0.62]
        """
        from mlsem.results.nested.shares import nested_icc

        return nested_icc(self._estimates, self.covariance)

    def r_squared(self) -> NestedR2:
        """Marginal and conditional R², and what each level has of the variance.

        Returns
        -------
        NestedR2

        Raises
        ------
        InferenceError
            The fit did not converge.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> round(mlsem.lmm("y ~ x1 + (1 | district/id)", data).r_squared().marginal, 2)
        0.07
        """
        from mlsem.results.nested.shares import nested_r_squared

        return nested_r_squared(self._estimates)

    # --- other errors, tests, fits --------------------------------------------------------------

    @shown()
    def with_se(
        self,
        kind: SeName,
        *,
        test: TestName | None = None,
        df: DfKind | None = None,
        information: InformationKind | None = None,
    ) -> NestedResult:
        """The same estimates with other standard errors; nothing is fitted again.

        Parameters
        ----------
        kind : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "none"}
            Robust ones sum over the outer clusters.
        test : {"t", "z"}, optional
        df : {"satterthwaite", "kenward-roger"}, optional
        information : {"expected", "observed"}, optional
            As for `lmm`.

        Returns
        -------
        NestedResult

        Raises
        ------
        OptionValueError
            A value that an argument cannot take, or that does not go with the others.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> fit.with_se("CR2").bse["x1"].round(3).item()
        0.12
        """
        settings = self.settings.with_se(kind, test, df, information)
        refuse_replicates(settings)
        own = self._estimates.under(settings)
        covariance, doubts = _covariance(own)
        return replace(self, _estimates=own, covariance=covariance, _doubts=doubts)

    def wald_test(
        self, constraints: object, *, test: TestKind | None = None, rhs: object = None
    ) -> WaldTest:
        """Joint test of constraints on the parameters.

        Parameters
        ----------
        constraints : str, list of str, array (q, npar) or DataFrame
            As for `FitResult.wald_test`: names in backticks, "`trt`; `x`".
        test : {"chi2", "F", "HTZ"}, optional
            F by default of model-based t tests, HTZ of the CR kinds, chi2 of z tests.
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
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ w1 + x1 + (1 | district/id)", data, se="CR2")
        >>> fit.wald_test("`w1`; `x1`").test
        'HTZ'
        """
        wanted = require_test(test)
        return wald_test(self._estimates, self.covariance, constraints, wanted, rhs)

    @quiet
    def cluster_diagnostics(self, parameters: str | Iterable[str] | None = None) -> pd.DataFrame:
        """What each outer cluster has in the estimates, by the leverages and scores that CR3 takes.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Names as in `params`. Default: all.

        Returns
        -------
        DataFrame
            A row per cluster and parameter: `cluster`, `rows`, `leverage` (of all directions),
            `parameter`, `share` (of the information on it), `change` (of the estimate without the
            cluster, by one step; NaN where nothing would be left of it).

        Raises
        ------
        InferenceError
            The fit did not converge, or the information is not positive definite.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> found = mlsem.lmm("y ~ x1 + (1 | district/id)", data).cluster_diagnostics("x1")
        >>> found.columns.tolist(), len(found)
        (['cluster', 'rows', 'leverage', 'parameter', 'share', 'change'], 11)
        """
        from mlsem.results.nested.parts import diagnosed

        return diagnosed(self._estimates, parameters)

    @shown(MixedUpdateKeywords, default=UNCHANGED)
    def update(
        self,
        model: str | None = None,
        *,
        data: object = None,
        **options: Unpack[MixedUpdateKeywords],
    ) -> Any:
        """Fit a changed formula, with the options of this fit where they are not changed.

        Parameters
        ----------
        model : str, optional
            A formula; or ``"+ x2"``, which is added; or as R's ``update`` has it,
            ``". ~ . - x2"``. Default: the same.
        data : DataFrame, optional
            Default: for the same formula what the fit knows of its rows, for another one its data
            frame, if that is still there and the same.
        **options
            As for `mlsem.lmm`, with ``REML``.

        Returns
        -------
        NestedResult or MixedResult
            By the levels of the formula.

        Raises
        ------
        InferenceError, DataError
            The data frame of the fit is gone, or has changed.
        SpecificationError, OptionError, OptionValueError
            As for `mlsem.lmm`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> fit.update("+ w1", REML=False).fixef().index.tolist()
        ['(Intercept)', 'x1', 'w1']
        """
        return self._refit(self, model, data, {**options})

    # --- random effects and rows ----------------------------------------------------------------

    def random_effects(self, level: str | int | None = None) -> Any:
        """Predictions of the random effects, with their standard errors given the parameters.

        Parameters
        ----------
        level : str or int, optional
            ``"school"`` or 3: the outer clusters; ``"class"``, ``"class:school"`` or 2: the inner
            ones. Default: both, as lme4's ``ranef``.

        Returns
        -------
        DataFrame or dict of DataFrame
            A row per cluster, of inner ones by both ids; of both levels by their names.

        Raises
        ------
        InferenceError
            The fit did not converge.
        OptionValueError
            No such level.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> fit.random_effects("district").round(2).loc[0].to_dict()
        {'(Intercept)': -1.19, '(Intercept)_se': 0.49}
        >>> fit.random_effects("id").shape, list(fit.random_effects())
        ((50, 2), ['id:district', 'district'])
        """
        from mlsem.results.nested.parts import level_named, random_effects

        own = self._estimates
        if level is None:
            return {name: self.random_effects(name) for name in self.n_groups}
        return random_effects(own, level_named(own, level))

    def predict(
        self,
        data: AnyFrame | None = None,
        *,
        random: bool | str = True,
        se: bool = False,
        interval: Interval | None = None,
        confidence: float = 0.95,
        new_levels: NewLevels = "error",
    ) -> pd.DataFrame:
        """Expected outcomes of rows, with standard errors and intervals.

        Parameters
        ----------
        data : DataFrame, optional
            Rows with the columns of the formula; the outcome may be absent, and so may ids of
            clusters whose effects are left out. Default: those of the fit, if its data frame is
            still there.
        random : bool or str, default True
            With the effects of both levels; ``"school"``, the name of the outer clusters: with
            theirs alone; False: without.
        se : bool, default False
            Adds a column `_se`, the root of the mean squared error of prediction: equation in
            `mlsem.results.nested.predict`. The variances are taken as known.
        interval : {"confidence", "prediction"}, optional
            Adds `_lower` and `_upper`, of the expectation, or of a new outcome: then with σ² and
            the variances of the effects that are left out. Of xᵀβ they are t intervals with the
            degrees of freedom of the fit, all others normal ones.
        confidence : float, default 0.95
            Of the intervals.
        new_levels : {"error", "population"}, default "error"
            What becomes of rows of clusters that the fit has not seen: an error, or the expectation
            of any cluster; a new class of a school that the fit has seen has that school's effects.

        Returns
        -------
        DataFrame
            With the index of `data`; the first column has the name of the outcome. NaN in rows
            where a covariate is missing.

        Raises
        ------
        InferenceError
            No data, or no convergence.
        DataError, SpecificationError
            A column is absent, a factor has a new level, or there are new clusters.
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> fit.predict(data.head(3), se=True, interval="prediction").columns.tolist()
        ['y', 'y_se', 'y_lower', 'y_upper']
        >>> len(fit.predict(data.head(3), random="district"))
        3
        """
        from mlsem.results.nested import predict as rows

        levels = self._levels(random)
        asked = Prediction(bool(levels), se, interval, confidence, new_levels)
        require_prediction(asked)
        require_level(confidence)
        frame = self._rows(data, "predict")
        found = rows.predict(self._estimates, self.covariance, frame, asked, levels)
        return self._source.returned(found, data)

    def fitted(self, data: AnyFrame | None = None, *, random: bool | str = True) -> pd.Series:
        """Expectations of the rows of the fit, as R's ``fitted``.

        Parameters
        ----------
        data : DataFrame, optional
            The data of the fit. Default: its data frame, if that is still there and the same.
        random : bool or str, default True
            As for `predict`.

        Returns
        -------
        Series
            With the index of the data; NaN in rows that the fit left out.

        Raises
        ------
        InferenceError, DataError, OptionValueError
            As `predict`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> bool(abs(fit.fitted() + fit.residuals() - data["y"]).max() < 1e-10)
        True
        """
        from mlsem.results.nested import predict as rows

        frame = self._rows(data, "fitted")
        found = rows.fitted(self._estimates, frame, self._levels(random))
        return self._source.returned(found, data)

    def residuals(self, kind: RowKind = "response", *, data: AnyFrame | None = None) -> pd.Series:
        """Residuals of rows, as R's ``residuals``.

        Parameters
        ----------
        kind : {"response", "pearson", "marginal"}, default "response"
            Less the fixed effects and those of both levels; the same over σ̂; or less the fixed
            effects alone.
        data : DataFrame, optional
            The data of the fit. Default: its data frame, if that is still there and the same.

        Returns
        -------
        Series
            With the index of the data; NaN in rows that the fit left out.

        Raises
        ------
        InferenceError, DataError
            As `fitted`.
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> len(mlsem.lmm("y ~ x1 + (1 | district/id)", data).residuals("pearson"))
        500
        """
        from mlsem.results.nested import predict as rows

        require_choice("kind", kind, get_args(RowKind), none=False)
        frame = self._rows(data, "residuals")
        levels = self._levels(kind != "marginal")
        found = rows.row_residuals(self._estimates, frame, kind, levels)
        return self._source.returned(found, data)

    def simulate(
        self,
        n: int = 1,
        seed: int | None = None,
        *,
        data: AnyFrame | None = None,
        effects: Effects = "new",
    ) -> pd.DataFrame:
        """New outcomes of rows, drawn from the fitted model.

        Parameters
        ----------
        n : int, default 1
            How many data sets.
        seed : int, optional
        data : DataFrame, optional
            Rows with the covariates and clusters. Default: those of the fit, if its data frame is
            still there and the same.
        effects : {"new", "predicted"}, default "new"
            Whether clusters of both levels are drawn anew, or are those of the fit (lme4's
            ``use.u = TRUE``).

        Returns
        -------
        DataFrame
            Columns sim_1, …, sim_n with the index of the data; NaN where a covariate is missing.

        Raises
        ------
        InferenceError, DataError
            As `predict`.
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> mlsem.lmm("y ~ x1 + (1 | district/id)", data).simulate(2, seed=1).shape
        (500, 2)
        """
        from mlsem.results.nested import predict as rows

        require_whole("n", n, 1)
        require_seed(seed)
        require_choice("effects", effects, get_args(Effects), none=False)
        frame = self._rows(data, "simulate")
        found = rows.simulate(self._estimates, frame, n, seed, effects)
        return self._source.returned(found, data)

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
        """Expected outcomes at values of a variable, their differences, or slopes, by
        standardisation, as `MixedResult.effects`.

        Parameters
        ----------
        variable : str
            A column of the data that the fixed effects are made of.
        data : data frame, optional
            The rows that are averaged over. Default: those of the fit, if they are still there.
        kind : {"contrast", "slope"}, optional
        values : iterable, optional
        by : str, optional
        level : float, default 0.95
            As for `GlmResult.effects`.

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
            The fit did not converge, or its data are gone.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
        >>> fit = mlsem.lmm("y ~ x1 + (1 | district/id)", data)
        >>> fit.effects("x1").frame[["effect", "estimate", "se"]].round(2)
          effect  estimate    se
        0  slope      0.54  0.06
        """
        from mlsem.results.mixed.effects import mixed_effects, refuse_two
        from mlsem.results.nested.parts import levels_of

        refuse_two(data)
        frame, levels = self._rows(data, "effects"), levels_of(self._estimates)
        return mixed_effects(self, levels, variable, kind, values, by, frame, level)

    def _levels(self, random: object) -> Levels:
        """Which levels have their effects in an expectation."""
        if isinstance(random, bool | np.bool_):
            return (2, 3) if random else ()
        name = self._estimates.data.upper.name
        if random != name:
            raise OptionValueError(
                f"random={random!r}: it takes True, False, or {name!r} for the effects of these "
                "clusters alone."
            )
        return (3,)

    @property
    def _columns_named(self) -> tuple[str, ...]:
        """Columns of the data that the model speaks of."""
        own = self._estimates.data
        return (*own.recipe.names, *own.groups.names)

    def _rows(self, data: object, what: str) -> pd.DataFrame:
        return self._source.rows(self._estimates, data, what, *self._columns_named)

    @property
    def _recipes(self) -> tuple[Recipe, ...]:
        return (self._estimates.data.recipe,)


def refuse_replicates(settings: Settings) -> None:
    if settings.kind().replicated:
        raise OptionValueError(
            'se="replicates" goes with replicate weights, which models of three levels do not '
            f"take: use one of {listed(('CR2', 'MLR', 'standard'))}."
        )


def _covariance(estimates: NestedEstimates) -> tuple[Covariance, tuple[str, ...]]:
    """The covariance that the settings ask for, and doubts about it, which are warned of."""
    covariance, doubts = nested_covariance(estimates)
    if doubts:
        warn("\n".join(doubts), InferenceWarning)
    return covariance, doubts


def nested_result(estimates: NestedEstimates, source: Source, refit: Refit) -> NestedResult:
    """With the covariance that the settings ask for, and warnings."""
    if estimates.converged and estimates.boundary:
        warn(singular_note(estimates.settings), EstimationWarning)
    covariance, doubts = _covariance(estimates)
    return NestedResult(covariance, estimates, doubts, source, refit)
