"""970 small designs near what double precision can tell: few rows, singletons, scales, shifts.

What converged lies inside the parameter space and is a maximum, by a dense computation that knows
the data without their shifts; what did not converge says no number that is none. The default run
takes three of every two hundred; `pytest -m slow tests/estimation/test_floor.py` takes all.
"""

import json
import warnings
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dense import LOG_2PI, Dense
from kinds import with_estimates

import mlsem
from mlsem.cli.as_json import fit_as_json
from mlsem.estimation.remarks import complaint

DESIGNS, EVERY = 970, 40
EPS = float(np.finfo(float).eps)
LAST = (283, 330, 384, 495)  # where rounding once gave +5e20
NEAR = 1.0  # by how much ℓ may be wrong at a covariance that is singular but for a few digits
ASKED = Namespace(ci="wald", data=str(Path(__file__).parents[2] / "examples" / "article.csv"))
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
        return "\n ".join(f"{b} ~ {a}" for a, b in pairwise(names))
    others = (names[k + 1 :] if kind == "saturated" else [] for k in range(len(names)))
    lines = (f"{a} ~~ {' + '.join([a, *rest])}" for a, rest in zip(names, others, strict=True))
    return "\n ".join(lines)


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
        try:
            lower = np.linalg.cholesky(v)
        except np.linalg.LinAlgError:  # no maximum, whether singular or outside
            return Found(0.0, np.inf, lowest, np.inf)
        condition = max(condition, values[-1] / values[0]) if values[0] > 0 else np.inf
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
        loglik -= count * np.log(group.units(len(ys))).sum()
    return Found(float(loglik), 10 * EPS * condition * rows, lowest, _length(gradient, information))


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

    def units(self, q):
        """The unit of each element of y."""
        return np.r_[np.tile(self.scale[:q], self.n), self.scale[q:]]

    def spread(self, within, between, ys, above, names):
        full = np.zeros((len(names), len(names)))
        at = [names.index(name) for name in above]
        full[np.ix_(at, at)] = between
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


# --- the tests ------------------------------------------------------------------------------------


