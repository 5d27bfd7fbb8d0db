"""Makes `assessment.csv`, a simulated assessment as of PISA: `python examples/make_assessment.py`.

The country has 2,400 schools of four strata. 120 of them are drawn with chances in proportion to
their size, 25 pupils in each, those who speak another language at home twice as often. With z_j
the standardized logarithm of a school's size the schools are

    (u0, u1, v0)_j = SD · (SIZE · z_j + rest)        CLIMATE_j = 0.3 PRIVATE_j + N(0, 1)

and the pupils, with e correlated .7,

    ESCS = N(0.3 PRIVATE, 0.35²)_j - 0.3 OTHERLANG + N(0, 0.85²)
    math = 480 + 30 ESCS - 25 OTHERLANG + 20 PRIVATE + 10 CLIMATE - 8 CLIMATE·ESCS
           + u0 + u1 ESCS + e
    read = 490 + 25 ESCS - 35 OTHERLANG + 20 PRIVATE + 25 GIRL + v0 + e'
    anxiety = -0.5 (math - 480) / 100 + 0.25 GIRL + N(0, 0.3²)_j + N(0, 0.8²)
    ANXk = ν_k + λ_k anxiety + N(0, 0.7²)

Tests measure math and read with errors. What is missing depends on test scores and language. The
plausible values are drawn from what tests and all answers given say of math and read, by Gibbs
sampling at the true parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

FILE = Path(__file__).parent / "assessment.csv"
DECIMALS = 3
SEED = 20260402
SCHOOLS = np.array([1200, 900, 180, 120])  # of the country, by stratum
DRAWN = np.array([44, 40, 18, 18])
PUPILS = 25

SD = np.array([35.0, 16.0, 35.0])  # of u0, u1, v0
SIZE = np.array([0.6, 0.5, 0.6])  # their correlations with size
REST = np.eye(3) - np.outer(SIZE, SIZE)  # covariances of what size does not tell
REST[0, 2] = REST[2, 0] = 0.44
REST[1, [0, 2]] = REST[[0, 2], 1] = 0.0
U = np.diag(SD) @ REST @ np.diag(SD)
MATH = np.array([480.0, 30.0, -25.0, 20.0, 10.0, -8.0])  # 1, ESCS, OTHERLANG, PRIVATE, CLIMATE, ×
READ = np.array([490.0, 25.0, -35.0, 20.0, 25.0])  # 1, ESCS, OTHERLANG, PRIVATE, GIRL
E = 65.0**2 * np.array([[1.0, 0.7], [0.7, 1.0]])
TEST = np.array([50.0, 55.0])  # SD of the tests' errors
LOADINGS = np.array([1.0, 0.9, 1.1, 0.8])
INTERCEPTS = np.array([4.0, 4.5, 3.8, 5.0])
ITEMS = ["ANX1", "ANX2", "ANX3", "ANX4"]
VALUES, BURN_IN, BETWEEN = 10, 50, 15


def drawn_schools(rng: np.random.Generator) -> pd.DataFrame:
    """Systematic draws of each stratum, with chances in proportion to size; neighbours among the
    drawn are a zone."""
    parts = []
    for stratum, (there, drawn) in enumerate(zip(SCHOOLS, DRAWN, strict=True)):
        z = rng.standard_normal(there)
        size = np.maximum(np.round(90.0 * np.exp(0.6 * z)), 30.0)
        chance = drawn * size / size.sum()
        ends = np.cumsum(chance)
        taken = np.searchsorted(ends, rng.random() + np.arange(drawn))
        parts.append(
            pd.DataFrame(
                {
                    "STRATUM": stratum + 1,
                    "PRIVATE": int(stratum > 1),
                    "SCHSIZE": size[taken].astype(int),
                    "W_FSCHWT": 1.0 / chance[taken],
                    "z": z[taken],
                }
            )
        )
    schools = pd.concat(parts, ignore_index=True)
    places = np.arange(len(schools))
    schools["CNTSCHID"] = 10001 + places
    schools["WVARSTRR"], schools["UNIT"] = places // 2 + 1, places % 2 + 1
    rest = rng.standard_normal((len(schools), 3)) @ np.linalg.cholesky(REST).T
    schools[["u0", "u1", "v0"]] = SD * (SIZE * schools[["z"]].to_numpy() + rest)
    schools["CLIMATE"] = 0.3 * schools["PRIVATE"] + rng.standard_normal(len(schools))
    schools["origin"] = 0.3 * schools["PRIVATE"] + 0.35 * rng.standard_normal(len(schools))
    schools["mood"] = 0.3 * rng.standard_normal(len(schools))
    return schools


def drawn_pupils(rng: np.random.Generator, schools: pd.DataFrame) -> pd.DataFrame:
    """Their school, language and weight; some are absent, and the others of their language in the
    school stand for them."""
    parts = []
    for place, size in enumerate(schools["SCHSIZE"]):
        share = 1.0 / (1.0 + np.exp(2.0 - 0.5 * rng.standard_normal()))
        other = int(rng.binomial(size, share))
        twice = int(np.clip(round(PUPILS * 2 * other / (size + other)), min(other, 1), other))
        present = []
        for language, (there, drawn) in enumerate(((size - other, PUPILS - twice), (other, twice))):
            count = max(int(rng.binomial(drawn, 0.92)), min(drawn, 1))
            present += [(place, language, there / max(count, 1))] * count
        parts += present
    pupils = pd.DataFrame(parts, columns=["school", "OTHERLANG", "conditional"])
    pupils["W_FSTUWT"] = pupils["conditional"] * schools["W_FSCHWT"].to_numpy()[pupils["school"]]
    pupils["GIRL"] = rng.integers(0, 2, len(pupils))
    return pupils.drop(columns="conditional")


@dataclass(frozen=True)
class Known:
    """What is known of everybody: the school (its place), and so on, by pupil."""

    school: np.ndarray
    private: np.ndarray
    language: np.ndarray
    girl: np.ndarray

    @classmethod
    def of(cls, schools: pd.DataFrame, pupils: pd.DataFrame) -> Known:
        school = pupils["school"].to_numpy()
        private = schools["PRIVATE"].to_numpy()[school]
        return cls(school, private, pupils["OTHERLANG"].to_numpy(), pupils["GIRL"].to_numpy())

    def sums(self, values: np.ndarray) -> np.ndarray:
        """By school, of each column."""
        columns = values.reshape(len(values), -1).T
        return np.stack([np.bincount(self.school, each) for each in columns], axis=1)

    def math_and_read(
        self, escs: np.ndarray, climate: np.ndarray, effects: np.ndarray
    ) -> np.ndarray:
        """Expected, given ESCS, CLIMATE and (u0, u1, v0) of the schools."""
        one, climate, effects = np.ones(len(escs)), climate[self.school], effects[self.school]
        math = [one, escs, self.language, self.private, climate, climate * escs]
        read = [one, escs, self.language, self.private, self.girl]
        expected = np.stack([np.stack(math, 1) @ MATH, np.stack(read, 1) @ READ], axis=1)
        return expected + effects[:, [0, 2]] + np.outer(effects[:, 1] * escs, [1.0, 0.0])

    def calm(self, math: np.ndarray) -> np.ndarray:
        """Expected anxiety, but for the school's mood."""
        return -0.5 * (math - 480.0) / 100.0 + 0.25 * self.girl


