"""A grid that tests of exports share: runs that ended in every way, a table, and pictures."""

from __future__ import annotations

import json
from pathlib import Path

from made_up import MadeUp, Recipe, record_made_up
from PIL import Image

from runner.core.run import Cell
from runner.store.database import open_database

SPEC = """\
name: grid
data: {dataset: digits}
model: {name: mlp, hidden: [4]}
train: {epochs: 3}
seeds: [0, 1]
sweep:
  rows:
    - {label: "slow, =1", lr: 0.01}
    - {label: fast, lr: 0.1}
tables:
  grid: {WHICH: label, ACC: {metric: val_accuracy, mark: max}}
"""
DONE = MadeUp(
    metrics={"train_loss": [0.9, 0.5, 0.3], "val_accuracy": [0.5, 0.75, 0.625]},
    best_epoch=2,
    test_accuracy=0.7,
    steps=[[1.0, 0.8], [0.6, 0.4], [0.3, 0.25]],
)
DIVERGED = MadeUp(
    metrics={"train_loss": [2.0], "val_accuracy": [0.25]},
    status="diverged",
    steps=[[2.0, 3.0], [float("nan")]],
)
FAILED = MadeUp(metrics={"train_loss": [0.9], "val_accuracy": [0.5]}, status="failed")


def mixed(cell: Cell) -> MadeUp | None:
    """Return a done, an unfinished, a diverged and a failed run."""
    ended = {(0, 0): DONE, (1, 0): DIVERGED, (1, 1): FAILED}
    return ended.get((cell.position, cell.seed))


def record(folder: Path, recipe: Recipe = mixed) -> Path:
    """Record the grid in a database of a folder; return its path."""
    path = folder / "results.db"
    with open_database(path) as database:
        record_made_up(database, folder, SPEC, recipe)
    return path


def draw_report(folder: Path, of: str = "grid", color: str = "red") -> Path:
    """Write a picture as `report --figures` leaves it, with its manifest; return the folder."""
    place = folder / "report"
    (place / "figures").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), color).save(place / "figures" / "curves.png")
    files = ["README.md", "figures/curves.pdf", "figures/curves.png", "tables/grid.md"]
    content = {"format": 1, "report": of, "files": files}
    (place / "report.json").write_text(json.dumps(content), encoding="utf-8")
    return place
