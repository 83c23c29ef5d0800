"""Files of an artifact on their way here from a shared store: whole, or nothing of them.

Owns that each is what its manifest says before the artifact takes its place.
"""

from __future__ import annotations

from pathlib import Path

from runner.artifacts.atomic import whole_file, whole_folder
from runner.artifacts.hashes import file_digest
from runner.artifacts.manifest import Manifest
from runner.artifacts.places import Place
from runner.core.moments import reached


class _WrongFile(Exception):
    """A file is not there, or not what its manifest says."""


def get_files(place: Place, manifest: Manifest, final: Path, is_file: bool) -> str:
    """Bring an artifact here, in place of what lies there; return what is wrong with it, or "".

    Args:
        place: where it is.
        manifest: what it is.
        final: where it is to lie; what is above it is made.
        is_file: whether it is one file, and no folder.

    Raises:
        OSError: when the disk here is full; what was here stays.
        Exception: of the place.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole_file(final) if is_file else whole_folder(final) as partial:
            for name in manifest.files:
                _get_file(place, manifest, name, partial if is_file else partial / name)
            reached("artifact fetched, not in place")
    except _WrongFile as error:
        return str(error)
    return ""


def _get_file(place: Place, manifest: Manifest, name: str, path: Path) -> None:
    try:
        place.fetch(manifest.place_of(name), path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise  # `.runner/` was removed
        raise _WrongFile(f"{name} is not there") from None
    wanted = manifest.files[name]
    if path.stat().st_size != wanted.num_bytes or file_digest(path) != wanted.sha256:
        raise _WrongFile(f"{name} is not what was put there")
