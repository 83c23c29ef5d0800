"""Arrays in MATLAB files (.mat, versions 4 to 7), by SciPy's reader, which runs nothing of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = "uif"
"""Kinds of arrays that are numbers: unsigned, whole, floating-point."""


def read_mat(path: Path, names: tuple[str, ...]) -> tuple[NDArray[Any], ...]:
    """Return arrays of numbers in a MATLAB file, as they are stored there: column by column.

    Args:
        path: of the file.
        names: of the arrays.

    Raises:
        OSError: when the file is not there, is no MATLAB file, or lacks an array.
    """
    from scipy.io import loadmat

    with path.open("rb") as file:
        try:
            content = loadmat(file, variable_names=list(names))
        except Exception as error:  # of many kinds, by where reading a damaged file stumbles
            raise OSError(f"{path} cannot be read as a MATLAB file: {error}") from error
    for name in names:
        if getattr(content.get(name), "dtype", None) is None:
            raise OSError(f"{path} holds no array {name}")
        if content[name].dtype.kind not in NUMBERS:
            raise OSError(f"{path} holds {name}, but not as numbers")
    return tuple(content[name] for name in names)
