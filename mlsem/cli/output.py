"""What the command prints besides a summary: JSON, the parameter table, the demo's table."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from mlsem.base.display import lines
from mlsem.report.table import render_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from warnings import WarningMessage

    from mlsem.model.table import ParameterTable, Row
    from mlsem.results.result import CiKind, FitResult


def json_text(
    result: FitResult,
    level: float,
    ci: CiKind,
    tables: Mapping[str, Any],
    caught: Sequence[WarningMessage],
) -> str:
    """A fit as one JSON object; what is not a finite number is null.

    Parameters
    ----------
    tables : mapping of str to list or dict
        The estimates, and what else was asked for.
    """
    content = {
        "converged": bool(result.converged),
        "n_iterations": result.n_iterations,
        "se": result.se_kind,
        "se_cluster": result._record.robust.name,
        "n_obs": result.n_obs,
        "n_clusters": result.n_clusters,
        **_groups(result),
        "n_parameters": result.n_params,
        "loglik": result.loglik,
        "starts": _starts(result),
        "aic": result.aic,
        "bic": result.bic,
        "confidence_level": level,
        "confidence_intervals": ci,
        **tables,
        "warnings": list(dict.fromkeys(str(each.message) for each in caught)),
    }
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    return "\n".join(map(_json_printable, text.split("\n")))


def _groups(result: FitResult) -> dict[str, Any]:
    """Labels and sizes of groups, where there are several."""
    sizes = result._facts().groups
    if sizes is None:
        return {}
    clusters = sizes.clusters or (None,) * len(sizes.labels)
    columns = zip(sizes.labels, sizes.rows, clusters, strict=True)
    heads = ("label", "n_obs", "n_clusters")
    return {
        "group": sizes.column,
        "groups": [dict(zip(heads, each, strict=True)) for each in columns],
    }


def _json_printable(line: str) -> str:
    """The line with what a terminal obeys or hides as JSON's escapes: the content is the same."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _starts(result: FitResult) -> dict[str, Any] | None:
    starts = result.starts
    if starts is None:
        return None
    return {
        "seed": starts.seed,
        "reached": starts.reached,
        "usual": starts.usual,
        "logliks": starts.logliks.tolist(),
    }


def _plain(value: Any) -> Any:
    """Numbers of the standard library, null for what JSON cannot say."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not isfinite(value) else value


def worst_text(step: str, columns: Mapping[str, Sequence[Any]]) -> str:
    """The equalities of a step of invariance, the worst first."""
    return f"\n\nEqualities of {step}:\n\n{render_columns(columns)}"


def indices_text(indices: Mapping[str, list[Any]], digits: int) -> str:
    """Modification indices as a table below a summary."""
    if not indices["mi"]:
        return "\nModification Indices: none to list.\n"
    return f"\nModification Indices:\n\n{render_columns(indices, digits)}"


def check_text(table: ParameterTable) -> str:
    """The parameter table as text, with what else the model says."""
    rows = table.rows
    optional = {
        "label": [row.label for row in rows],
        "start": [row.start for row in rows],
        "bounds": [_bounds(row) for row in rows],
    }
    group = {"group": [row.group for row in rows]} if table.groups else {}
    text = render_columns(
        {
            "lhs": [row.lhs for row in rows],
            "op": [row.op for row in rows],
            "rhs": [row.rhs for row in rows],
            **group,
            "level": [row.level for row in rows],
            "parameter": [_status(row) for row in rows],
            **{name: column for name, column in optional.items() if any(_given(column))},
            "from": ["model" if row.user else "default" for row in rows],
        },
        index=True,
    )
    return f"{text}{lines(_remarks(table))}\n"


def _given(column: Sequence[object]) -> list[bool]:
    return [cell is not None and cell != "" for cell in column]


def _status(row: Row) -> str:
    """`free 3` (the number is shared by equal labels), `fixed 1`, or `data`."""
    if row.free >= 0:
        return f"free {row.free + 1}"
    return "data" if row.exo else f"fixed {row.fixed:g}" if row.fixed is not None else "fixed"


def _bounds(row: Row) -> str:
    if not (isfinite(row.lower) or isfinite(row.upper)):
        return ""
    return f"[{row.lower:g}, {row.upper:g}]"


def _remarks(table: ParameterTable) -> list[str]:
    remarks = [f"{each.name} := {each.source}" for each in table.definitions]
    remarks += [each.source for each in table.constraints]
    remarks += [f"product made from the data: {each.name}" for each in table.products]
    if table.split:
        remarks.append(f"split into a part at each level: {', '.join(table.split)}")
    remarks += [f"random slope {s.name}: {s.outcome} on {s.carrier}" for s in table.slopes]
    remarks += [f"group {k}: {each.label}" for k, each in enumerate(table.groups, start=1)]
    remarks.append(f"free parameters: {len(table.names)}")
    remarks += [f"note: {note}" for note in table.notes]
    return ["", *remarks]


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
