"""e^β, of coefficients of a logit or log link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.generalized.families import Link
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.inference.covariance.intervals import Wald

if TYPE_CHECKING:
    import pandas as pd


def exponentiated(link: Link, tests: Wald, names: Sequence[str]) -> pd.DataFrame:
    """Ratios with the limits and p values of their logarithms.

    Raises
    ------
    InferenceError
        The link is one of which e^β is nothing.
    """
    if not link.exponentiated:
        raise InferenceError(
            f"with link={link.name!r} e^β is no ratio of anything: fit.effects(...) compares "
            "expected outcomes."
        )
    columns = {
        "ratio": np.exp(tests.est),
        "df": tests.df,
        "pvalue": tests.pvalue,
        "lower": np.exp(tests.lower),
        "upper": np.exp(tests.upper),
    }
    return make_frame(columns, list(names))
