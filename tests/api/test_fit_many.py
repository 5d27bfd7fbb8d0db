"""`fit_many`: several data sets, imputations in one frame, plausible values."""

from __future__ import annotations

import pickle
from concurrent.futures import Future
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.api.fit_many import is_formula
from mlsem.errors import DataError, DataWarning, MlsemError, OptionValueError
from mlsem.estimation.estimator import Nearby, optimum_of

MODEL = "level: 1; math ~ ses + girl; level: 2; math ~ private"
FORMULA = "math ~ ses + girl + private + (1 | school)"
M = 4


@cache
def pupils() -> pd.DataFrame:
    """Achievement of pupils in schools, with four plausible values of two domains."""
    rng = np.random.default_rng(17)
    schools, size = 50, 5
    school = np.repeat(np.arange(schools), size)
    frame = pd.DataFrame(
        {
            "school": school,
            "private": (np.arange(schools) % 3 == 0)[school].astype(float),
            "ses": rng.normal(size=schools * size) + rng.normal(0, 0.8, schools)[school],
            "girl": rng.integers(0, 2, schools * size).astype(float),
        }
    )
    math = 0.5 * frame["ses"] + frame["private"] + rng.normal(0, 0.6, schools)[school]
    math += rng.normal(size=len(frame))
    read = 0.7 * math + rng.normal(0, 0.7, len(frame))
    for k in range(1, M + 1):
        frame[f"PV{k}MATH"] = math + rng.normal(0, 0.5, len(frame))
        frame[f"PV{k}READ"] = read + rng.normal(0, 0.5, len(frame))
    return frame


def by_hand(**places: str) -> list[pd.DataFrame]:
    return [
        pupils().rename(columns={text.format(k): name for name, text in places.items()})
        for k in range(1, M + 1)
    ]


def long() -> pd.DataFrame:
    """Imputations, the plausible values in the place of imputed ones, one after the other."""
    parts = by_hand(math="PV{}MATH")
    kept = ["school", "private", "ses", "girl", "math"]
    return pd.concat([part[kept].assign(**{".imp": k}) for k, part in enumerate(parts, 1)])


def same(one: mlsem.PooledResult, other: mlsem.PooledResult) -> None:
    np.testing.assert_allclose(one.params, other.params, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(one.vcov(), other.vcov(), rtol=1e-5, atol=1e-9)


# --- imputations ----------------------------------------------------------------------------------


@cache
def expected() -> mlsem.PooledResult:
    fits = [mlsem.fit(MODEL, part, cluster="school") for part in by_hand(math="PV{}MATH")]
    return mlsem.pool(fits)


def test_a_list_a_mapping_and_a_long_frame_are_one() -> None:
    sets = by_hand(math="PV{}MATH")
    same(mlsem.fit_many(MODEL, dict(enumerate(sets)), cluster="school"), expected())
    same(mlsem.fit_many(MODEL, iter(sets), cluster="school"), expected())
    found = mlsem.fit_many(MODEL, long(), cluster="school", imputation=".imp")
    same(found, expected())
    assert found.origin == (("Imputations [.imp]", "4"),)
    assert "Imputations [.imp]" in str(found.summary())


def test_frames_of_other_libraries() -> None:
    polars = pytest.importorskip("polars")
    found = mlsem.fit_many(MODEL, polars.from_pandas(long()), cluster="school", imputation=".imp")
    same(found, expected())
    found = mlsem.fit_many(
        MODEL, polars.from_pandas(pupils()), cluster="school", plausible={"math": "PV{}MATH"}
    )
    same(found, expected())


def test_the_incomplete_data_of_mice_are_left_out() -> None:
    holes = long().query("`.imp` == 1").assign(**{".imp": 0})
    holes.loc[holes["ses"] > 1, "ses"] = np.nan
    frame = pd.concat([holes, long()])
    with pytest.warns(DataWarning, match=r"\.imp = 0 have missing values"):
        found = mlsem.fit_many(MODEL, frame, cluster="school", imputation=".imp")
    assert len(found) == M
    same(found, expected())
    from_zero = long().assign(**{".imp": long()[".imp"] - 1})
    assert len(mlsem.fit_many(MODEL, from_zero, cluster="school", imputation=".imp")) == M


def test_formulas_are_those_of_lmm() -> None:
    sets = by_hand(math="PV{}MATH")
    fits = mlsem.pool([mlsem.lmm(FORMULA, part) for part in sets])
    found = mlsem.fit_many(FORMULA, sets)
    assert isinstance(found[0], mlsem.MixedResult)
    same(found, fits)
    nu = np.mean([fit.covariance.df for fit in fits], axis=0)
    assert np.isnan(nu[-1])
    assert np.isfinite(found.df[:-2]).all()
    ml = mlsem.fit_many(FORMULA, pupils(), plausible={"math": "PV{}MATH"}, REML=False)
    assert ml.settings.estimator == "ML"
    assert not is_formula("y ~ x # (1 | id)\ny ~~ y")
    assert is_formula("y ~ poly(x, 2) + (0 + poly(x, 2) || id)")


# --- plausible values -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (MODEL, ("math",)),
        ("level: 1; ses ~ read + girl; level: 2; ses ~ private", ("read",)),
        ("level: 1; math ~ read + private:read; level: 2; math ~ private", ("math", "read")),
        ("f =~ math + read + ses", ("math", "read")),
        ("math ~ read*private + (1 | school)", ("math", "read")),
    ],
    ids=["outcome", "predictor", "product", "indicator", "formula"],
)
def test_values_stand_anywhere_in_a_model(model: str, names: tuple[str, ...]) -> None:
    """Outcome, predictor, factor of a product, indicator; of a mixed model, too."""
    cluster = "school" if "level" in model else None
    places = {name: f"PV{{}}{name.upper()}" for name in names}
    sets = by_hand(**places)
    found = mlsem.fit_many(model, pupils(), cluster, plausible=places)
    same(found, mlsem.fit_many(model, sets, cluster))
    assert len(found) == M


