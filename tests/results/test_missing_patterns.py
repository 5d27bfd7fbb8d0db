"""What is missing, by level, against pandas; and that it prints and draws."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from small import DATA, FACTORS

import mlsem
from mlsem.errors import DataError, OptionError, OptionValueError


def lacking():
    """Gaps by row in y1, y2 and x1; by cluster in y3 and w1, the latter also in single rows."""
    data = DATA.reset_index(drop=True)
    data.loc[data.index % 5 == 1, "y1"] = np.nan
    data.loc[data.index % 7 == 2, ["y1", "y2"]] = np.nan
    data.loc[data.index % 11 == 3, "x1"] = np.nan
    data.loc[data["id"] % 6 == 4, "y3"] = np.nan
    data.loc[data["id"] % 5 == 2, "w1"] = np.nan
    data.loc[data.groupby("id").cumcount() == 1, "w1"] = np.nan
    return data


LACKING = lacking()
FOUND = mlsem.missing_patterns(LACKING, FACTORS, "id")


def test_patterns_and_coverage_of_rows():
    names = ["y1", "y2", "y3", "x1"]
    seen = LACKING[names].notna()
    assert FOUND.levels[0].variables == tuple(names)
    counts = seen.value_counts()
    frame = FOUND.patterns()
    assert frame.index.name == "rows"
    assert frame.index.tolist() == sorted(counts, reverse=True)
    for count, row in zip(frame.index, frame.to_numpy(), strict=True):
        assert counts[tuple(row)] == count
    values = seen.to_numpy(dtype=float)
    np.testing.assert_allclose(FOUND.coverage(), values.T @ values / len(seen), atol=1e-15)
    assert FOUND.n_complete == LACKING[[*names, "w1"]].notna().all(axis=1).sum()


def test_variables_of_level_2_count_by_cluster():
    clusters = LACKING.groupby("id", sort=False)["w1"].count()
    assert FOUND.levels[1].variables == ("w1",)
    without = int((clusters == 0).sum())
    assert FOUND.patterns(2).index.tolist() == [40 - without, without]
    assert FOUND.variables.loc["w1"].tolist() == [2, without, without / 40, without]
    assert FOUND.clusters.index.tolist() == clusters.index.tolist()
    assert FOUND.clusters["w1"].tolist() == (clusters == 0).astype(float).tolist()
    expected = LACKING["y1"].isna().groupby(LACKING["id"], sort=False).mean()
    np.testing.assert_allclose(FOUND.clusters["y1"], expected)


def test_without_a_model_the_data_say_the_level():
    found = mlsem.missing_patterns(LACKING.assign(text="a"), cluster="id")
    assert found.levels[0].variables == ("x1", "v", "y1", "y2", "y3")
    assert found.levels[1].variables == ("w1", "z")
    alone = mlsem.missing_patterns(LACKING, variables=["y1", "w1"])
    assert [level.variables for level in alone.levels] == [("y1", "w1")]
    assert "level" not in str(alone)
    with pytest.raises(OptionValueError, match='no clusters: pass cluster="…"'):
        _ = alone.clusters
    with pytest.raises(OptionValueError, match=r"level=2: there are variables of the levels '1'"):
        alone.patterns(2)


@pytest.mark.parametrize("options", [{}, {"fixed_x": False}, {"missing": "fiml.x"}])
def test_rows_that_a_fit_uses(options):
    found = mlsem.missing_patterns(LACKING, FACTORS, "id", **options)
    filled = LACKING.assign(w1=LACKING.groupby("id")["w1"].transform("first"))
    used = len(LACKING) if options else filled[["x1", "w1"]].notna().all(axis=1).sum()
    assert found.used is not None
    assert found.used.fiml == used
    assert found.used.listwise == found.n_complete
    assert bool(found.used.notes) == (not options)


def test_it_says_what_to_know():
    said = " ".join(str(FOUND).split())
    assert 'Rows used with missing="fiml"' in said
    assert re.search(r"wholly missing in some clusters: .*'y3'.* \(see \.clusters\)", said)
    assert "a fixed covariate of level 2 is missing: 'w1'" in said
    assert "<div" in FOUND._repr_html_()
    halves = LACKING.assign(y2=LACKING["y2"].where(LACKING["y1"].isna()))
    said = " ".join(str(mlsem.missing_patterns(halves, variables=["y1", "y2"])).split())
    assert "never observed in the same row: 'y1' with 'y2'" in said


def test_many_patterns_and_variables_are_cut():
    rng = np.random.default_rng(0)
    names = [f"a long name number {k}" for k in range(12)]
    data = pd.DataFrame(np.where(rng.random((300, 12)) < 0.3, np.nan, 1.0), columns=names)
    text = str(mlsem.missing_patterns(data))
    assert "5 more variables in patterns()" in " ".join(text.split())
    assert max(map(len, text.splitlines())) < 130


def test_complete_data():
    found = mlsem.missing_patterns(DATA, FACTORS, "id")
    assert found.n_complete == found.n_rows == found.used.fiml
    assert "Variables with" not in str(found)
    assert found.notes == ()


@pytest.mark.parametrize("kind", ["patterns", "clusters"])
def test_figures(kind, tmp_path):
    figure = FOUND.plot(kind)
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "missing.png", dpi=40)
    if kind == "patterns":
        first, second = figure.axes
        assert [tick.get_text() for tick in first.get_yticklabels()] == [
            str(count) for count in FOUND.patterns().index
        ]
        assert [tick.get_text() for tick in second.get_xticklabels()] == ["w1"]
    else:
        tiles = figure.axes[0].images[0].get_array()
        np.testing.assert_allclose(tiles.sum(), FOUND.clusters.to_numpy().sum())
        assert (np.diff(tiles.sum(axis=1)) <= 1e-12).all()


def test_what_is_asked_wrongly():
    with pytest.raises(OptionValueError, match='"patterns" or "clusters"'):
        FOUND.plot("bars")  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionValueError, match="leave variables= out"):
        mlsem.missing_patterns(DATA, FACTORS, "id", variables="y1")
    with pytest.raises(OptionError, match="fixed_x= is of a model"):
        mlsem.missing_patterns(DATA, fixed_x=False)
    with pytest.raises(OptionError, match="Unknown option"):
        mlsem.missing_patterns(DATA, FACTORS, "id", std=True)
    with pytest.raises(DataError, match="needs the column of cluster ids"):
        mlsem.missing_patterns(DATA, FACTORS)
    with pytest.raises(DataError, match="'y9', which is not a column"):
        mlsem.missing_patterns(DATA, variables=["y9"])
    with pytest.raises(DataError, match="no numeric columns"):
        mlsem.missing_patterns(pd.DataFrame({"a": ["x"]}))
