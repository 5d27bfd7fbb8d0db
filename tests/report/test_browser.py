"""The report in a real browser, where there is one: it works, and everybody can use it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import mlsem
from mlsem.results.report import diagnostics
from mlsem.results.report.result import Report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
MODEL = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no browser: none of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    data = mlsem.load_example("article")
    fit = mlsem.fit(MODEL, data, cluster="id", se="CR2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnostics, "DRAWS", 20)
        fit.report(path, data=data)
    return path


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    """The report, open; what the browser complains of, and what it asks of a network, fails the
    test."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(5000)
    opened, said = context.new_page(), []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: said.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    context.close()
    assert [each for each in said if not each.startswith(("file:", "data:", "blob:"))] == []


def _table(page: Any, caption: str) -> Any:
    return page.locator("figure.table").filter(has_text=caption)


def _cells(table: Any, column: int) -> list[str]:
    return table.locator(f"tbody tr > :nth-child({column})").all_inner_texts()


def test_columns_sort_by_click_and_by_key(page: Any) -> None:
    table = _table(page, "Variables of the model")
    first = _cells(table, 5)
    button = table.get_by_role("button", name="Mean", exact=True)
    button.click()
    numbers = [float(each) for each in _cells(table, 5)]
    assert numbers == sorted(numbers) != [float(each) for each in first]
    head = table.locator("thead th").nth(4)
    assert head.get_attribute("aria-sort") == "ascending"
    button.focus()
    page.keyboard.press("Enter")
    assert [float(each) for each in _cells(table, 5)] == numbers[::-1]
    assert head.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Space")
    assert _cells(table, 5) == first
    assert head.get_attribute("aria-sort") is None


def test_blank_cells_stay_last(page: Any) -> None:
    table = _table(page, "Variables of the model")
    button = table.get_by_role("button", name="ICC", exact=True)
    for _ in range(2):
        button.click()
        assert _cells(table, 9)[-1] == ""


def test_a_table_is_copied_as_a_spreadsheet_reads_it(page: Any) -> None:
    # without the clipboard of secure pages the browser's own command copies
    page.evaluate(
        "() => { delete Navigator.prototype.clipboard;"
        " document.addEventListener('copy', () => {"
        " window.copied = document.activeElement.value; }); }"
    )
    table = _table(page, "Variables of the model")
    table.get_by_role("button", name="Copy").click()
    page.wait_for_function("window.copied !== undefined")
    lines = page.evaluate("window.copied").rstrip("\n").split("\n")
    assert lines[0].split("\t")[:4] == ["Variable", "Level", "N", "Missing"]
    rows = [line.split("\t") for line in lines[1:]]
    mean = mlsem.load_example("article")["y"].mean()
    assert float(rows[0][4]) == pytest.approx(mean, rel=1e-12)
    assert {len(row) for row in rows} == {len(lines[0].split("\t"))}
    page.get_by_role("status").filter(has_text="copied").wait_for(state="attached")


def test_a_table_is_saved_as_csv(page: Any) -> None:
    table = _table(page, "Variables of the model")
    with page.expect_download() as download:
        table.get_by_role("button", name="CSV").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    assert text.splitlines()[0].startswith("Variable,Level,N,Missing,Mean")
    assert download.value.suggested_filename.endswith(".csv")


def test_text_that_looks_like_a_formula_is_copied_as_text(page: Any) -> None:
    table = _table(page, "Variables of the model")
    table.locator("tbody th").first.evaluate("cell => { cell.textContent = '=1+1'; }")
    with page.expect_download() as download:
        table.get_by_role("button", name="CSV").click()
    assert "\n'=1+1," in Path(download.value.path()).read_text("utf-8-sig")


def test_colours_follow_the_system_and_the_button(page: Any) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(back)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(back)
    assert dark != light
    page.get_by_role("button", name="Light colours").click()
    assert page.evaluate(back) == light
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate(back) == dark


def test_print_has_no_buttons_and_dark_ink(page: Any) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator(".tools").first.is_visible()
    assert page.get_by_role("navigation").count() == 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_a_narrow_window_scrolls_its_tables_alone(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    wide = _table(page, "What carries each estimate").locator(".scroll[tabindex='0']")
    wide.focus()
    assert page.evaluate("document.activeElement.scrollWidth > document.activeElement.clientWidth")


def test_the_first_key_leads_past_the_contents(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_serious_fault(page: Any, colours: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    page.emulate_media(color_scheme=colours)
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    # what does not depend on colours is looked at once
    rules = "{runOnly: ['color-contrast']}" if colours == "dark" else "{}"
    found = page.evaluate(f"axe.run(document, {rules})")
    faults = [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical", "moderate")
    ]
    assert faults == []
    assert len(found["passes"]) > (0 if colours == "dark" else 20)


def test_the_frame_of_a_notebook_works(browser: Any, file: Path) -> None:
    report = Report(file.read_text("utf-8"), "a report")
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    context.set_default_timeout(5000)
    page = context.new_page()
    page.set_content(report._repr_html_())
    frame = page.frames[1]
    frame.get_by_role("navigation").get_by_role("link", name="Diagnostics").click()
    frame.wait_for_function("document.activeElement.id === 'diagnostics' && scrollY > 0")
    table = _table(frame, "Variables of the model")
    table.get_by_role("button", name="Mean", exact=True).click()
    assert table.locator("thead th").nth(4).get_attribute("aria-sort") == "ascending"
    context.close()


def test_without_its_script_the_page_reads_and_has_no_dead_buttons(
    browser: Any, file: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.get_by_role("button").count() == 0
    assert page.get_by_role("table").count() > 5
    assert page.get_by_role("link", name="Estimates").count() == 1
    context.close()
