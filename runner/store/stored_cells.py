"""The cells of recorded specs: where they stand, what they are called, how many are finished.

Knows no numbers: what runs measured is read elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runner.store.checking import check_experiments, refuse
from runner.store.database import Database, read_again
from runner.store.schema import cells, experiments


def finished_cells(database: Database) -> dict[tuple[str, str], tuple[int, int]]:
    """Return how many cells of each (experiment, variant) have a result, and how many it has."""
    query = sa.text(
        "SELECT experiments.name, experiments.variant, count(result.status) AS finished,"
        " count(*) AS num_cells FROM cells"
        " JOIN experiments ON experiments.id = cells.experiment_id"
        " LEFT JOIN latest_results AS result ON result.run_key = cells.run_key"
        " GROUP BY experiments.name, experiments.variant"
    )
    with database.read() as connection:
        rows = connection.execute(query)
        return {(row.name, row.variant): (row.finished, row.num_cells) for row in rows}


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell of an experiment as last run.

    Attributes:
        path: the spec's file, as given.
        fold: from 1, 0 where there are none.
        run_key: of its run, or None where that is not known.
        settings: of a cell without a run; a run has them itself.
    """

    experiment: str
    variant: str
    path: str
    position: int
    seed: int
    labels: Mapping[str, str]
    swept: Mapping[str, Any]
    settings_key: str
    run_key: str | None
    settings: Mapping[str, Any] | None
    fold: int


@read_again
def stored_cells(database: Database, experiment: str) -> list[StoredCell]:
    """Return the cells of all variants of an experiment, those of the spec as written first.

    Raises:
        DamagedDatabase: when they are not what was recorded.
    """
    query = (
        sa.select(
            experiments.c.name.label("experiment"),
            experiments.c.variant,
            experiments.c.path,
            cells.c.position,
            cells.c.seed,
            cells.c.labels,
            cells.c.swept,
            cells.c.settings_key,
            cells.c.run_key,
            cells.c.settings,
            cells.c.fold,
        )
        .join(experiments, experiments.c.id == cells.c.experiment_id)
        .where(experiments.c.name == experiment)
        .order_by(experiments.c.variant, cells.c.position, cells.c.fold, cells.c.seed)
    )
    with database.read() as connection:
        refuse(database.address, [check_experiments(connection, experiment)])
        return [StoredCell(**row._mapping) for row in connection.execute(query)]
