"""`Drawn`: the figures of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mlsem.errors import OptionValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlsem.report.figures.style import Figure
    from mlsem.results.result import FitResult


class Drawn:
    """What a fit draws. Every figure is matplotlib's; a notebook shows it where it is the value of
    a cell, ``figure.savefig("name.pdf")`` writes it."""

    @property
    def _fit(self) -> FitResult:
        return cast("FitResult", self)

    def plot_coefficients(
        self,
        *others: FitResult,
        parameters: str | Iterable[str] | None = None,
        level: float = 0.95,
        labels: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
        figure: Figure | None = None,
    ) -> Figure:
        """Coefficients with their intervals, those of other fits beside them.

        Parameters
        ----------
        *others : FitResult
            Other fits, or the same one with other standard errors (`with_se`).
        parameters : str or iterable of str, optional
            Names as in `params`, or ``"~"``, ``"=~"``, ``"~~"``, ``"~1"``, ``":="`` for all of a
            kind. Default: regression coefficients, or loadings where there are none.
        level : float
            Of the intervals: estimate ± t (or z) times standard error, with each one's degrees of
            freedom.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.
        names : sequence of str, optional
            Of the fits, for the legend. Default: their standard errors, or 1, 2, …
        figure : Figure, optional
            An empty one to draw in.

        Returns
        -------
        Figure
            Save it with ``figure.savefig("coefficients.png")``; a notebook shows it.

        Raises
        ------
        OptionValueError
            There is no such parameter, what is given is no fit, or the names do not fit.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> model = "level: 1\\n y ~ x1 + w1:x1\\nlevel: 2\\n y ~ w1"
        >>> fit = mlsem.fit(model, data, cluster="id")
        >>> figure = fit.plot_coefficients(fit.with_se("CR2"), labels={"y": "Achievement"})
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['standard', 'CR2']
        """
        from mlsem.results.coefficients import plot_coefficients

        fits = named_fits((self._fit, *others), names)
        return plot_coefficients(fits, parameters, level, labels, figure)


def named_fits(fits: Iterable[object], names: object = None) -> dict[str, FitResult]:
    """Fits by their names; by default the kinds of standard errors, where they tell them apart.

    Raises
    ------
    OptionValueError
        One is no fit, or the names do not fit.
    """
    given: list[FitResult] = []
    for k, fit in enumerate(fits, 1):
        if not isinstance(fit, Drawn):
            raise OptionValueError(f"fit {k} is a {type(fit).__name__}; it takes a FitResult.")
        given.append(fit._fit)
    if not given:
        raise OptionValueError("there is no fit to draw: plot_coefficients([fit1, fit2]).")
    if names is None:
        called = [fit.se_kind for fit in given]
        if len(set(called)) < len(called):
            called = [str(number) for number in range(1, len(given) + 1)]
    else:
        called = [names] if isinstance(names, str) else [str(n) for n in cast("Any", names)]
    if len(called) != len(given) or len(set(called)) < len(called):
        raise OptionValueError(
            f"names={called!r}: it takes a name for each of the {len(given)} fits, all different."
        )
    return dict(zip(called, given, strict=True))