def answered(rng: np.random.Generator, schools: pd.DataFrame, pupils: pd.DataFrame) -> np.ndarray:
    """What a pupil answers, nothing missing; the test scores."""
    known, n = Known.of(schools, pupils), len(pupils)
    escs = schools["origin"].to_numpy()[known.school] - 0.3 * known.language
    escs = escs + 0.85 * rng.standard_normal(n)
    effects = schools[["u0", "u1", "v0"]].to_numpy()
    skill = known.math_and_read(escs, schools["CLIMATE"].to_numpy(), effects)
    skill += rng.standard_normal((n, 2)) @ np.linalg.cholesky(E).T
    anxiety = known.calm(skill[:, 0]) + schools["mood"].to_numpy()[known.school]
    anxiety += 0.8 * rng.standard_normal(n)
    pupils["ESCS"] = escs
    pupils[ITEMS] = INTERCEPTS + np.outer(anxiety, LOADINGS) + 0.7 * rng.standard_normal((n, 4))
    return skill + TEST * rng.standard_normal((n, 2))


def with_holes(
    rng: np.random.Generator, schools: pd.DataFrame, pupils: pd.DataFrame, test: np.ndarray
) -> None:
    """Answers are left out, by test scores and language."""
    low, language = (480.0 - test[:, 0]) / 90.0, pupils["OTHERLANG"].to_numpy()

    def gone(odds: np.ndarray) -> np.ndarray:
        return rng.random(len(odds)) < 1.0 / (1.0 + np.exp(-odds))

    pupils.loc[gone(-1.9 + 1.3 * low + 0.5 * language), "ESCS"] = np.nan
    for k, item in enumerate(ITEMS):
        pupils.loc[gone(-2.6 + 0.2 * k + 0.4 * low + 0.4 * language), item] = np.nan
    school = pupils["school"].to_numpy()
    lowest = np.bincount(school, low) / np.bincount(school)
    schools.loc[gone(-2.7 + 2.0 * lowest), "CLIMATE"] = np.nan


