"""Makes the example data sets that are drawn in Python: `python examples/make_data.py` writes them.

The others are older: `article.csv` and `mediation.csv` were drawn in R, `demo_twolevel.csv` is
lavaan's (see README.md beside this file). Numbers are rounded to three decimals, which keeps the
files small.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import mlsem

FOLDER = Path(__file__).parent
DECIMALS = 3


def growth() -> pd.DataFrame:
    """Five yearly waves of 120 pupils: reading skill, rising faster in the programme."""
    rng = np.random.default_rng(20260301)
    pupils, waves = 120, 5
    programme = np.arange(pupils) % 2
    start = 10.0 + 0.3 * programme + 1.5 * rng.standard_normal(pupils)
    slope = 1.0 + 0.4 * programme - 0.1 * (start - 10.0) + 0.5 * rng.standard_normal(pupils)
    year = np.arange(waves)
    reading = start[:, None] + slope[:, None] * year + rng.standard_normal((pupils, waves))
    return pd.DataFrame(
        {
            "pupil": np.repeat(np.arange(1, pupils + 1), waves),
            "year": np.tile(year, pupils),
            "programme": np.repeat(programme, waves),
            "reading": reading.ravel(),
        }
    )


def growth_wide() -> pd.DataFrame:
    """The same with a row for each pupil."""
    long = growth()
    wide = long.pivot(index=["pupil", "programme"], columns="year", values="reading")
    return (
        wide.rename(columns=lambda year: f"reading{year}").reset_index().rename_axis(None, axis=1)
    )


def trial() -> pd.DataFrame:
    """A trial of 12 clinics, six of them treated: quality of life after a year."""
    rng = np.random.default_rng(20260302)
    sizes = np.array([14, 22, 9, 31, 18, 25, 12, 20, 28, 16, 11, 34])
    clinic = np.repeat(np.arange(1, 13), sizes)
    treated = (clinic % 2 == 0).astype(int)
    age = 55.0 + 12.0 * rng.standard_normal(len(clinic))
    before = 50.0 - 0.1 * (age - 55.0) + 8.0 * rng.standard_normal(len(clinic))
    effect = 3.0 * rng.standard_normal(12)[clinic - 1]
    noise = 7.0 * rng.standard_normal(len(clinic))
    after = 50.0 + 5.0 * treated + 0.5 * (before - 50.0) + effect + noise
    return pd.DataFrame(
        {
            "clinic": clinic,
            "arm": np.where(treated, "treatment", "control"),
            "treated": treated,
            "age": age.round(0).astype(int),
            "before": before,
            "after": after,
        }
    )


def invariance() -> pd.DataFrame:
    """Four items of reading pleasure in six countries: y4 loads less in one of them, and y3 is
    answered higher in another."""
    countries = {"AT": 20, "CZ": 20, "DE": 20, "HU": 20, "PL": 20, "SK": 20}
    model = """
level: 1
  fw =~ 1*y1 + 0.9*y2 + 1.1*y3 + c(1, 1, 1, 0.5, 1, 1)*y4
  fw ~~ 1*fw
  y1 ~~ 0.8*y1
  y2 ~~ 0.9*y2
  y3 ~~ 0.8*y3
  y4 ~~ 0.9*y4
level: 2
  fb =~ 1*y1 + 0.9*y2 + 1.1*y3 + c(1, 1, 1, 0.5, 1, 1)*y4
  fb ~~ 0.6*fb
  fb ~ c(0, 0.2, 0.1, -0.2, 0.3, 0)*1
  y1 ~~ 0.3*y1
  y2 ~~ 0.3*y2
  y3 ~~ 0.3*y3
  y4 ~~ 0.3*y4
  y1 ~ 3*1
  y2 ~ 2.8*1
  y3 ~ c(3.1, 3.1, 3.1, 3.1, 3.1, 3.8)*1
  y4 ~ 2.9*1
"""
    data = mlsem.simulate(
        model,
        countries,
        10,
        seed=20260305,
        group="country",
        group_label=countries,
        cluster="school",
    )
    return data.astype({"country": str})


def holes() -> pd.DataFrame:
    """A questionnaire in 60 schools, with gaps: pupils of lower grades leave out more items, and
    some heads do not answer."""
    model = """
level: 1
  fw =~ 1*q1 + 0.8*q2 + 0.9*q3
  fw ~ 0.5*grade
  fw ~~ 0.7*fw
  q1 ~~ 0.6*q1
  q2 ~~ 0.7*q2
  q3 ~~ 0.6*q3
level: 2
  fb =~ 1*q1 + 0.8*q2 + 0.9*q3
  fb ~ 0.4*climate
  fb ~~ 0.3*fb
  q1 ~~ 0.15*q1
  q2 ~~ 0.15*q2
  q3 ~~ 0.15*q3
"""
    data = mlsem.simulate(model, 60, 10, seed=20260309, cluster="school")
    rng = np.random.default_rng(20260306)
    for item, share in (("q1", 0.05), ("q2", 0.15), ("q3", 0.30)):
        odds = share / (1.0 - share) * np.exp(-0.8 * data["grade"])
        data.loc[rng.random(len(data)) < odds / (1.0 + odds), item] = np.nan
    silent = rng.choice(60, size=9, replace=False) + 1
    data.loc[data["school"].isin(silent.tolist()), "climate"] = np.nan
    return data.loc[:, ["school", "climate", "grade", "q1", "q2", "q3"]]


MADE = {each.__name__: each for each in (growth, growth_wide, trial, invariance, holes)}


def main() -> None:
    for name, draw in MADE.items():
        file = FOLDER / f"{name}.csv"
        draw().round(DECIMALS).to_csv(file, index=False, lineterminator="\n")
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
