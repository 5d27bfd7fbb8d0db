"""What stands above the parameters of a pooled summary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlsem.core.records import Array
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.pooling.rules import PooledDf
from mlsem.report.cells import format_number
from mlsem.report.document import HeaderBlock
from mlsem.report.sheet import Sheet
from mlsem.results.generalized.summary import GlmSummary
from mlsem.results.mixed.summary import FixedEffects, MixedSummary
from mlsem.version import __version__

DF_NAMES: dict[PooledDf, str] = {
    "matching": "matching moments (Lipsitz et al., 2002)",
    "barnard-rubin": "Barnard & Rubin (1999)",
    "rubin": "Rubin (1987)",
}
if TYPE_CHECKING:
    from mlsem.results.pooled.generalized import PooledGlmResult
    from mlsem.results.pooled.mixed import MixedTables

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PooledFacts:
    """What the header of a pooled summary says.

    Attributes
    ----------
    kind : str
        The class of the result.
    n_data, n_used : int
        Data sets, and those whose fits converged.
    outer : int or None
        Of nested ones, how many the outer ones are.
    origin : tuple of (label, value)
        Where the data sets come from.
    sampling : tuple of (label, value)
        Of weights and strata, of the first data set.
    model : tuple of (label, value)
        What is said of the model first.
    form : str
        How the covariances of the fits were made.
    """

    kind: str
    n_data: int
    n_used: int
    outer: int | None
    origin: Pairs
    sampling: Pairs
    model: Pairs
    n_params: int
    n_obs: int
    cluster: str | None
    n_clusters: int | None
    se: StandardErrors
    form: str
    df: PooledDf
    complete_df: float | None
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"mlsem {__version__}: {self.n_used} fits pooled by Rubin's rules"

    @property
    def brief(self) -> str:
        """The result in one line."""
        clusters = "" if self.n_clusters is None else f", {self.n_clusters} clusters"
        return (
            f"<{self.kind}: {self.n_params} parameters, {self.n_used} data sets of {self.n_obs} "
            f"rows{clusters}, se {self.se.name}; print(pooled.summary())>"
        )

    def header(self, measures: tuple[HeaderBlock, ...] | None) -> tuple[HeaderBlock, ...]:
        errors = HeaderBlock("Parameter estimates:", self._errors)
        return HeaderBlock("", self.model), HeaderBlock("", self._data), errors

    @property
    def facts(self) -> Pairs:
        """The same as one list."""
        return *self.model, *self._data, *self._errors

    @property
    def _data(self) -> Pairs:
        pairs = [("Number of data sets", str(self.n_data))]
        if self.n_used != self.n_data:
            pairs.append(("  whose fits converged", str(self.n_used)))
        if self.outer is not None:
            pairs.append(("  nested in outer ones", str(self.outer)))
        pairs += [*self.origin, ("Number of observations", str(self.n_obs))]
        if self.n_clusters is not None:
            pairs.append((f"Number of clusters [{self.cluster}]", str(self.n_clusters)))
        return *pairs, *self.sampling

    @property
    def _errors(self) -> Pairs:
        pairs = [("Standard errors", self.se.title)]
        if self.se.replicated:
            pairs.append((self.se.form_word, self.form))
        pairs.append(("Degrees of freedom", DF_NAMES[self.df]))
        if self.complete_df is not None:
            pairs.append(("  of complete data", f"{self.complete_df:g}"))
        return tuple(pairs)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PooledGlmSummary(GlmSummary):
    """That of a generalised linear model, with the fraction of missing information.

    Attributes
    ----------
    fmi : (npar,)

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["high"] = (data["y"] > 0).astype(int)
    >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
    >>> pooled = mlsem.pool([mlsem.glm("high ~ x1", each, cluster="id") for each in sets])
    >>> pooled.summary().fmi.round(2).tolist()
    [0.04, 0.85]
    """

    fmi: Array

    def _sheet(self, digits: int = 3) -> Sheet:
        sheet = GlmSummary._sheet(self, digits)
        table = sheet.tables[0]
        shares = [format_number(float(each), digits) for each in self.fmi]
        rows = tuple(
            (name, (*cells, share)) for (name, cells), share in zip(table.rows, shares, strict=True)
        )
        return replace(sheet, tables=(replace(table, heads=(*table.heads, "FMI"), rows=rows),))


def glm_summary(pooled: PooledGlmResult, facts: PooledFacts, level: float | None) -> GlmSummary:
    """Limits where a level is given."""
    tests = pooled._wald(0.95 if level is None else level)
    return PooledGlmSummary(
        title=facts.title,
        facts=facts.facts,
        names=pooled.table.names,
        tests=tests,
        limits=level is not None,
        notes=facts.notes,
        fmi=pooled.fmi.to_numpy(),
    )


def mixed_summary(pooled: MixedTables, facts: PooledFacts, level: float | None) -> MixedSummary:
    """In the layout of a mixed model's, with the fraction of missing information; limits where a
    level is given."""
    parts, names = pooled._levels[0], pooled.table.names
    tests = pooled._wald(0.95 if level is None else level)
    count, beside, limits = len(parts.fixed), [], ()
    if level is not None:
        beside = [("ci.lower", tests.lower[:count]), ("ci.upper", tests.upper[:count])]
        limits = tuple(
            (names[k], float(tests.est[k]), float(tests.lower[k]), float(tests.upper[k]))
            for k in range(count, len(names))
        )
    beside.append(("FMI", pooled.fmi.to_numpy()[:count]))
    fixed = FixedEffects(
        names=parts.fixed,
        est=tests.est[:count],
        se=tests.se[:count],
        df=pooled.covariance.df[:count],
        stat=tests.stat[:count],
        pvalue=tests.pvalue[:count],
        beside=tuple(beside),
    )
    pairs = ("Formula", pooled.model), *facts.facts
    return MixedSummary(facts.title, pairs, pooled.VarCorr(), limits, fixed, (), facts.notes)
