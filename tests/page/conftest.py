"""A headless browser, and a page served from this process for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from shown_pages import Show
from waiting import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def found_browser() -> str:
    """Return the program of a browser, which `RUNNER_BROWSER` may name."""
    named = os.environ.get("RUNNER_BROWSER")
    found = named or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        opened = playwright.chromium.launch(
            executable_path=found_browser(), args=options, timeout=PATIENCE * 1000
        )
        api.expect.set_options(timeout=PATIENCE * 1000)
        yield opened
        opened.close()


def is_problem(line: ConsoleMessage) -> bool:
    """Return whether a browser complains; that it was told of an unknown experiment is right, and
    of a database that is not there now."""
    return line.type == "error" and "404" not in line.text and "503" not in line.text


@pytest.fixture
def show(browser: Browser) -> Iterator[Show]:
    """Open the page of a database, or a file, at a state; errors of its scripts fail the test."""
    from runner.page.serving import PageServer

    problems: list[str] = []
    with ExitStack() as stack:

        def opened(what: Path, state: str = "", **options: Any) -> Page:
            server = None
            if what.suffix != ".html":
                server = PageServer(what)
                stack.callback(server.start())
            context = browser.new_context(
                permissions=["clipboard-read", "clipboard-write"],
                **{"viewport": {"width": 1300, "height": 900}, **options},
            )
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on(
                "console",
                lambda line: problems.append(line.text) if is_problem(line) else None,
            )
            if server is None:
                page.goto(f"{what.as_uri()}#{state}")
            else:
                page.goto(server.address)
                page.goto(f"http://127.0.0.1:{server.port}/#{state}")
            return page

        yield opened
    assert problems == []
