"""Runs recorded as if done, for tests of the store: three epochs of made-up numbers each."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
import stages

from runner.core.keys import content_key
from runner.core.reader import Reader, SelectRule
from runner.core.records import EpochRecord, Metric, Produced
from runner.core.run import Cell, Published, ResolvedSettings, Run
from runner.core.stages import Stage
from runner.store.addresses import Address, address_of
from runner.store.catalogue import SpecRecord, record_environment, record_experiment
from runner.store.chains import RunStages
from runner.store.checksums import seal_all
from runner.store.claims import Claimed, NewAttempt, claim_stage
from runner.store.database import Database
from runner.store.progress import attempt_outcome
from runner.store.recorder import end_attempt, record_epochs
from runner.store.results import record_result
from runner.store.schema import environments

SETTINGS = {
    "seed": 0,
    "data": {"dataset": "digits"},
    "model": {"name": "mlp"},
    "train": {"optimizer": {"name": "sgd", "lr": 0.1}, "batch_size": 8, "epochs": 3},
}
READER = Reader(3, None, SelectRule("val_accuracy", "max"), "best", 20.0)
Tested = Literal["never", "best", "last", "each_epoch"]
DOCUMENT = {"zeta": 1, "alpha": {"y": 2, "x": 3}}


def change(where: str | Address, statement: str) -> None:
    """Change stored rows behind the program's back, as a person or an accident may."""
    address = address_of(where) if isinstance(where, str) else where
    if isinstance(address, Path):
        with closing(sqlite3.connect(address)) as raw:
            changed = raw.execute(statement).rowcount
            raw.commit()
    else:
        engine = sa.create_engine(address.url)
        with engine.begin() as connection:
            changed = connection.exec_driver_sql(statement.replace("%", "%%")).rowcount
        engine.dispose()
    assert changed > 0


def seal_again(connection: sa.Connection) -> None:
    """Give everything the checksums of what it is now, after a test has changed it."""
    for row in connection.execute(sa.select(environments)).all():
        key = content_key("environment", row.content)
        mine = environments.c.id == row.id
        connection.execute(sa.update(environments).where(mine).values(key=key))
    seal_all(connection)


def run_of(key: str, tested: Tested = "best") -> Run:
    reader = replace(READER, wants_test=tested)
    return Run(key, f"settings-{key}", ResolvedSettings(SETTINGS), "data", "fingerprint", reader)


def chain_of(key: str, rerun: int = 0) -> tuple[Stage, ...]:
    train = f"train-{key}-{rerun}"
    return (
        stages.prepare("prepare", pixels_key="p", cost_key="p"),
        stages.train(train, needs=("prepare",)),
        stages.evaluate(f"evaluate-{key}-{rerun}", train, needs=("prepare", train)),
    )


def cell_of(position: int, seed: int = 0) -> Cell:
    labels, published = {"row": f"r{position}"}, {"ACC": Published(0.5)}
    return Cell("e", position, seed, labels, {"lr": 0.1}, published, "", SETTINGS, "settings")


def want(
    database: Database,
    keys: list[str],
    path: str = "e.yaml",
    rerun: int = 0,
    name: str = "e",
    variant: str = "",
    tested: Tested = "best",
) -> None:
    record_experiment(
        database,
        SpecRecord(
            name=name, variant=variant, about="about", path=path, document=DOCUMENT, source="text"
        ),
        keyed_cells=[(cell_of(position), key) for position, key in enumerate(keys)],
        wanted=[run_of(key, tested) for key in keys],
        chains={
            key: RunStages(chain_of(key, rerun), f"train-{key}-{rerun}", rerun) for key in keys
        },
    )


def take(database: Database, stage: str, again: bool = False) -> Claimed:
    environment = record_environment(database, {"machine": "m"})
    claim = claim_stage(
        database, stage, NewAttempt(environment, {"threads": 1}, "cpu"), again=again
    )
    assert isinstance(claim, Claimed)
    return claim


def record_of(epoch: int, value: float = 0.5) -> EpochRecord:
    metrics = tuple(
        Metric(epoch, split, name, value + epoch / 10)
        for split in ("train", "val")
        for name in ("loss", "accuracy")
    )
    return EpochRecord(epoch, metrics, (1.0, float("nan")), 0.1, 2.0)


def outcome_of(reading: str, reads: list[list[int]], best_epoch: int) -> dict[str, Any]:
    """Return the outcome of a training of three epochs with one reader."""
    mine = {
        "status": "done",
        "reads": reads,
        "parameters": 7,
        "best_epoch": best_epoch,
        "last_epoch": 3,
    }
    return {"readers": {reading: mine}, "reads": reads}


def do_run(
    database: Database,
    key: str,
    rerun: int = 0,
    split_at: int = 0,
    tested: Sequence[int] | None = None,
) -> None:
    """Record a run's stages as if done: three epochs, in one attempt or in two.

    ``tested`` are epochs with a test of their own, which measures a tenth of each.
    """
    prepare, train, evaluate = (stage.key for stage in chain_of(key, rerun))
    if attempt_outcome(database, prepare) is None:
        claim = take(database, prepare)
        pixels = Produced("pixels/p", "digest-p", 10)
        end_attempt(database, claim, "done", 1.0, {"images": 5}, produced=[pixels])
    reads = []
    if split_at:
        claim = take(database, train)
        record_epochs(database, claim, [record_of(epoch) for epoch in range(1, 4)])
        end_attempt(database, claim, "interrupted", 9.0)
        reads.append([claim.attempt_id, 1, split_at])
    claim = take(database, train)
    record_epochs(database, claim, [record_of(epoch) for epoch in range(split_at + 1, 4)])
    reads.append([claim.attempt_id, split_at + 1, 3])
    outcome = outcome_of(train, reads, best_epoch=2)
    weights = Produced(f"weights/{train}-best", f"digest-{train}", 20)
    end_attempt(database, claim, "done", 9.0, outcome, produced=[weights])
    assert record_result(database, key, rerun) is None
    claim = take(database, evaluate)
    measured = [Metric(2, "test", "accuracy", 0.25), Metric(2, "test", "loss", 1.5)]
    reads = {"reads": [[claim.attempt_id, 2, 2]]}
    if tested is not None:
        names = ("accuracy", "loss")
        measured = [Metric(each, "test", name, each / 10) for each in tested for name in names]
        reads = {"reads": [[claim.attempt_id, 1, 3]]}
    end_attempt(database, claim, "done", 0.5, reads, measured=measured)
    assert record_result(database, key, rerun) == "done"
