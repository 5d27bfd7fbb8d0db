"""R's numbers: runif and rnorm after set.seed, as R 4.2 prints them to 17 digits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlsem.errors import OptionValueError
from mlsem.simulation.article.data import article_data
from mlsem.simulation.draw.rstream import RStream

DATA = Path(__file__).parents[1] / "reference" / "data"
UNIFORM = {
    1: [0.26550866314209998, 0.37212389963679016, 0.57285336335189641, 0.90820778999477625],
    42: [0.91480604349635541, 0.93707541329786181, 0.28613953478634357, 0.83044762606732547],
    20260106: [0.077165595954284072, 0.37734121736139059, 0.40436811465770006],
    0: [0.8966972001362592, 0.26550866314209998],
    -5: [0.73459476791322231, 0.33969277143478394],
}
NORMAL = {
    1: [-0.62645381074233242, 0.18364332422208224, -0.83562861241004716, 1.5952808021377916],
    42: [1.3709584471466685, -0.56469817139608869, 0.3631284113373392, 0.63286260496104041],
    20260106: [-1.4243983793929278, -0.24205669565361532, -0.33510035848292785],
}
# the last of 1000 normals, the sum of their absolute values, and the uniform after them
LATER = {
    1: (-0.69731819940012119, 823.55928448887016, 0.8718050210736692),
    42: (-0.43321434861111391, 794.04105892608993, 0.9899655852932483),
    20260106: (-0.30961865438958958, 762.04527763079523, 0.33719915966503322),
}


@pytest.mark.parametrize("seed", UNIFORM)
def test_uniforms(seed):
    expected = UNIFORM[seed]
    np.testing.assert_array_equal(RStream(seed).uniform(len(expected)), expected)


@pytest.mark.parametrize("seed", NORMAL)
def test_normals(seed):
    expected = NORMAL[seed]
    np.testing.assert_allclose(RStream(seed).normal(len(expected)), expected, rtol=2e-15)


@pytest.mark.parametrize("seed", LATER)
def test_the_stream_goes_on(seed):
    stream = RStream(seed)
    normals = np.concatenate((stream.normal(300), stream.normal(0), stream.normal(700)))
    last, total, uniform = LATER[seed]
    assert normals[-1] == pytest.approx(last, rel=2e-15)
    assert np.abs(normals).sum() == pytest.approx(total, rel=2e-15)
    assert stream.uniform(1)[0] == uniform


@pytest.mark.parametrize("seed", [1.5, True, "1", None, 2**31])
def test_other_seeds(seed):
    with pytest.raises(OptionValueError, match=r"set\.seed"):
        RStream(seed)


@pytest.mark.parametrize(
    ("seed", "file"), [(20260106, "article_50x10_rep1.csv"), (1, "article_50x10_s1.csv")]
)
def test_the_data_of_the_article(seed, file):
    expected, found = pd.read_csv(DATA / file), article_data(seed)
    assert list(found.columns) == list(expected.columns)
    assert (found["id"] == expected["id"]).all()
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=2e-15)


def test_data_sets_follow_each_other_in_one_stream():
    stream = RStream(7)
    first, second = article_data(stream, 5, 4), article_data(stream, 5, 4, slope_variance=0.0)
    assert len(first) == len(second) == 20
    np.testing.assert_array_equal(first, article_data(7, 5, 4))
    assert not np.isin(second["x1"], first["x1"]).any()