def plausible_values(
    rng: np.random.Generator, schools: pd.DataFrame, pupils: pd.DataFrame, test: np.ndarray
) -> np.ndarray:
    """Draws of math and read given what is known: (values, pupils, 2).

    A sweep draws each unknown given the others, normal all of them: skills, anxiety, the schools'
    moods, (u0, u1, v0) and origins, ESCS and CLIMATE where they are missing.
    """
    known = Known.of(schools, pupils)
    n, J, school = len(pupils), len(schools), known.school
    ones, counts = np.ones(n), np.bincount(school)
    usual = 0.3 * schools["PRIVATE"].to_numpy()  # of origin and CLIMATE
    expected = SD * SIZE * schools[["z"]].to_numpy()  # of u0, u1, v0
    precise, prior = np.linalg.inv(E), np.linalg.inv(U)
    items = pupils[ITEMS].to_numpy()
    seen = ~np.isnan(items)
    items = np.where(seen, items - INTERCEPTS, 0.0) @ LOADINGS / 0.49
    certain = seen @ LOADINGS**2 / 0.49
    pull = np.array([-0.005, 0.0])  # of math and read on anxiety, -0.5 (math - 480) / 100
    of_skill = np.linalg.inv(precise + np.diag(TEST**-2.0) + np.outer(pull, pull) / 0.64)
    spread = np.linalg.cholesky(of_skill)

    def normal(precision: np.ndarray, told: np.ndarray) -> np.ndarray:
        return told / precision + rng.standard_normal(len(told)) / np.sqrt(precision)

    given, given_climate = pupils["ESCS"].to_numpy(), schools["CLIMATE"].to_numpy()
    escs, climate = np.nan_to_num(given), np.nan_to_num(given_climate)
    effects, origin, mood, anxiety = expected, usual, np.zeros(J), np.zeros(n)
    found = []
    for sweep in range(1, BURN_IN + VALUES * BETWEEN + 1):
        told = known.math_and_read(escs, climate, effects) @ precise + test * TEST**-2.0
        told += np.outer(anxiety - known.calm(np.zeros(n)) - mood[school], pull) / 0.64
        skill = told @ of_skill + rng.standard_normal((n, 2)) @ spread.T

        calm = known.calm(skill[:, 0])
        anxiety = normal(1 / 0.64 + certain, (calm + mood[school]) / 0.64 + items)
        mood = normal(1 / 0.09 + counts / 0.64, known.sums(anxiety - calm)[:, 0] / 0.64)

        # of (u0, u1, v0): Σ H'ΩH and Σ H'Ω(skill - what is fixed), H = (1 ESCS 0; 0 0 1)
        left = skill - known.math_and_read(escs, climate, np.zeros((J, 3)))
        H = np.zeros((n, 2, 3))
        H[:, 0, 0], H[:, 0, 1], H[:, 1, 2] = 1.0, escs, 1.0
        HO = H.transpose(0, 2, 1) @ precise
        inverse = np.linalg.inv(known.sums(HO @ H).reshape(J, 3, 3) + prior)
        told = known.sums((HO @ left[:, :, None])[:, :, 0]) + expected @ prior
        effects = (inverse @ told[:, :, None])[:, :, 0]
        draws = rng.standard_normal((J, 3, 1))
        effects = effects + (np.linalg.cholesky(inverse) @ draws)[:, :, 0]

        slopes = (MATH[1] + MATH[5] * climate + effects[:, 1])[school]
        slopes = np.stack([slopes, READ[1] * ones], axis=1)
        at_zero = known.math_and_read(np.zeros(n), climate, effects)
        told = ((skill - at_zero) @ precise * slopes).sum(axis=1)
        told += (origin[school] - 0.3 * known.language) / 0.85**2
        drawn = normal((slopes @ precise * slopes).sum(axis=1) + 0.85**-2, told)
        escs = np.where(np.isnan(given), drawn, given)
        told = known.sums(escs + 0.3 * known.language)[:, 0] / 0.85**2 + usual / 0.35**2
        origin = normal(0.35**-2 + counts / 0.85**2, told)

        slope = MATH[4] + MATH[5] * escs
        left = skill - known.math_and_read(escs, np.zeros(J), effects)
        told = known.sums(slope * (left @ precise[0]))[:, 0] + usual
        drawn = normal(known.sums(slope**2)[:, 0] * precise[0, 0] + 1.0, told)
        climate = np.where(np.isnan(given_climate), drawn, given_climate)

        if sweep > BURN_IN and (sweep - BURN_IN) % BETWEEN == 0:
            found.append(skill)
    return np.stack(found)


