"""Every check of the data says what, where, and what to do."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_tables import make_table

import mlsem
from mlsem.data.moments.aggregate import read_moments
from mlsem.data.moments.dependence import dependent
from mlsem.errors import DataError, OptionValueError

TABLE = make_table(("y", "x1 x2"), ("y", "w1 w2"))


def make_data(clusters=10, rows=100, seed=1):
    rng = np.random.default_rng(seed)
    school = np.repeat([f"s{i}" for i in range(clusters)], rows // clusters)
    code = np.repeat(np.arange(clusters), rows // clusters)
    columns = {name: rng.normal(size=rows) for name in ("y", "x1", "x2")}
    columns |= {name: rng.normal(size=clusters)[code] for name in ("w1", "w2")}
    index = [f"row{i}" for i in range(rows)]
    return pd.DataFrame({"school": school, **columns}, index=index)


def fails(data, *parts, table=TABLE, cluster="school", error=DataError, **options):
    """Reading fails with a message that contains all parts."""
    with pytest.raises(error) as caught:
        read_moments(table, data, cluster=cluster, **options)
    for part in parts:
        assert part in str(caught.value)


class _Lazy:
    """As polars' LazyFrame."""

    def collect(self):
        raise NotImplementedError


_Lazy.__qualname__ = _Lazy.__name__ = "LazyFrame"


def test_not_a_frame():
    data = make_data()
    fails(data.to_dict("list"), "not dict; pass pandas.DataFrame(data)")
    fails(data.to_numpy(), "not numpy.ndarray; pass pandas.DataFrame(data, columns=")
    fails(data["y"], "Series; pass a frame with all variables")
    fails("data.csv", 'not str; read the file first, pandas.read_csv("data.csv")')
    fails(Path("d/survey.sav"), "not pathlib.", 'pandas.read_spss("d/survey.sav")')
    fails("data.rds", "R's files", "write.csv")
    fails("level: 1\ny ~ x", "the first argument is the model, the second the data")
    fails(_Lazy(), "LazyFrame", "pass data.collect().to_pandas()")
    fails(None, "not NoneType; build one")
    fails(data.iloc[:0], "the data have no rows")


def test_column_levels():
    data = make_data()
    data.columns = pd.MultiIndex.from_product([["a"], data.columns])
    fails(data, "columns of the data have 2 levels")


def test_absent_columns():
    data = make_data()
    fails(data.rename(columns={"x2": "X2"}), "needs the variable 'x2'", "Did you mean 'X2'?")
    fails(data, "cluster= names 'scool', which is not", "Did you mean 'school'?", cluster="scool")
    fails(data.set_index("school"), "part of the index: pass data.reset_index()")
    fails(data.set_index(["x1", "y"]), "part of the index")


def test_duplicated_columns():
    data = make_data()
    fails(pd.concat([data, data[["x2"]]], axis=1), "2 columns named 'x2'")
    fails(pd.concat([data, data[["school"]]], axis=1), "2 columns named 'school'")
    unused = pd.concat([data.assign(z=1), data.assign(z=1)[["z"]]], axis=1)
    assert read_moments(TABLE, unused, cluster="school").moments.n_rows == 100


def test_numbers_as_text():
    data = make_data()
    for kind in (object, "str", "string"):
        fails(
            data.assign(x1=data["x1"].round(1).astype(str).astype(kind)),
            "'x1' is not numeric",
            "rows 'row0', 'row1', 'row2', 'row3', 'row4', … (index labels)",
            'numbers stored as text: use pandas.to_numeric(data["x1"])',
        )


def test_some_text_among_numbers():
    data = make_data()
    text = data["x1"].astype(str)
    text.iloc[[7, 9]] = ["3,5", "n/k"]
    fails(data.assign(x1=text), "'3,5', 'n/k' in rows 'row7', 'row9'", 'errors="coerce"')
    mixed = data["x1"].astype(object)
    mixed.iloc[7] = "high"
    fails(data.assign(x1=mixed), "'high' in row 'row7' (index labels). Code it as numbers")


def test_words():
    data = make_data()
    words = ["low", "high"] * 50
    fails(
        data.assign(x1=words), "text. It has the categories 'high', 'low'.", "write x1_low in place"
    )
    fails(data.assign(x1=pd.Categorical(words)), "(dtype category): categorical", "get_dummies")


