"""What stands behind the bars of a mixed model's formula: grouping factors, one of which may be
nested in another."""

from __future__ import annotations

from dataclasses import dataclass

from mlsem.errors import Span, SpecificationError, listed
from mlsem.syntax.r_language import Call, Constant, Expression, Symbol


@dataclass(frozen=True, slots=True)
class Grouping:
    """A grouping factor, and where it stands."""

    name: str
    columns: tuple[str, ...]
    span: Span


def groupings(behind: Expression, text: str) -> list[Grouping]:
    """What stands behind a bar: `id`; `school/class`, which is `school` and `class:school`; or
    `school:class`."""
    while isinstance(behind, Call) and behind.kind == "group":
        behind = behind.arguments[0]
    if isinstance(behind, Symbol):
        return [Grouping(behind.name, (behind.name,), behind.span)]
    written = text[behind.span.start : behind.span.end]
    if isinstance(behind, Call) and behind.function in "/:*+" and behind.kind == "infix":
        names = [each.name for each in behind.arguments if isinstance(each, Symbol)]
        if len(set(names)) == 2 and behind.function == "/":
            outer, inner = names
            both = Grouping(f"{inner}:{outer}", (outer, inner), behind.span)
            return [Grouping(outer, (outer,), behind.span), both]
        if len(set(names)) == 2 and behind.function == ":":
            return [Grouping(":".join(names), tuple(names), behind.span)]
        if behind.function in "*+":
            raise _crossed(f"'| {written}'", text, behind.span)
        raise _too_many(f"'| {written}'", text, behind.span)
    what = "the column of the clusters"
    if isinstance(behind, Constant):
        message = f"what follows '|' is {what}, not {written!r}: '(x1 | id)'."
    else:
        message = (
            f"what follows '|' is {what} by its name, not {written!r}: make that column of the "
            "data, '(x1 | id)'."
        )
    raise SpecificationError(message, text, behind.span)


def check_levels(groups: list[Grouping], text: str) -> None:
    """Refuse what is neither one factor nor one that may be nested in another."""
    if len(groups) > 2:
        named = listed(group.name for group in groups)
        raise _too_many(f"several grouping factors ({named})", text, groups[2].span)
    by_size = sorted(groups, key=lambda group: len(group.columns))
    smallest, largest = by_size[0], by_size[-1]
    if len(smallest.columns) == 2 and len(groups) == 1:
        outer, inner = smallest.columns
        raise SpecificationError(
            f"'| {smallest.name}' alone is clusters that two columns tell apart: make one column "
            f"of both, or write '(1 | {outer}/{inner})' if clusters of {inner!r} lie in those of "
            f"{outer!r} and these differ, too.",
            text,
            smallest.span,
        )
    if len(smallest.columns) == 2 or (
        len(largest.columns) == 2 and smallest.name not in largest.columns
    ):
        raise _crossed(f"'{groups[0].name}' and '{groups[1].name}'", text, groups[1].span)


def _too_many(what: str, text: str, span: Span) -> SpecificationError:
    return SpecificationError(
        f"{what}: mlsem.lmm fits up to three levels, rows in classes in schools, which is "
        "'(1 | school/class)'. Leave the others out; for standard errors robust to a coarser "
        "grouping than that of two levels use se_cluster=.",
        text,
        span,
    )


def _crossed(what: str, text: str, span: Span) -> SpecificationError:
    return SpecificationError(
        f"{what} are crossed factors, which mlsem does not fit (lme4 does): of two factors one is "
        "nested in the other, '(1 | school/class)' or '(1 | school) + (1 | class)'.",
        text,
        span,
    )
