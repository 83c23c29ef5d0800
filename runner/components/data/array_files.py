"""Arrays in an .npz file: heads say what they are, and values are read when they are needed.

Owns the format. An array of Python objects is a pickle, which could run code: none is ever read.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from runner.components.data.invalid import InvalidData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIX = ".npy"
"""Of the arrays in the archive."""

BROKEN = (BadZipFile, ValueError, KeyError, EOFError, RuntimeError, OSError, zlib.error)
"""What reading a damaged file raises; RuntimeError is for an encrypted one."""


@dataclass(frozen=True, slots=True)
class ArrayHead:
    """What an array is.

    Attributes:
        shape: of all axes.
        dtype: of its values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype} of shape {self.shape}"


def is_archive(path: Path) -> bool:
    """Return whether a file is called like an archive of arrays."""
    return path.suffix.lower() == ".npz"


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays in a file.

    Raises:
        InvalidData: when it is no such file.
        OSError: when it cannot be read.
    """
    with _opened(path, path) as archive:
        names = [info.filename for info in archive.infolist()]
    return [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]


def array_heads(path: Path, names: Sequence[str]) -> dict[str, ArrayHead]:
    """Return the heads of arrays in a file, by name; values are not read.

    Raises:
        InvalidData: when one cannot be read, or is cut off.
        OSError: when the file cannot be read.
    """
    with _opened(path, path) as archive:
        return {name: _head(archive, f"{name}{SUFFIX}", path) for name in names}


def read_arrays(
    path: Path, names: Sequence[str], content: bytes | None = None
) -> list[NDArray[np.generic]]:
    """Return arrays of a file by their names.

    Args:
        path: the file.
        names: of the arrays.
        content: of the file, where it has been read.

    Raises:
        InvalidData: when they cannot be read, as of Python objects.
        OSError: when the file cannot be read.
    """
    import numpy as np

    found = []
    with _opened(path, path if content is None else io.BytesIO(content)) as archive:
        for name in names:
            _head(archive, f"{name}{SUFFIX}", path)
            with archive.open(f"{name}{SUFFIX}") as file:
                found.append(np.lib.format.read_array(file, allow_pickle=False))
    return found


@contextmanager
def _opened(path: Path, file: Path | IO[bytes]) -> Iterator[ZipFile]:
    try:
        with ZipFile(file) as archive:
            yield archive
    except InvalidData:
        raise
    except BROKEN as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # the file itself cannot be read
        raise InvalidData(f"{path} is no .npz file that can be read: {error}") from None


def _head(archive: ZipFile, name: str, path: Path) -> ArrayHead:
    """Return the head of an array, whose values are as many as it says."""
    from numpy.lib import format as npy

    with archive.open(name) as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{name} has the unknown version {version}")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        start = file.tell()
    num_bytes = start + math.prod(shape) * dtype.itemsize
    if archive.getinfo(name).file_size != num_bytes and not dtype.hasobject:
        shown = name.removesuffix(SUFFIX)
        raise InvalidData(f"{path}: {shown} is cut off, or longer than it says")
    return ArrayHead(shape, dtype)
