"""Whether `.runner/` is still as a run left it, and which errors end the whole run.

A stage that finds nothing where the run has put it has not failed: others would in turn, and none
of them would be done again. Records nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

from runner.core.artifacts import kind_of
from runner.core.errors import DiskFull, StoreError, StoreGone, is_full_disk
from runner.core.stages import Stage
from runner.engine.context import Context

LASTING = ("pixels", "weights")
"""What a stage finds where one before it has ended, unlike logits, features and states."""


class WorkFolder:
    """The `.runner/` that a run began with."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._identity = _identity(context.folder)

    def end_of_all(self, stage: Stage, error: Exception) -> StoreError | None:
        """Return what ends the whole run, or None for an error of this stage alone."""
        if isinstance(error, StoreError):
            return error
        if is_full_disk(error):
            return DiskFull(error)
        if not self._has_lost(stage, error):
            return None
        return StoreGone(
            f"{self._context.folder} was removed, or something in it, while this run was at work",
            hint="what has ended is kept; run the same command again to make what is needed",
        )

    def _has_lost(self, stage: Stage, error: Exception) -> bool:
        folder = self._context.folder
        if _identity(folder) != self._identity:
            return True
        is_shared = self._context.shared is not None  # then it need not have been here at all
        needed = (name for name in stage.consumes if kind_of(name) in LASTING and not is_shared)
        if not all(self._context.artifact_path(name).exists() for name in needed):
            return True
        missed = error.filename if isinstance(error, FileNotFoundError) else None
        return missed is not None and folder in Path(os.fsdecode(missed)).parents


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what a folder is on its disk, None when there is none."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino
