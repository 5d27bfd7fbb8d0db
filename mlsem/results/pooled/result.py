"""`PooledResult`: fits of a structural equation model as one, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame, make_series
from mlsem.errors import OptionValueError
from mlsem.estimation.keywords import UNCHANGED, UpdateKeywords, shown
from mlsem.other_programs.answering import reasons
from mlsem.results.drawn import Pathed, Plotted
from mlsem.results.groups import ByGroup, group_titles
from mlsem.results.moderated import Moderated
from mlsem.results.pooled.common import OF_ROWS, Pooled
from mlsem.results.pooled.gathered import Alike, PooledModels, sampled
from mlsem.results.pooled.joint import PooledTest, RatioMethod, pooled_ratio
from mlsem.results.result import FitResult
from mlsem.results.tables import tidy_columns, without_auxiliary
from mlsem.results.weights import sampling_pairs

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Iterable, Mapping

    import pandas as pd

    from mlsem.core.optimise.objective import InformationKind
    from mlsem.estimation.settings import DfKind, TestName
    from mlsem.estimation.standard_errors import SeName
    from mlsem.inference.effects.result import Effects
    from mlsem.results.group_comparison import GroupComparison
    from mlsem.results.pooled.summary import Pairs
    from mlsem.results.report.pooled import PooledSection
    from mlsem.results.report.result import Report
    from mlsem.results.standardized import Kind as StandardizedKind
    from mlsem.results.summary import Summary

BY_LEVELS = (
    'it is of mixed models, and these fits are of a model by levels: fit_many("y ~ f + (1 | id)", '
    "…), or define what is asked in the model (:=)"
)
REASONS = reasons(
    {
        "log-likelihoods of several data sets have no rule; lr_test compares two models": (
            "loglik aic bic"
        ),
        OF_ROWS: (
            "predict fitted predict_latent row_residuals cluster_residuals plot_residuals scores"
        ),
        "it is what one data set leaves unexplained; fit_measures() has SRMR, the mean over fits": (
            "residuals"
        ),
        "random_effects() has the pooled numbers": "plot_random_effects",
        "score tests have no rule by which they are pooled; fit the larger model to all data sets "
        "and test the parameter (wald_test), or compare the two (lr_test)": (
            "modification_indices score_test"
        ),
        "it is drawn or refitted from one data set; with_se(…) pools other standard errors": (
            "bootstrap compare_se"
        ),
        "it is of one data set, and need not be the same in all": (
            "cluster_diagnostics simulate plot_profile singular n_iterations starts replicates "
            "se_forms inspect implied h1 baseline information"
        ),
        "factors are aligned in one data set": "align",
        "df has the pooled degrees of freedom, df_kind the rule": "df_method",
        "scalings are compared in one data set": "weight_scalings",
        BY_LEVELS: "marginal_means marginal_slopes contrast",
    }
)


@dataclass(frozen=True, eq=False, repr=False)
class PooledResult(Plotted, Pathed, Moderated, Pooled[FitResult]):
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

    _of = FitResult
    _reasons = REASONS
    _estimates: PooledModels

    @classmethod
    def _alike(cls, fit: FitResult) -> Alike:
        return (
            ("estimators", fit.settings.estimator),
            ("standard errors", fit.se_kind),
            ("degrees of freedom", fit.df_method),
            ("sampling weights", sampled(fit)),
        )

    @classmethod
    def _estimated(cls, fits: tuple[FitResult, ...]) -> PooledModels:
        return PooledModels.of(fits)

    @property
    def _glanced(self) -> dict[str, list[Any]]:
        return {"estimator": [self.settings.estimator]}

    @property
    def _said(self) -> tuple[Pairs, str | None, Pairs]:
        record, restricted = self._estimates.record, self.settings.estimator == "REML"
        model = (
            ("Estimator", "REML" if restricted else "ML"),
            ("Number of model parameters", str(self.n_params)),
        )
        sampling = sampling_pairs(self.settings, record)
        return model, record.units or record.cluster or record.robust.name, sampling

    # --- tables -------------------------------------------------------------------------------

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
        columns = without_auxiliary(self._columns(level), self.table)
        tidied = tidy_columns(columns, grouped=bool(self.table.groups))
        return make_frame(tidied | {name: columns[name] for name in ("riv", "fmi")})

    def summary(self, level: float | None = None, *, auxiliary: bool = False) -> Summary:
        """The results in the layout of a fit's, with the fraction of missing information.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.
        auxiliary : bool, default False
            Adds the parameters of auxiliary variables.

        Returns
        -------
        Summary
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

    # --- the fits again -------------------------------------------------------------------------

    @shown(UpdateKeywords, default=UNCHANGED)
    def update(self, model: str | None = None, **options: Unpack[UpdateKeywords]) -> Self:
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
        return self._again(fit.update(model, **options) for fit in self.fits)

    @shown()
    def with_se(
        self,
        kind: SeName,
        *,
        test: TestName | None = None,
        df: DfKind | None = None,
        information: InformationKind | None = None,
    ) -> Self:
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
        how: Any = {"test": test, "df": df, "information": information}
        return self._again((fit.with_se(kind, **how) for fit in self.fits), same=True)

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

    # --- what is no parameter -------------------------------------------------------------------

    def standardized(self, kind: StandardizedKind = "all", level: float = 0.95) -> pd.DataFrame:
        """Standardized parameters, each pooled by Rubin's rules: correlations as Fisher's z
        (van Buuren, 2018, section 5.2.2), the others as they are.

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

        References
        ----------
        van Buuren (2018), Flexible Imputation of Missing Data, 2nd ed. van Ginkel (2020),
        Psychometrika 85, 185-205, of standardized regression coefficients.

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
        """Intraclass correlations, pooled as Fisher's z = artanh ρ as other correlations are
        (van Buuren, 2018, section 5.2.2); the variances are means over fits.

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
        """R² of the endogenous variables, pooled as Fisher's z of R (Harel, 2009, Journal of
        Applied Statistics 36, 1109-1118); parts of the variance of a mixed model are means over
        fits.

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

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        title: str | None = None,
        labels: Mapping[str, str] | None = None,
        overwrite: bool = False,
        sections: Iterable[PooledSection] | None = None,
    ) -> Report:
        """A report of the pooled fits: one HTML file that needs no network.

        Model, data sets, pooled estimates with figures, what each parameter lost by missing values
        and whether the data sets are enough, fit, notes, and what it was made with.

        Parameters
        ----------
        path : str or path, optional
            Where it is written, ``"report.html"``. Default: nowhere.
        title : str, optional
        labels : mapping of str to str, optional
            Words for names of variables: ``{"x1": "income"}``.
        overwrite : bool, default False
            Whether a file that is there is replaced.
        sections : iterable of str, optional
            Some of "overview", "model", "data", "estimates", "imputations", "fit", "notes",
            "session". Default: all.

        Returns
        -------
        Report
            Shows in a notebook; `html` is the page, `save` writes it.

        Raises
        ------
        OptionValueError
            A value that an argument cannot take.
        MlsemError
            The file is there already, or cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> page = pooled.report(sections=["model", "imputations"])
        >>> page.html.startswith("<!DOCTYPE html>")
        True
        """
        from mlsem.results.report.pooled import make_pooled_report

        return make_pooled_report(
            self, path, title=title, labels=labels, overwrite=overwrite, sections=sections
        )

    def effects(
        self,
        outcome: str,
        predictor: str,
        *,
        confidence: float = 0.95,
        ci: Literal["delta", "monte carlo"] = "delta",
        draws: int = 20_000,
        seed: int | None = None,
        group: Hashable | list[Hashable] = None,
    ) -> Effects:
        """Direct, indirect and total effects of one variable on another, level by level: functions
        of the pooled estimates, as a defined parameter is.

        Parameters
        ----------
        outcome, predictor : str
            Variables of the model, observed or latent.
        confidence : float, default 0.95
            Of the intervals.
        ci : {"delta", "monte carlo"}, default "delta"
            By the delta method with the pooled degrees of freedom, or quantiles of draws from the
            distribution of the pooled estimates, as for `FitResult.effects`.
        draws : int, default 20000
        seed : int, optional
            Of the draws.
        group : str or number, optional
            A group by its label or number, or a list of these. Default: all.

        Returns
        -------
        Effects

        Raises
        ------
        InferenceError, OptionValueError
            As for `FitResult.effects`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("y ~ x1 + w1; w1 ~ x1", sets)
        >>> pooled.effects("y", "x1").frame[["effect", "est", "se"]].round(3)
                  effect    est     se
        0         direct  0.591  0.078
        1       indirect  0.001  0.015
        2  x1 -> w1 -> y  0.001  0.015
        3          total  0.592  0.079
        """
        from mlsem.inference.effects.run import effects

        if ci not in ("delta", "monte carlo"):
            raise OptionValueError(
                f'ci={ci!r}: of pooled fits it takes "delta" or "monte carlo". A bootstrap is of '
                "one data set, fits[k].effects(…)."
            )
        return effects(
            self._estimates,
            self.covariance,
            outcome,
            predictor,
            confidence=confidence,
            ci=ci,
            draws=draws,
            seed=seed,
            group=group,
        )

    def reliability(self, level: float = 0.95, group: Hashable = None) -> Any:
        """Reliability of composites, of cluster means and of factor scores, each pooled by Rubin's
        rules on the logit scale, on which `FitResult.reliability` has its intervals.

        Parameters
        ----------
        level : float, default 0.95
            Of the confidence limits.
        group : str or number, optional
            A group by its label or number. Default: all.

        Returns
        -------
        Reliability, or ByGroup of these

        Raises
        ------
        InferenceError
            As for `FitResult.reliability`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("demo_twolevel")
        >>> sets = [data.assign(y1=data["y1"] + 0.1 * k * data["y2"] ** 2) for k in range(3)]
        >>> model = "level: 1; fw =~ y1 + y2 + y3; level: 2; fb =~ y1 + y2 + y3"
        >>> pooled = mlsem.fit_many(model, sets, cluster="cluster")
        >>> found = pooled.reliability().frame
        >>> found.loc[found["measure"] == "omega", ["composite", "est", "se"]].round(2)
              composite   est    se
        0        within  0.66  0.02
        1       between  0.78  0.03
        2  latent means  0.93  0.01
        3           raw  0.76  0.02
        """
        from mlsem.results.pooled.numbers import pooled_reliability

        require_level(level)
        return self._by_group(group, lambda own: pooled_reliability(self, own, level))

    def random_effects(self) -> pd.DataFrame:
        """Predictions of the random effects and level-2 latent variables of clusters, pooled by
        Rubin's rules; the columns `_se` have posterior standard deviations of each data set and
        what they differ by.

        Returns
        -------
        DataFrame
            As of `FitResult.random_effects`.

        Raises
        ------
        InferenceError
            The model has one level.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("level: 1; y ~ x1; level: 2; y ~ w1", sets, cluster="id")
        >>> pooled.random_effects().head(2).round(2)
              y  y_se
        1 -0.30  0.35
        2 -0.18  0.34
        """
        from mlsem.results.pooled.numbers import pooled_predictions

        return pooled_predictions(self, [fit.random_effects() for fit in self.used])

    def compare_groups(
        self,
        parameter: str | Iterable[str] | Mapping[Any, str],
        *,
        reference: object = None,
        level: float = 0.95,
    ) -> GroupComparison:
        """A parameter in each group and its differences between groups, with the pooled standard
        errors and degrees of freedom; that all are equal is tested by D1.

        Parameters
        ----------
        parameter : str, iterable of str, or mapping of group to str
            As for `FitResult.compare_groups`.
        reference : hashable, optional
            A group that the others are compared with. Default: all pairs.
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        GroupComparison

        Raises
        ------
        InferenceError, OptionValueError
            As for `FitResult.compare_groups`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["half"] = data["id"].mod(2).map({0: "even", 1: "odd"})
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("y ~ x1", sets, group="half")
        >>> pooled.compare_groups("y~x1").frame[["group1", "group2", "diff", "se"]].round(2)
          group1 group2  diff    se
        0   even    odd -0.02  0.17
        """
        from mlsem.results.group_comparison import compare_groups

        return compare_groups(self._estimates, self.covariance, parameter, reference, level)

    def fit_measures(self) -> pd.Series:
        """Tests of fit and indices of model-based fits.

        χ² is df F of D2, of the model and of the baseline; its p value is that of F. CFI, TLI and
        RMSEA are those of these χ², SRMR is the mean over fits. Log-likelihoods, AIC and BIC have
        no rule.

        Returns
        -------
        Series

        Raises
        ------
        InferenceError
            Standard errors are robust, or there is no saturated model.

        References
        ----------
        Li, Meng, Raghunathan & Rubin (1991), Statistica Sinica 1, 65-92. Enders & Mansolf (2018),
        Psychological Methods 23, 76-93.

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
