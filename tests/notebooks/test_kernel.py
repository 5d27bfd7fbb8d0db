"""What a notebook shows, asked of a kernel: completion, errors, tables, bars."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest

import mlsem

ipykernel = pytest.importorskip("ipykernel", reason="a notebook's kernel: pip install ipykernel")
pytest.importorskip("jupyter_client", reason="asks the kernel: pip install jupyter-client")

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds in which the kernel must answer
BEGIN = (
    "import mlsem\n"
    "data = mlsem.load_example('article')\n"
    "fit = mlsem.fit(mlsem.example_model('article'), data, cluster='id')"
)


class Notebook:
    """A kernel that is asked one question at a time."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, code: str) -> list[tuple[str, dict[str, Any]]]:
        """What a cell shows, by kind of message."""
        asked = self.client.execute(code)
        shown: list[tuple[str, dict[str, Any]]] = []
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return [each for each in shown if each[0] not in ("status", "execute_input")]
            shown.append((kind, content))

    def complete(self, code: str) -> list[str]:
        asked = self.client.complete(code, len(code))
        while True:
            message = self.client.get_shell_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == asked:
                return message["content"]["matches"]

    def error(self, code: str) -> str:
        (kind, content), *_ = self.run(code)
        assert kind == "error"
        return "\n".join(content["traceback"])


@pytest.fixture(scope="module")
def notebook() -> Iterator[Notebook]:
    from jupyter_client.manager import start_new_kernel

    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    manager, client = start_new_kernel(
        startup_timeout=PATIENCE,
        kernel_name="python3",
        env={**os.environ, "PYTHONPATH": path},
        stderr=DEVNULL,
    )
    try:
        asked = Notebook(client)
        assert asked.run(BEGIN) == []
        yield asked
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_packages_names_are_completed(notebook: Notebook) -> None:
    public = {name for name in mlsem.__all__ if not name.startswith("_")}
    assert set(notebook.complete("mlsem.")) == public


def test_a_fits_names_are_completed(notebook: Notebook) -> None:
    public = {name for name in dir(mlsem.FitResult) if not name.startswith("_")}
    assert public <= set(notebook.complete("fit."))
    assert notebook.complete("fit.parameter_e") == ["parameter_estimates"]


@pytest.mark.parametrize(
    "made",
    [
        "fit.table",
        "fit.settings",
        "fit.summary()",
        "fit.covariance",
        "fit.icc()",
        "fit.r_squared()",
        "fit.implied(1)",
        "fit.wald_test('`y~x1`')",
        "fit.cluster_diagnostics()",
        "fit.bootstrap(draws=9, seed=1)",
        "mlsem.lmm('y ~ x1 + (x1 | id)', data)",
    ],
)
def test_names_of_results_are_completed(made: str, notebook: Notebook) -> None:
    notebook.run(f"made = {made}")
    names = set(notebook.complete("made."))
    assert len(names) >= 2
    assert not {"abs", "print"} & names  # which IPython offers where jedi fails


@pytest.mark.parametrize(
    ("code", "keywords"),
    [
        ("mlsem.fit(model, data, ", {"estimator=", "se=", "missing=", "std_lv=", "starts="}),
        ("mlsem.cfa(", {"model=", "group_equal=", "int_ov_free="}),
        ("mlsem.lmm(formula, data, ", {"REML=", "df=", "se_cluster="}),
        ("mlsem.simulate(", {"n_clusters=", "std_lv="}),
        ("fit.update(", {"data=", "estimator=", "cluster="}),
        ("fit.with_se(", {"test=", "information="}),
    ],
)
def test_keywords_are_completed(code: str, keywords: set[str], notebook: Notebook) -> None:
    assert keywords <= set(notebook.complete(code))


def test_an_error_is_its_message_and_the_users_line(notebook: Notebook) -> None:
    shown = notebook.error(
        "model = '''\nlevel: 1\n  y ~ x1 +\nlevel: 2\n  y ~ w1\n'''\n"
        "fit = mlsem.fit(model, data,\n                cluster='id')"
    )
    lines = shown.split("\n")
    assert lines[0].startswith("ModelSyntaxError: line 3, column ")
    assert lines[1:] == [
        "   3 |   y ~ x1 +",
        "                ^",
        "",
        "In line 7:",
        "    fit = mlsem.fit(model, data,",
    ]


def test_errors_of_functions_and_methods(notebook: Notebook) -> None:
    shown = notebook.error("def again(data):\n    return mlsem.fit('y ~ xx', data)\n\nagain(data)")
    assert shown.startswith(("SpecificationError: ", "DataError: "))
    assert shown.endswith("In line 2:\n    return mlsem.fit('y ~ xx', data)")
    shown = notebook.error("fit.bootstrap('wid')")
    assert shown.startswith("OptionValueError: ")
    assert shown.endswith("In line 1:\n    fit.bootstrap('wid')")


def test_other_errors_keep_their_traceback(notebook: Notebook) -> None:
    assert "Traceback" in notebook.error("1 / 0")


@pytest.mark.parametrize("code", ["fit", "fit.summary()", "mlsem.check('f =~ y1 + y2 + y3')"])
def test_results_are_tables(code: str, notebook: Notebook) -> None:
    ((kind, content),) = notebook.run(code)
    assert kind == "execute_result"
    assert "<table>" in content["data"]["text/html"]


@pytest.mark.parametrize(
    "code",
    [
        "fit.bootstrap('parametric', draws=4, seed=1{})",
        "mlsem.study(('y ~ 0.5*x; y ~~ 1*y', {{'n_clusters': 30}}), {{'ML': {{'model': 'y ~ x'}}}},"
        " 4, seed=1{})",
        "mlsem.fit('y ~ x1', pyarrow.dataset.dataset(pyarrow.table(data)){})",  # a query
    ],
)
def test_bars(code: str, notebook: Notebook) -> None:
    notebook.run("import pyarrow, pyarrow.dataset")
    assert notebook.run(f"found = {code.format('')}") == []
    shown = notebook.run(f"found = {code.format(', progress=True')}")
    assert shown[0][0] == "display_data"
    assert "<progress" in shown[0][1]["data"]["text/html"]
    assert shown[-1][0] == "update_display_data"
    assert shown[-1][1]["data"] == {"text/html": "", "text/plain": ""}
    assert {content["transient"]["display_id"] for _, content in shown} == {
        shown[0][1]["transient"]["display_id"]
    }
