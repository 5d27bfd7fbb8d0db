"""What do FIML, listwise deletion and multiple imputation do to a two-level model? A simulation.

m and y vary at both levels, x within and w between clusters; 50 clusters of 5 to 25 rows. Missing:

- MCAR: 30 % of m and 15 % of y.
- MAR: m is missing in 40 % of the rows, the more likely the larger y, which is observed.
- dropout by w: m is wholly missing in 40 % of the clusters, the more likely the larger w.
- dropout by the mean of y: the same, by the cluster's mean of y, which is observed.

Intervals at 95 % are CR2 with t for every method; those of imputations are joined by Rubin's rules
with Barnard and Rubin's (1999) degrees of freedom. Imputation by a joint two-level model is R's
`mitml::panImpute` (run as a child process); chained equations are statsmodels' `MICEData`, which
knows no levels, with a dummy for each cluster, or with cluster means of the other variables.

    python examples/studies/missing_methods.py --replications 2000 --methods fiml listwise
    python examples/studies/missing_methods.py --replications 500 --methods pan
    python examples/studies/missing_methods.py --replications 100 --methods dummies means

Batches are kept in the folder, so that an interrupted study goes on; tables.md has what is there.
Needs the extra "simulation", statsmodels, and R with mitml and pan for "pan".
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import mlsem

SEED = 20261202
MECHANISMS = ("MCAR", "MAR", "dropout by w", "dropout by the mean of y")
CLUSTERS, BATCH, IMPUTATIONS = 50, 25, 10
BURN_IN, BETWEEN_DRAWS = 500, 50  # of pan, in iterations
CYCLES, SKIPPED = 5, 2  # of MICE: before the first imputation, and between two
MODEL = """
level: 1
  m ~ x
  y ~ m + x
level: 2
  m ~ w
  y ~ m + w
"""
TRUE = {
    "m~x": 0.3,
    "y~m": 0.4,
    "y~x": 0.3,
    "m~~m": 1.0,
    "y~~y": 1.0,
    "m~w.l2": 0.3,
    "y~m.l2": 0.6,
    "y~w.l2": 0.2,
    "m~~m.l2": 0.4,
    "y~~y.l2": 0.3,
    "m~1.l2": 1.0,
    "y~1.l2": 0.5,
}


def complete(rng: np.random.Generator) -> pd.DataFrame:
    sizes = np.linspace(5, 25, CLUSTERS).round().astype(int)
    ids = np.repeat(np.arange(CLUSTERS), sizes)
    true = {name.replace(".l2", "2"): value for name, value in TRUE.items()}
    w, um, uy = rng.normal(size=(3, CLUSTERS))
    x, em, ey = rng.normal(size=(3, len(ids)))
    mb = true["m~12"] + true["m~w2"] * w + np.sqrt(true["m~~m2"]) * um
    yb = true["y~12"] + true["y~m2"] * mb + true["y~w2"] * w + np.sqrt(true["y~~y2"]) * uy
    mw = true["m~x"] * x + em
    yw = true["y~m"] * mw + true["y~x"] * x + ey
    return pd.DataFrame({"id": ids, "x": x, "w": w[ids], "m": mb[ids] + mw, "y": yb[ids] + yw})


def logistic(score: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-score))


def remove(data: pd.DataFrame, mechanism: str, rng: np.random.Generator) -> pd.DataFrame:
    chance, ids = rng.uniform(size=(len(data), 2)), data["id"].to_numpy()
    if mechanism == "MCAR":
        return data.assign(**data[["m", "y"]].mask(chance < (0.3, 0.15)))
    if mechanism == "MAR":
        likely = logistic(1.2 * (data["y"].to_numpy() - 1.1) - 0.5)
        return data.assign(m=data["m"].mask(chance[:, 0] < likely))
    means = data.groupby("id")[["w", "y"]].mean()
    score = 2.0 * means["w"] if mechanism == "dropout by w" else 2.0 * (means["y"] - 1.1)
    gone = rng.uniform(size=CLUSTERS) < logistic(score.to_numpy() - 0.6)
    return data.assign(m=data["m"].mask(gone[ids]))


def draw(mechanism: str, number: int) -> pd.DataFrame:
    rng = np.random.default_rng([SEED, MECHANISMS.index(mechanism), number])
    return remove(complete(rng), mechanism, rng)


Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # estimates, standard errors, df


def fitted(data: pd.DataFrame, missing: str) -> Found:
    fit = mlsem.fit(MODEL, data, cluster="id", se="CR2", missing=missing, start=pd.Series(TRUE))
    if not fit.converged:
        raise mlsem.EstimationError("no maximum")
    found = fit.covariance
    return fit.params.reindex(list(TRUE)).to_numpy(), found.se, found.df


def rubin(parts: list[Found]) -> Found:
    """Rubin's rules; degrees of freedom of Barnard and Rubin (1999), with the mean of the complete
    data's."""
    estimates, errors, dfs = (np.array(each) for each in zip(*parts, strict=True))
    count = len(parts)
    within, between = (errors**2).mean(axis=0), estimates.var(axis=0, ddof=1)
    total = within + (1 + 1 / count) * between
    share = (1 + 1 / count) * between / total
    df = dfs.mean(axis=0)
    observed = (df + 1) / (df + 3) * df * (1 - share)
    return estimates.mean(axis=0), np.sqrt(total), 1 / (share**2 / (count - 1) + 1 / observed)


