"""Tables of the pages "Coming from ...", made of the tables that the library and the tests have.

    python -m tests.porting.pages

writes them anew, between `<!-- NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from mlsem.other_programs.functions import COUNTERPARTS
from mlsem.porting.mplus import translate
from tests.porting.calls import CALLS, Call

FOLDER = Path(__file__).parents[2] / "docs" / "coming_from"
_MARKED = re.compile(r"(<!-- (?P<name>[\w :]+) -->\n).*?(<!-- end -->)", re.DOTALL)

# Statements of Mplus' MODEL, which the page shows beside their translation.
STATEMENTS = (
    "%WITHIN%",
    "f BY y1-y3;",
    "f BY y1* y2 y3; f@1;",
    "y ON x1 x2;",
    "y ON x1 (a);",
    "y1 y2 ON x1 (a b);",
    "y1 WITH y2@0;",
    "[y]; [f@0];",
    "y*0.5;",
    "s | y ON x1;",
    "i s | y1@0 y2@1 y3@2;",
    "f BY y1 y2 (1)\ny3 (2);",
    "y ON x1 (a); MODEL CONSTRAINT: NEW(d); d = a**2; a > 0;",
)


_LIKE_CODE = re.compile(
    r"(?:fit|mlsem|mixed|pandas)\.[\w.]*\w(?:\([^()]*\))?|\w+=(?:\"[^\"]*\"|\[[^\]]*\]|\{[^}]*\}|\w+)?|"
    r"\"[^\"]*\"|(?<!\w)'[^']+'(?!\w)"
)


def _code(text: str) -> str:
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}".replace("|", "\\|")


def _sentence(note: str) -> str:
    """With what is to be typed as code."""
    if "`" in note:
        return note.replace("|", "\\|")
    return _LIKE_CODE.sub(lambda match: _code(match[0].strip("'")), note)


def _rows(head: str, rows: Iterable[Iterable[str]]) -> str:
    lines = [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows]
    return "\n".join([f"| {head} |", "|---" * (head.count("|") + 1) + "|", *lines]) + "\n"


def calls(listed: Iterable[Call]) -> str:
    """The call there, the call here, what differs."""
    rows = ((_code(each.there), _code(each.here), _sentence(each.note)) for each in listed)
    return _rows("R | mlsem | what differs", rows)


def names(*programs: str) -> str:
    """Names that are answered, of these programs."""
    rows = (
        (
            ", ".join(map(_code, each.names)),
            _code(each.here) if each.here else "–",
            _sentence(each.note),
        )
        for each in COUNTERPARTS
        if each.program in programs
    )
    return _rows("there | here | what differs", rows)


def statements() -> str:
    """Mplus on the left."""
    return _rows("Mplus | mlsem", ((_lines(each), _written(each)) for each in STATEMENTS))


def _lines(text: str) -> str:
    return "<br>".join(map(_code, text.splitlines()))


def _written(statement: str) -> str:
    two_levels = (
        "ANALYSIS: TYPE = TWOLEVEL RANDOM; " if "|" in statement or "%" in statement else ""
    )
    body = statement if "%" not in statement else f"{statement} y ON x1;"
    before = "VARIABLE: NAMES = y y1-y3 x1 x2; WITHIN = y x1 y1-y3;"
    code = translate(f"{two_levels}{before} MODEL: {body}").code
    lines = [line.strip() for line in code.partition('"""\n')[2].partition('"""')[0].splitlines()]
    if "%" in statement:
        lines = lines[:1]
    shown = [line for line in lines if not line.startswith("level:") or "%" in statement]
    return _lines("\n".join(shown))


TABLES: dict[str, Callable[[], str]] = {
    "calls lavaan": lambda: calls(CALLS["lavaan"]),
    "calls lme4": lambda: calls(CALLS["lme4"]),
    "calls clubSandwich": lambda: calls(CALLS["clubSandwich"]),
    "calls others": lambda: calls(CALLS["others"]),
    "names lavaan": lambda: names("lavaan", "R", "semTools", "semPlot"),
    "names surveys": lambda: names(
        "lavaan.mi", "mitml and mice", "MLMusingR", "WeMix", "EdSurvey", "survey"
    ),
    "names lme4": lambda: names(
        "lme4", "nlme", "glmmTMB", "lmerTest", "pbkrtest", "performance", "insight", "parameters",
        "effectsize", "datawizard", "emmeans", "marginaleffects", "interactions", "broom",
        "modelsummary", "haven",
    ),
    "names clubSandwich": lambda: names(
        "clubSandwich", "sandwich", "lmtest", "fwildclusterboot", "pyfixest", "plm", "panelr",
        "Stata",
    ),
    "names GEE": lambda: names("geepack", "geesmv"),
    "names plans": lambda: names("PowerUpR", "WebPower", "clusterPower", "simr", "pwr"),
    "names semopy": lambda: names("semopy", "statsmodels", "Python"),
    "names Mplus": lambda: names("Mplus"),
    "statements Mplus": statements,
}  # fmt: skip


def renewed(text: str) -> str:
    """A page with its tables as they are now."""
    return _MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}{match[3]}", text)


def marked() -> list[Path]:
    """The pages that have such tables."""
    return [page for page in sorted(FOLDER.glob("*.md")) if _MARKED.search(page.read_text("utf-8"))]


if __name__ == "__main__":
    for page in marked():
        page.write_text(renewed(page.read_text("utf-8")), "utf-8")
