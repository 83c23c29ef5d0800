"""Transparent images: how they are recognised, keyed and laid on a background.

The colour stored under a transparent pixel is never used. An image counts as transparent when its
header announces transparency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.keys import content_key

if TYPE_CHECKING:
    from PIL.Image import Image

JPEG = b"\xff\xd8\xff"

Recall = Callable[[str, Callable[[], bool]], bool]
"""From a key and a way to find out to the answer, which may have been remembered."""


def files_fingerprint(
    root: Path, names: Sequence[str], hashes: Sequence[str], recall: Recall
) -> str:
    """Return the key of image files: of their names and contents.

    Where one of them is transparent the key is another one, for before there was a background the
    hidden colours were seen: results from then are not those of the same images now.

    Args:
        root: folder of the files.
        names: of the images, relative to it.
        hashes: of their contents.
        recall: the contents decide whether one is transparent, so it is looked up only once.
    """
    fingerprint = content_key("fingerprint", list(zip(names, hashes, strict=True)))
    if recall(fingerprint, lambda: any(is_transparent(root / name) for name in names)):
        return content_key("fingerprint", {"files": fingerprint, "transparent": True})
    return fingerprint


def is_transparent(path: Path) -> bool:
    """Return whether a file's header announces transparency; False where it is no image.

    Raises:
        OSError: when the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(JPEG)) == JPEG:
            return False
    from PIL import Image as PillowImage

    try:
        with PillowImage.open(path) as image:
            return image.has_transparency_data
    except (SyntaxError, ValueError, OSError, PillowImage.DecompressionBombError):
        return False  # decoding tells what is wrong with it


def on_background(image: Image, color: str) -> Image:
    """Return an image without transparency: itself, or laid on a colour."""
    if not image.has_transparency_data:
        return image
    from PIL import Image as PillowImage

    image = image.convert("RGBA")
    return PillowImage.alpha_composite(PillowImage.new("RGBA", image.size, color), image)
