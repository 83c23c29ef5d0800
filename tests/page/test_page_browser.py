"""The page in a browser: a grid that runs, what can be opened, and hostile text."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import HEAD, MadeUp, record_made_up
from shown_pages import Show
from waiting import PATIENCE

from runner.store.database import open_database

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

LIVE = """
name: live
about: A grid that is looked at while it runs.
data: digits
model: {name: convnet, filters: [16, 32]}
train: {epochs: 16, batch_size: 32, optimizer: {name: sgd, lr: 0.05}}
seeds: [0, 1]
sweep:
  grid:
    lr: [0.01, 0.1]
    epochs: [8, 16]
tables:
  live:
    columns: {LR: lr, EPOCHS: epochs, VAL: {metric: val_accuracy, mark: max}, TEST: test_accuracy}
"""
MADE_UP = (
    HEAD
    + "seeds: [0, 1]\nsweep: {grid: {lr: [0.1, 0.01, 0.001]}}\n"
    + "tables: {t: {LR: lr, VAL: {metric: val_accuracy, mark: max}, TEST: test_accuracy}}\n"
)
POINTS = """() => [...document.querySelectorAll(".legend li")]
    .reduce((sum, each) => sum + Number(each.dataset.points), 0)"""
RECORD = MadeUp(
    {"val_accuracy": [0.2, 0.6, 0.5, 0.4], "train_loss": [2.0, 1.5, 1.0, 0.5]},
    best_epoch=2,
    test_accuracy=0.5,
)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "runner", "run", "live.yaml", "--threads", "1", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A grid that has begun; its database is there."""
    (tmp_path / "live.yaml").write_text(LIVE, "utf-8")
    process = start("--checkpoint-seconds", "0")
    assert process.stderr is not None
    process.stderr.readline()  # "prepare digits": the plan is recorded
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    path = tmp_path / "results.db"
    with open_database(path) as database:
        record_made_up(
            database, tmp_path, MADE_UP, lambda cell: None if cell.position == 2 else RECORD
        )
    return path


def value(page: Page, row: int, column: str) -> str:
    head = page.locator("#tables thead th").all_inner_texts()
    return (
        page.locator(f"#tables tbody tr[data-row='{row}'] td").nth(head.index(column)).inner_text()
    )


def test_a_grid_fills_in_while_it_runs(
    show: Show, running: subprocess.Popen[str], tmp_path: Path
) -> None:
    page = show(tmp_path / "results.db", "experiment=live&metric=val_accuracy")
    table = page.get_by_role("table", name="live")
    expect(table.locator("a.value.running").first).to_contain_text(re.compile(r"epoch \d+/\d+"))
    expect(page.locator(".plan li.running")).not_to_have_count(0)
    expect(page.locator(".facts")).to_contain_text(f"process {running.pid} on")
    expect(page.locator(".legend li")).not_to_have_count(0)
    before = page.evaluate(POINTS)
    page.wait_for_function(f"before => ({POINTS})() > before", arg=before)
    expect(page.locator(".counts")).to_have_text("8 done of 8 cells")
    expect(page.locator(".plan li.done")).not_to_have_count(0)
    expect(page.locator(".plan li.running")).to_have_count(0)
    expect(table.locator("a.value.done")).to_have_count(8)
    assert re.fullmatch(r"0\.\d{3} ± 0\.\d{3}", value(page, 0, "TEST"))
    assert running.wait(PATIENCE) == 0


def test_a_killed_process_and_a_second_one_are_seen(
    show: Show, running: subprocess.Popen[str], tmp_path: Path
) -> None:
    page = show(tmp_path / "results.db", "experiment=live")
    expect(page.locator(".facts")).to_contain_text(f"process {running.pid} on")
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    second = start()
    try:
        expect(page.locator(".facts")).to_contain_text(f"process {second.pid} on")
        expect(page.locator(".counts")).to_have_text("8 done of 8 cells")
    finally:
        second.kill()
        second.communicate()


def test_updates_leave_choices_as_they_are(
    show: Show, running: subprocess.Popen[str], tmp_path: Path
) -> None:
    page = show(tmp_path / "results.db", "experiment=live")
    page.get_by_role("checkbox", name="draw the curves of row 1").uncheck()
    page.get_by_label("horizontal axis").select_option("step")
    page.get_by_role("button", name="EPOCHS").click()
    expect(page.locator("th[aria-sort='ascending']")).to_have_text("EPOCHS")
    expect(page.locator(".counts")).to_have_text("8 done of 8 cells")
    expect(page.get_by_role("checkbox", name="draw the curves of row 1")).not_to_be_checked()
    expect(page.get_by_label("horizontal axis")).to_have_value("step")
    expect(page.locator("th[aria-sort='ascending']")).to_have_text("EPOCHS")
    assert running.wait(PATIENCE) == 0


