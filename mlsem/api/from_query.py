"""What a model needs of a query: its moments, which are fitted in place of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsem.data.kept.moments import Moments
from mlsem.data.moments.auxiliary import check_beside
from mlsem.parallel.progress import bar

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mlsem.data.frames.records import Lazy
    from mlsem.data.moments.monomials import GroupedMonomials, MonomialMoments
    from mlsem.estimation.settings import Settings
    from mlsem.model.table import ParameterTable


def labels_in(query: Lazy, group: str, group_label: object) -> tuple[Hashable, ...]:
    """The groups of a query, as its engine counts them."""
    from mlsem.data.engine.parts import labels_of_query  # with narwhals

    return labels_of_query(query.frame, group, group_label)


def moments_in(
    query: Lazy,
    text: str,
    table: ParameterTable,
    settings: Settings,
    cluster: str | None,
    group: str | None,
    auxiliary: tuple[str, ...],
) -> Moments:
    """The moments of the rows of a query, which stay with their engine.

    Parameters
    ----------
    text : str
        The model, of which `table` is without auxiliary variables.
    """
    return Moments(
        model=text,
        options={},
        cluster=cluster,
        group=group,
        se_cluster=settings.se_cluster,
        missing=settings.missing,
        auxiliary=auxiliary,
        content=content_of(query, table, settings, cluster, group, auxiliary),
    )


def content_of(
    query: Lazy,
    table: ParameterTable,
    settings: Settings,
    cluster: str | None,
    group: str | None,
    auxiliary: tuple[str, ...],
) -> MonomialMoments | GroupedMonomials:
    """The numbers of these."""
    from mlsem.data.engine.read import PASSES, grouped_monomials_of_lazy, monomials_of_lazy

    for name in auxiliary:
        check_beside(table, name, cluster, settings.se_cluster)
    given: dict[str, Any] = {
        "cluster": cluster,
        "missing": settings.missing or "listwise",
        "se_cluster": settings.se_cluster,
        "auxiliary": auxiliary,
    }
    with bar(PASSES, "passes over the rows") as advance:
        if group is None:
            how = {"sampling": settings.sampling, **given}
            return monomials_of_lazy(table, query.frame, advance=advance, **how)
        return grouped_monomials_of_lazy(table, query.frame, column=group, advance=advance, **given)