def imputed(data: pd.DataFrame, draws: list[pd.DataFrame]) -> Found:
    return rubin([fitted(data.assign(m=each["m"], y=each["y"]), "listwise") for each in draws])


PAN = """
suppressMessages(library(mitml))
paths <- commandArgs(TRUE)
all <- read.csv(paths[1])
draws <- lapply(split(all, all$number), function(data) {{
  made <- panImpute(data, formula = m + y ~ 1 + x + w + (1 | id), n.burn = {burn},
                    n.iter = {between}, m = {count}, seed = data$number[1] + 1, silent = TRUE)
  lapply(seq_len({count}), function(k) {{
    one <- mitmlComplete(made, k)
    one <- one[order(one$row), ]
    cbind(number = data$number[1], draw = k, row = one$row, m = one$m, y = one$y)
  }})
}})
writeBin(as.vector(t(do.call(rbind, unlist(draws, recursive = FALSE)))), paths[2])
"""


def pan(data: dict[int, pd.DataFrame]) -> dict[int, list[pd.DataFrame]]:
    """Imputations of several data sets by a joint two-level model."""
    with tempfile.TemporaryDirectory() as folder:
        here, there, script = (Path(folder, name) for name in ("in.csv", "out.bin", "pan.R"))
        script.write_text(PAN.format(burn=BURN_IN, between=BETWEEN_DRAWS, count=IMPUTATIONS))
        stacked = [
            each.assign(number=number, row=range(len(each))) for number, each in data.items()
        ]
        pd.concat(stacked).to_csv(here, index=False)
        subprocess.run(["Rscript", script, here, there], check=True, capture_output=True)
        values = np.fromfile(there).reshape(-1, 5)
    found = pd.DataFrame(values, columns=["number", "draw", "row", "m", "y"])
    return {
        number: [each.reset_index() for _, each in part.groupby("draw")]
        for number, part in found.groupby("number")
    }


def mice(data: pd.DataFrame, others: str, seed: list[int]) -> list[pd.DataFrame]:
    """Imputations by chained equations, predictive mean matching; `others`: columns that the
    equations of m and y have beside each other and x."""
    from statsmodels.imputation.mice import MICEData

    means = data.groupby("id")[["x", "m", "y"]].transform("mean").add_suffix("_mean")
    chained = MICEData(data.join(means).fillna({"m_mean": 0.0}), rng=seed)
    holes = [name for name in ("m", "y") if data[name].isna().any()]
    for name in holes:
        other = "y" if name == "m" else "m"
        chained.set_imputer(name, formula=f"{other} + x + {others.format(other=other)}")
    chained.update_all(CYCLES)
    draws = []
    for _ in range(IMPUTATIONS):
        chained.update_all(SKIPPED)
        draws.append(chained.data[["m", "y"]].copy())
    return draws


def results(method: str, data: dict[int, pd.DataFrame]) -> dict[int, Found | None]:
    """By number; None where there is no maximum."""
    draws = pan(data) if method == "pan" else {}
    found: dict[int, Found | None] = {}
    for number, each in data.items():
        try:
            if method in ("fiml", "listwise"):
                found[number] = fitted(each, method)
            elif method == "pan":
                found[number] = imputed(each, draws[number])
            else:
                others = "C(id)" if method == "dummies" else "w + x_mean + {other}_mean"
                found[number] = imputed(each, mice(each, others, [SEED, number]))
        except mlsem.EstimationError:
            found[number] = None
    return found


