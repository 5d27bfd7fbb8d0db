"""Matrices with a block for each term of a sum and shared directions: what they say is what the
matrices with all their zeros say."""

from __future__ import annotations

import numpy as np
import pytest

from mlsem.core.arrow import Arrow, arrow_of, layout
from mlsem.core.linalg import null_space
from mlsem.core.optimise.maximise import damped_step, newton_step
from mlsem.core.optimise.objective import well_conditioned

# Which of n directions move each term.
CASES = {
    "blocks and shared directions": (9, ((0, 3, 5, 8), (1, 4, 5, 8), (2, 5, 6, 7, 8))),
    "directions of two of three terms": (8, ((0, 1, 6), (2, 3, 6, 7), (4, 5, 7))),
    "nothing shared": (7, ((0, 2, 4, 6), (1, 3, 5))),
    "all shared": (4, ((0, 1, 2, 3), (0, 1, 2, 3))),
    "a term without directions of its own": (5, ((0, 1, 4), (4,), (2, 3, 4))),
    "one term": (5, ((0, 1, 2, 3, 4),)),
}
FAR = 10.0 ** np.arange(-3, 4)


@pytest.fixture(params=CASES)
def problem(request):
    """Rows of each term along the directions that move it, and which these are; the directions
    have scales far apart."""
    size, moved = CASES[request.param]
    columns = [np.array(each) for each in moved]
    generator = np.random.default_rng(len(request.param))
    rows = [
        generator.normal(size=(3 * len(each) + 2, len(each))) * FAR[each % len(FAR)]
        for each in columns
    ]
    return size, columns, rows


def whole_rows(size, columns, rows):
    """With their zeros, terms one after the other."""
    found = []
    for own, each in zip(columns, rows, strict=True):
        whole = np.zeros((len(each), size))
        whole[:, own] = each
        found.append(whole)
    return np.concatenate(found)


def arrow(size, columns, rows, lift=0.0):
    """Σ rowsᵀ rows, as an arrow; `lift` adds to the diagonal."""
    where = layout(columns, size)
    matrices = [
        where.spread(k, own, each.T @ each + lift * np.diag((each**2).sum(axis=0)))
        for k, (own, each) in enumerate(zip(columns, rows, strict=True))
    ]
    return where.summed(matrices)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11 * max(1.0, np.abs(wanted).max()))


def test_an_arrow_is_the_sum_of_its_terms(problem):
    whole = whole_rows(*problem)
    found = arrow(*problem)
    close(found.dense, whole.T @ whole)
    assert found.size == problem[0]
    close(found.raised(-0.5).dense, whole.T @ whole - 0.5 * np.eye(found.size))


def test_solutions(problem):
    found = arrow(*problem)
    scale = 1.0 / np.sqrt(np.diagonal(found.dense))
    root = found.root()
    vectors = np.random.default_rng(2).normal(size=(found.size, 3)) / scale[:, None]
    unit = found.dense * scale[:, None] * scale
    wanted = scale[:, None] * np.linalg.solve(unit, scale[:, None] * vectors)
    close(root.solved(vectors) / scale[:, None], wanted / scale[:, None])
    white = root.whitened(vectors)
    close(white.T @ white, vectors.T @ wanted)
    close(root.whitened(root.whitened(found.dense).T), np.eye(found.size))
    pivots = np.log(root.pivots(found) * np.diagonal(found.dense)[np.concatenate(places(found))])
    assert pivots.sum() == pytest.approx(np.linalg.slogdet(found.dense)[1], rel=1e-11)


def places(found: Arrow):
    return [*found.layout.own, found.shared]


def test_steps(problem):
    found = arrow(*problem)
    gradient = np.random.default_rng(3).normal(size=found.size)
    for step in (newton_step, damped_step):
        ours, wanted = step(found, gradient), step(found.dense, gradient)
        np.testing.assert_allclose(ours[0], wanted[0], rtol=1e-9)
        assert ours[1] == pytest.approx(wanted[1], rel=1e-11)
    assert well_conditioned(found)
    assert well_conditioned(found.dense)


def test_what_is_not_positive_definite_has_no_root(problem):
    """In a term's own directions, and only once the terms are taken out of the shared ones."""
    found = arrow(*problem)
    lowest = float(np.linalg.eigvalsh(found.dense)[0])
    assert found.raised(-0.999 * lowest).root() is not None
    for by in (1.001 * lowest, 2.0 * np.abs(found.dense).max(), np.nan):
        worse = found.raised(-by)
        assert worse.root() is None
        assert newton_step(worse, np.ones(found.size)) is None
        assert not well_conditioned(worse)


def test_white_rows_and_other_matrices(problem):
    """Rows, and whole matrices, in units in which the arrow is the identity."""
    size, columns, rows = problem
    found = arrow(size, columns, rows, lift=0.3)
    root, where = found.root(), found.layout
    other = arrow(size, columns, rows)
    wanted = root.whitened(root.whitened(other.dense).T)
    close(root.congruent(other).dense, wanted)
    meats = []
    for k, (own, each) in enumerate(zip(columns, rows, strict=True)):
        along = np.zeros((len(each), len(where.places(k))))
        along[:, where.placed(k, own)] = each
        white = along @ root.of_term(k)
        whole = root.whitened(whole_rows(size, [own], [each]).T).T
        close(white, whole[:, where.places(k)])
        assert not np.delete(whole, where.places(k), axis=1).any()
        meats.append(white.T @ white)
    close(where.summed(meats).dense, wanted)


@pytest.mark.parametrize("constrained", [False, True])
def test_sandwiches(problem, constrained):
    """Of parameters that are the directions, and of ones that constraints mix."""
    size, columns, rows = problem
    basis = np.eye(size)
    if constrained:
        basis = null_space(np.ones((1, size + 2)))[:, :size]
    found = arrow(size, columns, rows, lift=0.3)
    root = found.root()
    scale = 1.0 / np.sqrt(np.diagonal(found.dense))
    unit = np.diag(1.0 / scale) if not constrained else np.eye(len(basis))
    half = basis @ root.back(np.eye(size))
    meat = root.congruent(arrow(size, columns, rows))
    for white in (None, meat):
        middle = np.eye(size) if white is None else white.dense
        ours = root.sandwich(basis, white)
        np.testing.assert_array_equal(ours, ours.T)
        close(unit @ ours @ unit, unit @ half @ middle @ half.T @ unit)


def test_a_matrix_is_an_arrow_of_one_term():
    matrix = np.array([[2.0, 0.3], [0.3, 1.0]])
    found = arrow_of(matrix)
    assert found.dense.tolist() == matrix.tolist()
    close(found.root().solved(np.eye(2)), np.linalg.inv(matrix))
