"""A small grid on image files, and what it leaves behind, for tests of whole runs."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.torch import load_file

from runner.engine.network.tensors import tensors_digest
from runner.store.database import open_database
from runner.store.dump import canonical_dump

GRID = """\
name: grid
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8}
model: {name: convnet, filters: [6], batch_norm: true}
train: {epochs: 7, batch_size: 8, optimizer: adam}
sweep:
  grid: {lr: [0.01, 0.03], dropout: [0.0, 0.3]}
"""


def write_photos(folder: Path, classes: int = 3, each: int = 16) -> Path:
    """Write class folders of small noisy PNG files."""
    draw = np.random.default_rng(0)
    for label in range(classes):
        home = folder / f"class_{label}"
        home.mkdir(parents=True)
        for number in range(each):
            noisy = 60 * label + draw.normal(60, 70, (10, 12, 3))
            pixels = np.clip(noisy, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(home / f"{number:02d}.png")
    return folder


def write_grid(folder: Path, text: str = GRID) -> Path:
    """Write a spec beside its photos; return the spec."""
    if not (folder / "photos").is_dir():
        write_photos(folder / "photos")
    spec = folder / "grid.yaml"
    spec.write_text(text, encoding="utf-8")
    return spec


@dataclass(frozen=True)
class Left:
    """What runs leave: the canonical dump, weights by file, states, and files that should be gone.

    States are by the key of their epoch, as digests of all their tensors.
    """

    dump: str
    tensors: dict[str, str]
    files: dict[str, str]
    pixels: dict[str, str]
    states: dict[str, str]
    litter: tuple[str, ...]


@dataclass(frozen=True)
class Undisturbed:
    """A grid that ran in one go: what it left."""

    left: Left


def left_in(folder: Path) -> Left:
    """Return what runs left in a folder."""
    database = open_database(folder / "results.db", create=False)
    try:
        dump = "\n".join(canonical_dump(database))
    finally:
        database.close()
    home = folder / ".runner"
    weights = sorted((home / "weights").rglob("*.safetensors*"))
    return Left(
        dump=dump,
        tensors={path.name: tensors_digest(load_file(path)) for path in weights},
        files={path.name: _digest(path) for path in weights},
        pixels={
            str(path.relative_to(home)): _digest(path)
            for path in sorted((home / "pixels").rglob("*"))
            if path.is_file()
        },
        states={
            path.parent.name: tensors_digest(load_file(path))
            for path in (home / "states").rglob("*.safetensors")
        },
        litter=tuple(
            sorted(
                str(path.relative_to(home))
                for path in home.rglob("*")
                if path.is_file()
                and ("checkpoints" in path.parts or ".tmp" in path.name or "partial" in str(path))
            )
        ),
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def ask(folder: Path, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a query on the folder's database."""
    with closing(sqlite3.connect(folder / "results.db")) as raw:
        return raw.execute(query, values).fetchall()
