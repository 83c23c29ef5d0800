"""What is kept in `.runner/` only to save work: features, changed images, states of trainings.

Owns their size limit, and what goes first: changed images, which cost seconds, before features and
states, which may cost hours; of each, what was used longest ago. What the present plan needs stays.
Knows folders and sizes, not what is in them.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from runner.artifacts.atomic import SUFFIX
from runner.artifacts.folder import MARKERS
from runner.core.artifacts import ArtifactKind

CHEAPEST: ArtifactKind = "changed"
EVICTED: tuple[ArtifactKind, ...] = ("features", CHEAPEST, "states")
"""Kinds that are removed when room is needed; the time of their marker says when they were used."""
ON_A_FULL_DISK: tuple[ArtifactKind, ...] = (CHEAPEST, "states")
"""Kinds that give way to what must be written, the first first."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One thing that is kept.

    Attributes:
        kind: of what it is.
        path: its folder.
        num_bytes: on disk.
        used: when it was last used, in seconds since 1970.
    """

    kind: ArtifactKind
    path: Path
    num_bytes: int
    used: float


def entries(folder: Path, kinds: Iterable[ArtifactKind] = EVICTED) -> Iterator[CacheEntry]:
    """Yield what is kept of these kinds in ``.runner/``, of all databases."""
    for kind in kinds:
        # os.walk passes over folders that another process or thread removes meanwhile
        for home, inner, names in os.walk(folder / kind):
            inner[:] = [name for name in inner if not name.endswith(SUFFIX)]  # unfinished
            if MARKERS[kind] not in names:
                continue
            path = Path(home)
            try:
                size = sum(each.stat().st_size for each in path.iterdir())
                yield CacheEntry(kind, path, size, (path / MARKERS[kind]).stat().st_mtime)
            except FileNotFoundError:
                continue


class Cache:
    """Keeps features, changed images and states under a limit."""

    def __init__(self, folder: Path, limit: int, needed: Iterable[Path] = ()) -> None:
        """Look at nothing yet.

        Args:
            folder: ``.runner/``.
            limit: bytes.
            needed: folders of artifacts, once for each stage to do that needs them; they stay,
                whatever they take.
        """
        self._folder, self._limit = folder, limit
        self._needed = Counter(needed)
        self._taken: int | None = None
        self._began = time.time()
        self._lock = Lock()  # states are kept from another thread than the rest

    def make_room(self, path: Path, num_bytes: int) -> bool:
        """Remove what may go until ``num_bytes``, for ``path``, are in the limit.

        For changed images, only others of them go, and none that were used since this began: every
        run goes through them in one order, so that the one used longest ago is the next to be used.
        Where all that may go is not enough, nothing does, unless ``path`` is needed in any case.
        Folders are looked at only when the limit may be reached.

        Returns:
            Whether they are; else it is for the caller to know whether the limit counts.
        """
        with self._lock:
            is_needed = self._needed[path] > 0
            if num_bytes > self._limit and not is_needed:
                return False
            if self._taken is None:
                self._taken = sum(entry.num_bytes for entry in entries(self._folder))
            if self._taken + num_bytes > self._limit:
                self._taken = self._evict(path, num_bytes, anyway=is_needed)
            if self._taken + num_bytes > self._limit and not is_needed:
                self._taken = None  # the caller may write it all the same
                return False
            self._taken += num_bytes
            return self._taken <= self._limit

    def release(self, paths: Iterable[Path]) -> None:
        """Note that one stage fewer needs these; what is over the limit goes."""
        with self._lock:
            self._needed.subtract(paths)
            if self._taken is not None and self._taken > self._limit:
                self._taken = self._evict(None, 0, anyway=True)

    def give_up(self, kind: ArtifactKind, path: Path | None) -> None:
        """Remove all of a kind but ``path`` that the present plan does not need: the disk is full.

        Args:
            kind: one of those that are evicted.
            path: a folder that stays.
        """
        with self._lock:
            for entry in list(entries(self._folder, [kind])):
                if entry.path != path and not self._needed[entry.path]:
                    shutil.rmtree(entry.path, ignore_errors=True)
            self._taken = None

    def _evict(self, path: Path | None, num_bytes: int, anyway: bool) -> int:
        """Return the bytes that are left, without those of ``path``, which are replaced.

        Args:
            path: for what room is made.
            num_bytes: of it.
            anyway: remove what may go also where that is not enough.
        """
        found = [entry for entry in entries(self._folder) if entry.path != path]
        left = sum(entry.num_bytes for entry in found)
        going: list[CacheEntry] = []
        for entry in sorted(found, key=_cost_and_age):
            if left + num_bytes <= self._limit:
                break
            if self._may_go(entry, path):
                going.append(entry)
                left -= entry.num_bytes
        if left + num_bytes > self._limit and not anyway:
            return left + sum(entry.num_bytes for entry in going)
        for entry in going:
            shutil.rmtree(entry.path, ignore_errors=True)
        return left

    def _may_go(self, entry: CacheEntry, path: Path | None) -> bool:
        """Return whether something that is kept may go for ``path``."""
        if path is not None and path.is_relative_to(self._folder / CHEAPEST):
            return entry.kind == CHEAPEST and entry.used < self._began
        return not self._needed[entry.path]


def _cost_and_age(entry: CacheEntry) -> tuple[bool, float, Path]:
    """Return what sorts first what is to go first."""
    return entry.kind != CHEAPEST, entry.used, entry.path
