"""Databases with made-up results: what a grid would have recorded, without training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from runner.core.records import EpochRecord, Metric
from runner.core.run import Cell
from runner.core.stages import Stage
from runner.lower.stages import make_run, naive_chain
from runner.report.tables.query import query_table
from runner.report.tables.table import TableData
from runner.spec.experiment import Experiment, load_experiment
from runner.store.catalogue import SpecRecord, record_environment, record_experiment
from runner.store.chains import RunStages
from runner.store.checksums import seal_all
from runner.store.claims import Claimed, NewAttempt, claim_stage
from runner.store.database import Database
from runner.store.recorder import end_attempt, record_epochs
from runner.store.results import record_result

HEAD = """
name: made_up
data: {dataset: digits}
model: {name: mlp}
train: {epochs: 4}
"""
ENVIRONMENT = {"versions": {"runner": "made up"}, "python": "3", "commit": "", "code": "made up"}
NUMERICS = {"device": "cpu", "torch": "2", "threads": 1}


@dataclass(frozen=True)
class MadeUp:
    """What one run recorded.

    ``metrics`` has a list over epochs by full name, ``steps`` the losses of each epoch's steps;
    steps of more epochs than there are metrics belong to one in which the run diverged.
    """

    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)
    best_epoch: int = 1
    test_accuracy: float | None = None
    status: Literal["done", "diverged", "failed"] = "done"
    epoch_seconds: float = 10.0
    steps: Sequence[Sequence[float]] = ()


Recipe = Callable[[Cell], MadeUp | None]


def record_made_up(
    database: Database, folder: Path, text: str, recipe: Recipe, sets: Sequence[str] = ()
) -> Experiment:
    """Record the spec in ``text``, or the variant of it that ``sets`` make.

    A cell for which the recipe has None stays unfinished.
    """
    path = folder / "made_up.yaml"
    path.write_text(text, encoding="utf-8")
    experiment = load_experiment(path, sets=sets)
    runs = [make_run(item.settings, "made up") for item in experiment.cells]
    chains = {
        run.run_key: naive_chain(run, item.settings)
        for run, item in zip(runs, experiment.cells, strict=True)
    }
    record_experiment(
        database,
        SpecRecord(
            name=experiment.name,
            variant=experiment.variant,
            about=experiment.about,
            path=str(path),
            document=experiment.document,
            source=text,
        ),
        keyed_cells=[
            (item.cell, run.run_key) for item, run in zip(experiment.cells, runs, strict=True)
        ],
        wanted=runs,
        chains={run: RunStages(chain, chain[1].key, 0) for run, chain in chains.items()},
    )
    environment = record_environment(database, ENVIRONMENT)
    for item, run in zip(experiment.cells, runs, strict=True):
        made = recipe(item.cell)
        if made is None:
            continue
        for stage in chains[run.run_key]:
            if not _record_stage(database, stage, environment, made):
                break
        record_result(database, run.run_key, 0)
    return experiment


def forget_runs(database: Database) -> None:
    """Leave the cells as where nobody has looked at their data: with settings, without runs."""
    settings = "(SELECT settings FROM runs WHERE runs.run_key = cells.run_key)"
    with database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE cells SET settings = {settings}, run_key = NULL WHERE run_key IS NOT NULL"
        )
        seal_all(connection)


def _record_stage(database: Database, stage: Stage, environment: int, made: MadeUp) -> bool:
    """Record a stage; return whether the next one follows."""
    claim = claim_stage(database, stage.key, NewAttempt(environment, NUMERICS, "cpu"))
    if not isinstance(claim, Claimed):
        return True
    if stage.kind == "prepare":
        end_attempt(database, claim, "done", 1.0, {})
        return True
    if stage.kind == "evaluate":
        measured = [Metric(made.best_epoch, "test", "accuracy", made.test_accuracy or 0.0)]
        reads = [[claim.attempt_id, made.best_epoch, made.best_epoch]]
        end_attempt(database, claim, "done", 2.0, {"reads": reads}, measured=measured)
        return True
    num_epochs = max((len(values) for values in made.metrics.values()), default=1)
    last = max(num_epochs, len(made.steps))
    record_epochs(database, claim, [_epoch(made, number + 1) for number in range(last)])
    error = "" if made.status == "done" else f"it {made.status}"
    mine = {
        "status": made.status,
        "message": error,
        "reads": [[claim.attempt_id, 1, last]],
        "parameters": 1234,
        "best_epoch": made.best_epoch,
        "last_epoch": num_epochs,
    }
    outcome = None if made.status == "failed" else {"readers": {stage.key: mine}}
    end_attempt(database, claim, made.status, 1.0, outcome, error)
    return made.status == "done"


def _epoch(made: MadeUp, epoch: int) -> EpochRecord:
    metrics = [
        Metric(epoch, *name.rsplit("_", 1), values[epoch - 1])
        for name, values in made.metrics.items()
        if epoch <= len(values)
    ]
    losses = tuple(made.steps[epoch - 1]) if made.steps else (1.0,)
    return EpochRecord(epoch, tuple(metrics), losses, 0.1, made.epoch_seconds)


def filled(database: Database, folder: Path, text: str, recipe: Recipe | None = None) -> TableData:
    """Record a spec and return its first table, filled."""
    experiment = record_made_up(database, folder, text, recipe or (lambda cell: MadeUp()))
    return query_table(database, experiment.tables[0], experiment.name, "")


def column(table: TableData, title: str) -> list[object]:
    """Return the values in a column."""
    return [row.entries[title].value for row in table.rows]
