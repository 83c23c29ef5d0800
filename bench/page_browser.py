"""A page as `runner page` serves it, and a browser without a window to look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measuring import ROOT, BenchFailed, environment_of, runner_command
from playwright.sync_api import Browser, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@contextmanager
def served(database: Path) -> Iterator[str]:
    """Serve a database by a process of its own; yield the address, with its token."""
    command = runner_command("page", "--db", str(database))
    process = subprocess.Popen(
        command, env=environment_of(ROOT), stdout=subprocess.PIPE, text=True, cwd=database.parent
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise BenchFailed("the page did not start")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def browser() -> Iterator[Browser]:
    """Yield a Chromium without a window, that of `RUNNER_BROWSER` or one that is installed."""
    named = os.environ.get("RUNNER_BROWSER")
    found = named or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise BenchFailed("no Chromium is installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield opened
        opened.close()


def memory(session: object) -> dict[str, int]:
    """Return what a tab holds after its garbage was collected: bytes, nodes, listeners.

    Args:
        session: of Chrome's protocol, on the page.
    """
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")  # type: ignore[attr-defined]
    answer = session.send("Performance.getMetrics")  # type: ignore[attr-defined]
    return {each["name"]: int(each["value"]) for each in answer["metrics"]}
