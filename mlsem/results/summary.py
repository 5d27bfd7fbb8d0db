"""The summary of a fit: facts and columns in, a document that prints itself out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Any, Protocol

from mlsem.data.moments.missing import Missingness
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.other_programs.answering import Answering
from mlsem.report import html, text
from mlsem.report.document import HeaderBlock, SummaryDocument
from mlsem.report.export.exported import Rounded, written
from mlsem.report.export.grid import Grid
from mlsem.report.export.summary import document_grid
from mlsem.report.sections import ParameterRow, sections
from mlsem.version import __version__

if TYPE_CHECKING:
    from os import PathLike

DF_NAMES = {
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "kenward-roger": "Kenward-Roger degrees of freedom",
}
ADJUSTED = {
    ("residuals",): "residuals",
    ("scores",): "scores",
    ("residuals", "scores"): "residuals; scores (variances)",
    ("scores", "residuals"): "residuals; scores (variances)",
}
FIELDS = ("lhs", "op", "rhs", "level", "group", "label", "est", "se", "stat", "pvalue", "df")
BESIDE = ("std_lv", "std_all", "fmi")
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GroupSizes:
    """Rows and clusters of each of several groups.

    Attributes
    ----------
    column : str
        The grouping column.
    labels, rows, clusters
        Of each group; `clusters` is empty where there are none. One that cuts across groups counts
        in each of them.
    """

    column: str
    labels: tuple[str, ...]
    rows: tuple[int, ...]
    clusters: tuple[int, ...]

    @property
    def pairs(self) -> Pairs:
        """Lines of the header, in lavaan's words."""
        lines = [(f"Number of groups [{self.column}]", str(len(self.labels)))]
        for title, counts in (("observations", self.rows), ("clusters", self.clusters)):
            if counts:
                lines.append((f"Number of {title} per group:", ""))
                lines += [
                    (f"  {label}", str(count))
                    for label, count in zip(self.labels, counts, strict=True)
                ]
        return tuple(lines)


