"""The formula of a linear mixed model, cut into its fixed part and its random parts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from sys import getsizeof

from mlsem.base.caching import remember
from mlsem.errors import OptionValueError, Span, SpecificationError
from mlsem.syntax.grouping import Grouping, check_levels, groupings
from mlsem.syntax.r_language import (
    COMPARISONS,
    SUM,
    Call,
    Expression,
    Parser,
    Symbol,
    deparse,
)
from mlsem.syntax.r_terms import Terms, terms_of

_BARS = ("|", "||")


@dataclass(frozen=True, slots=True)
class GroupingFactor:
    """What stands behind the bars of some random parts.

    Attributes
    ----------
    name : str
        As lme4 calls it: `id`; `class:school`, which `school/class` has beside `school`.
    columns : tuple of str
        Rows with the same ids in all of these columns are a cluster.
    random : tuple of Terms
        Effects that vary between its clusters, those of one part with free covariances. As in
        lme4, `(x1 + f || id)` is a part for each of its terms.
    """

    name: str
    columns: tuple[str, ...]
    random: tuple[Terms, ...]


@dataclass(frozen=True, slots=True)
class MixedFormula:
    """A formula of lme4.

    Attributes
    ----------
    text : str
        As the user wrote it; two formulas of the same text are the same.
    outcome : Expression
        Left-hand side.
    fixed : Terms
        The right-hand side without the random parts.
    factors : tuple of GroupingFactor
        One; or two, of which one is nested in the other.
    """

    text: str
    outcome: Expression = field(compare=False)
    fixed: Terms = field(compare=False)
    factors: tuple[GroupingFactor, ...] = field(compare=False)

    @property
    def random(self) -> tuple[Terms, ...]:
        """Effects that vary between clusters, of all factors."""
        return tuple(part for factor in self.factors for part in factor.random)

    @property
    def group(self) -> str:
        """The column of the clusters, of one factor."""
        return self.factors[0].name

    @property
    def nested(self) -> bool:
        """Whether there are clusters within clusters."""
        return len(self.factors) > 1

    @property
    def nbytes(self) -> int:
        """Bytes in memory, about: a character of an expression's tree, a term."""
        products = [each for part in (self.fixed, *self.random) for each in part.products]
        return getsizeof(self.text) + 100 * len(self.text) + 80 * sum(map(len, products))


@dataclass(frozen=True, slots=True)
class _Part:
    """`sign term` of the right-hand side; `bars` where it is `(effects | group)`."""

    sign: str
    term: Expression
    bars: Call | None


def read_formula(text: str) -> MixedFormula:
    """Cut a formula into its parts.

    Raises
    ------
    SpecificationError
        What cannot be read, no random part, or one that no two-level model has; shows the place.
    OptionValueError
        `text` is not a string.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionValueError(
            f"formula is a {type(text).__name__}; it takes text such as 'y ~ x1 + (x1 | id)'. "
            "The first argument is the formula, the second the data."
        )
    return _read(text)


def has_random_part(text: str) -> bool:
    """Whether some effect varies between clusters.

    Raises
    ------
    SpecificationError
        What cannot be read; shows the place.
    """
    refuse_other_languages(text, _EXAMPLE)
    _, parts = sides(text, _EXAMPLE)
    return any(part.bars is not None for part in parts)


def read_two_levels(text: str, what: str) -> MixedFormula:
    """Cut a formula of two levels into its parts, for what takes no other.

    Raises
    ------
    SpecificationError, OptionValueError
        As `read_formula`; or there are clusters within clusters.
    """
    formula = read_formula(text)
    if formula.nested:
        raise SpecificationError(
            f"{what} takes two levels, and {text!r} has clusters within clusters, which mlsem.lmm "
            f"fits. Keep those that matter most, '(1 | {formula.factors[0].columns[0]})'."
        )
    return formula


def changed_formula(formula: str, change: str) -> str:
    """A formula with another one's changes: ``"+ x2"`` is added, and in ``". ~ . - x2"`` each point
    stands for that side of the formula, as in R's ``update``; any other is put in its place."""
    if change.lstrip()[:1] in ("+", "-"):
        return f"{formula} {change.strip()}"
    sides = [side.strip() for side in formula.split("~", 1)]
    new = [side.strip() for side in change.split("~", 1)]
    if len(sides) < 2 or len(new) < 2:
        return change
    left, right = map(_with, sides, new)
    return f"{left} ~ {right}"


