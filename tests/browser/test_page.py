"""The results page in a browser, opened from a file."""

from __future__ import annotations

import re
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
        assert page.locator("section.table").count() == 6
        assert page.locator("#table8 tbody td").count() == 16
        assert page.get_by_text("Select a number").is_hidden()
        assert page.locator("figure svg").count() == 2
        assert page.get_by_role("button").count() == 0


class TestSorting:
    def test_a_heading_sorts_by_value_and_then_back(self, opened: Open) -> None:
        table = opened().locator("#table5 table")
        heading = table.locator("th[data-column='1']")
        assert column(table, 1) == ["10", "0.10", "2.0"]
        assert sorted(SECONDS.values(), reverse=True) == [36000, 7200, 360]
        for direction, order in (
            ("descending", ["10", "2.0", "0.10"]),
            ("ascending", ["0.10", "2.0", "10"]),
            (None, ["10", "0.10", "2.0"]),
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
        assert panel.get_by_text(f"snakemake -f {cell}", exact=True).is_visible()
        assert panel.get_by_text(plan[cell].recipe, exact=True).is_visible()
        lines = panel.locator("dl").all_inner_texts()
        assert any("attack.eps\n16/255" in text for text in lines)
        assert any("paradigm.class\ntrigger_learnable" in text for text in lines)

    def test_it_tells_which_cells_a_mean_is_computed_from(self, opened: Open) -> None:
        page = opened()
        page.locator("#table8 tfoot td button").last.click()
        panel = page.get_by_role("dialog", name="Mean, Ours (l) 32/255")
        attacks = [path.split("/")[-2] for path in panel.locator("section a").all_inner_texts()]
        assert attacks == ["pgd", "ifgsm", "mifgsm", "difgsm"]
        assert panel.get_by_role("table").count() == len(attacks)
        assert panel.get_by_text("Make it again").is_hidden()

    def test_the_file_that_it_links_to_is_the_cell(self, opened: Open, results_page: tuple[Plan, Path]) -> None:
        page = opened()
        page.locator("#table1 td button").first.click()
        href = page.locator("dialog a[data-slot=path]").get_attribute("href")
        assert href
        assert (results_page[1].parent / href).resolve() == results_page[1].parents[2] / page.locator(
            "dialog a[data-slot=path]"
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
        for table in page.locator("section.table:not(#leaders)").all():
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


class TestAddresses:
    def test_an_address_opens_the_panel_of_its_number(self, opened: Open) -> None:
        page = opened()
        page.evaluate("location.hash = 'table1/pgd/at'")
        panel = page.get_by_role("dialog", name="PGD, AT")
        assert panel.is_visible()
        assert "In print (Table I, PGD, AT" in panel.inner_text()
        page.keyboard.press("Escape")
        page.wait_for_function("location.hash === '#table1'")

    def test_the_panel_shows_the_value_alone_and_its_mark_in_words(self, opened: Open) -> None:
        page = opened()
        for button in page.locator("section.table td[title] button").all()[:5]:
            value = button.locator("xpath=..").get_attribute("data-value")
            told = button.locator("xpath=..").get_attribute("title")
            button.evaluate("e => e.click()")
            shown = page.locator("dialog [data-slot=value]").inner_text()
            assert re.fullmatch(r"[\d.]+( ± [\d.]+)?", shown)
            assert float(shown.split(" ")[0]) == pytest.approx(float(value or "nan"), abs=0.051)
            assert page.locator("dialog [data-slot=mark]").inner_text() == told
            page.keyboard.press("Escape")

    def test_a_mean_has_a_panel_without_a_cell(self, opened: Open) -> None:
        page = opened()
        page.evaluate("location.hash = 'table2/mean/w-o'")
        assert page.get_by_role("dialog", name="Mean, w/o").is_visible()
        assert page.get_by_text("Make it again").locator("visible=true").count() == 1


class TestRanking:
    def test_it_narrows_to_what_is_asked_for(self, opened: Open) -> None:
        page = opened()
        rows = page.locator("#leaders tbody tr:visible")
        assert rows.count() == 9
        page.locator("#leaders input").fill("ours")
        assert all("Ours" in text for text in rows.all_inner_texts())
        assert rows.count() == 7


def small_print(page: Page) -> float:
    """Share of the page's height that is text below the body's size, tables apart."""
    share = page.evaluate("""() => {
      const body = parseFloat(getComputedStyle(document.body).fontSize);
      const texts = [...document.querySelectorAll("main :is(p, li, summary, figcaption, dl)")];
      const small = texts.filter((e) => e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < body - 0.01);
      const heights = small.map((e) => e.getBoundingClientRect().height);
      return heights.reduce((sum, height) => sum + height, 0) / document.documentElement.scrollHeight;
    }""")
    return float(share)


@pytest.mark.parametrize("width", [1400, 390])
def test_small_print_is_at_most_a_tenth_of_the_page(opened: Open, width: int) -> None:
    assert 0 < small_print(opened(width=width)) <= 0.1


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

    def test_our_columns_stay_in_view_with_their_headings(self, opened: Open) -> None:
        page = opened(**PHONE)
        for element in page.locator("#table8 .ours").all():
            box = element.bounding_box()
            assert box
            assert box["x"] + box["width"] <= PHONE["width"]


def test_printed_pages_are_light_and_without_controls(opened: Open) -> None:
    page = opened(colours="dark")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 28, 26)"


def test_printed_pages_unfold_every_verdict_and_show_figure_1_once(opened: Open) -> None:
    page = opened()
    last = page.locator("#findings details:not([open]) tbody tr").last
    shown = "e => e.checkVisibility({contentVisibilityAuto: true}) && e.getBoundingClientRect().height > 0"
    assert not last.evaluate(shown)
    page.emulate_media(media="print")
    assert last.evaluate(shown)
    assert page.locator(".idea .scroller:visible").count() == 0
