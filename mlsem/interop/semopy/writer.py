"""One level of a parameter table in semopy's syntax."""

from __future__ import annotations

import re

from mlsem.model.table import ParameterTable, Row


class Writer:
    """Writes the rows of one level in semopy's syntax, every free parameter under a name."""

    def __init__(self, table: ParameterTable, number: int) -> None:
        self.number = number
        self.variables = table.levels[number - 1]
        self.rows = [
            row for row in table.rows if row.level == number and row.op != "~1" and not row.exo
        ]
        self.names: dict[str, str] = {}
        self.parameters = {
            row.free: row.label if _is_safe(row.label) else f"_p{row.free}"
            for row in self.rows
            if row.free >= 0
        }

    def rename(self, name: str) -> str:
        """The variable under a name that semopy can read, each under another."""
        if name not in self.names:
            new = re.sub(r"[^\w.]", "_", name)
            new = f"_{new[1:]}" if new.startswith(".") else new
            known = {*self.variables.latent, *self.variables.modelled, *self.variables.covariates}
            while new != name and new in known | set(self.names.values()):
                new += "_"
            self.names[name] = new
        return self.names[name]

    def description(self) -> str:
        arrows = [row for row in self.rows if row.op != "~~" and not _is_phantom(row)]
        lines = [f"latent : {self.rename(row.lhs)}" for row in self.rows if _is_phantom(row)]
        lines += [self._line(row) for row in arrows]
        lines += [f"{self.rename(name)} ~ 0*{self.rename(name)}" for name in self._idle(arrows)]
        lines += [self._line(row) for row in self.rows if row.op == "~~"]
        lines += [f"{self.rename(a)} ~~ 0*{self.rename(b)}" for a, b in self._absent(arrows)]
        return "\n".join(lines) + "\n"

    @property
    def _modelled(self) -> tuple[str, ...]:
        """Observed variables with parameters of their own: no parts of fixed covariates."""
        return tuple(v for v in self.variables.modelled if v not in self.variables.parts)

    def _line(self, row: Row) -> str:
        value = self.parameters[row.free] if row.free >= 0 else _number(row.fixed or 0.0)
        return f"{self.rename(row.lhs)} {row.op} {value}*{self.rename(row.rhs)}"

    def _idle(self, arrows: list[Row]) -> list[str]:
        """Variables without arrows, and covarying ones whose residuals semopy would set apart."""
        sending = {row.lhs if row.op == "=~" else row.rhs for row in arrows}
        receiving = {row.rhs if row.op == "=~" else row.lhs for row in arrows}
        covarying = {
            name
            for row in self.rows
            if row.op == "~~" and row.lhs != row.rhs
            for name in (row.lhs, row.rhs)
        }
        apart = covarying if covarying & sending else set[str]()
        apart |= set(self.variables.latent)
        known = (*self.variables.latent, *self._modelled)
        return [
            name
            for name in known
            if name not in sending and (name not in receiving or name in apart)
        ]

    def _absent(self, arrows: list[Row]) -> list[tuple[str, str]]:
        """Covariances that semopy would add among exogenous variables."""
        receiving = {row.rhs if row.op == "=~" else row.lhs for row in arrows}
        receiving |= set(self._idle(arrows))
        written = {frozenset((row.lhs, row.rhs)) for row in self.rows if row.op == "~~"}
        absent = []
        for pool in (self.variables.latent, self._modelled):
            free = [name for name in pool if name not in receiving]
            absent += [
                (a, b)
                for k, a in enumerate(free)
                for b in free[k + 1 :]
                if frozenset((a, b)) not in written
            ]
        return absent


def _is_phantom(row: Row) -> bool:
    return row.op == "=~" and row.lhs == row.rhs


def _is_safe(label: str) -> bool:
    """Whether semopy reads the label as one, and gives no parameter of its own that name."""
    try:
        float(label)
    except ValueError:
        return re.fullmatch(r"(?!_)[^\W\d][\w.]*", label) is not None and label != "START"
    return False


def _number(value: float) -> str:
    """The number without a plus sign, which parts terms in semopy."""
    return repr(float(value)).removesuffix(".0").replace("e+", "e")
