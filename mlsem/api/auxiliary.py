"""`auxiliary=` of a fit: what it names is looked at in the data and put beside the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.data.kept import are_moments
from mlsem.data.moments.auxiliary import auxiliary_names, placed_auxiliary
from mlsem.errors import OptionValueError
from mlsem.model.auxiliary import levels_of, with_auxiliary

if TYPE_CHECKING:
    from mlsem.estimation.settings import Settings
    from mlsem.model.auxiliary import Placed
    from mlsem.model.options import ModelOptions
    from mlsem.model.table import ParameterTable


def beside(
    table: ParameterTable,
    asked: object,
    settings: Settings,
    options: ModelOptions,
    data: object,
    cluster: str | None,
    before: ParameterTable | None = None,
) -> ParameterTable:
    """The table of a model with the variables of `auxiliary=`.

    Parameters
    ----------
    asked : object
        The value of `auxiliary=`.
    data : DataFrame or None
        None: the levels of the variables are those that they have in `before`.
    before : ParameterTable, optional
        Of the fit that is updated. Variables taken over from it that the model now has are left
        out.

    Raises
    ------
    OptionValueError
        Another `missing=`, a variable of the model, no data.
    DataError
        As `placed_auxiliary`.
    """
    names = auxiliary_names(asked)
    if before is not None and asked is before.auxiliary:
        names = tuple(name for name in names if name not in table.observed)
    if not names:
        return table
    if settings.missing != "fiml":
        raise OptionValueError(
            'auxiliary= goes with missing="fiml": without it complete rows alone are used, of '
            "which auxiliary variables say nothing, and rows that lack one of them would be left "
            'out. Add missing="fiml", or leave auxiliary out.'
        )
    if are_moments(data):
        from mlsem.api.from_moments import placed_in

        placed = placed_in(data, table, names)  # type: ignore[arg-type]
    elif data is None:
        placed = _as_before(names, table, before)
    else:
        placed = placed_auxiliary(table, data, names, cluster, settings.se_cluster)
    return with_auxiliary(table, placed, options.lower_observed)


def _as_before(
    names: tuple[str, ...], table: ParameterTable, before: ParameterTable | None
) -> Placed:
    known = {} if before is None else levels_of(before)
    for name in names:
        if name not in known or name in table.observed:
            raise OptionValueError(
                f"auxiliary= names {name!r}: the data say at which level it varies. Pass data=…, "
                "too."
            )
    return tuple((name, known[name]) for name in names)
