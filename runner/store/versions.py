"""Which schema a file has, and bringing it to the newest: what a migration needs around it."""

from __future__ import annotations

import re
import uuid

import sqlalchemy as sa

from runner.core.errors import UsageError
from runner.store.addresses import Address
from runner.store.checksums import seal_all
from runner.store.dialects import dialect_of, is_postgres
from runner.store.integrity import seal_schema
from runner.store.schema import settings_of_database
from runner.store.views import views

FIRST, FIRST_WITH_CHECKSUMS = "0001", "0002"


def version_of(connection: sa.Connection, address: Address, head: str) -> str | None:
    """Return the version of the schema, None in a file without tables.

    Raises:
        UsageError: for another program's database, and one of a newer version of this program.
    """
    names = set(sa.inspect(connection).get_table_names())
    if not names:
        return None
    if not {"alembic_version", settings_of_database.name} <= names:
        hint = "`createdb NAME` makes one of your own" if is_postgres(connection) else ""
        raise UsageError(f"{address} is a database of another program", hint=hint)
    found = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())
    if not re.fullmatch("[0-9]{4}", found) or not FIRST <= found <= head:
        newer = ": it was written by a newer version" if found > head else ""
        raise UsageError(
            f"{address} has schema {found}, this program knows {FIRST} to {head}{newer}"
        )
    return found


def upgrade_from(version: str | None, connection: sa.Connection) -> None:
    """Migrate to the newest schema, within a writing transaction.

    What an earlier schema has no checksums of gets them as it is found, so that later damage shows.
    """
    from runner.store.migrations import upgrade

    if is_postgres(connection):
        # views keep their tables from being changed there, and hold nothing
        for name in reversed(views(dialect_of(connection))):
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
    upgrade(connection)
    if is_postgres(connection):
        for text in views(dialect_of(connection)).values():
            connection.exec_driver_sql(text)
    if version is None:
        connection.execute(sa.insert(settings_of_database).values(identity=uuid.uuid4().hex))
    elif version < FIRST_WITH_CHECKSUMS:
        seal_all(connection)
    seal_schema(connection)
