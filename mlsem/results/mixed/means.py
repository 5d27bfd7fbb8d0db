"""Marginal means, marginal slopes and contrasts, as results that print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.design.grid import Level
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.inference.covariance.intervals import Wald, wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.report.cells import format_df, format_number, format_pvalue
from mlsem.report.sheet import Sheet, SheetTable, Shown
from mlsem.results.mixed.choices import require_choice
from mlsem.results.mixed.grid import Averages, known
from mlsem.results.mixed.multiplicity import Adjust, adjusted, critical

if TYPE_CHECKING:
    import pandas as pd

ADJUSTED = {
    "tukey": "Tukey's, for all pairs of {} means",
    "holm": "Holm's, for {} tests (limits: Bonferroni's)",
    "bonferroni": "Bonferroni's, for {} tests",
    "sidak": "Šidák's, for {} tests",
}
UNKNOWN = (
    "Empty rows are of combinations that the data do not determine: a fixed effect that they need "
    "was left out as a linear combination of others."
)


@dataclass(frozen=True, slots=True, eq=False)
class Functions:
    """Linear functions lᵀβ of the fixed effects of a fit.

    Attributes
    ----------
    beta : (p,)
    covariance : Covariance
    """

    beta: Array
    covariance: Covariance

    def estimated(self, weights: Array) -> tuple[Array, Array, Array]:
        """Estimates, standard errors and degrees of freedom, (m,) each."""
        gradients = np.zeros((len(weights), len(self.covariance.matrix)))
        gradients[:, : len(self.beta)] = weights
        lost: Any = np.isnan(weights).any(axis=1)
        se, df = self.covariance.of_functions(np.where(lost[:, None], np.nan, gradients))
        return weights @ self.beta, se, df


def label_of(value: Level) -> str:
    """A value as it is printed."""
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, eq=False, repr=False)
class MarginalMeans(Shown):
    """Estimated marginal means or slopes of a mixed model.

    Attributes
    ----------
    what : str
        The outcome, or of a slope ``y by x``.
    keys : mapping of str to sequence
        Values of the columns that they are asked by, one for each mean.
    by : tuple of str
        Columns within whose values means are compared.
    level : float
        Of the intervals.
    held : str
        What was averaged over, and how.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["size"] = ["small" if each < 0 else "large" for each in data["w1"]]
    >>> fit = mlsem.lmm("y ~ size*x1 + (x1 | id)", data)
    >>> found = fit.marginal_means("size")
    >>> found.frame[["size", "estimate", "se", "df"]].round(2)
        size  estimate    se     df
    0  large      0.37  0.22  47.90
    1  small     -0.48  0.21  47.98
    >>> found.weights.shape
    (2, 4)
    """

    what: str
    keys: Mapping[str, Sequence[Level]]
    by: tuple[str, ...]
    level: float
    held: str
    method: str
    slope: bool
    _functions: Functions
    _averages: Averages

    @cached_property
    def _wald(self) -> Wald:
        weights = known(self._averages.weights, self._averages.away)
        estimate, se, df = self._functions.estimated(weights)
        with np.errstate(invalid="ignore"):
            return wald(estimate, se, df, self.level)

    @property
    def frame(self) -> pd.DataFrame:
        """Columns of the keys, then estimate, se, df, lower, upper; of slopes also statistic and
        pvalue."""
        found = self._wald
        columns = {name: list(values) for name, values in self.keys.items()}
        columns |= {"estimate": found.est, "se": found.se, "df": found.df}  # type: ignore[dict-item]
        columns |= {"lower": found.lower, "upper": found.upper}  # type: ignore[dict-item]
        if self.slope:
            columns |= {"statistic": found.stat, "pvalue": found.pvalue}  # type: ignore[dict-item]
        return make_frame(columns)

    @property
    def weights(self) -> Array:
        """l of each, (m, p), by the fixed effects in their order; the estimate is lᵀβ̂."""
        return known(self._averages.weights, self._averages.away)

    def pairs(self, adjust: Adjust | None = "tukey", level: float | None = None) -> Contrasts:
        """All differences between two of them, within the values of the columns `by`.

        Parameters
        ----------
        adjust : {"tukey", "holm", "bonferroni", "sidak"}, optional
            How p values and limits allow for there being several, within each value of `by`; None:
            not at all.
        level : float, optional
            Of the limits. Default: that of the means.

        Returns
        -------
        Contrasts

        Raises
        ------
        InferenceError
            There are no two to compare.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["size"] = ["small" if each < 0 else "large" for each in data["w1"]]
        >>> fit = mlsem.lmm("y ~ size + x1 + (1 | id)", data)
        >>> fit.marginal_means("size").pairs().frame["contrast"].tolist()
        ['large - small']
        """
        require_choice("adjust", adjust, get_args(Adjust), none=True)
        families = self._families()
        pairs = [(a, b) for members in families for a, b in combinations(members, 2)]
        if not pairs:
            raise InferenceError(
                "pairs: there is one mean, and so nothing to compare it with. Name a factor, or "
                "several values of a covariate in at=."
            )
        first, second = (np.array(side, dtype=np.intp) for side in zip(*pairs, strict=True))
        apart = self._averages.weights[first] - self._averages.weights[second]
        away = self._averages.away[first] - self._averages.away[second]
        names = [self._label(k) for k in range(len(self._averages.weights))]
        return Contrasts(
            what=self.what,
            labels=tuple(f"{names[a]} - {names[b]}" for a, b in pairs),
            by={name: [self.keys[name][a] for a, _ in pairs] for name in self.by},
            adjust=adjust,
            level=self.level if level is None else level,
            families=tuple(
                k for k, members in enumerate(families) for _ in combinations(members, 2)
            ),
            means=tuple(len(members) for members in families),
            method=self.method,
            _functions=self._functions,
            _weights=known(apart, away),
        )

    def _families(self) -> list[list[int]]:
        """Means that are compared with each other."""
        found: dict[tuple[Level, ...], list[int]] = {}
        for k in range(len(self._averages.weights)):
            found.setdefault(tuple(self.keys[name][k] for name in self.by), []).append(k)
        return list(found.values())

    def _label(self, k: int) -> str:
        """Its values, as emmeans writes them: numbers after the name, in parentheses what has other
        signs than letters."""
        parts = []
        for name, values in self.keys.items():
            if name not in self.by:
                text = label_of(values[k])
                parts.append(f"{name}{text}" if isinstance(values[k], float) else text)
        label = " ".join(parts)
        plain = all(each.isalnum() or each in " ._" for each in label)
        return label if plain else f"({label})"

    def _sheet(self) -> Sheet:
        found = self._wald
        columns = [found.est, found.se, found.df, found.lower, found.upper]
        heads = ["Estimate", "SE", "df", "lower", "upper"]
        if self.slope:
            columns += [found.stat, found.pvalue]
            heads += ["t" if np.isfinite(found.df).any() else "z", "p"]
        names = list(self.keys)
        texts = [[label_of(value) for value in self.keys[name]] for name in names]
        table = numbers_table(self.what, names or [""], texts or [["overall"]], heads, columns)
        facts = [("Degrees of freedom", self.method), ("Level of intervals", f"{self.level:g}")]
        notes = [self.held] if self.held else []
        if np.isnan(found.est).any():
            notes.append(UNKNOWN)
        title = "Marginal slopes" if self.slope else "Marginal means"
        return Sheet(title, tuple(facts), (table,), "Notes", tuple(notes))


@dataclass(frozen=True, eq=False, repr=False)
class Contrasts(Shown):
    """Differences between expectations of a mixed model, with tests.

    Attributes
    ----------
    what : str
        The outcome, or of a slope ``y by x``.
    labels : tuple of str
    by : mapping of str to sequence
        The values within which pairs were compared.
    adjust : str
        How p values and limits allow for there being several.
    level : float
        Of the limits.
    families : tuple of int
        Which contrasts are adjusted together.
    means : tuple of int
        How many means each family compares.
    method : str
        Where degrees of freedom come from.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
    >>> found = fit.contrast("x1 = 1 - x1 = 0")
    >>> found.frame[["contrast", "estimate", "se", "df"]].round(2)
              contrast  estimate   se     df
    0  x1 = 1 - x1 = 0      0.54  0.1  47.27
    >>> found.weights.round(2)
    array([[ 0.  ,  0.  ,  1.  , -0.13]])
    """

    what: str
    labels: tuple[str, ...]
    by: Mapping[str, Sequence[Level]]
    adjust: Adjust | None
    level: float
    families: tuple[int, ...]
    means: tuple[int, ...]
    method: str
    _functions: Functions
    _weights: Array

    def __post_init__(self) -> None:
        require_level(self.level)

    @property
    def weights(self) -> Array:
        """l of each, (m, p), by the fixed effects in their order; the estimate is lᵀβ̂."""
        return self._weights

    @cached_property
    def _tested(self) -> tuple[Wald, Array, Array, Array]:
        """The tests one by one, adjusted p values and limits."""
        with np.errstate(invalid="ignore"):
            plain = wald(*self._functions.estimated(self._weights), self.level)
        p, width = np.full(len(self.labels), np.nan), np.full(len(self.labels), np.nan)
        families = np.array(self.families)
        for k, means in enumerate(self.means):
            own = np.flatnonzero(families == k)
            if len(own):
                args = plain.pvalue[own], plain.stat[own], plain.df[own]
                p[own] = adjusted(*args, self.adjust, means)
                width[own] = critical(plain.df[own], self.level, self.adjust, len(own), means)
        half = width * plain.se
        return plain, p, plain.est - half, plain.est + half

    @property
    @quiet
    def frame(self) -> pd.DataFrame:
        """Columns contrast, those of `by`, estimate, se, df, statistic, pvalue, lower, upper."""
        plain, p, lower, upper = self._tested
        columns = {"contrast": self.labels, **{name: [*each] for name, each in self.by.items()}}
        columns |= {"estimate": plain.est, "se": plain.se, "df": plain.df}  # type: ignore[dict-item]
        columns |= {"statistic": plain.stat, "pvalue": p, "lower": lower, "upper": upper}  # type: ignore[dict-item]
        return make_frame(columns)

    def _sheet(self) -> Sheet:
        plain, p, lower, upper = self._tested
        letter = "t" if np.isfinite(plain.df).any() else "z"
        heads = ["Estimate", "SE", "df", letter, "p", "lower", "upper"]
        columns = [plain.est, plain.se, plain.df, plain.stat, p, lower, upper]
        texts = [[*self.labels]]
        texts += [[label_of(value) for value in each] for each in self.by.values()]
        table = numbers_table(self.what, ["Contrast", *self.by], texts, heads, columns)
        facts = [("Degrees of freedom", self.method), ("Level of intervals", f"{self.level:g}")]
        tests = max(map(self.families.count, {*self.families}))
        if self.adjust is not None and tests > 1:
            count = max(self.means) if self.adjust == "tukey" else tests
            facts.append(("Adjusted p values and limits", ADJUSTED[self.adjust].format(count)))
        notes = (UNKNOWN,) if np.isnan(plain.est).any() else ()
        return Sheet("Contrasts", tuple(facts), (table,), "Notes", notes)


def numbers_table(
    title: str,
    names: Sequence[str],
    texts: Sequence[Sequence[str]],
    heads: Sequence[str],
    columns: Sequence[Array],
) -> SheetTable:
    """Columns of words, then of numbers."""
    rows = []
    for k in range(len(texts[0])):
        numbers = (
            _cell(head, float(values[k])) for head, values in zip(heads, columns, strict=True)
        )
        rows.append((texts[0][k], (*(each[k] for each in texts[1:]), *numbers)))
    return SheetTable(
        title,
        (*names[1:], *heads),
        tuple(rows),
        left=len(names) - 1,
        stub=names[0],
    )


def _cell(head: str, value: float) -> str:
    if head == "df":
        return format_df(value)
    return format_pvalue(value) if head == "p" else format_number(value)
