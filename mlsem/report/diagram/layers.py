"""The built-in layout: nodes in columns, arrows from left to right.

As Sugiyama, Tagawa & Toda (1981): cycles are broken, each node stands one column right of the last
one that points to it (longest path), the order within a column follows the barycentres of the
neighbours as long as crossings become fewer, and heights are the nearest to the mean of the
neighbours' that keep the distances (isotonic regression). Indicators of a factor that explains
others stand at its left, as in LISREL's diagrams.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsem.report.diagram.metrics import NUMBER, Box, Point, node_sizes, text_width

if TYPE_CHECKING:
    from mlsem.report.diagram.records import Arc, Arrow, Panel

SWEEPS = 12
GAP, FAMILY, PASSING = 14.0, 12.0, 12.0  # between nodes, between families, beside a passing arrow
COLUMNS = 84.0  # between columns, besides the widest text between them
LOOP = 26.0  # above a node whose loop stands there
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the nodes of a panel stand, and the points that each arrow passes on its way."""

    boxes: Mapping[str, Box]
    ways: tuple[tuple[Point, ...], ...]


@dataclass(frozen=True, slots=True)
class _Graph:
    """Columns of nodes; a name with a blank before it is a point of a long arrow."""

    columns: list[list[str]]
    before: dict[str, list[str]] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)

    def join(self, one: str, other: str) -> None:
        self.after.setdefault(one, []).append(other)
        self.before.setdefault(other, []).append(one)


def layered(panel: Panel) -> Placed:
    """Place the nodes of a panel."""
    if not panel.nodes:
        return Placed({}, ())
    pairs = directed(panel)
    column_of = _columns([node.key for node in panel.nodes], set(pairs), panel.arcs)
    graph, chains = _graph(column_of, pairs)
    _order(graph)
    sizes = node_sizes(panel)
    y = _heights(graph, tall(panel, pairs, sizes))
    x = _places(panel, graph, {key: size[0] for key, size in sizes.items()}, column_of)
    boxes = {key: Box(x[column_of[key]], y[key], *sizes[key]) for key in sizes}
    ways = [
        tuple(Point(x[column], y[name]) for column, name in chains.get(pair, ())) for pair in pairs
    ]
    turned = [
        way if pair[0] == arrow.source else way[::-1]
        for way, pair, arrow in zip(ways, pairs, panel.arrows, strict=True)
    ]
    return Placed(boxes, tuple(turned))


