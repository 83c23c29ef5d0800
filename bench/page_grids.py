"""Databases of made-up grids for the benches of the page: recorded, not trained.

Most cells are done; the first of every twenty are to do, so that they are on the screen when they
begin.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

from runner.core.records import EpochRecord, Metric
from runner.core.run import Run
from runner.core.stages import Stage, Train
from runner.lower.stages import make_run, naive_chain
from runner.spec.experiment import load_experiment
from runner.store.catalogue import SpecRecord, record_environment, record_experiment
from runner.store.chains import RunStages
from runner.store.claim_answers import Claimed
from runner.store.claims import NewAttempt, claim_stage
from runner.store.database import Database, open_database
from runner.store.recorder import end_attempt, record_epochs, record_ranges
from runner.store.results import record_result

EPOCHS = 10
SEEDS = 2
RATES = 10
TO_DO = 20
"""Of so many positions one is to do."""

NAME = "grid"
ENVIRONMENT = {"versions": {"runner": "bench"}}


def spec_of(cells: int, epochs: int = EPOCHS) -> str:
    """Return a spec of about so many cells: rates, dropouts and seeds."""
    rates = [round(0.001 * (number + 1), 3) for number in range(RATES)]
    count = max(cells // (SEEDS * RATES), 1)
    dropouts = [round(0.9 * number / count, 5) for number in range(count)]
    return (
        f"name: {NAME}\nabout: A made-up grid of {count * SEEDS * RATES} cells.\n"
        "data: {dataset: digits}\nmodel: {name: mlp}\n"
        f"train: {{epochs: {epochs}, optimizer: sgd}}\n"
        f"seeds: {list(range(SEEDS))}\nsweep: {{grid: {{dropout: {dropouts}, lr: {rates}}}}}\n"
        "tables:\n  grid: {DROPOUT: dropout, LR: lr, VAL: {metric: val_accuracy, mark: max},"
        " TEST: test_accuracy}\n"
    )


class Grid:
    """A made-up grid in a database of its own, of which more can be recorded."""

    def __init__(
        self, path: Path, cells: int, epochs: int = EPOCHS, done: bool = True, text: str = ""
    ) -> None:
        """Record it: a fraction of the cells to do, the others done, or with ``done`` off none.

        Args:
            path: of the database; one that is there was recorded with the same words before.
            cells: about so many.
            epochs: of each run.
            done: whether all but that fraction is recorded as done.
            text: a spec of the caller's own, for so many epochs, in place of rates and dropouts.
        """
        is_new = not path.exists()
        spec = path.with_suffix(".yaml")
        spec.write_text(text or spec_of(cells, epochs), encoding="utf-8")
        experiment = load_experiment(spec)
        runs = [make_run(item.settings, "bench") for item in experiment.cells]
        pairs = list(zip(runs, experiment.cells, strict=True))
        self._chains = {run.run_key: naive_chain(run, item.settings) for run, item in pairs}
        self._runs = runs
        self._epochs, self._draw = epochs, random.Random(0)
        self.database = open_database(path)
        _unsafe(self.database)
        self._environment = record_environment(self.database, ENVIRONMENT)
        waiting = [run.run_key for run, item in pairs if item.cell.position % TO_DO == 0]
        self.waiting = waiting if done else list(self._chains)
        if not is_new:
            return
        record_experiment(
            self.database,
            SpecRecord(
                name=experiment.name,
                variant="",
                about=experiment.about,
                path=spec.name,
                document=experiment.document,
                source=experiment.source,
            ),
            keyed_cells=[(item.cell, run.run_key) for run, item in pairs],
            wanted=runs,
            chains={key: RunStages(chain, chain[1].key, 0) for key, chain in self._chains.items()},
        )
        for run in self._chains.keys() - set(self.waiting):
            for _ in self.steps(run):
                pass

    def pairs(self) -> list[tuple[Run, tuple[Stage, ...]]]:
        """Return the runs, each with its stages."""
        return [(run, self._chains[run.run_key]) for run in self._runs]

    def steps(self, run: str) -> Iterator[int]:
        """Record a run, a commit at a time; yield the epoch after each, 0 before and after all."""
        reads = []
        for stage in self._chains[run]:
            claim = claim_stage(self.database, stage.key, NewAttempt(self._environment, {}, "cpu"))
            if not isinstance(claim, Claimed):
                continue
            if isinstance(stage, Train):
                reads = [[claim.attempt_id, 1, self._epochs]]
                record_ranges(self.database, claim, {stage.key: reads})
                for epoch in range(1, self._epochs + 1):
                    record_epochs(self.database, claim, [self._epoch(epoch)])
                    yield epoch
            self._end(stage, claim, reads)
            yield 0
        record_result(self.database, run, 0)
        yield 0

    def end_badly(self, run: str, status: Literal["failed", "diverged"], message: str) -> None:
        """Record that the training of a run ended so after three epochs."""
        for stage in self._chains[run]:
            claim = claim_stage(self.database, stage.key, NewAttempt(self._environment, {}, "cpu"))
            if not isinstance(claim, Claimed):
                continue
            if not isinstance(stage, Train):
                self._end(stage, claim, [])
                continue
            reads = [[claim.attempt_id, 1, 3]]
            record_ranges(self.database, claim, {stage.key: reads})
            record_epochs(self.database, claim, [self._epoch(each) for each in (1, 2, 3)])
            last = {"best_epoch": 2, "last_epoch": 3, "parameters": 4810}
            mine = {"status": status, "message": message, "reads": reads, **last}
            outcome = {"readers": {stage.key: mine}} if status == "diverged" else None
            end_attempt(self.database, claim, status, 3.0, outcome, message)
            break
        record_result(self.database, run, 0)

    def _epoch(self, epoch: int) -> EpochRecord:
        value = 1 - 0.5 / epoch - 0.1 * self._draw.random()
        metrics = (
            Metric(epoch, "train", "loss", 2 - value),
            Metric(epoch, "val", "loss", 2.1 - value),
            Metric(epoch, "train", "accuracy", value),
            Metric(epoch, "val", "accuracy", value),
        )
        return EpochRecord(epoch, metrics, (2 - value,) * 10, 0.1, 1.0)

    def _end(self, stage: Stage, claim: Claimed, reads: list[list[int]]) -> None:
        measured: list[Metric] = []
        outcome: dict[str, object] = {}
        if isinstance(stage, Train):
            last = {"best_epoch": self._epochs, "last_epoch": self._epochs, "parameters": 4810}
            mine = {"status": "done", "message": "", "reads": reads, **last}
            outcome = {"readers": {stage.key: mine}}
        elif stage.kind == "evaluate":
            epoch = self._epochs
            outcome = {"reads": [[claim.attempt_id, epoch, epoch]]}
            measured = [Metric(epoch, "test", "accuracy", 0.5 + 0.4 * self._draw.random())]
        end_attempt(self.database, claim, "done", 10.0, outcome, measured=measured)


def _unsafe(database: Database) -> None:
    """Let commits not wait for the disk: nothing of a made-up database is worth keeping."""

    with closing(database.engine.raw_connection()) as raw:
        raw.cursor().execute("PRAGMA synchronous = OFF")
