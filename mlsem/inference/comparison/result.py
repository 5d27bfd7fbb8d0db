"""Standard errors of several kinds side by side: the diagnosis of an unmodelled random slope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.estimation.standard_errors import KINDS
from mlsem.report import sheet
from mlsem.report.cells import formatted
from mlsem.report.figures.standard_errors import se_comparison
from mlsem.report.labels import read_labels

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.report.figures.style import Figure

LEGEND = (
    "ratio: {kind} to {base}. band: where it lies in {coverage:.0%} of data sets drawn from the "
    "fitted model, in which no slope varies. p: how many of these have such a large ratio."
)


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Ratios of standard errors in data sets drawn from the fitted model.

    Attributes
    ----------
    ratios : (B, c)
        Of the draws that could be fitted.
    failed : int
        Draws that could not.
    seed : int
        That the draws were made with.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> band = fit.compare_se(draws=50, seed=1).band
    >>> band.ratios.shape, band.failed, band.seed
    ((50, 3), 0, 1)
    """

    ratios: Shaped[Array, "B c"]
    failed: int
    seed: int

    def limits(self, level: float) -> Shaped[Array, "2 c"]:
        """Lower and upper limits of each ratio, (2, c); NaN where no draw has one.

        Parameters
        ----------
        level : float
            Share of the draws between the limits, such as 0.9.

        Returns
        -------
        ndarray, (2, c)

        Raises
        ------
        OptionValueError
            The level lies not between 0 and 1.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> band = fit.compare_se(draws=50, seed=1).band
        >>> band.limits(0.9).round(2)
        array([[0.87, 0.73, 0.82],
               [1.11, 1.3 , 1.36]])
        """
        require_level(level)
        tails = [0.5 - 0.5 * level, 0.5 + 0.5 * level]
        known = ~np.isnan(self.ratios).all(axis=0)
        limits = np.full((2, self.ratios.shape[1]), np.nan)
        limits[:, known] = np.nanquantile(self.ratios[:, known], tails, axis=0)
        return limits

    def exceeded(self, observed: Shaped[Array, "c"]) -> Shaped[Array, "c"]:
        """Share of ratios as large as the one observed, itself counted: (1 + #) / (1 + B).

        Parameters
        ----------
        observed : ndarray, (c,)
            Ratios of the fit, as in `SeComparison.ratios`.

        Returns
        -------
        ndarray, (c,)

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> compared = fit.compare_se(draws=50, seed=1)
        >>> compared.band.exceeded(compared.ratios["CR2"]).round(2)
        array([0.02, 0.02, 1.  ])
        """
        larger = (self.ratios >= observed * (1.0 - 1e-12)).sum(axis=0)
        return np.where(np.isnan(observed), np.nan, (1.0 + larger) / (1.0 + len(self.ratios)))