def fitted(seed):
    """The design and its fit, or our error; any other warning is an error."""
    made = design(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        try:
            return made, mlsem.fit(made.text, made.data, cluster="id", se="none", **made.options)
        except mlsem.MlsemError as error:
            return made, error


def look(seed):
    """What became of a design, and what is wrong with that."""
    made, fit = fitted(seed)
    if isinstance(fit, mlsem.MlsemError):
        return type(fit).__name__, ""
    status = fit._estimates.optimum.status
    if not fit.converged:
        assert np.isnan([fit.aic, fit.bic, *fit.glance()[["AIC", "BIC"]].to_numpy().ravel()]).all()
        assert "not available" in str(fit.summary())
    found, stopped = dense(fit, made.plain), fit._estimates.optimum.loglik
    if not found.lowest > -1:  # below what rounding makes of a singular matrix
        return status, f"{seed}: outside, {found}"
    if status not in ("converged", "max_iter", "stalled"):
        assert np.isnan(fit.loglik)
        # where a search ran off to, inverting Σ_W costs as many digits as its condition has
        high = stopped > found.loglik + NEAR + found.error * _within_condition(fit)
        return status, f"{seed}: {stopped!r} is impossible, {found}" if high else ""
    allowed = 1e-8 * (1 + abs(found.loglik)) + found.error
    if fit.loglik > found.loglik + allowed:  # at the last iterate the means may be others
        return status, f"{seed}: {fit.loglik!r} is too high, {found}"
    if fit.converged and not fit.loglik >= found.loglik - allowed:
        return status, f"{seed}: {fit.loglik!r} is too low, {found}"
    if fit.converged and not found.step <= LEFT:
        return status, f"{seed}: the gradient is not zero, {found}"
    return status, ""


def _within_condition(fit):
    """Of Σ_W in units of its variables."""
    sigma = fit._estimates.implied[0].sigma
    unit = 1.0 / np.sqrt(sigma.diagonal())
    return np.linalg.cond(sigma * np.outer(unit, unit))


def all_right(seeds):
    outcomes = [look(seed) for seed in seeds]
    assert [wrong for _, wrong in outcomes if wrong] == []
    return Counter(status for status, _ in outcomes)


@pytest.mark.parametrize("first", range(0, 2 * EVERY, EVERY))
def test_some_designs(first):
    """In two parts, side by side."""
    counts = all_right(range(first, DESIGNS, 10 * EVERY))
    assert counts["converged"] >= 1


@pytest.mark.slow
def test_points_that_rounding_lets_in():
    """Saturated within, one factor between, singletons: the log-likelihood once was 5e20 in a
    matrix of pivots that were rounding errors."""
    assert "converged" not in all_right(LAST)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_all_designs(part):
    """Most designs have no maximum; enough have one for the checks to mean something."""
    counts = all_right(range(part, DESIGNS, 10))
    assert counts["converged"] >= 30


# --- what a failed fit says -----------------------------------------------------------------------


def ended(status, where="", **options):
    """A fit whose search is said to have ended so."""
    data = mlsem.load_example("article")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        fit = mlsem.fit("level: 1\n y ~ x1\nlevel: 2\n y ~ w1", data, cluster="id", **options)
    return with_estimates(fit, optimum=fit._estimates.optimum.stopped(status, where))


@pytest.mark.parametrize("status", ["unbounded", "infinite", "infeasible"])
@pytest.mark.parametrize("options", [{}, {"estimator": "REML"}])
def test_no_numbers_where_there_is_no_maximum(status, options):
    fit = ended(status, "'y~~y'", **options)
    number = f"{fit._estimates.optimum.loglik:.3f}"
    assert np.isnan([fit.loglik, fit.aic, fit.bic]).all()
    assert fit.glance()[["logLik", "AIC", "BIC"]].isna().all(axis=None)
    for shown in (str(fit.summary()), fit.summary().to_html(), repr(fit)):
        assert number not in shown
        assert f"{2 * fit._estimates.optimum.loglik:.3f}".lstrip("-") not in shown
    summary = " ".join(str(fit.summary()).split())
    assert summary.count("not available") == 3 + bool(options)
    assert (
        " ".join(complaint(fit._estimates.problem, fit._estimates.optimum, fit.settings).split())
        in summary
    )
    assert f"no {'restricted ' * bool(options)}loglik, not converged" in repr(fit)
    content = json.loads(fit_as_json(fit, ASKED, 0.95, {}, ()))
    assert content["loglik"] is content["aic"] is content["bic"] is None
    assert content["converged"] is False


@pytest.mark.parametrize("status", ["max_iter", "stalled"])
def test_the_last_iterate_is_named(status):
    fit = ended(status)
    assert fit.loglik == fit._estimates.optimum.loglik
    assert np.isnan([fit.aic, fit.bic]).all()
    lines = str(fit.summary()).splitlines()
    (shown,) = (line for line in lines if f"{fit.loglik:.3f}" in line)
    assert "Loglikelihood at the last iterate" in shown
    assert sum("not available" in line for line in lines) == 2
    assert f"loglik {fit.loglik:.3f} at the last iterate, not converged" in repr(fit)
    content = json.loads(fit_as_json(fit, ASKED, 0.95, {}, ()))
    assert content["loglik"] == fit.loglik
    assert content["aic"] is content["bic"] is None


def test_a_search_that_is_cut_short_says_so():
    with pytest.warns(mlsem.ConvergenceWarning, match="max_iter=1"):
        fit = mlsem.fit(
            "level: 1\n y ~ x1\nlevel: 2\n y ~ w1",
            mlsem.load_example("article"),
            cluster="id",
            max_iter=1,
        )
    assert any("max_iter=1" in note and "not estimates" in note for note in fit.notes)
