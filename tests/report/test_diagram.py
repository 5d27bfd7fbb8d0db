"""Path diagrams: where things stand, what is written, and that names stay names."""

from __future__ import annotations

import pickle
import xml.etree.ElementTree as xml
from itertools import combinations
from pathlib import Path

import pytest

from mlsem.errors import InterfaceError, MlsemError, OptionValueError
from mlsem.report.diagram import graphviz
from mlsem.report.diagram.curves import passes
from mlsem.report.diagram.geometry import drawing
from mlsem.report.diagram.layers import Placed, directed, layered
from mlsem.report.diagram.metrics import Box, Point, name_lines, node_sizes
from mlsem.report.diagram.panel import panel_sheet
from mlsem.report.diagram.records import Arc, Arrow, Node, Panel, Picture, Value
from mlsem.report.diagram.result import Diagram
from mlsem.report.diagram.shapes import box_of

HOSTILE = '</text><script>"a\\N" & $x_1^2$ \u202e'


def _panel(arrows: str, arcs: str = "", latent: str = "", text: str = "0.52") -> Panel:
    """From `f>y1 f>y2`, with `f=y1` for a loading, and `a-b` for an arc."""
    ends = [(text.replace("=", ">").split(">"), "=" in text) for text in arrows.split()]
    tied = [each.split("-") for each in arcs.split()]
    names = dict.fromkeys([name for pair, _ in ends for name in pair])
    names |= dict.fromkeys([name for pair in tied for name in pair])
    return Panel(
        "Within",
        tuple(
            Node(n, n, "ellipse" if n in latent.split() else "rectangle", variance=Value(text))
            for n in names
        ),
        tuple(Arrow(a, b, Value(text), loading) for (a, b), loading in ends),
        tuple(Arc(a, b, Value("-0.10", True)) for a, b in tied),
    )


def _big() -> Panel:
    loadings = " ".join(f"F{k}=item{k}_{i}" for k in range(6) for i in range(7 if k < 4 else 6))
    arcs = " ".join(f"F{a}-F{b}" for a, b in combinations(range(6), 2))
    return _panel(loadings, arcs, " ".join(f"F{k}" for k in range(6)))


PANELS = {
    "regression": _panel("a>y b>y c>y"),
    "mediation": _panel("x>m m>y x>y c>y"),
    "structural": _panel(
        "A=a1 A=a2 A=a3 B=b1 B=b2 C=c1 C=c2 D=d1 D=d2 A>C B>C C>D A>D", "A-B c1-c2", "A B C D"
    ),
    "second order": _panel("G=A G=B A=a1 A=a2 B=b1 B=b2 A>z", "", "G A B"),
    "circle": _panel("a>b b>c c>a x>a"),
    "opposite": _panel("a>b b>a x>a z>b", "a-b"),
    "saturated": _panel("", "a-b a-c b-c c-d"),
    "big": _big(),
}


@pytest.mark.parametrize("name", PANELS)
def test_nodes_and_texts_do_not_cover_each_other(name: str) -> None:
    panel = PANELS[name]
    placed = layered(panel)
    drawn = drawing(Picture("", (panel,), "", ()), [placed])
    boxes = [outline.box for outline in drawn.outlines]
    assert len(boxes) == len(panel.nodes)
    assert not any(one.meets(other) for one, other in combinations(boxes, 2))
    assert drawn.width < 900
    assert drawn.height < 1900
    texts = [box_of(words) for words in drawn.words if words.text in ("0.52", "-0.10")]
    assert len(texts) == len(panel.nodes) + len(panel.arrows) + len(panel.arcs)
    assert not any(text.grown(-1.0).meets(box) for text in texts for box in boxes)
    assert not any(a.grown(-1.0).meets(b.grown(-1.0)) for a, b in combinations(texts, 2))
    inside = [
        point
        for stroke in drawn.strokes
        for point in stroke.points
        if not (0 <= point.x <= drawn.width and 0 <= point.y <= drawn.height)
    ]
    assert not inside


@pytest.mark.parametrize("name", [name for name in PANELS if name != "opposite"])
def test_arrows_go_round_the_nodes(name: str) -> None:
    panel = PANELS[name]
    placed = layered(panel)
    for arrow, way in zip(panel.arrows, placed.ways, strict=True):
        ends = placed.boxes[arrow.source], placed.boxes[arrow.target]
        line = [Point(*ends[0][:2]), *way, Point(*ends[1][:2])]
        for box in placed.boxes.values():
            assert box in ends or not passes(line, box)


def test_arrows_lead_right_and_left_to_indicators_of_predictors() -> None:
    boxes = layered(PANELS["structural"]).boxes
    columns = {name: round(box.x) for name, box in boxes.items()}
    assert columns["a1"] == columns["b2"] < columns["A"] == columns["B"] < columns["C"]
    assert columns["C"] < columns["D"] == columns["c1"] < columns["d1"]


