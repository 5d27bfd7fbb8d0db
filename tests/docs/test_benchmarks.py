"""The page of benchmarks says what was measured, and what is measured is what it says."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from benchmarks import common, figures, grid, grid_tables, page, peers
from benchmarks.designs import SERIES, Design, designs_of, exponent, foreseen

AGAIN = "run python -m benchmarks.page"
SMALL = Design(50, 10)
FEW_CLUSTERS = pytest.mark.filterwarnings("ignore:far fewer effective clusters")


# --- the page -------------------------------------------------------------------------------------


def test_the_page_has_what_was_measured() -> None:
    text = page.PAGE.read_text("utf-8")
    assert [name for _, name, _ in page.MADE.findall(text)] == [*page.BLOCKS]
    assert page.filled(text) == text, AGAIN


def test_the_tables_of_all_programs_have_what_was_measured() -> None:
    text = (page.RESULTS / "grid.md").read_text("utf-8")
    assert grid_tables.grid_text(page.result("grid")).rstrip() + "\n" == text


@pytest.mark.parametrize(
    ("figure", "names"),
    [("time", ["grid"]), ("memory", ["grid"]), ("engines", ["engines", "engines_once"])],
)
def test_figures_are_of_what_was_measured(figure: str, names: list[str]) -> None:
    text = (page.FIGURES / f"benchmarks_{figure}.svg").read_text("utf-8")
    assert page.source(*names) in text, AGAIN


@pytest.fixture(autouse=True)
def _no_other_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "has_r", lambda *packages: False)


def _measured(times: dict[str, float], growth: float = 1.0) -> dict[str, Any]:
    """What `grid` would save if programs took these times at the smallest design."""
    runs = {
        (name, design): {"cpu": t * (design.rows / 500) ** growth, "memory": 10.0, "wall": t}
        for name, t in times.items()
        for design in designs_of(["J10"])
    }
    return grid.as_data(runs, [*times], limit=15.0)


def test_where_another_program_is_faster_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"mlsem, MLR": 2e-3, "mlsem": 2e-3, "lme-python, CR0": 5e-4, "lme4": 3e-3}
    monkeypatch.setattr(page, "result", lambda name: _measured(times))
    said = page.verdict_block()
    assert "Of 4 designs mlsem is the fastest program" in said
    assert "errors at 0. It is not at 50 × 10 (lme-python, CR0: 0.5 ms, 4 times as fast), " in said
    assert "model-based" not in said  # lme4 is slower
    monkeypatch.setattr(page, "result", lambda name: _measured({**times, "lme-python, CR0": 1.0}))
    assert page.verdict_block().endswith("cluster-robust errors at 4.")


def test_the_page_is_written_where_there_is_no_r(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = page.result

    def without_r(name: str) -> Any:
        data = saved(name)
        if name in ("speed", "robust", "mixed"):
            for case in data["cases"]:
                for program in ("lavaan", "lme4", "clubSandwich"):
                    case.pop(program, None)
        if name == "grid":
            data["runs"] = [run for run in data["runs"] if run["peer"][:5] == "mlsem"]
        return data

    monkeypatch.setattr(page, "result", without_r)
    said = {name: block() for name, block in page.BLOCKS.items()}
    assert said["lavaan"].count("| – | – |") == len(saved("speed")["cases"])
    assert "clubSandwich" not in said["others"]
    assert "lme4" not in said["others"]
    assert "It is not at" not in said["verdict"]
    assert "| none | – |" in said["peers"]


def test_the_exponent_is_that_of_the_last_three() -> None:
    times = _measured({"mlsem, MLR": 2e-3}, growth=0.75)
    runs = grid_tables.runs_of(times)
    found = grid_tables.points("mlsem, MLR", SERIES["J10"], runs, "cpu")
    assert grid_tables.growth(found) == "0.75 (1,000 to 100,000)"
    assert grid_tables.growth([(1, 5.0), (2, 1.0), (4, 4.0), (8, 16.0)]) == "2.00 (2 to 8)"
    assert grid_tables.growth(found[:1]) == "–"


def test_names_in_a_figure_do_not_meet() -> None:
    assert figures.apart([0.1, 0.5], 0.1) == pytest.approx([0.1, 0.5])
    assert figures.apart([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert figures.apart([0.98, 0.99], 0.1) == pytest.approx([0.9, 1.0])


# --- what is measured -----------------------------------------------------------------------------


def test_a_program_does_not_run_where_it_would_take_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(grid, "measured", lambda *given: asked.append(given) or {"wall": 1.0})
    ten = SERIES["J10"].designs
    runs: grid_tables.Runs = {("lme4", ten[0]): {"cpu": 0.1}, ("lme4", ten[1]): {"cpu": 4.0}}
    slope = np.log(40) / np.log(20)
    assert grid.one("lme4", ten[2], runs, 15.0) == {"foreseen": pytest.approx(4 * 10**slope)}
    assert asked == []
    assert grid.one("lme4", ten[2], runs, 100.0) == {"wall": 1.0}
    runs["lme4", ten[2]] = {"error": "no memory"}
    assert grid.one("lme4", ten[3], runs, 1e9) == {"error": "no memory"}
    assert len(asked) == 1


def test_growth_that_fixed_costs_hide_is_foreseen() -> None:
    assert exponent([(1, 3.0), (2, 12.0)]) == pytest.approx(2.0)
    assert foreseen([(1, 3.0), (2, 12.0)], 4) == pytest.approx(48.0)
    assert foreseen([(1, 3.0), (2, 3.1)], 4) == pytest.approx(6.2)
    assert foreseen([(1, 3.0)], 4) == 0.0


@FEW_CLUSTERS
@pytest.mark.parametrize(
    "name",
    ["mlsem, MLR", "mlsem, CR2", "mlsem", pytest.param("statsmodels", marks=pytest.mark.slow)],
)
def test_programs_answer_the_same_question(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "BUDGET", 0.0)
    design = Design(50, 10, predictors=2)
    record = peers.timed(name, design)
    assert set(design.terms) <= set(record["estimates"]) & set(record["errors"])
    found = grid.compared(record, grid.answers(design), peers.PEERS[name].errors)
    assert found["estimates apart"] < 1e-5
    assert found.get("errors apart", 0.0) < 1e-12
    assert found["cpu"] > 0


@FEW_CLUSTERS
def test_another_answer_is_seen() -> None:
    truth = grid.answers(SMALL)
    shifted = {name: value + truth["MLR"][name] for name, value in truth["estimates"].items()}
    doubled = {name: 2 * value for name, value in truth["CR2"].items()}
    found = grid.compared({"estimates": shifted, "errors": doubled}, truth, "CR2")
    assert found == {"estimates apart": pytest.approx(1.0), "errors apart": pytest.approx(1.0)}


def test_what_other_languages_are_given(tmp_path: Any) -> None:
    peers._write(SMALL, tmp_path / "whole")
    data = SMALL.data()
    assert (tmp_path / "whole" / "columns.txt").read_text().split() == [*data, "int"]
    product = np.fromfile(tmp_path / "whole" / "int.f64")
    assert np.array_equal(product, data["w1"] * data["x1"])
    assert "y ~ x1 + int" in (tmp_path / "whole" / "model.lav").read_text()


def test_a_failure_is_told_by_the_line_that_says_it() -> None:
    said = (
        "memory allocation failed\nstack backtrace:\n   0: main\n         at x.rs:1\nnote: more\n"
    )
    code = f"import sys; sys.stderr.write({said!r}); sys.exit(1)"
    assert common.run([sys.executable, "-c", code]) == {"error": "memory allocation failed"}
    assert common.run([sys.executable, "-c", "raise SystemExit(3)"]) == {"error": "exit code 3"}
    assert common.run([sys.executable, "-c", "print(1); print('[2]')"]) == [2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells memory")
def test_memory_is_the_peak_of_a_call() -> None:
    peak = common.beyond(lambda: np.ones(8_000_000).sum())  # freed at the end
    assert peak == pytest.approx(8 * 8e6 / 2**20, rel=0.2)
