"""R scripts of typical styles: the translated program gives R's numbers.

`scripts.json` has what R made of each script (`make_port.R` beside it). A variable of R's is
compared with that of the Python program by what it is.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.porting.r.names import Names
from mlsem.porting.r.values import estimates_column

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "reference"
SCRIPTS = json.loads((REFERENCE / "porting" / "scripts.json").read_text("utf-8"))["scripts"]
TOLERANCE = 2e-4  # where lavaan's optimiser stops

# What is another thing here, so that it cannot be compared: why.
OTHERWISE = {
    ("05_growth.R", "linear"): "text",
    ("11_lmer.R", "u"): "a list of data frames there",
    ("16_twolevel_mediation.R", "fits"): "a mapping here",
}


def _read(name: str) -> str:
    return (HERE / "scripts" / name).read_bytes().decode("utf-8")


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_the_translated_program_gives_rs_numbers(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ported = mlsem.port(_read(name))
    for file in re.findall(r'"(\w+\.csv)"', ported.code):
        shutil.copy(REFERENCE / "data" / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        exec(compile(ported.code, name, "exec"), made)
    assert "Traceback" not in capsys.readouterr().out
    compared = 0
    for variable, theirs in SCRIPTS[name].items():
        if (name, variable) in OTHERWISE or not theirs:
            continue
        ours = made[Names().python(variable)]
        COMPARE[theirs["kind"]](ours, theirs, f"{name}: {variable}")
        compared += 1
    assert compared >= 3


def _same(ours: float, theirs: float | None, said: str, tolerance: float = TOLERANCE) -> None:
    if theirs is None:
        return
    assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance), said


def _fit(ours: Any, theirs: dict[str, Any], said: str) -> None:
    _same(ours.loglik, theirs["loglik"], said, 1e-6)
    names = set(ours.params.index)
    for name, value in theirs["params"].items():
        if name.startswith(".p"):
            continue  # a parameter that groups share has no name there
        assert name in names, f"{said} has {name}"
        _same(ours.params[name], value, f"{said}, {name}")
    for name, value in theirs.get("se", {}).items():
        if name.startswith(".p"):
            continue
        _same(ours.bse[name], value, f"{said}, SE of {name}", 5e-4)
    measures = ours.fit_measures() if "measures" in theirs else {}
    for name, value in theirs.get("measures", {}).items():
        if name.endswith(".robust") and ours.settings.missing == "fiml":
            continue  # of the saturated model's moments there
        _same(measures[name], value, f"{said}, {name}", 5e-4)
    if "singular" in theirs:
        assert ours.singular == theirs["singular"]


def _tolerance(said: str) -> float:
    """Of two levels lavaan stops early (`lavaan_tight.json` has such models to the end)."""
    return 5e-3 if "twolevel" in said else 1e-3


def _estimates(ours: pd.DataFrame, theirs: dict[str, Any], said: str) -> None:
    rows = {}
    for _, row in ours.iterrows():
        key = f"{row['lhs']}{row['op']}{row['rhs']}"
        level, group = row.get("level"), row.get("group_number", row.get("group"))
        for full in (f"{key} level {level}", f"{key} group {group}", key):
            rows.setdefault(full, row)
    found = 0
    for k, key in enumerate(theirs["keys"]):
        row = rows.get(key)
        if row is None:
            continue
        found += 1
        for column, values in theirs["columns"].items():
            named = estimates_column(column)
            if named in ours.columns and values[k] is not None and not math.isnan(row[named]):
                _same(row[named], values[k], f"{said}, {key} {column}", _tolerance(said))
    if "mi" not in theirs["columns"]:  # of fixed covariates there are none here
        assert found == len(theirs["keys"]), f"{said}: {set(theirs['keys']) - set(rows)}"


def _frame(ours: pd.DataFrame, theirs: dict[str, Any], said: str) -> None:
    assert len(ours) == theirs["rows"], said
    assert set(theirs["names"]) == set(ours.columns), said
    for name, mean in theirs["means"].items():
        _same(ours[name].mean(), mean, f"{said}, {name}")
    for name, count in theirs["missing"].items():
        assert ours[name].isna().sum() == count, f"{said}, missing in {name}"


def _numbers(ours: Any, theirs: dict[str, Any], said: str) -> None:
    values = theirs["values"] if isinstance(theirs["values"], list) else [theirs["values"]]
    if isinstance(ours, pd.Series) and set(theirs.get("names", ("",))) <= set(ours.index):
        ours = ours[theirs["names"]]
    own = np.atleast_1d(np.asarray(ours, dtype=float)).ravel()
    assert len(own) == len(values), said
    for one, other in zip(own, values, strict=True):
        _same(one, other, said, 5e-4)


def _texts(ours: Any, theirs: dict[str, Any], said: str) -> None:
    texts = theirs["values"] if isinstance(theirs["values"], list) else [theirs["values"]]
    own = [ours] if isinstance(ours, str) else list(ours)
    assert own == texts, said


def _matrix(ours: pd.DataFrame, theirs: dict[str, Any], said: str) -> None:
    values = np.asarray(theirs["values"], dtype=float)
    np.testing.assert_allclose(
        ours.to_numpy()[: len(values)], values, rtol=5e-4, atol=5e-4, err_msg=said
    )


def _test(ours: Any, theirs: dict[str, Any], said: str) -> None:
    _same(ours.statistic, theirs["statistic"], said, 1e-3)
    _same(ours.pvalue, theirs["pvalue"], said, 1e-3)
    if "df" in theirs:
        assert ours.df == theirs["df"], said
    if "df_denom" in theirs:
        _same(ours.df_denom, theirs["df_denom"], said)


def _robust(ours: Any, theirs: dict[str, Any], said: str) -> None:
    for name, value in theirs["se"].items():
        _same(ours.bse[name], value, f"{said}, {name}")


def _coefficients(ours: pd.DataFrame, theirs: dict[str, Any], said: str) -> None:
    for name, value in theirs["est"].items():
        row = ours.set_index("term").loc[name]
        _same(row["estimate"], value, said)
        _same(row["std.error"], theirs["se"][name], said)
        _same(row["p.value"], theirs["p"][name], said)


def _means(ours: Any, theirs: dict[str, Any], said: str) -> None:
    own = ours.frame
    _numbers(own["estimate"], {"values": theirs["est"]}, said)
    _numbers(own["se"], {"values": theirs["se"]}, said)
    _numbers(own["df"], {"values": theirs["df"]}, said)


def _intervals(ours: pd.DataFrame, theirs: dict[str, Any], said: str) -> None:
    for name, value in theirs["lower"].items():
        _same(ours.loc[name, "lower"], value, said)  # pyright: ignore[reportArgumentType]
        _same(ours.loc[name, "upper"], theirs["upper"][name], said)  # pyright: ignore[reportArgumentType]


COMPARE: dict[str, Callable[[Any, dict[str, Any], str], None]] = {
    "sem": _fit,
    "lmm": _fit,
    "estimates": _estimates,
    "frame": _frame,
    "numbers": _numbers,
    "texts": _texts,
    "matrix": _matrix,
    "test": _test,
    "robust": _robust,
    "coef_test": _coefficients,
    "intervals": _intervals,
    "means": _means,
}
