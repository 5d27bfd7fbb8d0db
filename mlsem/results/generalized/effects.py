"""Effects by standardisation: expected outcomes of all rows as they would be at other values.

With x_i(a) the row i in which a variable is a, and weights w_i that sum to 1 (of the rows of a
subgroup),

    μ(a) = Σ w_i g⁻¹(x_i(a)ᵀβ + offset_i),   ∂μ(a)/∂β = Σ w_i (dμ/dη)_i x_i(a)

and risks, differences μ(a) - μ(b), log μ(a)/μ(b) and log odds ratios have delta-method errors with
the degrees of freedom of their gradients (as marginal effects in R's marginaleffects; Greenland,
2004). A slope is Σ w_i (dμ/dη)_i ẋ_iᵀβ, ẋ the derivative of x_i. Rows are taken as they are: errors
are those of β̂, not of a draw of other rows. Of a linear mixed model g is the identity, random
effects are 0, and a difference stands also in standard deviations √(Σ w_i z_iᵀΨz_i + σ²) of the
outcome given x.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.data.design.generalized import offset_of, trials_of
from mlsem.data.table.frame import make_frame
from mlsem.errors import DataError, InferenceError, OptionValueError, listed, nearest
from mlsem.inference.covariance.intervals import wald
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import format_df, format_number, format_pvalue
from mlsem.report.sheet import Sheet, SheetTable, Shown

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.generalized.families import Link
    from mlsem.core.records import Array
    from mlsem.data.design.remade import Recipe
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.results.generalized.result import GlmResult

EffectKind = Literal["contrast", "slope"]
STEP = 1e-4  # standard deviations, of the difference that a derivative is
LEGENDS = {
    "ratio": "Standard errors of ratios are those of their logarithms.",
    "standardized": "Standardized: in standard deviations of the outcome given the covariates, "
    "random effects and residuals together.",
}
MANY = 12  # values of a variable that are no categories


@dataclass(frozen=True, slots=True, eq=False)
class Expectations:
    """What expected outcomes of rows are made of.

    Attributes
    ----------
    recipe : Recipe
        Makes x of rows.
    beta : (p,)
    npar : int
        Parameters of the covariance, of which β are the first.
    link : Link
    covariance : Covariance
    binary : bool
        Whether means are probabilities.
    positive : bool
        Whether they are positive, so that they have ratios.
    trials, offset : function
        Of rows, (n,).
    deviation : function or None
        The outcome's standard deviation given x in rows, and its gradient (npar,).
    """

    recipe: Recipe
    beta: Array
    npar: int
    link: Link
    covariance: Covariance
    binary: bool
    positive: bool
    trials: Callable[[pd.DataFrame], Array]
    offset: Callable[[pd.DataFrame], Array]
    deviation: Callable[[pd.DataFrame], tuple[float, Array]] | None = None

    def weights(self, part: pd.DataFrame) -> Array:
        trials = self.trials(part)
        return trials / trials.sum()

    def design(self, part: pd.DataFrame) -> Array:
        """X of rows.

        Raises
        ------
        DataError
            A value is missing.
        """
        design, _ = self.recipe.fixed_design(part)
        if np.isnan(design).any():
            raise DataError("some rows lack a value of a variable of the formula: leave them out.")
        return design

    def padded(self, gradient: Array) -> Array:
        """Of β, along all parameters."""
        return np.append(gradient, np.zeros(self.npar - len(gradient)))


@dataclass(frozen=True, slots=True, eq=False)
class _Function:
    """A function of β: what it is, its value on the scale on which it is tested, its gradient."""

    effect: str
    contrast: str
    value: float
    gradient: Array
    log: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GlmEffects(Shown, Answering):
    """Risks and their contrasts; prints as a table.

    Attributes
    ----------
    variable : str
    level : float
        Of the intervals.
    notes : tuple of str

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["high"] = (data["y"] > 0).astype(int)
    >>> data["treated"] = (data["w1"] > 0).astype(int)
    >>> found = mlsem.glm("high ~ treated + x1", data, cluster="id").effects("treated")
    >>> found.frame.loc[2, ["effect", "contrast"]].tolist()
    ['difference', 'treated: 1 - 0']
    >>> found.variable, found.level, found.notes
    ('treated', 0.95, ())
    """

    variable: str
    level: float
    notes: tuple[str, ...]
    _columns: dict[str, Any]

    @property
    def frame(self) -> pd.DataFrame:
        """A row per effect: `by` where subgroups were asked for, `effect`, `contrast`, `estimate`,
        `se`, `df`, `pvalue`, `lower`, `upper`. Of ratios `se` is that of their logarithm, on which
        they are tested, and p values are of ratios of 1, elsewhere of 0."""
        return make_frame(self._columns)

    def _sheet(self) -> Sheet:
        columns = self._columns
        heads = ("", "Estimate", "Std.Error", "df", "p", "ci.lower", "ci.upper")
        rows = []
        for k, effect in enumerate(columns["effect"]):
            name = f"{columns['by'][k]}: {effect}" if "by" in columns else effect
            cells = [columns["contrast"][k]]
            cells += [format_number(float(columns[each][k])) for each in ("estimate", "se")]
            cells += [format_df(float(columns["df"][k]))]
            cells += [format_pvalue(float(columns["pvalue"][k]))]
            cells += [format_number(float(columns[each][k])) for each in ("lower", "upper")]
            rows.append((name, tuple(cells)))
        legend = " ".join(
            sentence
            for word, sentence in LEGENDS.items()
            if any(word in effect for effect in columns["effect"])
        )
        table = SheetTable("Effects", heads, tuple(rows), legend, left=1)
        title = f"Effects of {self.variable} by standardisation ({100 * self.level:g} % intervals)"
        return Sheet(title, (), (table,), "Notes", self.notes)


@quiet
def glm_effects(
    fit: GlmResult,
    variable: str,
    kind: EffectKind | None,
    values: Iterable[Any] | None,
    by: str | None,
    frame: pd.DataFrame | None,
    level: float,
) -> GlmEffects:
    """See `GlmResult.effects`.

    Raises
    ------
    OptionValueError, DataError, InferenceError
    """
    data = fit._estimates.data
    if data.n_absorbed:
        raise InferenceError(
            "constants of groups were taken out (absorb=): the coefficients are the differences, "
            "and expected outcomes need the constants."
        )
    binary = fit.family == "binomial" or bool(np.isin(data.rows.outcome, (0.0, 1.0)).all())
    means = Expectations(
        recipe=data.recipe,
        beta=fit.estimates,
        npar=len(fit.estimates),
        link=fit.settings.records[1],
        covariance=fit.covariance,
        binary=binary,
        positive=binary or fit.family != "gaussian",
        trials=partial(trials_of, data.recipe),
        offset=partial(offset_of, data.recipe),
    )
    rows = data.frame if frame is None else frame
    columns = effect_columns(means, rows, variable, kind, values, by, level)
    return GlmEffects(variable, level, _notes(fit, variable), columns)


def effect_columns(
    means: Expectations,
    rows: pd.DataFrame,
    variable: str,
    kind: EffectKind | None,
    values: Iterable[Any] | None,
    by: str | None,
    level: float,
) -> dict[str, Any]:
    """Those of `GlmEffects.frame`.

    Raises
    ------
    OptionValueError, DataError
    """
    require_level(level)
    if kind not in (None, "contrast", "slope"):
        raise OptionValueError(f"kind={kind!r}: it takes 'contrast' or 'slope'.")
    grid = means.recipe.grid.names
    if variable not in grid:
        raise OptionValueError(
            f"{variable!r} is no column that the formula's effects are made of; these are "
            f"{listed(grid)}.{nearest(str(variable), list(grid))}"
        )
    points = _points(rows, variable, kind, values)
    found: list[tuple[Hashable, _Function]] = []
    for label, part in _parts(rows, by):
        made = (
            _slope(means, part, variable)
            if points is None
            else _risks(means, part, variable, points)
        )
        found += [(label, each) for each in made]
    functions = [each for _, each in found]
    gradients = np.array([means.padded(each.gradient) for each in functions])
    se, df = means.covariance.of_functions(gradients)
    tests = wald(np.array([each.value for each in functions]), se, df, level)
    logs = np.array([each.log for each in functions])
    untested = np.array([each.effect == "mean" for each in functions])

    def shown(values: Array) -> Array:
        return np.where(logs, np.exp(values), values)

    columns: dict[str, Any] = {} if by is None else {"by": [label for label, _ in found]}
    return columns | {
        "effect": [each.effect for each in functions],
        "contrast": [each.contrast for each in functions],
        "estimate": shown(tests.est),
        "se": tests.se,
        "df": tests.df,
        "pvalue": np.where(untested, np.nan, tests.pvalue),
        "lower": shown(tests.lower),
        "upper": shown(tests.upper),
    }


def _points(
    frame: pd.DataFrame, variable: str, kind: EffectKind | None, values: Iterable[Any] | None
) -> list[Any] | None:
    """Values that are compared with the first one; None for a slope."""
    if values is not None:
        found = list(values)
        if kind == "slope" or len(found) < 2:
            raise OptionValueError("values= are two or more that are compared, of kind='contrast'.")
        return found
    there: list[Any] = sorted(frame[variable].dropna().unique().tolist(), key=_key)
    if kind == "slope" or (kind is None and len(there) > 2 and not _is_text(there)):
        if _is_text(there):
            raise OptionValueError(f"{variable!r} is no number and has no slope.")
        return None
    if len(there) > MANY:
        raise OptionValueError(
            f"{variable!r} has {len(there)} values: name those that are compared, values=(0, 1), "
            "or ask for kind='slope'."
        )
    if len(there) < 2:
        raise OptionValueError(f"{variable!r} has one value in these rows: nothing is compared.")
    return there


def _key(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _is_text(values: list[Any]) -> bool:
    return any(not isinstance(each, (int, float, np.number)) for each in values)


def _parts(frame: pd.DataFrame, by: str | None) -> Iterator[tuple[Hashable, pd.DataFrame]]:
    """The rows, or those of each subgroup."""
    if by is None:
        yield None, frame
        return
    if by not in frame.columns:
        raise DataError(
            f"by={by!r} is no column of the formula: pass data= with the rows of the fit and that "
            "column."
        )
    for label in sorted(frame[by].dropna().unique().tolist(), key=_key):
        part: Any = frame.loc[frame[by] == label]
        yield label, part


def _risks(
    means: Expectations, part: pd.DataFrame, variable: str, points: list[Any]
) -> list[_Function]:
    """Means at all values, then contrasts with the first."""
    link, weights, offset = means.link, means.weights(part), means.offset(part)
    at: list[tuple[float, Array]] = []
    for value in points:
        design = means.design(part.assign(**{variable: value}))
        eta = design @ means.beta + offset
        at.append((float(weights @ link.mean(eta)), (weights * link.slope(eta)) @ design))
    names = [f"{variable} = {value}" for value in points]
    found = [_Function("mean", n, *each) for n, each in zip(names, at, strict=True)]
    first, of_first = at[0]
    for value, (mean, gradient) in zip(points[1:], at[1:], strict=True):
        against = f"{variable}: {value} - {points[0]}"
        difference = _Function("difference", against, mean - first, gradient - of_first)
        found.append(difference)
        if means.deviation is not None:
            found.append(_standardised(difference, *means.deviation(part)))
        over = f"{variable}: {value} / {points[0]}"
        if means.positive and min(first, mean) > 0.0:
            change = gradient / mean - of_first / first
            found.append(_Function("ratio", over, float(np.log(mean / first)), change, log=True))
        if means.binary and min(first, mean) > 0.0 and max(first, mean) < 1.0:
            odds = np.log(mean / (1.0 - mean)) - np.log(first / (1.0 - first))
            change = gradient / (mean * (1.0 - mean)) - of_first / (first * (1.0 - first))
            found.append(_Function("odds ratio", over, float(odds), change, log=True))
    return found


def _standardised(difference: _Function, deviation: float, gradient: Array) -> _Function:
    """δ = d / s: ∂δ = (∂d - δ ∂s) / s."""
    value = difference.value / deviation
    change = -value * gradient
    change[: len(difference.gradient)] += difference.gradient
    return _Function("standardized", difference.contrast, value, change / deviation)


def _slope(means: Expectations, part: pd.DataFrame, variable: str) -> list[_Function]:
    """The average derivative of the mean."""
    link, weights = means.link, means.weights(part)
    values: Any = part[variable].astype(float)
    step = STEP * (float(values.std(ddof=0)) or 1.0)
    ends = [means.design(part.assign(**{variable: values + s})) for s in (step, -step)]
    change, design = (ends[0] - ends[1]) / (2.0 * step), means.design(part)
    eta = design @ means.beta + means.offset(part)
    along = change @ means.beta
    slope = link.slope(eta)
    gradient = (weights * link.bend(eta) * along) @ design + (weights * slope) @ change
    return [_Function("slope", f"d/d {variable}", float(weights @ (slope * along)), gradient)]


def _notes(fit: GlmResult, variable: str) -> tuple[str, ...]:
    """That a variable varies within clusters, where it may be meant as their treatment."""
    data = fit._estimates.data
    values = data.frame[variable]
    kinds, codes = np.unique(np.asarray(values), return_inverse=True)
    if data.cluster is None or len(kinds) > 2:
        return ()
    codes = codes[data.order]
    low = np.minimum.reduceat(codes, data.rows.starts)
    mixed = int((np.maximum.reduceat(codes, data.rows.starts) > low).sum())
    if not mixed:
        return ()
    return (
        f"{variable} varies within {mixed} of {len(low)} clusters of {data.cluster!r}: if it was "
        "assigned to whole clusters, look at these rows.",
    )
