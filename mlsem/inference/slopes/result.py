"""`SimpleSlopes` and `JohnsonNeyman`, for display."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame
from mlsem.inference.covariance.intervals import Wald
from mlsem.inference.slopes import grid
from mlsem.inference.slopes.equation import Source
from mlsem.inference.slopes.grid import Chosen, Curve
from mlsem.inference.slopes.interaction import Interaction
from mlsem.inference.slopes.regions import Region
from mlsem.inference.slopes.words import point_words, short
from mlsem.report import sheet
from mlsem.report.cells import format_df, format_number, format_pvalue, percent
from mlsem.report.labels import Labels

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.inference.slopes.figures import PlotKind
    from mlsem.report.figures.style import Figure

FIELDS = {
    "slope": "est",
    "se": "se",
    "stat": "stat",
    "df": "df",
    "pvalue": "pvalue",
    "ci_lower": "lower",
    "ci_upper": "upper",
}


@dataclass(frozen=True, eq=False, repr=False)
class JohnsonNeyman(sheet.Shown):
    """Values of a moderator at which a slope is told from 0; prints as text.

    Attributes
    ----------
    outcome, predictor, moderator : str
    level : float

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.simple_slopes("x1", "w1").johnson_neyman
    >>> [round(bound, 2) for bound in found.bounds]
    [-3.07, -1.33]
    >>> found.frame.round(2)
       lower  upper            slope  share
    0   -inf  -3.07         negative   0.00
    1  -3.07  -1.33  not told from 0   0.14
    2  -1.33    inf         positive   0.86
    >>> [each.title for each in found.tables]
    ['Regions of Johnson & Neyman']
    """

    outcome: str
    predictor: str
    moderator: str
    level: float
    _curves: tuple[Curve, ...]
    interaction: Interaction

    @property
    def bounds(self) -> tuple[float, ...]:
        """Where the interval of the slope begins or ceases to contain 0, ascending; with a second
        moderator at its first value."""
        return self._curves[0].bounds

    @property
    def frame(self) -> pd.DataFrame:
        """Columns lower, upper (of the moderator; infinite where there is no end), slope
        ("negative", "positive", "not told from 0") and share, the part of the moderator's values
        that lie between (NaN where they are not known: a fit keeps no rows); before them the
        values of a second moderator."""
        rows = [(curve, region) for curve in self._curves for region in curve.regions]
        columns: dict[str, Any] = {
            source.name: [curve.other[source] for curve, _ in rows]
            for source in self._curves[0].other
        }
        columns["lower"] = np.array([region.lower for _, region in rows])
        columns["upper"] = np.array([region.upper for _, region in rows])
        columns["slope"] = [region.slope for _, region in rows]
        columns["share"] = np.array([self._share(region) for _, region in rows])
        return make_frame(columns)

    def _share(self, region: Region) -> float:
        spread = self.interaction.spreads[self.interaction.moderators[0]]
        if spread.points is None:
            return float("nan")
        within = (spread.points > region.lower) & (spread.points <= region.upper)
        return float(within.mean())

    @property
    def tables(self) -> tuple[sheet.SheetTable, ...]:
        """As they are shown."""
        return tuple(self._table(curve) for curve in self._curves)

    def _table(self, curve: Curve) -> sheet.SheetTable:
        shares = [self._share(region) for region in curve.regions]
        known = not np.isnan(shares).any()
        rows = tuple(
            (
                _between(self.moderator, region),
                (region.slope, *([percent(share)] if known else [])),
            )
            for region, share in zip(curve.regions, shares, strict=True)
        )
        other = "".join(f", {each.name} = {short(value)}" for each, value in curve.other.items())
        return sheet.SheetTable(
            f"Regions of Johnson & Neyman{other}",
            ("Slope", "Share") if known else ("Slope",),
            rows,
            f"Share: of the values of {self.moderator} in the data." if known else "",
        )

    def _sheet(self) -> sheet.Sheet:
        title = f"Where the slope of {self.predictor} on {self.outcome} is told from 0"
        facts = (("Confidence level", f"{100 * self.level:g} %"),)
        return sheet.Sheet(title, facts, self.tables, "Notes", ())


@dataclass(frozen=True, eq=False, repr=False)
class SimpleSlopes(sheet.Shown):
    """The slope of a predictor at values of its moderators; prints as text, shows as HTML in a
    notebook.

    Attributes
    ----------
    level : float
        Of the intervals.
    simultaneous : bool
        Whether they hold for all values of the moderators at once.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.simple_slopes("x1", "w1", at=[-1, 0, 1])
    >>> found.predictor, found.moderators, found.outcome
    ('x1', ('w1',), 'y')
    >>> found.frame[["w1", "slope", "se"]].round(2)
       w1  slope    se
    0  -1   0.27  0.07
    1   0   0.58  0.05
    2   1   0.88  0.08
    >>> found.intervals
    '95 %, z with model-based standard errors'
    >>> len(found.johnson_neyman.bounds), len(found.curves), found.notes
    (2, 1, ())
    """

    interaction: Interaction
    chosen: Chosen
    level: float
    simultaneous: bool

    # --- numbers ------------------------------------------------------------------------------

    @property
    def outcome(self) -> str:
        """The outcome whose slope it is."""
        return self.interaction.equation.outcome

    @property
    def predictor(self) -> str:
        """The variable whose slope it is."""
        return self.interaction.predictor.name

    @property
    def moderators(self) -> tuple[str, ...]:
        """One variable or two."""
        return tuple(source.name for source in self.interaction.moderators)

    @cached_property
    def _points(self) -> list[dict[Source, Any]]:
        return grid.combinations(self.chosen)

    @cached_property
    @quiet
    def _tests(self) -> Wald:
        return grid.slopes_at(
            self.interaction, self.chosen, self.level, simultaneous=self.simultaneous
        )

    @cached_property
    @quiet
    def curves(self) -> tuple[Curve, ...]:
        """The lines that `plot` draws for each value of the second moderator."""
        return grid.curves(
            self.interaction, self.chosen, self.level, simultaneous=self.simultaneous
        )

    @property
    def frame(self) -> pd.DataFrame:
        """Columns of the moderators' values, then slope, se, stat, df, pvalue, ci_lower,
        ci_upper."""
        columns: dict[str, Any] = {}
        for source in self.interaction.moderators:
            name = f"{source.name} " if source.name in FIELDS else source.name
            columns[name] = [point[source] for point in self._points]
        return make_frame(
            columns | {name: getattr(self._tests, field) for name, field in FIELDS.items()}
        )

    @property
    def johnson_neyman(self) -> JohnsonNeyman:
        """The values of the (first) moderator at which the interval of the slope contains no 0.

        Raises
        ------
        InferenceError
            The moderator is a factor.
        """
        return JohnsonNeyman(
            self.outcome,
            self.predictor,
            self.moderators[0],
            self.level,
            self.curves,
            self.interaction,
        )

    # --- figures ------------------------------------------------------------------------------

    @quiet
    def plot(
        self,
        kind: PlotKind = "lines",
        *,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """Expected values over the predictor, or the slope over the moderator.

        Parameters
        ----------
        kind : {"lines", "johnson-neyman"}, default "lines"
            A line for each value of the moderator, over the range of the predictor; or the slope
            over the range of the moderator, shaded where it is told from 0. That is the range of
            the values where they are known (of variables of clusters, or with ``data=``), else
            the mean ± 2 standard deviations.
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
            "johnson-neyman" of a moderator that is a factor.
        OptionValueError
            There is no such kind.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
        >>> slopes = fit.simple_slopes("x1", "w1", simultaneous=True)
        >>> figure = slopes.plot("johnson-neyman", labels={"w1": "Class size"})
        >>> figure.axes[0].get_xlabel()
        'Class size'
        """
        from mlsem.inference.slopes.figures import plot_slopes

        return plot_slopes({"": self}, kind, labels, figure)

    # --- in words -----------------------------------------------------------------------------

    def _sheet(self) -> sheet.Sheet:
        tests, z = self._tests, self.interaction.covariance.reference is None
        numbers = [tests.est, tests.se, tests.stat, tests.pvalue, tests.lower, tests.upper]
        cells = [[format_number(x, 3) for x in each.tolist()] for each in numbers]
        cells[3] = [format_pvalue(p) for p in tests.pvalue.tolist()]
        heads = ["Slope", "Std.err", "z" if z else "t", "P(>|z|)" if z else "P(>|t|)"]
        heads += ["ci.lower", "ci.upper"]
        if not z:
            cells.insert(3, [format_df(x) for x in tests.df.tolist()])
            heads.insert(3, "df")
        one = len(self.moderators) == 1
        names = [point_words(self, point, Labels(), bare=one) for point in self._points]
        rows = tuple(zip(names, zip(*cells, strict=True), strict=True))
        by = " and ".join(self.moderators)
        tables = [sheet.SheetTable(f"At values of {by}" if one else "Slopes", tuple(heads), rows)]
        known = np.isfinite(tests.se).any()
        if known and not self.interaction.spreads[self.interaction.moderators[0]].levels:
            tables += self.johnson_neyman.tables
        return sheet.Sheet(
            f"Simple slopes of {self.predictor} on {self.outcome}, by {by}",
            (("Intervals", self.intervals),),
            tuple(tables),
            "Notes",
            self.notes,
        )

    @property
    def intervals(self) -> str:
        """What they are, in words."""
        return interval_words(self.interaction, self.level, simultaneous=self.simultaneous)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        interaction, found = self.interaction, []
        shown = tuple(dict.fromkeys((interaction.predictor, *interaction.moderators)))
        for source in shown:
            if how := interaction.centred(source):
                found.append(f"{source.name} is centred: its values here are those {how}.")
        others = [source for source in interaction.equation.sources if source not in shown]
        held = dict.fromkeys(each.name for each in others if each in interaction.held)
        factors = dict.fromkeys(each.name for each in others if each not in interaction.held)
        if held:
            found.append(f"{', '.join(held)}: at the mean, or where at= says.")
        if factors:
            found.append(f"{', '.join(factors)}: all levels have equal weights.")
        return tuple(found)


def interval_words(interaction: Interaction, level: float, *, simultaneous: bool) -> str:
    """`95 %, t with CR2 standard errors`."""
    reference, kind = interaction.covariance.reference, interaction.covariance.kind
    if not kind.exists:
        return "none: the fit has no standard errors"
    how = "z" if reference is None else "t"
    if simultaneous:
        how = "simultaneous (Scheffé)"
    errors = "model-based" if kind.model_based else kind.name
    return f"{100 * level:g} %, {how} with {errors} standard errors"


def _between(name: str, region: Region) -> str:
    low, high = short(region.lower), short(region.upper)
    if np.isinf(region.lower):
        return f"all {name}" if np.isinf(region.upper) else f"{name} < {high}"
    return f"{name} > {low}" if np.isinf(region.upper) else f"{low} < {name} < {high}"
