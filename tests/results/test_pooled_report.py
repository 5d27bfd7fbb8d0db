"""The report of a pooled result."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import MlsemError, OptionValueError

FOLDER = Path(__file__).parents[1] / "reference" / "surveys"
MODEL = "level: 1; y3 ~ x1; level: 2; y3 ~ w1"


SECTIONS = ("overview", "data", "estimates", "imputations", "fit", "notes", "session")


@cache
def imputed() -> tuple[pd.DataFrame, ...]:
    long = pd.read_csv(FOLDER / "imputed.csv")
    return tuple(part.drop(columns="imp") for _, part in long.groupby("imp"))


@cache
def pooled() -> mlsem.PooledResult:
    return mlsem.fit_many(MODEL, list(imputed()), cluster="id")


def text_of(html: str) -> str:
    bare = re.sub(r"<(style|script|svg).*?</\1>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare)))


def test_all_sections_are_there_with_the_pooled_numbers() -> None:
    found = text_of(pooled().report(labels={"x1": "income"}, sections=SECTIONS).html)
    assert "not available" not in found
    assert "could not be made" not in found
    row = pooled().parameter_estimates().iloc[0]
    assert f"y3 ~ income Regression {row['est']:.3f} {row['se']:.3f}" in found
    fmi, riv = pooled().fmi["y3~x1"], pooled().riv["y3~x1"]
    assert f"y3 ~ income (y3~x1) {riv:.3f} {fmi:.3f}" in found
    needed = int(np.ceil(100 * pooled().fmi.max()))
    assert "5 data sets are few for what is missing." in found
    assert f"White, Royston & Wood (2011) {needed} data sets would do" in found
    measures = pooled().fit_measures()
    assert f"CFI {measures['cfi']:.3f}" in found
    assert "Number of data sets 5" in found


def test_the_call_in_it_repeats_the_fits() -> None:
    html = unescape(pooled().report(sections=["model"]).html)
    call = re.search(r"fits = \[\n.*?mlsem\.pool\(.*?\)", html, re.S)
    assert call is not None
    lines, last = call[0].rsplit("\n", 1)
    names = {"mlsem": mlsem, "sets": imputed(), "model": MODEL}
    exec(lines, names)
    again = eval(last, names)
    np.testing.assert_allclose(again.estimates, pooled().estimates, rtol=1e-7)  # other starts
    np.testing.assert_allclose(again.df, pooled().df, rtol=1e-6)


def test_what_there_is_no_rule_for_is_a_sentence() -> None:
    robust = pooled().with_se("CR2")
    found = text_of(robust.report(sections=["fit", "imputations"]).html)
    assert "no rule that pools scaled tests of fit" in found
    mixed = mlsem.fit_many("y3 ~ x1*w1 + (1 | id)", list(imputed()))
    assert "Fixed effects" in text_of(mixed.report(sections=["estimates"]).html)


def test_files_titles_and_sections(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    pooled().report(path, title="A title", sections=["notes"])
    assert "<title>A title</title>" in path.read_text("utf-8")
    with pytest.raises(MlsemError, match="overwrite"):
        pooled().report(path, sections=["notes"])
    with pytest.raises(OptionValueError, match="'random' is none of"):
        pooled().report(sections=["random"])  # type: ignore[list-item]
    with pytest.raises(OptionValueError, match="title=''"):
        pooled().report(title="")
    with pytest.raises(OptionValueError, match="no variable 'x9'"):
        pooled().report(labels={"x9": "nothing"})
