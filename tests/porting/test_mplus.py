"""Mplus inputs become programs that give the numbers of lavaan and lme4 (Mplus itself is not here).

The numbers are in tests/reference/porting/mplus.json, with the R script that wrote them.
"""

from __future__ import annotations

import contextlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlsem.errors import OptionValueError
from mlsem.porting.mplus import translate
from mlsem.results.result import FitResult
from tests.porting.names import EXAMPLES

INPUTS = Path(__file__).with_name("inputs")
NUMBERS = json.loads(
    (Path(__file__).parents[1] / "reference" / "porting" / "mplus.json").read_text("utf-8")
)
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.errors.MlsemWarning")


@cache
def frame(name: str) -> pd.DataFrame:
    """The data of an input, without a header in their file."""
    demo = pd.read_csv(EXAMPLES / "demo_twolevel.csv")
    if name == "waves":
        waves, n = demo.loc[:399, ["y1", "y2", "y3", "y4", "x1"]].copy(), np.arange(1, 401)
        for column, step in (("y2", 7), ("y4", 3), ("y3", 15)):
            waves.loc[n % step == 0, column] = -999
        return waves
    if name == "groups":
        return demo.loc[:799, ["y1", "y2", "y3", "y4"]].assign(g=demo["cluster"] % 2)
    return demo if name == "demo" else pd.read_csv(EXAMPLES / f"{name}.csv")


def run(code: str, folder: Path) -> dict[str, Any]:
    """The program's variables; it stands beside its data."""
    for name in ("demo", "article", "mediation", "waves", "groups"):
        if f'"{name}.dat"' in code:
            frame(name).to_csv(folder / f"{name}.dat", sep=" ", header=False, index=False)
    names: dict[str, Any] = {}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(code, "program.py", "exec"), names)
    return names


def _sorted(key: str) -> str:
    """Covariances have two names."""
    left, operator, right = key.partition("~~")
    if not operator:
        return key
    right, dot, rest = right.partition(".")
    return "~~".join(sorted((left, right))) + dot + rest


def by_name(fit: FitResult) -> tuple[dict[str, float], dict[str, float]]:
    """Estimates and standard errors under names such as "y~~y.l2" and "f=~y2.g2"."""
    table = fit.parameter_estimates()
    groups = list(dict.fromkeys(table["group"]))
    names = []
    for row in table.itertuples():
        left, right = (row.lhs, row.rhs) if row.op != "~~" else sorted((row.lhs, row.rhs))
        level = ".l2" if row.level == 2 else ""
        group = ".g2" if groups.index(row.group) == 1 and row.op != ":=" else ""
        right = "1" if row.op == "~1" else right
        name = f"{left}{row.op.replace('~1', '~')}{right}{level}{group}"
        names.append(row.lhs if row.op == ":=" else name)
    return dict(zip(names, table["est"], strict=True)), dict(zip(names, table["se"], strict=True))


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_a_translated_input_gives_the_numbers_of_r(name: str, tmp_path: Path) -> None:
    ported = translate((INPUTS / f"{name}.inp").read_text("utf-8"))
    fit = run(ported.code, tmp_path)["fit"]
    theirs = NUMBERS[name]
    assert ported.untranslated == 0, ported.notes
    assert fit.converged
    assert fit.loglik == pytest.approx(theirs["loglik"], rel=1e-6)
    ours, errors = by_name(fit)
    for key, value in theirs["est"].items():
        key = _sorted(key)
        assert ours[key] == pytest.approx(value, rel=1e-4, abs=1e-4), key
    for key, value in (theirs.get("se") or {}).items():
        key = _sorted(key)
        assert errors[key] == pytest.approx(value, rel=2e-3, abs=1e-4), key
    if "chisq" in theirs and theirs["df"]:
        assert fit.fit_measures("df")["df"] == theirs["df"]
        assert fit.fit_measures("chisq")["chisq"] == pytest.approx(
            theirs["chisq"], rel=1e-3, abs=1e-3
        )
