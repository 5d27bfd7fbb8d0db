"""`PooledNestedResult`: several fits of a linear mixed model of three levels as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np

from mlsem.core.records import frozen
from mlsem.data.table.frame import make_frame
from mlsem.errors import OptionValueError
from mlsem.estimation.keywords import UNCHANGED, MixedUpdateKeywords, shown
from mlsem.other_programs.answering import reasons
from mlsem.results.nested.parts import levels_of
from mlsem.results.nested.result import NestedResult
from mlsem.results.pooled.common import OF_ROWS
from mlsem.results.pooled.gathered import Alike, PooledEstimates
from mlsem.results.pooled.mixed import MixedTables
from mlsem.results.pooled.numbers import pooled_predictions

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.optimise.objective import InformationKind
    from mlsem.data.design.remade import Recipe
    from mlsem.estimation.settings import DfKind, TestName
    from mlsem.estimation.standard_errors import SeName
    from mlsem.results.mixed.parts import MixedParts
    from mlsem.results.pooled.summary import Pairs

REASONS = reasons(
    {
        "log-likelihoods of several data sets have no rule; test parameters by wald_test": (
            "loglik aic bic"
        ),
        OF_ROWS: "predict fitted residuals",
        "it is of one data set, and need not be the same in all": (
            "cluster_diagnostics simulate singular n_iterations"
        ),
        "df has the pooled degrees of freedom, df_kind the rule": "df_method",
        "of three levels it has no rule; VarCorr() has the variances": "icc r_squared",
        "n_clusters has the outer clusters, which are the same in all": "n_groups",
    }
)


@dataclass(frozen=True, eq=False, repr=False)
class PooledNestedResult(MixedTables):
    """Several fits of a linear mixed model of three levels, pooled by Rubin's rules.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["district"] = data["id"] // 5
    >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
    >>> pooled = mlsem.pool([mlsem.lmm("y ~ x1 + (1 | district/id)", each) for each in sets])
    >>> pooled
    <PooledNestedResult: 5 parameters, 3 data sets of 500 rows, 11 clusters, se standard;
    print(pooled.summary())>
    >>> pooled.VarCorr().frame["grp"].tolist()
    ['id:district', 'district', 'Residual']
    """

    _of = NestedResult
    _reasons = REASONS

    @classmethod
    def _alike(cls, fit: NestedResult) -> Alike:
        return (
            ("estimators", fit.settings.estimator),
            ("standard errors", fit.se_kind),
            ("degrees of freedom", fit.df_method),
        )

    @classmethod
    def _estimated(cls, fits: tuple[NestedResult, ...]) -> PooledEstimates:
        mean = frozen(np.mean([fit.estimates for fit in fits], axis=0))
        places = [row.free for row in fits[0].table.rows]
        return PooledEstimates(tuple(fit._estimates for fit in fits), mean, mean[places])

    @property
    def _glanced(self) -> dict[str, list[Any]]:
        return {"estimator": [self.settings.estimator]}

    @property
    def _said(self) -> tuple[Pairs, str | None, Pairs]:
        model = (("Estimator", "REML" if self.settings.estimator == "REML" else "ML"),)
        return model, self.used[0]._estimates.data.upper.name, ()

    @property
    def _levels(self) -> tuple[MixedParts, ...]:
        """Means over data sets."""
        every = zip(*(levels_of(fit._estimates) for fit in self.used), strict=True)
        return tuple(
            replace(
                each[0],
                beta=np.mean([parts.beta for parts in each], axis=0),
                psi=np.mean([parts.psi for parts in each], axis=0),
                sigma2=np.mean([parts.sigma2 for parts in each], axis=0),
            )
            for each in every
        )

    @property
    def _recipes(self) -> tuple[Recipe, ...]:
        """Of each data set."""
        return tuple(recipe for fit in self.used for recipe in fit._recipes)

    # --- tables ---------------------------------------------------------------------------------

    def parameter_estimates(self, level: float = 0.95) -> pd.DataFrame:
        """All parameters in the rows of `NestedResult.parameter_estimates`, with `riv` and `fmi`.

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
        >>> data["district"] = data["id"] // 5
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.lmm("y ~ x1 + (1 | district/id)", each) for each in sets])
        >>> pooled.parameter_estimates()[["lhs", "op", "rhs", "level", "est"]].round(1)
          lhs  op rhs  level  est
        0   y   ~  x1      1  0.6
        1   y  ~~   y      1  1.2
        2   y  ~~   y      2  1.0
        3   y  ~1          3 -0.1
        4   y  ~~   y      3  0.0
        """
        return make_frame(self._columns(level))

    def random_effects(self, level: str | int) -> pd.DataFrame:
        """Predictions of the random effects of a level, pooled by Rubin's rules.

        Parameters
        ----------
        level : str or int
            As for `NestedResult.random_effects`.

        Returns
        -------
        DataFrame

        Raises
        ------
        OptionValueError
            No such level.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["district"] = data["id"] // 5
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.lmm("y ~ x1 + (1 | district/id)", each) for each in sets])
        >>> pooled.random_effects("id").shape
        (50, 2)
        """
        return pooled_predictions(self, [fit.random_effects(level) for fit in self.used])

    # --- the fits again -------------------------------------------------------------------------

    @shown(MixedUpdateKeywords, default=UNCHANGED)
    def update(self, model: str | None = None, **options: Unpack[MixedUpdateKeywords]) -> Self:
        """Each fit changed (`NestedResult.update`) and pooled again.

        Parameters
        ----------
        model : str, optional
            As for `NestedResult.update`; still of three levels.
        **options
            As for `NestedResult.update`.

        Returns
        -------
        PooledNestedResult

        Raises
        ------
        SpecificationError, DataError, InferenceError, OptionError, OptionValueError
            As for `NestedResult.update`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["district"] = data["id"] // 5
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.lmm("y ~ x1 + (1 | district/id)", each) for each in sets])
        >>> pooled.update("+ w1").fixef().index.tolist()
        ['(Intercept)', 'x1', 'w1']
        """
        if "data" in options:
            raise OptionValueError(
                "data=: these fits are of several data sets. Fit each by mlsem.lmm, and pool them "
                "by mlsem.pool."
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
        kind : {"standard", "MLR", "CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3", "none"}
        test : {"t", "z"}, optional
        df : {"satterthwaite", "kenward-roger"}, optional
        information : {"expected", "observed"}, optional
            As for `NestedResult.with_se`.

        Returns
        -------
        PooledNestedResult

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["district"] = data["id"] // 5
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> pooled = mlsem.pool([mlsem.lmm("y ~ x1 + (1 | district/id)", each) for each in sets])
        >>> pooled.with_se("CR2").se_kind
        'CR2'
        """
        how: Any = {"test": test, "df": df, "information": information}
        return self._again((fit.with_se(kind, **how) for fit in self.fits), same=True)
