"""Series of results are the user's: changing one changes nothing of the fit."""

from __future__ import annotations

import pytest
from kinds import KINDS, UNBALANCED, make_data

import mlsem


@pytest.mark.parametrize("name", ["params", "bse", "tvalues", "pvalues"])
@pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning", "ignore::mlsem.EstimationWarning")
def test_series_can_be_changed(name):
    kind = KINDS["observed"]
    fit = mlsem.fit(kind.text, make_data(1, UNBALANCED), cluster="id", se="MLR")
    before, series = getattr(fit, name).tolist(), getattr(fit, name)
    series.iloc[0] = 17.0
    assert series.iloc[0] == 17.0
    assert getattr(fit, name).tolist() == before
