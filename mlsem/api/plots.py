"""`plot_coefficients`: a figure of several fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mlsem.results import coefficients
from mlsem.results.drawn import named_fits
from mlsem.results.pooled.common import Pooled
from mlsem.results.result import FitResult

if TYPE_CHECKING:
    from mlsem.results.drawn import Figure
    from mlsem.results.summary_table.records import AnyFit


def plot_coefficients(
    fits: Mapping[str, AnyFit] | Iterable[AnyFit],
    *,
    parameters: str | Iterable[str] | None = None,
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Coefficients of several fits side by side, with their intervals.

    Parameters
    ----------
    fits : mapping of name to FitResult or PooledResult, or iterable of these
        A colour and a mark each.
    parameters : str or iterable of str, optional
        Names as in `FitResult.params`, or ``"~"``, ``"=~"``, ``"~~"``, ``"~1"``, ``":="`` for all
        of a kind. Default: regression coefficients, or loadings where there are none. A fit
        without one of them has a gap there.
    level : float, default 0.95
        Of the intervals: estimate ± t (or z) times standard error, with each one's degrees of
        freedom.
    labels : mapping of str to str, optional
        Readable words for variables: ``{"x1": "Hours of reading"}``.
    figure : Figure, optional
        An empty one to draw in.

    Returns
    -------
    Figure
        Save it with ``figure.savefig("coefficients.png")``; a notebook shows it.

    Raises
    ------
    OptionValueError
        There is no such parameter, or what is given is no fit.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> ml = mlsem.lmm("y ~ w1*x1 + (1 | id)", data)
    >>> figure = mlsem.plot_coefficients({"random intercept": ml, "CR2": ml.with_se("CR2")})
    >>> figure.axes[0].get_xlabel()
    'estimate and 95 % interval'
    """
    names = list(map(str, fits)) if isinstance(fits, Mapping) else None
    given = fits.values() if isinstance(fits, Mapping) else fits
    if isinstance(given, FitResult | Pooled):
        given = (given,)
    found = named_fits(given, names)
    return coefficients.plot_coefficients(found, parameters, level, labels, figure)
