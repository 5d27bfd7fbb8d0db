"""Three levels: likelihood, gradient, scores and information against dense matrices, for models
with latent and observed variables and covariates at every level."""

from functools import cached_property

import numpy as np
import pandas as pd
import pytest
from dense import fourth_cumulant, information
from dense_nested import DenseNested
from differences import jacobian

from mlsem.core.implied.pattern import LevelPattern, ModelPattern, PatternMatrix
from mlsem.core.nested.objective import NestedObjective, NestedUnits
from mlsem.core.nested.sample import nested_sample
from mlsem.core.records import NestedMoments

VARYING, CLASS, SCHOOL = ("y1", "y2", "y3", "x"), ("z", "w"), ("s1", "s2", "v")
STORED = VARYING + CLASS + SCHOOL


def rows(seed=1, schools=7, largest=3):
    """Classes of one to four pupils; schools of one to four classes, two with but one."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(schools), [1, 1, *rng.integers(1, 5, schools - 2)])
    pupils = np.repeat(np.arange(len(classes)), rng.integers(1, largest + 1, len(classes)))
    school = classes[pupils]
    frame = {name: rng.normal(size=len(pupils)) for name in VARYING}
    frame |= {name: rng.normal(size=len(classes))[pupils] for name in CLASS}
    frame |= {name: rng.normal(size=schools)[school] for name in SCHOOL}
    frame |= {"class": pupils, "school": school}
    return pd.DataFrame(frame)


def moments_of(frame):
    """By class, its mean and cross-products."""
    classes = frame.groupby("class")
    values = [each[list(STORED)].to_numpy(float) for _, each in classes]
    means = np.array([each.mean(axis=0) for each in values])
    inner = [each[:, : len(VARYING)] - each[:, : len(VARYING)].mean(axis=0) for each in values]
    counts = np.array([len(each) for each in values])
    labels, units = np.unique(classes["school"].first(), return_inverse=True)
    return NestedMoments(
        columns=STORED,
        varying=len(VARYING),
        shift=np.zeros(len(STORED)),
        rows=counts,
        sizes=counts.astype(float),
        weights=np.ones(len(counts)),
        labels=np.arange(len(counts)),
        means=means,
        within=np.array([each.T @ each for each in inner]),
        units="school",
        unit_of=units,
        unit_labels=labels,
    )


class Writer:
    """Hands out parameters, with a value inside the parameter space for each."""

    def __init__(self, seed):
        self.values, self.rng = [], np.random.default_rng(seed)

    def matrix(self, constants, cells, value):
        """A matrix with these free cells."""
        first = len(self.values)
        self.values += [value(i, j) for i, j in cells]
        places = np.array(cells, dtype=np.intp).reshape(-1, 2)
        return PatternMatrix(
            constants, places[:, 0], places[:, 1], np.arange(first, len(self.values))
        )

    def level(self, observed, covariates=(), latent=(), loadings=(), paths=(), empty=()):
        """`observed` in the order of the rows, of which `empty` are zero at this level; loadings
        and paths are (to, from)."""
        names = tuple(latent) + tuple(observed)
        place = {name: k for k, name in enumerate(names)}
        size, noise = len(names), self.rng
        fixed = np.zeros((size, size))
        for name, factor in loadings[:1]:
            fixed[place[name], place[factor]] = 1.0
        directed = self.matrix(
            fixed,
            [(place[a], place[b]) for a, b in (*loadings[1:], *paths)],
            lambda i, j: noise.normal(scale=0.5),
        )
        full = [name for name in names if name not in empty]
        cells = [(place[a], place[a]) for a in full]
        cells += [(place[full[-1]], place[full[-2]])] if len(full) > 1 else []
        symmetric = self.matrix(
            np.zeros((size, size)),
            cells,
            lambda i, j: noise.uniform(0.6, 1.2) if i == j else noise.normal(scale=0.2),
        )
        k = 1 + len(covariates)
        means = [(place[a], c) for a in full for c in range(k) if a not in latent]
        exogenous = self.matrix(np.zeros((size, k)), means, lambda i, j: noise.normal(scale=0.4))
        maps = np.concatenate((np.zeros((len(STORED), 1)), np.eye(len(STORED))), axis=1)
        rows = [maps[STORED.index(name)] for name in observed]
        constant = np.eye(1, len(STORED) + 1)[0]
        return LevelPattern(
            names=names,
            directed=directed,
            symmetric=symmetric,
            exogenous=exogenous,
            observed=np.array([place[name] for name in observed]),
            responses=np.array(rows),
            covariates=np.array([constant, *(maps[STORED.index(c)] for c in covariates)]),
        )


FACTOR = {"latent": ("f",), "loadings": (("y1", "f"), ("y2", "f"))}


def manifest(write):
    """Observed variables, regressions at every level; y2 varies within classes only."""
    return (
        write.level(("y1", "y2"), ("x",), paths=(("y1", "y2"),)),
        write.level(("y1",), ("w",)),
        write.level(("y1",), ("v",)),
        1,
        [0],
    )


def latent(write):
    """A factor at each level, of two variables."""
    return (
        write.level(("y1", "y2"), ("x",), **FACTOR),
        write.level(("y1", "y2"), ("w",), **FACTOR),
        write.level(("y1", "y2"), ("v",), **FACTOR),
        2,
        [0, 1],
    )


def everywhere(write):
    """Outcomes of levels 2 and 3; z has a part at both, and y2 differs between schools alone."""
    return (
        write.level(("y1", "y2", "y3"), ("x",), **FACTOR),
        write.level(("y1", "y2", "z"), ("w",), empty=("y2",), paths=(("z", "y1"),)),
        write.level(("y2", "z", "y1", "s1", "s2"), ("v",), paths=(("s1", "y1"), ("s2", "z"))),
        2,
        [1, 2, 0],
    )


def apart(write):
    """z varies within schools only, as does y2; a factor of school variables."""
    return (
        write.level(("y1", "y2"), (), paths=(("y2", "y1"),)),
        write.level(("y1", "y2", "z"), (), paths=(("y1", "z"),)),
        write.level(
            ("y1", "s1", "s2"),
            ("v",),
            latent=("f",),
            loadings=(("s1", "f"), ("s2", "f"), ("y1", "f")),
        ),
        2,
        [0],
    )


MODELS = {each.__name__: each for each in (manifest, latent, everywhere, apart)}


class Case:
    """A model at a point, met with data, along a few directions; the dense one of the pattern."""

    def __init__(self, name, seed=3):
        write = Writer(seed)
        *levels, split, raised = MODELS[name](write)
        self.params = np.array(write.values)
        self.basis = write.rng.normal(size=(len(self.params), 5))
        pattern = ModelPattern(tuple(levels), split, len(self.params), raised=np.array(raised))
        self.dense = DenseNested(pattern, rows(), STORED)
        self.objective = NestedObjective(pattern, nested_sample(moments_of(self.dense.frame)))
        self.units = NestedUnits(self.objective.data)

    def at(self, params):
        point = self.objective.evaluate(params)
        return point, self.objective.derivatives(point, self.basis)

    def along(self, function):
        """Derivatives of a function of the parameters along the directions."""
        return jacobian(lambda x: function(self.params + self.basis @ x), np.zeros(5))

    @cached_property
    def derivatives(self):
        return self.dense.derivatives(self.params, self.basis)


@pytest.fixture(scope="module")
def cases():
    return {name: Case(name) for name in MODELS}


every_model = pytest.mark.parametrize("name", MODELS)


def close(found, wanted, tol):
    """To `tol` of the largest entry."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tol * max(1.0, np.abs(wanted).max()))


