"""970 small designs near what double precision can tell: few rows, singletons, scales, shifts.

What converged lies inside the parameter space and is a maximum, by a dense computation that knows
the data without their shifts; what did not converge says no number that is none. The default run
takes every tenth design; `pytest -m slow tests/numeric/test_floor.py` takes all.
"""

import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from dense import LOG_2PI, Dense

import mlsem

DESIGNS, SOME = 970, 97
EPS = float(np.finfo(float).eps)
LEFT = 1e-4  # step to the maximum, in standard errors


@dataclass(frozen=True)
class Design:
    """A model without covariates; its data less their shifts, and with them."""

    text: str
    plain: pd.DataFrame
    data: pd.DataFrame
    options: dict


def design(seed):
    rng = np.random.default_rng([seed, 10])
    sizes = _sizes(rng)
    ids = np.repeat(np.arange(len(sizes)), sizes)
    names = [f"y{k + 1}" for k in range(int(rng.integers(1, 5)))]
    z = ["z"] if rng.random() < 0.25 else []
    columns = _columns(rng, ids, names, z)
    scales = 10.0 ** (rng.choice([0, 3, 6]) * rng.uniform(-1, 1, len(columns)))
    shifts = np.full(len(columns), float(rng.choice([0, 0, 1e4, 1e8, 1e12])))
    if rng.random() < 0.3:
        shifts[rng.random(len(columns)) < 0.5] = 0.0
    data, plain = {"id": ids}, {"id": ids}
    for (name, values), scale, shift in zip(columns.items(), scales, shifts, strict=True):
        data[name] = scale * (values + shift)
        plain[name] = data[name] - scale * shift
    within, between = _structures(rng, len(names))
    text = f"level: 1\n {_level(within, names)}\nlevel: 2\n {_level(between, names)}"
    text += "".join(f"\n z ~~ z + {name}" for name in names[:1] if z and between != "path")
    text += "\n z ~~ z" if z and between == "path" else ""
    options = {"fixed_x": False, "std_lv": bool(rng.random() < 0.3)}
    return Design(text, pd.DataFrame(plain), pd.DataFrame(data), options)


def _sizes(rng):
    clusters = int(rng.integers(6, 31))
    kind = rng.choice(["singles", "pairs", "uneven", "few rows", "even"])
    if kind == "singles":
        return np.where(rng.random(clusters) < 0.85, 1, 2 + rng.integers(0, 3, clusters))
    if kind == "pairs":
        return rng.integers(1, 3, clusters)
    if kind == "uneven":
        return np.r_[rng.integers(1, 4, clusters), int(rng.integers(10, 25))]
    if kind == "few rows":
        return np.r_[np.ones(int(rng.integers(4, 18)), int), [2, 3]]
    return np.full(clusters, int(rng.integers(2, 6)))


def _columns(rng, ids, names, z):
    """Ratios of the variances of both levels from 1e-8 to 1e8, some variables nearly collinear."""
    clusters, ratio = ids[-1] + 1, 10.0 ** (rng.choice([0, 1, 4]) * rng.uniform(-1, 1, len(names)))
    common, above = rng.normal(size=len(ids)), rng.normal(size=clusters)
    found = {}
    for name, r in zip(names, ratio, strict=True):
        own = 0.6 * common + rng.normal(size=len(ids))
        found[name] = own + r * (0.6 * above + 0.7 * rng.normal(size=clusters))[ids]
    if len(names) > 1 and rng.random() < 0.25:
        near = 10.0 ** rng.uniform(-6, -2)
        found[names[-1]] = found[names[0]] + near * rng.normal(size=len(ids))
    if z:
        found["z"] = (above + rng.normal(size=clusters))[ids]
    return found


def _structures(rng, count):
    kinds = ["saturated", "variances"] + ["path"] * (count > 1) + ["factor"] * (count > 2)
    if count > 2 and rng.random() < 0.4:
        return "saturated", "factor"
    return str(rng.choice(kinds)), str(rng.choice(kinds))


def _level(kind, names):
    if kind == "factor":
        return "f =~ " + " + ".join(names)
    if kind == "path":
        return "\n ".join(f"{b} ~ {a}" for a, b in zip(names, names[1:], strict=False))
    others = (names[k + 1 :] if kind == "saturated" else [] for k in range(len(names)))
    return "\n ".join(f"{a} ~~ {' + '.join([a, *rest])}" for a, rest in zip(names, others))


