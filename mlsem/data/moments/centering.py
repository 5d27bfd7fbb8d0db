"""The option `center=`: which variables are centred, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlsem.errors import DataError, OptionValueError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsem.model.table import ParameterTable

HOW = ("cluster", "grand")


def check_center(
    table: ParameterTable,
    center: Mapping[str, str] | None,
    names: Iterable[str],
    columns: Iterable[object],
    cluster: str | None,
) -> Mapping[str, str]:
    """The `center=` option, its names and values checked."""
    if center is None:
        return {}
    if not isinstance(center, Mapping):
        raise OptionValueError(
            'center must map variables to "cluster" or "grand", e.g. center={"x1": "cluster"}, '
            f"not {center!r}."
        )
    used = list(names)
    for name, how in center.items():
        if how not in HOW:
            raise OptionValueError(
                f'center[{name!r}] must be "cluster" or "grand", not {how!r}.'
                + nearest(str(how), HOW)
            )
        if name not in used:
            raise DataError(_not_centred(table, name, used, columns))
        if how == "cluster" and cluster is None:
            raise DataError(
                f"{name!r} cannot be centred at its cluster means without clusters: pass "
                'cluster="..." or centre it at its "grand" mean.'
            )
        if how == "cluster" and name in table.split:
            raise DataError(
                f"{name!r} has a part at both levels; centred at its cluster means it has none "
                "left at level 2. Name it at level 1 only, or do not centre it (its level-1 part "
                "is centred within clusters as it is)."
            )
    return center


def _not_centred(
    table: ParameterTable, name: str, used: list[str], columns: Iterable[object]
) -> str:
    if name in {term.name for term in table.products}:
        return (
            f"the product {name!r} cannot be centred: products are formed after centring. "
            "Centre its factors, or centre a column of your own that holds the product."
        )
    if name in set(columns):
        return f"center names {name!r}, which the model does not use.{nearest(name, used)}"
    return f"center names {name!r}, which is not a column of the data.{nearest(name, used)}"
