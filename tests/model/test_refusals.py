"""Models that are refused: with the reason, the place, and what to write."""

from dataclasses import replace

import pytest

from mlsem.errors import SpecificationError
from mlsem.model.defaults import specify
from mlsem.model.options import SEM
from mlsem.syntax.nodes import ModelSyntax
from mlsem.syntax.parse import parse

COLUMNS = "y y1 y2 y3 m z x1 x2 w1 w2".split()
CFA = "f =~ y1 + y2 + y3\n"

# text: (part of the message, what the caret is under)
REFUSED = {
    # names
    "y ~ x1 + x3": ("'x3' is not a column of the data and has no indicators", "x3"),
    "y ~ X1 + qq": (r"'X1' is not a column.*Did you mean 'x1'\? Missing too: 'qq'", "X1"),
    "y ~ x1:qq": ("'qq' is not a column", "x1:qq"),
    CFA + "y ~ F": ("'F' is not a column.*Did you mean 'f'", "F"),
    # products
    CFA + "y ~ f:x1": ("'f' in f:x1 is a latent variable", "f:x1"),
    "f =~ y1 + y2 + x1:x2": ("cannot be an indicator", "x1:x2"),
    "level: 1\ny ~ x1\nlevel: 2\ny ~ w1:x1": ("'x1' is a level-1 variable", "w1:x1"),
    # latent variables
    "f =~ y1 + y2\ny1 ~ f": ("are the same path", "f"),
    "f =~ g + y1\ng =~ f + y2": ("indicators of each other in a circle", "f"),
    "f =~ 0\ny ~ x1": ("no indicators and is in no regression", "0"),
    "level: 1\nf =~ y1 + y2\nlevel: 2\ny1 + y2 ~ f": ("defined at level 1 only.*level 2", "f"),
    "level: 1\ny1 ~ f\nlevel: 2\nf =~ y1 + y2": ("defined at level 2 only.*level 1", "f"),
    # levels
    "level: 1\ny ~ x1\nlevel: 2\n": ("'level: 2' names no variables.*'y ~~ y'", "level: 2"),
    # modifiers
    "f =~ lower(2)*y1 + y2": ("fixed to 1, outside its bounds. Write NA", "lower(2)*y1"),
    "f =~ y1 + start(3)*upper(1)*y2": ("starts at 3, outside", "start(3)*upper(1)*y2"),
    "y ~ start(3)*b*x1\nb < 2": ("starts at 3, outside", "start(3)*b*x1"),
    "y ~~ upper(-1)*y": ("is a variance", "upper(-1)*y"),
    # labels
    "f =~ b*y1 + y2\ny ~ b*x1\nz ~ 0.5*b*x1": ("one is fixed to 1 and another to 0.5", "b"),
    "y ~ b*x1\nb > 2\nb < 1": ("contradict each other: not below 2 and not above 1", "b < 1"),
    "y ~ lower(2)*b*x1\nz ~ upper(1)*b*x1": ("contradict each other", "upper(1)*b*x1"),
    # definitions and constraints
    "y ~ load*x1\nd := 2*lood": ("'lood' is not the label.*Did you mean 'load'", "lood"),
    "y ~ b*x1\nd := 2*x1": ("but a variable. Label its parameter", "x1"),
    "y ~ b*x1\nd := 2*e\ne := b": ("defined only further down", "e"),
    "y ~ b*x1\nb == cc": ("'cc' is not the label", "cc"),
    "f =~ l*y1 + y2\nl == 2": ("holds no free parameter and is not true", "l == 2"),
    "y ~ b*x1\n1 > 2": ("holds no free parameter and is not true", "1 > 2"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text):
    message, place = REFUSED[text]
    with pytest.raises(SpecificationError, match=message) as caught:
        specify(parse(text), SEM, COLUMNS)
    error = caught.value
    assert error.text == text
    assert text[error.span.start : error.span.end] == place
    assert "^" in str(error)


def test_columns_are_optional():
    assert specify(parse("y ~ x3")).observed == ("y", "x3")


# --- syntax that the parser refuses itself, built by hand ---------------------------------------


def with_formula(text, **changes):
    syntax = parse(text)
    block = syntax.blocks[0]
    formula = replace(block.formulas[0], **changes)
    return replace(syntax, blocks=(replace(block, formulas=(formula, *block.formulas[1:])),))


def test_a_variable_does_not_predict_or_measure_itself():
    for text, message in (("y ~ x", "cannot predict itself"), ("f =~ y", "its own indicator")):
        lhs = parse(text).blocks[0].formulas[0].lhs
        with pytest.raises(SpecificationError, match=message):
            specify(with_formula(text, rhs=lhs))


def test_a_parameter_is_written_once():
    syntax = parse("y ~~ z\nm ~~ y")
    block = syntax.blocks[0]
    second = replace(block.formulas[1], lhs=block.formulas[0].rhs)
    with pytest.raises(SpecificationError, match="'z ~~ y' is written twice"):
        specify(replace(syntax, blocks=(replace(block, formulas=(block.formulas[0], second)),)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"free": True}, "both fixed to 0.5 and free"),
        ({"start": 1.0}, "and has a starting value"),
        ({"lower": 2.0, "upper": 1.0}, "lower bound 2 is above the upper bound 1"),
        ({"fixed": float("inf")}, "needs a finite value"),
        ({"lower": 1.0}, "fixed to 0.5, outside its bounds"),
    ],
)
def test_contradictory_modifiers(values, message):
    modifiers = parse("y ~ 0.5*x").blocks[0].formulas[0].modifiers
    with pytest.raises(SpecificationError, match=message):
        specify(with_formula("y ~ 0.5*x", modifiers=replace(modifiers, **values)))


def test_a_name_is_defined_once_and_is_no_label():
    syntax = parse("y ~ b*x\nd := 2*b")
    (definition,) = syntax.definitions
    for definitions, message in (
        ((definition, definition), "defined twice"),
        ((replace(definition, name="b"),), "is the label of a parameter"),
    ):
        with pytest.raises(SpecificationError, match=message):
            specify(replace(syntax, definitions=definitions))


def test_blocks_come_as_one_to_three():
    syntax = parse("level: 1\ny ~ x\nlevel: 2\ny ~ w")
    first, second = syntax.blocks
    for blocks in ((first,), (first, second, second, second)):
        with pytest.raises(SpecificationError, match="two or three of them"):
            specify(replace(syntax, blocks=blocks))
    with pytest.raises(SpecificationError, match="names no variables"):
        specify(ModelSyntax("", (replace(first, formulas=()),)))


def test_a_file_read_with_the_wrong_separator():
    with pytest.raises(SpecificationError, match=r"The only column is 'id;y;x1': .* separator"):
        specify(parse("y ~ x1"), SEM, ["id;y;x1"])
