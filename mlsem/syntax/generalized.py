"""The formula of a generalised linear model: `y ~ x + offset(log(h))`, `prop(y, n) ~ x`."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlsem.base.caching import remember
from mlsem.errors import OptionValueError, SpecificationError
from mlsem.syntax.mixed import refuse_other_languages, sides
from mlsem.syntax.r_language import Call, Expression, deparse
from mlsem.syntax.r_terms import Terms, terms_of

_EXAMPLE = "y ~ x1 + x2"


@dataclass(frozen=True, slots=True)
class GlmFormula:
    """A formula of one level, with the clusters named beside it.

    Attributes
    ----------
    text : str
    outcome : Expression
        Left-hand side; of `prop(y, n)` y.
    trials : Expression or None
        n.
    fixed : Terms
        The right-hand side without offsets.
    offsets : tuple of Expression
        What is added to xᵀβ.
    random : tuple
        Nothing: as what a mixed model's formula has.
    group : str
        As a mixed model's; empty.
    """

    text: str
    outcome: Expression = field(compare=False)
    trials: Expression | None = field(compare=False)
    fixed: Terms = field(compare=False)
    offsets: tuple[Expression, ...] = field(compare=False)
    random: tuple[Terms, ...] = field(default=(), compare=False)
    group: str = field(default="", compare=False)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, about."""
        return 400 * len(self.text)

    @property
    def outcome_name(self) -> str:
        """As parameters have it: the whole left-hand side."""
        own = deparse(self.outcome)
        return own if self.trials is None else f"prop({own}, {deparse(self.trials)})"


def read_glm_formula(text: str) -> GlmFormula:
    """Cut a formula into its parts.

    Raises
    ------
    SpecificationError
        What cannot be read, or a random part; shows the place.
    OptionValueError
        `text` is not a string.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionValueError(
            f"formula is a {type(text).__name__}; it takes text such as 'y ~ trt + x'. "
            "The first argument is the formula, the second the data."
        )
    return _read(text)


@remember
def _read(text: str) -> GlmFormula:
    refuse_other_languages(text, _EXAMPLE)
    left, parts = sides(text, _EXAMPLE)
    for part in parts:
        if part.bars is not None:
            raise SpecificationError(
                "a random part: glm and gee have none, for their errors are robust to what "
                'clusters share. Name the clusters, cluster="id"; linear mixed models are '
                "mlsem.lmm.",
                text,
                part.term.span,
            )
    offsets = [part for part in parts if _is_call(part.term, "offset", 1)]
    for part in offsets:
        if part.sign == "-":
            raise SpecificationError("an offset is added, not taken out.", text, part.term.span)
    for part in parts:
        if part not in offsets and "offset" in _called(part.term):
            raise SpecificationError(
                "offset() is a term of its own, of one variable: 'y ~ x + offset(log(hours))'.",
                text,
                part.term.span,
            )
    outcome, trials = _share(left, text)
    terms = terms_of([(part.sign, part.term) for part in parts if part not in offsets], text)
    if deparse(outcome) in terms.variables:
        raise SpecificationError(
            f"the outcome {deparse(outcome)} is among the effects too: take it out.",
            text,
            terms.variables[deparse(outcome)].span,
        )
    known = tuple(part.term.arguments[0] for part in offsets if isinstance(part.term, Call))
    return GlmFormula(text, outcome, trials, terms, known)


def _is_call(expression: Expression, name: str, count: int) -> bool:
    return (
        isinstance(expression, Call)
        and expression.kind == "call"
        and expression.function == name
        and len(expression.arguments) == count
    )


def _called(expression: Expression) -> set[str]:
    """The functions that are called in it."""
    if not isinstance(expression, Call):
        return set()
    own = {expression.function} if expression.kind == "call" else set()
    return own.union(*map(_called, expression.arguments))


def _share(left: Expression, text: str) -> tuple[Expression, Expression | None]:
    """y and n of `prop(y, n)`, or the outcome alone."""
    if isinstance(left, Call) and left.kind == "call" and left.function == "cbind":
        first = deparse(left.arguments[0])
        raise SpecificationError(
            f"cbind() is R's: write prop({first}, n) with the successes and the trials.",
            text,
            left.span,
        )
    if isinstance(left, Call) and _is_call(left, "prop", 2):
        outcome, trials = left.arguments
        return outcome, trials
    return left, None
