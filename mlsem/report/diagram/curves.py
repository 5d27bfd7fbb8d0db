"""Curves as points, and where they meet nodes and labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from math import hypot

from mlsem.report.diagram.metrics import Box, Point

STEPS = 36  # of a curved piece
HEAD, HALF = 8.0, 3.2  # length and half the width of an arrowhead


def along(points: Sequence[Point], share: float) -> Point:
    """The point at this share of the length."""
    lengths = [_far(a, b) for a, b in itertools.pairwise(points)]
    rest = share * sum(lengths)
    for a, b, length in zip(points, points[1:], lengths, strict=False):
        if rest <= length and length > 0:
            return _between(a, b, rest / length)
        rest -= length
    return points[-1]


def bezier(controls: Sequence[Point], steps: int = STEPS) -> list[Point]:
    """Points of a Bézier curve (de Casteljau)."""
    return [_casteljau(list(controls), k / steps) for k in range(steps + 1)]


def smooth(points: Sequence[Point]) -> list[Point]:
    """A curve through the points (Catmull & Rom)."""
    if len(points) == 2:
        return list(points)
    tangents = [
        Point((c.x - a.x) / 2, (c.y - a.y) / 2) for a, c in zip(points, points[2:], strict=False)
    ]
    first = Point(points[1].x - points[0].x, points[1].y - points[0].y)
    last = Point(points[-1].x - points[-2].x, points[-1].y - points[-2].y)
    tangents = [first, *tangents, last]
    curve = [points[0]]
    for k, (a, b) in enumerate(itertools.pairwise(points)):
        m, n = tangents[k], tangents[k + 1]
        controls = (
            a,
            Point(a.x + m.x / 3, a.y + m.y / 3),
            Point(b.x - n.x / 3, b.y - n.y / 3),
            b,
        )
        curve += bezier(controls)[1:]
    return curve


def bow(a: Point, b: Point, share: float) -> Point:
    """The control point beside the middle, at a distance of that share of the length."""
    return Point((a.x + b.x) / 2 + share * (b.y - a.y), (a.y + b.y) / 2 - share * (b.x - a.x))


def edge_of(box: Box, shape: str, toward: Point) -> Point:
    """Where the line from the centre of a node leaves it."""
    dx, dy = toward.x - box.x, toward.y - box.y
    if dx == dy == 0.0:
        return Point(box.right, box.y)
    if shape == "ellipse":
        scale = 1.0 / hypot(2 * dx / box.width, 2 * dy / box.height)
    else:
        scale = 1.0 / max(2 * abs(dx) / box.width, 2 * abs(dy) / box.height)
    return Point(box.x + scale * dx, box.y + scale * dy)


def head(points: Sequence[Point]) -> tuple[list[Point], tuple[Point, ...]]:
    """The line cut short, and the triangle at its end."""
    tip = points[-1]
    kept = list(points)
    while len(kept) > 2 and _far(kept[-2], tip) < HEAD:
        kept.pop()
        kept[-1] = tip
    before = kept[-2]
    length = _far(before, tip) or 1.0
    ux, uy = (tip.x - before.x) / length, (tip.y - before.y) / length
    base = Point(tip.x - HEAD * ux, tip.y - HEAD * uy)
    sides = (
        Point(base.x - HALF * uy, base.y + HALF * ux),
        Point(base.x + HALF * uy, base.y - HALF * ux),
    )
    return [*kept[:-1], base], (tip, *sides)


def outside(points: Sequence[Point], holes: Iterable[Box]) -> Iterator[list[Point]]:
    """The pieces of a line that lie in none of these boxes."""
    length = sum(_far(a, b) for a, b in itertools.pairwise(points))
    near = [hole for hole in holes if _box_of(points).meets(hole)]
    if not near:
        yield list(points)
        return
    piece: list[Point] = []
    for point in _fine(points, max(length / 400, 1.0)):
        if any(hole.holds(point) for hole in near):
            if len(piece) > 1:
                yield piece
            piece = []
        else:
            piece.append(point)
    if len(piece) > 1:
        yield piece


def passes(points: Sequence[Point], box: Box) -> bool:
    """Whether a line goes through a box."""
    if not _box_of(points).meets(box):
        return False
    step = max(min(box.width, box.height) / 3, 2.0)
    return any(box.holds(point) for point in _fine(points, step))


def _box_of(points: Sequence[Point]) -> Box:
    xs, ys = [point.x for point in points], [point.y for point in points]
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    return Box(min(xs) + width / 2, min(ys) + height / 2, width + 0.1, height + 0.1)


def _fine(points: Sequence[Point], step: float) -> Iterator[Point]:
    """Points along a line, none farther than a step from the next."""
    yield points[0]
    for a, b in itertools.pairwise(points):
        count = int(_far(a, b) / step) + 1
        for k in range(1, count + 1):
            yield _between(a, b, k / count)


def _casteljau(points: list[Point], share: float) -> Point:
    while len(points) > 1:
        points = [_between(a, b, share) for a, b in itertools.pairwise(points)]
    return points[0]


def _between(a: Point, b: Point, share: float) -> Point:
    return Point(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y))


def _far(a: Point, b: Point) -> float:
    return hypot(b.x - a.x, b.y - a.y)
