"""Which code results were made with: digests of modules, as recorded with each environment.

Returns plain values; what the code is now is known elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from runner.store.database import Database
from runner.store.rows import selected
from runner.store.schema import attempts, environments, run_epochs


def recorded_modules(database: Database) -> dict[int, Mapping[str, str]]:
    """Return the digests of modules by name of each environment that has some, by its id."""
    query = sa.select(environments.c.id, environments.c.content["modules"].label("modules"))
    with database.read() as connection:
        return {row.id: row.modules for row in connection.execute(query) if row.modules}


def runs_in(
    database: Database, environment_ids: Collection[int], run_key: str | None = None
) -> dict[str, set[int]]:
    """Return the environments, of those given, in which runs were made, by run.

    That is, those of the attempts whose epochs and tests the run's newest result reads. What was
    taken from the reference is left out.

    Args:
        database: the database.
        environment_ids: those that are asked about.
        run_key: only this run.
    """
    latest = sa.table("latest_results", sa.column("run_key"), sa.column("rerun"))
    same = (run_epochs.c.run_key == latest.c.run_key) & (run_epochs.c.rerun == latest.c.rerun)
    query = (
        sa.select(run_epochs.c.run_key, attempts.c.environment_id)
        .distinct()
        .join(attempts, attempts.c.id == run_epochs.c.attempt_id)
        .join(latest, same)
        .where(attempts.c.status != "reference")
    )
    query = query if run_key is None else query.where(run_epochs.c.run_key == run_key)
    found: dict[str, set[int]] = {}
    with database.read() as connection:
        for row in selected(connection, query, attempts.c.environment_id, environment_ids):
            found.setdefault(row.run_key, set()).add(row.environment_id)
    return found
