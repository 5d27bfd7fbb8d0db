"""Formulas of mixed models on public data: mlsem.lmm beside lme4.

python -m benchmarks.formulas [--save]
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.common import has_r, machine, r_script, save, table
from mlsem.errors import MlsemError

CLOSE = 1e-4
"""Difference of log-likelihoods up to which they agree; of fixed effects, in standard errors, a
hundred times as much."""


@dataclass(frozen=True)
class Source:
    """A public data set, and which of its columns play which part in a formula."""

    package: str
    name: str
    y: str
    group: str
    x: str = ""
    f: str = ""
    h: str = ""


SOURCES = (
    Source("lme4", "sleepstudy", "Reaction", "Subject", x="Days"),
    Source("lme4", "Dyestuff", "Yield", "Batch"),
    Source("lme4", "Dyestuff2", "Yield", "Batch"),
    Source("lme4", "Pastes", "strength", "batch", f="cask"),
    Source("lme4", "Penicillin", "diameter", "plate", f="sample"),
    Source("lme4", "cake", "angle", "replicate", x="temp", f="recipe", h="temperature"),
    Source("lme4", "cbpp", "rate", "herd", x="size", f="period"),
    Source("lme4", "InstEval", "y", "s", x="dept", f="lectage", h="service"),
    Source("lme4", "VerbAgg", "r", "id", x="Anger", f="btype", h="situ"),
    Source("lme4", "grouseticks", "TICKS", "BROOD", x="HEIGHT", f="YEAR"),
    Source("lme4", "Arabidopsis", "total.fruits", "gen", x="nutrient", f="amd", h="status"),
    Source("nlme", "Machines", "score", "Worker", f="Machine"),
    Source("nlme", "Orthodont", "distance", "Subject", x="age", f="Sex"),
    Source("nlme", "Oxboys", "height", "Subject", x="age"),
    Source("nlme", "BodyWeight", "weight", "Rat", x="Time", f="Diet"),
    Source("nlme", "Oats", "yield", "Block", x="nitro", f="Variety"),
    Source("nlme", "Rail", "travel", "Rail"),
    Source("nlme", "ergoStool", "effort", "Subject", f="Type"),
    Source("nlme", "Pixel", "pixel", "Dog", x="day", f="Side"),
    Source("nlme", "Alfalfa", "Yield", "Block", f="Variety", h="Date"),
    Source("nlme", "PBG", "deltaBP", "Rabbit", x="dose", f="Treatment"),
    Source("nlme", "Milk", "protein", "Cow", x="Time", f="Diet"),
    Source("nlme", "MathAchieve", "MathAch", "School", x="SES", f="Minority", h="Sex"),
    Source("nlme", "Dialyzer", "rate", "Subject", x="pressure", f="QB"),
    Source("nlme", "RatPupWeight", "weight", "Litter", x="Lsize", f="sex", h="Treatment"),
    Source("datasets", "ChickWeight", "weight", "Chick", x="Time", f="Diet"),
    Source("datasets", "CO2", "uptake", "Plant", x="conc", f="Type", h="Treatment"),
    Source("datasets", "Loblolly", "height", "Seed", x="age"),
    Source("datasets", "mtcars", "mpg", "cyl", x="wt", f="gear", h="am"),
)

OF_NONE = ("{y} ~ 1 + (1 | {g})", "log({y}) ~ 1 + (1 | {g})")
OF_X = (
    "{y} ~ {x} + (1 | {g})",
    "{y} ~ {x} + ({x} | {g})",
    "{y} ~ {x} + ({x} || {g})",
    "{y} ~ 1 + {x} + I({x}^2) + (1 | {g})",
    "{y} ~ poly({x}, 2) + (1 | {g})",
    "{y} ~ scale({x}) + (1 + scale({x}) | {g})",
    "{y} ~ I(({x} - mean({x})) / 1e1) + (1 | {g})",
    "{y} ~ ns({x}, df = 3) + (1 | {g})",
    "{y} ~ factor({x} > median({x})) + (1 | {g})",
    "{y} ~ {x} + pmax({x} - mean({x}), 0) + I(2 * {x}) + (1 | {g})",
)
OF_F = (
    "{y} ~ {f} + (1 | {g})",
    "{y} ~ 0 + factor({f}) + (1 | {g})",
    "{y} ~ C(factor({f}), contr.sum) + (1 | {g})",
    "{y} ~ factor({f}) + (0 + factor({f}) | {g})",
    "{y} ~ {f} + as.integer({f} == {f}) + (1 | {g})",
)
OF_BOTH = (
    "{y} ~ {x}*{f} + (1 | {g})",
    "{y} ~ {f}/{x} + (1 | {g})",
    "{y} ~ {f}:{x} + ({x} | {g})",
    "{y} ~ factor({f})*scale({x}) + (1 | {g})",
    "{y} ~ ({x} + I({x}^2))*factor({f}) + (1 | {g})",
)
OF_ALL = (
    "{y} ~ factor({f})*factor({h}) + (1 | {g})",
    "{y} ~ factor({f}):factor({h}) + (1 | {g})",
    "{y} ~ (factor({f}) + factor({h}) + {x})^2 + (1 | {g})",
)
ALONE = (  # of more than two levels, and the crossed designs of lme4's manual
    ("lme4", "Pastes", "strength ~ 1 + (1 | batch/cask)"),
    ("lme4", "Pastes", "strength ~ 1 + (1 | sample) + (1 | batch)"),
    ("lme4", "Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    ("nlme", "Oats", "yield ~ nitro + (1 | Block/Variety)"),
    ("nlme", "Machines", "score ~ Machine + (1 | Worker) + (1 | Worker:Machine)"),
    ("nlme", "Machines", "score ~ Machine + (Machine | Worker)"),
    ("lme4", "sleepstudy", "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"),
    ("lme4", "sleepstudy", "Reaction ~ factor(Days) + (1 | Subject)"),
    ("lme4", "sleepstudy", "Reaction ~ bs(Days, df = 5) + (1 | Subject)"),
    ("lme4", "sleepstudy", "Reaction ~ sin(2*pi*Days/7) + cos(2*pi*Days/7) + (1 | Subject)"),
    ("lme4", "sleepstudy", "Reaction ~ cut(Days, c(-1, 2, 5, 9)) + (1 | Subject)"),
    ("lme4", "sleepstudy", "Reaction ~ I(Days >= 2 & Days < 8) + (1 | Subject)"),
)
HEAD = ("", "formulas")


def formulas() -> list[tuple[str, str, str]]:
    """Package, data set and formula."""
    found: list[tuple[str, str, str]] = []
    for source in SOURCES:
        patterns: list[str] = [*OF_NONE]
        patterns += list(OF_X) if source.x else []
        patterns += list(OF_F) if source.f else []
        patterns += list(OF_BOTH) if source.x and source.f else []
        patterns += list(OF_ALL) if source.x and source.h else []
        names = {"y": source.y, "g": source.group, "x": source.x, "f": source.f, "h": source.h}
        found += [(source.package, source.name, each.format(**names)) for each in patterns]
    return [*found, *ALONE]


def compared(line: list[str], formula: str, data: pd.DataFrame) -> dict[str, Any]:
    """What became of one formula: a verdict, and why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = mlsem.lmm(formula, data)
        except MlsemError as error:
            why = str(error).splitlines()[0].removeprefix("line 1, ")
            told = line[2] if line[1] == "error" else ""
            return {"verdict": "both refuse" if told else "refused", "why": why, "lme4": told}
    if line[1] == "error":
        return {"verdict": "lme4 refuses", "why": line[2]}
    higher = fit.loglik - float(line[1])
    names = line[4].split(";")
    record: dict[str, Any] = {"higher": higher, "rows": fit.n_obs, "left out": int(line[3])}
    record["converged"] = bool(fit.converged)
    if fit.n_obs != int(line[2]) or not set(names) <= set(fit.params.index):
        return record | {"verdict": "different", "why": "rows or names"}
    estimates, errors = (np.array(each.split(";"), dtype=float) for each in line[5:7])
    away = float(np.abs((np.asarray(fit.params[names]) - estimates) / errors).max())
    record["away"] = away
    if abs(higher) < CLOSE and away < 100 * CLOSE:
        return record | {"verdict": "equal"}
    return record | {"verdict": "higher" if higher > CLOSE else "different"}


