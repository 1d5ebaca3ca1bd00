"""What axe-core finds wrong with results pages: nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.support.projects import ROOT
from trigger_activation.plan import Plan

pytestmark = pytest.mark.browser

WIDTHS = {"desk": 1400, "phone": 390}
COMMITTED = [path.parent.name for path in sorted((ROOT / "paper_tables").glob("*/index.html"))]


def violations(page: Page) -> list[str]:
    """Rule, and the elements that break it."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['target']}" for each in found for node in each["nodes"]]


def unfolded(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


def with_panel(page: Page) -> None:
    page.locator("section.table:not(#leaders) td button").first.click()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("state", [unfolded, with_panel])
def test_nothing_is_found(
    browser: Browser, results_page: tuple[Plan, Path], width: int, colours: str, state: Callable[[Page], None]
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)  # type: ignore[arg-type]
    page.goto(results_page[1].as_uri())
    state(page)
    assert violations(page) == []
    page.close()


@pytest.mark.parametrize("experiment", COMMITTED)
def test_nothing_is_found_on_committed_pages(browser: Browser, experiment: str) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto((ROOT / f"paper_tables/{experiment}/index.html").as_uri())
    unfolded(page)
    assert violations(page) == []
    page.close()


def test_a_fault_is_found(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<html lang=en><title>x</title><main><h1>x</h1><img src='data:,'></main></html>")
    assert [told.partition(":")[0] for told in violations(page)] == ["image-alt"]
    page.close()
