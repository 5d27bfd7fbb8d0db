"""Do intervals hold with few clusters and 30 % of the values missing? A simulation study.

A two-level factor model, four indicators, a covariate at each level, 15 and 30 clusters of 5 to 25
rows, fitted with `missing="fiml"`. Values are missing completely at random (MCAR: 30 % of each
indicator), at random (MAR: y1 is observed, y2 to y4 are missing in 40 % of the rows, the more
likely the larger y1), or not at all. Intervals at 95 %: model-based, MLR and CR2 with the normal
quantile, CR2 with t.

    python examples/studies/missing_coverage.py --replications 2000 --jobs 2 --out missing_coverage

writes the batches to the folder, coverage.csv and tables.md beside them; an interrupted study goes
on. Needs the extra "simulation".
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

import mlsem

SEED = 20261201
CLUSTERS = (15, 30)
KINDS = ("complete", "MCAR", "MAR")
BATCH = 50
METHODS = {  # label: standard errors, reference distribution
    "model-based": ("standard", "z"),
    "MLR": ("MLR", "z"),
    "CR2, z": ("CR2", "z"),
    "CR2, t": ("CR2", "t"),
}
ITEMS = ["y1", "y2", "y3", "y4"]
MODEL = """
level: 1
  fw =~ y1 + y2 + y3 + y4
  fw ~ x
level: 2
  fb =~ y1 + y2 + y3 + y4
  fb ~ w
"""
LOADINGS = np.array([1.0, 0.9, 0.8, 0.7])
MEANS = np.array([0.0, 0.2, 0.4, 0.6])
PATHS, FACTORS, RESTS = (0.3, 0.3), (1.0, 0.5), (0.5, 0.2)  # within, between; two of variances
SORTS = {  # operator in a coefficient's name, or none of these: what it is
    "=~": "loadings",
    "~~": "variances",
    "~1": "intercepts",
}


@dataclass(frozen=True)
class Cell:
    """One design: how many clusters, and how values are missing."""

    clusters: int
    kind: str

    @property
    def sizes(self) -> np.ndarray:
        return np.linspace(5, 25, self.clusters).round().astype(int)

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.clusters}"

    @property
    def seed(self) -> list[int]:
        return [SEED, self.clusters, KINDS.index(self.kind)]


CELLS = [Cell(*each) for each in product(CLUSTERS, KINDS)]
TRUE = {
    **{f"fw=~{item}": value for item, value in zip(ITEMS[1:], LOADINGS[1:], strict=True)},
    **{f"fb=~{item}.l2": value for item, value in zip(ITEMS[1:], LOADINGS[1:], strict=True)},
    **{f"{item}~~{item}": RESTS[0] for item in ITEMS},
    **{f"{item}~~{item}.l2": RESTS[1] for item in ITEMS},
    **{f"{item}~1.l2": value for item, value in zip(ITEMS, MEANS, strict=True)},
    "fw~x": PATHS[0],
    "fb~w.l2": PATHS[1],
    "fw~~fw": FACTORS[0],
    "fb~~fb.l2": FACTORS[1],
}


def complete(sizes: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of the model, nothing missing."""
    ids = np.repeat(np.arange(len(sizes)), sizes)
    w, x = rng.normal(size=len(sizes)), rng.normal(size=len(ids))

    def part(covariate: np.ndarray, level: int) -> np.ndarray:
        shape = (len(covariate), len(ITEMS))
        factor = PATHS[level] * covariate + np.sqrt(FACTORS[level]) * rng.normal(size=shape[0])
        return np.outer(factor, LOADINGS) + np.sqrt(RESTS[level]) * rng.normal(size=shape)

    y = MEANS + part(w, 1)[ids] + part(x, 0)
    return pd.DataFrame(dict(zip(ITEMS, y.T, strict=True)) | {"id": ids, "x": x, "w": w[ids]})


def remove(data: pd.DataFrame, kind: str, rng: np.random.Generator) -> pd.DataFrame:
    """30 % of the indicators' values go."""
    chance = rng.uniform(size=(len(data), len(ITEMS)))
    if kind == "MCAR":
        return data.assign(**data[ITEMS].mask(chance < 0.3))
    if kind == "MAR":  # on average the logistic function is 0.4
        of_y1 = 1.0 / (1.0 + np.exp(0.53 - 1.0 * data[["y1"]].to_numpy()))
        return data.assign(**data[ITEMS[1:]].mask(chance[:, 1:] < of_y1))
    return data


def replicate(cell: Cell, number: int) -> pd.DataFrame | None:
    """Estimate, standard errors, degrees of freedom by parameter; None without a maximum."""
    rng = np.random.default_rng([*cell.seed, number])
    data = remove(complete(cell.sizes, rng), cell.kind, rng)
    start = pd.Series(TRUE)
    try:
        fit = mlsem.fit(
            MODEL, data, cluster="id", missing="fiml", se="none", start=start, max_iter=60
        )
        if not fit.converged:
            return None
        columns = {"number": number, "share": data[ITEMS].isna().to_numpy().mean()}
        columns |= {"estimate": fit.params}
        for se in ("standard", "MLR", "CR2"):
            found = fit.with_se(se).covariance
            columns[se] = found.se
        return pd.DataFrame(columns | {"df": found.df})
    except mlsem.EstimationError:
        return None


