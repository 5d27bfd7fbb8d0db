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


def scores_of_rows(estimates: Estimates) -> bool:
    """Whether scores are of rows that replicate weights, and nothing else, say were drawn
    together."""
    return estimates.replicates is not None and estimates.problem.robust.name is None


def require_clusters(estimates: Estimates, what: str) -> None:
    """Refuse tests by scores of rows where replicates alone know what was drawn together.

    Raises
    ------
    InferenceError
    """
    if scores_of_rows(estimates):
        raise InferenceError(
            f"{what} would take each row as drawn for itself, and the replicate weights say which "
            'were drawn together: name the clusters that were, cluster="…", which changes neither '
            "the estimates nor their standard errors; or take fit.wald_test, which goes by the "
            "replicates."
        )


def on_weights(estimates: Estimates) -> tuple[str, ...]:
    """Notes on what a weighted fit does not have, and on what its scaling may change."""
    if not estimates.weighted:
        return ()
    columns = estimates.settings.weights
    return (CRITERIA, MOVES) if columns is not None and columns.scaled else (CRITERIA,)
