"""Parts of each cluster in the information, and cumulants of its scores, from dense matrices."""

from __future__ import annotations

import numpy as np
from differences import WEIGHTS


class DenseParts:
    """V_j, ∂V_j and ∂μ_j of every cluster of a `Dense`, by five-point differences."""

    def __init__(self, dense, params, step=1e-3):
        self.inverses = [np.linalg.inv(cov) for _, _, cov in dense.clusters(params)]
        self.means = [[] for _ in self.inverses]
        self.covs = [[] for _ in self.inverses]
        for direction in np.eye(len(params)):
            moved = [(w / step, dense.clusters(params + k * step * direction)) for k, w in WEIGHTS]
            for j in range(len(self.inverses)):
                self.means[j].append(sum(w * clusters[j][1] for w, clusters in moved))
                self.covs[j].append(sum(w * clusters[j][2] for w, clusters in moved))

    def information(self):
        """½ tr V⁻¹V_a V⁻¹V_b + μ_aᵀ V⁻¹ μ_b, (J, n, n)."""
        found = []
        for inverse, means, covs in zip(self.inverses, self.means, self.covs, strict=True):
            sides = inverse @ np.array(covs)
            means = np.array(means)
            found.append(0.5 * np.einsum("aij,bji->ab", sides, sides) + means @ inverse @ means.T)
        return np.array(found)

    def cumulants(self, directions):
        """3 tr (V⁻¹V_a)⁴ + 12 μ_aᵀ V⁻¹V_aV⁻¹V_aV⁻¹ μ_a along directions (J, c, n), (J, c)."""
        found = []
        for j, inverse in enumerate(self.inverses):
            row = []
            for direction in directions[j]:
                cov = np.einsum("a,aij->ij", direction, np.array(self.covs[j]))
                mean = direction @ np.array(self.means[j])
                side = inverse @ cov
                row.append(
                    3 * np.trace(side @ side @ side @ side)
                    + 12 * mean @ side @ side @ inverse @ mean
                )
            found.append(row)
        return np.array(found)


def close(found, wanted, tol):
    """To `tol` of the largest entry."""
    scale = max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tol * scale)
