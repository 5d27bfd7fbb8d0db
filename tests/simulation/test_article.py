"""The article's simulation, draw by draw, against its published numbers."""

from __future__ import annotations

import numpy as np
import pytest

import mlsem
from mlsem.cli.main import main
from mlsem.simulation.article import study as module
from mlsem.simulation.article.data import article_data
from mlsem.simulation.article.published import RI_ML, RI_MLR, RI_REML, RS_REML
from mlsem.simulation.article.study import ArticleStudy, article_study
from mlsem.simulation.draw.rstream import RStream

# of scores at lavaan's estimates, computed in R without mlsem
EXACT_MLR_SE = (0.147033280, 0.144888562, 0.082002150, 0.080658627)
EXACT_MLR_BIAS = (-0.047240725, -0.031479359, -0.064179434, -0.067225497)


def measured(found: ArticleStudy, method: str, measure: str) -> np.ndarray:
    [each] = [each for each in found.study.methods if each.name == method]
    return module._values(found.study, each, measure)


@pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")
def test_replications_are_fits_of_the_stream():
    found = article_study(3, progress=False)
    stream = RStream(module.SEED)
    for row in range(3):
        fit = mlsem.fit(mlsem.example_model("article"), article_data(stream), cluster="id")
        for name, robust in ((RI_ML, fit), (RI_MLR, fit.with_se("MLR"))):
            [each] = [each for each in found.study.methods if each.name == name]
            places = [each.parameters.index(name) for name in module.NAMES.values()]
            np.testing.assert_allclose(each.est[row, places], robust.params[list(module.NAMES)])
            np.testing.assert_allclose(each.se[row, places], robust.bse[list(module.NAMES)])


def test_the_command(capsys, tmp_path):
    file = tmp_path / "study.jsonl"
    arguments = ["study", "article", "--replications", "4", "--out", str(file)]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert "RI, ML: w1:x1" in first
    assert "the first 4 replications" in " ".join(first.split())
    assert main(arguments) == 0  # now from the file
    assert capsys.readouterr().out == first
    assert main(["study", "article", "--replications", "0"]) == 2
    assert "replications=0" in capsys.readouterr().err


def test_html():
    assert "RI, CR2" in article_study(2, progress=False)._repr_html_()


@pytest.mark.slow
def test_the_published_table():
    """lavaan's optimiser stops short of the optimum, by up to 2e-6 in the mean."""
    found = article_study(progress=False)
    assert np.abs(found.differences("mean")[RI_ML]).max() < 5e-6
    assert np.abs(found.differences("mean_se")[RI_ML]).max() < 1e-6
    assert np.abs(found.differences("se_bias")[RI_ML]).max() < 1e-5
    np.testing.assert_allclose(measured(found, RI_MLR, "mean_se"), EXACT_MLR_SE, atol=5e-9)
    np.testing.assert_allclose(measured(found, RI_MLR, "se_bias"), EXACT_MLR_BIAS, atol=5e-7)
    assert np.abs(found.differences("mean_se")[RI_MLR]).max() < 1e-4
    for name in (RI_REML, RS_REML):
        assert np.abs(found.differences("mean")[name]).max() < 1e-6
        assert np.abs(found.differences("mean_se")[name]).max() < 1e-6
        assert np.abs(found.differences("se_bias")[name]).max() < 1e-5
