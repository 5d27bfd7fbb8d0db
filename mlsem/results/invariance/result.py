"""`Invariance`: steps of measurement invariance, what tests and rules say of them, what hurts."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, OptionValueError, listed, nearest
from mlsem.inference.alignment.result import Alignment
from mlsem.report import sheet
from mlsem.report.cells import format_number, format_pvalue, formatted
from mlsem.report.figures import by_group as figures
from mlsem.report.labels import read_labels
from mlsem.results.compared import measures_of
from mlsem.results.invariance import words
from mlsem.results.invariance.panels import panels_of
from mlsem.results.invariance.released import interest_columns, of_interest, worst_columns
from mlsem.results.invariance.steps import INDICES, StepChange, step_change
from mlsem.results.result import FitResult

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.report.figures.style import Figure

HEADS = {
    "npar": "npar",
    "df": "df",
    "chisq": "χ²",
    "pvalue": "p",
    "score": "score",
    "score_pvalue": "p",
    "cfi": "CFI",
    "rmsea": "RMSEA",
    "srmr_within": "SRMR w",
    "srmr_between": "SRMR b",
    "srmr": "SRMR",
    "aic": "AIC",
    "bic": "BIC",
}
WHOLE = ("npar", "df")


@dataclass(frozen=True, eq=False, repr=False)
class Invariance(sheet.Shown):
    """Steps of measurement invariance; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    fits : mapping of str to FitResult
        By step, from the least restricted to the most.
    equal : mapping of str to tuple of str
        What is equal in each: names of `group_equal`, and "levels" for loadings equal over levels.
    column : str
        The grouping variable.
    groups : tuple
        Its values, as they are numbered.
    partial : tuple of str
        Parameters that stay free in all steps.
    alignment : Alignment or None
        Of the first step, if it was asked for.

    Examples
    --------
    >>> import mlsem
    >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
    >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
    >>> found = mlsem.invariance("f =~ y1 + y2 + y3", data, group="g")
    >>> found.steps, found.robust
    (('configural', 'metric', 'scalar', 'strict', 'means'), False)
    >>> found.table[["npar", "aic"]].round(1).head(2)
                npar     aic
    configural    27  5910.8
    metric        23  5903.7
    >>> found.differences[["step", "df"]].head(2)
         step  df
    0  metric   4
    1  scalar   4
    >>> len(found.verdict), len(found.notes)
    (4, 3)
    """

    fits: Mapping[str, FitResult]
    equal: Mapping[str, tuple[str, ...]]
    column: str
    groups: tuple[Hashable, ...]
    partial: tuple[str, ...] = ()
    alignment: Alignment | None = None

    # --- the numbers --------------------------------------------------------------------------

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps, in their order."""
        return tuple(self.fits)

    @cached_property
    @quiet
    def _measures(self) -> dict[str, Any]:
        return measures_of(list(self.fits.values()))

    @cached_property
    @quiet
    def _changes(self) -> tuple[StepChange, ...]:
        found = []
        for at, (before, step) in enumerate(pairwise(self.steps), start=1):
            added = [name for name in self.equal[step] if name not in self.equal[before]]
            fits = self.fits[before], self.fits[step]
            found.append(step_change((before, step), fits, tuple(added), self._measures, at))
        return tuple(found)

    @property
    def robust(self) -> bool:
        """Whether χ² is scaled, and CFI and RMSEA are robust: standard errors are in all steps."""
        return all(fit.covariance.kind.sandwich for fit in self.fits.values())

    @property
    def table(self) -> pd.DataFrame:
        """A row per step: npar, loglik, aic, bic, sabic, chisq, df, pvalue, score, score_pvalue
        (the score test of fit), cfi, rmsea, srmr (of each level), as in `mlsem.compare`; and
        whether it converged."""
        converged = [fit.converged for fit in self.fits.values()]
        return make_frame({**self._measures, "converged": converged}, self.steps)

    @property
    @quiet
    def differences(self) -> pd.DataFrame:
        """A row per step but the first, beside the one before: step, before, df; chisq and
        pvalue of the likelihood ratio (scaled with robust errors); score and score_pvalue of the
        score test, which holds with few clusters; d_cfi, d_rmsea, d_srmr (of each level); verdict.
        """
        changes = self._changes
        columns: dict[str, Any] = {
            "step": [each.step for each in changes],
            "before": [each.before for each in changes],
            "df": [each.df for each in changes],
            "chisq": [each.chisq for each in changes],
            "pvalue": [each.pvalue for each in changes],
            "score": [_statistic(each) for each in changes],
            "score_pvalue": [np.nan if e.score is None else e.score.pvalue for e in changes],
        }
        for name in INDICES:
            if any(name in each.changes for each in changes):
                columns[f"d_{name}"] = [each.changes.get(name, np.nan) for each in changes]
        columns["verdict"] = [self._verdict(each) for each in changes]
        return make_frame(columns)

    @property
    def verdict(self) -> tuple[str, ...]:
        """What to make of each step, in sentences."""
        return tuple(self._verdict(each) for each in self._changes)

    @quiet
    def _verdict(self, change: StepChange) -> str:
        return words.verdict(change, self._rows, len(self.groups))

    @property
    def notes(self) -> tuple[str, ...]:
        """What can be trusted: cut-offs and where they come from, numbers of clusters."""
        found = words.notes(dict(self.fits), self._changes, self._rows, len(self.groups))
        return tuple(dict.fromkeys(found))

    @property
    def _rows(self) -> int:
        return next(iter(self.fits.values())).n_obs

    # --- what hurts ---------------------------------------------------------------------------

    @quiet
    def worst(
        self,
        step: str | None = None,
        *,
        interest: str | Iterable[str] | None = None,
        robust: bool | None = None,
    ) -> pd.DataFrame:
        """The equalities of a step, the one that hurts most first.

        Each is given up alone, in one group; nothing is fitted. Score tests with one degree of
        freedom, as those of `FitResult.modification_indices`.

        Parameters
        ----------
        step : str, optional
            Default: the one whose score test has the smallest p value.
        interest : str or iterable of str, optional
            Parameters of interest, named as in ``fits[step].params``. Default: regressions and
            means of latent variables, else variances and covariances of these.
        robust : bool, optional
            Whether `mi_robust` is there, and `pvalue` is that of it. Default: whether the standard
            errors are robust.

        Returns
        -------
        DataFrame
            parameter, level, group (that differs), est (in all groups), mi, (mi_robust,) pvalue,
            epc (what the group's would be beside the others', in the parameter's units); and of
            the parameters of interest the one that would change most: interest, change, change_se
            (in its standard errors). Of two groups each equality stands once.

        Raises
        ------
        OptionValueError
            There is no such step or parameter.
        InferenceError
            The step did not converge, or adds nothing.

        References
        ----------
        Oberski (2014), Political Analysis 22, 45-60.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
        >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
        >>> found = mlsem.invariance("f =~ y1 + y2 + y3", data, group="g")
        >>> found.worst("metric")[["parameter", "group", "mi", "epc"]].head(2).round(2)
          parameter group    mi   epc
        0     f=~y2     a  0.72 -0.16
        1     f=~y3     c  0.33 -0.09
        """
        change = self._change(step)
        fit = self.fits[change.step]
        wanted = fit.covariance.kind.sandwich if robust is None else robust
        if not isinstance(wanted, bool):
            raise OptionValueError(f"robust={robust!r}: it takes True, False or None.")
        return make_frame(worst_columns(change, fit, of_interest(fit.table, interest), wanted))

    @quiet
    def epc_interest(
        self, step: str | None = None, *, interest: str | Iterable[str] | None = None
    ) -> pd.DataFrame:
        """How the parameters of interest would change if one equality were given up (EPC-interest;
        Oberski, 2014).

        Parameters
        ----------
        step : str, optional
            Default: the one whose score test has the smallest p value.
        interest : str or iterable of str, optional
            Parameters of interest. Default: as for `worst`.

        Returns
        -------
        DataFrame
            A row per equality, group and parameter of interest: parameter, level, group, epc;
            interest, est, change, change_se (in standard errors), expected (est + change).

        Raises
        ------
        OptionValueError, InferenceError
            As for `worst`.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
        >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
        >>> found = mlsem.invariance("f =~ y1 + y2 + y3", data, group="g")
        >>> found.epc_interest("scalar")[["parameter", "group", "interest"]].head(2)
          parameter group interest
        0      y1~1     a   f~1.g2
        1      y1~1     a   f~1.g3
        """
        change = self._change(step)
        fit = self.fits[change.step]
        return make_frame(interest_columns(change, fit, of_interest(fit.table, interest)))

    def _change(self, step: str | None) -> StepChange:
        names = [each.step for each in self._changes]
        if step is None:
            tested = [each for each in self._changes if each.score is not None]
            if not tested:
                why = "no step has a score test" if names else "there is one step"
                raise InferenceError(f"{why}: there is no equality to look at.")
            return min(tested, key=lambda each: each.score.pvalue if each.score else np.inf)
        if step not in names:
            raise OptionValueError(
                f"step={step!r}: it takes one of {listed(names)}.{nearest(str(step), names)}"
            )
        return self._changes[names.index(step)]

    # --- how it is shown ----------------------------------------------------------------------

    @quiet
    def plot(
        self,
        parameters: str | Iterable[str] | None = None,
        *,
        level: float = 0.95,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """Loadings and intercepts of each group with intervals, from the first step; below them
        the indices of fit over the steps.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            As named in group 1: ``"fw=~y2"``, ``"y1~1.l2"``. Default: free loadings, then
            intercepts, 24 at most.
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
        InterfaceError
            matplotlib is not installed.
        OptionValueError
            There is no such parameter.

        Examples
        --------
        >>> import mlsem
        >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
        >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
        >>> found = mlsem.invariance("f =~ y1 + y2 + y3", data, group="g")
        >>> found.plot().savefig("invariance.png")
        """
        require_level(level)
        words = read_labels(labels)
        panels = [
            replace(panel, title=words.parameter(panel.title))
            for panel in panels_of(self.fits[self.steps[0]], parameters, level)
        ]
        named = {"cfi": "CFI", "rmsea": "RMSEA"}
        paths: dict[str, dict[str, list[float]]] = {
            title: {title: [float(x) for x in self._measures[name]]}
            for name, title in named.items()
            if name in self._measures
        }
        srmr = {
            label: [float(x) for x in self._measures[name]]
            for name, label in (
                ("srmr_within", "within"),
                ("srmr_between", "between"),
                ("srmr", ""),
            )
            if name in self._measures
        }
        paths |= {"SRMR": srmr} if srmr else {}
        groups, column = [str(group) for group in self.groups], words.variable(self.column)
        return figures.invariance(panels, groups, column, self.steps, paths, figure)

    @quiet
    def _sheet(self) -> sheet.Sheet:
        first = self.fits[self.steps[0]]
        clusters = words.clusters_by_group(first)
        facts = [
            ("Groups", f"{len(self.groups)} [{self.column}]"),
            ("Rows", str(self._rows)),
        ]
        if clusters:
            few, many = min(clusters.values()), max(clusters.values())
            facts.append(("Clusters a group", f"{few}" if few == many else f"{few} to {many}"))
        facts.append(("Standard errors", first.se_kind))
        if self.partial:
            facts.append(("Free in all steps", ", ".join(self.partial)))
        tables = [self._fit_table()]
        if self._changes:
            tables.append(self._difference_table())
        sentences = (*self.verdict, *self.notes)
        return sheet.Sheet(
            "Measurement invariance", tuple(facts), tuple(tables), "Verdict", sentences
        )

    def _fit_table(self) -> sheet.SheetTable:
        shown = [name for name in HEADS if name in self._measures]
        cells = [
            formatted(name, map(float, self._measures[name]), 0 if name in WHOLE else 3)
            for name in shown
        ]
        legend = f"χ²: {'scaled; CFI and RMSEA robust' if self.robust else 'likelihood ratio'}"
        legend += "; score: score test of fit, which holds with few clusters."
        rows = tuple(zip(self.steps, zip(*cells, strict=True), strict=True))
        return sheet.SheetTable("Steps", tuple(HEADS[name] for name in shown), rows, legend)

    def _difference_table(self) -> sheet.SheetTable:
        changes = self._changes
        known = [name for name in INDICES if any(name in each.changes for each in changes)]
        rows = []
        for each in changes:
            score = np.nan if each.score is None else each.score.pvalue
            cells = [str(each.df), format_number(each.chisq, 3), format_pvalue(each.pvalue)]
            cells += [format_number(_statistic(each), 3), format_pvalue(score)]
            cells += [_signed(each.changes.get(name, np.nan)) for name in known]
            rows.append((each.step, tuple(cells)))
        heads = ("df", "Δχ²", "p", "score", "p", *(f"Δ{HEADS[name]}" for name in known))
        how = "scaled (Satorra & Bentler, 2001)" if self.robust else "likelihood ratio"
        legend = (
            f"beside the step above. Δχ²: {how}; score: score test of all equalities of the step, "
            "scaled by the clusters' variation, which holds with few clusters."
        )
        return sheet.SheetTable("Differences", heads, tuple(rows), legend)


def _statistic(change: StepChange) -> float:
    return np.nan if change.score is None else change.score.statistic


def _signed(value: float) -> str:
    text = format_number(value, 3)
    return f"+{text}" if value > 0 else text