@dataclass(frozen=True, eq=False, repr=False)
class SeComparison(sheet.Shown):
    """Standard errors of several kinds; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    parameters : tuple of str
        The c parameters, under their `coef()` names.
    slopes : frozenset of str
        Those that are regression coefficients of level 1.
    est : (c,)
    se : mapping of kind to (c,)
        The first kind is what the others are compared with.
    band : Band or None
        Of the ratio of the last kind.
    level : float
        Of the band.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.compare_se(draws=50, seed=1)
    >>> found.kinds, found.parameters
    (('standard', 'MLR', 'CR2'), ('y~x1', 'y~w1:x1', 'y~w1.l2'))
    >>> {kind: ratios.round(2).tolist() for kind, ratios in found.ratios.items()}
    {'standard': [1.0, 1.0, 1.0], 'MLR': [1.87, 1.32, 0.73], 'CR2': [1.91, 1.37, 0.75]}
    >>> found.varying, found.steadier
    (('y~x1', 'y~w1:x1'), ('y~w1.l2',))
    >>> found.table.columns.tolist()
    ['est', 'se_standard', 'se_MLR', 'se_CR2', 'ratio', 'lower', 'upper', 'pvalue']
    >>> found.verdict[1].partition(". ")[0]
    'y~w1.l2: the CR2 standard error is smaller than expected by chance'
    """

    parameters: tuple[str, ...]
    slopes: frozenset[str]
    est: Shaped[Array, "c"]
    se: Mapping[str, Shaped[Array, "c"]]
    band: Band | None
    level: float

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of standard errors, in the order asked for."""
        return tuple(self.se)

    @property
    @quiet
    def ratios(self) -> dict[str, Shaped[Array, "c"]]:
        """Standard errors of each kind over those of the first, (c,)."""
        base = self.se[self.kinds[0]]
        with np.errstate(divide="ignore", invalid="ignore"):
            return {kind: found / base for kind, found in self.se.items()}

    @property
    @quiet
    def varying(self) -> tuple[str, ...]:
        """Level-1 slopes whose ratio lies above the band: they look as if they varied."""
        if self.band is None or not self._against_model:
            return ()
        above = self.ratios[self.kinds[-1]] > self.band.limits(self.level)[1]
        return tuple(name for name in self._named(above) if name in self.slopes)

    @property
    def steadier(self) -> tuple[str, ...]:
        """Parameters whose ratio lies below the band: clusters differ less in them than
        the model expects."""
        if self.band is None or not self._against_model:
            return ()
        return self._named(self.ratios[self.kinds[-1]] < self.band.limits(self.level)[0])

    @property
    def _against_model(self) -> bool:
        """Whether the kinds are compared with model-based errors."""
        return KINDS[self.kinds[0]].model_based

    def _named(self, where: Shaped[NDArray[np.bool_], "c"]) -> tuple[str, ...]:
        return tuple(name for name, each in zip(self.parameters, where, strict=True) if each)

    @property
    @quiet
    def table(self) -> pd.DataFrame:
        """One row per parameter: est, se_<kind>, ratio, and with a band lower, upper, pvalue."""
        ratio = self.ratios[self.kinds[-1]]
        columns: dict[str, Any] = {"est": self.est}
        columns |= {f"se_{kind}": found for kind, found in self.se.items()}
        columns["ratio"] = ratio
        if self.band is not None:
            columns["lower"], columns["upper"] = self.band.limits(self.level)
            columns["pvalue"] = self.band.exceeded(ratio)
        return make_frame(columns, list(self.parameters))

    @property
    @quiet
    def verdict(self) -> tuple[str, ...]:
        """What the comparison says, in sentences."""
        base, kind = self.kinds[0], self.kinds[-1]
        if self.band is None:
            return (f"without draws it is unknown how much {kind} / {base} varies by chance.",)
        found = [self._about_slopes]
        if self.steadier:
            found.append(self._about_steadier)
        if self.band.failed:
            draws = len(self.band.ratios) + self.band.failed
            found.append(f"{self.band.failed} of {draws} draws could not be fitted.")
        return tuple(found)

    @property
    def _about_slopes(self) -> str:
        base, kind = self.kinds[0], self.kinds[-1]
        if not self._against_model:
            return (
                "only a comparison with model-based errors can reveal varying slopes, not one with "
                f"{base}."
            )
        if not self.slopes.intersection(self.parameters):
            return "the model has no level-1 slopes to look at."
        if not self.varying:
            return (
                f"no level-1 slope has a {kind} standard error larger than expected by chance: "
                "no sign of an unmodelled random slope."
            )
        several = len(self.varying) > 1
        return (
            f"{', '.join(self.varying)}: the slope{'s' if several else ''} look"
            f"{'' if several else 's'} as if {'they' if several else 'it'} varied between "
            f"clusters. Model-based standard errors are too small there; {kind} holds."
        )

    @property
    def _about_steadier(self) -> str:
        kind, one = self.kinds[-1], len(self.steadier) == 1
        return (
            f"{', '.join(self.steadier)}: the {kind} standard error{' is' if one else 's are'} "
            "smaller than expected by chance. That is not a random slope but the opposite: "
            f"clusters differ less in {'it' if one else 'them'} than the model says, as where "
            "residuals are smaller for values of the predictor far from its mean, or rows of a "
            "cluster share out a fixed sum (ranks, matched or competing rows). Model-based "
            f"standard errors are too large there; {kind} holds."
        )

    @quiet
    def plot(
        self, figure: Figure | None = None, *, labels: Mapping[str, str] | None = None
    ) -> Figure:
        """A dot per kind and parameter, on the scale of the first kind, with the band.

        Parameters
        ----------
        figure : Figure, optional
            An empty one to draw in.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.

        Returns
        -------
        Figure

        Raises
        ------
        InterfaceError
            matplotlib is not installed.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> figure = fit.compare_se(draws=50, seed=1).plot()
        >>> figure.savefig("compared.png")
        """
        ratios = {kind: found.tolist() for kind, found in self.ratios.items()}
        bands = None
        if self.band is not None:
            bands = [(low, high) for low, high in self.band.limits(self.level).T.tolist()]
        names = read_labels(labels).all(self.parameters)
        return se_comparison(names, ratios, bands, figure=figure, caption=self._caption)

    @property
    def _caption(self) -> str:
        """What the figure shows, in plain words."""
        base, kind = self.kinds[0], self.kinds[-1]
        said = f"Marks: standard errors of each kind, as multiples of the {base} one."
        if self.band is None:
            return said
        share = f"{100 * self.level:g} %"
        return (
            f"{said}\nGrey: where the {kind} one lies in {share} of data sets drawn from the "
            "fitted model, in which no slope varies.\nRed: outside. To the right of grey the slope "
            "of a level-1 variable seems to vary between clusters."
        )

    @quiet
    def _sheet(self) -> sheet.Sheet:
        frame = self.table
        heads = {"est": "Estimate", "ratio": "ratio", "lower": "band", "upper": "", "pvalue": "p"}
        heads |= {f"se_{kind}": kind for kind in self.kinds}
        draws = None if self.band is None else len(self.band.ratios)
        cells = [formatted(str(name), frame[name].tolist(), 3, draws) for name in frame.columns]
        facts = [("Standard errors", ", ".join(self.kinds))]
        legend = ""
        if self.band is not None:
            facts += [("Draws", str(len(self.band.ratios))), ("Seed", str(self.band.seed))]
            base, kind = self.kinds[0], self.kinds[-1]
            legend = LEGEND.format(kind=kind, base=base, coverage=self.level)
        table = sheet.SheetTable(
            "Standard errors",
            tuple(heads[str(name)] for name in frame.columns),
            tuple(zip(self.parameters, zip(*cells, strict=True), strict=True)),
            legend,
        )
        title = "Standard errors compared"
        return sheet.Sheet(title, tuple(facts), (table,), "Verdict", self.verdict)