def measure() -> list[dict[str, Any]]:
    wanted = formulas()
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join("\t".join(each) for each in wanted)
        Path(folder, "formulas.txt").write_text(text + "\n", encoding="utf-8")
        lines = r_script("lme4_formulas.R", folder)
        frames = {name: pd.read_csv(Path(folder, f"{name}.csv")) for _, name, _ in wanted}
    return [
        {"data": name, "formula": formula} | compared(line, formula, frames[name])
        for line, (_, name, formula) in zip(lines, wanted, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Formulas beside lme4.")
    parser.add_argument("--save", action="store_true", help="write results/formulas.md and .json")
    chosen = parser.parse_args()
    if not has_r("lme4", "nlme"):
        print("R with lme4 and nlme is needed.")
        return
    records = measure()
    counts = Counter(each["verdict"] for each in records)
    dropping = sum(each.get("left out", 0) > 0 for each in records)
    rest = [each for each in records if each["verdict"] != "equal"]
    parts = [
        "# Formulas of mixed models on public data, beside lme4",
        machine() + ".",
        f"{len(records)} formulas by REML. *Equal*: rows, names and log-likelihood (to {CLOSE}) "
        "of the better of two lme4 fits (bobyqa and Nelder-Mead, tight). *Higher*: the "
        f"log-likelihood here is the higher one. In {dropping} of them fixed effects are left out "
        "as linear combinations of others.",
        table(HEAD, counts.most_common()),
        table(
            ("data", "formula", "verdict", "why"),
            (
                (
                    each["data"],
                    f"`{each['formula']}`".replace("|", "\\|"),
                    each["verdict"],
                    each.get("why", f"{each.get('higher', 0.0):+.2e}").replace("|", "\\|"),
                )
                for each in rest
            ),
        ),
    ]
    print("\n\n".join(parts))
    if chosen.save:
        save("formulas", "\n\n".join(parts), {"machine": machine(), "formulas": records})


if __name__ == "__main__":
    main()
