"""`within_between`: fixed effects, random effects, contextual and hybrid models of one formula."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlsem.api.glm import glm
from mlsem.api.lmm import lmm
from mlsem.core.quiet import quiet
from mlsem.data.design.columns import INTERCEPT
from mlsem.data.design.mixed import read_mixed
from mlsem.data.design.within_between import Interactions, SplitData, split_data
from mlsem.data.frames.source import source as source_of
from mlsem.data.frames.taking import taken
from mlsem.errors import (
    DataWarning,
    InferenceError,
    OptionValueError,
    errors_of,
    listed,
    nearest,
    warn,
    warnings_of,
)
from mlsem.other_programs.answering import answering
from mlsem.results.within_between.lines import MODELS
from mlsem.results.within_between.result import WithinBetween, unreliable
from mlsem.syntax.mixed import has_random_part, read_two_levels

if TYPE_CHECKING:
    from mlsem.data.frames.records import AnyFrame
    from mlsem.inference.wald.run import WaldTest
    from mlsem.results.mixed.result import MixedResult

WithinBetweenSe = Literal["CR2", "CR0", "CR1", "CR3", "standard"]


@answering
@quiet
def within_between(
    formula: str,
    data: AnyFrame,
    cluster: str | None = None,
    *,
    split: str | Iterable[str] | None = None,
    interactions: Interactions = "product",
    center: bool = False,
    REML: bool = True,
    se: WithinBetweenSe = "CR2",
    missing: Literal["listwise", "error"] | None = None,
) -> WithinBetween:
    """Fit fixed effects, random effects, contextual and hybrid models of the same rows.

        fixed        y_ij = α_j + β_w x_ij + e_ij
        random       y_ij = β₀ + β x_ij + γ z_j + u_j + e_ij
        contextual   y_ij = β₀ + β_w x_ij + (β_b - β_w) x̄_j + γ z_j + u_j + e_ij
        hybrid       y_ij = β₀ + β_w (x_ij - x̄_j) + β_b x̄_j + γ z_j + u_j + e_ij

    Parameters
    ----------
    formula : str
        ``"y ~ x1 + w1"``, read as `mlsem.lmm` reads it. It may have a random part with the
        clusters, ``"y ~ x1 + w1 + (x1 | school)"``; the hybrid model then has random slopes of
        deviations.
    data : data frame or path
        One row per unit, in any order. Is not changed.
    cluster : str, optional
        The column of clusters, where the formula does not name it.
    split : str or iterable of str, optional
        Variables (``"x1"``, ``"sex"``) or columns (``"sexmale"``, ``"x1:x2"``) that are cut into
        means of clusters and deviations. Default: all columns that vary within clusters. Others
        keep one effect, and the coefficients of the contextual and hybrid models are then no longer
        those of fixed effects.
    interactions : {"product", "double"}, default "product"
        Of two covariates that vary within clusters: their product is cut as any column, or that of
        their deviations ("double-demeaned", Giesselmann & Schmidt-Catran, 2020), which has no
        share in products of means with deviations.
    center : bool, default False
        Whether means of clusters are less their mean over all rows, so that the constant is that of
        an average cluster.
    REML : bool, default True
        Restricted maximum likelihood for the models with random effects; else maximum likelihood.
    se : {"CR2", "CR0", "CR1", "CR3", "standard"}, default "CR2"
        Of all models. "standard" takes the models for right.
    missing : {"listwise", "error"}, optional
        Rows without a value in some variable are left out before means are taken, with a warning
        unless "listwise" is asked for.

    Returns
    -------
    WithinBetween
        `fixed`, `random`, `contextual`, `hybrid`, the robust test `hausman`; `summary()` has them
        side by side, `to_frame()` all numbers, `data` the parts as columns.

    Raises
    ------
    SpecificationError
        The formula; no constant, or random parts without an intercept.
    DataError
        No covariate varies within clusters; columns.
    OptionValueError
        A value that an argument cannot take.
    ConvergenceError, OptionError

    Notes
    -----
    Deviations are orthogonal to means and to covariates of clusters under every random intercept,
    so that the within effects of `contextual` and `hybrid` are those of `fixed`, and so are their
    errors and degrees of freedom CR0, CR1, CR2 and CR3. `hausman` is the Wald test of β_b = β_w by
    the means in `contextual` (Mundlak, 1978; Arellano, 1993), with CR2 errors Pustejovsky &
    Tipton's (2018) HTZ: unlike Hausman's it trusts neither equal variances nor the random
    intercept. Means of clusters are those of the rows used; as measures of larger clusters they
    have errors, `covariates` their reliability (Lüdtke et al., 2008).

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> found = mlsem.within_between("y ~ x1 + w1", data, cluster="id")
    >>> print(found.hausman)
    Wald test (HTZ, covariance CR2) of
      `x1_between` == 0  estimate of `x1_between`: 0.869
    F(1, 13.18) = 2.930, p = 0.110
    >>> found.hybrid.params[["x1_within", "x1_between"]].round(3).to_dict()
    {'x1_within': 0.532, 'x1_between': 1.401}
    """
    _check(interactions, center, REML, se, missing)
    parsed = read_two_levels(_with_clusters(formula, cluster), "within_between")
    frame = taken(data, source_of(data), parsed.text)
    read = read_mixed(parsed, frame, missing or "listwise")
    if missing is None and read.lost:
        warn(read.lost, DataWarning)
    parts = split_data(parsed, read, _split(split), interactions, center=center)
    formulas = _formulas(parts)
    groups: Any = {"cluster": parts.cluster, "absorb": parts.cluster}
    with warnings_of("fixed"), errors_of("the model 'fixed'"):
        fixed = glm(formulas["fixed"], parts.frame, family="gaussian", se=se, **groups)
    mixed: dict[str, MixedResult] = {}
    for name in MODELS[1:]:
        with warnings_of(name), errors_of(f"the model {name!r}"):
            mixed[name] = lmm(formulas[name], parts.frame, REML, se=se)
    notes = (*read.notes, *_said(parts), *parts.notes, *unreliable(parts.covariates))
    test = _hausman(mixed["contextual"], parts)
    return WithinBetween(
        fixed=fixed,
        **mixed,
        hausman=test,
        cluster=parts.cluster,
        data=parts.frame,
        formulas=formulas,
        notes=(*notes, *([f"no Hausman test: {test}"] if isinstance(test, str) else ())),
        _covariates=parts.covariates,
    )


def _check(interactions: object, center: object, reml: object, se: object, missing: object) -> None:
    for name, value, choices in (
        ("interactions", interactions, get_args(Interactions)),
        ("se", se, get_args(WithinBetweenSe)),
        ("missing", missing, (None, "listwise", "error")),
    ):
        if value not in choices:
            known = [each for each in choices if each is not None]
            raise OptionValueError(
                f"{name}={value!r}: within_between takes {listed(known, 9)}."
                + nearest(str(value), known)
            )
    for name, value in (("center", center), ("REML", reml)):
        if not isinstance(value, bool):
            raise OptionValueError(f"{name}={value!r}: it takes True or False.")


def _with_clusters(formula: object, cluster: object) -> str:
    """The formula with a random part.

    Raises
    ------
    OptionValueError
        The clusters are not named, or twice and differently.
    """
    if not isinstance(formula, str):
        raise OptionValueError(
            f"formula is a {type(formula).__name__}; it takes text such as 'y ~ x1 + w1'. The "
            "first argument is the formula, the second the data."
        )
    if cluster is not None and not isinstance(cluster, str):
        raise OptionValueError(f"cluster={cluster!r}: it takes the name of a column.")
    if has_random_part(formula):
        named = read_two_levels(formula, "within_between").group
        if cluster not in (None, named):
            raise OptionValueError(
                f"cluster={cluster!r}, and the formula has random effects of {named!r}: name the "
                "clusters once."
            )
        return formula
    if cluster is None:
        raise OptionValueError('within_between needs the column of clusters: cluster="school".')
    return f"{formula} + (1 | {_quoted(cluster)})"


def _quoted(name: str) -> str:
    return name if name.isidentifier() and not name.startswith("_") else f"`{name}`"


def _split(split: Any) -> tuple[str, ...] | None:
    if split is None:
        return None
    found = (split,) if isinstance(split, str) else tuple(split)
    if not found:
        raise OptionValueError("split is empty: name covariates, or leave it out.")
    return found


def _formulas(parts: SplitData) -> dict[str, str]:
    """Of the four models, in columns of the data with the parts."""
    own = parts.covariates
    raw = {each.name: each.column for each in own}
    cut = {each.name: (each.within or each.column) if each.split else each.column for each in own}
    means = [each.between for each in own if each.between is not None]
    kept = [each for each in own if not each.split or each.within is not None]
    fixed = [each.column for each in own if each.varies and each.within is not None]
    random, deviations = _random(parts, raw), _random(parts, cut)
    return {
        "fixed": _formula(parts, fixed),
        "random": _formula(parts, [*raw.values(), *random]),
        "contextual": _formula(parts, [*(raw[each.name] for each in kept), *means, *random]),
        "hybrid": _formula(parts, [*(cut[each.name] for each in kept), *means, *deviations]),
    }


def _formula(parts: SplitData, terms: Iterable[str]) -> str:
    return f"{parts.outcome} ~ {' + '.join(terms)}"


def _random(parts: SplitData, columns: dict[str, str]) -> list[str]:
    """The random parts, of these columns."""
    found = []
    for block in parts.random:
        constant = "1" if INTERCEPT in block else "0"
        slopes = [columns[name] for name in block if name != INTERCEPT]
        found.append(f"({' + '.join([constant, *slopes])} | {_quoted(parts.cluster)})")
    return found


def _hausman(contextual: MixedResult, parts: SplitData) -> WaldTest | str:
    """The test of the means of covariates that are there themselves; why there is none."""
    both = [each for each in parts.covariates if each.split and each.within is not None]
    means = [each.between for each in both if each.between is not None]
    if not means:
        return "no covariate has both a within and a between effect."
    try:
        return contextual.wald_test("; ".join(f"`{each}`" for each in means))
    except InferenceError as error:
        return str(error)


def _said(parts: SplitData) -> tuple[str, ...]:
    """Notes on what is in which model."""
    found = list[str]()
    upper = [each.name for each in parts.covariates if not each.varies]
    if upper:
        verb = "does" if len(upper) == 1 else "do"
        found.append(
            f"{listed(upper)} {verb} not vary within clusters: the fixed-effects model has no "
            "effect of what its constants contain."
        )
    if parts.n_single:
        have = "cluster has" if parts.n_single == 1 else "clusters have"
        found.append(f"{parts.n_single} {have} one row, which says nothing of within effects.")
    one = [each.name for each in parts.covariates if each.varies and not each.split]
    if one:
        found.append(
            f"{listed(one)}: not split, one effect within and between clusters. The within "
            "effects of the contextual and hybrid models are not those of fixed effects."
        )
    if any(len(block) > 1 or INTERCEPT not in block for block in parts.random):
        found.append(
            "slopes vary between clusters: within effects of the models with random effects are "
            "weighted by these, and not those of fixed effects."
        )
    return tuple(found)