def test_values_by_pattern_or_one_by_one() -> None:
    names = [f"PV{k}MATH" for k in range(1, M + 1)]
    found = mlsem.fit_many(MODEL, pupils(), cluster="school", plausible={"math": names})
    same(found, expected())
    assert found.origin == (("Plausible values [math]", "PV1MATH … PV4MATH"),)
    assert "PV1MATH … PV4MATH" in str(found.summary())


def test_patterns_go_by_number() -> None:
    frame = pupils().assign(PV10MATH=pupils()["PV1MATH"] + 0.1, PV1MATH2=0.0)
    found = mlsem.fit_many(MODEL, frame, cluster="school", plausible={"math": "PV{}MATH"})
    assert len(found) == M + 1
    ten = mlsem.fit(MODEL, frame.rename(columns={"PV10MATH": "math"}), cluster="school")
    np.testing.assert_allclose(found[M].params, ten.params, rtol=1e-6)


def test_fits_begin_at_the_first_ones_estimates() -> None:
    found = mlsem.fit_many(MODEL, pupils(), cluster="school", plausible={"math": "PV{}MATH"})
    problem, settings = found[1]._estimates.problem, found[1].settings
    usual = optimum_of(problem, settings)
    near = optimum_of(problem, settings, Nearby(found[1].estimates))
    assert near.n_iterations < usual.n_iterations
    nowhere = Nearby(found[1].estimates * np.where(np.arange(6) == 2, -1.0, 1.0))
    assert optimum_of(problem, settings, nowhere).loglik == pytest.approx(usual.loglik, rel=1e-10)


@pytest.mark.parametrize("drawn_for_each", [False, True])
def test_values_in_imputations_are_nested(drawn_for_each: bool) -> None:
    """Values that are the same in all imputations are the outer ones."""
    rng, parts = np.random.default_rng(3), []
    for k in range(3):
        part = pupils().assign(ses=pupils()["ses"] + rng.normal(0, 0.2, len(pupils())), imp=k)
        if drawn_for_each:
            part[[f"PV{j}MATH" for j in range(1, M + 1)]] += rng.normal(0, 0.1, (len(part), M))
        parts.append(part)
    found = mlsem.fit_many(
        MODEL, pd.concat(parts), "school", imputation="imp", plausible={"math": "PV{}MATH"}
    )
    outer = [k for k in range(1, 4) for _ in range(M)] if drawn_for_each else [*range(1, M + 1)] * 3
    assert found.nested == tuple(outer)
    assert len(found) == 12
    same(found, mlsem.pool(list(found), nested=outer))
    one = parts[1].rename(columns={"PV3MATH": "math"})
    alone = mlsem.fit(MODEL, one, cluster="school").params
    np.testing.assert_allclose(found[M + 2].params, alone, rtol=1e-6)


# --- elsewhere ------------------------------------------------------------------------------------


class _OtherProcess:
    """Sends work and results as bytes, as other processes get them, and keeps what was sent."""

    _max_workers = 2

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def submit(self, fn: Any, /, *args: Any) -> Future[Any]:
        self.sent.append(pickle.dumps((fn, args)))
        task, its = pickle.loads(self.sent[-1])
        future: Future[Any] = Future()
        try:
            future.set_result(pickle.loads(pickle.dumps(task(*its))))
        except MlsemError as error:
            future.set_exception(pickle.loads(pickle.dumps(error)))
        return future


@pytest.mark.parametrize("model", [MODEL, FORMULA])
def test_fits_are_the_same_wherever_they_are_made(model: str) -> None:
    cluster = "school" if model == MODEL else None
    wide = [part.assign(unused="n" * 1000) for part in by_hand(math="PV{}MATH")]
    here = mlsem.fit_many(model, wide, cluster)
    there = _OtherProcess()
    found = mlsem.fit_many(model, wide, cluster, backend=there)
    assert str(found.summary()) == str(here.summary())
    np.testing.assert_array_equal(found.vcov(), here.vcov())
    for one, other in zip(found, here, strict=True):
        np.testing.assert_array_equal(one.params, other.params)
    assert len(there.sent) == M - 1
    assert max(map(len, there.sent)) < 30_000, "columns travel that no model needs"
    threads = mlsem.fit_many(model, wide, cluster, n_jobs=2, backend="threading")
    np.testing.assert_array_equal(threads.vcov(), here.vcov())


