"""The arrays that an analysis leaves: a folder of npy files, and an index with their checksums.

The folder appears whole or not at all. Knows no analysis, and no picture that is drawn of one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.artifacts.atomic import whole_folder
from runner.artifacts.folder import INDEX
from runner.core.errors import UsageError

Arrays = Mapping[str, NDArray[Any]]


def write_arrays(folder: Path, arrays: Arrays, before: Callable[[], None]) -> tuple[str, int]:
    """Write arrays; return the digest of all of them, and the bytes of their files.

    Args:
        folder: the final path.
        arrays: by name; of numbers or text, no objects.
        before: called before the folder takes its place.

    Raises:
        OSError: when the disk is full; nothing is left.
    """
    with whole_folder(folder) as partial:
        files: dict[str, dict[str, Any]] = {}
        for name, array in arrays.items():
            path = partial / f"{name}.npy"
            np.save(path, array, allow_pickle=False)
            files[name] = {"sha256": _digest(path), "bytes": path.stat().st_size}
        text = json.dumps(files, sort_keys=True)
        (partial / INDEX).write_text(text)
        before()
    total = sum(each["bytes"] for each in files.values())
    return hashlib.sha256(text.encode()).hexdigest(), int(total)


def read_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays by name.

    Raises:
        UsageError: when they are not there, or not what was written.
    """
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text())
        damaged = [
            name
            for name, file in index.items()
            if _digest(folder / f"{name}.npy") != str(file["sha256"])
        ]
        if not damaged:
            return {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in index}
    except FileNotFoundError:
        raise UsageError(f"there are no arrays in {folder}", hint=AGAIN) from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"the arrays in {folder} cannot be read: {error}", hint=AGAIN) from None
    raise UsageError(f"the arrays in {folder} are damaged: {', '.join(damaged)}", hint=AGAIN)


AGAIN = "`runner run` makes them again where the weights of the run are there"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
