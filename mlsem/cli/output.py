"""What the command prints: results as text, Markdown, LaTeX or HTML, and the demo's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsem.report.cells import shown
from mlsem.report.export.grid import Grid
from mlsem.report.export.html import html
from mlsem.report.export.latex import latex
from mlsem.report.export.markdown import markdown
from mlsem.report.table import columns_table, render_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlsem.data.table.examples import Example
    from mlsem.results.result import FitResult


def in_form(result: Any, form: str, digits: int | None = None) -> str:
    """A result as text, Markdown, LaTeX or HTML; of a summary with this many decimals."""
    if form == "text":
        return str(result) if digits is None else result.to_text(digits)
    if form == "html" and digits is not None:
        return result.to_html(digits) + "\n"
    return _written(result._grid() if digits is None else result._grid(digits), form)


def worst_text(step: str, columns: Mapping[str, Sequence[Any]], form: str) -> str:
    """The equalities of a step of invariance, the worst first."""
    return _titled(f"Equalities of {step}", columns, form, 3)


def indices_text(indices: Mapping[str, list[Any]], form: str, digits: int) -> str:
    """Modification indices as a table below a summary."""
    return _titled("Modification Indices", indices, form, digits)


def _titled(title: str, columns: Mapping[str, Sequence[Any]], form: str, digits: int) -> str:
    """Columns under a title; a sentence where there are no rows."""
    empty = not any(map(len, columns.values()))
    if form == "text":
        table = ": none to list.\n" if empty else f":\n\n{render_columns(columns, digits)}"
        return f"\n{title}{table}"
    tables = () if empty else (columns_table(columns, digits),)
    return "\n" + _written(Grid(title, tables, ("none to list",) if empty else ()), form)


def _written(grid: Grid, form: str) -> str:
    """The table in another language, ending in a newline."""
    write = {"markdown": markdown, "latex": latex, "html": html}[form]
    return write(shown(grid)).rstrip("\n") + "\n"


def examples_text(examples: Mapping[str, Example]) -> str:
    """The data sets that come with the package, with what each holds."""
    width = max(map(len, examples))
    margin = " " * (width + 2)
    found = []
    for name, each in examples.items():
        clusters = f" in {each.clusters} clusters ({each.cluster})" if each.cluster else ""
        found += [
            f"{name:<{width}}  {each.about}",
            f"{margin}{each.rows} rows{clusters}: {each.columns}",
            f"{margin}{each.source}",
            "",
        ]
    found += ["mlsem examples NAME > NAME.csv writes one; with --model, its model."]
    return "\n".join(found) + "\n"


def demo_text(standard: FitResult, robust: FitResult) -> str:
    """Model-based and robust standard errors side by side, and their ratio."""
    left, right = (each.parameter_estimates() for each in (standard, robust))
    free = [k for k, se in enumerate(left["se"].tolist()) if se > 0]

    def column(frame: Any, name: str) -> list[Any]:
        values = frame[name].tolist()
        return [values[k] for k in free]

    names = zip(column(left, "lhs"), column(left, "op"), column(left, "rhs"), strict=True)
    errors = zip(column(left, "se"), column(right, "se"), strict=True)
    return render_columns(
        {
            "parameter": [f"{lhs} {op} {rhs}".rstrip() for lhs, op, rhs in names],
            "level": column(left, "level"),
            "estimate": column(left, "est"),
            "model-based SE": column(left, "se"),
            "MLR SE": column(right, "se"),
            "ratio": [mlr / model for model, mlr in errors],
        }
    )