@every_model
def test_loglik(cases, name):
    case = cases[name]
    for seed in range(4):
        shift = 0.1 * np.random.default_rng(seed).normal(size=len(case.params))
        params = case.params + shift
        found = case.objective.evaluate(params).loglik
        np.testing.assert_allclose(found, case.dense.loglik(params), rtol=1e-12)


def test_inside(cases):
    """A variance between schools, or classes, may be below zero as far as the covariance of each
    unit is positive definite."""
    case = cases["manifest"]
    seen = set()
    for level in (1, 2):
        variance = case.objective.pattern.levels[level].symmetric.params[0]
        for value in (0.0, -0.05, -0.2, -0.5, -1.5):
            params = case.params.copy()
            params[variance] = value
            point = case.objective.evaluate(params)
            assert (point is not None) == case.dense.inside(params)
            if point is not None:
                np.testing.assert_allclose(point.loglik, case.dense.loglik(params), rtol=1e-12)
            seen.add((level, point is None))
    assert len(seen) == 4


@every_model
def test_gradient_and_scores(cases, name):
    case = cases[name]
    wanted = case.along(case.dense.logliks)
    point, at = case.at(case.params)
    scores = case.units.scores(point, at.along)
    close(at.gradient, wanted.sum(axis=0), 1e-8)
    close(scores, wanted, 1e-8)
    close(scores.sum(axis=0), at.gradient, 1e-12)


@every_model
def test_expected_information(cases, name):
    case = cases[name]
    point, at = case.at(case.params)
    by_unit = np.array([information(*each) for each in case.derivatives])
    close(case.objective.expected(point, at), by_unit.sum(axis=0), 1e-11)
    parts = case.units.parts(point, at.along)
    units = np.arange(len(by_unit))
    close(parts.information(units), by_unit, 1e-11)
    directions = np.random.default_rng(2).normal(size=(3, 5))
    wanted = np.einsum("ca,kab,cb->kc", directions, by_unit, directions)
    close(parts.variances(units, directions), wanted, 1e-11)


@every_model
def test_observed_information(cases, name):
    case = cases[name]
    point, at = case.at(case.params)
    wanted = -case.along(lambda params: case.at(params)[1].gradient)
    close(case.objective.observed(point, at), wanted, 1e-8)


@every_model
def test_fourth_cumulants(cases, name):
    case = cases[name]
    point, at = case.at(case.params)
    directions = np.random.default_rng(4).normal(size=(len(case.derivatives), 2, 5))
    wanted = [
        [fourth_cumulant(*each, direction) for direction in own]
        for each, own in zip(case.derivatives, directions, strict=True)
    ]
    parts = case.units.parts(point, at.along)
    found = parts.fourth_cumulants(np.arange(len(wanted)), directions)
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


@every_model
def test_order_of_rows_and_labels_is_nothing(cases, name):
    case = cases[name]
    frame = case.dense.frame.copy()
    frame["class"] = np.random.default_rng(5).permutation(frame["class"].max() + 1)[frame["class"]]
    frame["school"] = -frame["school"]
    shuffled = nested_sample(moments_of(frame.sample(frac=1.0, random_state=1)))
    objective = NestedObjective(case.objective.pattern, shuffled)
    point, at = case.at(case.params)
    again = objective.evaluate(case.params)
    np.testing.assert_allclose(again.loglik, point.loglik, rtol=1e-13)
    there = objective.derivatives(again, case.basis)
    close(objective.expected(again, there), case.objective.expected(point, at), 1e-12)
    scores = NestedUnits(shuffled).scores(again, there.along)
    close(scores[::-1], case.units.scores(point, at.along), 1e-12)
