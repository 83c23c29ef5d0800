"""A tool's place that is a folder: it is held alone while it is written, beside what others put."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from runner.artifacts.lock import waited_for
from runner.report.own_folder import refuse_folder
from runner.report.trackers.tracker import Tracker


class FolderTracker(Tracker):
    """A tracker that adds to a folder; what others have put there stays."""

    def __init__(self, place: str) -> None:
        """Begin nothing yet.

        Args:
            place: the folder; it need not be there.

        Raises:
            UsageError: when it cannot be written.
        """
        self._place = refuse_folder(Path(place))
        self._lock: AbstractContextManager[None] | None = None

    def __enter__(self) -> Self:
        self._place.mkdir(parents=True, exist_ok=True)
        self._lock = waited_for(self._place)  # two exports would take each other's files away
        self._lock.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Let other exports write: every file is whole by now."""
        assert self._lock is not None
        self._lock.__exit__(*error)