class Headed(Protocol):
    """What stands above and below the parameters of a summary."""

    @property
    def title(self) -> str: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def header(self, measures: tuple[HeaderBlock, ...] | None) -> tuple[HeaderBlock, ...]: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header of a summary says.

    Attributes
    ----------
    cluster, n_clusters
        Of the highest level.
    lower : tuple of str and int, or None
        With three levels the column of clusters of level 2, and how many there are.
    """

    converged: bool
    n_iterations: int
    n_params: int
    n_auxiliary: int
    n_equalities: int
    n_obs: int
    n_rows: int
    cluster: str | None
    n_clusters: int | None
    lower: tuple[str, int] | None
    missing: Missingness | None
    centered: tuple[tuple[str, str, float], ...]
    sampling: Pairs
    restricted: bool
    loglik: float
    aic: float
    bic: float
    se: StandardErrors
    form: str
    df_method: str | None
    adjusted: tuple[str, ...]
    robust: str | None
    n_robust: int | None
    notes: tuple[str, ...]
    groups: GroupSizes | None = None

    @property
    def title(self) -> str:
        ended = "ended normally" if self.converged else "did NOT converge"
        plural = "" if self.n_iterations == 1 else "s"
        return f"mlsem {__version__} {ended} after {self.n_iterations} iteration{plural}"

    @property
    def brief(self) -> str:
        """The fit in one line."""
        groups = "" if self.groups is None else f"{len(self.groups.labels)} groups, "
        clusters = "" if self.n_clusters is None else f", {self.n_clusters} clusters"
        if self.lower is not None:
            clusters = f", {self.lower[1]} clusters in {self.n_clusters}"
        name = "restricted loglik" if self.restricted else "loglik"
        loglik = f"no {name}" if isnan(self.loglik) else f"{name} {self.loglik:.3f}"
        state = "" if self.converged else f"{self._where}, not converged"
        return (
            f"<FitResult: {self.n_params - self.n_equalities} parameters, {groups}{self.n_obs} rows"
            f"{clusters}, {loglik}{state}, se {self.se.name}; print(fit.summary())>"
        )

    @property
    def _where(self) -> str:
        """What a log-likelihood is that is none of a maximum."""
        return "" if self.converged or isnan(self.loglik) else " at the last iterate"

    def header(self, measures: tuple[HeaderBlock, ...] | None) -> tuple[HeaderBlock, ...]:
        """With measures of fit, which have the criteria among them, or with these alone."""
        middle = (self._criteria,) if measures is None else measures
        return HeaderBlock("", self._model), HeaderBlock("", self._data), *middle, self._errors

    @property
    def _model(self) -> Pairs:
        pairs = [
            ("Estimator", "REML" if self.restricted else "ML"),
            ("Optimization method", "Fisher scoring, Newton"),
            ("Number of model parameters", str(self.n_params)),
        ]
        if self.n_equalities:
            pairs.append(("Number of equality constraints", str(self.n_equalities)))
        if self.n_auxiliary:
            pairs.append(("Parameters of auxiliary variables", str(self.n_auxiliary)))
        return tuple(pairs)

    @property
    def _data(self) -> Pairs:
        pairs = [("Number of observations", str(self.n_obs))]
        if self.n_rows != self.n_obs:
            pairs = [
                ("Number of observations (used)", str(self.n_obs)),
                ("Number of observations (total)", str(self.n_rows)),
            ]
        if self.n_clusters is not None:
            pairs.append((f"Number of clusters [{self.cluster}]", str(self.n_clusters)))
        if self.lower is not None:
            pairs.append((f"Number of clusters [{self.lower[0]}]", str(self.lower[1])))
        if self.groups is not None:
            pairs += self.groups.pairs
        if self.missing is not None:
            pairs += _incomplete(self.missing, self.n_clusters is not None)
        pairs += self.sampling
        for name, how, value in self.centered:
            where = "cluster mean" if how == "cluster" else f"grand mean {value:.6g}"
            pairs.append((f"Centred [{name}]", where))
        return tuple(pairs)

    @property
    def _criteria(self) -> HeaderBlock:
        name, own, criterion = "Loglikelihood", "", []
        if self.restricted:
            name, own = "Restricted loglikelihood", ", restricted"
            maximum = self.loglik if self.converged else nan
            criterion = [("REML criterion", _shown(-2.0 * maximum))]
        rows = (
            (f"{name}{self._where}", _shown(self.loglik)),
            *criterion,
            (f"Akaike (AIC{own})", _shown(self.aic)),
            (f"Bayesian (BIC{own})", _shown(self.bic)),
        )
        return HeaderBlock(f"{name} and information criteria:", rows)

    @property
    def _errors(self) -> HeaderBlock:
        pairs = [("Standard errors", self.se.title)]
        if self.form:
            pairs.append((self.se.form_word, self.form))
        if self.df_method is not None:
            pairs.append(("t tests of fixed effects", DF_NAMES[self.df_method]))
        if self.adjusted:
            pairs.append(("Adjusted", ADJUSTED[self.adjusted]))
        if self.n_robust is not None:
            pairs.append((f"Robust clusters [{self.robust}]", str(self.n_robust)))
        return HeaderBlock("Parameter estimates:", tuple(pairs))


def _incomplete(missing: Missingness, clustered: bool) -> list[tuple[str, str]]:
    """What full information maximum likelihood uses; only what applies."""
    if missing.patterns == 1 and missing.level2_patterns == 1:
        return [("Missing values in these", "none")]
    pairs = [("Observations with missing values", str(missing.rows_partly))]
    if clustered and missing.clusters_dropped:
        pairs.append(("Clusters left out", str(missing.clusters_dropped)))
    if missing.level2_patterns > 1:
        pairs.append(("Clusters with missing values", str(missing.clusters_partly)))
        patterns = f"{missing.patterns}, {missing.level2_patterns}"
        pairs.append(("Patterns of missing values (level 1, 2)", patterns))
    else:
        pairs.append(("Patterns of missing values", str(missing.patterns)))
    return pairs


def _shown(value: float) -> str:
    return "not available" if isnan(value) else f"{value:.3f}"


@dataclass(frozen=True, repr=False)
class Summary(Rounded, Answering):
    """A summary: text when printed, HTML in a notebook; `document` holds the plain values.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> summary = mlsem.fit("y ~ x1", data).summary()
    >>> print(summary.to_markdown().splitlines()[0])
    **mlsem 0.1.0 ended normally after 3 iterations**
    """

    document: SummaryDocument

    def _text(self, digits: int = 3) -> str:
        return text.render(self.document, digits)

    def _repr_html_(self) -> str:
        return html.render(self.document)

    def _grid(self, digits: int = 3) -> Grid:
        return document_grid(self.document, digits)

    def to_html(self, digits: int = 3, *, path: str | PathLike[str] | None = None) -> str:
        """The HTML with this many decimals; written to a file where a path is given.

        Parameters
        ----------
        digits : int, default 3
            Decimals.
        path : path, optional
            A file to be written, too.

        Returns
        -------
        str

        Raises
        ------
        OptionValueError
            The path is no name of a file.
        MlsemError
            The file cannot be written.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> page = fit.summary().to_html()
        >>> "<table" in page
        True
        """
        return written(html.render(self.document, digits), path)


def level_titles(labels: tuple[str, ...]) -> dict[int, str]:
    """`Level 1 [within]` of the levels of a model: numbers are said in words, of two levels."""
    words = ("within", "between")
    titles: dict[int, str] = {}
    for k, label in enumerate(labels, start=1):
        shown = words[k - 1] if label == str(k) and len(labels) == 2 else label
        titles[k] = f"Level {k}" if shown == str(k) else f"Level {k} [{shown}]"
    return titles


def summarise(
    columns: Mapping[str, Any],
    hidden: Sequence[bool],
    level_labels: tuple[str, ...],
    facts: Headed,
    intervals: bool,
    measures: tuple[HeaderBlock, ...] | None = None,
    group_titles: tuple[str, ...] = (),
) -> Summary:
    """Arrange the columns of the parameter table under the facts; hidden rows are left out."""
    shown = [name for name in (*FIELDS, *BESIDE) if name in columns]
    lines = [
        ParameterRow(
            **{name: columns[name][k] for name in shown},
            lower=float(columns["ci_lower"][k]) if intervals else None,
            upper=float(columns["ci_upper"][k]) if intervals else None,
            hidden=hidden[k],
        )
        for k in range(len(hidden))
    ]
    titles = level_titles(level_labels)
    levels, defined = sections(lines, titles, group_titles)
    header = facts.header(measures)
    return Summary(SummaryDocument(facts.title, header, levels, defined, facts.notes))
