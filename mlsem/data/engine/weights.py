"""Sampling weights of rows that an engine has: looked at in a pass of their own, and summed by
cluster beside the monomials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.engine.query import INNER, LEVEL2, Query, aggregated
from mlsem.data.engine.survey import numbers_of
from mlsem.data.table.weights import SAME, WRONG, Seen, check_levels, wrong_weights
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from mlsem.data.table.sampling import Sampling

SQUARES, BELOW = "inner_squares", "below"


def columns_of_weights(how: Sampling | None) -> dict[str, str]:
    """`INNER` and `LEVEL2` to the user's columns."""
    if how is None or how.weights is None:
        return {}
    inner = how.weights.total or how.weights.level1
    pairs = ((INNER, inner), (LEVEL2, how.weights.level2))
    return {kind: name for kind, name in pairs if name is not None}


def weighed(query: Query, how: Sampling | None, *, two_level: bool) -> tuple[Query, int]:
    """The rows that weigh anything, and how many do not; a pass over the weights alone.

    Raises
    ------
    DataError
        Weights are missing, infinite or negative, or all are zero.
    OptionValueError
        They are not of the levels of the model.
    """
    import narwhals as nw

    if how is None or not query.weights:
        return query, 0
    check_levels(how, two_level=two_level)
    zero = nw.any_horizontal(*(nw.col(k) == 0.0 for k in query.weights), ignore_nulls=True)
    wrong = {
        f"{kind}_{what}": each.cast(nw.Int64)
        for kind in query.weights
        for what, each in zip(WRONG, _wrong(kind), strict=True)
    }
    looked = query.frame.select(*query.weights).with_columns(
        **wrong, zero=zero.fill_null(False).cast(nw.Int64)
    )
    told = aggregated(
        looked,
        (),
        [nw.len().alias("rows"), nw.col("zero").sum(), *(nw.col(each).sum() for each in wrong)],
    ).iloc[0]
    for kind, name in query.weights.items():
        for what in WRONG:
            if count := int(told[f"{kind}_{what}"]):
                raise wrong_weights(name, what, f"{count} row{'s' if count > 1 else ''}")
    gone = int(told["zero"])
    if gone == int(told["rows"]):
        raise DataError(f"all weights are zero ({listed(query.weights.values())}).")
    return (query.only(~zero) if gone else query), gone


def _wrong(kind: str) -> tuple[Any, ...]:
    """Whether a weight is missing, infinite, negative, as expressions."""
    import narwhals as nw

    own = nw.col(kind)
    finite = own.fill_null(1.0)
    return own.is_null(), finite.abs() == float("inf"), finite < 0.0


def with_weights(
    frame: nw.LazyFrame[Any], query: Query
) -> tuple[nw.LazyFrame[Any], tuple[str, ...]]:
    """Rows of a query with what is summed of their weights, and the names of all of it."""
    import narwhals as nw

    if INNER not in query.weights:
        return frame, tuple(query.weights)
    level2 = nw.col(LEVEL2) if LEVEL2 in query.weights else nw.lit(1.0)
    below = (nw.col(INNER) < level2 * (1.0 - SAME)).cast(nw.Int64)
    square = nw.col(INNER) * nw.col(INNER)
    found = frame.with_columns(square.alias(SQUARES), below.alias(BELOW))
    return found, (*query.weights, SQUARES, BELOW)


def sums_of_weights(query: Query) -> list[Any]:
    """What is computed of the weights in each cluster."""
    import narwhals as nw

    inner = [nw.col(each).sum() for each in (INNER, SQUARES, BELOW) if INNER in query.weights]
    if LEVEL2 not in query.weights:
        return inner
    ends = nw.col(LEVEL2).min().alias("level2_low"), nw.col(LEVEL2).max().alias("level2_high")
    return [*inner, *ends]


def seen_in(table: Any, rows: NDArray[np.int64], query: Query) -> Seen:
    """The weights of a table with a row for each cluster."""
    count, ones = rows.astype(np.float64), np.ones(len(rows))
    inner, level2 = INNER in query.weights, LEVEL2 in query.weights
    total, squares = (numbers_of(table[n]) if inner else count for n in (INNER, SQUARES))
    low, high = (numbers_of(table[n]) if level2 else ones for n in ("level2_low", "level2_high"))
    return Seen(count, total, squares, low, high, int(table[BELOW].sum()) if inner else 0)
