"""`MixedResult`: a linear mixed model, with what users of lme4 and emmeans ask of one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Unpack, cast, get_args

from mlsem.arguments import require_level, require_seed, require_whole
from mlsem.data.table.frame import make_frame, make_series
from mlsem.errors import OptionValueError
from mlsem.estimation.keywords import UNCHANGED, MixedUpdateKeywords, shown
from mlsem.results.mixed.choices import (
    Effects,
    Interval,
    NewLevels,
    Prediction,
    RowKind,
    require_choice,
    require_flag,
    require_prediction,
)
from mlsem.results.mixed.questions import Questioned
from mlsem.results.mixed.source import Source
from mlsem.results.result import PROFILED, CiKind, FitResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlsem.data.design.remade import Recipe
    from mlsem.data.frames.records import AnyFrame
    from mlsem.results.generalized.effects import EffectKind, GlmEffects
    from mlsem.results.mixed.summary import MixedSummary
    from mlsem.results.mixed.tables import Scale
    from mlsem.results.mixed.varcorr import VarCorr
    from mlsem.results.mixed.variance_test import TestName as VarianceTestName
    from mlsem.results.mixed.variance_test import VarianceTest
    from mlsem.results.residuals import Kind as MomentKind

NOWHERE = Source()


@dataclass(frozen=True, eq=False, repr=False)
class MixedResult(Questioned, FitResult):
    """A linear mixed model, as `mlsem.lmm` fits it: a `FitResult` with lme4's summary, predictions
    of rows, and marginal means.

    `params`, `bse`, `tvalues`, `pvalues`, `conf_int()` and `vcov()` have the fixed effects in the
    order of the formula under lme4's names, then variances and covariances of the random effects,
    ``id.(Intercept)``, ``id.x1``, ``id.x1.(Intercept)``, and ``Residual``; nothing else.

    A fit keeps no rows of the data. `fitted`, `residuals`, `predict` and `simulate` take those of
    the data frame that it was fitted to, as long as that is there and the same; else they ask for
    ``data=``.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
    >>> fit.params.index.tolist()[:4]
    ['(Intercept)', 'w1', 'x1', 'w1:x1']
    """

    _source: Source = NOWHERE

    def __repr__(self) -> str:
        return super().__repr__().replace("<FitResult:", "<MixedResult:", 1)

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
        >>> mlsem.lmm("y ~ x1 + (1 | id)", data).fixef().round(3).to_dict()
        {'(Intercept)': -0.067, 'x1': 0.541}
        """
        from mlsem.results.mixed.parts import parts_of

        parts = parts_of(self._estimates)
        return make_series(parts.beta, parts.fixed, "est")

    def VarCorr(self) -> VarCorr:
        """Variances, standard deviations and correlations of the random effects, as lme4's.

        Returns
        -------
        VarCorr
            Prints as in lme4; `frame` has the columns grp, var1, var2, vcov and sdcor of R's
            ``as.data.frame``; `sigma` is the residual standard deviation.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> mlsem.lmm("y ~ x1 + (1 | id)", data).VarCorr().frame["grp"].tolist()
        ['id', 'Residual']
        """
        from mlsem.results.mixed.parts import parts_of
        from mlsem.results.mixed.varcorr import variances

        return variances(parts_of(self._estimates))

    def tidy(self, level: float = 0.95, scale: Scale = "sdcor") -> pd.DataFrame:
        """One row per parameter under the names of R's broom.mixed.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals.
        scale : {"sdcor", "vcov"}, default "sdcor"
            Standard deviations and correlations of random effects (terms ``sd__(Intercept)``,
            ``cor__(Intercept).x1``, ``sd__Observation``), or variances and covariances (``var__``
            and ``cov__``), which are those of `params`.

        Returns
        -------
        DataFrame
            effect ("fixed", "ran_pars"), group, term, estimate, std.error, statistic, df, p.value,
            conf.low, conf.high; in the order of `params`. Limits of a standard deviation are the
            roots of those of its variance, those of a correlation are Fisher's.

        Raises
        ------
        OptionValueError
            A value that an argument cannot take.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> mlsem.lmm("y ~ x1 + (1 | id)", data).tidy()["term"].tolist()
        ['(Intercept)', 'x1', 'sd__(Intercept)', 'sd__Observation']
        """
        from mlsem.results.mixed import tables
        from mlsem.results.mixed.parts import parts_of

        require_level(level)
        require_choice("scale", scale, get_args(tables.Scale), none=False)
        fit, covariance = self._estimates, self.covariance
        return make_frame(tables.tidy_columns(fit, (parts_of(fit),), covariance, level, scale))

    def summary(  # type: ignore[override]
        self,
        level: float | None = None,
        ci: CiKind = "wald",
        *,
        fit_measures: bool = False,
        standardized: bool = False,
        rsquare: bool = False,
        auxiliary: bool = False,
        correlation: bool = False,
    ) -> MixedSummary:
        """The results in the layout of lme4 and lmerTest: random effects with standard deviations
        and correlations, then fixed effects in the order of the formula with their tests.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.
        ci : {"wald", "profile"}, default "wald"
            As for `conf_int`; "profile" adds the limits without `level=` too, at 0.95.
        fit_measures : bool, default False
            Adds tests of fit and indices, which fits by maximum likelihood have.
        standardized : bool, default False
            Adds the columns Std.lv and Std.all of the fixed effects, the values of `standardized`.
        rsquare : bool, default False
            Adds marginal and conditional R², and that of each level.
        auxiliary : bool, default False
            A mixed model has no auxiliary variables: nothing.
        correlation : bool, default False
            Adds the correlations of the estimated fixed effects.

        Returns
        -------
        MixedSummary
            Prints as text and shows as HTML in a notebook; `to_text(digits)`, `to_html(digits)`.

        Raises
        ------
        InferenceError
            What was asked for does not exist: says why.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> "Random effects:" in fit.summary(level=0.95).to_text(digits=2)
        True
        """
        from mlsem.results.mixed.summarise import Wanted, summarise

        facts = self._facts()
        if ci == "profile":
            facts = replace(facts, notes=(*facts.notes, PROFILED))
        wanted = Wanted(
            level=0.95 if level is None else level,
            limits=level is not None or ci != "wald",
            ci=ci,
            measures=fit_measures,
            standardized=standardized,
            rsquare=rsquare,
            correlation=correlation,
        )
        return summarise(self, facts, wanted)

    @shown(MixedUpdateKeywords, default=UNCHANGED)
    def update(  # type: ignore[override]
        self,
        model: str | None = None,
        *,
        data: object = None,
        **options: Unpack[MixedUpdateKeywords],
    ) -> MixedResult:
        """Fit a changed formula, with the options of this fit where they are not changed.

        Parameters
        ----------
        model : str, optional
            A formula; or ``"+ x2"``, which is added; or as R's ``update`` has it,
            ``". ~ . - x2"``, where each point is that side of the formula. Default: the same.
        data : DataFrame, optional
            Default: for the same formula what the fit knows of its rows, for another one its data
            frame, if that is still there and the same.
        **options
            As for `mlsem.lmm`, with ``REML``; `missing` and `se_cluster` only with `data`.

        Returns
        -------
        MixedResult

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
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> smaller = fit.update(". ~ . - w1:x1", REML=False)
        >>> mlsem.lr_test(smaller, fit.update(REML=False)).df
        1
        """
        assert self._recipe is not None
        return cast("MixedResult", self._recipe.refit(self, model, data, {**options}))

    # --- rows -----------------------------------------------------------------------------------

    def predict(
        self,
        data: AnyFrame | None = None,
        level: int | str = 1,
        *,
        random: bool = True,
        se: bool = False,
        interval: Interval | None = None,
        confidence: float = 0.95,
        new_levels: NewLevels = "error",
    ) -> pd.DataFrame:
        """Expected outcomes of rows, with standard errors and intervals, as lme4's ``predict``.

        With the effects of its cluster a row has xᵀβ̂ + zᵀb̂_j, without them xᵀβ̂. The terms of the
        formula are made as in the fit: `scale`, `poly`, `ns` with its means and knots, factors with
        its levels.

        Parameters
        ----------
        data : DataFrame, optional
            Rows with the columns of the formula; the outcome may be absent, and without
            ``random`` the column of the clusters, too. Default: those of the fit, if its data frame
            is still there.
        level : int or str, default 1
            2: the effects of clusters, as `FitResult.predict`; the arguments below are of level 1.
        random : bool, default True
            With the effects of the clusters; False is lme4's ``re.form = ~0``.
        se : bool, default False
            Adds a column `_se`, the root of the mean squared error of prediction, for what is known
            of β and b together (Henderson, 1975): equation in `mlsem.results.mixed.predict`. The
            variances are taken as known.
        interval : {"confidence", "prediction"}, optional
            Adds `_lower` and `_upper`, of the expectation, or of a new outcome: then with σ², and
            without ``random`` the variance between clusters, too. Of xᵀβ they are t intervals with
            the degrees of freedom of the fit, all others normal ones.
        confidence : float, default 0.95
            Of the intervals.
        new_levels : {"error", "population"}, default "error"
            What becomes of rows of clusters that the fit has not seen: an error, or the expectation
            of any cluster (b = 0), whose error then has the whole variance between clusters.

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
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> fit.predict(data.head(3), se=True, interval="prediction").columns.tolist()
        ['y', 'y_se', 'y_lower', 'y_upper']
        >>> new = data.head(2).assign(id=1000)
        >>> len(fit.predict(new, new_levels="population"))
        2
        """
        asked = Prediction(random, se, interval, confidence, new_levels)
        require_prediction(asked)
        require_level(confidence)
        if self.table.level_number(level) == 2:
            return super().predict(data, level)
        from mlsem.results.mixed import predict as rows

        rows.require_converged(self._estimates)
        frame = self._rows(data, "predict")
        found = rows.predict(self._estimates, self.covariance, frame, asked)
        return self._source.returned(found, data)

    def fitted(self, data: AnyFrame | None = None, *, random: bool = True) -> pd.Series:
        """Expectations of the rows of the fit, as R's ``fitted``.

        Parameters
        ----------
        data : DataFrame, optional
            The data of the fit. Default: its data frame, if that is still there and the same.
        random : bool, default True
            With the effects of the clusters.

        Returns
        -------
        Series
            With the index of the data; NaN in rows that the fit left out.

        Raises
        ------
        InferenceError, DataError
            As `predict`; the data frame is gone, or has changed.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> bool(abs(fit.fitted() + fit.residuals() - data["y"]).max() < 1e-10)
        True
        """
        from mlsem.results.mixed import predict as rows

        require_flag("random", random)
        rows.require_converged(self._estimates)
        found = rows.fitted(self._estimates, self._rows(data, "fitted"), random=random)
        return self._source.returned(found, data)

    def residuals(  # type: ignore[override]
        self,
        kind: RowKind | MomentKind = "response",
        level: int | str | None = None,
        group: object = None,
        *,
        data: AnyFrame | None = None,
    ) -> Any:
        """Residuals of rows, as R's ``residuals``.

        Parameters
        ----------
        kind : {"response", "pearson", "marginal"}, default "response"
            y - Xβ̂ - Zb̂; the same over σ̂ (as in nlme; lme4 divides with ``scaled = TRUE``); or
            y - Xβ̂. The kinds of `FitResult.residuals` ("raw", …) are those of moments.
        level : int or str, optional
            Of residuals of moments: as for `FitResult.residuals`.
        group : str or number, optional
            Of residuals of moments; an `lmm` has one group.
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
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> len(fit.residuals("pearson"))
        500
        """
        from mlsem.results import residuals
        from mlsem.results.mixed import predict as rows

        of_moments = get_args(residuals.Kind)
        if kind in of_moments:
            if data is not None:
                raise OptionValueError(f"data=: residuals of kind {kind!r} are of moments.")
            return super().residuals(cast("MomentKind", kind), level, cast("Any", group))
        require_choice("kind", kind, (*get_args(RowKind), *of_moments), none=False)
        if level is not None or group is not None:
            raise OptionValueError(f"level= and group=: residuals of kind {kind!r} are of rows.")
        rows.require_converged(self._estimates)
        frame = self._rows(data, "residuals")
        found = rows.row_residuals(self._estimates, frame, cast("RowKind", kind))
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

        y = Xβ̂ + Zb + ε with ε ~ N(0, σ̂²I), and b ~ N(0, Ψ̂) new of every cluster, or b = b̂.

        Parameters
        ----------
        n : int, default 1
            How many data sets.
        seed : int, optional
        data : DataFrame, optional
            Rows with the covariates and clusters. Default: those of the fit, if its data frame is
            still there and the same.
        effects : {"new", "predicted"}, default "new"
            Whether clusters are drawn anew, or are those of the fit (lme4's ``use.u = TRUE``).

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
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> fit.simulate(2, seed=1).shape
        (500, 2)
        """
        from mlsem.results.mixed import predict as rows

        require_whole("n", n, 1)
        require_seed(seed)
        require_choice("effects", effects, get_args(Effects), none=False)
        rows.require_converged(self._estimates)
        frame = self._rows(data, "simulate")
        found = rows.simulate(self._estimates, frame, n, seed, effects)
        return self._source.returned(found, data)

    def effects(  # type: ignore[override]
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
        standardisation.

        The expectations xᵀβ̂ of all rows are averaged as they would be at each value; a difference
        also stands in standard deviations of the outcome given x (`standardized`), which both the
        random effects and the residuals have, with the delta method's standard error. Without
        interactions a difference is the coefficient, with its degrees of freedom.

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
        >>> data["treated"] = (data["w1"] > 0).astype(int)
        >>> fit = mlsem.lmm("y ~ treated*x1 + (1 | id)", data, se="CR2")
        >>> fit.effects("treated").frame[["effect", "estimate", "se", "df"]].round(2)
                 effect  estimate    se     df
        0          mean     -0.48  0.19  25.00
        1          mean      0.33  0.25  23.00
        2    difference      0.81  0.31  47.68
        3  standardized      0.53  0.21  38.85
        """
        from mlsem.results.mixed.effects import mixed_effects, refuse_two
        from mlsem.results.mixed.parts import parts_of

        refuse_two(data)
        frame, levels = self._rows(data, "effects"), (parts_of(self._estimates),)
        return mixed_effects(self, levels, variable, kind, values, by, frame, level)

    def variance_test(
        self,
        by: str | list[str] | None = None,
        test: VarianceTestName = "LR",
        *,
        data: AnyFrame | None = None,
    ) -> VarianceTest:
        """Test whether residuals have one variance.

        Parameters
        ----------
        by : str or list of str, optional
            Columns whose groups, or cells of groups, are compared. Default: of "LR" those of
            ``residual=`` of the fit, of "BP" and "Levene" the fixed effects of the formula, of "H"
            the clusters.
        test : {"LR", "BP", "Levene", "H"}, default "LR"
            The fit with residual variances by group against that with one, both by the estimator of
            this fit; squared conditional residuals (Breusch & Pagan), or absolute ones (Levene),
            as outcomes of the mixed model, by likelihood ratio; or variances of the clusters'
            own regressions (Raudenbush & Bryk's H; clusters with 10 or more degrees of freedom).
        data : DataFrame, optional
            The data of the fit. Default: its data frame, if that is still there and the same.

        Returns
        -------
        VarianceTest
            Prints as text; `frame` is a data frame with one row.

        Raises
        ------
        InferenceError, DataError
            The fit did not converge, has weights, or its data are gone; too few clusters for H.
        OptionValueError
            There is no such test, or nothing to compare.

        Notes
        -----
        With ``residual=`` in the fit "BP" and "Levene" take the residuals in units of σ_g, and say
        whether their variances still differ. Formulas: `mlsem.results.mixed.variance_test`.

        References
        ----------
        Breusch & Pagan (1979), Econometrica 47, 1287. Levene (1960), in Contributions to
        Probability and Statistics, 278. Raudenbush & Bryk (2002), Hierarchical Linear Models, 2nd
        ed., 263. Huang, Wiedermann & Zhang (2023), Multivariate Behavioral Research 58, 637.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ x1 + (1 | id)", data)
        >>> fit.variance_test(test="BP").df
        1
        """
        from mlsem.results.mixed.variance_test import variance_test

        return variance_test(self, by, test, data)

    @property
    def _residual_columns(self) -> tuple[str, ...]:
        """By which residual variances differ."""
        from mlsem.results.mixed.parts import classes_of

        classes = classes_of(self._estimates)
        return () if classes is None else classes.columns

    def _rows(self, data: object, what: str, *others: str) -> pd.DataFrame:
        named = (*self._columns_named, *self._residual_columns, *others)
        return self._source.rows(self._estimates, data, what, *named)

    # --- marginal means -------------------------------------------------------------------------

    @property
    def _recipes(self) -> tuple[Recipe, ...]:
        from mlsem.results.mixed.parts import recipe_of

        return (recipe_of(self._estimates),)


def mixed_result(fit: FitResult, source: Source) -> MixedResult:
    """A fit of a formula, and where its rows came from."""
    own = {field.name: getattr(fit, field.name) for field in fields(FitResult)}
    return MixedResult(**own, _source=source)
