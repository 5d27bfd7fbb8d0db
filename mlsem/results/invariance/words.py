"""What to make of steps of invariance, in sentences that claim no more than tests and rules do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlsem.inference.invariance.cutoffs import Rule, rules
from mlsem.results.invariance.steps import StepChange
from mlsem.results.result import FitResult

LEVEL = 0.05
FEW, NOT_MANY = 20, 50  # clusters a group
BETWEEN = 30  # clusters a group, below which loadings between clusters are rough

WORDS = {
    "loadings": "loadings",
    "intercepts": "intercepts",
    "residuals": "residual variances",
    "residual.covariances": "residual covariances",
    "means": "factor means",
    "lv.variances": "factor variances",
    "lv.covariances": "factor covariances",
    "regressions": "regressions",
    "levels": "loadings of both levels",
}


def kind_of(added: Sequence[str]) -> str:
    """What rules call a step."""
    if set(added) <= {"loadings", "levels"}:
        return "loadings"
    return "intercepts" if "intercepts" in added else "others"


def rules_of(change: StepChange, rows: int, groups: int) -> tuple[Rule, ...]:
    return rules(kind_of(change.added), rows, groups)


def _joined(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def verdict(change: StepChange, rows: int, groups: int) -> str:
    """One sentence or two on a step."""
    what = f"equal {_joined([WORDS[name] for name in change.added])}"
    if change.released is None:
        return f"{change.step}: {change.problems[0]}"
    found = [(rule, rule.exceeded(change.known)) for rule in rules_of(change, rows, groups)]
    worse = [rule.source for rule, is_worse in found if is_worse]
    looked = [rule.source for rule, is_worse in found if is_worse is not None]
    rejected = None if change.score is None else change.score.pvalue < LEVEL
    name = f'worst("{change.step}")'
    if rejected is None:
        tested = "there is no score test"
    elif rejected:
        tested = "the score test rejects them"
    else:
        tested = "the score test does not reject them"
    if worse:
        fit = f"fit gets worse than {_joined(worse)} would accept"
    elif looked:
        fit = f"the change in fit is within the cut-offs of {_joined(looked)}"
    else:
        fit = "there are no indices of fit to go by"
    if rejected and worse:
        return f"{change.step}: {what} do not hold: {tested}, and {fit}. See {name}."
    if rejected:
        return (
            f"{change.step}: {what} do not hold exactly: {tested}; {fit}. {name} says which "
            "differ and what that does to the parameters of interest."
        )
    if worse:
        return (
            f"{change.step}: {what} are doubtful: {tested}, but {fit}. With few clusters the test "
            f"has little power, and the indices vary much by chance. See {name}."
        )
    return f"{change.step}: nothing speaks against {what}: {tested}, and {fit}."


def notes(
    fits: dict[str, FitResult], changes: Sequence[StepChange], rows: int, groups: int
) -> Iterator[str]:
    """On what can be trusted."""
    for change in changes:
        if change.released is not None:
            yield from (f"{change.step}: {problem}" for problem in change.problems)
    known = _cut_offs(changes, rows, groups)
    first = next(iter(fits.values()))
    two = first.table.two_level
    if known:
        yield f"cut-offs: {known}."
        yield (
            "these cut-offs are from simulations of single-level models, most with two groups"
            + (
                "; at two levels CFI and RMSEA mostly say how the model fits within clusters"
                if two
                else ""
            )
            + ". A change within them is no proof of equality."
        )
    counts = clusters_by_group(first)
    if counts:
        yield from _on_clusters(counts, two)
    yield (
        "the score test, scaled by the clusters' own variation, is the one that holds its level "
        "with few clusters (docs/studies/fit_tests_differences.md); that it does not reject is no "
        "proof of equality."
    )


def _cut_offs(changes: Sequence[StepChange], rows: int, groups: int) -> str:
    """Each rule with its cut-offs, and what these are for where it has several."""
    found: dict[str, dict[str, list[str]]] = {}
    for change in changes:
        kind = kind_of(change.added)
        for rule in rules_of(change, rows, groups):
            kinds = found.setdefault(rule.source, {}).setdefault(rule.words, [])
            kinds += [] if kind in kinds else [kind]
    return "; ".join(
        f"{source}: "
        + ", ".join(
            limits if len(by_words) == 1 else f"{limits} for {_joined(kinds)}"
            for limits, kinds in by_words.items()
        )
        for source, by_words in found.items()
    )


def _on_clusters(counts: dict[str, int], two: bool) -> Iterator[str]:
    label, fewest = min(counts.items(), key=lambda item: item[1])
    if fewest < FEW:
        yield (
            f"group {label} has {fewest} clusters. With fewer than {FEW} a group the χ² of a right "
            "model rejects too often, the scaled one far too often (with 15 clusters 14 to 80 % at "
            "the 5 % level, docs/studies/fit_tests.md), and CFI and RMSEA, made of it, look worse "
            "than they are. Go by the score tests."
        )
    elif fewest < NOT_MANY:
        yield (
            f"group {label} has {fewest} clusters. With fewer than {NOT_MANY} a group the scaled "
            "χ² of a right model rejects too often (docs/studies/fit_tests.md). Go by the score "
            "tests."
        )
    if two and fewest < BETWEEN:
        yield (
            f"what is between {fewest} clusters of a group is known roughly: loadings and "
            "residual variances there have wide intervals, and tests of their equality little "
            "power."
        )


def clusters_by_group(fit: FitResult) -> dict[str, int]:
    """How many clusters each group has; none of data without clusters."""
    found: dict[str, int] = {}
    for group in fit._estimates.groups:
        record = group.estimates.record
        if record.cluster is not None:
            found[str(group.label)] = record.moments.n_clusters
        elif record.robust.name is not None:
            found[str(group.label)] = record.robust.n_clusters
    return found
