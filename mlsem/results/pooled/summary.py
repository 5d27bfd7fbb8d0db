"""What stands above the parameters of a pooled summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.pooling.rules import PooledDf
from mlsem.report.document import HeaderBlock
from mlsem.results.mixed.parts import parts_of
from mlsem.results.mixed.summary import FixedEffects, MixedSummary
from mlsem.results.mixed.varcorr import variances
from mlsem.version import __version__

DF_NAMES: dict[PooledDf, str] = {
    "matching": "matching moments (Lipsitz et al., 2002)",
    "barnard-rubin": "Barnard & Rubin (1999)",
    "rubin": "Rubin (1987)",
}
if TYPE_CHECKING:
    from mlsem.results.pooled.result import PooledResult

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PooledFacts:
    """What the header of a pooled summary says.

    Attributes
    ----------
    n_data, n_used : int
        Data sets, and those whose fits converged.
    outer : int or None
        Of nested ones, how many the outer ones are.
    origin : tuple of (label, value)
        Where the data sets come from.
    sampling : tuple of (label, value)
        Of weights and strata, of the first data set.
    form : str
        How the covariances of the fits were made.
    """

    n_data: int
    n_used: int
    outer: int | None
    origin: Pairs
    sampling: Pairs
    restricted: bool
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
            f"<PooledResult: {self.n_params} parameters, {self.n_used} data sets of {self.n_obs} "
            f"rows{clusters}, se {self.se.name}; print(pooled.summary())>"
        )

    def header(self, measures: tuple[HeaderBlock, ...] | None) -> tuple[HeaderBlock, ...]:
        errors = HeaderBlock("Parameter estimates:", self._errors)
        return HeaderBlock("", self._model), HeaderBlock("", self._data), errors

    @property
    def facts(self) -> Pairs:
        """The same as one list."""
        return *self._model, *self._data, *self._errors

    @property
    def _model(self) -> Pairs:
        return (
            ("Estimator", "REML" if self.restricted else "ML"),
            ("Number of model parameters", str(self.n_params)),
        )

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


def mixed_summary(pooled: PooledResult, facts: PooledFacts, level: float | None) -> MixedSummary:
    """In the layout of a mixed model's, with the fraction of missing information; limits where a
    level is given."""
    estimates: Any = pooled._estimates
    parts, names = parts_of(estimates), pooled.table.names
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
    return MixedSummary(facts.title, pairs, variances(parts), limits, fixed, (), facts.notes)
