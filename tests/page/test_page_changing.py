"""The page in a browser, over a database that becomes another while it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import HEAD, MadeUp, record_made_up
from shown_pages import Show

from runner.store.database import open_database

pytest.importorskip("playwright")
from playwright.sync_api import Route, expect

pytestmark = pytest.mark.browser

GRID = HEAD + "seeds: [0]\nsweep: {grid: {lr: [0.1, 0.01]}}\n"
ONE = "tables: {t: {LR: lr, VAL: val_accuracy}}\n"
TWO = "tables: {t: {LR: lr, VAL: val_accuracy}, u: {LR: lr, TEST: test_accuracy}}\n"
RECORD = MadeUp({"val_accuracy": [0.2, 0.6]}, best_epoch=2, test_accuracy=0.5)


def record(path: Path, spec: str, made: MadeUp | None) -> None:
    with open_database(path) as database:
        record_made_up(database, path.parent, spec, lambda cell: made)


def test_a_table_that_the_spec_has_no_more_goes(show: Show, tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    record(path, GRID + TWO, RECORD)
    page = show(path, "experiment=made_up")
    expect(page.locator("#tables h2")).to_have_text(["t", "u"])
    record(path, GRID + ONE, None)
    expect(page.locator("#tables h2")).to_have_text(["t"])


@pytest.mark.parametrize("state", ["", "experiment=made_up"])
def test_a_database_that_was_removed_is_said_and_its_successor_shown(
    show: Show, tmp_path: Path, state: str
) -> None:
    path = tmp_path / "results.db"
    record(path, GRID + TWO, RECORD)
    page = show(path, state)
    expect(page.locator("#main")).to_contain_text("2 done")
    path.unlink()
    expect(page.locator("#connection")).to_contain_text("results.db was removed")
    expect(page.locator("#main")).to_contain_text("2 done")
    record(path, GRID + ONE, None)
    expect(page.locator("#main")).to_contain_text("2 unfinished")
    expect(page.locator("#connection")).to_have_text("")


def test_the_run_that_was_opened_last_is_shown_whichever_answer_comes_first(
    show: Show, tmp_path: Path
) -> None:
    path = tmp_path / "results.db"
    record(path, GRID + ONE, RECORD)
    page = show(path, "experiment=made_up")
    expect(page.locator("#tables h2")).to_have_text(["t"])
    held: list[Route] = []
    page.route("**/run?*cell=0*", lambda route: held.append(route))
    page.evaluate("location.hash = '#experiment=made_up&cell=0:0'")
    page.wait_for_function("!document.querySelector('aside.cell').hidden")
    page.evaluate("location.hash = '#experiment=made_up&cell=1:0'")
    expect(page.locator("aside.cell h2")).to_have_text("lr=0.01")
    for each in held:
        each.continue_()
    page.wait_for_timeout(500)
    expect(page.locator("aside.cell h2")).to_have_text("lr=0.01")
