"""What SQLite and PostgreSQL say differently, in one place: JSON, order, rows as they are stored.

Everything else is SQLAlchemy's or standard SQL that both understand.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

LAST = "last"
"""In a path, the last of a list."""


class Dialect(ABC):
    """How a kind of database writes what differs. Keys of a path are names of settings."""

    @abstractmethod
    def text(self, column: str, *path: str) -> str:
        """Return the SQL of a text in a column of JSON."""

    @abstractmethod
    def integer(self, column: str, *path: str) -> str:
        """Return the SQL of an integer in a column of JSON."""

    @abstractmethod
    def number(self, column: str, *path: str) -> str:
        """Return the SQL of a number in a column of JSON."""

    @abstractmethod
    def least(self, column: str, path: Sequence[str], keys: Sequence[str]) -> str:
        """Return the SQL of the least value, in a group, that stands in a column of JSON.

        Args:
            column: of JSON.
            path: where it stands.
            keys: of a mapping there, what stands under the first of these counts.
        """

    @abstractmethod
    def entry(self, column: str, key: str) -> str:
        """Return the SQL of a text in a column of JSON under a key that may be any text."""

    @abstractmethod
    def is_at(self, column: str, key: str, place: str | float) -> str:
        """Return the SQL that a text of JSON has a value under a key."""

    @abstractmethod
    def json_text(self, column: str) -> str:
        """Return the SQL of a column of JSON as text."""

    @abstractmethod
    def real(self, value: str) -> str:
        """Return the SQL of a number for arithmetic in eight bytes."""

    @abstractmethod
    def count(self, condition: str) -> str:
        """Return the SQL of how many rows of a group meet a condition."""

    @abstractmethod
    def name(self, title: str) -> str:
        """Return a column's title as a name."""

    @abstractmethod
    def in_order(self, query: str, terms: Sequence[tuple[str, bool, bool]]) -> str:
        """Return a query of positions with an order: NULL, then numbers, then texts by their bytes.

        Args:
            query: whose last part is GROUP BY.
            terms: titles, whether they descend, and whether they hold values of JSON.
        """

    @abstractmethod
    def stored(self, query: str) -> str:
        """Return a query of stored rows, with ``?`` for values, as this kind of database has it."""


class Sqlite(Dialect):
    """SQLite: JSON is text, and values have types of their own, whatever their column's is."""

    def text(self, column: str, *path: str) -> str:
        """Return the SQL of what stands in a column of JSON."""
        place = "".join("[#-1]" if key == LAST else f".{key}" for key in path)
        return f"json_extract({column}, '${place}')"

    integer = text
    number = text

    def least(self, column: str, path: Sequence[str], keys: Sequence[str]) -> str:
        """Return the least; true and false are words, lists and mappings are JSON."""
        values = ", ".join(
            self.text(column, *path, *key) for key in [*((key,) for key in keys), ()]
        )
        kind = self.text(column, *path).replace("json_extract", "json_type", 1)
        return (
            f"min(CASE {kind} WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'"
            f" ELSE coalesce({values}) END)"
        )

    def entry(self, column: str, key: str) -> str:
        """Return the SQL of a text under a key."""
        return f"(SELECT value FROM json_each({column}) WHERE key = {quoted(key)})"

    def is_at(self, column: str, key: str, place: str | float) -> str:
        """Return a comparison, of a text or a number."""
        found = quoted(place) if isinstance(place, str) else repr(place)
        return f"json_extract({column}, {quoted(f'$.{key}')}) = {found}"

    def json_text(self, column: str) -> str:
        """Return the column: its JSON is text."""
        return column

    def real(self, value: str) -> str:
        """Return the number: there is no other arithmetic."""
        return value

    def count(self, condition: str) -> str:
        """Return a sum of ones."""
        return f"sum({condition})"

    def name(self, title: str) -> str:
        """Return a title in quotes."""
        return _in_quotes(title)

    def in_order(self, query: str, terms: Sequence[tuple[str, bool, bool]]) -> str:
        """Return the query with the order that is SQLite's own."""
        source = query.rpartition("FROM ")[2].partition(" ")[0]
        named = [f"{self.name(title)} {_direction(down)}" for title, down, _ in terms]
        return f"{query}\nORDER BY {', '.join([*named, f'{source}.position'])}"

    def stored(self, query: str) -> str:
        """Return the query."""
        return query


