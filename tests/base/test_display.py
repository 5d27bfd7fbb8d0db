"""Text of others in messages and tables: no terminal obeys it, it is short, the caret is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.base.display import cell, display_width, printable, sentences, shortened
from mlsem.cli.main import main
from mlsem.errors import DataError, MlsemError, ModelSyntaxError, SpecificationWarning, warn
from mlsem.syntax.parse import parse

ODD = "\x1b[31m\x07\x00\x08\x9b\x7f\u202e\u2066\u200b\u2028\u2029\ufeff\U000e0041\r\t"
HUGE = 10_000


def obeyed(text: str) -> set[str]:
    """What is left in a printed text that a terminal obeys or hides."""
    return {c for c in text if not c.isprintable() and c not in "\n\xa0\u3000"}


# --- escapes, widths, cuts ----------------------------------------------------------------------


def test_what_is_obeyed_or_hidden_is_escaped_and_only_that() -> None:
    assert printable("naïve 数 e\u0301 \xa0|") == "naïve 数 e\u0301 \xa0|"
    shown = printable(ODD + "\ud800\n")
    assert not obeyed(shown)
    assert "\n" not in shown
    assert shown.startswith(r"\x1b[31m\x07\x00\x08\x9b\x7f\u202e")
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("数x", 3), ("e\u0301", 1), ("각", 2), ("\u1100\u1161", 2)]
)
def test_widths_are_those_of_a_terminal(text: str, width: int) -> None:
    assert display_width(text) == width


@pytest.mark.parametrize(
    "text", ["x" * 500, "数" * 500, "e\u0301" * 500, "\x1b" * 500, "\u0301" * 500]
)
def test_cuts_keep_both_ends_and_the_width(text: str) -> None:
    shown = cell(f"first{text}last", 40)
    assert shown.startswith("first")
    assert shown.endswith("last")
    assert "…" in shown
    assert display_width(shown) <= 40
    assert len(shown) <= 40
    assert shortened("x" * 40, 40) == "x" * 40


def test_messages_cut_what_they_quote_and_keep_their_words() -> None:
    name = "two words " * HUGE
    assert sentences(f"no column {name!r}: it isn't in data.").endswith("': it isn't in data.")
    assert sentences(f"no column {name!r}: take it out.").startswith("no column 'two words")
    plain = "the model's columns aren't 'a' or 'b': " + "what to do is said at length, " * 20
    assert sentences(plain) == plain
    for text in (name, "x" * HUGE, "'\\" * HUGE, "\"'" * HUGE, "\x1b" * HUGE, "' \"" * HUGE):
        assert len(sentences(text)) <= 1600


def test_errors_and_warnings_are_escaped_wherever_they_are_raised() -> None:
    assert str(DataError(f"a{ODD}")) == f"a{printable(ODD)}"
    assert not obeyed(str(ModelSyntaxError(f"a{ODD}")))
    with pytest.warns(SpecificationWarning) as caught:
        warn(f"a{ODD}", SpecificationWarning)
    assert str(caught[0].message) == f"a{printable(ODD)}"


# --- excerpts -----------------------------------------------------------------------------------


def said(text: str) -> str:
    with pytest.raises(ModelSyntaxError) as caught:
        parse(text)
    return str(caught.value)


def marked(message: str) -> str:
    """What stands above the carets."""
    line, carets = message.split("\n")[-2:]
    begin, end = display_width(carets.rstrip("^")), display_width(carets)
    ends = np.cumsum([display_width(c) for c in line])
    return "".join(c for c, at in zip(line, ends, strict=True) if begin < at <= end)


FILLING = ["x", "x\t", "数", "e\u0301", "\U0001f600 数\t", "\u200b", "\x1b[1m", "\xa0"]


@pytest.mark.parametrize("filling", FILLING)
@pytest.mark.parametrize("before", [0, 1, 30, 200, HUGE])
@pytest.mark.parametrize("after", [0, 30, HUGE])
def test_the_caret_stands_under_its_character(filling: str, before: int, after: int) -> None:
    line = f"{filling * before}§{filling * after}"
    message = str(ModelSyntaxError("odd.", f"y ~ x\n{line}\nz ~ x", _span(line, "§")))
    assert marked(message) == "§"
    shown = message.split("\n")[1].removeprefix("   2 | ")
    assert display_width(shown) <= 82
    assert not obeyed(message)
    assert shown.startswith("…") == (before > 1) or before == 30
    assert shown.endswith("…") == (after > 0) or after == 30


def _span(line: str, what: str) -> mlsem.errors.Span:
    return mlsem.errors.Span(6 + line.index(what), 6 + line.index(what) + len(what))


def test_a_long_span_is_cut_behind_its_beginning() -> None:
    line = "ab = " + "数" * HUGE
    message = str(ModelSyntaxError("odd.", f"y ~ x\n{line}", _span(line, "数" * HUGE)))
    assert message.split("\n")[1].endswith("ab = " + "数" * 30 + "…")
    assert message.split("\n")[2].strip() == "^" * 61


PARTS = {
    "name": "n" * HUGE,
    "sum": " + ".join(f"x{k}" for k in range(150)),
    "wide": "数" * HUGE,
    "tabs": "\t" * HUGE,
    "combining": "e\u0301" * HUGE,
    "escapes": "\x1b" * HUGE,
    "lines": "\u2028" * HUGE,
}
FORMS = [
    "y ~ {} ?",
    "{0} ~ {0}",
    "? {}",
    "y ~ x\n{}",
    "{} == 2",
    "level: {}\ny ~ x",
    "y ~ 'a {}'*x",
    'y ~ equal("{}")*x',
    "y ~ {}(x)",
    "y ~ `{}`",
    "y {} x",
    "f BY {};",
    "y ~ (1 | {})",
    "a := {}\na := 1",
    "y ~ {0}*x\n{0} := 2",
    "/home/{}.csv",
]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("form", FORMS)
def test_no_message_of_a_huge_text_is_huge(form: str, part: str) -> None:
    text = form.format(PARTS[part])
    data = pd.DataFrame({"y": [1.0, 2.0], "x": [0.0, 1.0]})
    messages = [_complaint(parse, text), _complaint(mlsem.lmm, text, data)]
    if messages[0]:
        messages.append(_complaint(mlsem.fit, text, data))
    assert any(messages)
    assert max(map(len, messages)) <= 2_000
    assert not obeyed("".join(messages))


def _complaint(call: Callable[..., object], *arguments: object) -> str:
    try:
        call(*arguments)
    except MlsemError as error:
        return str(error)
    return ""


# --- results ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd_data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(30), 8)
    x, effects = rng.normal(size=240), rng.normal(size=(2, 30))
    y = 0.5 * x + effects[0][cluster] + 0.5 * effects[1][cluster] * x + rng.normal(size=240)
    odd = {"y" + ODD: y, "x" + ODD: x, "y": y, "x": x, "w": rng.normal(size=30)[cluster]}
    ids = [f"c{k}{ODD}" for k in cluster]
    return pd.DataFrame(odd).assign(**{"g" + ODD: ids, "f": np.tile(["a", f"b{ODD}"], 120)})


def _in_backticks(name: str) -> str:
    return f"`{name}`"


@pytest.mark.filterwarnings("ignore::mlsem.errors.MlsemWarning")
def test_results_print_nothing_that_is_obeyed(odd_data: pd.DataFrame) -> None:
    odd_data = odd_data.rename(columns=lambda name: name.replace("\r", ""))
    odd = ODD.replace("\r", "")
    y, x, g = (_in_backticks(name + odd) for name in "yxg")
    full = mlsem.lmm(f"{y} ~ {x} + f + ({x} | {g})", odd_data)
    simple = mlsem.lmm(f"{y} ~ {x} + f + (1 | {g})", odd_data)
    model = f'level: "in{odd}"\ny ~ x\nlevel: "out"\ny ~ w'
    fit = mlsem.fit(model, odd_data, cluster="g" + odd, se="CR2")
    found = [full, full.summary(level=0.9), mlsem.lr_test(simple, full), full.icc()]
    found += [full.r_squared(), full.cluster_diagnostics(), full.compare_se(), fit, fit.summary()]
    found += [fit.cluster_diagnostics(), fit.bootstrap("parametric", draws=99, seed=1)]
    for each in found:
        for text in (str(each), repr(each), getattr(each, "_repr_html_", str)()):
            assert not obeyed(text), type(each)
    assert printable(odd) in str(full.summary())
    assert printable(odd) in str(full.icc())
    assert f"x{odd}" in full.params.index  # the user's frames keep the names
    widths = {len(line) for line in str(full.summary()).splitlines() if line.endswith("P(>|t|)")}
    assert len(widths) == 1


def test_a_test_of_constraints_is_aligned_by_columns() -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(40, 3)), columns=["y", "成績", "xx"])
    text = str(mlsem.fit("y ~ a*成績 + b*xx", data).wald_test(["a == 0", "a + b == 2*a"]))
    lines = [line for line in text.splitlines() if "estimate of" in line]
    assert len({display_width(line.partition("estimate")[0]) for line in lines}) == 1


# --- the command --------------------------------------------------------------------------------


def test_the_command_prints_nothing_that_is_obeyed(
    odd_data: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = ODD.replace("\r", "").replace("\x00", "")
    model, table = tmp_path / "m\x1b[2J.txt", tmp_path / "d\x9b.csv"
    data = odd_data.set_axis([*"YXyxw", "g" + odd, "f"], axis=1)
    data["g" + odd] = np.repeat([f"c{k}{odd}" for k in range(30)], 8)
    data.to_csv(table, index=False)
    model.write_text(f'level: "in{odd}"\ny ~ x\nlevel: "out"\ny ~ w\n', "utf-8")
    arguments = ["fit", str(model), str(table), "--cluster", "g" + odd]
    assert main(arguments) == 0
    assert main([*arguments, "--json", "--level", "0.9"]) == 0
    assert main(["check", str(model), str(table)]) == 0
    assert main(["fit", str(model) + "\x1b", str(table)]) == 1
    assert main([*arguments[:3], "--cluster", "no" + odd]) == 1
    with pytest.raises(SystemExit):
        main(["fit", str(model), str(table), "more\x1b[2J"])
    printed = capsys.readouterr()
    assert not obeyed(printed.out)
    assert not obeyed(printed.err)


def test_json_says_the_same_with_escapes() -> None:
    from mlsem.cli.as_json import _printable

    text = json.dumps({"name": ODD + "é"}, ensure_ascii=False)
    assert not obeyed(_printable(text))
    assert "é" in _printable(text)
    assert json.loads(_printable(text)) == {"name": ODD + "é"}
