"""What to make of clusters and coefficients, in words: plain values in, sentences out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlsem.report.cells import percent

LIMIT = 5  # coefficients that one sentence names


@dataclass(frozen=True, slots=True)
class ClusterCounts:
    """The robust clusters.

    Attributes
    ----------
    name : str
        The column that tells them apart.
    clusters : int
    smallest, median, largest : float
        Rows of a cluster.
    weight : float
        How many clusters of equal size weigh the same, N² / Σn².
    group : str
        Whose they are; empty for those of all.
    """

    name: str
    clusters: int
    smallest: int
    median: float
    largest: int
    weight: float
    group: str = ""

    @property
    def whose(self) -> str:
        return f" of group {self.group}" if self.group else ""

    @property
    def sizes(self) -> str:
        if self.smallest == self.largest:
            return f"{self.smallest} rows each"
        return f"{self.smallest} to {self.largest} rows, median {self.median:g}"


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A parameter as the report wants it; NaN where something does not exist.

    Attributes
    ----------
    name : str
    effective : float
        Effective number of clusters.
    share : float
        Of the information on it, the largest that a cluster has.
    cluster : str
        Which cluster that is.
    clusters : int
        How many bear on it: those of the groups that have the parameter.
    df : float
        Satterthwaite degrees of freedom.
    ratio, lower, upper : float
        CR2 to the model's standard error, and the range it usually has in a right model.
    changes : tuple of (cluster, change)
        Of leaving that cluster out, in the model's standard errors; the largest first.
    soloists : tuple of str
        Clusters that alone determine part of it (leverage 1).
    mean : bool
        Whether it is a regression coefficient or an intercept.
    slope : bool
        Whether a CR2 standard error larger than the model's has the reason that is given.
    """

    name: str
    effective: float
    share: float
    cluster: str
    clusters: int
    df: float
    ratio: float
    lower: float
    upper: float
    changes: tuple[tuple[str, float], ...]
    soloists: tuple[str, ...] = ()
    mean: bool = True
    slope: bool = False

    @property
    def change(self) -> float:
        """The size of the largest change; 0 where there is none."""
        return abs(self.changes[0][1]) if self.changes else 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond which values something is worth a sentence.

    Attributes
    ----------
    clusters : int
        Fewer are few.
    df : float
        Fewer degrees of freedom are few.
    effective : float
        Fewer effective clusters are few, if they are less than half of all.
    uneven : float
        A smaller share of G* in the clusters is low.
    moved : float
        A larger change is large, in standard errors.
    """

    clusters: int
    df: float
    effective: float
    uneven: float
    moved: float


@dataclass(frozen=True, slots=True)
class Words:
    """What differs between kinds of models.

    Attributes
    ----------
    reason : str
        What a CR2 standard error much larger than the model's points to, for a `slope`.
    uncorrected : str
        Standard errors that are too small with few clusters.
    alone : str
        What to do where one cluster determines a parameter.
    reference : str
        What is said of the range of ratios.
    """

    reason: str
    uncorrected: str
    alone: str
    reference: str


ROUGH = "No fixed cut-off is right, and the range is a rough one"
COARSER = Words(
    reason="within-cluster dependence that the model omits",
    uncorrected="MLR and CR0",
    alone='Use se="standard", or leave the effect out.',
    reference=f"{ROUGH}: fit.compare_se() gives the reference band by simulation.",
)
TWO_LEVELS = replace(
    COARSER, reason="slopes that differ between clusters, a random slope that the model omits"
)
ROWS_INDEPENDENT = Words(
    reason="what the rows of a cluster share, which the working model omits",
    uncorrected="CR0 and CR1",
    alone="More clusters are needed, or the effect is left out.",
    reference=f"{ROUGH}; CR2 holds either way.",
)


@dataclass(frozen=True, slots=True)
class Refits:
    """Exact refits without a cluster: how many, and the clusters without which they failed."""

    tried: int
    failed: tuple[str, ...]


def verdict(
    counts: ClusterCounts,
    found: Sequence[Coefficient],
    limits: Limits,
    words: Words,
    refits: Refits | None,
    groups: Sequence[ClusterCounts] = (),
) -> tuple[str, ...]:
    """The sentences that apply, or one that says that nothing stands out.

    Parameters
    ----------
    counts : ClusterCounts
        Of all clusters.
    groups : sequence of ClusterCounts
        Of those of each group with parameters of its own, where there are several.
    words : Words
    """
    solo = [each for each in found if each.soloists]
    means = [each for each in found if each.mean and each.df > 0.0 and not each.soloists]
    few = sorted((each for each in means if _is_few(each, limits)), key=_effective)
    parts = groups or (counts,)
    scarce = [part for part in parts if part.clusters < limits.clusters]
    ragged = [part for part in parts if part.weight < limits.uneven * part.clusters]
    low = sorted((each for each in means if each.df < limits.df and each not in few), key=_df)
    large = [each for each in found if each.change > limits.moved]
    above = [each for each in means if each.slope and each.ratio > each.upper]
    below = [each for each in means if each.slope and each.ratio < each.lower]
    sentences = (
        few_clusters(scarce, words.uncorrected) if scarce else "",
        uneven(ragged) if ragged else "",
        alone(solo, words.alone) if solo else "",
        carried(few) if few else "",
        few_df(low) if low else "",
        moved(sorted(large, key=_change), refitted=refits is not None) if large else "",
        wide(above, words) if above else "",
        narrow(below, words) if below else "",
    )
    applying = tuple(sentence for sentence in sentences if sentence) or (well(means, counts),)
    return (*applying, failed(refits)) if refits is not None and refits.failed else applying


def _is_few(each: Coefficient, limits: Limits) -> bool:
    return each.effective < min(limits.effective, 0.5 * each.clusters)


def _effective(each: Coefficient) -> float:
    return each.effective


def _df(each: Coefficient) -> float:
    return each.df


def _change(each: Coefficient) -> float:
    return -each.change


# --- sentences ------------------------------------------------------------------------------------


def few_clusters(parts: Sequence[ClusterCounts], uncorrected: str) -> str:
    """There are few."""
    each = f"{parts[0].clusters} clusters in each of {len(parts)} groups"
    if len(parts) == 1 or len({part.clusters for part in parts}) > 1:
        each = _joined([f"{part.clusters} clusters{part.whose}" for part in parts])
    return (
        f"{each} are few: {uncorrected} standard errors are too small and z tests reject too "
        "often. "
        'Use se="CR2" with its t tests.'
    )


def uneven(parts: Sequence[ClusterCounts]) -> str:
    """They are of uneven size; those of groups the most uneven first."""
    most = min(parts, key=lambda each: each.weight / each.clusters)
    more = len(parts) - 1
    others = f" (and of {more} more group{'s' if more > 1 else ''})" if more else ""
    return (
        f"the clusters{most.whose}{others} are of uneven size ({most.sizes}): they weigh as much "
        f"as {most.weight:.1f} equal ones, not {most.clusters}, so that robust standard errors "
        "need a correction such as CR2 all the more."
    )


def carried(found: Sequence[Coefficient]) -> str:
    """Few of the clusters inform on these."""
    cases = [
        f"{each.name} ({each.effective:.1f} effective of {each.clusters}, df {each.df:.1f}; "
        f"cluster {each.cluster} has {percent(each.share)} of the information)"
        for each in found
    ]
    return (
        f"few clusters carry {_joined(cases)}. Use CR2 with its t tests, read their p values as "
        "rough, and see whether the effect rests on these clusters."
    )


def few_df(found: Sequence[Coefficient]) -> str:
    """Few degrees of freedom, though no few clusters carry them."""
    cases = [f"{each.name} {each.df:.1f}" for each in found]
    return (
        f"few degrees of freedom under CR2: {_joined(cases)}. Read these p values as rough; the "
        "intervals are wide."
    )


def alone(found: Sequence[Coefficient], cure: str) -> str:
    """Single clusters determine part of these: leverage 1."""
    clusters = list(dict.fromkeys(label for each in found for label in each.soloists))
    who = "each of the clusters" if len(clusters) > 1 else "cluster"
    return (
        f"{who} {_joined(clusters)} alone determines "
        f"part of {_joined([each.name for each in found])} (leverage 1): no other cluster shows "
        f"how uncertain that part is, so there is no cluster-robust standard error. {cure}"
    )


def moved(found: Sequence[Coefficient], *, refitted: bool) -> str:
    """Leaving one cluster out changes these by more than a standard error; the largest first."""
    cases = [
        f"{each.name} by {each.changes[0][1]:+.2f} without cluster {each.changes[0][0]}"
        for each in found
    ]
    return (
        "one cluster moves an estimate by more than one standard error (the model's): "
        f"{_joined(cases)}. See whether its data are right, and report the estimates without it "
        "too." + ("" if refitted else " exact=True refits without each cluster.")
    )


def wide(found: Sequence[Coefficient], words: Words) -> str:
    """CR2 is much larger than the model's."""
    return (
        f"the CR2 standard error is much larger than the model's for {_ratios(found)}: this "
        f"points to {words.reason}. {words.reference}"
    )


