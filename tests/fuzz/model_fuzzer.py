"""Random models of many families: what converged is a maximum, inside what the model demands.

At the estimates of a fit that says it converged, the log-likelihood is that of the dense
multivariate normal, the gradient is zero along the constraints, and these hold.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import null_space

import mlsem
from mlsem.model.expressions import compile_constraints
from tests.fuzz.guard import Findings

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from dense import Dense
from kinds import saturated_of

HELD = 1e-6  # by how much a constraint may be missed
ZERO = 1e-4  # step to the maximum that is left, in standard errors
Y = ("y1", "y2", "y3", "y4")
Text = tuple[str, dict[str, Any]]
FAMILIES: dict[str, Callable[[np.random.Generator], Text]] = {}


def family(function: Callable[[np.random.Generator], Text]) -> Callable[..., Text]:
    FAMILIES[function.__name__] = function
    return function


def _some(rng: np.random.Generator, names: tuple[str, ...], least: int = 1) -> list[str]:
    count = int(rng.integers(least, len(names) + 1))
    return [str(name) for name in rng.choice(names, count, replace=False)]


def _paths(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return " + ".join(_some(rng, names))


@family
def path(rng):
    return (
        f"level: 1\n y1 ~ {_paths(rng, ('x1', 'x2'))}\nlevel: 2\n y1 ~ {_paths(rng, ('w1', 'w2'))}",
        {},
    )


@family
def two_outcomes(rng):
    tail = "\n y1 ~~ y2" if rng.random() < 0.5 else ""
    return f"level: 1\n y1 + y2 ~ x1\n{tail}\nlevel: 2\n y1 + y2 ~ w1\n y1 ~~ y2", {}


@family
def split_covariate(rng):
    return f"level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ x1 + {_paths(rng, ('w1', 'w2'))}", {}


@family
def product(rng):
    return f"level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ {_paths(rng, ('w1', 'w2'))}", {}


@family
def mediation(rng):
    return "level: 1\n y2 ~ a*x1\n y1 ~ b*y2 + x1\nlevel: 2\n y2 ~ w1\n y1 ~ y2\nab := a*b", {}


@family
def mediation_from_above(rng):
    return "level: 1\n y1 ~ y2\nlevel: 2\n y2 ~ a*w1\n y1 ~ b*y2 + w1\nab := a*b", {}


@family
def factors(rng):
    names = " + ".join(_some(rng, Y, 3))
    return f"level: 1\n f =~ {names}\nlevel: 2\n g =~ {names}", {"std_lv": bool(rng.integers(2))}


@family
def factor_within(rng):
    names = _some(rng, Y, 3)
    pairs = [f"{a} ~~ {b}" for i, a in enumerate(names) for b in names[:i]]
    return f"level: 1\n f =~ {' + '.join(names)}\nlevel: 2\n " + "\n ".join(pairs), {}


@family
def factor_regression(rng):
    return "level: 1\n f =~ y1 + y2 + y3\n f ~ x1\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ w1", {}


@family
def random_slope(rng):
    tail = " y1 ~~ s\n" if rng.random() < 0.7 else ""
    text = f'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~ w1\n{tail}'
    return text + (" s ~ w1" if rng.random() < 0.5 else ""), {}


@family
def outcome_above(rng):
    return "level: 1\n y1 ~ x1\nlevel: 2\n w2 ~ y1 + w1", {}


@family
def one_level(rng):
    return f"y1 ~ {_paths(rng, ('x1', 'x2', 'w1'))}\ny2 ~ y1", {"cluster": None}


@family
def one_level_factor(rng):
    return f"f =~ {' + '.join(_some(rng, Y, 3))}\nf ~ x1", {"cluster": None}


@family
def growth(rng):
    return "i =~ 1*y1 + 1*y2 + 1*y3\ns =~ 0*y1 + 1*y2 + 2*y3\ni + s ~ x1", {
        "cluster": None,
        "meanstructure": True,
    }


@family
def equal_labels(rng):
    return "level: 1\n y1 ~ a*x1 + b*x2\n y2 ~ a*x1\nlevel: 2\n y1 ~ w1\n y2 ~ w1\na + b == 0.5", {}


@family
def nonlinear_equality(rng):
    return "level: 1\n y1 ~ a*x1 + b*x2\n y2 ~ c*x1\nlevel: 2\n y1 ~ w1\n y2 ~ w1\na*b == 0.1*c", {}


@family
def inequality(rng):
    return "level: 1\n y1 ~ a*x1 + b*x2\nlevel: 2\n y1 ~ c*w1\na > b\nb > c + 0.1", {}


@family
def bounded(rng):
    text, options = factors(rng)
    return text, options | {"bounds": "pos.var"}


@family
def intercepts_only(rng):
    names = _some(rng, Y)
    return f"level: 1\n {_covary(names)}\nlevel: 2\n {_covary(names)}", {}


@family
def equal_loadings(rng):
    names = _some(rng, Y, 3)
    terms = " + ".join(name if not k else f"l{k}*{name}" for k, name in enumerate(names))
    return f"level: 1\n f =~ {terms}\nlevel: 2\n g =~ {terms}", {"std_lv": bool(rng.integers(2))}


@family
def factor_on_factor(rng):
    own = "f =~ y1 + y2\n g =~ y3 + y4\n g ~ f"
    above = "h =~ y1 + y2 + y3 + y4\n" if rng.random() < 0.5 else _covary(list(Y))
    return f"level: 1\n {own} + x1\nlevel: 2\n {above}", {}


@family
def fixed_values(rng):
    share = round(float(rng.uniform(0.2, 0.6)), 2)
    return (
        f"level: 1\n f =~ 1*y1 + {2 * share:g}*y2 + y3\n y1 ~~ 1*y1\n"
        f"level: 2\n y1 ~ {share:g}*w1\n y2 ~~ 0*y3 + y1\n y3 ~~ y3"
    ), {}


# --- several groups -------------------------------------------------------------------------------

EQUAL = (
    *("loadings", "intercepts", "means", "regressions", "residuals", "residual.covariances"),
    *("lv.variances", "lv.covariances"),
)


def _grouped(rng: np.random.Generator, **options: Any) -> dict[str, Any]:
    """Options of a model of groups: some kinds of parameters are equal."""
    chosen = _some(rng, EQUAL, 0)
    return {"group": "g", "group_equal": chosen, "std_lv": bool(rng.integers(2)), **options}


@family
def groups_of_factors(rng):
    text, _ = factors(rng)
    return text, _grouped(rng)


@family
def groups_with_covariates(rng):
    text, _ = factor_regression(rng)
    return text, _grouped(rng, group_partial=["f~x1", "y1~1"])


@family
def groups_of_one_level(rng):
    text = "f =~ y1 + y2 + y3\ny4 ~ c(a, b)*f + x1\na > b"
    return text, _grouped(rng, cluster=None)


@family
def groups_that_differ(rng):
    return (
        "level: 1\n group: 0\n y1 ~ p*x1 + x2\n group: 1\n y1 ~ q*x1\n y2 ~ p*x1\n"
        "level: 2\n y1 ~ w1\n group: 1\n y2 ~ w1\np + q == 0.5"
    ), {"group": "g"}


@family
def groups_with_slopes(rng):
    text = 'level: 1\n y1 ~ rv(c("s", "t"))*x1\nlevel: 2\n y1 ~ c(a, a)*w1'
    return text, _grouped(rng)


def _covary(names: list[str]) -> str:
    """Every variance and covariance."""
    return "\n ".join(f"{name} ~~ {' + '.join(names[k:])}" for k, name in enumerate(names))


def draw(rng: np.random.Generator) -> pd.DataFrame:
    """Clusters of 1 to 6 rows, with a factor at each level."""
    sizes = rng.integers(1, 7, int(rng.integers(14, 30)))
    ids = np.repeat(np.arange(len(sizes)), sizes)
    n, clusters = len(ids), len(sizes)
    x1, x2, f = rng.normal(size=(3, n))
    w1, w2, g, slope = rng.normal(size=(4, clusters))[:, ids]
    frame = pd.DataFrame({"id": ids, "x1": x1 + 0.3 * w1, "x2": x2, "w1": w1, "w2": w2})
    for name in Y:
        u = rng.normal(size=clusters)[ids]
        loading = rng.uniform(0.4, 1.2, 2)
        frame[name] = loading[0] * f + loading[1] * g + 0.5 * u + rng.normal(size=n)
        frame[name] += 0.4 * x1 + 0.3 * w1 + 0.3 * slope * x1
    return frame.assign(g=ids % 2)


def model(seed: int, name: str | None = None) -> tuple[str, str, pd.DataFrame, dict[str, Any]]:
    """The family, text, data and options of a seed; of a family that is named, or of any."""
    rng = np.random.default_rng([seed, 3])
    name = str(rng.choice(list(FAMILIES))) if name is None else name
    text, options = FAMILIES[name](rng)
    return name, text, draw(rng), {"cluster": "id"} | options


def run(findings: Findings, seed: int) -> None:
    """One model, fitted and looked at."""
    name, text, frame, options = model(seed)
    example = f"seed {seed}: {name}"
    fit = findings.attempt(example, lambda: mlsem.fit(text, frame, **options))
    if fit is None:
        return
    findings.calls["converged" if fit.converged else "not converged"] += 1
    if not fit.converged:
        return
    for complaint in complaints(fit, frame, options["cluster"]):
        findings.add(f"wrong: {complaint.partition(' = ')[0]}, {name}", f"{example}, {complaint}")


def complaints(fit: mlsem.FitResult, frame: pd.DataFrame, cluster: str | None) -> list[str]:
    """What is wrong with a fit that says it converged."""
    params, found = fit.estimates, []
    dense = _loglik(fit, frame, cluster)
    if not abs(dense - fit.loglik) <= 1e-8 * (1 + abs(dense)):
        found.append(f"log-likelihood = {fit.loglik!r}, dense {dense!r}")
    directions = [np.zeros((0, len(params)))]
    for compiled, each in zip(compile_constraints(fit.table), fit.table.constraints, strict=True):
        value = float(compiled.value(params))
        missed = abs(value) if each.equality else max(0.0, -value)
        if not missed <= HELD:
            found.append(f"constraint missed by = {missed!r} in {each.source}")
        if each.equality or value <= HELD:
            directions.append(compiled.gradient(params)[None])
    for row in fit.table.rows:
        if row.free >= 0:
            value = params[row.free]
            if not row.lower - HELD <= value <= row.upper + HELD:
                found.append(f"bound missed = {value!r}")
            if value - row.lower <= HELD or row.upper - value <= HELD:
                directions.append(np.eye(len(params))[row.free][None])
    if fit.singular:
        return found  # a maximum on the boundary of semidefinite matrices, of which none is free
    step = _step(fit, null_space(np.vstack(directions)))
    if not step <= ZERO:
        found.append(f"gradient = {step!r} standard errors")
    return found


def _loglik(fit: mlsem.FitResult, frame: pd.DataFrame, cluster: str | None) -> float:
    """Of the dense normal distribution, summed over groups."""
    total = 0.0
    for group in fit._estimates.groups:
        rows = frame if group.label is None else frame[frame["g"] == group.label]
        problem = group.estimates.problem
        model = Dense(problem.table, rows.reset_index(drop=True), cluster, saturated_of(problem))
        total += float(model.loglik(group.estimates.params))
    return total


def _step(fit: mlsem.FitResult, basis: np.ndarray) -> float:
    """√(gᵀ I⁻¹ g) along the basis: what is left to go, in standard errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gradient = basis.T @ fit.scores().sum().to_numpy()
        information = basis.T @ fit.information("expected").to_numpy() @ basis
    if not len(gradient):
        return 0.0
    scale = np.sqrt(np.diag(information))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    kept = values > 1e-10 * values.max()
    along = vectors[:, kept].T @ (gradient / scale)
    return float(np.sqrt(np.sum(along**2 / values[kept])))
