"""Parameters that are the same in several groups: `group_equal`, `group_partial`.

Rows of one kind (a loading, an intercept, …) with the same variables at the same level share their
parameter in all groups in which they are free and have no label of the user's: what the user fixed
or labelled stays as it is. What the equalities identify is freed after the first group:

    means of latent variables       with equal intercepts, unless "means" are equal,
    variances that `std_lv` fixes   with equal loadings, unless "lv.variances" are equal.

The mean of a latent variable is identified by an indicator whose intercept is the same as in the
group whose mean is fixed; its variance by such a loading. Means within clusters of variables with
a part at both levels are zero in all groups: the level above has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from mlsem.errors import OptionValueError, SpecificationError, listed, nearest
from mlsem.model.blocks import BlockKey
from mlsem.model.options import ModelOptions
from mlsem.model.rows import LevelPlan
from mlsem.model.table import Row

Cell = tuple[int, str, str, str]
"""Level, and the row's variables; of a covariance in one order."""

Written = tuple[list[Row], list[str], list[str]]
"""Rows, names of parameters, notes."""


def across_groups(
    rows: Sequence[Row],
    names: Sequence[str],
    plans: Sequence[LevelPlan],
    options: ModelOptions,
    labels: tuple[str, ...],
    text: str,
) -> Written:
    """The rows of all groups with what they share.

    Parameters
    ----------
    rows, names
        As the groups have them one by one.
    plans
        Of all blocks.
    labels : tuple of str
        Of the levels.

    Raises
    ------
    OptionValueError
        A parameter of `group_partial` that no group has.
    SpecificationError
        Bounds of what is to be equal that contradict each other.
    """
    partial = _partial(rows, options, labels)
    if not options.group_equal:
        return list(rows), list(names), []
    sharing = _Sharing(list(rows), {each.block: each for each in plans}, options, partial)
    sharing.tie(text)
    freed = _Freed(sharing)
    freed.settle()
    return (*numbered(sharing.rows, names, sharing.root, freed.rows, plans), freed.notes)


def _cell(row: Row) -> Cell:
    if row.op == "~~" and row.rhs < row.lhs:
        return row.level, row.rhs, row.op, row.lhs
    return row.level, row.lhs, row.op, row.rhs


def _partial(rows: Sequence[Row], options: ModelOptions, labels: tuple[str, ...]) -> set[Cell]:
    """The cells that `group_partial` names: at both levels, or with a suffix at one."""
    if not options.group_partial:
        return set()
    cells: dict[str, set[Cell]] = {}
    for row in rows:
        if row.exo:
            continue
        sides = [(row.lhs, row.rhs), (row.rhs, row.lhs)][: 2 if row.op == "~~" else 1]
        for left, right in sides:
            name = f"{left}{row.op}{right}"
            cells.setdefault(name, set()).add(_cell(row))
            if labels:
                cells.setdefault(f"{name}.l{labels[row.level - 1]}", set()).add(_cell(row))
    for name in options.group_partial:
        if "".join(name.split()) not in cells:
            raise OptionValueError(
                f"group_partial: {name!r} is no parameter of the model (names are as in 'f=~y2', "
                f"'y~x', 'y1~~y2', 'y~1', without a group's suffix).{nearest(name, cells)}"
            )
    return {cell for name in options.group_partial for cell in cells["".join(name.split())]}


