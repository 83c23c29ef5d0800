"""Folders with named arrays and an index of what they are: logits, results of analyses.

Owns the form, ``NAME.npy`` beside ``index.json``, and the digest of all of it, which does not
depend on where or when it was written. A folder appears whole or not at all. Knows neither networks
nor databases.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.artifacts.atomic import take_away, whole_folder
from runner.artifacts.folder import INDEX
from runner.core.keys import content_key
from runner.core.moments import reached

FORMAT = 1
"""Raised when the form of the index changes; folders of another one count as damaged."""

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError)
"""What reading gives where files or their index are not what was written."""


@dataclass(frozen=True, slots=True)
class NamedArrays:
    """What a folder holds.

    Attributes:
        arrays: by name.
        about: what they are, JSON only.
    """

    arrays: Mapping[str, NDArray[Any]]
    about: Mapping[str, Any]


def write_arrays(
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],
    about: Mapping[str, Any],
    check: Callable[[], None] = lambda: None,
) -> tuple[str, int]:
    """Write arrays to a folder, in place of what was there.

    Args:
        folder: the final path; what is above it is made.
        arrays: by name, which is the file's too; of numbers, truth values or text.
        about: what they are, JSON only.
        check: called before it takes its place; what it raises leaves what was there.

    Returns:
        The digest of arrays and index, and the bytes that they take.

    Raises:
        OSError: when the disk is full; nothing is left.
    """
    described = {name: _described(array) for name, array in arrays.items()}
    digest = _digest(described, about)
    index = {"format": FORMAT, "arrays": described, "about": dict(about), "digest": digest}
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as partial:
        for name, array in arrays.items():
            np.save(partial / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
        (partial / INDEX).write_text(json.dumps(index, ensure_ascii=True), encoding="ascii")
        num_bytes = sum(each.stat().st_size for each in partial.iterdir())
        check()
        reached("arrays whole, not in place")
    return digest, num_bytes


def read_arrays(folder: Path, digest: str | None) -> NamedArrays | None:
    """Return what a folder holds, or None where it is gone, damaged or not what is recorded.

    Args:
        folder: as it was written.
        digest: what :func:`write_arrays` returned; None, where nothing is recorded, fits nothing.
    """
    if not look_whole(folder, digest):  # an index that lies asks for no memory
        return None
    try:
        index = _index(folder)
        arrays = {
            name: _read(folder / f"{name}.npy", described)
            for name, described in index["arrays"].items()
        }
        described = {name: _described(array) for name, array in arrays.items()}
        is_whole = _digest(described, index["about"]) == digest
    except DAMAGE:
        return None
    return NamedArrays(arrays, index["about"]) if is_whole else None


def look_whole(folder: Path, digest: str | None) -> bool:
    """Return whether a folder holds what is recorded, by its index and the sizes of its files.

    No array is read: bytes that have changed in their place are not noticed.
    """
    try:
        index = _index(folder)
        return index["digest"] == digest and all(
            (folder / f"{name}.npy").stat().st_size == _file_bytes(described)
            for name, described in index["arrays"].items()
        )
    except DAMAGE:
        return False


def remove_damaged(folder: Path, digest: str | None) -> bool:
    """Remove a folder that looks whole and whose arrays are not what is recorded.

    Nobody can use it, and only what is gone is made again. What cannot be read at all, for lack of
    a right or with a bad disk, stays.

    Returns:
        Whether nothing of it is in the way any more.
    """
    if not look_whole(folder, digest):
        return True
    try:
        for name in _index(folder)["arrays"]:
            (folder / f"{name}.npy").read_bytes()
        if read_arrays(folder, digest) is not None:  # another process has just made it again
            return True
        take_away(folder)
    except OSError:
        return False
    return True


def _index(folder: Path) -> Any:
    """Return the index of a folder; of another form, ValueError."""
    index = json.loads((folder / INDEX).read_text(encoding="ascii"))
    if index["format"] != FORMAT:
        raise ValueError(f"the form of {folder} is not known")
    return index


def _read(path: Path, described: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array in a file; ValueError where its header is not what the index says."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if (list(shape), dtype.str) != (described["shape"], described["type"]):
            raise ValueError(f"{path} holds another array than its index says")
        file.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _file_bytes(described: Mapping[str, Any]) -> int:
    """Return the bytes that the file of an array takes: its header, then its numbers."""
    dtype, shape = np.dtype(described["type"]), tuple(map(int, described["shape"]))
    header = io.BytesIO()
    values = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, values)
    return len(header.getvalue()) + int(dtype.itemsize) * math.prod(shape)


def _described(array: NDArray[Any]) -> dict[str, Any]:
    """Return what stands of an array in the index."""
    content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"type": array.dtype.str, "shape": list(array.shape), "sha256": content}


def _digest(described: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    return content_key("arrays", {"arrays": dict(described), "about": dict(about)})
