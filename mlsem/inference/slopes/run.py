"""Simple slopes at values of the moderators, and the regions of Johnson & Neyman."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.errors import OptionValueError
from mlsem.inference.slopes.asked import Asked, interaction_of
from mlsem.inference.slopes.grid import chosen_values
from mlsem.inference.slopes.result import SimpleSlopes

if TYPE_CHECKING:
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.inference.estimated import GroupEstimated


@quiet
def simple_slopes(
    part: GroupEstimated,
    covariance: Covariance,
    asked: Asked,
    level: float,
    *,
    simultaneous: bool,
) -> SimpleSlopes:
    """Of one group; see `FitResult.simple_slopes`."""
    require_level(level)
    if not isinstance(simultaneous, bool):
        raise OptionValueError(f"simultaneous={simultaneous!r}: it takes True or False.")
    interaction = interaction_of(part, covariance, asked)
    return SimpleSlopes(interaction, chosen_values(interaction, asked.at), level, simultaneous)
