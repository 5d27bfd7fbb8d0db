"""Data of two groups, and references of models fitted to them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

REFERENCE = Path(__file__).parents[1] / "reference"


@cache
def demo_groups() -> pd.DataFrame:
    """The demo data; clusters of even number are of group "a", the others of "b"."""
    data = pd.read_csv(REFERENCE / "data" / "demo.csv")
    return data.assign(g=data["cluster"].mod(2).map({0: "a", 1: "b"}))


@cache
def reference(name: str) -> dict[str, Any]:
    """A file of references for several groups."""
    return json.loads((REFERENCE / "groups" / name).read_text())
