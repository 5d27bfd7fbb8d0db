"""Do differences between groups, and tests of invariance, hold with few clusters? A simulation
study.

Two groups of 15 or 30 clusters each, 5 to 25 rows a cluster: four indicators of a factor at each
level, a covariate at each level. The groups have loadings and intercepts in common, and differ in
factor means between clusters, in paths and in variances. Normal data, and elliptical ones, whose
deviations are multiplied by a random number of the cluster, √(3 / χ²₅).

Intervals at 95 % of differences between the groups: loadings (of the configural model), paths and
the mean of the between factor (of the scalar model); model-based and MLR with the normal quantile,
CR2 with t. Tests of the metric against the configural, and of the scalar against the metric model.

    python examples/studies/groups_coverage.py --replications 500 --jobs 2 --out groups_coverage

writes the batches to the folder, coverage.csv, tests.csv and tables.md beside them; an interrupted
study goes on. Needs the extra "simulation".
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

import mlsem

SEED = 20261205
CLUSTERS = (15, 30)
BATCH = 50
ITEMS = ("y1", "y2", "y3", "y4")
LOADINGS = np.array([1.0, 0.9, 0.8, 0.7])
INTERCEPTS = np.array([0.0, 0.2, 0.4, 0.6])
MEANS, WITHIN, BETWEEN = (0.0, 0.4), (0.3, 0.5), (0.3, 0.5)  # of each group: κ, paths
FACTORS = ((1.0, 0.5), (1.4, 0.8))  # variances within and between of each group
RESTS = ((0.5, 0.2), (0.7, 0.3))
MODEL = """
level: 1
  fw =~ y1 + y2 + y3 + y4
  fw ~ x
level: 2
  fb =~ y1 + y2 + y3 + y4
  fb ~ w
