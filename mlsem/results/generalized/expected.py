"""`Expecting`: expected outcomes of a generalised linear model, and its coefficients as ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.frames.taking import any_frame
from mlsem.data.table.columns import require_frame
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, OptionValueError
from mlsem.inference.covariance.intervals import wald
from mlsem.results.tested import Tested

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.frames.records import AnyFrame

Scale = Literal["response", "link"]


class Expecting(Tested):
    """What the coefficients of a fit, or of several pooled ones, say of outcomes."""

    settings: Any

    def _design(self, frame: pd.DataFrame | None) -> tuple[Array, Array]:
        """X (n, p) and offsets (n,) of rows."""
        raise NotImplementedError

    @quiet
    @any_frame
    def predict(
        self,
        data: AnyFrame | None = None,
        scale: Scale = "response",
        *,
        se: bool = False,
        level: float | None = None,
    ) -> pd.DataFrame:
        """Expected outcomes of rows, μ = g⁻¹(xᵀβ̂ + offset); of pooled fits at the pooled estimates,
        by Rubin's rules, with x the mean over data sets.

        Parameters
        ----------
        data : data frame, optional
            Rows with the columns of the formula. Default: those of the fit, of pooled fits those of
            each data set.
        scale : {"response", "link"}, default "response"
            μ, or xᵀβ̂ + offset.
        se : bool, default False
            Adds standard errors and their degrees of freedom, by the delta method.
        level : float, optional
            Adds confidence limits: those of xᵀβ, mapped to μ.

        Returns
        -------
        DataFrame
            `predicted`, and `se`, `df`, `lower`, `upper` as asked for.

        Raises
        ------
        DataError, SpecificationError
            The rows lack a column, or have a level that the fit did not.
        InferenceError
            Constants of groups were taken out (`absorb`), which rows need.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> fit.predict(data.head(2), se=True).round(3)
           predicted     se      df
        0      0.326  0.075  18.855
        1      0.132  0.049  37.088
        """
        if scale not in ("response", "link"):
            raise OptionValueError(f"scale={scale!r}: it takes 'response' or 'link'.")
        if level is not None:
            require_level(level)
        frame = None if data is None else require_frame(data)
        design, offset = self._design(frame)
        _, link = self.settings.records
        eta = design @ self.estimates + offset
        mean, slope = link.mean(eta), link.slope(eta)
        shown = mean if scale == "response" else eta
        columns: dict[str, Array] = {"predicted": shown}
        if se or level is not None:
            errors, df = self.covariance.of_functions(design)
            factor = np.abs(slope) if scale == "response" else 1.0
            if se:
                columns |= {"se": errors * factor, "df": df}
            if level is not None:
                found = wald(eta, errors, df, level)
                ends = (found.lower, found.upper)
                if scale == "response":
                    ends = (link.mean(ends[0]), link.mean(ends[1]))
                columns |= {"lower": ends[0], "upper": ends[1]}
        return make_frame(columns, None if frame is None else frame.index)

    def exponentiated(self, level: float = 0.95) -> pd.DataFrame:
        """e^β: odds ratios of the logit link, ratios of means of the log link.

        Parameters
        ----------
        level : float, default 0.95
            Of the intervals, which are those of β, exponentiated.

        Returns
        -------
        DataFrame
            `ratio`, `df`, `pvalue` (of a ratio of 1), `lower`, `upper`, by coefficient.

        Raises
        ------
        InferenceError
            The link is another one, of which e^β is nothing.

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["high"] = (data["y"] > 0).astype(int)
        >>> fit = mlsem.glm("high ~ w1 + x1", data, cluster="id")
        >>> fit.exponentiated().loc["w1", ["ratio", "lower", "upper"]].round(2).tolist()
        [1.59, 1.05, 2.42]
        """
        link = self.settings.records[1]
        if not link.exponentiated:
            raise InferenceError(
                f"with link={link.name!r} e^β is no ratio of anything: fit.effects(...) compares "
                "expected outcomes."
            )
        found = self._wald(level)
        columns = {
            "ratio": np.exp(found.est),
            "df": found.df,
            "pvalue": found.pvalue,
            "lower": np.exp(found.lower),
            "upper": np.exp(found.upper),
        }
        return make_frame(columns, list(self.table.names))
