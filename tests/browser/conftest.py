"""A real browser at real pages: Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from pages_visitor import Visit, Visitor, served
from serve_pages import gate_of

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; a test that wants it is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        # A test machine's user may be root, whom Chromium's own sandbox does not serve; what it opens is ours.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens a browser at the pages of run folders in some places, or at `url`: `visit(place, signed_in=True, **of_the_browser)`."""
    with ExitStack() as open_now:

        def opened(*places: Path, signed_in: bool = True, url: str | None = None, **options: object) -> Visitor:
            found = url or open_now.enter_context(served(gate_of(*places)))
            context = chromium.new_context(**options)  # type: ignore[arg-type]
            open_now.callback(context.close)
            context.set_default_timeout(10_000)
            visitor = Visitor(found, context, context.new_page())
            visitor.page.on("console", lambda told: visitor.complaints.append(told.text) if told.type in ("error", "warning") else None)
            visitor.page.on("pageerror", lambda told: visitor.complaints.append(str(told)))
            if signed_in:
                visitor.sign_in()
            return visitor

        yield opened
