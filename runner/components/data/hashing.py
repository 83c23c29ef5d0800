"""Content hashes of files, remembered by size and modification time.

A file that was hashed before and looks unchanged is not read again. Owns the small JSON file that
remembers; losing it costs time only.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runner.core.keys import content_key

BLOCK = 1 << 20


class HashCache:
    """Hashes files below a folder; keeps what it learnt in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def hash_files(self, root: Path, names: Sequence[str]) -> list[str]:
        """Return the SHA-256 of each file ``root / name``, in hexadecimal.

        Raises:
            OSError: when a file cannot be read.
        """
        memory_path = self._directory / f"{content_key('root', str(root.resolve()))}.json"
        memory = _read_memory(memory_path)
        stamps = [_stamp(root / name) for name in names]
        missing = [
            position
            for position, (name, stamp) in enumerate(zip(names, stamps, strict=True))
            if memory.get(name, ["", ""])[0] != stamp
        ]
        with ThreadPoolExecutor() as pool:
            digests = list(pool.map(lambda position: file_digest(root / names[position]), missing))
        for position, digest in zip(missing, digests, strict=True):
            memory[names[position]] = [stamps[position], digest]
        if missing:
            self._remember(memory_path, memory)
        return [memory[name][1] for name in names]

    def _remember(self, path: Path, memory: dict[str, list[str]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(memory))
        temporary.replace(path)


def _read_memory(path: Path) -> dict[str, list[str]]:
    try:
        memory = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    entries = memory.items() if isinstance(memory, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, list) and len(entry) == 2}


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
