"""What an R expression becomes: Python, and what is known of its value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlsem.errors import MlsemError
from mlsem.porting.r.layout import grouped, literal, method

if TYPE_CHECKING:
    from mlsem.porting.r.layout import Doc

# How tightly Python's operators bind.
LAMBDA, OR, AND, NOT, COMPARE, PIPE, AMPERSAND, PLUS, TIMES, UNARY, POWER, ATOM = range(12)


LONGEST = 10_000
"""Numbers of a range that is looked into while it is translated."""


class Refused(MlsemError):
    """A statement that is not translated; says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Value:
    """Python for an R value.

    Attributes
    ----------
    doc : Doc
    kind : str
        What it is: "frame", "estimates" (a frame of a fit's), "column", "series", "number",
        "text", "texts", "numbers", "flag", "sem", "lmm", "robust", "formula", "test" …
    binds : int
        Of the operator on top.
    constant : object
        The value, where the script says it; else None.
    info : object
        `FitInfo` of a fit and of what is made of one.
    """

    doc: Doc
    kind: str = "any"
    binds: int = ATOM
    constant: Any = None
    info: Any = None

    def within(self, binds: int) -> Doc:
        """The Python, in parentheses if an operator that binds so tightly needs them."""
        return self.doc if self.binds >= binds else grouped(self.doc)

    @property
    def atom(self) -> Doc:
        return self.within(ATOM)

    def called(self, name: str) -> Value:
        """The same by the name of a variable."""
        return replace(self, doc=name, binds=ATOM)

    @property
    def whole(self) -> Doc:
        """The Python of a number of things, which R may write as ``1e3``."""
        number = self.constant
        known = isinstance(number, float) and number.is_integer()
        return f"{number:.0f}" if known else self.atom

    @property
    def is_name(self) -> bool:
        return isinstance(self.doc, str) and self.doc.isidentifier()


@dataclass(frozen=True, slots=True)
class FitInfo:
    """What is known of a fit.

    Attributes
    ----------
    fit : Doc
        The fit itself, of what is made of one.
    data : Value
    formula : str
        Of a mixed model.
    reml : bool
    options : dict of str to Doc
        Keywords of the call.
    function : str
        That was called.
    model : Doc
        Text or formula in the call.
    se : str
        Kind of robust standard errors.
    seen : dict of str to int
        How often the variables of the call had been assigned when it was fitted.
    """

    function: str
    model: Doc
    data: Value
    options: dict[str, Doc]
    formula: str = ""
    reml: bool = True
    fit: Doc = ""
    se: str = ""
    seen: dict[str, int] = field(default_factory=dict)


def known_range(first: int, beyond: int) -> range | None:
    """The numbers of a range that the script says, as far as they can be gone through."""
    return range(first, beyond) if beyond - first <= LONGEST else None


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A variable whose statement was not translated."""

    name: str


ESTIMATES = {
    "z": "stat",
    "est.std": "est_std",
    "ci.lower": "ci_lower",
    "ci.upper": "ci_upper",
    "std.lv": "std_lv",
    "std.all": "std_all",
    "std.nox": "std_nox",
    "mi.scaled": "mi_robust",
    "sepc.lv": "sepc_lv",
    "sepc.all": "sepc_all",
    "sepc.nox": "sepc_nox",
    "block": "level",
}


def estimates_column(name: str) -> str:
    """lavaan's column of a table of estimates, here."""
    return ESTIMATES.get(name, name)


TABLES = {
    "coefficients": {
        "Coef": "term",
        "Estimate": "estimate",
        "beta": "estimate",
        "Std. Error": "std.error",
        "SE": "std.error",
        "t value": "statistic",
        "tstat": "statistic",
        "df_Satt": "df",
        "Pr(>|t|)": "p.value",
        "p_Satt": "p.value",
        "p_z": "p.value",
    },
    "means": {
        "emmean": "estimate",
        "SE": "se",
        "lower.CL": "lower",
        "upper.CL": "upper",
        "t.ratio": "statistic",
        "p.value": "pvalue",
    },
}
"""Kind of table → R's column → ours."""


def fixed_effects(info: FitInfo) -> Value:
    """The table of a mixed model's fixed effects, with their tests."""
    rows = literal('effect == "fixed"')
    table = method(method(info.fit, "tidy"), "query", rows)
    return Value(table, "coefficients", info=info)
