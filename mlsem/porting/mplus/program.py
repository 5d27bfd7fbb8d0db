"""The whole input: sections → what they say → a Python program."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsem.base.display import printable, shortened
from mlsem.porting.mplus.arithmetic import in_lavaan
from mlsem.porting.mplus.asked import Asked
from mlsem.porting.mplus.data import INCOMPLETE, Data
from mlsem.porting.mplus.lists import NAME, NotTranslated
from mlsem.porting.mplus.model import Model
from mlsem.porting.mplus.sections import Section, cut, one_line, statements
from mlsem.porting.mplus.written import Written, write
from mlsem.porting.numbered import pattern_of
from mlsem.porting.result import Port

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTH = 88
_POOLED = ("standardized", "conf_int", "wald_test", "vcov")  # what pooled fits have


def translate(text: str) -> Port:
    """An Mplus input as a Python program.

    Defaults of Mplus that differ are written out: observed information and means in models of one
    level, robust errors of two-level ones, full information where values are missing, parts at
    both levels of variables that are on neither list, equal loadings and intercepts of groups.

    Raises
    ------
    ModelSyntaxError
        The text is no Mplus input.

    Examples
    --------
    >>> from mlsem.porting.mplus import translate
    >>> ported = translate("DATA: FILE = d.dat; VARIABLE: NAMES = y x; MODEL: y ON x;")
    >>> ported.untranslated
    0
    >>> print(ported.code.splitlines()[-1])
    print(fit.summary(fit_measures=True))
    """
    sections = cut(text)
    program = _Program()
    for section in sections:
        program.read_before(section)
    for section in sections:
        program.read_model(section)
    for section in sections:
        program.read_after(section)
    return program.port()


@dataclass
class _Program:
    data: Data = field(default_factory=Data)
    title: str = ""
    constraints: list[str] = field(default_factory=list)
    untranslated: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asked = Asked(self.data.names)
        self.model = Model(self.data.names)
        self.new: set[str] = set()

    # --- reading ------------------------------------------------------------------------------

    def read_before(self, section: Section) -> None:
        """What stands before the model, in whatever order."""
        if section.head == "TITLE":
            self.title = section.body.rstrip("; \n")
        elif section.head == "DATA":
            self.data.read_data(section)
        elif section.head == "VARIABLE":
            self.data.read_variable(section)
        elif section.head == "ANALYSIS":
            self.asked.read_analysis(section)

    def read_model(self, section: Section) -> None:
        if section.head == "DEFINE":
            self.data.read_define(section)
        elif section.head == "MODEL" and section.rest in ("", *self._groups()):
            self._read_model(section, self._groups().get(section.rest))
        elif section.head == "MODEL" and section.rest == "CONSTRAINT":
            for statement in statements(section.body):
                try:
                    self._constraint(statement)
                except NotTranslated as error:
                    self._refuse(statement, error)

    def read_after(self, section: Section) -> None:
        asked = self.asked
        slopes, latent = bool(self.model.slopes), bool(self.model.latent)
        if section.head == "MODEL" and section.rest == "INDIRECT":
            asked.read_indirect(section)
        elif section.head == "MODEL" and section.rest == "TEST":
            asked.read_test(section, self.model.labels)
        elif section.head == "MODEL" and section.rest not in ("", "CONSTRAINT", *self._groups()):
            self._refuse(f"{section.name}: …", "it has no counterpart")
        elif section.head == "OUTPUT":
            asked.read_output(section, slopes, latent)
        elif section.head == "SAVEDATA":
            asked.read_savedata(section, sorted(set(self.model.latent.values())))
        elif section.head in ("PLOT", "MONTECARLO"):
            asked.read_other(section)

    def _groups(self) -> dict[str, str]:
        return {label.upper(): label for label in self.data.groups.values()}

    def _read_model(self, section: Section, group: str | None) -> None:
        level = 1 if self.asked.two_level else 0
        for statement in statements(section.body):
            try:
                level = self.model.read(statement, level, group)
            except NotTranslated as error:
                self._refuse(statement, error)

    def _refuse(self, text: str, reason: object) -> None:
        """What the model lacks; it is not fitted then."""
        self.untranslated.append(f"{text}  ({reason})")
        self.data.barred.append(INCOMPLETE)

    def _constraint(self, statement: str) -> None:
        declared = re.fullmatch(r"NEW\s*\(([^()]*)\)", statement, re.IGNORECASE)
        if declared is not None:
            self.new |= {name.lower() for name in re.findall(NAME, declared[1])}
            return
        match = re.fullmatch(r"([^=<>]+)([=<>])([^=<>]+)", statement)
        if match is None:
            raise NotTranslated("it is no equation")
        left, right = (in_lavaan(match[k], self.model.labels) for k in (1, 3))
        operator = {"=": ":=" if left.lower() in self.new else "=="}.get(match[2], match[2])
        if re.fullmatch(r"[\d.]+", left) and operator != ":=":  # 0 = a - b
            left, right = right, left
            operator = {"<": ">", ">": "<"}.get(operator, operator)
        self.constraints.append(f"{left} {operator} {right}")

    # --- writing ------------------------------------------------------------------------------

    def port(self) -> Port:
        data, asked = self.data, self.asked
        groups = tuple(data.groups.values())
        written = write(self.model, data.within, data.between, groups)
        self._require_method()
        self._defaults(written)
        barred = list(dict.fromkeys([*data.barred, *asked.barred]))
        if data.imputed:
            self._only_pooled()
        untranslated = [*data.untranslated, *self.untranslated, *asked.untranslated]
        untranslated = [shortened(one_line(text), 200) for text in untranslated]
        parts = [
            self._head(len(untranslated)),
            self._imports(),
            self._reading(),
            _comments(untranslated),
            self._model_text(written),
            self._calls(written, barred),
        ]
        code = "\n\n".join(part for part in parts if part) + "\n"
        return Port(code, (*self.notes, *untranslated), len(untranslated))

    def _only_pooled(self) -> None:
        """What several fits are asked together; the rest is asked of one."""
        asked, kept = self.asked, list[str]()
        if asked.steps or asked.draws:
            asked.refuse("MODEL or BOOTSTRAP", "it is for one data set: ask the fits one by one")
            asked.steps, asked.draws = "", 0
        for line in asked.after:
            if re.match(rf"print\(fit\.({'|'.join(_POOLED)})\(", line):
                kept.append(line)
            else:
                asked.refuse(line, "it is of one data set: ask fit.fits[0], fit.fits[1], …")
        asked.after = kept

    def _defaults(self, written: Written) -> None:
        """Options that Mplus takes without being told."""
        asked, options = self.asked, self.asked.options
        robust = asked.defaults_to_mlr or bool(self.data.weights)
        estimator = asked.estimator or ("MLR" if robust else "ML")
        chosen = {"estimator": f'"{estimator}"'}
        if not asked.two_level:
            chosen |= {"meanstructure": "True", "information": '"observed"'}
        if self.data.missing:
            chosen["missing"] = '"listwise"' if self.data.listwise else '"fiml"'
        if self.data.auxiliary:
            chosen["auxiliary"] = _list(self.data.auxiliary)
        chosen |= self._sampling()
        if self._models_covariates():
            chosen["fixed_x"] = "False"
            self.notes.append("covariates with a variance or mean in MODEL are modelled")
        asked.options = chosen | options
        unnamed = self._unnamed()
        if unnamed:
            self.notes.append(
                f"{', '.join(unnamed)}: used, but not in MODEL; Mplus counts them in its tests of "
                "fit and log-likelihood, here they are left out"
            )
        if written.added:
            self.notes.append(
                f"{', '.join(written.added)}: on neither list, WITHIN or BETWEEN, and named at one "
                "level; as in Mplus there is a part at the other level, too"
            )

    def _sampling(self) -> dict[str, str]:
        """Weights and strata; in a model of one level a weight is that of rows."""
        data, chosen = self.data, dict[str, str]()
        if data.weights and self.asked.two_level:
            pairs = ", ".join(f'"{level}": "{name}"' for level, name in data.weights.items())
            chosen["weights"] = f"{{{pairs}}}"
            if data.scaling not in ("", "cluster"):  # which is the default of both
                chosen["weight_scaling"] = f'"{data.scaling}"'
        elif data.weights:
            chosen["weights"] = f'"{next(iter(data.weights.values()))}"'
        if data.replicates:
            chosen["replicates"] = self._replicates()
        elif data.strata:
            chosen["strata"] = f'"{data.strata}"'
        return chosen

    def _require_method(self) -> None:
        """Replicate weights have a method, and the other way round."""
        if self.data.replicates and self.asked.method is None:
            self.asked.bar("REPWEIGHTS", "the method is not written, as in REPSE = FAY (.5)")
        elif self.asked.method is not None and not self.data.replicates:
            self.asked.bar("REPSE", "replicate weights are columns of the data here, REPWEIGHTS")

    def _replicates(self) -> str:
        method, factor = self.asked.method or ("", "")
        pattern = pattern_of(self.data.replicates, self.data.columns)
        columns = _list(self.data.replicates) if pattern is None else _quoted(pattern)
        return f"mlsem.{method or 'Fay'}({columns}{f', k={float(factor):g}' if factor else ''})"

    def _unnamed(self) -> list[str]:
        """Variables of USEVARIABLES that MODEL does not name."""
        data = self.data
        named = {name for place in self.model.parameters for name in (place.left, place.right)}
        beside = {data.cluster, data.group, data.strata, *data.auxiliary, *data.weights.values()}
        return [name for name in data.used if name not in named | beside]

    def _models_covariates(self) -> bool:
        """Whether the variance or mean of a variable that only predicts is named."""
        told = self.model.parameters
        explained = {place.left for place in told if place.operator == "~"}
        explained |= {place.right for place in told if place.operator == "=~"}
        predicting = {place.right for place in told if place.operator == "~"} - explained
        return any(
            place.left in predicting - set(self.model.latent)
            for place in told
            if place.operator == "~1" or (place.operator == "~~" and place.left == place.right)
        )

    def _head(self, untranslated: int) -> str:
        lines = [printable(one_line(line)) for line in self.title.split("\n") if line.strip()]
        lines += [*([""] if lines else []), "Translated from an Mplus input."]
        if untranslated:
            lines.append(f"Not translated: {untranslated}, as comments below.")
        lines += [f"Note: {note}." for note in self.notes]
        return "\n".join(_comment(line) for line in lines)

    def _imports(self) -> str:
        numpy = ["import numpy as np"] if self.data.numpy else []
        path = ["from pathlib import Path", ""] if self.data.imputed else []
        return "\n".join([*path, *numpy, "import pandas as pd", "", "import mlsem"])

    def _reading(self) -> str:
        data = self.data
        comma = data.file.lower().endswith(".csv")
        codes = self._codes()
        arguments = [
            "file" if data.imputed else _quoted(data.file or "data.dat"),
            'sep=","' if comma else r'sep=r"\s+"',
            f"names={_list(data.columns)}",
            *([f"na_values={codes}"] if codes else []),
        ]
        lines = [_call("data = pd.read_csv", arguments), *data.steps]
        if data.group:
            pairs = ", ".join(f"{value}: {_quoted(label)}" for value, label in data.groups.items())
            column = data.column(data.group)
            lines.append(f"{column} = {column}.map({{{pairs}}})")
        if not data.imputed:
            return "\n".join(lines)
        body = textwrap.indent("\n".join([*lines, "sets.append(data)"]), "    ")
        files = f"Path({_quoted(data.file or 'list.dat')}).read_text().split()"
        return f"sets = []\nfor file in {files}:\n{body}"

    def _codes(self) -> str:
        """Of missing values: a list for all columns, a dictionary where they differ."""
        shared = self.data.missing.get("", [])
        own = {name: codes for name, codes in self.data.missing.items() if name}
        if not own:
            return _list(shared) if shared else ""
        columns = self.data.columns if shared else [c for c in self.data.columns if c in own]
        pairs = [f'"{name}": {_list([*shared, *own.get(name, [])])}' for name in columns]
        return _broken("{", pairs, "}")

    def _model_text(self, written: Written) -> str:
        return "\n".join(['model = """', *written.lines, *self.constraints, '"""'])

    def _calls(self, written: Written, barred: list[str]) -> str:
        data, asked = self.data, self.asked
        arguments = ["model", "sets" if data.imputed else "data"]
        if data.cluster and (asked.two_level or "COMPLEX" in asked.types):
            arguments.append(f'cluster="{data.cluster}"')
        if data.group:
            labels = ", ".join(_quoted(label) for label in data.groups.values())
            arguments += [f'group="{data.group}"', f"group_label=[{labels}]"]
        measured = any(place.operator == "=~" for place in self.model.parameters)
        if data.group and measured and not asked.steps:
            arguments.append('group_equal=["loadings", "intercepts"]')
            if written.partial:
                arguments.append(f"group_partial={_list(written.partial)}")
        arguments += [f"{name}={value}" for name, value in asked.options.items()]
        lines = self._fitting(arguments)
        if asked.draws and not data.imputed:
            lines.append(f'boot = fit.bootstrap("pairs", draws={asked.draws}, seed=1)')
            lines.append("print(boot)")
        lines += asked.after
        if not barred:
            return "\n".join(lines)
        reasons = [_comment(f"Not fitted: {reason}.") for reason in barred]
        return "\n".join([*reasons, *(f"# {line}" for line in "\n".join(lines).split("\n"))])

    def _fitting(self, arguments: list[str]) -> list[str]:
        """One fit, or the steps of invariance."""
        more = ", standardized=True" if self.asked.standardized else ""
        summary = f"print(fit.summary(fit_measures=True{more}))"
        if self.data.imputed:
            return [_call("fit = mlsem.fit_many", arguments), "print(fit.summary())"]
        if not self.asked.steps:
            return [_call("fit = mlsem.fit", arguments), summary]
        steps = [each for each in arguments if not each.startswith("group_label")]
        steps.append(f"steps=[{self.asked.steps}]")
        last = self.asked.steps.rpartition(", ")[2]
        return [
            _call("invariance = mlsem.invariance", steps),
            "print(invariance)",
            f"fit = invariance.fits[{last}]",
            summary,
        ]


def _comments(texts: list[str]) -> str:
    return "\n".join(_comment(f"NOT TRANSLATED: {text}") for text in texts)


def _comment(text: str) -> str:
    """One comment, on several lines where it is long."""
    folded = textwrap.wrap(printable(text), WIDTH - 2, break_on_hyphens=False) or [""]
    return "\n".join(f"# {line}".rstrip() for line in folded)


def _quoted(text: str) -> str:
    """As Python, in double quotes where that is possible."""
    return repr(text) if '"' in text or "\\" in text or not text.isprintable() else f'"{text}"'


def _list(texts: Iterable[str]) -> str:
    """As Python, of an argument."""
    return _broken("[", [_quoted(text) for text in texts], "]")


def _broken(start: str, parts: list[str], end: str) -> str:
    """In one line, or in as many as it needs."""
    line = f"{start}{', '.join(parts)}{end}"
    if len(line) <= WIDTH - 16:
        return line
    indent = " " * 8
    filled = textwrap.fill(
        ", ".join(parts), WIDTH, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return f"{start}\n{filled},\n    {end}"


def _call(function: str, arguments: list[str]) -> str:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    return "\n".join([f"{function}(", *(f"    {each}," for each in arguments), ")"])
