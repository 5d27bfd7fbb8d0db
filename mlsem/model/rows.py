"""The rows of one level in lavaan's order: the user's, then those that the defaults add."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from mlsem.errors import SpecificationError
from mlsem.model.blocks import FIRST, BlockKey
from mlsem.model.labels import bounds_of
from mlsem.model.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsem.model.labels import Labels
    from mlsem.model.options import ModelOptions
    from mlsem.model.roles import Roles, Written


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """All that decides the rows of one level.

    Attributes
    ----------
    block : BlockKey
    suffix : str
        What parameter names of this level end in.
    roles : Roles
        Its variables.
    split : frozenset of str
        Variables whose intercept is at the level above (empty at the highest).
    fixed_covariates : bool
        Whether the moments of the exogenous covariates are no parameters.
    options : ModelOptions
    meanstructure : bool
    """

    block: BlockKey
    suffix: str
    roles: Roles
    split: frozenset[str]
    fixed_covariates: bool
    options: ModelOptions
    meanstructure: bool

    def written_value(self, row: Written) -> float | None:
        """The value that a row of the user is fixed at; None: it is free."""
        modifiers = row.modifiers
        if modifiers.slope is not None:
            return 0.0  # the mean of the slope is its intercept at level 2
        if modifiers.fixed is not None or modifiers.free:
            return modifiers.fixed
        if row.op == "=~":
            if row.phantom:
                return 0.0
            first = self.roles.latent[row.lhs][0] == row.rhs
            return 1.0 if first and self.options.fixes_first else None
        if row.op == "~1":
            return 0.0 if row.lhs in self.split else None
        variance = row.op == "~~" and row.lhs == row.rhs
        return 1.0 if variance and self.is_scaled(row.lhs) else None

    def is_scaled(self, name: str) -> bool:
        """Whether `std_lv` fixes a variance: the scale of a random slope is that of its data."""
        roles = self.roles
        return self.options.std_lv and name in roles.latent and name not in roles.slopes

    def variance_lower(self, name: str) -> float:
        """The lower bound that the option `bounds` gives the variance of `name`."""
        options = self.options
        latent = name in self.roles.latent
        return 0.0 if (options.lower_latent if latent else options.lower_observed) else -inf

    def single_indicators(self) -> set[str]:
        """The only indicators of latent variables, where they indicate nothing else; a loading
        that is fixed to zero measures nothing."""
        if not self.options.auto_fix_single:
            return set()
        idle = {
            (row.lhs, row.rhs)
            for row in self.roles.written
            if row.op == "=~" and self.written_value(row) == 0.0
        }
        loads = [name for names in self.roles.latent.values() for name in names]
        return {
            names[0]
            for factor, names in self.roles.latent.items()
            if len(names) == 1 and loads.count(names[0]) == 1 and (factor, names[0]) not in idle
        }

    def zero_mean(self) -> set[str]:
        """Latent variables that measure a split variable: their mean is a level-2 matter."""
        names: set[str] = set()
        for _ in self.roles.latent:
            more = {
                name
                for name, measures in self.roles.latent.items()
                if name not in names and any(m in self.split or m in names for m in measures)
            }
            if not more:
                break
            names |= more
        return names


@dataclass(slots=True)
class TableWriter:
    """Appends rows and hands out the free positions.

    `names` are the parameter names, `positions` those of the labels; `seen` are the user's rows
    of the current level, which the defaults leave alone.
    """

    text: str
    labels: Labels
    rows: list[Row] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    seen: set[tuple[str, str, str]] = field(default_factory=set)
    positions: dict[str, int] = field(default_factory=dict)
    suffix: str = ""
    block: BlockKey = FIRST

    def begin(self, plan: LevelPlan) -> None:
        self.seen = set()
        self.suffix, self.block = plan.suffix, plan.block

    def default(
        self, lhs: str, op: str, rhs: str, fixed: float | None = None, lower: float = -inf
    ) -> None:
        """A row that a default adds, unless the user wrote it: free, or fixed at `fixed`."""
        if (lhs, op, rhs) in self.seen:
            return
        free = -1
        if fixed is None:
            free = self._new(f"{lhs}{op}{rhs}{self.suffix}")
        else:
            lower = -inf
        group, level = self.block
        self.rows.append(
            Row(lhs, op, rhs, level, False, free, fixed=fixed, lower=lower, group=group)
        )

    def moment(self, lhs: str, op: str, rhs: str) -> None:
        """A moment of fixed covariates."""
        group, level = self.block
        self.rows.append(Row(lhs, op, rhs, level, False, exo=True, group=group))

    def written(self, row: Written, value: float | None, lower: float) -> None:
        """A row of the user: `value` as fixed by itself, `lower` where no bound is written."""
        modifiers = row.modifiers
        label = modifiers.label or ""
        self.seen.add((row.lhs, row.op, row.rhs))
        value = self.labels.fixed.get(label, value)
        free = -1 if value is not None else self._position(row, label)
        low, high, start = -inf, inf, None
        if free >= 0:
            low, high = self.labels.bounds.get(label) or bounds_of(modifiers)
            low = lower if low == -inf and lower <= high else low
            start = self.labels.starts.get(label, modifiers.start)
        self._check_inside(row, value, start, low, high)
        group, level = self.block
        self.rows.append(
            Row(
                row.lhs, row.op, row.rhs, level, True, free, False, label, value, start,
                low, high, row.span, group,
            )
        )  # fmt: skip

    def _new(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def _position(self, row: Written, label: str) -> int:
        if not label:
            return self._new(f"{row.lhs}{row.op}{row.rhs}{self.suffix}")
        if label not in self.positions:
            self.positions[label] = self._new(label)
        return self.positions[label]

    def _check_inside(
        self, row: Written, value: float | None, start: float | None, lower: float, upper: float
    ) -> None:
        """The value of a fixed row, or the start of a free one, is within its bounds."""
        what, advice = "starts at", ""
        if value is not None:
            lower, upper = bounds_of(row.modifiers)
            what, start, advice = "is fixed to", value, " Write NA* before it to make it free."
        if start is not None and not lower <= start <= upper:
            raise SpecificationError(
                f"{row.lhs} {row.op} {row.rhs} {what} {start:g}, outside its bounds.{advice}",
                self.text,
                row.span,
            )


def write_level(plan: LevelPlan, values: Iterable[float | None], writer: TableWriter) -> None:
    """Append every row of the level; `values` are those of `plan.written_value`."""
    writer.begin(plan)
    for row, value in zip(plan.roles.written, values, strict=True):
        writer.written(row, value, _written_lower(plan, row))
    _variances(plan, writer)
    if plan.options.auto_cov_lv_x:
        _covariances(plan.roles.exogenous_latent, plan, writer)
    if plan.options.auto_cov_y:
        _covariances(plan.roles.final_outcomes, plan, writer)
    _covariate_moments(plan, writer)
    if plan.meanstructure:
        _intercepts(plan, writer)


def _written_lower(plan: LevelPlan, row: Written) -> float:
    return plan.variance_lower(row.lhs) if row.op == "~~" and row.lhs == row.rhs else -inf


def _variances(plan: LevelPlan, writer: TableWriter) -> None:
    roles, options = plan.roles, plan.options
    single = plan.single_indicators()
    added = None if options.auto_var else 0.0
    for name in roles.indicators + roles.outcomes + roles.loose:
        value = None if name in roles.named else added
        value = 0.0 if name in single else value
        writer.default(name, "~~", name, value, plan.variance_lower(name))
    for name in roles.latent:
        value = 1.0 if plan.is_scaled(name) else added
        value = 0.0 if name in single else value
        writer.default(name, "~~", name, value, plan.variance_lower(name))


def _covariances(names: tuple[str, ...], plan: LevelPlan, writer: TableWriter) -> None:
    latent = plan.roles.latent
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            zero = plan.options.orthogonal and a in latent and b in latent
            writer.default(a, "~~", b, 0.0 if zero else None)


def _covariate_moments(plan: LevelPlan, writer: TableWriter) -> None:
    """Variances and covariances of the exogenous covariates: fixed ones, or all free."""
    names = plan.roles.covariates
    if plan.fixed_covariates:
        for i, a in enumerate(names):
            for b in names[i:]:
                writer.moment(a, "~~", b)
        return
    for i, a in enumerate(names):
        if a not in plan.roles.named:
            writer.default(a, "~~", a, lower=plan.variance_lower(a))
        for b in names[i + 1 :]:
            writer.default(a, "~~", b)


def _intercepts(plan: LevelPlan, writer: TableWriter) -> None:
    roles, options = plan.roles, plan.options
    covariates = set(roles.covariates)
    added = None if options.int_ov_free else 0.0
    for name in roles.observed:
        if name in covariates and plan.fixed_covariates:
            writer.moment(name, "~1", "")
        elif name in plan.split:
            writer.default(name, "~1", "", 0.0)
        elif name not in covariates:
            writer.default(name, "~1", "", added)
        else:
            writer.default(name, "~1", "")
    if not roles.latent:
        return
    zero = plan.zero_mean() if options.int_lv_free and plan.split else ()
    for name in roles.latent:
        free = options.int_lv_free and name not in zero
        free = free or (name in roles.slopes and options.int_ov_free)
        writer.default(name, "~1", "", None if free else 0.0)
