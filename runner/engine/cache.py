"""What is kept in `.runner/` only to save work: frozen features and states of trainings.

Owns their size limit: what was used longest ago goes first, except what the present plan needs.
Knows folders and sizes, not what is in them.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runner.components.partial import SUFFIX

MARKERS = {"features": "index.json", "states": "checkpoint.json"}
"""The file of each kind whose modification time says when it was last used."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is kept.

    Attributes:
        name: of the artifact, without its database.
        path: its folder.
        num_bytes: on disk.
        used: when it was last used, in seconds since 1970.
    """

    name: str
    path: Path
    num_bytes: int
    used: float


def entries(folder: Path) -> Iterator[Entry]:
    """Yield the features and states in ``.runner/``, of all databases."""
    for kind, marker in MARKERS.items():
        for found in (folder / kind).rglob(marker):
            home = found.parent
            if home.name.endswith(SUFFIX):
                continue  # unfinished, of this process or another
            try:
                size = sum(each.stat().st_size for each in home.iterdir())
                yield Entry(f"{kind}/{home.name}", home, size, found.stat().st_mtime)
            except FileNotFoundError:
                continue  # another process has just removed it


@dataclass
class Cache:
    """Keeps features and states under a limit.

    Attributes:
        folder: ``.runner/``.
        limit: bytes.
        needed: names of artifacts that the present plan needs; they stay, whatever they take.
    """

    folder: Path
    limit: int
    needed: Collection[str] = ()
    _taken: int | None = field(default=None, repr=False)

    def make_room(self, name: str, num_bytes: int) -> None:
        """Remove what was used longest ago until ``num_bytes`` more, of ``name``, are in the limit.

        Folders are looked at only when the limit may be reached.
        """
        if self._taken is None:
            self._taken = sum(entry.num_bytes for entry in entries(self.folder))
        if self._taken + num_bytes > self.limit:
            self._taken = self._evict(name, num_bytes)
        self._taken += num_bytes

    def give_up_states(self, name: str) -> None:
        """Remove all states but ``name`` that the present plan does not need: the disk is full."""
        for entry in list(entries(self.folder)):
            is_state = entry.name.startswith("states/")
            if is_state and entry.name != name and entry.name not in self.needed:
                shutil.rmtree(entry.path, ignore_errors=True)
        self._taken = None

    def _evict(self, name: str, num_bytes: int) -> int:
        """Return the bytes that are left."""
        found = sorted(entries(self.folder), key=lambda entry: (entry.used, entry.name))
        taken = sum(entry.num_bytes for entry in found)
        for entry in found:
            if taken + num_bytes <= self.limit:
                break
            if entry.name != name and entry.name not in self.needed:
                shutil.rmtree(entry.path, ignore_errors=True)
                taken -= entry.num_bytes
        return taken
