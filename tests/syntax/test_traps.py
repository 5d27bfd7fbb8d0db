"""What users write by mistake: each is told where it is and what to write instead."""

import pytest

from mlsem.errors import MlsemError, ModelSyntaxError, OptionValueError
from mlsem.syntax.checks import MAX_VARIABLES
from mlsem.syntax.parse import parse

# text → (line, column, what the message must contain)
TRAPS: dict[str, tuple[int, int, str]] = {
    # headers
    "level: 1 y ~ x": (1, 10, "begin a new line (or write ';') after 'level: 1'"),
    "level: within y ~ x\nlevel: 2": (1, 15, "stands alone"),
    "y ~ x\nlevel: 1 + 2": (2, 10, "stands alone"),
    "level:": (1, 1, "needs a label: 'level: 1'"),
    "level: x ~ y\nlevel: 2": (1, 1, "on a line of its own"),
    "level = 1\ny ~ x": (1, 7, "with a colon: 'level: 1'"),
    "level 1\ny ~ x": (1, 7, "with a colon: 'level: 1'"),
    "lvel: 1\ny ~ x": (1, 1, "Did you mean 'level'?"),
    "level: 1\ny ~ x": (1, 1, "only one level, '1'"),
    "level: between\ny ~ x": (1, 1, "Add 'level: 1'"),
    "level: 1\ny ~ x\nlevel: 2\nlevel: 3\nlevel: 4": (5, 1, "four levels ('1', '2', '3', '4')"),
    "level: 3\ny ~ x\nlevel: 2\ny ~~ y\nlevel: 1\ny ~ x": (1, 1, "from the rows up"),
    "y ~ x\nlevel: 1\ny ~ x\nlevel: 2": (1, 1, "before the first 'level:' header"),
    "level: 1\nlevel: 2": (1, 1, "no formula"),
    # blocks of groups
    "y ~ x\ngroup: a\ny ~ z": (1, 1, "stands before the first 'group:' header"),
    "group: a\nlevel: 1\ny ~ x\ngroup: b\ny ~ x\nlevel: 2\ny ~ w": (
        5,
        1,
        "below 'group: b' and no 'level:' header",
    ),
    "group: a\nlevel: 1\ny ~ x\nlevel: 2\ny ~ w\ngroup: b\nlevel: 1\ny ~ x": (
        6,
        1,
        "group 'b' has no block 'level: 2'",
    ),
    "level: 1\ngroup: a\ny ~ x\ngroup: b\ny ~ x\nlevel: 2\ngroup: a\ny ~ w": (
        4,
        1,
        "group 'b' has no block 'level: 2'",
    ),
    "level: 1\n y ~ x\ngroup: a\ny ~ x\nlevel: 2\ny ~ w": (
        4,
        5,
        "'y ~ x' is already said in line 2 for all groups",
    ),
    "group: a\ny ~ x\ngroup: b": (3, 1, "group 'b' has no formulas"),
    "group: a\nlevel: 1\n y ~ x": (2, 1, "only one level, '1'"),
    "group: a\nlevel: 1\ngroup: b\nlevel: 2\nlevel: 3\nlevel: 4": (6, 1, "four levels"),
    "group: a y ~ x": (1, 10, "a 'group:' header stands alone"),
    "groupe: a\ny ~ x": (1, 1, "'groupe' is no header: blocks begin with 'level: 1' or 'group: a'"),
    # elements of groups
    "y ~ c(a, b)*c(1, 2, 3)*x": (1, 13, "c(…) with 2 and 3 elements"),
    "y ~ c(a, b)*c(d, b)*x": (1, 13, "one term has two labels, 'a' and 'd'"),
    "y ~ c(a, b)*d*x": (1, 13, "one term has two labels, 'a' and 'd'"),
    "y ~ c(1, NA)*NA*x": (1, 14, "both free (NA) and fixed to 1"),
    "y ~ start(1, 2)*x": (1, 5, "for several groups write one element for each: start(c(…))"),
    "y ~ start(c(1, a))*x": (1, 16, "start() takes a number, not 'a'"),
    "y ~ c(a, c(b, d))*x": (1, 5, "c(…) stands in another one"),
    "y ~ c(a, TRUE)*x": (1, 10, "'TRUE' is a reserved word"),
    "y ~ label(c())*x": (1, 11, "c() is empty"),
    "y ~ c(a b)*x": (1, 9, "a ',' is missing between 'a' and 'b'"),
    "y ~ c(a; b)*x": (1, 10, "a ',' is missing between 'a' and 'b'"),
    "y ~ c(, b)*x": (1, 7, "an element is missing here: write NA"),
    "y ~ start(c(1, ))*x": (1, 16, "an element is missing here: write NA"),
    "group: north-east\ny ~ x": (1, 17, "stands in quotes: 'group: \"north-east\"'"),
    "GROUPING IS g (1=m 2=f);\nMODEL: f BY y1;": (1, 1, 'group="g"'),
    "MODEL m: f BY y1 y2;": (1, 1, "the whole model of one group stands below 'group: m'"),
    # refused by name
    "u | t1 + t2": (1, 3, "'|' (thresholds of ordered variables) is not supported"),
    "u ~*~ 1*u": (1, 3, "'~*~' (scaling of ordered variables) is not supported"),
    "f <~ y1 + y2": (1, 3, "'<~' (composites) is not supported"),
    "y |~ z": (1, 3, "'|~' (instrumental variables) is not supported"),
    'efa("a")*f1 + efa("a")*f2 =~ y1': (1, 1, "efa() (exploratory factors) is not supported"),
    "y ~ x %in% z": (1, 7, "'%' is not supported"),
    # numbers in the wrong place
    "y ~ 2": (1, 5, "write 'y ~ 2*1' for an intercept fixed to 2"),
    "y ~ x + 0.5": (1, 9, "'0.5*x' for a path fixed to it"),
    "y ~~ 1": (1, 6, "write 'y ~~ 1*y' for a variance fixed to 1"),
    "f =~ 1": (1, 6, "write 'f =~ 1*y'"),
    "f =~ 0\nf =~ y": (1, 6, "has no indicators, but it has some"),
    "y ~ x1 * 0.5": (1, 5, "write '0.5*x1'"),
    "y ~ x*NA": (1, 7, "in the wrong order"),
    'y ~ x*"a"': (1, 7, "in the wrong order"),
    "y ~ x*start(1)": (1, 7, "start(…) stands before a variable"),
    "y ~ 2x": (1, 5, "a name cannot begin with a digit: '2x' (write '2*x'"),
    "y ~ 1a*x": (1, 5, "a name cannot begin with a digit: '1a'"),
    "y ~ 0 + 1": (1, 9, "both an intercept and none"),
    "1 ~ x": (1, 1, "the left-hand side of '~' is the name of a variable"),
    # unfinished
    "y ~": (1, 3, "nothing follows '~'"),
    "y ~ # later\n": (1, 3, "nothing follows '~'"),
    "f =~": (1, 3, "write the indicators"),
    "a ==": (1, 3, "nothing follows '=='"),
    "y ~ x +": (1, 7, "nothing follows '+'"),
    "y ~\nz ~ x": (1, 3, "the line ends with '~', so the statement goes on"),
    "y ~ x + # more\nf =~ w": (1, 7, "second operator, '=~', in line 2"),
    "y ~ x +\nz1 + z2 ~ w": (1, 7, "the line ends with '+', so the statement goes on and meets"),
    "y ~ x + a*\n1*z ~ w": (1, 10, "the line ends with '*', so the statement goes on and meets"),
    "y ~ x +\nd := a*b": (1, 7, "second operator, ':=', in line 2"),
    "y ~ a*x +; a == 1": (1, 9, "second operator, '==', in line 1"),
    "y ~ x\n+ z ~ w": (2, 1, "this line begins with '+', so it goes on with the statement above"),
    "y ~ x + # c\n + z": (2, 2, "the line above ends with '+' and this one begins with '+'"),
    "y ~ x + # the end": (1, 7, "nothing follows '+'"),
    "level: 1\ny ~ x +\nlevel: 2\ny ~ w": (2, 7, "but 'level: 2' in line 3 begins a block"),
    "level: 1\ny ~ x +#c\n\n#d\nlevel: between": (2, 7, "'level: between' in line 5"),
    "level: 1\nf =~\nlevel: 2\ny~w": (2, 3, "the line ends with '=~', so the statement goes on"),
    "level: 1\ny ~~\nLevel : '2'\ny~w": (2, 3, "the line ends with '~~'"),
    "level: 1\ny ~ a*\nlevel: b ;y~w": (2, 6, "the line ends with '*'"),
    "level: 1\ny ~ x:\nlevel: 2": (2, 6, "the line ends with ':'"),
    "y ~ x -\ngroup: 1": (1, 7, "'group: 1' in line 2 begins a block"),
    "level: 1\ny ~ x +;level: 2;y ~ w": (2, 7, "'level: 2' in line 2 begins a block"),
    "y ~ x +\nlevel 2\ny ~ w": (1, 7, "'level 2' in line 2 begins a block"),
    "~ x": (1, 1, "nothing stands before '~'"),
    "y": (1, 1, "'y' has no operator"),
    "y ~ x1\n  x2": (2, 3, "begin this line with '+'"),
    "y x": (1, 3, "no operator between 'y' and 'x'"),
    "y ~ x1 x2": (1, 8, "a '+' is missing between 'x1' and 'x2'"),
    "y ~ a*x1 b*x2": (1, 10, "a '+' is missing between 'x1' and 'b'"),
    "y ~ x + + z": (1, 9, "'+' cannot stand here; expected a name or a number"),
    "y ~ x, z": (1, 6, "joined with '+', not with ','"),
    "y ~ x - z": (1, 9, "terms are joined with '+'"),
    "y ~ -x": (1, 5, "terms are joined with '+'"),
    "y ~ x ~ z": (1, 7, "a second operator, '~', after '~'"),
    "0 < a < 1": (1, 7, "two comparisons in one statement"),
    # parentheses and quotes
    "y ~ start(1*x\nz ~ x": (1, 10, "this '(' is never closed"),
    "y ~ x)": (1, 6, "this ')' has no '(' before it"),
    "y ~ 'a*x": (1, 5, "this quote is not closed"),
    "y ~ x[1]": (1, 6, "square brackets are not part of the language"),
    "y ~ `x`": (1, 5, "without backticks"),
    "y ~ 'x'": (1, 5, "without quotes"),
    "'y' ~ x": (1, 1, "without quotes"),
    "y ~ a*(x1 + x2)": (1, 7, "'a*x1 + a*x2'"),
    "y ~ (x)": (1, 5, "without parentheses"),
    # operators of other languages
    "y = x": (1, 3, "'=' is no operator: write '=~' for a latent variable"),
    "y <- x": (1, 3, "'<-' is no operator: write 'y ~ x'"),
    "x -> y": (1, 3, "'->' is no operator"),
    "x <-> y": (1, 3, "no operator"),
    "y ~~~ x": (1, 3, "'~~~' is no operator"),
    "f ~= y": (1, 3, "write '=~' for a latent variable"),
    "a <= 1": (1, 3, "write '<'"),
    "a >= 1": (1, 3, "write '>'"),
    "y ~ a*x; a === 1": (1, 12, "write '==' for a constraint"),
    "y ~ a*x; a != 1": (1, 10, "there is no operator '!='"),
    "y ~ x & z": (1, 7, "'&' is no operator"),
    "y ~ x $ z": (1, 7, "'$' is not part of the language"),
    # functions of variables
    "y ~ x^2": (1, 5, "make the column in the data; a square may be written 'x:x'"),
    "y ~ I(x^2)": (1, 5, "I() of a variable is not computed in the model"),
    "y ~ poly(x, 2)": (1, 5, "poly() of a variable is not computed in the model"),
    "y ~ log(x)": (1, 5, "it can be used on labels"),
    "log(y) ~ x": (1, 1, "log() of a variable is not computed in the model"),
    "y ~ x:I(z)": (1, 8, "I() of a variable is not computed in the model"),
    "y ~ x/z": (1, 5, "variables cannot be divided"),
    "y ~ x + (1 | id)": (1, 12, "the language of lme4"),
    "y ~ x + (1 + x || id)": (1, 16, "the language of lme4"),
    "w:x ~ z": (1, 1, "make a column 'w_x' in the data"),
    # the same twice, or on both sides
    "y ~ x\ny ~ x": (2, 5, "'y ~ x' is already said in line 1"),
    "y ~ x +\n z\n\ny ~ 2*x": (4, 5, "'y ~ x' is already said in line 1"),
    "y ~~ x\nx ~~ y": (2, 6, "is already said in line 1"),
    "y ~ 1\ny ~ 0": (2, 5, "'y ~ 1' is already said in line 1"),
    "y ~ w:x\ny ~ x:w": (2, 5, "is already said in line 1"),
    "level: 1\ny ~ x\nlevel: 2\ny ~ x\nlevel: 1\ny ~ x": (6, 5, "already said in line 2"),
    "y ~ y": (1, 5, "'y' cannot be regressed on itself"),
    "y ~ x:y": (1, 5, "'y' cannot be regressed on itself"),
    "f =~ f": (1, 6, "'f' cannot measure itself"),
    # labels
    'y ~ "1a"*x': (1, 5, "'1a' cannot be a label"),
    "y ~ label('a b')*x": (1, 11, "'a b' cannot be a label"),
    "y ~ TRUE*x": (1, 5, "'TRUE' is a reserved word"),
    "y ~ x; NA := 1": (1, 8, "'NA' is a reserved word"),
    "y ~ a*b*x": (1, 7, "one term has two labels, 'a' and 'b'"),
    "y ~ a*x + b*x": (1, 11, "one term has two labels, 'a' and 'b'"),
    "y ~ 1*x + 2*x": (1, 11, "two fixed values, 1.0 and 2.0"),
    "y ~ 0*x + 2*x": (1, 11, "two fixed values, 0.0 and 2.0"),
    "y ~ NA*1*x": (1, 8, "both free (NA) and fixed to 1"),
    "y ~ a/2*x": (1, 5, "not a calculation with labels"),
    "y ~ -a*x": (1, 5, "not a calculation with labels"),
    "y ~ w:z*x": (1, 5, "a product of variables cannot stand before '*'"),
    "a*y ~ x": (1, 1, "on the right-hand side"),
    # modifiers
    'y ~ equal("y x")*z + x': (1, 11, "equal() takes a label or the name of a parameter"),
    'y ~ start("a")*x': (1, 11, "start() takes a number, not 'a'"),
    "y ~ start(2*a)*x": (1, 11, "not a calculation with names"),
    "y ~ label(1)*x": (1, 11, "label() takes a name"),
    "y ~ strat(1)*x": (1, 5, "Did you mean 'start'?"),
    "y ~ prior(1)*x": (1, 5, "prior() is not supported"),
    "y ~ c()*x": (1, 5, "c() is empty"),
    "y ~ a?x": (1, 5, "before '?' stands a starting value"),
    # calculations
    "y ~ x; d := foo(a)": (1, 13, "unknown function 'foo'"),
    "y ~ x; d := exp(a, b)": (1, 13, "exp() takes one argument, not 2"),
    "y ~ x; d := a:b": (1, 13, "write '*' to multiply parameters"),
    "y ~ x; d := 'a'": (1, 13, "labels without quotes"),
    "y ~ x; d := 2?a": (1, 13, "'?' gives a starting value"),
    "y ~ x; a + b := 2": (1, 8, "':=' gives a name to a calculation"),
    "y ~ a*x; a := 2": (1, 10, "'a' is already the label of a parameter"),
    "y ~ x; d := 1; d := 2": (1, 16, "'d' is defined twice"),
    "y ~ 1e999*x": (1, 5, "too large for a number"),
    "y ~ 9^9^9^9*x": (1, 7, "no finite value"),
    "y ~ 1e300*1e300*x": (1, 5, "no finite value"),
    "y ~ 1/0*x": (1, 5, "divides by zero"),
    "y ~ 0^-1*x": (1, 5, "no finite value"),
    "y ~ (1/0)*x": (1, 6, "divides by zero"),
    "y ~ log(-1)*x": (1, 5, "no finite value"),
    "y ~ x; d := a + log(0)": (1, 17, "no finite value"),
    "y ~ x; d := a/0": (1, 13, "divides by zero"),
    # pasted from a PDF
    "y ∼ x": (1, 3, "'∼' (U+223C TILDE OPERATOR) has no meaning here: type '~'"),
    "y ~ x\nz ~ –1*x": (2, 5, "U+2013 EN DASH) has no meaning here: type '-'"),
    "y ~ −1*x": (1, 5, "U+2212 MINUS SIGN) has no meaning here: type '-'"),
    "y ~ “a”*x": (1, 5, "U+201C LEFT DOUBLE QUOTATION MARK) has no meaning here: type '\"'"),
    "y ~ ‘a’*x": (1, 5, 'type "\'"'),
    "y ~ a×x": (1, 6, "type '*'"),
    "y ~ x\u200b1": (1, 6, "it is invisible: delete it"),
    "y ~ x\0": (1, 6, "is not part of the language"),
    "y ~ \ud800": (1, 5, "is not part of the language"),
    "# only a comment\n": (1, 1, "only comments"),
}


