"""Who is in the way of a stage that was too much for a device beside others."""

import os
from pathlib import Path

import psutil
import sqlalchemy as sa

from runner.artifacts.process import start_ticks
from runner.store.catalogue import record_environment
from runner.store.claims import Claimed, EpochsHeld, NewAttempt, claim_stage
from runner.store.crowding import Crowded
from runner.store.database import Database, open_database
from runner.store.schema import claims, stages

ME = os.getpid()
OTHER = os.getppid()


def claimed(database: Database, key: str, most: int) -> Claimed | object:
    attempt = NewAttempt(record_environment(database, {}), {}, "cpu")
    crowded = Crowded("big", {"big": most}, frozenset({ME, OTHER}))
    return claim_stage(database, key, attempt, in_the_way=crowded)


def test_a_process_is_not_in_its_own_way_and_others_are(tmp_path: Path) -> None:
    with open_database(tmp_path / "results.db") as database:
        with database.write() as connection:
            for key in "abcd":
                row = {"stage_key": key, "kind": "train", "spec": {}, "needs": []}
                connection.execute(sa.insert(stages).values(**row, cost_kind="big"))
        assert isinstance(claimed(database, "a", 1), Claimed)
        assert isinstance(claimed(database, "b", 1), Claimed)  # of the same cohort
        started = psutil.Process(OTHER).create_time()
        theirs = {"pid": OTHER, "process_started": started, "process_ticks": start_ticks(OTHER)}
        with database.write() as connection:
            of_first = claims.c.stage_key == "a"
            connection.execute(sa.update(claims).where(of_first).values(**theirs))
        assert isinstance(claimed(database, "c", 2), Claimed)
        refused = claimed(database, "d", 1)
        assert isinstance(refused, EpochsHeld)
        assert refused.owner.pid == OTHER
