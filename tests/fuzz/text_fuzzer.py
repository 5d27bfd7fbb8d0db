"""Mutated texts: models, formulas and constraints, each a result or an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mlsem
from mlsem.errors import without_warnings
from tests.fuzz.frames import good
from tests.fuzz.guard import Findings

EXAMPLES = Path(__file__).parents[2] / "examples"
MODELS = (
    *(path.read_text("utf-8") for path in sorted(EXAMPLES.glob("*.lav"))),
    "level: 1\n  y ~ 1 + a*x1 + start(.5)*y2\n  f =~ NA*y + lower(0)*y2 + 1/3*y3\n  y ~~ c*y2\n"
    "level: 2\n y ~ w1\n y ~~ v*y\nab := a*c^2\na == exp(-c)\nv > 0",
    'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1\n y ~~ s',
    'visual =~ x1 + x2 + x3\ntextual =~ x4 + "a"*x5 + .5?x6\nvisual ~~ 0*textual\nx1 ~ 0\n',
    "y ~ x1 + w1\nf =~ y + y2 + y3\nf ~ 0*1 + equal('y~x1')*w1\nd := exp(a) - sqrt(b) / log(2)",
    "level: within\n y ~ x1 + w1:x1 # product\nlevel: between\n y ~ w1; y ~~ 0.5*y",
    "y1 + y2 ~ a*x + sqrt(2)*z\n! note\ny1 ~ 0 + w\n\n b1 := 2 * (a + 1) ; a > 0\na < 5\n",
)
GROUPED = (
    "group: 0\n y ~ a*x1\ngroup: 1\n y ~ b*x1 + w1\nd := a - b\na == 2*b",
    "level: 1\n group: 1\n y ~ x1\n group: 0\n y ~ rv('s')*x1\nlevel: 2\n y ~ c(a, NA)*w1",
    "group: 0\nlevel: 1\n f =~ y + y2 + y3\nlevel: 2\n f =~ y + y2 + y3\ngroup: 1\nlevel: 1\n"
    " y ~~ y2\n y3 ~ x1:w1\nlevel: 2\n y ~~ y2\n y3 ~ 1\ngroup: 0\nlevel: 1\n f ~ x1",
    'f =~ y + c(1, 0.5)*y2 + c("a", NA)*start(c(1, NA))*y3\n'
    'f ~ equal(c("y~~y", "f=~y3.g2"))*x1; y ~~ y',
    "level: 1\n y ~ c(a, a)*x1 + lower(c(0, -1))*w1:x1\nlevel: 2\n y ~ label(c(b, a))*w1; a > 0",
)
FORMULAS = (
    "y ~ x1 + w1 + (1 | id)",
    "y ~ w1*x1 + (x1 | id)",
    "y ~ scale(x1) + C(school) + (0 + x1 | id)",
    "y ~ I(x1**2) + log(abs(x1) + 1) + (x1 || id)",
    "y ~ poly(x1, 2) + factor(school):x1 + (1 | id)",
    "y ~ 0 + x1 + np.where(x1 > 0, 1, 0) + (1 + x1 | id)",
)
CONSTRAINTS = ("a == b; a*b == 0.5", "`y~x1` == 0", "a", "d == 1\n2*a - b/3 == exp(0)")
TOKENS = (
    *("y", "x1", "w1", "f", "a", "b", "id", "level: 1", "level: 2", "start", "NA", "c"),
    *("group", "group: 0", "group: 1", "group: '2'", "c(a, b)", "c(1, NA)", "c(NA, 1, 2)", ".g2"),
    *("rv", "efa", "exp", "Inf", "β", "0", "1", ".5", "1e9", "1e999", "2x", "..", '"a"', "'"),
    *('"', "\\", "`", "%", "∼", "\u200b", "\ud800", "\x1b[31m", "~", "=~", "~~", ":=", "==", "<"),
    *(">", "|", "||", "~*~", "<~", "|~", ":", "=", "<-", "~~~", "+", "-", "*", "/", "^", "**", "?"),
    *(",", "(", ")", "[", "]", "{", "#", "!", ";", "\n", "\r", " ", "\0", "$", "@", "lambda", "__"),
    *("(1 | id)", "np.", "scale(", "poly(", "I(", "C(", "factor(", "9" * 400, "(" * 60, "-" * 60),
    *(".__class__", "__import__('os')", "open('x')", "a := a", "y ~~ y", "y ~ 1", "NaN", "True"),
)


def mutated(texts: tuple[str, ...], rng: np.random.Generator) -> str:
    """A text with one to four edits: tokens put in, pieces cut out, doubled or swapped."""
    text = str(rng.choice(np.array(texts, dtype=object)))
    for _ in range(int(rng.integers(1, 5))):
        start, other = sorted(int(k) for k in rng.integers(0, len(text) + 1, 2))
        end = min(other, start + int(rng.integers(1, 12)))
        piece = text[start:end]
        token = str(rng.choice(np.array(TOKENS, dtype=object)))
        edits: list[str] = [token, "", piece + piece, piece[::-1], token + piece, f"({piece})"]
        text = text[:start] + edits[int(rng.integers(len(edits)))] + text[end:]
    return text


class Texts:
    """Draws texts and hands each to what reads it."""

    def __init__(self) -> None:
        self.frame = good(np.random.default_rng(3))
        model = "level: 1\n y ~ a*x1\nlevel: 2\n y ~ b*w1\nd := a*b"
        with without_warnings():
            self.fit = mlsem.fit(model, self.frame, "id")
        self.readers: dict[str, tuple[tuple[str, ...], Callable[[str], Any], float]] = {
            "check": (MODELS, mlsem.check, 0.60),
            "check, with data": (MODELS, partial(mlsem.check, data=self.frame), 0.12),
            "fit": (MODELS, lambda text: mlsem.fit(text, self.frame, "id", max_iter=5), 0.03),
            "check, with groups": (GROUPED, self._grouped, 0.20),
            "lmm": (FORMULAS, lambda text: mlsem.lmm(text, self.frame, max_iter=5), 0.10),
            "wald_test": (CONSTRAINTS, lambda text: str(self.fit.wald_test(text)), 0.10),
            "simulate": (MODELS, lambda text: mlsem.simulate(text, 4, 3, seed=1), 0.05),
        }

    def _grouped(self, text: str) -> Any:
        frame = self.frame.assign(half=self.frame["school"] % 2)
        equal = ("loadings", "intercepts") if len(text) % 2 else ()
        return mlsem.check(text, frame, group="half", group_equal=equal)

    def run(self, findings: Findings, seed: int) -> None:
        rng = np.random.default_rng([seed, 2])
        shares = np.array([share for _, _, share in self.readers.values()])
        name = str(rng.choice(list(self.readers), p=shares / shares.sum()))
        texts, reader, _ = self.readers[name]
        text = mutated(texts, rng)
        findings.attempt(f"seed {seed}: {name}({text!r})", partial(reader, text))
