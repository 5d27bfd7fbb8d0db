"""What a path diagram shows, before anybody decides where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["rectangle", "ellipse"]


@dataclass(frozen=True, slots=True)
class Value:
    """The text at an arrow, perhaps empty; `dashed` where the parameter is not significant."""

    text: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A variable of one panel.

    Attributes
    ----------
    key : str
        What tells it apart in its panel: the variable's name.
    label : str
        What is written on it.
    shape : {"rectangle", "ellipse"}
        Observed or not.
    note : str
        A second line: its intercept.
    variance : Value or None
        Of the loop at it, its (residual) variance.
    dotted : bool
        Whether a filled dot says that its intercept varies between clusters.
    """

    key: str
    label: str
    shape: Shape
    note: str = ""
    variance: Value | None = None
    dotted: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """A path or a loading (`measures`) from one node to another.

    `slope` is the label of the random slope that it is, or empty.
    """

    source: str
    target: str
    value: Value
    measures: bool = False
    slope: str = ""


@dataclass(frozen=True, slots=True)
class Arc:
    """A covariance of two nodes."""

    one: str
    other: str
    value: Value


@dataclass(frozen=True, slots=True)
class Panel:
    """The nodes and arrows of one level (of one group)."""

    title: str
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    arcs: tuple[Arc, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole diagram: its panels from above, what its signs mean, and the same in words."""

    title: str
    panels: tuple[Panel, ...]
    caption: str
    words: tuple[str, ...]
