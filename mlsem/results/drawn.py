"""`Drawn`: the figures of a fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from mlsem.errors import OptionValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import pandas as pd

    from mlsem.estimation.estimates import GroupEstimates
    from mlsem.inference.slopes.result import PlotKind, SimpleSlopes
    from mlsem.report.diagram.result import Diagram, Layout
    from mlsem.report.figures.style import Figure
    from mlsem.results.result import FitResult
    from mlsem.results.standardized import Kind as StandardizedKind

    Values = float | str | Sequence[float] | Sequence[str]


class Drawn:
    """What a fit draws. Every figure is matplotlib's; a notebook shows it where it is the value of
    a cell, ``figure.savefig("name.pdf")`` writes it."""

    @property
    def _fit(self) -> FitResult:
        return cast("FitResult", self)

    def plot_coefficients(
        self,
        *others: FitResult,
        parameters: str | Iterable[str] | None = None,
        level: float = 0.95,
        labels: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """Coefficients with their intervals, those of other fits beside them.

        Parameters
        ----------
        *others : FitResult
            Other fits, or the same one with other standard errors (`with_se`).
        parameters : str or iterable of str, optional
            Names as in `params`, or ``"~"``, ``"=~"``, ``"~~"``, ``"~1"``, ``":="`` for all of a
            kind. Default: regression coefficients, or loadings where there are none.
        level : float
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

        fits = named_fits((self._fit, *others), names)
        return plot_coefficients(fits, parameters, level, labels, figure)

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
        level : float
            Of the intervals: posterior mean ± normal quantile times posterior standard deviation,
            given the estimates. Intervals of two clusters that overlap say nothing of their
            difference.
        group : optional
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

    def simple_slopes(
        self,
        predictor: str,
        moderator: str | Sequence[str],
        at: Values | Mapping[str, Values] | None = None,
        *,
        outcome: str | None = None,
        level: float = 0.95,
        simultaneous: bool = False,
        model_level: int | str | None = None,
        data: pd.DataFrame | None = None,
        group: Hashable = None,
    ) -> Any:
        """The slope of a predictor at values of its moderator, with tests; and the values at which
        it is told from 0 (Johnson & Neyman, 1936).

        With E(y) = … + b₁ x + b₂ w + b₃ x w the slope of x is b₁ + b₃ w, of variance
        V₁₁ + 2 w V₁₃ + w² V₃₃. Products may be of variables of one level or across levels
        (``w:x``), of a variable with itself (its own moderator), or of three variables; a slope
        that varies between clusters and depends on w is as good. The slope is the direct effect
        in the equation of the outcome: what other variables pass on is not in it (`effects` has
        that).

        Parameters
        ----------
        predictor : str
        moderator : str or list of two str
            With two the slope is shown for each value of one at each of the other.
        at : number, list, or mapping of variable to these, optional
            Values of the moderator, and of other variables that the slope depends on, which are
            held at their means otherwise. Default: mean - SD, mean and mean + SD; both values of
            a variable that has two; the levels of a factor. Variables that ``center=`` centred
            count from that mean.
        outcome : str, optional
            Needed where several have such an effect.
        level : float
            Of the intervals.
        simultaneous : bool
            Whether intervals, p values and regions hold for all values of the moderators at once,
            by the joint test of all these slopes: F with the fit's degrees of freedom (Scheffé,
            1953; Potthoff, 1964), HTZ with CR2, χ² with z tests.
        model_level : int or str, optional
            1 or 2, where a variable with a part at both levels has such an effect at both.
        data : DataFrame, optional
            Rows of the fit, for the means and ranges of variables that its moments do not tell.
        group : optional
            A group by its label or number. Default: all.

        Returns
        -------
        SimpleSlopes
            Prints as text; `frame` is a data frame, `johnson_neyman` has the regions and their
            `bounds`, `plot()` is a figure. Of several groups a mapping of these by the groups'
            labels.

        Raises
        ------
        InferenceError
            The fit did not converge; the predictor's effect does not depend on the moderator; or
            the mean of a variable is not known without ``data=``.
        OptionValueError
            There is no such variable, or a value that an argument cannot take.

        References
        ----------
        Aiken & West (1991), Multiple Regression. Bauer & Curran (2005), Multivariate Behavioral
        Research 40, 373-400. Potthoff (1964), Psychometrika 29, 241-256.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id", se="CR2")
        >>> slopes = fit.simple_slopes("x1", "w1", at=[-1, 0, 1])
        >>> slopes.frame[["w1", "slope", "ci_lower", "ci_upper"]].round(2)
           w1  slope  ci_lower  ci_upper
        0  -1   0.27      0.07      0.48
        1   0   0.58      0.37      0.79
        2   1   0.88      0.54      1.22
        >>> [round(bound, 2) for bound in slopes.johnson_neyman.bounds]
        [-3.91, -1.18]
        """
        from mlsem.inference.slopes.asked import read_asked
        from mlsem.inference.slopes.run import simple_slopes
        from mlsem.results.grouped_rows import rows_of_groups
        from mlsem.results.groups import by_group

        fit = self._fit
        number = None if model_level is None else fit.table.level_number(model_level)
        asked = read_asked(predictor, moderator, at, outcome, number, data)
        rows: Mapping[int, Any] = {}
        if data is not None and fit.table.groups:
            rows = rows_of_groups(fit._estimates, data)

        def of_group(part: GroupEstimates) -> SimpleSlopes:
            own = replace(asked, data=rows.get(part.number)) if fit.table.groups else asked
            return simple_slopes(part, fit.covariance, own, level, simultaneous=simultaneous)

        return by_group(fit._estimates, group, of_group)

    def plot_interaction(
        self,
        predictor: str,
        moderator: str | Sequence[str],
        kind: PlotKind = "lines",
        at: Values | Mapping[str, Values] | None = None,
        *,
        outcome: str | None = None,
        level: float = 0.95,
        simultaneous: bool = False,
        model_level: int | str | None = None,
        data: pd.DataFrame | None = None,
        group: Hashable = None,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """How the effect of a predictor depends on a moderator.

        Parameters
        ----------
        predictor : str
        moderator : str or list of two str
            With two there is a panel for each value of the second.
        kind : {"lines", "johnson-neyman"}
            Expected values of the outcome over the predictor, a line for each value of the
            moderator, all other variables at their means; or the slope of the predictor over the
            moderator, shaded where its interval excludes 0.
        at, outcome, level, simultaneous, model_level, group
            As for `simple_slopes`; simultaneous bands of lines hold for all points of all lines.
        data : DataFrame, optional
            Rows of the fit: lines are then drawn over the values that there are. Otherwise they
            are where the moments of the fit tell them (variables of clusters, data without
            clusters, variables of two values), and over the mean ± 2 standard deviations of
            other variables.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.
        figure : Figure, optional
            An empty one to draw in.

        Returns
        -------
        Figure
            With a panel for each group.

        Raises
        ------
        InferenceError, OptionValueError
            As for `simple_slopes`.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> labels = {"x1": "Hours of reading", "w1": "Class size", "y": "achievement"}
        >>> figure = fit.plot_interaction("x1", "w1", labels=labels)
        >>> figure = fit.plot_interaction("x1", "w1", "johnson-neyman", labels=labels)
        """
        from mlsem.inference.slopes.figures import plot_slopes
        from mlsem.results.groups import ByGroup

        found = self.simple_slopes(
            predictor,
            moderator,
            at,
            outcome=outcome,
            level=level,
            simultaneous=simultaneous,
            model_level=model_level,
            data=data,
            group=group,
        )
        grouped = isinstance(found, ByGroup)
        panels = {str(key): each for key, each in found.items()} if grouped else {"": found}
        return plot_slopes(panels, kind, labels, figure)

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
        standardized : bool or {"all", "lv", "nox"}
            The values of `standardized` in place of the estimates.
        labels : mapping of str to str, optional
            What is written in place of names. Products take those of their factors.
        digits : int
            Decimals.
        significance : float
            Arrows whose p value is above this are dashed. Variances are never: a Wald test of a
            variance is none.
        stars : bool
            Adds ``*`` (p < .05), ``**`` (p < .01), ``***`` (p < .001).
        intercepts : bool
            Adds means and intercepts, in brackets.
        variances, covariances : bool
            Whether these are drawn.
        level : int or str, optional
            One level, by number or label. Default: both.
        group : optional
            One group, by label or number. Default: all, one below the other.
        layout : {"auto", "graphviz", "built-in"}
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

        chosen = options_of(labels, digits, significance, stars, intercepts, variances, covariances)
        if standardized is False:
            frame = self._fit.parameter_estimates()
        else:
            frame = self._fit.standardized("all" if standardized is True else standardized)
        found = estimated(self._fit.table, frame, standardized is not False, self._fit.converged)
        return diagram(self._fit.table, found, chosen, level, group, layout)


def named_fits(fits: Iterable[object], names: object = None) -> dict[str, FitResult]:
    """Fits by their names; by default the kinds of standard errors, where they tell them apart.

    Raises
    ------
    OptionValueError
        One is no fit, or the names do not fit.
    """
    given: list[FitResult] = []
    for k, fit in enumerate(fits, 1):
        if not isinstance(fit, Drawn):
            raise OptionValueError(f"fit {k} is a {type(fit).__name__}; it takes a FitResult.")
        given.append(fit._fit)
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