def run_batch(cell: Cell, numbers: range, path: Path) -> None:
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    found = [replicate(cell, number) for number in numbers]
    kept = [each for each in found if each is not None]
    frame = pd.concat(kept).rename_axis("parameter") if kept else pd.DataFrame()
    frame.assign(tried=len(numbers)).to_csv(path, float_format="%.8g")


def sort_of(name: str) -> str:
    """Level and sort of a parameter."""
    word = next((word for operator, word in SORTS.items() if operator in name), "paths")
    return f"{'between' if name.endswith('.l2') else 'within'} {word}"


def summarise(cell: Cell, folder: Path) -> pd.DataFrame:
    """Coverage by parameter and method; an interval that does not exist misses."""
    from scipy.special import stdtrit

    parts = [pd.read_csv(path) for path in sorted(folder.glob(f"{cell.name}.*.csv"))]
    data, tried = pd.concat(parts), sum(part["tried"].iloc[0] for part in parts)
    rows = []
    for name, true in TRUE.items():
        here = data[data["parameter"] == name]
        for method, (se, test) in METHODS.items():
            df = here["df"] if test == "t" else 1e9
            width = stdtrit(df, 0.975) * here[se]
            hit = ((here["estimate"] - true).abs() <= width).mean()
            rows.append(
                {
                    "missing": cell.kind,
                    "clusters": cell.clusters,
                    "share": here["share"].mean(),
                    "tried": tried,
                    "fits": len(here),
                    "parameter": name,
                    "sort": sort_of(name),
                    "method": method,
                    "true": true,
                    "bias": here["estimate"].mean() - true,
                    "median bias": here["estimate"].median() - true,
                    "sd": here["estimate"].std(),
                    "mean se": here[se].mean(),
                    "median se": here[se].median(),
                    "coverage": hit,
                    "error": np.sqrt(hit * (1 - hit) / len(here)),
                    "undefined": width.isna().mean(),
                    "below": (here["estimate"] + width < true).mean(),
                    "above": (here["estimate"] - width > true).mean(),
                    "half width": np.nanmedian(width),
                    "df": np.nanmedian(df),
                }
            )
    return pd.DataFrame(rows)


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows))


def by_sort(found: pd.DataFrame) -> str:
    """Mean coverage in percent over the parameters of a sort; of CR2 with t lowest and highest."""
    rows = []
    for (sort, clusters, kind), here in found.groupby(["sort", "clusters", "missing"], sort=False):
        means = [100 * here[here["method"] == method]["coverage"].mean() for method in METHODS]
        last = here[here["method"] == "CR2, t"]
        low, high = 100 * last["coverage"].min(), 100 * last["coverage"].max()
        cells = [f"{mean:.1f}" for mean in means[:-1]] + [f"**{means[-1]:.1f}**"]
        spread = f"{low:.1f}, {high:.1f}", f"{last['df'].median():.1f}"
        rows.append([str(sort), str(clusters), str(kind), *cells, *spread])
    heads = ["parameters", "clusters", "missing", *METHODS, "CR2, t: lowest, highest", "df"]
    return markdown(heads, sorted(rows, key=lambda row: (row[0].split()[1], row[0])))


def outside(found: pd.DataFrame) -> str:
    """Where CR2 with t misses 93 to 97 %, by the 99 % Monte Carlo interval."""
    part = found[found["method"] == "CR2, t"]
    room = 2.58 * part["error"]
    missed = part[(part["coverage"] + room < 0.93) | (part["coverage"] - room > 0.97)]
    rows = [
        [
            f"`{each['parameter']}`", str(each["clusters"]), each["missing"],
            f"{100 * each['coverage']:.1f} ({100 * each['error']:.1f})",
            f"{100 * each['below']:.1f}, {100 * each['above']:.1f}",
            f"{each['df']:.1f}", f"{each['bias']:+.3f}", f"{each['sd']:.3f}",
        ]
        for each in missed.to_dict("records")
    ]  # fmt: skip
    heads = ["parameter", "clusters", "missing", "coverage (error)", "misses below, above"]
    return markdown([*heads, "median df", "bias", "SD"], rows)


def fits(found: pd.DataFrame) -> str:
    cells = found.drop_duplicates(["missing", "clusters"])
    rows = [
        [str(each["clusters"]), each["missing"], f"{100 * each['share']:.1f} %"]
        + [f"{each[name]}" for name in ("tried", "fits")]
        for each in cells.to_dict("records")
    ]
    return markdown(["clusters", "missing", "share", "data sets", "fits"], rows)


def main() -> None:
    from joblib import Parallel, delayed

    parser = argparse.ArgumentParser(description="Coverage with few clusters and missing values.")
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--out", type=Path, default=Path("missing_coverage"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tasks = [
        (cell, range(k, k + BATCH), arguments.out / f"{cell.name}.{k}.csv")
        for k in range(0, arguments.replications, BATCH)
        for cell in CELLS
    ]
    left = [task for task in tasks if not task[2].exists()]  # an interrupted study goes on
    Parallel(n_jobs=arguments.jobs)(delayed(run_batch)(*task) for task in left)
    found = pd.concat([summarise(cell, arguments.out) for cell in CELLS], ignore_index=True)
    found.to_csv(arguments.out / "coverage.csv", index=False, float_format="%.5g")
    text = "\n\n".join([fits(found), by_sort(found), outside(found)])
    (arguments.out / "tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
