"""Products: where they may stand, and that far factors cost no digits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hand_tables import make_table

from mlsem.data.moments.aggregate import read_moments
from mlsem.data.moments.products import expansion, plan_columns
from mlsem.errors import DataError


def make_data(clusters=10, rows=200, seed=1):
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(clusters), rows // clusters)
    grid = lambda size: np.round(rng.normal(size=size) * 1024) / 1024  # noqa: E731
    return pd.DataFrame(
        {
            "school": school,
            "y": grid(rows),
            "x1": grid(rows),
            "x2": grid(rows),
            "w1": grid(clusters)[school],
            "w2": grid(clusters)[school],
        }
    )


def user_columns(record):
    """Cluster means of the user's columns by the maps."""
    moments = record.moments
    return {name: m.constant + moments.means @ m.coefs for name, m in record.maps.items()}


def exact_product(data, factors):
    """The product in rational numbers, centred at the mean of all rows, as floats."""
    values = [Fraction(1)] * len(data)
    for factor in factors:
        values = [v * Fraction(float(f)) for v, f in zip(values, data[factor], strict=True)]
    return values


def assert_maps_exact(record, data, name, factors, tol=1e-13):
    """Cluster means, and covariances with y, of a user's product against rational numbers."""
    values = exact_product(data, factors)
    mean = sum(values) / len(values)
    away = np.array([float(v - mean) for v in values])
    column_map = record.maps[name]
    moments = record.moments
    expected = pd.Series(away).groupby(data["school"].to_numpy(), sort=False).mean()
    found = moments.means @ column_map.coefs
    found = found - moments.rows @ found / moments.n_rows
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=tol * scale)
    assert column_map.constant + float(
        (moments.rows @ moments.means / moments.n_rows) @ column_map.coefs
    ) == pytest.approx(float(mean), rel=1e-14)


def test_expansion_of_a_square():
    assert expansion(("x", "x"), {"x": 3.0}) == {("x", "x"): 1.0, ("x",): 6.0, (): 9.0}
    assert expansion(("w", "x"), {"x": 3.0}) == {("w", "x"): 1.0, ("w",): 3.0}
    assert expansion(("w", "x"), {}) == {("w", "x"): 1.0}


def test_plan_shares_columns_of_the_model():
    table = make_table(("y", "x1 w1:x1"), ("y", "w1"), ["w1:x1"])
    plan = plan_columns(table, frozenset({"w1"}), {"x1": 1e6, "w1": 1e6})
    assert plan.names == ("y", "x1", "w1:x1", "w1")
    assert plan.varying == 3


def test_lower_order_columns_that_only_a_product_needs():
    data = make_data()
    data["x1"] += 1e6
    table = make_table(("y", "w1:x1"), ("y", ""), ["w1:x1"])
    record = read_moments(table, data, cluster="school")
    assert record.moments.columns == ("y", "w1:x1", "w1")
    assert record.moments.varying == 2
    assert_maps_exact(record, data, "w1:x1", ["w1", "x1"])


@pytest.mark.parametrize("far", [1e6, 1e8])
@pytest.mark.parametrize("which", [("x1",), ("w1",), ("x1", "w1")])
@pytest.mark.parametrize("chunk_rows", [None, 33])
def test_far_factors_cost_no_digits(far, which, chunk_rows):
    near = make_data()
    data = near.copy()
    for name in which:
        data[name] += far
    table = make_table(("y", "x1 w1:x1"), ("y", "w1"), ["w1:x1"])
    record = read_moments(table, data, cluster="school", chunk_rows=chunk_rows)
    reference = read_moments(table, near, cluster="school")
    assert record.moments.columns == reference.moments.columns
    shifted = near.copy()
    for name in which:
        values = near.groupby("school")[name].first() if name == "w1" else near[name]
        shifted[name] = near[name] - values.mean()
    by_hand = pd.DataFrame({"y": shifted.y, "x1": shifted.x1, "p": shifted.x1 * shifted.w1})
    for cluster, part in by_hand.groupby(near["school"].to_numpy()):
        cross = (part - part.mean()).T @ (part - part.mean())
        np.testing.assert_allclose(
            record.moments.within[cluster], cross, rtol=4e-16 * far + 1e-12, atol=4e-15 * far
        )
    assert_maps_exact(record, data, "w1:x1", ["w1", "x1"])


