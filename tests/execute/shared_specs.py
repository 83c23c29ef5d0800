"""A spec whose runs have many epochs in common, and what of it is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grids import ask

from runner.api.running import run
from runner.bind.request import Request
from runner.core.stages import Stage
from runner.execute.listener import NullListener
from runner.store.database import open_database
from runner.store.dump import canonical_dump, run_dump

HEAD = """\
name: families
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [4], batch_norm: true, dropout: 0.2, linear: [5]}
train: {epochs: 8, batch_size: 8, optimizer: {name: sgd, lr: 0.05, momentum: 0.9}}
"""
READERS = (
    HEAD
    + """\
sweep:
  rows:
    - {label: budget 8}
    - {label: budget 5, epochs: 5}
    - {label: last tested, epochs: 6, evaluate.test: last}
    - {label: patience on loss, early_stopping: {monitor: val_loss, patience: 1}}
    - label: patience on accuracy
      early_stopping: {monitor: val_accuracy, patience: 2}
      evaluate.test: last
    - {label: best by loss, train.best: {monitor: val_loss}}
    - {label: last is best, train.best: {monitor: last}, epochs: 7}
    - {label: never tested, epochs: 3, evaluate.test: never}
"""
)
"""One trajectory, read in eight ways."""

BRANCHES = (
    HEAD
    + """\
sweep:
  rows:
    - {label: every 2, schedule: {name: step, step_size: 2, gamma: 0.3}}
    - {label: every 3, schedule: {name: step, step_size: 3, gamma: 0.3}}
    - {label: every 4, schedule: {name: step, step_size: 4, gamma: 0.3}}
    - {label: every 3 by a half, schedule: {name: step, step_size: 3, gamma: 0.5}}
    - {label: every 3 and longer, schedule: {name: step, step_size: 3, gamma: 0.3}, epochs: 10}
    - {label: short, epochs: 2}
    - label: every 3 with patience
      schedule: {name: step, step_size: 3, gamma: 0.3}
      early_stopping: {monitor: val_loss, patience: 1}
      evaluate.test: last
"""
)
"""Step sizes and factors that part in the second, third and fourth epoch."""

TWO_BRANCHES = (
    HEAD
    + """\
sweep:
  rows:
    - {label: every 2, schedule: {name: step, step_size: 2, gamma: 0.3}}
    - {label: every 4, schedule: {name: step, step_size: 4, gamma: 0.3}}
"""
)
"""Two epochs in common, then six of each."""

WARMED = (
    HEAD
    + """\
sweep:
  rows:
    - {label: constant, schedule: {name: constant, warmup: 2}, epochs: 6}
    - {label: after 4, schedule: {name: multistep, milestones: [4], warmup: 2}, epochs: 6}
    - {label: after 5, schedule: {name: multistep, milestones: [5], warmup: 2}, epochs: 6}
    - {label: cosine, schedule: {name: cosine, warmup: 2}, epochs: 6}
    - {label: fewer images, schedule: {name: constant, warmup: 2}, train_images: 5, epochs: 2}
"""
)
"""Two epochs of warm-up, then rates that part; a sample of the same pixels."""

FROZEN = (
    HEAD
    + """\
sweep:
  rows:
    - {label: frozen, model.freeze: features, model.dropout: 0.0}
    - {label: frozen and short, model.freeze: features, model.dropout: 0.0, epochs: 3}
    - label: frozen and stepping
      model.freeze: features
      model.dropout: 0.0
      schedule: {name: step, step_size: 2, gamma: 0.3}
"""
)
PLATEAU = (
    HEAD
    + """\
sweep:
  rows:
    - {label: plateau, schedule: &rule {name: plateau, patience: 0, factor: 0.5, threshold: 0.2}}
    - {label: shorter plateau, schedule: *rule, epochs: 6}
    - {label: plateau with patience, schedule: *rule, early_stopping: {patience: 2}}
"""
)
DIVERGING = (
    HEAD.replace("lr: 0.05", "lr: 1.0e+30")
    + """\
