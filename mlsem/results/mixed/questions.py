"""`Questioned`: what a mixed model's fit is asked about expected outcomes; several as one, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mlsem.results.mixed.asking import Mixed
    from mlsem.results.mixed.grid import Weights
    from mlsem.results.mixed.means import Contrasts, MarginalMeans
    from mlsem.results.mixed.multiplicity import Adjust

Setting = Mapping[str, Any]


class Questioned:
    """Marginal means, slopes and contrasts of what has `_recipes`, those of its data sets."""

    @property
    def _asked(self) -> Mixed:
        return cast("Mixed", self)

    def marginal_means(
        self,
        variables: str | Iterable[str],
        by: str | Iterable[str] | None = None,
        at: Setting | None = None,
        weights: Weights = "equal",
        *,
        level: float = 0.95,
    ) -> MarginalMeans:
        """Estimated marginal means (least-squares means), as the R package emmeans has them.

        Averages of expectations over a grid of all levels of the factors, at the means of the
        covariates (each value of one that takes two). Standard errors, degrees of freedom and
        limits are those of the fit: Satterthwaite's, Kenward and Roger's, or of CR2. Of pooled fits
        it is lᵀβ̄ by Rubin's rules, with l the mean over data sets: covariates are held at their
        mean in each.

        Parameters
        ----------
        variables : str or iterable of str
            Columns of the data: ``"f"``, ``["f", "g"]`` or ``"f*g"``.
        by : str or iterable of str, optional
            Columns within whose values means are compared, by `MarginalMeans.pairs`.
        at : mapping of str to values, optional
            Values of columns, in place of their levels or mean: ``{"x1": [-1, 0, 1]}``.
        weights : {"equal", "proportional"}, default "equal"
            How levels count that are averaged over: equally, or as many as the data have.
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        MarginalMeans
            Prints as a table; `frame` is a data frame, `pairs()` has all differences.

        Raises
        ------
        InferenceError
            The fit did not converge; or pooled fits are not by `lmm`, or of other levels.
        OptionValueError
            A column or level that there is not.

        References
        ----------
        Searle, Speed & Milliken (1980), The American Statistician 34, 216-221. Lenth (2016),
        Journal of Statistical Software 69, 1.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["size"] = ["small" if each < 0 else "large" for each in data["w1"]]
        >>> fit = mlsem.lmm("y ~ size*x1 + (x1 | id)", data)
        >>> fit.marginal_means("size").frame["size"].tolist()
        ['large', 'small']
        >>> means = fit.marginal_means("size", at={"x1": [-1, 1]}, by="x1")
        """
        from mlsem.results.mixed.asking import marginal

        return marginal(self._asked, variables, by, at, weights, level=level)

    def marginal_slopes(
        self,
        slope: str,
        variables: str | Iterable[str] | None = None,
        by: str | Iterable[str] | None = None,
        at: Setting | None = None,
        weights: Weights = "equal",
        *,
        level: float = 0.95,
    ) -> MarginalMeans:
        """Slopes of a covariate at the levels of other columns, as emmeans' ``emtrends``.

        Averages of the derivatives of the expectation by a column, over the grid of
        `marginal_means`; of ``poly(x, 2)`` or ``log(x)`` at the mean of x, unless `at` says where.

        Parameters
        ----------
        slope : str
            A column of numbers.
        variables : str or iterable of str, optional
            Columns, as for `marginal_means`. Default: there is one slope.
        by : str or iterable of str, optional
            Columns within whose values slopes are compared.
        at : mapping of str to values, optional
            Values of columns, in place of their levels or mean.
        weights : {"equal", "proportional"}, default "equal"
            How levels count that are averaged over.
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        MarginalMeans

        Raises
        ------
        InferenceError, OptionValueError
            As for `marginal_means`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["size"] = ["small" if each < 0 else "large" for each in data["w1"]]
        >>> fit = mlsem.lmm("y ~ size*x1 + (x1 | id)", data)
        >>> fit.marginal_slopes("x1", "size").pairs().frame["contrast"].tolist()
        ['large - small']
        """
        from mlsem.results.mixed.asking import marginal

        return marginal(self._asked, variables, by, at, weights, level=level, slope=slope)

    def contrast(
        self,
        what: str | Setting | Iterable[str],
        versus: Setting | None = None,
        *,
        at: Setting | None = None,
        weights: Weights = "equal",
        adjust: Adjust | None = None,
        level: float = 0.95,
    ) -> Contrasts:
        """Differences between expected outcomes at two settings of the covariates.

        Parameters
        ----------
        what : str, mapping, or iterable of str
            ``"x = 1 - x = 0"``, or several of these: columns of the data and their values, on each
            side as many as are wanted, with commas: ``"f = b, x = 2 - f = a, x = 2"``. A value with
            blanks stands in quotes, such a name in backticks. Or a mapping, compared with `versus`.
        versus : mapping, optional
            The other setting: ``contrast({"x": 1}, {"x": 0})``.
        at : mapping of str to values, optional
            Values of columns that a setting does not name.
        weights : {"equal", "proportional"}, default "equal"
            How levels of other columns count that are averaged over.
        adjust : {"holm", "bonferroni", "sidak"}, optional
            How p values and limits allow for there being several. Default: not at all.
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        Contrasts
            Prints as a table; `frame` is a data frame.

        Raises
        ------
        InferenceError
            The fit did not converge.
        OptionValueError
            What cannot be read, or a column or level that there is not.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> found = fit.contrast(["x1 = 1, w1 = 1 - x1 = 0, w1 = 1", "x1 = 1 - x1 = 0"])
        >>> found.frame["contrast"].tolist()
        ['x1 = 1, w1 = 1 - x1 = 0, w1 = 1', 'x1 = 1 - x1 = 0']
        """
        from mlsem.results.mixed.asking import contrasts

        return contrasts(self._asked, what, versus, at, weights, adjust=adjust, level=level)
