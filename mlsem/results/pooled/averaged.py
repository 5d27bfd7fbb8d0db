"""`Averaged`: effects by standardisation of several fits of a formula as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsem.arguments import require_level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsem.results.generalized.effects import EffectKind, GlmEffects


class Averaged:
    """Pooled fits whose `effects` are averages over the rows."""

    used: Any

    def effects(
        self,
        variable: str,
        *,
        kind: EffectKind | None = None,
        values: Iterable[Any] | None = None,
        by: str | None = None,
        level: float = 0.95,
    ) -> GlmEffects:
        """Expected outcomes at values of a variable, their differences and ratios, or slopes, by
        standardisation.

        They are averages over the rows of each data set, each pooled by Rubin's rules; ratios are
        pooled as their logarithms.

        Parameters
        ----------
        variable : str
            A column of the data that the formula's effects are made of.
        kind : {"contrast", "slope"}, optional
        values : iterable, optional
        by : str, optional
            As for `GlmResult.effects`.
        level : float, default 0.95
            Of the intervals.

        Returns
        -------
        GlmEffects

        Raises
        ------
        OptionValueError, DataError, InferenceError
            As for `GlmResult.effects`; or the data sets have not the same values.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> data["treated"] = (data["w1"] > 0).astype(int)
        >>> sets = [data.assign(x1=data["x1"] + 0.1 * k * data["y"]) for k in range(3)]
        >>> fits = [mlsem.glm("high ~ treated + x1", each, cluster="id") for each in sets]
        >>> found = mlsem.pool(fits).effects("treated")
        >>> found.frame[["effect", "estimate", "se", "df"]].round(2)
               effect  estimate    se     df
        0        mean      0.38  0.06  26.20
        1        mean      0.58  0.05  24.10
        2  difference      0.21  0.08  48.06
        3       ratio      1.55  0.20  44.81
        4  odds ratio      2.33  0.36  48.36
        """
        from mlsem.results.pooled.numbers import pooled_effects

        require_level(level)
        chosen = None if values is None else list(values)

        def of_one(fit: Any) -> GlmEffects:
            return fit.effects(variable, kind=kind, values=chosen, by=by, level=level)

        return pooled_effects(self, [of_one(fit) for fit in self.used], level)