def narrow(found: Sequence[Coefficient], words: Words) -> str:
    """CR2 is much smaller than the model's."""
    return (
        f"the CR2 standard error is much smaller than the model's for {_ratios(found)}: the "
        f"residual variance may differ between clusters, or it is chance. {words.reference}"
    )


def failed(refits: Refits) -> str:
    """Refits that did not converge, or that leave some parameter undetermined."""
    return (
        f"{len(refits.failed)} of {refits.tried} refits without a cluster failed (cluster "
        f"{_joined(refits.failed)}): no maximum was found, or the rest of the data do not "
        "determine all parameters. Their changes are missing."
    )


def well(found: Sequence[Coefficient], counts: ClusterCounts) -> str:
    """Nothing of all that."""
    sentence = f"nothing stands out: {counts.clusters} clusters ({counts.sizes})"
    if found:
        effective = min(each.effective for each in found)
        df = min(each.df for each in found)
        sentence += (
            f"; every coefficient has at least {effective:.1f} effective clusters and {df:.1f} "
            "degrees of freedom"
        )
    changes = [abs(each.changes[0][1]) for each in found if each.changes]
    if changes:
        sentence += f"; no cluster moves one by more than {max(changes):.2f} standard errors"
    return sentence + "."


def _ratios(found: Sequence[Coefficient]) -> str:
    first, *others = [f"{each.ratio:.2f} times, {_range(each)}" for each in found]
    cases = [f"{found[0].name} ({first} by its df if the model is right)"]
    cases += [f"{each.name} ({text})" for each, text in zip(found[1:], others, strict=True)]
    return _joined(cases)


def _range(each: Coefficient) -> str:
    return f"usually {each.lower:.2f} to {each.upper:.2f}"


def _joined(cases: Sequence[str]) -> str:
    """The first of them, and how many more."""
    shown = list(cases[:LIMIT])
    more = len(cases) - len(shown)
    if more:
        return ", ".join(shown) + f" and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
