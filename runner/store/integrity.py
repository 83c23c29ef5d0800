"""Whether a database is whole: its structure, its schema, its identity.

The structure of a server's database is the server's business. In a file, SQLite's own check runs
over the whole while that is quick, and else over the tables whose indexes decide what is found.
Numbers are compared with their checksums elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from runner.store.addresses import Address
from runner.store.dialects import is_postgres
from runner.store.failures import damaged
from runner.store.schema import metadata, settings_of_database
from runner.store.views import VIEWS

WHOLE_BYTES = 16_000_000
"""Up to this size the whole file is looked at whenever it is opened: about 50 ms."""

LOOKED_UP = ("results", "run_epochs", "experiments", "cells")
"""Tables that are looked at in larger files: a damaged index of theirs would hide results."""

IDENTITY = re.compile(r"[0-9a-f]{32}")
SHOWN = 5

PG_COLUMNS = """
SELECT table_name::text, column_name::text, data_type::text, is_nullable::text,
  collation_name::text
FROM information_schema.columns WHERE table_schema = current_schema()
ORDER BY table_name, ordinal_position
"""
PG_VERSION = "SELECT 'database', current_setting('server_version_num')::int / 10000"
PG_WORDS = """
SELECT tablename::text, indexdef FROM pg_indexes WHERE schemaname = current_schema()
UNION ALL
SELECT viewname::text, definition FROM pg_views WHERE schemaname = current_schema()
UNION ALL
SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace
ORDER BY 1, 2
"""


def check_whole(connection: sa.Connection, address: Address) -> None:
    """Refuse a database with a damaged structure, another schema than was made, no identity.

    Raises:
        DamagedDatabase: with what is wrong.
    """
    wrong = list(schema_problems(connection))
    if isinstance(address, Path):
        small = os.stat(address).st_size <= WHOLE_BYTES
        wrong[:0] = structure_problems(connection, None if small else LOOKED_UP)
    if wrong:
        more = f"\n    and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise damaged(address, "\n    ".join(wrong[:SHOWN]) + more)


def structure_problems(
    connection: sa.Connection, tables: tuple[str, ...] | None = None
) -> Iterator[str]:
    """Yield what SQLite finds wrong in the whole file, or in some tables and their indexes.

    Nothing of a server's database.
    """
    if is_postgres(connection):
        return
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
    if not _is_as_made(str(rows[0].schema_checksum), _schema_checksum(connection)):
        yield "its tables and views are not those that this program made"


def seal_schema(connection: sa.Connection) -> None:
    """Store the checksum of tables and views, after a migration."""
    values = {"schema_checksum": _schema_checksum(connection)}
    connection.execute(sa.update(settings_of_database).values(**values))


def _is_as_made(sealed: str, found: str) -> bool:
    """Return whether a schema has its checksum; servers of other versions word views otherwise."""
    (tables, *words), (now, *words_now) = sealed.split(":"), found.split(":")
    return tables == now and (words == words_now or words[:1] != words_now[:1])


def _schema_checksum(connection: sa.Connection) -> str:
    """Return the checksum of how the program's own tables, indexes and views are declared.

    Others may stand beside them. Of a server's database that of the tables, the server's version
    and the checksum of the rest as that version words it.
    """
    indexes = {str(index.name) for table in metadata.tables.values() for index in table.indexes}
    names = {*metadata.tables, *indexes, *VIEWS, "alembic_version"}
    if is_postgres(connection):
        tables, version, rest = (
            [tuple(row) for row in connection.exec_driver_sql(query) if row[0] in names]
            for query in (PG_COLUMNS, PG_VERSION, PG_WORDS)
        )
        return f"{_digest(tables)}:{version[0][1]}:{_digest(rest)}"
    rows = connection.exec_driver_sql(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    )
    return _digest([tuple(row) for row in rows if row.name in names])


def _digest(rows: list[tuple[object, ...]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:32]
