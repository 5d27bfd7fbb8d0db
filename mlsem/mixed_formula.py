"""The formula of a linear mixed model, cut into its fixed part and its random parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mlsem.errors import OptionValueError, Span, SpecificationError, listed

_NAME = re.compile(r"[^\W\d][\w.]*|`[^`]+`")
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
    if len(_terms(outcome, 0)) > 1:
        raise SpecificationError(
            f"the outcome is one column or one call: write I({outcome.strip()}) if it is to be "
            "computed.",
            text,
            Span(0, len(outcome.rstrip())),
        )
    fixed, random, groups = "", [], {}
    for sign, term, span in _terms(right, len(outcome) + 1):
        cut = _cut_random(term)
        if cut is None or sign == "-":
            _refuse_term(term, text, span)
            fixed += f" {sign} {_as_python(term)}"
            continue
        effects, bar, group = cut
        _check_group(group, text, span)
        for _, effect, _ in _terms(effects, 0):
            _refuse_term(effect, text, span)
        groups.setdefault(group.strip("`"), span)
        random.append(RandomPart(_as_python(effects), bar == "|"))
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
    fixed = fixed.removeprefix(" + ").strip() or "1"
    fixed = f"1 {fixed}" if fixed.startswith("-") else fixed
    return MixedFormula(text, _as_python(outcome.strip()), fixed, tuple(random), *groups)


def _masked(part: str) -> str:
    """Names in backticks and text in quotes as letters, for no sign in them is one."""
    part = re.sub(r"`[^`]*`", lambda found: "q" * len(found[0]), part)
    return re.sub(r"(['\"])([^'\"]*)\1", lambda f: f[1] + "q" * len(f[2]) + f[1], part)


def _as_python(part: str) -> str:
    return part.replace("^", "**")


def _terms(right: str, offset: int) -> list[tuple[str, str, Span]]:
    """What stands between the `+` and `-` that are in no parentheses, each with its sign."""
    found: list[tuple[str, str, Span]] = []
    depth = begin = 0
    last = "+"
    for place, sign in enumerate(_masked(right) + "+"):
        depth += (sign in _OPEN) - (sign in _CLOSED)
        if sign in "+-" and (depth == 0 or place == len(right)):
            term = right[begin:place]
            start = offset + begin + len(term) - len(term.lstrip())
            if term.strip():
                found.append((last, term.strip(), Span(start, start + len(term.strip()))))
            last, begin = sign, place + 1
    return found


def _cut_random(term: str) -> tuple[str, str, str] | None:
    """`(effects | group)` in three pieces; None for another term."""
    while term.startswith("((") and term.endswith("))"):
        term = term[1:-1].strip()
    if not (term.startswith("(") and term.endswith(")") and "|" in term):
        return None
    effects, bar, group = re.split(r"(\|\|?)", term[1:-1], maxsplit=1)
    if effects.count("(") != effects.count(")"):
        return None
    return effects.strip(), bar, group.strip()


def _refuse_term(term: str, text: str, span: Span) -> None:
    """What formulae reads otherwise than R, drops, or fails at."""
    for pattern, message in _REFUSED:
        found = pattern.search(_masked(term))
        if found:
            raise SpecificationError(message.format(*found.groups()), text, span)


_REFUSED = tuple(
    (re.compile(pattern), message)
    for pattern, message in (
        (r"\|", "a random part stands in parentheses of its own, added with '+': '+ (x1 | id)'."),
        (
            r"(%[^%]*%|%)",
            "{0} is no sign of a formula: an interaction is written x1:f, arithmetic is a column "
            "of the data.",
        ),
        (r"(?:\^|\*\*)\s*(?![\d(-])", "a power is a number: (x1 + x2)**2, I(x1**2)."),
        (r"\[", "levels cannot be picked in a formula: make a column for it."),
        (r"^['\"]", "columns are named without quotes; backticks are for names with blanks."),
        (r"^([\w.]+)\s*(?:\^|\*\*)", "a power is written I({0}**2)."),
        (r"^\.$", "'.' for all other columns: name them."),
        (r"\$", "columns are named without their data frame: 'x1', not 'data$x1'."),
        (
            r"^\(?[^(]*[=!<>]=?[^(]*\)?$",
            "a comparison stands in a call: I(x1 > 0).",
        ),
        (
            r"^(?![01]$)(\d[\d.]*)(?=\W|$)",
            "the number {0} is no term: only 0 and 1 are, without and with an intercept. "
            "Arithmetic stands in a call: I(2*x1).",
        ),
        (
            r"^[^(/]+/",
            "effects within the levels of a factor are written f + f:x1 in place of f/x1.",
        ),
    )
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
