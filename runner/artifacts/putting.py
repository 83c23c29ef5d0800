"""Files of an artifact on their way to a shared store: which they are, and that they do not change.

Owns how they are described and put; that they are named there afterwards is the store's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from runner.artifacts.hashes import file_digest, stamp_of
from runner.artifacts.manifest import Manifest, SharedFile
from runner.artifacts.places import Place

TRIES = 3
"""How often files are put that are replaced meanwhile."""
OPEN_FILES = Path("/proc/self/fd")
"""Where Linux has the files that this process has open, by their numbers."""
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
        with ExitStack() as opened:
            files = look()
            if files is None:
                return None
            try:
                held = _held(files, opened)
            except FileNotFoundError:
                continue  # replaced just now
            stamps = stamps_of(held)
            if stamps is None or stamps_of(look()) != stamps:
                continue
            manifest = _described(name, held)
            for file, path in held.paths.items():
                if (where := manifest.place_of(file)) not in known:
                    place.put(path, where)
                    known.add(where)
            if held is not files or stamps_of(files) == stamps:
                return manifest, stamps
    return None


def _held(files: LocalFiles, opened: ExitStack) -> LocalFiles:
    """Return paths that lead to the same content also when others have been put in their place.

    They do so while the files are open. Systems without such paths give the files themselves.
    """
    if not OPEN_FILES.is_dir():
        return files
    handles = {name: opened.enter_context(path.open("rb")) for name, path in files.paths.items()}
    paths = {name: OPEN_FILES / str(handle.fileno()) for name, handle in handles.items()}
    return LocalFiles(paths, files.texts)


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
