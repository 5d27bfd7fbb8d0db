"""Results as JSON: what was found, and all that it takes to find it again."""

from __future__ import annotations

import json
import platform
from hashlib import file_digest
from importlib.metadata import version
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Mapping, Sequence
    from warnings import WarningMessage

    import pandas as pd

    from mlsem.model.table import ParameterTable
    from mlsem.results.invariance.result import Invariance
    from mlsem.results.nested.result import NestedResult
    from mlsem.results.result import FitResult

ENGINE = ("numpy", "scipy", "pandas")  # packages that may move a last digit


def fit_as_json(
    result: FitResult,
    arguments: Namespace,
    level: float,
    tables: Mapping[str, Any],
    caught: Sequence[WarningMessage],
) -> str:
    """A fit as one JSON object; what is not a finite number is null.

    ``call`` repeats it: ``getattr(mlsem, function)(data=…, **arguments)``, with the file of
    ``data`` as `pandas` reads it. ``defaults`` are the other keywords, as they were.

    Parameters
    ----------
    level : float
        Of the intervals.
    tables : mapping of str to list or dict
        The estimates, and what else was asked for.
    """
    from mlsem.results.call import call_of

    call, record = call_of(result), result._record
    return _text(
        {
            "converged": bool(result.converged),
            "n_iterations": result.n_iterations,
            "estimator": result.settings.estimator,
            "se": result.se_kind,
            "se_cluster": record.robust.name,
            "df_method": result.df_method,
            "n_obs": result.n_obs,
            "n_clusters": result.n_clusters,
            **_groups(result),
            "n_parameters": result.n_params,
            "loglik": result.loglik,
            "starts": _starts(result),
            "aic": result.aic,
            "bic": result.bic,
            "confidence_level": level,
            "confidence_intervals": arguments.ci,
            **tables,
            "notes": list(result.notes),
            "warnings": _said(caught),
            "call": {
                "function": call.function,
                "arguments": call.arguments,
                "defaults": call.defaults,
            },
            "data": _data(arguments.data, call.columns, record),
            "versions": _versions(),
        }
    )


def nested_as_json(result: NestedResult, level: float, caught: Sequence[WarningMessage]) -> str:
    """A mixed model of three levels as one JSON object.

    Parameters
    ----------
    level : float
        Of the intervals.
    """
    return _text(
        {
            "formula": result.model,
            "converged": bool(result.converged),
            "n_iterations": result.n_iterations,
            "estimator": result.settings.estimator,
            "se": result.se_kind,
            "df_method": result.df_method,
            "n_obs": result.n_obs,
            "n_groups": result.n_groups,
            "n_parameters": result.n_params,
            "loglik": result.loglik,
            "aic": result.aic,
            "bic": result.bic,
            "confidence_level": level,
            "estimates": result.parameter_estimates(level).to_dict("records"),
            "notes": list(result.notes),
            "warnings": _said(caught),
            "versions": _versions(),
        }
    )


def invariance_as_json(
    found: Invariance,
    arguments: Namespace,
    how: Mapping[str, Any],
    worst: Mapping[str, pd.DataFrame],
    caught: Sequence[WarningMessage],
) -> str:
    """Steps of invariance as one JSON object.

    Parameters
    ----------
    how : mapping
        What `mlsem.invariance` was given beside the data.
    worst : mapping of step to data frame
        The equalities of each, where they are wanted.
    """
    from mlsem.results.call import call_of

    first = next(iter(found.fits.values()))
    return _text(
        {
            "converged": {step: bool(fit.converged) for step, fit in found.fits.items()},
            "equal": {step: list(names) for step, names in found.equal.items()},
            "measures": found.table.rename_axis("step").reset_index().to_dict("records"),
            "differences": found.differences.to_dict("records"),
            "verdict": list(found.verdict),
            "notes": list(found.notes),
            "worst": {step: each.to_dict("records") for step, each in worst.items()},
            "warnings": _said(caught),
            "call": {"function": "invariance", "arguments": how},
            "data": _data(arguments.data, call_of(first).columns, first._record),
            "versions": _versions(),
        }
    )


def table_as_json(table: ParameterTable) -> str:
    """A parameter table as one JSON object."""
    names = ("lhs", "op", "rhs", "group", "level", "label", "user", "exo", "fixed", "start")
    bounds = ("lower", "upper")
    return _text(
        {
            "rows": [
                {name: getattr(row, name) for name in (*names, *bounds)}
                | {"parameter": table.names[row.free] if row.free >= 0 else None}
                for row in table.rows
            ],
            "parameters": list(table.names),
            "defined": {each.name: each.source for each in table.definitions},
            "constraints": [each.source for each in table.constraints],
            "products": [each.name for each in table.products],
            "split": list(table.split),
            "groups": [each.label for each in table.groups],
            "notes": list(table.notes),
            "versions": _versions(),
        }
    )


def _data(file: str, columns: Iterable[str], record: Any) -> dict[str, Any]:
    from mlsem.data.frames.paths import files_at

    files = files_at(file)
    digests = {each: _digest(each) for each in files}
    return {
        "file": file,
        "sha256": digests[file] if files == [file] else digests,
        "columns": list(columns),
        "n_rows": record.n_rows_total,
        "n_dropped": record.n_rows_dropped,
    }


def _digest(file: str) -> str:
    with open(file, "rb") as content:
        return file_digest(content, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    import mlsem

    packages = {package: version(package) for package in ENGINE}
    return {"mlsem": mlsem.__version__, "python": platform.python_version(), **packages}


def _said(caught: Sequence[WarningMessage]) -> list[str]:
    return list(dict.fromkeys(str(each.message) for each in caught))


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


def _text(content: Mapping[str, Any]) -> str:
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    return "\n".join(map(_printable, text.split("\n")))


def _printable(line: str) -> str:
    """The line with what a terminal obeys or hides as JSON's escapes: the content is the same."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _plain(value: Any) -> Any:
    """Numbers of the standard library, null for what JSON cannot say, text for other things."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float) else str(value)
