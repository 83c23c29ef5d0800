"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket, for one session."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from waiting import PATIENCE

USER = "runner"
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "synchronous_commit": "off",
}
"""Those of a server that does little beside the tests, and keeps nothing when its machine fails."""


def program(name: str) -> str:
    """Return a program of the server, from the path or where Debian puts it."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, homes), os.environ["PATH"]]))
    assert found, f"{name} is not installed: Debian's package is postgresql"
    return found


class PostgresServer:
    """A server that can be stopped, killed and started again.

    Attributes:
        folder: of its socket and its data.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder, self._settings = folder, settings
        self._process: subprocess.Popen[bytes] | None = None
        # a server does not run as root
        self._user: str | None = None
        self._group: str | None = None
        if os.getuid() == 0:
            self._user, self._group = "nobody", "nogroup"
            shutil.chown(folder, "nobody", "nogroup")
        folder.chmod(0o755)
        self._do("initdb", "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-N", *LOCALE)

    def _do(self, name: str, *words: str) -> None:
        done = subprocess.run(
            [program(name), *words],
            capture_output=True,
            text=True,
            cwd=self.folder,
            user=self._user,
            group=self._group,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = self._settings.items()
        options = [word for name, value in settings for word in ("-c", f"{name}={value}")]
        words = ["-D", str(self.folder / "data"), "-k", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("postgres"), *words],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self._user,
                group=self._group,
            )
        deadline = time.monotonic() + PATIENCE
        ready = [program("pg_isready"), "-q", "-h", str(self.folder)]
        while subprocess.run(ready).returncode != 0:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server never answered"
            time.sleep(0.02)

    def stop(self, crash: bool = False) -> None:
        """End it: at once, with every transaction undone, or as when the machine fails."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(3 if crash else 2)  # SIGQUIT, SIGINT
            process.wait(PATIENCE)

    def cpu_seconds(self) -> float:
        """Return what it and the connections that have ended have computed, in seconds."""
        if self._process is None:
            return 0.0
        said = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        # utime, stime, and those of its children: fields 14 to 17 of proc(5)
        ticks = said.rpartition(")")[2].split()[11:15]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def new_database(self, like: str = "template1") -> str:
        """Make a database, empty or like another that nobody has open, and return its URL."""
        import psycopg

        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(
            dbname="postgres", user=USER, host=str(self.folder), autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
        return self.url(name)


LOCALE = ("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en")
"""One whose order of words is not that of bytes."""


@contextmanager
def running_server(may_crash: bool = False, **settings: str) -> Iterator[PostgresServer]:
    """Start a server and end it; one that may crash keeps what was committed."""
    if may_crash:
        settings = {"synchronous_commit": "on", **settings}
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        server = PostgresServer(Path(home), SETTINGS | settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