def test_a_loop_stands_where_no_arc_to_another_column_begins() -> None:
    panel = _panel("w>y", "s-y", "s y")  # a random slope above what explains the intercept
    at = {"s": (0.0, 0.0), "w": (0.0, 52.0), "y": (170.0, 52.0)}
    placed = Placed({name: Box(x, y, 64, 38) for name, (x, y) in at.items()}, ((),))
    lines = panel_sheet(panel, placed).lines
    loops = {node.key: line for node, line in zip(panel.nodes, lines, strict=False)}
    assert all(point.x < 0 for point in loops["s"].points)
    assert all(point.x > 170 for point in loops["y"].points)


def test_a_circle_is_cut_once() -> None:
    arrows = PANELS["circle"].arrows
    turned = [
        a.source
        for pair, a in zip(directed(PANELS["circle"]), arrows, strict=True)
        if pair != (a.source, a.target)
    ]
    assert turned == ["c"]


def _hostile() -> Picture:
    nodes = (Node("x", HOSTILE, "rectangle"), Node("y", "größe", "ellipse", "[1.00]"))
    arrow = Arrow("x", "y", Value(HOSTILE))
    return Picture(HOSTILE, (Panel(HOSTILE, nodes, (arrow,), ()),), HOSTILE, (HOSTILE,))


def test_names_stay_names_in_svg() -> None:
    diagram = Diagram(_hostile(), "built-in")
    root = xml.fromstring(diagram.svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in tags
    assert [element.tag.rpartition("}")[2] for element in root[:2]] == ["title", "desc"]
    assert "\u202e" not in diagram.svg
    xml.fromstring(diagram._repr_html_())


def test_names_stay_names_in_dot() -> None:
    text = Diagram(_hostile()).to_dot()
    assert '\\"a\\\\N\\"' in text  # a quote ends no text, a backslash begins nothing
    assert text.count("{") == text.count("}") == 2


def test_the_program_sees_no_name() -> None:
    asked = graphviz._question(_hostile().panels[0])
    assert "n0 -> n1" in asked
    assert "script" not in asked
    assert "größe" not in asked


def test_the_answer_of_graphviz() -> None:
    panel = _panel("A=a1 A>y", "", "A")
    plain = (
        "graph 1 3 2\nnode n0 1.5 1 .9 .5 n0 solid ellipse black lightgrey\n"
        "node n1 0.5 1 .9 .5 n1 solid box black lightgrey\n"
        "node n2 2.5 1.5 .9 .5 n2 solid box black lightgrey\n"
        "edge n1 n0 4 0.9 1 1.0 1 1.1 1 1.2 1 solid black\n"
        "edge n0 n2 4 1.8 1 1.9 1.9 2.0 1.9 2.1 1.4 solid black\nstop\n"
    )
    placed = graphviz._answer(panel, plain)
    assert placed.boxes["a1"].x == 36.0
    assert placed.boxes["y"].y == -108.0
    assert placed.ways[0] == ()
    assert len(placed.ways[1]) > 2


def test_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphviz, "which", lambda program: None)
    monkeypatch.setattr("mlsem.report.diagram.result.which", lambda program: None)
    picture = Picture("", (PANELS["mediation"],), "", ())
    assert Diagram(picture).svg == Diagram(picture, "built-in").svg
    with pytest.raises(InterfaceError, match=r'graphviz.org.*layout="built-in" needs nothing'):
        _ = Diagram(picture, "graphviz").svg


def test_a_program_that_fails_is_done_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(graphviz, "which", lambda program: f"{tmp_path}/dot")
    monkeypatch.setattr("mlsem.report.diagram.result.which", lambda program: "dot")
    picture = Picture("", (PANELS["mediation"],), "", ())
    assert Diagram(picture).svg == Diagram(picture, "built-in").svg
    with pytest.raises(InterfaceError, match="gave no layout"):
        _ = Diagram(picture, "graphviz").svg


def test_files(tmp_path: Path) -> None:
    diagram = pickle.loads(pickle.dumps(Diagram(_hostile(), "built-in")))
    for kind, start in (("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("dot", b"digra")):
        path = tmp_path / f"model.{kind}"
        diagram.save(path)
        assert path.read_bytes().startswith(start)
    with pytest.raises(OptionValueError, match=r"'\.svg', '\.png'"):
        diagram.save(tmp_path / "model.docx")
    with pytest.raises(OptionValueError, match="above 0"):
        diagram.to_png(tmp_path / "model.png", scale=0)


@pytest.mark.parametrize("kind", ["svg", "png", "pdf", "dot"])
def test_a_folder_that_is_not_there_is_named(kind: str, tmp_path: Path) -> None:
    diagram = Diagram(_hostile(), "built-in")
    with pytest.raises(MlsemError, match="make it first"):
        diagram.save(tmp_path / "plots" / f"model.{kind}")


def test_long_names_are_broken() -> None:
    assert name_lines("reading_comprehension_score") == ("reading_", "comprehension_", "score")
    assert name_lines("Hours of reading a week") == ("Hours of reading a", "week")
    assert name_lines("armtreatment:before") == ("armtreatment:", "before")
    assert all(len(line) <= 18 for line in name_lines("x" * 90))


def test_nodes_of_a_shape_are_equally_wide() -> None:
    sizes = node_sizes(_panel("a>somewhat_longer"))
    assert sizes["a"][0] == sizes["somewhat_longer"][0]
