"""ANALYSIS, OUTPUT, SAVEDATA, MODEL INDIRECT and TEST: options of the call, and calls after it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mlsem.porting.mplus.arithmetic import in_lavaan
from mlsem.porting.mplus.lists import NAME, Names, NotTranslated
from mlsem.porting.mplus.sections import Section, one_line, settings, statements

_ANALYSIS = (
    "TYPE", "ESTIMATOR", "INFORMATION", "BOOTSTRAP", "MODEL", "ITERATIONS", "STARTS", "ALGORITHM",
    "INTEGRATION", "PROCESSORS", "CONVERGENCE", "H1ITERATIONS", "H1CONVERGENCE", "MITERATIONS",
    "MCONVERGENCE", "STITERATIONS", "SDITERATIONS", "COVERAGE", "LOGCRITERION", "ADAPTIVE",
    "CHOLESKY", "MATRIX", "PARAMETERIZATION", "ROTATION", "CHAINS", "BITERATIONS", "FBITERATIONS",
    "POINT", "PRIOR", "LINK", "DISTRIBUTION", "INTERACTIVE", "STSEED", "BSEED",
    "REPSE", "MULTIPLIER",
)  # fmt: skip
# Settings of algorithms: there is one here, and it needs none.
_OF_ALGORITHMS = _ANALYSIS[6:20]
_LEFT_OUT = {
    "PLOT": "figures are methods of the fit and of its results",
    "MONTECARLO": "simulations are mlsem.simulate and mlsem.study",
}
_METHODS = {"FAY": "Fay", "BRR": "BRR", "JACKKNIFE1": "JK1", "JACKKNIFE2": "JK2"}
_OTHER_METHODS = {
    "FAY": "its factor is not written, as in FAY (.5): mlsem.Fay takes it as k",
    "JACKKNIFE": "its multipliers are in a file: mlsem.JK1 and mlsem.JK2 have (R - 1)/R and 1",
    "BOOTSTRAP": "replicates of the bootstrap are not weighed here: there are mlsem.Fay, BRR, JK1 "
    'and JK2, and fit.bootstrap("pairs")',
}
_KINDS = {"STANDARDIZED": "all", "STAND": "all", "STDYX": "all", "STDY": "nox", "STD": "lv"}


@dataclass
class Asked:
    """What the call and the lines after it are.

    Attributes
    ----------
    options : dict of str to str
        Keyword → Python expression.
    after : list of str
        Lines after the fit.
    """

    names: Names
    types: set[str] = field(default_factory=lambda: {"GENERAL"})
    estimator: str = ""
    options: dict[str, str] = field(default_factory=dict)
    steps: str = ""  # of invariance
    draws: int = 0
    method: tuple[str, str] | None = None  # of replicate weights, and Fay's factor
    standardized: bool = False
    after: list[str] = field(default_factory=list)
    barred: list[str] = field(default_factory=list)
    untranslated: list[str] = field(default_factory=list)

    @property
    def two_level(self) -> bool:
        return "TWOLEVEL" in self.types

    @property
    def defaults_to_mlr(self) -> bool:
        return bool(self.types & {"TWOLEVEL", "COMPLEX", "RANDOM"})

    def read_analysis(self, section: Section) -> None:
        for each in settings(section.body, _ANALYSIS):
            value = each.value.upper()
            if each.name == "TYPE":
                self._type(each.text, set(value.split()))
            elif each.name == "ESTIMATOR":
                self._estimator(each.text, value)
            elif each.name == "INFORMATION" and value in ("EXPECTED", "OBSERVED"):
                self.options["information"] = f'"{value.lower()}"'
            elif each.name == "BOOTSTRAP":
                self._bootstrap(each.text, value)
            elif each.name == "REPSE":
                self._replication(each.text, value)
            elif each.name == "MODEL":
                self._model(each.text, set(value.split()))
            elif each.name not in _OF_ALGORITHMS:
                self.refuse(each.text, "it has no counterpart")

    def _type(self, text: str, words: set[str]) -> None:
        full = {"TWOLEVEL", "COMPLEX", "RANDOM", "GENERAL", "BASIC", "MEANSTRUCTURE", "MISSING"}
        for word in sorted(words - full):
            self.bar(text, f"TYPE = {word} is not fitted here")
        if {"TWOLEVEL", "COMPLEX"} <= words:
            self.refuse(text, 'clusters above those of the model are se_cluster="…" in the call')
        self.types = words & full or {"GENERAL"}

    def _estimator(self, text: str, value: str) -> None:
        if value in ("ML", "MLR"):
            self.estimator = value
        elif value in ("MLM", "MLMV", "MLF"):
            self.estimator = "MLR"
            self.refuse(text, 'its estimates are those of ML; "MLR" has robust standard errors')
        else:
            self.bar(text, f"the estimator {value} is not available: estimation is by ML")

    def _bootstrap(self, text: str, value: str) -> None:
        number = re.match(r"\d+", value)
        if number is None or "RESIDUAL" in value:
            self.refuse(text, "its kind has no counterpart")
            return
        self.draws = int(number[0])

    def _replication(self, text: str, value: str) -> None:
        told = re.fullmatch(r"(\w+)\s*(?:\(\s*(\d*\.?\d+)\s*\))?", value.strip())
        word, factor = told.groups("") if told else ("", "")
        self.method = (_METHODS.get(word, ""), factor)
        if not self.method[0] or (word == "FAY" and not factor):
            self.bar(text, _OTHER_METHODS.get(word, "this method is not known"))

    def _model(self, text: str, words: set[str]) -> None:
        steps = [word for word in ("CONFIGURAL", "METRIC", "SCALAR") if word in words]
        if "NOCOVARIANCES" in words:
            self.options |= {"auto_cov_lv_x": "False", "auto_cov_y": "False"}
        if "NOMEANSTRUCTURE" in words:
            self.options["meanstructure"] = "False"
        self.steps = ", ".join(f'"{word.lower()}"' for word in steps)
        if not words <= {"NOCOVARIANCES", "NOMEANSTRUCTURE", "CONFIGURAL", "METRIC", "SCALAR"}:
            self.refuse(text, "it has no counterpart")

    # --- after the fit ------------------------------------------------------------------------

    def read_indirect(self, section: Section) -> None:
        """`y IND m x`: all ways from x to y."""
        pairs: dict[tuple[str, str], None] = {}
        for statement in statements(section.body):
            words = statement.split()
            if len(words) >= 3 and words[1].upper() in ("IND", "VIA"):
                ends = words[0], words[-1]
                if all(re.fullmatch(NAME, end) for end in ends):
                    pairs[(self.names.spelt(ends[0]), self.names.spelt(ends[1]))] = None
                    continue
            self.refuse(statement, "it is not known")
        self.after += [f'print(fit.effects("{y}", "{x}"))' for y, x in pairs]

    def read_test(self, section: Section, labels: Names) -> None:
        constraints: list[str] = []
        for statement in statements(section.body):
            left, equals, right = statement.partition("=")
            try:
                if not equals:
                    raise NotTranslated("it is no equation")
                constraints.append(f"{in_lavaan(right, labels)} == {in_lavaan(left, labels)}")
            except NotTranslated as error:
                self.refuse(statement, str(error))
        if constraints:
            self.after.append(f'print(fit.wald_test("{"; ".join(constraints)}"))')

    def read_output(self, section: Section, random_slopes: bool, latent: bool) -> None:
        for name, inside in re.findall(r"([A-Za-z]\w*)\s*(?:\(([^()]*)\))?", section.body):
            word, argument = name.upper(), inside.strip().upper()
            line = self._line(word, argument, random_slopes, latent)
            if line is None:
                self.refuse(f"{name}{f'({inside})' if inside else ''}", "it has no counterpart")
            elif line:
                self.after.append(line)

    def _line(self, word: str, argument: str, random_slopes: bool, latent: bool) -> str | None:
        """What prints it; empty where the summary has it, None where nothing does."""
        if word in _KINDS:
            self.standardized |= word != "STDY"
            return f'print(fit.standardized("{_KINDS[word]}"))'
        if word.startswith("MODI") or word == "MOD":
            number = re.fullmatch(r"\d+(\.\d+)?", argument)
            least = number[0] if number else "0" if "ALL" in argument else "10"
            return f"print(fit.modification_indices(minimum={least}))"
        if word.startswith("CINT"):
            if "BOOT" in argument and self.draws:
                return 'print(boot.conf_int(kind="percentile"))'
            return None if "BOOT" in argument else "print(fit.conf_int())"
        if word == "RESIDUAL" or word == "RES":
            return None if random_slopes else "print(fit.residuals())"
        if word.startswith("SAMP"):
            return None if random_slopes else 'print(fit.inspect("sampstat"))'
        if word == "TECH3":
            return "print(fit.vcov())"
        if word == "TECH4":
            return 'print(fit.inspect("cov.lv"))' if latent else None
        return "" if word in ("TECH1", "TECH8", "NOSERROR", "ALIGNMENT") else None

    def read_savedata(self, section: Section, levels: list[int]) -> None:
        told = settings(section.body, ("FILE", "SAVE", "FORMAT"))
        file = next((each.value.strip("\"' ") for each in told if each.name == "FILE"), "")
        for each in told:
            if each.name == "SAVE" and each.value.upper().startswith("FSC") and levels:
                for level in levels:
                    scores = f"fit.predict_latent(level={max(level, 1)}, data=data)"
                    name = f"level{level}_{file}" if len(levels) > 1 else file
                    self.after.append(f"{scores}.to_csv({one_line(name)!r})")
            elif each.name == "SAVE" and each.value.upper().startswith("FSC"):
                self.refuse(each.text, "the model has no latent variables")
            elif each.name not in ("FILE", "FORMAT"):
                self.refuse(each.text, "results are data frames: their to_csv writes them")

    def read_other(self, section: Section) -> None:
        self.refuse(f"{section.name}: …", _LEFT_OUT.get(section.head, "it has no counterpart"))

    def bar(self, text: str, reason: str) -> None:
        """What the model cannot be fitted for."""
        self.barred.append(reason)
        self.refuse(text, reason)

    def refuse(self, text: str, reason: str) -> None:
        self.untranslated.append(f"{text}  ({reason})")
