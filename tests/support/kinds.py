"""Every kind of model that is fitted, on small data made for it; points in its parameter space."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from dense import Dense

import mlsem
from mlsem.core.optimise.optimum import Maximum, Optimum, RestrictedMaximum
from mlsem.model.pattern import level_names


@dataclass(frozen=True)
class Kind:
    """A model text with how it is called. `center` is applied by mlsem, and here by hand."""

    text: str
    cluster: str | None = "id"
    fun: str = "sem"
    options: dict[str, Any] = field(default_factory=dict)
    center: dict[str, str] | None = None


def single(text: str, **keywords: Any) -> Kind:
    return Kind(text, cluster=None, **keywords)


KINDS = {
    "observed": Kind("level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1"),
    "variances only": Kind("level: 1\n y1 ~~ y1\nlevel: 2\n y1 ~~ y1"),
    "several observed": Kind("level: 1\n y1 + y2 ~ x1\nlevel: 2\n y1 ~ w1 + w2\n y2 ~ w1"),
    "saturated": Kind("level: 1\n y1 ~~ y2 + y3\n y2 ~~ y3\nlevel: 2\n y1 ~~ y2 + y3\n y2 ~~ y3"),
    "latent at both levels": Kind(
        "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1"
    ),
    "latent within": Kind(
        "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n y1 ~~ y1\n y2 ~~ y2\n y3 ~~ y3\n y1 ~~ y2"
    ),
    "latent between": Kind("level: 1\n y1 ~~ y2 + y3\n y2 ~ y3\nlevel: 2\n fb =~ y1 + y2 + y3"),
    "second order": Kind(
        "level: 1\n f =~ y1 + y2\n g =~ y3 + y4\n h =~ 1*f + 1*g\n h ~ x1\n"
        "level: 2\n fb =~ y1 + y2 + y3 + y4"
    ),
    "free factor variances": Kind(
        "level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n f =~ y1 + y2 + y3", options={"std_lv": True}
    ),
    "labels across levels": Kind(
        "level: 1\n f =~ y1 + a*y2 + b*y3\n f ~~ v*f\nlevel: 2\n f =~ y1 + a*y2 + b*y3\n f ~~ v*f\n"
        "y1 ~~ 0*y1"
    ),
    "level-2 outcome": Kind("level: 1\n y1 ~ x1\nlevel: 2\n z1 ~ y1 + w1\n y1 ~ w1"),
    "level-2 outcomes only": Kind(
        "level: 1\n y1 ~ x1\nlevel: 2\n z1 ~ w1\n z2 ~ z1 + w2\n y1 ~~ z2"
    ),
    "level-2 outcome of a latent predictor": Kind(
        "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3\n z1 ~ fb + w1\n z2 ~~ fb"
    ),
    "level-2 indicators": Kind("level: 1\n y1 ~ x1\nlevel: 2\n f =~ z1 + z2 + z3\n y1 ~ f + w1"),
    "indicators of both levels": Kind(
        "level: 1\n fw =~ y1 + y2 + v1\nlevel: 2\n fb =~ y1 + y2 + z1\n z2 ~ fb"
    ),
    "split covariate": Kind("level: 1\n y1 ~ y2 + x1\nlevel: 2\n y1 ~ y2 + w1"),
    "1-1-1": Kind("level: 1\n y2 ~ y1\n y3 ~ y2 + y1\nlevel: 2\n y2 ~ y1 + w1\n y3 ~ y2 + y1"),
    "modelled 1-1-1": Kind(
        "level: 1\n y2 ~ y1 + x1\n y3 ~ y2 + y1\nlevel: 2\n y2 ~ y1 + w1\n y3 ~ y2 + y1",
        options={"fixed_x": False},
    ),
    "latent on a split covariate": Kind(
        "level: 1\n fw =~ y1 + y2 + y3\n fw ~ y4 + x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ y4 + w1"
    ),
    "2-1-1": Kind("level: 1\n y2 ~ y1\nlevel: 2\n y1 ~ w1\n y2 ~ y1 + w1\n z1 ~ y2"),
    "2-2-1": Kind("level: 1\n y1 ~~ y1\nlevel: 2\n z1 ~ w1\n y1 ~ z1 + w1"),
    "modelled covariates": Kind(
        "level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1 + w2", options={"fixed_x": False}
    ),
    "products": Kind("level: 1\n y1 ~ x1 + w1:x1 + x1:x2\nlevel: 2\n y1 ~ w1 + w1:w2"),
    "three-way product": Kind("level: 1\n y1 ~ x1 + x2 + x1:x2:w1\nlevel: 2\n y1 ~ w1"),
    "centred products": Kind(
        "level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ w1", center={"x1": "cluster", "w1": "grand"}
    ),
    "product of a latent's covariates": Kind(
        "level: 1\n f =~ y1 + y2 + y3\n f ~ x1 + w1:x1\nlevel: 2\n f =~ y1 + y2 + y3\n f ~ w1"
    ),
    "within-only endogenous": Kind("level: 1\n v1 ~ x1\n y1 ~ v1 + x1\nlevel: 2\n y1 ~ w1"),
    "within-only feedback": Kind(
        "level: 1\n y1 ~ v1 + x1\n v1 ~ y1 + x2\nlevel: 2\n y1 ~ w1\n z1 ~ y1"
    ),
    "no within-only intercept": Kind(
        "level: 1\n v1 ~ 0 + x1\n y1 ~ v1\nlevel: 2\n y1 ~ 0 + w1\n z1 ~ 0.5*1 + y1"
    ),
    "single level": single("y1 ~ x1 + x2\n y2 ~ y1 + x1"),
    "single level with means": single("y1 ~ x1 + x2\n y2 ~ y1", options={"meanstructure": True}),
    "single level latent": single("f =~ y1 + y2 + y3\n f ~ x1\n y4 ~ f", fun="cfa"),
    "single level latent with means": single(
        "f =~ y1 + y2 + y3\n f ~ x1\n y4 ~ f", fun="cfa", options={"meanstructure": True}
    ),
    "single level robust": single("f =~ y1 + y2 + y3\n f ~ x1", options={"estimator": "MLR"}),
    "single level clusters": Kind("f =~ y1 + y2 + y3\n f ~ x1 + w1:x1"),
    "growth": single(
        "i =~ 1*y1 + 1*y2 + 1*y3\n s =~ 0*y1 + 1*y2 + 2*y3\n i + s ~ x1", fun="growth"
    ),
    "feedback": single("y1 ~ y2 + x1\n y2 ~ y1 + x2"),
}


def make_data(seed: int, sizes: tuple[int, ...]) -> pd.DataFrame:
    """Clusters of these sizes: x vary within, w and z between, v and y have whatever parts."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    rows, clusters = len(codes), len(sizes)
    frame = {"id": codes}
    level2 = rng.normal(size=clusters)
    common = rng.normal(size=rows)
    for k in (1, 2, 3, 4):
        frame[f"y{k}"] = (
            0.3 * k
            + (0.7 * level2 + rng.normal(size=clusters, scale=0.5))[codes]
            + (0.9 - 0.1 * k) * common
            + rng.normal(size=rows, scale=0.8)
        )
    for k in (1, 2):
        frame[f"x{k}"] = 0.5 * k + rng.normal(size=rows)
        frame[f"w{k}"] = (0.3 * level2 + rng.normal(size=clusters))[codes] - 0.4 * k
    for k in (1, 2, 3):
        frame[f"z{k}"] = (0.6 * level2 + rng.normal(size=clusters, scale=0.8))[codes] + k
    frame["v1"] = 0.4 * common + rng.normal(size=rows) - 1.0
    data = pd.DataFrame(frame)
    return data.iloc[rng.permutation(rows)].reset_index(drop=True)


