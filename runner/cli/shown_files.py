"""What commands share that go through files: where they write, and progress on standard error."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runner.artifacts.atomic import refuse_place, whole_file
from runner.cli.interrupt import StopRequest
from runner.core.errors import Interrupted

PLAIN_SECONDS = 30.0
"""Between two lines of progress where there is no terminal."""


@contextmanager
def writing(out: Path | None) -> Iterator[IO[str]]:
    """Give a file to write text to while entered: a whole one or none, or standard output.

    Raises:
        UsageError: when it cannot be written.
    """
    if out is None:
        yield sys.stdout
        sys.stdout.flush()  # here it is heard of when the reader of a pipe has gone
        return
    check_place(out)
    with (
        whole_file(out) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file


def check_place(out: Path | None) -> None:
    """Refuse a file that cannot be written, before any work.

    Raises:
        UsageError: when it cannot be.
    """
    if out is not None:
        refuse_place(out)


def is_written_to(path: Path, out: Path | None) -> bool:
    """Return whether a file is the one that is written to, by --out or by a shell's ``>``."""
    try:
        there = os.stat(path)
        ours = os.fstat(sys.stdout.fileno()) if out is None else os.stat(out)
    except (OSError, ValueError):  # one is not there, or is no file
        return False
    return stat.S_ISREG(there.st_mode) and os.path.samestat(there, ours)


class FilesProgress:
    """A context with a bar on a terminal, and a line every half minute elsewhere.

    Ctrl-C ends the work after a batch.
    """

    def __init__(
        self, title: str, beside_rows: bool = False, what: str = "files", hint: str = ""
    ) -> None:
        """Begin nothing yet.

        Args:
            title: what is done.
            beside_rows: whether rows are printed meanwhile, which a bar on one terminal would cut.
            what: is counted.
            hint: what to do after a stop.
        """
        self._is_free = not (beside_rows and sys.stdout.isatty())
        self._title, self._what, self._hint, self._stop = title, what, hint, StopRequest()
        self._next = time.monotonic() + PLAIN_SECONDS
        self._bars: Progress | None = None

    def __enter__(self) -> FilesProgress:
        self._stop.__enter__()
        console = Console(stderr=True)
        if console.is_terminal and self._is_free:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._bar = self._bars.add_task(self._title, total=None)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.__exit__()
        if self._bars is not None:
            self._bars.stop()

    def moved(self, done: int, total: int, what: str = "") -> None:
        """Show how many are done.

        Args:
            done: so many.
            total: of so many.
            what: is counted now, where that changes.

        Raises:
            Interrupted: when somebody has asked to stop.
        """
        counted = what or self._what
        if self._stop():
            raise Interrupted(f"stopped after {done} of {total} {counted}", hint=self._hint)
        if self._bars is not None:
            title = f"{self._title}: {what}" if what else self._title
            self._bars.update(self._bar, completed=done, total=total, description=title)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_SECONDS
            self.say(f"{self._title}: {done}/{total} {counted}")

    def say(self, text: str) -> None:
        """Print a line to standard error, above the bar."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)