def assessment(seed: int = SEED) -> pd.DataFrame:
    """The pupils, a row each; the replicate weights follow from WVARSTRR and UNIT."""
    rng = np.random.default_rng(seed)
    schools = drawn_schools(rng)
    pupils = drawn_pupils(rng, schools)
    test = answered(rng, schools, pupils)
    with_holes(rng, schools, pupils, test)
    values = plausible_values(rng, schools, pupils, test)
    table = pupils.join(
        schools.drop(columns=["u0", "u1", "v0", "z", "origin", "mood"]), on="school"
    )
    table["CNT"] = "SIM"
    table["CNTSTUID"] = 100001 + np.arange(len(table))
    for domain, name in enumerate(("MATH", "READ")):
        for k in range(VALUES):
            table[f"PV{k + 1}{name}"] = values[k, :, domain].round(1)
    order = ["CNT", "STRATUM", "CNTSCHID", "CNTSTUID", "WVARSTRR", "UNIT", "W_FSTUWT", "W_FSCHWT"]
    order += ["SCHSIZE", "PRIVATE", "CLIMATE", "GIRL", "OTHERLANG", "ESCS", *ITEMS]
    order += [*(name for name in table.columns if name.startswith("PV"))]
    return table.loc[:, order]


MADE = {"assessment": assessment}


def main() -> None:
    table = assessment().round(DECIMALS)
    table.to_csv(FILE, index=False, lineterminator="\n")
    print(table.describe().T.round(2).to_string())
    print(f"{FILE.name}: {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
