"""`Plan`: what a trial can find, for display."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.data.table.frame import make_frame
from mlsem.errors import OptionValueError
from mlsem.planning.arguments import ASKED, Asked, Design, read
from mlsem.planning.formula import Answer, by_formula
from mlsem.planning.power import power_of
from mlsem.planning.simulated import Found
from mlsem.report import sheet
from mlsem.report.cells import format_df, format_number
from mlsem.report.figures.power import PowerCurve, power_curve

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.report.figures.style import Figure

POINTS = 201  # of a curve
NOTED = 0.04  # share of a variance that a note speaks of
WORDS = {
    "clusters": "Number of clusters",
    "size": "Rows of a cluster",
    "effect": "Smallest effect",
    "power": "Power",
}


@dataclass(frozen=True, eq=False, repr=False)
class Plan(sheet.Shown):
    """A planned trial; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    seed : int or None
        Of the simulation, if there was one.

    Examples
    --------
    >>> import mlsem
    >>> found = mlsem.plan(clusters=12, size=20, icc=0.1, effect=0.5)
    >>> found.asked, round(found.asked_value, 3), round(found.power, 3), found.effect
    ('power', 0.538, 0.538, 0.5)
    >>> found.trial.arms, found.level
    ((6, 6), 0.95)
    >>> found.clusters, found.treated, found.size
    (12, 6, 20.0)
    >>> round(found.se, 3), found.df, round(found.design_effect, 2)
    (0.22, 10.0, 2.9)
    >>> found.by, found.replications, found.thin, found.notes
    ('formula', None, (), ())
    """

    _asked: Asked
    _answer: Answer
    _found: Found | None = None
    seed: int | None = None

    # --- numbers ------------------------------------------------------------------------------

    @property
    def asked(self) -> str:
        """What was wanted: "clusters", "size", "effect" or "power"."""
        return self._asked.what

    @property
    def asked_value(self) -> float:
        """The answer: the number of clusters, their size, the effect or its power."""
        return float(getattr(self, self.asked))

    @property
    def trial(self) -> Design:
        """All that is known of it."""
        return self._answer.trial

    @property
    def effect(self) -> float:
        """In standard deviations of the outcome; of a binary one a difference of risks."""
        return self._answer.effect

    @property
    def power(self) -> float:
        """The probability that the effect is found."""
        return self._answer.power

    @property
    def clusters(self) -> int:
        """How many are randomised."""
        return self.trial.clusters

    @property
    def treated(self) -> float:
        """How many of them are treated; with rows randomised, the share of these."""
        return self.trial.treated

    @property
    def size(self) -> float:
        """Mean number of rows of a cluster (with subclusters: of one of these)."""
        return self.trial.sizes.mean

    @property
    def level(self) -> float:
        """1 minus the level of significance."""
        return self._asked.level

    @property
    def se(self) -> float:
        """Standard error of the effect, by the formula."""
        return self.trial.se(self.effect)

    @property
    def df(self) -> float:
        """Its degrees of freedom, by the formula."""
        return self.trial.df(self.effect)

    @property
    def design_effect(self) -> float:
        """By how much clusters raise the variance of the effect; 1 + (n - 1) icc if all have n
        rows."""
        return self.trial.design_effect

    @property
    def by(self) -> str:
        """ "formula" or "simulation"."""
        return "formula" if self._found is None else "simulation"

    @property
    def replications(self) -> int | None:
        """Of the simulation, if there was one."""
        return None if self._found is None else len(self._found.est)

    @property
    def thin(self) -> tuple[str, ...]:
        """Why formulas are on thin ice here; empty where they are not."""
        return self.trial.thin(self.effect)

    @quiet
    def over(self, **values: Iterable[Any]) -> pd.DataFrame:
        """What else would be needed: one thing asked in many cases, by the formulas.

        Parameters
        ----------
        **values : sequence
            Of `clusters`, `size`, `effect`, `power`, `icc`, `cv`: some values of each, in place of
            that of the plan.

        Returns
        -------
        DataFrame
            A row for each combination, with what was wanted in the last column.

        Examples
        --------
        >>> import mlsem
        >>> found = mlsem.plan(clusters=12, size=20, icc=0.1, power=0.8)
        >>> found.over(icc=[0.05, 0.1], clusters=[12, 24]).round(2)
            icc  clusters  effect
        0  0.05        12    0.56
        1  0.05        24    0.37
        2  0.10        12    0.68
        3  0.10        24    0.46
        """
        known = dict(self._asked.given)
        for name in values:
            if name not in known or name == self.asked:
                able = [each for each in known if each != self.asked]
                raise OptionValueError(f"over: {name!r} is none of {', '.join(able)}.")
        cases = [dict(zip(values, case, strict=True)) for case in product(*values.values())]
        others = (read(known | case) for case in cases)
        found = [Plan(other, by_formula(other)).asked_value for other in others]
        columns: dict[str, Any] = {name: [case[name] for case in cases] for name in values}
        return make_frame(columns | {self.asked: np.array(found)})

    # --- figure -------------------------------------------------------------------------------

    @quiet
    def plot(self, against: str | None = None, figure: Figure | None = None) -> Figure:
        """The power, by the formulas, with the planned trial on it.

        Parameters
        ----------
        against : {"effect", "clusters", "size"}, optional
            Default: what was wanted; the effect for a power.
        figure : Figure, optional
            An empty one to draw in.

        Returns
        -------
        Figure

        Examples
        --------
        >>> import mlsem
        >>> found = mlsem.plan(clusters=12, size=20, icc=0.1, power=0.8)
        >>> figure = found.plot()
        >>> figure.savefig("plan.png")
        """
        against = against or ("effect" if self.asked == "power" else self.asked)
        if against not in ASKED[:3]:
            raise OptionValueError(f'against={against!r}: it takes "effect", "clusters" or "size".')
        x, curve = self._curve(against)
        at = float(getattr(self, against))
        words = f"{format_number(at, 3 if against == 'effect' else 0)}: {self.power:.3f}"
        drawn = PowerCurve(
            self._axis(against), x, curve, (at, self.power), words, against != "effect"
        )
        return power_curve(drawn, self._caption(against), figure)

    def _curve(self, against: str) -> tuple[list[float], list[float]]:
        trial, level, effect = self.trial, self.level, self.effect
        if against == "effect":
            most = 2.0 * effect
            if trial.control is not None:
                most = float(np.clip(most, -trial.control + 1e-6, 1.0 - trial.control - 1e-6))
            x = np.linspace(0.0, most, POINTS)
            return x.tolist(), [power_of(trial, float(each), level) for each in x]
        if against == "clusters":
            if self._asked.treated >= 1.0:
                raise OptionValueError(
                    f"against='clusters': {self.treated} clusters are treated, however many there "
                    "are; give treated= as a share."
                )
            first, last = self._asked.fewest, max(2 * trial.clusters, self._asked.fewest + 4)
            step = max(1, (last - first) // POINTS)
            counts = range(first, last + 1, step)
            planned = [self._asked.with_clusters(each) for each in counts]
        elif trial.sizes.given:
            raise OptionValueError("against='size': the sizes of all clusters are given.")
        else:
            last = max(int(2 * self.size), 4)
            counts = range(1, last + 1, max(1, last // POINTS))
            planned = [trial.with_size(each) for each in counts]
        return [float(each) for each in counts], [power_of(each, effect, level) for each in planned]

    def _axis(self, against: str) -> str:
        if against != "effect":
            return {"clusters": "Clusters", "size": "Rows of a cluster"}[against]
        return "Effect (SD)" if self.trial.control is None else "Difference of risks"

    def _caption(self, against: str) -> str:
        parts = {
            "clusters": f"{self.clusters} clusters, {self.trial.arms_words}",
            "size": f"{self.size:g} rows each",
            "effect": f"effect {self.effect:.3g}",
        }
        rest = ", ".join(words for name, words in parts.items() if name != against)
        return f"{rest}, ICC {self.trial.icc_words}; two-sided, {1 - self.level:.2g}"

    # --- as text ------------------------------------------------------------------------------

    def _sheet(self) -> sheet.Sheet:
        facts = (
            *self.trial.facts(self.effect),
            ("Design effect", f"{self.design_effect:.2f}"),
            ("Level of significance, two-sided", f"{1 - self.level:.2g}"),
        )
        return sheet.Sheet(self.trial.title, facts, (self._table,), "Notes", self.notes)

    @property
    def _table(self) -> sheet.SheetTable:
        name = "Effect (SD)" if self.trial.control is None else "Risk difference"
        cells = {
            "clusters": ("Clusters", str(self.clusters)),
            "size": ("Rows of a cluster", f"{self.size:g}"),
            "effect": (name, format_number(self.effect, 3)),
            "power": ("Power", self._power_words),
            "se": ("Standard error", format_number(self.se, 3)),
            "df": ("Degrees of freedom", format_df(self.df)),
        }
        order = [self.asked, *(name for name in cells if name != self.asked)]
        rows = tuple((cells[name][0], (cells[name][1],)) for name in order)
        return sheet.SheetTable(WORDS[self.asked], ("value",), rows)

    @property
    def _power_words(self) -> str:
        if self._found is None:
            return f"{self.power:.3f}"
        return f"{self.power:.3f} ± {1.96 * self._found.error(self.power):.3f}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about these numbers."""
        found = list[str]()
        if self._found is not None:
            found.append(
                f"By simulation of {self.replications} trials (seed {self.seed}), each analysed by "
                "a random-intercept model with CR2 errors and Satterthwaite degrees of freedom; ± "
                "is the error of the simulation. Standard error and degrees of freedom are the "
                "formula's."
            )
            failed = int(np.isnan(self._found.se).sum())
            if failed:
                found.append(
                    f"{failed} trials had no standard error, and count as finding nothing."
                )
        if self.thin:
            what = "; ".join(self.thin)
            why = (
                "which is why data were simulated"
                if self._found is not None
                else ('so that formulas are on thin ice: compare with by="simulation"')
            )
            found.append(f"{what[0].upper()}{what[1:]}, {why}.")
        elif self._found is None and self.trial.inflation(self.effect) > NOTED:
            found.append(
                "The formula takes for known what covariates of clusters explain. Estimating it "
                f"makes the variance of the effect about {self.trial.inflation(self.effect):.0%} "
                'larger: by="simulation" counts that.'
            )
        share, treated = self._asked.treated, self.treated
        if share < 1.0 <= treated and abs(treated - share * self.clusters) > 1e-9:
            found.append(f"{share:g} of {self.clusters} clusters: {treated:g} are treated.")
        return tuple(found)
