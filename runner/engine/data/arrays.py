"""Arrays on the disk: written with their space reserved, read by memory mapping.

Knows not what is in them.
"""

import os
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def allocate(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return a memory-mapped array whose disk space is reserved: a full disk is an error here.

    Raises:
        OSError: when the disk is full.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def map_array(path: Path) -> np.memmap[Any, Any]:
    """Return an array that is read from the disk as it is used; writing to it changes no file.

    Raises:
        ValueError: when the file holds no array, or not all of it.
        OSError: when it cannot be read.
    """
    try:
        return np.lib.format.open_memmap(path, mode="c")
    except (OverflowError, SyntaxError, TypeError, TokenError) as error:  # of a damaged header
        raise ValueError(f"{path} holds no array: {error}") from None
