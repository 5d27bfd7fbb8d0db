"""Starts on the other side of a pole.

The data see a variance ψ with outgoing paths b through ψ, b ψ and b² ψ + (residual variance). As
ψ passes zero at fixed b ψ, b passes infinity: if the maximum lies at ψ < 0, as it often does for a
between variance near zero, an ascent from ψ > 0 runs along the pole for ever. The mirror image,
-ψ and -b with residual variances that keep the moments of the effects, is a start beyond it. A
factor whose marker hardly loads has such a pole too; there its free loadings change sign.
"""

from __future__ import annotations

from collections import defaultdict

from mlsem.core.records import Array
from mlsem.model.table import ParameterTable, Row

Path = tuple[str, Row]


def mirror_images(table: ParameterTable, params: Array) -> list[Array]:
    """Mirror images of parameters in the poles of every variance with outgoing paths."""
    images: list[Array] = []
    for level in range(1, len(table.levels) + 1):
        rows = [row for row in table.rows if row.level == level]
        variances = {row.lhs: row for row in rows if row.is_variance}
        paths: defaultdict[str, list[Path]] = defaultdict(list)
        for row in rows:
            if row.op == "=~":
                paths[row.lhs].append((row.rhs, row))
            elif row.op == "~":
                paths[row.rhs].append((row.lhs, row))
        for name, row in variances.items():
            if paths[name] and row.free >= 0:
                images.append(_negated(params, row, paths[name], variances))
            if any(path.op == "=~" for _, path in paths[name]):
                images.append(_turned(params, name, rows))
    return images


def _negated(params: Array, own: Row, paths: list[Path], variances: dict[str, Row]) -> Array:
    """-ψ and -b; residual variances take up 2 b²ψ."""
    moved = params.copy()
    moved[own.free] = -params[own.free]
    for effect, path in paths:
        slope = params[path.free] if path.free >= 0 else (path.fixed or 0.0)
        if path.free >= 0:
            moved[path.free] = -slope
        rest = variances.get(effect)
        if rest is not None and rest.free >= 0:
            moved[rest.free] += 2 * slope**2 * params[own.free]
    return moved


def _turned(params: Array, factor: str, rows: list[Row]) -> Array:
    """The free loadings, paths and covariances of a factor with the other sign."""
    moved = params.copy()
    for row in rows:
        if row.free >= 0 and factor in (row.lhs, row.rhs) and row.lhs != row.rhs and row.op != "~1":
            moved[row.free] = -params[row.free]
    return moved
