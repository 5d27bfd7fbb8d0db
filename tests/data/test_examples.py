"""The data sets that come with the package are what is said of them, and as they are made."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.table.examples import EXAMPLES, MORE_MODELS
from mlsem.data.table.fay import hadamard
from mlsem.errors import MlsemWarning, OptionValueError

ROOT = Path(__file__).parents[2]
MADE = [name for name, each in EXAMPLES.items() if "make_" in each.source]


def _making(script: str) -> Any:
    spec = importlib.util.spec_from_file_location("making", ROOT / script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["making"] = module  # where its dataclasses look their annotations up
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
        start, end = re.search(r"\d*$", first), re.match(r"\D*(\d+)(.*)", last)
        numbers = range(int(start[0]), int(end[1]) + 1) if dash and start and end else ()
        named |= {f"{first[: start.start()]}{k}{end[2]}" for k in numbers} or {first}
    assert named == {*data.columns}
    assert said.source
    assert f'"{name}": {said.about}' in (mlsem.load_example.__doc__ or "")


@pytest.mark.parametrize("name", [*EXAMPLES, *MORE_MODELS])
def test_their_models_fit(name: str) -> None:
    data_name = name if name in EXAMPLES else name.partition("_")[0]
    data, said = mlsem.load_example(data_name), EXAMPLES[data_name]
    how: dict[str, Any] = {"missing": "fiml.x"} if data.isna().any(axis=None) else {}
    how |= {"group": "country"} if name == "invariance" else {}
    fitter: Any = mlsem.growth if said.cluster is None else mlsem.fit
    if name == "assessment":
        fitter, how = mlsem.fit_many, {"plausible": {"math": "PV{}MATH"}, "missing": "listwise"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "12 clusters|20 clusters", MlsemWarning)
        fit = fitter(mlsem.example_model(name), data, said.cluster, **how)
    assert all(each.converged for each in getattr(fit, "fits", [fit]))


def test_growth_is_one_model_in_two_shapes() -> None:
    long = mlsem.fit(mlsem.example_model("growth"), mlsem.load_example("growth"), "pupil")
    wide = mlsem.growth(mlsem.example_model("growth_wide"), mlsem.load_example("growth_wide"))
    assert long.loglik == pytest.approx(wide.loglik, abs=1e-8)
    assert long.params["s~programme.l2"] == pytest.approx(wide.params["slope~programme"], rel=1e-6)


@pytest.mark.parametrize("name", MADE)
def test_they_are_made_by_the_script(name: str) -> None:
    making = _making(EXAMPLES[name].source.removeprefix("simulated: "))
    made, found = making.MADE[name]().round(making.DECIMALS), mlsem.load_example(name)
    found = found[[each for each in found.columns if not each.startswith("W_FSTURWT")]]
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
            limit = 600_000 if name == "assessment" else 60_000
            assert (ROOT / "examples" / f"{name}.csv").stat().st_size < limit
            assert each.model == name
    table = mlsem.examples()
    assert [*table.index] == [*EXAMPLES]
    assert table.loc["trial", "clusters"] == 12


def test_other_names_are_answered() -> None:
    with pytest.raises(OptionValueError, match=r"no example 'trail'; .* Did you mean 'trial'"):
        mlsem.load_example("trail")
    with pytest.raises(OptionValueError, match=r"no example 'mediation_21'; .*'mediation_211'"):
        mlsem.example_model("mediation_21")


def test_replicate_weights_are_fays() -> None:
    """H is balanced; in each zone one school counts for half as much again and the other for half,
    and differences between zones' schools have the variance that they have."""
    H = hadamard(79)
    np.testing.assert_array_equal(H @ H.T, 80 * np.eye(80))
    data = mlsem.load_example("assessment")
    weights = data[[f"W_FSTURWT{r}" for r in range(1, 81)]].to_numpy()
    factors = pd.DataFrame((weights / data[["W_FSTUWT"]].to_numpy()).round(9))
    assert set(np.unique(factors)) == {0.5, 1.5}
    by_school = factors.groupby(data["CNTSCHID"]).agg(["min", "max"])
    np.testing.assert_array_equal(by_school.to_numpy()[:, ::2], by_school.to_numpy()[:, 1::2])
    one, other = (data["W_FSTUWT"] * data["PV1MATH"] * (data["UNIT"] == k) for k in (1, 2))
    zones = (one - other).groupby(data["WVARSTRR"]).sum()
    totals = weights.T @ data["PV1MATH"].to_numpy()
    total = data["W_FSTUWT"] @ data["PV1MATH"]
    assert ((totals - total) ** 2).sum() / (80 * 0.25) == pytest.approx((zones**2).sum(), rel=1e-9)
