"""Least squares as numpy's, but silent about numbers that are not finite; maps of many rows."""

import numpy as np
import pytest

from mlsem.core.linalg import apply_maps, least_squares

RNG = np.random.default_rng(1)
DESIGN = RNG.normal(size=(6, 3))


@pytest.mark.parametrize("shape", [(6,), (6, 2)])
def test_least_squares(shape):
    outcome = RNG.normal(size=shape)
    normal = np.linalg.solve(DESIGN.T @ DESIGN, DESIGN.T @ outcome)
    np.testing.assert_allclose(least_squares(DESIGN, outcome), normal, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nothing_is_printed_where_a_number_is_not_finite(bad, capfd):
    for design, outcome in ((DESIGN * bad, np.ones(6)), (DESIGN, np.full((6, 2), bad))):
        found = least_squares(design, outcome)
        assert found.shape == (3, *outcome.shape[1:])
        assert np.isnan(found).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("count", [1, 2, 40])
def test_maps_of_many_rows(count):
    """One map, few of many rows, many of few."""
    rng = np.random.default_rng(7)
    maps, rows = rng.normal(size=(count, 2, 3)), rng.normal(size=(200, 3))
    shape_of = rng.integers(0, count, 200)
    wanted = [maps[shape] @ row for shape, row in zip(shape_of, rows, strict=True)]
    np.testing.assert_allclose(apply_maps(maps, shape_of, rows), wanted, rtol=1e-13, atol=1e-14)
