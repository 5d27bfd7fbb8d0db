"""`Study`: the results of a Monte Carlo study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.report import sheet
from mlsem.report.cells import format_number
from mlsem.report.figures.se_bias import se_bias
from mlsem.report.labels import read_labels
from mlsem.simulation.study.performance import performance

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.report.figures.style import Figure

SHOWN = {
    "truth": "truth",
    "mean": "mean",
    "sd": "SD",
    "mean_se": "mean SE",
    "se_bias": "SE bias",
    "coverage": "coverage",
    "rejection": "reject",
}
LEGEND = (
    "SE bias: mean SE / SD - 1. coverage: of {level:.0%} intervals. reject: share of tests of 0 "
    "with p < {size:.2g}. Largest Monte Carlo errors: SE bias {se_bias:.3f}, coverage "
    "{coverage:.3f}, reject {rejection:.3f}."
)


@dataclass(frozen=True, slots=True, eq=False)
class MethodResults:
    """Estimates of a method in R replications.

    Attributes
    ----------
    name : str
    parameters : tuple of str
    est, se, df : (R, p)
        NaN where there are none; df inf for z.
    converged : (R,) of bool
    failures : tuple of str
        Of each replication why it does not count; empty if it does.

    Examples
    --------
    >>> import mlsem
    >>> truth = "level: 1; y ~ 0.5*x; y ~~ 1*y; level: 2; y ~~ 0.5*y"
    >>> model = {"model": "level: 1; y ~ x; level: 2; y ~~ y", "cluster": "id", "se": "CR2"}
    >>> design = (truth, {"n_clusters": 20, "cluster_size": 5})
    >>> found = mlsem.study(design, {"CR2": model}, replications=10, seed=1)
    >>> method = found.methods[0]
    >>> method.name, method.parameters
    ('CR2', ('y~x', 'y~~y', 'y~~y.l2', 'y~1.l2'))
    >>> method.est.shape, method.reasons, method.messages
    ((10, 4), Counter(), {})
    """

    name: str
    parameters: tuple[str, ...]
    est: Array
    se: Array
    df: Array
    converged: NDArray[np.bool_]
    failures: tuple[str, ...]

    @property
    def reasons(self) -> Counter[str]:
        """How often each kind of failure was."""
        return Counter(each.partition(":")[0] for each in self.failures if each)

    @property
    def messages(self) -> dict[str, str]:
        """Of each kind of failure what the first one said."""
        texts = [each.partition(": ") for each in self.failures if each]
        return {reason: message for reason, _, message in reversed(texts)}


@dataclass(frozen=True, eq=False, repr=False)
class Study(sheet.Shown):
    """The results of a study; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    methods : tuple of MethodResults
    replications : int
    seed : int
    truth : mapping of str to float
    level : float
        Of the intervals.

    Examples
    --------
    >>> import mlsem
    >>> truth = "level: 1; y ~ 0.5*x; y ~~ 1*y; level: 2; y ~~ 0.5*y"
    >>> model = {"model": "level: 1; y ~ x; level: 2; y ~~ y", "cluster": "id", "se": "CR2"}
    >>> design = (truth, {"n_clusters": 20, "cluster_size": 5})
    >>> found = mlsem.study(design, {"CR2": model}, replications=10, seed=1)
    >>> found.replications, found.seed
    (10, 1)
    >>> found.summary[["model", "parameter", "bias", "coverage"]].head(2).round(2)
      model parameter  bias  coverage
    0   CR2       y~x  0.01       1.0
    1   CR2      y~~y -0.03       0.9
    >>> found.estimates.columns.tolist()
    ['replication', 'model', 'parameter', 'est', 'se', 'df', 'converged']
    """

    methods: tuple[MethodResults, ...]
    replications: int
    seed: int
    truth: Mapping[str, float]
    level: float

    @property
    def estimates(self) -> pd.DataFrame:
        """One row per replication, model and parameter: est, se, df, converged."""
        blocks: list[dict[str, Any]] = []
        for each in self.methods:
            count = len(each.parameters)
            blocks.append(
                {
                    "replication": np.repeat(np.arange(self.replications), count),
                    "model": np.full(self.replications * count, each.name, dtype=object),
                    "parameter": np.tile(
                        np.array(each.parameters, dtype=object), self.replications
                    ),
                    "est": each.est.ravel(),
                    "se": each.se.ravel(),
                    "df": each.df.ravel(),
                    "converged": np.repeat(each.converged, count),
                }
            )
        return make_frame({key: np.concatenate([b[key] for b in blocks]) for key in blocks[0]})

    @property
    def summary(self) -> pd.DataFrame:
        """One row per model and parameter.

        Columns: n (replications that count), failures, truth, mean, bias, sd, mean_se, se_bias
        (mean_se / sd - 1), coverage, rejection (of 0: power, or size where the truth is 0), and
        their Monte Carlo standard errors, mc_*.
        """
        columns: dict[str, list[Any]] = {"model": [], "parameter": [], "failures": []}
        for each in self.methods:
            columns["model"] += [each.name] * len(each.parameters)
            columns["parameter"] += each.parameters
            columns["failures"] += [sum(each.reasons.values())] * len(each.parameters)
            for name, values in self.measures(each).items():
                columns.setdefault(name, []).extend(values.tolist())
        first = ("model", "parameter", "n", "failures")
        columns["n"] = [int(count) for count in columns.get("n", [])]
        return make_frame({name: columns[name] for name in (*first, *columns)})

    def measures(self, method: MethodResults) -> dict[str, Array]:
        """Performance of a method, one value per parameter of it, as in `summary`.

        Parameters
        ----------
        method : MethodResults
            One of `methods`.

        Returns
        -------
        dict of str to ndarray, (parameters,)

        Examples
        --------
        >>> import mlsem
        >>> truth = "level: 1; y ~ 0.5*x; y ~~ 1*y; level: 2; y ~~ 0.5*y"
        >>> model = {"model": "level: 1; y ~ x; level: 2; y ~~ y", "cluster": "id", "se": "CR2"}
        >>> design = (truth, {"n_clusters": 20, "cluster_size": 5})
        >>> found = mlsem.study(design, {"CR2": model}, replications=10, seed=1)
        >>> sorted(found.measures(found.methods[0]))[:3]
        ['bias', 'coverage', 'mc_coverage']
        """
        counts = [not failure for failure in method.failures]
        truth = np.array([self.truth.get(name, np.nan) for name in method.parameters])
        return performance(
            method.est[counts], method.se[counts], method.df[counts], truth, self.level
        )

    def plot(
        self, figure: Figure | None = None, *, labels: Mapping[str, str] | None = None
    ) -> Figure:
        """Relative bias of the standard errors by coefficient and method, with 95% intervals of
        the simulation.

        Parameters
        ----------
        figure : Figure, optional
            An empty one to draw in.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.

        Returns
        -------
        Figure

        Examples
        --------
        >>> import mlsem
        >>> truth = "level: 1; y ~ 0.5*x; y ~~ 1*y; level: 2; y ~~ 0.5*y"
        >>> model = {"model": "level: 1; y ~ x; level: 2; y ~~ y", "cluster": "id", "se": "CR2"}
        >>> design = (truth, {"n_clusters": 20, "cluster_size": 5})
        >>> found = mlsem.study(design, {"CR2": model}, replications=10, seed=1)
        >>> figure = found.plot()
        >>> figure.savefig("study.png")
        """
        names = tuple(dict.fromkeys(name for each in self.methods for name in each.parameters))
        biases: dict[str, list[float]] = {}
        errors: dict[str, list[float]] = {}
        for each in self.methods:
            measures = self.measures(each)
            place = {name: k for k, name in enumerate(each.parameters)}
            for target, key in ((biases, "se_bias"), (errors, "mc_se_bias")):
                values = measures[key].tolist()
                target[each.name] = [
                    values[place[name]] if name in place else float("nan") for name in names
                ]
        return se_bias(read_labels(labels).all(names), biases, errors, figure=figure)

    # --- as text ------------------------------------------------------------------------------

    def _sheet(self) -> sheet.Sheet:
        facts = [("Replications", str(self.replications)), ("Seed", str(self.seed))]
        facts += [
            (f"Failures of {each.name}", _counted(each.reasons))
            for each in self.methods
            if each.reasons
        ]
        shown = [each for each in self.methods if each.parameters]
        tables = tuple(self._table(each, each is shown[-1]) for each in shown)
        return sheet.Sheet("Monte Carlo study", tuple(facts), tables, "Notes", self._notes)

    def _table(self, method: MethodResults, last: bool) -> sheet.SheetTable:
        measures = self.measures(method)
        cells = [[format_number(value, 3) for value in measures[key].tolist()] for key in SHOWN]
        rows = tuple(zip(method.parameters, zip(*cells, strict=True), strict=True))
        legend = ""
        if last:
            largest = {key: self._largest(key) for key in ("se_bias", "coverage", "rejection")}
            legend = LEGEND.format(level=self.level, size=1.0 - self.level, **largest)
        return sheet.SheetTable(method.name, tuple(SHOWN.values()), rows, legend)

    def _largest(self, key: str) -> float:
        """The largest Monte Carlo error of a measure; NaN if there is none."""
        values = np.concatenate([self.measures(each)[f"mc_{key}"] for each in self.methods])
        known = values[np.isfinite(values)]
        return float(known.max()) if len(known) else float("nan")

    @property
    def _notes(self) -> tuple[str, ...]:
        failed = [each for each in self.methods if each.reasons]
        if not failed:
            return ()
        first = [
            f"{each.name}, the first {reason}: {message}"
            for each in failed
            for reason, message in each.messages.items()
            if message
        ]
        return (
            f"{', '.join(each.name for each in failed)}: replications that failed are left out; if "
            "they are many, or not the same for all methods, compare with care.",
            *first,
        )


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
