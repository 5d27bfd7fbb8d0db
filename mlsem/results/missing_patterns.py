"""What is missing in a data set, and what a fit would use of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlsem.base.display import cell
from mlsem.core.quiet import quiet
from mlsem.data.moments.gaps import LevelGaps
from mlsem.data.moments.missing import Missingness
from mlsem.data.table.frame import make_frame, square_frame
from mlsem.errors import OptionValueError, listed
from mlsem.report import sheet
from mlsem.report.figures import patterns as figures
from mlsem.report.labels import read_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from mlsem.report.figures.style import Figure

UNITS = {1: "row", 2: "cluster"}
PATTERNS, COLUMNS = 10, 7
"""How many patterns and variables a printed table has."""
LABEL = 10
"""Columns of a variable's name over a printed table."""
LOW = 0.10
"""Coverage of a pair below which its covariance rests on little (the default limit of Mplus)."""
PAIRS = 5
"""Pairs of variables that a note names."""
LEGEND = "x observed, . missing. Variables without missing values are not shown."
Kind = Literal["patterns", "clusters"]


@dataclass(frozen=True, slots=True)
class Used:
    """What a fit of the model uses, by how it treats missing values."""

    listwise: int
    fiml: int
    found: Missingness
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class MissingPatterns(sheet.Shown):
    """What is missing by level; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    cluster : str or None
        The column of cluster ids.
    labels : (J,)
        Cluster ids.
    n_rows, n_complete : int
        Rows, and how many of them have all variables.
    levels : tuple of LevelGaps
        Of level 1 and, where there are variables of it, of level 2.
    used : Used or None
        What a model's fit uses.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("holes")
    >>> model = mlsem.example_model("holes")
    >>> found = mlsem.missing_patterns(data, model, cluster="school")
    >>> found.variables.round(2)
             level  missing  share  clusters
    q1           1       38   0.06         0
    q2           1      107   0.18         0
    q3           1      183   0.30         0
    grade        1        0   0.00         0
    climate      2        9   0.15         9
    >>> found.clusters.head(2)
             q1   q2   q3  grade  climate
    school
    1       0.1  0.1  0.4    0.0      1.0
    2       0.0  0.3  0.6    0.0      0.0
    >>> len(found.notes)
    1
    """

    cluster: str | None
    labels: NDArray[Any]
    n_rows: int
    n_complete: int
    levels: tuple[LevelGaps, ...]
    used: Used | None

    # --- frames -------------------------------------------------------------------------------

    @property
    @quiet
    def variables(self) -> pd.DataFrame:
        """One row per variable.

        Columns `level`, `missing` (in how many rows, at level 2 clusters), `share` of these, and
        `clusters`, how many clusters have no value of it.
        """
        names = [name for level in self.levels for name in level.variables]
        missing = np.concatenate([level.n_units - level.observed for level in self.levels])
        units = [level.n_units for level in self.levels for _ in level.variables]
        columns: dict[str, Any] = {
            "level": [level.number for level in self.levels for _ in level.variables],
            "missing": missing,
            "share": missing / np.array(units, dtype=np.float64),
        }
        if self.cluster is not None:
            columns["clusters"] = np.concatenate([_without(level) for level in self.levels])
        return make_frame(columns, names)

    @quiet
    def patterns(self, level: int = 1) -> pd.DataFrame:
        """Which variables are observed together, the most frequent pattern first.

        Parameters
        ----------
        level : {1, 2}, default 1

        Returns
        -------
        DataFrame
            A row for each pattern, a column for each variable of the level: True where it is
            observed. The index, named `rows` or `clusters`, is how many have the pattern.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("holes")
        >>> model = mlsem.example_model("holes")
        >>> found = mlsem.missing_patterns(data, model, cluster="school")
        >>> found.patterns(level=2)
                  climate
        clusters
        51           True
        9           False
        """
        own = self._level(level)
        columns = dict(zip(own.variables, own.patterns.T, strict=True))
        return make_frame(columns, own.counts).rename_axis(f"{UNITS[own.number]}s")

    @quiet
    def coverage(self, level: int = 1) -> pd.DataFrame:
        """Share of the rows (at level 2: clusters) in which both of two variables are observed; of
        a variable with itself, in which it is.

        Parameters
        ----------
        level : {1, 2}, default 1

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("holes")
        >>> model = mlsem.example_model("holes")
        >>> found = mlsem.missing_patterns(data, model, cluster="school")
        >>> found.coverage().round(2)
                 q1    q2    q3  grade
        q1     0.94  0.78  0.66   0.94
        q2     0.78  0.82  0.60   0.82
        q3     0.66  0.60  0.70   0.70
        grade  0.94  0.82  0.70   1.00
        """
        own = self._level(level)
        return square_frame(own.coverage, own.variables)

    @property
    @quiet
    def clusters(self) -> pd.DataFrame:
        """Cluster × variable: share of the cluster's rows in which the variable is missing; of
        level 2, 1 where the cluster has no value of it and 0 where it has one.

        Raises
        ------
        OptionValueError
            No clusters were named.
        """
        if self.cluster is None:
            raise OptionValueError('there are no clusters: pass cluster="…" to missing_patterns.')
        shares = {
            name: column
            for level in self.levels
            for name, column in zip(level.variables, level.shares.T, strict=True)
        }
        return make_frame(shares, self.labels).rename_axis(self.cluster)

    def _level(self, level: object) -> LevelGaps:
        numbers = {each.number: each for each in self.levels}
        if isinstance(level, bool) or level not in numbers:
            raise OptionValueError(
                f"level={level!r}: there are variables of the levels {listed(numbers)}."
            )
        return numbers[level]  # type: ignore[index]

    # --- a figure -----------------------------------------------------------------------------

    @quiet
    def plot(
        self,
        kind: Kind = "patterns",
        *,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """What is missing as tiles.

        Parameters
        ----------
        kind : {"patterns", "clusters"}, default "patterns"
            A row for each pattern with the number of rows (at level 2, clusters) that have it; or
            a row for each cluster, darker the more of its rows lack a variable.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.
        figure : matplotlib Figure or SubFigure, optional
            An empty one to draw in, e.g. ``plt.figure()`` to have ``plt.show()`` show it.

        Returns
        -------
        Figure
            Save it with ``figure.savefig("missing.png")``; a notebook shows it.

        Raises
        ------
        InterfaceError
            matplotlib is not installed.
        OptionValueError
            There is no such kind, or there are no clusters.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("holes")
        >>> model = mlsem.example_model("holes")
        >>> found = mlsem.missing_patterns(data, model, cluster="school")
        >>> figure = found.plot("clusters", labels={"q1": "First question"})
        >>> figure.savefig("missing.png")
        """
        words = read_labels(labels)
        if kind == "patterns":
            panels = [
                figures.PatternPanel(
                    f"level {level.number}" if len(self.levels) > 1 else "",
                    f"{UNITS[level.number]}s",
                    [words.variable(name) for name in level.variables],
                    level.patterns.tolist(),
                    level.counts.tolist(),
                )
                for level in self.levels
                if level.variables
            ]
            return figures.patterns(panels, figure)
        if kind != "clusters":
            raise OptionValueError(f'kind must be "patterns" or "clusters", not {kind!r}.')
        frame = self.clusters
        assert self.cluster is not None
        return figures.by_cluster(
            [words.variable(str(name)) for name in frame.columns],
            frame.to_numpy().tolist(),
            words.variable(self.cluster),
            figure,
        )

    # --- in words -----------------------------------------------------------------------------

    @quiet
    def _sheet(self) -> sheet.Sheet:
        tables = [self._variables_table()]
        for level in self.levels:
            if len(level.counts) > 1:
                tables += [self._patterns_table(level), self._coverage_table(level)]
        shown = tuple(table for table in tables if table is not None)
        return sheet.Sheet("Missing values", self._facts(), shown, "Notes", self.notes)

    def _facts(self) -> tuple[tuple[str, str], ...]:
        share = self.n_complete / self.n_rows
        facts = [
            ("Number of rows", str(self.n_rows)),
            ("Rows with all variables", f"{self.n_complete} ({share:.1%})"),
        ]
        if self.cluster is not None:
            facts.append((f"Number of clusters [{self.cluster}]", str(len(self.labels))))
        for level in self.levels:
            of = f" of level {level.number}" if len(self.levels) > 1 else ""
            facts.append((f"Patterns{of}", str(len(level.counts))))
        if self.used is not None:
            facts.append(('Rows used with missing="listwise"', str(self.used.listwise)))
            facts.append(('Rows used with missing="fiml"', str(self.used.fiml)))
        return tuple(facts)

    def _variables_table(self) -> sheet.SheetTable | None:
        """Those with missing values, those with the largest share first."""
        heads = ("Level", "Missing", "Share")
        heads += ("Clusters without",) if self.cluster is not None else ()
        found: list[tuple[float, str, tuple[str, ...]]] = []
        for level in self.levels:
            missing = (level.n_units - level.observed).tolist()
            without = _without(level).tolist() if self.cluster is not None else [0] * len(missing)
            for name, count, clusters in zip(level.variables, missing, without, strict=True):
                share = count / level.n_units
                cells = (str(level.number), str(count), f"{share:.3f}", str(clusters))
                if count:
                    found.append((-share, name, cells[: len(heads)]))
        if not found:
            return None
        found.sort(key=itemgetter(0))
        legend = "Share of the rows; of level 2, of the clusters." if len(self.levels) > 1 else ""
        rows = tuple((name, cells) for _, name, cells in found)
        return sheet.SheetTable("Variables with missing values", heads, rows, legend)

    def _patterns_table(self, level: LevelGaps) -> sheet.SheetTable:
        places = np.flatnonzero(~level.patterns.all(axis=0))
        shown = places[:COLUMNS]
        unit = f"{UNITS[level.number]}s"
        heads = (*(cell(level.variables[k], LABEL) for k in shown), unit.capitalize(), "Share")
        rows = tuple(
            (
                str(number),
                (
                    *("x" if seen else "." for seen in level.patterns[number - 1, shown]),
                    str(count),
                    f"{count / level.n_units:.3f}",
                ),
            )
            for number, count in enumerate(level.counts[:PATTERNS].tolist(), 1)
        )
        legend = LEGEND
        if len(level.counts) > PATTERNS:
            more = len(level.counts) - PATTERNS
            share = level.counts[PATTERNS:].sum() / level.n_units
            legend += f" {more} more patterns ({share:.1%} of the {unit}) in patterns()."
        if len(places) > COLUMNS:
            legend += f" {len(places) - COLUMNS} more variables in patterns()."
        of = f" of level {level.number}" if len(self.levels) > 1 else ""
        return sheet.SheetTable(f"Patterns{of}, the most frequent", heads, rows, legend)

    def _coverage_table(self, level: LevelGaps) -> sheet.SheetTable | None:
        """The lower triangle; None where it is large, or of one variable."""
        places = np.flatnonzero(~level.patterns.all(axis=0)).tolist()
        if not 2 <= len(places) <= COLUMNS:
            return None
        coverage = level.coverage
        rows = tuple(
            (
                level.variables[a],
                tuple(f"{coverage[a, b]:.3f}" if b <= a else "" for b in places),
            )
            for a in places
        )
        heads = tuple(cell(level.variables[k], LABEL) for k in places)
        unit = UNITS[level.number]
        return sheet.SheetTable(f"Share of the {unit}s in which both are observed", heads, rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before a fit, in sentences; only what applies."""
        found = [note for level in self.levels for note in _coverage_notes(level)]
        for level in self.levels:
            without = _without(level) if self.cluster is not None and level.number == 1 else ()
            names = [n for n, k in zip(level.variables, without, strict=False) if k]
            if names:
                found.append(
                    f"wholly missing in some clusters: {listed(names)} (see .clusters). "
                    'With missing="fiml" what is known of them there comes from other variables.'
                )
        return (*found, *(self.used.notes if self.used is not None else ()))


def _without(level: LevelGaps) -> NDArray[np.int64]:
    """How many clusters have no value of each variable, (m,)."""
    return (level.shares == 1.0).sum(axis=0)


def _coverage_notes(level: LevelGaps) -> list[str]:
    """Pairs of variables that are never or rarely observed together."""
    coverage, names, unit = level.coverage, level.variables, UNITS[level.number]
    pairs = list(combinations(range(len(names)), 2))
    never = [(names[a], names[b]) for a, b in pairs if coverage[a, b] == 0.0]
    rare = [(names[a], names[b]) for a, b in pairs if 0.0 < coverage[a, b] < LOW]
    found = []
    if never:
        found.append(
            f"never observed in the same {unit}: {_pairs(never)}. Their covariance comes of the "
            "model's form alone."
        )
    if rare:
        found.append(f"observed together in less than {LOW:.0%} of the {unit}s: {_pairs(rare)}.")
    return found


def _pairs(pairs: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{a!r} with {b!r}" for a, b in pairs[:PAIRS])
    return shown + (f" and {len(pairs) - PAIRS} more pairs" if len(pairs) > PAIRS else "")
