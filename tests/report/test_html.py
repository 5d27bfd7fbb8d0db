"""The summary in a notebook."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from mlsem.report.document import Block, HeaderBlock, LevelSection, SummaryDocument, TableRow
from mlsem.report.html import render

ROW = TableRow("f =~", "y2", "a", 0.774567, 0.0381, 20.315, 0.0)


def _document(*rows: TableRow) -> SummaryDocument:
    return SummaryDocument(
        "title", (), (LevelSection("Level 1", (Block("Latent Variables", rows),)),)
    )


class _Balance(HTMLParser):
    """Every tag that is opened is closed, innermost first."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_tags_balance() -> None:
    document = replace(
        _document(ROW),
        header=(HeaderBlock("", (("Estimator", "ML"),)),),
        defined=(ROW,),
        notes=("note",),
    )
    parser = _Balance()
    parser.feed(render(document))
    assert parser.open == []


def test_content() -> None:
    text = render(_document(ROW, replace(ROW, name="y3")))
    assert text.count("f =~") == 1
    assert "<td>0.775</td><td>0.038</td><td>20.315</td><td>&lt;.001</td>" in text
    assert '<th scope="col">P(&gt;|z|)</th>' in text
    assert "Level 1" in text
    assert "(a)" in text


def test_texts_are_escaped() -> None:
    bad = "<script>alert('x')</script>"
    row = replace(ROW, name=bad, label=bad, group=bad)
    document = SummaryDocument(
        bad,
        (HeaderBlock(bad, ((bad, bad),), (bad,), bad),),
        (LevelSection(bad, (Block(bad, (row,)),)),),
        (row,),
        (bad,),
    )
    assert "<script" not in render(document)


def test_no_colour_is_forced() -> None:
    text = render(_document(ROW))
    assert "color: inherit" in text
    assert "#fff" not in text


def test_fixed_rows_show_only_the_estimate() -> None:
    text = render(_document(replace(ROW, se=0.0, est=1.0)))
    assert "<td>1.000</td><td></td><td></td><td></td>" in text
