"""Earlier versions of experiments: what a spec was when every cell of it had a result.

Kept when another version is recorded, so that what changed since can be told. A version's key is a
hash of its content, which is also its checksum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.core.run import Cell
from runner.store.checking import check_finished_grids, refuse
from runner.store.checksums import finished_grid_key
from runner.store.database import Database
from runner.store.reference import COUNTING
from runner.store.schema import cells, experiments, finished_grids, results

PLACE = ("position", "seed", "fold")
OF_CELL = (*PLACE, "labels", "swept", "run_key")


@dataclass(frozen=True, slots=True)
class FinishedGrid:
    """An experiment as it was.

    Attributes:
        recorded: when its spec was last run, seconds since 1970.
        document: the merged spec.
        cells: each with position, seed, fold, labels, swept settings and the key of its run.
    """

    recorded: float
    document: Mapping[str, Any]
    cells: Sequence[Mapping[str, Any]]


def keep_finished(
    connection: sa.Connection,
    experiment_id: int,
    document: Mapping[str, Any],
    keyed_cells: Sequence[tuple[Cell, str | None]],
) -> None:
    """Keep an experiment as it is recorded, if each of its cells has a result.

    To be called within a writing transaction, before another version is recorded; one that is the
    same is not kept. What was kept before gets the time of now.

    Args:
        connection: to the database.
        experiment_id: the experiment.
        document: the spec that will be recorded.
        keyed_cells: its cells, each with the key of its run, or None where it is not known.
    """
    mine = experiments.c.id == experiment_id
    now = connection.execute(
        sa.select(experiments.c.document, experiments.c.recorded).where(mine)
    ).one()
    rows = _cells(connection, experiment_id)
    if not rows or (_is_same(now.document, document) and _are_same(rows, keyed_cells)):
        return
    ended = sa.select(results.c.run_key).where(results.c.status.in_(COUNTING))
    with_result = set(connection.execute(ended).scalars())
    if any(row.run_key not in with_result for row in rows):
        return
    kept = _kept(rows)
    values = {"experiment_id": experiment_id, "key": finished_grid_key(now.document, kept)}
    same = sa.and_(*(finished_grids.c[name] == value for name, value in values.items()))
    renewed = sa.update(finished_grids).where(same).values(recorded=now.recorded)
    if connection.execute(renewed).rowcount == 0:
        values |= {"recorded": now.recorded, "document": now.document, "cells": kept}
        connection.execute(sa.insert(finished_grids).values(values))


def last_finished(database: Database, experiment_id: int) -> FinishedGrid | None:
    """Return the last finished version of an experiment that is another than that of now.

    One that was run later, and came from another database, is none of before.

    Raises:
        DamagedDatabase: when it is not what was recorded.
    """
    query = (
        sa.select(finished_grids)
        .join(experiments, experiments.c.id == finished_grids.c.experiment_id)
        .where(experiments.c.id == experiment_id)
        .where(finished_grids.c.recorded <= experiments.c.recorded)
        .order_by(finished_grids.c.recorded.desc())
    )
    with database.read() as connection:
        found = connection.execute(query.limit(2)).all()
        if not found:
            return None
        refuse(database.address, [check_finished_grids(connection, experiment_id)])
        document = connection.execute(
            sa.select(experiments.c.document).where(experiments.c.id == experiment_id)
        ).scalar_one()
        now = finished_grid_key(document, _kept(_cells(connection, experiment_id)))
    for row in found:
        if row.key != now:
            listed = tuple(dict(zip(OF_CELL, cell, strict=True)) for cell in row.cells)
            return FinishedGrid(row.recorded, row.document, listed)
    return None


def _cells(connection: sa.Connection, experiment_id: int) -> Sequence[sa.Row[Any]]:
    columns = [cells.c[name] for name in (*OF_CELL, "settings_key")]
    mine = cells.c.experiment_id == experiment_id
    order = (cells.c.position, cells.c.fold, cells.c.seed)
    return connection.execute(sa.select(*columns).where(mine).order_by(*order)).all()


def _kept(rows: Sequence[sa.Row[Any]]) -> list[list[Any]]:
    return [[getattr(row, name) for name in OF_CELL] for row in rows]


def _is_same(document: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return finished_grid_key(document, ()) == finished_grid_key(other, ())


def _are_same(rows: Sequence[sa.Row[Any]], keyed_cells: Sequence[tuple[Cell, str | None]]) -> bool:
    """Return whether recorded cells are those of a spec, as far as their runs are known."""
    found = {tuple(getattr(row, name) for name in PLACE): row for row in rows}
    wanted = {
        tuple(getattr(cell, name) for name in PLACE): (cell, key) for cell, key in keyed_cells
    }
    return found.keys() == wanted.keys() and all(
        found[place].settings_key == cell.settings_key and key in (None, found[place].run_key)
        for place, (cell, key) in wanted.items()
    )
