"""`PooledResult`: several fits of one model as one, its tables, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame, make_series, square_frame
from mlsem.errors import InferenceError, OptionValueError, UnknownNameError
from mlsem.estimation.keywords import UNCHANGED, UpdateKeywords, shown
from mlsem.inference.pooling.reference import PooledReference, pooled_covariance
from mlsem.inference.pooling.rules import Parts, PooledDf
from mlsem.other_programs.answering import Answering
from mlsem.results.drawn import Plotted
from mlsem.results.groups import ByGroup, group_titles
from mlsem.results.mixed.questions import Questioned
from mlsem.results.pooled.gathered import (
    PooledEstimates,
    converged_ones,
    estimates_of,
    notes_of,
    read_nests,
    require_alike,
    require_df,
    require_fits,
    warn_of_sameness,
)
from mlsem.results.pooled.joint import (
    PooledTest,
    RatioMethod,
    WaldMethod,
    pooled_ratio,
    pooled_wald,
)
from mlsem.results.result import FitResult
from mlsem.results.tables import defined_parameters, tested_columns, tidy_columns, without_auxiliary
from mlsem.results.tested import Tested
from mlsem.results.weights import sampling_pairs

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from mlsem.core.optimise.objective import InformationKind
    from mlsem.core.records import Array
    from mlsem.data.design.remade import Recipe
    from mlsem.estimation.settings import DfKind, Settings, TestName
    from mlsem.estimation.standard_errors import SeName
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.results.mixed.summary import MixedSummary
    from mlsem.results.pooled.summary import PooledFacts
    from mlsem.results.standardized import Kind as StandardizedKind
    from mlsem.results.summary import Summary

OF_EACH = "it has no rule by which it is pooled"
_REASONS = {
    "log-likelihoods of several data sets have no rule; lr_test compares two models": (
        "loglik aic bic"
    ),
    "it is of the rows or clusters of one data set; the mean over fits is the pooled value": (
        "predict fitted predict_latent random_effects residuals row_residuals cluster_residuals "
        "plot_residuals plot_random_effects"
    ),
    "score tests have no rule by which they are pooled; fit the larger model to all data sets and "
    "test the parameter (wald_test), or compare the two (lr_test)": (
        "modification_indices score_test"
    ),
    "it is drawn or refitted from one data set": (
        "bootstrap cluster_diagnostics compare_se simulate plot_profile"
    ),
    "it is a function of the parameters: define it in the model (:=), and it is pooled; of a "
    "formula marginal_slopes has slopes": "simple_slopes plot_interaction effects reliability",
    "summary() and mlsem.summary_table have what is pooled": "report",
    "scalings are compared in one data set": "weight_scalings",
}
REASONS = {name: reason for reason, names in _REASONS.items() for name in names.split()}


@dataclass(frozen=True, eq=False, repr=False)
class PooledResult(Plotted, Questioned, Tested, Answering):
    """Several fits of one model, pooled by Rubin's rules. A sequence of its fits, too.

    Attributes
    ----------
    fits : tuple of FitResult
        Of all data sets.
    covariance : Covariance
        Of the pooled estimates, T = Ū + (1 + 1/m) B.
    df_kind : {"matching", "barnard-rubin", "rubin"}
    complete_df : float or None
    nested : tuple or None
        The outer data set of each fit.
    origin : tuple of (label, value)
        Where the data sets come from, for the summary.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
    >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
    >>> pooled
    <PooledResult: 5 parameters, 3 data sets of 500 rows, 50 clusters, se standard;
    print(pooled.summary())>
    >>> len(pooled), pooled.fits[0].converged, len(pooled.used), pooled.n_failed, pooled.converged
    (3, True, 3, 0, True)
    >>> pooled.se_kind, pooled.df_kind, pooled.complete_df, pooled.nested
    ('standard', 'matching', None, None)
    >>> pooled.n_obs, pooled.n_clusters, pooled.n_params, pooled.settings.estimator
    (500, 50, 5, 'ML')
    >>> pooled.model, pooled.origin, pooled.notes
    ('level: 1; y ~ x1; level: 2; y ~ w1', (), ())
    >>> pooled.fmi.round(2).tolist(), pooled.riv.round(2).tolist()
    ([0.18, 0.16, 0.0, 0.0, 0.37], [0.19, 0.17, 0.0, 0.0, 0.45])
    >>> round(float(pooled.df["y~x1"]))
    81
    >>> added = (1 + 1 / 3) * pooled.vcov_between.to_numpy()
    >>> bool(abs(pooled.vcov_within + added - pooled.vcov()).to_numpy().max() < 1e-12)
    True
    """

    fits: tuple[FitResult, ...]
    covariance: Covariance
    df_kind: PooledDf
    complete_df: float | None
    nested: tuple[Any, ...] | None
    origin: tuple[tuple[str, str], ...]
    _estimates: PooledEstimates

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[FitResult]:
        return iter(self.fits)

    def __getitem__(self, k: int) -> FitResult:
        return self.fits[k]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What a fit has and this has not says why."""
            if name.startswith("_") or not (name in REASONS or hasattr(FitResult, name)):
                return super().__getattr__(name)
            raise UnknownNameError(
                f"a PooledResult has no {name!r}: {REASONS.get(name, OF_EACH)}. Each fit has its "
                f"own: pooled.fits[0].{name}.",
                name,
            )

    # --- the fits -----------------------------------------------------------------------------

    @cached_property
    def used(self) -> tuple[FitResult, ...]:
        """The fits that converged, which are pooled."""
        return tuple(fit for fit in self.fits if fit.converged)

    @property
    def n_failed(self) -> int:
        """Fits that did not converge."""
        return len(self.fits) - len(self.used)

    @property
    def model(self) -> str:
        """The model text."""
        return self.used[0].model

    @property
    def settings(self) -> Settings:
        """How the fits were made."""
        return self.used[0].settings

    @property
    def converged(self) -> bool:
        """Whether all fits converged."""
        return not self.n_failed

    @property
    def n_obs(self) -> int:
        """Rows used of each data set."""
        return self.used[0].n_obs

    @property
    def n_clusters(self) -> int | None:
        """Clusters of each data set; None without."""
        return self.used[0].n_clusters

    @property
    def n_params(self) -> int:
        """Free parameters less equality constraints."""
        return self.used[0].n_params

    @property
    def se_kind(self) -> str:
        """The kind of standard errors that each fit has."""
        return self.covariance.kind.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know: notes of the fits, each once."""
        return notes_of(self.used, self.n_failed)

    # --- parameters ---------------------------------------------------------------------------

    @property
    def _reference(self) -> PooledReference:
        assert isinstance(self.covariance.reference, PooledReference)
        return self.covariance.reference

    @property
    def _parts(self) -> Parts:
        return self._reference.parts

    @property
    def df(self) -> pd.Series:
        """Degrees of freedom of the t tests."""
        return self._series(self.covariance.df, "df")

    @property
    def riv(self) -> pd.Series:
        """Relative increase in variance, r = (1 + 1/m) b / ū."""
        return self._series(self._of_parameters[0], "riv")

    @property
    def fmi(self) -> pd.Series:
        """Fraction of missing information, (r + 2 / (df + 3)) / (1 + r)."""
        return self._series(self._of_parameters[1], "fmi")

    @property
    def vcov_within(self) -> pd.DataFrame:
        """Ū, the mean of the fits' covariance matrices."""
        return square_frame(self._parts.within, self.table.names)

    @property
    def vcov_between(self) -> pd.DataFrame:
        """B, the covariance matrix of the fits' estimates (nested: of the outer means)."""
        return square_frame(self._parts.between, self.table.names)

    def _series(self, values: Array, name: str) -> pd.Series:
        return make_series(values, self.table.names, name)

    @property
    def _of_parameters(self) -> tuple[Array, Array]:
        return self._missing(np.eye(len(self.table.names)), self.covariance.df)

    def _missing(self, gradients: Array, df: Array) -> tuple[Array, Array]:
        """r and FMI of functions with these gradients."""
        variances = self._parts.along(gradients)
        return variances.riv, variances.fmi(df)

    @quiet
    def conf_int(
        self, level: float = 0.95, *, parameters: str | Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Confidence limits `lower`, `upper` of the free parameters, estimate ± t se.

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
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> pooled.conf_int().columns.tolist()
        ['lower', 'upper']
        """
        return self._limits(level, parameters)

    # --- tables -------------------------------------------------------------------------------

    @quiet
    def _columns(self, level: float) -> dict[str, Any]:
        """Those of a fit, with r and FMI."""
        require_level(level)
        table, size = self.table, len(self.table.names)
        columns = tested_columns(self._estimates, self._estimates.rows, self.covariance, level)
        gradients = np.zeros((len(columns["op"]), size))
        for k, row in enumerate(table.rows):
            if row.free >= 0:
                gradients[k, row.free] = 1.0
        gradients[len(table.rows) :] = defined_parameters(self._estimates)[1]
        riv, fmi = self._missing(gradients, columns["df"])
        varies = columns["se"] > 0
        return columns | {
            "riv": np.where(varies, riv, np.nan),
            "fmi": np.where(varies, fmi, np.nan),
        }

    def parameter_estimates(self, level: float = 0.95, *, auxiliary: bool = False) -> pd.DataFrame:
        """All parameters in lavaan's rows and order, fixed and defined ones included.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence intervals.
        auxiliary : bool, default False
            Adds the rows of auxiliary variables.

        Returns
        -------
        DataFrame
            The columns of `FitResult.parameter_estimates`, with `riv` and `fmi`. A defined
            parameter is that function of the pooled estimates, with the delta method.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> table = pooled.parameter_estimates()
        >>> table.loc[table["op"] == "~", ["rhs", "est", "se", "fmi"]].round(2)
          rhs   est    se   fmi
        0  x1  0.52  0.06  0.18
        5  w1  0.34  0.17  0.00
        """
        columns = self._columns(level)
        return make_frame(columns if auxiliary else without_auxiliary(columns, self.table))

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row per parameter under the names of R's broom, with `riv` and `fmi`.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        DataFrame
            Of fits by `lmm` that of `MixedResult.tidy`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> pooled.tidy()[["term", "estimate", "riv"]].round(2).head(2)
             term  estimate   riv
        0  y ~ x1      0.52  0.19
        1  y ~~ y      1.33  0.17
        """
        if self._mixed:
            from mlsem.results.mixed import tables
            from mlsem.results.mixed.parts import parts_of

            own: Any = self._estimates
            columns = tables.tidy_columns(own, (parts_of(own),), self.covariance, level, "sdcor")
            riv, fmi = self._of_parameters
            return make_frame(columns | {"riv": riv, "fmi": fmi})
        columns = without_auxiliary(self._columns(level), self.table)
        tidied = tidy_columns(columns, grouped=bool(self.table.groups))
        return make_frame(tidied | {name: columns[name] for name in ("riv", "fmi")})

    def glance(self) -> pd.DataFrame:
        """One row about the whole under the names of R's broom.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> pooled.glance()[["nobs", "n_data", "n_failed", "df_kind"]]
           nobs  n_data  n_failed   df_kind
        0   500       3         0  matching
        """
        return make_frame(
            {
                "nobs": [self.n_obs],
                "n_clusters": [self.n_clusters],
                "npar": [self.n_params],
                "n_data": [len(self.fits)],
                "n_failed": [self.n_failed],
                "estimator": [self.settings.estimator],
                "se": [self.se_kind],
                "df_kind": [self.df_kind],
                "converged": [self.converged],
            }
        )

    def summary(
        self, level: float | None = None, *, auxiliary: bool = False
    ) -> Summary | MixedSummary:
        """The results in the layout of a fit's, with the fraction of missing information.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.
        auxiliary : bool, default False
            Adds the parameters of auxiliary variables.

        Returns
        -------
        Summary or MixedSummary
            Prints as text and shows as HTML in a notebook.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> print(pooled.summary().to_text().splitlines()[0])
        mlsem 0.1.0: 3 fits pooled by Rubin's rules
        """
        if self._mixed:
            from mlsem.results.pooled.summary import mixed_summary

            return mixed_summary(self, self._facts(), level)
        from mlsem.results.summary import summarise

        table = self.table
        columns = self._columns(0.95 if level is None else level)
        beside = () if auxiliary else table.auxiliary
        hidden = [row.exo or row.lhs in beside or row.rhs in beside for row in table.rows]
        hidden += [False] * len(table.definitions)
        titles = group_titles(table)
        return summarise(
            columns, hidden, table.level_labels, self._facts(), level is not None, None, titles
        )

    @property
    def _mixed(self) -> bool:
        """Whether `lmm` made the fits."""
        return self.used[0]._record.formula is not None

    def _facts(self) -> PooledFacts:
        from mlsem.results.pooled.summary import PooledFacts

        record = self.used[0]._record
        return PooledFacts(
            n_data=len(self.fits),
            n_used=len(self.used),
            outer=None if self.nested is None else len(set(self.nested)),
            origin=self.origin,
            sampling=sampling_pairs(self.settings, record),
            restricted=self.settings.estimator == "REML",
            n_params=self.n_params,
            n_obs=self.n_obs,
            cluster=record.cluster or record.robust.name,
            n_clusters=self.n_clusters,
            se=self.covariance.kind,
            form=self.used[0].covariance.form,
            df=self.df_kind,
            complete_df=self.complete_df,
            notes=self.notes,
        )

    def __repr__(self) -> str:
        return self._facts().brief

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    # --- the fits again -------------------------------------------------------------------------

    @shown(UpdateKeywords, default=UNCHANGED)
    def update(self, model: str | None = None, **options: Unpack[UpdateKeywords]) -> PooledResult:
        """Each fit changed (`FitResult.update`) and pooled again.

        Parameters
        ----------
        model : str, optional
            As for `FitResult.update`, of variables that the fits have. A model of others is fitted
            by `mlsem.fit_many`.
        **options
            As for `FitResult.update`.

        Returns
        -------
        PooledResult

        Raises
        ------
        DataError
            A variable is not among those of the fits.
        ModelSyntaxError, SpecificationError, OptionError, OptionValueError
            As for `FitResult.update`.
        EstimationError
            More than a fifth of the fits did not converge.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> full = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> simple = full.update("level: 1; y ~ x1; level: 2; y ~ 0*w1")
        >>> simple.n_params, full.lr_test(simple).df
        (4, 1)
        """
        if "data" in options:
            raise OptionValueError(
                "data=: these fits are of several data sets. mlsem.fit_many(model, data, …) fits "
                "another model or other data."
            )
        fits = [fit.update(model, **options) for fit in self.fits]
        return pool_fits(fits, self.df_kind, self.nested, self.complete_df, self.origin)

    # --- tests --------------------------------------------------------------------------------

    @shown()
    def with_se(
        self,
        kind: SeName,
        *,
        test: TestName | None = None,
        df: DfKind | None = None,
        information: InformationKind | None = None,
    ) -> PooledResult:
        """The same fits with other standard errors, pooled again; nothing is fitted.

        Parameters
        ----------
        kind : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "replicates", "none"}
        test : {"t", "z"}, optional
        df : {"satterthwaite", "kenward-roger"}, optional
        information : {"expected", "observed"}, optional
            As for `FitResult.with_se`.

        Returns
        -------
        PooledResult

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> round(float(pooled.with_se("CR2").df["y~w1.l2"]), 1)
        12.5
        """
        fits = [fit.with_se(kind, test=test, df=df, information=information) for fit in self.fits]
        return pool_fits(fits, self.df_kind, self.nested, self.complete_df, self.origin, again=True)

    def wald_test(
        self, constraints: object, *, rhs: object = None, method: WaldMethod = "D1"
    ) -> PooledTest:
        """Joint F test of constraints on the parameters.

        Parameters
        ----------
        constraints : str, list of str, array (q, npar) or DataFrame
            As for `FitResult.wald_test`; nonlinear ones by the delta method at the pooled
            estimates.
        rhs : array (q,) or float, optional
            What the rows of a matrix equal; 0 by default.
        method : {"D1", "D2"}, default "D1"
            "D1" pools covariances (Li, Raghunathan & Rubin, 1991), with the denominator of Reiter
            (2007) where the fits have degrees of freedom; of one constraint it is the t test,
            squared. "D2" pools each fit's χ² (Li, Meng, Raghunathan & Rubin, 1991) and is rougher.

        Returns
        -------
        PooledTest

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
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> round(pooled.wald_test("`y~x1`; `y~w1.l2`").statistic, 1)
        40.9
        """
        return pooled_wald(self, constraints, rhs, method)

    @quiet
    def lr_test(self, simple: PooledResult, *, method: RatioMethod | None = None) -> PooledTest:
        """Likelihood-ratio test against a simpler model of the same data sets.

        Parameters
        ----------
        simple : PooledResult
            A model nested in this one; both by maximum likelihood, unweighted, with model-based
            standard errors.
        method : {"D2", "D3", "D4"}, optional
            "D4", the default: the ratio of the mean log-likelihood at its own maxima (Chan & Meng,
            2022), clusters of different data sets kept apart. "D3": at the pooled estimates (Meng &
            Rubin, 1992). "D2": of each data set's ratio. A variance that the full model adds is
            tested as if it could be negative, which makes p values too large.

        Returns
        -------
        PooledTest

        Raises
        ------
        InferenceError
            The models are not nested or of the same data sets, or there is no such test; says why.
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> full = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> simple = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ 0*w1", sets, cluster="id")
        >>> found = full.lr_test(simple)
        >>> found.method, found.df, round(found.statistic, 2)
        ('D4', 1, 3.82)
        """
        if not isinstance(simple, PooledResult):
            raise OptionValueError(
                f"simple is a {type(simple).__name__}; it takes a PooledResult, the simpler model "
                "fitted to the same data sets."
            )
        return pooled_ratio(simple, self, method)

    # --- questions to mixed models ----------------------------------------------------------------

    @property
    def _recipes(self) -> tuple[Recipe, ...]:
        """Of each data set.

        Raises
        ------
        InferenceError
            The fits are not by `lmm`.
        """
        from mlsem.results.mixed.parts import recipe_of

        if not self._mixed:
            raise InferenceError(
                "marginal means, slopes and contrasts are of mixed models, and these fits are of a "
                'model by levels: fit_many("y ~ f + (1 | id)", …), or define what is asked in the '
                "model (:=)."
            )
        return tuple(recipe_of(fit._estimates) for fit in self.used)

    # --- what is no parameter -------------------------------------------------------------------

    def standardized(self, kind: StandardizedKind = "all", level: float = 0.95) -> pd.DataFrame:
        """Standardized parameters, each pooled by Rubin's rules: correlations as Fisher's z, the
        others as they are.

        Parameters
        ----------
        kind : {"all", "lv", "nox"}, default "all"
            As for `FitResult.standardized`.
        level : float, default 0.95
            Of the confidence intervals.

        Returns
        -------
        DataFrame
            The columns of `FitResult.standardized`, with `fmi`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> pooled.standardized()[["lhs", "op", "rhs", "est_std", "fmi"]].round(2).head(2)
          lhs  op rhs  est_std   fmi
        0   y   ~  x1     0.40  0.25
        1   y  ~~   y     0.84  0.25
        """
        from mlsem.results.pooled.numbers import standardized_frame

        return standardized_frame(self, kind, level)

    def icc(self, group: Hashable = None) -> Any:
        """Intraclass correlations, pooled as Fisher's z; the variances are means over fits.

        Parameters
        ----------
        group : str or number, optional
            A group by its label or number. Default: all.

        Returns
        -------
        Icc, or ByGroup of these

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> pooled.icc().frame[["between", "within", "icc"]].round(2)
           between  within   icc
        y     1.18    1.58  0.43
        """
        from mlsem.results.pooled.numbers import pooled_icc

        return self._by_group(group, lambda own: pooled_icc(self, own))

    def r_squared(self, level: float = 0.95, group: Hashable = None) -> Any:
        """R² of the endogenous variables, pooled as Fisher's z of R (Harel, 2009); parts of the
        variance of a mixed model are means over fits.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence limits.
        group : str or number, optional
            A group by its label or number. Default: all.

        Returns
        -------
        RSquared, or ByGroup of these

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> pooled.r_squared().frame[["variable", "level", "r2", "se"]].round(3)
          variable  level     r2     se
        0        y      1  0.157  0.034
        1        y      2  0.085  0.078
        """
        from mlsem.results.pooled.numbers import pooled_r_squared

        require_level(level)
        return self._by_group(group, lambda own: pooled_r_squared(self, own, level))

    def _by_group(self, group: Hashable, function: Callable[[Hashable], Any]) -> Any:
        if group is not None or not self.table.groups:
            return function(group)
        return ByGroup({each.label: function(each.label) for each in self.table.groups})

    def fit_measures(self) -> pd.Series:
        """Tests of fit and indices of model-based fits.

        χ² is df F of D2 (Li et al., 1991), of the model and of the baseline; its p value is that of
        F. CFI, TLI and RMSEA are those of these χ² (Enders & Mansolf, 2018), SRMR is the mean over
        fits. Log-likelihoods, AIC and BIC have no rule.

        Returns
        -------
        Series

        Raises
        ------
        InferenceError
            Standard errors are robust, or there is no saturated model.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("demo_twolevel")
        >>> sets = [data.assign(y1=data["y1"] + 0.1 * k * data["y2"] ** 2) for k in range(3)]
        >>> model = "level: 1; fw =~ y1 + y2 + y3 + y4; level: 2; fb =~ y1 + y2 + y3 + y4"
        >>> pooled = mlsem.fit_many(model, sets, cluster="cluster")
        >>> pooled.fit_measures().loc[["chisq", "df", "cfi"]].round(2)
        chisq    1.3
        df       4.0
        cfi      1.0
        Name: value, dtype: float64
        """
        from mlsem.results.pooled.numbers import pooled_measures

        found = pooled_measures(self.used)
        return make_series(list(found.values()), tuple(found), "value")


def pool_fits(
    given: object,
    df: PooledDf = "matching",
    nested: Iterable[Hashable] | None = None,
    complete_df: float | None = None,
    origin: tuple[tuple[str, str], ...] = (),
    *,
    again: bool = False,
) -> PooledResult:
    """What `mlsem.pool` returns; `again` says nothing that was said before."""
    require_df(df, complete_df)
    fits = require_fits(given)
    if isinstance(given, PooledResult):
        nested = given.nested if nested is None else nested
        origin = origin or given.origin
    labels = None if nested is None else tuple(nested)
    nests = read_nests(labels, fits)
    used = (
        tuple(fit for fit in fits if fit.converged) if again else converged_ones(fits, bool(nests))
    )
    require_alike(used)
    if not again:
        warn_of_sameness(used)
    values = np.array([fit.estimates for fit in used])
    covariance = pooled_covariance(values, [fit.covariance for fit in used], nests, df, complete_df)
    return PooledResult(
        fits=fits,
        covariance=covariance,
        df_kind=df,
        complete_df=complete_df,
        nested=labels,
        origin=origin,
        _estimates=estimates_of(used),
    )
