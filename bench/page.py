"""What the page costs: its first paint, the way of a commit to the screen, memory, runs beside it.

    python bench/page.py first [--cells 1000 10000]   navigation to the first row of the table
    python bench/page.py seen  [--cells 1000 10000]   commit to screen, forty commits
    python bench/page.py day   [--changes 3000]       memory of a tab over a day's changes
    python bench/page.py beside [--pairs 7]           a run that is watched against one that is not

Needs Chromium and Playwright. `--keep FOLDER` leaves the made-up databases there and uses them
again. Each part writes its rows of bench/results/page.md.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measuring import (
    machine,
    record,
    run_child,
    runner_command,
    with_interval,
    with_range,
    write_report,
)
from page_browser import browser, memory, served
from page_grids import EPOCHS, NAME, TO_DO, Grid
from playwright.sync_api import Browser, Page

LAST_SHOWN = 200
"""Rows of a table that are on the page at once."""

PAINTED = """
(() => {
  const look = () => {
    if (!document.querySelector("#tables tbody tr")) return requestAnimationFrame(look);
    requestAnimationFrame(() => setTimeout(() => (window.painted = performance.now())));
  };
  requestAnimationFrame(look);
})();
"""
SEEN = """
window.wanted = null;
window.seenAt = 0;
window.answers = 0;
const asked = window.fetch;
window.fetch = (...words) => {
  if (String(words[0]).startsWith("changes")) window.answers++;
  return asked(...words);
};
new MutationObserver(() => {
  if (!window.wanted || window.seenAt) return;
  const row = document.querySelector(`#tables tr[data-row="${window.wanted.row}"]`);
  if (!row || !row.textContent.includes(window.wanted.text)) return;
  requestAnimationFrame(() => setTimeout(() => (window.seenAt = Date.now())));
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
WANT = "wanted => { window.seenAt = 0; window.wanted = wanted; }"
HIDE = """
hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""
RUN = """\
name: beside
data: digits
model: {name: convnet, filters: [16, 32]}
train: {epochs: 12, batch_size: 32, optimizer: {name: sgd, lr: 0.05}}
seeds: %s
tables: {beside: {LR: lr, VAL: val_accuracy, TEST: test_accuracy}}
"""
TITLES = {
    "first": "First paint: navigation to the first row of the table",
    "seen": "From the commit of an epoch to the screen",
    "day": "Memory of a tab over thousands of changes",
    "beside": "A run that is watched against one that is not",
}
ABOUT = {
    "first": "Goals: 0.5 s at 1,000 cells, 1.5 s at 10,000. Cold: the server has just started and"
    " has read nothing.",
    "seen": "Goal: 2 s. At random moments, one process that records, a tab that is seen.",
    "day": "Goal: flat. After forced garbage collections. Hidden: the tab is not seen.",
    "beside": "In turns: whole commands, seconds of the run's own process, ratios of pairs with"
    " 95 % intervals of their median. The page is served and shown on the same machine.",
}


def grid_of(cells: int, keep: Path | None, folder: Path) -> Path:
    """Return a copy of a made-up database of so many cells, recorded where it is not there yet."""
    source = (keep or folder) / f"{cells}-cells.db"
    if not source.exists():
        Grid(source, cells).database.close()
    copy = folder / f"copy-{cells}-{random.getrandbits(32):08x}.db"
    shutil.copy(source, copy)
    return copy


def opened(shown: Browser, address: str, script: str, state: str = f"experiment={NAME}") -> Page:
    """Return a tab of its own at an experiment, with a script that begins before the page's."""
    page = shown.new_context(viewport={"width": 1300, "height": 900}).new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(script)
    page.goto(f"{address}#{state}", wait_until="commit")
    return page


def first(options: argparse.Namespace, folder: Path) -> None:
    """Measure first paints."""
    for cells in options.cells:
        path = grid_of(cells, options.keep, folder)
        cold: list[float] = []
        warm: list[float] = []
        sent: list[float] = []
        with browser() as shown:
            for _ in range(options.repetitions):
                with served(path) as address:
                    for seconds in (cold, warm):
                        found, size = painted(shown, address)
                        seconds.append(found)
                        sent.append(size)
        row = {
            "cold, s": with_range(cold, 2),
            "warm, s": with_range(warm, 2),
            "kB received": f"{statistics.median(sent) / 1000:.0f}",
        }
        write("first", f"{cells:,} cells", row)


def painted(shown: Browser, address: str) -> tuple[float, int]:
    """Return seconds from navigation to the first row's paint, and bytes until all has come."""
    sizes: list[int] = []
    page = shown.new_context(viewport={"width": 1300, "height": 900}).new_page()
    page.set_default_timeout(60_000)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda each: sizes.append(each["encodedDataLength"]))
    page.add_init_script(PAINTED)
    page.goto(f"{address}#experiment={NAME}", wait_until="commit")
    page.wait_for_function("() => window.painted")
    seconds = page.evaluate("window.painted") / 1000
    page.locator(".plan li").first.wait_for()
    page.wait_for_timeout(500)
    page.context.close()
    return seconds, int(sum(sizes))


def epochs(grid: Grid) -> Iterator[tuple[int, int]]:
    """Yield row and epoch after each commit of an epoch of a run that is on the screen."""
    rows = [row for row in range(0, LAST_SHOWN, TO_DO) for _ in range(2)]
    for row, run in zip(rows, grid.waiting, strict=False):
        for epoch in grid.steps(run):
            if epoch:
                yield row, epoch


def seen(options: argparse.Namespace, folder: Path) -> None:
    """Measure how long commits take to the screen."""
    draw = random.Random(0)
    for cells in options.cells:
        path = grid_of(cells, options.keep, folder)
        grid = Grid(path, cells)
        waited: list[float] = []
        with served(path) as address, browser() as shown:
            page = opened(shown, address, SEEN)
            page.locator("#tables tbody tr").first.wait_for()
            page.locator(".plan li").first.wait_for()
            steps = epochs(grid)
            next(steps)
            for number in range(1, options.commits):
                time.sleep(draw.uniform(0.5, 2.5))
                run, epoch = divmod(number, EPOCHS)
                row = run // 2 * TO_DO
                page.evaluate(WANT, {"row": row, "text": f"epoch {epoch + 1}/{EPOCHS}"})
                assert next(steps) == (row, epoch + 1)
                committed = time.time()
                page.wait_for_function("() => window.seenAt")
                waited.append(page.evaluate("window.seenAt") / 1000 - committed)
        grid.database.close()
        ordered = sorted(waited)
        cells_of_row = {
            "median, s": f"{statistics.median(ordered):.2f}",
            "nine of ten, s": f"{ordered[len(ordered) * 9 // 10]:.2f}",
            "largest, s": f"{ordered[-1]:.2f}",
            "commits": str(len(ordered)),
        }
        write("seen", f"{cells:,} cells", cells_of_row)


def day(options: argparse.Namespace, folder: Path) -> None:
    """Measure the memory of a tab while a grid of 200 cells is recorded."""
    path = folder / "day.db"
    grid = Grid(path, 200, 100, done=False)
    changes = (epoch for run in grid.waiting for epoch in grid.steps(run))
    with served(path) as address, browser() as shown:
        page = opened(shown, address, SEEN)
        page.locator(".plan li").first.wait_for()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        for quarter in range(5):
            if quarter:
                for _ in range(options.changes // 4):
                    next(changes)
                    time.sleep(options.pause)
                page.wait_for_timeout(2000)
            name = f"after {quarter * options.changes // 4:,} changes"
            write("day", name, _held(memory(session), page.evaluate("window.answers")))
        page.evaluate(HIDE, True)
        next(changes)
        page.wait_for_timeout(1500)  # what was asked before is answered
        asked = page.evaluate("window.answers")
        for _ in range(200):
            next(changes)
            time.sleep(options.pause)
        asked = page.evaluate("window.answers") - asked
        write("day", "hidden, 200 changes more", _held(memory(session), asked))
    grid.database.close()


def _held(found: dict[str, int], answers: int) -> dict[str, Any]:
    return {
        "heap, MB": f"{found['JSHeapUsedSize'] / 1e6:.2f}",
        "nodes": found["Nodes"],
        "listeners": found["JSEventListeners"],
        "questions of the tab": answers,
    }


def beside(options: argparse.Namespace, folder: Path) -> None:
    """Measure a run in turns alone and watched."""
    started = folder / "started"
    started.mkdir()
    (started / "beside.yaml").write_text(RUN % "[0]", encoding="utf-8")
    command = runner_command("run", "beside.yaml", "--threads", "1")
    run_child(command, started)
    (started / "beside.yaml").write_text(RUN % "[0, 1, 2, 3, 4]", encoding="utf-8")
    spent: dict[bool, list[Any]] = {False: [], True: []}
    with browser() as shown:
        for number in range(options.pairs):
            for is_watched in (False, True) if number % 2 else (True, False):
                place = folder / f"{number}-{is_watched}"
                shutil.copytree(started, place)
                if not is_watched:
                    spent[False].append(run_child(command, place))
                    continue
                with served(place / "results.db") as address:
                    page = opened(shown, address, "", "experiment=beside")
                    page.locator("#tables tbody tr").first.wait_for()
                    spent[True].append(run_child(command, place))
                    page.locator(".counts", has_text="5 done").wait_for()
                    page.context.close()
    for name in ("wall", "cpu"):
        alone, watched = ([getattr(each, name) for each in spent[each]] for each in (False, True))
        ratios = [one / other for one, other in zip(watched, alone, strict=True)]
        row = {
            "alone": with_range(alone),
            "watched": with_range(watched),
            "ratio of pairs": with_interval(ratios),
            "pairs": str(len(ratios)),
        }
        write("beside", f"{'CPU ' if name == 'cpu' else ''}seconds", row)


def write(part: str, row: str, cells: dict[str, Any]) -> None:
    """Put a row into the results, and the results into the report."""
    record("page", part, row, cells, machine())
    write_report("page", "What the page costs", TITLES, ABOUT)


PARTS: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "first": first,
    "seen": seen,
    "day": day,
    "beside": beside,
}


def main() -> int:
    """Measure a part, and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--commits", type=int, default=40)
    parser.add_argument("--changes", type=int, default=3000)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two changes")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="folder of made-up databases")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        PARTS[options.part](options, Path(temporary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
