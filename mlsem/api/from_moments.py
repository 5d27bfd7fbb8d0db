"""A fit to moments in place of rows: what they say of the call, and the record of a model."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.kept.moments import Moments
from mlsem.data.moments.bases import CONSTANT, SAME
from mlsem.data.moments.from_monomials import Spread, ends_of, spread_of
from mlsem.data.moments.monomial_record import grouped_record_of, record_of
from mlsem.data.moments.monomials import GroupedMonomials, MonomialMoments
from mlsem.errors import DataError, OptionValueError, nearest

if TYPE_CHECKING:
    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.data.moments.groups import GroupedRecord
    from mlsem.estimation.settings import Settings
    from mlsem.model.auxiliary import Placed
    from mlsem.model.table import ParameterTable

WITHOUT_CLUSTERS = (
    "the moments were made without cluster=, of all rows together, and robust standard errors need "
    'clusters: se="standard" goes without, or make the moments with cluster="…".'
)


def with_moments(
    moments: Moments, cluster: str | None, options: Mapping[str, Any]
) -> tuple[str | None, dict[str, Any]]:
    """The column of clusters and the keywords of a fit, those that the moments say among them.

    Raises
    ------
    OptionValueError
        The call names another column than the moments were made with.
    """
    known = {"cluster": moments.cluster, "group": moments.group}
    given = {"cluster": cluster, "group": options.get("group")}
    for name, value in given.items():
        if value is not None and value != known[name]:
            made = f"with {name}={known[name]!r}" if known[name] else f"without {name}="
            raise OptionValueError(
                f"{name}={value!r}: the moments were made {made}. Leave {name}= out, or make the "
                f"moments with {name}={value!r}."
            )
    own: dict[str, Any] = {
        "group": moments.group,
        "se_cluster": moments.se_cluster,
        "missing": moments.missing,
        "auxiliary": moments.auxiliary or None,
    }
    asked = options.get("missing")
    if asked is not None and not str(asked).startswith(("fiml", "ml", "direct")):
        del own["auxiliary"]
    return moments.cluster, {k: v for k, v in own.items() if v is not None} | dict(options)


def labels_in(moments: Moments, asked: object) -> tuple[Hashable, ...]:
    """The groups of a fit to moments.

    Raises
    ------
    OptionValueError
        `group_label=` names one that is not there, or twice.
    """
    if not isinstance(moments.content, GroupedMonomials):
        if asked is not None:
            raise OptionValueError("group_label= chooses groups, and the moments are of one alone.")
        return ()
    labels = moments.content.labels
    if asked is None:
        return labels
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        raise OptionValueError(f"group_label={asked!r}: it takes a list of groups.")
    chosen = tuple(asked)
    for label in chosen:
        if label not in labels:
            shown = ", ".join(map(repr, labels))
            raise OptionValueError(
                f"group_label= names {label!r}, and the moments have the groups {shown}."
                + nearest(str(label), list(map(str, labels)))
            )
    if len({*chosen}) < len(chosen) or len(chosen) < 2:
        raise OptionValueError("group_label= names two groups or more, each once.")
    return chosen


def record_in(
    moments: Moments,
    table: ParameterTable,
    settings: Settings,
    center: Mapping[str, str] | None,
) -> DataRecord | GroupedRecord:
    """What a model needs of moments."""
    content, sampling = moments.content, settings.sampling
    weighted = isinstance(content, MonomialMoments) and content.weights is not None
    if sampling is not None and not weighted:
        raise OptionValueError(
            "weights= and strata= say how rows count, and moments do not know their rows: fit to "
            "the data themselves."
        )
    if moments.cluster is None and settings.kind(robust=False).sandwich:
        raise OptionValueError(WITHOUT_CLUSTERS)
    how: dict[str, Any] = {
        "cluster": moments.cluster,
        "center": center,
        "missing": settings.missing or "listwise",
        "se_cluster": settings.se_cluster,
    }
    if isinstance(content, GroupedMonomials):
        return grouped_record_of(table, content, **how)
    return record_of(table, content, sampling=sampling, **how)


def placed_in(moments: Moments, table: ParameterTable, names: tuple[str, ...]) -> Placed:
    """Auxiliary variables with the levels at which they vary, as `placed_auxiliary` has them of
    rows."""
    for name in names:
        if name not in moments.auxiliary:
            raise OptionValueError(
                f"auxiliary= names {name!r}, of which the moments do not say at which level it "
                f"varies: make them with auxiliary=[{name!r}, …]."
            )
        if name in table.observed:
            raise OptionValueError(
                f"auxiliary= names {name!r}, which is in the model already: what it tells of "
                "missing values counts there. Leave it out of one of them."
            )
    return tuple((name, levels_in(moments.parts, table.two_level, name)) for name in names)


def levels_in(parts: tuple[MonomialMoments, ...], two_level: bool, name: str) -> tuple[int, ...]:
    """The levels at which a column beside the model varies."""
    if not any(part.observed[:, part.place(name)].any() for part in parts):
        raise DataError(
            f"auxiliary= names the variable {name!r}, which is missing in every row. Leave it out."
        )
    having = [part for part in parts if part.observed[:, part.place(name)].any()]
    spread = Spread.together([spread_of(part, name) for part in having])
    seen, sd = spread.rows > 0, spread.sd
    if sd <= CONSTANT * abs(spread.mean):
        raise DataError(
            f"auxiliary= names the variable {name!r}, which is constant: it tells nothing. Leave "
            "it out."
        )
    if not two_level:
        return (1,)
    ends = [ends_of(part, name) for part in having]
    distance = np.concatenate([high - low for low, high in ends])
    if (distance[seen] <= SAME * sd).all():
        return (2,)
    return (1,) if np.ptp(spread.means[seen]) <= SAME * sd else (1, 2)