def _with(old: str, side: str) -> str:
    """The side of a formula that stands for each point of another one."""
    return _POINT.sub(lambda _: old, side)


_EXAMPLE = "y ~ x1 + (x1 | id)"
_POINT = re.compile(r"(?<![\w.`])\.(?![\w.`])")
_LAVAAN = re.compile(r"\A\s*(?:level|group)\s*:|=~|~~|:=", re.IGNORECASE)
_NLME = re.compile(r",\s*random\s*=\s*(?:list\()?~?(?P<part>[^,)\n]*)")


def refuse_other_languages(text: str, example: str) -> None:
    lavaan = _LAVAAN.search(text)
    if lavaan is not None:
        raise SpecificationError(
            "this is a model in lavaan's language, which mlsem.fit takes: "
            f'mlsem.fit(model, data, cluster="id"). A formula is one equation, {example!r}.',
            text,
            Span(*lavaan.span()),
        )
    nlme = _NLME.search(text)
    if nlme is not None:
        raise SpecificationError(
            "'random =' is nlme's: here the random part stands in the formula, "
            f"'{text[: nlme.start()].strip()} + ({nlme['part'].strip()})'.",
            text,
            Span(*nlme.span()),
        )


@remember
def _read(text: str) -> MixedFormula:
    refuse_other_languages(text, _EXAMPLE)
    outcome, parts = sides(text, _EXAMPLE)
    fixed = [(part.sign, part.term) for part in parts if part.bars is None]
    found: dict[frozenset[str], tuple[Grouping, list[Terms]]] = {}
    for part in parts:
        if part.bars is not None:
            effects, behind = part.bars.arguments
            terms = terms_of(_summands(effects), text)
            for group in groupings(behind, text):
                own = found.setdefault(frozenset(group.columns), (group, []))[1]
                own += [terms] if part.bars.function == "|" else terms.apart()
    if not found:
        raise SpecificationError(
            f"{text!r} has no random part: add '(1 | id)' with the column of your clusters, or "
            "use mlsem.fit for a model without."
        )
    check_levels([group for group, _ in found.values()], text)
    terms = terms_of(fixed, text)
    if deparse(outcome) in terms.variables:
        raise SpecificationError(
            f"the outcome {deparse(outcome)} is among the effects too: take it out.",
            text,
            terms.variables[deparse(outcome)].span,
        )
    factors = [GroupingFactor(each.name, each.columns, tuple(own)) for each, own in found.values()]
    return MixedFormula(text, outcome, terms, tuple(factors))


# --- the parts as they stand in the text --------------------------------------------------------


def sides(text: str, example: str) -> tuple[Expression, list[_Part]]:
    parser = Parser(text)
    no_formula = SpecificationError(f"{text!r} is no formula of such a model: write {example!r}.")
    if text.count("~") == 0 or parser.next.text == "~":
        raise no_formula
    left = parser.expression()
    if parser.take("~") is None:
        raise parser.misplaced()
    outcome = _outcome(left, text)
    parts: list[_Part] = []
    while True:
        sign = parser.take("+", "-")
        if sign is None and parts:
            break
        term = parser.expression(SUM)
        parts.append(_part("+" if sign is None else sign.text, term, text))
    if parser.next.text in _BARS:
        raise _alone(text, Span(parts[0].term.span.start, len(text.rstrip())))
    if parser.next.text == "~":
        raise no_formula
    if parser.next.kind != "end":
        raise _behind(text, parser, parts[-1].term)
    return outcome, parts