def test_commas_in_numbers():
    data = make_data()
    decimal = data["x1"].map("{:.2f}".format).str.replace(".", ",")
    fails(data.assign(x1=decimal), "in rows", 'decimal=","', 'str.replace(",", ".")')
    grouped = (data["x1"] * 1e6).map("{:,.2f}".format)
    fails(data.assign(x1=grouped), 'thousands=","')
    either = pd.Series(["1,234", "5,678"] * 50, data.index)
    fails(data.assign(x1=either), 'decimal=","', 'thousands=","')
    read = decimal.str.replace(",", ".").astype(float)
    assert read_moments(TABLE, data.assign(x1=read), cluster="school").moments.n_rows == 100


def test_dates_and_others():
    data = make_data()
    days = pd.date_range("2020-01-01", periods=100)
    fails(data.assign(x1=days), "'x1' is not numeric (dtype datetime64", "dates")
    fails(data.assign(x1=days.tz_localize("UTC")), "dates")
    fails(data.assign(x1=days.to_period("D")), "dates")
    fails(data.assign(x1=days - days[0]), "durations", ".dt.total_seconds()")
    fails(data.assign(x1=data["x1"] + 1j), "(dtype complex128): complex")
    fails(data.assign(x1=[[1]] * 100), "'[1]'", "Code it as numbers")


def test_objects_that_are_numbers():
    data = make_data()
    values = data["x1"].round(3)
    expected = read_moments(TABLE, data.assign(x1=values), cluster="school").moments
    decimals = data.assign(x1=[Decimal(str(v)) for v in values])
    found = read_moments(TABLE, decimals, cluster="school").moments
    np.testing.assert_allclose(found.within, expected.within)
    with_none = data.assign(x1=[None, *values[1:]]).astype({"x1": object})
    assert read_moments(TABLE, with_none, cluster="school").n_rows_dropped == 1


def test_infinite_values():
    data = make_data()
    data.loc[["row3", "row8"], "x1"] = [np.inf, -np.inf]
    fails(data, "'x1' has 2 infinite value(s); rows 'row3', 'row8' (index labels)", "(NaN)")
    data = make_data().astype({"x1": "Float64"})
    data.loc["row3", "x1"] = np.inf
    fails(data, "'x1' has 1 infinite value(s); row 'row3'")


def test_huge_values():
    data = make_data()
    fails(data.assign(x1=data.x1 * 1e300), "'x1' are too large to square")


def test_missing_values_as_an_error():
    data = make_data()
    data.loc[["row3", "row8"], "x1"] = np.nan
    data.loc["row9", "w1"] = np.nan
    fails(
        data,
        "missing values in 'x1' (2), 'w1' (1); rows 'row3', 'row8', 'row9' (index labels)",
        'missing="listwise"',
        missing="error",
    )
    nullable = make_data().astype({"x1": "Float64"})
    nullable.loc["row5", "x1"] = pd.NA
    fails(nullable, "'x1' (1); row 'row5'", missing="error")


def test_no_row_left():
    data = make_data()
    data.loc[data.index[::2], "x1"] = np.nan
    data.loc[data.index[1::2], "y"] = np.nan
    fails(
        data, "no row is left: each of the 100 rows", "'y' (50), 'x1' (50)", 'missing="fiml" uses'
    )


@pytest.mark.parametrize("kind", ["str", object, "category", "string[pyarrow]"])
def test_missing_ids(kind):
    data = make_data().astype({"school": kind})
    data.loc[["row3", "row8"], "school"] = None
    data.loc["row8", "y"] = np.nan
    fails(data, "cluster column 'school' has 2 missing id(s); rows 'row3', 'row8'", "dropna")


@pytest.mark.parametrize("kind", ["float64", "Int64", "datetime64[ns]"])
def test_missing_numeric_ids(kind):
    data = make_data()
    data["school"] = pd.Series(data["school"].str[1:].astype(int)).astype(kind)
    data.loc["row3", "school"] = None
    fails(data, "has 1 missing id(s); row 'row3' (index labels)")


