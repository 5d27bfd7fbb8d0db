"""Differences of one parameter between groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any
from typing import Annotated as Shaped

import numpy as np

from mlsem.arguments import require_level
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, MlsemError, OptionValueError, listed, nearest
from mlsem.inference.covariance.intervals import Wald, holm, wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.estimated import GroupedEstimates
from mlsem.inference.wald.run import WaldTest, wald_test
from mlsem.model.blocks import name_suffix
from mlsem.model.hypotheses import read_hypothesis
from mlsem.report import sheet
from mlsem.report.cells import format_df, format_number, format_pvalue
from mlsem.report.figures.by_group import Panel, by_group
from mlsem.report.labels import read_labels

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.report.figures.style import Figure


Place = str | float
"""What a parameter is in a group: its name, or the value that it is fixed at."""


@dataclass(frozen=True, eq=False, repr=False)
class GroupComparison(sheet.Shown):
    """A parameter in each group, and its differences; prints as text, shows as HTML.

    Attributes
    ----------
    parameter : str
        As it was asked for.
    column : str
        The grouping variable.
    groups : tuple
        Those that have the parameter.
    pairs : tuple of (group, group)
        Of the differences: the second less the first.
    joint : WaldTest or None
        Of the hypothesis that all are equal; None where it does not exist.
    level : float
        Of the intervals.
    se : str
        The kind of the standard errors.
    notes : tuple of str

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["half"] = data["id"].mod(2).map({0: "even", 1: "odd"})
    >>> model = "level: 1; y ~ x1; level: 2; y ~~ y"
    >>> fit = mlsem.fit(model, data, cluster="id", group="half", se="CR2")
    >>> found = fit.compare_groups("y~x1")
    >>> found.estimates.round(2)
      group   est    se  stat     df  pvalue  ci_lower  ci_upper
    0  even  0.61  0.17  3.63  19.22     0.0      0.26      0.97
    1   odd  0.46  0.14  3.28  20.98     0.0      0.17      0.75
    >>> found.frame.columns.tolist()
    ['group1', 'group2', 'diff', 'se', 'stat', 'df', 'pvalue', 'ci_lower', 'ci_upper',
    'pvalue_holm']
    >>> round(found.joint.pvalue, 2)
    0.49
    """

    parameter: str
    column: str
    groups: tuple[Hashable, ...]
    pairs: tuple[tuple[Hashable, Hashable], ...]
    joint: WaldTest | None
    level: float
    se: str
    notes: tuple[str, ...]
    _each: Wald
    _between: Wald

    @property
    def estimates(self) -> pd.DataFrame:
        """group, est, se, stat, df, pvalue, ci_lower, ci_upper."""
        return make_frame({"group": list(self.groups), **_columns(self._each, "est")})

    @property
    def frame(self) -> pd.DataFrame:
        """A row per pair: group1, group2, diff (group 2 less group 1), se, stat, df, pvalue,
        ci_lower, ci_upper, pvalue_holm (Holm's, over the pairs)."""
        one, other = (list(side) for side in zip(*self.pairs, strict=True))
        columns = {"group1": one, "group2": other, **_columns(self._between, "diff")}
        return make_frame({**columns, "pvalue_holm": holm(self._between.pvalue)})

    @quiet
    def plot(
        self, figure: Figure | None = None, *, labels: Mapping[str, str] | None = None
    ) -> Figure:
        """The parameter by group, with intervals.

        Parameters
        ----------
        figure : Figure, optional
            An empty one to draw in.
        labels : mapping of str to str, optional
            Readable words for variables: ``{"x1": "Hours of reading"}``.

        Returns
        -------
        Figure

        Examples
        --------
        >>> import mlsem
        >>> data = mlsem.load_example("article")
        >>> data["half"] = data["id"].mod(2).map({0: "even", 1: "odd"})
        >>> model = "level: 1; y ~ x1; level: 2; y ~~ y"
        >>> fit = mlsem.fit(model, data, cluster="id", group="half", se="CR2")
        >>> figure = fit.compare_groups("y~x1").plot()
        >>> figure.savefig("groups.png")
        """
        words = read_labels(labels)
        limits = list(zip(self._each.lower.tolist(), self._each.upper.tolist(), strict=True))
        panel = Panel(words.parameter(self.parameter), self._each.est.tolist(), limits)
        groups = [str(group) for group in self.groups]
        return by_group([panel], groups, words.variable(self.column), figure)

    @quiet
    def _sheet(self) -> sheet.Sheet:
        facts = [("Groups", f"{len(self.groups)} [{self.column}]"), ("Standard errors", self.se)]
        if self.joint is not None:
            facts.append((f"All equal ({self.joint.test})", self.joint._result))
        each = _rows([str(group) for group in self.groups], self._each)
        names = [f"{other} - {one}" for one, other in self.pairs]
        between = _rows(names, self._between, holm(self._between.pvalue))
        heads = ("estimate", "se", "df", "p", "lower", "upper")
        tables = (
            sheet.SheetTable(self.parameter, heads, each, f"{100 * self.level:g} % intervals."),
            sheet.SheetTable("Differences", ("difference", *heads[1:], "p Holm"), between),
        )
        return sheet.Sheet("Groups compared", tuple(facts), tables, "Notes", self.notes)


def _columns(tests: Wald, name: str) -> dict[str, Any]:
    return {
        name: tests.est,
        "se": tests.se,
        "stat": tests.stat,
        "df": tests.df,
        "pvalue": tests.pvalue,
        "ci_lower": tests.lower,
        "ci_upper": tests.upper,
    }


def _rows(
    names: list[str], tests: Wald, adjusted: Array | None = None
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    for k, name in enumerate(names):
        numbers = [tests.est[k], tests.se[k]]
        cells = [format_number(float(value)) for value in numbers]
        cells.append("" if np.isinf(tests.df[k]) else format_df(float(tests.df[k])))
        cells.append(format_pvalue(float(tests.pvalue[k])))
        cells += [format_number(float(limits[k])) for limits in (tests.lower, tests.upper)]
        cells += [] if adjusted is None else [format_pvalue(float(adjusted[k]))]
        found.append((name, tuple(cells)))
    return tuple(found)


# --- computing ------------------------------------------------------------------------------------


@quiet
def compare_groups(
    estimates: GroupedEstimates,
    covariance: Covariance,
    parameter: object,
    reference: object = None,
    level: float = 0.95,
) -> GroupComparison:
    """What `FitResult.compare_groups` returns, which says what the arguments are."""
    require_level(level)
    labels = [group.label for group in estimates.groups]
    if len(labels) < 2:
        raise InferenceError("the fit has one group: there is nothing to compare.")
    if not estimates.converged:
        raise InferenceError("the fit did not converge: its estimates cannot be compared.")
    title, places = _places(estimates, labels, parameter)
    kept = [label for label, place in zip(labels, places, strict=True) if place is not None]
    lost = [str(label) for label, place in zip(labels, places, strict=True) if place is None]
    notes = [f"there is no {title} in group {listed(lost)}."] if lost else []
    own = [place for place in places if place is not None]
    names = [place for place in own if isinstance(place, str)]
    if len(own) < 2 or not names:
        raise InferenceError(f"{title!r} is not in two groups, or fixed in all of them.")
    if len(set(own)) == 1:
        raise InferenceError(
            f"{title!r} is one parameter in all groups: there is no difference to estimate. "
            "fit.score_test(release=…) or mlsem.invariance tests that it is one."
        )
    values, gradients = _read(estimates, own)
    pairs = _pairs(kept, reference)
    contrasts = np.zeros((len(pairs), len(own)))
    for k, (one, other) in enumerate(pairs):
        contrasts[k, one], contrasts[k, other] = -1.0, 1.0
    each = covariance.of_functions(gradients)
    between = covariance.of_functions(contrasts @ gradients)
    return GroupComparison(
        parameter=title,
        column=str(estimates.record.column),
        groups=tuple(kept),
        pairs=tuple((kept[g], kept[h]) for g, h in pairs),
        joint=_joint(estimates, covariance, own, notes),
        level=level,
        se=covariance.kind.name,
        notes=tuple(notes),
        _each=wald(values, *each, level),
        _between=wald(contrasts @ values, *between, level),
    )


def _read(
    estimates: GroupedEstimates, places: list[Place]
) -> tuple[Shaped[Array, "c"], Shaped[Array, "c npar"]]:
    """Values, and their gradients: of what is fixed 0."""
    values, gradients = np.zeros(len(places)), np.zeros((len(places), len(estimates.params)))
    free = [k for k, place in enumerate(places) if isinstance(place, str)]
    texts = [f"`{places[k]}` == 0" for k in free]
    found = read_hypothesis(texts, estimates.table, estimates.params, None)
    values[free], gradients[free] = found.values, found.gradients
    for k, place in enumerate(places):
        if not isinstance(place, str):
            values[k] = place
    return values, gradients


def _joint(
    estimates: GroupedEstimates, covariance: Covariance, places: list[Place], notes: list[str]
) -> WaldTest | None:
    """That all are equal; parameters that groups share count once."""
    fixed = [f"{place:.17g}" for place in places if not isinstance(place, str)]
    free = dict.fromkeys(f"`{place}`" for place in places if isinstance(place, str))
    first, *others = dict.fromkeys([*fixed, *free])
    try:
        return wald_test(
            estimates, covariance, [f"{other} == {first}" for other in others], None, None
        )
    except MlsemError as error:
        notes.append(f"no joint test: {error}")
        return None


def _pairs(labels: list[Hashable], reference: object) -> list[tuple[int, int]]:
    if reference is None:
        return list(combinations(range(len(labels)), 2))
    for first, label in enumerate(labels):
        if label == reference or str(label) == str(reference):
            return [(first, g) for g in range(len(labels)) if g != first]
    raise OptionValueError(
        f"reference={reference!r} is no group with this parameter; there are {listed(labels)}."
    )


def _places(
    estimates: GroupedEstimates, labels: list[Hashable], asked: Any
) -> tuple[str, list[Place | None]]:
    """How it is called, and what it is in each group: a parameter's or a `:=`'s name, or the value
    that it is fixed at; None where a group has none.

    Raises
    ------
    OptionValueError
        There is no such parameter.
    """
    table = estimates.table
    known = {*table.names, *(each.name for each in table.definitions)}
    if isinstance(asked, str) and "{" in asked:
        filled = [
            asked.replace("{group}", str(label)).replace("{number}", str(number))
            for number, label in enumerate(labels, start=1)
        ]
        return asked, _known(filled, known)
    if isinstance(asked, str):
        return asked, _in_groups(estimates, asked)
    if isinstance(asked, Mapping):
        given: list[str | None] = [asked.get(label) for label in labels]
        unknown = [str(label) for label in asked if label not in labels]
        if unknown:
            raise OptionValueError(f"parameter: there is no group {listed(unknown)}.")
    elif isinstance(asked, Iterable):
        given = list(asked)
    else:
        raise OptionValueError(f"parameter={asked!r}: it takes a name, or one for each group.")
    if len(given) != len(labels):
        raise OptionValueError(
            f"parameter: {len(given)} names for {len(labels)} groups; there are {listed(labels)}."
        )
    return " / ".join(str(name) for name in given if name), _known(given, known)


def _known(names: Sequence[str | None], known: set[str]) -> list[Place | None]:
    for name in names:
        if name is not None and name not in known:
            hint = nearest(str(name), known)
            raise OptionValueError(f"parameter: there is no parameter or := called {name!r}.{hint}")
    return list(names)


def _in_groups(estimates: GroupedEstimates, asked: str) -> list[Place | None]:
    """By the name that it has in group 1 (`f=~y2`, `y~x.l2`)."""
    table = estimates.table
    wanted = "".join(asked.split())
    found: list[Place | None] = []
    known: dict[str, None] = {}
    for group in estimates.groups:
        own: dict[str, Place] = {}
        for row in group.table.rows:
            if row.free < 0 and row.fixed is None:
                continue
            place: Place = (
                table.names[group.places[row.free]] if row.free >= 0 else row.fixed or 0.0
            )
            suffix = name_suffix(row.block, table.level_labels)
            sides = [(row.lhs, row.rhs), (row.rhs, row.lhs)][: 2 if row.op == "~~" else 1]
            own |= {f"{left}{row.op}{right}{suffix}": place for left, right in sides}
        known |= dict.fromkeys(name for name, place in own.items() if isinstance(place, str))
        found.append(own.get(wanted))
    if wanted not in known:
        hint = nearest(asked, tuple(known))
        raise OptionValueError(
            f"parameter={asked!r} is no free parameter of any group.{hint} Names are as in group "
            "1; of := give one name for each group."
        )
    return found
