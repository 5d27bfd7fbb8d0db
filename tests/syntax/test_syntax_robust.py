"""Any text ends in a model or in one of our errors, and soon."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsem.errors import MlsemError, ModelSyntaxError
from mlsem.syntax.nodes import ModelSyntax
from mlsem.syntax.parse import parse

VALID = (
    "level: 1\n  y ~ 1 + a*x1 + start(.5)*x2\n  f =~ NA*y1 + lower(0)*y2 + 1/3*y3\n"
    "  y1 ~~ c*y2\nlevel: within2\n y ~ w:z + -1*z # c\n f2 =~ 0; ab := a*c^2\n a == exp(-c)\n",
    'visual =~ x1 + x2 + x3\ntextual =~ x4 + "a"*x5 + .5?x6\nvisual ~~ 0*textual\nx1 ~ 0\n',
    'y1 + y2 ~ rv("s")*x + sqrt(2)*z\n! note\ny1 ~ 0 + w\n\n b1 := 2 * (b + 1) ; b > 0\n',
)
TOKENS = (
    *("y", "x1", "f", "a", "level", "group", "start", "NA", "c", "rv", "efa", "exp", "Inf", "β"),
    *("0", "1", ".5", "1e9", "1e999", "2x", "..", '"a"', "'", '"', "\\", "`", "%", "∼", "\u200b"),
    *("~", "=~", "~~", ":=", "==", "<", ">", "|", "~*~", "<~", "|~", ":", "=", "<-", "~~~"),
    *("+", "-", "*", "/", "^", "?", ",", "(", ")", "[", "#", "!", ";", "\n", "\r", " ", "\0"),
)
FUZZ = {"derandomize": True, "deadline": None, "database": None}


def outcome(text: str) -> ModelSyntax | MlsemError:
    """The model, or the error; any other exception passes."""
    try:
        return parse(text)
    except MlsemError as error:
        return error


def survives(text: str) -> None:
    """What comes out is ours, and can show itself."""
    found = outcome(text)
    if isinstance(found, ModelSyntax):
        assert found.blocks
        assert repr(found)
        assert hash(found) == hash(found)
    else:
        assert str(found)
        if isinstance(found, ModelSyntaxError) and found.span is not None:
            assert 0 <= found.span.start < found.span.end <= len(text) + 1


@settings(max_examples=600, **FUZZ)
@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_any_text(text: str) -> None:
    survives(text)
    survives("y ~ x\n" + text)


@settings(max_examples=1200, **FUZZ)
@given(st.lists(st.sampled_from(TOKENS), max_size=14))
def test_token_soup(tokens: list[str]) -> None:
    survives("".join(tokens))
    survives(" ".join(tokens))


@settings(max_examples=600, **FUZZ)
@given(st.sampled_from(TOKENS), st.lists(st.sampled_from(TOKENS), max_size=8))
def test_right_hand_sides(first: str, tokens: list[str]) -> None:
    survives(f"y ~ {first}*{''.join(tokens)}")
    survives(f"y ~ x; d := {first} {' '.join(tokens)}")


@settings(max_examples=1200, **FUZZ)
@given(
    st.sampled_from(VALID),
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 3), st.sampled_from(TOKENS)),
        min_size=1,
        max_size=3,
    ),
)
def test_mutated_models(text: str, edits: list[tuple[int, int, str]]) -> None:
    for where, removed, inserted in edits:
        start = where % (len(text) + 1)
        text = text[:start] + inserted + text[start + removed :]
    survives(text)


@pytest.mark.parametrize("text", VALID)
def test_every_beginning_of_a_model(text: str) -> None:
    parse(text)
    for end in range(len(text)):
        survives(text[:end])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y ~ x; d := " + "(" * 10_000 + "a" + ")" * 10_000, "parentheses inside one another"),
        ("y ~ " + "(" * 10_000, "parentheses inside one another"),
        ("y ~ " + "exp(" * 10_000, "parentheses inside one another"),
        ("y ~ x; d := " + "-" * 10_000 + "a", "nests"),
        ("y ~ " + "-" * 10_000 + "1*x", "nests"),
        ("y ~ " + "-" * 10_000 + "x", "joined with"),
        ("y ~ " + "2^" * 10_000 + "2*x", "nests"),
        ("y ~ x; d := " + "a+" * 10_000 + "a", "define parts of it"),
        ("y ~ " + "2*" * 5_000 + "x", "no finite value"),
        ("y ~ " + "a*" * 5_000 + "b*x", "two labels"),
        ("y ~ " + "x:" * 10_000 + "x)", "has no '('"),
        ("y ~ " + "x" * 100_000 + "- y z", "'+' is missing"),
        ("~" * 50_000, "is no operator"),
        ("y ~ " + "9" * 5_000 + "*x", "too large"),
    ],
)
def test_deep_and_long_texts_are_refused(text: str, message: str) -> None:
    begin = time.process_time()
    with pytest.raises(ModelSyntaxError, match=message.replace("(", r"\(").replace("+", r"\+")):
        parse(text)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("term", ["x + ", "1*", "NA*", "a*", "x:"])
def test_a_long_repetition_is_quick(term: str) -> None:
    begin = time.process_time()
    model = parse("y ~ " + term * (100_000 // len(term)) + "x")
    assert len(model.blocks[0].formulas) == 1
    assert sum(map(len, model.remarks)) < 5_000_000
    assert time.process_time() - begin < 4


def test_long_lists_are_no_nesting() -> None:
    text = "y ~ " + " + ".join(f"b{i}*x{i}" for i in range(390))
    assert len(parse(text).blocks[0].formulas) == 390


def test_a_large_model_parses_in_two_seconds() -> None:
    lines: list[str] = []
    for i in range(2_900):
        left, right = divmod(i, 300)
        lines.append(f"v{left} ~~ lab{i}*start(0.5)*v{right + 70}")
    text = "\n".join(lines)
    assert len(text) > 85_000
    parse("y ~ x")
    begin = time.process_time()
    assert len(parse(text).blocks[0].formulas) == 2_900
    assert time.process_time() - begin < 2
