"""The same model with the variance of factors fixed, where it fixes a loading.

A marker that hardly loads makes all other parameters of its factor run away: the factor f of the
user's model is s f*, Var f* = ±1, with s the loading of the marker over its fixed value. So

    loadings λ* / s,   paths from f* b* / s,   paths to f* b* s,   covariances s ψ*,   means s α*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlsem.core.records import Array
from mlsem.spec.partable import ParameterTable, Row


@dataclass(frozen=True, slots=True, eq=False)
class FixedVariances:
    """The model in which factor variances are fixed.

    Attributes
    ----------
    table : ParameterTable
        A marker's loading stands where the variance of its factor stood.
    scales : tuple of (position, fixed loading, sign of the variance)
        Of each factor.
    powers : (factors, npar)
        With s = θ*[position] / (fixed loading), θ = θ* ∏ s^power; a variance is ±s².
    """

    table: ParameterTable
    scales: tuple[tuple[int, float, float], ...]
    powers: Array

    def to_user(self, params: Array) -> Array | None:
        """The parameters of the user's model; None where a marker does not load."""
        found = params.copy()
        for (place, fixed, sign), powers in zip(self.scales, self.powers, strict=True):
            scale = params[place] / fixed
            if scale == 0.0:
                return None
            found *= scale**powers
            found[place] = sign * scale**2
        return found if np.isfinite(found).all() else None


def fix_variances(table: ParameterTable, sign: float = 1.0) -> FixedVariances | None:
    """The table with the variances of factors fixed at `sign`; None if there is none such.

    A factor qualifies if one fixed loading is all that sets its scale, and its parameters are its
    own. The model must be free of bounds and constraints.
    """
    rows = list(table.rows)
    shared = np.bincount([row.free for row in rows if row.free >= 0], minlength=len(table.names))
    scales, powers = [], []
    for level, variables in enumerate(table.levels, start=1):
        for factor in variables.latent:
            own = [
                k
                for k, row in enumerate(rows)
                if row.level == level and factor in (row.lhs, row.rhs)
            ]
            marker = [k for k in own if table.rows[k].op == "=~" and table.rows[k].fixed]
            variance = [k for k in own if table.rows[k].lhs == table.rows[k].rhs]
            set_by_value = [k for k in own if table.rows[k].fixed and k not in marker]
            alone = all(shared[rows[k].free] == 1 for k in own if rows[k].free >= 0)
            if len(marker) != 1 or len(variance) != 1 or set_by_value or not alone:
                continue
            if table.rows[marker[0]].lhs != factor or table.rows[variance[0]].free < 0:
                continue
            place = table.rows[variance[0]].free
            scales.append((place, float(table.rows[marker[0]].fixed or 1.0), sign))
            powers.append(_powers(table, factor, own))
            for k in own:
                rows[k] = replace(rows[k], start=None)
            rows[variance[0]] = replace(rows[variance[0]], free=-1, fixed=sign)
            rows[marker[0]] = replace(rows[marker[0]], free=place, fixed=None)
    if not scales:
        return None
    return FixedVariances(replace(table, rows=tuple(rows)), tuple(scales), np.array(powers))


def _powers(table: ParameterTable, factor: str, own: list[int]) -> Array:
    powers = np.zeros(len(table.names))
    for row in (table.rows[k] for k in own):
        if row.free >= 0 and row.lhs != row.rhs:
            powers[row.free] = _power(row, factor)
    return powers


def _power(row: Row, factor: str) -> float:
    if row.op == "=~":
        return -1.0 if row.lhs == factor else 1.0
    if row.op == "~":
        return 1.0 if row.lhs == factor else -1.0
    return 1.0