UNBALANCED = (1, 4, 2, 1, 3, 6, 2, 5, 3, 1, 4, 2, 3, 5, 1, 4)


@dataclass(frozen=True)
class Posed:
    """A model met with data: mlsem's side and the dense one."""

    fit: mlsem.FitResult
    dense: Dense

    @property
    def objective(self):
        return self.fit._estimates.problem.objective

    def evaluate(self, params):
        return self.objective.evaluate(np.asarray(params, dtype=float))

    def loglik(self, params):
        return self.evaluate(params).loglik

    def derivatives(self, params, basis=None):
        basis = np.eye(len(params)) if basis is None else basis
        point = self.evaluate(params)
        return point, self.objective.derivatives(point, basis)

    def gradient(self, params):
        return self.derivatives(params)[1].gradient

    def observed(self, params, basis=None):
        point, at = self.derivatives(params, basis)
        return self.objective.observed(point, at)

    def expected(self, params, basis=None):
        point, at = self.derivatives(params, basis)
        return self.objective.expected(point, at)

    def scores(self, params, basis=None):
        """By sorted cluster id, as `Dense.logliks`."""
        basis = np.eye(len(params)) if basis is None else basis
        optimum = replace(self.fit._estimates.optimum, point=self.evaluate(params))
        there = replace(self.fit._estimates, optimum=optimum)
        found = there.scores(there.along(basis))
        return found[np.argsort(self.fit._estimates.problem.moments.labels)]


