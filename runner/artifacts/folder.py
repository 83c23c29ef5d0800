"""`.runner/`: where everything in it lies.

Owns the names of its folders and files, which nobody else joins to a path. Pixels, features and
changed images are shared by all databases beside it; all else lies in a folder for each database,
named by its identity, since claims are the database's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runner.artifacts.shared import Shared
from runner.core.artifacts import ArtifactKind, ArtifactName, checkpoint_name

NAME = ".runner"
HASHES = "hashes"
LAYOUTS = "layouts.json"
CODE = "code.json"
TRANSPARENT = "transparent.json"
INDEX, CHECKPOINT = "index.json", "checkpoint.json"

OF_ONE_DATABASE: tuple[ArtifactKind, ...] = (
    "states",
    "checkpoints",
    "weights",
    "logits",
    "analyses",
)
"""Kinds that lie in a folder for each database."""

MARKERS: dict[ArtifactKind, str] = {
    "pixels": INDEX,
    "features": INDEX,
    "changed": INDEX,
    "states": CHECKPOINT,
    "checkpoints": CHECKPOINT,
    "analyses": INDEX,
    "logits": INDEX,
}
"""The file that each folder of a kind has once it is whole, and that says what it holds."""


SUFFIXES: dict[ArtifactKind, str] = {"weights": ".safetensors"}
"""Of kinds that are files and not folders."""


def folder_beside(database_folder: Path) -> Path:
    """Return the `.runner/` of the databases in a folder."""
    return database_folder / NAME


def hashes_folder(folder: Path) -> Path:
    """Return where digests of the files of data sets are remembered."""
    return folder / HASHES


def layouts_file(folder: Path) -> Path:
    """Return the file that remembers shapes of networks and digests of weights."""
    return folder / LAYOUTS


def transparent_file(folder: Path) -> Path:
    """Return the file that remembers which data sets have transparent images."""
    return folder / HASHES / TRANSPARENT


def code_file(folder: Path) -> Path:
    """Return the file that remembers what the program's modules say."""
    return folder / CODE


def names_in(folder: Path) -> list[str]:
    """Return what lies in a folder; nothing where it is none, or another process has removed it."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def folder_bytes(folder: Path) -> int:
    """Return the size of `.runner/` in bytes; what vanishes meanwhile is not counted."""
    total = 0
    for home, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(home, name)).st_size
    return total


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What the stages of one database leave in `.runner/`.

    Attributes:
        folder: ``.runner/``.
        database: the identity of the database.
        shared: the store that it shares with other machines, or None.
    """

    folder: Path
    database: str
    shared: Shared | None = field(default=None, compare=False, repr=False)

    def path(self, name: str) -> Path:
        """Return where an artifact lies: a folder, or a file of weights."""
        parsed = ArtifactName.parse(name)
        home = self.home(parsed.kind)
        return home / f"{parsed.file}{SUFFIXES.get(parsed.kind, '')}"

    def home(self, kind: ArtifactKind) -> Path:
        """Return the folder in which artifacts of a kind lie."""
        home = self.folder / kind
        return home / self.database if kind in OF_ONE_DATABASE else home

    def checkpoint(self, stage_key: str) -> Path:
        """Return where a training keeps what it continues from."""
        return self.path(checkpoint_name(stage_key))

    def maybe_there(self, names: Iterable[str]) -> Iterator[str]:
        """Yield those of many artifacts that may lie there; folders are listed once each."""
        listed: dict[ArtifactKind, frozenset[str]] = {}
        for name in names:
            parsed = ArtifactName.parse(name)
            if parsed.kind not in listed:
                listed[parsed.kind] = frozenset(names_in(self.home(parsed.kind)))
            if f"{parsed.file}{SUFFIXES.get(parsed.kind, '')}" in listed[parsed.kind]:
                yield name

    def lies_there(self, name: str) -> bool:
        """Return whether an artifact lies there, as far as can be told without reading it."""
        path = self.path(name)
        marker = MARKERS.get(ArtifactName.parse(name).kind)
        return path.is_file() if marker is None else (path / marker).is_file()
