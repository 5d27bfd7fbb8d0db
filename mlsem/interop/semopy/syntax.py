"""semopy's model language: text → a frozen record, each part with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite, isnan

from mlsem.errors import Span, SpecificationError, listed

NAME = re.compile(r"[^\W\d][\w.]*")
_TERM = re.compile(r"(?:(?P<factor>-?\w[\w.-]*)\s*\*\s*)?(?P<name>\w[\w.]*)")
_OPERATOR = re.compile(r"=~|~~|~R~|~\d+~|~")
_OLD_COMMAND = re.compile(r"(?P<name>[A-Z][A-Z_]+)\s*(?:\((?P<value>.*)\))?\s*(?P<onto>[\w\s.]*)")
_NEW_COMMAND = re.compile(r"(?P<name>[a-z][a-z_]*)\s*(?P<value>.*?)\s*:\s*(?P<onto>.*)")
_QUOTED_COMMAND = re.compile(r"(?P<name>[a-z][a-z_]*)\s*[\"'`]\s*(?P<value>.+?)\s*[\"'`]")
_COMMANDS = ("DEFINE", "FORCE", "START", "BOUND", "CONSTRAINT", "LATENT", "ORDINAL")
_FUNCTIONS = {"exp": "exp", "log": "log", "ln": "log", "sqrt": "sqrt", "abs": "abs", "Abs": "abs"}


@dataclass(frozen=True, slots=True)
class Term:
    """One parameter as written.

    Attributes
    ----------
    lhs, rhs : str
    fixed : float or None
    label : str
        Empty without one.
    sample : bool
        `START*x`: kept at the starting value that semopy finds in the data.
    """

    lhs: str
    rhs: str
    fixed: float | None
    label: str
    sample: bool
    span: Span

    @property
    def plain(self) -> bool:
        """Free and without a label."""
        return self.fixed is None and not self.label and not self.sample


Terms = dict[tuple[str, str], Term]


@dataclass(frozen=True, slots=True)
class SemopyModel:
    """A model text taken apart.

    Attributes
    ----------
    loadings, paths, covariances : dict of (lhs, rhs) to Term
        In the order written; as in semopy the last of several terms for one parameter counts.
    latent, endogenous : dict of str to Span
        Names in `DEFINE(latent)` and `FORCE(endo)`.
    starts : dict of str to float
    bounds : dict of str to (float, float)
    constraints : list of str
        In lavaan's syntax.
    """

    text: str
    loadings: Terms = field(default_factory=dict)
    paths: Terms = field(default_factory=dict)
    covariances: Terms = field(default_factory=dict)
    latent: dict[str, Span] = field(default_factory=dict)
    endogenous: dict[str, Span] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    constraints: list[str] = field(default_factory=list)

    @property
    def terms(self) -> Iterator[Term]:
        for each in (self.loadings, self.paths, self.covariances):
            yield from each.values()


def read(text: str) -> SemopyModel:
    """Take a text apart.

    Raises
    ------
    SpecificationError
        What semopy or mlsem cannot take, with its place.
    """
    model = SemopyModel(text)
    commands = []
    place = 0
    for line in text.splitlines(keepends=True):
        clean = line.partition("#")[0].replace("∼", "~").rstrip()
        start = place + len(clean) - len(clean.lstrip())
        place += len(line)
        clean = clean.strip()
        span = Span(start, start + len(clean))
        if "~" in clean:
            _formula(model, clean, span)
        elif clean:
            commands.append((clean, span))
    for clean, span in commands:
        _command(model, clean, span)
    return model


def fail(text: str, message: str, span: Span | None) -> SpecificationError:
    return SpecificationError(message, text, span)


# --- formulas ------------------------------------------------------------------------------------


def _formula(model: SemopyModel, line: str, span: Span) -> None:
    match = _OPERATOR.search(line)
    assert match is not None
    operator = match.group()
    tables = {"=~": model.loadings, "~": model.paths, "~~": model.covariances}
    if operator not in tables:
        raise fail(
            model.text,
            f"{operator!r}, a random effect of semopy's, is not taken over. Write the random "
            "intercept of y as a second level: 'level: 2' and below it 'y ~~ y'.",
            Span(span.start + match.start(), span.start + match.end()),
        )
    left = list(_pieces(line[: match.start()], ",", span.start))
    right = list(_pieces(line[match.end() :], "+", span.start + match.end()))
    for lhs, where in left:
        _require_name(model.text, lhs, where)
        for piece, place in right:
            term = _term(model.text, lhs, operator, piece, place)
            tables[operator][lhs, term.rhs] = term


def _pieces(text: str, separator: str, start: int) -> Iterator[tuple[str, Span]]:
    for piece in text.split(separator):
        first = start + len(piece) - len(piece.lstrip())
        yield piece.strip(), Span(first, first + max(1, len(piece.strip())))
        start += len(piece) + 1


def _term(text: str, lhs: str, operator: str, piece: str, span: Span) -> Term:
    match = _TERM.fullmatch(piece)
    if match is None:
        raise fail(
            text,
            f"{piece!r} is not a term of semopy's: x, a*x or 0.5*x, joined by '+' on one line.",
            span,
        )
    name, factor = match["name"], match["factor"]
    if not (operator == "~" and name == "1"):
        _require_name(text, name, span)
    if factor is None or factor == "START":
        return Term(lhs, name, None, "", factor is not None, span)
    try:
        fixed = float(factor)
    except ValueError:
        return Term(lhs, name, None, _label(text, factor, span), False, span)
    if not isfinite(fixed):
        raise fail(text, f"semopy reads {factor!r} as a number, and it is not finite.", span)
    return Term(lhs, name, fixed, "", False, span)


def _label(text: str, label: str, span: Span) -> str:
    if label == "NA":
        raise fail(
            text,
            "'NA' is a label in semopy and makes all its parameters equal; in lavaan's syntax it "
            "means free. Rename it, or leave it out: semopy fixes no labelled loading.",
            span,
        )
    _require_name(text, label, span)
    return label


def _require_name(text: str, name: str, span: Span) -> None:
    if NAME.fullmatch(name) is None:
        raise fail(
            text,
            f"{name!r} is not a name in lavaan's syntax: a letter or '_' first, then letters, "
            "digits, '_' and '.'.",
            span,
        )


# --- commands ------------------------------------------------------------------------------------


def _command(model: SemopyModel, line: str, span: Span) -> None:
    for pattern in (_NEW_COMMAND, _QUOTED_COMMAND, _OLD_COMMAND):
        match = pattern.fullmatch(line)
        if match is not None:
            break
    else:
        raise fail(model.text, f"{line!r} is neither a formula nor a command of semopy's.", span)
    parts = match.groupdict()
    name, value, onto = parts["name"].upper(), parts["value"] or "", parts.get("onto", "").split()
    if name not in _COMMANDS:
        raise fail(model.text, f"semopy has no command {parts['name']!r}.", span)
    what = name if name in ("LATENT", "ORDINAL") else value.strip().upper()
    if name in ("DEFINE", "LATENT", "ORDINAL"):
        _define(model, what, onto, span)
    elif name == "FORCE":
        if what != "ENDO":
            raise fail(model.text, "of FORCE() only FORCE(endo) means something.", span)
        model.endogenous.update(dict.fromkeys(onto, span))
    elif name == "CONSTRAINT":
        model.constraints.append(_constraint(model, value, span))
    else:
        _settings(model, name, value, onto, span)


def _define(model: SemopyModel, what: str, onto: list[str], span: Span) -> None:
    if what == "ORDINAL":
        raise fail(
            model.text,
            f"ordinal variables ({listed(onto)}) are not supported: mlsem fits continuous data.",
            span,
        )
    if what != "LATENT":
        raise fail(model.text, "DEFINE() takes latent; semopy ignores anything else.", span)
    model.latent.update(dict.fromkeys(onto, span))


def _settings(model: SemopyModel, name: str, value: str, onto: list[str], span: Span) -> None:
    """START and BOUND: numbers for labels."""
    try:
        numbers = [float(each) for each in value.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if any(isnan(each) for each in numbers) or len(numbers) != (1 if name == "START" else 2):
        takes = "one number" if name == "START" else "two numbers, -inf and inf among them"
        raise fail(model.text, f"{name} takes {takes}.", span)
    labels = _labels(model)
    for label in onto:
        if label not in labels:
            raise fail(model.text, _unknown(label), span)
        if name == "START":
            model.starts[label] = numbers[0]
        else:
            model.bounds[label] = (numbers[0], numbers[1])


def _constraint(model: SemopyModel, value: str, span: Span) -> str:
    """`a = 2*b` as `a == 2*b`."""
    match = re.fullmatch(r"([^<>=]+)([<>=])([^<>=]+)", value)
    if match is None:
        raise fail(model.text, "a constraint has one of =, < and >, and two sides.", span)
    labels = _labels(model)
    sides = []
    for side in (match[1], match[3]):
        for word in re.finditer(r"(?<![\w.])[^\W\d][\w.]*(?P<call>\s*\()?", side):
            name = word.group().rstrip("( \t")
            if word["call"] and name not in _FUNCTIONS:
                raise fail(
                    model.text,
                    f"the function {name!r} in a constraint is not taken over; "
                    "exp, log, sqrt and abs are.",
                    span,
                )
            if not word["call"] and name not in labels:
                raise fail(model.text, _unknown(name), span)
        side = re.sub(r"\b(ln|Abs)(?=\s*\()", lambda word: _FUNCTIONS[word.group()], side)
        sides.append(side.strip().replace("**", "^"))
    return f"{sides[0]} {'==' if match[2] == '=' else match[2]} {sides[1]}"


def _labels(model: SemopyModel) -> set[str]:
    return {term.label for term in model.terms if term.label}


def _unknown(name: str) -> str:
    return (
        f"{name!r} is not a label in this model. semopy's own names (_b1, _c1) are not taken "
        "over: write a label before the variable, as in y ~ a*x."
    )
