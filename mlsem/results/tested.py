"""`Tested`: named parameters with a covariance, each tested by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsem.arguments import chosen, require_level
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame, make_series, square_frame
from mlsem.inference.covariance.intervals import Wald, wald

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.model.table import ParameterTable


class Tested:
    """Estimates under their names, their standard errors and tests: of a fit, and of several that
    were pooled."""

    covariance: Covariance
    _estimates: Any  # of a search, or pooled

    @property
    def table(self) -> ParameterTable:
        """The parameter table of the model.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> len(fit.table.rows), fit.table.observed
        (14, ('y', 'x1', 'w1:x1', 'w1'))
        >>> fit.table.names[:3]
        ('y~x1', 'y~w1:x1', 'y~~y')
        """
        return self._estimates.table

    @property
    def estimates(self) -> Array:
        """Estimates of the free parameters, (npar,).

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.estimates.round(3)
        array([ 0.577,  0.302,  1.232,  0.366,  1.083, -0.02 ])
        """
        return self._estimates.params

    @property
    def params(self) -> pd.Series:
        """Estimates of the free parameters under lavaan's `coef()` names; those of auxiliary
        variables are the last ones.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.params.round(3)
        y~x1       0.577
        y~w1:x1    0.302
        y~~y       1.232
        y~w1.l2    0.366
        y~~y.l2    1.083
        y~1.l2    -0.020
        Name: est, dtype: float64
        """
        return make_series(self.estimates, self.table.names, "est")

    @property
    def bse(self) -> pd.Series:
        """Standard errors of the free parameters.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.with_se("CR2").bse.round(3)
        y~x1       0.104
        y~w1:x1    0.079
        y~~y       0.095
        y~w1.l2    0.125
        y~~y.l2    0.231
        y~1.l2     0.160
        Name: se, dtype: float64
        """
        return make_series(self.covariance.se, self.table.names, "se")

    @property
    def tvalues(self) -> pd.Series:
        """Wald statistics, as statsmodels names them.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.tvalues.round(2)
        y~x1       10.54
        y~w1:x1     5.21
        y~~y       15.00
        y~w1.l2     2.20
        y~~y.l2     4.48
        y~1.l2     -0.13
        Name: stat, dtype: float64
        """
        return make_series(self._wald(0.95).stat, self.table.names, "stat")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p values of the free parameters.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> round(float(fit.pvalues["y~w1.l2"]), 3)
        0.028
        """
        return make_series(self._wald(0.95).pvalue, self.table.names, "pvalue")

    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the estimates.

        Returns
        -------
        DataFrame
            npar rows and columns, named as `params`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> fit.vcov().shape
        (6, 6)
        >>> round(float(fit.vcov().loc["y~x1", "y~x1"] ** 0.5), 3), round(float(fit.bse["y~x1"]), 3)
        (0.055, 0.055)
        """
        return square_frame(self.covariance.matrix, self.table.names)

    def _limits(self, level: float, parameters: str | Iterable[str] | None) -> pd.DataFrame:
        """`lower` and `upper` of these parameters, or of all: estimate ± t se."""
        names = self.table.names
        places = list(range(len(names))) if parameters is None else chosen(names, parameters)
        found = self._wald(level)
        columns = {"lower": found.lower[places], "upper": found.upper[places]}
        return make_frame(columns, [names[k] for k in places])

    @quiet
    def _wald(self, level: float) -> Wald:
        require_level(level)
        return wald(self.estimates, self.covariance.se, self.covariance.df, level)


class Coefficients(Tested):
    """The same of what has t tests and Wald limits, and no profile of a likelihood."""

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
