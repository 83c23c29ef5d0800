"""Recording the stages that runs consist of, as they are planned.

Every process that plans records them, and mostly finds them recorded: it looks first, and excludes
others only where there is something to write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.core.stages import Stage
from runner.store.database import Database, read_again
from runner.store.rows import batches, insert, insert_new
from runner.store.schema import results, run_stages, stages


@dataclass(frozen=True, slots=True)
class RunStages:
    """The stages of one repetition of a run.

    Attributes:
        stages: parents first.
        solo_key: what trainings call the run.
        rerun: which repetition.
    """

    stages: Sequence[Stage]
    solo_key: str
    rerun: int


def record_chains(database: Database, chains: Mapping[str, RunStages]) -> None:
    """Store the stages of runs that are recorded, by key, as they are planned now."""
    if not _are_there(database, chains):
        database.transact(lambda connection: write_chains(connection, chains))


def write_chains(connection: sa.Connection, chains: Mapping[str, RunStages]) -> None:
    """Do the same within a writing transaction."""
    insert_new(connection, stages, "stage_key", _stage_rows(_stages_of(chains)))
    rows: list[dict[str, Any]] = []
    known, changed = _known_and_changed(connection, chains)
    for key, chain in changed.items():
        if (key, chain.rerun) in known:
            same = (run_stages.c.run_key == key) & (run_stages.c.rerun == chain.rerun)
            connection.execute(sa.delete(run_stages).where(same))
        rows += [
            {
                "run_key": key,
                "rerun": chain.rerun,
                "position": position,
                "stage_key": stage.key,
                "reading": chain.solo_key,
            }
            for position, stage in enumerate(chain.stages)
        ]
    insert(connection, run_stages, rows)


@read_again
def _are_there(database: Database, chains: Mapping[str, RunStages]) -> bool:
    with database.read() as connection:
        _, changed = _known_and_changed(connection, chains)
        return not changed and _stages_are_there(connection, _stages_of(chains).keys())


def _stages_of(chains: Mapping[str, RunStages]) -> dict[str, Stage]:
    return {stage.key: stage for chain in chains.values() for stage in chain.stages}


def _known_and_changed(
    connection: sa.Connection, chains: Mapping[str, RunStages]
) -> tuple[Collection[tuple[str, int]], dict[str, RunStages]]:
    """Return which repetitions have stages, and which chains are to be stored, by run.

    Those of a repetition without a result follow the program.
    """
    known: dict[tuple[str, int], list[str]] = {}
    for row in connection.execute(sa.select(run_stages).order_by(run_stages.c.position)):
        known.setdefault((row.run_key, row.rerun), []).append(row.stage_key)
    ended = sa.select(results.c.run_key, results.c.rerun).where(results.c.status != "failed")
    lasting = {(row.run_key, row.rerun) for row in connection.execute(ended)}
    changed = {
        key: chain
        for key, chain in chains.items()
        if (key, chain.rerun) not in lasting
        and known.get((key, chain.rerun)) != [stage.key for stage in chain.stages]
    }
    return known, changed


def record_stages(database: Database, wanted: Sequence[Stage]) -> None:
    """Store stages that are no part of a run, so that attempts at them can be."""
    found = {stage.key: stage for stage in wanted}

    def record(connection: sa.Connection) -> None:
        insert_new(connection, stages, "stage_key", _stage_rows(found))

    if not _recorded_stages(database, found.keys()):
        database.transact(record)


@read_again
def _recorded_stages(database: Database, keys: Collection[str]) -> bool:
    with database.read() as connection:
        return _stages_are_there(connection, keys)


def _stages_are_there(connection: sa.Connection, keys: Collection[str]) -> bool:
    query = sa.select(sa.func.count()).select_from(stages)
    return all(
        connection.execute(query.where(stages.c.stage_key.in_(batch))).scalar() == len(batch)
        for batch in batches(keys)
    )


def _stage_rows(wanted: Mapping[str, Stage]) -> list[dict[str, Any]]:
    return [
        {
            "stage_key": key,
            "kind": stage.kind,
            "spec": stage.to_json(),
            "needs": list(stage.needs),
            "cost_kind": stage.cost_key,
        }
        for key, stage in wanted.items()
    ]
