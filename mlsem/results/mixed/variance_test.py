"""Tests of equal residual variances in a mixed model.

LR: twice the gain in log-likelihood of σ_g² for each group over one σ². Breusch & Pagan (1979): the
conditional residuals r = y - Xβ̂ - Zb̂, squared, are the outcome of a mixed model with the random
effects of the fit, whose fixed effects are tested by a likelihood ratio (ML); Levene (1960): their
absolute values. With residual variances by group r is taken in units of σ_g, so that what is left
is tested.
H (Raudenbush & Bryk, 2002, eq. 9.15 on): of the clusters whose own regression on the columns of the
fixed effects leaves d_j > 9 degrees of freedom, s_j² the residual variance of it,

    H = Σ_j (d_j / 2) (ln s_j² - Σ_k d_k ln s_k² / Σ_k d_k)²  ~  χ²(J - 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy.special import chdtrc

from mlsem.core.records import Array
from mlsem.data.design.classes import ResidualClasses, named_columns, read_classes
from mlsem.data.table.columns import require_column
from mlsem.data.table.frame import make_frame
from mlsem.data.table.grouping import group
from mlsem.errors import InferenceError, OptionValueError, heard_warnings, listed
from mlsem.estimation.weighted import refuse_weights
from mlsem.inference.ratio.run import likelihood_ratio
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import format_number, p_words
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns
from mlsem.results.mixed import predict as rows_of
from mlsem.results.mixed.parts import recipe_of

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Index
    from mlsem.results.mixed.result import MixedResult

TestName = Literal["LR", "BP", "Levene", "H"]
TITLES: dict[str, str] = {
    "LR": "Likelihood-ratio test",
    "BP": "Breusch-Pagan test",
    "Levene": "Levene test",
    "H": "H test",
}
ENOUGH = 10  # degrees of freedom that a cluster of the H test has


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VarianceTest(Exported, Answering):
    """A test of equal residual variances; prints as text.

    Attributes
    ----------
    test : {"LR", "BP", "Levene", "H"}
    by : tuple of str
        Columns whose groups are compared; those of the fixed effects where none was named, of H
        that of the clusters.
    statistic : float
    df : int
        Of χ².
    pvalue : float
    groups : tuple of str
        The groups, or clusters, that are compared; empty where effects are tested.
    sd : (G,)
        Their residual standard deviations: those of the model with unequal variances (LR), of the
        conditional residuals (BP, Levene), of each cluster's own regression (H).
    left_out : int
        Clusters with too few rows for H.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["half"] = ["first" if each < 26 else "second" for each in data["id"]]
    >>> fit = mlsem.lmm("y ~ x1 + (1 | id)", data)
    >>> found = fit.variance_test("half")
    >>> found.test, found.df, found.groups
    ('LR', 1, ('first', 'second'))
    >>> found.frame.columns.tolist()
    ['test', 'by', 'statistic', 'df', 'pvalue']
    """

    test: TestName
    by: tuple[str, ...]
    statistic: float
    df: int
    pvalue: float
    groups: tuple[str, ...]
    sd: Array
    left_out: int = 0

    @property
    def frame(self) -> pd.DataFrame:
        """The test as one row."""
        return make_frame(
            {
                "test": [self.test],
                "by": [", ".join(self.by)],
                "statistic": [self.statistic],
                "df": [self.df],
                "pvalue": [self.pvalue],
            }
        )

    @property
    def _title(self) -> str:
        return f"{TITLES[self.test]} of equal residual variances, by {', '.join(self.by)}"

    @property
    def _result(self) -> str:
        letter = "H" if self.test == "H" else "LR"
        return f"{letter} = {self.statistic:.3f}, {p_words(self.pvalue)} (chi2({self.df}))"

    @property
    def _notes(self) -> tuple[str, ...]:
        if not self.left_out:
            return ()
        return (
            f"{self.left_out} clusters with fewer than {ENOUGH} degrees of freedom are left out",
        )

    def _columns(self) -> dict[str, Any]:
        shown = "" if self.test == "H" or not self.groups else self.groups
        return {"": shown, "SD": [format_number(each, 3) for each in self.sd]} if shown else {}

    def __str__(self) -> str:
        table = [render_columns(self._columns()).rstrip()] if self._columns() else []
        notes = [f"  note: {note}" for note in self._notes]
        return "\n".join((self._title, *table, self._result, *notes))

    def _grid(self) -> Grid:
        test = {"H" if self.test == "H" else "LR": [self.statistic], "df": [self.df]}
        own = [columns_table(self._columns())] if self._columns() else []
        return Grid(self._title, (*own, columns_table({**test, "p": [self.pvalue]})), self._notes)

    def __repr__(self) -> str:
        return f"<VarianceTest: {self._result}; {self.test}, by {', '.join(self.by)}>"


def variance_test(fit: MixedResult, by: object, test: object, data: object) -> VarianceTest:
    """See `MixedResult.variance_test`."""
    if test not in get_args(TestName):
        raise OptionValueError(f"test={test!r}: it takes one of {listed(get_args(TestName))}.")
    estimates = fit._estimates
    rows_of.require_converged(estimates)
    refuse_weights(estimates, "tests of residual variances", "Look at fit.residuals by group.")
    named = named_columns(by, "by")
    frame = fit._rows(data, "variance_test", *named)
    for name in named:
        require_column(frame, name, "variance_test() names")
    if test == "LR":
        return _ratio(fit, named, frame)
    if test == "H":
        return _by_clusters(fit, named, frame)
    return _of_residuals(fit, named, "BP" if test == "BP" else "Levene", frame)


def _ratio(fit: MixedResult, by: tuple[str, ...], frame: pd.DataFrame) -> VarianceTest:
    own = fit._residual_columns
    by = by or own
    if not by:
        raise OptionValueError(
            'variance_test() compares groups: name their column, by="group". With test="BP" or '
            '"Levene" the residuals may depend on the fixed effects, with "H" on the clusters.'
        )
    with heard_warnings():
        equal = fit.update(data=frame, residual=None) if own else fit
        full = fit if by == own else fit.update(data=frame, residual=list(by))
    found = likelihood_ratio(
        equal._estimates, full._estimates, boundary=True, draws=1, seed=1, method="lr"
    )
    sd = np.sqrt(full.estimates[-len(full.table.classes) :])
    return VarianceTest("LR", by, found.statistic, found.df, found.pvalue, full.table.classes, sd)


# --- residuals as outcomes ------------------------------------------------------------------------


def _of_residuals(
    fit: MixedResult, by: tuple[str, ...], test: Literal["BP", "Levene"], frame: pd.DataFrame
) -> VarianceTest:
    """The residuals' squares or sizes with and without the effects that are tested."""
    formula = recipe_of(fit._estimates).formula
    residuals = np.asarray(rows_of.row_residuals(fit._estimates, frame, "pearson"), dtype=float)
    used = ~np.isnan(residuals)
    frame, residuals = frame.loc[used], residuals[used]
    sizes = residuals**2 if test == "BP" else np.abs(residuals)
    outcome, cells = (_unused(name, frame) for name in ("residual_size", "residual_cell"))
    terms = [":".join(map(_quoted, product)) for product in formula.fixed.products]
    nothing = f"{outcome} ~ 1 + .{''.join(f' - {term}' for term in terms)}"
    columns, classes, codes = {outcome: sizes}, None, None
    if by:
        lost = ResidualClasses(by, ()).missing(frame)
        if lost.any():
            raise InferenceError(
                f"{listed(by)} is missing in {int(lost.sum())} rows of the fit: leave them out, "
                "and fit again."
            )
        classes, codes = read_classes(frame, by, formula.group, outcome, sizes)
        columns[cells] = np.array(classes.labels, dtype=object)[codes]
    elif not terms:
        raise OptionValueError(
            f'variance_test(test="{test}"): the formula has no fixed effects that the residuals '
            'could depend on: name a column, by="group".'
        )
    larger = f"{nothing} + {cells}" if by else f"{outcome} ~ 1 + ."
    rows = frame.assign(**columns)
    options: dict[str, Any] = {"data": rows, "REML": False, "residual": None, "se": "none"}
    with heard_warnings():
        simple, full = (fit.update(text, **options)._estimates for text in (nothing, larger))
    found = likelihood_ratio(simple, full, boundary=True, draws=1, seed=1, method="lr")
    groups, sd = ((), np.zeros(0)) if codes is None else _spreads(fit, frame, classes, codes)
    names = by or tuple(dict.fromkeys(formula.fixed.variables))
    return VarianceTest(test, names, found.statistic, found.df, found.pvalue, groups, sd)


