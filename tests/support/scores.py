"""Models with latent variables, and their scores as dense conditional expectations."""

from __future__ import annotations

import numpy as np
from dense import Dense
from small import FACTORS

PARTS = "level: 1\n f =~ y1 + y2 + y3\n f ~ x1\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ x1 + w1"
MODELS = {
    "factors": FACTORS,
    "an outcome of level 2": FACTORS + "\n z ~ g",
    "within-only outcomes": "level: 1\n f =~ y1 + y2 + y3\n f ~ x1\nlevel: 2\n g =~ y1 + y2 + z",
    "a latent path": "level: 1\n f =~ y1 + y2 + y3\n v ~ f + x1\n"
    "level: 2\n g =~ y1 + y2 + y3\n v ~ g",
    "a random slope": "level: 1\n f =~ y1 + y2 + y3\n y1 ~ rv('s')*x1\nlevel: 2\n"
    " g =~ y1 + y2 + y3\n s ~ w1\n s ~~ g",
    "a product across levels": FACTORS.replace("f ~ x1", "f ~ x1 + w1:x1"),
}  # fmt: skip


class DenseScores(Dense):
    """Adds the latent variables of both levels to the draw that a cluster is."""

    def _all(self, number, params, covariates):
        names, directed, symmetric, intercepts, exogenous = self.matrices(number, params)
        total = np.linalg.inv(np.eye(len(names)) - directed)
        mean = total @ (intercepts + exogenous @ covariates)
        return list(names), mean, total @ symmetric @ total.T

    def posterior(self, params, j):
        """((names, mean, sd) of level 2, the same of each row) given the rows of cluster j."""
        values, covariates, level2, moves = self.data[j]
        _, mean, cov = self._cluster(
            self.data[j], self.level(1, params), self.level(2, params)
        )  # fmt: skip
        inverse = np.linalg.inv(cov)
        residual = values - mean
        names, centre, spread = self._all(2, params, level2)
        own = [names.index(name) for name in self._moving(2)]
        across = spread[:, own] @ moves.T
        found = [self._given(names, centre, spread, across, inverse, residual)]
        p = len(self._moving(1))
        for i, x in enumerate(covariates):
            names, centre, spread = self._all(1, params, x)
            own = [names.index(name) for name in self._moving(1)]
            across = np.zeros((len(names), len(values)))
            across[:, i * p : (i + 1) * p] = spread[:, own]
            found.append(self._given(names, centre, spread, across, inverse, residual))
        return found

    @staticmethod
    def _given(names, centre, spread, across, inverse, residual):
        mean = centre + across @ inverse @ residual
        variance = np.diagonal(spread - across @ inverse @ across.T)
        return names, mean, np.sqrt(np.maximum(variance, 0.0))


def check_dense(fit, data, first, second, dense=None):
    """Scores of level 1 and 2 of these rows are the dense posterior means and deviations."""
    dense = dense or DenseScores(fit.table, data, "id")
    for j, label in enumerate(dense.ids):
        level2, *level1 = dense.posterior(fit.estimates, j)
        for table, unit, (names, mean, sd) in [
            (second, label, level2),
            *zip([first] * len(level1), data.index[dense.rows_of[j]], level1, strict=True),
        ]:
            for name in table.columns[::2]:
                k = names.index(name)
                np.testing.assert_allclose(table.at[unit, name], mean[k], rtol=1e-9, atol=1e-9)
                np.testing.assert_allclose(
                    table.at[unit, f"{name}_se"], sd[k], rtol=1e-9, atol=1e-9
                )