def test_ids_that_cannot_be_ids():
    fails(make_data().assign(school=[[1]] * 100), "values that cannot be ids", "[1]")


def test_labels_of_a_multiindex():
    data = make_data()
    data.index = pd.MultiIndex.from_product([["a", "b"], range(50)])
    data.iloc[51, data.columns.get_loc("x1")] = np.inf
    fails(data, "row ('b', 1) (index labels)")


def test_options():
    data = make_data()
    bad = OptionValueError
    fails(data, 'must be "listwise", "error" or "fiml", not \'em\'', missing="em", error=bad)
    fails(data, "Did you mean 'listwise'?", missing="listwize", error=bad)
    fails(data, "cluster must be the name of one column", cluster=["school", "y"], error=bad)
    fails(data, "two levels needs the column of cluster ids", cluster=None)
    fails(data, "'w1' is the cluster column and a variable", cluster="w1")


def test_center():
    data = make_data()
    bad = OptionValueError
    fails(data, "center must map variables", center="x1", error=bad)
    fails(data, "center['x1'] must be", "Did you mean 'grand'?", center={"x1": "gramd"}, error=bad)
    fails(data, "'w1' cannot be centred at its cluster means", center={"w1": "cluster"})
    fails(data, "'X1', which is not a column", "Did you mean 'x1'?", center={"X1": "grand"})
    fails(data.assign(z=1), "'z', which the model does not use", center={"z": "grand"})
    fails(data, "has a part at both levels", center={"y": "cluster"})
    products = make_table(("y", "x1 x1:w1"), ("y", ""), ["x1:w1"])
    fails(data, "products are formed after centring", center={"x1:w1": "grand"}, table=products)
    one = make_table(("y", "x1"))
    fails(data, "without clusters", center={"x1": "cluster"}, table=one, cluster=None)
    one = make_table(("y", "w1"))
    fails(data, "does not vary within clusters", center={"w1": "cluster"}, table=one)


def test_level_two_variable_that_varies():
    data = make_data()
    data.loc[["row12", "row33"], "w1"] += 0.5
    fails(
        data,
        "'w1' is named at level 2 only, but varies within 2 clusters: 's1', 's3'.",
        'mlsem.cluster_means(data, "w1", cluster)',
    )
    fails(data.sample(frac=1, random_state=0), "2 clusters")
    fails(data, "2 clusters: 's1', 's3'", chunk_rows=5)


def test_level_one_variable_that_never_varies():
    table = make_table(("y", "x1 w1"), ("y", "w2"))
    fails(make_data(), "'w1' is named at level 1 but does not vary within any cluster", table=table)
    table = make_table(("y", "w1"), ("y w1", "w2"))
    fails(make_data(), "'w1' is named at both levels", "Name it at level 2 only", table=table)


@pytest.mark.parametrize("value", [0.0, 0.1, 3, 1e9 + 0.1])
@pytest.mark.parametrize("name", ["y", "x1", "w1"])
def test_constant(name, value):
    data = make_data()
    data[name] = value
    fails(data, f"'{name}' is constant in the 100 rows used. Leave it out")


def test_collinear_covariates():
    data = make_data()
    fails(
        data.assign(x3=2 * data.x1 - data.x2 + 5),
        "the covariates 'x1', 'x2', 'x3' at level 1 are collinear: 'x3' is a linear combination",
        table=make_table(("y", "x1 x2 x3"), ("y", "w1")),
    )
    fails(
        data.assign(w3=3 - data.w1),
        "the covariates 'w1', 'w3' at level 2 are collinear",
        table=make_table(("y", "x1"), ("y", "w1 w2 w3")),
    )
    fails(
        data.assign(x3=data.x1),
        "'x1', 'x3' at level 1",
        table=make_table(("y", "x1 x3")),
        cluster=None,
    )


def test_covariates_that_differ_between_clusters_only_are_not_collinear():
    data = make_data()
    table = make_table(("y", "x1 x3"), ("y", ""))
    record = read_moments(table, data.assign(x3=data.x1 + data.w1), cluster="school")
    assert record.moments.n_rows == 100


def test_near_collinear_by_product_of_far_factors_is_no_error():
    data = make_data()
    data["x1"] += 1e7
    table = make_table(("y", "x1 w1 w1:x1"), products=["w1:x1"])
    assert read_moments(table, data).moments.n_rows == 100


