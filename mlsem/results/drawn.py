"""`Drawn`: the figures of a fit; `Plotted`: those that pooled fits have, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mlsem.data.frames.taking import any_frame
from mlsem.errors import OptionValueError
from mlsem.results.levels import up_to_two_levels
from mlsem.results.moderated import Moderated

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from mlsem.data.frames.records import AnyFrame
    from mlsem.report.diagram.result import Diagram, Layout
    from mlsem.report.figures.style import Figure
    from mlsem.results.result import FitResult
    from mlsem.results.standardized import Kind as StandardizedKind
    from mlsem.results.summary_table.records import AnyFit


class Plotted:
    """What has coefficients that can be drawn: a fit, or several fits as one."""

    def plot_coefficients(
        self,
        *others: AnyFit,
        parameters: str | Iterable[str] | None = None,
        level: float = 0.95,
        labels: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """Coefficients with their intervals, those of other fits beside them.

        Parameters
        ----------
        *others : FitResult or PooledResult
            Other fits, or the same one with other standard errors (`with_se`).
        parameters : str or iterable of str, optional
            Names as in `params`, or ``"~"``, ``"=~"``, ``"~~"``, ``"~1"``, ``":="`` for all of a
            kind. Default: regression coefficients, or loadings where there are none.
        level : float, default 0.95
            Of the intervals: estimate ± t (or z) times standard error, with each one's degrees of
            freedom.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.
        names : sequence of str, optional
            Of the fits, for the legend. Default: their standard errors, or 1, 2, …
        figure : Figure, optional
            An empty one to draw in.

        Returns
        -------
        Figure
            Save it with ``figure.savefig("coefficients.png")``; a notebook shows it.

        Raises
        ------
        OptionValueError
            There is no such parameter, what is given is no fit, or the names do not fit.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> model = "level: 1\\n y ~ x1 + w1:x1\\nlevel: 2\\n y ~ w1"
        >>> fit = mlsem.fit(model, data, cluster="id")
        >>> figure = fit.plot_coefficients(fit.with_se("CR2"), labels={"y": "Achievement"})
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['standard', 'CR2']
        """
        from mlsem.results.coefficients import plot_coefficients

        fits = named_fits((self, *others), names)
        return plot_coefficients(fits, parameters, level, labels, figure)


class Pathed:
    """What has a path diagram: a fit of a structural equation model, or several fits as one."""

    def diagram(
        self,
        standardized: bool | StandardizedKind = False,
        labels: Mapping[str, str] | None = None,
        digits: int = 2,
        significance: float = 0.05,
        *,
        stars: bool = False,
        intercepts: bool = False,
        variances: bool = True,
        covariances: bool = True,
        level: int | str | None = None,
        group: Hashable = None,
        layout: Layout = "auto",
    ) -> Diagram:
        """The path diagram of the model with its estimates, the between level above the within.

        Rectangles are observed variables, ellipses latent ones; at the between level the cluster
        parts of variables that are measured within are latent, too, as in Mplus' diagrams. A dot at
        a variable within says that its intercept varies between clusters, one on an arrow that
        its slope does; the slope is a variable of the between level, its mean in brackets. Loops
        are (residual) variances. Moments of fixed covariates are not drawn.

        Parameters
        ----------
        standardized : bool or {"all", "lv", "nox"}, default False
            The values of `standardized` in place of the estimates.
        labels : mapping of str to str, optional
            What is written in place of names. Products take those of their factors.
        digits : int, default 2
            Decimals.
        significance : float, default 0.05
            Arrows whose p value is above this are dashed. Variances are never: a Wald test of a
            variance is none.
        stars : bool, default False
            Adds ``*`` (p < .05), ``**`` (p < .01), ``***`` (p < .001) to what is no variance.
        intercepts : bool, default False
            Adds means and intercepts, in brackets.
        variances, covariances : bool, default True
            Whether these are drawn.
        level : int or str, optional
            One level, by number or label. Default: both.
        group : str or number, optional
            One group, by label or number. Default: all, one below the other.
        layout : {"auto", "graphviz", "built-in"}, default "auto"
            Who places the nodes: graphviz where its program `dot` is installed, or the built-in
            layout, which needs nothing and is the same everywhere.

        Returns
        -------
        Diagram
            Drawn in a notebook; `save("model.svg")` (or .png, .pdf, .dot) writes a file, `svg` is
            its text, `figure()` a matplotlib figure. Printed, it says the paths in words.

        Raises
        ------
        OptionValueError
            A value that an argument cannot take.
        InferenceError
            Standardized values were asked for, and there are none.
        InterfaceError
            ``layout="graphviz"`` without graphviz.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ x1 + w1 + (1 | id)", data)
        >>> print(fit.diagram(labels={"x1": "Hours"}, layout="built-in", level=1))
        Within:
        Hours predicts y: 0.54.
        y has a (residual) variance: 1.31.
        Dots at variables: their intercepts vary between clusters. Loops: (residual) variances.
        """
        from mlsem.results.diagram import diagram, estimated, options_of

        fit = cast("AnyFit", self)
        chosen = options_of(labels, digits, significance, stars, intercepts, variances, covariances)
        if standardized is False:
            frame = fit.parameter_estimates()
        else:
            frame = fit.standardized("all" if standardized is True else standardized)
        converged = fit._estimates.converged
        found = estimated(fit.table, frame, standardized is not False, converged)
        return diagram(fit.table, found, chosen, level, group, layout)


class Drawn(Plotted, Pathed, Moderated):
    """What a fit draws. Every figure is matplotlib's; a notebook shows it where it is the value of
    a cell, ``figure.savefig("name.pdf")`` writes it."""

    @property
    def _fit(self) -> FitResult:
        return cast("FitResult", self)

    @up_to_two_levels("mlsem.lmm draws those of one outcome in three levels")
    def plot_random_effects(
        self,
        effects: str | Iterable[str] | None = None,
        *,
        level: float = 0.95,
        group: Hashable = None,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """The random effects of all clusters, sorted, with their intervals (a caterpillar plot).

        Parameters
        ----------
        effects : str or iterable of str, optional
            Columns of `random_effects()`. Default: all, a panel each.
        level : float, default 0.95
            Of the intervals: posterior mean ± normal quantile times posterior standard deviation,
            given the estimates. Intervals of two clusters that overlap say nothing of their
            difference.
        group : str or number, optional
            A group by its label or number. Default: all.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.
        figure : Figure, optional
            An empty one to draw in.

        Returns
        -------
        Figure

        Raises
        ------
        InferenceError
            The model has one level, or did not converge.
        OptionValueError
            There is no such effect.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> figure = fit.plot_random_effects(labels={"x1": "Hours of reading"})
        >>> [ax.get_title(loc="left") for ax in figure.axes]
        ['intercept of y', 'slope of Hours of reading']
        """
        from mlsem.results.effect_figure import plot_random_effects

        return plot_random_effects(self._fit, effects, level, group, labels, figure)

    @up_to_two_levels("fit two levels to look at single rows")
    @any_frame
    def plot_residuals(
        self,
        data: AnyFrame | None = None,
        *,
        outcomes: str | Iterable[str] | None = None,
        level: float = 0.95,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """Residuals of both levels: over the fitted values, and against normal quantiles.

        Those of a row are what is left of its outcome when what `predict` expects of it, its
        cluster's effects included, is taken off; those of a cluster its random effects. Grey is
        where a normal sample of that size lies, as a whole and not value by value (Aldor-Noiman
        et al., 2013); values outside are red, and the furthest have the names of their row or
        cluster.

        Parameters
        ----------
        data : DataFrame, optional
            The rows of the fit, which it does not keep. Default: clusters alone.
        outcomes : str or iterable of str, optional
            Whose residuals of rows. Default: of all outcomes of level 1.
        level : float, default 0.95
            Of the envelope.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"y": "Achievement"}``.
        figure : Figure, optional
            An empty one to draw in.

        Returns
        -------
        Figure

        Raises
        ------
        InferenceError
            The fit did not converge, or has no residuals without ``data=``.
        OptionValueError
            There is no such outcome.

        Notes
        -----
        A random effect is divided by the standard deviation of its prediction, √(T - P_j) with P_j
        its posterior variance (Lange & Ryan, 1989), so that clusters of different sizes are alike;
        residuals of rows by their own.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> figure = fit.plot_residuals(data, labels={"y": "achievement"})
        >>> len(figure.axes)
        4
        """
        from mlsem.results.residual_figure import plot_residuals

        return plot_residuals(self._fit, data, outcomes, level, labels, figure)

    def plot_profile(
        self,
        parameters: str | Iterable[str] | None = None,
        *,
        level: float = 0.95,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """The profile likelihood of variances, with its limits and Wald's beside them.

        At the left the signed root of 2 [max ℓ_R - ℓ_R(c)] / q, the quantity that
        ``conf_int(ci="profile")`` has its limits from; a straight line if the estimate were
        normal. At the right the likelihood itself, relative to the highest.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Variances, named as in `params`. Default: all.
        level : float, default 0.95
            Of the intervals.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.
        figure : Figure, optional
            An empty one to draw in.

        Returns
        -------
        Figure

        Raises
        ------
        InferenceError
            There are no profile intervals of this fit; says why.
        OptionValueError
            A parameter is no variance.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> figure = fit.plot_profile("id.x1", labels={"x1": "Hours of reading"})
        """
        from mlsem.inference.profile.curve import plot_profile

        return plot_profile(self._fit._estimates, parameters, level, labels, figure)


def named_fits(fits: Iterable[object], names: object = None) -> dict[str, AnyFit]:
    """Fits by their names; by default the kinds of standard errors, where they tell them apart.

    Raises
    ------
    OptionValueError
        One is no fit, or the names do not fit.
    """
    given: list[AnyFit] = []
    for k, fit in enumerate(fits, 1):
        if not isinstance(fit, Plotted):
            raise OptionValueError(
                f"fit {k} is a {type(fit).__name__}; it takes a FitResult or a PooledResult."
            )
        given.append(cast("AnyFit", fit))
    if not given:
        raise OptionValueError("there is no fit to draw: plot_coefficients([fit1, fit2]).")
    if names is None:
        called = [fit.se_kind for fit in given]
        if len(set(called)) < len(called):
            called = [str(number) for number in range(1, len(given) + 1)]
    else:
        called = [names] if isinstance(names, str) else [str(n) for n in cast("Any", names)]
    if len(called) != len(given) or len(set(called)) < len(called):
        raise OptionValueError(
            f"names={called!r}: it takes a name for each of the {len(given)} fits, all different."
        )
    return dict(zip(called, given, strict=True))
