"""The likelihood once more, from the parameter table and the raw rows, as slowly as it reads.

Every cluster is one draw from a multivariate normal: the outcomes of its n rows stacked, then its
level-2 variables. Nothing here is shared with mlsem but the table of parameters.

    y_ij = S (I - B)⁻¹ (α + Γ x_ij + ζ_ij) + Z_ij u_j,    (u_j, z_j) = S (I - B)⁻¹ (α + Γ w_j + ζ_j)

Z_ij has 1 for a random intercept and the carrier's value for a random slope.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

LOG_2PI = np.log(2 * np.pi)


@dataclass(frozen=True)
class Level:
    """Implied moments of one level's modelled variables: Σ, and the mean as ν + Π x."""

    names: tuple[str, ...]
    covariates: tuple[str, ...]
    cov: np.ndarray
    intercepts: np.ndarray
    slopes: np.ndarray


class Dense:
    """A model of mlsem met with its raw data frame (centred already, if it is to be)."""

    def __init__(self, table, frame, cluster=None, saturated=None):
        """`saturated`: of each level names, means and covariances, which parts of covariates
        have."""
        self.table = table
        self.saturated = saturated
        columns = {}
        for name in table.observed:
            factors = name.split(":") if name not in frame.columns else [name]
            columns[name] = np.prod([frame[f].to_numpy(float) for f in factors], axis=0)
        if not table.meanstructure:
            columns = {name: values - values.mean() for name, values in columns.items()}
        self.columns = columns
        self.two_level = len(table.levels) == 2
        if cluster is None:
            self.ids, codes = np.arange(len(frame)), np.arange(len(frame))
        else:
            self.ids, codes = np.unique(frame[cluster].to_numpy(), return_inverse=True)
        self.rows_of = [np.flatnonzero(codes == j) for j in range(len(self.ids))]
        self.data = [self._read(rows) for rows in self.rows_of]
        self.parts = {
            number: self._parts(number)
            for number, level in enumerate(table.levels, start=1)
            if level.parts
        }

    def _read(self, rows):
        """(y stacked, then z; level-1 covariates; level-2 covariates; T), where the stacked vector
        moves with the level-2 one (u, z) by T."""
        within, n = self.table.levels[0], len(rows)
        values = self._values(within.modelled, rows).ravel()
        covariates = self._values(within.covariates, rows)
        if not self.two_level:
            return values, covariates, None, np.zeros((len(values), 0))
        between, names = self.table.levels[1], self._moving(2)
        p, slopes = len(within.modelled), {slope.name: slope for slope in self.table.slopes}
        spread = np.zeros((n * p, len(names)))
        tail = np.zeros((0, len(names)))
        for k, name in enumerate(names):
            if name in slopes:
                outcome = within.modelled.index(slopes[name].outcome)
                spread[outcome::p, k] = self.columns[slopes[name].carrier][rows]
            elif name in within.modelled:
                spread[within.modelled.index(name) :: p, k] = 1.0
            else:
                values = np.append(values, self.columns[name][rows[0]])
                tail = np.vstack((tail, np.eye(len(names))[k]))
        level2 = self._values(between.covariates, rows[:1])[0]
        return values, covariates, level2, np.vstack((spread, tail))

    def _moving(self, number):
        """The modelled variables of a level, the random slopes among them at level 2."""
        slopes = tuple(slope.name for slope in self.table.slopes) if number == 2 else ()
        return self.table.levels[number - 1].modelled + slopes

    def matrices(self, number, params):
        """Names of all variables of a level, latent ones first, B, Ψ, α and Γ."""
        variables = self.table.levels[number - 1]
        names = variables.latent + variables.modelled
        place = {name: k for k, name in enumerate(names)}
        column = {name: k for k, name in enumerate(variables.covariates)}
        directed = np.zeros((len(names), len(names)))
        symmetric = np.zeros((len(names), len(names)))
        intercepts = np.zeros(len(names))
        exogenous = np.zeros((len(names), len(column)))
        for row in self.table.rows:
            if row.level != number or row.exo:
                continue
            value = params[row.free] if row.free >= 0 else row.fixed
            if row.op == "=~":
                directed[place[row.rhs], place[row.lhs]] = value
            elif row.op == "~" and row.rhs in column:
                exogenous[place[row.lhs], column[row.rhs]] = value
            elif row.op == "~":
                directed[place[row.lhs], place[row.rhs]] = value
            elif row.op == "~~":
                symmetric[place[row.lhs], place[row.rhs]] = value
                symmetric[place[row.rhs], place[row.lhs]] = value
            elif row.op == "~1":
                intercepts[place[row.lhs]] = value
            else:
                raise AssertionError(row)
        if variables.parts:
            parts, given, effects, means, rest = self.parts[number]
            at = [place[name] for name in parts]
            symmetric[np.ix_(at, at)] = rest
            exogenous[np.ix_(at, [column[name] for name in given])] = effects
            intercepts[at] = means
        return names, directed, symmetric, intercepts, exogenous

    def _parts(self, number):
        """Names of the covariates' parts at a level and of its covariates; effects of these on
        the parts, and the parts' means and covariances given them: no parameter is in there."""
        variables = self.table.levels[number - 1]
        own, mean, cov = self.saturated[number - 1]
        parts, given = list(variables.parts), list(variables.covariates)
        spread = pd.DataFrame(cov, own, own)
        means = pd.Series(mean, own)
        effects = (
            spread.loc[parts, given].to_numpy() @ np.linalg.inv(spread.loc[given, given])
            if given
            else np.zeros((len(parts), 0))
        )
        rest = spread.loc[parts, parts] - effects @ spread.loc[given, parts].to_numpy()
        return parts, given, effects, means[parts] - effects @ means[given], rest

    def level(self, number, params):
        names, directed, symmetric, intercepts, exogenous = self.matrices(number, params)
        place = {name: k for k, name in enumerate(names)}
        total = np.linalg.inv(np.eye(len(names)) - directed)
        moving = self._moving(number)
        keep = [place[name] for name in moving]
        return Level(
            moving,
            self.table.levels[number - 1].covariates,
            (total @ symmetric @ total.T)[np.ix_(keep, keep)],
            (total @ intercepts)[keep],
            (total @ exogenous)[keep],
        )

    def clusters(self, params):
        """(values, mean, covariance) of every cluster."""
        within = self.level(1, params)
        between = self.level(2, params) if self.two_level else None
        return [self._cluster(each, within, between) for each in self.data]

    def _cluster(self, data, within, between):
        values, covariates, level2, moves = data
        n, p = len(covariates), len(within.names)
        mean, cov = np.zeros(len(values)), np.zeros((len(values), len(values)))
        mean[: n * p] = (within.intercepts + covariates @ within.slopes.T).ravel()
        units = np.arange(n * p).reshape(n, p)
        cov[units[:, :, None], units[:, None, :]] = within.cov
        if between is not None:
            mean += moves @ (between.intercepts + between.slopes @ level2)
            cov += moves @ between.cov @ moves.T
        return values, mean, cov

    def _values(self, names, rows):
        return np.array([self.columns[name][rows] for name in names]).reshape(-1, len(rows)).T

    def logliks(self, params):
        """ℓ_j of every cluster in the order of the sorted ids, (J,)."""
        return np.array([gaussian(*cluster) for cluster in self.clusters(params)])

    def loglik(self, params):
        return float(np.sum(self.logliks(params)))

    def inside(self, params, margin=0.0):
        """Whether every implied covariance matrix has eigenvalues above `margin`."""
        parts = [self.level(1, params).cov] + [cov for _, _, cov in self.clusters(params)]
        return all(np.linalg.eigvalsh(part)[0] > margin for part in parts if part.size)

    def derivatives(self, params, step=1e-3):
        """(V_j, all ∂μ_j (npar, m), all ∂V_j (npar, m, m)) of every cluster, as five-point
        differences."""
        size = len(params)
        weights = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
        here = self.clusters(params)
        changes = []
        for a in range(size):
            moved = [
                (w / step, self.clusters(params + k * step * np.eye(size)[a])) for k, w in weights
            ]
            changes.append(
                [
                    tuple(sum(w * clusters[j][part] for w, clusters in moved) for part in (1, 2))
                    for j in range(len(here))
                ]
            )
        return [
            (cov, np.array([c[j][0] for c in changes]), np.array([c[j][1] for c in changes]))
            for j, (_, _, cov) in enumerate(here)
        ]

    def informations(self, params):
        """B_j of every cluster, ½ tr V⁻¹V_a V⁻¹V_b + μ_aᵀ V⁻¹ μ_b, (J, npar, npar)."""
        return np.array([information(*each) for each in self.derivatives(params)])

    def expected(self, params):
        """Σ_j B_j."""
        return self.informations(params).sum(axis=0)


def gaussian(values, mean, cov):
    """log N(values; mean, cov)."""
    lower = np.linalg.cholesky(cov)
    scaled = np.linalg.solve(lower, values - mean)
    return -0.5 * (len(mean) * LOG_2PI + scaled @ scaled) - np.log(np.diagonal(lower)).sum()


def information(cov, means, covs):
    """½ tr V⁻¹V_a V⁻¹V_b + μ_aᵀ V⁻¹ μ_b of one cluster."""
    inverse = np.linalg.inv(cov)
    sides = inverse @ covs
    return 0.5 * np.einsum("aij,bji->ab", sides, sides) + means @ inverse @ means.T


def fourth_cumulant(cov, means, covs, direction):
    """κ₄ of aᵀs of one cluster: 3 tr (V⁻¹V_a)⁴ + 12 μ_aᵀ V⁻¹V_a V⁻¹V_a V⁻¹ μ_a."""
    inverse = np.linalg.inv(cov)
    mean, side = direction @ means, inverse @ np.tensordot(direction, covs, 1)
    fourth = np.linalg.matrix_power(side, 4)
    return 3.0 * np.trace(fourth) + 12.0 * mean @ side @ side @ inverse @ mean
