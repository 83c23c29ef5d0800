"""What lies at a path, for a spec to begin with: how large its images are, and whether gray.

Files of images are opened for their size only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runner.components.data.at_path import DataAtPath
from runner.components.data.files import opened

Size = tuple[int, int]
"""Width and height in pixels."""


def image_sizes(found: DataAtPath) -> set[Size]:
    """Return the sizes of the images; of files, those that can be opened."""
    if found.arrays:
        return {(part.shape[2], part.shape[1]) for part in found.arrays}
    return _sizes(found.files)


def is_gray(found: DataAtPath) -> bool:
    """Return whether all images are known to be gray."""
    return bool(found.arrays) and all(part.is_gray for part in found.arrays)


def _sizes(files: Iterable[Path]) -> set[Size]:
    sizes = set()
    for path in files:
        try:
            with path.open("rb") as file, opened(file) as image:
                sizes.add(image.size)
        except OSError:
            continue
    return sizes
