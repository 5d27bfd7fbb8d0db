"""Implied moments, for display."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Implied:
    """Implied moments of a level's observed variables.

    Attributes
    ----------
    cov : DataFrame
    mean : Series
    """

    cov: pd.DataFrame
    mean: pd.Series
