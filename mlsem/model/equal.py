"""`equal("f=~y2")*y3`: two parameters are one, the second named as in `fit.params`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlsem.errors import SpecificationError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsem.model.roles import Roles, Written
    from mlsem.syntax.nodes import Modifiers

Place = tuple[int, int]


def equated(levels: tuple[Roles, ...], suffixes: Sequence[str], text: str) -> tuple[Roles, ...]:
    """The rows of the text with a label in place of each `equal()` of a parameter's name: that of
    the row it names, or, where that has none, the name itself.

    Raises
    ------
    SpecificationError
        No row has the name, or a parameter equals itself, directly or in a circle.
    """
    if not any(row.modifiers.equal for roles in levels for row in roles.written):
        return levels
    search = _Search([list(roles.written) for roles in levels], suffixes, text)
    for level, rows in enumerate(search.rows):
        for k in range(len(rows)):
            search.settle((level, k), ())
    return tuple(
        replace(roles, written=tuple(rows)) for roles, rows in zip(levels, search.rows, strict=True)
    )


@dataclass(slots=True)
class _Search:
    """The rows by level while names become labels."""

    rows: list[list[Written]]
    suffixes: Sequence[str]
    text: str

    def settle(self, place: Place, above: tuple[Place, ...]) -> str:
        """The label of a row, which it gets if another names it; `above` are those that ask."""
        level, k = place
        row = self.rows[level][k]
        modifiers = row.modifiers
        name = f"{row.lhs}{row.op}{row.rhs}{self.suffixes[level]}"
        if place in above:
            raise SpecificationError(
                f"equal() makes {name!r} equal to itself.", self.text, modifiers.label_span
            )
        if modifiers.label:
            return modifiers.label
        if modifiers.equal is None and not above:
            return ""
        label = name
        if modifiers.equal is not None:
            label = self.settle(self._find(modifiers), (*above, place))
        changed = replace(modifiers, label=label, equal=None)
        self.rows[level][k] = replace(row, modifiers=changed)
        return label

    def _find(self, modifiers: Modifiers) -> Place:
        """The row that is named; without a suffix one of level 2 only where level 1 has none."""
        places: dict[str, Place] = {}
        for ending in (True, False):
            for level, rows in enumerate(self.rows):
                suffix = self.suffixes[level] if ending else ""
                for k, row in enumerate(rows):
                    places.setdefault(f"{row.lhs}{row.op}{row.rhs}{suffix}", (level, k))
                    if row.op == "~~":
                        places.setdefault(f"{row.rhs}~~{row.lhs}{suffix}", (level, k))
        name = modifiers.equal or ""
        if name in places:
            return places[name]
        raise SpecificationError(
            f"equal() names {name!r}, which the model does not write: write that formula too, or "
            f"label it.{nearest(name, places)}",
            self.text,
            modifiers.label_span,
        )
