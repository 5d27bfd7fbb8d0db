"""Moments by replicate weights in one pass: to rounding those of frames with these weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER

import mlsem
import mlsem.data.moments.reweighted as module
from mlsem.data.moments.aggregate import read_moments
from mlsem.data.moments.reweighted import reweighted
from mlsem.data.table.replication import replication
from mlsem.data.table.sampling import Sampling, WeightColumns
from mlsem.model.defaults import specify
from mlsem.model.options import model_options
from mlsem.syntax.parse import parse

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*replicate weights add up:mlsem.errors.DataWarning"
)
TWO_LEVEL = "level: 1; pv1math ~ ses + private:ses; level: 2; pv1math ~ private"
WEIGHTS = {
    "totals": WeightColumns("w_stu", None, "w_sch"),
    "within": WeightColumns(None, "inner", "w_sch"),
    "rows alone": WeightColumns(None, "inner", None),
    "clusters": WeightColumns(None, None, "w_sch"),
}
METHODS = {
    "Fay": mlsem.Fay("rw{}", total="w_stu"),
    "JK2": mlsem.JK2(zone="zone", rep="rep", both=True, total="w_stu"),  # leaves schools out
    "rows": mlsem.JK2(zone="zone", rep="half", total="w_stu"),  # leaves rows of schools out
}


@pytest.fixture(scope="module")
def pupils() -> pd.DataFrame:
    """In no order of schools, some without an outcome."""
    data = pd.read_csv(FOLDER / "surveys" / "lsa_pv.csv")
    data["inner"] = data["w_stu"] / data["w_sch"]
    data["half"] = np.arange(len(data)) % 2
    data.loc[::17, "pv1math"] = np.nan
    return data.sample(frac=1.0, random_state=1).reset_index(drop=True)


def is_as_read(text: str, data: pd.DataFrame, how: Sampling, method: Any) -> None:
    """Each replicate beside the frame with its weights; clusters that this leaves out are there
    with none."""
    table = specify(parse(text), model_options("sem"), tuple(data.columns))
    cluster = "school" if table.two_level else None
    record = read_moments(table, data, cluster=cluster, sampling=how)
    given = replication(method, data, how, cluster)
    found = reweighted(table, record, given, "listwise")
    assert found is not None
    count = 0
    for own, (frame, sampling) in zip(found, given.frames(), strict=True):
        wanted = read_moments(table, frame, cluster=cluster, sampling=sampling).moments
        there = own.weights > 0
        order = pd.Index(own.labels[there].tolist()).get_indexer(wanted.labels.tolist())
        assert there.sum() == wanted.n_clusters
        assert own.columns == wanted.columns
        means = wanted.means + (wanted.shift - own.shift)
        scale = np.sqrt(np.mean(wanted.within.sum(axis=0).diagonal())) if cluster else 1.0
        for ours, theirs, unit in (
            (own.sizes, wanted.sizes, 1.0),
            (own.weights, wanted.weights, 1.0),
            (own.means, means, scale),
            (own.within, wanted.within, scale**2),
        ):
            np.testing.assert_allclose(ours[there][order], theirs, rtol=1e-12, atol=1e-12 * unit)
        count += 1
    assert count == len(given) > 1


@pytest.mark.parametrize("scaling", ["cluster", "ecluster", "unscaled", "gk"])
def test_each_scaling(pupils: pd.DataFrame, scaling: Any) -> None:
    is_as_read(TWO_LEVEL, pupils, Sampling(WEIGHTS["totals"], scaling), METHODS["rows"])


@pytest.mark.parametrize("weights", WEIGHTS)
def test_each_kind_of_weights(pupils: pd.DataFrame, weights: str) -> None:
    is_as_read(TWO_LEVEL, pupils, Sampling(WEIGHTS[weights]), METHODS["JK2"])


def test_one_level(pupils: pd.DataFrame) -> None:
    how = Sampling(WeightColumns("w_stu"))
    is_as_read("pv1math ~ ses + girl", pupils, how, METHODS["JK2"])


def test_large_clusters_in_pieces(pupils: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 7)
    assert pupils["school"].value_counts().max() > 7
    is_as_read(TWO_LEVEL, pupils, Sampling(WEIGHTS["totals"]), METHODS["rows"])


def test_sizes_that_differ_by_rounding_are_one(pupils: pd.DataFrame) -> None:
    """Replicates of schools change no weights within them: the sizes are those of the sample."""
    data = pupils.dropna(subset=["pv1math"])
    table = specify(parse(TWO_LEVEL), model_options("sem"), tuple(data.columns))
    how = Sampling(WEIGHTS["totals"], "unscaled")
    sample = read_moments(table, data, cluster="school", sampling=how)
    given = replication(METHODS["Fay"], data, how, "school")
    found = list(reweighted(table, sample, given, "listwise") or ())
    assert len(found) == 20
    for each in found:
        np.testing.assert_array_equal(each.sizes, sample.moments.sizes)
