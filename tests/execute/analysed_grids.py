"""A grid, the same with an analysis of each run, and what tests ask of them."""

from pathlib import Path
from typing import Any

from grids import ask
from stage_log import Log, do_spec

from runner.api.running import RunSummary

SPEC = """\
name: grid
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 2, batch_size: 64, optimizer: {name: sgd, lr: 0.1}}
sweep: {grid: {lr: [0.1, 0.2]}}
"""
ASKED = (
    SPEC
    + """\
analyses:
  shaken:
    name: robustness
    draws: 3
    transforms:
      - {name: RandomRotation, degrees: 45}
      - label: blur
        severities:
          - {name: GaussianBlur, kernel_size: 3, sigma: 0.5}
          - [{name: GaussianBlur, kernel_size: 3, sigma: 2}]
tables:
  robustness:
    LR: lr
    NONE: {analysis: shaken, metric: accuracy, where: {transform: none}}
    ROTATED: {analysis: shaken, metric: accuracy, where: {transform: RandomRotation}}
    BLURRED: {analysis: shaken, metric: accuracy, where: {transform: blur, severity: 2}}
"""
)
VALUES = "SELECT run_key, kind, name, dims, value FROM run_analyses ORDER BY 1, 2, 3, 4"
RECORDS = (
    "SELECT * FROM results ORDER BY run_key",
    "SELECT * FROM runs ORDER BY run_key",
    "SELECT * FROM run_stages ORDER BY run_key, position",
    "SELECT * FROM run_epochs ORDER BY run_key, attempt_id",
)
ENDED = (
    "SELECT count(*), count(DISTINCT stage_key) FROM attempts JOIN stages USING (stage_key)"
    " WHERE kind = 'analyse' AND status = 'done'"
)


def do(folder: Path, text: str, **options: Any) -> tuple[Log, RunSummary]:
    return do_spec(folder / "grid.yaml", text, **options)


def records(folder: Path) -> list[list[tuple[Any, ...]]]:
    return [ask(folder, query) for query in RECORDS]


def folders(home: Path) -> list[Path]:
    """Return the folders of arrays that analyses have left."""
    return sorted(home.glob(".runner/analyses/*/*"))
