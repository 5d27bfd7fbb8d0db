"""What a reader should know of the estimates themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mlsem.estimation.generalized.estimates import GlmEstimates


def remarks(estimates: GlmEstimates) -> tuple[str, ...]:
    """Notes on the rows, on fitted means and on the working correlation."""
    notes = estimates.data.notes + _outside(estimates) + _not_whole(estimates)
    return notes + _correlation(estimates)


def _outside(estimates: GlmEstimates) -> tuple[str, ...]:
    """Fitted probabilities that are none, of an outcome of 0 and 1."""
    rows, mean = estimates.data.rows, estimates.solution.rows.mean
    family = estimates.settings.family
    if family == "binomial" or not np.isin(rows.outcome, (0.0, 1.0)).all():
        return ()
    above, below = int((mean > 1.0).sum()), int((mean < 0.0).sum())
    said = [f"{n} {side}" for n, side in ((above, "above 1"), (below, "below 0")) if n]
    if not said:
        return ()
    return (
        f"fitted probabilities of {' and '.join(said)}, of {len(mean)} rows: coefficients are "
        'averages all the same, probabilities of such rows are none. family="binomial" keeps '
        "them within bounds.",
    )


def _not_whole(estimates: GlmEstimates) -> tuple[str, ...]:
    if estimates.settings.family != "poisson":
        return ()
    values = estimates.data.rows.outcome
    count = int((values % 1 != 0).sum())
    if not count:
        return ()
    return (
        f"the outcome is no whole number in {count} of {len(values)} rows: robust standard errors "
        "hold for any outcome of which the mean is exp(xᵀβ); model-based ones are of counts.",
    )


def _correlation(estimates: GlmEstimates) -> tuple[str, ...]:
    found, asked = estimates.solution, estimates.settings.corr
    if asked == "independence" or found.correlation.name == asked:
        return ()
    if np.isnan(found.asked):
        why = "too few pairs of rows for a working correlation"
    else:
        why = f"the working correlation would be {found.asked:.3f}, outside its bounds"
    return (f"{why}: independence is taken in its place, with the same robust errors.",)
