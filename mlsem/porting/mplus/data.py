"""DATA, VARIABLE and DEFINE: how the data are read, chosen and computed, as lines of pandas."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsem.porting.mplus.arithmetic import in_python
from mlsem.porting.mplus.lists import NAME, Names, NotTranslated, plain_names
from mlsem.porting.mplus.sections import settings, statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsem.porting.mplus.sections import Section

_DATA = ("FILE", "FORMAT", "TYPE", "LISTWISE", "VARIANCES", "NOBSERVATIONS", "NGROUPS")
_VARIABLE = (
    "NAMES", "USEVARIABLES", "USEOBSERVATIONS", "CLUSTER", "WITHIN", "BETWEEN", "MISSING",
    "GROUPING", "CENTERING", "IDVARIABLE", "CATEGORICAL", "NOMINAL", "COUNT", "CENSORED", "WEIGHT",
    "BWEIGHT", "WTSCALE", "BWTSCALE", "STRATIFICATION", "SUBPOPULATION", "CLASSES", "KNOWNCLASS",
    "AUXILIARY", "LAGGED", "TINTERVAL", "TSCORES", "CONSTRAINT", "SURVIVAL", "REPWEIGHTS",
    "FREQWEIGHT", "DSURVIVAL", "TRAINING", "PATTERN",
)  # fmt: skip
_BARRED = {
    "CATEGORICAL": "ordered variables are not fitted here",
    "NOMINAL": "nominal outcomes are not fitted here",
    "COUNT": "counts are not fitted here",
    "CENSORED": "censored outcomes are not fitted here",
    "SUBPOPULATION": "subpopulations are not supported: choose the rows of the data frame",
    "CLASSES": "latent classes are not fitted here",
    "KNOWNCLASS": "latent classes are not fitted here",
    "LAGGED": "time series are not fitted here",
    "TINTERVAL": "time series are not fitted here",
    "SURVIVAL": "survival times are not fitted here",
    "FREQWEIGHT": "weights of frequency are not supported: repeat the rows",
}
_SCALES = ("CLUSTER", "ECLUSTER", "UNSCALED")


INCOMPLETE = "complete what was not translated above, and take the marks of comment away"


@dataclass
class Data:
    """What these sections say.

    Attributes
    ----------
    barred : list of str
        What the model cannot be fitted for.
    untranslated : list of str
        Statements without a counterpart, with a reason.
    steps : list of str
        Python lines after the file is read.
    """

    names: Names = field(default_factory=Names)
    file: str = ""
    columns: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)  # by column; "" for all
    listwise: bool = False
    cluster: str = ""
    within: set[str] = field(default_factory=set)
    between: set[str] = field(default_factory=set)
    group: str = ""
    groups: dict[str, str] = field(default_factory=dict)  # value → label
    auxiliary: list[str] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)  # level → column
    scaling: str = ""
    strata: str = ""
    replicates: list[str] = field(default_factory=list)
    imputed: bool = False  # `file` lists the files of the imputations
    steps: list[str] = field(default_factory=list)
    barred: list[str] = field(default_factory=list)
    untranslated: list[str] = field(default_factory=list)
    numpy: bool = False

    def column(self, name: str) -> str:
        """How a column is written."""
        return f'data["{name}"]'

    # --- DATA, VARIABLE -----------------------------------------------------------------------

    def read_data(self, section: Section) -> None:
        if section.rest:
            self._refuse(f"DATA {section.rest}: …", "reshape the data frame with pandas")
            self.barred.append(INCOMPLETE)
            return
        for each in settings(section.body, _DATA):
            value = each.value.strip("\"' ")
            if each.name == "FILE":
                self.file = " ".join(value.split())
            elif each.name == "LISTWISE":
                self.listwise = value.upper() == "ON"
            elif each.name == "FORMAT" and value.upper() != "FREE":
                self._refuse(each.text, "a fixed format: read the file with pandas.read_fwf")
                self.barred.append(INCOMPLETE)
            elif each.name == "TYPE" and value.upper() == "IMPUTATION":
                self.imputed = True
            elif each.name == "TYPE" and value.upper() not in ("INDIVIDUAL", "IND"):
                self._refuse(each.text, "models are fitted to rows")
                self.barred.append("models are fitted to rows, not to other kinds of data")
            elif not each.name:
                self._refuse(each.text, "it is not known")

    def read_variable(self, section: Section) -> None:
        told = settings(section.body, _VARIABLE)
        for each in told:
            if each.name == "NAMES":
                self._try(each.text, lambda text=each.value: self._declare(text))
        if not self.columns:
            self.barred.append("the columns of the data have no names (VARIABLE: NAMES)")
        for each in told:
            if each.name in _BARRED:
                self._refuse(each.text, _BARRED[each.name])
                self.barred.append(_BARRED[each.name])
            elif each.name in _READERS:
                reader = _READERS[each.name]
                self._try(each.text, lambda read=reader, text=each.value: read(self, text))
            elif each.name not in ("NAMES", "IDVARIABLE"):
                self._refuse(each.text, "it has no counterpart")

    def _declare(self, text: str) -> None:
        expanded = Names()
        expanded.declare(plain_names(text, Names()))
        self.columns = expanded.order
        self.names.declare(self.columns)

    def _use(self, text: str) -> None:
        if text.strip().upper() != "ALL":
            self.used = plain_names(text, self.names)

    def _cluster(self, text: str) -> None:
        names = plain_names(text, self.names)
        if len(names) != 1:
            self.barred.append("models have two levels here")
            raise NotTranslated("models have two levels here")
        self.cluster = names[0]

    def _within(self, text: str) -> None:
        self.within |= set(plain_names(text, self.names))

    def _between(self, text: str) -> None:
        self.between |= set(plain_names(text, self.names))

    def _weight(self, text: str) -> None:
        self.weights["level1"] = self._one(text)

    def _level2_weight(self, text: str) -> None:
        self.weights["level2"] = self._one(text)

    def _weight_scaling(self, text: str) -> None:
        if text.strip().upper() not in _SCALES:
            raise NotTranslated("this scaling of weights is not known")
        self.scaling = text.strip().lower()

    def _strata(self, text: str) -> None:
        self.strata = self._one(text)

    def _replicates(self, text: str) -> None:
        self.replicates = plain_names(text, self.names)

    def _one(self, text: str) -> str:
        names = plain_names(text, self.names)
        if len(names) != 1:
            raise NotTranslated("it takes one column")
        return names[0]

    def _auxiliary(self, text: str) -> None:
        kind = re.fullmatch(r"\(\s*M\s*\)(.*)|(.*)\(\s*M\s*\)", text.strip(), re.I | re.S)
        if kind is None:
            if "(" in text:
                self._refuse(f"AUXILIARY = {text}", "its method has no counterpart")
            return  # columns that are only kept
        self.auxiliary += plain_names(kind[1] or kind[2], self.names)

    def _missing(self, text: str) -> None:
        text = text.strip()
        if text in (".", "*") or text.upper() == "BLANK":
            self.missing.setdefault("", []).extend([text] if text in (".", "*") else [])
            return
        pairs = re.findall(r"([^()]+)\(([^()]*)\)", text)
        if not pairs:
            raise NotTranslated("its codes are not known")
        for names, codes in pairs:
            plain = names.strip().upper() == "ALL"
            columns = [""] if plain else plain_names(names, self.names)
            for column in columns:
                self.missing.setdefault(column, []).extend(_codes(codes))

    def _grouping(self, text: str) -> None:
        match = re.fullmatch(rf"\s*({NAME})\s*\((.*)\)\s*", text, re.DOTALL)
        pairs = re.findall(r"(-?\d+)\s*=\s*([\w.]+)", match[2]) if match else []
        if match is None or not pairs:
            raise NotTranslated("its groups are not named")
        self.group = self.names.spelt(match[1])
        self.groups = dict(pairs)

    def _centering(self, text: str) -> None:
        for kind, names in re.findall(r"(\w+)\s*\(([^()]*)\)", text):
            self.center(plain_names(names, self.names), kind)

    def _observations(self, text: str) -> None:
        self.steps.append(f"data = data[{self._formula(text)}].copy()")

    # --- DEFINE -------------------------------------------------------------------------------

    def read_define(self, section: Section) -> None:
        for statement in statements(section.body):
            self._try(statement, lambda text=statement: self._define(text))

    def _define(self, text: str) -> None:
        center = re.fullmatch(r"CENTER\s+(.*?)\((\w+)\)", text, re.IGNORECASE | re.DOTALL)
        if center is not None:
            self.center(plain_names(center[1], self.names), center[2])
            return
        standardise = re.fullmatch(r"STANDARDI[SZ]E\s+(.*)", text, re.IGNORECASE | re.DOTALL)
        if standardise is not None:
            for name in plain_names(standardise[1], self.names):
                column = self.column(name)
                self.steps.append(f"{column} = ({column} - {column}.mean()) / {column}.std()")
            return
        chosen = re.fullmatch(r"IF\s*\((.*)\)\s*THEN\s+(.*)", text, re.IGNORECASE | re.DOTALL)
        assigned = re.fullmatch(rf"\s*({NAME})\s*=(?!=)(.*)", chosen[2] if chosen else text, re.S)
        if assigned is None:
            raise NotTranslated("it is not known")
        self._assign(assigned[1], assigned[2], chosen[1] if chosen else None)

    def _assign(self, name: str, text: str, condition: str | None) -> None:
        of_clusters = re.fullmatch(rf"\s*CLUSTER_MEAN\s*\(\s*({NAME})\s*\)\s*", text, re.I)
        over = re.fullmatch(r"\s*(MEAN|SUM)\s*\(([^()]*)\)\s*", text, re.IGNORECASE)
        if re.fullmatch(r"\s*_MISSING\s*", text, re.IGNORECASE):
            value = "np.nan"
            self.numpy = True
        elif of_clusters is not None:
            value = self._cluster_mean(self.names.spelt(of_clusters[1]))
        elif over is not None:
            columns = ", ".join(f'"{each}"' for each in plain_names(over[2], self.names))
            value = f"data[[{columns}]].{over[1].lower()}(axis=1)"
        else:
            value = self._formula(text)
        target = self.names.spelt(name)
        if condition is not None:
            self.steps.append(f'data.loc[{self._formula(condition)}, "{target}"] = {value}')
        else:
            self.steps.append(f"{self.column(target)} = {value}")

    def center(self, names: list[str], kind: str) -> None:
        """Columns less their mean, of all rows or of their cluster."""
        word = kind.upper()
        if not ("GRANDMEAN".startswith(word) or "GROUPMEAN".startswith(word)) or len(word) < 3:
            raise NotTranslated(f"{kind} is no kind of centring that is known")
        for name in names:
            column = self.column(name)
            grand = "GRANDMEAN".startswith(word)
            mean = f"{column}.mean()" if grand else self._cluster_mean(name)
            self.steps.append(f"{column} = {column} - {mean}")

    def _cluster_mean(self, name: str) -> str:
        if not self.cluster:
            raise NotTranslated("there is no CLUSTER")
        return f'data.groupby("{self.cluster}")["{name}"].transform("mean")'

    def _formula(self, text: str) -> str:
        code = in_python(text, self.names, self.column)
        self.numpy |= "np." in code
        return code.replace("data['", 'data["').replace("']", '"]')

    # --- what cannot be said here -------------------------------------------------------------

    def _try(self, text: str, step: Callable[[], None]) -> None:
        try:
            step()
        except NotTranslated as error:
            self._refuse(text, str(error))
            self.barred.append(INCOMPLETE)

    def _refuse(self, text: str, reason: str) -> None:
        self.untranslated.append(f"{text}  ({reason})")


_READERS: dict[str, Callable[[Data, str], None]] = {
    "USEVARIABLES": Data._use,
    "USEOBSERVATIONS": Data._observations,
    "CLUSTER": Data._cluster,
    "WITHIN": Data._within,
    "BETWEEN": Data._between,
    "MISSING": Data._missing,
    "GROUPING": Data._grouping,
    "CENTERING": Data._centering,
    "AUXILIARY": Data._auxiliary,
    "WEIGHT": Data._weight,
    "BWEIGHT": Data._level2_weight,
    "WTSCALE": Data._weight_scaling,
    "BWTSCALE": lambda _data, _text: None,  # a constant in clusters' weights changes nothing
    "STRATIFICATION": Data._strata,
    "REPWEIGHTS": Data._replicates,
}


def _codes(text: str) -> list[str]:
    """`-9 99`, `7-9`."""
    codes: list[str] = []
    for low, high in re.findall(r"(-?\d+\.?\d*|[.*])(?:-(\d+))?(?![\w.])", text):
        if high and 0 <= int(high) - int(float(low)) <= 100:
            codes += [str(code) for code in range(int(float(low)), int(high) + 1)]
        else:
            codes.append(low)
    if not codes:
        raise NotTranslated("its codes are not known")
    return codes
