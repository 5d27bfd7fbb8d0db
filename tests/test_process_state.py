"""What belongs to the whole process stays as it is, also with many threads at once."""

from __future__ import annotations

import ast
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import matplotlib
import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.api.reading import Reading
from mlsem.errors import MlsemWarning, warn, without_warnings
from mlsem.report.figures.style import style
from mlsem.simulation.study.methods import analyse, read_methods
from tests.fuzz.frames import good
from tests.fuzz.guard import state

PACKAGE = Path(__file__).parents[1] / "mlsem"
OFTEN = 12
TWO = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"
# Names whose use would change the process. The command may collect warnings, for it is the process;
# matplotlib takes a style from nowhere else, so that one place lends it ours, one thread at a time.
FORBIDDEN = {
    *("catch_warnings", "simplefilter", "filterwarnings", "resetwarnings", "showwarning"),
    *("seterr", "seterrcall", "set_printoptions", "set_option", "setlocale", "setcontext"),
    *("rcParams", "rc_context", "switch_backend", "pyplot", "setrecursionlimit", "chdir", "umask"),
    *("set_state", "RandomState", "putenv", "setswitchinterval", "basicConfig"),
}
ALLOWED = {
    ("cli/terminal.py", "catch_warnings"),
    ("cli/terminal.py", "simplefilter"),
    ("report/figures/style.py", "rc_context"),
}


def used(file: Path) -> set[str]:
    """Names and attributes in a module, and `random.seed` in any spelling."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
            if node.attr == "seed" and ast.unparse(node.value).endswith("random"):
                found.add("random.seed")
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found |= {name.name.rpartition(".")[2] for name in node.names}
    return found


def test_no_code_touches_the_process():
    wrong = {
        (str(file.relative_to(PACKAGE)), name)
        for file in PACKAGE.rglob("*.py")
        for name in used(file) & (FORBIDDEN | {"random.seed"})
    }
    assert wrong - ALLOWED == set()


def test_errstate_stands_in_a_with():
    """`numpy.errstate` is entered and left by `with`, never kept."""
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        inside = {
            id(item.context_expr)
            for node in ast.walk(tree)
            if isinstance(node, ast.With)
            for item in node.items
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("errstate"):
                assert id(node) in inside, f"{file}:{node.lineno}"


def analyses(number: int) -> list[str]:
    """What a user does in a thread, as text; overflows and missing standard errors among it."""
    data = good(np.random.default_rng(number))
    fits = [
        mlsem.fit(TWO, data, "id", estimator="MLR"),
        mlsem.lmm("y ~ x1 + np.exp(9*x1) + (1 | id)", data) if number % 2 else None,
        mlsem.lmm("y ~ scale(x1)*w1 + (x1 | id)", data),
        mlsem.fit(TWO, data.assign(x1=data["x1"] * 1e150), "id"),
    ]
    return [str(fit and fit.summary()) for fit in fits]


def test_eight_threads_leave_everything_as_it_was():
    data = good(np.random.default_rng(0))
    mlsem.lmm("y ~ x1 + (1 | id)", data)  # what is imported late comes now
    analyses_before = [caught(number) for number in range(OFTEN)]
    before, filters = state(), list(warnings.filters)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        inside = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            after = list(pool.map(analyses, list(range(OFTEN)) * 2))
        assert warnings.filters == inside
    assert after == analyses_before * 2
    assert {each.category for each in seen if not issubclass(each.category, MlsemWarning)} == set()
    assert state() == before
    assert warnings.filters == filters


def test_figures_of_many_threads_leave_the_users_style_as_it_was():
    """A style that is given back in another order than it was taken would stay."""
    taken = Barrier(2)

    def draw(first: bool) -> None:
        if first:
            with style({"font.size": 3.0}):
                taken.wait()  # the other asks for it now, and must not have it
                time.sleep(0.05)
        else:
            taken.wait()
            with style({"font.size": 4.0}):
                time.sleep(0.1)

    with style():
        pass  # what is imported late comes now
    before = dict(matplotlib.rcParams)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(draw, (True, False)))
    assert dict(matplotlib.rcParams) == before


def caught(number: int) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return analyses(number)


def test_numpy_set_to_raise_changes_nothing():
    """A user's own `np.seterr(all="raise")` is for the user's own code."""
    data = good(np.random.default_rng(1), clusters=40)
    expected = caught(1)
    with np.errstate(all="raise"):
        assert caught(1) == expected
        fit = mlsem.fit(TWO, data, "id")
        fit.conf_int(ci="profile")
        assert np.geterr()["over"] == "raise"


def test_warnings_are_silent_in_one_thread_only():
    def other(_: int) -> int:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            warn("heard", MlsemWarning)
        return len(seen)

    with without_warnings():
        warn("not heard", MlsemWarning)
        with ThreadPoolExecutor(1) as pool:
            assert list(pool.map(other, [0])) == [1]
    with pytest.warns(MlsemWarning, match="heard"):
        warn("heard", MlsemWarning)


def test_a_study_is_silent_about_its_own_fits():
    data = good(np.random.default_rng(2))
    few = {"model": TWO, "cluster": "id", "max_iter": 1}

    def own(frame: pd.DataFrame) -> mlsem.FitResult:
        warnings.warn("the user's own", UserWarning, stacklevel=1)
        return mlsem.fit(TWO, frame, "id")

    found = analyse(read_methods({"few": few}), Reading(data))
    assert not found["few"].converged
    with pytest.warns(UserWarning, match="the user's own"):
        analyse(read_methods({"own": own}), Reading(data))


def test_warnings_show_the_line_that_called():
    data = good(np.random.default_rng(3))
    for call in (
        lambda: mlsem.fit(TWO, data, "id", max_iter=1),
        lambda: mlsem.sem(TWO, data, "id", max_iter=1),
        lambda: mlsem.lmm("y ~ x1 + (1 | id)", data, test="z"),  # of few clusters
        lambda: mlsem.fit("level: 1\n y ~ x1 + w1*x1\nlevel: 2\n y ~ w1", data, "id"),
        lambda: mlsem.check("level: 1\n y ~ w1*x1\nlevel: 2\n y ~ w1", data),
    ):
        with pytest.warns(MlsemWarning) as seen:
            call()
        assert {each.filename for each in seen} == {__file__}
