"""The pictures in docs/page.md: the page and its file, light, dark and on a phone.

    python bench/page_pictures.py [--out FOLDER] [--all] [--keep FOLDER]

Needs Chromium and Playwright. Grids are made up, but for a small one that is trained. `--all` makes
those, too, that are only to be looked at; `--keep` is the folder of bench/page.py's databases.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import ROOT, run_child, runner_command
from page_browser import browser, served
from page_grids import Grid
from PIL import Image
from playwright.sync_api import Browser, Page

FOLDER = ROOT / "docs" / "pictures"
WIDE: dict[str, Any] = {"viewport": {"width": 1200, "height": 900}}
TALL: dict[str, Any] = {"viewport": {"width": 1200, "height": 1280}}
LOW: dict[str, Any] = {"viewport": {"width": 1100, "height": 700}}
MOST_BYTES = 150_000
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5}
RUNNING = """\
name: dropout_rates
about: Dropout against learning rate, three seeds each.
data: {dataset: digits}
model: {name: mlp}
train: {epochs: 20, optimizer: sgd}
seeds: [0, 1, 2]
sweep:
  rows:
    - {dropout: 0.0, lr: 0.01, label: plain, published: {TEST: {value: 0.71, within: 0.02}}}
    - {dropout: 0.2, lr: 0.01, label: light, published: {TEST: {value: 0.74, within: 0.02}}}
    - {dropout: 0.5, lr: 0.01, label: usual, published: {TEST: {value: 0.93, within: 0.02}}}
    - {dropout: 0.0, lr: 0.1, label: fast}
    - {dropout: 0.5, lr: 0.1, label: fast and usual}
    - {dropout: 0.5, lr: 10.0, label: too fast}
tables:
  dropout_rates:
    {DROPOUT: dropout, RATE: lr, VAL: {metric: val_accuracy, mark: max}, TEST: test_accuracy}