def _spreads(
    fit: MixedResult, frame: pd.DataFrame, classes: Any, codes: Index
) -> tuple[tuple[str, ...], Array]:
    """Root mean squares of the conditional residuals of each class."""
    residuals = np.asarray(rows_of.row_residuals(fit._estimates, frame, "response"), dtype=float)
    squares = np.bincount(codes, residuals**2) / np.bincount(codes)
    return classes.labels, np.sqrt(squares)


def _unused(name: str, frame: pd.DataFrame) -> str:
    while name in frame.columns:
        name += "_"
    return name


def _quoted(name: str) -> str:
    """A variable of a formula: a column whose name is no word stands in backticks."""
    plain = name.replace(".", "_").isidentifier() or "(" in name
    return name if plain else f"`{name}`"


# --- clusters apart -------------------------------------------------------------------------------


def _by_clusters(fit: MixedResult, by: tuple[str, ...], frame: pd.DataFrame) -> VarianceTest:
    """H of the clusters."""
    recipe = recipe_of(fit._estimates)
    cluster = recipe.formula.group
    if by not in ((), (cluster,)):
        raise OptionValueError(
            f'variance_test(test="H") compares the clusters of {cluster!r}: leave by= out. Groups '
            'are compared by test="LR", "BP" or "Levene".'
        )
    design, outcome = recipe.fixed_design(frame)[0], recipe.outcome(frame)
    used = ~(np.isnan(design).any(axis=1) | np.isnan(outcome))
    grouping = group(frame.loc[used], cluster, None)
    codes, every = grouping.codes, np.column_stack((np.ones(int(used.sum())), design[used]))
    found: list[tuple[str, int, float]] = []
    for j, label in enumerate(grouping.labels.tolist()):
        rows = codes == j
        variance, df = _residual_variance(every[rows], outcome[used][rows])
        if df >= ENOUGH and variance > 0.0:
            found.append((str(label), df, variance))
    if len(found) < 2:
        raise InferenceError(
            f'variance_test(test="H"): {len(found)} of {len(grouping.labels)} clusters leave '
            f"{ENOUGH} degrees of freedom beside the effects of the formula, and two are needed. "
            'Compare groups of clusters, by="group".'
        )
    labels, dfs, variances = zip(*found, strict=True)
    d, logs = np.array(dfs, dtype=np.float64), np.log(variances)
    statistic = float((d / 2.0) @ (logs - d @ logs / d.sum()) ** 2)
    df, left = len(d) - 1, len(grouping.labels) - len(d)
    pvalue = float(chdtrc(df, statistic))
    return VarianceTest("H", (cluster,), statistic, df, pvalue, labels, np.sqrt(variances), left)


def _residual_variance(design: Array, outcome: Array) -> tuple[float, int]:
    """Of least squares, and its degrees of freedom."""
    scale = np.abs(design).max(axis=0)
    unit = design / np.where(scale > 0.0, scale, 1.0)
    solution, _, rank, _ = np.linalg.lstsq(unit, outcome, rcond=1e-10)
    df = len(outcome) - int(rank)
    away = outcome - unit @ solution
    return (float(away @ away) / df if df > 0 else 0.0), df
