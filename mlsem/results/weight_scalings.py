"""Estimates under the scalings of the sampling weights, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from mlsem.data.table.frame import make_frame
from mlsem.data.table.sampling import WeightScaling
from mlsem.errors import DataError, OptionValueError, listed
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import shown
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.export.plain import plain
from mlsem.report.table import columns_table

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.results.result import FitResult

CLUSTERS, NONE = "level 2 alone", "none"
SCALINGS: tuple[str, ...] = get_args(WeightScaling)
REFERENCES = (
    "which scaling is right depends on what the weights tell (Pfeffermann et al., 1998; "
    "Asparouhov, 2006); weights of level 2 alone did best in the simulations of Mang et al. (2021) "
    "and Atasever et al. (2025)."
)


@dataclass(frozen=True, eq=False, repr=False)
class WeightScalings(Exported, Answering):
    """Estimates under the scalings of the sampling weights; prints as text.

    Attributes
    ----------
    parameters : tuple of str
        The c parameters, under their names in `params`.
    estimates : mapping of scaling to (c,)
        The first is the fit's own; "none" is without weights.
    se : (c,)
        Of the fit.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["pupil"] = 1.0 + data["id"] % 2 + (data["y"] > 0)
    >>> data["school"] = 1.0 + data["id"] % 5
    >>> weights = {"level1": "pupil", "level2": "school"}
    >>> fit = mlsem.fit("level: 1; y ~ x1; level: 2; y ~ w1", data, "id", weights=weights)
    >>> found = fit.weight_scalings(data)
    >>> found.parameters[:2], list(found.estimates)
    (('y~x1', 'y~~y'), ['cluster', 'ecluster', 'unscaled', 'gk', 'level 2 alone', 'none'])
    >>> found.frame.loc[["y~~y"], ["cluster", "unscaled", "none", "se", "moved"]].round(2)
          cluster  unscaled  none    se  moved
    y~~y     1.32      1.21  1.31  0.15   0.71
    >>> found.moved.round(2)[:2].tolist(), len(found.notes)
    ([0.18, 0.71], 1)
    """

    parameters: tuple[str, ...]
    estimates: Mapping[str, Array]
    se: Array

    @property
    def moved(self) -> Array:
        """Of each parameter the largest difference between two weighted fits, by the standard error
        of this one, (c,); NaN where the weights have one scaling."""
        each = np.array([own for name, own in self.estimates.items() if name != NONE])
        if len(each) < 2:
            return np.full(len(self.parameters), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.ptp(each, axis=0) / self.se

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each parameter, a column for each scaling, `se` and `moved`."""
        columns = {**self.estimates, "se": self.se, "moved": self.moved}
        return make_frame(columns, self.parameters)

    @property
    def notes(self) -> tuple[str, ...]:
        """What moves by more than one standard error, and which scaling to take."""
        if np.isnan(self.moved).all():
            return ("these weights have one scaling: the estimates without them stand beside.",)
        far = [name for name, away in zip(self.parameters, self.moved, strict=True) if away > 1.0]
        if not far:
            return ("no estimate moves by more than one standard error between scalings.",)
        move = "moves" if len(far) == 1 else "move"
        said = f"{listed(far)} {move} by more than one standard error between scalings: "
        return (said + REFERENCES,)

    def _grid(self) -> Grid:
        columns = {"": self.parameters, **self.estimates, "se": self.se, "moved": self.moved}
        title = "Estimates by scaling of the sampling weights"
        return Grid(title, (columns_table(columns),), self.notes)

    def __str__(self) -> str:
        return plain(shown(self._grid()))

    def __repr__(self) -> str:
        return str(self)


def weight_scalings(fit: FitResult, data: object) -> WeightScalings:
    """What `FitResult.weight_scalings` returns: the fit again for each scaling.

    Raises
    ------
    OptionValueError
        The fit has no weights.
    DataError
        The data are not those of the fit.
    """
    settings = fit.settings
    if settings.weights is None:
        raise OptionValueError(
            "weight_scalings() compares fits by sampling weights, and this fit has none: pass "
            'weights={"total": …, "level2": …} to mlsem.fit.'
        )
    own = settings.weight_scaling or "cluster"
    found = {name: fit.update(data=data, **change) for name, change in _others(fit, own).items()}
    if any(each.n_obs != fit.n_obs for each in found.values()):
        raise DataError(
            f"the fit used {fit.n_obs} rows, and of these data it would use others: pass the data "
            "that it was fitted to."
        )
    used = own if settings.weights.scaled else "weighted"
    estimates = {used: fit.params.to_numpy()} | {k: each.params for k, each in found.items()}
    names = tuple(fit.params.index)
    return WeightScalings(
        names,
        {name: np.asarray(values, dtype=float) for name, values in estimates.items()},
        np.asarray(fit.bse[list(names)]),
    )


def _others(fit: FitResult, own: str) -> dict[str, dict[str, Any]]:
    """What is changed of the fit, by what it then is."""
    weights = fit.settings.weights
    assert weights is not None
    found: dict[str, dict[str, Any]] = {}
    if weights.scaled:
        found = {name: {"weight_scaling": name} for name in SCALINGS if name != own}
        if weights.level2 is not None:
            alone = {"level2": weights.level2}
            found[CLUSTERS] = {"weights": alone, "weight_scaling": None}
    return found | {NONE: {"weights": None, "weight_scaling": None, "strata": None, "se": "none"}}