def test_more_level_two_covariates_than_clusters():
    fails(
        make_data(clusters=2),
        "2 clusters cannot carry the 2 covariates 'w1', 'w2' and an intercept at level 2",
    )


def test_modelled_variables_that_add_up():
    data = make_data()
    data["y2"], data["y3"] = data.x2, data.y + data.x2
    items = make_table(("y y2 y3", "x1"), ("y y2 y3", "w1"))
    fails(data, "'y3' is a linear combination of 'y', 'y2' within clusters", table=items)
    one = make_table(("y y2 y3", "x1"))
    fails(data, "'y3' is a linear combination of 'y', 'y2': their", table=one, cluster=None)
    outcome = make_table(("y3", "x2"), ("y3 w1 z", "w2"))
    fails(data.assign(z=data.w1 + data.w2), "'z' is a linear combination", table=outcome)


def test_one_cluster_and_clusters_of_one():
    data = make_data()
    fails(data.assign(school="A"), "all 100 rows are in one cluster of 'school' ('A')")
    fails(data.assign(school="A"), "one cluster", table=make_table(("y", "x1")))
    fails(data.assign(school=range(100)), "every cluster of 'school' has one row")


def test_fewer_rows_than_parameters():
    names = [f"p{i}" for i in range(1001)]
    table = make_table(("y", "x1"), ("y", "w1"), names=names)
    fails(make_data(), "the model has 1001 free parameters but only 100 rows of", table=table)


def test_dependent_columns():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(50, 4))
    a[:, 2] = a[:, 0]
    cross = a.T @ a
    assert dependent(cross, range(4)) == [2, 0]
    assert dependent(cross, range(3, 4)) == []
    assert dependent(np.diag([1e-20, 1e20, 1.0]), range(3)) == []


def test_no_message_has_the_words_of_numpy():
    data = make_data().assign(school=np.repeat(np.arange(10), 10))
    data.loc["row3", "w1"] = 9.0
    with pytest.raises(DataError) as caught:
        read_moments(TABLE, data, cluster="school")
    assert not re.search(r"np\.|int64|array", str(caught.value))


# --- what may not be meant ------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [["", "  "], [" ", None]])
def test_blank_ids_are_missing(ids):
    data = make_data()
    data.loc[["row3", "row8"], "school"] = ids
    fails(data, "2 missing id(s), blank ones among them; rows 'row3', 'row8'", "str.strip()")
    data["pupil"] = np.arange(100)
    fails(data, "missing or blank ids in rows 'row3', 'row8'", cluster="pupil", se_cluster="school",
          table=make_table(("y", "x1")))  # fmt: skip


@pytest.mark.parametrize(
    ("values", "code", "told"),
    [
        (lambda rng: rng.normal(size=100), -999.0, True),
        (lambda rng: rng.integers(1, 6, 100), -9, True),
        (lambda rng: rng.integers(1, 6, 100), 9, False),  # a scale may go on to 9
        (lambda rng: rng.integers(0, 2, 100), 99, True),
        (lambda rng: rng.integers(0, 101, 100), 99, False),
        (lambda rng: rng.uniform(0, 5e4, 100), -99, True),  # no other value is negative
        (lambda rng: 900 + 30 * rng.normal(size=100), 999, False),
        (lambda rng: rng.integers(-12, 8, 100), -9, False),  # degrees
    ],
)
def test_codes_of_missing_values_are_named(values, code, told):
    data = make_data()
    data["x1"] = values(np.random.default_rng(4))
    data.loc[data.index[:5], "x1"] = code
    notes = read_moments(TABLE, data, cluster="school").notes
    assert len(notes) == told
    if told:
        assert notes[0].startswith(f"'x1' is {code:g} in 5 of 100 rows, far from")
        assert f"data.replace({{'x1': {{{code:g}: float('nan')}}}})" in notes[0]


def test_one_such_number_is_no_code():
    data = make_data()
    data.loc["row7", "x1"] = -999.0
    assert not read_moments(TABLE, data, cluster="school").notes


