"""What is asked of each of several groups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mlsem.data.table.frame import joined_frames
from mlsem.errors import InferenceError
from mlsem.inference.covariance.groups import DeltaMethod, covariance_of_group
from mlsem.parallel.progress import bar
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid, GridTable

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.problem import Problem
    from mlsem.inference.covariance.matrix import Covariance
    from mlsem.inference.estimated import GroupedEstimates
    from mlsem.model.table import ParameterTable
    from mlsem.results.summary import GroupSizes

T = TypeVar("T")


class ByGroup(Exported, Mapping[Hashable, T]):
    """Results of the groups by their labels, in the order of their numbers; prints as text.

    A group of which there is no such result is not among them; asking for it, and the text, say
    why.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> data["half"] = data["id"].mod(2).map({0: "even", 1: "odd"})
    >>> fit = mlsem.sem("y ~ x1", data, group="half")
    >>> found = fit.r_squared()
    >>> found["odd"].values.round(3)
    array([0.091])
    >>> found.frame[["group", "variable", "r2"]].round(3)
      group variable     r2
    0  even        y  0.150
    1   odd        y  0.091
    """

    def __init__(self, found: Mapping[Hashable, T | InferenceError]) -> None:
        """Of all groups in their order: the result, or why there is none."""
        self._found: dict[Hashable, T] = {}
        self._reasons: dict[Hashable, InferenceError] = {}
        for label, one in found.items():
            if isinstance(one, InferenceError):
                self._reasons[label] = one
            else:
                self._found[label] = one
        self._titles = titles_of(tuple(found))

    def __getitem__(self, label: Hashable) -> T:
        if label in self._reasons:
            raise InferenceError(f"group {label!r}: {self._reasons[label]}")
        return self._found[label]

    def __contains__(self, label: object) -> bool:
        return label in self._found

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @property
    def frame(self) -> pd.DataFrame:
        """The data frames of all groups one after the other, with a column `group` of their
        labels before the others."""
        each: dict[Hashable, Any] = self._found
        return joined_frames({label: one.frame for label, one in each.items()})

    def __str__(self) -> str:
        said = {label: f"\n\n{_text(one)}".rstrip("\n") for label, one in self.items()}
        said |= {label: f" {reason}" for label, reason in self._reasons.items()}
        return "\n\n\n".join(f"{title}:{said[label]}" for label, title in self._titles.items())

    def _grid(self) -> Grid:
        """The tables of all groups, with the group in their titles."""
        tables: list[GridTable] = []
        notes: dict[str, None] = {}
        for label, one in self.items():
            for grid in _grids(one):
                title = ": ".join(filter(None, (self._titles[label], grid.title)))
                first = grid.tables[0]
                own = ": ".join(filter(None, (title, first.title)))
                tables += [replace(first, title=own), *grid.tables[1:]]
                notes |= dict.fromkeys(grid.notes)
        reasons = (f"{self._titles[label]}: {each}" for label, each in self._reasons.items())
        return Grid("", tuple(tables), (*notes, *reasons))

    def __repr__(self) -> str:
        inside = ", ".join(f"{label!r}: {one!r}" for label, one in self.items())
        return f"<ByGroup: {inside}>"


def _grids(one: Any) -> Iterator[Grid]:
    """That of a result, or those of its levels."""
    for each in one.values() if isinstance(one, dict) else (one,):
        yield each._grid()


def _text(one: Any) -> str:
    """A result, or those of its levels."""
    return "\n\n".join(map(str, one.values())) if isinstance(one, dict) else str(one)


def by_group(
    estimates: GroupedEstimates, group: object, function: Callable[[Any], T]
) -> T | ByGroup[T]:
    """A result of one group, where there is but one or one is asked for; else of each.

    Raises
    ------
    InferenceError
        There is none of that group, or of any.
    """
    if group is not None:
        return function(estimates.groups[estimates.table.group_number(group) - 1])
    if not estimates.table.groups:
        return function(estimates.groups[0])
    found: dict[Hashable, T | InferenceError] = {}
    with bar(len(estimates.groups), "groups") as advance:
        for part in estimates.groups:
            try:
                found[part.label] = function(part)
            except InferenceError as error:
                found[part.label] = error
            advance(1)
    errors = {str(each): None for each in found.values() if isinstance(each, InferenceError)}
    every = ByGroup(found)
    if not every:
        raise InferenceError("; ".join(errors))
    return every


def tested_by_group(
    estimates: Estimates,
    covariance: Covariance,
    group: object,
    function: Callable[[Estimates[Problem], DeltaMethod], T],
) -> T | ByGroup[T]:
    """The same of what has standard errors: of the estimates of a group, and what tests functions
    of them."""
    return by_group(
        estimates,
        group,
        lambda part: function(part.estimates, covariance_of_group(covariance, part)),
    )


def group_sizes(estimates: Estimates) -> GroupSizes | None:
    """Rows and clusters of each group; None where there is one."""
    if not estimates.table.groups:
        return None
    problem, moments = estimates.problem, [each.moments for each in estimates.record.groups]
    clusters = [each.n_clusters for each in moments] if estimates.table.two_level else []
    if problem.only_robust:
        ends = np.cumsum([each.n_clusters for each in moments])[:-1]
        clusters = [len(np.unique(codes)) for codes in np.split(problem.robust.codes, ends)]
    from mlsem.results.summary import GroupSizes  # with the text of a summary

    return GroupSizes(
        column=estimates.record.column,
        labels=tuple(str(group.label) for group in estimates.groups),
        rows=tuple(each.n_rows for each in moments),
        clusters=tuple(clusters),
    )


def group_titles(table: ParameterTable) -> tuple[str, ...]:
    """`Group 1 [a]`, …; empty where there is one group."""
    return tuple(titles_of([each.label for each in table.groups]).values())


def by_label(labels: Sequence[Hashable], found: Sequence[T]) -> ByGroup[T]:
    """Results that there are of every group."""
    return ByGroup(dict(zip(labels, found, strict=True)))


def titles_of(labels: Sequence[Hashable]) -> dict[Hashable, str]:
    """The title of each group."""
    return {label: f"Group {number} [{label}]" for number, label in enumerate(labels, start=1)}
