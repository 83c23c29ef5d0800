"""What one worker's transactions cost, beside so many claims of others on other machines.

Timed by one worker, one after the other: what many workers add to each other's waiting is what
`python bench/scale.py busy` measures. See bench/scale.py, whose part `costs` this is.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from measuring import BenchFailed, with_range
from simulated import ENVIRONMENT

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from stages import train

from runner.core.records import EpochRecord, Metric
from runner.core.stages import Train
from runner.core.trajectory import Segment, Trajectory
from runner.store.catalogue import record_environment
from runner.store.chains import record_stages
from runner.store.claim_answers import Claimed
from runner.store.claims import NewAttempt, claim_stage, look_at_stage, renew_claim
from runner.store.database import Database, open_database
from runner.store.news import News
from runner.store.overlaps import TrainedElsewhere
from runner.store.recorder import end_attempt, record_epochs
from runner.store.schema import claims

STAGES = 200
"""How often each is timed."""

BATCH = 500


def costs(address: str, others: int) -> dict[str, str]:
    """Return milliseconds of what a worker asks of a database, by name.

    Args:
        address: of a new database.
        others: how many stages are claimed by others, each on a machine of its own.

    Raises:
        BenchFailed: when a claim is not got.
    """
    with open_database(address) as database:
        environment = record_environment(database, ENVIRONMENT)
        attempt = NewAttempt(environment, {}, "simulated", None)
        _claim_for_others(database, attempt, others)
        mine = [_training(f"mine-{number}") for number in range(STAGES)]
        record_stages(database, mine)
        clock, news = _Clock(), News(database)
        for stage in mine:
            way = TrainedElsewhere(stage)
            clock.time("look", look_at_stage, database, stage.key, in_the_way=way)
            claim = clock.time("claim", claim_stage, database, stage.key, attempt, in_the_way=way)
            if not isinstance(claim, Claimed):
                raise BenchFailed(f"{stage.key} is not free: {claim}")
            clock.time("renew", renew_claim, database, claim)
            clock.time("epoch", record_epochs, database, claim, [_record()])
            clock.time("end", end_attempt, database, claim, "done", 0.0, {"readers": {}})
            clock.time("news", _hear, news)
        return {f"{name}, ms": with_range(each, 2) for name, each in clock.middle().items()}


class _Clock:
    def __init__(self) -> None:
        self._spent: dict[str, list[float]] = defaultdict(list)

    def time(self, name: str, do: Callable[..., Any], *words: Any, **options: Any) -> Any:
        began = time.perf_counter()
        answer = do(*words, **options)
        self._spent[name].append(1000 * (time.perf_counter() - began))
        return answer

    def middle(self) -> dict[str, list[float]]:
        """Return what was timed, without the shortest and the longest tenth."""
        cut = STAGES // 10
        return {name: sorted(each)[cut:-cut] for name, each in self._spent.items()}


def _hear(news: News) -> None:
    news.ended()
    news.held()


def _training(name: str) -> Train:
    segments = (Segment(f"{name}-a", 1, 10), Segment(f"{name}-b", 11, 10))
    return train(name, Trajectory(segments))


def _record() -> EpochRecord:
    metrics = (Metric(1, "train", "loss", 0.5), Metric(1, "val", "loss", 0.5))
    return EpochRecord(1, metrics, (0.5,), 0.1, 1.0)


def _claim_for_others(database: Database, attempt: NewAttempt, count: int) -> None:
    """Give stages to workers elsewhere, whose leases last for an hour."""
    stages = [_training(f"other-{number}") for number in range(count)]
    for start in range(0, count, BATCH):
        record_stages(database, stages[start : start + BATCH])
    if not count:
        return
    claim_stage(database, stages[0].key, attempt)
    with database.write() as connection:
        first = dict(connection.execute(sa.select(claims)).one()._mapping)
        first["lease_until"] = time.time() + 3600
        connection.execute(sa.delete(claims))
        rows = [
            {**first, "stage_key": stage.key, "host": f"node{number}", "boot_id": "another"}
            for number, stage in enumerate(stages)
        ]
        for start in range(0, count, BATCH):
            connection.execute(sa.insert(claims), rows[start : start + BATCH])