def test_codes_in_rows_that_are_left_out_do_not_count():
    data = make_data()
    data.loc[data.index[:5], ["x1", "y"]] = -999.0, np.nan
    (note,) = read_moments(TABLE, data, cluster="school").notes
    assert "-999" not in note


SPLIT = make_table(("y x1", "x2"), ("y x1", "w1"))


def test_a_variable_centred_within_clusters_has_no_part_between():
    data = make_data()
    data["x1"] += 1e4 - data.groupby("school")["x1"].transform("mean")
    fails(data, "'x1' is named at both levels, but its mean is the same in every cluster",
          "Name it at level 1 only", table=SPLIT)  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, -3.0])
def test_the_cluster_means_of_an_outcome_do_not_predict_it(scale):
    data = make_data()
    data["w1"] = 2.0 + scale * data.groupby("school")["y"].transform("mean")
    with pytest.raises(DataError, match=r"'w1' is the cluster mean of 'y' .* predicts 'y'"):
        mlsem.fit("level: 1\n y ~ x1\nlevel: 2\n y ~ w1 + w2", data, "school")
    assert mlsem.fit("y ~ x1 + w1", data, cluster="school", se="none").converged
    with pytest.warns(mlsem.EstimationWarning, match="singular"):
        kept = mlsem.lmm("y ~ x1 + w1 + (1 | school)", data)
    assert any("'w1' is the cluster mean of 'y'" in note for note in kept.notes)


def test_a_model_of_one_level_says_so():
    data = make_data()
    text = str(mlsem.fit("y ~ x1", data, cluster="school", se="CR2").summary())
    assert "the model has one level" in " ".join(text.split())
    assert "'level: 1' and 'level: 2'" in " ".join(text.split())
    assert not mlsem.fit("y ~ x1", data).notes


@pytest.mark.filterwarnings(  # pandas 2.1 says so of the signaling one
    "ignore:.*is_decimal_na:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (10**400, "A double holds numbers up to 1.8e308"),
        (10**5000, "a int' in row 2 .*A double holds"),
        (Fraction(10**400, 3), "A double holds"),
        (Decimal("sNaN"), "'sNaN' in row 2 .*Code it as numbers"),
        (np.timedelta64(1, "s"), "in row 2 .*Code it as numbers"),
    ],
    ids=["int", "long int", "fraction", "signaling", "duration"],
)
def test_numbers_that_are_no_doubles(cell, words):
    values = [0.5, Fraction(1, 3), cell, Decimal("2.5"), True, None, 7, 1.0]
    frame = pd.DataFrame({"y": pd.Series(values, dtype=object), "x": np.arange(8.0) ** 2})
    with pytest.raises(DataError, match=f"column 'y' is not numeric.*{words}"):
        mlsem.fit("y ~ x", frame)
    fit = mlsem.fit("y ~ x", frame.drop(index=2), missing="listwise")
    assert fit.n_obs == 6


def test_ids_that_cannot_be_compared():
    frame = pd.DataFrame({"y": np.arange(8.0) ** 2, "x": np.sin(np.arange(8.0))})
    frame["id"] = pd.Series([[k // 2] for k in range(8)], dtype=object)
    with pytest.raises(DataError, match=r"cluster column 'id' holds values that cannot be ids"):
        mlsem.fit("y ~ x", frame, cluster="id")
    with pytest.raises(DataError, match=r"se_cluster column 'id' holds values that .*unhashable"):
        mlsem.fit("y ~ x", frame, se_cluster="id")


@pytest.mark.parametrize("kind", [np.float16, lambda value: f"\ud800{value}"])
def test_ids_come_back_whatever_they_are(kind):
    frame = pd.DataFrame({"y": np.arange(40.0) % 7, "x": np.sin(np.arange(40.0))})
    ids = [kind(k // 4) for k in range(40)]
    frame["id"] = np.array(ids) if kind is np.float16 else pd.Series(ids, dtype=object)
    options = {"cluster": "id", "bounds": "pos.var", "se": "none"}
    fit = mlsem.fit("level: 1\n y ~ x\nlevel: 2\n y ~ 1", frame, **options)
    assert list(fit.scores().index) == list(dict.fromkeys(ids))
    assert list(fit.random_effects().index) == list(dict.fromkeys(ids))
