"""How the runs of cells ended, and their curves: what figures and tables of recorded specs read."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from runner.components.measures import METRIC_NAMES
from runner.store.checking import check_experiments, check_results, refuse
from runner.store.checksums import OWN_METRICS, RESULT, STEPS
from runner.store.database import Database
from runner.store.json_types import JsonList
from runner.store.queries import cell_keys


@dataclass(frozen=True, slots=True)
class CellResult:
    """How the run of a stored cell ended; ``unfinished`` has no epochs.

    Attributes:
        fold: from 1, 0 where there are none.
        run_key: of its run, "" where that is not known.
    """

    position: int
    seed: int
    fold: int
    settings_key: str
    run_key: str
    rerun: int | None
    status: str
    best_epoch: int | None
    last_epoch: int | None


def cell_results(database: Database, experiment: str, variant: str) -> list[CellResult]:
    """Return the cells of a stored experiment in the order of its spec.

    Raises:
        DamagedDatabase: when something of it is not what was recorded.
    """
    query = sa.text(
        "SELECT cells.position, cells.seed, cells.fold, cells.settings_key,"
        " coalesce(cells.run_key, '') AS run_key, result.rerun,"
        " coalesce(result.status, 'unfinished') AS status, result.best_epoch, result.last_epoch"
        " FROM cells JOIN experiments ON experiments.id = cells.experiment_id"
        " LEFT JOIN latest_results AS result ON result.run_key = cells.run_key"
        " WHERE experiments.name = :experiment AND experiments.variant = :variant"
        " ORDER BY cells.position, cells.fold, cells.seed"
    )
    with database.read() as connection:
        keys = cell_keys(connection, experiment, variant)
        refuse(
            database.address,
            [check_experiments(connection, experiment), check_results(connection, keys, [RESULT])],
        )
        rows = connection.execute(query, {"experiment": experiment, "variant": variant})
        return [CellResult(**row._mapping) for row in rows]


def epoch_metrics(
    database: Database, run_key: str, rerun: int | None
) -> dict[str, dict[int, float]]:
    """Return the values of each metric of a run by epoch, from 1; nothing of an unfinished one.

    Raises:
        DamagedDatabase: when they are not what was recorded.
    """
    query = sa.text(
        "SELECT split || '_' || name AS metric, epoch, value FROM run_metrics"
        " WHERE run_key = :key AND rerun = :rerun ORDER BY metric, epoch"
    )
    found: dict[str, dict[int, float]] = {}
    with database.read() as connection:
        refuse(
            database.address, [check_results(connection, [run_key], (*METRIC_NAMES, OWN_METRICS))]
        )
        for row in connection.execute(query, {"key": run_key, "rerun": rerun}):
            found.setdefault(row.metric, {})[row.epoch] = row.value
    return found


def step_losses(
    database: Database, run_key: str, rerun: int | None
) -> dict[int, list[float | None]]:
    """Return the training loss of every step of a run by epoch; None is not finite.

    The last epoch of a diverged run is there as far as it went.

    Raises:
        DamagedDatabase: when they are not what was recorded.
    """
    query = sa.text(
        "SELECT epoch, losses FROM run_steps WHERE run_key = :key AND rerun = :rerun ORDER BY epoch"
    ).columns(losses=JsonList)
    with database.read() as connection:
        refuse(database.address, [check_results(connection, [run_key], [STEPS])])
        rows = connection.execute(query, {"key": run_key, "rerun": rerun})
        return {row.epoch: list(row.losses) for row in rows}
