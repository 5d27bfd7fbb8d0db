"""Random two-level models with data: `draw(number)` is always the same for the same number."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.random import Generator

SEED = 20260106
Array = np.ndarray


@dataclass(frozen=True)
class Drawn:
    """A model with its data.

    Attributes
    ----------
    number : int
    model : str
    data : DataFrame
        Clusters are numbered in column `id`.
    fixed_x : bool
        False where an exogenous variable is split, so that its moments are parameters.
    tags : dict
        What was drawn: structure within and between, cluster sizes, between variance.
    """

    number: int
    model: str
    data: pd.DataFrame
    fixed_x: bool
    tags: dict[str, object] = field(default_factory=dict)


def draw(number: int) -> Drawn:
    """The model and data set of this number."""
    rng = np.random.default_rng([SEED, number])
    ys, within_only = _outcomes(rng)
    shared = [y for y in ys if y not in within_only]
    within, between = _structure(rng, ys), _structure(rng, shared, level2=True)
    room = 8 - len(ys)
    xs = [f"x{k + 1}" for k in range(min(room, rng.choice(3, p=(0.5, 0.3, 0.2))))]
    ws = [f"w{k + 1}" for k in range(min(room - len(xs), rng.choice(3, p=(0.4, 0.4, 0.2))))]
    zs = ["z"] if room > len(xs) + len(ws) and rng.random() < 0.35 else []
    sizes, size_kind = _sizes(rng)
    share, share_kind = _between_share(rng, len(ys))
    lines1 = _level(rng, ys, within, "w", xs, [])
    lines2 = _level(rng, shared, between, "b", ws, zs)
    equal = _equalities(rng, lines1, lines2, ys, shared, within, between)
    moments = [_with_covariates(lines1, ys, xs), _with_covariates(lines2, shared, ws)]
    blocks = {1: lines1 + moments[0], 2: lines2 + moments[1]}
    model = "\n".join(
        line
        for level, lines in blocks.items()
        for line in (f"level: {level}", *map("  {}".format, lines))
    )
    split_exogenous = "path" in (within, between) or bool(moments[1])
    tags = {
        "within": within, "between": between, "sizes": size_kind, "between variance": share_kind,
        "equal": equal, "clusters": len(sizes), "rows": int(sizes.sum()),
        "variables": len(ys) + len(xs) + len(ws) + len(zs), "level-2 outcome": bool(zs),
    }  # fmt: skip
    data = _data(rng, sizes, share, ys, xs, ws, zs, within_only)
    return Drawn(number, model + "\n", data, not split_exogenous, tags)


def _outcomes(rng: Generator) -> tuple[list[str], list[str]]:
    ys = [f"y{k + 1}" for k in range(rng.integers(1, 7))]
    return ys, ys[-1:] if len(ys) > 2 and rng.random() < 0.15 else []


def _structure(rng: Generator, ys: list[str], level2: bool = False) -> str:
    kinds = ["cov"]
    if len(ys) > 1:
        kinds.append("path")
    if len(ys) > 2:
        kinds += ["factor", "factor"]
    if len(ys) > 5:
        kinds.append("two factors")
    if level2:
        kinds.append("variances")
    return str(rng.choice(kinds))


def _sizes(rng: Generator) -> tuple[Array, str]:
    clusters = int(rng.integers(20, 121))
    kind = str(rng.choice(["2 to 5", "1 to 8", "skewed", "4 each"]))
    if kind == "2 to 5":
        return rng.integers(2, 6, clusters), kind
    if kind == "1 to 8":
        return rng.integers(1, 9, clusters), kind
    if kind == "skewed":
        return np.minimum(rng.geometric(0.2, clusters), 40) + 1, kind
    return np.full(clusters, 4), kind


def _between_share(rng: Generator, count: int) -> tuple[Array, str]:
    """Between variance of each outcome in units of the within variance."""
    share = rng.uniform(0.1, 0.6, count)
    kinds, chances = ["ordinary", "one near 0", "all near 0", "all 0"], (0.45, 0.3, 0.15, 0.1)
    kind = str(rng.choice(kinds, p=chances))
    if kind == "one near 0":
        share[rng.integers(count)] = rng.choice([0.0, 0.002, 0.02])
    elif kind == "all near 0":
        share[:] = rng.choice([0.002, 0.02])
    elif kind == "all 0":
        share[:] = 0.0
    return share, kind


def _level(
    rng: Generator, ys: list[str], kind: str, suffix: str, covariates: list[str], zs: list[str]
) -> list[str]:
    """The formulas of one level; covariates act on the factors, or on some outcomes."""
    lines, targets = [], list(ys)
    if kind == "factor":
        lines, targets = [f"f{suffix} =~ {' + '.join(ys)}"], [f"f{suffix}"]
    elif kind == "two factors":
        lines = [f"f{suffix} =~ {' + '.join(ys[:3])}", f"g{suffix} =~ {' + '.join(ys[3:])}"]
        targets = [f"f{suffix}", f"g{suffix}"]
    elif kind == "path":
        for k in range(1, len(ys)):
            causes = [y for y in ys[:k] if y == ys[k - 1] or rng.random() < 0.5]
            lines.append(f"{ys[k]} ~ {' + '.join(causes)}")
        targets = ys[1:]
    elif kind == "cov":
        lines = [f"{y} ~~ {' + '.join(ys[k:])}" for k, y in enumerate(ys)]
    else:
        lines = [f"{y} ~~ {y}" for y in ys]
    for name in covariates:
        chosen = [t for t in targets if rng.random() < 0.6] or targets[:1]
        lines += [f"{target} ~ {name}" for target in chosen]
    for z in zs:
        causes = [str(rng.choice(targets))] + [w for w in covariates if rng.random() < 0.5]
        lines.append(f"{z} ~ {' + '.join(causes)}")
    return lines


def _with_covariates(lines: list[str], ys: list[str], covariates: list[str]) -> list[str]:
    """Covariances of the level's covariates with split variables that are exogenous in it, and
    among each other: mlsem adds them by itself, lavaan does not always."""
    paths = [line.split(" ~ ") for line in lines if " ~ " in line]
    outcomes = {lhs for lhs, _ in paths}
    causes = {term for _, rhs in paths for term in rhs.split(" + ")}
    exogenous = [y for y in ys if y in causes and y not in outcomes]
    if not exogenous or not covariates:
        return []
    pairs = [f"{a} ~~ {b}" for k, a in enumerate(covariates) for b in covariates[k + 1 :]]
    return [f"{y} ~~ {' + '.join(covariates)}" for y in exogenous] + pairs


def _equalities(
    rng: Generator,
    lines1: list[str],
    lines2: list[str],
    ys: list[str],
    shared: list[str],
    within: str,
    between: str,
) -> str:
    """Now and then a label shared by two parameters; changes the formulas."""
    if rng.random() > 0.2:
        return "none"
    if within == between == "factor" and ys == shared:
        terms = [ys[0], *(f"l{k}*{y}" for k, y in enumerate(ys[1:], 2))]
        lines1[0], lines2[0] = (f"{f} =~ {' + '.join(terms)}" for f in ("fw", "fb"))
        return "loadings across levels"
    if within == "factor":
        lines1 += [f"{ys[0]} ~~ v*{ys[0]}", f"{ys[1]} ~~ v*{ys[1]}"]
        return "residual variances"
    return "none"


def _data(
    rng: Generator,
    sizes: Array,
    share: Array,
    ys: list[str],
    xs: list[str],
    ws: list[str],
    zs: list[str],
    within_only: list[str],
) -> pd.DataFrame:
    """A factor and unique parts at each level; covariates act on the factors."""
    clusters, ids = len(sizes), np.repeat(np.arange(1, len(sizes) + 1), sizes)
    rows, count = len(ids), len(ys)
    x, w = rng.normal(size=(rows, len(xs))), rng.normal(size=(clusters, len(ws)))
    signs = rng.choice([1.0, 1.0, -1.0], size=count)
    fw = x @ rng.uniform(-0.6, 0.6, len(xs)) + rng.normal(size=rows)
    fb = w @ rng.uniform(-0.6, 0.6, len(ws)) + rng.normal(size=clusters)
    lw, lb = signs * rng.uniform(0.4, 1.2, count), signs * rng.uniform(0.4, 1.2, count)
    within = fw[:, None] * lw + rng.normal(size=(rows, count)) * rng.uniform(0.6, 1.2, count)
    between = fb[:, None] * lb + rng.normal(size=(clusters, count)) * rng.uniform(0.3, 0.8, count)
    between *= np.sqrt(share) * np.array([y not in within_only for y in ys])
    means, scale = rng.normal(0, 2, count), np.exp(rng.normal(0, 0.5, count))
    y = means + scale * (within + between[ids - 1])
    columns = {"id": ids, **dict(zip(ys, y.T, strict=True)), **dict(zip(xs, x.T, strict=True))}
    columns |= dict(zip(ws, w[ids - 1].T, strict=True))
    for z in zs:
        columns[z] = (0.5 * fb + rng.normal(0, 0.8, clusters) + 1.0)[ids - 1]
    return pd.DataFrame(columns)
