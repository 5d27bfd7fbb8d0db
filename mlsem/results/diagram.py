"""A parameter table, and the estimates in its rows, as a path diagram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from mlsem.errors import OptionValueError
from mlsem.report.cells import starred
from mlsem.report.diagram.records import Arc, Arrow, Node, Panel, Picture, Value
from mlsem.report.diagram.result import Diagram, Layout, require_layout
from mlsem.report.labels import Labels, read_labels
from mlsem.results.groups import group_titles
from mlsem.results.tables import each_table

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.model.table import ParameterTable, Row, TableBlock

WORDS = ("within", "between")


@dataclass(frozen=True, slots=True)
class Estimated:
    """Estimate and p value by the place of a row in the table, NaN where there is none."""

    est: Mapping[int, float]
    pvalue: Mapping[int, float]
    standardized: bool = False
    converged: bool = True


@dataclass(frozen=True, slots=True)
class Options:
    """How a diagram is drawn; see `FitResult.diagram`."""

    labels: Labels
    digits: int
    significance: float
    stars: bool
    intercepts: bool
    variances: bool
    covariances: bool


def estimated(
    table: ParameterTable, frame: pd.DataFrame, standardized: bool, ok: bool
) -> Estimated:
    """From a table of estimates, which leaves auxiliary variables out."""
    places = [k for k, row in enumerate(table.rows) if not table.is_auxiliary(row)]
    values = frame["est_std" if standardized else "est"].tolist()
    return Estimated(
        est=dict(zip(places, values, strict=False)),  # definitions come last
        pvalue=dict(zip(places, frame["pvalue"].tolist(), strict=False)),
        standardized=standardized,
        converged=ok,
    )


def options_of(
    labels: object,
    digits: Any,
    significance: Any,
    stars: bool,
    intercepts: bool,
    variances: bool,
    covariances: bool,
) -> Options:
    """The options, checked.

    Raises
    ------
    OptionValueError
        A value that an option cannot take.
    """
    if isinstance(digits, bool) or not isinstance(digits, Integral) or not 0 <= int(digits) <= 8:
        raise OptionValueError(f"digits={digits!r}: a whole number from 0 to 8 is needed.")
    real = isinstance(significance, Real) and not isinstance(significance, bool)
    if not (real and 0 <= float(significance) <= 1):
        raise OptionValueError(f"significance={significance!r}: a number from 0 to 1 is needed.")
    return Options(
        read_labels(labels),
        int(digits),
        float(significance),
        stars,
        intercepts,
        variances,
        covariances,
    )


def diagram(
    table: ParameterTable,
    estimated: Estimated | None,
    options: Options,
    level: int | str | None = None,
    group: object = None,
    layout: Layout = "auto",
) -> Diagram:
    """The diagram of a table, with estimates or else with labels and fixed values.

    Raises
    ------
    OptionValueError
        There is no such level, group or layout.
    """
    chosen = require_layout(layout)
    wanted = None if level is None else table.level_number(level)
    only = None if group is None else table.group_number(group)
    blocks = [
        block
        for block in sorted(table.blocks, key=lambda block: (block.key.group, -block.key.level))
        if wanted in (None, block.key.level) and only in (None, block.key.group)
    ]
    writers = [_Writer(table, block, estimated, options) for block in blocks]
    panels = tuple(writer.panel for writer in writers)
    words = [line for writer, panel in zip(writers, panels, strict=True) for line in _said(panel)]
    caption = _caption(panels, writers, estimated, options)
    title = "Path diagram" if estimated is None else "Path diagram with estimates"
    return Diagram(Picture(title, panels, caption, (*words, *caption.splitlines())), chosen)


class _Writer:
    """The panel of one block."""

    def __init__(
        self,
        table: ParameterTable,
        block: TableBlock,
        estimated: Estimated | None,
        options: Options,
    ) -> None:
        own = each_table(table)[block.key.group - 1]
        self.block, self.estimated, self.options = block, estimated, options
        self.title = _title(table, block)
        self.lowest = block.key.is_lowest and table.multilevel
        self.split = frozenset(own.split)
        self.slopes = {(each.outcome, each.carrier): each.name for each in own.slopes}
        self.above = frozenset(() if block.key.is_lowest else self.slopes.values())
        self.rows = [
            (place, row)
            for place, row in zip(block.places, block.rows, strict=True)
            if not row.exo and not table.is_auxiliary(row)
        ]

    @property
    def panel(self) -> Panel:
        arrows, arcs = tuple(self._arrows()), tuple(self._arcs())
        return Panel(self.title, tuple(self._nodes(arrows, arcs)), arrows, arcs)

    def _arrows(self) -> Iterator[Arrow]:
        for place, row in self.rows:
            slope = self.slopes.get((row.lhs, row.rhs), "") if self.lowest else ""
            if row.op == "=~" and _there(row):
                yield Arrow(row.lhs, row.rhs, self._value(place, row), measures=True)
            elif row.op == "~" and slope:
                yield Arrow(row.rhs, row.lhs, Value(), slope=self._label(slope))
            elif row.op == "~" and _there(row):
                yield Arrow(row.rhs, row.lhs, self._value(place, row))

    def _arcs(self) -> Iterator[Arc]:
        for place, row in self.rows:
            if self.options.covariances and row.op == "~~" and row.lhs != row.rhs and _there(row):
                yield Arc(row.lhs, row.rhs, self._value(place, row))

    def _nodes(self, arrows: Sequence[Arrow], arcs: Sequence[Arc]) -> Iterator[Node]:
        drawn = {name for arrow in arrows for name in (arrow.source, arrow.target)}
        drawn |= {name for arc in arcs for name in (arc.one, arc.other)}
        variances: dict[str, Value] = {}
        means: dict[str, str] = {}
        for place, row in self.rows:
            if row.is_variance and _there(row):
                drawn.add(row.lhs)
                if self.options.variances:
                    variances[row.lhs] = Value(self._text(place, row))
            mean = self.options.intercepts or row.lhs in self.above
            if row.op == "~1" and mean and _there(row) and (text := self._text(place, row)):
                means[row.lhs] = f"[{text}]"
        variables = self.block.variables
        for name in (*variables.covariates, *variables.latent, *variables.modelled):
            if name in drawn:
                yield Node(
                    key=name,
                    label=self._label(name),
                    shape="ellipse" if self._unseen(name) else "rectangle",
                    note=means.get(name, ""),
                    variance=variances.get(name),
                    dotted=self.lowest and name in self.split,
                )

    def _unseen(self, name: str) -> bool:
        """Whether a variable is latent at this level, as the part of a split one is above."""
        return name in self.block.variables.latent or (
            not self.block.key.is_lowest and name in self.split
        )

    def _label(self, name: str) -> str:
        return self.options.labels.variable(name)

    def _value(self, place: int, row: Row) -> Value:
        return Value(self._text(place, row), self._pvalue(place) > self.options.significance)

    def _pvalue(self, place: int) -> float:
        return nan if self.estimated is None else self.estimated.pvalue[place]

    def _text(self, place: int, row: Row) -> str:
        if self.estimated is None:
            return row.label or ("" if row.fixed is None else f"{row.fixed:g}")
        value = self.estimated.est[place]
        if isnan(value):
            return ""
        if row.free < 0 and not self.estimated.standardized:
            return f"{value:.{self.options.digits}f}".rstrip("0").rstrip(".") or "0"
        text = _number(value, self.options.digits)
        stars = self.options.stars and not row.is_variance  # of which a Wald test is none
        return starred(text, self._pvalue(place)) if stars else text


def _there(row: Row) -> bool:
    """Whether a parameter is in the model: one that is fixed to zero is not."""
    return row.free >= 0 or row.fixed != 0.0


def _number(value: float, digits: int) -> str:
    """A number with these decimals, with more where a small one would look like zero."""
    text = f"{value:.{digits}f}"
    if isfinite(value) and value != 0 and float(text) == 0:
        return f"{value:.1g}" if abs(value) >= 1e-4 else f"{value:.0e}"
    return text if len(text) <= digits + 7 else f"{value:.{max(digits, 1)}e}"


def _title(table: ParameterTable, block: TableBlock) -> str:
    parts = [group_titles(table)[block.key.group - 1]] if table.groups else []
    if table.multilevel:
        own = table.level_labels[block.key.level - 1] if table.level_labels else ""
        word = WORDS[block.key.level - 1] if table.two_level else f"level {block.key.level}"
        parts.append(word if own in ("", str(block.key.level), word) else f"{word} ({own})")
    title = ": ".join(parts)
    return title if table.groups else title[:1].upper() + title[1:]


# --- words ----------------------------------------------------------------------------------------


def _said(panel: Panel) -> Iterator[str]:
    """The panel in sentences."""
    label = {node.key: node.label for node in panel.nodes}
    if panel.title:
        yield f"{panel.title}:"
    for arrow in panel.arrows:
        one, other = label[arrow.source], label[arrow.target]
        if arrow.slope:
            yield f"{one} predicts {other} with a random slope, {arrow.slope}."
        else:
            verb = "is measured by" if arrow.measures else "predicts"
            yield f"{one} {verb} {other}{_with(arrow.value)}."
    for arc in panel.arcs:
        yield f"{label[arc.one]} varies with {label[arc.other]}{_with(arc.value)}."
    for node in panel.nodes:
        if node.variance is not None:
            yield f"{node.label} has a (residual) variance{_with(node.variance)}."
        if node.note:
            yield f"The mean or intercept of {node.label}: {node.note}."


def _with(value: Value) -> str:
    dashed = ", not significant" if value.dashed else ""
    return f": {value.text}{dashed}" if value.text else ""


def _caption(
    panels: Sequence[Panel],
    writers: Sequence[_Writer],
    estimated: Estimated | None,
    options: Options,
) -> str:
    """What the signs mean that are there."""
    nodes = [node for panel in panels for node in panel.nodes]
    arrows = [arrow for panel in panels for arrow in panel.arrows]
    shapes = {node.shape for node in nodes}
    says: list[str] = []
    if "ellipse" in shapes:
        latent = "latent variables"
        if any(not w.block.key.is_lowest and w.split for w in writers):
            latent += ", and at the between level the cluster parts of those measured within"
        says.append(f"Rectangles: observed variables; ellipses: {latent}.")
    if any(node.dotted for node in nodes):
        says.append("Dots at variables: their intercepts vary between clusters.")
    if any(arrow.slope for arrow in arrows):
        says.append("Dots on arrows: slopes that vary between clusters.")
    if any(node.variance for node in nodes):
        says.append("Loops: (residual) variances.")
    if any(node.note for node in nodes):
        says.append("In brackets: means or intercepts.")
    if estimated is None:
        return " ".join(says)
    values = [*(arrow.value for arrow in arrows), *(a.value for p in panels for a in p.arcs)]
    says.append("Values are standardized." if estimated.standardized else "")
    if any(value.dashed for value in values):
        says.append(f"Dashed: p\u00a0>\u00a0{options.significance:g}.")
    if options.stars:
        says.append(
            "* p < .05, ** p < .01, *** p < .001.".replace(" <", "\u00a0<").replace("< ", "<\u00a0")
        )
    if not estimated.converged:
        says.append("The fit did not converge: these values are no estimates.")
    return " ".join(filter(None, says))
