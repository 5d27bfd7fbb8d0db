"""Studies: the same whatever the processes and interruptions, and right in what they count."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.api.reading import Reading
from mlsem.errors import DataError, EstimationError, OptionValueError
from mlsem.simulation.article import data as article
from mlsem.simulation.draw.rstream import RStream
from mlsem.simulation.study.methods import analyse, read_methods
from mlsem.simulation.study.run import study
from mlsem.simulation.study.sources import InOrder

DATA = "level: 1\n y ~ 0.5*x1\n y ~~ 1*y\nlevel: 2\n y ~ 0.3*w1\n y ~~ 1*y"
MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"
DESIGN = (DATA, {"n_clusters": 20, "cluster_size": 4})
ML = {"model": MODEL, "cluster": "id"}
MODELS = {"ML": ML, "MLR": ML | {"estimator": "MLR"}, "CR2": ML | {"se": "CR2"}}


@pytest.fixture(scope="module")
def small():
    return study(DESIGN, MODELS, 12, seed=1, progress=False)


def drawn(rng):
    w1, u = np.repeat(rng.normal(size=(2, 20)), 4, axis=1)
    x1, e = rng.normal(size=(2, 80))
    y = 0.5 * x1 + 0.3 * w1 + u + e
    return pd.DataFrame({"id": np.repeat(np.arange(20), 4), "x1": x1, "w1": w1, "y": y})


def numbered(number):
    return drawn(np.random.default_rng(number))


@pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")
def test_each_replication_is_a_fit(small):
    data = mlsem.simulate(*DESIGN[:1], **DESIGN[1], seed=np.random.SeedSequence(1).spawn(12)[7])
    table = small.estimates
    for name, options in MODELS.items():
        fit = mlsem.fit(
            options["model"], data, **{k: v for k, v in options.items() if k != "model"}
        )
        rows = table[(table["model"] == name) & (table["replication"] == 7)].set_index("parameter")
        assert rows["converged"].all()
        assert list(rows.index) == list(fit.params.index)
        np.testing.assert_allclose(rows["est"], fit.params, rtol=1e-13)
        np.testing.assert_allclose(rows["se"], fit.bse, rtol=1e-13)
        np.testing.assert_allclose(rows["df"], fit.covariance.df, rtol=1e-13)


def test_summary(small):
    table, estimates = small.summary, small.estimates
    row = table[(table["model"] == "CR2") & (table["parameter"] == "y~w1.l2")].iloc[0]
    each = estimates[(estimates["model"] == "CR2") & (estimates["parameter"] == "y~w1.l2")]
    assert (row["n"], row["failures"], row["truth"]) == (12, 0, 0.3)
    assert row["mean"] == pytest.approx(each["est"].mean())
    assert row["bias"] == pytest.approx(each["est"].mean() - 0.3)
    assert row["sd"] == pytest.approx(each["est"].std())
    assert row["mean_se"] == pytest.approx(each["se"].mean())
    assert row["se_bias"] == pytest.approx(each["se"].mean() / each["est"].std() - 1)
    assert row["mc_mean"] == pytest.approx(each["est"].std() / np.sqrt(12))
    from scipy import stats

    width = stats.t.ppf(0.975, each["df"]) * each["se"]
    assert row["coverage"] == pytest.approx(((each["est"] - 0.3).abs() <= width).mean())
    assert row["rejection"] == pytest.approx((each["est"].abs() > width).mean())


def test_monte_carlo_errors_are_right():
    """The spread of each measure over many studies is what a study says of it."""
    from mlsem.simulation.study.performance import performance

    rng = np.random.default_rng(1)
    found = []
    for _ in range(1500):
        est = rng.normal(size=(60, 1))
        se = np.sqrt(rng.chisquare(8, size=(60, 1)) / 8)
        df = np.full((60, 1), 8.0)
        found.append(performance(est, se, df, np.zeros(1), 0.9))
    for name in ("mean", "sd", "mean_se", "se_bias", "coverage", "rejection"):
        spread = np.std([float(each[name][0]) for each in found])
        said = np.mean([float(each[f"mc_{name}"][0]) for each in found])
        assert said == pytest.approx(spread, rel=0.08), name
    assert np.mean([each["coverage"] for each in found]) == pytest.approx(0.9, abs=0.01)


def test_methods_that_share_a_fit_get_what_they_get_alone():
    data = article.article_data(5)
    models = {
        "z": ML | {"se": "CR2", "test": "z"},
        "none": ML | {"se": "none"},
        "single": {"model": "y ~ x1", "cluster": "id"},
        "plain": {"model": "y ~ x1", "cluster": "id", "se": "standard"},
        "lmm": {"formula": "y ~ x1 + w1 + (1 | id)", "REML": False},
        "lmm CR2": {"formula": "y ~ x1 + w1 + (1 | id)", "REML": False, "se": "CR2"},
        "lmm again": {"formula": "y ~ x1 + w1 + (1 | id)", "REML": False},
    }
    together = analyse(read_methods(MODELS | models), Reading(data))
    for name, options in (MODELS | models).items():
        alone = analyse(read_methods({name: options}), Reading(data))[name]
        assert list(together[name].parameters) == list(alone.parameters)
        np.testing.assert_allclose(
            list(together[name].parameters.values()), list(alone.parameters.values()), rtol=1e-12
        )


def test_processes_change_nothing(small):
    for backend in (None, "loky"):
        again = study(DESIGN, MODELS, 12, seed=1, n_jobs=2, backend=backend, progress=False)
        assert small.estimates.equals(again.estimates)


def test_an_interrupted_study_goes_on(small, tmp_path):
    file = tmp_path / "study.jsonl"
    study(DESIGN, MODELS, 9, seed=1, file=file, progress=False)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:3] + lines[5:8]) + lines[8][:40])  # some lost, one cut off
    again = study(DESIGN, MODELS, 12, file=file, progress=False)
    assert again.seed == 1
    assert again.estimates.equals(small.estimates)
    numbers = [json.loads(line)["replication"] for line in file.read_text().splitlines()[1:]]
    assert sorted(numbers) == list(range(12))
    before = file.read_bytes()
    assert study(DESIGN, MODELS, 12, file=file).estimates.equals(small.estimates)
    assert file.read_bytes() == before


def test_an_interruption_loses_only_what_was_under_way(tmp_path):
    file = tmp_path / "study.jsonl"

    def stops(number):
        if number == 5:
            raise KeyboardInterrupt
        return numbered(number)

    def interrupted():
        return study(stops, {"ML": ML}, 8, seed=1, file=file, progress=False)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(file.read_text().splitlines()) == 1 + 5


def test_files_of_other_studies(tmp_path):
    file = tmp_path / "study.jsonl"
    study(DESIGN, MODELS, 2, seed=1, file=file, progress=False)
    with pytest.raises(DataError, match="differs in seed"):
        study(DESIGN, MODELS, 2, seed=2, file=file)
    with pytest.raises(DataError, match="differs in models"):
        study(DESIGN, {"ML": ML}, 2, seed=1, file=file)
    with pytest.raises(DataError, match="differs in generator"):
        study((DATA, {"n_clusters": 21, "cluster_size": 4}), MODELS, 2, seed=1, file=file)
    file.write_text(file.read_text().replace('"replication"', '"repl"', 1))
    with pytest.raises(DataError, match="line 2, is damaged"):
        study(DESIGN, MODELS, 2, seed=1, file=file)
    file.write_text("id,y\n1,2\n")
    with pytest.raises(DataError, match="is not a study"):
        study(DESIGN, MODELS, 2, seed=1, file=file)


def test_a_file_is_of_its_functions(tmp_path):
    def method(se):
        return lambda data: mlsem.fit(MODEL, data, cluster="id", se=se)

    def run(name, generator, model):
        return study(generator, {"f": model}, 2, seed=1, file=tmp_path / name, progress=False)

    first = run("methods", drawn, method("MLR"))
    assert run("methods", drawn, method("MLR")).estimates.equals(first.estimates)
    with pytest.raises(DataError, match=r"models \('f', whose function is not the same\)\. Give"):
        run("methods", drawn, method("CR1"))
    with pytest.raises(DataError, match=r"A function counts as changed when its code"):
        run("methods", drawn, lambda data: mlsem.fit(MODEL, data, cluster="id"))
    with pytest.raises(DataError, match="generator, whose function is not the same"):
        run("methods", lambda rng: drawn(rng), method("MLR"))
    run("names", drawn, ML | {"names": {"y~x1": "a"}})
    with pytest.raises(DataError, match=r"models \('f'\)"):
        run("names", drawn, ML | {"names": {"y~x1": "b"}})
    spread = {"heteroscedastic": {"y": lambda seen: 1 + seen["x1"] ** 2}}
    run("spread", (DATA, DESIGN[1] | spread), ML)
    run("spread", (DATA, DESIGN[1] | spread), ML)
    other = {"heteroscedastic": {"y": lambda seen: 2 + seen["x1"] ** 2}}
    with pytest.raises(DataError, match="differs in generator"):
        run("spread", (DATA, DESIGN[1] | other), ML)


@pytest.mark.filterwarnings("ignore:.*clusters are few.*:mlsem.InferenceWarning")
def test_generators_of_several_kinds():
    by_rng = study(drawn, {"ML": ML}, 3, seed=4, progress=False)
    seeds = np.random.SeedSequence(4).spawn(3)
    fits = [mlsem.fit(MODEL, drawn(np.random.default_rng(s)), cluster="id") for s in seeds]
    np.testing.assert_allclose(by_rng.methods[0].est, [fit.params for fit in fits], rtol=1e-13)
    by_number = study(numbered, {"ML": ML}, 3, seed=4, progress=False)
    expected = mlsem.fit(MODEL, numbered(2), cluster="id").params
    np.testing.assert_allclose(by_number.methods[0].est[2], expected, rtol=1e-13)


@pytest.mark.filterwarnings("ignore:.*clusters are few.*:mlsem.InferenceWarning")
def test_one_stream_in_order(tmp_path):
    def draw(stream):
        return article.article_data(stream, 15, 4)

    found = study(InOrder(draw, 7), {"ML": ML}, 6, progress=False)
    stream = RStream(7)
    fits = [mlsem.fit(MODEL, draw(stream), cluster="id") for _ in range(6)]
    np.testing.assert_allclose(found.methods[0].est, [fit.params for fit in fits], rtol=1e-13)
    file = tmp_path / "study.jsonl"
    study(InOrder(draw, 7), {"ML": ML}, 3, file=file, progress=False)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2] + lines[3:]))
    again = study(InOrder(draw, 7), {"ML": ML}, 6, file=file, n_jobs=2, progress=False)
    assert again.estimates.equals(found.estimates)


def test_failures_are_counted():
    def fails(data):
        if data["y"].iloc[0] > 0.5:
            raise EstimationError("no: start\nfurther lines")
        return mlsem.fit(MODEL, data, cluster="id")

    def lost(data):
        converged = bool(data["y"].iloc[0] > 0)
        return SimpleNamespace(params={"b": 1.0}, bse={"b": 0.5}, df={"b": 4}, converged=converged)

    first = [numbered(k)["y"].iloc[0] for k in range(10)]
    found = study(numbered, {"fails": fails, "lost": lost}, 10, seed=1, progress=False)
    fails_, lost_ = found.methods
    assert fails_.reasons == {"EstimationError": sum(y > 0.5 for y in first)}
    assert lost_.reasons == {"did not converge": sum(y <= 0 for y in first)}
    table = found.summary.groupby("model")[["n", "failures"]].first()
    assert (table["n"] + table["failures"] == 10).all()
    assert "Failures of fails" in str(found)
    assert np.isnan(fails_.est[np.array(first) > 0.5]).all()
    assert (lost_.df == 4).all()


def test_what_a_function_raises_is_counted():
    def odd(data):
        if data["y"].iloc[0] > 0.5:
            raise ValueError("an odd\nlong story")
        if data["y"].iloc[0] > 0.3:
            raise OptionValueError("not here")
        return mlsem.fit(MODEL, data, cluster="id")

    first = np.array([numbered(k)["y"].iloc[0] for k in range(30)])
    assert first[0] <= 0.3
    found = study(numbered, {"ML": ML, "odd": odd}, 30, seed=1, progress=False)
    ml, odd_ = found.methods
    assert not ml.reasons
    expected = {"ValueError": (first > 0.5).sum(), "OptionValueError": 0}
    expected["OptionValueError"] = ((first > 0.3) & (first <= 0.5)).sum()
    assert odd_.reasons == {name: count for name, count in expected.items() if count}
    assert odd_.messages["ValueError"] == "an odd"
    assert "odd, the first ValueError: an odd" in str(found)


def test_a_method_that_always_fails_is_explained():
    found = study(DESIGN, {"ML": ML, "no": {"model": MODEL}}, 4, seed=1, progress=False)
    text = str(found)
    assert "no, the first DataError: a model with two levels needs the column" in " ".join(
        text.split()
    )
    assert "\nno:" not in text  # a table without rows
    assert "SE bias" in text
    assert found._repr_html_()


def never(number):
    return None


def refuses(data):
    raise KeyError("x9")


@pytest.mark.parametrize(
    ("generator", "models", "message"),
    [
        (DESIGN, {"ML": {"model": MODEL}}, r"first 3 data sets\. models\['ML'\]: DataError: a mod"),
        (DESIGN, {"a": refuses, "b": refuses}, r"\['a'\]: KeyError: 'x9'; models\['b'\]: Key"),
        (never, {"ML": ML}, "generator: it returned None in replication 0"),
        (InOrder(never, 1), {"ML": ML}, "generator: it returned None"),
    ],
)
def test_what_cannot_work_is_refused_at_once(generator, models, message):
    with pytest.raises(OptionValueError, match=message):
        study(generator, models, 500, seed=1, progress=False)


def test_a_refused_study_leaves_its_file_free(tmp_path):
    file = tmp_path / "study.jsonl"
    with pytest.raises(OptionValueError, match="no method"):
        study(DESIGN, {"ML": {"model": MODEL}}, 3, file=file, progress=False)
    study(DESIGN, {"ML": ML}, 3, file=file, progress=False)
    assert len(file.read_text().splitlines()) == 1 + 3


def test_chance_does_not_stop_a_study():
    def rarely(data):
        raise EstimationError("no luck")

    found = study(numbered, {"rarely": rarely}, 5, seed=1, progress=False)
    assert found.methods[0].reasons == {"EstimationError": 5}
    assert "the first EstimationError: no luck" in str(found)
    assert len(found.summary) == len(found.estimates) == 0


def test_a_generator_that_fails_names_the_replication():
    def stops(number):
        if number == 2:
            raise RuntimeError("at two")
        return numbered(number)

    with pytest.raises(RuntimeError, match="at two") as caught:
        study(stops, {"ML": ML}, 4, seed=1, progress=False)
    assert "replication 2" in caught.value.__notes__[0]


def test_files_that_cannot_be(tmp_path):
    for path, message in (
        (tmp_path / "none" / "x.jsonl", "There is no folder"),
        (tmp_path, "cannot be read and written"),
        ("a\0b", "cannot be read and written"),
    ):
        with pytest.raises(DataError, match=message):
            study(DESIGN, {"ML": ML}, 2, seed=1, file=path, progress=False)
    for path in (3, b"x", ""):
        with pytest.raises(OptionValueError, match=r"file=.*takes the path"):
            study(DESIGN, {"ML": ML}, 2, seed=1, file=path, progress=False)


def test_parameters_names_and_definitions():
    model = "level: 1\n y ~ a*x1\nlevel: 2\n y ~ b*w1\nd := a - b"
    entry = {"model": model, "cluster": "id", "names": {"a": "x1", "b": "w1"}}
    found = study(
        DESIGN, {"one": entry}, 3, seed=1, parameters=["d", "x1"], truth={"d": 0.2}, progress=False
    )
    assert found.methods[0].parameters == ("x1", "d")
    assert found.summary.set_index("parameter")["truth"].to_dict()["d"] == 0.2


def test_it_prints_and_shows(small):
    text = str(small)
    assert "Monte Carlo study" in text
    assert "CR2:" in text
    assert "SE bias" in small._repr_html_()
    assert repr(small) == text


def test_plot(small):
    pytest.importorskip("matplotlib")
    figure = small.plot()
    [axes] = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(small.methods[0].parameters)
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator": 1}, "generator: it takes"),
        ({"generator": (DATA, {"cluster_size": 4, "seed": 1})}, "without seed"),
        ({"models": {}}, "models: it takes"),
        ({"models": {"a": {"cluster": "id"}}}, r"models\['a'\]: it takes"),
        ({"models": {"a": ML | {"se": "CR9"}}}, r"models\['a'\]: se='CR9'"),
        ({"models": {"a": ML | {"sse": "CR2"}}}, r"models\['a'\]: Unknown option 'sse'"),
        ({"models": {"a": {"model": "y ~"}}}, r"models\['a'\]: line 1"),
        ({"models": {"a": lambda data: 1}}, "returned a int"),
        ({"replications": 0}, "replications=0"),
        ({"level": 95}, "level=95"),
        ({"seed": -1}, "seed=-1"),
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"backend": "cloud"}, "backend='cloud'"),
        ({"truth": {"y~x2": 1.0}}, "truth: no method has a parameter 'y~x2'. Did you mean"),
        ({"truth": {"y~x1": "a"}}, r"truth\['y~x1'\]='a' is not a number"),
        ({"truth": {"y~x1": np.inf}}, "not a finite number"),
        ({"truth": [1]}, r"truth=\[1\]: it takes a mapping"),
        ({"parameters": []}, "at least one"),
        ({"parameters": 3}, "parameters=3: it takes names"),
        ({"parameters": [1]}, r"parameters=\[1\]: it takes names"),
        ({"parameters": ["y~x3"]}, "parameters: no method has"),
    ],
)
def test_refusals(change, message):
    arguments = {"generator": DESIGN, "models": {"ML": ML}, "replications": 4, "seed": 1} | change
    with pytest.raises(OptionValueError, match=message):
        study(**arguments, progress=False)
