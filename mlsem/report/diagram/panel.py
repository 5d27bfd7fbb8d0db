"""A panel whose nodes are placed → its lines, outlines and texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from mlsem.base.display import cell
from mlsem.report.diagram.curves import along, bezier, bow, edge_of, passes, smooth
from mlsem.report.diagram.metrics import NAME, NUMBER, Box, Point, name_lines
from mlsem.report.diagram.shapes import Dot, Line, Outline, Sheet, Words, box_of

if TYPE_CHECKING:
    from mlsem.report.diagram.layers import Placed
    from mlsem.report.diagram.records import Arc, Arrow, Node, Panel, Shape

SHARES = (0.5, 0.58, 0.42, 0.66, 0.34, 0.74, 0.26, 0.8, 0.2)  # where a text may stand on its line
BOWS = (0.16, -0.16, 0.3, -0.3, 0.45, -0.45)
OPPOSITE = 0.1  # bow of two arrows between the same nodes
LOOP = 20.0  # how far a loop reaches
ARC, DEEPER = 44.0, 34.0  # how far arcs reach, and each longer one more
CORNER = 0.85  # where arcs begin, from the middle of a side to its end
Side = Literal["left", "right", "top"]
SIDES: tuple[Side, Side] = ("left", "right")


def panel_sheet(panel: Panel, placed: Placed) -> Sheet:
    nodes = {node.key: node for node in panel.nodes}
    sheet = Sheet()
    ends = _ends(panel, placed)
    outward = _arc_sides(panel, placed, ends)
    for node in panel.nodes:
        _put_node(sheet, node, placed.boxes[node.key])
    for node in panel.nodes:
        if node.variance is not None:
            box = placed.boxes[node.key]
            side = _loop_side(ends[node.key], outward.get(node.key), _room_above(box, placed))
            _put_loop(sheet, node, box, side)
    opposite = {(arrow.target, arrow.source) for arrow in panel.arrows}
    for arrow, way in zip(panel.arrows, placed.ways, strict=True):
        mutual = (arrow.source, arrow.target) in opposite
        sheet.lines.append(_arrow_line(arrow, way, nodes, placed.boxes, mutual))
    sheet.lines += _arc_lines(panel, nodes, placed.boxes, outward)
    _put_texts(sheet, list(placed.boxes.values()))
    return sheet


def _put_node(sheet: Sheet, node: Node, box: Box) -> None:
    sheet.outlines.append(Outline(box, node.shape, cell(node.label)))
    lines = name_lines(node.label)
    height = 16.0 * len(lines) + (13.0 if node.note else 0.0)
    y = box.y - height / 2 + 8.0
    for line in lines:
        sheet.words.append(Words(Point(box.x, y), line, NAME))
        y += 16.0
    if node.note:
        sheet.words.append(Words(Point(box.x, y - 1.5), node.note, NUMBER))
    if node.dotted:
        sheet.dots.append(Dot(Point(box.x + 0.32 * box.width, box.bottom)))


def _ends(panel: Panel, placed: Placed) -> dict[str, Counter[Side]]:
    """How many arrows, and arcs to other columns, begin or end at each side of a node."""
    found: dict[str, Counter[Side]] = {node.key: Counter() for node in panel.nodes}
    for arrow, way in zip(panel.arrows, placed.ways, strict=True):
        source, target = placed.boxes[arrow.source], placed.boxes[arrow.target]
        first, last = (way[0], way[-1]) if way else (target, source)
        found[arrow.source]["left" if first.x < source.x else "right"] += 1
        found[arrow.target]["left" if last.x < target.x else "right"] += 1
    for arc in panel.arcs:
        one, other = placed.boxes[arc.one], placed.boxes[arc.other]
        if not _same_column(one, other):
            found[arc.one]["left" if other.x < one.x else "right"] += 1
            found[arc.other]["left" if one.x < other.x else "right"] += 1
    return found


def _arc_sides(panel: Panel, placed: Placed, ends: Mapping[str, Counter[Side]]) -> dict[str, Side]:
    """Of each node with arcs to others above or below it: the side where these begin, that with
    fewer arrows; of equal ones the left one, unless arrows point to the nodes."""
    upright = [
        (arc.one, arc.other)
        for arc in panel.arcs
        if _same_column(placed.boxes[arc.one], placed.boxes[arc.other])
    ]
    columns: dict[float, list[str]] = {}
    for key in dict.fromkeys(key for pair in upright for key in pair):
        columns.setdefault(round(placed.boxes[key].x), []).append(key)
    found: dict[str, Side] = {}
    for own in columns.values():
        left, right = (sum(ends[key][side] for key in own) for side in SIDES)
        pointed = any(arrow.target in own for arrow in panel.arrows)
        side: Side = "left" if left < right or (left == right and not pointed) else "right"
        found |= dict.fromkeys(own, side)
    return found


def _same_column(one: Box, other: Box) -> bool:
    return abs(one.x - other.x) < (one.width + other.width) / 4


def _loop_side(ends: Counter[Side], arcs: Side | None, room: float) -> Side:
    """The side that nothing else takes; else above, or between the arcs where that is too near."""
    for side in SIDES[::-1]:
        if side != arcs and not ends[side]:
            return side
    return arcs if arcs and not ends[arcs] and room < LOOP + 16.0 else "top"


def _room_above(box: Box, placed: Placed) -> float:
    """To the next node above it."""
    above = [
        box.top - other.bottom
        for other in placed.boxes.values()
        if other.y < box.y and abs(other.x - box.x) < (other.width + box.width) / 2
    ]
    return min(above, default=1e6)


def _put_loop(sheet: Sheet, node: Node, box: Box, side: Side) -> None:
    assert node.variance is not None
    text = cell(node.variance.text)
    if side == "top":
        x = box.x + (0.0 if node.shape == "ellipse" else 0.15 * box.width)
        points = [Point(x - 7, _top(box, node, x - 7)), Point(x + 7, _top(box, node, x + 7))]
        above = box.top - LOOP
        controls = [points[0], Point(x - 14, above), Point(x + 14, above), points[1]]
        words = Words(Point(x + 14, box.top - 10), text, NUMBER, "start")
    else:
        sign = 1.0 if side == "right" else -1.0
        edge = box.x + sign * box.width / 2
        if node.shape == "ellipse":
            edge = edge_of(box, "ellipse", Point(edge, box.y + 7)).x
        controls = [
            Point(edge, box.y - 6),
            Point(edge + sign * LOOP * 1.3, box.y - 12),
            Point(edge + sign * LOOP * 1.3, box.y + 12),
            Point(edge, box.y + 6),
        ]
        place = Point(edge + sign * (LOOP + 3), box.y)
        words = Words(place, text, NUMBER, "start" if sign > 0 else "end")
    sheet.lines.append(Line(bezier(controls), "", node.variance.dashed, (True, True)))
    if text:
        sheet.write(words)


def _top(box: Box, node: Node, x: float) -> float:
    """The height of the upper border at x."""
    if node.shape == "rectangle":
        return box.top
    share = 1 - (2 * (x - box.x) / box.width) ** 2
    return box.y - box.height / 2 * max(share, 0.0) ** 0.5


def _arrow_line(
    arrow: Arrow,
    way: Sequence[Point],
    nodes: Mapping[str, Node],
    boxes: Mapping[str, Box],
    mutual: bool,
) -> Line:
    source, target = boxes[arrow.source], boxes[arrow.target]
    start, end = Point(source.x, source.y), Point(target.x, target.y)
    inner = list(way)
    if mutual:
        inner = bezier([start, bow(start, end, OPPOSITE), end])[1:-1]
    first = edge_of(source, nodes[arrow.source].shape, inner[0] if inner else end)
    last = edge_of(target, nodes[arrow.target].shape, inner[-1] if inner else start)
    if mutual:
        middle = bow(start, end, OPPOSITE)
        first = edge_of(source, nodes[arrow.source].shape, middle)
        last = edge_of(target, nodes[arrow.target].shape, middle)
        points = bezier([first, middle, last])
    else:
        points = smooth([first, *inner, last])
    return Line(points, cell(arrow.value.text), arrow.value.dashed, (False, True), arrow.slope)


def _arc_lines(
    panel: Panel,
    nodes: Mapping[str, Node],
    boxes: Mapping[str, Box],
    outward: Mapping[str, Side],
) -> list[Line]:
    lines: list[Line] = []
    for arc in panel.arcs:
        one, other = boxes[arc.one], boxes[arc.other]
        if _same_column(one, other):
            points = _upright(arc, boxes, nodes, outward[arc.one])
        else:
            points = _across(one, other, nodes[arc.one].shape, nodes[arc.other].shape, boxes)
        lines.append(Line(points, cell(arc.value.text), arc.value.dashed, (True, True)))
    return lines


def _upright(
    arc: Arc, boxes: Mapping[str, Box], nodes: Mapping[str, Node], side: Side
) -> list[Point]:
    """Between nodes of one column, the deeper the more stand between them."""
    upper, lower = sorted((arc.one, arc.other), key=lambda key: boxes[key].y)
    one, other = boxes[upper], boxes[lower]
    between = sum(one.y < box.y < other.y and _same_column(one, box) for box in boxes.values())
    sign = 1.0 if side == "right" else -1.0
    reach = sign * (ARC + DEEPER * between) * 4 / 3
    outer = max if sign > 0 else min
    ends = [
        edge_of(box, nodes[key].shape, Point(box.x + sign * box.width, box.y + down * box.height))
        for key, box, down in ((upper, one, CORNER), (lower, other, -CORNER))
    ]
    x = outer(ends[0].x, ends[1].x) + reach
    lift = min(0.12 * (other.y - one.y), 24.0)
    return bezier([ends[0], Point(x, one.y + lift), Point(x, other.y - lift), ends[1]])


def _across(
    one: Box, other: Box, shape: Shape, other_shape: Shape, boxes: Mapping[str, Box]
) -> list[Point]:
    """Between columns: the bow that goes through the fewest nodes."""
    a, b = Point(one.x, one.y), Point(other.x, other.y)

    def curve(share: float) -> list[Point]:
        middle = bow(a, b, share)
        return bezier([edge_of(one, shape, middle), middle, edge_of(other, other_shape, middle)])

    strange = [box for box in boxes.values() if box not in (one, other)]
    return min(map(curve, BOWS), key=lambda points: sum(passes(points, box) for box in strange))


# --- texts at lines -------------------------------------------------------------------------------


def _put_texts(sheet: Sheet, boxes: list[Box]) -> None:
    """Each text on its line where it covers least: no node, no other text, few other lines."""
    for line in sheet.lines:
        if line.slope:
            place = along(line.points, 0.5)
            sheet.dots.append(Dot(place))
            sheet.write(_above(line, boxes, sheet))
        elif line.text:
            choices = [Words(along(line.points, share), line.text, NUMBER) for share in SHARES]
            others = [other.points for other in sheet.lines if other is not line]
            costs = [_cost(words, k, boxes, sheet.texts, others) for k, words in enumerate(choices)]
            sheet.write(choices[costs.index(min(costs))])


def _above(line: Line, boxes: list[Box], sheet: Sheet) -> Words:
    """The name of a random slope, beside the dot on its path."""
    place = along(line.points, 0.5)
    choices = [
        Words(Point(place.x + dx, place.y + dy), cell(line.slope), NUMBER)
        for dx, dy in ((0, -13), (0, 14), (12, -13), (-12, -13), (12, 14), (-12, 14))
    ]
    lines = [other.points for other in sheet.lines]
    costs = [_cost(words, k, boxes, sheet.texts, lines) for k, words in enumerate(choices)]
    return choices[costs.index(min(costs))]


def _cost(
    words: Words, rank: int, boxes: list[Box], texts: list[Box], lines: list[list[Point]]
) -> float:
    own = box_of(words)
    wide = own.grown(2.0)
    covered = sum(own.meets(box.grown(3.0)) for box in boxes)
    beside = sum(wide.meets(box) for box in texts)
    return 100.0 * covered + 60.0 * beside + 8.0 * sum(passes(p, own) for p in lines) + rank