"""
TRAINED = """\
name: looked_at
about: A small network on handwritten digits.
data: digits
model: {name: convnet, filters: [8, 16]}
train: {epochs: 4, batch_size: 64, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}}
sweep: {grid: {lr: [0.05, 0.2]}}
analyses: {first: filters, confused: {name: predictions, split: test}}
tables: {looked_at: {RATE: lr, VAL: val_accuracy, TEST: {metric: test_accuracy, mark: max}}}
"""
SINGLE = """\
name: single
data: {dataset: digits}
model: {name: mlp}
train: {epochs: 20, optimizer: sgd}
"""
NAMED = """\
name: %s
about: %s
data: {dataset: digits}
model: {name: mlp}
train: {epochs: 20, optimizer: sgd}
sweep: {rows: [{lr: 0.1, label: %s}, {lr: 0.2, label: short}]}
tables: {%s: {WHICH: label, RATE: lr, VAL: val_accuracy}}
"""


@dataclass(frozen=True)
class Picture:
    """A picture to make.

    Attributes:
        name: of its file.
        where: the database or file that is shown.
        state: of the page, behind the `#` of its address.
        options: of the tab.
        until: what is waited for, a selector.
        before: done to the page first.
        shown: whether it is in the documentation.
    """

    name: str
    where: Path
    state: str
    options: dict[str, Any]
    until: str
    before: Callable[[Page], object] = lambda page: None
    shown: bool = True


def running(folder: Path) -> Path:
    """Return a grid at work: three cells done, one running, one that diverged, one that failed."""
    path = folder / "running.db"
    grid = Grid(path, 18, 20, done=False, text=RUNNING)
    runs = grid.waiting
    for run in runs[:7]:
        for _ in grid.steps(run):
            pass
    for run in runs[7:9]:
        steps = grid.steps(run)
        while next(steps) != 13:
            pass
    for run in runs[9:11]:
        for _ in grid.steps(run):
            pass
    grid.end_badly(runs[11], "failed", "RuntimeError: no room for a batch of 64 images")
    for run in runs[15:]:
        grid.end_badly(run, "diverged", "the loss of step 34 is not finite")
    return path


def trained(folder: Path) -> Path:
    """Return the database of a small grid that was trained, with pictures beside it."""
    home = folder / "trained"
    home.mkdir()
    (home / "looked_at.yaml").write_text(TRAINED, encoding="utf-8")
    run_child(runner_command("run", "looked_at.yaml"), home)
    run_child(runner_command("report", "--html", "page.html"), home)
    return home / "results.db"


def pictures(folder: Path, keep: Path | None, everything: bool) -> list[Picture]:
    """Return what is to be made, with the databases that it needs."""
    grid, looked_at = running(folder), trained(folder)
    at, run = "experiment=dropout_rates", "experiment=looked_at&cell=0:0"
    value, dark = "#tables a.value", {"color_scheme": "dark"}
    file = looked_at.with_name("page.html")
    made = [
        Picture("page-light", grid, at, TALL, ".u-over"),
        Picture("page-dark", grid, at, LOW | dark, ".u-over"),
        Picture("page-phone", grid, at, PHONE, ".u-over"),
        Picture("page-run", looked_at, run, WIDE, "aside .confusion", to_images),
        Picture("page-file", file, "experiment=looked_at", WIDE, ".u-over"),
    ]
    large = (keep or folder) / "10000-cells.db"
    if not large.exists():
        Grid(large, 10_000).database.close()
    made.append(Picture("page-10000", large, "experiment=grid", WIDE, ".u-over"))
    if not everything:
        return made
    one, named = folder / "one.db", folder / "named.db"
    Grid(one, 1, 20, done=False, text=SINGLE)
    finished = Grid(folder / "finished.db", 1, 20, done=False, text=SINGLE)
    for _ in finished.steps(finished.waiting[0]):
        pass
    long = "a_very_long_name_of_an_experiment_that_somebody_gave_in_a_hurry_and_never_changed"
    words = NAMED % (long, "A sentence that goes on and on. " * 12, "W" * 90, long)
    names = Grid(named, 2, 20, done=False, text=words)
    for _ in names.steps(names.waiting[0]):
        pass
    more = [
        Picture("list", grid, "", WIDE, "ul.experiments"),
        Picture("list-phone", grid, "", PHONE | dark, "ul.experiments"),
        Picture("one-waiting", one, "experiment=single", WIDE, ".plan li"),
        Picture("one-done", folder / "finished.db", "experiment=single", WIDE, ".u-over"),
        Picture("one-done-phone", folder / "finished.db", "experiment=single", PHONE, ".u-over"),
        Picture("phone-run", looked_at, run, PHONE | dark, "aside .confusion"),
        Picture("phone-run-pictures", looked_at, run, PHONE, "aside .confusion", to_pictures),
        Picture("run-failed", grid, at + "&cell=3:2", WIDE | dark, "aside h2"),
        Picture("run-compared", grid, at + "&cell=0:0&compare=5:0", WIDE, "aside h2"),
        Picture("named", named, f"experiment={long}", WIDE, value),
        Picture("named-phone", named, f"experiment={long}", PHONE, value),
        Picture("10000-phone", large, "experiment=grid", PHONE | dark, ".u-over"),
        Picture("plan-phone", grid, at, PHONE, ".u-over", page_down),
        Picture("settings-dark", grid, at, WIDE | dark, "#settings svg", to_settings),
    ]
    return made + more


def page_down(page: Page) -> None:
    """Scroll so that curves and plan are seen."""
    page.evaluate("document.querySelector('#tables').scrollIntoView()")


def to_settings(page: Page) -> None:
    """Scroll to a metric against a setting."""
    page.evaluate("document.querySelector('#settings').scrollIntoView()")


def to_pictures(page: Page) -> None:
    """Scroll the opened run to its confusion matrix."""
    page.evaluate("document.querySelector('aside .confusion').scrollIntoView()")


def to_images(page: Page) -> None:
    """Open the test images that are wrong with the most confidence, and scroll to them."""
    page.get_by_role("button", name="most confident wrong").last.click()
    page.locator("aside img").first.wait_for()
    page.evaluate("[...document.querySelectorAll('aside .confusion')].pop().scrollIntoView()")


def make(shown: Browser, picture: Picture, out: Path) -> None:
    """Make one picture."""
    if picture.where.suffix == ".html":
        shoot(shown, picture, picture.where.as_uri(), out)
        return
    with served(picture.where) as address:
        shoot(shown, picture, address, out)


def shoot(shown: Browser, picture: Picture, address: str, out: Path) -> None:
    """Open, wait, and write a PNG, of 256 colours where it would be large."""
    context = shown.new_context(**picture.options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}#{picture.state}")
    page.locator(picture.until).first.wait_for()
    page.wait_for_timeout(1500)
    picture.before(page)
    page.wait_for_timeout(700)
    wide = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = out / f"{picture.name}.png"
    image.save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        few = image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
    context.close()
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB{', too wide' if wide > 0 else ''}")


def main() -> int:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the pictures")
    parser.add_argument("--all", action="store_true", help="those that are not shown, too")
    parser.add_argument("--keep", type=Path, help="folder of made-up databases")
    parser.add_argument("--only", nargs="+", help="names")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, browser() as shown:
        for each in pictures(Path(temporary), options.keep, options.all):
            if not options.only or each.name in options.only:
                make(shown, each, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
