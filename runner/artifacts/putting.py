"""Files of an artifact on their way to a shared store: which they are, and that they do not change.

Owns how they are described and put; that they are named there afterwards is the store's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.artifacts.hashes import file_digest, stamp_of
from runner.artifacts.manifest import Manifest, SharedFile
from runner.artifacts.places import Place

TRIES = 3
"""How often files are put that are replaced meanwhile."""
LONGEST_TEXT = 1 << 22
"""Bytes; of a longer file no content stands in a manifest."""


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """An artifact as it lies here.

    Attributes:
        paths: its files by name.
        texts: names of those whose content stands in the manifest.
    """

    paths: Mapping[str, Path]
    texts: frozenset[str] = frozenset()


def put_files(
    place: Place, name: str, look: Callable[[], LocalFiles | None], known: set[str]
) -> tuple[Manifest, dict[str, str]] | None:
    """Put the files there that are not known to be; return what they are, with their stamps.

    Args:
        place: where.
        name: of the artifact.
        look: returns its files, None where it is gone.
        known: where files of it lie; gets those that are put.

    Returns:
        None where they are gone, or replaced each time.
    """
    for _ in range(TRIES):
        files = look()
        if files is None:
            return None
        try:
            stamps = stamps_of(files)
            manifest = _described(name, files)
            for file, path in files.paths.items():
                if (where := manifest.place_of(file)) not in known:
                    place.put(path, where)
                    known.add(where)
            if stamps and stamps_of(files) == stamps:
                return manifest, stamps
        except FileNotFoundError:
            if all(path.exists() for path in files.paths.values()):
                raise  # something of the place
    return None


def stamps_of(files: LocalFiles | None) -> dict[str, str] | None:
    """Return what changes when another process, or thread, replaces one of the files.

    None where there are none, or one of them is gone.
    """
    try:
        return (
            None
            if files is None
            else {name: stamp_of(path.stat()) for name, path in files.paths.items()}
        )
    except FileNotFoundError:
        return None


def _described(name: str, files: LocalFiles) -> Manifest:
    found = {
        file: SharedFile(path.stat().st_size, file_digest(path))
        for file, path in files.paths.items()
    }
    texts = {
        file: files.paths[file].read_text()
        for file in sorted(files.texts)
        if found[file].num_bytes <= LONGEST_TEXT
    }
    return Manifest(name, found, texts)
