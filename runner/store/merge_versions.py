"""Earlier versions of experiments that a database lacks, copied from another one.

A version's key is a hash of its content, so that two databases call the same one alike; its runs
are known by their keys. Those that the database has stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from runner.core.moments import reached
from runner.store.checking import check_finished_grids, refuse
from runner.store.database import Database, read_again
from runner.store.failures import damaged
from runner.store.merge import MergeListener, transact_patiently
from runner.store.merge_source import Row
from runner.store.schema import experiments, finished_grids


@dataclass(frozen=True, slots=True)
class Version:
    """What an earlier version of an experiment is called in every database.

    Attributes:
        name: of the experiment.
        variant: likewise; "" for the spec as written.
        key: hash of the version's document and cells.
    """

    name: str
    variant: str
    key: str


def lacking_versions(database: Database, other: Database) -> list[Version]:
    """Return the earlier versions in another database that one lacks, the first to be run first.

    Raises:
        DamagedDatabase: when one of them is not what was recorded.
    """
    there = set(_versions(database))
    lacking = [version for version in _versions(other) if version not in there]
    for version in lacking:
        _row(other, version)  # damage is seen before anything is copied
    return lacking


def copy_versions(
    database: Database, other: Database, lacking: Sequence[Version], listener: MergeListener
) -> int:
    """Copy earlier versions, one in a transaction; return how many were still lacking.

    Their experiments come first: a version whose experiment is not there is left out.

    Raises:
        DamagedDatabase: when one of them is not what was recorded.
        StoreBusy: when others keep the database locked; what was copied stays.
    """
    copied = 0
    for number, version in enumerate(lacking):
        add = partial(_add, version, _row(other, version))
        at = (number, len(lacking), "earlier versions copied")
        copied += transact_patiently(database, add, listener, at)
        reached("an earlier version copied")
    return copied


@read_again
def _versions(database: Database) -> list[Version]:
    query = (
        sa.select(experiments.c.name, experiments.c.variant, finished_grids.c.key)
        .join(experiments, experiments.c.id == finished_grids.c.experiment_id)
        .order_by(experiments.c.id, finished_grids.c.recorded, finished_grids.c.key)
    )
    with database.read() as connection:
        return [Version(*row) for row in connection.execute(query)]


@read_again
def _row(other: Database, version: Version) -> Row:
    """Return an earlier version as it is stored, without the id of its experiment."""
    with other.read() as connection:
        number = _experiment_id(connection, version)
        mine = (finished_grids.c.experiment_id == number, finished_grids.c.key == version.key)
        row = connection.execute(sa.select(finished_grids).where(*mine)).mappings().first()
        if number is None or row is None:
            raise damaged(other.address, "an earlier version is gone that was there a moment ago")
        refuse(other.address, [check_finished_grids(connection, number, [version.key])])
    return {name: value for name, value in row.items() if name != "experiment_id"}


def _experiment_id(connection: sa.Connection, version: Version) -> int | None:
    mine = (experiments.c.name == version.name, experiments.c.variant == version.variant)
    return connection.execute(sa.select(experiments.c.id).where(*mine)).scalar()


def _add(version: Version, row: Row, target: sa.Connection) -> bool:
    """Store an earlier version; return False where it, or no such experiment, is there."""
    number = _experiment_id(target, version)
    mine = (finished_grids.c.experiment_id == number, finished_grids.c.key == version.key)
    there = target.execute(sa.select(finished_grids.c.key).where(*mine)).first()
    if number is None or there is not None:
        return False
    target.execute(sa.insert(finished_grids).values(experiment_id=number, **row))
    reached("an earlier version copied, not committed")
    return True
