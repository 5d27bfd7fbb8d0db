"""The language as a table: a text and what it says.

A formula is shown as `lhs op rhs {modifiers}`, a header as `[label]`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlsem.errors import Span
from mlsem.syntax import expressions
from mlsem.syntax.nodes import Binary, Call, Expression, ModelSyntax, Modifiers, Name, Number
from mlsem.syntax.nodes import Negation as Minus
from mlsem.syntax.parse import parse


def shown(model: ModelSyntax) -> list[str]:
    """The blocks, then the definitions, then the constraints."""
    lines: list[str] = []
    for block in model.blocks:
        if block.level is not None:
            lines.append(f"[{block.level}]")
        for formula in block.formulas:
            right = "0!" if formula.phantom else formula.rhs.name if formula.rhs else ""
            line = f"{formula.lhs.name} {formula.op} {right}".rstrip()
            lines.append(line + modifiers_shown(formula.modifiers))
    lines += [f"{one.name} := {one.source}" for one in model.definitions]
    lines += [f"{one.left_source} {one.op} {one.right_source}" for one in model.constraints]
    return lines


def modifiers_shown(modifiers: Modifiers) -> str:
    said = [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name in ("fixed", "free", "label", "start", "lower", "upper", "slope")
        if (value := getattr(modifiers, name)) is not None and value is not False
    ]
    return " {" + ", ".join(said) + "}" if said else ""


LANGUAGE: dict[str, list[str]] = {
    # the four operators
    "f =~ y1 + y2": ["f =~ y1", "f =~ y2"],
    "y ~ x1 + x2": ["y ~ x1", "y ~ x2"],
    "y1 ~~ y2": ["y1 ~~ y2"],
    "y ~ 1": ["y ~1"],
    "f =~ 0": ["f =~ 0!"],
    # intercepts
    "y ~1": ["y ~1"],
    "y~1+x": ["y ~1", "y ~ x"],
    "y ~ 0*1": ["y ~1 {fixed=0}"],
    "y ~ 0": ["y ~1 {fixed=0}"],
    "y ~ 0 + x": ["y ~1 {fixed=0}", "y ~ x"],
    "y ~ -1 + x": ["y ~1 {fixed=0}", "y ~ x"],
    "y ~ x - 1": ["y ~ x", "y ~1 {fixed=0}"],
    "y ~ 2*1": ["y ~1 {fixed=2}"],
    "y ~ a*1 + x": ["y ~1 {label=a}", "y ~ x"],
    "y ~ NA*1": ["y ~1 {free=True}"],
    "f1 + f2 ~ 0*1": ["f1 ~1 {fixed=0}", "f2 ~1 {fixed=0}"],
    # lists on the left
    "y1 + y2 ~ x + z": ["y1 ~ x", "y1 ~ z", "y2 ~ x", "y2 ~ z"],
    "f1 + f2 =~ y": ["f1 =~ y", "f2 =~ y"],
    "y1 + y2 ~~ y3 + .5*y4": [
        "y1 ~~ y3",
        "y1 ~~ y4 {fixed=0.5}",
        "y2 ~~ y3",
        "y2 ~~ y4 {fixed=0.5}",
    ],
    "a + b ~~ a + b": ["a ~~ a", "a ~~ b", "b ~~ b"],
    # numbers
    "y ~ 2*x": ["y ~ x {fixed=2}"],
    "y ~ 0*x": ["y ~ x {fixed=0}"],
    "y ~ -1*x": ["y ~ x {fixed=-1}"],
    "y ~ - 1*x": ["y ~ x {fixed=-1}"],
    "y ~ x + -1*z": ["y ~ x", "y ~ z {fixed=-1}"],
    "y ~ 1/4*x": ["y ~ x {fixed=0.25}"],
    "y ~ .5*x": ["y ~ x {fixed=0.5}"],
    "y ~ 5.*x": ["y ~ x {fixed=5}"],
    "y ~ 1e-3*x": ["y ~ x {fixed=0.001}"],
    "y ~ 2^3*x": ["y ~ x {fixed=8}"],
    "y ~ -2^2*x": ["y ~ x {fixed=-4}"],
    "y ~ 2^-1*x": ["y ~ x {fixed=0.5}"],
    "y ~ 2^3^2*x": ["y ~ x {fixed=512}"],
    "y ~ (1 + 2)*x": ["y ~ x {fixed=3}"],
    "y ~ 2*3*x": ["y ~ x {fixed=6}"],
    "y ~ sqrt(4)*x": ["y ~ x {fixed=2}"],
    "y ~ exp(0)*abs(-3)*x": ["y ~ x {fixed=3}"],
    "y ~ fixed(2)*x": ["y ~ x {fixed=2}"],
    # free, labels, starts, bounds, slopes
    "f =~ NA*y1": ["f =~ y1 {free=True}"],
    "f =~ fixed(NA)*y1": ["f =~ y1 {free=True}"],
    "y ~ a*x": ["y ~ x {label=a}"],
    'y ~ "a"*x': ["y ~ x {label=a}"],
    "y ~ 'a'*x": ["y ~ x {label=a}"],
    'y ~ label("a")*x': ["y ~ x {label=a}"],
    "y ~ label(a)*x": ["y ~ x {label=a}"],
    'y ~ equal("a")*x': ["y ~ x {label=a}"],
    "y ~ start(.5)*x": ["y ~ x {start=0.5}"],
    "y ~ .5?x": ["y ~ x {start=0.5}"],
    "y ~ -1/2?x": ["y ~ x {start=-0.5}"],
    "y ~ lower(0)*x": ["y ~ x {lower=0}"],
    "y ~ upper(1)*x": ["y ~ x {upper=1}"],
    "y ~ lower(-Inf)*x": ["y ~ x {lower=-inf}"],
    'y ~ rv("s")*x': ["y ~ x {slope=s}"],
    # several of them
    "y ~ start(.5)*a*x": ["y ~ x {label=a, start=0.5}"],
    "y ~ .5?a*x": ["y ~ x {label=a, start=0.5}"],
    "y ~ a*.5?x": ["y ~ x {label=a, start=0.5}"],
    "y ~ .5*a*x": ["y ~ x {fixed=0.5, label=a}"],
    "y ~ NA*a*x": ["y ~ x {free=True, label=a}"],
    "y ~ lower(0)*upper(1)*start(.5)*x": ["y ~ x {start=0.5, lower=0, upper=1}"],
    "y ~ a*x + start(2)*x": ["y ~ x {label=a, start=2}"],
    "y ~ 1 + a*1": ["y ~1 {label=a}"],
    # lists of one element
    "y ~ c(a)*x": ["y ~ x {label=a}"],
    'y ~ c("a")*x': ["y ~ x {label=a}"],
    "y ~ c(-1)*x": ["y ~ x {fixed=-1}"],
    "y ~ c(NA)*x": ["y ~ x {free=True}"],
    "y ~ list(2)*x": ["y ~ x {fixed=2}"],
    "y ~ start(c(2))*x": ["y ~ x {start=2}"],
    # products
    "y ~ w:x": ["y ~ w:x"],
    "y ~ w : x": ["y ~ w:x"],
    "y ~ a*w:x:z + w": ["y ~ w:x:z {label=a}", "y ~ w"],
    "f =~ y1:y2": ["f =~ y1:y2"],
    "y ~~ w:x": ["y ~~ w:x"],
    "y ~ x:x": ["y ~ x:x"],
    # words that mean something elsewhere
    "level ~ group + start + c": ["level ~ group", "level ~ start", "level ~ c"],
    "y ~ start*rv": ["y ~ rv {label=start}"],
    "y ~ level:x1": ["y ~ level:x1"],
    "NA_x ~ NAtion + exp + sqrt": ["NA_x ~ NAtion", "NA_x ~ exp", "NA_x ~ sqrt"],
    "level =~ y\ngroup ~~ level": ["level =~ y", "group ~~ level"],
    "y ~ exp*x; e2 := exp(exp)": ["y ~ x {label=exp}", "e2 := exp(exp)"],
    # names
    "y.1 ~ _x + .z + a.b_c": ["y.1 ~ _x", "y.1 ~ .z", "y.1 ~ a.b_c"],
    "größe ~ β1*身長 + нос": ["größe ~ 身長 {label=β1}", "größe ~ нос"],
    "cafe\u0301 ~ x": ["cafe\u0301 ~ x"],
    # lines, comments, blanks
    "y ~ x # a ~ b\nz ~ y ! c": ["y ~ x", "z ~ y"],
    "y ~ x; z ~ y;": ["y ~ x", "z ~ y"],
    "\r\ny ~ x\r\n\r\nz ~ y\r\n": ["y ~ x", "z ~ y"],
    "\ufeffy\t~\u00a0x": ["y ~ x"],
    "y ~ x +\n# c\n\n z": ["y ~ x", "y ~ z"],
    "y ~ x\n\n ! c\n + z": ["y ~ x", "y ~ z"],
    "y\n ~ x": ["y ~ x"],
    "y ~\n x": ["y ~ x"],
    "f\n=~ y1": ["f =~ y1"],
    "y1\n~~ y2": ["y1 ~~ y2"],
    "y ~ a *\n x\n + b\n * z": ["y ~ x {label=a}", "y ~ z {label=b}"],
    "y ~ w:\n x\n : z": ["y ~ w:x:z"],
    "y ~ + x": ["y ~ x"],
    "ab\n :=\n a*b; y ~ x": ["y ~ x", "ab := a*b"],
    "y ~ c(\n a # one\n)*x": ["y ~ x {label=a}"],
    "y ~ x\n(a + b) == 1": ["y ~ x", "(a+b) == 1"],
    # levels
    "level: 1\ny ~ x\nlevel: 2\ny ~ w": ["[1]", "y ~ x", "[2]", "y ~ w"],
    "Level : within\ny ~ x\nLEVEL: 'two'\ny ~ w": ["[within]", "y ~ x", "[two]", "y ~ w"],
    "level:1;y~x;level:2;y~w;level:1;y~z": ["[1]", "y ~ x", "y ~ z", "[2]", "y ~ w"],
    "level: 1\ny ~ x\nlevel: 2": ["[1]", "y ~ x", "[2]"],
    "level:\n 1\ny ~ x\nlevel: 2": ["[1]", "y ~ x", "[2]"],
    "level: 1\ny ~ a*x\nab := 2*a\nlevel: 2\ny ~ x\na > 0": [
        "[1]",
        "y ~ x {label=a}",
        "[2]",
        "y ~ x",
        "ab := 2*a",
        "a > 0",
    ],
    # calculations
    "y ~ a*x\nab := a * b\n": ["y ~ x {label=a}", "ab := a*b"],
    "y ~ a*x; a == 2; a < 3; 0 < a; a > -1": [
        "y ~ x {label=a}",
        "a == 2",
        "a < 3",
        "0 < a",
        "a > -1",
    ],
    "y ~ x; d := a + # first\n b": ["y ~ x", "d := a+b"],
}


@pytest.mark.parametrize("text", LANGUAGE)
def test_text_says(text: str) -> None:
    model = parse(text)
    assert shown(model) == LANGUAGE[text]
    assert model.remarks == ()


def evaluate(expression: Expression, labels: dict[str, float]) -> float:
    """A plain evaluation, to see how the parts are bound."""
    match expression:
        case Number(value=value):
            return value
        case Name(name=name):
            return labels[name]
        case Minus(operand=operand):
            return -evaluate(operand, labels)
        case Call(function=function, argument=argument):
            return expressions.FUNCTIONS[function](evaluate(argument, labels))
        case Binary(operator=operator, left=left, right=right):
            x, y = evaluate(left, labels), evaluate(right, labels)
            return {"+": x + y, "-": x - y, "*": x * y, "/": x / y, "^": x**y}[operator]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2^2", -4),
        ("(-2)^2", 4),
        ("2^3^2", 512),
        ("2^-1", 0.5),
        ("1 - 2 - 3", -4),
        ("8/4/2", 1),
        ("2*3/4*2", 3),
        ("1 + 2*3", 7),
        ("(1 + 2)*3", 9),
        ("- -2", 2),
        ("a*b + c", 5),
        ("a*-b", -2),
        ("-a^b", -1),
        ("sqrt(abs(-a - c))", 2),
        ("log(exp(c))", 3),
        ("1e3 + .5", 1000.5),
    ],
)
def test_calculations_bind_as_in_r(text: str, value: float) -> None:
    model = parse(f"y ~ x\nd := {text}")
    got = evaluate(model.definitions[0].expression, {"a": 1.0, "b": 2.0, "c": 3.0})
    assert got == pytest.approx(value, rel=1e-15)


def test_spans_are_places_in_the_users_own_text() -> None:
    text = "# a model\r\nlevel: 1\r\n  y ~ a *\r\n # why\r\n x:z\r\nlevel: 2; y ~ w\r\nab := a\r\n"
    model = parse(text)

    def at(span: Span | None) -> str:
        assert span is not None
        return text[span.start : span.end]

    within, between = model.blocks
    (formula,) = within.formulas
    assert (at(within.span), at(between.span)) == ("level: 1", "level: 2")
    assert at(formula.lhs.span) == "y"
    assert formula.rhs is not None
    assert at(formula.rhs.span) == "x:z"
    assert formula.rhs.factors == ("x", "z")
    assert at(formula.modifiers.label_span) == "a"
    assert at(formula.span) == "a *\r\n # why\r\n x:z"
    assert formula.span.position(text) == (3, 7)
    assert at(model.definitions[0].span) == "ab := a"
    assert at(model.definitions[0].expression.span) == "a"
    assert model.text == text


def test_the_same_text_is_parsed_once() -> None:
    assert parse("y ~ cached") is parse("y ~ cached")


def test_label_and_grammar_agree_on_what_a_name_is() -> None:
    root = Path(expressions.__file__).parents[2]
    grammar = (root / "grammar" / "lavaan.lark").read_text(encoding="utf-8")
    found = re.search(r"^NAME: /(.*)/$", grammar, re.MULTILINE)
    assert found is not None
    assert found[1] == expressions.LABEL.pattern


def test_lark_is_imported_by_the_first_parse_only() -> None:
    code = (
        "import sys, mlsem.syntax.parse as p\n"
        "assert 'lark' not in sys.modules\n"
        "p.parse('y ~ x')\n"
        "assert 'lark' in sys.modules\n"
    )
    root = Path(expressions.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