"""
METRIC = "metric, mean free"  # the metric model once more, in the parameters of the scalar one
EQUAL: dict[str, dict[str, Any]] = {
    "configural": {},
    "metric": {"group_equal": "loadings"},
    METRIC: {
        "group_equal": ["loadings", "intercepts"],
        "group_partial": [f"{item}~1" for item in ITEMS[1:]],
    },
    "scalar": {"group_equal": ["loadings", "intercepts"]},
}
METHODS = {"model-based": "standard", "MLR": "MLR", "CR2, t": "CR2"}
DIFFERENCES = {  # what is called so: the model, parameters of the second group, the true difference
    "within loadings": ("configural", [f"fw=~{item}" for item in ITEMS[1:]], 0.0),
    "between loadings": ("configural", [f"fb=~{item}.l2" for item in ITEMS[1:]], 0.0),
    "within path": ("scalar", ["fw~x"], WITHIN[1] - WITHIN[0]),
    "between path": ("scalar", ["fb~w.l2"], BETWEEN[1] - BETWEEN[0]),
    "between mean": ("scalar", ["fb~1.l2"], MEANS[1] - MEANS[0]),
}
TESTS = ("LR", "SB 2001", "score", "Wald MLR", "HTZ")


@dataclass(frozen=True)
class Cell:
    """One design: how many clusters a group has, and how the data are distributed."""

    clusters: int
    elliptical: bool

    @property
    def name(self) -> str:
        return f"{'elliptical' if self.elliptical else 'normal'}_{self.clusters}"

    @property
    def seed(self) -> list[int]:
        return [SEED, self.clusters, self.elliptical]


CELLS = [Cell(*each) for each in product(CLUSTERS, (False, True))]


def of_second(name: str) -> str:
    """The name of a parameter in the second group."""
    return name.removesuffix(".l2") + (".g2.l2" if name.endswith(".l2") else ".g2")


# --- data -----------------------------------------------------------------------------------------


def draw_group(cell: Cell, group: int, rng: np.random.Generator) -> pd.DataFrame:
    sizes = np.linspace(5, 25, cell.clusters).round().astype(int)
    ids = np.repeat(np.arange(len(sizes)), sizes)
    scale = np.sqrt(3.0 / rng.chisquare(5, len(sizes))) if cell.elliptical else np.ones(len(sizes))
    w, x = rng.normal(size=len(sizes)), rng.normal(size=len(ids))

    def part(mean: np.ndarray, stretch: np.ndarray, level: int) -> np.ndarray:
        shape = (len(mean), len(ITEMS))
        factor = mean + stretch * np.sqrt(FACTORS[group][level]) * rng.normal(size=shape[0])
        rest = np.sqrt(RESTS[group][level]) * rng.normal(size=shape)
        return np.outer(factor, LOADINGS) + stretch[:, None] * rest

    between = part(MEANS[group] + BETWEEN[group] * w, scale, 1)
    y = INTERCEPTS + between[ids] + part(WITHIN[group] * x, scale[ids], 0)
    columns = {"g": "ab"[group], "id": ids + group * len(sizes), "x": x, "w": w[ids]}
    return pd.DataFrame(columns | dict(zip(ITEMS, y.T, strict=True)))


def draw(cell: Cell, rng: np.random.Generator) -> pd.DataFrame:
    return pd.concat([draw_group(cell, group, rng) for group in (0, 1)], ignore_index=True)


# --- one data set ---------------------------------------------------------------------------------


def replicate(cell: Cell, number: int) -> pd.DataFrame | None:
    """Intervals and p values; None where a fit did not converge."""
    data = draw(cell, np.random.default_rng([*cell.seed, number]))
    how: dict[str, Any] = {"cluster": "id", "group": "g", "estimator": "MLR", "se": "none"}
    try:
        fits = {
            name: mlsem.fit(MODEL, data, max_iter=100, **how, **equal)
            for name, equal in EQUAL.items()
        }
    except mlsem.MlsemError:
        return None
    if not all(fit.converged for fit in fits.values()):
        return None
    found = pd.DataFrame([*differences(fits), *tests(fits)])
    return found.assign(number=number)


def differences(fits: dict[str, mlsem.FitResult]) -> list[dict[str, Any]]:
    """Estimate, standard error and degrees of freedom of each difference."""
    kinds = {
        (model, method): fits[model].with_se(se)
        for model in ("configural", "scalar")
        for method, se in METHODS.items()
    }
    rows = []
    for sort, (model, names, true) in DIFFERENCES.items():
        for method in METHODS:
            fit = kinds[model, method]
            order = list(fit.params.index)
            slopes = np.zeros((len(names), len(order)))
            for k, name in enumerate(names):
                slopes[k, order.index(of_second(name))] = 1.0
                if name in order:  # the first group's factor mean is fixed to 0
                    slopes[k, order.index(name)] = -1.0
            values = slopes @ fit.params.to_numpy()
            errors, df = fit.covariance.of_functions(slopes)
            rows += [
                {"sort": sort, "what": name, "method": method, "true": true}
                | {"estimate": value, "se": error, "df": freedom}
                for name, value, error, freedom in zip(names, values, errors, df, strict=True)
            ]
    return rows


def tests(fits: dict[str, mlsem.FitResult]) -> list[dict[str, Any]]:
    """The p value of each test; NaN where it does not exist."""
    equal_loadings = "\n".join(
        f"`{name}` == `{of_second(name)}`"
        for item in ITEMS[1:]
        for name in (f"fw=~{item}", f"fb=~{item}.l2")
    )
    equal_intercepts = "\n".join(f"`{item}~1.l2` == `{item}~1.g2.l2`" for item in ITEMS[1:])
    pairs = {
        "metric": (fits["metric"], fits["configural"], equal_loadings),
        "scalar": (fits["scalar"], fits[METRIC], equal_intercepts),
    }
    rows = []
    for name, (simple, full, equal) in pairs.items():
        methods: dict[str, Callable[[], Any]] = {
            "LR": partial(mlsem.lr_test, simple, full, method="lr"),
            "SB 2001": partial(mlsem.lr_test, simple, full, method="satorra.bentler.2001"),
            "score": partial(mlsem.lr_test, simple, full, method="score"),
            "Wald MLR": partial(full.wald_test, equal, vcov="MLR"),
            "HTZ": partial(full.wald_test, equal, vcov="CR2"),
        }
        rows += [
            {"sort": "test", "what": name, "method": method, "estimate": pvalue(test)}
            for method, test in methods.items()
        ]
    return rows


def pvalue(test: Callable[[], Any]) -> float:
    try:
        return float(test().pvalue)
    except mlsem.InferenceError:
        return np.nan


def run_batch(cell: Cell, numbers: range, path: Path) -> None:
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    found = [replicate(cell, number) for number in numbers]
    kept = [each for each in found if each is not None]
    frame = pd.concat(kept) if kept else pd.DataFrame()
    frame.assign(tried=len(numbers)).to_csv(path, index=False, float_format="%.8g")


# --- results --------------------------------------------------------------------------------------


def summarise(cell: Cell, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coverage by difference and method, where an interval that does not exist misses; rejection
    rates by test, of the data sets in which it exists."""
    parts = [pd.read_csv(path) for path in sorted(folder.glob(f"{cell.name}.*.csv"))]
    data, tried = pd.concat(parts), sum(int(part["tried"].iloc[0]) for part in parts)
    design = {"clusters": cell.clusters, "data": cell.name.partition("_")[0], "tried": tried}
    design["fits"] = data.groupby("tried")["number"].nunique().sum()
    intervals, rates = [], []
    for (sort, what, method), here in data.groupby(["sort", "what", "method"], sort=False):
        own = design | {"sort": sort, "what": what, "method": method}
        if sort == "test":
            p = here["estimate"].dropna()
            rates.append(own | {"rejected": (p < 0.05).mean(), "of": len(p)})
            continue
        width = stdtrit(here["df"].clip(upper=1e9), 0.975) * here["se"]
        away = (here["estimate"] - here["true"]).abs()
        intervals.append(
            own
            | {
                "coverage": (away <= width).mean(),
                "bias": here["estimate"].mean() - here["true"].mean(),
                "sd": here["estimate"].std(),
                "mean se": here["se"].mean(),
                "df": here["df"].median(),
                "half width": width.median(),
                "undefined": width.isna().mean(),
            }
        )
    return pd.DataFrame(intervals), pd.DataFrame(rates)


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows))


