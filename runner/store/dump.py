"""The canonical dump: what two databases with equal results have in common, byte for byte.

Ordered JSON lines of experiments, cells, runs, results and every number, without times, ids,
attempts, devices and environments. Equal specs with equal results have equal dumps.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from runner.core.errors import UsageError
from runner.core.keys import canonical_json
from runner.store.database import Database
from runner.store.json_types import JsonList
from runner.store.schema import cells, experiments, runs


def canonical_dump(database: Database) -> Iterator[str]:
    """Yield the lines of the dump, without line ends."""
    with database.read() as connection:
        yield from _experiments(connection)
        yield from _runs(connection)


def _experiments(connection: sa.Connection) -> Iterator[str]:
    order = sa.select(experiments).order_by(experiments.c.name, experiments.c.variant)
    for row in connection.execute(order):
        head = {"name": row.name, "variant": row.variant, "document": row.document}
        yield canonical_json({"experiment": head})
        inside = sa.select(cells).where(cells.c.experiment_id == row.id)
        for cell in connection.execute(
            inside.order_by(cells.c.position, cells.c.fold, cells.c.seed)
        ):
            values = dict(cell._mapping)
            del values["experiment_id"], values["settings"]
            if not values["fold"]:  # as before there were folds
                del values["fold"]
            yield canonical_json({"cell": values})


def run_dump(database: Database, run_key: str) -> Iterator[str]:
    """Yield the lines of the dump that are about one run."""
    with database.read() as connection:
        yield from _runs(connection, run_key)


def _runs(connection: sa.Connection, run_key: str | None = None) -> Iterator[str]:
    query = sa.select(runs).order_by(runs.c.run_key)
    query = query if run_key is None else query.where(runs.c.run_key == run_key)
    for run in connection.execute(query):
        values = {name: value for name, value in run._mapping.items() if name != "checksum"}
        yield canonical_json({"run": values})
        results = connection.execute(
            sa.text(
                "SELECT rerun, status, message, best_epoch, last_epoch, parameters FROM results"
                " WHERE run_key = :key ORDER BY rerun"
            ),
            {"key": run.run_key},
        ).all()
        for result in results:
            yield canonical_json({"result": dict(result._mapping)})
            yield from _numbers(connection, run.run_key, result.rerun)


def _numbers(connection: sa.Connection, run_key: str, rerun: int) -> Iterator[str]:
    which = {"key": run_key, "rerun": rerun}
    metrics = sa.text(
        "SELECT epoch, split, name, value FROM run_metrics"
        " WHERE run_key = :key AND rerun = :rerun ORDER BY epoch, split, name"
    )
    for row in connection.execute(metrics, which):
        yield canonical_json({"metric": list(row)})
    steps = sa.text(
        "SELECT epoch, learning_rate, losses FROM run_steps"
        " WHERE run_key = :key AND rerun = :rerun ORDER BY epoch"
    ).columns(losses=JsonList)
    for row in connection.execute(steps, which):
        yield canonical_json({"steps": list(row)})
    analyses = sa.text(
        "SELECT analysis_key, kind, name, dims, value FROM run_analyses"
        " WHERE run_key = :key AND rerun = :rerun ORDER BY analysis_key, name, dims"
    )
    for row in connection.execute(analyses, which):
        yield canonical_json({"analysis": list(row)})
    for name, digest in _digests(connection, run_key, rerun):
        yield canonical_json({"artifact": [name, digest]})


def _digests(connection: sa.Connection, run_key: str, rerun: int) -> list[tuple[Any, ...]]:
    """Return the digests of a run's pixels and of the weights that it keeps."""
    query = sa.text(
        "SELECT DISTINCT artifacts.name, artifacts.digest FROM artifacts JOIN run_stages"
        "  ON artifacts.stage_key = run_stages.stage_key AND artifacts.name LIKE 'pixels/%'"
        "  OR artifacts.name IN ('weights/' || run_stages.reading || '-best',"
        "    'weights/' || run_stages.reading || '-last')"
        " WHERE run_stages.run_key = :key AND run_stages.rerun = :rerun ORDER BY artifacts.name"
    )
    return [tuple(row) for row in connection.execute(query, {"key": run_key, "rerun": rerun})]


def sql_dump(database: Database) -> Iterator[str]:
    """Yield a file's whole database as SQL text.

    Raises:
        UsageError: for a server's database.
    """
    if not isinstance(database.address, Path):
        hint = "`pg_dump` writes it as SQL; --canonical prints results and every number"
        raise UsageError(f"{database.address} is a server's database", hint=hint)
    with database.read() as connection:
        connection.begin()
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        yield from raw.iterdump()
