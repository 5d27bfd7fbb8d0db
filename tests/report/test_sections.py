"""Parameter rows → blocks in lavaan's order."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan

from mlsem.report.document import Block, TableRow
from mlsem.report.sections import endogenous_names, sections


@dataclass(frozen=True)
class Parameter:
    lhs: str
    op: str
    rhs: str
    level: int = 1
    label: str = ""
    est: float = 0.5
    se: float = 0.1
    stat: float = 5.0
    pvalue: float = 0.0
    df: float = inf
    lower: float | None = None
    upper: float | None = None
    hidden: bool = False
    std_lv: float | None = None
    std_all: float | None = None
    group: int = 1
    fmi: float | None = None


ROWS = [
    Parameter("f", "=~", "y1", se=0.0, stat=nan, pvalue=nan),
    Parameter("f", "=~", "y2", label="l2"),
    Parameter("f", "~", "x1", label="a"),
    Parameter("y1", "~~", "y2"),
    Parameter("y1", "~~", "y1"),
    Parameter("f", "~~", "f"),
    Parameter("x1", "~~", "x1", hidden=True),
    Parameter("y1", "~1", ""),
    Parameter("y1", "~", "w", level=2, label="b"),
    Parameter("y1", "~~", "y1", level=2),
    Parameter("z", "~~", "z", level=2),
    Parameter("ab", ":=", "a*b", level=0, label="ab"),
]


def _names(block: Block) -> list[tuple[str, str]]:
    return [(line.group, line.name) for line in block.lines]


def test_blocks_stand_in_the_order_of_lavaan() -> None:
    levels, defined = sections(ROWS, {1: "Level 1 [within]", 2: "Level 2 [id]"})
    assert [level.title for level in levels] == ["Level 1 [within]", "Level 2 [id]"]
    assert [block.title for block in levels[0].blocks] == [
        "Latent Variables",
        "Regressions",
        "Covariances",
        "Intercepts",
        "Variances",
    ]
    assert [block.title for block in levels[1].blocks] == ["Regressions", "Variances"]
    assert [row.name for row in defined] == ["ab"]
    assert defined[0].label == ""


def test_endogenous_names_have_a_dot_at_every_level() -> None:
    levels, _ = sections(ROWS)
    latent, regressions, covariances, intercepts, variances = levels[0].blocks
    assert _names(latent) == [("f =~", "y1"), ("f =~", "y2")]
    assert _names(regressions) == [("f ~", "x1")]
    assert _names(covariances) == [(".y1 ~~", ".y2")]
    assert _names(intercepts) == [("", ".y1")]
    assert _names(variances) == [("", ".y1"), ("", ".f")]
    assert _names(levels[1].blocks[1]) == [("", ".y1"), ("", "z")]
    assert endogenous_names(ROWS) == {"y1", "y2", "f"}


def test_hidden_rows_are_left_out() -> None:
    levels, _ = sections(ROWS)
    assert all(row.name != "x1" for row in levels[0].blocks[-1].lines)


def test_one_heading_for_each_left_hand_side() -> None:
    rows = [Parameter("y", "~", "a"), Parameter("z", "~", "a"), Parameter("y", "~", "b")]
    (level,), _ = sections(rows)
    assert _names(level.blocks[0]) == [("y ~", "a"), ("y ~", "b"), ("z ~", "a")]


def test_values_pass_unchanged() -> None:
    (level,), _ = sections([Parameter("y", "~", "x", label="b", df=7.5, lower=0.3, upper=0.7)])
    assert level.title == ""
    assert level.blocks[0].lines == (TableRow("y ~", "x", "b", 0.5, 0.1, 5.0, 0.0, 7.5, 0.3, 0.7),)


def test_no_rows_no_levels() -> None:
    assert sections([]) == ((), ())