METHODS = {
    "fiml": "FIML",
    "listwise": "listwise",
    "pan": "joint two-level imputation (pan)",
    "dummies": "MICE, cluster dummies",
    "means": "MICE, cluster means",
}


def run_batch(method: str, mechanism: str, numbers: range, path: Path) -> None:
    warnings.simplefilter("ignore")
    data = {number: draw(mechanism, number) for number in numbers}
    rows = [
        {"number": number, "parameter": name, "estimate": e, "se": s, "df": d}
        for number, found in results(method, data).items()
        for name, e, s, d in zip(TRUE, *(found or np.full((3, len(TRUE)), np.nan)), strict=True)
    ]
    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.8g")


def summarise(folder: Path) -> pd.DataFrame:
    """Bias and coverage by method, mechanism and parameter, with Monte Carlo errors."""
    from scipy.special import stdtrit

    rows = []
    for method in METHODS:
        for mechanism in MECHANISMS:
            paths = sorted(folder.glob(f"{method}.{MECHANISMS.index(mechanism)}.*.csv"))
            if not paths:
                continue
            data = pd.concat(map(pd.read_csv, paths))
            for name, part in data.groupby("parameter", sort=False):
                here, true = part.dropna(subset="estimate"), TRUE[str(name)]
                count, spread = len(here), here["estimate"].std()
                width = stdtrit(here["df"], 0.975) * here["se"]
                hit = ((here["estimate"] - true).abs() <= width).mean()
                rows.append(
                    {
                        "method": METHODS[method],
                        "mechanism": mechanism,
                        "parameter": name,
                        "true": true,
                        "data sets": len(part),
                        "fits": count,
                        "bias": here["estimate"].mean() - true,
                        "bias error": spread / np.sqrt(count),
                        "sd": spread,
                        "rmse": np.sqrt(((here["estimate"] - true) ** 2).mean()),
                        "coverage": hit,
                        "coverage error": np.sqrt(hit * (1 - hit) / count),
                        "half width": np.nanmedian(width),
                    }
                )
    return pd.DataFrame(rows)


def table(found: pd.DataFrame, mechanism: str) -> str:
    """Bias and, in brackets, coverage in percent: a row per parameter, a column per method."""
    here = found[found["mechanism"] == mechanism]
    methods = [name for name in METHODS.values() if (here["method"] == name).any()]
    lines = [["parameter", "true", *methods], ["---"] * (2 + len(methods))]
    for name, true in TRUE.items():
        cells = []
        for method in methods:
            row = here[(here["method"] == method) & (here["parameter"] == name)].iloc[0]
            bias = f"{row['bias']:+.3f} ({100 * row['coverage']:.1f})"
            cells.append(f"**{bias}**" if abs(row["bias"]) > 0.1 * true else bias)
        lines.append([f"`{name}`", f"{true:g}", *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def counts(found: pd.DataFrame) -> str:
    part = found.groupby(["mechanism", "method"], sort=False)
    lines = ["| missing | method | data sets | fits | error of coverage | error of bias / SD |"]
    lines.append("|---|---|---|---|---|---|")
    for (mechanism, method), here in part:
        tried, fits = here[["data sets", "fits"]].iloc[0]
        errors = f"{100 * np.sqrt(0.95 * 0.05 / fits):.1f} points | {1 / np.sqrt(fits):.3f}"
        lines.append(f"| {mechanism} | {method} | {tried} | {fits} | {errors} |")
    return "\n".join(lines)


def main() -> None:
    from joblib import Parallel, delayed

    parser = argparse.ArgumentParser(description="FIML, listwise deletion, multiple imputation.")
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=["fiml", "listwise"])
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--out", type=Path, default=Path("missing_methods"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    tasks = [
        (method, mechanism, range(k, k + BATCH), arguments.out / f"{method}.{at}.{k}.csv")
        for k in range(0, arguments.replications, BATCH)
        for method in arguments.methods
        for at, mechanism in enumerate(MECHANISMS)
    ]
    left = [task for task in tasks if not task[3].exists()]  # an interrupted study goes on
    Parallel(n_jobs=arguments.jobs)(delayed(run_batch)(*task) for task in left)
    found = summarise(arguments.out)
    found.to_csv(arguments.out / "results.csv", index=False, float_format="%.5g")
    parts = [f"## {mechanism}\n\n{table(found, mechanism)}" for mechanism in MECHANISMS]
    text = "\n\n".join([*parts, counts(found)])
    (arguments.out / "tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
