"""Several fits to the same data, side by side: measures of fit, and tests between neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.inference.fit.run import fit_measures
from mlsem.inference.ratio.run import LrTest, Method, likelihood_ratio
from mlsem.inference.ratio.same_data import require_same_data
from mlsem.other_programs.answering import Answering
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns
from mlsem.results.result import FitResult

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates

MEASURES = {  # columns, and what `fit_measures` calls them
    "chisq": "chisq",
    "df": "df",
    "pvalue": "pvalue",
    "score": "chisq.score",
    "score_pvalue": "pvalue.score",
    "cfi": "cfi",
    "rmsea": "rmsea",
    "srmr_within": "srmr_within",
    "srmr_between": "srmr_between",
    "srmr": "srmr",
}
ROBUST = {"chisq": "chisq.scaled", "pvalue": "pvalue.scaled"}
ROBUST |= {name: f"{name}.robust" for name in ("cfi", "rmsea")}
LEVELS = ("srmr_within", "srmr_between")


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison(Exported, Answering):
    """Fits to the same data; prints as text.

    Attributes
    ----------
    names : tuple of str
        Of the models, as they were given.
    tests : tuple of LrTest or str
        Of each model against the next one; why there is none.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> simple = mlsem.fit("level: 1; y ~ x1; level: 2; y ~~ y", data, cluster="id")
    >>> found = mlsem.compare([simple, fit])
    >>> found.table[["npar", "loglik", "aic"]].round(1)
       npar  loglik     aic
    1     4  -833.8  1675.5
    2     6  -818.6  1649.2
    >>> found.differences[["simple", "full", "statistic", "df"]].round(1)
      simple full  statistic   df
    0      1    2       30.3  2.0
    """

    names: tuple[str, ...]
    tests: tuple[LrTest | str, ...]
    _columns: dict[str, Any]

    @property
    def table(self) -> pd.DataFrame:
        """A row per model: npar, loglik, aic, bic, sabic; with a saturated model to compare with
        chisq, df, pvalue, score, score_pvalue (the score test of fit), cfi, rmsea, srmr.

        Where the standard errors of all fits are robust, χ² is the scaled one, and CFI and RMSEA
        are robust."""
        return make_frame(self._columns, self.names)

    @property
    def differences(self) -> pd.DataFrame:
        """A row per pair of neighbours: simple, full, method, statistic, df, pvalue; and a note
        where there is no test."""
        return make_frame(self._differences)

    @property
    def _differences(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {
            name: []
            for name in ("simple", "full", "method", "statistic", "df", "pvalue", "distribution")
        }
        found["note"] = []
        for pair, test in zip(pairwise(self.names), self.tests, strict=True):
            done = isinstance(test, LrTest)
            if done and test.n_params[0] != self._columns["npar"][self.names.index(pair[0])]:
                pair = pair[::-1]
            found["simple"].append(pair[0])
            found["full"].append(pair[1])
            found["method"].append(test.method if done else None)
            found["statistic"].append(test.statistic if done else np.nan)
            found["df"].append(float(test.df) if done else np.nan)
            found["pvalue"].append(test.pvalue if done else np.nan)
            found["distribution"].append(test.distribution if done else None)
            found["note"].append("; ".join(test.notes) if done else test)
        return found

    def __str__(self) -> str:
        parts = [render_columns({"model": self.names} | self._whole)]
        differences = self._differences
        notes = differences.pop("note")
        if self.tests:
            differences["df"] = _whole(differences["df"])
            tests = render_columns(differences)
            parts += ["Differences", tests]
        for simple, full, note in zip(
            differences["simple"], differences["full"], notes, strict=True
        ):
            parts += [f"{simple}, {full}: {note}\n"] if note else []
        return "\n".join(parts).rstrip("\n")

    @property
    def _whole(self) -> dict[str, Any]:
        """The measures, with counts as such."""
        return {
            name: _whole(values) if name in ("npar", "df") else values
            for name, values in self._columns.items()
        }

    def _grid(self) -> Grid:
        tables = [columns_table({"": self.names, **self._whole})]
        differences = self._differences
        pairs = zip(*(differences[k] for k in ("simple", "full", "note")), strict=True)
        notes = tuple(f"{simple}, {full}: {note}" for simple, full, note in pairs if note)
        if self.tests:
            del differences["note"]
            differences["df"] = _whole(differences["df"])
            tables.append(columns_table(differences, title="Differences"))
        return Grid("Models compared", tuple(tables), notes)

    def __repr__(self) -> str:
        return f"<ModelComparison: {', '.join(self.names)}>"


def _whole(values: Iterable[float]) -> list[int | None]:
    """Whole numbers; None for NaN."""
    return [int(each) if each == each else None for each in values]


@quiet
def compare_fits(
    fits: Sequence[FitResult], names: tuple[str, ...], method: Method | None
) -> ModelComparison:
    """What `mlsem.compare` returns."""
    for name, fit in zip(names, fits, strict=True):
        if not fit.converged:
            raise InferenceError(f"{name!r} did not converge: its measures say nothing.")
        try:
            require_same_data(fits[0]._estimates, fit._estimates)
        except InferenceError as error:
            raise InferenceError(f"{names[0]!r} and {name!r}: {error}") from None
    kinds = {fit.settings.estimator == "REML" for fit in fits}
    if len(kinds) > 1:
        raise InferenceError(
            "some of the fits are by maximum likelihood and some by REML: their log-likelihoods "
            "cannot be compared. Fit all by the same one."
        )
    tests = tuple(_difference(one, other, method) for one, other in pairwise(fits))
    return ModelComparison(names, tests, measures_of(fits))


def measures_of(fits: Sequence[FitResult]) -> dict[str, Any]:
    """Columns of `ModelComparison.table`."""
    columns: dict[str, Any] = {
        "npar": [fit.n_params for fit in fits],
        "loglik": np.array([fit.loglik for fit in fits]),
        "aic": np.array([fit.aic for fit in fits]),
        "bic": np.array([fit.bic for fit in fits]),
        "sabic": np.array([_sabic(fit._estimates) for fit in fits]),
    }
    if any(fit.settings.estimator == "REML" for fit in fits):
        return columns
    measures = [_measures(fit) for fit in fits]
    robust = all(fit.covariance.kind.sandwich for fit in fits)
    for column, usual in MEASURES.items():
        name = ROBUST.get(column, usual) if robust else usual
        values = np.array([each.get(name, np.nan) for each in measures])
        if not np.isnan(values).all():
            columns[column] = values
    if set(LEVELS) <= set(columns):
        columns.pop("srmr", None)  # of two levels the sum of theirs
    return columns


def _measures(fit: FitResult) -> dict[str, float]:
    """Those that there are: random slopes have no saturated model, some data have none."""
    try:
        return fit_measures(fit._models)
    except InferenceError:
        return {}


def _sabic(fit: Estimates) -> float:
    """-2 ℓ + npar log[(N + 2) / 24] (Sclove, 1987); NaN with sampling weights."""
    if fit.weighted:
        return float("nan")
    return -2.0 * fit.loglik + fit.n_params * float(np.log((fit.n_obs + 2.0) / 24.0))


def _difference(one: FitResult, other: FitResult, method: Method | None) -> LrTest | str:
    """The one with fewer parameters is the simple model."""
    simple, full = sorted((one, other), key=lambda fit: fit.n_params)
    if simple.settings.estimator != full.settings.estimator:
        return "the estimators differ, so that there is no common test."
    if simple.n_params == full.n_params:
        return "they have as many parameters: neither is a special case of the other."
    try:
        return likelihood_ratio(
            simple._estimates, full._estimates, boundary=True, draws=10_000, seed=1, method=method
        )
    except InferenceError as error:
        return str(error)
