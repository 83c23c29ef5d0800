"""Which epochs are recorded: by attempts at trainings, with what each of them read and kept.

Returns plain values; whether anything may be read from them is decided elsewhere. Knows numbers and
keys, not torch. What was taken from the reference is left out: its weights were never here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.core.records import EpochRecord
from runner.core.stages import Train
from runner.core.stored_stages import stage_from_json
from runner.core.trajectory import Trajectory
from runner.store.database import Database, read_again
from runner.store.kinds import is_of_kind
from runner.store.rows import selected
from runner.store.schema import attempts, metrics, stages, steps

ENDED = ("done", "diverged", "failed")


@dataclass(frozen=True, slots=True)
class Trained:
    """An attempt at a training.

    Attributes:
        trajectory: of the stage.
        limit: its limit of divergence.
        numerics: under which it was made.
        readers: what became of the runs that ended in it, by their solo keys.
        has_ended: whether it ended by itself, well or badly.
    """

    trajectory: Trajectory
    limit: float
    numerics: Mapping[str, Any]
    readers: Mapping[str, Mapping[str, Any]]
    has_ended: bool


@read_again
def trained(database: Database, segments: Collection[str]) -> dict[int, Trained]:
    """Return the attempts at trainings whose paths begin with one of these segments, by id."""
    first = stages.c.spec[("path", 0, "key")].as_string().label("first")
    every = (
        sa.select(attempts.c.id, first)
        .join(stages, stages.c.stage_key == attempts.c.stage_key)
        .where(is_of_kind(Train), attempts.c.status != "reference")
    )
    found: dict[int, Trained] = {}
    with database.read() as connection:
        ids = [row.id for row in connection.execute(every) if row.first in segments]
        query = sa.select(attempts, stages.c.spec).join(
            stages, stages.c.stage_key == attempts.c.stage_key
        )
        for row in selected(connection, query, attempts.c.id, ids):
            stage = stage_from_json("train", row.stage_key, row.spec)
            assert isinstance(stage, Train)
            limits = (each.diverged_if for each in stage.readers.values())
            found[row.id] = Trained(
                trajectory=stage.trajectory,
                limit=max(limits, default=math.inf),
                numerics=row.numerics,
                readers=(row.outcome or {}).get("readers", {}),
                has_ended=row.status in ENDED,
            )
    return dict(sorted(found.items()))


@read_again
def epoch_metrics_of(
    database: Database, attempt_ids: Collection[int]
) -> dict[int, dict[int, dict[str, float]]]:
    """Return the metrics by full name of each epoch of attempts, by attempt and epoch."""
    found: dict[int, dict[int, dict[str, float]]] = {each: {} for each in attempt_ids}
    with database.read() as connection:
        for row in selected(connection, sa.select(metrics), metrics.c.attempt_id, attempt_ids):
            epoch = found[row.attempt_id].setdefault(row.epoch, {})
            epoch[f"{row.split}_{row.name}"] = row.value
    return found


@read_again
def epoch_records(database: Database, ranges: Sequence[Sequence[int]]) -> dict[int, EpochRecord]:
    """Return steps, rates and seconds in (attempt, first, last) ranges, by epoch; no metrics.

    A loss that is not finite is recorded without its value: it is no number here.
    """
    found: dict[int, EpochRecord] = {}
    with database.read() as connection:
        for attempt_id, first, last in ranges:
            mine = (steps.c.attempt_id == attempt_id) & steps.c.epoch.between(first, last)
            for row in connection.execute(sa.select(steps).where(mine)):
                losses = tuple(math.nan if loss is None else loss for loss in row.losses)
                found[row.epoch] = EpochRecord(
                    row.epoch, (), losses, row.learning_rate, row.seconds
                )
    return found
