"""A process that does stages of a database until none is left; a script, run by tests."""

import os
import sys
import time
from pathlib import Path

import sqlalchemy as sa

from runner.core.errors import ClaimLost
from runner.core.records import EpochRecord, Metric, Produced
from runner.store.catalogue import record_environment
from runner.store.claims import Claimed, NewAttempt, claim_stage, look_at_stage
from runner.store.database import Database, open_database
from runner.store.progress import ended_stages
from runner.store.recorder import end_attempt, record_epochs
from runner.store.schema import stages

EPOCHS = 3


def do_stage(database: Database, claim: Claimed, marks: Path) -> None:
    """Record epochs one by one, and say in a file beside the database that it was done."""
    for epoch in range(1, EPOCHS + 1):
        metric = Metric(epoch, "val", "loss", float(epoch))
        record_epochs(database, claim, [EpochRecord(epoch, (metric,), (1.0,), 0.1, 0.5)])
        time.sleep(0.002)
    # two stages that leave the same artifact, as two trainings may that share a segment
    shared = Produced(f"states/{claim.stage_key[:3]}-1", claim.stage_key, 1)
    own = Produced(f"weights/{claim.stage_key}-best", claim.stage_key, 1)
    end_attempt(database, claim, "done", 0.1, {"parameters": 1}, produced=[own, shared])
    with (marks / claim.stage_key).open("a") as file:
        file.write(f"{claim.attempt_id}\n")


def main() -> None:
    """Go through all stages again and again."""
    where, marks = sys.argv[1], Path(sys.argv[2])
    database = open_database(where)
    (marks.parent / f"opened-{os.getpid()}").touch()
    attempt = NewAttempt(record_environment(database, {"same": True}), {}, "cpu")
    with database.read() as connection:
        keys = list(connection.execute(sa.select(stages.c.stage_key)).scalars())
    while len(ended_stages(database)) < len(keys):
        for key in keys:
            if look_at_stage(database, key) is not None:
                continue
            claim = claim_stage(database, key, attempt)
            if isinstance(claim, Claimed):
                try:
                    do_stage(database, claim, marks)
                except ClaimLost:
                    continue
        time.sleep(0.01)
    database.close()


if __name__ == "__main__":
    main()
