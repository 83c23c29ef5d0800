"""Histories of experiments for tests: earlier versions, and outcomes of `verify`."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from recorded import do_run, want

from runner.store.database import Database
from runner.store.progress import latest_results
from runner.store.schema import environments, experiments, finished_grids, verifications
from runner.store.verifications import record_verification

Rows = list[dict[str, Any]]


def record_versions(
    database: Database, grids: Sequence[Sequence[str]], name: str = "e", variant: str = ""
) -> None:
    """Record versions of an experiment by their runs, each finished before the next is recorded."""
    for keys in grids:
        want(database, list(keys), name=name, variant=variant)
        for key in sorted(set(keys) - latest_results(database, keys).keys()):
            do_run(database, key)


def record_outcome(
    database: Database, spec: str, machine: str = "m", runs: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Record that `verify` found nothing different."""
    record_verification(database, spec, ["train.epochs=2"], True, runs, {"machine": machine})


def versions_in(database: Database) -> Rows:
    """Return all earlier versions, each with its experiment in the place of the id."""
    query = (
        sa.select(experiments.c.name, experiments.c.variant, finished_grids)
        .join(experiments, experiments.c.id == finished_grids.c.experiment_id)
        .order_by(experiments.c.name, experiments.c.variant, finished_grids.c.key)
    )
    return _without(database, query, "experiment_id")


def outcomes_in(database: Database) -> Rows:
    """Return all outcomes of `verify` in their order, each with its machine, without ids."""
    query = (
        sa.select(verifications, environments.c.key, environments.c.content)
        .join(environments, environments.c.id == verifications.c.environment_id)
        .order_by(verifications.c.id)
    )
    return _without(database, query, "id", "environment_id")


def _without(database: Database, query: sa.Select[Any], *names: str) -> Rows:
    with database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [{name: value for name, value in row.items() if name not in names} for row in rows]
