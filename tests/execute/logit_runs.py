"""A run on digits that keeps its logits, and what asks more of it, for tests of logits."""

import shutil
from pathlib import Path
from typing import Any

from stage_log import Log, do_spec

from runner.api.predictions import SplitPredictions, predictions
from runner.api.running import RunSummary
from runner.store.database import open_database

SPEC = """\
name: asked
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 2, batch_size: 64, optimizer: {name: sgd, lr: 0.1}}
tables:
  asked: {TEST_ACC: test_accuracy}
"""


def do(folder: Path, text: str, **options: Any) -> tuple[Log, RunSummary]:
    return do_spec(folder / "asked.yaml", text, **options)


def looked(folder: Path, split: str = "test") -> SplitPredictions:
    return predictions("asked:0", split, db=folder / "results.db")


def forget(folder: Path, split: str) -> None:
    """Leave what a run left when no logits of a split were kept."""
    for path in folder.glob(f".runner/logits/*/*-{split}"):
        shutil.rmtree(path)
    with open_database(folder / "results.db") as database, database.write() as connection:
        connection.exec_driver_sql(f"DELETE FROM artifacts WHERE name LIKE 'logits/%-{split}'")
