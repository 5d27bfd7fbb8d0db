"""The report of cluster diagnostics: plain values in, a sheet out."""

from __future__ import annotations

from collections.abc import Sequence

from mlsem.base.display import cell
from mlsem.inference.diagnosis.verdict import ClusterCounts, Coefficient, Refits
from mlsem.report.cells import by_group, format_df, format_number
from mlsem.report.sheet import Sheet, SheetTable

LABEL = 9  # columns that a cluster's label may take
SHOWN = 3  # clusters shown with what they change

LEVERAGE = (
    "Effective: how many clusters carry the estimate. Largest: share of the information on it "
    "that one cluster has, and which. df: Satterthwaite's. Ratio: CR2 to the model's standard "
    "error; in a right model it usually lies in the range (95 %, from df)."
)


def diagnostics_sheet(
    counts: ClusterCounts,
    groups: Sequence[ClusterCounts],
    found: Sequence[Coefficient],
    refits: Refits | None,
    verdict: tuple[str, ...],
    unit: str,
) -> Sheet:
    """Facts on the clusters, what carries each coefficient, what moves it, and the verdict.

    Parameters
    ----------
    counts : ClusterCounts
    groups : sequence of ClusterCounts
        Of each of several groups.
    found : sequence of Coefficient
    refits : Refits or None
        None: all changes are of one step.
    verdict : tuple of str
    unit : str
        Whose standard errors changes are measured in.
    """
    sizes = f"{counts.smallest}, {counts.median:g}, {counts.largest}"
    facts = [
        (f"Number of clusters [{counts.name}]", str(counts.clusters)),
        *by_group([(part.group, part.clusters) for part in groups]),
        ("Rows in a cluster: smallest, median, largest", sizes),
        ("Equal clusters that weigh as much (G*)", f"{counts.weight:.1f}"),
    ]
    if refits is not None:
        converged = refits.tried - len(refits.failed)
        facts.append(("Refits without a cluster, converged", f"{converged} of {refits.tried}"))
    tables = (_leverage(found), _changes(found, counts, refits, unit))
    return Sheet("Cluster diagnostics", tuple(facts), tables, "Verdict", verdict)


def _leverage(found: Sequence[Coefficient]) -> SheetTable:
    heads = ("Effective", "Largest", "Cluster", "df", "Ratio", "Range", "")
    rows = tuple((each.name, _cells(each)) for each in found)
    return SheetTable("Clusters that carry each estimate", heads, rows, LEVERAGE)


def _cells(each: Coefficient) -> tuple[str, ...]:
    ratios = (format_number(value, 2) for value in (each.ratio, each.lower, each.upper))
    return (
        format_df(each.effective),
        format_number(each.share, 3),
        cell(each.cluster, LABEL),
        format_df(each.df),
        *ratios,
    )


def _changes(
    found: Sequence[Coefficient], counts: ClusterCounts, refits: Refits | None, unit: str
) -> SheetTable:
    rows = []
    for each in found:
        pairs = [(cell(name, LABEL), f"{change:+.2f}") for name, change in each.changes[:SHOWN]]
        pairs += [("", "")] * (SHOWN - len(pairs))
        rows.append((each.name, tuple(cell for pair in pairs for cell in pair)))
    how = "The estimates without the cluster are those of one step; exact=True refits."
    if refits is not None:
        how = (
            f"Refitted without {refits.tried} of the clusters, one step for the others."
            if refits.tried < counts.clusters
            else "Refitted without each cluster."
        )
    title = f"Leaving one cluster out: change in standard errors ({unit})"
    return SheetTable(title, ("Cluster", "Change") * SHOWN, tuple(rows), how)
