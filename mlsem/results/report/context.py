"""What the sections of a report are gathered from, and how they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from mlsem.errors import MlsemError, without_warnings
from mlsem.report.labels import Labels
from mlsem.report.page.records import Paragraph, Part

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.inference.estimated import GroupEstimated

LONGEST = 30.0
"""Seconds after which a report leaves out what takes long."""


@dataclass(frozen=True, slots=True)
class Context:
    """A fit, or several that were pooled, and what its report was asked for.

    Attributes
    ----------
    data : DataFrame or None
        The data of the fit, as its user gave them.
    seed : int
        Of what is simulated.
    """

    fit: Any
    data: pd.DataFrame | None
    labels: Labels
    seed: int
    begun: float = field(default_factory=monotonic)

    @property
    def record(self) -> Any:
        """What was read of the data, of one group or of several."""
        return self.fit._estimates.record

    @property
    def mixed(self) -> bool:
        """Whether the model is a formula of `mlsem.lmm`."""
        return self.record.formula is not None

    @property
    def restricted(self) -> bool:
        return self.fit.settings.estimator == "REML"

    @property
    def two_level(self) -> bool:
        return self.fit.table.two_level

    @property
    def hurried(self) -> bool:
        """Whether the report has taken so long that what remains should be quick."""
        return monotonic() - self.begun > LONGEST

    @property
    def groups(self) -> tuple[GroupEstimated, ...]:
        return self.fit._estimates.groups

    def group_title(self, group: GroupEstimated) -> str:
        """Empty where there is one group."""
        return "" if group.label is None else f"Group {group.number} [{group.label}]"

    def variable(self, name: str) -> str:
        """In words; where these are others, with the name that the data have."""
        words = self.labels.variable(name)
        return name if words == name else f"{words} ({name})"

    def relation(self, lhs: str, op: str, rhs: str) -> str:
        """A parameter by the two sides of its operator, in words."""
        if op == "~1":
            op, rhs = "~", "1"
        return f"{self.labels.variable(lhs)} {op} {self.labels.variable(rhs)}".rstrip()

    def parameter(self, name: str) -> str:
        """One of `FitResult.params`, in words; where these are others, with its name."""
        words = self.labels.parameter(name)
        return name if words == name else f"{words} ({name})"

    def level_title(self, level: int) -> str:
        labels = self.fit.table.level_labels
        if not self.two_level:
            return ""
        own = labels[level - 1]
        return f"level {level}, {('within', 'between')[level - 1] if own == str(level) else own}"


def tried(what: str, make: Callable[[], Iterable[Part]]) -> tuple[Part, ...]:
    """The parts, or a sentence on why there are none.

    Parameters
    ----------
    what : str
        What they are about, as a sentence begins.
    make : function
    """
    try:
        with without_warnings():
            return tuple(make())
    except MlsemError as error:
        return (Paragraph(f"{what}: not available for this fit. {as_sentence(str(error))}"),)
    except Exception as error:
        said = f"{what}: could not be made ({type(error).__name__}: {error})."
        return (Paragraph(f"{said} The rest of the report does not depend on it."),)


def as_sentence(text: str) -> str:
    """With a capital letter, if it begins with a word, and a full stop."""
    text = text.strip()
    first = text.split(maxsplit=1)[0] if text else ""
    begun = text[:1].upper() + text[1:] if first.isalpha() else text
    return begun if not begun or begun.endswith((".", "!", "?")) else f"{begun}."


def columns_of(frame: Any, *names: str) -> list[tuple[Any, ...]]:
    """Rows of some columns of a data frame, as plain values."""
    return list(zip(*(frame[name].tolist() for name in names), strict=True))