def _behind(text: str, parser: Parser, last: Expression) -> SpecificationError:
    """What stands behind the last term: a comparison, or a word without a sign before it."""
    sign = parser.next
    if sign.text not in (*COMPARISONS, "&", "&&"):
        return parser.misplaced()
    parser.take(sign.text)
    both = f"{deparse(last)} {sign.text} {deparse(parser.expression(SUM))}"
    return SpecificationError(
        f"a comparison stands in a call: I({both}).", text, Span(last.span.start, sign.span.end)
    )


def _outcome(outcome: Expression, text: str) -> Expression:
    while isinstance(outcome, Call) and outcome.kind == "group":
        outcome = outcome.arguments[0]
    if isinstance(outcome, Symbol) or (isinstance(outcome, Call) and outcome.kind == "call"):
        return outcome
    raise SpecificationError(
        f"the outcome is one column or one call: write I({deparse(outcome)}) if it is to be "
        "computed.",
        text,
        outcome.span,
    )


def _part(sign: str, term: Expression, text: str) -> _Part:
    inner = term
    while isinstance(inner, Call) and inner.kind == "group":
        inner = inner.arguments[0]
    bars = inner if isinstance(inner, Call) and inner.function in _BARS else None
    if bars is not None and sign == "-":
        raise _alone(text, term.span)
    if bars is None:
        _refuse_bars(term, term, text)
    return _Part(sign, term, bars)


def _refuse_bars(part: Expression, term: Expression, text: str) -> None:
    """A random part within another term, or in a call of another package's."""
    if not isinstance(part, Call):
        return
    if part.kind == "call":
        for inner in part.arguments:
            if isinstance(inner, Call) and inner.function in _BARS and part.function in STRUCTURES:
                raise SpecificationError(STRUCTURES[part.function], text, part.span)
        return
    if part.function in _BARS:
        raise _alone(text, term.span)
    for inner in part.arguments:
        _refuse_bars(inner, term, text)


STRUCTURES = {
    "diag": "diag() is glmmTMB's: variances without covariances are written (x1 || id).",
    "us": "us() is glmmTMB's: with all covariances, (x1 | id).",
    "homdiag": "homdiag() is glmmTMB's: mlsem has no equal variances of random effects.",
} | {
    name: f"{name}() is glmmTMB's: random effects here have free covariances, (x1 | id), or none, "
    "(x1 || id); correlations in time or space are not available."
    for name in ("ar1", "ou", "cs", "toep", "exp", "gau", "mat", "rr", "hetar1", "homcs", "propto")
}


def _alone(text: str, span: Span) -> SpecificationError:
    return SpecificationError(
        "a random part stands in parentheses of its own, added with '+': '+ (x1 | id)'.", text, span
    )


def _summands(expression: Expression) -> list[tuple[str, Expression]]:
    """`a + b - c` as signed terms."""
    signed: list[tuple[str, Expression]] = []
    while (
        isinstance(expression, Call)
        and expression.kind == "infix"
        and expression.function in ("+", "-")
    ):
        left, right = expression.arguments
        signed.append((expression.function, right))
        expression = left
    return [("+", expression), *reversed(signed)]


# --- statements of lme4 in another text ---------------------------------------------------------


def lmm_call(statement: str, group: str) -> str:
    """The call for a statement `y ~ x + (1 | id)` of a model text, with the random parts of one
    grouping factor."""
    formula = " ".join(statement.split()).replace('"', "'")
    groups = re.findall(r"\|{1,2}\s*([^()|]+?)\s*\)", formula)
    if all(each == group for each in groups):
        return f': mlsem.lmm("{formula}", data)'
    other = rf"\s*\+\s*\([^()|]*\|{{1,2}}(?![|\s]*{re.escape(group)}\b)[^()|]*\)"
    one_factor = re.sub(r"(\|{1,2}\s*[\w.]+)\s*[/:*+][^()]*\)", r"\1)", re.sub(other, "", formula))
    return f', with one grouping factor: mlsem.lmm("{one_factor}", data)'
