"""The likelihood of three levels once more, from a pattern and the raw rows, one dense matrix for
each unit of level 3.

All that is observed of a unit is one vector: the outcomes of its rows, then the level-2 variables
of its clusters, then its own. Rows follow clusters, clusters the unit, by zeros and ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from dense import gaussian


@dataclass(frozen=True, eq=False)
class DenseNested:
    """A pattern of three levels and `frame`, whose columns `stored` are h without the constant."""

    pattern: object
    frame: object
    stored: tuple[str, ...]
    cluster: str = "class"
    unit: str = "school"

    @cached_property
    def data(self):
        """Of each unit, in the order of labels: h of its rows, the cluster of each, h of these."""
        return [self._read(rows) for _, rows in self.frame.groupby(self.unit)]

    def _read(self, rows):
        values = rows[list(self.stored)].to_numpy(dtype=float)
        h = np.concatenate((np.ones((len(values), 1)), values), axis=1)
        codes = rows.groupby(self.cluster).ngroup().to_numpy()
        return h, codes, [h[codes == j].mean(axis=0) for j in range(codes.max() + 1)]

    def units(self, params):
        """(values, mean, covariance) of every unit."""
        levels = [level.moments(np.asarray(params, dtype=float)) for level in self.pattern.levels]
        return [self._unit(*unit, levels) for unit in self.data]

    def _unit(self, h, codes, means, levels):
        pattern, (within, middle, top) = self.pattern, levels
        first, second, third = pattern.levels
        q, raised, t = pattern.split, pattern.raised, len(pattern.raised)
        p, m = len(within.sigma), len(middle.sigma)
        n, c = len(h), len(means)
        # what the level-2 rows of cluster j are in the vector of all of them, and of the unit's
        to_level2 = np.zeros((n * p + c * (m - q), c * m))
        for i, j in enumerate(codes):
            to_level2[i * p : i * p + q, j * m : j * m + q] = np.eye(q)
        for j in range(c):
            at = n * p + j * (m - q)
            to_level2[at : at + m - q, j * m + q : (j + 1) * m] = np.eye(m - q)
        to_level3 = np.zeros((c * m, len(top.sigma)))
        for j in range(c):
            to_level3[j * m + raised, np.arange(t)] = 1.0
        mean3 = top.mean @ h[0]
        mean2 = np.concatenate([middle.mean @ row for row in means]) + to_level3 @ mean3
        cov2 = np.kron(np.eye(c), middle.sigma) + to_level3 @ top.sigma @ to_level3.T
        lower = np.zeros((n * p + c * (m - q), n * p + c * (m - q)))
        lower[: n * p, : n * p] = np.kron(np.eye(n), within.sigma)
        cov = to_level2 @ cov2 @ to_level2.T + lower
        mean = to_level2 @ mean2
        mean[: n * p] += (h @ within.mean.T).ravel()
        across = (to_level2 @ to_level3 @ top.sigma)[:, t:]
        values = [*(h @ first.responses.T).ravel()]
        for row in means:
            values.extend((second.responses @ row)[q:])
        values.extend((third.responses @ h[0])[t:])
        return (
            np.array(values),
            np.concatenate((mean, mean3[t:])),
            np.block([[cov, across], [across.T, top.sigma[t:, t:]]]),
        )

    def logliks(self, params):
        return np.array([gaussian(*unit) for unit in self.units(params)])

    def loglik(self, params):
        return float(self.logliks(params).sum())

    def inside(self, params):
        return all(np.linalg.eigvalsh(cov)[0] > 0 for _, _, cov in self.units(params))

    def derivatives(self, params, basis, step=1e-3):
        """(V_k, ∂μ_k, ∂V_k) of every unit along the columns of a basis, five-point differences."""
        weights = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
        here = self.units(params)
        moved = [
            [(w / step, self.units(params + k * step * direction)) for k, w in weights]
            for direction in basis.T
        ]
        return [
            (
                here[k][2],
                np.array([sum(w * units[k][1] for w, units in each) for each in moved]),
                np.array([sum(w * units[k][2] for w, units in each) for each in moved]),
            )
            for k in range(len(here))
        ]
