"""Hostile data through every public entry, and every method of the fits that come out."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

import mlsem
from mlsem.results.result import FitResult
from tests.fuzz.frames import good, spoilt
from tests.fuzz.guard import Findings

TWO = "level: 1\n y ~ a*x1\nlevel: 2\n y ~ b*w1\nd := a*b"
PRODUCT = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"
SPLIT = "level: 1\n y ~ x1\n y2 ~ y\nlevel: 2\n y ~ w1 + x1\n y2 ~ w1"
FACTOR = "level: 1\n f =~ y + y2 + y3\nlevel: 2\n g =~ y + y2 + y3\n g ~ w1"
SLOPE = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n y ~~ s'
ONE = "y ~ x1 + w1\n y2 ~ y"
LIMITED = "level: 1\n y ~ a*x1\n y2 ~ b*x1\nlevel: 2\n y ~~ v*y\n y2 ~~ y2\na == b; v > 0"
DRAWN = "level: 1\n y ~ .5*x1\nlevel: 2\n y ~ .3*w1"

Entry = Callable[[Any], Any]


def _fit(model: str, **options: Any) -> Entry:
    return lambda frame: mlsem.fit(model, frame, **options)


def _lmm(formula: str, **options: Any) -> Entry:
    return lambda frame: mlsem.lmm(formula, frame, **options)


def _compared(frame: Any) -> Any:
    simple = mlsem.lmm("y ~ x1 + (1 | id)", frame, REML=False)
    return mlsem.lr_test(simple, mlsem.lmm("y ~ x1 + (x1 | id)", frame, REML=False), draws=200)


def _studied(frame: Any) -> Any:
    methods = {"ML": {"model": TWO, "cluster": "id"}, "own": lambda data: mlsem.fit(ONE, data)}
    found = mlsem.study(lambda rng: frame, methods, 2, seed=1, progress=False)
    return str(found), found.summary, found.estimates


ENTRIES: dict[str, Entry] = {
    "ML": _fit(TWO, cluster="id"),
    "MLR": _fit(TWO, cluster="id", estimator="MLR"),
    "REML": _fit(TWO.replace("\nd := a*b", ""), cluster="id", estimator="REML"),
    "CR2": _fit(TWO, cluster="id", se="CR2"),
    "coarse": _fit(TWO, cluster="id", se="CR1", se_cluster="school"),
    "centred": _fit(PRODUCT, cluster="id", center={"x1": "cluster", "w1": "grand"}),
    "product": _fit(PRODUCT, cluster="id", missing="error"),
    "split": _fit(SPLIT, cluster="id"),
    "factor": _fit(FACTOR, cluster="id", max_iter=40),
    "factor, bounded": _fit(FACTOR, cluster="id", bounds="pos.var", max_iter=40),
    "slope": _fit(SLOPE, cluster="id", max_iter=60),
    "limited": _fit(LIMITED, cluster="id", max_iter=60),
    "one level": _fit(ONE),
    "one level, robust": _fit(ONE, cluster="id"),
    "one level, CR3": _fit(ONE, se="CR3", se_cluster="school"),
    "id is y": _fit(TWO, cluster="y"),
    "cluster odd": lambda frame: mlsem.fit(TWO, frame, cluster=frame),  # type: ignore[arg-type]
    "sem": lambda frame: mlsem.sem(TWO, frame, "id"),
    "cfa": lambda frame: mlsem.cfa("f =~ y + y2 + y3", frame, std_lv=True),
    "growth": lambda frame: mlsem.growth("i =~ 1*y + 1*y2 + 1*y3\ns =~ 0*y + 1*y2 + 2*y3", frame),
    "lavaan": lambda frame: mlsem.lavaan("y ~ x1\ny ~~ y", frame),
    "check": lambda frame: mlsem.check(TWO, frame),
    "lmm": _lmm("y ~ x1 + w1 + (1 | id)"),
    "lmm, ML": _lmm("y ~ x1*w1 + (x1 | id)", REML=False),
    "lmm, uncorrelated": _lmm("y ~ x1 + (x1 || id)"),
    "lmm, scaled": _lmm("y ~ scale(x1) + C(school) + (1 | id)"),
    "lmm, coarse": _lmm("y ~ x1 + (1 | id)", se="CR2", se_cluster="school"),
    "lr_test": _compared,
    "cluster_means": lambda frame: mlsem.cluster_means(frame, ["x1", "y"], "id"),
    "study": _studied,
    "simulate": lambda frame: mlsem.simulate(DRAWN, 5, 3, params=frame, seed=1),
    "sizes": lambda frame: mlsem.simulate(DRAWN, 5, cluster_size=frame, seed=1),
    "start": lambda frame: mlsem.fit(TWO, mlsem.load_example("article"), "id", start=frame),
}


def _each_kind(kind: str) -> Callable[[FitResult], Any]:
    return lambda fit: str(fit.with_se(kind).summary())


def _bootstrap(kind: Any) -> Callable[[FitResult], Any]:
    def call(fit: FitResult) -> Any:
        found = fit.bootstrap(kind, draws=39, seed=1, progress=False)
        return str(found), found.conf_int(), found.se, found.pvalues

    return call


def _compare(fit: FitResult) -> Any:
    found = fit.compare_se(draws=20, seed=1, progress=False)
    return str(found), found.table, found.plot()


def _diagnose(fit: FitResult) -> Any:
    found = fit.cluster_diagnostics(exact=True)
    tables = found.coefficients, found.clusters, found.influence, found.exact
    return str(found), found._repr_html_(), tables, found.plot()


METHODS: dict[str, Callable[[FitResult], Any]] = {
    **{
        name: lambda fit, name=name: getattr(fit, name)
        for name in dir(FitResult)
        if isinstance(getattr(FitResult, name), property)
    },
    **{
        name: lambda fit, name=name: getattr(fit, name)()
        for name in (
            *("conf_int", "glance", "icc", "implied", "information", "parameter_estimates"),
            *("r_squared", "random_effects", "scores", "standardized", "summary", "tidy", "vcov"),
        )
    },
    "repr": repr,
    "html": lambda fit: fit._repr_html_(),
    "text": lambda fit: str(fit.summary(0.9)),
    "full text": lambda fit: str(fit.summary(standardized=True, rsquare=True)),
    "tests of fit": lambda fit: str(fit.summary(fit_measures=True)),
    "icc text": lambda fit: str(fit.icc()),
    "r2 text": lambda fit: str(fit.r_squared()),
    "level 2": lambda fit: fit.implied(2),
    "expected": lambda fit: fit.information("expected"),
    "first order": lambda fit: fit.information("first_order"),
    "profile": lambda fit: fit.conf_int(ci="profile"),
    "wald": lambda fit: str(fit.wald_test(f"`{fit.params.index[0]}` == 0")),
    "HTZ": lambda fit: str(fit.wald_test(f"`{fit.params.index[0]}` == 1", vcov="CR2")),
    "diagnostics": _diagnose,
    "compare_se": _compare,
    "pickle": lambda fit: str(pickle.loads(pickle.dumps(fit)).summary()),
    "simulated": lambda fit: mlsem.simulate(DRAWN, 5, 3, params=fit, seed=1),
    "start": lambda fit: mlsem.fit(TWO, mlsem.load_example("article"), "id", start=fit),
    "itself": lambda fit: mlsem.lr_test(fit, fit),
    **{kind: _each_kind(kind) for kind in ("standard", "MLR", "CR0", "CR1S", "CR2", "CR3", "none")},
    **{kind: _bootstrap(kind) for kind in ("wild", "pairs", "parametric")},
}
SLOW = ("compare_se", "pairs", "parametric", "profile", "diagnostics")
QUICK = [name for name in METHODS if name not in SLOW]


def run(findings: Findings, seed: int, *, methods: int = 10, slow: float = 0.2) -> None:
    """One hostile frame: three entries, and some methods of each fit.

    Parameters
    ----------
    methods : int
        How many of the quick methods.
    slow : float
        How often one that is slow.
    """
    rng = np.random.default_rng([seed, 1])
    name, frame = spoilt(rng)
    for entry in rng.choice(list(ENTRIES), size=3, replace=False):
        example = f"seed {seed}: {name}, {entry}"
        fit = findings.attempt(example, partial(ENTRIES[str(entry)], frame))
        if not isinstance(fit, FitResult):
            continue
        chosen = [*rng.choice(QUICK, size=min(methods, len(QUICK)), replace=False)]
        chosen += [rng.choice(SLOW)] if rng.random() < slow else []
        for method in chosen:
            findings.attempt(f"{example}, {method}", partial(METHODS[str(method)], fit))


def warm_up() -> None:
    """Packages that are imported late do what they do on import, before anything is watched."""
    for name in ("scipy.optimize", "scipy.stats", "matplotlib.figure", "joblib"):
        import_module(name)
    fit = mlsem.lmm("y ~ x1 + (1 | id)", good(np.random.default_rng(0)))
    for method in ("diagnostics", "compare_se", "text", "wild"):
        METHODS[method](fit)
