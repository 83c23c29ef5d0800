"""A grid, the same with an analysis of each run, and what tests ask of them."""

from pathlib import Path
from typing import Any

from grids import ask

from runner.api.running import RunSummary, run
from runner.core.stages import Stage
from runner.execute.listener import NullListener

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


class Log(NullListener):
    """Remembers the stages that began, and what was said."""

    def __init__(self) -> None:
        self.began: list[Stage] = []
        self.notes: list[str] = []

    def on_stage_start(self, stage: Stage) -> None:
        self.began.append(stage)

    def on_note(self, note: str) -> None:
        self.notes.append(note)


def do(folder: Path, text: str, **options: Any) -> tuple[Log, RunSummary]:
    log, spec = Log(), folder / "grid.yaml"
    spec.write_text(text)
    ran = run(spec, listen=lambda planned: log, threads=1, db=folder / "results.db", **options)
    return log, ran


def records(folder: Path) -> list[list[tuple[Any, ...]]]:
    return [ask(folder, query) for query in RECORDS]


def folders(home: Path) -> list[Path]:
    """Return the folders of arrays that analyses have left."""
    return sorted(home.glob(".runner/analyses/*/*"))
