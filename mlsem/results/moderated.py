"""`Moderated`: what a fit says of effects that depend on other variables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from mlsem.data.frames.taking import any_frame
from mlsem.errors import OptionValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from mlsem.data.frames.records import AnyFrame
    from mlsem.inference.estimated import GroupEstimated
    from mlsem.inference.slopes.figures import PlotKind
    from mlsem.inference.slopes.result import SimpleSlopes
    from mlsem.report.figures.style import Figure
    from mlsem.results.summary_table.records import AnyFit

    Values = float | str | Sequence[float] | Sequence[str]


class Moderated:
    """Simple slopes of a fit, or of several fits as one, and their figures."""

    @any_frame
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
        data: AnyFrame | None = None,
        group: Hashable = None,
    ) -> Any:
        """The slope of a predictor at values of its moderator, with tests; and the values at which
        it is told from 0 (Johnson & Neyman, 1936).

        With E(y) = … + b₁ x + b₂ w + b₃ x w the slope of x is b₁ + b₃ w, of variance
        V₁₁ + 2 w V₁₃ + w² V₃₃. Products may be of variables of one level or across levels
        (``w:x``), of a variable with itself (its own moderator), or of three variables; a slope
        that varies between clusters and depends on w is as good. The slope is the direct effect
        in the equation of the outcome: what other variables pass on is not in it (`effects` has
        that). Of pooled fits it is the slope at the pooled estimates, by Rubin's rules, with means
        and standard deviations of the variables averaged over data sets.

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
        level : float, default 0.95
            Of the intervals.
        simultaneous : bool, default False
            Whether intervals, p values and regions hold for all values of the moderators at once,
            by the joint test of all these slopes: F with the fit's degrees of freedom (Scheffé,
            1953; Potthoff, 1964), HTZ with CR2, χ² with z tests.
        model_level : int or str, optional
            1 or 2, where a variable with a part at both levels has such an effect at both.
        data : DataFrame, optional
            Rows of the fit, for ranges and shares of variables that its moments do not tell; not of
            pooled fits.
        group : str or number, optional
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
            The fit did not converge, or the predictor's effect does not depend on the moderator.
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
        >>> model = "level: 1\\n y ~ x1 + w1:x1\\nlevel: 2\\n y ~ w1"
        >>> fit = mlsem.fit(model, data, cluster="id", se="CR2")
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

        fit = cast("AnyFit", self)
        estimates: Any = fit._estimates
        if data is not None and len(estimates.groups[0].each) > 1:
            raise OptionValueError(
                "data=: these are fits to several data sets, of which none is that of all. Say in "
                "at= which values of the moderator are looked at."
            )
        number = None if model_level is None else fit.table.level_number(model_level)
        asked = read_asked(predictor, moderator, at, outcome, number, data)
        rows: Mapping[int, Any] = {}
        if data is not None and fit.table.groups:
            rows = rows_of_groups(estimates, data)

        def of_group(part: GroupEstimated) -> SimpleSlopes:
            own = replace(asked, data=rows.get(part.number)) if fit.table.groups else asked
            return simple_slopes(part, fit.covariance, own, level, simultaneous=simultaneous)

        return by_group(estimates, group, of_group)

    @any_frame
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
        data: AnyFrame | None = None,
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
        kind : {"lines", "johnson-neyman"}, default "lines"
            Expected values of the outcome over the predictor, a line for each value of the
            moderator, all other variables at their means; or the slope of the predictor over the
            moderator, shaded where its interval excludes 0.
        at : number, list, or mapping of variable to these, optional
            Values of the moderator, as for `simple_slopes`.
        outcome : str, optional
            Needed where several have such an effect.
        level : float, default 0.95
            Of the intervals.
        simultaneous : bool, default False
            Whether intervals hold at once: bands of lines for all points of all lines.
        model_level : int or str, optional
            1 or 2, where a variable with a part at both levels has such an effect at both.
        group : str or number, optional
            A group by its label or number. Default: all, a panel each.
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
