"""Functions of R that a formula may call, where numpy's or formulae's differ or are missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mlsem.core.records import Array

SCALE = r"(?<![\w.])scale\("
SCALED = "mlsem_scale"
"""What `scale` is called while formulae evaluates: its own, by the root of n, goes before ours."""

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


def log(x: Any, base: float | None = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def factor(x: Any, levels: Any = None) -> Any:
    """A factor, its levels in their order."""
    from formulae.transforms import TRANSFORMS

    return TRANSFORMS["C"](x, None, levels)


FUNCTIONS: dict[str, Any] = {name: getattr(np, name) for name in _SAME} | {
    "log": log,
    "ceiling": np.ceil,
    SCALED: scale,
    "factor": factor,
    "as": SimpleNamespace(factor=factor, numeric=lambda x: np.asarray(x, dtype=np.float64)),
    "np": np,
}
