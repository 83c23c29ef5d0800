"""What is wanted in a database: runs of recorded experiments that have no result yet.

A run is wanted as long as a cell of an experiment, as it was last run, has it, and its newest
repetition has no result; or as long as an analysis of it has not been made. A run that failed is
given up: it has a result, and only who asks for it again wants it.
"""

from __future__ import annotations

import sqlalchemy as sa

from runner.store.database import Database, read_again
from runner.store.progress import open_reruns
from runner.store.schema import analyses, attempts, cells, experiments, results

Version = tuple[int, float, float]
"""How many experiments there are, and the newest and the sum of the times of recording them."""


@read_again
def wanted_runs(database: Database) -> dict[str, int]:
    """Return which repetition of each wanted run is wanted, by key."""
    unfinished = open_reruns(database)
    asked = sa.select(cells.c.run_key).where(cells.c.run_key.is_not(None)).distinct()
    ended = sa.select(attempts.c.stage_key).where(
        attempts.c.status.in_(("done", "diverged", "failed", "reference"))
    )
    same = (results.c.run_key == analyses.c.run_key) & (results.c.rerun == analyses.c.rerun)
    to_look_at = (
        sa.select(analyses.c.run_key, sa.func.max(analyses.c.rerun).label("rerun"))
        .join(results, same)
        .where(results.c.status == "done", analyses.c.stage_key.not_in(ended))
        .group_by(analyses.c.run_key)
    )
    with database.read() as connection:
        recorded = set(connection.execute(asked).scalars())
        found = {row.run_key: row.rerun for row in connection.execute(to_look_at)}
    found |= unfinished
    return {key: rerun for key, rerun in found.items() if key in recorded}


@read_again
def wanted_version(database: Database) -> Version:
    """Return what changes whenever somebody asks for something, and reads one row to tell.

    The sum changes also where another one was recorded by a clock that was far ahead.
    """
    when = experiments.c.recorded
    query = sa.select(sa.func.count(), sa.func.max(when), sa.func.sum(when))
    with database.read() as connection:
        number, newest, total = connection.execute(query.select_from(experiments)).one()
    return int(number), float(newest or 0.0), float(total or 0.0)
