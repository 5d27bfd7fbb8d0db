"""`Alignment`: aligned factor means and variances, and what differs between groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame
from mlsem.errors import OptionValueError, listed, nearest
from mlsem.inference.alignment.errors import df_of
from mlsem.inference.alignment.factor import FactorAlignment
from mlsem.inference.covariance.intervals import holm, wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.report import sheet
from mlsem.report.cells import format_number
from mlsem.report.figures.by_group import Panel, by_group
from mlsem.report.labels import read_labels

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.report.figures.style import Figure

KINDS = ("loading", "intercept")
TRUSTED = 0.25  # share of parameters that may differ (Muthén & Asparouhov, 2014)
LISTED = 12  # groups that a table of non-invariant ones names


@dataclass(frozen=True, eq=False, repr=False)
class Alignment(sheet.Shown):
    """Aligned factors; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    column : str
        The grouping variable.
    groups : tuple
        Its values.
    factors : tuple of FactorAlignment
    reference : hashable
        The group whose factor mean is 0 ("fixed"), or whose variance is 1.
    identification : {"fixed", "free"}
    unit : {"reference", "product"}
    epsilon : float
    level : float
        Of the intervals.
    se : str
        The kind of the standard errors.

    Examples
    --------
    >>> import mlsem
    >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
    >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
    >>> fit = mlsem.cfa("f =~ y1 + y2 + y3", data, group="g", meanstructure=True)
    >>> found = fit.align()
    >>> found.means[["group", "mean", "variance"]].round(2)
      group  mean  variance
    0     a  0.00      1.00
    1     b  0.17      1.29
    2     c  0.21      1.40
    >>> found.items[["item", "parameter", "group", "est", "invariant"]].head(2).round(2)
      item parameter group   est  invariant
    0   y1   loading     a  0.86       True
    1   y1   loading     b  0.82       True
    >>> found.invariance.columns.tolist()[:4]
    ['factor', 'level', 'item', 'parameter']
    >>> len(found.notes)
    1
    """

    column: str
    groups: tuple[Hashable, ...]
    factors: tuple[FactorAlignment, ...]
    reference: Hashable
    identification: str
    unit: str
    epsilon: float
    level: float
    se: str
    _covariance: Covariance

    @property
    @quiet
    def means(self) -> pd.DataFrame:
        """Factor means and variances by factor and group: factor, level, group, n, mean, se, stat,
        df, pvalue, ci_lower, ci_upper, variance, se_variance."""
        rows = [row for each in self.factors for row in self._mean_rows(each)]
        return _frame(rows)

    def _mean_rows(self, each: FactorAlignment) -> Iterator[dict[str, Any]]:
        count, tests = len(self.groups), each.tests
        for g, group in enumerate(self.groups):
            yield {
                "factor": each.factor,
                "level": each.factor_level,
                "group": group,
                "n": int(each.sizes[g]),
                "mean": tests.est[g],
                **{name: getattr(tests, name)[g] for name in ("se", "stat", "df", "pvalue")},
                "ci_lower": tests.lower[g],
                "ci_upper": tests.upper[g],
                "variance": tests.est[count + g],
                "se_variance": tests.se[count + g],
            }

    @property
    @quiet
    def items(self) -> pd.DataFrame:
        """Aligned loadings and intercepts: factor, level, item, parameter ("loading" or
        "intercept"), group, est, se, invariant (in the invariant set of this parameter)."""
        rows: list[dict[str, Any]] = []
        for each in self.factors:
            values, errors = each.values, each.errors
            for kind, parameter in enumerate(KINDS[: len(values)]):
                for p, item in enumerate(each.items):
                    rows += [
                        {
                            "factor": each.factor,
                            "level": each.factor_level,
                            "item": item,
                            "parameter": parameter,
                            "group": group,
                            "est": values[kind, g, p],
                            "se": errors[kind, g, p],
                            "invariant": bool(each.members[kind, g, p]),
                        }
                        for g, group in enumerate(self.groups)
                        if not np.isnan(values[kind, g, p])
                    ]
        return _frame(rows)

    @property
    @quiet
    def invariance(self) -> pd.DataFrame:
        """A row per loading and intercept: factor, level, item, parameter, average (over the
        invariant set, weighted by rows), r2 (Asparouhov & Muthén, 2014: how much of the differences
        of the configural model the factor means and variances explain), n_groups, n_invariant,
        noninvariant (a tuple of groups)."""
        return _frame([row for each in self.factors for row in self._parameter_rows(each)])

    def _parameter_rows(self, each: FactorAlignment) -> Iterator[dict[str, Any]]:
        values, averages = each.values, each.averages()
        for kind, parameter in enumerate(KINDS[: len(values)]):
            for p, item in enumerate(each.items):
                there = ~np.isnan(values[kind, :, p])
                out = there & ~each.members[kind, :, p] & each.tested
                yield {
                    "factor": each.factor,
                    "level": each.factor_level,
                    "item": item,
                    "parameter": parameter,
                    "average": averages[kind, p],
                    "r2": each.shares[kind, p],
                    "n_groups": int(there.sum()),
                    "n_invariant": int(each.members[kind, :, p].sum()) if each.tested else np.nan,
                    "noninvariant": tuple(self.groups[g] for g in np.flatnonzero(out)),
                }

    @quiet
    def compare_means(self, factor: str | None = None, reference: Hashable = None) -> pd.DataFrame:
        """Differences of factor means between groups, all pairs or against one group.

        Parameters
        ----------
        factor : str, optional
            Default: all that have means.
        reference : hashable, optional
            A group.

        Returns
        -------
        DataFrame
            factor, level, group1, group2, diff (of the means, group 2 less group 1), se, stat, df,
            pvalue, pvalue_holm (Holm's, over the pairs of a factor).

        Raises
        ------
        OptionValueError
            There is no such factor or group.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
        >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
        >>> fit = mlsem.cfa("f =~ y1 + y2 + y3", data, group="g", meanstructure=True)
        >>> found = fit.align().compare_means(reference="a")
        >>> found[["group2", "diff", "se", "df"]].round(2)
          group2  diff    se   df
        0      b  0.17  0.13  inf
        1      c  0.21  0.15  inf
        """
        with_means = [each for each in self.factors if each.has_means]
        names = tuple(each.factor for each in with_means)
        if factor is not None and factor not in names:
            raise OptionValueError(
                f"factor={factor!r}: there are means of {listed(names) or 'no factor'}."
                f"{nearest(str(factor), names)}"
            )
        pairs = self._pairs(reference)
        rows: list[dict[str, Any]] = []
        for each in with_means:
            if factor in (None, each.factor):
                rows += self._differences(each, pairs)
        return _frame(rows)

    def _pairs(self, reference: Hashable) -> list[tuple[int, int]]:
        if reference is None:
            return list(combinations(range(len(self.groups)), 2))
        if reference not in self.groups:
            raise OptionValueError(
                f"reference={reference!r} is no group; there are {listed(map(repr, self.groups))}."
            )
        first = self.groups.index(reference)
        return [(first, g) for g in range(len(self.groups)) if g != first]

    def _differences(
        self, each: FactorAlignment, pairs: list[tuple[int, int]]
    ) -> list[dict[str, Any]]:
        one, other = (list(side) for side in zip(*pairs, strict=True))
        own = np.diagonal(each.spread)
        variances = own[one] + own[other] - 2.0 * each.spread[one, other]
        se = np.sqrt(np.maximum(variances, 0.0))
        df = df_of(self._covariance, each.gradients[other] - each.gradients[one], se)
        means = each.aligned.means
        tests = wald(means[other] - means[one], se, df, self.level)
        adjusted = holm(tests.pvalue)
        return [
            {
                "factor": each.factor,
                "level": each.factor_level,
                "group1": self.groups[g],
                "group2": self.groups[h],
                "diff": tests.est[k],
                **{name: getattr(tests, name)[k] for name in ("se", "stat", "df", "pvalue")},
                "pvalue_holm": adjusted[k],
            }
            for k, (g, h) in enumerate(pairs)
        ]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        found: list[str] = []
        for each in self.factors:
            found += self._about(each)
        if self._covariance.reference is None and any(each.tested for each in self.factors):
            found.append(
                "tests of single groups are normal ones; with few clusters a group they reject "
                'too often. Fit with se="CR2" for t tests with degrees of freedom.'
            )
        return tuple(dict.fromkeys(found))

    def _about(self, each: FactorAlignment) -> Iterator[str]:
        name = each.factor
        if each.aligned.gradients is None:
            hint = ' Use identification="fixed".' if self.identification == "free" else ""
            yield (
                f"{name}: the criterion has no curvature in some direction, so that there are no "
                f"standard errors.{hint}"
            )
        elif not each.tested:
            yield f"{name}: without standard errors there are no invariant sets and no tests."
        starts = len(each.aligned.reached)
        if each.aligned.agreeing == 1 and starts > 1:
            yield (
                f"{name}: one of {starts} starts reached this minimum: there may be a lower one. "
                "Try starts=50."
            )
        if each.tested and each.differing > TRUSTED:
            yield (
                f"{name}: {each.differing:.0%} of the loadings and intercepts differ from those of "
                "the other groups. Above 25 % aligned means may be wrong (Muthén & Asparouhov, "
                "2014): see items, and what a simulation with these values gives."
            )
        if not each.has_means:
            yield (
                f"{name}: a factor within clusters has mean 0 in all groups; its loadings alone "
                "were aligned."
            )

    @quiet
    def plot(
        self, figure: Figure | None = None, *, labels: Mapping[str, str] | None = None
    ) -> Figure:
        """Factor means, or variances where there are none, by group with intervals: a panel each.

        Parameters
        ----------
        figure : Figure, optional
            An empty one to draw in.
        labels : mapping of str to str, optional
            Readable words for factors: ``{"f": "Trust"}``.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
        >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
        >>> fit = mlsem.cfa("f =~ y1 + y2 + y3", data, group="g", meanstructure=True)
        >>> fit.align().plot().savefig("aligned.png")
        """
        count, words, panels = len(self.groups), read_labels(labels), []
        for each in self.factors:
            at = slice(0, count) if each.has_means else slice(count, 2 * count)
            what = "mean" if each.has_means else "variance"
            limits = zip(each.tests.lower[at].tolist(), each.tests.upper[at].tolist(), strict=True)
            title = f"{words.variable(each.factor)}: aligned {what}"
            panels.append(Panel(title, each.tests.est[at].tolist(), list(limits)))
        return by_group(panels, [str(g) for g in self.groups], words.variable(self.column), figure)

    @quiet
    def _sheet(self) -> sheet.Sheet:
        facts = [
            ("Groups", f"{len(self.groups)} [{self.column}]"),
            ("Identification", self.identification),
            ("Factor variance of 1", self._unit),
            ("Standard errors", self.se),
            ("epsilon", f"{self.epsilon:g}"),
        ]
        tables = [self._mean_table(each) for each in self.factors]
        tables += [self._parameter_table(each) for each in self.factors]
        return sheet.Sheet("Alignment", tuple(facts), tuple(tables), "Notes", self.notes)

    @property
    def _unit(self) -> str:
        return "product of all groups" if self.unit == "product" else f"group {self.reference}"

    def _mean_table(self, each: FactorAlignment) -> sheet.SheetTable:
        shown = {"mean": "mean", "se": "se", "pvalue": "p"} if each.has_means else {}
        shown |= {"variance": "variance", "se_variance": "se"}
        rows = []
        for row in self._mean_rows(each):
            text = [format_number(row[name], 3) for name in shown]
            rows.append((str(row["group"]), (str(row["n"]), *text)))
        heads = ("n", *shown.values())
        return sheet.SheetTable(f"{each.factor}, level {each.factor_level}", heads, tuple(rows))

    def _parameter_table(self, each: FactorAlignment) -> sheet.SheetTable:
        rows = []
        for row in self._parameter_rows(each):
            out = [str(label) for label in row["noninvariant"]]
            more = f" and {len(out) - LISTED} more" if len(out) > LISTED else ""
            cells = (
                format_number(row["average"], 3),
                format_number(row["r2"], 3),
                f"{row['n_invariant']}/{row['n_groups']}" if each.tested else "",
                " ".join(out[:LISTED]) + more,
            )
            rows.append((f"{row['item']} {row['parameter']}", cells))
        legend = (
            "average over the groups that do not differ at .001 (in); R²: share of the differences "
            "between groups that factor means and variances explain."
        )
        heads = ("average", "R²", "in", "not in")
        return sheet.SheetTable(f"Items of {each.factor}", heads, tuple(rows), legend)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    names = rows[0] if rows else ()
    return make_frame({name: [row[name] for row in rows] for name in names})
