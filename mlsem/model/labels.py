"""Labels: which rows share a parameter, at which value and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING

from mlsem.errors import SpecificationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsem.errors import Span
    from mlsem.model.roles import Written
    from mlsem.syntax.nodes import Modifiers

Bound = tuple[float, float]


@dataclass(slots=True)
class Labels:
    """What is known of each label from all the rows that carry it.

    Attributes
    ----------
    free : dict
        Labels of free parameters to the place of the first one.
    fixed : dict
        Labels of which a row is fixed, to the value: it fixes all their rows.
    bounds : dict
        (lower, upper) of the labels that have any.
    starts : dict
        The first starting value given.
    """

    text: str
    free: dict[str, Span] = field(default_factory=dict)
    fixed: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, Bound] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)

    def raise_lower(self, label: str, lower: float) -> None:
        """Give a label without a lower bound this one, where its upper bound allows it."""
        low, high = self.bounds.get(label, (-inf, inf))
        if low == -inf and lower <= high:
            self.bounds[label] = (lower, high)

    def narrow(self, label: str, lower: float, upper: float, span: Span | None) -> None:
        """Intersect the label's bounds with these."""
        low, high = self.bounds.get(label, (-inf, inf))
        low, high = max(low, lower), min(high, upper)
        if low > high:
            raise SpecificationError(
                f"The bounds of {label!r} contradict each other: "
                f"not below {low:g} and not above {high:g}.",
                self.text,
                span,
            )
        self.bounds[label] = (low, high)


def read_labels(rows: Iterable[tuple[Written, float | None]], text: str) -> Labels:
    """The labels of the user's rows, each row given with the value it is fixed at, or None."""
    labels = Labels(text)
    labelled = [(row, value) for row, value in rows if row.modifiers.label]
    for row, value in labelled:
        label = row.modifiers.label or ""
        if value is not None:
            _fix(labels, label, value, row)
    for row, _ in labelled:
        modifiers = row.modifiers
        label = modifiers.label or ""
        if label in labels.fixed:
            continue
        labels.free.setdefault(label, modifiers.label_span or row.span)
        if modifiers.start is not None:
            labels.starts.setdefault(label, modifiers.start)
        if modifiers.lower is not None or modifiers.upper is not None:
            labels.narrow(label, *bounds_of(modifiers), row.span)
    return labels


def _fix(labels: Labels, label: str, value: float, row: Written) -> None:
    before = labels.fixed.setdefault(label, value)
    if before != value:
        raise SpecificationError(
            f"The label {label!r} makes parameters equal, but one is fixed to {before:g} "
            f"and another to {value:g}.",
            labels.text,
            row.modifiers.label_span or row.span,
        )


def bounds_of(modifiers: Modifiers) -> Bound:
    lower, upper = modifiers.lower, modifiers.upper
    return (-inf if lower is None else lower, inf if upper is None else upper)


def check_modifiers(row: Written, text: str) -> None:
    """Refuse modifiers that cannot go together."""
    modifiers = row.modifiers
    problem = _problem(row, modifiers)
    if problem:
        raise SpecificationError(problem, text, modifiers.label_span or row.span)


def _problem(row: Written, modifiers: Modifiers) -> str:
    what = f"{row.lhs} {row.op} {row.rhs}".rstrip()
    fixed, start = modifiers.fixed, modifiers.start
    lower, upper = bounds_of(modifiers)
    if fixed is not None and modifiers.free:
        return f"{what!r} is both fixed to {fixed:g} and free (NA). Keep one."
    if fixed is not None and start is not None:
        return f"{what!r} is fixed to {fixed:g} and has a starting value. Keep one."
    if any(value is not None and not isfinite(value) for value in (fixed, start)):
        return f"{what!r} needs a finite value."
    if lower > upper:
        return f"{what!r}: the lower bound {lower:g} is above the upper bound {upper:g}."
    if row.op == "~~" and row.lhs == row.rhs and upper < 0:
        return f"{what!r} is a variance: an upper bound of {upper:g} leaves nothing."
    return ""
