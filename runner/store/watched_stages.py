"""The stages of an experiment's runs as a page shows them: what each does, for how many epochs.

Read without their settings, of which a grid of thousands of runs has megabytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from runner.core.stages import Stage, StageKind
from runner.core.stored_stages import stage_from_json
from runner.store.database import Database
from runner.store.dialects import LAST, dialect_of
from runner.store.json_types import decoded


@dataclass(frozen=True, slots=True)
class WatchedStage:
    """A stage.

    Attributes:
        needs: keys of the stages that come before it.
        cost_key: stages of one cost key cost the same an epoch on one device.
        first_epoch: of its own, 0 without training.
        last_epoch: likewise.
        title: what it does, in words; of a training "".
    """

    key: str
    kind: StageKind
    needs: tuple[str, ...]
    cost_key: str
    first_epoch: int
    last_epoch: int
    title: str


def watched_stages(
    database: Database, run_keys: Collection[str]
) -> tuple[dict[str, WatchedStage], dict[str, tuple[str, ...]]]:
    """Return the stages of the newest repetition of runs by key, and the keys of those of each run.

    Parents come first. A run that was never asked for has none.
    """
    chains: dict[str, list[tuple[int, int, str]]] = {}
    with database.read() as connection:
        rows = connection.exec_driver_sql(
            "SELECT run_key, rerun, position, stage_key FROM run_stages ORDER BY rerun, position"
        )
        for run, rerun, position, stage in rows:
            if run in run_keys:
                chains.setdefault(run, []).append((rerun, position, stage))
        newest = {
            run: tuple(stage for rerun, _, stage in chain if rerun == chain[-1][0])
            for run, chain in chains.items()
        }
        wanted = {stage for chain in newest.values() for stage in chain}
        stages = _stages(connection, wanted)
    return stages, newest


def _stages(connection: sa.Connection, wanted: Collection[str]) -> dict[str, WatchedStage]:
    """Return stages; only those of which there are few are read whole, for their words."""
    found: dict[str, WatchedStage] = {}
    dialect = dialect_of(connection)
    light = connection.exec_driver_sql(
        "SELECT stage_key, kind, needs, cost_kind,"
        f" CASE kind WHEN 'train' THEN {dialect.integer('spec', 'first_epoch')} ELSE 0 END,"
        f" CASE kind WHEN 'train' THEN {dialect.integer('spec', 'path', LAST, 'first_epoch')}"
        f"  + {dialect.integer('spec', 'path', LAST, 'num_epochs')} - 1 ELSE 0 END,"
        " CASE WHEN kind IN ('prepare', 'features') THEN spec END FROM stages"
    )
    for key, kind, needs, cost, first, last, spec in light:
        if key in wanted:
            title = "" if spec is None else _title(kind, key, decoded(spec))
            found[key] = WatchedStage(key, kind, tuple(decoded(needs)), cost, first, last, title)
    return found


def _title(kind: StageKind, key: str, spec: Mapping[str, object]) -> str:
    stage: Stage = stage_from_json(kind, key, spec)
    return stage.title()
