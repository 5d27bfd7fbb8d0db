"""What the command prints besides a summary: JSON, the demo's table."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from mlsem.report.table import render_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from warnings import WarningMessage

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
