"""The report of a fit: its structure, what it says, and that nothing of a user's becomes HTML."""

from __future__ import annotations

import base64
import hashlib
import pickle
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import DataError, MlsemError, OptionValueError
from mlsem.report.labels import Labels
from mlsem.report.page import picture
from mlsem.report.page.records import Code, Column, Page, Section, Table
from mlsem.report.page.render import render
from mlsem.results.report import diagnostics
from mlsem.results.report.context import Context
from mlsem.results.report.described import describe
from mlsem.results.report.given import QUANTILES, given_columns

DEMO = Path(__file__).parents[2] / "examples" / "demo_twolevel.csv"
SLOPES = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"
HOSTILE = '<img src="https://evil.example/x" onerror="alert(1)">'
FACTORS = f"""
# {HOSTILE} </code></pre><script>alert(2)</script> & $x_1$ %
level: 1
  fw =~ y1 + y2 + y3
level: 2
  fb =~ y1 + y2 + y3
  fb ~ w1
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws, and small pictures; those of the tests in a browser are whole."""
    monkeypatch.setattr(diagnostics, "DRAWS", 20)
    monkeypatch.setattr(picture, "MOST_MARKS", 0)
    monkeypatch.setattr(picture, "PIXELS", 30)


class Outline(HTMLParser):
    """Elements of a page, checked to be closed in their order."""

    VOID = ("meta", "img")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _demo(**options: object) -> mlsem.FitResult:
    data = pd.read_csv(DEMO)
    data["g"] = np.where(data["cluster"] % 2, HOSTILE, "b & $c_%")
    data["cluster"] = [f"<i>{k}" for k in data["cluster"]]
    return mlsem.fit(FACTORS, data, cluster="cluster", **options)  # type: ignore[arg-type]


def _stopped() -> mlsem.FitResult:
    with pytest.warns(mlsem.ConvergenceWarning):
        return _demo(max_iter=1)


def _missing() -> mlsem.FitResult:
    data = mlsem.load_example("article")
    data.loc[::7, "y"] = np.nan
    return mlsem.fit(SLOPES, data, cluster="id", missing="fiml.x")


def _article(**options: object) -> mlsem.FitResult:
    return mlsem.fit(SLOPES, mlsem.load_example("article"), cluster="id", **options)  # type: ignore[arg-type]


def _mixed() -> mlsem.FitResult:
    return mlsem.lmm("y ~ x1 * w1 + (x1 | id)", mlsem.load_example("article"))


KINDS: dict[str, Callable[[], mlsem.FitResult]] = {
    "one level": lambda: mlsem.fit("y ~ x1 + w1", mlsem.load_example("article")),
    "two levels": lambda: _article(se="CR2"),
    "groups": lambda: _demo(group="g", estimator="MLR"),
    "mixed": _mixed,
    "not converged": _stopped,
    "missing": _missing,
}


