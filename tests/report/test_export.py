"""Tables in LaTeX, Markdown, HTML and for spreadsheets: the same cells; text stays text."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as xml
from io import StringIO
from pathlib import Path

import pytest

from mlsem.errors import InterfaceError, MlsemError, OptionValueError
from mlsem.report.cells import format_pvalue, is_pvalue, p_words
from mlsem.report.export import spreadsheet
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid, GridRow, GridTable
from mlsem.report.export.latex import escaped, latex
from mlsem.report.export.markdown import markdown
from mlsem.report.sheet import Sheet, SheetTable, Shown
from mlsem.report.table import columns_table, render_columns, square_table

HOSTILE = r"a_b & 50% <b>$x$</b> {\input} ~ ^ # | [1] `x` *y*"


class Table(Exported):
    def __init__(self, *tables: GridTable, title: str = "", notes: tuple[str, ...] = ()) -> None:
        self.given = Grid(title, tables, notes)

    def _grid(self) -> Grid:
        return self.given


@pytest.fixture
def table() -> Table:
    rows = (
        GridRow(("Level 1",), "level"),
        GridRow(("Regressions",), "block"),
        GridRow(("y ~ x", "-0.51*", "<.001")),
        GridRow(("", "(0.10)", ""), "below"),
        GridRow(("N", "500", ""), "measure"),
    )
    return Table(GridTable("", ("", "Estimate", "p"), rows), notes=("A note.",))


def test_latex(table: Table) -> None:
    text = table.to_latex(caption="50 % of it", label="tab:a}b")
    assert r"\caption{50 \% of it}\label{tab:ab}" in text
    assert r"\multicolumn{3}{l}{\textbf{Level 1}} \\" in text
    assert r"y $\sim$ x & $-$0.51$^{*}$ & $<$.001 \\" in text
    assert "\\midrule\nN & 500 &  \\\\\n\\bottomrule" in text
    for name in ("table", "tabular", "minipage"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 1


def test_long_tables_go_over_pages() -> None:
    rows = tuple(GridRow((f"y{k}", "1")) for k in range(60))
    text = latex(Grid("Many", (GridTable("", ("", "n"), rows),), ("A note.",)))
    assert "longtable" in text.splitlines()[0]
    assert r"\begin{table}" not in text
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1


def test_text_stays_text_in_latex() -> None:
    assert escaped("a_b & 50%") == r"a\_b \& 50\%"
    assert escaped(r"{\x}") == r"\{\textbackslash{}x\}"
    assert escaped(HOSTILE).count("$") % 2 == 0
    assert "$$" not in escaped("<|>")
    assert escaped("$<") == r"\$$<$"


def test_markdown(table: Table) -> None:
    assert table.to_markdown() == (
        "|  | Estimate | p |\n"
        "| :--- | ---: | ---: |\n"
        "| **Level 1** |  |  |\n"
        "| *Regressions* |  |  |\n"
        "| &emsp;y \\~ x | -0.51\\* | \\<.001 |\n"
        "|  | (0.10) |  |\n"
        "| N | 500 |  |\n"
        "\n"
        "- A note.\n"
    )
    columns = columns_table({HOSTILE: [HOSTILE]})
    line = markdown(Grid("", (columns,))).splitlines()[2]
    assert line.replace("\\|", "").count("|") == 2
    assert "\\<b\\>" in line


def test_html(table: Table) -> None:
    parsed = xml.fromstring(table.to_html())
    cells = [[cell.text or "" for cell in row] for row in parsed.iter("tr")]
    assert cells[3] == ["y ~ x", "-0.51*", "<.001"]
    hostile = xml.fromstring(Table(columns_table({"a": [HOSTILE]}), title=HOSTILE).to_html())
    assert [cell.text for cell in hostile.iter("td")] == [HOSTILE]
    assert not list(hostile.iter("b"))


def test_csv(table: Table) -> None:
    rows = list(csv.reader(StringIO(table.to_csv())))
    assert rows[0] == ["", "Estimate", "p"]
    assert rows[3] == ["y ~ x", "'-0.51*", "<.001"]  # no number, so it might be a formula
    assert rows[-1] == ["A note."]
    danger = Table(columns_table({"a": ["=1+1", "@x", "-0.51", "＝1"], "b": [1, 2, 3, 4]}))
    cells = [row[0] for row in csv.reader(StringIO(danger.to_csv()))]
    assert cells == ["a", "'=1+1", "'@x", "-0.51", "'＝1"]


def test_excel(table: Table, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "table.xlsx"
    Table(columns_table({"": ["=1+1", "b\x07"], "est": [-0.5, 2], "p": [0.0001, 0.5]})).to_excel(
        path
    )
    sheet = openpyxl.load_workbook(path).active
    assert [[cell.value for cell in row] for row in sheet.rows] == [
        [None, "Estimate", "p"], ["=1+1", -0.5, "<.001"], ["b\\x07", 2, 0.5],
    ]  # fmt: skip
    assert sheet["A2"].data_type == "s"
    assert sheet["B2"].number_format == "0.000"


def test_without_openpyxl(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(InterfaceError, match="pip install openpyxl"):
        table.to_excel(tmp_path / "table.xlsx")
    assert spreadsheet.csv_text(table._grid())


def test_files_are_written(table: Table, tmp_path: Path) -> None:
    for write in (table.to_latex, table.to_markdown, table.to_html, table.to_csv):
        path = tmp_path / "table"
        assert write(path=path) == path.read_text("utf-8")


def test_sheets_are_grids() -> None:
    class Report(Shown):
        def _sheet(self) -> Sheet:
            part = SheetTable("Parameters", ("est",), (("y~x", ("0.5",)),), "est: estimate")
            return Sheet("Report", (("  Draws", "99"),), (part,), "Notes", ("A note.",))

    text = Report().to_markdown()
    assert "| Draws | 99 |" in text
    assert "| y\\~x | 0.5 |" in text
    assert "est: estimate" in text
    assert r"\caption{Report}" in Report().to_latex()


def test_means_stand_below_a_matrix() -> None:
    table = square_table(["a", "b"], [[1.0, 0.5], [0.5, 2.0]], [0.1, 0.2])
    assert [row.cells for row in table.rows] == [
        ("a", "1.000", "0.500"), ("b", "0.500", "2.000"), ("mean", "0.100", "0.200"),
    ]  # fmt: skip
    assert table.rows[-1].role == "measure"


@pytest.mark.parametrize(
    ("value", "digits", "draws", "text"),
    [
        (0.00099, 3, None, "<.001"),
        (0.001, 3, None, "0.001"),
        (0.0, 4, None, "<.0001"),
        (0.0, 0, None, "<.1"),
        (0.0, 3, 99, "<.011"),  # 99 draws tell nothing below 1/99
        (0.005, 3, 10_000, "0.005"),
        (0.0001, 3, 10_000, "<.001"),
        (1.0, 3, None, "1.000"),
        (float("nan"), 3, None, ""),
        (None, 3, None, ""),
    ],
)
def test_p_values(value: float | None, digits: int, draws: int | None, text: str) -> None:
    assert format_pvalue(value, digits, draws) == text


def test_p_values_are_known_by_their_column() -> None:
    assert all(map(is_pvalue, ("p", "pvalue", "score_pvalue", "pvalue_holm", "P(>|t|)")))
    assert not any(map(is_pvalue, ("est", "npar", "P-splines", "power", "epc")))
    text = render_columns({"est": [0.0001], "pvalue": [0.0001]})
    assert text.split() == ["est", "pvalue", "0.000", "<.001"]
    assert (p_words(0.0004), p_words(0.25)) == ("p < .001", "p = 0.250")


@pytest.mark.parametrize("write", ["to_latex", "to_markdown", "to_html", "to_csv", "to_excel"])
def test_a_file_that_cannot_be_written_is_an_error_of_ours(
    write: str, table: Table, tmp_path: Path
) -> None:
    with pytest.raises(MlsemError, match="make it first"):
        getattr(table, write)(path=tmp_path / "tables" / "table.txt")
    with pytest.raises(OptionValueError, match="the name of a file"):
        getattr(table, write)(path=3)
