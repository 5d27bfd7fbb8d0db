"""Variances and correlations of the random effects, as lme4's VarCorr."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import Array
from mlsem.data.design.variables import RESIDUAL
from mlsem.data.table.frame import make_frame
from mlsem.report.cells import format_number
from mlsem.report.sheet import Sheet, SheetTable, Shown
from mlsem.report.table import render_columns
from mlsem.results.mixed.parts import MixedParts

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VarCorr(Shown):
    """Variances, standard deviations and correlations of the random effects of a mixed model.

    Attributes
    ----------
    group : str
        The column of the clusters; of several levels each.
    effects : tuple of str
    blocks : tuple of tuple of int
        Those that covary.
    covariance : (q, q)
        Ψ, in the squared units of the outcome over those of the effects' columns.
    residual : float or (G,)
        σ²; of several classes of rows that of each.
    titles : tuple of str
        Of the blocks, as lme4 has them: ``id``, ``id.1``, …
    classes : tuple of str
        Labels of the classes of rows; empty where all have one residual variance.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
    >>> found = fit.VarCorr()
    >>> found.sd.round(3)
    array([1.053, 0.568])
    >>> round(found.sigma, 3)
    0.976
    >>> found.correlation.round(2)
    array([[ 1.  , -0.03],
           [-0.03,  1.  ]])
    >>> found.frame.round(3)
            grp         var1 var2   vcov  sdcor
    0        id  (Intercept)  NaN  1.108  1.053
    1        id           x1  NaN  0.323  0.568
    2        id  (Intercept)   x1 -0.018 -0.030
    3  Residual          NaN  NaN  0.952  0.976
    """

    group: str
    effects: tuple[str, ...]
    blocks: tuple[tuple[int, ...], ...]
    covariance: Array
    residual: Any
    titles: tuple[str, ...]
    classes: tuple[str, ...] = ()

    @property
    def sd(self) -> Array:
        """Standard deviations of the effects, (q,)."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0))

    @property
    def correlation(self) -> Array:
        """(q, q); NaN beside a variance of zero."""
        sd = np.where(self.sd > 0.0, self.sd, np.nan)
        return self.covariance / sd / sd[:, None]

    @property
    def sigma(self) -> Any:
        """The residual standard deviation σ; of several classes of rows that of each, (G,)."""
        return np.sqrt(self.residual) if self.classes else float(np.sqrt(self.residual))

    @property
    def _residuals(self) -> tuple[tuple[str | None, float, float], ...]:
        """Label, variance and standard deviation of the residuals of each class, or of all."""
        variances = np.atleast_1d(self.residual)
        pairs = zip(self.classes or (None,), variances.tolist(), strict=True)
        return tuple((label, variance, float(np.sqrt(variance))) for label, variance in pairs)

    @property
    def frame(self) -> pd.DataFrame:
        """Columns grp, var1, var2, vcov, sdcor, as in R's ``as.data.frame(VarCorr(fit))``: of each
        block its variances, then its covariances, the residual variance last; var1 has the classes
        of rows that have one each."""
        rows: list[tuple[str, str | None, str | None, float, float]] = []
        correlation = self.correlation
        for title, block in _titled(self):
            for k in block:
                rows.append((title, self.effects[k], None, self.covariance[k, k], self.sd[k]))
            for place, a in enumerate(block):
                for b in block[place + 1 :]:
                    names = self.effects[a], self.effects[b]
                    rows.append((title, *names, self.covariance[a, b], correlation[a, b]))
        for label, variance, sd in self._residuals:
            rows.append((RESIDUAL, label, None, variance, sd))
        names = ("grp", "var1", "var2", "vcov", "sdcor")
        return make_frame({name: [row[k] for row in rows] for k, name in enumerate(names)})

    def __str__(self) -> str:
        table = variance_table(self)
        columns = {"Groups": [name for name, _ in table.rows]}
        columns |= {
            head: [cells[k] for _, cells in table.rows] for k, head in enumerate(table.heads)
        }
        return render_columns(columns)

    def _sheet(self) -> Sheet:
        return Sheet("Variances and correlations", (), (variance_table(self),), "Notes", ())


def variances(*levels: MixedParts) -> VarCorr:
    """Those of a fit; of several levels one after the other."""
    effects: list[str] = []
    blocks: list[tuple[int, ...]] = []
    titles: list[str] = []
    for parts in levels:
        numbered = ("", *(f".{k}" for k in range(1, len(parts.blocks))))
        titles += [f"{parts.group}{number}" for number in numbered[: len(parts.blocks)]]
        blocks += [tuple(len(effects) + k for k in block) for block in parts.blocks]
        effects += parts.effects
    covariance = np.zeros((len(effects), len(effects)))
    first = 0
    for parts in levels:
        last = first + len(parts.effects)
        covariance[first:last, first:last], first = parts.psi, last
    return VarCorr(
        group=", ".join(parts.group for parts in levels),
        effects=tuple(effects),
        blocks=tuple(blocks),
        covariance=covariance,
        residual=levels[0].sigma2 if levels[0].classes else float(levels[0].sigma2[0]),
        titles=tuple(titles),
        classes=levels[0].classes,
    )


def _titled(found: VarCorr) -> list[tuple[str, tuple[int, ...]]]:
    return list(zip(found.titles, found.blocks, strict=True))


def variance_table(found: VarCorr, digits: int = 3) -> SheetTable:
    """Groups, Name, Variance, Std.Dev., Corr."""
    rows: list[tuple[str, tuple[str, ...]]] = []
    correlation = found.correlation
    for title, block in _titled(found):
        for place, k in enumerate(block):
            beside = [format_number(float(correlation[k, m]), 2) for m in block[:place]]
            numbers = (found.covariance[k, k], found.sd[k])
            cells = [found.effects[k], *(format_number(float(each), digits) for each in numbers)]
            rows.append((title if place == 0 else "", (*cells, " ".join(beside))))
    heads = ("Name", "Variance", "Std.Dev.", "Corr")
    for k, (label, *numbers) in enumerate(found._residuals):
        cells = [label or "", *(format_number(each, digits) for each in numbers), ""]
        rows.append(("" if k else RESIDUAL, tuple(cells)))
    if found.classes:  # standard deviations over that of the first class
        first = found._residuals[0][2]
        ratios = [format_number(sd / first, digits) for _, _, sd in found._residuals]
        beside = [*[""] * (len(rows) - len(ratios)), *ratios]
        rows = [(title, (*own, more)) for (title, own), more in zip(rows, beside, strict=True)]
        heads = (*heads, "Ratio")
    return SheetTable("Random effects", heads, tuple(rows), left=1, stub="Groups")
