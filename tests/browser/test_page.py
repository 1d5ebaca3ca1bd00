"""The results page in a browser, opened from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.support.pages import SECONDS
from trigger_activation.plan import Plan
from trigger_activation.store.records import read_content

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def opened(browser: Browser, results_page: tuple[Plan, Path]) -> Iterator[Open]:
    """Open the page; whatever it logs or asks for, but for itself, is an error."""
    url = results_page[1].as_uri()
    noise: list[str] = []
    contexts = []

    def open_page(width: int = 1280, height: int = 900, colours: str = "light", scripts: bool = True) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=colours,  # type: ignore[arg-type]
            java_script_enabled=scripts,
        )
        context.set_default_timeout(5000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url) if not request.url.startswith("data:") else None)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert set(noise) == {url}


def column(table: Locator, position: int) -> list[str]:
    """The entries of a column of the body, top to bottom."""
    return table.locator(f"tbody tr > :nth-child({position + 1})").all_inner_texts()


class TestWithoutScript:
    def test_every_number_and_figure_is_there(self, opened: Open) -> None:
        page = opened(scripts=False)
        assert page.locator("section.table").count() == 5
        assert page.locator("#table8 tbody td").count() == 16
        assert page.get_by_text("Select a number").is_hidden()
        assert page.locator("figure img").count() == 2
        assert page.get_by_role("button").count() == 0


class TestSorting:
    def test_a_heading_sorts_by_value_and_then_back(self, opened: Open) -> None:
        table = opened().locator("#table5 table")
        heading = table.locator("th[data-column='1']")
        assert column(table, 1) == ["10.0", "0.100", "2.00"]
        assert sorted(SECONDS.values(), reverse=True) == [36000, 7200, 360]
        for direction, order in (
            ("descending", ["10.0", "2.00", "0.100"]),
            ("ascending", ["0.100", "2.00", "10.0"]),
            (None, ["10.0", "0.100", "2.00"]),
        ):
            heading.get_by_role("button").click()
            assert heading.get_attribute("aria-sort") == direction
            assert column(table, 1) == order

    def test_rows_stay_together_and_the_mean_stays_last(self, opened: Open) -> None:
        table = opened().locator("#table2 table")
        before = set(table.locator("tbody tr").all_inner_texts())
        table.get_by_role("button", name="BDR", exact=True).focus()
        table.page.keyboard.press("Enter")
        values = [float(text.split(" ")[0]) for text in column(table, 3)]
        assert values == sorted(values, reverse=True)
        assert set(table.locator("tbody tr").all_inner_texts()) == before
        assert table.locator("tr").last.inner_text().startswith("Mean")

    def test_only_one_column_is_sorted_by(self, opened: Open) -> None:
        table = opened().locator("#table1 table")
        for name in ("w/o", "AT", "Attack"):
            table.get_by_role("button", name=name, exact=True).click()
        assert table.locator("[aria-sort]").all_inner_texts() == ["Attack"]
        assert column(table, 0) == ["Clean", "DI-FGSM", "I-FGSM", "MI-FGSM", "PGD"]


class TestPanel:
    def test_it_tells_what_stands_behind_a_number(self, opened: Open, results_page: tuple[Plan, Path]) -> None:
        plan, path = results_page
        cell = "results/cells/fashion16/standard/pgd/learn_32.json"
        page = opened()
        page.locator("#table2 tbody tr", has_text="PGD").locator("td button").last.click()
        panel = page.get_by_role("dialog", name="PGD, Ours (l) 32/255")
        content = read_content(str(path.parents[2] / cell))
        expected = 100 * sum(seed[0][1] for seed in content["correct"]) / content["images"] / len(content["seeds"])
        matrix = panel.get_by_role("table", name="Mean over 3 seeds")
        assert matrix.locator("tbody tr").first.locator("td").nth(1).inner_text() == f"{expected:.2f}"
        means = panel.locator("table").first
        assert f"{content['means']['off_diagonal']['mean']:.2f}" in means.inner_text()
        assert panel.get_by_text(f"snakemake {cell}", exact=True).is_visible()
        assert panel.get_by_text(plan[cell].recipe, exact=True).is_visible()
        lines = panel.locator("dl").all_inner_texts()
        assert any("attack.eps\n16/255" in text for text in lines)
        assert any("paradigm.class\ntrigger_learnable" in text for text in lines)

    def test_the_file_that_it_links_to_is_the_cell(self, opened: Open, results_page: tuple[Plan, Path]) -> None:
        page = opened()
        page.locator("#table1 td button").first.click()
        href = page.locator("dialog a").get_attribute("href")
        assert href
        assert (results_page[1].parent / href).resolve() == results_page[1].parents[2] / page.locator(
            "dialog a"
        ).inner_text()

    def test_escape_closes_it_and_gives_back_the_focus(self, opened: Open) -> None:
        page = opened()
        button = page.locator("#table1 td button").first
        button.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert page.get_by_role("dialog", name="PGD, AT").is_visible()
        page.keyboard.press("Escape")
        assert page.get_by_role("dialog").count() == 0
        assert page.evaluate("document.activeElement.closest('td').cellIndex") == 2
        assert page.evaluate("document.activeElement.closest('tr').cells[0].textContent") == "PGD"

    def test_every_number_opens_one(self, opened: Open) -> None:
        page = opened()
        for table in page.locator("section.table").all():
            for button in (table.locator("td button").first, table.locator("td button").last):
                button.click()
                dialog = page.get_by_role("dialog")
                assert dialog.locator("table tbody td").count() > 0
                assert button.inner_text().split(" ")[0] in dialog.locator("[data-slot=value]").inner_text()
                dialog.get_by_role("button", name="Close").click()

    def test_a_table_is_one_stop_of_the_tab_key(self, opened: Open) -> None:
        page = opened()
        page.locator("#table1 tbody td").nth(4).click(position={"x": 2, "y": 2})
        page.keyboard.press("Escape")
        assert page.locator("#table1 td button[tabindex='0']").count() == 1
        assert page.evaluate("document.activeElement.tabIndex") == 0
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#table1 table')") is None

    def test_the_command_can_be_copied(self, opened: Open) -> None:
        page = opened()
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("#table1 td button").first.click()
        page.get_by_role("button", name="Copy").first.click()
        page.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == "snakemake -f results/cells/fashion16/clean/clean/none.json"


class TestColours:
    def test_the_button_overrides_the_system(self, opened: Open) -> None:
        page = opened(colours="light")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Dark colours").click()
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light != dark
        assert dark == opened(colours="dark").evaluate("getComputedStyle(document.body).backgroundColor")
        page.reload()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        page.get_by_role("button", name="Light colours").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light

    @pytest.mark.parametrize("colours", ["light", "dark"])
    def test_all_text_stands_out(self, opened: Open, colours: str) -> None:
        """WCAG AA, 4.5 to 1 for every element with text of its own, in the page and in the panel."""
        page = opened(colours=colours)
        measured = page.evaluate(CONTRAST, "body")
        page.locator("#table1 td button").last.click()
        measured += page.evaluate(CONTRAST, "dialog")
        assert len(measured) > 300
        assert [entry for entry in measured if entry["contrast"] < 4.5] == []


class TestPhone:
    def test_the_page_never_scrolls_sideways(self, opened: Open) -> None:
        page = opened(**PHONE)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
        page.locator("#table1 td button").first.click()
        assert page.evaluate("document.querySelector('dialog').scrollWidth") <= PHONE["width"]

    def test_wide_tables_scroll_inside_and_keep_their_row_labels(self, opened: Open) -> None:
        page = opened(**PHONE)
        scroller = page.locator("#table1 .scroller")
        assert scroller.evaluate("e => e.scrollWidth > e.clientWidth")
        scroller.evaluate("e => e.scrollLeft = 300")
        label = page.locator("#table1 tbody th").first.bounding_box()
        assert label
        assert 0 <= label["x"] < 30


def test_printed_pages_are_light_and_without_controls(opened: Open) -> None:
    page = opened(colours="dark")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 28, 26)"
