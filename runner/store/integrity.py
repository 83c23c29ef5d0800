"""Whether a database is whole: its structure, its schema, its identity.

SQLite's own check runs over the whole file while that is quick, and else over the tables whose
indexes decide what is found. Numbers are compared with their checksums elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from runner.store.failures import damaged
from runner.store.schema import metadata, settings_of_database
from runner.store.views import VIEWS

WHOLE_BYTES = 16_000_000
"""Up to this size the whole file is looked at whenever it is opened: about 50 ms."""

LOOKED_UP = ("results", "run_epochs", "experiments", "cells")
"""Tables that are looked at in larger files: a damaged index of theirs would hide results."""

IDENTITY = re.compile(r"[0-9a-f]{32}")
SHOWN = 5


def check_whole(connection: sa.Connection, path: Path) -> None:
    """Refuse a database with a damaged structure, another schema than was made, no identity.

    Raises:
        DamagedDatabase: with what is wrong.
    """
    small = os.stat(path).st_size <= WHOLE_BYTES
    wrong = [
        *structure_problems(connection, None if small else LOOKED_UP),
        *schema_problems(connection),
    ]
    if wrong:
        more = f"\n    and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise damaged(path, "\n    ".join(wrong[:SHOWN]) + more)


def structure_problems(
    connection: sa.Connection, tables: tuple[str, ...] | None = None
) -> Iterator[str]:
    """Yield what SQLite finds wrong in the whole file, or in some tables and their indexes."""
    for words in (
        ["integrity_check"] if tables is None else map("integrity_check({})".format, tables)
    ):
        for found in connection.exec_driver_sql(f"PRAGMA {words}").scalars():
            if found != "ok":
                yield str(found)


def schema_problems(connection: sa.Connection) -> Iterator[str]:
    """Yield where schema and identity are not what the last migration left."""
    rows = connection.execute(sa.select(settings_of_database)).all()
    if len(rows) != 1:
        yield f"{len(rows)} identities, where there is one"
        return
    if not IDENTITY.fullmatch(str(rows[0].identity)):
        yield "its identity is none"
    if rows[0].schema_checksum != _schema_checksum(connection):
        yield "its tables and views are not those that this program made"


def seal_schema(connection: sa.Connection) -> None:
    """Store the checksum of tables and views, after a migration."""
    values = {"schema_checksum": _schema_checksum(connection)}
    connection.execute(sa.update(settings_of_database).values(**values))


def _schema_checksum(connection: sa.Connection) -> str:
    """Return the checksum of how the program's own tables, indexes and views are declared.

    Others may stand beside them.
    """
    indexes = {str(index.name) for table in metadata.tables.values() for index in table.indexes}
    names = {*metadata.tables, *indexes, *VIEWS, "alembic_version"}
    rows = connection.exec_driver_sql(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    )
    mine = [tuple(row) for row in rows if row.name in names]
    return hashlib.sha256(repr(mine).encode()).hexdigest()[:32]