@pytest.mark.parametrize("text", TRAPS)
def test_trap_is_named_where_it_is(text: str) -> None:
    line, column, message = TRAPS[text]
    with pytest.raises(ModelSyntaxError) as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.span is not None
    assert caught.value.span.position(text) == (line, column)
    assert str(caught.value).startswith(f"line {line}, column {column}: ")
    assert caught.value.text == text


def test_a_column_called_level_may_be_in_a_product() -> None:
    assert [f.rhs and f.rhs.name for f in parse("y ~ x +\nlevel:w").blocks[0].formulas] == [
        "x",
        "level:w",
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("y ~ x1*x2 + x1", 1, 5, "did you mean x1:x2, their product?"),
        ("level: 1\ny ~ x\nlevel: 2\ny ~ w*z + w", 4, 5, "did you mean w:z"),
        ('y ~ x + "x"*1', 1, 9, "'x' is a label here, but also the name of a variable"),
        ("level: 2\ny ~ w\nlevel: 1\ny ~ x", 1, 1, "in the other order?"),
        ("y ~ x +\n x", 2, 2, "'x' stands twice in this formula"),
    ],
)
def test_doubtful_text_is_remarked(text: str, line: int, column: int, message: str) -> None:
    (remark,) = parse(text).remarks
    assert remark.startswith(f"line {line}, column {column}: ")
    assert message in remark
    assert "^" in remark.splitlines()[-1]


