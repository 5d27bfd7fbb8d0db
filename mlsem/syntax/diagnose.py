"""Where the grammar gives up: what was met, what may stand there, what was probably meant."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from mlsem.errors import ModelSyntaxError, Span
from mlsem.syntax.mplus import found_in, translated
from mlsem.syntax.naming import is_name, renaming

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_TRANSLATION = 40
OPERATORS = ("=~", "~~", "~", ":=", "==", "<", ">")
_WORD = re.compile(r"[^\W\d][\w.]*|\.[^\W\d][\w.]*")
_HEADER = re.compile(r"\s*(level|group)\s*:\s*(-?\w+|\"[^\"]*\"|'[^']*')?", re.IGNORECASE)
_UNMARKED_HEADER = re.compile(r"\s*(level|group)\s*=?\s+(\w+)\s*", re.IGNORECASE)
_RELATION = re.compile(r"=~|~\*~|<~|\|~|~~|~|:=|==|<|>|\|")
_SIGNS = frozenset("+-*/^?:~=<>|")
_LINE_END = re.compile(r"[\r\n;\v\f\x1c-\x1e\x85\u2028\u2029]")
_COMMENT = re.compile(r"[#!][^\r\n]*")
_TOKEN = re.compile(r"[\w.]+|\"[^\"]*\"|'[^']*'|[^\s\w.]")

_RUNS = {
    "=": "'=' is no operator: write '=~' for a latent variable, '~' for a regression, "
    "':=' to define a parameter or '==' for a constraint.",
    "->": "'->' is no operator: a regression of y on x is written 'y ~ x'.",
    "<-": "'<-' is no operator: a regression of y on x is written 'y ~ x'.",
    "<->": "'<->' is no operator: a covariance is written 'x ~~ y'.",
    "<=": "'<=' is no operator: write '<' (it allows equality).",
    ">=": "'>=' is no operator: write '>' (it allows equality).",
    "~=": "'~=' is no operator: write '=~' for a latent variable.",
    "===": "'===' is no operator: write '==' for a constraint.",
    "**": "'**' is no operator: a power is written '^'.",
    "%": "'%' is not supported.",
    "%in%": "'%in%' is not supported.",
    "&": "'&' is no operator: each constraint is a statement of its own.",
}


def diagnosis(text: str, clean: str, start: int, expected: set[str]) -> ModelSyntaxError:
    """The error for a text that the grammar refuses at `start`.

    Parameters
    ----------
    text, clean : str
        The user's text, and what `layout` made of it.
    start : int
        Where the word stands that cannot follow.
    expected : set of str
        The names of the grammar's words that could stand there instead.
    """
    place = _Place(text, clean, start)
    for find in _FINDERS:
        error = find(place)
        if error is not None:
            return error
    met = "the end of the statement" if not place.met else repr(place.met)
    message = f"{met} cannot stand here; expected {_expected(expected)}."
    return ModelSyntaxError(message, None, place.span)


class _Place:
    """The statement in which the grammar gave up, and the words around the place."""

    def __init__(self, text: str, clean: str, start: int) -> None:
        self.text = text
        self.begin = clean.rfind("\n", 0, start) + 1
        self.statement = clean[self.begin : clean.find("\n", start)]
        self.offset = start - self.begin
        self.before = self.statement[: self.offset].rstrip()
        token = _TOKEN.match(self.statement, self.offset)
        self.met = token[0] if token else ""
        self.words = list(_TOKEN.finditer(self.before))
        # At the end of a statement the caret stands under its last character.
        self.span = (
            Span(start, start + len(self.met))
            if self.met
            else Span(self.begin + max(len(self.before) - 1, 0), self.begin + len(self.before))
        )

    def at(self, span: Span) -> str:
        """What the user wrote there."""
        return self.text[span.start : span.end]

    def fail(self, message: str, span: Span | None = None) -> ModelSyntaxError:
        """An error at this place, or at `span`."""
        return ModelSyntaxError(message, None, span or self.span)


def _odd_header(place: _Place) -> ModelSyntaxError | None:
    """`level: 1 y ~ x`, `level:`, `level = 1`."""
    unmarked = _UNMARKED_HEADER.fullmatch(place.statement)
    if unmarked is not None:
        return place.fail(f"a header is written with a colon: '{unmarked[1]}: {unmarked[2]}'.")
    header = _HEADER.match(place.statement)
    if header is None or place.offset < header.end(1):
        return None
    word = header[1].lower()
    start = place.begin + header.start(1)
    if header[2] is None:
        span = Span(start, place.begin + header.end())
        return place.fail(f"'{word}:' needs a label: '{word}: 1'.", span)
    shown = place.statement[header.start(1) : header.end()]
    label = place.statement[header.start(2) :].strip()
    if word == "group" and not _RELATION.search(label) and not re.search("[\"']", label):
        return place.fail(
            f"the name of a group that is not one word stands in quotes: 'group: \"{label}\"'."
        )
    message = f"a '{word}:' header stands alone: begin a new line (or write ';') after {shown!r}."
    return place.fail(message)


def _mplus(place: _Place) -> ModelSyntaxError | None:
    """`f BY y1 y2;`, `%WITHIN%`, `[y@0]`, `MODEL:`."""
    rest = place.text[place.begin :]
    blanked = _COMMENT.sub(lambda comment: " " * len(comment[0]), rest)
    first = re.match(r"\s*[^\r\n;]*", blanked)
    line = first[0] if first else ""
    statement = blanked.partition(";")[0]
    more = statement[len(line) :]
    if re.search(r"[~=%\[]|\b(?:BY|ON|WITH)\b|\w\s*:", more, re.IGNORECASE):
        statement = line  # no ';': the statements below are others
    finding = found_in(statement)
    if finding is None:
        return None
    message = finding.message
    whole = translated(place.text)
    if whole is not None and "\n" in whole and whole.count("\n") < LONGEST_TRANSLATION:
        message += " The whole model is:\n" + "".join(f"  {each}\n" for each in whole.split("\n"))
        message = message.rstrip()
    return place.fail(message, Span(place.begin + finding.start, place.begin + finding.end))


def _lme4(place: _Place) -> ModelSyntaxError | None:
    """`y ~ x + (1 | id)`."""
    inside = place.before.count("(") > place.before.count(")")
    if not inside or place.met != "|":
        return None
    group = re.match(r"\|{1,2}\s*([\w.]+)", place.statement[place.offset :])
    named = group[1] if group else "id"
    from mlsem.syntax.mixed import lmm_call  # for few texts

    call = lmm_call(place.statement, named) if "~" in place.before else ""
    return place.fail(
        f"'(… | {named})' is the language of lme4, which mlsem.lmm takes{call}. "
        f'In fit the clusters are named in the call, cluster="{named}"; random intercepts come '
        "from the blocks 'level: 1' and 'level: 2', random slopes from 'rv(\"s\")*x'."
    )


def _bar(place: _Place) -> ModelSyntaxError | None:
    """`y ~ x | id`."""
    if place.met != "|" or not re.search(r"(?<![~=])~(?!~)", place.before):
        return None
    after = place.statement[place.offset :]
    bar = re.match(r"\|{1,2}\s*(?P<group>[\w.]+)\s*(?P<more>\S?)", after)
    if bar is None:
        return None
    group = bar["group"]
    formula = " ".join(place.before.split()).replace('"', "'")
    lmm = f'; in one line, mlsem.lmm("{formula} + (1 | {group})", data)' if not bar["more"] else ""
    end = place.begin + place.offset + bar.end("group")
    return place.fail(
        f"'| {group}' names no clusters here. They are named in the call, fit(model, data, "
        f"cluster=\"{group}\"), and the blocks 'level: 1' and 'level: 2' say what happens within "
        f"and between them{lmm}. (Fixed effects of clusters, as pyfixest has them, are not "
        "absorbed: what happens within clusters is level 1.)",
        Span(place.span.start, end),
    )


def _odd_operator(place: _Place) -> ModelSyntaxError | None:
    """`=`, `~~~`, `->`: the whole run of operator characters, not its first piece."""
    run = re.compile(r"[=~<>:|%&*^/!@$\\-]+")
    for match in run.finditer(place.statement):
        if not match.start() <= place.offset < match.end():
            continue
        written = match[0]
        span = Span(place.begin + match.start(), place.begin + match.end())
        known = _longest_known(written)
        if known is not None:
            return place.fail(_RUNS[known], span)
        if len(written) > 1 and not _is_sequence(written):
            named = " ".join(OPERATORS)
            return place.fail(f"{written!r} is no operator; those are {named}.", span)
    return None


def _longest_known(written: str) -> str | None:
    if written in _RUNS:
        return written
    stripped = written.rstrip("-")  # `y = -1`
    return stripped if stripped in _RUNS else None


def _is_sequence(written: str) -> bool:
    """Known operators side by side, such as `*-`, that are only in the wrong place."""
    return not re.search(r"[~=<>:|!@$\\]{2,}", written) or written in OPERATORS


def _second_operator(place: _Place) -> ModelSyntaxError | None:
    first = _RELATION.search(place.before)
    second = _RELATION.match(place.statement, place.offset)
    if first is None or second is None:
        return None
    if first[0] in "<>" and second[0] in "<>":
        message = "two comparisons in one statement: write '0 < a' and 'a < 1' on two lines."
        return place.fail(message)
    span = Span(place.begin + second.start(), place.begin + second.end())
    line, _ = span.position(place.text)
    ending, beginning = _line_ends(place)
    if ending is not None:
        written = place.at(ending)
        return place.fail(
            f"the line ends with {written!r}, so the statement goes on and meets a "
            f"second operator, {second[0]!r}, in line {line}: {_wanted(written)}, or "
            "take this one away.",
            ending,
        )
    if beginning is not None:
        return place.fail(
            f"this line begins with {place.at(beginning)!r}, so it goes on with the statement "
            f"above and meets a second operator, {second[0]!r}: take one of them away.",
            beginning,
        )
    return place.fail(
        f"a second operator, {second[0]!r}, after {first[0]!r} in one statement: begin a new "
        "line before it. (A statement goes on over a line end where the line ends with, or the "
        "next begins with, an operator.)",
        span,
    )


def _line_ends(place: _Place) -> tuple[Span | None, Span | None]:
    """The operator before the last line end that the statement goes over, or the one after it."""
    for left, right in reversed(list(pairwise(place.words))):
        start, end = place.begin + left.start(), place.begin + left.end()
        after = place.begin + right.start()
        if not _LINE_END.search(_COMMENT.sub("", place.text[end:after])):
            continue
        if left[0] in _SIGNS:
            while start > place.begin and place.text[start - 1] in "=~<|:":
                start -= 1
            return Span(start, end), None
        return None, Span(after, after + len(right[0]))
    return None, None


def _sign_twice(place: _Place) -> ModelSyntaxError | None:
    """`y ~ x +` and on the next line `+ z`."""
    if place.met not in _SIGNS or not place.words or place.words[-1][0] not in _SIGNS:
        return None
    start = place.begin + place.words[-1].end()
    if not _LINE_END.search(_COMMENT.sub("", place.text[start : place.span.start])):
        return None
    return place.fail(
        f"the line above ends with {place.words[-1][0]!r} and this one begins with "
        f"{place.met!r}: take one of them away."
    )


def _element(place: _Place) -> ModelSyntaxError | None:
    """`c(a b)`, `c(, b)`, `c(a,)`."""
    if not place.met or not re.search(r"(?<![\w.])(?:c|list)\s*\([^()]*$", place.before):
        return None
    last = place.words[-1][0]
    if last in "(,":
        return place.fail("an element is missing here: write NA where none is meant.")
    if re.match(r"[\w.\"']", place.met):
        return place.fail(f"a ',' is missing between {last!r} and {place.met!r}.")
    return None


def _missing_plus(place: _Place) -> ModelSyntaxError | None:
    """`y ~ x1 x2`, `y ~ 2x`."""
    opener = re.match(r"[\w.\"']", place.met)
    last = place.words[-1] if place.words else None
    if not opener or last is None or not re.match(r"[\w.\"')]", last[0]):
        return None
    adjacent = len(place.before) == place.offset
    if adjacent and last[0][0].isdigit() and _WORD.match(place.met):
        start = place.begin + last.start()
        whole = last[0] + place.met
        return place.fail(
            f"a name cannot begin with a digit: {whole!r} (write "
            f"'{last[0]}*{place.met}' for a path fixed to {last[0]}).",
            Span(start, place.begin + place.offset + len(place.met)),
        )
    if _RELATION.search(place.before) is None:
        return place.fail(
            f"no operator between {last[0]!r} and {place.met!r}: a formula is 'y ~ x' or "
            "'f =~ y1 + y2'."
        )
    return place.fail(f"a '+' is missing between {last[0]!r} and {place.met!r}.")


def _unfinished(place: _Place) -> ModelSyntaxError | None:
    """`y ~`, `y ~ x +`, a line without an operator."""
    if place.met:
        return None
    last = re.search(r"(=~|~~|~\*~|<~|\|~|:=|==|[-+*/^?:,~<>|])$", place.before)
    if last is not None:
        span = Span(place.begin + last.start(), place.begin + last.end())
        return place.fail(f"nothing follows {last[0]!r}: {_wanted(last[0])}.", span)
    if _RELATION.search(place.before) is None:
        shown = place.before.strip()
        start = place.begin + len(place.before) - len(place.before.lstrip())
        end = place.begin + len(place.before)
        name = repr(shown) if len(shown) <= 40 else "this statement"
        message = f"{name} has no operator: a formula is 'y ~ x' or 'f =~ y1 + y2 + y3'."
        if place.text[end:].lstrip().startswith("!="):
            message += " ('!' begins a comment; there is no operator '!='.)"
        elif place.begin > 0:
            message += " To go on with the statement above, begin this line with '+'."
        return place.fail(message, Span(start, end))
    return None


def _wanted(operator: str) -> str:
    if operator in ("~", "~~"):
        return f"write the variables, 'y {operator} x' (an intercept alone: 'y ~ 1')"
    if operator in (":=", "==", "<", ">"):
        return "write a number or a calculation with labels"
    if operator in "+-*/^?:,":
        return "write another term"
    return "write a variable" if operator != "=~" else "write the indicators, 'f =~ y1 + y2 + y3'"


def _nothing_before(place: _Place) -> ModelSyntaxError | None:
    """`~ x`: a statement that begins with an operator."""
    operator = _RELATION.match(place.statement, place.offset)
    if operator and not place.before.strip():
        return place.fail(f"nothing stands before {operator[0]!r}.")
    return None


def _odd_character(place: _Place) -> ModelSyntaxError | None:
    brackets = {"[": "square brackets", "]": "square brackets", "{": "braces", "}": "braces"}
    if place.met in brackets:
        return place.fail(f"{brackets[place.met]} are not part of the language.")
    if place.met == "(" and place.words and _WORD.match(place.words[-1][0]):
        return place.fail(
            f"{place.words[-1][0]}() of a variable is not computed in the model: make the column "
            "in the data and name it here."
        )
    if place.met == ",":
        return place.fail("terms are joined with '+', not with ','.")
    if place.met == "`":
        quoted = re.match(r"`([^`]+)`", place.statement[place.offset :])
        if quoted is None or is_name(quoted[1]):
            return place.fail("names are written without backticks.")
        return place.fail(
            f"names stand without backticks, so {quoted[1]!r} needs another: "
            f"{renaming([quoted[1]])}."
        )
    if place.met and not re.match(r"[\w.\"'()+*/^?:,~<>|=-]", place.met):
        return place.fail(f"the character {place.met!r} is not part of the language.")
    return None


_FINDERS: tuple[Callable[[_Place], ModelSyntaxError | None], ...] = (
    _mplus,
    _odd_header,
    _lme4,
    _bar,
    _odd_operator,
    _nothing_before,
    _second_operator,
    _sign_twice,
    _element,
    _odd_character,
    _missing_plus,
    _unfinished,
)

_PLAIN_WORDS = (
    ({"NAME"}, "a name"),
    ({"NUMBER"}, "a number"),
    ({"PLUS"}, "'+'"),
    ({"STAR"}, "'*'"),
    ({"RELATION"}, "an operator such as '~' or '=~'"),
    ({"COMMA"}, "','"),
    ({"RPAR"}, "')'"),
    ({"_NL"}, "the end of the line"),
)


def _expected(expected: set[str]) -> str:
    """What may stand there, in plain words."""
    plain_words = [plain for words, plain in _PLAIN_WORDS if words & expected]
    if "a name" in plain_words:  # a sign could stand there too, but says nothing
        plain_words = [plain for plain in plain_words if plain != "'+'"]
    if not plain_words:
        return "a formula"
    return " or ".join(filter(None, (", ".join(plain_words[:-1]), plain_words[-1])))