def test_what_changed_since_another_version_was_finished(show: Show, tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    with open_database(path) as database:
        record_made_up(database, tmp_path, MADE_UP, lambda _: replace(RECORD, test_accuracy=0.25))
        edited = MADE_UP.replace("epochs: 4", "epochs: 8").replace("0.001", "1.0")
        record_made_up(database, tmp_path, edited, lambda _: RECORD)
    page = show(path, "experiment=made_up")
    section = page.locator("#since")
    expect(section.get_by_role("heading")).to_have_text("Since another version was finished")
    expect(section).to_contain_text("Cells: 4 with another run, 2 new, 2 gone.")
    expect(section.get_by_role("row", name="train.epochs")).to_contain_text("8")
    expect(section).to_contain_text("New: lr=1")
    section.get_by_role("row", name="lr=0.01").get_by_role("link").click()
    expect(page.get_by_role("complementary", name="run")).to_contain_text("lr=0.01")
    expect(section.get_by_role("row", name="lr=0.01")).to_contain_text("0.2500")


def test_a_cell_opens_is_compared_and_can_be_linked(show: Show, made_up: Path) -> None:
    page = show(made_up, "")
    page.get_by_role("link", name="made_up").click()
    page.get_by_role("table", name="t").get_by_role("link", name="0.600").first.click()
    panel = page.get_by_role("complementary", name="run")
    expect(panel).to_contain_text("lr=0.1")
    expect(panel).to_contain_text("runner run")
    assert page.url.endswith("cell=0%3A0")
    panel.get_by_label("compare with").select_option("1:1")
    expect(panel.get_by_role("heading", name="Difference from 1:1")).to_be_visible()
    expect(panel.get_by_role("row", name="train.optimizer.lr").first).to_contain_text("0.01")
    link = page.url.partition("#")[2]
    again = show(made_up, link)
    expect(again.get_by_role("heading", name="Difference from 1:1")).to_be_visible()
    again.keyboard.press("Escape")
    expect(again.get_by_role("complementary", name="run")).to_be_hidden()


@pytest.mark.parametrize(
    ("form", "begins"),
    [("LaTeX", "% \\usepackage{booktabs}"), ("Markdown", "| LR"), ("CSV", "LR,")],
)
def test_tables_are_copied(show: Show, made_up: Path, form: str, begins: str) -> None:
    page = show(made_up, "experiment=made_up")
    page.get_by_role("button", name=form).click()
    expect(page.get_by_role("button", name="copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith(begins)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state", ["", "experiment=made_up", "experiment=made_up&cell=0:0&compare=1:0"]
)
def test_axe_finds_nothing(show: Show, made_up: Path, scheme: str, state: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = show(made_up, state, color_scheme=scheme)
    expect(page.locator("h1")).to_be_visible()
    if "cell=" in state:
        expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_phone_scrolls_only_downwards(show: Show, made_up: Path) -> None:
    for state in ("", "experiment=made_up", "experiment=made_up&cell=0:0"):
        page = show(made_up, state, viewport={"width": 390, "height": 800})
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror=document.title="owned">"\'`&lt;'
)


def test_hostile_text_does_nothing(show: Show, tmp_path: Path) -> None:
    path, long = tmp_path / "results.db", "n" * 10_000
    text = (
        HEAD
        + f"about: {json.dumps(HOSTILE)}\n"
        + "sweep:\n  rows:\n"
        + f"    - {{lr: 0.1, label: {json.dumps(HOSTILE)}}}\n"
        + f"    - {{lr: 0.2, label: {long}}}\n"
        + f"tables: {{t: {{{json.dumps(HOSTILE)}: lr, VAL: val_accuracy, WHICH: label}}}}\n"
    )
    with open_database(path) as database:
        bad = MadeUp({"val_accuracy": [0.5]}, status="failed")
        record_made_up(database, tmp_path, text, lambda cell: bad if cell.position else RECORD)
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE attempts SET error = ?, checksum = NULL", (HOSTILE,))
            connection.exec_driver_sql(
                "UPDATE results SET message = ?, checksum = NULL", (HOSTILE,)
            )
    for state in ("", "experiment=made_up", "experiment=made_up&cell=1:0", "experiment=" + HOSTILE):
        page = show(path, state)
        page.wait_for_timeout(700)
        assert page.title() != "owned"
        assert page.locator("img, script:not([src])").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page = show(path, "experiment=made_up")
    expect(page.get_by_role("columnheader", name="<script>")).to_be_visible()
