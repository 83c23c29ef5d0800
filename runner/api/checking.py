"""The verb `db check`: everything in a database against what was recorded with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from runner.bind.workspace import workspace
from runner.store.checking import Checked, check_everything
from runner.store.integrity import schema_problems, structure_problems


def check_database(db: str | Path | None = None) -> Iterator[Checked]:
    """Yield the check of each kind of things: structure, schema, then what has a checksum.

    Where the structure is damaged, what rests on it is not looked at.

    Args:
        db: the database; results.db when not given.

    Raises:
        UsageError: when there is none.
        DamagedDatabase: when it cannot be read at all.
    """
    with (
        workspace(db).open(create=False, check=False) as database,
        database.read() as connection,
    ):
        yield from checks_of(connection)


def checks_of(connection: sa.Connection) -> Iterator[Checked]:
    """Yield the same of a database that is open."""
    structure = Checked("structure", 1, 0, tuple(structure_problems(connection)))
    yield structure
    if not structure.problems:
        yield Checked("schema", 1, 0, tuple(schema_problems(connection)))
        yield from check_everything(connection)
