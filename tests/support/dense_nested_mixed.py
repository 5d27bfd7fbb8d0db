"""A linear mixed model of three levels with n × n matrices, as slowly as it reads.

    y = Xβ + Z u + W v + ε,    V = σ²I + Z (I ⊗ Ψ) Zᵀ + W (I ⊗ Ω) Wᵀ

with classes in schools; φ are the lower triangles of Ψ and of Ω, row by row, and σ².
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DenseNested:
    """Rows in any order; `lower` and `upper` (N, q) are the columns that effects have."""

    outcome: np.ndarray
    design: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    classes: np.ndarray
    schools: np.ndarray
    restricted: bool

    @property
    def cells(self):
        """(which, row, column) of each of φ but σ²."""
        sizes = {"lower": self.lower.shape[1], "upper": self.upper.shape[1]}
        pairs = {which: zip(*np.tril_indices(size), strict=True) for which, size in sizes.items()}
        return [(which, *pair) for which, own in pairs.items() for pair in own]

    def changes(self):
        """∂V/∂φ_k of each, (N, N)."""
        alike = {
            "lower": self.classes[:, None] == self.classes,
            "upper": self.schools[:, None] == self.schools,
        }
        found = []
        for which, a, b in self.cells:
            columns = getattr(self, which)
            pair = np.outer(columns[:, a], columns[:, b])
            found.append(alike[which] * (pair + pair.T if a != b else pair))
        return [*found, np.eye(len(self.outcome))]

    def covariance(self, phi):
        return sum(each * change for each, change in zip(phi, self.changes(), strict=True))

    def fixed(self, phi):
        """β̂ and (XᵀV⁻¹X)⁻¹."""
        weighted = np.linalg.solve(self.covariance(phi), self.design)
        bread = np.linalg.inv(self.design.T @ weighted)
        return bread @ weighted.T @ self.outcome, bread

    def residuals(self, phi):
        return self.outcome - self.design @ self.fixed(phi)[0]

    def loglik(self, phi):
        V, (_, bread), e = self.covariance(phi), self.fixed(phi), self.residuals(phi)
        N, p = self.design.shape
        deviance = N * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + e @ np.linalg.solve(V, e)
        if self.restricted:
            deviance -= np.linalg.slogdet(bread)[1] + p * np.log(2 * np.pi)
        return -0.5 * deviance

    def projector(self, phi):
        """What stands for V⁻¹ in the expected information: P of ℓ_R."""
        inverse = np.linalg.inv(self.covariance(phi))
        if not self.restricted:
            return inverse
        away = inverse @ self.design
        return inverse - away @ self.fixed(phi)[1] @ away.T

    def expected(self, phi):
        """½ tr P V_k P V_l."""
        moved = [self.projector(phi) @ each for each in self.changes()]
        return np.array([[0.5 * np.sum(a * b.T) for b in moved] for a in moved])