def coverage_table(found: pd.DataFrame) -> str:
    """Percent, means over the parameters of a sort."""
    rows = []
    for (sort, clusters, data), here in found.groupby(["sort", "clusters", "data"], sort=False):
        means = [100 * here[here["method"] == method]["coverage"].mean() for method in METHODS]
        last = here[here["method"] == "CR2, t"]
        cells = [f"{mean:.1f}" for mean in means[:-1]] + [f"**{means[-1]:.1f}**"]
        tail = [f"{last['df'].median():.1f}", f"{last['half width'].mean():.2f}"]
        rows.append([str(sort), str(clusters), str(data), *cells, *tail])
    heads = ["difference of", "clusters", "data", *METHODS, "df", "half width"]
    return markdown(heads, sorted(rows, key=lambda row: list(DIFFERENCES).index(row[0])))


def test_table(found: pd.DataFrame) -> str:
    """Rejection rates at 0.05, and how many data sets they rest on where some lack a test."""
    rows = []
    for (what, clusters, data), here in found.groupby(["what", "clusters", "data"], sort=False):
        by = here.set_index("method")
        cells = [
            f"{by.loc[method, 'rejected']:.3f}"
            + (f" ({by.loc[method, 'of']})" if by.loc[method, "of"] < here["of"].max() else "")
            for method in TESTS
        ]
        rows.append([str(what), str(clusters), str(data), *cells, str(here["of"].max())])
    heads = ["model", "clusters", "data", *TESTS, "data sets"]
    return markdown(heads, sorted(rows, key=lambda row: row[0]))


def fits_table(found: pd.DataFrame) -> str:
    cells = found.drop_duplicates(["clusters", "data"])
    rows = [
        [str(each[name]) for name in ("clusters", "data", "tried", "fits")]
        for each in cells.to_dict("records")
    ]
    return markdown(["clusters in each group", "data", "data sets", "all fits converged"], rows)


def main() -> None:
    from joblib import Parallel, delayed

    parser = argparse.ArgumentParser(description="Differences between groups of few clusters.")
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--out", type=Path, default=Path("groups_coverage"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tasks = [
        (cell, range(k, k + BATCH), arguments.out / f"{cell.name}.{k}.csv")
        for k in range(0, arguments.replications, BATCH)
        for cell in CELLS
    ]
    left = [task for task in tasks if not task[2].exists()]  # an interrupted study goes on
    Parallel(n_jobs=arguments.jobs)(delayed(run_batch)(*task) for task in left)
    each = [summarise(cell, arguments.out) for cell in CELLS]
    intervals, rates = (pd.concat(parts, ignore_index=True) for parts in zip(*each, strict=True))
    intervals.to_csv(arguments.out / "coverage.csv", index=False, float_format="%.5g")
    rates.to_csv(arguments.out / "tests.csv", index=False, float_format="%.5g")
    text = "\n\n".join([fits_table(intervals), coverage_table(intervals), test_table(rates)])
    (arguments.out / "tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
