"""Small mixed models whose slopes vary little or not at all, by `lmm` and by lme4.

python -m benchmarks.slopes            3,000 fits: 1,500 data sets by ML and by REML
python -m benchmarks.slopes --count 60 --no-r
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import mlsem
from benchmarks.common import has_r, machine, r_script, save, seconds, table

COUNT = 1500  # data sets, each fitted by ML and by REML
SAME = 1e-5  # log-likelihoods that differ by less are the same maximum
FORMULAS = ("y ~ x + (x | g)", "y ~ x + (x || g)", "y ~ x + z + (x + z | g)", "y ~ f * x + (x | g)")
HEAD = ("fits", "mlsem ended", "lme4 ended", "only lme4", "only mlsem", "singular")
HIGHER = ("fits that both ended", "mlsem higher", "lme4 higher", "largest", "lowest")
TIMES = ("seconds", "median", "99 %", "largest")
ABOUT = (
    "Slopes that vary little or not at all, in 6 to 40 clusters of 4 to 20 rows: the maximum is "
    "on the boundary in many. Each data set is fitted by ML and by REML. lme4 with its own "
    "settings; it ended where its optimiser says so. A log-likelihood is higher if it is by more "
    f"than {SAME:g}; processor seconds from formula and data frame to standard errors."
)


@dataclass(frozen=True)
class Found:
    """What one program found of one data set."""

    number: int
    reml: bool
    ended: bool
    loglik: float
    singular: bool
    seconds: float
    error: str = ""


def draw(number: int) -> tuple[str, pd.DataFrame]:
    """Formula and data of this number."""
    rng = np.random.default_rng([20261128, number])
    formula = FORMULAS[rng.choice(len(FORMULAS), p=(0.5, 0.15, 0.2, 0.15))]
    clusters, rows = int(rng.choice((6, 8, 12, 20, 40))), int(rng.choice((4, 6, 10, 20)))
    sizes = np.full(clusters, rows) if rng.random() < 0.5 else rng.integers(3, 2 * rows, clusters)
    ids = np.repeat(np.arange(clusters), sizes)
    x, z, f = _covariate(rng, ids), rng.normal(size=len(ids)), rng.integers(0, 2, len(ids))
    intercept, slope = rng.choice((0.0, 0.2, 1.0)), rng.choice((0.0, 0.0, 0.05, 0.3))
    u = rng.normal(size=(3, clusters))
    u[1] = u[0] if rng.random() < 0.25 else u[1]  # a correlation of one
    u *= np.sqrt([[intercept], [slope], [slope]])
    e = rng.normal(size=len(ids))
    y = 1.0 + 0.5 * x + 0.2 * z + u[0, ids] + u[1, ids] * x + u[2, ids] * z + e
    return formula, pd.DataFrame({"g": ids, "x": x, "z": z, "f": f, "y": y})


def _covariate(rng: np.random.Generator, ids: np.ndarray) -> np.ndarray:
    kind = rng.choice(("normal", "uniform", "binary", "time", "far"))
    if kind == "time":
        return np.concatenate([np.arange(n) for n in np.bincount(ids)]).astype(float)
    if kind == "binary":
        return rng.integers(0, 2, len(ids)).astype(float)
    x = rng.uniform(size=len(ids)) if kind == "uniform" else rng.normal(size=len(ids))
    return x + 5.0 if kind == "far" else x


def ours(number: int, *, reml: bool) -> Found:
    formula, data = draw(number)
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = mlsem.lmm(formula, data, REML=reml)
    except Exception as error:  # whatever it is, it is no fit
        spent = time.process_time() - start
        return Found(number, reml, False, np.nan, False, spent, f"{type(error).__name__}: {error}")
    spent = time.process_time() - start
    return Found(number, reml, fit.converged, fit.loglik, fit.singular, spent)


def theirs(count: int) -> list[Found]:
    drawn = [draw(number) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path, formulas = Path(folder, "data.csv"), Path(folder, "formulas.csv")
        frames = [data.assign(number=number) for number, (_, data) in enumerate(drawn)]
        pd.concat(frames).to_csv(path, index=False)
        pd.DataFrame({"formula": [formula for formula, _ in drawn]}).to_csv(formulas, index=False)
        lines = r_script("lme4_slopes.R", str(path), str(formulas))
    return [
        Found(int(n), reml == "1", ended == "1", float(ll), singular == "1", float(spent))
        for n, reml, ended, ll, singular, spent in lines
    ]


def _count(flags: Iterable[object]) -> int:
    return sum(bool(flag) for flag in flags)


def _times(name: str, found: list[Found]) -> list[str]:
    spent = [each.seconds for each in found]
    return [name, *(seconds(float(np.quantile(spent, q))) for q in (0.5, 0.99, 1.0))]


def report(mine: list[Found], other: list[Found]) -> str:
    """The tables."""
    if not other:
        head = ("fits", "mlsem ended", "singular")
        row = [len(mine), _count(a.ended for a in mine), _count(a.singular for a in mine)]
        return "\n\n".join((table(head, [row]), table(TIMES, [_times("mlsem", mine)])))
    parts: list[list[object]] = []
    apart: list[list[object]] = []
    kinds: dict[str, Callable[[Found], bool]] = {
        "ML": lambda a: not a.reml,
        "REML": lambda a: a.reml,
    }
    for name, belongs in kinds.items():
        pairs = [(a, b) for a, b in zip(mine, other, strict=True) if belongs(a)]
        parts.append([
            f"{len(pairs)} by {name}", _count(a.ended for a, _ in pairs),
            _count(b.ended for _, b in pairs),
            _count(b.ended and not a.ended for a, b in pairs),
            _count(a.ended and not b.ended for a, b in pairs),
            _count(a.singular for a, _ in pairs),
        ])  # fmt: skip
        gaps = np.array([a.loglik - b.loglik for a, b in pairs if a.ended and b.ended])
        apart.append([
            f"{len(gaps)} by {name}", _count(gaps > SAME), _count(gaps < -SAME),
            f"{gaps.max():+.2g}", f"{gaps.min():+.2g}",
        ])  # fmt: skip
    times = [_times("mlsem", mine), _times("lme4", other)]
    return "\n\n".join((table(HEAD, parts), table(HIGHER, apart), table(TIMES, times)))


def columns(found: list[Found]) -> dict[str, list[object]]:
    """By what was found, each in the order of the fits: data sets, ML before REML."""
    return {
        "ended": [int(each.ended) for each in found],
        "singular": [int(each.singular) for each in found],
        "loglik": [round(each.loglik, 7) for each in found],
        "seconds": [round(each.seconds, 4) for each in found],
        "errors": [f"{each.number}: {each.error}" for each in found if each.error],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Slopes that hardly vary, against lme4.")
    parser.add_argument("--count", type=int, default=COUNT, help="data sets")
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/slopes.md and .json")
    chosen = parser.parse_args()
    ours(0, reml=True)  # the first call loads the parser
    mine = [ours(number, reml=reml) for number in range(chosen.count) for reml in (False, True)]
    other = [] if chosen.no_r or not has_r("lme4") else theirs(chosen.count)
    text = "\n\n".join(("# Slopes that hardly vary", machine() + ".", ABOUT, report(mine, other)))
    print(text)
    if chosen.save:
        save("slopes", text, {"machine": machine(), "mlsem": columns(mine), "lme4": columns(other)})


if __name__ == "__main__":
    main()
