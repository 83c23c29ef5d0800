"""Pixels of more than 8 bits: the levels of black and white, and scaling to 8 bits.

Owns which gray images have a known range, which ones earlier versions read otherwise, and what
that does to the key of files. Pillow itself reads colour of 16 bits as its upper bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.components.data.transparency import Recall
from runner.core.keys import content_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

TIFF_SUFFIXES = (".tif", ".tiff")
BITS_TAG, PHOTOMETRIC_TAG, WHITE_IS_ZERO = 258, 262, 0
SCALED_AT_ONCE = 1 << 20
"""Pixels of a deep image, so that a large one takes little memory beside itself."""


class UnknownRange(OSError):
    """Pixels that are whole or decimal numbers, of which none is known to be white."""


class Levels(NamedTuple):
    """The range of gray levels.

    Attributes:
        white: the largest level.
        inverted: whether 0 is white, and the largest level black.
    """

    white: int = 65535
    inverted: bool = False


def levels_of(image: Image) -> Levels | None:
    """Return the levels of an opened image of deep pixels; None where no range is known."""
    if image.mode.startswith("I;16"):
        tags = getattr(image, "tag_v2", {})
        bits = tags.get(BITS_TAG, (16,))[0]
        return Levels((1 << bits) - 1, tags.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO)
    if image.mode == "I" and image.format == "PPM":
        return Levels()  # Pillow scales what the file calls its largest value to this
    return None


def eight_bits(image: Image, levels: Levels | None) -> Image:
    """Return an image with deep gray levels scaled to 8 bits; others as they are.

    Args:
        image: decoded.
        levels: of the file.

    Raises:
        UnknownRange: for deep pixels without known levels.
    """
    if not image.mode.startswith("I") and image.mode != "F":
        return image
    if levels is None:
        raise UnknownRange(f"pixels of mode {image.mode} have no known range; use 8 or 16 bits")
    import numpy as np
    from PIL import Image as PillowImage

    pixels = np.asarray(image)
    gray = PillowImage.fromarray(_scaled(pixels, levels))
    if "transparency" in image.info:
        seen = pixels != image.info["transparency"]
        gray.putalpha(PillowImage.fromarray(seen).convert("L"))
    return gray


def _scaled(pixels: NDArray[np.generic], levels: Levels) -> NDArray[np.uint8]:
    """Return gray levels (H, W) between 0 and 255, rounded, some rows at a time."""
    import numpy as np

    gray = np.empty(pixels.shape, np.uint8)
    rows = max(1, SCALED_AT_ONCE // max(1, pixels.shape[1]))
    for start in range(0, len(pixels), rows):
        part = np.minimum(pixels[start : start + rows].astype(np.uint32), levels.white)
        # white is odd: no level lies half way
        gray[start : start + rows] = (part * 255 + levels.white // 2) // levels.white
    return 255 - gray if levels.inverted else gray


def levels_fingerprint(root: Path, names: Sequence[str], fingerprint: str, recall: Recall) -> str:
    """Return the key of image files, another one where earlier versions took other levels.

    They took all gray levels of more than 8 bits as 16 bits with 0 as black: TIFF files that say
    otherwise were too dark, or inverted.

    Args:
        root: folder of the files.
        names: of the images, relative to it.
        fingerprint: their key without regard to levels.
        recall: the contents decide, so they are looked at only once.
    """
    tiffs = [name for name in names if name.lower().endswith(TIFF_SUFFIXES)]
    key = content_key("levels", fingerprint)
    if tiffs and recall(key, lambda: any(_has_other_levels(root / name) for name in tiffs)):
        return content_key("fingerprint", {"files": fingerprint, "levels": True})
    return fingerprint


def _has_other_levels(path: Path) -> bool:
    from PIL import Image as PillowImage

    try:
        with PillowImage.open(path) as image:
            return levels_of(image) not in (None, Levels())
    except (SyntaxError, ValueError, OSError, PillowImage.DecompressionBombError):
        return False  # decoding tells what is wrong with it