def test_warnings_and_errors_of_others_come_here() -> None:
    sets = [part.assign(ses=part["ses"].where(part.index > 3)) for part in by_hand(math="PV{}MATH")]
    for how in ({}, {"backend": _OtherProcess()}):
        with pytest.warns(DataWarning, match="4 of 250 rows") as said:
            mlsem.fit_many(MODEL, sets, "school", **how)
        assert [each.filename for each in said] == [__file__] * M
        worse = [*by_hand(math="PV{}MATH"), sets[2].assign(girl="no")]
        with pytest.raises(DataError, match="'girl' is not numeric"):
            mlsem.fit_many(MODEL, worse, "school", **how)
    with pytest.raises(OptionValueError, match="backend='sparc'"):
        mlsem.fit_many(MODEL, sets, "school", backend="sparc")


# --- what is refused ------------------------------------------------------------------------------

COPY = {"PV2MATH": pupils()["PV1MATH"]}
PV = {"math": "PV{}MATH"}


@pytest.mark.parametrize(
    ("changed", "plausible", "model", "said"),
    [
        ({"math": 1.0}, PV, MODEL, "'math'.*is a column of the data already"),
        (
            {},
            {**PV, "read": ["PV1READ", "PV2READ"]},
            MODEL + " + read",
            "'math' has 4, 'read' has 2",
        ),
        (COPY, PV, MODEL, "'PV1MATH' and 'PV2MATH'.*same value in every row"),
        ({}, PV, MODEL.replace("private", "PV2MATH"), "'PV2MATH', one of the 4 plausible values"),
        ({}, {"sci": "PV{}MATH"}, MODEL, "'sci', which the model does not name"),
        ({}, {"math": "PV{}MAT"}, MODEL, "PV1MAT, or with another.*Did you mean 'PV1MATH'"),
        ({}, {"math": "PVMATH"}, MODEL, "has {} once"),
        ({}, {"math": "PV{}{}"}, MODEL, "has {} once"),
        ({}, {"math": ["PV1MATH"]}, MODEL, "has one column"),
        ({}, {"math": ["PV1MATH", "PV9MATH"]}, MODEL, "PV9MATH.*no such column.*Did you mean"),
        ({}, {"math": ["PV1MATH", "PV1MATH"]}, MODEL, "twice"),
        ({}, {"math": 3}, MODEL, "it takes plausible="),
        ({}, "PV{}MATH", MODEL, "for each variable"),
        ({"PV01MATH": 1.0}, PV, MODEL, "'PV1MATH' and 'PV01MATH' have the same number"),
    ],
)
def test_plausible_values_that_are_wrong(
    changed: dict[str, Any], plausible: Any, model: str, said: str
) -> None:
    frame = pupils().assign(**changed)
    with pytest.raises((DataError, OptionValueError), match=said):
        mlsem.fit_many(model, frame, cluster="school", plausible=plausible)


def test_data_sets_that_are_none() -> None:
    sets = by_hand(math="PV{}MATH")
    uneven = long().iloc[:-3]
    gone = long().reset_index(drop=True).astype({".imp": float})
    gone.loc[7, ".imp"] = np.nan
    for data, keywords, said in (
        (sets[0], {}, "takes several data sets"),
        (sets[:1], {}, "there is one: use fit"),
        ([], {}, "empty list"),
        (sets, {"imputation": ".imp"}, "data is a list"),
        (long(), {"imputation": "imp"}, "imp"),
        (long(), {"imputation": 3}, "name of the column"),
        (uneven, {"imputation": ".imp"}, "4: 247"),
        (gone, {"imputation": ".imp"}, "missing in row 7"),
        (long().query("`.imp` == 1"), {"imputation": ".imp"}, "has one value"),
        (sets, {"REML": True}, 'estimator="REML"'),
        (sets, {"cluter": "school"}, "cluter"),
    ):
        with pytest.raises(MlsemError, match=said):
            mlsem.fit_many(MODEL, data, **({"cluster": "school"} | keywords))
    with pytest.raises(OptionValueError, match="the formula names its clusters"):
        mlsem.fit_many(FORMULA, sets, cluster="school")


def test_one_value_beside_its_siblings_is_said() -> None:
    said = r'(?s)PV1MATH.*one of 4 plausible values.*plausible=\{"math": "PV\{\}MATH"\}'
    model = MODEL.replace("math", "PV1MATH")
    with pytest.warns(DataWarning, match=said):
        mlsem.fit(model, pupils(), cluster="school")
    with pytest.warns(DataWarning, match=said):
        mlsem.lmm(FORMULA.replace("math", "PV1MATH"), pupils())
    alone = pupils()[["school", "private", "ses", "girl", "PV1MATH"]]
    mlsem.fit(model, alone, cluster="school")  # it has no siblings there
    items = pupils().rename(columns={"PV1MATH": "y1", "PV2MATH": "y2", "PV3MATH": "y3"})
    mlsem.fit("f =~ y1 + y2 + y3", items)  # items of a test are none
