"""What a run has recorded, in the order of time: its epochs with their numbers, rates and moments.

Also of a run that trains, as far as it is recorded. Returns frozen types; knows nothing of cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.store.checking import check_results, check_runs, refuse
from runner.store.database import Database
from runner.store.json_types import JsonList
from runner.store.running import runs_at_work
from runner.store.schema import runs

NEWEST = (
    "coalesce((SELECT rerun FROM latest_results AS l WHERE l.run_key = runs.run_key),"
    " (SELECT max(rerun) FROM run_epochs AS e WHERE e.run_key = runs.run_key), 0)"
)
STEPS_WITH_MOMENTS = """
SELECT steps.attempt_id, steps.epoch, steps.learning_rate, steps.seconds, steps.losses,
  attempts.started + (SELECT sum(seconds) FROM steps AS before
    WHERE before.attempt_id = steps.attempt_id AND before.epoch <= steps.epoch) AS ended
FROM run_epochs
JOIN steps ON steps.attempt_id = run_epochs.attempt_id
  AND steps.epoch BETWEEN run_epochs.first_epoch AND run_epochs.last_epoch
JOIN attempts ON attempts.id = steps.attempt_id
WHERE run_epochs.run_key = :key AND run_epochs.rerun = :rerun
ORDER BY steps.epoch
"""


@dataclass(frozen=True, slots=True)
class RecordedEpoch:
    """An epoch of a run.

    Attributes:
        epoch: from 1.
        attempt: which measured it.
        ended: seconds since 1970 (UTC): when its attempt began, and the seconds of its epochs.
        seconds: wall seconds.
        learning_rate: in force.
        losses: the training loss of each step; None is not finite.
        metrics: by full name, as ``val_accuracy``; none of the epoch in which a run diverged.
    """

    epoch: int
    attempt: int
    ended: float
    seconds: float
    learning_rate: float
    losses: tuple[float | None, ...]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunHistory:
    """What a run has recorded.

    Attributes:
        run_key: of the run.
        rerun: which repetition: the newest with a result, else the newest.
        status: done, diverged, failed, running or unfinished.
        message: why it diverged or failed, or "".
        settings: resolved, by section, as JSON values.
        result: the row of its result, without checksum; empty while it has none.
        test_epoch: whose test is the run's; None while it has no result.
        epochs: in order.
    """

    run_key: str
    rerun: int
    status: str
    message: str
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    test_epoch: int | None
    epochs: tuple[RecordedEpoch, ...]

    @property
    def has_ended(self) -> bool:
        """Whether it has a result."""
        return bool(self.result)


def run_history(database: Database, run_key: str) -> RunHistory:
    """Return what is recorded of a run.

    Raises:
        KeyError: when there is no such run.
        DamagedDatabase: when something of it is not what was recorded.
    """
    with database.read() as connection:
        query = sa.select(runs.c.settings, runs.c.reader, sa.text(f"{NEWEST} AS rerun"))
        run = connection.execute(query.where(runs.c.run_key == run_key)).first()
        if run is None:
            raise KeyError(run_key)
        refuse(
            database.address,
            [check_runs(connection, [run_key]), check_results(connection, [run_key])],
        )
        result = _result(connection, run_key)
        if result:
            status = str(result["status"])
        else:
            status = "running" if run_key in runs_at_work(connection) else "unfinished"
        wants = "last_epoch" if run.reader.get("wants_test") == "last" else "best_epoch"
        return RunHistory(
            run_key=run_key,
            rerun=run.rerun,
            status=status,
            message=str(result.get("message", "")),
            settings=run.settings,
            result=result,
            test_epoch=result.get(wants),
            epochs=_epochs(connection, run_key, run.rerun),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How the runs of a database stand.

    Attributes:
        ended: the result of each run that has one, by run: rerun, status, message, recorded.
        numbers: of each run that has some, how many epochs and numbers measured on kept weights
            are recorded, of all repetitions.
    """

    ended: Mapping[str, sa.Row[Any]]
    numbers: Mapping[str, int]


def standing(database: Database) -> Standing:
    """Return how the runs of a database stand: it is another as soon as anything is recorded."""
    ended = sa.text("SELECT run_key, rerun, status, message, recorded FROM latest_results")
    numbers = sa.text(
        "SELECT run_key, sum(numbers) AS numbers FROM ("
        "  SELECT run_key, count(*) AS numbers FROM run_steps GROUP BY run_key"
        "  UNION ALL"
        "  SELECT run_key, count(*) FROM run_epochs"
        "  JOIN evaluations ON evaluations.attempt_id = run_epochs.attempt_id GROUP BY run_key)"
        " AS recorded GROUP BY run_key"
    )
    with database.read() as connection:
        return Standing(
            {row.run_key: row for row in connection.execute(ended)},
            {row.run_key: row.numbers for row in connection.execute(numbers)},
        )


def _result(connection: sa.Connection, run_key: str) -> dict[str, Any]:
    query = sa.text("SELECT * FROM latest_results WHERE run_key = :key")
    row = connection.execute(query, {"key": run_key}).first()
    if row is None:
        return {}
    return {name: value for name, value in row._mapping.items() if name != "checksum"}


def _epochs(connection: sa.Connection, run_key: str, rerun: int) -> tuple[RecordedEpoch, ...]:
    which = {"key": run_key, "rerun": rerun}
    query = sa.text(
        "SELECT epoch, split || '_' || name AS metric, value FROM run_metrics"
        " WHERE run_key = :key AND rerun = :rerun ORDER BY epoch, metric"
    )
    metrics: dict[int, dict[str, float]] = {}
    for row in connection.execute(query, which):
        metrics.setdefault(row.epoch, {})[row.metric] = row.value
    taken = sa.text(STEPS_WITH_MOMENTS).columns(losses=JsonList)
    return tuple(
        RecordedEpoch(
            epoch=row.epoch,
            attempt=row.attempt_id,
            ended=row.ended,
            seconds=row.seconds,
            learning_rate=row.learning_rate,
            losses=tuple(row.losses),
            metrics=metrics.get(row.epoch, {}),
        )
        for row in connection.execute(taken, which)
    )
