"""The verbs `db check`, `db dump` and `db info`: the database as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from runner.api.frames import Framed
from runner.artifacts.folder import folder_bytes
from runner.bind.workspace import workspace
from runner.store.checking import Checked, check_everything, refuse
from runner.store.dialects import is_postgres
from runner.store.dump import canonical_dump, sql_dump
from runner.store.integrity import schema_problems, structure_problems

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseCheck(Framed):
    """What was checked in a database.

    Attributes:
        kinds: the check of each kind of things: structure, schema, then what has a checksum.
    """

    kinds: tuple[Checked, ...]

    @property
    def num_problems(self) -> int:
        """How many things are damaged."""
        return sum(len(kind.problems) for kind in self.kinds)

    def frame(self) -> pd.DataFrame:
        """Return a row per kind: kind, checked, unchecked (no checksum), problems (texts)."""
        import pandas as pd

        rows = [(kind.kind, kind.count, kind.unchecked, kind.problems) for kind in self.kinds]
        return pd.DataFrame(rows, columns=["kind", "checked", "unchecked", "problems"])


def check_database(
    db: str | Path | None = None, on_checked: Callable[[Checked], None] = lambda kind: None
) -> DatabaseCheck:
    """Check everything in a database against the checksums that were recorded with it.

    Where the structure is damaged, what rests on it is not looked at.

    Args:
        db: the database; results.db when not given.
        on_checked: hears of each kind at once.

    Raises:
        UsageError: when there is none.
        DamagedDatabase: when it cannot be read at all.
    """
    kinds = []
    with (
        workspace(db).open(create=False, check=False) as database,
        database.read() as connection,
    ):
        for kind in _checks(connection):
            on_checked(kind)
            kinds.append(kind)
    return DatabaseCheck(tuple(kinds))


def dump_database(db: str | Path | None = None, canonical: bool = False) -> Iterator[str]:
    """Yield the lines of a database as text.

    Args:
        db: the database; results.db when not given.
        canonical: JSON lines in a fixed order, without times, ids, attempts and devices, so that
            two databases with the same results have the same lines; SQL otherwise.

    Raises:
        UsageError: when there is none.
        DamagedDatabase: when it is damaged; a canonical dump is checked as a whole before.
    """
    with workspace(db).open(create=False) as database:
        if canonical:
            with database.read() as connection:
                refuse(database.address, _checks(connection))
        yield from canonical_dump(database) if canonical else sql_dump(database)


def _checks(connection: sa.Connection) -> Iterator[Checked]:
    problems = tuple(structure_problems(connection))
    if not is_postgres(connection):  # a server looks after its own
        yield Checked("structure", 1, 0, problems)
    if not problems:
        yield Checked("schema", 1, 0, tuple(schema_problems(connection)))
        yield from check_everything(connection)


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseInfo(Framed):
    """Path and size of a database and of the `.runner/` beside it, in bytes."""

    database: str
    database_bytes: int
    folder: Path
    folder_bytes: int

    def frame(self) -> pd.DataFrame:
        """Return a row for the database and one for `.runner/`: columns path, num_bytes."""
        import pandas as pd

        rows = [(self.database, self.database_bytes), (str(self.folder), self.folder_bytes)]
        return pd.DataFrame(rows, columns=["path", "num_bytes"])


def database_info(db: str | Path | None = None) -> DatabaseInfo:
    """Return path and size of a database and of `.runner/`.

    Raises:
        UsageError: when there is no database.
    """
    home = workspace(db)
    with home.open(create=False) as database:
        size = database.num_bytes()
    return DatabaseInfo(home.database_name, size, home.folder, folder_bytes(home.folder))
