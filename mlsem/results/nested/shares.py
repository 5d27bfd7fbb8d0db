"""How the variance of the outcome of a mixed model of three levels is shared out.

Variances of the random effects are means over rows of zᵀΨz (Johnson, 2014, Methods in Ecology and
Evolution 5, 944): with u of classes, v of schools and residuals,

    icc_school = v / (u + v + σ²),     icc_class = (u + v) / (u + v + σ²),

the correlations, given the covariates, of two rows of a school in other classes and of two rows of
a class (Raudenbush & Bryk, 2002, chapter 8). Of all variance with f that of Xβ̂,

    R²_marginal = f / (f + u + v + σ²),     R²_conditional = (f + u + v) / (f + u + v + σ²)

(Nakagawa & Schielzeth, 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.other_programs.answering import Answering
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.nested import NestedEstimates
    from mlsem.inference.covariance.matrix import Covariance

TITLE = "Intraclass correlations, given the covariates"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NestedIcc(Exported, Answering):
    """Intraclass correlations of both levels; prints as a table.

    Attributes
    ----------
    levels : tuple of str
        Of the outer clusters and of the inner ones, as lme4 names them.
    variance : (2,)
        What the random effects of each add, over rows.
    share : (2,)
        Of the variance given the covariates.
    icc, se : (2,)
        The correlation of two rows of the same outer cluster but other inner ones, and of the
        same inner cluster; standard errors by the delta method.
    residual : float
        σ².

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
    >>> found = mlsem.lmm("y ~ x1 + (1 | district/id)", data).icc()
    >>> found.frame[["share", "icc"]].round(2)
                 share   icc
    district      0.27  0.27
    id:district   0.34  0.62
    """

    levels: tuple[str, str]
    variance: Array
    share: Array
    icc: Array
    se: Array
    residual: float

    @property
    def _columns(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in ("variance", "share", "icc", "se")}

    @property
    def frame(self) -> pd.DataFrame:
        """One row per level."""
        return make_frame(self._columns, list(self.levels))

    def __str__(self) -> str:
        return f"{TITLE}:\n{render_columns({'': self.levels, **self._columns}, 4)}"

    def _grid(self) -> Grid:
        return Grid(TITLE, (columns_table({"": self.levels, **self._columns}, 4),))

    def __repr__(self) -> str:
        shown = ", ".join(map("{}={:.3f}".format, self.levels, self.icc))
        return f"<NestedIcc: {shown}>"


@quiet
def nested_icc(estimates: NestedEstimates, covariance: Covariance) -> NestedIcc:
    """See `NestedResult.icc`."""
    lower, upper = _weights(estimates)
    phi = estimates.point.phi
    variance = np.array([upper @ phi, lower @ phi])
    residual = np.zeros(len(phi))
    residual[-1] = 1.0
    whole = lower + upper + residual
    gradients = np.zeros((2, len(estimates.params)))
    icc = np.empty(2)
    for k, part in enumerate((upper, upper + lower)):
        icc[k] = (part @ phi) / (whole @ phi)
        gradients[k, -len(phi) :] = (part - icc[k] * whole) / (whole @ phi)
    user = np.asarray(np.linalg.solve(estimates.to_user.T, gradients.T).T, dtype=np.float64)
    se, _ = covariance.of_functions(user)
    data = estimates.data
    return NestedIcc(
        levels=(data.upper.name, data.lower.name),
        variance=frozen(variance),
        share=frozen(variance / (whole @ phi)),
        icc=frozen(icc),
        se=frozen(se),
        residual=estimates.point.sigma2,
    )


def _weights(estimates: NestedEstimates) -> tuple[Array, Array]:
    """What each of φ has in the variance over rows that inner and outer effects add, (K,)."""
    if not estimates.converged:
        raise InferenceError("the fit did not converge: its variances are not estimates.")
    model, rows = estimates.point.model, estimates.point.model.rows
    pairs = (model.lower, rows.lower), (model.upper, rows.upper)
    inner, outer = (
        np.einsum("kab,daj,dbj->k", each, columns, columns, optimize=True) / rows.n_rows
        for each, columns in pairs
    )
    return inner, outer


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NestedR2(Exported, Answering):
    """R² of a mixed model of three levels; prints as a table.

    Attributes
    ----------
    parts : tuple of str
        "fixed", the outer clusters, the inner ones, "residual".
    variance : (4,)
        What each adds, over rows.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data = data.assign(district=data["id"] // 5, y=data["y"] + data["id"] // 5 % 3)
    >>> found = mlsem.lmm("y ~ x1 + (1 | district/id)", data).r_squared()
    >>> round(found.marginal, 2), round(found.conditional, 2)
    (0.07, 0.64)
    >>> found.frame.columns.tolist()
    ['variance', 'share']
    """

    parts: tuple[str, ...]
    variance: Array

    @property
    def marginal(self) -> float:
        """Of the fixed effects."""
        return float(self.variance[0] / self.variance.sum())

    @property
    def conditional(self) -> float:
        """Of fixed and random effects."""
        return float(1.0 - self.variance[-1] / self.variance.sum())

    @property
    def frame(self) -> pd.DataFrame:
        """Variances and their shares of the whole."""
        columns = {"variance": self.variance, "share": self.variance / self.variance.sum()}
        return make_frame(columns, list(self.parts))

    @property
    def _title(self) -> str:
        return f"R2: marginal {self.marginal:.4f}, conditional {self.conditional:.4f}"

    def _table(self) -> dict[str, list[object]]:
        frame = self.frame
        return {"": list(self.parts), **{name: frame[name].tolist() for name in frame}}

    def __str__(self) -> str:
        return f"{self._title}\n{render_columns(self._table(), 4)}"

    def _grid(self) -> Grid:
        return Grid(self._title, (columns_table(self._table(), 4),))

    def __repr__(self) -> str:
        return f"<NestedR2: marginal {self.marginal:.3f}, conditional {self.conditional:.3f}>"


@quiet
def nested_r_squared(estimates: NestedEstimates) -> NestedR2:
    """See `NestedResult.r_squared`."""
    lower, upper = _weights(estimates)
    point, data = estimates.point, estimates.data
    fixed = point.model.rows.fixed_variance(estimates.params[: len(data.fixed)])
    phi = point.phi
    variance = np.array([fixed, upper @ phi, lower @ phi, point.sigma2])
    return NestedR2(("fixed", data.upper.name, data.lower.name, "residual"), frozen(variance))