sweep:
  rows:
    - {label: all}
    - {label: every 2, schedule: {name: step, step_size: 2, gamma: 0.1}}
    - {label: short, epochs: 2}
"""
)
"""Runs that diverge in the epochs they have in common."""

PARTLY = HEAD.replace("name: convnet, filters: [4], batch_norm: true, dropout: 0.2, linear: [5]",
    "name: mlp, hidden: [6]").replace("lr: 0.05", "lr: 1.0") + """\
sweep:
  rows:
    - {label: goes on}
    - {label: calmed, schedule: {name: step, step_size: 2, gamma: 1.0e-6}, train.diverged_if: 100}
    - {label: not calmed, train.diverged_if: 100}
    - {label: before, epochs: 2}
    - {label: before both, epochs: 2, train.diverged_if: 100}
    - {label: stricter, train.diverged_if: 2.0}
"""  # fmt: skip
"""Runs that diverge where their siblings have ended, or have gone another way."""

STOPPED = (
    HEAD
    + """\
sweep:
  rows:
    - label: every 6
      schedule: &six {name: step, step_size: 6, gamma: 0.5}
      early_stopping: &patience {monitor: val_accuracy, patience: 2}
      evaluate.test: last
    - {label: every 7, schedule: {name: step, step_size: 7, gamma: 0.5}, early_stopping: *patience}
"""
)
"""All runs stop early before they part."""

ONE_GOES_ON = (
    STOPPED
    + """\
    - {label: goes on, schedule: *six}
"""
)
"""Two runs stop early before they part, a third one branches."""

SPECS = {
    "readers": READERS,
    "branches": BRANCHES,
    "warmed": WARMED,
    "frozen": FROZEN,
    "plateau": PLATEAU,
    "diverging": DIVERGING,
    "partly": PARTLY,
    "stopped": STOPPED,
    "one goes on": ONE_GOES_ON,
}


class Log(NullListener):
    """Remembers the kinds of the stages that began, and what it is told."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[str] = []
        self.notes: list[str] = []

    def on_stage_start(self, stage: Stage) -> None:
        self.began.append(stage.kind)

    def on_stage_end(self, stage: Stage, status: str, seconds: float, message: str) -> None:
        self.ended.append(status)

    def on_note(self, note: str) -> None:
        self.notes.append(note)


def do(spec: Path, folder: Path, **options: Any) -> Log:
    """Run a spec into a folder's database; return what was heard."""
    log = Log()
    folder.mkdir(exist_ok=True)
    request = Request([spec], threads=1, db=folder / "results.db", **options)
    run(request, listen=lambda planned: log)
    return log


def do_alone(spec: Path, folder: Path) -> None:
    """Run a spec, every run by itself and from its first epoch."""
    do(spec, folder, disable=("share_trajectories", "go_on_from_states"))


def dump_of(folder: Path) -> str:
    """Return the canonical dump of a folder's database."""
    database = open_database(folder / "results.db", create=False)
    try:
        return "\n".join(canonical_dump(database))
    finally:
        database.close()


def dump_of_runs(folder: Path) -> dict[str, str]:
    """Return what is dumped of the present runs of the spec, by run."""
    database = open_database(folder / "results.db", create=False)
    try:
        runs = [key for (key,) in ask(folder, "SELECT DISTINCT run_key FROM cells")]
        return {key: "\n".join(run_dump(database, key)) for key in runs}
    finally:
        database.close()


def trained(folder: Path) -> int:
    """Return how many epochs were ever trained."""
    ((number,),) = ask(folder, "SELECT count(*) FROM steps")
    return int(number)


def statuses(folder: Path) -> dict[str, str]:
    """Return how the runs ended, by label."""
    query = (
        "SELECT json_extract(labels, '$.label'), status FROM cells"
        " LEFT JOIN results USING (run_key)"
    )
    return dict(ask(folder, query))


def failures(folder: Path) -> list[tuple[str, str]]:
    """Return the attempts that ended neither well nor in a divergence."""
    query = (
        "SELECT kind, error FROM attempts JOIN stages USING (stage_key)"
        " WHERE status NOT IN ('done', 'diverged')"
    )
    return ask(folder, query)