def tall(
    panel: Panel, pairs: Sequence[Pair], sizes: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Heights of the nodes, with room for a loop above those that have arrows at both sides."""
    inner = {one for one, _ in pairs} & {other for _, other in pairs}
    return {
        node.key: sizes[node.key][1] + (LOOP if node.variance and node.key in inner else 0.0)
        for node in panel.nodes
    }


def gaps(panel: Panel, column_of: Mapping[str, int]) -> dict[int, float]:
    """The room that texts at arrows need before each column."""
    room: dict[int, float] = {}
    for arrow in panel.arrows:
        k = max(column_of[arrow.source], column_of[arrow.target])
        words = max(text_width(arrow.value.text, NUMBER), text_width(arrow.slope, NUMBER))
        room[k] = max(room.get(k, 0.0), COLUMNS + words)
    return room


# --- directions -----------------------------------------------------------------------------------


def directed(panel: Panel) -> list[Pair]:
    """The two ends of each arrow, the left one first; without circles."""
    return _acyclic(_rightwards(panel))


def _rightwards(panel: Panel) -> list[Pair]:
    """The arrows as pairs from left to right: those to indicators of predictors are turned."""
    turned = _left_families(panel.arrows)
    return [
        (arrow.target, arrow.source) if arrow.target in turned else (arrow.source, arrow.target)
        for arrow in panel.arrows
    ]


def _left_families(arrows: Sequence[Arrow]) -> set[str]:
    """Indicators (and theirs) of factors that only predict."""
    found: set[str] = set()
    for factor in dict.fromkeys(arrow.source for arrow in arrows if arrow.measures):
        predicts = any(arrow.source == factor and not arrow.measures for arrow in arrows)
        if predicts and not any(arrow.target == factor for arrow in arrows):
            family = _family(factor, arrows)
            inside = {factor, *family}
            ends = [arrow for arrow in arrows if family & {arrow.source, arrow.target}]
            if all(arrow.measures and arrow.source in inside for arrow in ends):
                found |= family
    return found


def _family(factor: str, arrows: Sequence[Arrow]) -> set[str]:
    found: set[str] = set()
    new = {factor}
    while new:
        new = {arrow.target for arrow in arrows if arrow.measures and arrow.source in new} - found
        found |= new
    return found


def _acyclic(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, those that would close a circle turned round."""
    kept: set[Pair] = set()
    for one, other in pairs:
        if (other, one) not in kept and one not in _reached(other, kept):
            kept.add((one, other))
    return [pair if pair in kept else (pair[1], pair[0]) for pair in pairs]


def _reached(start: str, pairs: set[Pair]) -> set[str]:
    found, new = {start}, {start}
    while new:
        new = {other for one, other in pairs if one in new} - found
        found |= new
    return found


def _columns(names: Sequence[str], pairs: set[Pair], arcs: Sequence[Arc]) -> dict[str, int]:
    """Longest path from the left; what nothing points to moves up to what it points to, unless it
    varies with others, and what only varies with another stands in its column."""
    column = dict.fromkeys(names, 0)
    for _ in names:
        for one, other in pairs:
            column[other] = max(column[other], column[one] + 1)
    tied = [*((arc.one, arc.other) for arc in arcs), *((arc.other, arc.one) for arc in arcs)]
    pointing, pointed = {one for one, _ in pairs}, {other for _, other in pairs}
    for name in names:
        near = [column[other] for one, other in tied if one == name and other in pointing | pointed]
        ahead = [column[other] for one, other in pairs if one == name]
        if near and name not in pointing | pointed:
            column[name] = max(near)
        elif ahead and name not in pointed and not near:
            column[name] = min(ahead) - 1
    return column


def _graph(
    column_of: Mapping[str, int], pairs: Iterable[Pair]
) -> tuple[_Graph, dict[Pair, list[tuple[int, str]]]]:
    """The columns in the order of the names, and the points (column, name) of long arrows."""
    graph = _Graph([[] for _ in range(max(column_of.values()) + 1)])
    for name, column in column_of.items():
        graph.columns[column].append(name)
    chains: dict[Pair, list[tuple[int, str]]] = {}
    for one, other in dict.fromkeys(pairs):
        between = range(column_of[one] + 1, column_of[other])
        chain = [(column, f" {one} {other} {column}") for column in between]
        for column, name in chain:
            graph.columns[column].append(name)
        steps = [one, *(name for _, name in chain), other]
        for before, after in itertools.pairwise(steps):
            graph.join(before, after)
        chains[one, other] = chain
    return graph, chains


# --- order ----------------------------------------------------------------------------------------


def _order(graph: _Graph) -> None:
    """Sort the columns for few crossings."""
    best = [list(column) for column in graph.columns]
    least = _crossings(graph)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        last = len(graph.columns) - 1
        for k in range(1, last + 1) if forward else range(last - 1, -1, -1):
            _sort(graph, k, k - 1 if forward else k + 1, graph.before if forward else graph.after)
        crossings = _crossings(graph)
        if crossings < least:
            best, least = [list(column) for column in graph.columns], crossings
    graph.columns[:] = best


def _sort(graph: _Graph, column: int, beside: int, neighbours: dict[str, list[str]]) -> None:
    """By the mean place of the neighbours; what has none keeps its own."""
    place = {name: k / len(graph.columns[beside]) for k, name in enumerate(graph.columns[beside])}
    own = graph.columns[column]
    key = {name: (k + 0.5) / len(own) for k, name in enumerate(own)}
    for name in own:
        if near := [place[other] for other in neighbours.get(name, ()) if other in place]:
            key[name] = sum(near) / len(near)
    own.sort(key=key.__getitem__)


def _crossings(graph: _Graph) -> int:
    total = 0
    for left, right in zip(graph.columns, graph.columns[1:], strict=False):
        place = {name: k for k, name in enumerate(right)}
        ends = [
            sorted(place[other] for other in graph.after.get(name, ()) if other in place)
            for name in left
        ]
        seen: list[int] = []
        for each in ends:
            total += sum(before > end for end in each for before in seen)
            seen += each
    return total


# --- places ---------------------------------------------------------------------------------------


def _heights(graph: _Graph, height: Mapping[str, float]) -> dict[str, float]:
    """The centre of each node from above."""
    apart = [_distances(graph, column, height) for column in graph.columns]
    y: dict[str, float] = {}
    for column, offsets in zip(graph.columns, apart, strict=True):
        middle = offsets[-1] / 2
        y |= {name: offset - middle for name, offset in zip(column, offsets, strict=True)}
    both = {
        name: [*graph.before.get(name, ()), *graph.after.get(name, ())]
        for column in graph.columns
        for name in column
    }
    last = len(graph.columns) - 1
    for sweep in range(2 * SWEEPS):
        for k in range(last + 1) if sweep % 2 else range(last, -1, -1):
            column = graph.columns[k]
            wanted = [
                sum(y[other] for other in both[name]) / len(both[name]) if both[name] else y[name]
                for name in column
            ]
            y |= dict(zip(column, _spread(wanted, apart[k]), strict=True))
    return y


def _distances(graph: _Graph, column: Sequence[str], height: Mapping[str, float]) -> list[float]:
    """Of each node below the first one, at least; families stand apart."""
    offsets = [0.0]
    for one, other in itertools.pairwise(column):
        gap = GAP if one in height and other in height else PASSING
        families = {*graph.before.get(one, ()), *graph.after.get(one, ())}
        strange = families.isdisjoint((*graph.before.get(other, ()), *graph.after.get(other, ())))
        gap += FAMILY if strange else 0.0
        half = (height.get(one, 0.0) + height.get(other, 0.0)) / 2
        offsets.append(offsets[-1] + half + gap)
    return offsets


def _spread(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The nearest to what is wanted, Σ (y - wanted)², with y at least so far apart (pool adjacent
    violators)."""
    blocks: list[tuple[float, int]] = []  # mean, size
    for want, offset in zip(wanted, offsets, strict=True):
        mean, size = want - offset, 1
        while blocks and blocks[-1][0] >= mean:
            before, count = blocks.pop()
            mean, size = (mean * size + before * count) / (size + count), size + count
        blocks.append((mean, size))
    level = [mean for mean, size in blocks for _ in range(size)]
    return [mean + offset for mean, offset in zip(level, offsets, strict=True)]


def _places(
    panel: Panel, graph: _Graph, width: Mapping[str, float], column_of: Mapping[str, int]
) -> list[float]:
    """The centre of each column from the left."""
    widest = [
        max((width.get(name, 0.0) for name in column), default=0.0) for column in graph.columns
    ]
    room = gaps(panel, column_of)
    places: list[float] = []
    edge = 0.0
    for k, own in enumerate(widest):
        edge += (room.get(k, COLUMNS) if k else 0.0) + own
        places.append(edge - own / 2)
    return places
