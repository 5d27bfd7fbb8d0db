r"""A grid in LaTeX, for the package booktabs (long ones: and longtable). All text is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlsem.report.export.grid import Grid, GridRow, GridTable

LONG = 50  # rows; more do not stand on a page
ADJACENT = re.compile(r"(?<!\\)\$\$")  # the end of one formula and the beginning of the next
MINUS = re.compile(r"(?<![\w.)-])-(?=\d|\.\d)")  # of a number, not of a word such as `x-1`
NEEDS = r"% \usepackage{booktabs}"
ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"$\sim$",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': r"\textquotedbl{}",
    "×": r"$\times$",
    "²": r"$^2$",
    "±": r"$\pm$",
    "−": r"$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "…": r"\dots{}",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "ζ": r"$\zeta$",
    "θ": r"$\theta$",
    "λ": r"$\lambda$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "χ": r"$\chi$",
    "ψ": r"$\psi$",
    "ω": r"$\omega$",
    "Δ": r"$\Delta$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "[": "{[}",  # at the beginning of a row it would be an option of \\
    "]": "{]}",
}


def latex(grid: Grid, caption: str = "", label: str = "") -> str:
    """The tables of a grid.

    Parameters
    ----------
    grid : Grid
    caption : str
        Above the first table; the grid's title where it is empty.
    label : str
        For ``\\ref``; empty for none.
    """
    said = f"\\caption{{{escaped(caption or grid.title)}}}" if caption or grid.title else ""
    named = f"\\label{{{_plain(label)}}}" if label else ""
    notes = list(map(escaped, filter(None, grid.notes)))
    if any(len(table.rows) > LONG for table in grid.tables):
        return "\n".join((NEEDS + r"\usepackage{longtable}", *_long(grid, said + named, notes), ""))
    lines = [NEEDS, r"\begin{table}[htbp]", r"\centering"]
    lines += [said + named] if said or named else []
    for k, table in enumerate(grid.tables):
        lines += [r"\par\bigskip"] if k else []
        lines += [f"\\textit{{{escaped(table.title)}}}\\par\\smallskip"] if table.title else []
        lines += [f"\\begin{{tabular}}{{{_columns(table)}}}", r"\toprule", *_head(table)]
        lines += [*_rows(table), r"\bottomrule", r"\end{tabular}"]
        lines += [f"\\par\\smallskip {{\\footnotesize {escaped(table.legend)}}}"] * bool(
            table.legend
        )
    if notes:
        lines.append(r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize")
        lines += [rf"{note}\par" for note in notes]
        lines.append(r"\end{minipage}")
    return "\n".join((*lines, r"\end{table}", ""))


def _long(grid: Grid, caption: str, notes: list[str]) -> Iterator[str]:
    """Tables that go over pages; no float holds them."""
    for k, table in enumerate(grid.tables):
        yield f"\\begin{{longtable}}{{{_columns(table)}}}"
        if caption and k == 0:
            yield caption + r"\\"
        elif table.title:
            yield f"\\multicolumn{{{table.width}}}{{c}}{{\\textit{{{escaped(table.title)}}}}}\\\\"
        yield r"\toprule"
        yield from _head(table)
        yield r"\endhead"
        yield r"\bottomrule"
        yield r"\endfoot"
        yield from _rows(table)
        yield r"\end{longtable}"
        if table.legend:
            yield rf"{{\footnotesize {escaped(table.legend)}\par}}"
    for note in notes:
        yield rf"{{\footnotesize {note}\par}}"


def _columns(table: GridTable) -> str:
    return "".join("l" if words else "r" for words in table.words)


def _head(table: GridTable) -> list[str]:
    if not table.has_heads:
        return []
    heads = [
        escaped(head) if words else f"\\multicolumn{{1}}{{c}}{{{escaped(head)}}}"
        for head, words in zip(table.heads, table.words, strict=True)
    ]
    return [" & ".join(heads) + r" \\", r"\midrule"]


def _rows(table: GridTable) -> Iterator[str]:
    before = ""
    for k, row in enumerate(table.rows):
        if row.role == "measure" and before != "measure" and k:
            yield r"\midrule"
        if row.is_title and k and before not in ("level", "block"):
            yield r"\addlinespace"
        yield (
            _title(row, table.width)
            if row.is_title
            else " & ".join(map(_cell, row.cells)) + (r" \\")
        )
        before = row.role


def _title(row: GridRow, width: int) -> str:
    font = "textbf" if row.role == "level" else "textit"
    return f"\\multicolumn{{{width}}}{{l}}{{\\{font}{{{escaped(row.cells[0])}}}}} \\\\"


def _cell(text: str) -> str:
    """Numbers have a real minus, and their stars above the line."""
    number, stars = (text.rstrip("*"), text[len(text.rstrip("*")) :]) if text[:-1] else (text, "")
    raised = f"$^{{{stars}}}$" if stars and number[-1:].isdigit() else stars
    return ADJACENT.sub("", MINUS.sub("$-$", escaped(number)) + raised)


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is."""
    written = "".join(ESCAPES.get(letter, letter) for letter in " ".join(text.split()))
    return ADJACENT.sub("", written)


def _plain(label: str) -> str:
    """A label without what would end it."""
    return "".join(letter for letter in label if letter.isalnum() or letter in ":-_.")
