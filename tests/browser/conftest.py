"""A browser without a window."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; where there is none, tests are skipped unless CI_REQUIRE_BROWSER is 1."""
    executable = shutil.which("chromium")
    if executable is None:
        reason = "there is no chromium on the path"
        if os.environ.get("CI_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{reason}, but CI_REQUIRE_BROWSER=1 asks for it")
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()
