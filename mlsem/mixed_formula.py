"""The formula of a linear mixed model, cut into its fixed part and its random parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mlsem.errors import OptionValueError, Span, SpecificationError, listed

_NAME = re.compile(r"[^\W\d][\w.]*")
_OPEN, _CLOSED = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class RandomPart:
    """`(effects | group)`; `(effects || group)` is not `correlated`."""

    effects: str
    correlated: bool


@dataclass(frozen=True, slots=True)
class MixedFormula:
    """A formula of lme4.

    Attributes
    ----------
    text : str
        As the user wrote it.
    outcome, fixed : str
        Left-hand side, and the right-hand side without the random parts.
    random : tuple of RandomPart
    group : str
        The column of the clusters.
    """

    text: str
    outcome: str
    fixed: str
    random: tuple[RandomPart, ...]
    group: str


def read_formula(text: str) -> MixedFormula:
    """Cut a formula into its parts.

    Raises
    ------
    SpecificationError
        No random part, or one that no two-level model has; shows the place.
    OptionValueError
        `text` is not a string.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionValueError(
            f"formula is a {type(text).__name__}; it takes text such as 'y ~ x1 + (x1 | id)'. "
            "The first argument is the formula, the second the data."
        )
    return _read(text)


@lru_cache(maxsize=256)
def _read(text: str) -> MixedFormula:
    outcome, tilde, right = text.partition("~")
    if not tilde or not outcome.strip() or "~" in right:
        raise SpecificationError(
            f"{text!r} is no formula of a mixed model: write 'y ~ x1 + (x1 | id)'."
        )
    fixed, random, groups = [], [], {}
    for term, span in _terms(right, len(outcome) + 1):
        cut = _cut_random(term)
        if cut is None:
            _refuse_bar(term, text, span)
            fixed.append(term)
            continue
        effects, bar, group = cut
        _check_group(group, text, span)
        groups.setdefault(group, span)
        random.append(RandomPart(effects, bar == "|"))
    if not random:
        raise SpecificationError(
            f"{text!r} has no random part: add '(1 | id)' with the column of your clusters, or "
            "use mlsem.fit for a model without."
        )
    if len(groups) > 1:
        raise SpecificationError(
            f"several grouping factors ({listed(groups)}): mlsem fits two levels, so one only. "
            "For standard errors robust to a coarser grouping use se_cluster=.",
            text,
            list(groups.values())[1],
        )
    return MixedFormula(text, outcome.strip(), " + ".join(fixed) or "1", tuple(random), *groups)


def _terms(right: str, offset: int) -> list[tuple[str, Span]]:
    """What stands between the `+` that are in no parentheses."""
    found: list[tuple[str, Span]] = []
    depth = begin = 0
    for place, sign in enumerate(right + "+"):
        depth += (sign in _OPEN) - (sign in _CLOSED)
        if sign == "+" and (depth == 0 or place == len(right)):
            term = right[begin:place]
            start = offset + begin + len(term) - len(term.lstrip())
            if term.strip():
                found.append((term.strip(), Span(start, start + len(term.strip()))))
            begin = place + 1
    return found


def _cut_random(term: str) -> tuple[str, str, str] | None:
    """`(effects | group)` in three pieces; None for another term."""
    if not (term.startswith("(") and term.endswith(")") and "|" in term):
        return None
    effects, bar, group = re.split(r"(\|\|?)", term[1:-1], maxsplit=1)
    return effects.strip(), bar, group.strip()


def _refuse_bar(term: str, text: str, span: Span) -> None:
    if "|" in term:
        raise SpecificationError(
            "a random part stands in parentheses of its own, added with '+': '+ (x1 | id)'.",
            text,
            span,
        )


def _check_group(group: str, text: str, span: Span) -> None:
    if _NAME.fullmatch(group):
        return
    if set(group) & set("/:*+"):
        raise SpecificationError(
            f"'| {group}' is more than one grouping factor: mlsem fits two levels, so the clusters "
            "are one column. Make a column that tells the clusters apart, and for standard errors "
            "robust to a coarser grouping use se_cluster=.",
            text,
            span,
        )
    raise SpecificationError(
        f"what follows '|' is the column of the clusters, not {group!r}: '(x1 | id)'.", text, span
    )