# --- the dense computation ------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """ℓ with the best means, its error by rounding, the smallest eigenvalue of the clusters'
    covariances scaled to a unit diagonal in units of rounding, and the step that is left."""

    loglik: float
    error: float
    lowest: float
    step: float


def dense(fit, plain):
    """The clusters of one size share their covariance V_n = I ⊗ Σ_W + 11ᵀ ⊗ Σ_B (and z's)."""
    model = Dense(fit.table, plain, "id")
    params = fit.estimates
    (within, ys), (between, above) = (_covariance(model, k, params) for k in (1, 2))
    names = [*ys, *(name for name in above if name not in ys)]
    scale = np.array([float(plain[name].std()) for name in names])
    scale = np.where(scale > 0, scale, 1.0)
    groups = [_group(plain, names, len(ys), scale, n) for n in _counts(plain)]
    changes = _changes(model, params)
    lowest, gls, condition = np.inf, 0.0, 1.0
    parts = []
    for group in groups:
        v = group.spread(within, between, ys, above, names)
        values = np.linalg.eigvalsh(v / np.sqrt(np.outer(v.diagonal(), v.diagonal())))
        lowest = min(lowest, values[0] / (EPS * len(v)))
        if not values[0] > 0:
            return Found(np.nan, np.nan, lowest, np.nan)
        condition = max(condition, values[-1] / values[0])
        lower = np.linalg.cholesky(v)
        x, y = np.linalg.solve(lower, group.x), np.linalg.solve(lower, group.y.T)
        gls = gls + np.hstack((len(group.y) * x.T @ x, x.T @ y.sum(axis=1, keepdims=True)))
        parts.append((group, lower, x, y))
    mean = np.linalg.solve(gls[:, :-1], gls[:, -1])
    loglik, gradient, information, rows = 0.0, 0.0, 0.0, 0
    for group, lower, x, y in parts:
        left = y - (x @ mean)[:, None]
        count = left.shape[1]
        loglik -= 0.5 * (left.size * LOG_2PI + np.sum(left**2))
        loglik -= count * np.log(lower.diagonal()).sum()
        half = [group.spread(w, b, ys, above, names) for w, b in changes]
        half = [np.linalg.solve(lower, np.linalg.solve(lower, each).T) for each in half]
        flat = np.array([each.ravel() for each in half])
        gradient = gradient + 0.5 * flat @ (left @ left.T - count * np.eye(len(left))).ravel()
        information = information + 0.5 * count * flat @ flat.T
        rows += left.size
    return Found(loglik, 10 * EPS * condition * rows, lowest, _length(gradient, information))


def _covariance(model, number, params):
    level = model.level(number, params)
    return level.cov, list(level.names)


def _changes(model, params):
    """∂(Σ_W, Σ_B)/∂θ by central differences, of parameters of covariances."""
    found = []
    for k, value in enumerate(params):
        step = np.zeros(len(params))
        step[k] = 1e-5 * (abs(value) or 1.0)
        pair = [
            (model.level(k, params + step).cov - model.level(k, params - step).cov)
            / (2 * step.sum())
            for k in (1, 2)
        ]
        if pair[0].any() or pair[1].any():
            found.append(pair)
    return found


@dataclass(frozen=True)
class Group:
    """The clusters of n rows, in units of the variables: y (J, m), x (m, variables)."""

    n: int
    y: np.ndarray
    x: np.ndarray
    scale: np.ndarray

    def spread(self, within, between, ys, above, names):
        full = np.zeros((len(names), len(names)))
        at = [names.index(name) for name in above]
        full[np.ix_(at, at)] = between
        x = self.x * self.scale  # undo the unit of the rows below
        v = x @ (full / np.outer(self.scale, self.scale)) @ x.T / 1.0 if False else None
        v = self.x @ (full / np.outer(self.scale, self.scale)) @ self.x.T
        q, units = len(ys), self.scale[: len(ys)]
        v[: self.n * q, : self.n * q] += np.kron(np.eye(self.n), within / np.outer(units, units))
        return v


def _counts(plain):
    return sorted(set(plain.groupby("id").size()))


def _group(plain, names, q, scale, n):
    sizes = plain.groupby("id")["id"].transform("size")
    rows = plain[sizes == n]
    values = rows[names].to_numpy() / scale
    values = values.reshape(-1, n, len(names))
    y = np.hstack((values[:, :, :q].reshape(len(values), -1), values[:, 0, q:]))
    unit = np.eye(len(names))
    return Group(n, y, np.vstack((np.tile(unit[:q], (n, 1)), unit[q:])), scale)


def _length(gradient, information):
    """√(gᵀ I⁻¹ g)."""
    if not np.size(gradient):
        return 0.0
    unit = 1.0 / np.sqrt(information.diagonal())
    values, vectors = np.linalg.eigh(information * np.outer(unit, unit))
    kept = values > 1e-9
    along = vectors[:, kept].T @ (unit * gradient)
    return float(np.sqrt(np.sum(along**2 / values[kept])))
