"""A warning names the line of the user's that led to it, however deep it arises."""

from __future__ import annotations

import _thread
import inspect
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import CodeType

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import MlsemWarning, warn

PACKAGE = Path(mlsem.__file__).parent
DOUBTFUL = "y ~ z*x + z"


def rows(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.normal(size=(60, 3)), columns=["y", "x", "z"])
    return data.assign(id=np.repeat(np.arange(6), 10))


@pytest.mark.parametrize("name", ["fit", "sem", "cfa", "check"])
def test_each_entry_warns_where_it_is_called(name):
    call = getattr(mlsem, name)
    with pytest.warns(mlsem.ModelSyntaxWarning) as caught:
        call(DOUBTFUL, rows())
    (place,) = [(each.filename, each.lineno) for each in caught]
    lines, first = inspect.getsourcelines(test_each_entry_warns_where_it_is_called)
    assert place[0] == __file__
    assert lines[place[1] - first].strip() == "call(DOUBTFUL, rows())"


def test_a_result_warns_where_its_method_is_called():
    fit = mlsem.fit("level: 1\ny ~ x\nlevel: 2\ny ~ 1", rows(), cluster="id", se="none")
    few = rows().assign(y=lambda d: d.y + d.id, w=lambda d: d.id == 0)
    one = mlsem.fit("level: 1\ny ~ x\nlevel: 2\ny ~ w", few, cluster="id", se="none")
    for call in (
        lambda: one.with_se("CR2"),
        lambda: one.with_se("CR2").conf_int(ci="profile"),
        lambda: fit.with_se("MLR") and one.with_se("CR2"),
    ):
        with pytest.warns(MlsemWarning) as caught:
            call()
        lines = inspect.getsourcelines(call)
        assert {each.filename for each in caught} == {__file__}
        assert {each.lineno for each in caught} == {lines[1]}


def test_the_users_function_between_two_calls_of_ours_is_named():
    def fitted(data: pd.DataFrame) -> float:
        return mlsem.fit(DOUBTFUL, data).loglik

    with pytest.warns(mlsem.ModelSyntaxWarning) as caught:
        rows().groupby("id")[["y", "x", "z"]].apply(fitted)
    _, first = inspect.getsourcelines(fitted)
    assert {each.lineno - first for each in caught} == {1}
    assert {each.filename for each in caught} == {__file__}


def test_in_a_thread():
    def work() -> None:
        mlsem.check(DOUBTFUL, rows())

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [each.filename for each in found] == [__file__]


def test_in_a_notebook_and_in_a_script(tmp_path):
    code = "import mlsem, pandas\n\nmlsem.check('y ~ z*x + z')\n"
    with pytest.warns(mlsem.ModelSyntaxWarning) as caught:
        exec(compile(code, "<cell 7>", "exec"), {"__name__": "__main__"})
    assert [(each.filename, each.lineno) for each in caught] == [("<cell 7>", 3)]
    (tmp_path / "script.py").write_text(code)
    for start in (["script.py"], ["-m", "script"], ["-c", code]):
        done = subprocess.run(
            [sys.executable, *start],
            cwd=tmp_path,
            env={"PYTHONPATH": f"{PACKAGE.parent}:{tmp_path}", "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        place = done.stderr.split(": ModelSyntaxWarning")[0]
        assert place.endswith("<string>:3" if start[0] == "-c" else "script.py:3")


def _in_a_bare_thread(code: CodeType, names: dict[str, object], done: threading.Event) -> None:
    _thread.start_new_thread(exec, (code, names))
    assert done.wait(10)


def test_where_nothing_is_outside():
    done = threading.Event()
    code = compile("warn('deep', MlsemWarning); done.set()", str(PACKAGE / "deep.py"), "exec")
    names = {"warn": warn, "MlsemWarning": MlsemWarning, "done": done}
    with pytest.warns(MlsemWarning, match="deep") as caught:
        _in_a_bare_thread(code, names, done)
    assert [(each.filename, each.lineno) for each in caught] == [("sys", 1)]


def test_once_per_line_is_once_per_line_of_the_user():
    data = rows()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", MlsemWarning)
        for _ in range(3):
            mlsem.check(DOUBTFUL, data)
        mlsem.check(DOUBTFUL, data)
    assert len(caught) == 2


def test_all_warnings_go_through_the_helper():
    wrong = [
        str(file)
        for file in PACKAGE.rglob("*.py")
        if "stacklevel" in (text := file.read_text("utf-8")) or "warnings.warn(" in text
    ]
    assert wrong == []
