"""Downloads on standard error: a bar on a terminal, plain lines elsewhere.

A line at its beginning names the file, its size and its target.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from runner.components.download import Downloading, show_bytes
from runner.core.text import show_seconds

PLAIN_SECONDS = 10.0


class PlainDownloads:
    """A line when a download begins, one every ten seconds, and one when it ends."""

    def __init__(self) -> None:
        self._began = self._next = 0.0

    def moved(self, progress: Downloading) -> None:
        """Print the progress of a download, every ten seconds."""
        now = time.monotonic()
        if progress.done == 0:
            self._began, self._next = now, now + PLAIN_SECONDS
            self._say(beginning(progress))
        elif progress.done == progress.total:
            took = show_seconds(now - self._began)
            self._say(f"{progress.name}: {show_bytes(progress.done)} in {took}")
        elif now >= self._next:
            self._next = now + PLAIN_SECONDS
            self._say(f"{progress.name}: {_standing(progress, now - self._began)}")

    def close(self) -> None:
        """Do nothing."""

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class LiveDownloads:
    """A bar per download."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._bar: TaskID | None = None
        self._bars.start()

    def moved(self, progress: Downloading) -> None:
        """Move the bar; make one for a new download."""
        if self._bar is None or progress.done == 0:
            self._bars.console.print(
                beginning(progress), markup=False, highlight=False, soft_wrap=True
            )
            self._bar = self._bars.add_task(progress.name)
        self._bars.update(self._bar, completed=progress.done, total=progress.total)

    def close(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()


def beginning(progress: Downloading) -> str:
    """Return what is about to be fetched, in words."""
    size = "unknown size" if progress.total is None else show_bytes(progress.total)
    return f"downloading {progress.name} ({size}) for {progress.target}"


def _standing(progress: Downloading, seconds: float) -> str:
    if progress.total is None:
        return show_bytes(progress.done)
    left = seconds * (progress.total - progress.done) / progress.done
    share = f"{show_bytes(progress.done)} of {show_bytes(progress.total)}"
    return f"{share}, about {show_seconds(left)} left"
