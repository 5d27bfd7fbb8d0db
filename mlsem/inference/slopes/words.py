"""Values of moderators in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlsem.inference.slopes.equation import Source
from mlsem.report.labels import Labels

if TYPE_CHECKING:
    from mlsem.inference.slopes.result import SimpleSlopes


def point_words(
    slopes: SimpleSlopes, point: Mapping[Source, Any], words: Labels, *, bare: bool = False
) -> str:
    """`w1 = -0.99 (mean - SD)`, or without the name."""
    parts = []
    for source, value in point.items():
        what = slopes.chosen[source][value]
        said = f" ({what})" if what else ""
        name = "" if bare else f"{words.variable(source.name)} = "
        parts.append(f"{name}{short(value)}{said}")
    return ", ".join(parts)


def short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)
