"""What is kept in `.runner/` only to save work: frozen features, changed
images and states of trainings.

Owns their size limit: what was used longest ago goes first, except what the present plan needs.
Knows folders and sizes, not what is in them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from runner.artifacts.atomic import SUFFIX
from runner.artifacts.folder import MARKERS
from runner.core.artifacts import ArtifactKind

EVICTED: tuple[ArtifactKind, ...] = ("features", "changed", "states")
"""Kinds that are removed when room is needed; the time of their marker says when they were used."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One thing that is kept.

    Attributes:
        path: its folder.
        num_bytes: on disk.
        used: when it was last used, in seconds since 1970.
    """

    path: Path
    num_bytes: int
    used: float


def entries(folder: Path, kinds: Iterable[ArtifactKind] = EVICTED) -> Iterator[CacheEntry]:
    """Yield what is kept of these kinds in ``.runner/``, of all databases."""
    for kind in kinds:
        for found in (folder / kind).rglob(MARKERS[kind]):
            home = found.parent
            if home.name.endswith(SUFFIX):
                continue  # unfinished, of this process or another
            try:
                size = sum(each.stat().st_size for each in home.iterdir())
                yield CacheEntry(home, size, found.stat().st_mtime)
            except FileNotFoundError:
                continue  # another process has just removed it


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
        self._lock = Lock()  # states are kept from another thread than features

    def make_room(self, path: Path, num_bytes: int) -> bool:
        """Remove what was used longest ago until ``num_bytes``, for ``path``, are in the limit.

        Folders are looked at only when the limit may be reached.

        Returns:
            Whether they are; else it is for the caller to know whether the limit counts.
        """
        with self._lock:
            if num_bytes > self._limit and not self._needed[path]:
                return False
            if self._taken is None:
                self._taken = sum(entry.num_bytes for entry in entries(self._folder))
            if self._taken + num_bytes > self._limit:
                self._taken = self._evict(path, num_bytes)
            self._taken += num_bytes
            return self._taken <= self._limit

    def release(self, paths: Iterable[Path]) -> None:
        """Note that one stage fewer needs these; what is over the limit goes."""
        with self._lock:
            self._needed.subtract(paths)
            if self._taken is not None and self._taken > self._limit:
                self._taken = self._evict(None, 0)

    def give_up_states(self, path: Path | None) -> None:
        """Remove all states but ``path`` that the present plan does not need: the disk is full."""
        with self._lock:
            for entry in list(entries(self._folder, ["states"])):
                if entry.path != path and not self._needed[entry.path]:
                    shutil.rmtree(entry.path, ignore_errors=True)
            self._taken = None

    def _evict(self, path: Path | None, num_bytes: int) -> int:
        """Return the bytes that are left, without those of ``path``, which are replaced."""
        found = [entry for entry in entries(self._folder) if entry.path != path]
        taken = sum(entry.num_bytes for entry in found)
        for entry in sorted(found, key=lambda entry: (entry.used, entry.path)):
            if taken + num_bytes <= self._limit:
                break
            if not self._needed[entry.path]:
                shutil.rmtree(entry.path, ignore_errors=True)
                taken -= entry.num_bytes
        return taken
