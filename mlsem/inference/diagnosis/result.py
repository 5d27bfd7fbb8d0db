"""Which clusters the estimates rest on: leverage, effective clusters, and leaving clusters out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.arguments import chosen
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.inference.covariance.by_group import bearing
from mlsem.inference.covariance.cautions import FEW_CLUSTERS, FEW_DF, FEW_EFFECTIVE
from mlsem.inference.diagnosis.influence import ClusterInfluence, ratio_range
from mlsem.inference.diagnosis.left_out import LeftOut
from mlsem.inference.diagnosis.sheet import diagnostics_sheet
from mlsem.inference.diagnosis.verdict import (
    ClusterCounts,
    Coefficient,
    Limits,
    Refits,
    Words,
    verdict,
)
from mlsem.model.table import MEANS
from mlsem.report import sheet
from mlsem.report.figures.influence import Shifts, influence
from mlsem.report.figures.leverage import LeveragePanel, leverage
from mlsem.report.labels import read_labels

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.report.figures.style import Figure

LIMITS = Limits(FEW_CLUSTERS, FEW_DF, FEW_EFFECTIVE, uneven=0.75, moved=1.0)


@dataclass(frozen=True, eq=False, repr=False)
class ClusterDiagnostics(sheet.Shown):
    """Which clusters the estimates rest on; prints as text, shows as HTML in a notebook.

    Attributes
    ----------
    name : str
        The column of the robust clusters, G of them.
    labels : (G,)
    rows : (G,)
        Rows of each.
    parameters : tuple of str
        The c parameters looked at, under their `coef()` names.
    kinds : tuple of sets of (op, level)
        What each is in the model.
    effective : (c,)
        Effective number of clusters, 1 / Σ h².
    df : (c,)
        Satterthwaite degrees of freedom of CR2.
    se, model_se : (c,)
        CR2's and the model's standard errors.
    measures : ClusterInfluence
        Leverage, shares, and changes of one step.
    left_out : LeftOut or None
        Exact refits.
    nested : bool
        Whether the model has a level for these clusters; else they are coarser, or the model
        has one level only.
    groups : tuple of hashable
        Labels of several groups; empty where there is one.
    member : (G, g) of bool
        Whether each cluster has rows of each group; one column where there is one.
    held : (c, g) of bool
        Whether each parameter is one of each group.
    words : Words
        What the verdict says of such a model.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.cluster_diagnostics()
    >>> found.n_clusters, found.weight, found.group_counts
    (50, 50.0, ())
    >>> found.counts.smallest, found.counts.largest
    (10, 10)
    >>> found.coefficients["effective"].round(1).head(2).to_dict()
    {'y~x1': 39.3, 'y~w1:x1': 12.0}
    >>> found.clusters["leverage"].round(3).nlargest(2).to_dict()
    {10: 0.503, 22: 0.238}
    >>> found.influence.shape, float(found.ratio[0].round(2))
    ((50, 6), 1.91)
    >>> found.verdict[0].partition(" for ")[0]
    "the CR2 standard error is much larger than the model's"
    """

    name: str
    labels: Shaped[NDArray[Any], "G"]
    rows: Shaped[Index, "G"]
    parameters: tuple[str, ...]
    kinds: tuple[frozenset[tuple[str, int]], ...]
    effective: Shaped[Array, "c"]
    df: Shaped[Array, "c"]
    se: Shaped[Array, "c"]
    model_se: Shaped[Array, "c"]
    measures: ClusterInfluence
    left_out: LeftOut | None
    nested: bool
    groups: tuple[Hashable, ...]
    member: Shaped[NDArray[np.bool_], "G g"]
    held: Shaped[NDArray[np.bool_], "c g"]
    words: Words

    # --- frames -------------------------------------------------------------------------------

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return len(self.labels)

    @property
    def weight(self) -> float:
        """G* = N² / Σn_j²: equally large clusters that weigh as much."""
        return _weight(self.rows)

    @property
    @quiet
    def ratio(self) -> Shaped[Array, "c"]:
        """CR2's to the model's standard errors, (c,)."""
        return self.se / self.model_se

    @property
    @quiet
    def coefficients(self) -> pd.DataFrame:
        """One row per parameter.

        Columns `effective` (clusters), `largest` (share of the information that one cluster
        has), `cluster` (which), `df`, `se_model`, `se_cr2`, `ratio`, `ratio_lower` and
        `ratio_upper` (where it usually lies in a right model), `change` (in `se_model`, of
        leaving out the cluster that moves the estimate most), `influential` (which cluster).
        """
        lower, upper = ratio_range(self.df)
        changes = self._changes()
        columns = {
            "effective": self.effective,
            **self._largest(self.measures.share, "largest", "cluster"),
            "df": self.df,
            "se_model": self.model_se,
            "se_cr2": self.se,
            "ratio": self.ratio,
            "ratio_lower": lower,
            "ratio_upper": upper,
            **self._largest(changes, "change", "influential"),
        }
        return make_frame(columns, list(self.parameters))

    def _largest(self, values: Shaped[Array, "G c"], value: str, whose: str) -> dict[str, Any]:
        """In each column (G, c) the one furthest from 0, and its cluster; None if all are NaN."""
        places = np.where(np.isnan(values), -1.0, np.abs(values)).argmax(axis=0)
        largest = values[places, np.arange(len(places))]
        found = np.empty(len(places), dtype=object)
        found[:] = self.labels[places].tolist()
        found[np.isnan(largest)] = None
        return {value: largest, whose: found}

    @property
    @quiet
    def clusters(self) -> pd.DataFrame:
        """One row per cluster: `group` (of several groups; those of a cluster that has rows of
        some, by commas), `rows`, `leverage` (free parameters that it determines, in all), and
        under each parameter's name its share of the information on it."""
        shares = dict(zip(self.parameters, self.measures.share.T, strict=True))
        own = {"rows": self.rows, "leverage": self.measures.leverage, **shares}
        return self._by_cluster({"group": self._group_of_each()} | own if self.groups else own)

    def _group_of_each(self) -> Shaped[NDArray[Any], "G"]:
        found = np.empty(self.n_clusters, dtype=object)
        for j in range(self.n_clusters):
            labels = [self.groups[k] for k in np.flatnonzero(self.member[j])]
            found[j] = labels[0] if len(labels) == 1 else ", ".join(map(str, labels))
        return found

    @property
    @quiet
    def influence(self) -> pd.DataFrame:
        """Cluster × parameter: by how many standard errors (the model's) leaving the cluster out
        moves the estimate, in one step; NaN where nothing would be left to estimate it from."""
        return self._by_cluster(self._named(self.measures.change))

    @property
    @quiet
    def exact(self) -> pd.DataFrame:
        """The same of exact refits, a row for each refit; NaN where one failed.

        Raises
        ------
        InferenceError
            No refits were asked for.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> found = fit.cluster_diagnostics(["y~x1", "y~w1:x1"], exact=[1, 2])
        >>> found.exact.round(2)
            y~x1  y~w1:x1
        id
        1  -0.12     0.21
        2  -0.43     0.06
        """
        if self.left_out is None:
            raise InferenceError(
                "nothing was refitted: call fit.cluster_diagnostics(exact=True), or give exact= "
                "the clusters to leave out."
            )
        return self._by_cluster(self._named(self.left_out.change), self.left_out.clusters)

    def _named(self, change: Shaped[Array, "g c"]) -> dict[str, Shaped[Array, "g"]]:
        return dict(zip(self.parameters, (change / self.model_se).T, strict=True))

    def _by_cluster(
        self,
        columns: Mapping[str, Shaped[NDArray[Any], "g"]],
        places: Shaped[Index, "g"] | slice = slice(None),
    ) -> pd.DataFrame:
        return make_frame(columns, self.labels[places]).rename_axis(self.name)

    def _changes(self) -> Shaped[Array, "G c"]:
        """In standard errors, (G, c): of the exact refits where there are, else of one step."""
        change = self.measures.change.copy()
        if self.left_out is not None:
            change[self.left_out.clusters] = self.left_out.change
        return change / self.model_se

    # --- in words -----------------------------------------------------------------------------

    @property
    def counts(self) -> ClusterCounts:
        """The clusters and their sizes."""
        return _counts(self.name, self.rows)

    @property
    def group_counts(self) -> tuple[ClusterCounts, ...]:
        """Those of each of several groups."""
        return tuple(
            _counts(self.name, self.rows[self.member[:, k]], str(label))
            for k, label in enumerate(self.groups)
        )

    @property
    @quiet
    def verdict(self) -> tuple[str, ...]:
        """What to make of it, in sentences; only what applies."""
        refits = self._refits()
        return verdict(self.counts, self._described(), LIMITS, self.words, refits, self._apart())

    def _apart(self) -> list[ClusterCounts]:
        """Those of groups that some parameter is held by alone; none if all are shared by all."""
        some = self.held[self.held.sum(axis=1) < self.held.shape[1]]
        counts = self.group_counts
        return [counts[k] for k in np.unique(np.nonzero(some)[1])]

    def _described(self) -> tuple[Coefficient, ...]:
        """The parameters as plain values."""
        largest = self._largest(self.measures.share, "share", "cluster")
        changes, (lower, upper) = self._changes(), ratio_range(self.df)
        solo = np.isnan(self.measures.change) & ~np.isnan(self.measures.share)
        labels = [str(label) for label in self.labels.tolist()]
        clusters = bearing(self.member, self.held).tolist()
        return tuple(
            Coefficient(
                name=name,
                effective=float(self.effective[k]),
                share=float(largest["share"][k]),
                cluster="" if largest["cluster"][k] is None else str(largest["cluster"][k]),
                clusters=clusters[k],
                df=float(self.df[k]),
                ratio=float(self.ratio[k]),
                lower=float(lower[k]),
                upper=float(upper[k]),
                changes=_three_largest(changes[:, k], labels),
                soloists=tuple(labels[j] for j in np.flatnonzero(solo[:, k])),
                mean=any(op in MEANS for op, _ in self.kinds[k]),
                slope=any(
                    op == "~" and (level == 1 or not self.nested) for op, level in self.kinds[k]
                ),
            )
            for k, name in enumerate(self.parameters)
        )

    def _refits(self) -> Refits | None:
        if self.left_out is None:
            return None
        failed = tuple(str(label) for label in self.labels[self.left_out.failed].tolist())
        return Refits(len(self.left_out.clusters), failed)

    @quiet
    def _sheet(self) -> sheet.Sheet:
        counts = self.counts, self.group_counts
        return diagnostics_sheet(*counts, self._described(), self._refits(), self.verdict)

    # --- a figure -----------------------------------------------------------------------------

    @quiet
    def plot(
        self,
        parameters: str | Iterable[str] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """Each cluster's share of the information on a parameter, a panel for each.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Default: the regression coefficients; all parameters where there are none.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.
        figure : matplotlib Figure or SubFigure, optional
            An empty one to draw in, e.g. ``plt.figure()`` to have ``plt.show()`` show it.

        Returns
        -------
        Figure
            Save it with ``figure.savefig("leverage.png")``; a notebook shows it.

        Raises
        ------
        InterfaceError
            matplotlib is not installed.
        OptionValueError
            There is no such parameter among those looked at.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> figure = fit.cluster_diagnostics().plot("y~x1")
        >>> figure.savefig("clusters.png")
        """
        places = [k for k, kinds in enumerate(self.kinds) if any(op == "~" for op, _ in kinds)]
        places = places or list(range(len(self.parameters)))
        if parameters is not None:
            places = chosen(self.parameters, parameters)
        words = read_labels(labels)
        names = words.all([self.parameters[k] for k in places])
        panels = [
            LeveragePanel(name, self.measures.share[:, k].tolist(), float(self.effective[k]))
            for name, k in zip(names, places, strict=True)
        ]
        clusters = [str(label) for label in self.labels.tolist()]
        column = words.variable(self.name)
        return leverage(panels, clusters, self.rows.tolist(), column, figure)

    @quiet
    def plot_influence(
        self,
        parameters: str | Iterable[str] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """By how many standard errors leaving each cluster out moves each estimate.

        A mark for each cluster: of exact refits where there are, else of one step. Those beyond
        2/√G, the usual limit (Belsley, Kuh & Welsch, 1980), are red, and the furthest are named.

        Parameters
        ----------
        parameters : str or iterable of str, optional
            Default: all.
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
            There is no such parameter among those looked at.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
        >>> figure = fit.cluster_diagnostics().plot_influence(labels={"y": "Achievement"})
        >>> figure.savefig("influence.png")
        """
        places = list(range(len(self.parameters)))
        if parameters is not None:
            places = chosen(self.parameters, parameters)
        changes, names = (
            self._changes(),
            read_labels(labels).all([self.parameters[k] for k in places]),
        )
        rows = [Shifts(name, changes[:, k].tolist()) for name, k in zip(names, places, strict=True)]
        limit = 2.0 / float(np.sqrt(self.n_clusters))
        how = "one step" if self.left_out is None else "exact refits where there are"
        return influence(
            rows,
            [str(label) for label in self.labels.tolist()],
            limit,
            "change without the cluster, in standard errors",
            f"a mark for each of {self.n_clusters} clusters [{self.name}], by {how}; grey: within "
            f"2/√{self.n_clusters} = {limit:.2f}",
            figure,
        )


def _counts(name: str, rows: Shaped[Index, "G"], group: str = "") -> ClusterCounts:
    sizes = int(rows.min()), float(np.median(rows)), int(rows.max())
    return ClusterCounts(name, len(rows), *sizes, _weight(rows), group)


def _weight(rows: Shaped[Index, "G"]) -> float:
    """N² / Σn_j²."""
    return float(rows.sum() ** 2 / (rows @ rows))


def _three_largest(changes: Shaped[Array, "G"], labels: list[str]) -> tuple[tuple[str, float], ...]:
    """Of changes (G,) without each cluster, and whose."""
    size = np.where(np.isnan(changes), -1.0, np.abs(changes))
    places = np.argsort(-size, kind="stable")[:3]
    return tuple((labels[k], float(changes[k])) for k in places if size[k] >= 0.0)
