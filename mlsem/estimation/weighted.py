"""What is not defined for a fit to weighted rows, and what to do in its place."""

from __future__ import annotations

from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates

CRITERIA = (
    "a weighted log-likelihood is that of no sample and changes with the weights' unit: there are "
    "no AIC and BIC. Nested models are compared by mlsem.lr_test, whose statistic is scaled, or by "
    "fit.wald_test."
)

MOVES = (
    "estimates may depend on how the weights of rows are scaled: fit.weight_scalings(data) shows "
    "how far they move."
)


def refuse_weights(estimates: Estimates, what: str, instead: str) -> None:
    """Refuse what needs the likelihood of a sample.

    Parameters
    ----------
    what : str
        Such as "profile intervals".
    instead : str
        What there is in its place, a sentence.

    Raises
    ------
    InferenceError
        The rows or clusters have weights.
    """
    if estimates.weighted:
        raise InferenceError(
            f"there are no {what} with weights: twice a difference of weighted log-likelihoods is "
            f"no chi-square, and changes with the weights' unit. {instead}"
        )


def on_weights(estimates: Estimates) -> tuple[str, ...]:
    """Notes on what a weighted fit does not have, and on what its scaling may change."""
    if not estimates.weighted:
        return ()
    columns = estimates.settings.weights
    return (CRITERIA, MOVES) if columns is not None and columns.scaled else (CRITERIA,)
