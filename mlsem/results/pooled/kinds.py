"""Which result pooled fits are."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from mlsem.errors import OptionValueError
from mlsem.inference.pooling.rules import PooledDf
from mlsem.results.generalized.result import GlmResult
from mlsem.results.mixed.result import MixedResult
from mlsem.results.nested.result import NestedResult
from mlsem.results.pooled.common import Pooled, pooled_as
from mlsem.results.pooled.generalized import PooledGlmResult
from mlsem.results.pooled.mixed import PooledMixedResult
from mlsem.results.pooled.nested import PooledNestedResult
from mlsem.results.pooled.result import PooledResult
from mlsem.results.result import FitResult

KINDS: Mapping[type, type[Pooled[Any]]] = {
    MixedResult: PooledMixedResult,
    NestedResult: PooledNestedResult,
    FitResult: PooledResult,
    GlmResult: PooledGlmResult,
}


def pool_fits(
    given: object,
    df: PooledDf = "matching",
    nested: Iterable[Hashable] | None = None,
    complete_df: float | None = None,
    origin: tuple[tuple[str, str], ...] = (),
) -> Any:
    """Fits by `fit`, `lmm`, `glm` or `gee`, pooled as what they are.

    Raises
    ------
    OptionValueError
        What is given are no fits.
    """
    if isinstance(given, tuple(KINDS)) or not isinstance(given, Iterable):
        raise OptionValueError("pool takes a list of fits: pool([fit1, fit2, …]).")
    fits = given if isinstance(given, Pooled) else tuple(given)
    first = next(iter(fits), None)
    found = [pooled for kind, pooled in KINDS.items() if isinstance(first, kind)]
    return pooled_as(found[0] if found else PooledResult, fits, df, nested, complete_df, origin)
