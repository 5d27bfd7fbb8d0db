"""Covariance matrices of the estimates: model-based and cluster-robust."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.linalg import transposed
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.covariance.cluster_robust import RobustContrasts, robust_contrasts
from mlsem.inference.covariance.equations import (
    EstimatingEquations,
    WhiteClusters,
    whitened,
)
from mlsem.inference.covariance.intervals import delta_se, is_constant
from mlsem.inference.covariance.reference import ClusterReference, Reference

FLAT = 1e-10  # eigenvalues of the meat, in units of the information, that are zero


@dataclass(frozen=True, eq=False)
class Covariance:
    """A covariance matrix of the estimates with its reference distribution.

    Attributes
    ----------
    matrix : (npar, npar)
    kind : StandardErrors
    form : str
        How it was computed, for the summary.
    reference : Reference or None
        For the degrees of freedom of contrasts; None for z tests.
    robust : RobustContrasts or None
        Of the parameters one by one.
    forms : tuple of str
        Of each parameter: "residuals" where CR2 adjusts the residuals of a linear mixed model,
        "scores" where scores are adjusted; empty for the other kinds.
    effective : (npar,) or None
        Effective number of clusters of each parameter, where it was looked at.
    flat : bool
        Whether in some direction no cluster has a score: fewer clusters than parameters, or
        directions that one cluster alone determines.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.with_se("CR2").covariance
    >>> found.kind.name, found.matrix.shape
    ('CR2', (6, 6))
    >>> found.se.round(3)
    array([0.104, 0.079, 0.095, 0.125, 0.231, 0.16 ])
    >>> found.df.round(1)
    array([37.4, 11.2, 29.2, 12.6,  6.9, 44.2])
    """

    matrix: Shaped[Array, "npar npar"]
    kind: StandardErrors
    form: str
    reference: Reference | None = None
    robust: RobustContrasts | None = None
    forms: tuple[str, ...] = ()
    effective: Shaped[Array, "npar"] | None = None
    flat: bool = False

    @cached_property
    def df(self) -> Shaped[Array, "npar"]:
        """Degrees of freedom of each parameter's t reference, (npar,), taken when they are first
        asked for; inf for z, NaN where there is no variance or no test."""
        size = len(self.matrix)
        if self.reference is None:
            found = np.full(size, np.inf)
        else:
            found = self.reference.df(np.eye(size)) if self.robust is None else self.robust.df
        return frozen(np.where(np.isnan(np.diagonal(self.matrix)), np.nan, found))

    @property
    def se(self) -> Shaped[Array, "npar"]:
        """Standard errors: 0 where constraints leave a parameter no freedom, NaN where the
        variance does not exist."""
        variances = np.diagonal(self.matrix)
        return np.sqrt(np.where(variances >= 0, variances, np.nan))

    def of_functions(
        self, gradients: Shaped[Array, "c npar"]
    ) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
        """Standard errors and degrees of freedom of functions of θ with these gradients
        (c, npar), by the delta method; NaN where one uses a parameter without a variance, or has
        no gradient, and 0 and infinite where it does not vary.

        Parameters
        ----------
        gradients : ndarray, (c, npar)
            ∂f/∂θᵀ at the estimates, a row for each function.

        Returns
        -------
        se, df : ndarray, (c,)

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> model = mlsem.example_model("article")
        >>> fit = mlsem.fit(model, data, cluster="id", se="CR2")
        >>> import numpy as np
        >>> difference = np.array([[1.0, -1.0, 0, 0, 0, 0]])  # the first parameter less the second
        >>> se, df = fit.covariance.of_functions(difference)
        >>> round(float(se[0]), 3), round(float(df[0]), 1)
        (0.098, 18.0)
        """
        lost = np.isnan(np.diagonal(self.matrix))
        matrix = np.where(lost | lost[:, None], 0.0, self.matrix)
        unknown = gradients[:, lost].any(axis=1) | np.isnan(gradients).any(axis=1)
        varies = ~unknown & ~is_constant(gradients, matrix)
        se, df = np.where(unknown, np.nan, 0.0), np.where(unknown, np.nan, np.inf)
        if varies.any():
            se[varies] = delta_se(gradients[varies], matrix)
            if self.reference is not None:
                df[varies] = self.reference.df(gradients[varies])
        return se, df


@quiet
def meat(scores: Shaped[Array, "... G n"]) -> Shaped[Array, "... n n"]:
    """Σ_j s_j s_jᵀ."""
    return transposed(scores) @ scores


def covariance(
    equations: EstimatingEquations, kind: StandardErrors, form: str, factor: float = 1.0
) -> Covariance:
    """I⁻¹, or of a sandwich factor · I⁻¹ (Σ s_j s_jᵀ) I⁻¹ (Huber, 1967; White, 1982; for
    clusters Liang & Zeger, 1986, eq. 8).

    All NaN where the information is not positive definite.
    """
    found = sandwich(equations, kind, factor)
    if found is None:
        return no_covariance(equations.params, kind, form)
    matrix, flat = found
    return Covariance(frozen(matrix), kind, form, flat=flat)


def sandwich(
    equations: EstimatingEquations, kind: StandardErrors, factor: float
) -> tuple[Shaped[Array, "... npar npar"], Any] | None:
    """The matrix of `covariance`, and whether the meat is flat (of many data sets of each); None
    (of many: NaN) where the information is not positive definite."""
    root = equations.information.root()
    if root is None:
        return None
    if not kind.sandwich:
        return root.sandwich(equations.basis), False
    assert equations.scores is not None
    meats = [factor * meat(scores @ root.of_term(k)) for k, scores in enumerate(equations.scores)]
    if not all(np.isfinite(each).all() for each in meats):
        raise np.linalg.LinAlgError("scores are too large")
    inner = equations.layout.summed(meats)
    return root.sandwich(equations.basis, inner), ~inner.raised(-FLAT).definite


def silenced(found: Covariance, robust: RobustContrasts | None) -> Covariance:
    """Without the variances that one cluster alone would give."""
    if robust is None:
        return found
    gone = robust.undetermined
    matrix = np.where(gone | gone[:, None], np.nan, found.matrix)
    return replace(found, matrix=frozen(matrix), robust=robust, effective=robust.effective)


def robust_covariance(
    equations: EstimatingEquations, kind: StandardErrors, form: str, *, z: bool = False
) -> Covariance:
    """H⁻¹ (Σ u_j u_jᵀ) H⁻¹ with adjusted scores u and Satterthwaite degrees of freedom of each
    parameter (infinite with `z`).

    NaN for parameters that a single cluster determines; all NaN where an information is not
    positive definite.
    """
    clusters = whitened(equations)
    if clusters is None:
        return no_covariance(equations.params, kind, form)
    matrix, found = adjusted_sandwich(clusters, kind)
    reference = None if z else ClusterReference(clusters, kind)
    forms = adjustment_forms(clusters, kind)
    return silenced(Covariance(frozen(matrix), kind, form, reference, forms=forms), found)


def adjusted_sandwich(
    clusters: WhiteClusters, kind: StandardErrors
) -> tuple[Shaped[Array, "... npar npar"], RobustContrasts]:
    """The matrix of `robust_covariance`, and what the clusters say of each parameter."""
    found = robust_contrasts(clusters, kind, clusters.influence)
    bread = clusters.bread
    return bread.sandwich(clusters.basis, bread.congruent(found.meat)), found


def adjustment_forms(clusters: WhiteClusters, kind: StandardErrors) -> tuple[str, ...]:
    """What is adjusted for each parameter: residuals of a linear mixed model, or scores."""
    mixed, how = clusters.working.mixed, kind.adjustment
    if how is None or not how.residuals or mixed is None:
        return ("scores",) * len(clusters.basis)
    others = clusters.influence[:, mixed.rows.fixed :]
    return tuple("scores" if row.any() else "residuals" for row in others)


def no_covariance(
    params: Shaped[Array, "npar"], kind: StandardErrors, form: str = ""
) -> Covariance:
    """All NaN: asked for none, or there is none."""
    empty = np.full((len(params), len(params)), np.nan)
    return Covariance(frozen(empty), kind, form)
