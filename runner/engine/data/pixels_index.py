"""What pixels say of themselves, and whether they can be used: looked at without torch.

Owns ``index.json`` beside ``pixels.npy``: its format, its checksum and that of the pixels. Knows
neither how pixels are made nor what they are needed for.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from runner.artifacts.array_folder import DAMAGED, NOT_THERE, is_whole, stamp_at
from runner.artifacts.folder import INDEX
from runner.core.keys import content_key
from runner.engine.data.arrays import map_array

ARRAY = "pixels.npy"
FORMAT = 2
"""Raised when what pixels prove of themselves changes; others are prepared again."""
EARLIER = "an earlier version made them, which did not compare what it decoded with what it hashed"
FOREIGN = "they were made from other images"
BLOCK = 1 << 22


def look_whole(folder: Path, pixels_key: str) -> bool:
    """Return whether pixels seem to be whole, without reading them."""
    return not _quick_fault(folder, pixels_key)


def fault(folder: Path, pixels_key: str) -> str:
    """Return why the pixels in ``folder`` cannot be used, or ""."""
    why = _quick_fault(folder, pixels_key)
    if why:
        return why
    index = _index_at(folder / INDEX, stamp_at(folder / INDEX))
    return "" if is_whole(folder / ARRAY, index.get("digest"), _digest) else DAMAGED


def _quick_fault(folder: Path, pixels_key: str) -> str:
    try:
        index = _index_at(folder / INDEX, stamp_at(folder / INDEX))
        array = map_array(folder / ARRAY)
    except FileNotFoundError:
        return NOT_THERE
    except (OSError, ValueError):
        return DAMAGED
    if "format" not in index:
        return EARLIER
    if index.get("pixels") != pixels_key:
        return FOREIGN
    is_alike = array.dtype == np.uint8 and list(array.shape) == index["shape"]
    return "" if is_alike and array.flags.c_contiguous else DAMAGED


@lru_cache(maxsize=4)
def _index_at(path: Path, stamp: str) -> dict[str, Any]:
    """Return what an index says.

    Raises:
        ValueError: when it is damaged, or of a later version.
    """
    index = json.loads(path.read_text())
    if not isinstance(index, dict):
        raise ValueError(f"{path} holds no mapping")
    if "format" in index and (index["format"], index.get("checksum")) != (FORMAT, checksum(index)):
        raise ValueError(f"{path} is damaged, or of a later version")
    return index


def checksum(index: dict[str, Any]) -> str:
    """Return the checksum of all else in an index."""
    return content_key("index", {name: each for name, each in index.items() if name != "checksum"})


def _digest(path: Path) -> str:
    """Return the SHA-256 of the pixels in a file, without its header."""
    digest = hashlib.sha256()
    with path.open("rb") as file:  # to read what is mapped from a bad disk would end the process
        file.seek(map_array(path).offset)
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