@dataclass(slots=True)
class _Sharing:
    """Rows while their parameters become one.

    Attributes
    ----------
    rows : list of Row
        Of all groups.
    plans : dict
        By block.
    options : ModelOptions
    partial : set of Cell
        Those that are not equal.
    root : dict
        From the position of a parameter to that of the first one that it is the same as.
    """

    rows: list[Row]
    plans: dict[BlockKey, LevelPlan]
    options: ModelOptions
    partial: set[Cell]
    root: dict[int, int] = field(default_factory=dict)

    def find(self, position: int) -> int:
        """The first parameter that this one is the same as."""
        while position in self.root:
            position = self.root[position]
        return position

    def tie(self, text: str) -> None:
        """Give the rows of each cell that is equal the parameter of the first of them."""
        cells: dict[Cell, list[int]] = {}
        for k, row in enumerate(self.rows):
            if self._is_equal(row):
                cells.setdefault(_cell(row), []).append(k)
        for places in cells.values():
            if len(places) > 1:
                self._join(places, text)

    def _is_equal(self, row: Row) -> bool:
        if row.free < 0 or self._is_labelled(row) or _cell(row) in self.partial:
            return False
        return kind_of(row, self.plans[row.block]) in self.options.group_equal

    def _is_labelled(self, row: Row) -> bool:
        """By the user; the name of a parameter, which `equal()` gives it, is no label."""
        own = f"{row.lhs}{row.op}{row.rhs}{self.plans[row.block].suffix}"
        return row.label not in ("", own)

    def _join(self, places: list[int], text: str) -> None:
        own = [self.rows[k] for k in places]
        lower, upper = max(row.lower for row in own), min(row.upper for row in own)
        first = own[0]
        if lower > upper:
            raise SpecificationError(
                f"{first.lhs} {first.op} {first.rhs} is equal in all groups, and its bounds "
                f"contradict each other: not below {lower:g} and not above {upper:g}.",
                text,
                first.span,
            )
        label = first.label or f".p{places[0] + 1}."
        for k, row in zip(places, own, strict=True):
            here, there = sorted((self.find(row.free), self.find(first.free)))
            if here != there:
                self.root[there] = here
            self.rows[k] = replace(row, label=row.label or label, lower=lower, upper=upper)

    def is_same(self, one: Row | None, other: Row | None) -> bool:
        """Whether two rows are one parameter, or fixed at one value."""
        if one is None or other is None or one.exo or other.exo:
            return False
        if one.free < 0 or other.free < 0:
            return one.free < 0 and other.free < 0 and one.fixed == other.fixed
        return self.find(one.free) == self.find(other.free)


def kind_of(row: Row, plan: LevelPlan) -> str:
    """What `group_equal` calls a row of a block with this plan; nothing for moments of exogenous
    covariates."""
    latent, given = plan.roles.latent, plan.roles.plain_covariates
    if row.op == "=~":
        return "" if row.lhs == row.rhs else "loadings"
    if row.op == "~":
        return "regressions"
    if row.lhs in given or row.rhs in given:
        return ""
    if row.op == "~1":
        return "means" if row.lhs in latent else "intercepts"
    if row.lhs == row.rhs:
        return "lv.variances" if row.lhs in latent else "residuals"
    return "lv.covariances" if row.lhs in latent else "residual.covariances"


# --- what equalities identify -----------------------------------------------------------------


