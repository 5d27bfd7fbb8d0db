"""semopy's syntax → lavaan's, without semopy."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsem import MlsemError
from mlsem.errors import OptionValueError, SpecificationError
from mlsem.interop.semopy import from_semopy

# semopy's text → lavaan's, without the rows of residual variances.
EXPECTED = {
    "y ~ x": ["y ~ x"],
    "y ∼ x  # a comment": ["y ~ x"],
    "y ~ a*x + 0.5*z": ["y ~ a*x + 0.5*z"],
    "y ~ -2*x + 1e-3*z": ["y ~ -2*x + 0.001*z"],
    "y ~ a*x\ny ~ x": ["y ~ x"],
    "y1, y2 ~ x": ["y1 ~ x", "y2 ~ x", "y1 ~~ 0*y2"],
    "y1, y2 ~ x\ny1 ~~ y2": ["y1 ~ x", "y2 ~ x", "y1 ~~ y2"],
    "f =~ x1 + x2 + x3": ["f =~ 1*x1 + x2 + x3"],
    "f =~ a*x1 + x2 + x3": ["f =~ NA*a*x1 + 1*x2 + x3"],
    "f =~ x1 + 0.5*x2 + x3": ["f =~ NA*x1 + 0.5*x2 + x3"],
    "f =~ a*x1 + b*x2\nf ~~ 1*f": ["f =~ NA*a*x1 + b*x2", "f ~~ 1*f"],
    "f =~ x1 + x2\ng =~ x3 + x4": ["f =~ 1*x1 + x2", "g =~ 1*x3 + x4", "f ~~ g"],
    "f =~ x1 + x2\ng =~ x3 + x4\nf ~~ 0*g": ["f =~ 1*x1 + x2", "g =~ 1*x3 + x4", "f ~~ 0*g"],
    "DEFINE(latent) f\nx1 ~ 1*f\nx2 ~ f": ["f =~ 0", "x1 ~ 1*f", "x2 ~ f", "x1 ~~ 0*x2"],
    "latent : f\nx1 ~ 1*f": ["f =~ 0", "x1 ~ 1*f"],
    "y ~ x\nFORCE(endo) z": ["y ~ x"],
    "y ~ x\nz ~ 0*z": ["y ~ x"],
    "y ~ a*x\nSTART(0.5) a": ["y ~ start(0.5)*a*x"],
    "start 0.5 : a\ny ~ a*x": ["y ~ start(0.5)*a*x"],
    "y ~ a*x\nBOUND(0, 1) a": ["y ~ lower(0.0)*upper(1.0)*a*x"],
    "y ~ a*x\nbound -inf 1 : a\nSTART(2) a": ["y ~ start(1.0)*upper(1.0)*a*x"],
    "y ~ x\ny ~~ v*y\nBOUND(-1, inf) v": ["y ~ x", "y ~~ lower(-1.0)*v*y"],
    "y ~ a*x + b*z\nCONSTRAINT(a = 2*b)": ["y ~ a*x + b*z", "a == 2*b"],
    "y ~ a*x + b*z\nCONSTRAINT(ln(a) > 1e-3*b**2)": ["y ~ a*x + b*z", "log(a) > 1e-3*b^2"],
    "y ~ a*x + b*z\nconstraint 'a < b'": ["y ~ a*x + b*z", "a < b"],
    "y ~ a*x + b*z\nconstraint a < b :": ["y ~ a*x + b*z", "a < b"],
    "y ~ 1 + x": ["y ~ x", "y ~ 1"],
    "y ~ x\nz ~ y + 0*1": ["y ~ x", "z ~ y", "z ~ 0*1", "y ~ 1"],
    "y ~ x1 + x2\nx1 ~~ x2": [
        "y ~ x1 + x2",
        "x1 ~~ x2",
        "x1 ~~ lower(0)*x1",
        "x2 ~~ lower(0)*x2",
    ],
    "y ~ x\nx ~~ START*x": ["y ~ x"],
}

# Text that cannot be taken over → line, column and words of the error.
REFUSED = {
    "f =~ x1 + x2\nDEFINE(ordinal) x1": (2, 1, "ordinal variables"),
    "y ~ x\nordinal : x": (2, 1, "ordinal variables"),
    "y ~ x\ny ~R~ y": (2, 3, "random effect"),
    "y ~ x\ny ~1~ y": (2, 3, "random effect"),
    "y ~ x\nIS_IMPUTED x": (2, 1, "no command 'IS_IMPUTED'"),
    "y ~ x - z": (1, 5, "not a term"),
    "y ~ x +\n z": (1, 8, "not a term"),
    "y ~ x:z": (1, 5, "not a term"),
    "y ~ NA*x": (1, 5, "'NA' is a label"),
    "y ~ inf*x": (1, 5, "not finite"),
    "y ~ START*x": (1, 5, "START"),
    "1y ~ x": (1, 1, "not a name"),
    "y ON x": (1, 1, "neither a formula nor a command"),
    "y ~ x\nSTART(0.5) _b1": (2, 1, "'_b1' is not a label"),
    "y ~ a*x\nSTART(half) a": (2, 1, "one number"),
    "y ~ a*x\nBOUND(1) a": (2, 1, "two numbers"),
    "y ~ a*x\nCONSTRAINT(a == 1)": (2, 1, "one of =, < and >"),
    "y ~ a*x\nCONSTRAINT(sin(a) = 1)": (2, 1, "function 'sin'"),
    "y ~ a*x\nCONSTRAINT(a = c)": (2, 1, "'c' is not a label"),
    "y ~ x\ny ~~ z": (2, 6, "'z' is in no loading"),
    "y ~ x\nDEFINE(latent) f": (2, 1, "no arrow leaves"),
    "f =~ x1 + x2\nx1 ~ f": (1, 6, "says the same again"),
    "y ~ x\nz ~ x\ny ~~ z\nz ~~ y": (3, 6, "says the same again"),
    "m ~ x\ny ~ m + x\ny ~~ m": (3, 6, "with 'y ~ 0*y' added".lower()),
    "y ~ x1 + x2\nx1 ~~ 0*x2": (2, 7, "'x1 ~~ x1', 'x2 ~~ x2'"),
}


@pytest.mark.parametrize("text", EXPECTED)
def test_text_is_taken_over(text: str) -> None:
    lines = from_semopy(text).splitlines()
    added = {f"{name} ~~ lower(0)*{name}" for name in _names(lines)} - set(EXPECTED[text])
    assert [line for line in lines if line not in added] == EXPECTED[text]


def _names(lines: list[str]) -> set[str]:
    return {line.split(" ")[0] for line in lines}


def test_forced_variable_has_a_variance() -> None:
    assert "z ~~ lower(0)*z" in from_semopy("y ~ x\nFORCE(endo) z").splitlines()


@pytest.mark.parametrize("text", REFUSED)
def test_refusal_names_what_and_where(text: str) -> None:
    line, column, words = REFUSED[text]
    with pytest.raises(SpecificationError) as caught:
        from_semopy(text)
    message = str(caught.value)
    assert message.startswith(f"line {line}, column {column}: ")
    assert words in message.lower() if words.islower() else words in message
    assert "^" in message


@pytest.mark.parametrize("text", ["", "# nothing", "y ~~ x", "FORCE(endo) y"])
def test_nothing_to_take_over(text: str) -> None:
    if text.startswith("FORCE"):
        assert from_semopy(text) == "y ~~ lower(0)*y\n"
    else:
        with pytest.raises(SpecificationError):
            from_semopy(text)


def test_anything_else_is_refused() -> None:
    with pytest.raises(OptionValueError, match=r"a text or a semopy\.Model"):
        from_semopy(3)


WORDS = ["y", "x", "f", "a*x", "1", "0.5*x", "=~", "~", "~~", "+", ",", "\n", " ", ":", "#", "("]
WORDS += ["DEFINE(latent)", "START(1)", "BOUND(0, 1)", "CONSTRAINT(a = 1)", "latent", ")", "∼"]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=14).map("".join)))
def test_any_text_ends_in_a_model_or_our_error(text: str) -> None:
    with contextlib.suppress(MlsemError):
        assert from_semopy(text)
