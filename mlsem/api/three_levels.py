"""What a call of a model of three levels may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsem.data.kept import are_moments
from mlsem.errors import OptionValueError

if TYPE_CHECKING:
    from mlsem.estimation.settings import Settings
    from mlsem.model.options import ModelOptions
    from mlsem.model.table import ParameterTable


def require_possible(
    auxiliary: object, settings: Settings, options: ModelOptions, data: Any
) -> None:
    """Refuse what is not there with three levels.

    Raises
    ------
    OptionValueError
        Says what to do instead.
    """
    problem = ""
    if are_moments(data):
        problem = "they are fitted to rows: pass the data frame, not moments of it"
    elif settings.missing in ("fiml", "fiml.x"):
        problem = (
            f'they take complete rows: missing="{settings.missing}" is for two levels, as with '
            'cluster="class", se_cluster="school"; here rows with missing values are left out '
            '(missing="listwise"), or are completed before (mlsem.fit_many takes imputed data)'
        )
    elif auxiliary is not None:
        problem = 'auxiliary= goes with missing="fiml", which is for two levels'
    elif settings.sampling is not None:
        problem = (
            "weights=, strata= and replicates= are for one and two levels: fit two, as with "
            'cluster="school", or leave them out'
        )
    elif settings.estimator == "REML":
        problem = (
            'they are fitted by maximum likelihood: leave estimator="REML" out (se="CR2" is for '
            "few clusters); mlsem.lmm has REML with three levels, for one outcome"
        )
    elif options.data_bounds is not None:
        problem = (
            f'bounds="{options.data_bounds}" is for one and two levels: bounds="pos.var" keeps '
            "variances from falling below zero"
        )
    if problem:
        raise OptionValueError(f"the model has three levels, and {problem}.")


def refuse_population(table: ParameterTable) -> None:
    """Refuse three levels as a model that data are drawn from."""
    if table.three_level:
        raise OptionValueError(
            "data are drawn from models of one and two levels. Draw those of three with NumPy; "
            'from a fit of three levels fit.bootstrap("parametric") draws and fits again.'
        )


def refuse_moments(table: ParameterTable) -> None:
    """Refuse moments in place of the rows of three levels."""
    if table.three_level:
        raise OptionValueError(
            "the model has three levels, which are fitted to rows: pass the data frame to "
            "mlsem.fit itself."
        )