@dataclass(slots=True)
class _Freed:
    """Rows that a default fixed and that are free after the first group.

    Attributes
    ----------
    sharing : _Sharing
    at : dict
        Where the row of a block with these variables stands.
    rows : dict
        Places of the freed rows, with the lower bound of each.
    notes : list of str
        Why others are not.
    """

    sharing: _Sharing
    at: dict[tuple[BlockKey, str, str, str], int] = field(default_factory=dict)
    rows: dict[int, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for k, row in enumerate(self.sharing.rows):
            self.at[row.block, row.lhs, row.op, row.rhs] = k

    def settle(self) -> None:
        """Free what can be."""
        kept: dict[str, list[str]] = {"mean": [], "variance": []}
        for key, plan in self.sharing.plans.items():
            for name in plan.roles.latent:
                self._settle_mean(key, name, kept["mean"])
                self._settle_variance(key, name, kept["variance"])
        for what, said in (("mean", "intercept"), ("variance", "loading")):
            if names := list(dict.fromkeys(kept[what])):
                one = len(names) == 1
                self.notes.append(
                    f"The {what}{'' if one else 's'} of {listed(names)} "
                    f"{'is' if one else 'are'} fixed at one value in all groups: no indicator has "
                    f"the same {said} in each, which would identify others."
                )

    def _row(self, key: BlockKey, lhs: str, op: str, rhs: str) -> Row | None:
        place = self.at.get((key, lhs, op, rhs))
        return None if place is None else self.sharing.rows[place]

    def _fixed_first(self, key: BlockKey, name: str, op: str, rhs: str) -> BlockKey | None:
        """The first group in which this is fixed, if it comes before."""
        for group in range(1, key.group):
            row = self._row(BlockKey(group, key.level), name, op, rhs)
            if row is not None and row.free < 0:
                return BlockKey(group, key.level)
        return None

    def _is_asked(self, with_equal: str, unless: str, cell: Cell) -> bool:
        equal = self.sharing.options.group_equal
        return with_equal in equal and (unless not in equal or cell in self.sharing.partial)

    def _loads(self, key: BlockKey, name: str) -> Iterator[Row]:
        """Loadings of a latent variable that measure something."""
        for indicator in self.sharing.plans[key].roles.latent[name]:
            row = self._row(key, name, "=~", indicator)
            if row is not None and (row.free >= 0 or row.fixed != 0.0):
                yield row

    def _settle_mean(self, key: BlockKey, name: str, kept: list[str]) -> None:
        plan, row = self.sharing.plans[key], self._row(key, name, "~1", "")
        first = self._fixed_first(key, name, "~1", "")
        if row is None or first is None or row.user or row.free >= 0 or row.fixed != 0.0:
            return
        if not self._is_asked("intercepts", "means", _cell(row)):
            return
        if name in plan.roles.slopes or (plan.split and name in plan.zero_mean()):
            return
        if self._anchors_mean(key, first, name):
            self.rows[self.at[key, name, "~1", ""]] = -inf
        else:
            kept.append(name)

    def _anchors_mean(self, key: BlockKey, first: BlockKey, name: str) -> bool:
        """Whether an indicator has the same intercept in both groups. That of a latent one counts
        if it stays fixed although it could be free."""
        latent = self.sharing.plans[key].roles.latent
        for load in self._loads(key, name):
            own, other = (self._row(each, load.rhs, "~1", "") for each in (key, first))
            if not self.sharing.is_same(own, other):
                continue
            if load.rhs not in latent:
                return True
            assert own is not None
            if own.user and self._anchors_mean(key, first, load.rhs):
                return True
        return False

    def _settle_variance(self, key: BlockKey, name: str, kept: list[str]) -> None:
        plan, row = self.sharing.plans[key], self._row(key, name, "~~", name)
        first = self._fixed_first(key, name, "~~", name)
        if row is None or first is None or row.user or row.free >= 0 or not plan.is_scaled(name):
            return
        if not self._is_asked("loadings", "lv.variances", _cell(row)):
            return
        if any(
            self.sharing.is_same(load, self._row(first, name, "=~", load.rhs))
            for load in self._loads(key, name)
        ):
            self.rows[self.at[key, name, "~~", name]] = plan.variance_lower(name)
        else:
            kept.append(name)


def numbered(
    rows: Sequence[Row],
    names: Sequence[str],
    root: dict[int, int],
    freed: dict[int, float],
    plans: Sequence[LevelPlan],
) -> tuple[list[Row], list[str]]:
    """Positions in the order of the rows, once parameters have become one or are new."""
    suffixes = {each.block: each.suffix for each in plans}
    places: dict[object, int] = {}
    placed, kept = [], []
    for k, row in enumerate(rows):
        if row.free < 0 and k not in freed:
            placed.append(row)
            continue
        key: object = ("freed", k)
        name = f"{row.lhs}{row.op}{row.rhs}{suffixes[row.block]}"
        if k not in freed:
            position = row.free
            while position in root:
                position = root[position]
            key, name = position, names[position]
        if key not in places:
            places[key] = len(kept)
            kept.append(name)
        if k in freed:
            row = replace(row, free=places[key], fixed=None, lower=freed[k])
        elif row.free != places[key]:
            row = replace(row, free=places[key])
        placed.append(row)
    return placed, kept
