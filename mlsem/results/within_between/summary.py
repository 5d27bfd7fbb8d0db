"""Fixed effects, random effects, contextual and hybrid models in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsem.core.quiet import quiet
from mlsem.data.design.columns import INTERCEPT
from mlsem.data.design.variables import RESIDUAL
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import format_df, format_number, format_pvalue, shown
from mlsem.report.export.exported import Rounded
from mlsem.report.export.grid import Grid, GridRow, GridTable
from mlsem.report.export.plain import plain
from mlsem.results.summary_table.rows import under
from mlsem.results.within_between.lines import MODELS, Key, Line, lines_of, ordered

if TYPE_CHECKING:
    from mlsem.results.summary_table.records import Statistic
    from mlsem.results.within_between.result import WithinBetween

HEADS = {
    "fixed": "Fixed effects",
    "random": "Random effects",
    "contextual": "Contextual",
    "hybrid": "Hybrid",
}
LEGEND = (
    "within: of deviations from the mean of the cluster; between: of that mean; contextual: "
    "between less within; both: one effect for the two."
)


@dataclass(frozen=True, eq=False, repr=False)
class WithinBetweenSummary(Rounded, Answering):
    """Models of within and between effects side by side: text when printed, HTML in a notebook.

    Attributes
    ----------
    found : WithinBetween
    statistics : tuple of str
        What stands below an estimate.
    level : float
        Of confidence intervals.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> found = mlsem.within_between("y ~ x1 + w1", data, cluster="id")
    >>> found.summary("ci", level=0.9).statistics
    ('ci',)
    """

    found: WithinBetween
    statistics: tuple[Statistic, ...]
    level: float

    def _text(self, digits: int = 3) -> str:
        return plain(shown(self._grid(digits)))

    @quiet
    def _grid(self, digits: int = 3) -> Grid:
        found = self.found
        tables = (self._facts, self._models(digits), *self._test(digits), self._covariates(digits))
        return Grid("Effects within and between clusters", tables, found.notes, "Notes")

    @property
    def _facts(self) -> GridTable:
        fit = self.found.contextual
        method = "REML" if fit.settings.estimator == "REML" else "maximum likelihood"
        facts = (
            ("Rows", str(fit.n_obs)),
            (f"Clusters [{self.found.cluster}]", str(fit.n_clusters)),
            ("Random effects by", method),
            ("Standard errors", fit.covariance.kind.title),
        )
        return GridTable("", ("", ""), tuple(GridRow(each) for each in facts))

    def _models(self, digits: int) -> GridTable:
        lines = lines_of(self.found.fits, self.found._covariates, self.level)
        rows = [*self._effects(lines, digits), *self._variances(digits)]
        heads = ("", *(HEADS[model] for model in MODELS))
        return GridTable("Models", heads, tuple(rows), legend=LEGEND)

    def _effects(self, lines: Mapping[str, Mapping[Key, Line]], digits: int) -> Iterator[GridRow]:
        before = ""
        for name, effect in ordered(lines, self.found._covariates):
            there = [lines[model].get((name, effect)) for model in MODELS]
            if name not in (before, INTERCEPT):
                yield GridRow((name,), "block")
            before = name
            cells = ["" if each is None else format_number(each["est"], digits) for each in there]
            yield GridRow((effect or name, *cells))
            for statistic in self.statistics:
                below = ["" if each is None else under(each, statistic, digits) for each in there]
                if any(below):
                    yield GridRow(("", *below), "below")

    def _variances(self, digits: int) -> Iterator[GridRow]:
        found = self.found
        mixed = [found.random, found.contextual, found.hybrid]
        known = [fit.params.to_dict() for fit in mixed]
        own = [each[f"{found.cluster}.{INTERCEPT}"] for each in known]
        rows = [found.fixed.dispersion, *(each[RESIDUAL] for each in known)]
        for name, values in (("Intercept variance", [None, *own]), ("Residual variance", rows)):
            yield GridRow((name, *(format_number(each, digits) for each in values)), "measure")

    def _test(self, digits: int) -> Iterator[GridTable]:
        test = self.found.hausman
        if isinstance(test, str):
            return
        letter = "chi2" if test.test == "chi2" else "F"
        cells = [format_number(test.statistic, digits), str(test.df), format_df(test.df_denom)]
        row = GridRow(("means of clusters", *cells, format_pvalue(test.pvalue, digits)))
        head = "Robust Hausman" if self.found.contextual.covariance.kind.sandwich else "Hausman"
        yield GridTable(
            f"{head} test ({test.test}, {test.vcov})",
            ("", letter, "df", "df denom.", "p"),
            (row,),
            legend="Of equal effects within and between clusters: of no contextual effects.",
        )

    def _covariates(self, digits: int) -> GridTable:
        frame = self.found.covariates
        rows = []
        for name, each in zip(frame.index, frame.to_dict("records"), strict=True):
            numbers = (each[column] for column in ("sd_within", "sd_between", "icc", "reliability"))
            cells = [format_number(value, digits) for value in numbers]
            rows.append(GridRow((name, each["varies"], *cells, str(each["varying"]))))
        heads = ("", "Varies", "SD within", "SD between", "ICC", "Reliability", "Varies in")
        legend = "Reliability: of the means of clusters. Varies in: so many clusters."
        return GridTable("Covariates", heads, tuple(rows), (True, True, *5 * (False,)), legend)