@cache
def page_of(kind: str) -> str:
    """Its whole report, with hostile words where a user may put some."""
    words = {"y1": HOSTILE} if kind in ("groups", "not converged") else {}
    data = mlsem.load_example("article") if kind == "two levels" else None
    return KINDS[kind]().report(data=data, title=HOSTILE, labels=words).html


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fit_has_a_whole_page(kind: str) -> None:
    page = page_of(kind)
    outline = Outline(page)
    assert "could not be made" not in page
    assert len(page.encode()) < 1_000_000
    ids = [each["id"] for _, each in outline.elements if each.get("id")]
    assert len(ids) == len(set(ids))
    names = [tag for tag, _ in outline.elements]
    assert [names.count(each) for each in ("h1", "main", "nav", "header", "footer")] == [1] * 5
    levels = [int(name[1]) for name in names if re.fullmatch(r"h\d", name)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(each.get("alt") for each in outline.all("img"))
    places = {each["href"] for each in outline.all("a")}
    assert all(place in {f"#{each}" for each in ids} for place in places)


@pytest.mark.parametrize("kind", ["groups", "not converged"])
def test_nothing_of_a_users_becomes_html_and_nothing_is_loaded(kind: str) -> None:
    page = page_of(kind)
    outline = Outline(page)
    assert not any("onerror" in attributes for _, attributes in outline.elements)
    assert len(outline.all("script")) == 1
    assert all((each["src"] or "").startswith("data:image/") for each in outline.all("img"))
    assert "i" not in {tag for tag, _ in outline.elements}
    assert not [each for _, attrs in outline.elements for each in attrs if each.startswith("on")]
    assert "&lt;script&gt;alert(2)" in page


def test_the_page_forbids_itself_every_load_and_knows_its_style_and_script() -> None:
    page = render(Page("t", "s", ()))
    policy = next(
        each["content"] or ""
        for each in Outline(page).all("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert not re.search(r"https?://|url\(|@import", page)


def test_cells_hold_every_digit_and_text_as_it_is() -> None:
    columns = (Column("a", "name"), Column("b"), Column("p", "p"), Column("n", "count"))
    rows = (("x<y", 1 / 3, 1e-9, 12345), ("z", float("nan"), 0.5, None))
    page = render(Page("t", "s", (Section("k", "K", (Table("c", columns, rows),)),)))
    assert '<th scope="row">x&lt;y</th>' in page
    assert f'data-value="{1 / 3!r}">0.333</td>' in page
    assert 'data-value="1e-09">&lt;.001</td>' in page
    assert 'data-value="12345">12,345</td>' in page
    assert '<th scope="row">z</th><td class="number"></td>' in page


def test_text_that_a_screen_would_obey_is_escaped_and_code_keeps_its_lines() -> None:
    code = Code("a\n\tb \u202e c\x1b", "t")
    page = render(Page("t", "s", (Section("k", "K", (code,)),)))
    assert "a\n\tb \\u202e c\\x1b" in page


# --- what it says ---------------------------------------------------------------------------------


def test_numbers_are_those_of_the_fit() -> None:
    fit = _article(se="CR2")
    page = fit.report(sections="estimates").html
    for row in fit.parameter_estimates().itertuples():
        if row.op == "~":
            for value in (row.est, row.se, row.df, row.pvalue, row.ci_lower, row.ci_upper):
                assert f'data-value="{float(value)!r}"' in page


def test_a_fit_that_did_not_converge_says_so_first() -> None:
    page = page_of("not converged")
    glance = page[page.index('id="overview"') : page.index('id="model"')]
    assert 'class="bad"' in glance
    assert "The search did not converge." in glance
    assert "these numbers are no estimates" in page


def test_the_call_repeats_the_fit() -> None:
    data = mlsem.load_example("article")
    first = mlsem.fit(SLOPES, data, cluster="id", se="CR2", center={"x1": "cluster"}, max_iter=99)
    page = first.report(sections=["model"]).html
    call = re.search(r"mlsem\.fit\(.*?\n\)", page, re.DOTALL)
    assert call is not None
    text = call[0].replace("&#x27;", "'")
    again = eval(text, {"mlsem": mlsem, "model": SLOPES, "data": data})
    pd.testing.assert_frame_equal(again.parameter_estimates(), first.parameter_estimates())
    assert again.settings == first.settings


def test_the_call_repeats_a_mixed_model() -> None:
    data = mlsem.load_example("article")
    first = mlsem.lmm("y ~ x1 + (1 | id)", data, REML=False, se="CR2")
    page = first.report(sections=["model"]).html
    call = re.search(r"mlsem\.lmm\(.*?\n\)", page, re.DOTALL)
    assert call is not None
    text = call[0].replace("&#x27;", "'")
    again = eval(text, {"mlsem": mlsem, "formula": first.model, "data": data})
    pd.testing.assert_frame_equal(again.parameter_estimates(), first.parameter_estimates())
    assert again.settings == first.settings


def test_a_mixed_model_has_the_order_of_its_formula_and_its_correlation() -> None:
    fit, page = _mixed(), page_of("mixed")
    table = page[page.index("Fixed effects</figcaption>") :].partition("</table>")[0]
    names = re.findall(r'<th scope="row">(.*?)</th>', table)
    assert names == ["(Intercept)", "x1", "w1", "x1:w1"]
    slope, intercept, both = fit.params[["id.x1", "id.(Intercept)", "id.x1.(Intercept)"]]
    rows = page[page.index("Variances and covariances of random effects</figcaption>") :]
    cells = re.search(r'id\.x1\.\(Intercept\)</th>.*data-value="([^"]+)"', rows)
    assert cells is not None
    assert float(cells[1]) == pytest.approx(both / (slope * intercept) ** 0.5, rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_means_and_spreads_are_those_of_the_rows(share: float) -> None:
    data = mlsem.load_example("article")
    random = np.random.default_rng(1)
    data["y"] = data["y"].where(random.random(len(data)) >= share)
    fit = mlsem.fit("level: 1\n y ~ x1\nlevel: 2\n y ~ w1", data, cluster="id", missing="fiml.x")
    found = {each.name: each for each in describe(fit._record, ("y", "x1", "w1"), clustered=True)}
    y = data.dropna(subset="y").groupby("id")["y"]
    n, means = y.count(), y.mean()
    total, clusters = n.sum(), len(n)
    within = (y.var(ddof=0) * n).sum() / (total - clusters)
    between = (n * (means - data["y"].mean()) ** 2).sum() / (clusters - 1)
    size = (total - (n**2).sum() / total) / (clusters - 1)
    icc = (between - within) / (between + (size - 1) * within)
    one = found["y"]
    assert (one.n, one.missing) == (total, len(data) - total)
    expected = [data["y"].mean(), data["y"].std(), within**0.5, means.std(), icc]
    assert [one.mean, one.sd, one.sd_within, one.sd_between, one.icc] == pytest.approx(expected)
    above = data.groupby("id")["w1"].first()
    assert found["w1"].level == 2
    assert [found["w1"].mean, found["w1"].sd] == pytest.approx([above.mean(), above.std()])


def test_quartiles_are_those_of_all_rows_and_of_clusters_once() -> None:
    fit, data = _article(), mlsem.load_example("article")
    data["x1"] = data["x1"].where(data.index % 5 > 0)
    data["w1"] = data["w1"].where(data["id"] > 2)
    found = {each.name: each for each in given_columns(Context(fit, data, Labels(), 1), data)}
    for name, values in (("x1", data["x1"]), ("w1", data.groupby("id")["w1"].first())):
        own = found[name]
        expected = values.quantile(QUANTILES).tolist()
        assert np.quantile(own.values, QUANTILES).tolist() == pytest.approx(expected)
        assert (len(own.values), own.missing) == (values.count(), values.isna().sum())


# --- arguments and files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sections": ["modle"]}, OptionValueError, "Did you mean 'model'"),
        ({"sections": []}, OptionValueError, "name some of"),
        ({"labels": {"x2": "a"}}, OptionValueError, "no variable 'x2'"),
        ({"labels": {"x1": 3}}, OptionValueError, "readable words"),
        ({"labels": "x1"}, OptionValueError, "readable words"),
        ({"title": " "}, OptionValueError, "title"),
        ({"seed": -1}, OptionValueError, "seed"),
        ({"data": [1]}, DataError, "data frame"),
        ({"data": pd.DataFrame({"y": [1]})}, DataError, "no column 'id'"),
        ({"path": "report.pdf"}, OptionValueError, "end in .html"),
        ({"path": 3}, OptionValueError, "name of a file"),
        ({"path": "nowhere/report.html"}, MlsemError, "no folder"),
    ],
)
def test_odd_arguments_are_answered(
    options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        _article().report(**options)  # type: ignore[arg-type]


def test_a_file_is_written_once_and_replaced_when_asked(tmp_path: Path) -> None:
    fit, path = _article(), tmp_path / "report.html"
    report = fit.report(path, sections="session")
    assert path.read_text("utf-8") == report.html
    with pytest.raises(MlsemError, match="overwrite=True replaces it"):
        fit.report(path, sections="session")
    fit.report(path, sections="model", overwrite=True)
    assert "How to cite" not in path.read_text("utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_the_object_shows_in_a_frame_of_its_own_and_pickles() -> None:
    report = _article().report(title=HOSTILE, sections="session")
    frame = report._repr_html_()
    elements = Outline(frame).elements
    assert [tag for tag, _ in elements] == ["iframe"]
    assert elements[0][1]["srcdoc"] == report.html
    assert "allow-same-origin" not in (elements[0][1]["sandbox"] or "")
    assert pickle.loads(pickle.dumps(report)) == report
    assert "save" in repr(report)


def test_with_data_rows_are_listed() -> None:
    page = page_of("two levels")
    worst = KINDS["two levels"]().row_residuals(mlsem.load_example("article"))
    assert f'<th scope="row">{worst.index[0]}</th>' in page
    assert repr(float(worst["distance"].iloc[0])) in page


def test_the_same_seed_gives_the_same_page() -> None:
    own = KINDS["two levels"]().report(sections=["diagnostics", "random"], title=HOSTILE).html
    section = own[own.index('<h2 id="diagnostics">') :].partition("</section>")[0]
    tables = re.findall(r"<tbody>.*?</tbody>", section, re.DOTALL)
    assert tables
    assert all(table in page_of("two levels") for table in tables)


def test_an_interaction_of_a_formula_is_of_columns_of_the_data() -> None:
    data = mlsem.load_example("trial")
    html = mlsem.lmm("after ~ before * arm + (1 | clinic)", data).report().html
    assert "Slope of before on after by arm" in html
    assert "Interactions: not available" not in html
