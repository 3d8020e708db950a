"""A browser to look at the demo with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.demos import Demo

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _chromium() -> str | None:
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine; without one the tests are skipped, but never in CI.

    Of a module, not of the session: while Playwright runs, its event loop is the thread's running loop, and no test
    that the same process runs later could start one of its own.
    """
    path = _chromium()
    if path is None:
        reason = "no Chromium on this machine: install chromium, or set CHROMIUM=/path/to/it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_OPTIONS))
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """A fresh, wide window, logged in as the administrator."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    window = context.new_page()
    window.set_default_timeout(30_000)
    window.goto(demo.url)
    window.locator("input[name=username]").fill("admin")
    window.locator("input[name=password]").fill(demo.password)
    window.get_by_role("button", name="Sign in").click()
    window.wait_for_url(f"{demo.url}/")
    yield window
    context.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: ERPFLOW_SCREENSHOTS (docs/img renews those of the documentation), else a passing place."""
    named = os.environ.get("ERPFLOW_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
