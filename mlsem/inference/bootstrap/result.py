"""`Bootstrap`: draws of the estimates of a fit, their intervals and p values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args
from typing import Annotated as Shaped

import numpy as np

from mlsem.arguments import chosen, require_level
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame, make_series
from mlsem.errors import OptionValueError, listed
from mlsem.inference.bootstrap import draws as numbers
from mlsem.inference.bootstrap.draws import WeightKind
from mlsem.inference.bootstrap.histogram import histogram
from mlsem.report import sheet
from mlsem.report.cells import by_group, formatted
from mlsem.report.figures.sampling import draws
from mlsem.report.labels import read_labels

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.report.figures.style import Figure

BootstrapKind = Literal["wild", "pairs", "parametric"]
IntervalKind = Literal["t", "percentile", "basic"]

SENTENCES = {
    "wild": "scores of clusters times random weights, nothing refitted",
    "pairs": "clusters drawn with replacement, the model refitted",
    "parametric": "data drawn from the fitted model, the model refitted",
}
INTERVALS: tuple[IntervalKind, ...] = get_args(IntervalKind)
LEGEND = (
    "{} % intervals: estimate - t* {}, t* the quantiles of the draws' t statistics. P: symmetric, "
    "of these."
)
TOO_FEW = "The draws are too few for {} % intervals. P: symmetric, of the draws' t statistics."
SKEWED_BELOW = 50  # clusters: the estimates of variances are too skewed for linear steps


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bootstrap(sheet.Shown):
    """Bootstrap draws of c parameters; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    kind : {"wild", "pairs", "parametric"}
    parameters : tuple of str
        The c names, free parameters as in `FitResult.params`, then `:=`.
    estimate : (c,)
        Of the fit.
    robust_se : (c,)
        The fit's standard errors of the kind `se_kind`; NaN where there is none.
    draws : (B, c)
        Estimates of the draws that did not fail; NaN where a `:=` has no value.
    t : (B, c)
        (draw - estimate) / the draw's own standard error, of the kind `se_kind`; NaN where it
        has none.
    reasons : mapping of str to int
        How many draws failed, and why.
    se_kind : {"CR0", "MLR"}
    seed : int
    weights : {"webb", "rademacher", "mammen"} or None
        Of the wild bootstrap.
    enumerated : bool
        Whether the draws are all patterns of weights, each once.
    cluster : str or None
        The column of the clusters that were drawn or weighted; None: rows.
    n_clusters : int
    fewest : int
        Clusters of the groups that have a parameter, the fewest: those of one group all.
    groups : mapping of str to int
        Clusters of each of several groups, which were drawn within groups; else empty.
    variances : tuple of str
        Parameters that are variances.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.bootstrap("wild", draws=199, seed=1, parameters="y~x1")
    >>> found.parameters, found.n_draws, found.n_failed, found.notes
    (('y~x1',), 199, 0, ())
    >>> found.se.round(2)
    y~x1    0.11
    Name: se, dtype: float64
    >>> found.pvalues
          symmetric  equal_tailed
    y~x1      0.005          0.01
    """

    kind: BootstrapKind
    parameters: tuple[str, ...]
    estimate: Shaped[Array, "c"]
    robust_se: Shaped[Array, "c"]
    draws: Shaped[Array, "B c"]
    t: Shaped[Array, "B c"]
    reasons: Mapping[str, int]
    se_kind: str
    seed: int
    weights: WeightKind | None
    enumerated: bool
    cluster: str | None
    n_clusters: int
    fewest: int
    groups: Mapping[str, int]
    variances: tuple[str, ...]

    # --- numbers ------------------------------------------------------------------------------

    @property
    def n_draws(self) -> int:
        """Draws that did not fail, B."""
        return len(self.draws)

    @property
    def n_failed(self) -> int:
        return sum(self.reasons.values())

    @property
    @quiet
    def se(self) -> pd.Series:
        """Standard deviations of the draws."""
        return make_series(numbers.deviations(self.draws), self.parameters, "se")

    @quiet
    def conf_int(self, level: float = 0.95, kind: IntervalKind = "t") -> pd.DataFrame:
        """Confidence limits `lower`, `upper`, with q the (1 ± level) / 2 quantiles of the draws.

        Parameters
        ----------
        level : float, default 0.95
        kind : {"t", "percentile", "basic"}, default "t"
            estimate - q of `t` times `robust_se`, the limits nearest to their level with few
            clusters; q of the estimates; 2 estimate - q of the estimates (Davison & Hinkley, 1997,
            chapter 5).

        Returns
        -------
        DataFrame
            Columns lower and upper.

        Raises
        ------
        OptionValueError
            The level or kind is not a valid one, or the draws are too few for the level.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> booted = fit.bootstrap("wild", draws=199, seed=1, parameters="y~x1")
        >>> booted.conf_int(level=0.9, kind="percentile").round(2)
              lower  upper
        y~x1    0.4   0.73
        """
        if kind not in INTERVALS:
            raise OptionValueError(
                f"kind={kind!r} is not a kind of interval. Use one of {listed(INTERVALS)}."
            )
        self._require_enough(level)
        lower, upper = self._limits(level, kind)
        return make_frame({"lower": lower, "upper": upper}, list(self.parameters))

    def _limits(
        self, level: float, kind: IntervalKind
    ) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
        low, high = numbers.limits(self.t if kind == "t" else self.draws, level)
        if kind == "percentile":
            return low, high
        if kind == "basic":
            return 2.0 * self.estimate - high, 2.0 * self.estimate - low
        return self.estimate - high * self.robust_se, self.estimate - low * self.robust_se

    @property
    @quiet
    def pvalues(self) -> pd.DataFrame:
        """Bootstrap t tests of estimate = 0: columns `symmetric` and `equal_tailed`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            observed = self.estimate / self.robust_se
        symmetric, equal = numbers.p_values(self.t, observed)
        return make_frame({"symmetric": symmetric, "equal_tailed": equal}, list(self.parameters))

    def _require_enough(self, level: float) -> None:
        require_level(level)
        needed = numbers.fewest_draws(level)
        if self.n_draws >= needed:
            return
        cure = f"call bootstrap(draws={needed + self.n_failed})"
        if self.enumerated:
            cure = 'there are no more patterns of these weights: take weights="webb"'
        raise OptionValueError(
            f"level={level!r} needs {needed} draws, and there are {self.n_draws}: {cure}, or a "
            "lower level."
        )

    @quiet
    def plot(
        self,
        parameters: str | Iterable[str] | None = None,
        *,
        kind: IntervalKind = "t",
        level: float = 0.95,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """The draws of each parameter, with the estimate, its interval, and the normal curve that
        the fit's standard error stands for.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Default: all.
        kind : {"t", "percentile", "basic"}, default "t"
            Of the interval, as for `conf_int`.
        level : float, default 0.95
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.
        figure : Figure, optional
            An empty one to draw in.

        Returns
        -------
        Figure

        Raises
        ------
        OptionValueError
            There is no such parameter or kind, or the draws are too few for the level.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> figure = fit.bootstrap(seed=1).plot(["y~x1", "y~w1:x1"])
        >>> figure.savefig("draws.png")
        """
        places = list(range(len(self.parameters)))
        if parameters is not None:
            places = chosen(self.parameters, parameters)
        limits = self.conf_int(level, kind).to_numpy()
        names = read_labels(labels).all([self.parameters[k] for k in places])
        panels = [
            histogram(
                name,
                self.draws[:, k],
                float(self.estimate[k]),
                limits[k],
                float(self.robust_se[k]),
            )
            for name, k in zip(names, places, strict=True)
        ]
        return draws(
            panels,
            f"{100 * level:g} % interval ({'percentile-t' if kind == 't' else kind})",
            f"normal, {self.se_kind} standard error",
            f"{self.n_draws} draws, {SENTENCES[self.kind]}",
            figure,
        )

    # --- in words -----------------------------------------------------------------------------

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know."""
        found = [about_failures(self.reasons, self.n_draws)] if self.reasons else []
        values, t = np.isfinite(self.draws), np.isfinite(self.t)
        missing = {"a value": ~values, f"a {self.se_kind} standard error": values & ~t}
        for what, gone in missing.items():
            counts = gone.sum(axis=0)
            some = np.flatnonzero((counts > 0) & t.any(axis=0))
            if len(some):
                each = ", ".join(f"{self.parameters[k]} {counts[k]}" for k in some)
                found.append(f"draws without {what}, which are left out there: {each}.")
        none = [self.parameters[k] for k in np.flatnonzero(~t.any(axis=0))]
        if none:
            found.append(f"no {self.se_kind} standard errors, and no t statistics: {listed(none)}.")
        if self.kind == "wild" and self.variances and self.fewest < SKEWED_BELOW:
            found.append(
                f"{listed(self.variances)}: with few clusters variance estimates are skewed, which "
                'wild draws cannot show; use kind="parametric".'
            )
        return tuple(found)

    @quiet
    def summary(self, level: float = 0.95) -> str:
        """The draws in a table of text, with the percentile-t interval and the symmetric p value.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The draws are too few for the level.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> booted = fit.bootstrap("wild", draws=199, seed=1, parameters="y~x1")
        >>> print(booted.summary().splitlines()[0])
        Bootstrap, wild: scores of clusters times random weights, nothing refitted
        """
        self._require_enough(level)
        return sheet.text(self._sheet(level))

    @quiet
    def _sheet(self, level: float = 0.95) -> sheet.Sheet:
        lower, upper = self._limits(level, "t")
        columns = {
            "Estimate": self.estimate,
            f"{self.se_kind} SE": self.robust_se,
            "Boot SE": numbers.deviations(self.draws),
            "ci.lower": lower,
            "ci.upper": upper,
            "P(>|t|)": self.pvalues["symmetric"].to_numpy(),
        }
        rows = zip(
            *(formatted(name, each, 3, self.n_draws) for name, each in columns.items()), strict=True
        )
        enough = self.n_draws >= numbers.fewest_draws(level)
        legend = (LEGEND if enough else TOO_FEW).format(
            f"{100.0 * level:.6g}", f"{self.se_kind} SE"
        )
        table = sheet.SheetTable(
            "Parameters",
            tuple(columns),
            tuple(zip(self.parameters, rows, strict=True)),
            legend,
        )
        return sheet.Sheet(
            f"Bootstrap, {self.kind}: {SENTENCES[self.kind]}",
            tuple(self._facts()),
            (table,),
            "Notes",
            self.notes,
        )

    def _facts(self) -> list[tuple[str, str]]:
        unit = "Number of rows" if self.cluster is None else f"Number of clusters [{self.cluster}]"
        found = [(unit, str(self.n_clusters)), *by_group(list(self.groups.items()))]
        found.append(("Draws", str(self.n_draws)))
        found += [("Draws that failed", str(self.n_failed))] if self.reasons else []
        if self.weights is not None:
            every = ", every pattern once" if self.enumerated else ""
            found.append(("Weights", self.weights + every))
        return found if self.enumerated else [*found, ("Seed", str(self.seed))]

    def __repr__(self) -> str:
        failed = f", {self.n_failed} failed" if self.reasons else ""
        return (
            f"<Bootstrap: {self.kind}, {self.n_draws} draws{failed}, {len(self.parameters)} "
            f"parameters, {self.n_clusters} {'rows' if self.cluster is None else 'clusters'}, "
            f"seed {self.seed}; print(it), .conf_int(), .pvalues>"
        )


# --- small things ---------------------------------------------------------------------------------


def about_failures(reasons: Mapping[str, int], left: int) -> str:
    """How many draws failed and why, in a sentence."""
    each = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    failed = sum(reasons.values())
    return (
        f"{failed} of {left + failed} draws failed ({each}). Results use the remaining draws, a "
        "biased sample if many failed."
    )
