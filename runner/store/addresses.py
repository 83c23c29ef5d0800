"""Which file ``--db`` means: a path, or a ``sqlite:///`` URL of one.

Says in words what cannot be a database of results, before anything is opened or made.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.errors import UsageError

if TYPE_CHECKING:
    import sqlalchemy as sa

ALLOWED = "a file, as results.db, or sqlite:///results.db"


def database_file(where: str | Path) -> Path:
    """Return the file of a database.

    Args:
        where: its path, or a URL with "://".

    Raises:
        UsageError: for a URL of anything but a SQLite file.
    """
    text = str(where)
    if "\0" in text:
        raise UsageError(f"{text!r} is no name of a file", allowed=ALLOWED)
    if "://" not in text:
        return Path(text)
    url = _parsed(text)
    if url.get_backend_name() != "sqlite":
        raise UsageError(f"{text}: results are kept in SQLite files only", allowed=ALLOWED)
    if not url.database or url.database == ":memory:":
        raise UsageError(
            f"{text} is a database in memory: all results would be lost", allowed=ALLOWED
        )
    if url.query or url.host or url.database.startswith("file:"):
        raise UsageError(
            f"{text}: only sqlite:/// and the file's path, without options", allowed=ALLOWED
        )
    return Path(url.database)


def _parsed(text: str) -> sa.URL:
    import sqlalchemy as sa

    try:
        return sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise UsageError(f"{text} cannot be read as a URL", allowed=ALLOWED) from error


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
