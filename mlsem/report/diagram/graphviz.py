"""DOT: the picture as text for graphviz, and the places that its program `dot` gives.

The program reads sizes and numbered nodes only; no name of the user's goes to it.
"""

from __future__ import annotations

import subprocess
from shutil import which
from typing import TYPE_CHECKING

from mlsem.base.display import cell
from mlsem.errors import InterfaceError
from mlsem.report.diagram.curves import bezier
from mlsem.report.diagram.layers import COLUMNS, Placed, directed, gaps, tall
from mlsem.report.diagram.metrics import Box, Point, node_sizes

if TYPE_CHECKING:
    from mlsem.report.diagram.records import Panel, Picture, Value

PIXELS = 72.0  # an inch of graphviz
SECONDS = 10.0
STRAIGHT = 4.0  # pixels that a straight line may be off


def placed_by_graphviz(panel: Panel) -> Placed:
    """The places that `dot` gives the nodes of a panel.

    Raises
    ------
    InterfaceError
        graphviz is not installed, or does not answer.
    """
    program = which("dot")
    if program is None:
        raise InterfaceError(
            'layout="graphviz" needs graphviz, whose program dot is not installed (see '
            'graphviz.org). layout="built-in" needs nothing.',
            name="graphviz",
        )
    if not panel.nodes:
        return Placed({}, ())
    try:
        done = subprocess.run(
            [program, "-Tplain"],
            input=_question(panel),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        return _answer(panel, done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise InterfaceError(
            f'graphviz gave no layout ({type(error).__name__}). layout="built-in" needs none.',
            name="graphviz",
        ) from error


def _question(panel: Panel) -> str:
    number = {node.key: k for k, node in enumerate(panel.nodes)}
    sizes, pairs = node_sizes(panel), directed(panel)
    heights = tall(panel, pairs, sizes)
    apart = max(gaps(panel, dict.fromkeys(number, 0)).values(), default=COLUMNS)
    lines = [
        "digraph {",
        f"rankdir=LR; nodesep=0.2; ranksep={apart / PIXELS:.3f}; node [fixedsize=true]",
    ]
    for node in panel.nodes:
        shape = "ellipse" if node.shape == "ellipse" else "box"
        width, height = sizes[node.key][0] / PIXELS, heights[node.key] / PIXELS
        lines.append(f"n{number[node.key]} [shape={shape}, width={width:.3f}, height={height:.3f}]")
    lines += [f"n{number[one]} -> n{number[other]}" for one, other in pairs]
    return "\n".join((*lines, "}\n"))


def _answer(panel: Panel, plain: str) -> Placed:
    """From lines `node n0 x y …` and `edge n0 n1 count x y …`, in inches from below."""
    rows = [line.split() for line in plain.splitlines()]
    names = {f"n{k}": node.key for k, node in enumerate(panel.nodes)}
    sizes = node_sizes(panel)

    def point(x: str, y: str) -> Point:
        return Point(PIXELS * float(x), -PIXELS * float(y))

    boxes = {
        names[row[1]]: Box(*point(row[2], row[3]), *sizes[names[row[1]]])
        for row in rows
        if row[0] == "node"
    }
    ways: dict[tuple[str, str], tuple[Point, ...]] = {}
    for row in rows:
        if row[0] == "edge":
            count = int(row[3])
            numbers = row[4 : 4 + 2 * count]
            controls = [point(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            ways[names[row[1]], names[row[2]]] = _inner(controls)
    turned = (
        ways[pair] if pair[0] == arrow.source else ways[pair][::-1]
        for pair, arrow in zip(directed(panel), panel.arrows, strict=True)
    )
    return Placed(boxes, tuple(turned))


def _inner(controls: list[Point]) -> tuple[Point, ...]:
    """Points of a curve of cubic pieces between its ends; of a straight line none."""
    curve = [controls[0]]
    for k in range(0, len(controls) - 1, 3):
        curve += bezier(controls[k : k + 4], 8)[1:]
    a, b = curve[0], curve[-1]
    length = ((b.x - a.x) ** 2 + (b.y - a.y) ** 2) ** 0.5 or 1.0
    off = max(abs((b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)) / length for p in curve)
    return tuple(curve[2:-2]) if off > STRAIGHT else ()


# --- the whole picture as DOT ---------------------------------------------------------------------


def dot_text(picture: Picture) -> str:
    """The picture in graphviz's language: a cluster for each panel, labels in quotes."""
    lines = [
        "digraph {",
        '  rankdir=LR; fontname="Helvetica"; labelloc=t; labeljust=l;',
        '  node [fontname="Helvetica", fontsize=11]; edge [fontname="Helvetica", fontsize=9];',
    ]
    number = 0
    for k, panel in enumerate(picture.panels, start=1):
        names: dict[str, str] = {}
        lines += [f"  subgraph cluster_{k} {{", f"    label={_quoted(panel.title)};"]
        for node in panel.nodes:
            number += 1
            name = names[node.key] = f"n{number}"
            shape = "ellipse" if node.shape == "ellipse" else "box"
            label = _quoted(node.label, *([node.note] if node.note else []))
            lines.append(f"    {name} [shape={shape}, label={label}];")
            if node.variance is not None:
                lines.append(f"    {name} -> {name} [dir=both, {_style(node.variance)}];")
        for arrow in panel.arrows:
            style = _style(arrow.value)
            if arrow.slope:
                style = f"label={_quoted('● ' + arrow.slope)}"
            lines.append(f"    {names[arrow.source]} -> {names[arrow.target]} [{style}];")
        for arc in panel.arcs:
            style = f"dir=both, constraint=false, {_style(arc.value)}"
            lines.append(f"    {names[arc.one]} -> {names[arc.other]} [{style}];")
        lines.append("  }")
    return "\n".join((*lines, "}\n"))


def _style(value: Value) -> str:
    dashes = ", style=dashed" if value.dashed else ""
    return f"label={_quoted(value.text)}{dashes}"


def _quoted(*lines: str) -> str:
    """In quotes, lines below each other. A backslash would begin one of graphviz's own escapes."""
    texts = [cell(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + "\\n".join(texts) + '"'
