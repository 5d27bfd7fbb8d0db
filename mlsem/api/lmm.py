"""`lmm`: linear mixed models in the language of R's lme4, fitted as two-level models.

The formula becomes the two-level model that it is: columns of the design matrix that vary within
clusters are covariates of level 1, the others of level 2; the random intercept is the level-2 part
of the outcome, and a random slope a variable of level 2.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, Unpack

from mlsem.api.steps import SAMPLED, Rows, finish, warn_of_lone_values
from mlsem.base.caching import remember
from mlsem.core.quiet import quiet
from mlsem.data.design.classes import named_columns
from mlsem.data.design.columns import INTERCEPT
from mlsem.data.design.mixed import MixedColumns, MixedData, read_mixed
from mlsem.data.design.variables import RESIDUAL
from mlsem.data.frames.records import Lazy
from mlsem.data.frames.source import source as source_of
from mlsem.data.frames.taking import taken
from mlsem.data.table.sampling import Sampling
from mlsem.errors import (
    DataError,
    DataWarning,
    OptionValueError,
    Span,
    SpecificationError,
    listed,
    warn,
)
from mlsem.estimation.keywords import MixedKeywords, shown
from mlsem.estimation.settings import SETTING_NAMES, Settings, se_kind
from mlsem.model.classes import with_classes
from mlsem.model.defaults import specify
from mlsem.model.mixed_options import refuse_fiml, refuse_meaningless
from mlsem.model.options import ModelOptions, require_known
from mlsem.model.table import ParameterTable, Row
from mlsem.other_programs.answering import answering
from mlsem.parallel.progress import showing
from mlsem.results.mixed.result import MixedResult, mixed_result
from mlsem.results.mixed.source import Source
from mlsem.results.recipe import Recipe
from mlsem.syntax.mixed import MixedFormula, changed_formula, read_formula
from mlsem.syntax.nodes import Block, Formula, ModelSyntax, Modifiers, Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from mlsem.data.frames.records import AnyFrame
    from mlsem.data.queried.read import QueriedMixed
    from mlsem.results.nested.result import NestedResult


@shown(MixedKeywords)
@answering
@quiet
def lmm(
    formula: str,
    data: AnyFrame,
    REML: bool = True,
    *,
    residual: str | list[str] | None = None,
    **options: Unpack[MixedKeywords],
) -> MixedResult | NestedResult:
    """Fit a linear mixed model of two or three levels, as lme4's `lmer`.

    Parameters
    ----------
    formula : str
        Such as ``"y ~ w1*x1 + (x1 | id)"``, read by R's rules: interactions, ``f/x1``, factors
        (text and categorical columns, ``factor(t)``; treatment coding), ``I(x1^2)``,
        ``I(x1 > 0 & x2 < 1)``, ``scale(x1)``, ``poly(x1, 2)``, ``ns(x1, 3)``, ``log(x1)``,
        ``np.arctan(x1)``: the functions of `mlsem.data.design.r_functions`. They see all
        rows of the data, and rows with missing values are left out after, with a warning. Fixed
        effects that are linear combinations of those before are left out with a note, as in lme4.
        Random parts: ``(1 | id)``, ``(x1 | id)``, ``(0 + x1 | id)``, and ``(x1 + f || id)``, each
        term a part of its own. Of three levels, rows in classes in schools:
        ``(1 | school/class)``, ``(x1 | school) + (1 | school:class)``, or
        ``(1 | school) + (1 | class)`` where no class is in two schools.
    data : data frame or path
        One row per unit, of any library, as for `mlsem.fit`. Is not changed. Of a query only sums
        by cluster come here; the columns of the formula where it has splines, ``poly()`` or
        another function that an engine does not compute as R does.
    REML : bool, default True
        Restricted maximum likelihood, as lme4's default; False: maximum likelihood.
    residual : str or list of str, optional
        A column of groups with residual variances σ_g² of their own, as nlme's
        ``weights = varIdent(form = ~ 1 | g)``; of several columns the cells have one each. Groups
        may be of rows or of whole clusters. Default: one σ².
    **options
        ``se``, ``se_cluster``, ``test``, ``df``, ``information``, ``missing``, ``start``,
        ``starts``, ``seed``, ``max_iter``, ``tol``, ``on_failure``, ``progress``, as for
        `mlsem.fit`, and with ``REML=False`` ``weights``, ``weight_scaling``, ``strata`` and
        ``replicates`` (of sampling: lmer's ``weights``, of precision, are others); others are
        refused. Model-based
        standard errors are from the expected information, as lme4's, with t tests of the fixed
        effects: ``df="satterthwaite"`` (the default) or, with REML, ``df="kenward-roger"``;
        ``test="z"`` takes the variances for known.

    Returns
    -------
    MixedResult or NestedResult
        Of three levels a `NestedResult`; of two a `FitResult` with lme4's summary, predictions of
        rows and marginal means. Fixed effects come first, in the order of the formula, with lme4's
        names: ``(Intercept)``, ``x1``, ``w1:x1``, ``sexmale``. Variances and covariances are
        ``id.(Intercept)``, ``id.x1``, ``id.x1.(Intercept)`` and ``Residual``, with
        ``residual="g"`` those of the groups, ``Residual.a``, ``Residual.b``, …

    Raises
    ------
    SpecificationError
        The formula, or a random part that a two-level model cannot have.
    IdentificationError
        Something that no data of this design determine: two effects that covary leave no
        residual variance where every cluster has two rows at the same two times.
    DataError, OptionError, OptionValueError, ConvergenceError
        As for `mlsem.fit`.

    Notes
    -----
    The covariance Φ = (Σ_j X_jᵀ V_j⁻¹ X_j)⁻¹ of the fixed effects β is taken at estimated variances
    φ, whose covariance W is the inverse of their information. A contrast cᵀβ̂ has

        ν = 2 (cᵀΦc)² / gᵀ W g,     g_k = cᵀ (∂Φ/∂φ_k) c

    degrees of freedom (Satterthwaite, 1946; Giesbrecht & Burns, 1985), with the observed
    information as lmerTest (Kuznetsova, Brockhoff & Christensen, 2017); q contrasts an F test with
    the denominator of Fai & Cornelius (1996). Kenward & Roger (1997) take the expected
    information, enlarge Φ by what the uncertainty of φ adds, and scale F by λ; pbkrtest's numbers
    (Halekoh & Højsgaard, 2014). Where the fit is singular, Satterthwaite's ν too has the expected
    information: a variance of zero is an estimate. lmerTest takes it for known there, which
    leaves more degrees of freedom than the clusters have. Variances and covariances are not
    tested (NaN): compare fits with `mlsem.lr_test`; ``conf_int(ci="profile")`` has intervals.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
    >>> fit.df_method
    'satterthwaite'
    >>> kr = fit.with_se("standard", df="kenward-roger")
    >>> kr.wald_test("`w1`; `w1:x1`").test
    'F'
    """
    parsed, apart = read_formula(formula), named_columns(residual)
    settings, start, progress = settings_of(REML, {**options})
    refuse_fiml(settings.missing)
    if parsed.nested:
        from mlsem.api.lmm_nested import lmm_nested  # for few fits

        asked: Any = options | {"residual": residual}
        return lmm_nested(parsed, data, settings, asked, updated_mixed)
    with showing(progress):
        mixed, source, frame = _read(parsed, data, settings, options, apart)
        if settings.missing is None and mixed.lost:
            warn(mixed.lost, DataWarning)
        table = mixed_table(parsed, mixed.columns)
        record = mixed.record(table, parsed.group, settings.se_cluster)
        recipe = Recipe(ModelOptions(), updated_mixed)
        reread = partial(_reread, parsed, table, settings, apart)
        rows = None if frame is None else Rows(frame, parsed.group, reread)
        fit = finish(formula, settings, table, record, start, recipe, rows=rows)
    return mixed_result(fit, source)


def _read(
    parsed: MixedFormula,
    data: Any,
    settings: Settings,
    options: Mapping[str, Any],
    residual: tuple[str, ...],
) -> tuple[MixedData | QueriedMixed, Source, pd.DataFrame | None]:
    """The columns of a formula, by the engine that has the rows where it can make them, else with
    the frame of the rows."""
    found = source_of(data)
    missing = settings.missing or "listwise"
    if isinstance(found, Lazy) and settings.sampling is None and not residual:
        from mlsem.data.queried.read import read_mixed_query  # with narwhals

        mixed = read_mixed_query(parsed, found.frame, missing, settings.se_cluster)
        if mixed is not None:
            return mixed, Source.of(data), None
    frame = taken(data, found, parsed.text, dict(options), *residual)
    read = read_mixed(parsed, frame, missing, settings.sampling, residual)
    warn_of_lone_values(read.recipe.names, frame)
    return read, Source.of(data), frame


def _reread(
    parsed: MixedFormula,
    table: ParameterTable,
    settings: Settings,
    residual: tuple[str, ...],
    frame: pd.DataFrame,
    sampling: Sampling,
) -> Any:
    """The record of a frame with other weights."""
    read = read_mixed(parsed, frame, settings.missing or "listwise", sampling, residual)
    return read.record(table, parsed.group, settings.se_cluster)


# --- the same again, changed ----------------------------------------------------------------------


@quiet
def updated_mixed(
    fit: MixedResult | NestedResult, formula: object, data: object, changes: Mapping[str, Any]
) -> MixedResult | NestedResult:
    """What `update` gives of a fit by `lmm`: of the same formula by what the fit knows of its rows,
    of another one by its data frame or another."""
    changes = dict(changes)
    if "estimator" in changes:
        raise OptionValueError("estimator: lmm takes REML=True or REML=False in its place.")
    REML = changes.pop("REML", fit.settings.estimator == "REML")
    if formula is not None and not isinstance(formula, str):
        raise OptionValueError(f"model={formula!r}: it takes a formula, or a part that is added.")
    text = fit.model if formula is None else changed_formula(fit.model, formula)
    own = fit._residual_columns if isinstance(fit, MixedResult) else ()
    residual = named_columns(changes.pop("residual", own))
    if text == fit.model and data is None and residual == own:
        for name in ("missing", "se_cluster", *SAMPLED):
            if name in changes:
                raise OptionValueError(
                    f"{name}= says how data are read, and a fit does not keep them: pass data=…."
                )
        settings, start, progress = settings_of(REML, kept_options(fit.settings, changes))
        if not isinstance(fit, MixedResult):
            from mlsem.api.lmm_nested import finished_again

            return finished_again(fit, settings, start)
        with showing(progress):
            again = finish(text, settings, fit.table, fit._record, start, fit._recipe)
        return mixed_result(again, fit._source)
    named = *fit._columns_named, *residual, text
    frame = fit._source.rows(fit._estimates, data, "update with another formula", *named)
    options: Any = kept_options(fit.settings, changes) | {"residual": residual or None}
    return lmm(text, frame, REML, **options)


def kept_options(own: Settings, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a fit that are not the default, and the changes. What says how standard errors
    are computed goes with their kind."""
    plain = Settings()
    kept = {name: getattr(own, name) for name in SETTING_NAMES if name != "estimator"}
    kept = {name: value for name, value in kept.items() if value != getattr(plain, name)}
    if kept.get("information") == "expected" and own.kind().model_based:
        del kept["information"]  # what lmm takes for itself
    if "se" in changes:
        kept = {name: kept[name] for name in kept if name not in ("test", "df", "information")}
    return kept | dict(changes)


def settings_of(reml: object, options: dict[str, Any]) -> tuple[Settings, object, object]:
    if not isinstance(reml, bool):
        raise OptionValueError(f"REML={reml!r}: it takes True or False.")
    refuse_meaningless(options)
    require_known(options, ("start", "progress", *SETTING_NAMES))
    rest = dict(options)
    if "estimator" in options:
        raise OptionValueError("estimator: lmm takes REML=True or REML=False in its place.")
    start, progress = rest.pop("start", None), rest.pop("progress", None)
    se = rest.get("se")
    usual = se is None and rest.get("weights") is None and rest.get("strata") is None
    plain = (usual or (se is not None and se_kind(se).model_based)) and not rest.get("information")
    rest["estimator"] = "REML" if reml else "ML"
    if plain:
        rest["information"] = "expected"
    return Settings(**rest), start, progress


# --- the model --------------------------------------------------------------------------------


@remember
def mixed_table(parsed: MixedFormula, columns: MixedColumns) -> ParameterTable:
    """The parameter table of a linear mixed model, its parameters named as in lme4. Fits of one
    formula to many data sets specify it once."""
    _check_random(parsed, columns)
    syntax = _Writer(parsed, columns).syntax()
    table = specify(syntax)
    slopes = {slope.name: slope.carrier for slope in table.slopes}
    names = [""] * len(table.names)
    for row in table.rows:
        if row.free >= 0:
            names[row.free] = _lme4_name(row, columns.outcome, slopes, parsed.group)
    _check_names(names)
    ordered = _in_order(table, names, columns, parsed.group)
    found = replace(ordered, notes=(), semidefinite=True)
    if not columns.classes:
        return found
    return with_classes(found, columns.classes, [f"{RESIDUAL}.{each}" for each in columns.classes])


def _in_order(
    table: ParameterTable, names: list[str], columns: MixedColumns, group: str
) -> ParameterTable:
    """Fixed effects as the formula has them, then the parts of each random block, the residual."""
    wanted = [*columns.fixed]
    for block in columns.random:
        wanted += [f"{group}.{effect}" for effect in block]
        pairs = ((f"{group}.{a}.{b}", f"{group}.{b}.{a}") for a, b in combinations(block, 2))
        wanted += [name for pair in pairs for name in pair if name in names]
    wanted.append(RESIDUAL)
    place = {name: k for k, name in enumerate(wanted)}
    rows = tuple(
        replace(row, free=place[names[row.free]]) if row.free >= 0 else row for row in table.rows
    )
    return replace(table, rows=rows, names=tuple(wanted))


def _check_names(names: list[str]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(
            f"two parameters would be named {listed(twice)}: rename that column of the data."
        )


def _check_random(parsed: MixedFormula, columns: MixedColumns) -> None:
    effects = [effect for block in columns.random for effect in block]
    if not effects:
        raise SpecificationError(f"the random part of {parsed.text!r} is empty.")
    for effect in effects:
        if effects.count(effect) > 1:
            raise SpecificationError(
                f"{effect} varies between clusters twice in {parsed.text!r}: keep one of the terms."
            )


class _Writer:
    """The formulas of both levels; names may be any text, for they are not parsed again."""

    def __init__(self, parsed: MixedFormula, columns: MixedColumns) -> None:
        self.parsed, self.columns = parsed, columns
        self.span = Span(0, len(parsed.text))
        self.slopes = {
            effect: f"{effect}|{parsed.group}"
            for block in columns.random
            for effect in block
            if effect != INTERCEPT
        }
        # a column with a random effect is its carrier, whether it varies within clusters or not
        self.within = columns.within | self.slopes.keys()

    def syntax(self) -> ModelSyntax:
        blocks = Block("1", tuple(self._within())), Block("2", tuple(self._between()))
        return ModelSyntax(self.parsed.text, blocks)

    def _within(self) -> Iterable[Formula]:
        columns = self.columns
        carriers = [name for name in self.slopes if name not in columns.fixed]
        for name in (*columns.fixed, *carriers):
            if name in self.within:
                yield self._formula(columns.outcome, "~", name, slope=self.slopes.get(name))
        yield self._formula(columns.outcome, "~~", columns.outcome)

    def _between(self) -> Iterable[Formula]:
        columns, outcome = self.columns, self.columns.outcome
        for name in columns.fixed:
            if name != INTERCEPT and name not in self.within:
                yield self._formula(outcome, "~", name)
        yield self._formula(outcome, "~1", fixed=None if INTERCEPT in columns.fixed else 0.0)
        for effect, name in self.slopes.items():
            yield self._formula(name, "~1", fixed=None if effect in columns.fixed else 0.0)
        varies = any(INTERCEPT in block for block in columns.random)
        yield self._formula(outcome, "~~", outcome, fixed=None if varies else 0.0)
        for block in columns.random:
            names = [self.slopes.get(effect, outcome) for effect in block]
            for k, first in enumerate(names):
                for second in names[k + 1 :]:
                    yield self._formula(first, "~~", second)

    def _formula(
        self,
        lhs: str,
        op: Any,
        rhs: str | None = None,
        fixed: float | None = None,
        slope: str | None = None,
    ) -> Formula:
        right = None if rhs is None else Variable(rhs, self.span)
        modifiers = Modifiers(fixed=fixed, slope=slope)
        return Formula(Variable(lhs, self.span), op, right, modifiers, self.span)


def _lme4_name(row: Row, outcome: str, slopes: dict[str, str], group: str) -> str:
    """`x1` of a fixed effect; `id.x1.(Intercept)` of a covariance, as lme4 names its theta."""
    if row.op == "~":
        return row.rhs
    if row.op == "~1":
        return slopes.get(row.lhs, INTERCEPT)
    if row.block.is_lowest:
        return RESIDUAL
    first, second = (slopes.get(name, INTERCEPT) for name in (row.lhs, row.rhs))
    if first == second:
        return f"{group}.{first}"
    order = [INTERCEPT, *slopes.values()]
    first, second = sorted((first, second), key=order.index)
    return f"{group}.{second}.{first}"