def test_products_of_three_and_powers():
    data = make_data()
    data["x1"] += 1e5
    data["w1"] += 1e5
    names = ["w1:x1:x2", "x1:x1"]
    table = make_table(("y", f"x1 {' '.join(names)}"), ("y", ""), names)
    record = read_moments(table, data, cluster="school")
    assert set(record.moments.columns) == {
        *("y", "x1", "w1:x1:x2", "x1:x1", "w1*x2", "x1*x2", "x2")
    }
    assert_maps_exact(record, data, "w1:x1:x2", ["w1", "x1", "x2"])
    assert_maps_exact(record, data, "x1:x1", ["x1", "x1"])


def test_level_two_products_are_formed_of_cluster_values():
    data = make_data()
    data["w1"] += 1e7
    table = make_table(("y", "x1"), ("y", "w2 w1:w2"), ["w1:w2"])
    record = read_moments(table, data, cluster="school")
    assert record.moments.columns == ("y", "x1", "w2", "w1:w2")
    assert record.moments.varying == 2
    first = data.groupby("school")[["w1", "w2"]].first()
    np.testing.assert_allclose(user_columns(record)["w1:w2"], first.w1 * first.w2, rtol=1e-14)
    assert_maps_exact(record, data, "w1:w2", ["w1", "w2"])


def test_near_factors_enter_raw():
    data = make_data()
    data["x1"] += 50
    table = make_table(("y", "w1:x1"), ("y", ""), ["w1:x1"])
    record = read_moments(table, data, cluster="school")
    assert record.moments.columns == ("y", "w1:x1")
    np.testing.assert_allclose(
        user_columns(record)["w1:x1"],
        (data.w1 * data.x1).groupby(data.school).mean(),
        atol=1e-13,
    )


def test_centred_far_factors_enter_centred():
    data = make_data()
    data["x1"] += 2**20
    table = make_table(("y", "w1:x1"), ("y", "w1"), ["w1:x1"])
    record = read_moments(table, data, cluster="school", center={"x1": "cluster"})
    assert record.moments.columns == ("y", "w1:x1", "w1")
    centred = data.x1 - data.groupby("school")["x1"].transform("mean")
    np.testing.assert_allclose(
        record.moments.means[:, 1] + record.moments.shift[1],
        (data.w1 * centred).groupby(data.school).mean(),
        atol=1e-9,
    )


def test_a_data_column_named_like_a_product_is_used_as_it_is():
    data = make_data()
    data["w1:x1"] = data["x2"]
    table = make_table(("y", "w1:x1"), ("y", ""))
    record = read_moments(table, data, cluster="school")
    np.testing.assert_allclose(
        user_columns(record)["w1:x1"], data.groupby("school").x2.mean(), atol=1e-14
    )


def test_products_without_levels():
    data = make_data()
    data["x1"] += 1e6
    table = make_table(("y", "w1 w1:x1"), products=["w1:x1"])
    record = read_moments(table, data)
    assert record.moments.columns == ("y", "w1", "w1:x1")
    np.testing.assert_allclose(user_columns(record)["w1:x1"], data.w1 * data.x1, rtol=1e-13)


def test_product_of_level_two_variables_at_level_one():
    table = make_table(("y", "x1 w1:w2"), ("y", ""), ["w1:w2"])
    with pytest.raises(DataError, match=r"'w1:w2' is written at level 1, .*Write it at level 2"):
        read_moments(table, make_data(), cluster="school")


def test_product_of_a_varying_factor_at_level_two():
    table = make_table(("y", "x1"), ("y", "w1:x2"), ["w1:x2"])
    with pytest.raises(DataError, match=r"'w1:x2' is written at level 2, but 'x2' varies within"):
        read_moments(table, make_data(), cluster="school")


def test_constant_factor():
    table = make_table(("y", "w1:x1"), ("y", ""), ["w1:x1"])
    with pytest.raises(DataError, match="'x1' is constant in the rows used, so its products"):
        read_moments(table, make_data().assign(x1=0.1), cluster="school")


def test_absent_factor():
    table = make_table(("y", "w1:X1"), ("y", ""), ["w1:X1"])
    message = r"the product 'w1:X1' needs the variable 'X1', .* Did you mean 'x1'\?"
    with pytest.raises(DataError, match=message):
        read_moments(table, make_data(), cluster="school")
