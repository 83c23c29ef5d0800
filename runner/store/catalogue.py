"""Recording what is wanted: experiments, cells, runs, environments.

Owns inserts that change no result. Each function is one transaction or part of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from runner.core.keys import content_key
from runner.core.run import Cell, Run
from runner.store.backend import Beside
from runner.store.chains import RunStages, write_chains
from runner.store.checksums import seal_experiment, seal_runs
from runner.store.database import Database
from runner.store.finished_grids import keep_finished
from runner.store.leases import Moment
from runner.store.rows import insert, insert_new
from runner.store.schema import (
    cells,
    environments,
    experiments,
    runs,
)

SET_BACK_SECONDS = 86_400.0
"""So far a clock may have been ahead, as one that took local time for UTC."""
TICK_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class SpecRecord:
    """A spec as it is run: its names, the merged document and the text of the file."""

    name: str
    variant: str
    about: str
    path: str
    document: Mapping[str, Any]
    source: str


def record_experiment(
    database: Database,
    spec: SpecRecord,
    keyed_cells: Sequence[tuple[Cell, str | None]],
    wanted: Iterable[Run],
    chains: Mapping[str, RunStages],
    fingerprints: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Store a spec with its cells, runs and their stages.

    The cells of an earlier version of the same experiment and variant are replaced; runs, stages
    and results are kept, and so is the earlier version if it was finished. A cell whose run is not
    known has that of a cell with the same settings: one of these, or one of the earlier version,
    unless its data is known to have changed; or else any recorded run of these settings on its
    data, where that is known.

    Args:
        database: where.
        spec: the spec.
        keyed_cells: each cell with the key of its run, or None where it is not known.
        wanted: the runs of the cells.
        chains: the stages of each run.
        fingerprints: of the data of cells without a run, by settings key, where it is known.
    """
    distinct = list({run.run_key: run for run in wanted}.values())

    def record(connection: sa.Connection) -> None:
        experiment_id = _experiment(connection, spec, keyed_cells)
        seal_runs(
            connection,
            insert_new(connection, runs, "run_key", [_run_row(run) for run in distinct]),
        )
        write_chains(connection, chains)
        known = _known_runs(connection, experiment_id, fingerprints)
        known |= {cell.settings_key: key for cell, key in keyed_cells if key is not None}
        connection.execute(sa.delete(cells).where(cells.c.experiment_id == experiment_id))
        rows = [
            _cell_row(experiment_id, cell, key or known.get(cell.settings_key))
            for cell, key in keyed_cells
        ]
        insert(connection, cells, rows)
        seal_experiment(connection, experiment_id)

    database.transact(record)


def _experiment(
    connection: sa.Connection,
    spec: SpecRecord,
    keyed_cells: Sequence[tuple[Cell, str | None]],
) -> int:
    values = {
        "about": spec.about,
        "path": spec.path,
        "document": dict(spec.document),
        "source": spec.source,
        "recorded": _moment(connection),
    }
    same = (experiments.c.name == spec.name) & (experiments.c.variant == spec.variant)
    found = connection.execute(sa.select(experiments.c.id).where(same)).scalar()
    if found is not None:
        keep_finished(connection, int(found), spec.document, keyed_cells)
        connection.execute(sa.update(experiments).where(same).values(**values))
        return int(found)
    inserted = connection.execute(
        sa.insert(experiments).values(name=spec.name, variant=spec.variant, **values)
    )
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])


def _moment(connection: sa.Connection) -> float:
    """Return when a spec is recorded that is recorded now: after all others, by one clock.

    Of what two machines ask of a server's database, its clock says what was asked for last. What a
    clock says that was set back a little is put right after what is there; where it was far ahead,
    times that were recorded then are not followed.
    """
    now = Moment.now(connection).wall
    newest = connection.execute(sa.select(sa.func.max(experiments.c.recorded))).scalar()
    if newest is None or not now <= newest < now + SET_BACK_SECONDS:
        return now
    return float(newest) + TICK_SECONDS


def _run_row(run: Run) -> dict[str, Any]:
    return {
        "run_key": run.run_key,
        "settings_key": run.settings_key,
        "settings": run.settings.json,
        "reader": run.reader.to_json(),
        "fingerprint": run.fingerprint,
        "data_key": run.data_key,
    }


def _known_runs(
    connection: sa.Connection, experiment_id: int, fingerprints: Mapping[str, str]
) -> dict[str, str]:
    """Return runs by settings key: of each recorded cell, if its data is not another now.

    Of other settings, the only run that is recorded on the data that is known now.
    """
    query = (
        sa.select(cells.c.settings_key, cells.c.run_key, runs.c.fingerprint)
        .join(runs, runs.c.run_key == cells.c.run_key)
        .where(cells.c.experiment_id == experiment_id)
    )
    found = {
        row.settings_key: row.run_key
        for row in connection.execute(query)
        if fingerprints.get(row.settings_key, row.fingerprint) == row.fingerprint
    }
    wanted = fingerprints.keys() - found.keys()
    if not wanted:
        return found
    others: dict[str, list[str]] = {}
    for row in connection.execute(
        sa.select(runs.c.settings_key, runs.c.run_key, runs.c.fingerprint)
    ):
        if row.settings_key in wanted and row.fingerprint == fingerprints[row.settings_key]:
            others.setdefault(row.settings_key, []).append(row.run_key)
    return found | {key: each[0] for key, each in others.items() if len(each) == 1}


def _cell_row(experiment_id: int, cell: Cell, run_key: str | None) -> dict[str, Any]:
    return {
        "experiment_id": experiment_id,
        "position": cell.position,
        "seed": cell.seed,
        "fold": cell.fold,
        "labels": dict(cell.labels),
        "swept": dict(cell.swept),
        "published": {title: each.as_json() for title, each in cell.published.items()},
        "settings_key": cell.settings_key,
        "run_key": run_key,
        "settings": dict(cell.settings) if run_key is None else None,
    }


def record_environment(database: Database, content: Mapping[str, Any]) -> int:
    """Return the id of an environment, recording it when it is new."""

    def record(connection: sa.Connection) -> int:
        return environment_id(connection, content)

    return database.transact(record, beside=Beside.OTHERS)


def environment_id(connection: sa.Connection, content: Mapping[str, Any]) -> int:
    """Do the same within a writing transaction."""
    key = content_key("environment", dict(content))
    found = connection.execute(
        sa.select(environments.c.id).where(environments.c.key == key)
    ).scalar()
    if found is not None:
        return int(found)
    inserted = connection.execute(sa.insert(environments).values(key=key, content=dict(content)))
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])
