"""What the command prints: results as text, Markdown, LaTeX or HTML, and the demo's table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from mlsem.report.table import render_columns, render_html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlsem.data.table.examples import Example
    from mlsem.results.result import FitResult


def written(shown: Any, form: str, digits: int | None = None) -> str:
    """A result as text, Markdown, LaTeX or HTML."""
    write = getattr(shown, f"to_{form}", None)
    if write is not None:
        return write() if digits is None else write(digits)
    return shown._repr_html_() if form == "html" else str(shown)


def worst_text(step: str, columns: Mapping[str, Sequence[Any]], form: str) -> str:
    """The equalities of a step of invariance, the worst first."""
    return _titled(f"Equalities of {step}", columns, form, 3)


def indices_text(indices: Mapping[str, list[Any]], form: str, digits: int) -> str:
    """Modification indices as a table below a summary."""
    return _titled("Modification Indices", indices, form, digits)


def _titled(title: str, columns: Mapping[str, Sequence[Any]], form: str, digits: int) -> str:
    empty = not any(map(len, columns.values()))
    if form == "html":
        body = "<p>none to list</p>" if empty else render_html(columns, digits)
        return f"\n<h3>{escape(title)}</h3>\n{body}\n"
    if empty:
        return f"\n{title}: none to list.\n"
    return f"\n{title}:\n\n{render_columns(columns, digits)}"


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
