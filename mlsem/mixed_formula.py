"""The formula of a linear mixed model, cut into its fixed part and its random parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mlsem.errors import OptionValueError, Span, SpecificationError, listed
from mlsem.formula_terms import factor_of, read_terms
from mlsem.formula_tokens import tokens_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsem.formula_terms import Bar
    from mlsem.formula_tokens import Token


@dataclass(frozen=True, slots=True)
class MixedFormula:
    """A formula of lme4.

    Attributes
    ----------
    text : str
        As the user wrote it.
    outcome, fixed : str
        Left-hand side, and the right-hand side without the random parts, its products expanded.
    random : tuple of str
        The effects of each random part; those of `(x1 + f || group)` are a part each.
    group : str
        The column of the clusters.
    """

    text: str
    outcome: str
    fixed: str
    random: tuple[str, ...]
    group: str


def read_formula(text: str) -> MixedFormula:
    """Cut a formula into its parts.

    Raises
    ------
    SpecificationError
        No formula, no random part, or one that no two-level model has; shows the place.
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
    tokens = tokens_of(text)
    tildes = [k for k, token in enumerate(tokens) if token.text == "~"]
    if len(tildes) != 1 or tildes[0] == 0:
        raise SpecificationError(
            f"{text!r} is no formula of a mixed model: write 'y ~ x1 + (x1 | id)'."
        )
    left, right = tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    outcome = _outcome(left, text)
    fixed, bars = read_terms(right, text)
    if not bars:
        raise SpecificationError(
            f"{text!r} has no random part: add '(1 | id)' with the column of your clusters, or "
            "use mlsem.fit for a model without."
        )
    random = tuple(part for bar in bars for part in _effects(bar, text))
    return MixedFormula(text, outcome, fixed.written(), random, _group(bars, text))


def _outcome(tokens: Sequence[Token], text: str) -> str:
    outcome = factor_of(tokens, text)
    if outcome is None:
        span = Span(tokens[0].span.start, tokens[-1].span.end)
        written = text[span.start : span.end]
        raise SpecificationError(
            f"the outcome is one column or one call: write I({written}) where it is to be "
            "computed, or make a column of the data.",
            text,
            span,
        )
    return outcome


def _effects(bar: Bar, text: str) -> list[str]:
    """The effects of a random part that covary, each as a sum."""
    if not bar.effects:
        raise SpecificationError(
            "nothing stands before '|': (1 | id) is a random intercept.", text, bar.span
        )
    terms, nested = read_terms(bar.effects, text)
    if nested:
        raise SpecificationError("a random part in another one.", text, bar.span)
    if not terms.intercept and not terms.products:
        raise SpecificationError(
            "this random part is empty: (1 | id) is a random intercept.", text, bar.span
        )
    parts = (terms,) if bar.sign == "|" else terms.apart()
    return [part.written() for part in parts]


def _group(bars: Sequence[Bar], text: str) -> str:
    """The one column of clusters."""
    groups: dict[str, Span] = {}
    for bar in bars:
        groups.setdefault(_group_name(bar, text), bar.span)
    if len(groups) > 1:
        raise SpecificationError(
            f"several grouping factors ({listed(groups)}): mlsem fits two levels, so one only. "
            "For standard errors robust to a coarser grouping use se_cluster=.",
            text,
            list(groups.values())[1],
        )
    return next(iter(groups))


def _group_name(bar: Bar, text: str) -> str:
    tokens = bar.group
    if len(tokens) == 1 and tokens[0].kind in ("name", "quoted"):
        return tokens[0].text.strip("`")
    group = text[tokens[0].span.start : tokens[-1].span.end] if tokens else ""
    if {token.text for token in tokens} & set("/:*+"):
        raise SpecificationError(
            f"'| {group}' is more than one grouping factor: mlsem fits two levels, so the clusters "
            "are one column. Make a column that tells the clusters apart, and for standard errors "
            "robust to a coarser grouping use se_cluster=.",
            text,
            bar.span,
        )
    raise SpecificationError(
        f"what follows '|' is the column of the clusters, not {group!r}: '(x1 | id)'.",
        text,
        bar.span,
    )
