"""`invariance`: a model of several groups, step by step more equal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack, get_args

from mlsem.api.fit import fit
from mlsem.core.quiet import quiet
from mlsem.data.frames.taking import any_frame
from mlsem.errors import OptionError, OptionValueError, listed, nearest, warnings_of
from mlsem.estimation.keywords import InvarianceKeywords, shown
from mlsem.inference.alignment.result import Alignment
from mlsem.model.options import GroupEqual
from mlsem.other_programs.answering import answering
from mlsem.parallel.progress import bar
from mlsem.results.invariance.result import Invariance
from mlsem.results.result import FitResult

if TYPE_CHECKING:
    from mlsem.data.frames.records import AnyFrame

STEPS: dict[str, tuple[str, ...]] = {
    "configural": (),
    "metric": ("loadings",),
    "cross-level": ("levels",),
    "scalar": ("loadings", "intercepts"),
    "strict": ("loadings", "intercepts", "residuals"),
    "means": ("means",),
}
KNOWN: dict[str, tuple[str, ...]] = STEPS | {
    name: (name,) for name in get_args(GroupEqual) if name not in STEPS
}
"""Steps by name; a name of `group_equal` is one, too."""

NOT_HERE = {
    "group_equal": "steps= says what is equal in each step",
    "group_partial": "partial= names parameters that stay free",
    "level_equal": "cross_level=True adds the step with loadings equal over levels",
}


@shown(InvarianceKeywords)
@answering
@quiet
@any_frame
def invariance(
    model: str,
    data: AnyFrame,
    *,
    group: str,
    cluster: str | None = None,
    steps: Iterable[str] | Mapping[str, Iterable[str]] = (
        "configural",
        "metric",
        "scalar",
        "strict",
        "means",
    ),
    partial: str | Iterable[str] = (),
    cross_level: bool = False,
    alignment: bool | Mapping[str, Any] = False,
    **options: Unpack[InvarianceKeywords],
) -> Invariance:
    """Measurement invariance across groups: a model is fitted with more and more of it equal.

    Parameters
    ----------
    model : str
        With the same factors in all groups, of one level or two.
    data : data frame or path
    group : str
        Column of the groups.
    cluster : str, optional
        As for `mlsem.fit`.
    steps : iterable of str, or mapping of str to iterable of str, optional
        In their order; by default the five that follow. "configural": nothing is equal; "metric":
        loadings; "scalar": and intercepts, with factor means free after the first group; "strict":
        and residual variances; "means": and factor means; "cross-level": loadings at both levels;
        or a name of `group_equal` ("lv.variances", "regressions", …). Each step keeps what the ones
        before have equal. A mapping names the steps and says what is equal in each.
    partial : str or iterable of str, optional
        Parameters that stay free in all steps (partial invariance; Byrne, Shavelson & Muthén,
        1989), by default none: "fw=~y3", "y1~1"; "y1~1.l2" is that of level 2 alone.
    cross_level : bool, default False
        Adds the step "cross-level" after "metric" (or after the first step): in each group loadings
        of a factor within clusters are those of the one between them, so that both are the same
        construct (Jak & Jorgensen, 2017).
    alignment : bool or mapping, default False
        Whether factors of the first step are aligned (`FitResult.align`), with these options.
    **options
        As for `mlsem.fit`, ``se="CR2"`` for few clusters. With robust errors
        (``estimator="MLR"``) χ² is scaled and CFI and RMSEA are robust.

    Returns
    -------
    Invariance
        Prints as text; `table` and `differences` are data frames, `verdict` says what to make of
        each step, `worst(step)` which equality hurts most and what that does to factor means and
        regressions, `fits` has the fit of each step, `plot()` is a figure.

    Raises
    ------
    OptionError, OptionValueError
        A keyword, or its value; steps that add nothing.
    ModelSyntaxError, SpecificationError, DataError
        As `mlsem.fit`.

    Notes
    -----
    Beside the likelihood-ratio test of a step stands the score test of all its equalities at its
    own estimates, T / c₀ (`mlsem.lr_test`, method="score"), which holds its level with few clusters
    where the scaled ratio rejects too often (docs/studies/fit_tests_differences.md).

    Examples
    --------
    >>> import mlsem
    >>> truth = "f =~ 1*y1 + 0.8*y2 + 0.9*y3; f ~~ 1*f; y1 ~~ 1*y1; y2 ~~ 1*y2; y3 ~~ 1*y3"
    >>> data = mlsem.simulate(truth, 200, group="g", group_label=["a", "b", "c"], seed=1)
    >>> found = mlsem.invariance("f =~ y1 + y2 + y3", data, group="g")
    >>> found.steps
    ('configural', 'metric', 'scalar', 'strict', 'means')
    >>> found.worst("scalar")[["parameter", "group"]].head(2)
      parameter group
    0      y1~1     c
    1      y2~1     c
    """
    for name, advice in NOT_HERE.items():
        if name in options:
            raise OptionError(f"{name}= is no option of invariance: {advice}.")
    if not isinstance(group, str):
        raise OptionValueError(f"group={group!r}: it takes the name of the column of groups.")
    if not isinstance(cross_level, bool):
        raise OptionValueError(f"cross_level={cross_level!r}: it takes True or False.")
    if not isinstance(partial, Iterable):
        raise OptionValueError(f'partial={partial!r}: it takes names, such as ["f=~y3", "y1~1"].')
    free = (partial,) if isinstance(partial, str) else tuple(partial)
    equal = _equalities(steps, cross_level)
    fits: dict[str, FitResult] = {}
    first: FitResult | None = None
    rest: dict[str, Any] = dict(options)
    with bar(len(equal), "invariance", rest.pop("progress", None)) as advance:
        for step, names in equal.items():
            how: dict[str, Any] = {
                "group_equal": tuple(name for name in names if name != "levels"),
                "group_partial": free,
                "level_equal": ("loadings",) if "levels" in names else (),
            }
            with warnings_of(step):
                if first is None:
                    fits[step] = first = fit(model, data, cluster, group=group, **how, **rest)
                else:
                    fits[step] = first.update(**how)  # of the same rows, which are not read again
            advance(1)
    assert first is not None
    return Invariance(
        fits=fits,
        equal=equal,
        column=group,
        groups=tuple(each.label for each in first._estimates.groups),
        partial=free,
        alignment=_aligned(first, alignment),
    )


def _equalities(steps: Any, cross_level: bool) -> dict[str, tuple[str, ...]]:
    """What is equal in each step, with what the ones before have."""
    own = _own(steps)
    if cross_level and not any("levels" in names for names in own.values()):
        after = "metric" if "metric" in own else next(iter(own))
        own = {
            name: value
            for step, names in own.items()
            for name, value in (
                (step, names),
                *((("cross-level", ("levels",)),) if step == after else ()),
            )
        }
    found: dict[str, tuple[str, ...]] = {}
    so_far: tuple[str, ...] = ()
    for step, names in own.items():
        added = tuple(dict.fromkeys((*so_far, *names)))
        if found and len(added) == len(so_far):
            raise OptionValueError(
                f"steps: {step!r} adds nothing to {list(found)[-1]!r}. Leave one of them out, or "
                "order them from the least equal to the most."
            )
        found[step] = so_far = added
    return found


def _own(steps: Any) -> dict[str, tuple[str, ...]]:
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        raise OptionValueError(
            f'steps={steps!r}: it takes a list, such as ["configural", "metric", "scalar"].'
        )
    if isinstance(steps, Mapping):
        given = {str(step): _texts(step, names) for step, names in steps.items()}
    else:
        listed_steps = list(steps)
        for step in listed_steps:
            if not isinstance(step, str) or step not in KNOWN:
                raise OptionValueError(
                    f"steps: {step!r} is none of {listed(KNOWN, len(KNOWN))}."
                    f"{nearest(str(step), KNOWN)}"
                )
        if len(set(listed_steps)) < len(listed_steps):
            raise OptionValueError("steps: one is there twice.")
        given = {step: KNOWN[step] for step in listed_steps}
    if not given:
        raise OptionValueError("steps is empty: name some, or leave it out.")
    return given


def _texts(step: object, names: Any) -> tuple[str, ...]:
    if not isinstance(names, Iterable):
        raise OptionValueError(f"steps: {step!r} has {names!r} equal; it takes a list of texts.")
    pool = (names,) if isinstance(names, str) else tuple(names)
    choices = (*get_args(GroupEqual), "levels")
    for name in pool:
        if name not in choices:
            raise OptionValueError(
                f"steps: {step!r} has {name!r} equal, which is none of "
                f"{listed(choices)}.{nearest(str(name), choices)}"
            )
    return pool


def _aligned(first: FitResult, asked: Any) -> Alignment | None:
    if asked is False:
        return None
    if asked is not True and not isinstance(asked, Mapping):
        raise OptionValueError(
            f"alignment={asked!r}: it takes True, False or options of fit.align, such as "
            '{"identification": "free"}.'
        )
    return first.align(**({} if asked is True else asked))