def with_estimates(fit, **changes):
    """The fit with other parts of its estimates."""
    return replace(fit, _estimates=replace(fit._estimates, **changes))


def centred(frame: pd.DataFrame, center: dict[str, str] | None) -> pd.DataFrame:
    """By hand what `center` asks: a level-2 variable's grand mean is taken over clusters."""
    out = frame.copy()
    for name, how in (center or {}).items():
        groups = frame.groupby("id")[name]
        if how == "cluster":
            out[name] = frame[name] - groups.transform("mean")
        elif (groups.nunique() == 1).all():
            out[name] = frame[name] - groups.first().mean()
        else:
            out[name] = frame[name] - frame[name].mean()
    return out


def pose(kind: Kind, frame: pd.DataFrame) -> Posed:
    """The model without its estimates: nothing here waits for an optimum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = getattr(mlsem, kind.fun)(
            kind.text,
            frame,
            cluster=kind.cluster,
            center=kind.center,
            max_iter=1,
            **{"se": "none", **kind.options},
        )
    frame = centred(frame, kind.center)
    return Posed(fit, Dense(fit.table, frame, kind.cluster, saturated_by_level(fit)))


def saturated_by_level(fit: mlsem.FitResult):
    """Names, means and covariances of each level in the saturated model, where it was fitted."""
    return saturated_of(fit._estimates.problem)


def saturated_of(problem):
    """The same of the model of one group."""
    found = problem.saturated
    if found is None:
        return None
    return list(zip(level_names(problem.table), found.means, found.covariances, strict=True))


def fit_at(fit: mlsem.FitResult, params) -> mlsem.FitResult:
    """The fit as if these were its estimates: what `with_se` says of them needs no optimum."""
    problem = fit._estimates.problem
    point = problem.inner.evaluate(problem.coordinates.to_internal(np.asarray(params, float)))
    assert point is not None
    return with_estimates(fit, optimum=at_point(fit._estimates.optimum, point))


def at_point(optimum: Optimum, point, free=None) -> Optimum:
    """As if this were the maximum."""
    free = optimum.free if free is None else free
    if isinstance(optimum, RestrictedMaximum):
        return replace(optimum, point=point, free=free)
    return Maximum(point, free, optimum.n_iterations, optimum.distance)


def draw_params(table, rng: np.random.Generator, negative: bool = False) -> np.ndarray:
    """Values that a model may have; with `negative`, between variances on both sides of zero."""
    params = np.zeros(len(table.names))
    for row in table.rows:
        if row.free < 0:
            continue
        if row.op == "=~":
            params[row.free] = rng.uniform(0.5, 1.2)
        elif row.op == "~~" and row.lhs == row.rhs:
            near_zero = negative and row.level == 2 and row.lhs in table.split
            params[row.free] = rng.uniform(-0.15, 0.05) if near_zero else rng.uniform(0.5, 1.5)
        elif row.op == "~~":
            params[row.free] = rng.uniform(-0.15, 0.15)
        else:
            params[row.free] = rng.uniform(-0.6, 0.6)
    return params


def point_inside(posed: Posed, seed: int, negative: bool = False) -> np.ndarray:
    """The first draw inside the parameter space."""
    rng = np.random.default_rng(seed)
    for _ in range(200):
        params = draw_params(posed.fit.table, rng, negative)
        if posed.dense.inside(params, 0.1 if negative else 0.0):
            return params
    raise AssertionError("no point inside the parameter space")
