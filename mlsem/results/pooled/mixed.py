"""`PooledMixedResult`: several fits of a linear mixed model as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from mlsem.arguments import require_level
from mlsem.data.table.frame import make_frame, make_series
from mlsem.results.mixed.choices import (
    Interval,
    NewLevels,
    Prediction,
    require_choice,
    require_prediction,
)
from mlsem.results.mixed.questions import Questioned
from mlsem.results.mixed.result import MixedResult
from mlsem.results.pooled.gathered import require_same_rows
from mlsem.results.pooled.result import REASONS, PooledResult
from mlsem.results.pooled.standardised import Standardising

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.data.design.remade import Recipe
    from mlsem.data.frames.records import AnyFrame
    from mlsem.results.mixed.parts import MixedParts
    from mlsem.results.mixed.summary import MixedSummary
    from mlsem.results.mixed.tables import Scale
    from mlsem.results.mixed.varcorr import VarCorr

OWN = {"marginal_means", "marginal_slopes", "contrast", "predict"}


class MixedTables(Questioned, Standardising):
    """lme4's tables of pooled fits, and marginal means."""

    @property
    def _levels(self) -> tuple[MixedParts, ...]:
        """The pooled estimates by what they are, at each level of clusters."""
        raise NotImplementedError

    def fixef(self) -> pd.Series:
        """The pooled fixed effects in the order of the formula, as lme4's ``fixef``.

        Returns
        -------
        Series

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> mlsem.fit_many("y ~ x1 + (1 | id)", sets).fixef().round(3).to_dict()
        {'(Intercept)': 0.024, 'x1': 0.52}
        """
        parts = self._levels[0]
        return make_series(parts.beta, parts.fixed, "est")

    def VarCorr(self) -> VarCorr:
        """Variances and covariances of the random effects, the means over data sets; standard
        deviations and correlations are those of these.

        Returns
        -------
        VarCorr

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> mlsem.fit_many("y ~ x1 + (1 | id)", sets).VarCorr().frame["sdcor"].round(2).tolist()
        [1.1, 1.15]
        """
        from mlsem.results.mixed.varcorr import variances

        return variances(*self._levels)

    def tidy(self, level: float = 0.95, scale: Scale = "sdcor") -> pd.DataFrame:
        """One row per parameter under the names of R's broom.mixed, with `riv` and `fmi`.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals.
        scale : {"sdcor", "vcov"}, default "sdcor"
            As for `MixedResult.tidy`. `riv` and `fmi` are those of variances and covariances.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> mlsem.fit_many("y ~ x1 + (1 | id)", sets).tidy()[["term", "riv"]].round(2).head(2)
                  term   riv
        0  (Intercept)  0.41
        1           x1  0.19
        """
        from mlsem.results.mixed import tables

        require_level(level)
        require_choice("scale", scale, get_args(tables.Scale), none=False)
        own = self._estimates
        columns = tables.tidy_columns(own, self._levels, self.covariance, level, scale)
        riv, fmi = self._of_parameters
        return make_frame(columns | {"riv": riv, "fmi": fmi})

    def summary(  # type: ignore[override]
        self, level: float | None = None
    ) -> MixedSummary:
        """The results in the layout of lme4's, with the fraction of missing information.

        Parameters
        ----------
        level : float, optional
            Adds confidence limits at this level.

        Returns
        -------
        MixedSummary
            Prints as text and shows as HTML in a notebook.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> text = mlsem.fit_many("y ~ x1 + (1 | id)", sets).summary().to_text()
        >>> print(text.splitlines()[0])
        mlsem 0.1.0: 3 fits pooled by Rubin's rules
        """
        from mlsem.results.pooled.summary import mixed_summary

        return mixed_summary(self, self._facts(), level)


@dataclass(frozen=True, eq=False, repr=False)
class PooledMixedResult(MixedTables, PooledResult):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Several fits of a linear mixed model, pooled by Rubin's rules: a `PooledResult` with lme4's
    tables, and marginal means.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
    >>> pooled = mlsem.fit_many("y ~ w1*x1 + (1 | id)", sets)
    >>> pooled
    <PooledMixedResult: 6 parameters, 3 data sets of 500 rows, 50 clusters, se standard;
    print(pooled.summary())>
    >>> pooled.params.index.tolist()[:4]
    ['(Intercept)', 'w1', 'x1', 'w1:x1']
    """

    _of = MixedResult
    _reasons: ClassVar = {
        **{name: reason for name, reason in REASONS.items() if name not in OWN},
        "fitted": "predict() has the expectations of rows, pooled",
        "variance_test": "tests of residual variances have no rule by which they are pooled",
    }

    def predict(
        self,
        data: AnyFrame | None = None,
        *,
        random: bool = True,
        se: bool = False,
        interval: Interval | None = None,
        confidence: float = 0.95,
        new_levels: NewLevels = "error",
    ) -> pd.DataFrame:
        """Expected outcomes of rows, pooled by Rubin's rules row by row.

        Parameters
        ----------
        data : DataFrame, optional
            Rows with the columns of the formula, as for `MixedResult.predict`. Default: those of
            each data set, if its data frame is still there.
        random : bool, default True
            With the effects of the clusters.
        se : bool, default False
            Adds a column `_se`, what is not known in each data set and what they differ by.
        interval : {"confidence", "prediction"}, optional
            Adds `_lower` and `_upper`, of the expectation, or of a new outcome: t intervals with
            the pooled degrees of freedom.
        confidence : float, default 0.95
            Of the intervals.
        new_levels : {"error", "population"}, default "error"
            As for `MixedResult.predict`.

        Returns
        -------
        DataFrame
            As of `MixedResult.predict`.

        Raises
        ------
        InferenceError, DataError, SpecificationError, OptionValueError
            As for `MixedResult.predict`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> sets = [data.assign(y=data["y"] + 0.1 * k * data["x1"] ** 2) for k in range(3)]
        >>> pooled = mlsem.fit_many("y ~ x1 + (1 | id)", sets)
        >>> pooled.predict(data.head(2), se=True).round(2)
              y  y_se
        0 -0.70  0.35
        1 -1.57  0.37
        """
        from mlsem.results.mixed import predict as rows
        from mlsem.results.pooled.numbers import pooled_expectations

        asked = Prediction(random, se, interval, confidence, new_levels)
        require_prediction(asked)
        require_level(confidence)
        frames = [fit._rows(data, "predict") for fit in self.used]
        require_same_rows(frames, self._estimates.record.cluster)
        each = [
            rows.expected(fit._estimates, fit.covariance, frame, asked)
            for fit, frame in zip(self.used, frames, strict=True)
        ]
        found = pooled_expectations(self, each, asked, frames[0].index)
        return self.used[0]._source.returned(found, data)

    @property
    def _levels(self) -> tuple[MixedParts, ...]:
        from mlsem.results.mixed.parts import parts_of

        own: Any = self._estimates
        return (parts_of(own),)

    @property
    def _recipes(self) -> tuple[Recipe, ...]:
        """Of each data set."""
        from mlsem.results.mixed.parts import recipe_of

        return tuple(recipe_of(fit._estimates) for fit in self.used)
