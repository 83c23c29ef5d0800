"""Content hashes of files, remembered by what the file system says of them.

A file that was hashed before and looks unchanged (size, times of modification and change, inode,
device) is not read again, but for a small sample of all files, another one each time. Owns the
small JSON files that remember; losing them costs time only.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from runner.artifacts.lock import waited_for
from runner.artifacts.memory import recall, remember
from runner.core.keys import content_key, keyed_seed

FORMAT = 2
"""Raised when what a stamp holds changes; memories of another format are not trusted."""

SAMPLE_FILES = 32
SAMPLE_SHARE = 0.01
SAMPLE_BYTES = 1 << 20
"""Looked at each time: so many files, of all bytes this share or, where that is more, so many."""

RACY_NS = 2 * 10**9
"""A file that was written so short a time ago may be written again within one tick of its clock, in
nanoseconds: it is hashed again next time."""

Memory = dict[str, list[str]]
"""Stamp and digest by name."""


class HashCache:
    """Hashes files below a folder; keeps what it learnt in ``directory``."""

    def __init__(self, directory: Path, draw: Callable[[], int] = time.time_ns) -> None:
        """Read nothing yet.

        Args:
            directory: where to remember.
            draw: gives the number that decides which files are looked at all the same.
        """
        self._directory = directory
        self._draw = draw

    def hash_files(self, root: Path, names: Sequence[str]) -> list[str]:
        """Return the SHA-256 of each file ``root / name``, in hexadecimal.

        When a file in the sample is not what is remembered of it, although it looks unchanged,
        nothing that is remembered of the folder counts.

        Raises:
            OSError: when a file cannot be read.
        """
        path = self._path(root)
        before = _read_memory(path)
        stats = [os.stat(os.path.join(root, name)) for name in names]  # thrice as fast as Path's
        stamps = [stamp_of(stat) for stat in stats]
        known = {
            name: (before[name][1], stat.st_size)
            for name, stat, stamp in zip(names, stats, stamps, strict=True)
            if name in before and before[name][0] == stamp
        }
        doubted = _differs(root, known, self._draw())
        if doubted:
            known = {}
        missing = [position for position, name in enumerate(names) if name not in known]
        began = time.time_ns()
        with ThreadPoolExecutor() as pool:
            digests = list(pool.map(lambda position: file_digest(root / names[position]), missing))
        hashed = {
            names[position]: [stamps[position], digest]
            for position, digest in zip(missing, digests, strict=True)
        }
        if missing:
            sure = {
                names[position]: hashed[names[position]]
                for position in missing
                if _is_settled(root / names[position], stamps[position], began)
            }
            self._remember(path, sure, before if doubted else {})
        return [hashed[name][1] if name in hashed else known[name][0] for name in names]

    def forget(self, root: Path) -> None:
        """Remember nothing of the files below a folder: they are not what they look like."""
        path = self._path(root)
        with suppress(FileNotFoundError), waited_for(self._directory):
            path.unlink(missing_ok=True)

    def _path(self, root: Path) -> Path:
        return self._directory / f"{content_key('root', str(root.resolve()))}.json"

    def _remember(self, path: Path, hashed: Memory, doubted: Memory) -> None:
        """Add to what is remembered; what another process has learnt meanwhile stays.

        Args:
            path: of the memory.
            hashed: what is known now.
            doubted: what was remembered and does not count any more.
        """
        with suppress(OSError):  # a full disk, or a folder that cannot be written to
            path.parent.mkdir(parents=True, exist_ok=True)
            with waited_for(path.parent):
                kept = {
                    name: entry
                    for name, entry in _read_memory(path).items()
                    if doubted.get(name) != entry
                }
                remember(path, FORMAT, {"files": {**kept, **hashed}})


def _differs(root: Path, known: Mapping[str, tuple[str, int]], draw: int) -> bool:
    """Return whether a file in the sample is not what is remembered of it."""
    return any(file_digest(root / name) != known[name][0] for name in _sample(known, draw))


def _sample(known: Mapping[str, tuple[str, int]], draw: int) -> Iterator[str]:
    """Yield the names of the files that are looked at, of those with a digest and a size."""
    left = max(SAMPLE_BYTES, SAMPLE_SHARE * sum(size for _, size in known.values()))
    names = sorted(known)
    chosen = random.Random(keyed_seed(draw, "sample of files"))
    for name in chosen.sample(names, min(SAMPLE_FILES, len(names))):
        size = known[name][1]
        if size <= left:
            left -= size
            yield name


def _is_settled(path: Path, stamp: str, began: int) -> bool:
    """Return whether a file is what it was when its stamp was taken, as far as can be told.

    Args:
        path: of the file.
        stamp: taken before it was read.
        began: when it was read, in nanoseconds since 1970.
    """
    stat = path.stat()
    return stamp_of(stat) == stamp and stat.st_ctime_ns < began - RACY_NS


def _read_memory(path: Path) -> Memory:
    files = recall(path, FORMAT).get("files")
    entries = files.items() if isinstance(files, dict) else ()
    return {
        name: entry
        for name, entry in entries
        if isinstance(entry, list) and [type(each) for each in entry] == [str, str]
    }


def stamp_of(stat: os.stat_result) -> str:
    """Return what the file system says of a file that changes when its content does."""
    values = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)
    return ":".join(map(str, values))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