class Postgres(Dialect):
    """PostgreSQL: columns of JSON keep their text, and numbers have the type of their column."""

    def text(self, column: str, *path: str) -> str:
        """Return the SQL of a text in a column of JSON."""
        return f"({column} #>> '{_place(path)}')"

    def integer(self, column: str, *path: str) -> str:
        """Return the SQL of an integer in a column of JSON."""
        return f"CAST({self.text(column, *path)} AS bigint)"

    def number(self, column: str, *path: str) -> str:
        """Return the SQL of a number in a column of JSON."""
        return f"CAST({self.text(column, *path)} AS double precision)"

    def least(self, column: str, path: Sequence[str], keys: Sequence[str]) -> str:
        """Return the first of a group in the order of parts of JSON."""
        values = (
            f"nullif(CAST({column} #> '{_place([*path, *key])}' AS jsonb), 'null')"
            for key in [*((key,) for key in keys), ()]
        )
        value = f"coalesce({', '.join(values)})"
        return f"(array_agg({value} ORDER BY {value}))[1]"

    def entry(self, column: str, key: str) -> str:
        """Return the SQL of a text under a key, which is ordered by its bytes."""
        return f'({column} ->> {quoted(key)}) COLLATE "C"'

    def is_at(self, column: str, key: str, place: str | float) -> str:
        """Return a comparison of parts of JSON, since other rows may hold other kinds."""
        found = quoted(json.dumps(place, ensure_ascii=False))
        return f"CAST(CAST({column} AS json) -> {quoted(key)} AS jsonb) = {found}"

    def json_text(self, column: str) -> str:
        """Return the column as text."""
        return f"CAST({column} AS text)"

    def real(self, value: str) -> str:
        """Return a number of eight bytes."""
        return f"CAST({value} AS double precision)"

    def count(self, condition: str) -> str:
        """Return the number of some rows."""
        return f"count(*) FILTER (WHERE {condition})"

    def name(self, title: str) -> str:
        """Return a title in quotes; one that is too long for the server ends with a digest."""
        text = title.encode("utf-8", "replace")
        if len(text) > MOST_BYTES:
            digest = hashlib.sha256(text).hexdigest()[:8]
            title = f"{text[: MOST_BYTES - 9].decode('utf-8', 'ignore')} {digest}"
        return _in_quotes(title)

    def in_order(self, query: str, terms: Sequence[tuple[str, bool, bool]]) -> str:
        """Return a query around the query, in whose order its names can be taken apart."""
        named = []
        for title, down, is_value in terms:
            name, direction = self.name(title), _direction(down)
            if is_value:
                is_number, text = f"jsonb_typeof({name}) = 'number'", f"({name} #>> '{{}}')"
                named += [
                    f"{name} IS NOT NULL {direction}",
                    f"NOT {is_number} {direction}",
                    f"CASE WHEN {is_number} THEN {self.real(text)} END {direction}",
                    f'{text} COLLATE "C" {direction}',
                ]
            else:
                named.append(f"{name} {direction} NULLS {'LAST' if down else 'FIRST'}")
        order = ", ".join([*named, "position"])
        return f"SELECT * FROM (\n{query}\n) AS answer\nORDER BY {order}"

    def stored(self, query: str) -> str:
        """Return the query with psycopg's marks; the order of joins is left to the server."""
        return query.replace("?", "%s").replace("CROSS JOIN", "JOIN")


MOST_BYTES = 63
"""Of a name in PostgreSQL, which cuts longer ones."""

SQLITE, POSTGRES = Sqlite(), Postgres()


def quoted(value: str) -> str:
    """Return the SQL of a text."""
    inside = value.replace("'", "''")
    return f"'{inside}'"


def _in_quotes(name: str) -> str:
    inside = name.replace('"', '""')
    return f'"{inside}"'


def _place(path: Sequence[str]) -> str:
    inside = ",".join("-1" if key == LAST else key for key in path)
    return f"{{{inside}}}"


def _direction(descending: bool) -> str:
    return "DESC" if descending else "ASC"


def is_postgres(connection: sa.Connection) -> bool:
    """Return whether a connection is to a PostgreSQL server."""
    return connection.dialect.name == "postgresql"


def dialect_of(connection: sa.Connection) -> Dialect:
    """Return the dialect of a connection."""
    return POSTGRES if is_postgres(connection) else SQLITE


class StoredRows:
    """Rows as they are stored, by the driver itself: many times faster for small queries."""

    def __init__(self, connection: sa.Connection) -> None:
        """Take a connection; a transaction is begun where there is none.

        Args:
            connection: to the database.
        """
        if not connection.in_transaction():
            connection.begin()
        self._dialect = dialect_of(connection)
        self._driver: Any = connection.connection.driver_connection

    def rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Return the rows of a query with ``?`` for each value."""
        found: Iterator[tuple[Any, ...]] = self._driver.execute(
            self._dialect.stored(query), tuple(values)
        )
        return found

    def change(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Do a statement once for each row of values."""
        self._driver.cursor().executemany(self._dialect.stored(statement), list(rows))
