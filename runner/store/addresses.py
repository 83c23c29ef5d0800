"""What ``--db`` means: a SQLite file, by its path or URL, or a database of a PostgreSQL server.

Says in words what cannot be a database of results, before anything is opened or made. Owns how a
server's database is named without its password.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.errors import UsageError
from runner.core.text import SECRET_OPTIONS

if TYPE_CHECKING:
    import sqlalchemy as sa

ALLOWED = "a file, as results.db, or sqlite:///results.db, or postgresql://user@host/name"
DRIVERS = ("postgresql", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class ServerDatabase:
    """A database of a PostgreSQL server; as text without what is secret.

    Attributes:
        url: with all that was given, passwords too.
        name: the same for people.
    """

    url: str = field(repr=False)
    name: str

    def __str__(self) -> str:
        return self.name


Address = Path | ServerDatabase
"""Where a database is."""


def address_of(where: str | Path) -> Address:
    """Return where a database is.

    Args:
        where: the path of a file, or a URL with "://".

    Raises:
        UsageError: for a URL of anything but a SQLite file or a database of a PostgreSQL server.
    """
    text = str(where)
    if "\0" in text:
        raise UsageError(f"{text!r} is no name of a file", allowed=ALLOWED)
    if "://" not in text:
        return Path(text)
    url = _parsed(text)
    if url.drivername in DRIVERS:
        return _on_server(url)
    shown = _shown(url)
    if url.get_backend_name() in ("postgresql", "postgres"):
        found = f"{shown}: PostgreSQL is spoken to by psycopg 3, as postgresql://"
        raise UsageError(found, allowed=ALLOWED)
    if url.get_backend_name() != "sqlite":
        raise UsageError(
            f"{shown}: results are kept in SQLite files or by PostgreSQL only", allowed=ALLOWED
        )
    if not url.database or url.database == ":memory:":
        raise UsageError(
            f"{shown} is a database in memory: all results would be lost", allowed=ALLOWED
        )
    if url.query or url.host or url.database.startswith("file:"):
        raise UsageError(
            f"{shown}: only sqlite:/// and the file's path, without options", allowed=ALLOWED
        )
    return Path(url.database)


def short_name(address: Address) -> str:
    """Return the name of a database's file, or of a database of a server."""
    if isinstance(address, ServerDatabase):
        return _parsed(address.url).database or address.name
    return address.name


def secrets_of(address: ServerDatabase) -> list[str]:
    """Return what is not shown of a server's database: each value, as libpq gets it."""
    url = _parsed(address.url)
    found = [url.password]
    for name in SECRET_OPTIONS:
        values = url.query.get(name, ())
        found += [values] if isinstance(values, str) else values
    return sorted({each for each in found if each}, key=len, reverse=True)


def _on_server(url: sa.URL) -> ServerDatabase:
    shown = _shown(url.set(drivername="postgresql"))
    if not url.database and not {"dbname", "service"} & url.query.keys():
        raise UsageError(f"{shown} names no database", allowed="postgresql://user@host/name")
    whole = url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    return ServerDatabase(whole, shown)


def _parsed(text: str) -> sa.URL:
    import sqlalchemy as sa

    try:
        return sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # what stands in it may be a password, and the cause repeats it
        scheme = text.partition("://")[0]
        found = f"{scheme}://… cannot be read as a URL"
        raise UsageError(found, allowed=ALLOWED) from None


def _shown(url: sa.URL) -> str:
    """Return a URL without password, key or secret."""
    import sqlalchemy as sa

    query = {name: value for name, value in url.query.items() if name not in SECRET_OPTIONS}
    parts = (url.drivername, url.username, None, url.host, url.port, url.database, query)
    return sa.URL.create(*parts).render_as_string().replace("%2F", "/")


def is_there(path: Path) -> bool:
    """Return whether a file is there.

    Raises:
        UsageError: when something else is, or the path cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} cannot be opened: it is a folder", allowed=ALLOWED)
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} cannot be opened: it is no regular file", allowed=ALLOWED)
    return True


def is_writable(path: Path) -> bool:
    """Return whether a file and its folder, where SQLite makes others beside it, can be written."""
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK | os.X_OK)
