"""Functions of R that a formula may call, where numpy's or formulae's differ or are missing."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mlsem.core.records import Array

OURS = "mlsem_"
"""Before `scale(` and `bs(` while formulae evaluates: its functions of these names differ."""

_SAME = (
    *("exp", "expm1", "log1p", "log2", "log10", "sqrt", "abs", "sign", "floor"),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh"),
)


def scale(x: Any, center: bool | float = True, scale: bool | float = True) -> Array:
    """`(x − mean) / sd`, the variance by n − 1; uncentred, by the root mean square of n − 1."""
    values = np.asarray(x, dtype=np.float64)
    if center is not False:
        values = values - (values.mean() if center is True else center)
    if scale is True:
        scale = float(np.sqrt((values @ values) / (len(values) - 1)))
    return values if scale is False else values / scale


def bs(x: Any, df: int | None = None, degree: int = 3) -> Array:
    """B-splines less the first one, inner knots at quantiles: `(n, df)`."""
    from scipy.interpolate import BSpline

    values = np.asarray(x, dtype=np.float64)
    inner = (degree if df is None else df) - degree
    if degree < 1 or inner < 0:
        raise ValueError(f"bs() of degree {degree} needs df from {max(degree, 1)}, not {df}")
    places = np.linspace(0.0, 1.0, inner + 2)
    outer = np.repeat(np.quantile(values, [0.0, 1.0]), degree)
    knots = np.sort(np.concatenate([outer, np.quantile(values, places)]))
    return BSpline.design_matrix(values, knots, degree).toarray()[:, 1:]


def ours(text: str) -> str:
    """A formula that calls our functions."""
    return re.sub(r"(?<![\w.])(scale|bs)\(", rf"{OURS}\1(", text)


def theirs(name: str) -> str:
    """As the user wrote it."""
    return name.replace(OURS, "")


def log(x: Any, base: float | None = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def factor(x: Any, levels: Any = None) -> Any:
    """A factor, its levels in their order."""
    from formulae.transforms import TRANSFORMS

    return TRANSFORMS["C"](x, None, levels)


FUNCTIONS: dict[str, Any] = {name: getattr(np, name) for name in _SAME} | {
    "log": log,
    "ceiling": np.ceil,
    f"{OURS}scale": scale,
    f"{OURS}bs": bs,
    "factor": factor,
    "as": SimpleNamespace(factor=factor, numeric=lambda x: np.asarray(x, dtype=np.float64)),
    "np": np,
}
