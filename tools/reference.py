"""Makes the reference results that ship with the program from a database of one's own.

    python tools/reference.py pack results.db

Writes runner/reference/results.db: the newest results of all cells and what they rest on, without
what tells of the machine's owner. Packing the reference itself brings it to the newest schema.
"""

from __future__ import annotations

import re
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import sqlalchemy as sa

from runner.core.keys import content_key
from runner.store.attempts_behind import attempts_behind
from runner.store.checking import check_everything, refuse
from runner.store.checksums import seal_all
from runner.store.database import open_database
from runner.store.json_types import JsonList, JsonObject
from runner.store.merge_source import MEASURED
from runner.store.reference import COUNTING, REFERENCE_FILE
from runner.store.schema import (
    analyses,
    artifacts,
    attempts,
    cells,
    claims,
    environments,
    experiments,
    metadata,
    results,
    run_epochs,
    run_stages,
    runs,
    stages,
    verifications,
)

ABSOLUTE = re.compile(r"""(?:^|[\s"'(=:,])(/(?:[\w.~-]+/)+[\w.~-]*|[A-Z]:\\\\?[\w.~-]+)""")
"""A path from the root of a file system, on POSIX or Windows."""


def pack(source: Path, target: Path) -> str:
    """Write the packed copy of a database; return in words what is in it.

    Raises:
        DamagedDatabase: when the database is not what was recorded.
        SystemExit: when something private is left in it; nothing is written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        copy, packed = Path(folder) / "copy.db", Path(folder) / "packed.db"
        with closing(sqlite3.connect(source)) as raw, closing(sqlite3.connect(copy)) as into:
            raw.backup(into)
        with open_database(copy) as database, database.write() as connection:
            refuse(source, check_everything(connection))
            prune(connection)
            anonymise(connection)
            seal_all(connection)
            found = sorted(set(private_texts(connection)))
            words = _described(connection)
        if found:
            raise SystemExit("not packed, for it tells of this machine:\n  " + "\n  ".join(found))
        with closing(sqlite3.connect(copy)) as raw:
            raw.execute("VACUUM INTO ?", [str(packed)])
        _check(packed)
        packed.replace(target)
    return f"{target}: {target.stat().st_size / 1e6:.2f} MB; {words}"


def _check(packed: Path) -> None:
    """Leave WAL mode, which would make files beside it, and let SQLite look at the whole of it."""
    with closing(sqlite3.connect(packed)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def prune(connection: sa.Connection) -> None:
    """Leave the newest result of each cell that counts as done, and what it rests on."""
    query = sa.text("SELECT run_key, rerun, status FROM latest_results")
    shown = set(connection.execute(sa.select(cells.c.run_key)).scalars())
    kept = {
        (row.run_key, row.rerun)
        for row in connection.execute(query)
        if row.status in COUNTING and row.run_key in shown
    }
    behind = attempts_behind(connection, kept)
    for each in (claims, verifications):
        connection.execute(sa.delete(each))
    for each in (run_epochs, results, run_stages, analyses):
        for row in connection.execute(sa.select(each.c.run_key, each.c.rerun).distinct()).all():
            if tuple(row) not in kept:
                mine = (each.c.run_key == row.run_key) & (each.c.rerun == row.rerun)
                connection.execute(sa.delete(each).where(mine))
    for each in MEASURED:
        for attempt_id in _others(connection, each.c.attempt_id, behind):
            connection.execute(sa.delete(each).where(each.c.attempt_id == attempt_id))
    _delete_others(connection, attempts.c.id, behind)
    used = {
        *_values(connection, attempts.c.stage_key),
        *_values(connection, run_stages.c.stage_key),
        *_values(connection, analyses.c.stage_key),
    }
    _delete_others(connection, artifacts.c.stage_key, used)
    lasting = sa.or_(
        artifacts.c.name.startswith("pixels/"), artifacts.c.name.startswith("weights/")
    )
    connection.execute(sa.delete(artifacts).where(sa.not_(lasting)))
    _delete_others(connection, stages.c.stage_key, used)
    _delete_others(connection, runs.c.run_key, shown)


def _values(connection: sa.Connection, column: sa.Column[Any]) -> set[Any]:
    return set(connection.execute(sa.select(column).distinct()).scalars())


def _others(connection: sa.Connection, column: sa.Column[Any], kept: set[Any]) -> list[Any]:
    return sorted(_values(connection, column) - kept)


def _delete_others(connection: sa.Connection, column: sa.Column[Any], kept: set[Any]) -> None:
    for value in _others(connection, column, kept):
        connection.execute(sa.delete(column.table).where(column == value))


def anonymise(connection: sa.Connection) -> None:
    """Take out what tells of the machine's owner: paths of files, builds of its kernel."""
    for row in connection.execute(sa.select(experiments.c.id, experiments.c.path)).all():
        path = f"experiments/{PurePosixPath(row.path.replace(chr(92), '/')).name}"
        same = experiments.c.id == row.id
        connection.execute(sa.update(experiments).where(same).values(path=path))
    known: dict[str, int] = {}
    for row in connection.execute(sa.select(environments)).all():
        content = {**row.content, "platform": _system(row.content["platform"]), "commit": ""}
        content.pop("modules", None)  # nothing is said of the code of the reference's results
        key = content_key("environment", content)
        mine = environments.c.id == row.id
        if key in known:
            using = attempts.c.environment_id == row.id
            connection.execute(sa.update(attempts).where(using).values(environment_id=known[key]))
            connection.execute(sa.delete(environments).where(mine))
            continue
        known[key] = row.id
        connection.execute(sa.update(environments).where(mine).values(key=key, content=content))


def _system(platform: str) -> str:
    """Return a platform without release and build of its kernel: Linux-x86_64-with-glibc2.36."""
    matched = re.fullmatch(r"([A-Za-z]+)-.*?((?:x86_64|aarch64|arm64|AMD64)\b.*)", platform)
    return f"{matched[1]}-{matched[2]}" if matched else platform.partition("-")[0]


def private_texts(connection: sa.Connection) -> Iterator[str]:
    """Yield table, column and text of every absolute path and of this machine's name."""
    names = [name for name in (socket.gethostname(), str(Path.home())) if len(name) > 3]
    for table in metadata.sorted_tables:
        for column in table.columns:
            if not isinstance(column.type, sa.String | JsonObject | JsonList):
                continue
            raw = sa.select(sa.cast(column, sa.Text)).where(column.is_not(None)).distinct()
            for text in connection.execute(raw).scalars():
                found = [*ABSOLUTE.findall(text), *(name for name in names if name in text)]
                yield from (f"{table.name}.{column.name}: {each}" for each in found)


def _described(connection: sa.Connection) -> str:
    counts = [
        f"{connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()} {table.name}"
        for table in (experiments, cells, results, attempts)
    ]
    devices = sorted(_values(connection, results.c.device))
    return f"{', '.join(counts)}; measured on {', '.join(devices) or 'nothing'}"


def main(arguments: list[str]) -> int:
    """Pack the database that is named, and return the exit code."""
    if len(arguments) != 2 or arguments[0] != "pack" or not Path(arguments[1]).is_file():
        print("usage: python tools/reference.py pack DATABASE", file=sys.stderr)
        return 2
    print(pack(Path(arguments[1]), REFERENCE_FILE))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
