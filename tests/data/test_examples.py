"""The data sets that come with the package are what is said of them, and as they are made."""

from __future__ import annotations

import importlib.util
import re
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.table.examples import EXAMPLES, MORE_MODELS
from mlsem.errors import MlsemWarning, OptionValueError

ROOT = Path(__file__).parents[2]
MADE = [name for name, each in EXAMPLES.items() if "make_data" in each.source]


def _making() -> Any:
    spec = importlib.util.spec_from_file_location("make_data", ROOT / "examples" / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", EXAMPLES)
def test_they_are_what_is_said(name: str) -> None:
    data, said = mlsem.load_example(name), EXAMPLES[name]
    assert len(data) == said.rows
    assert said.clusters == (len(data) if said.cluster is None else data[said.cluster].nunique())
    parts = [part.partition("-") for part in said.columns.split(", ")]
    named = {said.cluster} if said.cluster else set()
    for first, dash, last in parts:
        stem = re.match(r"\D*", first)
        assert stem is not None
        numbers = range(int(first[stem.end() :]), int(last[stem.end() :]) + 1) if dash else ()
        named |= {f"{stem[0]}{number}" for number in numbers} or {first}
    assert named == {*data.columns}
    assert said.source
    assert f'"{name}": {said.about}' in (mlsem.load_example.__doc__ or "")


@pytest.mark.parametrize("name", [*EXAMPLES, *MORE_MODELS])
def test_their_models_fit(name: str) -> None:
    data_name = name if name in EXAMPLES else name.partition("_")[0]
    data, said = mlsem.load_example(data_name), EXAMPLES[data_name]
    how: dict[str, Any] = {"missing": "fiml.x"} if data.isna().any(axis=None) else {}
    how |= {"group": "country"} if name == "invariance" else {}
    fitter = mlsem.growth if said.cluster is None else mlsem.fit
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "12 clusters|20 clusters", MlsemWarning)
        fit = fitter(mlsem.example_model(name), data, said.cluster, **how)
    assert fit.converged


def test_growth_is_one_model_in_two_shapes() -> None:
    long = mlsem.fit(mlsem.example_model("growth"), mlsem.load_example("growth"), "pupil")
    wide = mlsem.growth(mlsem.example_model("growth_wide"), mlsem.load_example("growth_wide"))
    assert long.loglik == pytest.approx(wide.loglik, abs=1e-8)
    assert long.params["s~programme.l2"] == pytest.approx(wide.params["slope~programme"], rel=1e-6)


@pytest.mark.parametrize(
    "name", [name for name, each in EXAMPLES.items() if "make_" in each.source]
)
def test_they_are_made_by_the_script(name: str) -> None:
    making = _making()
    made, found = making.MADE[name]().round(making.DECIMALS), mlsem.load_example(name)
    assert [*made.columns] == [*found.columns]
    for column in made.columns:
        if pd.api.types.is_numeric_dtype(made[column]):
            np.testing.assert_allclose(made[column], found[column], atol=1.1e-3, err_msg=column)
        else:
            assert made[column].tolist() == found[column].tolist()


def test_small_and_packed_and_listed() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    packed = wheel["targets"]["wheel"]["force-include"]
    files = [f"examples/{name}.csv" for name in EXAMPLES]
    models = [each.model for each in EXAMPLES.values()]
    files += [f"examples/{model}.lav" for model in (*models, *MORE_MODELS.values())]
    assert {file: f"mlsem/{file}" for file in files}.items() <= packed.items()
    for name, each in EXAMPLES.items():
        if name in MADE:
            assert (ROOT / "examples" / f"{name}.csv").stat().st_size < 60_000
            assert each.model == name
    table = mlsem.examples()
    assert [*table.index] == [*EXAMPLES]
    assert table.loc["trial", "clusters"] == 12


def test_other_names_are_answered() -> None:
    with pytest.raises(OptionValueError, match=r"no example 'trail'; .* Did you mean 'trial'"):
        mlsem.load_example("trail")
    with pytest.raises(OptionValueError, match=r"no example 'mediation_21'; .*'mediation_211'"):
        mlsem.example_model("mediation_21")