def test_label_that_a_calculation_uses_is_meant_as_a_label() -> None:
    assert parse("m ~ a*x\ny ~ b*m + a\nab := a*b").remarks == ()


def test_remarks_stand_in_the_order_of_the_text() -> None:
    remarks = parse("y ~ x1*x2 + x1\nz ~ y + y\nq ~ x2*x1").remarks
    assert [remark.split(",")[0] for remark in remarks] == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize("text", ["", " \n\t\r\n"])
def test_empty_text(text: str) -> None:
    with pytest.raises(ModelSyntaxError, match="the model is empty"):
        parse(text)


@pytest.mark.parametrize("value", [None, 1, b"y ~ x", ["y ~ x"], {"y": "x"}])
def test_text_must_be_a_string(value: object) -> None:
    with pytest.raises(OptionValueError, match=f"model is a {type(value).__name__}"):
        parse(value)  # pyright: ignore[reportArgumentType]


def test_too_many_variables() -> None:
    most = " + ".join(f"x{i}" for i in range(MAX_VARIABLES - 1))
    assert len(parse(f"y ~ {most}").blocks[0].formulas) == MAX_VARIABLES - 1
    with pytest.raises(ModelSyntaxError, match=f"has {MAX_VARIABLES + 1} variables"):
        parse(f"y ~ {most} + z")


def test_errors_show_the_line_with_a_caret() -> None:
    with pytest.raises(MlsemError) as caught:
        parse("level: 1\n  y ~ x1 x2\nlevel: 2")
    assert str(caught.value) == (
        "line 2, column 10: a '+' is missing between 'x1' and 'x2'.\n"
        "   2 |   y ~ x1 x2\n"
        "                ^^"
    )


def test_lists_that_multiply_are_refused_before_they_are_written_out():
    names = " + ".join(f"x{i}" for i in range(5000))
    with pytest.raises(ModelSyntaxError, match="5000 × 5000 paths"):
        parse(f"{names} ~ {names}")
